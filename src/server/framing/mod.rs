//! How frames travel to and from a client: [`Decoder`] and [`Encoder`], the two halves of a framing.
//!
//! Inside the server frames have one form, XMLSocket's own: one after the other, each ended by its zero byte. A framing
//! turns what its clients send into that form, and that form into what they read. Whoever adds one writes one file with
//! both halves, and does not touch what lies around: reading, deadlines, rates, parsing, batches and queues are the same
//! for all.
//!
//! It is two traits and not one because two threads use them: the client's own thread decodes, without a lock; whoever
//! sends encodes, under the outbox's lock. What they have in common, such as the root of a stream, the decoder finds out
//! and hands over as a new encoder, together with the bytes that answer the client.
//!
//! One property holds for every framing: n frames that are sent are n frames that are read, whatever is in them. A frame
//! that cannot travel without breaking this is changed as little as possible, or left out with a word in the log.
//!
//! Knows: which framings a listener may be given. Must not know: sockets, threads, who decides what is sent.

// Frames as they are: XMLSocket's own form.
pub(super) mod nul;

// Frames as lines, for people at a terminal.
mod line;

// Frames as the elements of an endless document.
pub(super) mod stream;

use std::sync::Arc;

use self::stream::Opening;
use super::closing::CloseReason;
use crate::wire::{Element, Encode, split_frames, write_frame};

/// What ends a frame on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A zero byte.
    Nul,
    /// A zero byte or a newline, for telnet and for class. A client is answered with the one it used first.
    Line,
    /// The end of an element: each side sends one endless document, as `XMLStreams` and XMPP do. The server's root
    /// mirrors the client's, name and attributes, and follows it when the client begins anew; the application knows a
    /// client from then on that its root has come. Frames are always [`Frames::Xml`](super::Frames::Xml) here, whatever is
    /// set: nothing else may stand in an XML document.
    Stream,
}

impl Framing {
    /// How a client is written to until it has shown more; `is_xml`: whether frames are documents.
    pub(super) fn encoder(self, is_xml: bool) -> Arc<dyn Encoder> {
        match self {
            Framing::Nul => nul::encoder(),
            Framing::Line => line::encoder(is_xml),
            Framing::Stream => stream::rootless(),
        }
    }

    /// What reads a client; `None` where frames are in XMLSocket's form already.
    pub(super) fn decoder(self) -> Option<Box<dyn Decoder>> {
        match self {
            Framing::Nul | Framing::Stream => None,
            Framing::Line => Some(Box::default() as Box<line::Lines>),
        }
    }

    /// What a client must say before frames can travel, if anything.
    pub(super) fn opening(self, frame_bytes_max: usize, nodes_max: u32) -> Option<Opening> {
        (self == Framing::Stream).then(|| Opening::new(frame_bytes_max, nodes_max))
    }

    /// Whether nothing can be sent to a client before it has spoken.
    pub(super) fn begins_with_the_client(self) -> bool {
        self == Framing::Stream
    }

    /// Whether a frame has ended in `first`, which holds no zero byte.
    pub(super) fn has_ended(self, first: &[u8]) -> bool {
        self == Framing::Line && first.contains(&b'\n')
    }

    /// The last frame for a client, in words that fit what it was to send.
    pub(super) fn farewell(self, reason: &CloseReason) -> Option<Element> {
        let own = if self == Framing::Stream { stream::farewell(reason) } else { None };
        own.or_else(|| reason.farewell())
    }
}

/// The two halves of a framing, for one client.
pub struct Framed {
    /// Reads the client.
    pub decoder: Box<dyn Decoder>,
    /// Writes to it, until the decoder hands over another one.
    pub encoder: Arc<dyn Encoder>,
}

