//! The wire: bytes ⇄ [`Frame`] ⇄ [`Document`]. Pure: no socket, no thread, no clock, no log.
//!
//! In the order of the path:

// What bounds everything that follows.
mod limits;

// Bytes up to a zero byte: in with `read_until`, out in one piece.
mod frame;

// A frame with its parsed tree.
mod document;

// The root of an endless document, and one of its elements.
mod fragment;

// The endless document: bytes without zero bytes, cut into elements.
mod stream;

// What we send: the only place that escapes.
mod element;

pub use document::{Document, Node, ParseError, ParseErrorKind, Tree};
pub use element::Element;
pub use fragment::{Fragment, Root};
pub use frame::{Encode, Frame, FrameError, FrameReader, NUL, NulInFrame, write_frame};
pub use limits::{CHANNEL_BYTES_MAX, CLIENT_FRAME_BYTES_MAX, LimitError, Limits, NAMESPACES_MAX, SENT_FRAME_BYTES_MAX};
pub use stream::{Overflow, StreamError, StreamEvent, StreamReader, StreamScanner, UNPROCESSED_BYTES_MAX};
