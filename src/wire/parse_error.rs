//! Defines [`ParseError`], why a frame is not a document and where: the parser's findings in words for a person, with
//! the place counted in the frame as it was sent.
//!
//! Knows: the parser's errors, lines and columns. Must not know: who is told.

use std::fmt;
use std::str::Utf8Error;

use roxmltree::Error;

use super::limits::REASON_BYTES_MAX;
use super::scan::Fault;

/// Why a frame is not a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// What kind of fault it is.
    pub kind: ParseErrorKind,
    /// The byte of the frame at which it was noticed.
    pub byte_offset: usize,
    /// The line of that byte, counted from 1; 0 when the frame is not text.
    pub line: u32,
    /// The character of that line, counted from 1 (a byte order mark counts); 0 when the frame is not text.
    pub column: u32,
    /// What is wrong, for a person: one line, bounded in length, without control characters. Names in it are the peer's.
    pub reason: String,
}

/// The kinds of [`ParseError`]; all are the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Not one well-formed element with its namespaces declared, or with a document type declaration.
    NotXml,
    /// Not UTF-8.
    NotUtf8,
    /// More nodes, attributes or namespace declarations than are parsed.
    TooComplex,
}

impl ParseError {
    /// The frame is not text.
    pub(super) fn not_utf8(error: Utf8Error) -> ParseError {
        ParseError {
            kind: ParseErrorKind::NotUtf8,
            byte_offset: error.valid_up_to(),
            line: 0,
            column: 0,
            reason: "the bytes are not UTF-8".to_owned(),
        }
    }

    /// The look at the document, which begins at `start` of `text`, found a fault.
    pub(super) fn of_scan(text: &str, start: usize, fault: &Fault) -> ParseError {
        ParseError::new(fault.kind, text, start + fault.offset, &fault.reason)
    }

    /// The parser refused `document`, which begins at `start` of `text`.
    pub(super) fn of_parser(text: &str, start: usize, document: &str, error: &Error, nodes_max: u32) -> ParseError {
        let at = match error {
            // The parser says "line 1, column 1" for these.
            Error::UnexpectedEndOfStream | Error::UnclosedRootNode => document.len(),
            _ => offset_of(document, error.pos()),
        };
        let (kind, reason) = match error {
            Error::NodesLimitReached => (ParseErrorKind::TooComplex, format!("more than {nodes_max} nodes")),
            _ => (ParseErrorKind::NotXml, sentence(error, &document[at..])),
        };
        ParseError::new(kind, text, start + at, &reason)
    }

    fn new(kind: ParseErrorKind, text: &str, byte_offset: usize, reason: &str) -> ParseError {
        let before = &text[..byte_offset];
        let line_start = memchr::memrchr(b'\n', before.as_bytes()).map_or(0, |newline| newline + 1);
        ParseError {
            kind,
            byte_offset,
            line: memchr::memchr_iter(b'\n', before.as_bytes()).count() as u32 + 1,
            column: before[line_start..].chars().count() as u32 + 1,
            reason: shorten(reason),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{} at byte {}", self.reason, self.byte_offset),
            line => write!(f, "{} at line {line}, column {}", self.reason, self.column),
        }
    }
}

impl std::error::Error for ParseError {}

/// The byte at which line and column of a position of the parser's lie.
fn offset_of(text: &str, position: roxmltree::TextPos) -> usize {
    let line_start = match position.row.saturating_sub(2) as usize {
        _ if position.row <= 1 => 0,
        n => memchr::memchr_iter(b'\n', text.as_bytes()).nth(n).map_or(text.len(), |newline| newline + 1),
    };
    let column = position.col.saturating_sub(1) as usize;
    text[line_start..].char_indices().nth(column).map_or(text.len(), |(offset, _)| line_start + offset)
}

/// What the parser found at the start of `rest`, without the position, which it counts from elsewhere.
fn sentence(error: &Error, rest: &str) -> String {
    // The parser names the first byte of what it found; people write curly quotes.
    let found = rest.chars().next().unwrap_or_default();
    match error {
        Error::UnknownToken(_) if rest.starts_with("<!") => "unknown markup".to_owned(),
        Error::UnknownToken(_) if rest.starts_with("</") => "an end tag without a start tag".to_owned(),
        Error::UnknownToken(_) if rest.starts_with('<') => "a second root element".to_owned(),
        Error::UnknownToken(_) => "text outside of an element".to_owned(),
        Error::NoRootNode => "there is no complete element".to_owned(),
        Error::UnclosedRootNode => "the root element is not closed".to_owned(),
        Error::UnexpectedEndOfStream => "the text ends in the middle of a tag or value".to_owned(),
        Error::UnexpectedCloseTag(expected, actual, _) => format!("expected </{expected}>, not </{actual}>"),
        Error::InvalidChar(b'"' | b'\'', ..) => format!("expected the value's closing quote, not {found:?}"),
        Error::InvalidChar(expected, ..) => format!("expected {:?}, not {found:?}", *expected as char),
        Error::MalformedEntityReference(_) => "'&' begins no reference: it is written &amp;".to_owned(),
        Error::InvalidChar2(expected, ..) => format!("expected {expected}, not {found:?}"),
        _ => error.to_string().replace(&format!(" at {}", error.pos()), ""),
    }
}

