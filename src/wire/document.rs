//! Defines [`Document`], a frame together with its parsed tree, in one value that can travel a channel.
//!
//! Knows: `roxmltree`, what is too complex to parse, which part of the text is the root's content.
//! Must not know: what any element means.

use std::fmt;

use super::frame::{Encode, Frame};
use super::limits::NAMESPACES_MAX;

/// The tree of a document, borrowed from its text.
pub type Tree<'text> = roxmltree::Document<'text>;

/// An element (or text, or comment) of a document.
pub type Node<'doc, 'text> = roxmltree::Node<'doc, 'text>;

self_cell::self_cell!(
    /// A frame that is a namespace-well-formed XML document, and its tree. The text is kept as it came.
    pub struct Document {
        owner: Frame,
        #[covariant]
        dependent: Tree,
    }
);

impl Document {
    /// Parses `frame`. A byte order mark and white space around the document are ignored (many clients send a
    /// newline before the zero byte). A document type declaration is refused, whatever it says.
    ///
    /// # Errors
    /// Gives the frame back with the reason. Parsing never recurses with the depth of the document, and its time
    /// is bounded: see [`ParseErrorKind::TooComplex`].
    pub fn parse(frame: Frame, nodes_max: u32) -> Result<Document, (Frame, ParseError)> {
        Document::try_new_or_recover(frame, |frame| parse_tree(frame, nodes_max))
    }

    /// The frame as it came.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        self.borrow_owner()
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Tree<'_> {
        self.borrow_dependent()
    }

    /// The root element.
    #[must_use]
    pub fn root(&self) -> Node<'_, '_> {
        self.borrow_dependent().root_element()
    }

    /// The root's attribute called `name`, if it is there.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.root().attribute(name)
    }

    /// The text between the root's start tag and its end tag, exactly as it was sent: child elements, comments,
    /// CDATA sections and references included. Empty for `<root/>`.
    #[must_use]
    pub fn content(&self) -> &str {
        let root = self.root().range();
        let text = &self.borrow_dependent().input_text()[..root.end];
        let start = start_tag_end(text, root.start);
        match text[start..].rfind("</") {
            Some(length) => &text[start..start + length],
            None => "",
        }
    }

    /// The namespace declarations of the root's start tag, as pairs of attribute name (`xmlns`, `xmlns:x`) and
    /// address: what content cut out with [`content`](Document::content) needs to mean the same elsewhere.
    pub fn namespaces(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.root().namespaces().filter(|ns| ns.name() != Some("xml")).map(|ns| (ns.name(), ns.uri()))
    }

    /// The frame, without its tree.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        self.into_owner()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({:?})", self.frame().lossy())
    }
}

impl fmt::Display for Document {
    /// The text of the frame, as it came.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.frame().lossy())
    }
}

impl Encode for Document {
    fn encode(&self, out: &mut Vec<u8>) {
        self.frame().encode(out);
    }
}

/// The position after the `>` that ends the start tag beginning at `tag`; a `>` inside quotes does not count.
fn start_tag_end(text: &str, tag: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = tag;
    while let Some(found) = memchr::memchr3(b'>', b'"', b'\'', &bytes[at..]) {
        at += found;
        if bytes[at] == b'>' {
            return at + 1;
        }
        let quote = bytes[at];
        at += 1;
        at += memchr::memchr(quote, &bytes[at..]).map_or(bytes.len() - at, |closing| closing + 1);
    }
    text.len()
}

/// The text of a frame without what may surround a document: a byte order mark, white space.
fn trim(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_matches([' ', '\t', '\r', '\n'])
}

fn parse_tree(frame: &Frame, nodes_max: u32) -> Result<Tree<'_>, ParseError> {
    let text = frame.text().map_err(|error| ParseError {
        kind: ParseErrorKind::NotUtf8,
        byte_offset: error.valid_up_to(),
        line: 0,
        column: 0,
        reason: "the bytes are not UTF-8".to_owned(),
    })?;
    let document = trim(text);
    let skipped = document.as_ptr() as usize - text.as_ptr() as usize;
    if memchr::memmem::find_iter(document.as_bytes(), b"xmlns").nth(NAMESPACES_MAX).is_some() {
        return Err(ParseError::new(
            ParseErrorKind::TooComplex,
            text,
            skipped,
            format!("more than {NAMESPACES_MAX} namespace declarations"),
        ));
    }
    let options = roxmltree::ParsingOptions { allow_dtd: false, nodes_limit: nodes_max, entity_resolver: None };
    let tree = roxmltree::Document::parse_with_options(document, options).map_err(|error| {
        let kind = match error {
            roxmltree::Error::NodesLimitReached
            | roxmltree::Error::AttributesLimitReached
            | roxmltree::Error::NamespacesLimitReached => ParseErrorKind::TooComplex,
            _ => ParseErrorKind::NotXml,
        };
        let offset = skipped + offset_of(document, error.pos());
        ParseError::new(kind, text, offset, error.to_string())
    })?;
    Ok(tree)
}

/// The byte at which line and column of a `roxmltree` position lie.
fn offset_of(text: &str, position: roxmltree::TextPos) -> usize {
    let line_start = match position.row.saturating_sub(2) as usize {
        _ if position.row <= 1 => 0,
        n => memchr::memchr_iter(b'\n', text.as_bytes()).nth(n).map_or(text.len(), |newline| newline + 1),
    };
    let column = position.col.saturating_sub(1) as usize;
    text[line_start..].char_indices().nth(column).map_or(text.len(), |(offset, _)| line_start + offset)
}

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
    /// The character of that line, counted from 1; 0 when the frame is not text.
    pub column: u32,
    /// What is wrong, for a person.
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
    fn new(kind: ParseErrorKind, text: &str, byte_offset: usize, reason: String) -> ParseError {
        let before = &text[..byte_offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ParseError {
            kind,
            byte_offset,
            line: memchr::memchr_iter(b'\n', before.as_bytes()).count() as u32 + 1,
            column: before[line_start..].chars().count() as u32 + 1,
            reason,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ParseError {}
