//! Defines [`Element`], the builder of what is sent: the only place that escapes.
//!
//! Knows: escaping, which characters XML forbids, compact writing (old players take white space for content).
//! Must not know: any vocabulary.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::document::Document;
use super::frame::{Encode, Frame};

/// Bytes that most elements' attributes fit in, so that they are written into one allocation.
const ATTRIBUTES_BYTES: usize = 96;

/// An XML element to send. Written without declaration, indentation or newline.
///
/// ```
/// use xmlsocket::wire::Element;
/// let element = Element::new("message").attribute("room", "lobby").text("a < b");
/// assert_eq!(element.to_string(), r#"<message room="lobby">a &lt; b</message>"#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    name: Cow<'static, str>,
    /// The start tag from after the name to before its end: written and escaped.
    attributes: String,
    /// The content, written and escaped.
    content: String,
}

impl Element {
    /// An empty element. `name` SHOULD be an XML name; a character that may not stand in one, where it stands, is written
    /// as `_`, so that no name can break the markup.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Element {
        Element { name: as_name(name.into()), attributes: String::new(), content: String::new() }
    }

    /// Adds an attribute. `name` SHOULD be an XML name, as for [`new`](Element::new), and MUST be one that the element
    /// does not have yet; the value may be any text.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl fmt::Display) -> Element {
        if self.attributes.is_empty() {
            self.attributes.reserve(ATTRIBUTES_BYTES);
        }
        self.attributes.push(' ');
        self.attributes.push_str(&as_name(Cow::Borrowed(name)));
        self.attributes.push_str("=\"");
        let _ = fmt::write(&mut Escape { out: &mut self.attributes, in_attribute: true }, format_args!("{value}"));
        self.attributes.push('"');
        self
    }

    /// Adds an attribute if there is a value.
    #[must_use]
    pub fn attribute_if_some(self, name: &str, value: Option<impl fmt::Display>) -> Element {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    /// Appends text.
    #[must_use]
    pub fn text(mut self, text: impl fmt::Display) -> Element {
        let _ = fmt::write(&mut Escape { out: &mut self.content, in_attribute: false }, format_args!("{text}"));
        self
    }

    /// Appends a child element.
    #[must_use]
    pub fn child(mut self, child: &Element) -> Element {
        self.content.extend(child.pieces());
        self
    }

    /// Appends the content of `document`'s root exactly as it was sent, and declares on this element the namespaces
    /// that the root declared, exactly as they were sent, so that the content means the same here.
    #[must_use]
    pub fn content_of(mut self, document: &Document) -> Element {
        for (name, value) in document.declarations() {
            let _ = write!(self.attributes, " {name}={value}");
        }
        self.content.push_str(document.content());
        self
    }

    /// This element as a frame of its own.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        // There is no zero byte: names have none, values lose theirs when they are escaped, no document has one.
        Frame::new(bytes).unwrap_or_default()
    }

    /// What is written, in order.
    fn pieces(&self) -> [&str; 8] {
        let (name, attributes) = (&*self.name, &*self.attributes);
        match &*self.content {
            "" => ["<", name, attributes, "/>", "", "", "", ""],
            content => ["<", name, attributes, ">", content, "</", name, ">"],
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().into_iter().try_for_each(|piece| f.write_str(piece))
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Encode for Element {
    fn encode(&self, out: &mut Vec<u8>) {
        let pieces = self.pieces();
        out.reserve(pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

/// `name` if it is an XML name (XML 1.0 §2.3); else, which is a caller's mistake, with `_` for each character that may not
/// stand where it does.
fn as_name(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.is_empty() && name.char_indices().all(|(at, c)| is_name_char(c, at == 0)) {
        return name;
    }
    let name: String = name.char_indices().map(|(at, c)| if is_name_char(c, at == 0) { c } else { '_' }).collect();
    if name.is_empty() { Cow::Borrowed("_") } else { Cow::Owned(name) }
}

/// Whether `c` may stand in a name, or at its start.
fn is_name_char(c: char, first: bool) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '_' => true,
        '\u{c0}'..='\u{2ff}' => !matches!(c, '\u{d7}' | '\u{f7}'),
        '\u{370}'..='\u{1fff}' => c != '\u{37e}',
        '\u{200c}' | '\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' => true,
        '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}' => true,
        '0'..='9' | ':' | '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}' => !first,
        _ => false,
    }
}

/// `text` as it may stand in an attribute's quotes or between tags: escaped, without the characters that XML forbids.
/// For frames that are too frequent to be built with [`Element`]; all other code MUST leave escaping to it.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let _ = Escape { out: &mut escaped, in_attribute: true }.write_str(text);
    escaped
}

/// Appends what is written to it, escaped, and without the characters that XML 1.0 forbids (a zero byte among them).
struct Escape<'out> {
    out: &'out mut String,
    /// Whether quotes and white space must survive an attribute's normalisation (XML 1.0 §3.3.3).
    in_attribute: bool,
}

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| SPECIAL[byte as usize]) {
            let (plain, special) = rest.split_at(at);
            self.out.push_str(plain);
            let Some(c) = special.chars().next() else { break };
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => self.out.push_str("&#13;"),
                '"' if self.in_attribute => self.out.push_str("&quot;"),
                '\n' if self.in_attribute => self.out.push_str("&#10;"),
                '\t' if self.in_attribute => self.out.push_str("&#9;"),
                '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
                _ => self.out.push(c),
            }
            rest = &special[c.len_utf8()..];
        }
        self.out.push_str(rest);
        Ok(())
    }
}

