//! In the place of what an application sees: why a link is given up.

/// Some of the server's reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    Lost(String),
    TooSlow,
    WriteTimeout,
    Shutdown,
}