/// Reads what a client sends. Does no input or output of its own.
pub trait Decoder: Send {
    /// Takes the next of `bytes`, cut wherever the network cut them, up to the end of whatever is complete first. Appends to
    /// `frames` what it found there, each frame ended by its zero byte where it ends; gives how many bytes it took.
    ///
    /// It is called again with the rest, and in the end with nothing, until it answers [`Decoded::Unfinished`]; so it MUST
    /// NOT answer otherwise for ever. One element or message at a time: no more than that is held in memory.
    ///
    /// # Errors
    /// When nothing more can come: what was found before counts.
    fn decode(&mut self, bytes: &[u8], frames: &mut Vec<u8>) -> Result<(usize, Decoded), DecodeEnd>;

    /// Whether something has begun that must end in time, beside the frame whose bytes were given out already.
    fn is_unfinished(&self) -> bool;
}

/// What a [`Decoder`] found in some bytes.
pub enum Decoded {
    /// Bytes of frames.
    Frames,
    /// What is to be answered, or to be done otherwise from here on.
    Reply(Reply),
    /// Something that brings no frame and wants no answer. It counts as a frame, so that there can be no flood of it.
    Idle,
    /// Nothing is complete, and all bytes were taken.
    Unfinished,
}

/// What a framing says to a client by itself.
#[derive(Default)]
pub struct Reply {
    /// The bytes, as they go on the wire: whole messages.
    pub bytes: Vec<u8>,
    /// What writes to the client from here on, if that changes.
    pub encoder: Option<Arc<dyn Encoder>>,
}

/// Why nothing more can come.
#[derive(Debug)]
pub struct DecodeEnd {
    /// The reason, for the application and the log.
    pub reason: CloseReason,
    /// What the client is told of it, as it goes on the wire.
    pub reply: Vec<u8>,
    /// Whether that takes the place of the [`goodbye`](Encoder::goodbye).
    pub is_goodbye: bool,
}

/// Writes frames to a client.
#[expect(unused_variables, reason = "names are for whoever implements it")]
pub trait Encoder: Send + Sync {
    /// The header behind which frames of `bytes` bytes altogether travel as they are, each ended by its zero byte; so they
    /// can be shared by all who get the same. `None` where each is [encoded](Encoder::encode) by itself.
    fn header(&self, bytes: usize) -> Option<Header>;

    /// Appends one frame as it travels. `frame` is without its zero byte.
    fn encode(&self, frame: &[u8], out: &mut Vec<u8>);

    /// What asks the client for activity, if the framing has a way to.
    fn ping(&self) -> Option<&'static [u8]> {
        None
    }

    /// What a client is told, after its last frame, when the conversation ends; empty where the end of the connection says
    /// it.
    fn goodbye(&self, reason: &CloseReason) -> Vec<u8> {
        vec![]
    }
}

/// What stands before frames that travel as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    bytes: [u8; Header::BYTES_MAX],
    length: usize,
}

impl Header {
    /// Bytes of the longest header.
    pub const BYTES_MAX: usize = 14;

    /// The header of these bytes, of which there MUST NOT be more than [`BYTES_MAX`](Header::BYTES_MAX).
    #[must_use]
    pub fn new(bytes: &[u8]) -> Header {
        let mut header = Header { length: bytes.len(), ..Header::default() };
        header.bytes[..bytes.len()].copy_from_slice(bytes);
        header
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// One frame as `encoder` writes it.
pub(super) fn encode_one(encoder: &dyn Encoder, frame: &(impl Encode + ?Sized)) -> Vec<u8> {
    let mut frames = Vec::new();
    write_frame(frame, &mut frames);
    match encoder.header(frames.len()) {
        Some(header) => [header.as_bytes(), &frames].concat(),
        None => {
            let mut bytes = Vec::new();
            encode_each(encoder, &frames, &mut bytes);
            bytes
        }
    }
}

/// Appends each of `frames` as `encoder` writes it.
pub(super) fn encode_each(encoder: &dyn Encoder, frames: &[u8], out: &mut Vec<u8>) {
    split_frames(frames).for_each(|frame| encoder.encode(frame, out));
}
