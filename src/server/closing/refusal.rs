//! Every answer that the server gives by itself, without an application.
//!
//! Knows: error codes, HTTP status lines. Must not know: sockets, threads.

use std::time::Duration;

use crate::wire::{Element, Frame, ParseError, ParseErrorKind, StreamError};

/// What answers a frame that is no document, on listeners that read XML.
pub(in crate::server) fn not_a_document(error: &ParseError) -> Element {
    let code = match error.kind {
        ParseErrorKind::NotXml => "not-xml",
        ParseErrorKind::NotUtf8 => "not-utf8",
        ParseErrorKind::TooComplex => "too-complex",
    };
    let advice = match error.kind {
        ParseErrorKind::NotXml => "Send one well-formed element, then a zero byte.",
        ParseErrorKind::NotUtf8 => "Send UTF-8.",
        ParseErrorKind::TooComplex => "Send it in several smaller documents.",
    };
    let element = Element::new("error").attribute("code", code);
    let element = if error.line == 0 {
        element.attribute("byte", error.byte_offset)
    } else {
        element.attribute("line", error.line).attribute("column", error.column)
    };
    element.text(format_args!("{}. {advice}", capitalised(&error.reason)))
}

/// What answers a client whose stream cannot be read any further.
pub(in crate::server) fn not_a_stream(error: &StreamError) -> Element {
    let sentence = capitalised(&error.to_string());
    Element::new("error")
        .attribute("code", "not-xml")
        .text(format_args!("{sentence}. Send one document that does not end: a root's start tag, then whole elements."))
}

/// What answers a frame that came too fast.
pub(in crate::server) fn too_fast(frame: &Frame, wait: Duration) -> Element {
    let milliseconds = wait.as_millis() + 1;
    Element::new("error")
        .attribute("code", "too-fast")
        .attribute_if_some("re", request_id(frame))
        .attribute("wait", milliseconds)
        .text(format_args!("Frames come too fast; this one was dropped. Wait {milliseconds} ms."))
}

/// The `id` of a request that was not parsed, read from its start tag alone. Given back only if it is plain.
fn request_id(frame: &Frame) -> Option<&str> {
    let text = frame.text().ok()?;
    let tag = &text[..text.find('>')?];
    let (_, value) = tag.split_once(" id=")?;
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (id, _) = value[1..].split_once(quote)?;
    (id.len() <= 64 && !id.contains(['&', '<'])).then_some(id)
}

/// What answers an HTTP request that begins with `first`: there is no page, and nothing takes a body.
pub(in crate::server) fn http(first: &[u8]) -> &'static [u8] {
    if first.starts_with(b"GET ") || first.starts_with(b"HEAD ") {
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    } else {
        b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    }
}

/// What answers an HTTP request when there is no seat.
pub(in crate::server) fn http_unavailable(text: &str) -> Vec<u8> {
    let length = text.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nRetry-After: 10\r\nConnection: close\r\n\r\n{text}"
    )
    .into_bytes()
}

fn capitalised(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_read_without_parsing() {
        for (text, id) in [
            ("<ping id='7'/>", Some("7")),
            ("<message room=\"a\" id=\"x y\">hi id=\"no\"</message>", Some("x y")),
            ("<ping/>", None),
            ("<ping id=7/>", None),
            ("<ping id='a&lt;'/>", None),
            ("ping id='7'", None),
            ("<ping id='", None),
        ] {
            assert_eq!(request_id(&Frame::try_from(text).expect("no zero byte")), id, "{text}");
        }
    }
}
