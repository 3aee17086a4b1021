//! Frames as the elements of an endless document: the client opens a root, the server mirrors it.
//!
//! Knows: what the events of a stream mean to a server, what may stand inside somebody's root.
//! Must not know: sockets, who gets the frames.

use std::sync::{Arc, LazyLock};

use log::debug;

use super::super::closing::CloseReason;
use super::super::closing::refusal;
use super::{DecodeEnd, Decoded, Decoder, Encoder, Framed, Header, Reply};
use crate::policy::is_request;
use crate::wire::{
    Element, Encode, Frame, Overflow, ParseError, Root, StreamError, StreamEvent, StreamScanner, element_alone,
    write_frame,
};

/// Bytes between the elements that count as one more frame.
const IDLE_BYTES: usize = 1_024;

/// A stream before its root.
pub(in super::super) struct Opening {
    scanner: StreamScanner,
    nodes_max: u32,
}

impl Opening {
    pub(super) fn new(frame_bytes_max: usize, nodes_max: u32) -> Opening {
        Opening { scanner: StreamScanner::new(frame_bytes_max, Overflow::Close), nodes_max }
    }

    /// Takes the next of `bytes`, up to the root, which it gives.
    pub(in super::super) fn take(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Arc<Root>>, DecodeEnd> {
        match self.scanner.scan(bytes).map_err(|error| cut_off(&error))? {
            (used, Some(StreamEvent::Opened(root))) => {
                bytes.drain(..used);
                Ok(Some(root))
            }
            _ => {
                bytes.clear();
                Ok(None)
            }
        }
    }

    /// The framing of the stream that `root` begins, and the root that mirrors it.
    pub(in super::super) fn open(self, root: Arc<Root>) -> Result<(Framed, String), DecodeEnd> {
        check(&root, self.nodes_max)?;
        let mirrored = root.start_tag();
        let encoder = Arc::new(Inside { root: Arc::clone(&root) });
        let decoder = Elements { scanner: self.scanner, root, nodes_max: self.nodes_max, idle: 0 };
        Ok((Framed { decoder: Box::new(decoder), encoder }, mirrored))
    }
}

/// Whether the root of a stream is the question of a player.
pub(in super::super) fn is_policy_request(root: &Root) -> bool {
    Frame::new(format!("<{}{}/>", root.name(), root.attributes())).is_ok_and(|frame| is_request(&frame))
}

/// The last frame for a client whose words depend on what a frame is here.
pub(super) fn farewell(reason: &CloseReason) -> Option<Element> {
    let text = match reason {
        CloseReason::FrameTimeout { .. } => "An element, or the root, was begun but not ended in time.".to_owned(),
        CloseReason::FrameTooLong { frame_bytes_max } => {
            format!("An element, or the root's start tag, may have {frame_bytes_max} bytes.")
        }
        _ => return None,
    };
    Some(Element::new("error").attribute("code", reason.code()).text(text))
}

/// Reads a stream whose root has come: each element directly below the root becomes a frame.
struct Elements {
    scanner: StreamScanner,
    root: Arc<Root>,
    nodes_max: u32,
    /// Bytes that were part of no element and have not been counted.
    idle: usize,
}

impl Elements {
    /// What is complete.
    fn take(&mut self, event: StreamEvent, frames: &mut Vec<u8>) -> Result<Decoded, DecodeEnd> {
        match event {
            StreamEvent::Element(element) => {
                // The namespaces of the root go along: for a receiver elsewhere the element must mean the same.
                write_frame(&element.complete(), frames);
                Ok(Decoded::Frames)
            }
            StreamEvent::Opened(root) | StreamEvent::Restarted(root) => {
                check(&root, self.nodes_max)?;
                // Only a declaration tells that a tag of another name is no element of the stream before.
                let declaration = if root.name() == self.root.name() { "" } else { "<?xml version='1.0'?>" };
                let bytes = [declaration, &root.start_tag()].concat().into_bytes();
                self.root = Arc::clone(&root);
                Ok(Decoded::Reply(Reply { bytes, encoder: Some(Arc::new(Inside { root })) }))
            }
            // What is too long ends the stream, so nothing is ever thrown away.
            StreamEvent::Discarded { .. } => Ok(Decoded::Idle),
            // Our own end tag follows once the application has answered what came before.
            StreamEvent::Closed => Err(DecodeEnd { reason: CloseReason::ByPeer, reply: Vec::new(), is_goodbye: false }),
        }
    }
}

impl Decoder for Elements {
    fn decode(&mut self, bytes: &[u8], frames: &mut Vec<u8>) -> Result<(usize, Decoded), DecodeEnd> {
        let held = self.scanner.held();
        let (used, event) = self.scanner.scan(bytes).map_err(|error| cut_off(&error))?;
        if let Some(event) = event {
            self.idle = 0;
            return Ok((used, self.take(event, frames)?));
        }
        // White space alone is activity; what else is no element must not come without end either.
        self.idle += used.saturating_sub(self.scanner.held().saturating_sub(held));
        if self.idle >= IDLE_BYTES || self.idle > 0 && self.scanner.is_between_elements() {
            self.idle = 0;
            return Ok((used, Decoded::Idle));
        }
        Ok((used, Decoded::Unfinished))
    }

    fn is_unfinished(&self) -> bool {
        !self.scanner.is_between_elements()
    }
}

/// Whether the start tag of a root can be relied on: all elements will be read with its namespaces.
fn check(root: &Root, nodes_max: u32) -> Result<(), DecodeEnd> {
    root.document(nodes_max).map(drop).map_err(|error| broken(&error))
}

/// A stream that cannot be followed any further; the client is told why.
fn cut_off(error: &StreamError) -> DecodeEnd {
    if let StreamError::TooLong { unprocessed_max } = error {
        let reason = CloseReason::FrameTooLong { frame_bytes_max: *unprocessed_max };
        return DecodeEnd { reason, reply: Vec::new(), is_goodbye: false };
    }
    end(&refusal::not_a_stream(error), error.to_string())
}

/// A root that is not well-formed; the client is told why.
fn broken(error: &ParseError) -> DecodeEnd {
    end(&refusal::not_a_document(error), format!("the root of its stream: {error}"))
}

fn end(answer: &Element, reason: String) -> DecodeEnd {
    let mut reply = Vec::new();
    answer.encode(&mut reply);
    DecodeEnd { reason: CloseReason::ProtocolError(reason.into()), reply, is_goodbye: false }
}

/// Writes to a client that has opened no root yet: a document of its own.
struct Rootless;

static ROOTLESS: LazyLock<Arc<dyn Encoder>> = LazyLock::new(|| Arc::new(Rootless));

/// What writes to a client that has opened no root yet.
pub(super) fn rootless() -> Arc<dyn Encoder> {
    Arc::clone(&ROOTLESS)
}

impl Encoder for Rootless {
    fn header(&self, _bytes: usize) -> Option<Header> {
        None
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(frame);
    }
}

/// Writes elements inside a root.
struct Inside {
    root: Arc<Root>,
}

impl Encoder for Inside {
    fn header(&self, _bytes: usize) -> Option<Header> {
        None
    }

    /// Leaves out what a reader of streams would not read as exactly one element: what is none, and one that bears the
    /// root's own name, which begins the stream anew.
    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) {
        match element_alone(frame) {
            Some((name, element)) if name != self.root.name() => out.extend_from_slice(element.as_bytes()),
            _ => debug!("a frame is not sent to a client inside <{}>: it is no element there", self.root.name()),
        }
    }

    fn goodbye(&self, _reason: &CloseReason) -> Vec<u8> {
        self.root.end_tag().into_bytes()
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
