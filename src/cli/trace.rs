//! Defines [`Trace`], an observer that shows each frame in and out, as text and hex. Passwords are masked in both.
//!
//! Knows: how frames are shown, where passwords stand. Must not know: what frames mean otherwise.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

use memchr::memmem;

use super::stderr;
use crate::printable::printable;
use xmlsocket::server::{CloseReason, ConnectionId, Observer, Peer};

/// What stands in the place of a password.
const MASK: &[u8] = b"***";

/// Bytes of a line of hex.
const ROW: usize = 16;

/// Shows what the server does, on stderr. Nothing waits for the screen: see [`stderr`].
pub(super) struct Trace;

impl Observer for Trace {
    fn accepted(&self, id: ConnectionId, address: SocketAddr) {
        stderr::write(&format!("{id} accepted from {address}\n"));
    }

    fn refused(&self, address: SocketAddr, code: &str) {
        stderr::write(&format!("refused {address}: {code}\n"));
    }

    fn opened(&self, id: ConnectionId, peer: &Peer) {
        stderr::write(&format!("{id} opened at {}\n", peer.local_address));
    }

    fn frame_in(&self, id: ConnectionId, frame: &[u8]) {
        stderr::write(&entry(id, "in ", frame));
    }

    fn frame_out(&self, id: ConnectionId, frame: &[u8]) {
        stderr::write(&entry(id, "out", frame));
    }

    fn wants_frames_out(&self) -> bool {
        true
    }

    fn fell_behind(&self, id: ConnectionId) {
        stderr::write(&format!("{id} fell behind\n"));
    }

    fn closed(&self, id: ConnectionId, reason: &CloseReason) {
        stderr::write(&format!("{id} closed: {}\n", printable(&reason.to_string())));
    }
}

/// A frame as text on one line, and below it as rows of hex.
fn entry(id: ConnectionId, direction: &str, frame: &[u8]) -> String {
    let frame = masked(frame);
    let mut text = format!("{id} {direction} {}\n", printable(&String::from_utf8_lossy(&frame)));
    for (n, row) in frame.chunks(ROW).enumerate() {
        let _ = write!(text, "    {:04x} ", n * ROW);
        for (at, byte) in row.iter().enumerate() {
            let _ = write!(text, "{}{byte:02x}", if at == ROW / 2 { "  " } else { " " });
        }
        text.push('\n');
    }
    text
}

/// What names of passwords have in them: `password`, `room-password`, and the `pword` of older vocabularies.
const WORDS: [&[u8]; 3] = [b"password", b"passwd", b"pword"];

/// `frame` with `***` for each password: the values of attributes, and the contents of elements, whose names say that
/// they are one. It looks at bytes, not at a parsed document, because what is not well-formed holds passwords too.
fn masked(frame: &[u8]) -> Cow<'_, [u8]> {
    let lower = frame.to_ascii_lowercase();
    let words = WORDS.iter().flat_map(|word| memmem::find_iter(&lower, word));
    let mut secrets: Vec<Range<usize>> = words.filter_map(|word| secret(frame, word)).collect();
    secrets.sort_unstable_by_key(|secret| secret.start);
    let mut shown = Vec::new();
    let mut done = 0;
    for secret in secrets {
        if secret.start >= done {
            shown.extend_from_slice(&frame[done..secret.start]);
            shown.extend_from_slice(MASK);
        }
        done = done.max(secret.end);
    }
    if shown.is_empty() {
        return Cow::Borrowed(frame);
    }
    shown.extend_from_slice(&frame[done..]);
    Cow::Owned(shown)
}

/// What the name in which there is a word of [`WORDS`] at `word` keeps secret: its value, or its content.
fn secret(frame: &[u8], word: usize) -> Option<Range<usize>> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let start = frame[..word].iter().rposition(|byte| !is_name(byte)).map_or(0, |before| before + 1);
    // A colon that ends a name is JSON's.
    let end =
        word + frame[word..].iter().position(|byte| !is_name(byte) || *byte == b':').unwrap_or(frame.len() - word);
    let rest = skip_while(frame, end, |byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
    if matches!(frame.get(rest), Some(b'=' | b':')) {
        let value = skip_while(frame, rest + 1, |byte| byte.is_ascii_whitespace());
        return Some(value_at(frame, value));
    }
    if start > 0 && frame[start - 1] == b'<' {
        let content = end_of_tag(frame, end)?;
        let closing = [b"</", &frame[start..end]].concat();
        let length = memmem::find(&frame[content..], &closing).unwrap_or(frame.len() - content);
        return Some(content..content + length);
    }
    None
}

