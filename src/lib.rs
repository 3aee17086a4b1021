//! An XMLSocket server, client library and chat server: synchronous, a thread per connection, no async runtime.
//!
//! XMLSocket is the protocol of Flash's `XMLSocket` class: TCP, both ways, each message a complete XML document (in
//! practice: any text) that ends with one zero byte; socket policy files say who may connect.
//!
//! # A server
//!
//! ```
//! use xmlsocket::server::{ConnectionId, Context, Message, Server, Service};
//!
//! struct Echo;
//!
//! impl Service for Echo {
//!     fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
//!         cx.send(from, message.frame());
//!     }
//! }
//!
//! # fn main() -> Result<(), xmlsocket::server::StartError> {
//! let server = Server::bind("127.0.0.1:0")?.serve(Echo)?; // returns at once; dropping it stops the server
//! println!("listening on {}", server.local_addr());
//! # Ok(())
//! # }
//! ```
//!
//! # The path of the bytes
//!
//! ```text
//! accept ─▶ a thread per client ───────────────────────────▶ channel ─▶ dispatcher ─▶ Service
//!           sniff · BufReader::read_until(0) · Frame · Document  (bounded)    │  one thread owns all state, never blocks
//! client ◀──────── one send per client per batch ◀──── outboxes (bounded) ◀───┘
//!                  (a client that falls behind gets a catch-up writer, and a limit)
//! ```
//!
//! Follow it by opening these files in this order:
//!
//! 1. `server/listener.rs` accepts; `server/arrival/seats.rs` says whether there is room.
//! 2. `server/connection.rs` is the client's thread: `server/connection/arrival.rs` and `server/arrival/sniff.rs` find out what
//!    it speaks, `server/intake.rs` reads.
//! 3. `wire/frame.rs` cuts the stream at zero bytes; `wire/document.rs` parses a frame. Clients that send lines, elements or
//!    messages are translated to and from that form in `server/framing/`, which a first reading may skip.
//! 4. `server/event.rs` is what crosses the channel; `server/dispatcher.rs` takes it out.
//! 5. `server/service.rs` is what an application sees; `relay.rs` is the shortest one, `chat/` the longest.
//! 6. `server/engine.rs` collects what the application sends, in `server/batch.rs`; `wire/element.rs` wrote it.
//! 7. `server/outbox.rs` sends it, over `server/link.rs`, the socket.
//!
//! # Features
//!
//! `default` is the whole program. `default-features = false` is the embeddable core: `wire`, `policy`, `server`,
//! `client`, `relay`, with a handful of small crates. `chat` adds the chat application, `websocket` and `web` the edges
//! that answer browsers, `cli` the command line.

// Bytes ⇄ frames ⇄ documents. Pure.
pub mod wire;

// Socket policy files: who may connect. Pure.
pub mod policy;

// Threads: who reads, who decides, who writes.
pub mod server;

// The client classes of Adobe's documents.
pub mod client;

// The smallest useful application.
pub mod relay;

// The chat application.
#[cfg(feature = "chat")]
pub mod chat;

// What listeners may offer beside plain XMLSocket: WebSocket, pages.
#[cfg(any(feature = "web", feature = "websocket"))]
pub mod edge;
