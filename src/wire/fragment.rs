//! Defines [`Root`] and [`Fragment`]: the start tag of an endless document, and one of the elements in it.
//!
//! Knows: that a fragment means what it means only with the namespaces that the root declares.
//! Must not know: how the stream is cut into fragments (`stream` does).

use std::sync::Arc;

use super::document::Document;
use super::frame::{Encode, Frame};
use super::limits::ROOT_NAMESPACES_BYTES_MAX;
use super::parse_error::ParseError;
use super::scan::Fault;

/// The start tag of an endless document's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    name: String,
    /// The text from the name to the end of the tag, without `>` or `/>`.
    attributes: String,
}

impl Root {
    /// The root that the start tag `tag`, from `<` to `>`, begins.
    pub(super) fn of(tag: &[u8]) -> Root {
        let name = tag_name(tag);
        let rest = &tag[tag.len().min(1 + name.len())..];
        let rest = rest.strip_suffix(b">").unwrap_or(rest);
        let rest = rest.strip_suffix(b"/").unwrap_or(rest);
        let attributes = String::from_utf8_lossy(rest).trim_end().to_owned();
        Root { name: String::from_utf8_lossy(name).into_owned(), attributes }
    }

    /// The name, with its prefix: `stream:stream`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The attributes as they were written, with the white space before the first: ` to='a.test' version="1.0"`.
    #[must_use]
    pub fn attributes(&self) -> &str {
        &self.attributes
    }

    /// The start tag; a stream that mirrors this one begins with it.
    #[must_use]
    pub fn start_tag(&self) -> String {
        format!("<{}{}>", self.name, self.attributes)
    }

    /// The end tag, which ends the stream.
    #[must_use]
    pub fn end_tag(&self) -> String {
        format!("</{}>", self.name)
    }

    /// The root as a document without content, to read its attributes from.
    ///
    /// # Errors
    /// As [`Document::parse`]: the scanner does not check what it does not need. And when all namespace declarations together
    /// have more than [`ROOT_NAMESPACES_BYTES_MAX`] bytes: they are added to each element.
    pub fn document(&self, nodes_max: u32) -> Result<Document, ParseError> {
        let text = format!("<{}{}/>", self.name, self.attributes);
        let declared: usize = declarations(&self.attributes).map(|(name, value)| name.len() + value.len() + 2).sum();
        if declared > ROOT_NAMESPACES_BYTES_MAX {
            let reason = format!("namespace declarations of more than {ROOT_NAMESPACES_BYTES_MAX} bytes altogether");
            return Err(ParseError::of_scan(&text, 0, &Fault::too_complex(1 + self.name.len(), reason)));
        }
        let frame = Frame::new(text).unwrap_or_default();
        Document::parse(frame, nodes_max).map_err(|(_, error)| error)
    }
}

/// One element of an endless document, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The element, from its `<` to its last `>`.
    frame: Frame,
    /// The root it stands in.
    root: Arc<Root>,
}

impl Fragment {
    pub(super) fn new(frame: Frame, root: Arc<Root>) -> Fragment {
        Fragment { frame, root }
    }

    /// The element exactly as it was sent.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The start tag of the document that the element is part of.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The element exactly as it was sent, owned.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        self.frame
    }

    /// The element as a document of its own: the namespaces that the root declares, and that the element may need and
    /// does not declare itself, are declared on it.
    #[must_use]
    pub fn complete(&self) -> Frame {
        let Ok(text) = self.frame.text() else { return self.frame.clone() };
        let name = tag_name(text.as_bytes());
        let (start, rest) = text.split_at(text.len().min(1 + name.len()));
        let mut complete = start.to_owned();
        for (declaration, value) in declarations(&self.root.attributes) {
            let needed = match declaration.strip_prefix("xmlns:") {
                Some(prefix) => uses(text, prefix),
                None => true,
            };
            if needed && !attributes(rest).any(|(name, _)| name == declaration) {
                complete.push(' ');
                complete.push_str(declaration);
                complete.push('=');
                complete.push_str(value);
            }
        }
        complete.push_str(rest);
        Frame::new(complete).unwrap_or_default()
    }

    /// The [`complete`](Fragment::complete) element, parsed.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn document(&self, nodes_max: u32) -> Result<Document, ParseError> {
        Document::parse(self.complete(), nodes_max).map_err(|(_, error)| error)
    }
}

impl Encode for Fragment {
    fn encode(&self, out: &mut Vec<u8>) {
        self.frame.encode(out);
    }
}

/// Whether the word `prefix:` stands anywhere in `text`. It may do so without being a prefix; then one declaration is idle.
fn uses(text: &str, prefix: &str) -> bool {
    text.match_indices(prefix).any(|(at, _)| {
        let begins = !text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        begins && text[at + prefix.len()..].starts_with(':')
    })
}

