//! Defines [`Xml`], the `XML` object of ActionScript 1 and 2: a lenient tree, and the `status` that says what is wrong.
//!
//! Knows: how the players' parser reads, which stops at the first fault and keeps what it has. It checks neither names
//! nor namespaces nor entities, takes any text for a document, and compares tag names without regard to case.
//! Must not know: sockets.

use std::fmt;

use crate::wire::{Document, Frame, ParseError};

/// Nodes and attributes of one document; more are status −7. A player would take them as long as memory lasts.
const NODES_MAX: usize = 65_536;

/// What the parser found: the codes of `XML.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Status {
    /// The text was read to its end.
    Ok = 0,
    /// A CDATA section was not ended.
    Section = -2,
    /// The XML declaration (or another instruction) was not ended.
    Declaration = -3,
    /// The document type declaration was not ended.
    DocumentType = -4,
    /// A comment was not ended.
    Comment = -5,
    /// A tag is malformed, or not ended.
    Element = -6,
    /// There is more than is kept in memory.
    Memory = -7,
    /// An attribute's value was not ended.
    Attribute = -8,
    /// A start tag has no end tag.
    StartTag = -9,
    /// An end tag has no start tag.
    EndTag = -10,
}

impl Status {
    /// The code, as a script reads it.
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// A parsed text, whatever text it is; see [`Xml::status`]. Parsing costs no more than the text's length, and never
/// recurses.
#[derive(Debug)]
pub struct Xml {
    source: String,
    status: Status,
    xml_declaration: String,
    document_type: String,
    /// All nodes; the first is the document itself.
    nodes: Vec<Data>,
}

/// One node of the tree.
#[derive(Debug, Default)]
struct Data {
    /// The tag's name. `None`: text.
    name: Option<String>,
    /// The text of a text node.
    text: String,
    attributes: Vec<(String, String)>,
    children: Vec<usize>,
}

/// A node of an [`Xml`]: an element or text.
#[derive(Clone, Copy, Debug)]
pub struct XmlNode<'xml> {
    xml: &'xml Xml,
    index: usize,
}

impl Xml {
    /// Parses `text` as `new XML(text)` does. Text nodes of white space are kept.
    #[must_use]
    pub fn parse(text: &str) -> Xml {
        Parser::new(text, false).run()
    }

    /// Parses `text` as with `ignoreWhite`: text nodes of nothing but white space are left out.
    #[must_use]
    pub fn parse_ignoring_white(text: &str) -> Xml {
        Parser::new(text, true).run()
    }

    /// What was wrong first, if anything was. The tree holds what came before it.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The text that was parsed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The XML declarations as they were written.
    #[must_use]
    pub fn xml_declaration(&self) -> &str {
        &self.xml_declaration
    }

    /// The document type declaration as it was written.
    #[must_use]
    pub fn document_type(&self) -> &str {
        &self.document_type
    }

    /// The first node of the document: `firstChild`.
    #[must_use]
    pub fn first_child(&self) -> Option<XmlNode<'_>> {
        self.document_node().first_child()
    }

    /// The nodes of the document: `childNodes`. There may be several elements, or none.
    pub fn children(&self) -> impl Iterator<Item = XmlNode<'_>> {
        self.document_node().children()
    }

    /// The text as a strict document, for who wants namespaces and the rest.
    ///
    /// # Errors
    /// As [`Document::parse`], which refuses much that a player accepts.
    pub fn document(&self, nodes_max: u32) -> Result<Document, ParseError> {
        let frame = Frame::new(self.source.as_str()).unwrap_or_default();
        Document::parse(frame, nodes_max).map_err(|(_, error)| error)
    }

    fn document_node(&self) -> XmlNode<'_> {
        XmlNode { xml: self, index: 0 }
    }
}

