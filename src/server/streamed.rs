//! Defines [`Elements`], which turns a client's endless document into frames, an element each, and mirrors its root.
//!
//! Knows: what the events of a stream mean to a server. Must not know: sockets, who gets the frames.

use std::sync::Arc;

use super::http::{DecodeEnd, Decoded, Decoder};
use super::refusal;
use crate::wire::{Encode, NUL, ParseError, Root, StreamError, StreamEvent, StreamScanner};

/// The incoming half of a stream whose root has come.
pub(super) struct Elements {
    scanner: StreamScanner,
    root: Arc<Root>,
    nodes_max: u32,
}

impl Elements {
    /// Goes on after `scanner` has found `root`, which [`check`] has found well-formed.
    pub(super) fn new(scanner: StreamScanner, root: Arc<Root>, nodes_max: u32) -> Elements {
        Elements { scanner, root, nodes_max }
    }

    /// Takes what is complete.
    fn take(&mut self, event: StreamEvent, decoded: &mut Decoded) -> Result<(), DecodeEnd> {
        match event {
            StreamEvent::Element(element) => {
                // The namespaces of the root go along: for a receiver elsewhere the element must mean the same.
                element.complete().encode(&mut decoded.frames);
                decoded.frames.push(NUL);
            }
            StreamEvent::Opened(root) | StreamEvent::Restarted(root) => {
                check(&root, self.nodes_max).map_err(|error| broken(&error, decoded))?;
                if root.name() != self.root.name() {
                    // Only a declaration tells that this tag is no element of the stream before.
                    decoded.answers.extend_from_slice(b"<?xml version='1.0'?>");
                }
                decoded.answers.extend_from_slice(root.start_tag().as_bytes());
                decoded.controls += 1;
                decoded.root = Some(Arc::clone(&root));
                self.root = root;
            }
            // What is too long ends the stream, so nothing is ever thrown away.
            StreamEvent::Discarded { .. } => {}
            // Our own end tag follows once the application has answered what came before.
            StreamEvent::Closed => return Err(DecodeEnd::Closed),
        }
        Ok(())
    }
}

impl Decoder for Elements {
    fn decode(&mut self, bytes: &[u8], decoded: &mut Decoded) -> Result<(), DecodeEnd> {
        let mut rest = bytes;
        loop {
            let (used, event) = self.scanner.scan(rest).map_err(|error| cut_off(error, decoded))?;
            rest = rest.get(used..).unwrap_or_default();
            match event {
                Some(event) => self.take(event, decoded)?,
                None => break,
            }
        }
        if self.scanner.is_between_elements() {
            // Nothing is waited for. White space alone is a sign of life, and is counted as one.
            decoded.messages += 1;
            decoded.controls += u32::from(decoded.frames.is_empty());
        }
        Ok(())
    }
}

/// Whether the start tag of a root can be relied on: all elements will be read with its namespaces.
pub(super) fn check(root: &Root, nodes_max: u32) -> Result<(), ParseError> {
    root.document(nodes_max).map(drop)
}

/// A stream that cannot be followed any further; the client is told why.
fn cut_off(error: StreamError, decoded: &mut Decoded) -> DecodeEnd {
    if let StreamError::TooLong { unprocessed_max } = error {
        return DecodeEnd::TooLong { frame_bytes_max: unprocessed_max };
    }
    refusal::not_a_stream(&error).encode(&mut decoded.answers);
    DecodeEnd::Broken(error.to_string().into())
}

/// A root that is not well-formed; the client is told why.
fn broken(error: &ParseError, decoded: &mut Decoded) -> DecodeEnd {
    refusal::not_a_document(error).encode(&mut decoded.answers);
    DecodeEnd::Broken(format!("the root of its stream: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Overflow;

    /// The decoder after a root `<r xmlns:p='urn:p'>`.
    fn elements(bytes_max: usize) -> Elements {
        let mut scanner = StreamScanner::new(bytes_max, Overflow::Close);
        match scanner.scan(b"<r xmlns:p='urn:p'>").unwrap() {
            (_, Some(StreamEvent::Opened(root))) => Elements::new(scanner, root, 100),
            other => panic!("{other:?}"),
        }
    }

    fn decode(elements: &mut Elements, bytes: &str) -> (Decoded, Option<DecodeEnd>) {
        let mut decoded = Decoded::default();
        let end = elements.decode(bytes.as_bytes(), &mut decoded).err();
        (decoded, end)
    }

    #[test]
    fn elements_become_frames_with_their_namespaces() {
        let mut elements = elements(100);
        let (decoded, end) = decode(&mut elements, "<a/>\n<p:b>x</p:b>\0<c");
        assert_eq!(decoded.frames, b"<a/>\0<p:b xmlns:p='urn:p'>x</p:b>\0");
        assert_eq!((decoded.messages, decoded.controls, end), (0, 0, None), "an element is open");
        let (decoded, _) = decode(&mut elements, "/>");
        assert_eq!((decoded.frames.as_slice(), decoded.messages, decoded.controls), (&b"<c/>\0"[..], 1, 0));
        let (decoded, _) = decode(&mut elements, " ");
        assert_eq!((decoded.frames.as_slice(), decoded.messages, decoded.controls), (&b""[..], 1, 1), "a sign of life");
        let (decoded, end) = decode(&mut elements, "<d/></r><e/>");
        assert_eq!((decoded.frames.as_slice(), end), (&b"<d/>\0"[..], Some(DecodeEnd::Closed)));
        assert_eq!(decoded.answers, b"", "the application has yet to answer");
    }

    #[test]
    fn a_stream_begins_anew_with_a_root_of_ours() {
        let mut elements = elements(100);
        let (decoded, _) = decode(&mut elements, "<a/><r id='2'><b/>");
        assert_eq!((decoded.frames.as_slice(), decoded.answers.as_slice()), (&b"<a/>\0<b/>\0"[..], &b"<r id='2'>"[..]));
        assert_eq!(decoded.root.as_deref().map(Root::attributes), Some(" id='2'"));
        let (decoded, _) = decode(&mut elements, "<?xml version='1.0'?><s>");
        assert_eq!(decoded.answers, b"<?xml version='1.0'?><s>");
        assert_eq!((decoded.messages, decoded.controls), (1, 2));
        let (decoded, end) = decode(&mut elements, "<?xml version='1.0'?><q:s>");
        assert!(matches!(end, Some(DecodeEnd::Broken(_))), "{end:?}");
        assert!(decoded.answers.starts_with(b"<error code=\"not-xml\""));
    }

    #[test]
    fn what_cannot_be_followed_ends_the_stream() {
        let (_, end) = decode(&mut elements(20), "<a>12345678901234567890");
        assert_eq!(end, Some(DecodeEnd::TooLong { frame_bytes_max: 20 }));
        let (decoded, end) = decode(&mut elements(20), "<a/></b>");
        assert_eq!(decoded.frames, b"<a/>\0", "what came before counts");
        assert!(decoded.answers.starts_with(b"<error code=\"not-xml\""));
        assert!(matches!(end, Some(DecodeEnd::Broken(reason)) if reason.contains("end tag")));
    }
}