/// The name in a tag that begins with `<` or `</`.
pub(super) fn tag_name(tag: &[u8]) -> &[u8] {
    let from = if tag.get(1) == Some(&b'/') { 2 } else { 1 };
    let rest = tag.get(from..).unwrap_or_default();
    let length = rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'));
    &rest[..length.unwrap_or(rest.len())]
}

/// The namespaces that a start tag declares, of which `text` is what follows the name: each attribute's name and its
/// value, in its quotes.
pub(super) fn declarations(text: &str) -> impl Iterator<Item = (&str, &str)> {
    attributes(text).filter(|(name, _)| *name == "xmlns" || name.starts_with("xmlns:"))
}

/// The attributes that `text` begins with, up to the end of the tag: names, and values in their quotes.
fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_end();
        if name.contains(['>', '<', '/', '"', '\'']) {
            return None;
        }
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let length = after[1..].find(quote)? + 2;
        let (value, following) = after.split_at(length);
        rest = following;
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse_error::ParseErrorKind;
    use super::*;

    fn fragment(root: &str, element: &str) -> Fragment {
        Fragment::new(Frame::try_from(element).unwrap(), Arc::new(Root::of(root.as_bytes())))
    }

    #[test]
    fn a_root_is_its_name_and_its_attributes() {
        for (tag, name, attributes) in [
            ("<a>", "a", ""),
            ("<a/>", "a", ""),
            ("<s:s to='x>y' b=\"/\" >", "s:s", " to='x>y' b=\"/\""),
            ("<a\n b='1' />", "a", "\n b='1'"),
        ] {
            let root = Root::of(tag.as_bytes());
            assert_eq!((root.name(), root.attributes()), (name, attributes), "{tag}");
            assert_eq!(root.start_tag(), format!("<{name}{attributes}>"));
            assert_eq!(root.end_tag(), format!("</{name}>"));
        }
        let root = Root::of(b"<s:s xmlns:s='urn:s' to='a&amp;b'>");
        assert_eq!(root.document(9).unwrap().attribute("to"), Some("a&b"));
        assert!(Root::of(b"<s:s>").document(9).is_err(), "no namespace for s");
    }

    #[test]
    fn a_root_declares_as_much_as_it_may_and_not_a_byte_more() {
        // 16 declarations of 256 bytes, each with a space before it and an equals sign in it.
        let mut tag = "<root".to_owned();
        ('a'..='p').for_each(|prefix| tag += &format!(" xmlns:{prefix}='{}'", "u".repeat(245)));
        assert_eq!(tag.len(), "<root".len() + ROOT_NAMESPACES_BYTES_MAX);
        assert!(Root::of(format!("{tag} other='x'>").as_bytes()).document(9).is_ok());
        let error = Root::of(format!("{tag} xmlns=''>").as_bytes()).document(9).unwrap_err();
        assert_eq!((error.kind, error.byte_offset), (ParseErrorKind::TooComplex, "<root".len()));
    }

    #[test]
    fn a_fragment_gets_the_namespaces_it_needs_and_does_not_declare() {
        let root = "<s:s xmlns='urn:d' xmlns:s=\"urn:s\" xmlns:unused='urn:u' id='7'>";
        for (element, complete) in [
            ("<a/>", "<a xmlns='urn:d'/>"),
            // What is no prefix, although it looks a little like one.
            ("<a b='s'/>", "<a xmlns='urn:d' b='s'/>"),
            ("<a b='xs: _s: -s: .s: 1s: s :'/>", "<a xmlns='urn:d' b='xs: _s: -s: .s: 1s: s :'/>"),
            ("<a b='c'><d/></a>", "<a xmlns='urn:d' b='c'><d/></a>"),
            ("<s:a/>", "<s:a xmlns='urn:d' xmlns:s=\"urn:s\"/>"),
            ("<a><s:b/></a>", "<a xmlns='urn:d' xmlns:s=\"urn:s\"><s:b/></a>"),
            ("<a xmlns='urn:x'/>", "<a xmlns='urn:x'/>"),
            ("<s:a xmlns:s = 'urn:x' xmlns=''/>", "<s:a xmlns:s = 'urn:x' xmlns=''/>"),
            ("<a ><b xmlns='urn:x'/></a>", "<a xmlns='urn:d' ><b xmlns='urn:x'/></a>"),
        ] {
            let fragment = fragment(root, element);
            assert_eq!(fragment.complete().text().unwrap(), complete);
            assert!(fragment.document(9).is_ok(), "{element}");
            assert_eq!(fragment.frame().text().unwrap(), element, "the text stays as it was");
            let mut encoded = Vec::new();
            fragment.encode(&mut encoded);
            assert_eq!(encoded, element.as_bytes());
            assert_eq!(fragment.into_frame().bytes(), encoded);
        }
        let document = fragment(root, "<s:a/>").document(9).unwrap();
        assert_eq!(document.root().tag_name().namespace(), Some("urn:s"));
        assert!(fragment("<s>", "<s:a/>").document(9).is_err());
    }
}
