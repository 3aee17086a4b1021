//! Defines [`Document`], a frame together with its parsed tree, in one value that can travel a channel.
//!
//! Knows: `roxmltree`, what is too complex to parse, which part of the text is the root's content.
//! Must not know: what any element means.

use std::fmt;

use super::fragment::{declarations, tag_name};
use super::frame::{Encode, Frame};
use super::limits::ATTRIBUTES_MAX;
use super::parse_error::ParseError;
use super::scan::scan;

/// Bytes of a node of a tree: four links, what it is, where it stands in the text.
const NODE_BYTES: usize = 80;

/// Bytes of an attribute of a tree: its name, its value, where it stands in the text.
const ATTRIBUTE_BYTES: usize = 72;

/// The tree of a document, borrowed from its text.
pub type Tree<'text> = roxmltree::Document<'text>;

/// An element (or text, or comment) of a document.
pub type Node<'doc, 'text> = roxmltree::Node<'doc, 'text>;

self_cell::self_cell!(
    struct Parsed {
        owner: Frame,
        #[covariant]
        dependent: Tree,
    }
);

/// A frame that is a namespace-well-formed XML document, and its tree. The text is kept as it came.
///
/// The two belong together, always: parsing is the only way to make one, and it cannot be changed.
///
/// ```compile_fail
/// # use xmlsocket::wire::{Document, Frame};
/// // A tree of another text.
/// let _ = Document::new(Frame::default(), |_| roxmltree::Document::parse("<forged/>").unwrap());
/// ```
pub struct Document(Parsed);

impl Document {
    /// Parses `frame`. A byte order mark and white space around the document are ignored (many clients send a
    /// newline before the zero byte). A document type declaration is refused, whatever it says; so is what strict
    /// parsers refuse, so that a document's content can be relayed to them.
    ///
    /// A tree takes up to 20 times the memory of its text: many short attributes are the worst
    /// ([`memory_bytes_max`](Document::memory_bytes_max)).
    ///
    /// # Errors
    /// Gives the frame back with the reason. Parsing never recurses with the depth of the document, and its time
    /// grows with the length of the text only: what would take longer is
    /// [`TooComplex`](super::ParseErrorKind::TooComplex).
    pub fn parse(frame: Frame, nodes_max: u32) -> Result<Document, (Frame, ParseError)> {
        Parsed::try_new_or_recover(frame, |frame| parse_tree(frame, nodes_max))
            .map(Document)
            .map_err(|(frame, error)| (frame, *error))
    }

    /// What a document may take in memory that is parsed from `frame`: its text, and a tree as large as the marks in the
    /// text allow. Counted before it is parsed, so that it can be waited for room for it.
    #[must_use]
    pub fn memory_bytes_max(frame: &Frame, nodes_max: u32) -> usize {
        let count = |mark| memchr::memchr_iter(mark, frame.bytes()).count();
        let tags = count(b'<');
        // Each tag is a node, and between two there is one more at most.
        let nodes = (2 * tags + 1).min(nodes_max as usize);
        let attributes = count(b'=').min(tags.saturating_mul(ATTRIBUTES_MAX));
        // Texts with references in them are kept a second time, resolved.
        2 * frame.len() + nodes * NODE_BYTES + attributes * ATTRIBUTE_BYTES
    }

    /// The frame as it came.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        self.0.borrow_owner()
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Tree<'_> {
        self.0.borrow_dependent()
    }

    /// The root element.
    #[must_use]
    pub fn root(&self) -> Node<'_, '_> {
        self.0.borrow_dependent().root_element()
    }

    /// The root's attribute called `name`, which has no prefix, if it is there.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        // `Node::attribute` would take one of any namespace.
        let mut attributes = self.root().attributes();
        attributes
            .find(|attribute| attribute.name() == name && attribute.namespace().is_none())
            .map(|found| found.value())
    }

    /// The text between the root's start tag and its end tag, exactly as it was sent: child elements, comments,
    /// CDATA sections and references included. Empty for `<root/>`.
    #[must_use]
    pub fn content(&self) -> &str {
        let (text, start) = self.root_text();
        let content = &text.as_bytes()[start..];
        // The last end tag is the root's: nothing but white space can follow its name.
        let end = memchr::memrchr_iter(b'<', content).find(|&at| content.get(at + 1) == Some(&b'/'));
        end.map_or("", |length| &text[start..start + length])
    }

    /// The namespace declarations of the root's start tag, as pairs of the attribute's name (`xmlns`, `xmlns:x`) and its
    /// value with its quotes, exactly as they were sent: what content cut out with [`content`](Document::content) needs to
    /// mean the same elsewhere. Written anew they could become longer, and more than the next server admits.
    pub fn declarations(&self) -> impl Iterator<Item = (&str, &str)> {
        let (text, end) = self.root_text();
        declarations(&text[1 + tag_name(text.as_bytes()).len()..end]).filter(|(name, _)| *name != "xmlns:xml")
    }

    /// The text from the root's start tag to the end of the root, and where in it the start tag ends.
    fn root_text(&self) -> (&str, usize) {
        let text = &self.0.borrow_dependent().input_text()[self.root().range()];
        (text, start_tag_end(text.as_bytes()))
    }

    /// The frame, without its tree.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        self.0.into_owner()
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

/// The position after the `>` that ends the start tag that `text` begins with; a `>` inside quotes does not count.
pub(super) fn start_tag_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b'>', b'"', b'\'', &bytes[at..]) {
        at += found;
        if bytes[at] == b'>' {
            return at + 1;
        }
        let Some(closing) = memchr::memchr(bytes[at], &bytes[at + 1..]) else { break };
        at += closing + 2;
    }
    bytes.len()
}

