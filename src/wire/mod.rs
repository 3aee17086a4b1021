//! The wire: bytes ⇄ [`Frame`] ⇄ [`Document`]. Pure: no socket, no thread, no clock, no log.
//!
//! In the order of the path:

// What bounds everything that follows.
mod limits;

// Bytes up to a zero byte: in with `read_until`, out in one piece.
mod frame;

// What is refused before it is parsed.
mod scan;

// Why a frame is not a document, and where.
mod parse_error;

// A frame with its parsed tree.
mod document;

// The root of an endless document, and one of its elements.
mod fragment;

// The endless document: bytes without zero bytes, cut into elements.
mod stream;

// A document without its line breaks.
mod one_line;

// What we send: the only place that escapes.
mod element;

pub use document::{Document, Node, Tree};

pub use element::{Element, escape};
pub use fragment::{Fragment, Root};
pub use frame::{Encode, Frame, FrameError, FrameReader, NUL, NulInFrame, end_frame, split_frames, write_frame};
pub use limits::{
    ATTRIBUTES_MAX, CHANNEL_BYTES_MAX, CLIENT_FRAME_BYTES_MAX, LimitError, Limits, NAMESPACE_BYTES_MAX, NAMESPACES_MAX,
    ROOT_NAMESPACES_BYTES_MAX, SENT_FRAME_BYTES_MAX,
};
pub use one_line::write_on_one_line;
pub use parse_error::{ParseError, ParseErrorKind};
pub use stream::{
    Overflow, StreamError, StreamEvent, StreamReader, StreamScanner, UNPROCESSED_BYTES_MAX, element_alone,
};
