//! Defines [`scan`], one look over a text before it is parsed. It refuses what would keep the parser busy for too
//! long, and what the parser lets pass although XML forbids it: content is relayed verbatim, and one message that a
//! stricter parser refuses would break everybody who receives it.
//!
//! Knows: where markup begins and ends, references, namespace declarations.
//! Must not know: which names are allowed, whether tags match, what anything means: the parser finds that out.

use std::ops::Range;

use super::limits::{ATTRIBUTES_MAX, NAMESPACE_BYTES_MAX, NAMESPACES_MAX};
use super::parse_error::ParseErrorKind;

/// What [`scan`] has against a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What kind of fault it is.
    pub(super) kind: ParseErrorKind,
    /// The byte of the text at which it lies.
    pub(super) offset: usize,
    /// What is wrong, for a person.
    pub(super) reason: String,
}

impl Fault {
    fn not_xml(offset: usize, reason: &str) -> Fault {
        Fault { kind: ParseErrorKind::NotXml, offset, reason: reason.to_owned() }
    }

    pub(super) fn too_complex(offset: usize, reason: String) -> Fault {
        Fault { kind: ParseErrorKind::TooComplex, offset, reason }
    }
}

/// Looks at all markup of `text`, once. Whatever is not well-formed enough to be understood here is passed over:
/// there the parser stops, so it never works on more than was looked at.
pub(super) fn scan(text: &str) -> Result<(), Fault> {
    if text.starts_with('\u{feff}') {
        // The parser drops one more, and a reader of streams none.
        return Err(Fault::not_xml(0, "a second byte order mark"));
    }
    let bytes = text.as_bytes();
    let mut namespaces = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'<', b'&', &bytes[at..]) {
        at += found;
        let rest = &bytes[at..];
        at = match rest {
            [b'&', ..] => reference(bytes, at)?,
            // The parser takes `:a` for `a`.
            [b'<', b':', ..] | [b'<', b'/', b':', ..] => {
                return Err(Fault::not_xml(at, "a name that begins with a colon"));
            }
            [b'<', b'?', ..] => instruction(text, at)?,
            _ if rest.starts_with(b"<!--") => past(b"-->", bytes, at + 4),
            _ if rest.starts_with(b"<![CDATA[") => past(b"]]>", bytes, at + 9),
            _ if rest.starts_with(b"<!DOCTYPE") => {
                return Err(Fault::not_xml(at, "a document type declaration is not accepted"));
            }
            _ => start_tag(bytes, at, &mut namespaces)?,
        };
    }
    Ok(())
}

