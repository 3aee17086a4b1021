//! Defines [`Options`], everything that can be set on a socket before it connects, and [`FrameEnd`].
//!
//! Knows: defaults and their reasons. Must not know: who obeys.

use std::time::Duration;

use super::permission::Permission;
use super::reconnect::Reconnect;
use crate::wire::{CLIENT_FRAME_BYTES_MAX, NUL, Overflow, UNPROCESSED_BYTES_MAX};

/// How long connecting may take when nothing else is set: the class's own default.
pub(super) const TIMEOUT: Duration = Duration::from_millis(20_000);

/// The least that `timeout` can be set to; the class raises smaller values to it.
pub(super) const TIMEOUT_MIN: Duration = Duration::from_millis(250);

/// The most: the class counts milliseconds in 31 bits.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// What ends a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameEnd {
    /// A zero byte, as every player does it.
    #[default]
    Nul,
    /// A newline (a carriage return before it is dropped) or a zero byte when reading; a newline when sending.
    /// For servers that speak to telnet.
    Line,
}

impl FrameEnd {
    /// The byte that ends a frame when sending.
    pub(super) fn end_of_frame(self) -> u8 {
        match self {
            FrameEnd::Nul => NUL,
            FrameEnd::Line => b'\n',
        }
    }
}

/// What can be set on a socket. Read when `connect` is called.
#[derive(Clone)]
pub(super) struct Options {
    /// How long connecting may take: looking up the name and reaching an address.
    pub(super) timeout: Duration,
    /// How long a frame may take to be written.
    pub(super) send_timeout: Duration,
    /// How long the server may be silent. `None`: for ever, as in the class.
    pub(super) idle_max: Option<Duration>,
    /// The longest frame that is read.
    pub(super) frame_bytes_max: usize,
    /// How many bytes of events may wait to be taken. Incoming pauses beyond it.
    pub(super) queue_bytes_max: usize,
    /// What ends a frame.
    pub(super) frame_end: FrameEnd,
    /// The longest unfinished element of an endless document.
    pub(super) unprocessed_max: usize,
    /// What happens to a longer one.
    pub(super) overflow: Overflow,
    /// The host that is meant when none is given. `None`: where the SWF comes from, else `localhost`.
    pub(super) default_host: Option<String>,
    /// Whose rules decide whether a connection may be made. `None`: it may.
    pub(super) permission: Option<Permission>,
    /// Whether and how a lost connection is made again.
    pub(super) reconnect: Option<Reconnect>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            timeout: TIMEOUT,
            send_timeout: Duration::from_secs(30),
            idle_max: None,
            frame_bytes_max: CLIENT_FRAME_BYTES_MAX,
            queue_bytes_max: 2 * CLIENT_FRAME_BYTES_MAX,
            frame_end: FrameEnd::Nul,
            unprocessed_max: UNPROCESSED_BYTES_MAX,
            overflow: Overflow::Close,
            default_host: None,
            permission: None,
            reconnect: None,
        }
    }
}

impl Options {
    /// The host that an empty one stands for: the one that the SWF came from; `localhost` for a SWF from a file.
    pub(super) fn default_host(&self) -> &str {
        let own_host = self.permission.as_ref().and_then(Permission::own_host);
        self.default_host.as_deref().or(own_host).unwrap_or("localhost")
    }
}
