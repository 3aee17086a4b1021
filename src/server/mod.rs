//! The server: who reads, who decides, who writes. Knows frames and documents, not what they mean.
//!
//! In the order of the path:

// A bound port; accepts, and gives each connection a thread.
mod listener;

// The address under which somebody is counted.
mod address;

// What the connections of one address have together.
mod accounts;

// Who may come in: counts, ids.
mod seats;

// How many threads there may be.
mod threads;

// One client's socket, as its users share it.
mod link;

// Who is not known to the application yet, and what is held for them.
mod arrivals;

// For whom does a proxy speak?
mod proxy;

// A client's thread.
mod connection;

// What do the first bytes speak?
mod sniff;

// Who answers HTTP, and what becomes of that.
mod http;

// The bytes that a client's thread reads, and their deadlines.
mod intake;

// Frames that travel otherwise than as they are, one at a time.
mod decoding;

// How frames travel, both ways.
mod framing;

// How fast frames come.
mod flood;

// Answers that need no application.
mod refusal;

// Taking leave without an outbox.
mod parting;

// What the clients' threads tell the dispatcher.
mod event;

// How much of that may wait.
mod budget;

// What threads meet at.
mod sync;

// The one thread that decides.
mod dispatcher;

// What an application is and sees.
mod service;

// The dispatcher's table of connections.
mod engine;

// The application's hand on it.
mod context;

// What is sent to all clients between two flushes.
mod batch;

// What may be sent to who has not spoken.
mod first_bytes;

// Bytes on their way to one client.
mod outbox;

// What waits for clients, counted.
mod waiting;

// Who is told what happens.
mod observer;

// Starting, and the order of stopping.
mod shutdown;

// An application without a network.
mod stage;

// What fuzz targets try that is nobody else's business.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub use address::AddressKey;
pub use context::Context;
pub use framing::{DecodeEnd, Decoded, Decoder, Encoder, Framed, Framing, Header, Reply};
pub use http::{Answer, Door, Visitor};
pub use listener::{Flood, Frames, Listener, ListenerSettings, PolicySource};
pub use observer::Observer;
pub use proxy::{Network, NetworkError};
pub use service::{CloseReason, ConnectionId, Message, Now, Peer, Service, Transport};
pub use shutdown::{Builder, Ended, Handle, PostError, Server, StartError};
pub use stage::Stage;
pub use threads::connection_ceiling;

/// Bytes of the stack of a client's thread and of a catch-up writer: enough for parsing, which does not recurse, and
/// for a panic with its backtrace.
const STACK_BYTES: usize = 64 * 1024;