/// Whether a character that begins with this byte may need escaping or leaving out. A table, because every byte that
/// is sent is looked up; U+FFFE and U+FFFF begin with 0xEF.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < special.len() {
        special[byte] = matches!(byte as u8, 0..=0x1f | b'"' | b'&' | b'<' | b'>' | 0xef);
        byte += 1;
    }
    special
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_must_be_and_drops_what_xml_forbids() {
        let nasty = "a<b>&\"'\r\n\t\u{0}\u{1}\u{b}\u{1f}\u{fffe}\u{ffff}\u{d7ff}\u{10ffff}é";
        let element = Element::new("e").attribute("a", nasty).text(nasty);
        let text = element.to_string();
        assert_eq!(
            text,
            "<e a=\"a&lt;b&gt;&amp;&quot;'&#13;&#10;&#9;\u{d7ff}\u{10ffff}é\">a&lt;b&gt;&amp;\"'&#13;\n\t\u{d7ff}\u{10ffff}é</e>"
        );
        let parsed = roxmltree::Document::parse(&text).expect("what we write is well-formed");
        let kept = "a<b>&\"'\r\n\t\u{d7ff}\u{10ffff}é";
        assert_eq!(parsed.root_element().attribute("a"), Some(kept));
        assert_eq!(parsed.root_element().text(), Some(kept));
    }

    #[test]
    fn escaped_text_is_what_an_attribute_holds() {
        let text = "a<b>&\"'\r\n\t\u{0}\u{fffe}é";
        assert_eq!(format!("<e a=\"{}\"/>", escape(text)), Element::new("e").attribute("a", text).to_string());
    }

    #[test]
    fn no_name_breaks_the_markup() {
        for (name, written) in [
            ("a-1.b:c", "a-1.b:c"),
            ("\u{e9}l\u{e9}ment", "\u{e9}l\u{e9}ment"),
            ("", "_"),
            ("1a", "_a"),
            ("a b='c'/><forged/>\0", "a_b__c____forged___"),
            ("\u{d7}\u{300}a\u{300}\u{37e}", "_\u{300}a\u{300}_"),
        ] {
            let element = Element::new(name.to_owned()).attribute(name, 1);
            assert_eq!(element.to_string(), format!("<{written} {written}=\"1\"/>"));
            let text = element.to_string().replace("b:c", "c");
            roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn a_name_may_have_the_characters_that_xml_says_and_is_not_copied() {
        assert!(matches!(as_name(Cow::Borrowed("a-1.b:c")), Cow::Borrowed(_)));
        for name in
            "azAZ_\u{c0}\u{2ff}\u{370}\u{1fff}\u{200c}\u{200d}\u{2070}\u{218f}\u{2c00}\u{2fef}\u{3001}\u{d7ff}\u{f900}\
                     \u{fdcf}\u{fdf0}\u{fffd}\u{10000}\u{effff}"
                .chars()
        {
            assert!(is_name_char(name, true) && is_name_char(name, false), "{name:?}");
            roxmltree::Document::parse(&format!("<{name}/>")).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        }
        for later in "09:-.\u{b7}\u{300}\u{36f}\u{203f}\u{2040}".chars() {
            assert!(!is_name_char(later, true) && is_name_char(later, false), "{later:?}");
        }
        for never in
            "\0 /<=>\"'\u{bf}\u{d7}\u{f7}\u{37e}\u{2000}\u{206f}\u{2190}\u{3000}\u{e000}\u{fdd0}\u{fffe}\u{f0000}"
                .chars()
        {
            assert!(!is_name_char(never, true) && !is_name_char(never, false), "{never:?}");
        }
    }

    #[test]
    fn a_child_is_written_in_place() {
        let rooms = Element::new("rooms").child(&Element::new("room").attribute("name", "a")).text("&");
        assert_eq!(rooms.to_string(), r#"<rooms><room name="a"/>&amp;</rooms>"#);
        assert_eq!(format!("{rooms:?}"), rooms.to_string());
    }

    #[test]
    fn content_keeps_its_namespaces() {
        let text = "<a xmlns='u' xmlns:p='&quot;' b='c'>1<p:d/><!-- 2 --></a>";
        let parsed = Frame::try_from(text).map(|frame| Document::parse(frame, 100).expect(text)).expect(text);
        let element = Element::new("m").attribute("n", 1).content_of(&parsed);
        assert_eq!(element.to_string(), r#"<m n="1" xmlns='u' xmlns:p='&quot;'>1<p:d/><!-- 2 --></m>"#);
        assert_eq!(element.to_frame().bytes(), element.to_string().as_bytes());
    }

    #[test]
    fn values_are_escaped_however_they_are_put_together() {
        let element = Element::new("e")
            .attribute("a", format_args!("{}{}{}", '<', "\u{fffe}", 7))
            .text(format_args!("{:>3}", '&'));
        assert_eq!(element.to_string(), r#"<e a="&lt;7">  &amp;</e>"#);
        let element = Element::new("e").attribute_if_some("a", Some("<")).attribute_if_some("b", None::<&str>).text("");
        assert_eq!(element.to_string(), r#"<e a="&lt;"/>"#);
        let mut out = b"kept".to_vec();
        element.encode(&mut out);
        assert_eq!(out, br#"kept<e a="&lt;"/>"#);
    }
}
