//! Defines [`Trace`], an observer that shows each frame in and out, as text and hex. Secrets are masked in both.
//!
//! Knows: how frames are shown, where secrets stand. Must not know: what frames mean otherwise.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

use memchr::memmem;

use super::stderr;
use crate::printable::printable;
use xmlsocket::server::{CloseReason, ConnectionId, Observer, Peer};

/// What stands in the place of a secret.
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

/// What names of secrets have in them: `password`, `room-password`, the `pword` of older vocabularies, and the `session`
/// with which anybody could come back as the person it was given to.
const WORDS: [&[u8]; 4] = [b"password", b"passwd", b"pword", b"session"];

/// `frame` with `***` for each secret: the values of attributes, and the contents of elements, whose names say that
/// they are one. It looks at bytes, not at a parsed document, because what is not well-formed holds secrets too; where
/// the end of one cannot be seen, too much is masked rather than too little.
fn masked(frame: &[u8]) -> Cow<'_, [u8]> {
    let lower = frame.to_ascii_lowercase();
    let mut words: Vec<usize> = WORDS.iter().flat_map(|word| memmem::find_iter(&lower, word)).collect();
    words.sort_unstable();
    let (mut secrets, mut content): (Vec<Range<usize>>, _) = (Vec::new(), 0..0);
    // Up to where names have been looked at. None is looked at twice, or else a frame of nothing but words would take its
    // length squared.
    let (mut seen, mut tag_end) = (0, None);
    for word in words {
        if word < seen || content.contains(&word) {
            continue;
        }
        let name = name_around(frame, seen, word);
        seen = name.end;
        if let Some(value) = value_of(frame, &name) {
            seen = seen.max(value.end);
            secrets.push(value);
        } else if let Some(found) = content_of(frame, &name, &mut tag_end) {
            content = found;
            secrets.push(content.clone());
        }
    }
    secrets.sort_unstable_by_key(|secret| secret.start);
    let (mut shown, mut done) = (Vec::new(), 0);
    for secret in &secrets {
        if secret.start >= done {
            shown.extend_from_slice(&frame[done..secret.start]);
            shown.extend_from_slice(MASK);
        }
        done = done.max(secret.end);
    }
    if secrets.is_empty() {
        return Cow::Borrowed(frame);
    }
    shown.extend_from_slice(&frame[done..]);
    Cow::Owned(shown)
}

/// The name that has a word of [`WORDS`] at `word`; nothing before `from` belongs to it.
fn name_around(frame: &[u8], from: usize, word: usize) -> Range<usize> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let start = frame[from..word].iter().rposition(|byte| !is_name(byte)).map_or(from, |before| from + before + 1);
    // A colon that ends a name is JSON's.
    start..skip_while(frame, word, |byte| is_name(byte) && *byte != b':')
}

/// The value of `name`, if it has one.
fn value_of(frame: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let is_gap = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'\\');
    let sign = skip_while(frame, name.end, is_gap);
    let is_json = match frame.get(sign)? {
        b'=' => false,
        b':' => true,
        _ => return None,
    };
    let value = skip_while(frame, sign + 1, u8::is_ascii_whitespace);
    Some(value_at(frame, value, is_json))
}

/// The content of the element called `name`, if it is one's name and there is some. `tag_end` is where the tag ends that
/// was looked at last: no tag is looked through twice.
fn content_of(frame: &[u8], name: &Range<usize>, tag_end: &mut Option<usize>) -> Option<Range<usize>> {
    if name.start == 0 || frame[name.start - 1] != b'<' {
        return None;
    }
    let end = tag_end.filter(|end| name.end <= *end).unwrap_or_else(|| end_of_tag(frame, name.end));
    *tag_end = Some(end);
    if end == frame.len() {
        return (name.end < end).then_some(name.end..end);
    }
    if frame[end - 1] == b'/' {
        return None;
    }
    let closing = [b"</", &frame[name.clone()]].concat();
    let length = memmem::find(&frame[end + 1..], &closing).unwrap_or(frame.len() - end - 1);
    Some(end + 1..end + 1 + length)
}