/// The reason, cut where it is too long to log and to send: a name in it may be as long as a frame.
fn shorten(reason: &str) -> String {
    match reason.char_indices().find(|(at, c)| at + c.len_utf8() > REASON_BYTES_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::super::frame::Frame;
    use super::*;

    fn refusal(text: &str) -> ParseError {
        let (_, error) = Document::parse(Frame::try_from(text).expect("no zero byte"), 4096).expect_err(text);
        error
    }

    #[test]
    fn places_are_counted_in_the_frame_as_it_was_sent() {
        for (text, place) in [
            ("<a>&</a>", (3, 1, 4)),
            // Leading white space and a byte order mark are skipped, and counted.
            ("\n\n <a>&</a>", (6, 3, 5)),
            ("\u{feff}<a>&</a>", (6, 1, 5)),
            ("\u{feff}\n<a>&</a>", (7, 2, 4)),
            // Characters, not bytes; a carriage return belongs to its line.
            ("<a>é日😀&</a>", (12, 1, 7)),
            ("<a>\r\n\r\né&</a>", (9, 3, 2)),
            ("<a>\r\r&</a>", (5, 1, 6)),
            ("<a>\n</a>\n&", (9, 3, 1)),
            // Found before parsing, by the same count.
            ("\n<a>é&#xD800;</a>", (6, 2, 5)),
            // Noticed at the end, which is not the white space after it.
            ("\n<a>é\n<b>\n\n", (10, 3, 4)),
            ("<a b='\n", (6, 1, 7)),
        ] {
            let error = refusal(text);
            assert_eq!((error.byte_offset, error.line, error.column), place, "{text:?}: {error}");
        }
    }

    #[test]
    fn reasons_say_what_a_person_can_see() {
        for (text, reason) in [
            ("<a b=“c”/>", "expected a quote, not '“' at line 1, column 6"),
            ("<a \u{1b}='c'/>", "invalid name token at line 1, column 4"),
            ("<a b\u{1b}[2J='c'/>", "expected '=', not '\\u{1b}' at line 1, column 5"),
            ("<a><b:c/></a>", "an unknown namespace prefix 'b' at line 1, column 5"),
            ("<a>AT&T</a>", "'&' begins no reference: it is written &amp; at line 1, column 6"),
            ("\n\n<a></b>", "expected </a>, not </b> at line 3, column 4"),
            ("<a b='\"<'/>", "expected the value's closing quote, not '<' at line 1, column 8"),
        ] {
            assert_eq!(refusal(text).to_string(), reason);
        }
        for (text, reason) in [
            ("<a/><!b>", "unknown markup"),
            ("<a/></a>", "an end tag without a start tag"),
            ("<a/><b/>", "a second root element"),
            ("a", "text outside of an element"),
            ("<!-- a -->", "there is no complete element"),
            ("<a><b/>", "the root element is not closed"),
            ("<a b='c", "the text ends in the middle of a tag or value"),
        ] {
            assert_eq!(refusal(text).reason, reason, "{text}");
        }
        let (_, error) = Document::parse(Frame::new(b"<a>\xff".as_slice()).expect("no zero byte"), 9).unwrap_err();
        assert_eq!(error.to_string(), "the bytes are not UTF-8 at byte 3");
    }

    #[test]
    fn reasons_are_short_whatever_the_names_are() {
        let long = "é".repeat(10_000);
        for text in [format!("<{long}></b>"), format!("<a><{long}:b/></a>"), format!("<a>&{long};</a>")] {
            let reason = refusal(&text).reason;
            assert!(reason.contains("éé") && reason.ends_with('…') && reason.len() <= REASON_BYTES_MAX + 3, "{reason}");
        }
        let most = "e".repeat(REASON_BYTES_MAX);
        assert_eq!(shorten(&most), most);
        assert_eq!(shorten(&format!("{most}e")), format!("{most}…"));
        // A character that would lie across the end is left out whole.
        assert_eq!(shorten(&format!("{}é", &most[1..])), format!("{}…", &most[1..]));
    }
}
