//! Defines [`Document`], a frame together with its parsed tree, in one value that can travel a channel.
//!
//! Knows: `roxmltree`, what is too complex to parse, which part of the text is the root's content.
//! Must not know: what any element means.

use std::fmt;

use super::frame::{Encode, Frame};
use super::parse_error::ParseError;
use super::scan::scan;

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
            .map_err(|(frame, error)| (frame, *error))
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

/// Parses the text of `frame`. The functions beside it are apart so that the stack that parsing needs stays small:
/// a server has thousands of threads that do just this.
fn parse_tree(frame: &Frame, nodes_max: u32) -> Result<Tree<'_>, Box<ParseError>> {
    let document = look_at(frame)?;
    let options = roxmltree::ParsingOptions { allow_dtd: false, nodes_limit: nodes_max, entity_resolver: None };
    match roxmltree::Document::parse_with_options(document, options) {
        Ok(tree) => Ok(tree),
        Err(error) => Err(refused(frame, document, &error, nodes_max)),
    }
}

/// The document in `frame`, if it is text that is worth parsing.
#[inline(never)]
fn look_at(frame: &Frame) -> Result<&str, Box<ParseError>> {
    let text = frame.text().map_err(ParseError::not_utf8)?;
    let document = trim(text);
    scan(document).map_err(|fault| ParseError::of_scan(text, offset_in(text, document), &fault))?;
    Ok(document)
}

/// Why the parser refused `document`, which is text of `frame`.
#[cold]
#[inline(never)]
fn refused(frame: &Frame, document: &str, error: &roxmltree::Error, nodes_max: u32) -> Box<ParseError> {
    let text = frame.text().unwrap_or(document);
    Box::new(ParseError::of_parser(text, offset_in(text, document), document, error, nodes_max))
}

/// Where in `text` its part `document` begins.
fn offset_in(text: &str, document: &str) -> usize {
    document.as_ptr() as usize - text.as_ptr() as usize
}
