//! Defines every bound of the program, in one table: name, unit (last in the name), default, and what it protects from.
//!
//! Knows: numbers. Must not know: who enforces them (server, chat and client read this table).

use std::fmt;

/// Declares [`Limits`]: the struct, its defaults, and the by-name access that the configuration file, `--set`
/// and `check-config` use. A limit marked `required` refuses 0; on the others 0 means "no limit".
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:expr, $zero:ident;)+) => {
        /// The bounds of a server. Every field is a whole number in the unit that ends its name; 0 means no
        /// limit, except where the description says that it is refused.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// The names of all limits, in the order of the reference.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Sets the limit called `name`.
            ///
            /// # Errors
            /// When there is no such limit, or when it may not be 0.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), LimitError> {
                match name {
                    $(stringify!($name) => {
                        if value == 0 && limits!(@required $zero) {
                            return Err(LimitError::Zero { name: stringify!($name) });
                        }
                        self.$name = value;
                        Ok(())
                    })+
                    _ => Err(LimitError::Unknown { name: name.to_owned() }),
                }
            }

            /// The limits as pairs of name and value, in the order of the reference.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }
        }
    };
    (@required required) => { true };
    (@required optional) => { false };
}

limits! {
    /// Connections at a time, over all listeners. 0: as many as the system's threads and files allow.
    connections_max = 10_000, optional;
    /// Connections at a time from one address (IPv6: one /64; a /48 has 16 times as many). Loopback is exempt.
    connections_per_address_max = 64, optional;
    /// Bytes of one frame that the server reads, its zero byte not counted; a longer one closes the connection. 0 is refused.
    frame_bytes_max = 65_536, required;
    /// Nodes (elements, texts, comments) of one parsed document; more are `too-complex`. 0 is refused.
    nodes_max = 4_096, required;
    /// Seconds from a frame's first byte to its zero byte: a peer that trickles bytes is closed.
    frame_seconds_max = 30, optional;
    /// Seconds from the connection to a successful login (chat).
    login_seconds_max = 60, optional;
    /// Seconds without a sign of life (chat asks with a ping at half of it).
    idle_seconds_max = 300, optional;
    /// Seconds after which a silent connection is made known to the application; 0 (at once) when neither a policy nor HTTP is served.
    announce_seconds = 1, optional;
    /// Frames a second from one connection, one more counted for each started KiB beyond the first, and for each 32 KiB that it makes the server send.
    frames_per_second_max = 50, optional;
    /// As much from one address (IPv6: one /64; a /48 has 16 times as much) on all its connections; it may save up 4 seconds' worth.
    frames_per_second_per_address_max = 1_000, optional;
    /// Frames that a connection may save up and send at once.
    frames_burst_max = 200, optional;
    /// Bytes waiting for one client that reads too slowly; beyond it the client is closed. 0 is refused.
    outbox_bytes_max = 4 << 20, required;
    /// Bytes waiting for all such clients together; beyond it those with most are closed.
    outboxes_bytes_max = 256 << 20, optional;
    /// Seconds in which a client that is behind must take at least one byte.
    write_seconds_max = 30, optional;
    /// Seconds that a graceful stop waits for clients to take what was sent to them.
    shutdown_seconds_max = 5, optional;
    /// Rooms at a time.
    rooms_max = 1_000, optional;
    /// Rooms at a time that were made from one address (IPv6: one /64).
    rooms_per_address_max = 100, optional;
    /// Rooms that one person is in at a time.
    rooms_per_user_max = 50, optional;
    /// Sessions of one address (IPv6: one /64) that are kept after their links were lost.
    sessions_per_address_max = 128, optional;
    /// Messages that a room's history keeps.
    history_messages_max = 1_000, optional;
    /// Bytes that a room's history keeps.
    history_bytes_max = 1 << 20, optional;
    /// Bytes that all histories together keep.
    history_total_bytes_max = 64 << 20, optional;
    /// Variables of one room, and of one person; each of at most 1 KiB.
    variables_max = 64, optional;
    /// Bytes of a room's topic.
    topic_bytes_max = 512, optional;
}

impl Limits {
    /// A value read as a bound: `None` when it is 0, which means "no limit".
    #[must_use]
    pub fn bound(value: u64) -> Option<u64> {
        (value != 0).then_some(value)
    }
}

/// Why a limit could not be set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitError {
    /// No limit has this name.
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// This limit protects the server's memory and may not be switched off.
    Zero {
        /// The limit's name.
        name: &'static str,
    },
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitError::Unknown { name } => write!(f, "there is no limit `{name}`"),
            LimitError::Zero { name } => write!(f, "`{name}` may not be 0: it protects the server's memory"),
        }
    }
}

impl std::error::Error for LimitError {}

/// Namespace declarations in one document. Each element that declares one copies those of its parents, so their cost
/// grows with the square: 2 400 nested ones, 60 KB of text, took 2.7 s to parse.
pub const NAMESPACES_MAX: usize = 64;

/// Bytes of a namespace's address. The parser compares addresses and names of any two attributes of an element: with
/// an address of 32 KiB, and 512 attributes an element, a frame of 64 KiB took 0.66 s to parse.
pub const NAMESPACE_BYTES_MAX: usize = 256;

/// Bytes of all namespace declarations of the root of an endless document: each element may need them all, to mean the same
/// elsewhere. With 64 of 256 bytes an element of 83 bytes became one of 19 KiB.
pub const ROOT_NAMESPACES_BYTES_MAX: usize = 4_096;

/// Attributes of one element, namespace declarations among them. The parser compares any two: 10 000 on one element,
/// 64 KiB of text, took 0.16 s to parse. Within this bound and the two above, the worst frame of 64 KiB that is known
/// takes 6 ms (50 ms without optimisation): one tag after the other, full of attributes with prefixes.
pub const ATTRIBUTES_MAX: usize = 128;

/// Bytes of the sentence that says why a frame is not a document. It may quote names, which may be as long as a frame.
pub(super) const REASON_BYTES_MAX: usize = 200;

/// Bytes of the largest frame that the server itself writes, its zero byte not counted.
pub const SENT_FRAME_BYTES_MAX: usize = 1 << 20;

/// Bytes of the largest frame that a client reads unless told otherwise, its zero byte not counted.
pub const CLIENT_FRAME_BYTES_MAX: usize = 4 << 20;

/// Bytes that may wait between the clients' threads and the dispatcher, texts and their trees; beyond it clients' threads
/// wait.
pub const CHANNEL_BYTES_MAX: usize = 16 << 20;

const _: () =
    assert!(SENT_FRAME_BYTES_MAX <= CLIENT_FRAME_BYTES_MAX, "our clients must be able to read what our server writes");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_set_and_read_back() {
        let mut limits = Limits::default();
        for (n, name) in Limits::NAMES.iter().enumerate() {
            limits.set(name, n as u64 + 7).expect("a listed name is settable");
        }
        let values: Vec<u64> = limits.entries().map(|(_, value)| value).collect();
        assert_eq!(values, (0..Limits::NAMES.len() as u64).map(|n| n + 7).collect::<Vec<_>>());
    }

    #[test]
    fn zero_is_refused_where_memory_depends_on_it() {
        for name in ["frame_bytes_max", "nodes_max", "outbox_bytes_max"] {
            assert!(matches!(Limits::default().set(name, 0), Err(LimitError::Zero { .. })), "{name}");
        }
        assert_eq!(Limits::default().set("idle_seconds_max", 0), Ok(()));
        assert!(matches!(Limits::default().set("idle_seconds", 1), Err(LimitError::Unknown { .. })));
    }
}
