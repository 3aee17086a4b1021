//! Defines [`Error`], what a client's call can be refused with, and the ids and texts that a player says it with.
//!
//! Knows: the player's error ids and their texts. Must not know: sockets, threads, who shows the text to whom.

use std::fmt;
use std::io;
use std::time::Duration;

/// The player's error ids, and the text of each.
pub mod player {
    /// The socket is not connected.
    pub const INVALID_SOCKET: u32 = 2002;
    /// The port is not one.
    pub const INVALID_PORT: u32 = 2003;
    /// A local file that may read other files may not use the network.
    pub const LOCAL_WITH_FILESYSTEM: u32 = 2010;
    /// The attempt could not even begin.
    pub const CONNECTION_FAILED: u32 = 2011;
    /// The connection was refused, not reached, or lost.
    pub const SOCKET_ERROR: u32 = 2031;
    /// No policy file lets this origin connect.
    pub const SANDBOX_VIOLATION: u32 = 2048;

    /// The text of #2002.
    #[must_use]
    pub fn invalid_socket() -> String {
        "Error #2002: Operation attempted on invalid socket.".to_owned()
    }

    /// The text of #2003.
    #[must_use]
    pub fn invalid_port() -> String {
        "Error #2003: Invalid socket port number specified.".to_owned()
    }

    /// The text of #2010.
    #[must_use]
    pub fn local_with_filesystem() -> String {
        "Error #2010: Local-with-filesystem SWF files are not permitted to use sockets.".to_owned()
    }

    /// The text of #2011.
    #[must_use]
    pub fn connection_failed(host: &str, port: u32) -> String {
        format!("Error #2011: Socket connection failed to {host}:{port}.")
    }

    /// The text of #2031.
    #[must_use]
    pub fn socket_error() -> String {
        "Error #2031: Socket Error.".to_owned()
    }

    /// The text of #2048: `who` (the address of the SWF) may not connect to `target` (`host:port`).
    #[must_use]
    pub fn sandbox_violation(who: &str, target: &str) -> String {
        format!("Error #2048: Security sandbox violation: {who} cannot load data from {target}.")
    }
}

/// Why a call on a client socket was refused. `Display` is a sentence for the programmer;
/// [`player_text`](Error::player_text) is what a script would have read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The socket is not connected: `connect` was not called, its `Connect` event was not taken yet, the connection
    /// has ended, or `close` was called. The caller's fault. Receiving meets it when nothing more can come.
    NotConnected,
    /// The port is 0 or over 65535. The caller's fault.
    InvalidPort {
        /// The port asked for.
        port: u32,
    },
    /// The host cannot be one: it is the address of a page, or has white space in it. The caller's fault.
    InvalidHost {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u32,
    },
    /// The origin is a local file that may not use the network, in the player that was chosen.
    LocalWithFilesystem,
    /// The player that was chosen forbids this connection without asking anybody.
    Forbidden {
        /// The player's text.
        text: String,
        /// Why, for the programmer.
        reason: String,
    },
    /// The system could not start the socket's thread. Nobody's fault.
    Start {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The connection failed or was lost; the event that says so follows, or was this call's to take.
    Lost {
        /// What happened.
        reason: String,
    },
    /// The peer did not take the frame in time. The connection is closed, because the frame may be cut.
    SendTimeout {
        /// How long the socket tried.
        waited: Duration,
    },
    /// No event came in time. The connection goes on.
    RecvTimeout {
        /// How long the caller waited.
        waited: Duration,
    },
    /// Events go to the listener, so there is nothing to receive. The caller's fault.
    Listening,
    /// The value's `Display` failed, so there is nothing to send. The caller's fault.
    Unwritable,
}

