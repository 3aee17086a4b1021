//! The edges: what listeners may offer beside plain XMLSocket, each behind a feature of its own. An edge reaches the
//! inside by implementing a trait of the server; nothing inside names an edge.
//!
//! In the order in which a request meets them:

// HTTP on a listener: the request's head, who may ask, the routes, the response.
pub mod http;

// WebSocket: the same byte stream in messages.
#[cfg(feature = "websocket")]
pub mod websocket;

// The chat page.
#[cfg(feature = "web")]
pub mod web;

// A folder of files.
#[cfg(feature = "web")]
pub mod files;

// Flash content and the page that plays it.
#[cfg(feature = "web")]
pub mod content;
