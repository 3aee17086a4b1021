//! Defines [`write_on_one_line`], which writes a document without its line breaks, so that it says the same.
//!
//! Knows: what a line break means in each part of a document. Must not know: why anybody wants it on one line.

use super::document::start_tag_end;

/// Appends `document`, in which each line break (a newline, a carriage return, or both) is written otherwise:
///
/// - in text as `&#10;`, which is what a parser makes of it;
/// - in a CDATA section the same, and the section as escaped text;
/// - in an attribute's value as a space, which is what a parser makes of it (XML 1.0 §3.3.3);
/// - between attributes, outside the root, in comments and processing instructions as a space.
///
/// Of what is no document there is no line break left either.
pub fn write_on_one_line(document: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr2(b'\r', b'\n', document).is_none() {
        return out.extend_from_slice(document);
    }
    let mut rest = document;
    let mut depth = 0_usize;
    while !rest.is_empty() {
        let end = match rest {
            [b'<', b'!', b'-', b'-', ..] => past(rest, 4, b"-->"),
            _ if rest.starts_with(SECTION) => past(rest, SECTION.len(), b"]]>"),
            [b'<', b'?', ..] => past(rest, 2, b"?>"),
            [b'<', ..] => start_tag_end(rest),
            _ => memchr::memchr(b'<', rest).unwrap_or(rest.len()),
        };
        let (part, after) = rest.split_at(end);
        rest = after;
        match part {
            _ if part.starts_with(SECTION) => write_section(part, out),
            [b'<', ..] => write_part(part, b" ", out),
            _ if depth > 0 => write_part(part, b"&#10;", out),
            _ => write_part(part, b" ", out),
        }
        match part {
            [b'<', b'!' | b'?', ..] | [b'<', .., b'/', b'>'] => {}
            [b'<', b'/', ..] => depth = depth.saturating_sub(1),
            [b'<', ..] => depth += 1,
            _ => {}
        }
    }
}

/// What a CDATA section begins with.
const SECTION: &[u8] = b"<![CDATA[";

/// The position in `bytes` after the first `end` that stands at `from` or later.
fn past(bytes: &[u8], from: usize, end: &[u8]) -> usize {
    memchr::memmem::find(&bytes[from..], end).map_or(bytes.len(), |at| from + at + end.len())
}

/// Appends `part` with `line_break` for each of its own.
fn write_part(part: &[u8], line_break: &[u8], out: &mut Vec<u8>) {
    let mut rest = part;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(line_break);
        rest = rest[at..].strip_prefix(b"\r\n").unwrap_or(&rest[at + 1..]);
    }
    out.extend_from_slice(rest);
}

/// Appends a CDATA section; one with line breaks as escaped text, because there is no reference inside a section.
fn write_section(section: &[u8], out: &mut Vec<u8>) {
    let text = section.strip_prefix(SECTION).and_then(|rest| rest.strip_suffix(b"]]>"));
    let (Some(text), Some(_)) = (text, memchr::memchr2(b'\r', b'\n', section)) else {
        return write_part(section, b" ", out);
    };
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            byte => escaped.push(*byte),
        }
    }
    write_part(&escaped, b"&#10;", out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Document, Frame, Node};

    fn one_line(text: &str) -> String {
        let mut out = b"before ".to_vec();
        write_on_one_line(text.as_bytes(), &mut out);
        String::from_utf8(out.split_off(7)).unwrap()
    }

    #[test]
    fn each_part_has_its_own_way() {
        for (text, written) in [
            ("<a>no break</a>", "<a>no break</a>"),
            ("<a>1\n2\r\n3\r4\n\n5</a>\n", "<a>1&#10;2&#10;3&#10;4&#10;&#10;5</a> "),
            (
                "\n<?xml version='1.0'\n?>\r\n<!--\n--><a\n b='1\r\n2'\n>\n</a\n>",
                " <?xml version='1.0' ?> <!-- --><a  b='1 2' >&#10;</a >",
            ),
            ("<a><b/>\n<b c='>\n'/>\n</a>\n<!--\n-->", "<a><b/>&#10;<b c='> '/>&#10;</a> <!-- -->"),
            ("<a><![CDATA[<&>\r\n]]]>\n<![CDATA[]]></a>", "<a>&lt;&amp;&gt;&#10;]&#10;<![CDATA[]]></a>"),
            ("<a><!-- '>\n' --><?b '>\n?>\n</a>", "<a><!-- '> ' --><?b '> ?>&#10;</a>"),
            ("<a><![CDATA[x]]></a>\n", "<a><![CDATA[x]]></a> "),
            ("no\nXML", "no XML"),
            ("<a b='never\nended", "<a b='never ended"),
            ("<a><!--never\nended", "<a><!--never ended"),
            ("<a><![CDATA[never\nended", "<a><![CDATA[never ended"),
            ("</a>\n</a>\n<", "</a> </a> <"),
        ] {
            assert_eq!(one_line(text), written, "{}", text.escape_debug());
        }
    }

    /// Everything that a node says to a program that reads it, but for comments and instructions.
    fn meaning(node: Node<'_, '_>) -> Option<String> {
        let attributes: Vec<_> = node.attributes().map(|a| format!("{} {:?}", a.name(), a.value())).collect();
        let says = !node.is_comment() && !node.is_pi();
        // After a reference this parser leaves a carriage return as it is, which XML 1.0 §2.11 does not.
        let text = node.text().map(|text| text.replace('\r', "\n"));
        says.then(|| format!("{:?} {text:?} {attributes:?}", node.tag_name()))
    }

    proptest::proptest! {
        #[test]
        fn a_document_says_the_same_on_one_line(
            content in "(\r|\n|\r\n|x|&amp;|<b c='\n' d=\"\r\n>\"\n/>|<b>|</b>|<!--\n-->|<[?]p\n[?]>|<!\\[CDATA\\[\n<&>]]>|<!\\[CDATA\\[x]]>){0,9}",
        ) {
            let text = format!("\n<a\r\nb='1'>{content}</a>\r\n");
            let written = one_line(&text);
            proptest::prop_assert!(!written.contains(['\r', '\n']));
            let parse = |text: &str| Document::parse(Frame::try_from(text).unwrap(), 1_000).ok();
            let of = |document: &Document| document.root().descendants().filter_map(meaning).collect::<Vec<_>>();
            if let Some(document) = parse(&text) {
                let again = parse(&written).expect("it is still a document");
                proptest::prop_assert_eq!(of(&again), of(&document));
            }
        }
    }
}