/// The value that begins at `start`: up to its closing quote, or without quotes up to the next space or bracket.
fn value_at(frame: &[u8], start: usize) -> Range<usize> {
    let end_after = |from: usize, is_end: &dyn Fn(u8) -> bool| {
        frame[from..].iter().position(|byte| is_end(*byte)).map_or(frame.len(), |length| from + length)
    };
    match frame.get(start) {
        Some(quote @ (b'"' | b'\'')) => start + 1..end_after(start + 1, &|byte| byte == *quote),
        _ => start..end_after(start, &|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b',' | b'}')),
    }
}

/// The position after the `>` of the start tag whose name ends at `at`; `None` when it has no content.
fn end_of_tag(frame: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr3(b'>', b'"', b'\'', &frame[at..])?;
        if frame[at] == b'>' {
            return (frame[at - 1] != b'/').then_some(at + 1);
        }
        at += 2 + memchr::memchr(frame[at], &frame[at + 1..])?;
    }
}

fn skip_while(frame: &[u8], from: usize, skip: impl Fn(&u8) -> bool) -> usize {
    frame[from..].iter().position(|byte| !skip(byte)).map_or(frame.len(), |length| from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        let rows = [
            (r#"<login nick="ann" password="s3cret"/>"#, r#"<login nick="ann" password="***"/>"#),
            (r#"<login password = 's3"c>ret' nick="a"/>"#, r#"<login password = '***' nick="a"/>"#),
            (r#"<join PassWord="s3cret" room="password"/>"#, r#"<join PassWord="***" room="password"/>"#),
            (r#"<join password="s3cret"#, r#"<join password="***"#),
            (r#"<join password=s3cret room=a>"#, r#"<join password=*** room=a>"#),
            (r#"<join password="" password="s3cret"/>"#, r#"<join password="***" password="***"/>"#),
            (r#"<room-password room="a">s3cret</room-password>!"#, r#"<room-password room="a">***</room-password>!"#),
            (r#"<room-password room="a>b" password="x">s3cret"#, r#"<room-password room="a>b" password="***">***"#),
            (r#"<x:password><b>s3cret</b></x:password>"#, r#"<x:password>***</x:password>"#),
            (r#"<pword><![CDATA[s3cret]]></pword>"#, r#"<pword>***</pword>"#),
            (r#"<room-password/>open"#, r#"<room-password/>open"#),
            (r#"{"password": "s3cret", "n": 1}"#, r#"{"password": "***", "n": 1}"#),
            (r#"{"password":12345,"n":1}"#, r#"{"password":***,"n":1}"#),
            (r#"<message>the password is known</message>"#, r#"<message>the password is known</message>"#),
            (r#"<password"#, r#"<password"#),
            (r#"password="#, r#"password=***"#),
            ("", ""),
        ];
        for (frame, expected) in rows {
            assert_eq!(String::from_utf8_lossy(&masked(frame.as_bytes())), expected, "{frame}");
        }
    }

    #[test]
    fn text_and_hex_are_both_masked_and_harmless() {
        let id = xmlsocket::server::Stage::new(xmlsocket::relay::Relay::default()).open();
        let shown = entry(id, "in ", b"<a password='s3cret'/>\x1b[2J\xff");
        assert_eq!(
            shown,
            "#1 in  <a password='***'/>\\u{1b}[2J\u{fffd}\n    \
             0000  3c 61 20 70 61 73 73 77  6f 72 64 3d 27 2a 2a 2a\n    \
             0010  27 2f 3e 1b 5b 32 4a ff\n"
        );
        assert_eq!(entry(id, "out", b""), "#1 out \n");
    }
}
