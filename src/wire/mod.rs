//! The wire: bytes ⇄ [`Frame`] ⇄ [`Document`]. Pure: no socket, no thread, no clock, no log.
//!
//! In the order of the path:

// What bounds everything that follows.
mod limits;

// Bytes up to a zero byte: in with `read_until`, out in one piece.
mod frame;

// A frame with its parsed tree.
mod document;

// What we send: the only place that escapes.
mod element;

pub use document::{Document, Node, ParseError, ParseErrorKind, Tree};
pub use element::Element;
pub use frame::{Encode, Frame, FrameError, FrameReader, NUL, NulInFrame, write_frame};
pub use limits::{CHANNEL_BYTES_MAX, CLIENT_FRAME_BYTES_MAX, LimitError, Limits, NAMESPACES_MAX, SENT_FRAME_BYTES_MAX};