/// The text of a frame without what may surround a document: one byte order mark, white space.
pub(super) fn trim(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim_matches(WHITE_SPACE)
}

/// As [`trim`], and without what else may stand before a document's root: declaration, instructions, comments.
pub(super) fn without_prolog(text: &str) -> &str {
    let mut rest = trim(text);
    loop {
        let end = match rest.as_bytes() {
            [b'<', b'?', ..] => "?>",
            [b'<', b'!', b'-', b'-', ..] => "-->",
            _ => return rest,
        };
        match memchr::memmem::find(&rest.as_bytes()[end.len()..], end.as_bytes()) {
            Some(at) => rest = rest[at + 2 * end.len()..].trim_start_matches(WHITE_SPACE),
            None => return rest,
        }
    }
}

/// The white space of XML.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

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

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(Frame::try_from(text).expect("no zero byte"), 4096).map_err(|(_, error)| error).expect(text)
    }

    #[test]
    fn a_tree_takes_no_more_than_was_counted_before() {
        let many = |start: &str, part: &str, end: &str, count| format!("{start}{}{end}", part.repeat(count));
        for (text, attributes_are_exact) in [
            ("<a/>".to_owned(), true),
            ("<a b='c'>x</a>".to_owned(), true),
            ("\u{feff} <?xml version='1.0'?><!--c--><a>x<b/>y<![CDATA[z]]>&lt;<?p?></a><!--d-->".to_owned(), false),
            (many("<a>", "<b/>", "</a>", 1_000), true),
            (many("<a>", "<b/>x", "</a>", 1_000), true),
            (many("<a>", "<b c='' d=''/>", "</a>", 1_000), true),
            (many("<a>", "a=b ", "</a>", 1_000), false),
        ] {
            let frame = Frame::try_from(text.as_str()).expect("no zero byte");
            let counted = Document::memory_bytes_max(&frame, 4_096);
            let document = document(&text);
            let nodes = document.tree().root().descendants();
            let attributes: usize = nodes.clone().map(|node| node.attributes().len()).sum();
            let taken = text.len() + nodes.len() * NODE_BYTES + attributes * ATTRIBUTE_BYTES;
            assert!(taken <= counted, "{taken} and not {counted}: {text}");
            let most = 3 * taken + if attributes_are_exact { 0 } else { 256 * ATTRIBUTE_BYTES };
            assert!(counted <= most, "{counted} and not {taken}: {text}");
        }
    }

    #[test]
    fn content_is_what_was_sent_between_the_roots_tags() {
        for (text, content) in [
            ("<a/>", ""),
            ("<a />", ""),
            ("<a></a>", ""),
            ("<a>text</a>", "text"),
            ("\u{feff}\n<a>\n text\r\n</a >\n", "\n text\r\n"),
            // A `>` in quotes ends no tag, nor does a quote of the other kind end a value.
            ("<a b='>' c=\">'>\" d='\">'>x</a>", "x"),
            ("<a b='>'/>", ""),
            ("<a\n b = '>'\n>x</a>", "x"),
            // Nothing that looks like the end tag is one.
            ("<a><!-- </a> --></a>", "<!-- </a> -->"),
            ("<a><![CDATA[</a>]]></a>", "<![CDATA[</a>]]>"),
            ("<a><?b </a>?></a>", "<?b </a>?>"),
            ("<a><a>x</a><a/></a>", "<a>x</a><a/>"),
            ("<a>x</a><!-- </a> -->", "x"),
            ("<!-- <a> --><a>x</a><?b </a>?>\n", "x"),
            ("<?xml version='1.0'?><a>x</a>", "x"),
            // The parser makes one text of these, and knows the place of the first piece only.
            ("<a>1<![CDATA[2]]>3&amp;4<![CDATA[]]></a>", "1<![CDATA[2]]>3&amp;4<![CDATA[]]>"),
            ("<a><b c='&lt;'/>é</a>", "<b c='&lt;'/>é"),
        ] {
            let document = document(text);
            assert_eq!(document.content(), content, "{text}");
            let mut out = Vec::new();
            document.encode(&mut out);
            assert_eq!(out, text.as_bytes(), "it is sent as it came");
        }
    }

    #[test]
    fn declarations_are_those_of_the_roots_start_tag_as_they_were_sent() {
        for (text, declared) in [
            ("<a b='c'><d xmlns='u'/></a>", ""),
            ("<a xmlns='u&amp;v>' b=\"xmlns='no'\" xmlns:b = \"w'\"><c/></a>", "xmlns='u&amp;v>' xmlns:b=\"w'\" "),
            ("\u{feff} <!-- <a xmlns='no'> --><a\nxmlns=''/>", "xmlns='' "),
            ("<a xml:lang='en' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>", ""),
        ] {
            let document = document(text);
            let found: String = document.declarations().map(|(name, value)| format!("{name}={value} ")).collect();
            assert_eq!(found, declared, "{text}");
        }
    }

    #[test]
    fn attributes_are_the_roots_and_have_no_prefix() {
        let document = document("<a xmlns:p='u' p:b='1' c='&#50;'><d e='3'/></a>");
        assert_eq!(document.attribute("c"), Some("2"));
        assert_eq!(document.attribute("b"), None);
        assert_eq!(document.attribute("e"), None);
    }

    #[test]
    fn a_document_travels_between_threads_with_its_tree() {
        fn check<T: Send + Sync + 'static>(value: T) -> T {
            value
        }
        let document = check(document("<a><b/></a>"));
        let name = std::thread::spawn(move || document.root().first_child().map(|b| b.tag_name().name().to_owned()));
        assert_eq!(name.join().expect("no panic").as_deref(), Some("b"));
    }
}