impl Error {
    /// Whether there is no connection (any more): time to connect again, or to end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Error::NotConnected | Error::Lost { .. } | Error::SendTimeout { .. })
    }

    /// Whether a deadline passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::SendTimeout { .. } | Error::RecvTimeout { .. })
    }

    /// The id that a player gives this error. `None` where a script cannot meet it.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        match self {
            Error::NotConnected => Some(player::INVALID_SOCKET),
            Error::InvalidPort { .. } => Some(player::INVALID_PORT),
            Error::LocalWithFilesystem => Some(player::LOCAL_WITH_FILESYSTEM),
            Error::InvalidHost { .. } | Error::Start { .. } => Some(player::CONNECTION_FAILED),
            Error::Lost { .. } | Error::SendTimeout { .. } => Some(player::SOCKET_ERROR),
            Error::Forbidden { .. } => Some(player::SANDBOX_VIOLATION),
            Error::RecvTimeout { .. } | Error::Listening | Error::Unwritable => None,
        }
    }

    /// The text that a player gives this error. `None` where a script cannot meet it.
    #[must_use]
    pub fn player_text(&self) -> Option<String> {
        match self {
            Error::NotConnected => Some(player::invalid_socket()),
            Error::InvalidPort { .. } => Some(player::invalid_port()),
            Error::LocalWithFilesystem => Some(player::local_with_filesystem()),
            Error::InvalidHost { host, port } | Error::Start { host, port, .. } => {
                Some(player::connection_failed(host, *port))
            }
            Error::Lost { .. } | Error::SendTimeout { .. } => Some(player::socket_error()),
            Error::Forbidden { text, .. } => Some(text.clone()),
            Error::RecvTimeout { .. } | Error::Listening | Error::Unwritable => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotConnected => {
                f.write_str("the socket is not connected: connect, and take the Connect event first")
            }
            Error::InvalidPort { port } => write!(f, "{port} is not a port: ports are 1 to 65535"),
            Error::InvalidHost { host, .. } => {
                write!(f, "{host:?} is not a host: give a name or an IP address, without scheme, port or path")
            }
            Error::LocalWithFilesystem => {
                f.write_str("the origin is a local file with access to files: such a file has no access to the network")
            }
            Error::Forbidden { reason, .. } => f.write_str(reason),
            Error::Start { .. } => f.write_str("the system could not start a thread for the socket"),
            Error::Lost { reason } => write!(f, "the connection was lost: {reason}"),
            Error::SendTimeout { waited } => {
                write!(f, "the peer did not take the frame within {waited:?}: the connection is closed")
            }
            Error::RecvTimeout { waited } => write!(f, "no event within {waited:?}"),
            Error::Listening => {
                f.write_str("the events of this socket go to its listener: there is nothing to receive")
            }
            Error::Unwritable => f.write_str("the value to send could not be written as text"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Start { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_a_player_says_and_what_the_programmer_needs() {
        let table = [
            (Error::NotConnected, Some(2002), "Operation attempted on invalid socket.", (true, false)),
            (Error::InvalidPort { port: 70_000 }, Some(2003), "Invalid socket port number specified.", (false, false)),
            (
                Error::LocalWithFilesystem,
                Some(2010),
                "Local-with-filesystem SWF files are not permitted to use sockets.",
                (false, false),
            ),
            (
                Error::InvalidHost { host: "http://h".to_owned(), port: 9 },
                Some(2011),
                "Socket connection failed to http://h:9.",
                (false, false),
            ),
            (
                Error::Start { host: "h".to_owned(), port: 9, source: io::ErrorKind::OutOfMemory.into() },
                Some(2011),
                "Socket connection failed to h:9.",
                (false, false),
            ),
            (Error::Lost { reason: "reset".to_owned() }, Some(2031), "Socket Error.", (true, false)),
            (Error::SendTimeout { waited: Duration::from_secs(1) }, Some(2031), "Socket Error.", (true, true)),
            (Error::RecvTimeout { waited: Duration::from_secs(1) }, None, "", (false, true)),
            (Error::Listening, None, "", (false, false)),
            (Error::Unwritable, None, "", (false, false)),
        ];
        for (error, id, text, (closed, timeout)) in table {
            let source = std::error::Error::source(&error);
            assert_eq!(source.is_some(), matches!(error, Error::Start { .. }), "{error:?}");
            assert_eq!(error.id(), id, "{error:?}");
            assert_eq!(error.player_text(), id.map(|id| format!("Error #{id}: {text}")), "{error:?}");
            assert_eq!((error.is_closed(), error.is_timeout()), (closed, timeout), "{error:?}");
            assert!(!error.to_string().is_empty() && !error.to_string().contains('#'), "{error}");
        }
        let text = player::sandbox_violation("http://a.test/a.swf", "b.test:1024");
        assert_eq!(
            text,
            "Error #2048: Security sandbox violation: http://a.test/a.swf cannot load data from b.test:1024."
        );
        let error = Error::Forbidden { text: text.clone(), reason: "port below 1024".to_owned() };
        assert_eq!(
            (error.id(), error.player_text(), error.to_string()),
            (Some(2048), Some(text), "port below 1024".into())
        );
    }
}