impl fmt::Display for Xml {
    /// The text that was parsed, so that what came can be sent on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl<'xml> XmlNode<'xml> {
    /// The name of an element: `nodeName`. `None`: the node is text.
    #[must_use]
    pub fn name(&self) -> Option<&'xml str> {
        self.data().name.as_deref()
    }

    /// The text of a text node: `nodeValue`. `None`: the node is an element.
    #[must_use]
    pub fn value(&self) -> Option<&'xml str> {
        let data = self.data();
        if data.name.is_none() { Some(&data.text) } else { None }
    }

    /// The value of the attribute called `name`; of the first one when there are several.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'xml str> {
        self.attributes().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The attributes, names and values, in the order in which they were written.
    pub fn attributes(&self) -> impl Iterator<Item = (&'xml str, &'xml str)> + use<'xml> {
        self.data().attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first node inside this one: `firstChild`.
    #[must_use]
    pub fn first_child(&self) -> Option<XmlNode<'xml>> {
        self.children().next()
    }

    /// The nodes inside this one: `childNodes`.
    pub fn children(&self) -> impl Iterator<Item = XmlNode<'xml>> + use<'xml> {
        let xml = self.xml;
        self.data().children.iter().map(move |&index| XmlNode { xml, index })
    }

    fn data(&self) -> &'xml Data {
        &self.xml.nodes[self.index]
    }
}

/// The parser: a position in a text, and the elements that are open there.
struct Parser<'text> {
    text: &'text str,
    /// What is still to be read.
    rest: &'text str,
    ignore_white: bool,
    nodes: Vec<Data>,
    /// The elements that are open, the document first.
    open: Vec<usize>,
    /// Nodes and attributes so far.
    count: usize,
    xml_declaration: String,
    document_type: String,
}

impl<'text> Parser<'text> {
    fn new(text: &'text str, ignore_white: bool) -> Parser<'text> {
        let document = Data { name: Some(String::new()), ..Data::default() };
        Parser {
            text,
            rest: text,
            ignore_white,
            nodes: vec![document],
            open: vec![0],
            count: 0,
            xml_declaration: String::new(),
            document_type: String::new(),
        }
    }

    fn run(mut self) -> Xml {
        let status = loop {
            if self.rest.is_empty() {
                break if self.open.len() > 1 { Status::StartTag } else { Status::Ok };
            }
            if let Err(status) = self.step() {
                break status;
            }
        };
        Xml {
            source: self.text.to_owned(),
            status,
            xml_declaration: self.xml_declaration,
            document_type: self.document_type,
            nodes: self.nodes,
        }
    }

    /// Reads one tag, or one piece of text.
    fn step(&mut self) -> Result<(), Status> {
        let Some(markup) = self.rest.strip_prefix('<') else { return self.text() };
        if markup.starts_with("![CDATA[") {
            let section = self.through("]]>", Status::Section)?;
            self.add_text(section["<![CDATA[".len()..section.len() - 3].to_owned())
        } else if markup.starts_with("!--") {
            // Comments are no nodes in these players. The one that ends must have begun: not `<!-->`.
            let rest = self.rest;
            self.rest = &rest[4..];
            self.through("-->", Status::Comment).map(drop)
        } else if markup.starts_with('?') {
            let declaration = self.through("?>", Status::Declaration)?;
            self.xml_declaration.push_str(declaration);
            Ok(())
        } else if markup.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("!DOCTYPE")) {
            self.document_type()
        } else if let Some(tag) = markup.strip_prefix('/') {
            self.end_tag(tag)
        } else {
            self.start_tag(markup)
        }
    }

    /// Takes everything up to and with `end`.
    fn through(&mut self, end: &str, missing: Status) -> Result<&'text str, Status> {
        let length = self.rest.find(end).ok_or(missing)? + end.len();
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<(), Status> {
        let length = self.rest.find('<').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        if self.ignore_white && text.trim_matches(WHITE).is_empty() {
            return Ok(());
        }
        self.add_text(decode(text))
    }

    fn add_text(&mut self, text: String) -> Result<(), Status> {
        self.add(Data { text, ..Data::default() }).map(drop)
    }

    /// Adds a node to the element that is open.
    fn add(&mut self, data: Data) -> Result<usize, Status> {
        self.count_one()?;
        let index = self.nodes.len();
        self.nodes.push(data);
        let parent = self.open.last().copied().unwrap_or_default();
        self.nodes[parent].children.push(index);
        Ok(index)
    }

