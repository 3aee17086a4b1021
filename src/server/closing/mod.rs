//! How connections end.
//!
//! In the order in which it happens:

// Why.
mod close_reason;

// What the server says by itself.
pub(super) mod refusal;

// How a peer is let go that no outbox writes to.
pub(super) mod linger;

pub use close_reason::CloseReason;