/// The value that begins at `start`: up to its closing quote, which may be escaped as the first one is; without quotes
/// up to what ends a bare value.
fn value_at(frame: &[u8], start: usize, is_json: bool) -> Range<usize> {
    let rest = &frame[start..];
    let quote = skip_while(rest, 0, |byte| *byte == b'\\');
    let quotation = match rest.get(quote) {
        Some(b'"' | b'\'') => &rest[..=quote],
        Some(b'&') if quote == 0 => &rest[..rest.iter().position(|byte| *byte == b';').map_or(0, |end| end + 1)],
        _ => &[],
    };
    if !quotation.is_empty() {
        let is_escaped = |at: usize| is_json && quote == 0 && frame[..at].ends_with(b"\\");
        let first = start + quotation.len();
        let mut ends = memmem::find_iter(&frame[first..], quotation).map(|end| first + end);
        return first..ends.find(|end| !is_escaped(*end)).unwrap_or(frame.len());
    }
    let is_end = |byte: &u8| match byte {
        b',' | b'}' | b'>' | b'<' => true,
        // What nobody quotes may have spaces in it.
        _ if is_json => matches!(byte, b'\r' | b'\n'),
        _ => byte.is_ascii_whitespace(),
    };
    match rest.first() {
        // A list, or an object.
        Some(b'[' | b'{') => start..frame.len(),
        _ => start..skip_while(frame, start, |byte| !is_end(byte)),
    }
}

/// Where the `>` of the start tag is whose name ends at `at`; the frame's end when there is none.
fn end_of_tag(frame: &[u8], mut at: usize) -> usize {
    while let Some(length) = memchr::memchr3(b'>', b'"', b'\'', &frame[at..]) {
        at += length;
        if frame[at] == b'>' {
            return at;
        }
        let Some(length) = memchr::memchr(frame[at], &frame[at + 1..]) else { break };
        at += 2 + length;
    }
    frame.len()
}

fn skip_while(frame: &[u8], from: usize, skip: impl Fn(&u8) -> bool) -> usize {
    frame[from..].iter().position(|byte| !skip(byte)).map_or(frame.len(), |length| from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
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
            (r#"{"password":"s3\"cret","n":1}"#, r#"{"password":"***","n":1}"#),
            (r#"{"password":["s3cret","s3cret"]}"#, r#"{"password":***"#),
            (r#""{\"password\":\"s3cret\",\"n\":1}""#, r#""{\"password\":\"***\",\"n\":1}""#),
            (r#"<a password="s3cret\" n="1"/>"#, r#"<a password="***" n="1"/>"#),
            ("password: s3cret of three words\r\nn: 1", "password: ***\r\nn: 1"),
            ("&lt;a password=&quot;s3 cret&quot; n=&quot;", "&lt;a password=&quot;***&quot; n=&quot;"),
            ("<password n='>s3cret</password>", "<password***"),
            ("<password\n>s3cret", "<password\n>***"),
            ("<password <password n='1'/>", "<password <password n='1'/>"),
            ("<password s3cret", "<password***"),
            (r#"<login nick="ann" session="5ec3e7"/>"#, r#"<login nick="ann" session="***"/>"#),
            (
                r#"<welcome SESSION = '5ec3e7' x:session='5ec3e7' a="1"/>"#,
                r#"<welcome SESSION = '***' x:session='***' a="1"/>"#,
            ),
            ("<login session=5ec3e7/>", "<login session=***>"),
            ("<login session=5ec3e7", "<login session=***"),
            ("session=5ec3e7&password=s3cret n=1", "session=*** n=1"),
            ("<session>5ec3e7</session>", "<session>***</session>"),
            ("<message>the session is over</message>", "<message>the session is over</message>"),
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
    fn a_frame_of_nothing_but_names_is_looked_at_once() {
        let count = (1 << 20) / "<password ".len();
        for (frame, is_masked) in [
            ("password", false),
            ("<password ", true),
            ("<password/>", false),
            ("<password", true),
            ("<password>", true),
            ("<password></password>", true),
            ("session=", true),
            ("password='\\'", true),
        ] {
            let begun = std::time::Instant::now();
            let shown = masked(frame.repeat(count).as_bytes()).len();
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{frame}: {:?}", begun.elapsed());
            assert_eq!(shown != frame.len() * count, is_masked, "{frame}");
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