    /// Counts a node or an attribute: memory is bounded before it is used.
    fn count_one(&mut self) -> Result<(), Status> {
        self.count += 1;
        if self.count > NODES_MAX { Err(Status::Memory) } else { Ok(()) }
    }

    /// A document type declaration ends when as many `>` as `<` came; what is between does not matter.
    fn document_type(&mut self) -> Result<(), Status> {
        let mut depth = 0_usize;
        for (at, byte) in self.rest.bytes().enumerate() {
            match byte {
                b'<' => depth += 1,
                b'>' => depth -= 1,
                _ => continue,
            }
            if depth == 0 {
                let (declaration, rest) = self.rest.split_at(at + 1);
                self.document_type = declaration.to_owned();
                self.rest = rest;
                return Ok(());
            }
        }
        Err(Status::DocumentType)
    }

    fn end_tag(&mut self, tag: &'text str) -> Result<(), Status> {
        let (inside, rest) = tag.split_once('>').ok_or(Status::Element)?;
        let name = inside.split(WHITE).next().unwrap_or_default();
        if name.is_empty() {
            return Err(Status::Element);
        }
        let has_name =
            |index: &usize| self.nodes[*index].name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        match self.open.iter().rposition(has_name) {
            Some(at) if at + 1 == self.open.len() => {
                self.open.pop();
                self.rest = rest;
                Ok(())
            }
            // It ends an outer element, so the inner one has no end.
            Some(_) => Err(Status::StartTag),
            None => Err(Status::EndTag),
        }
    }

    fn start_tag(&mut self, tag: &'text str) -> Result<(), Status> {
        let length = tag.find(|c| WHITE.contains(&c) || c == '>').ok_or(Status::Element)?;
        // `<a/>`: the slash is not part of the name.
        let length = if tag[..length].ends_with('/') && tag[length..].starts_with('>') { length - 1 } else { length };
        let (name, mut rest) = tag.split_at(length);
        if name.is_empty() {
            return Err(Status::Element);
        }
        let mut attributes = Vec::new();
        let is_empty = loop {
            rest = rest.trim_start_matches(WHITE);
            if let Some(after) = rest.strip_prefix("/>") {
                rest = after;
                break true;
            } else if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break false;
            }
            let (attribute, after) = attribute(rest)?;
            self.count_one()?;
            attributes.push(attribute);
            rest = after;
        };
        let index = self.add(Data { name: Some(name.to_owned()), attributes, ..Data::default() })?;
        if !is_empty {
            self.open.push(index);
        }
        self.rest = rest;
        Ok(())
    }
}

/// What counts as white space.
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Reads one attribute; gives its name and value, and what follows it.
fn attribute(text: &str) -> Result<((String, String), &str), Status> {
    let length = text.find(|c| WHITE.contains(&c) || matches!(c, '=' | '>')).ok_or(Status::Element)?;
    let (name, rest) = text.split_at(length);
    let rest = rest.trim_start_matches(WHITE).strip_prefix('=').ok_or(Status::Element)?.trim_start_matches(WHITE);
    if name.is_empty() {
        return Err(Status::Element);
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(Status::Element)?;
    let (value, rest) = rest[1..].split_once(quote).ok_or(Status::Attribute)?;
    Ok(((name.to_owned(), decode(value)), rest))
}

/// Replaces the references that the players know; others stay as they are.
fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        // Twelve bytes hold every reference that is known, `&#x0010ffff;` too.
        let known = rest.bytes().take(12).position(|byte| byte == b';').and_then(|end| {
            let c = match &rest[1..end] {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => '\u{a0}',
                other => numeric(other)?,
            };
            Some((c, end + 1))
        });
        let (c, length) = known.unwrap_or(('&', 1));
        decoded.push(c);
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    decoded
}

/// The character of `#65` and `#x41`.
fn numeric(reference: &str) -> Option<char> {
    let digits = reference.strip_prefix('#')?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
