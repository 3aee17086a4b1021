//! Defines [`Template`], a frame with places in it that the load generator fills in, as written on the command line.
//!
//! Knows: escapes and placeholders. Must not know: which vocabulary it belongs to, sockets.

/// Text with places to fill in. Written as text: `\0`, `\r`, `\n`, `\t`, `\\` are the characters they stand for
/// elsewhere, the words of [`PLACES`] in braces are places, other braces stand for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes that stand for themselves.
    Literal(Vec<u8>),
    /// Something to fill in.
    Place(Place),
}

/// What is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
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

/// How places are written.
const PLACES: [(&[u8], Place); 5] = [
    (b"{i}", Place::Number),
    (b"{room}", Place::Room),
    (b"{payload}", Place::Payload),
    (b"{bytes}", Place::Bytes),
    (b"{*}", Place::Any),
];

impl Template {
    /// Reads a template.
    pub(super) fn new(text: &str) -> Template {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            if let Some((word, place)) = PLACES.iter().find(|(word, _)| rest.starts_with(word)) {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Place(*place));
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
            pieces.push(Piece::Literal(literal));
        }
        Template(pieces)
    }

    /// The parts, in order.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether nothing is to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a place for `place`.
    pub(super) fn has(&self, place: Place) -> bool {
        self.0.contains(&Piece::Place(place))
    }

    /// The bytes, where no place can be filled in.
    pub(super) fn literal(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Template::new(text).fill(0, 0, b"", &mut out);
        out
    }

    /// What stands before and after the payload, of `bytes` bytes, with all other places filled in.
    pub(super) fn around(&self, number: usize, room: usize, bytes: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut out = &mut before;
        for piece in &self.0 {
            match piece {
                Piece::Place(Place::Payload) => out = &mut after,
                Piece::Place(Place::Bytes) => out.extend_from_slice(bytes.to_string().as_bytes()),
                _ => Template(vec![piece.clone()]).fill(number, room, b"", out),
            }
        }
        (before, after)
    }

    /// Appends the filled-in text to `out`.
    pub(super) fn fill(&self, number: usize, room: usize, payload: &[u8], out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Place(Place::Number) => out.extend_from_slice(format!("{number:06}").as_bytes()),
                Piece::Place(Place::Room) => out.extend_from_slice(format!("{room:05}").as_bytes()),
                Piece::Place(Place::Payload) => out.extend_from_slice(payload),
                Piece::Place(Place::Bytes) => out.extend_from_slice(payload.len().to_string().as_bytes()),
                Piece::Place(Place::Any) => {}
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
    fn places_are_filled_in_and_other_braces_stay() {
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
