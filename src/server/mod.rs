//! The server: who reads, who decides, who writes. Knows frames and documents, not what they mean.
//!
//! The first reading is these ten files, in the order of the path:

// A bound port; accepts, and gives each connection a thread.
mod listener;

// A client's thread.
mod connection;

// What the clients' threads tell the dispatcher.
mod event;

// The one thread that decides.
mod dispatcher;

// What an application is.
mod service;

// The application's hand on the connections.
mod context;

// The dispatcher's table of connections.
mod engine;

// What is sent to all clients between two flushes.
mod batch;

// Bytes on their way to one client.
mod outbox;

// One client's socket, as its users share it.
mod link;

// The second reading is what these leave to others. Before the first frame: who may come in, and what it speaks.
mod arrival;

// The bytes that a client's thread reads, and their deadlines.
mod intake;

// Frames that travel otherwise than as they are, one at a time.
mod decoding;

// How frames travel, both ways.
mod framing;

// How fast frames may come.
mod bucket;

// How fast the frames of one connection come.
mod flood;

// How much may wait for the dispatcher.
mod budget;

// How much may wait for clients.
mod waiting;

// How connections end.
mod closing;

// What is known of a connection.
mod peer;

// What may be set for a listener.
mod settings;

// What the threads of a server share.
mod shared;

// What threads meet at.
mod sync;

// Starting a server, and waiting for its end.
mod builder;

// A way in for other threads.
mod handle;

// Who is told what happens.
mod observer;

// An application without a network.
mod stage;

// What fuzz targets try that is nobody else's business.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub use arrival::address::AddressKey;
pub use arrival::door::{Answer, Door, Visitor};
pub use arrival::proxy::{Network, NetworkError};
pub use arrival::threads::connection_ceiling;
pub use builder::{Builder, Ended, Server};
pub use closing::CloseReason;
pub use context::Context;
pub use framing::{DecodeEnd, Decoded, Decoder, Encoder, Framed, Framing, Header, Reply};
pub use handle::{Handle, PostError};
pub use listener::{Listener, StartError};
pub use observer::Observer;
pub use peer::{ConnectionId, Now, Peer, Transport};
pub use service::{Message, Service};
pub use settings::{Flood, Frames, ListenerSettings, PolicySource};
pub use stage::Stage;

/// Bytes of the stack of a client's thread and of a catch-up writer: enough for parsing, which does not recurse, and
/// for a panic with its backtrace.
const STACK_BYTES: usize = 64 * 1024;
