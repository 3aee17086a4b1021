//! Defines [`Template`], a frame with blanks in it that the load generator fills in, as written on the command line.
//!
//! Knows: escapes and placeholders. Must not know: which vocabulary it belongs to, sockets.

/// Text with blanks to fill in. Written as text: `\0`, `\r`, `\n`, `\t`, `\\` are the characters they stand for
/// elsewhere, the words of [`BLANKS`] in braces are blanks, other braces stand for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Bytes that stand for themselves.
    Literal(Vec<u8>),
    /// Something to fill in.
    Blank(Blank),
}

/// What is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blank {
    /// The connection's number, six digits at least, so that all frames are equally long.
    Number,
    /// The number of the connection's room, five digits at least.
    Room,
    /// The payload.
    Payload,
    /// How many bytes the payload has.
    Bytes,
    /// Anything but a delimiter: only in the pattern of what is delivered.
    Any,
}

/// How blanks are written.
const BLANKS: [(&[u8], Blank); 5] = [
    (b"{i}", Blank::Number),
    (b"{room}", Blank::Room),
    (b"{payload}", Blank::Payload),
    (b"{bytes}", Blank::Bytes),
    (b"{*}", Blank::Any),
];

impl Template {
    /// Reads a template.
    pub(super) fn new(text: &str) -> Template {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            if let Some((word, blank)) = BLANKS.iter().find(|(word, _)| rest.starts_with(word)) {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Blank(*blank));
                rest = &rest[word.len()..];
            } else if let (b'\\', Some((escaped, after))) = (first, escape(after)) {
                literal.push(escaped);
                rest = after;
            } else {
                literal.push(first);
                rest = after;
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Template(parts)
    }

    /// The parts, in order.
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether nothing is to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a blank for `blank`.
    pub(super) fn has(&self, blank: Blank) -> bool {
        self.0.contains(&Part::Blank(blank))
    }

    /// The bytes, where no blank can be filled in.
    pub(super) fn literal(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Template::new(text).fill(0, 0, b"", &mut out);
        out
    }

    /// What stands before and after the payload, of `bytes` bytes, with all other blanks filled in.
    pub(super) fn around(&self, number: usize, room: usize, bytes: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut out = &mut before;
        for part in &self.0 {
            match part {
                Part::Blank(Blank::Payload) => out = &mut after,
                Part::Blank(Blank::Bytes) => out.extend_from_slice(bytes.to_string().as_bytes()),
                _ => Template(vec![part.clone()]).fill(number, room, b"", out),
            }
        }
        (before, after)
    }

    /// Appends the filled-in text to `out`.
    pub(super) fn fill(&self, number: usize, room: usize, payload: &[u8], out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Blank(Blank::Number) => out.extend_from_slice(format!("{number:06}").as_bytes()),
                Part::Blank(Blank::Room) => out.extend_from_slice(format!("{room:05}").as_bytes()),
                Part::Blank(Blank::Payload) => out.extend_from_slice(payload),
                Part::Blank(Blank::Bytes) => out.extend_from_slice(payload.len().to_string().as_bytes()),
                Part::Blank(Blank::Any) => {}
            }
        }
    }
}

/// The character that a backslash and what follows stand for, and the rest; `None` when the backslash is one.
fn escape(after: &[u8]) -> Option<(u8, &[u8])> {
    let (&letter, rest) = after.split_first()?;
    let byte = match letter {
        b'0' => 0,
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'\\' => b'\\',
        _ => return None,
    };
    Some((byte, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let mut out = Vec::new();
        Template::new(text).fill(7, 3, b"PAY", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn blanks_are_filled_in_and_other_braces_stay() {
        assert_eq!(filled("<login nick=\"b{i}\"/>"), "<login nick=\"b000007\"/>");
        assert_eq!(filled("PUB room{room} {bytes}\\r\\n{payload}"), "PUB room00003 3\r\nPAY");
        assert_eq!(filled("{\"text\":\"{payload}\",{x}}"), "{\"text\":\"PAY\",{x}}");
    }

    #[test]
    fn what_stands_around_a_payload_is_filled_in_too() {
        let (before, after) = Template::new("PUB {room} {bytes} {payload} by {i}").around(7, 3, 128);
        assert_eq!((&before[..], &after[..]), (&b"PUB 00003 128 "[..], &b" by 000007"[..]));
    }

    #[test]
    fn escapes_are_read_and_unknown_ones_stay() {
        assert_eq!(Template::literal("a\\0b\\\\0\\q\\"), b"a\0b\\0\\q\\");
        assert!(Template::new("").is_empty());
    }
}