/// The position after the first `end` that begins at `from` or later; the end of the text when there is none.
fn past(end: &[u8], bytes: &[u8], from: usize) -> usize {
    memchr::memmem::find(&bytes[from..], end).map_or(bytes.len(), |found| from + found + end.len())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Looks at the reference that begins at `at` and gives the position after its `&`.
///
/// The parser reads numbers that stand for no character (surrogates, those above U+10FFFF) as U+FFFD.
fn reference(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let (digits, radix) = match &bytes[at + 1..] {
        [b'#', b'x', hexadecimal @ ..] => (hexadecimal, 16),
        [b'#', decimal @ ..] => (decimal, 10),
        _ => return Ok(at + 1),
    };
    let length = digits.iter().position(|digit| !digit.is_ascii_hexdigit()).unwrap_or(digits.len());
    let number = str::from_utf8(&digits[..length]).ok().and_then(|digits| u32::from_str_radix(digits, radix).ok());
    match number.map(char::from_u32) {
        Some(None) => Err(Fault::not_xml(at, "a reference to a number that is no character")),
        _ => Ok(at + 1),
    }
}

/// Looks at the processing instruction, or XML declaration, that begins at `at` and gives the position after it.
///
/// The parser takes a declaration without a space for an instruction, and wants no space between target and data.
fn instruction(text: &str, at: usize) -> Result<usize, Fault> {
    let (target, rest) = match text[at + 2..].find([' ', '\t', '\r', '\n', '?']) {
        Some(length) => text[at + 2..].split_at(length),
        None => return Ok(text.len()),
    };
    if target.eq_ignore_ascii_case("xml") && (at != 0 || target != "xml" || rest.starts_with('?')) {
        return Err(Fault::not_xml(at, "an XML declaration that is not at the start or has no version"));
    }
    let is_plain = target.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if !is_plain || (rest.starts_with('?') && !rest.starts_with("?>")) {
        return Err(Fault::not_xml(at, "a processing instruction whose target is not a plain name"));
    }
    Ok(past(b"?>", text.as_bytes(), at + 2))
}

/// Looks at the tag that begins at `at` and gives the position of its `>`. In an end tag the parser stops at an attribute.
fn start_tag(bytes: &[u8], at: usize, namespaces: &mut usize) -> Result<usize, Fault> {
    let mut attributes = 0;
    let mut has = [false; 2];
    let mut from = at;
    while let Some(found) = memchr::memchr3(b'>', b'"', b'\'', &bytes[from..]) {
        let quote = from + found;
        if bytes[quote] == b'>' {
            return Ok(quote);
        }
        let name = name_before(bytes, from, quote);
        let end = memchr::memchr2(bytes[quote], b'<', &bytes[quote + 1..]).map_or(bytes.len(), |end| quote + 1 + end);
        if name.is_empty() || bytes.get(end) != Some(&bytes[quote]) {
            // Here the parser stops.
            break;
        }
        attributes += 1;
        if attributes > ATTRIBUTES_MAX {
            let reason = format!("more than {ATTRIBUTES_MAX} attributes in one start tag");
            return Err(Fault::too_complex(name.start, reason));
        }
        // The parser looks for a second declaration of every other prefix.
        let unchecked = [b"xmlns".as_slice(), b"xmlns:xml"].iter().position(|n| **n == bytes[name.clone()]);
        if unchecked.is_some_and(|n| std::mem::replace(&mut has[n], true)) {
            return Err(Fault::not_xml(name.start, "a namespace that is declared twice"));
        }
        attribute(bytes, name, quote + 1..end, namespaces)?;
        from = end + 1;
    }
    Ok(bytes.len())
}

/// Where the attribute name lies that ends, with its `=`, before the quote at `quote`.
fn name_before(bytes: &[u8], from: usize, quote: usize) -> Range<usize> {
    let before = &bytes[from..quote];
    let end = before.iter().rposition(|byte| *byte != b'=' && !is_space(*byte)).map_or(0, |last| last + 1);
    let start = before[..end].iter().rposition(|byte| is_space(*byte)).map_or(0, |space| space + 1);
    from + start..from + end
}

/// Looks at an attribute: the references in its value, and whether it declares a namespace.
///
/// The parser takes any name that ends in `:xmlns` for `xmlns`.
fn attribute(bytes: &[u8], name: Range<usize>, value: Range<usize>, namespaces: &mut usize) -> Result<(), Fault> {
    for ampersand in memchr::memchr_iter(b'&', &bytes[value.clone()]) {
        reference(bytes, value.start + ampersand)?;
    }
    let (at, name) = (name.start, &bytes[name]);
    let fault = match name {
        [b':', ..] => "a name that begins with a colon",
        [b'x', b'm', b'l', b'n', b's', b':', ..] if value.is_empty() => "a namespace prefix without an address",
        [.., b':', b'x', b'm', b'l', b'n', b's'] => "an attribute name that ends in ':xmlns'",
        _ => "",
    };
    if !fault.is_empty() {
        return Err(Fault::not_xml(at, fault));
    }
    if name == b"xmlns" || name.starts_with(b"xmlns:") {
        *namespaces += 1;
        if *namespaces > NAMESPACES_MAX {
            return Err(Fault::too_complex(at, format!("more than {NAMESPACES_MAX} namespace declarations")));
        }
        if value.len() > NAMESPACE_BYTES_MAX {
            let reason = format!("a namespace whose address has more than {NAMESPACE_BYTES_MAX} bytes");
            return Err(Fault::too_complex(at, reason));
        }
    }
    Ok(())
}
