//! In the place of how connections end: why a link is given up.

/// Some of the server's reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    Lost(String),
    TooSlow,
    WriteTimeout,
    Shutdown,
}
