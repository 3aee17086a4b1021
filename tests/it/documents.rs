//! What is a document and what is not, where its faults lie, and that what we write is read back as it was meant.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use roxmltree::Attribute;
use xmlsocket::wire::{
    ATTRIBUTES_MAX, Document, Element, Frame, Limits, NAMESPACE_BYTES_MAX, NAMESPACES_MAX, Node, ParseError,
    ParseErrorKind,
};

fn parse(text: impl Into<Vec<u8>>) -> Result<Document, ParseError> {
    let frame = Frame::new(text).expect("no zero byte");
    let nodes_max = u32::try_from(Limits::default().nodes_max).expect("the default is small");
    Document::parse(frame.clone(), nodes_max).map_err(|(given_back, error)| {
        assert_eq!(given_back, frame, "nothing is lost");
        assert!(error.byte_offset <= frame.len());
        assert!(!error.reason.is_empty() && error.reason.len() < 220 && !error.reason.contains(char::is_control));
        error
    })
}

const DOCUMENTS: &[&str] = &[
    "<a/>",
    "<a></a>",
    // What surrounds a document.
    "\n<a/>",
    "<a/>\n",
    "<a/>\r\n\t ",
    "\u{feff}<a/>",
    "\u{feff}\n<a/>",
    "<!-- c --><a/><!-- d -->",
    "<?p q?><a/><?p?>",
    "<?p?><?q?><a/>",
    "<?xml version=\"1.0\"?><a/>",
    "\n<?xml version=\"1.0\"?>\n<a/>\n",
    "<?xml\tversion=\"1.0\"?><a/>",
    // What a declaration says is ignored: the frame is UTF-8.
    "<?xml version='1.0' encoding='Shift_JIS'?><a>é</a>",
    // What players and servers write.
    "<policy-file-request/>",
    "<policy-file-request />",
    "<msg t='sys'><body action='verChk' r='0'><ver v='158' /></body></msg>",
    "<root>\n  <item/>\n</root>",
    // Namespaces that are declared; `xml` always is.
    "<a:b xmlns:a='u' a:c=''/>",
    "<a xmlns='u' xmlns:b='u' c='' b:c=''/>",
    "<a xmlns='u'><b xmlns=''/></a>",
    "<a xml:lang='en' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
    // References.
    "<a b='&#9;&#x1F600;&quot;'>&amp;&lt;&gt;&apos;&#xD7FF;&#xE000;&#x10FFFF;</a>",
    // Things that would be faults elsewhere.
    "<a b='>'>></a>",
    "<a><!--<:--><![CDATA[<:]]><?b <:?></a>",
    "<a><!-- <!DOCTYPE a> &#xD800; & <b> --></a>",
    "<a><![CDATA[<!DOCTYPE a> &#xD800; & <b> ]] ]]></a>",
    "<a b='&lt;!DOCTYPE a>'>&lt;!DOCTYPE a> !DOCTYPE &amp;#xD800;</a>",
    "<a><?b <!DOCTYPE a> &#xD800; ?></a>",
    "<DOCTYPE/>",
    "<a>xmlns:xmlns='' :b='' <b c='xmlns=\"\" xmlns=\"\"'/></a>",
    "<é:日 xmlns:é='u'/>",
];

#[test]
fn documents_are_accepted_and_kept_as_they_came() {
    for text in DOCUMENTS {
        let document = parse(*text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(document.frame().bytes(), text.as_bytes());
        assert!(document.root().is_element());
        assert_eq!(document.into_frame().bytes(), text.as_bytes());
    }
}

/// Texts that are no documents, and the byte at which that is noticed.
const OTHERS: &[(&str, usize)] = &[
    ("", 0),
    ("  \n", 0),
    ("\u{feff}", 3),
    ("Hello!", 0),
    ("%xt%z%1%", 0),
    ("!SOS<showMessage key='trace'>text</showMessage>\n", 0),
    ("{\"t\":\"xt\"}", 0),
    ("hi<a/>", 0),
    ("<a/>hi", 4),
    ("<a/><b/>", 4),
    ("<a/></a>", 4),
    ("<!-- c -->", 0),
    ("<a", 0),
    ("<a>", 3),
    ("<a><b></a>", 6),
    ("<a></b>", 3),
    ("<a>&nbsp;</a>", 3),
    ("<a>&</a>", 3),
    ("<a b='x & y'/>", 8),
    ("<a b='<x>'/>", 6),
    ("<a b='' b=''/>", 8),
    ("<a b/>", 4),
    ("<a b=c/>", 5),
    ("<a b=“c”/>", 5),
    ("<a>\u{1}</a>", 3),
    ("<a>]]></a>", 6),
    ("<a><!-- -- --></a>", 3),
    ("<1/>", 1),
    ("<stream:features/>", 1),
    ("<a b:c=''/>", 3),
    ("<xmlns:a/>", 1),
    // What the parser alone would let pass.
    ("<a>&#xD800;</a>", 3),
    ("<a b='&#55296;'/>", 6),
    ("<a>&#x110000;</a>", 3),
    ("<a_long_name><?instruction?>&#xD800;</a_long_name>", 28),
    ("<a><?xml?></a>", 3),
    ("<a/><?xml?>", 4),
    ("<?xml?><a/>", 0),
    ("<?XML version='1.0'?><a/>", 0),
    ("<a><?b'c'?></a>", 3),
    ("<a><?b:c?></a>", 3),
    ("<a xmlns='u' xmlns='v'/>", 13),
    ("<a xmlns:b=''/>", 3),
    ("<a xmlns:xmlns='u'/>", 3),
    ("<a b:xmlns='u'/>", 3),
    ("<:a/>", 0),
    ("<a></:a>", 3),
    ("<a :b=''/>", 3),
    // Document type declarations, in every form and place.
    ("<!DOCTYPE a><a/>", 0),
    ("<!DOCTYPE a []><a/>", 0),
    ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", 0),
    ("<!DOCTYPE a SYSTEM 'http://example.com/a.dtd'><a/>", 0),
    ("<!DOCTYPE a PUBLIC '-//A//B' 'file:///etc/passwd'><a/>", 0),
    ("<?xml version='1.0'?>\n<!DOCTYPE cross-domain-policy SYSTEM '/xml/dtds/cross-domain-policy.dtd'><a/>", 22),
    ("<!-- c --><!DOCTYPE a><a/>", 10),
    ("<!DOCTYPE", 0),
    ("<!DOCTYPE>", 0),
    ("<!DOCTYPEa><a/>", 0),
    ("<a/><!DOCTYPE a>", 4),
    ("<a><!DOCTYPE a></a>", 3),
    ("<!doctype html><html/>", 1),
    ("<!ENTITY a 'b'><a/>", 1),
];

#[test]
fn what_is_no_document_is_given_back_with_the_place_of_its_fault() {
    for (text, byte_offset) in OTHERS {
        let error = parse(*text).expect_err(text);
        assert_eq!((error.kind, error.byte_offset), (ParseErrorKind::NotXml, *byte_offset), "{text}: {error}");
    }
}

#[test]
fn entities_cannot_be_defined_so_they_cannot_explode() {
    let mut bomb = "<!DOCTYPE a [<!ENTITY a0 'ha'>".to_owned();
    for n in 1..30 {
        bomb += &format!("<!ENTITY a{n} '&a{0};&a{0};'>", n - 1);
    }
    assert_eq!(parse(bomb.clone() + "]><a>&a29;</a>").unwrap_err().kind, ParseErrorKind::NotXml);
    assert_eq!(parse("<a>&a29;</a>").unwrap_err().reason, "unknown entity reference 'a29'");
}

#[test]
fn bytes_that_are_not_utf8_are_refused_at_the_first_of_them() {
    for (bytes, byte_offset) in
        [(&b"\xff<a/>"[..], 0), (b"<a>\xe6\x97</a>", 3), (b"<a/>\xc0\x80", 4), (b"<a>\xed\xa0\x80", 3)]
    {
        let error = parse(bytes).unwrap_err();
        assert_eq!(error.kind, ParseErrorKind::NotUtf8);
        assert_eq!((error.byte_offset, error.line, error.column), (byte_offset, 0, 0));
    }
}

#[test]
fn limits_are_exact() {
    let kind = |text: String| parse(text).map_err(|error| error.kind).map(|_| ());
    let attributes = |count: usize| (0..count).map(|n| format!(" a{n}=''")).collect::<String>();
    assert_eq!(kind(format!("<a{}/>", attributes(ATTRIBUTES_MAX))), Ok(()));
    assert_eq!(kind(format!("<a{}/>", attributes(ATTRIBUTES_MAX + 1))), Err(ParseErrorKind::TooComplex));
    let half = attributes(ATTRIBUTES_MAX / 2 + 1);
    assert_eq!(kind(format!("<a{half}><b{half}/><!-- <c{half}{half}> --></a>")), Ok(()), "it is per element");

    let namespaces = |count: usize| (0..count).map(|n| format!(" xmlns:a{n}='u'")).collect::<String>();
    assert_eq!(kind(format!("<a{}/>", namespaces(NAMESPACES_MAX))), Ok(()));
    assert_eq!(kind(format!("<a{}/>", namespaces(NAMESPACES_MAX + 1))), Err(ParseErrorKind::TooComplex));
    let nested = |count: usize| format!("{}{}", "<a xmlns='u'>".repeat(count), "</a>".repeat(count));
    assert_eq!(kind(nested(NAMESPACES_MAX)), Ok(()));
    assert_eq!(kind(nested(NAMESPACES_MAX + 1)), Err(ParseErrorKind::TooComplex));
    let quoted = format!("<a b='{0}'><![CDATA[{0}]]>{0}</a>", "xmlns:a=\"u\" ".repeat(NAMESPACES_MAX + 1));
    assert_eq!(kind(quoted), Ok(()), "only declarations count");

    let address = |bytes: usize| format!("<a xmlns='{}'/>", "u".repeat(bytes));
    assert_eq!(kind(address(NAMESPACE_BYTES_MAX)), Ok(()));
    assert_eq!(kind(address(NAMESPACE_BYTES_MAX + 1)), Err(ParseErrorKind::TooComplex));

    // The document itself is a node too.
    let nodes = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count - 2));
    let nodes_max = usize::try_from(Limits::default().nodes_max).unwrap();
    assert_eq!(kind(nodes(nodes_max)), Ok(()));
    assert_eq!(kind(nodes(nodes_max + 1)), Err(ParseErrorKind::TooComplex));
}

#[test]
fn depth_needs_no_stack() {
    const DEPTH: usize = 100_000;
    let text = format!("{}x{}", "<a>".repeat(DEPTH), "</a>".repeat(DEPTH));
    // The stack of a client's thread.
    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
        let unclosed = Frame::try_from(&text[..text.len() / 2]).unwrap();
        assert!(Document::parse(unclosed, u32::MAX).is_err());
        let document = Document::parse(Frame::try_from(&*text).unwrap(), u32::MAX).map_err(|(_, error)| error).unwrap();
        assert_eq!(document.content().len(), text.len() - "<a></a>".len());
        assert_eq!(document.root().descendants().count(), DEPTH + 1);
        let copy = Element::new("b").content_of(&document).to_frame();
        assert_eq!(copy.len(), text.len());
        format!("{document:?}").len()
    });
    assert!(thread.unwrap().join().unwrap() > 7 * DEPTH);
}

/// Text with many characters that need care.
fn texts() -> impl Strategy<Value = String> {
    let nasty = select(
        "&<>\"'\r\n\t \u{0}\u{8}\u{b}\u{1f}\u{7f}\u{85}\u{2028}\u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{ffff}]-?é日😀"
            .chars()
            .collect::<Vec<_>>(),
    );
    vec(prop_oneof![2 => nasty, 1 => any::<char>()], 0..60).prop_map(String::from_iter)
}

/// What XML 1.0 allows of `text`.
fn legal(text: &str) -> String {
    let is_legal =
        |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().filter(is_legal).collect()
}

/// Pieces of markup, whole and broken, from which texts are put together that are now and then documents.
const PIECES: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    "<b>",
    "</b>",
    "<b/>",
    "<p:b/>",
    " c='d'",
    " e=\"f\"",
    " p:c='>'",
    "='",
    "'",
    "\"",
    "=",
    " ",
    "\n",
    "\r\n",
    " xmlns='u'",
    " xmlns:p='u'",
    " xmlns:q=''",
    " xmlns",
    "xmlns",
    ":",
    "&",
    "&#",
    ";",
    "&amp;",
    "&#65;",
    "&#xD800;",
    "&x;",
    "<!--",
    "-->",
    "--",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<?p q?>",
    "<?xml?>",
    "<!DOCTYPE b>",
    "</a>",
    "x",
    "é",
    "\u{feff}",
    "\u{1}",
];

fn soups() -> impl Strategy<Value = String> {
    let soup = |pieces| vec(select(PIECES), 0..pieces).prop_map(|pieces: Vec<&str>| pieces.concat());
    prop_oneof![
        soup(8),
        (soup(4), soup(7)).prop_map(|(attributes, content)| format!("<a{attributes}>{content}</a>")),
        (soup(3), soup(3)).prop_map(|(before, after)| format!("{before}<a xmlns:p='u'><b p:c='&lt;'>x</b></a>{after}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back_without_what_xml_forbids(value in texts(), before in texts(), after in texts()) {
        let child = Element::new("c").attribute("v", &value);
        let element = Element::new("a").attribute("v", &value).text(&before).child(&child).text(&after);
        let document = parse(element.to_frame().into_bytes()).expect("what we write is a document");
        prop_assert_eq!(document.attribute("v").unwrap(), legal(&value));
        let text = |node: Option<Node<'_, '_>>| node.and_then(|node| node.text()).unwrap_or_default().to_owned();
        let child = document.root().first_element_child().unwrap();
        prop_assert_eq!(child.attribute("v").unwrap(), legal(&value));
        prop_assert_eq!(text(child.prev_sibling()), legal(&before));
        prop_assert_eq!(text(child.next_sibling()), legal(&after));
    }

    #[test]
    fn content_can_be_moved_into_another_element(soup in soups()) {
        if let Ok(document) = parse(soup) {
            let copy = parse(Element::new("m").attribute("n", 1).content_of(&document).to_frame().into_bytes());
            let copy = copy.expect("what is relayed is a document");
            prop_assert_eq!(copy.content(), document.content());
            let meaning = |document: &Document| {
                let attribute = |a: Attribute<'_, '_>| format!("{:?} {} {}", a.namespace(), a.name(), a.value());
                let node = |node: Node<'_, '_>| {
                    let attributes: Vec<String> = node.attributes().map(attribute).collect();
                    format!("{:?} {:?} {:?} {attributes:?}", node.node_type(), node.tag_name(), node.text())
                };
                document.root().descendants().skip(1).map(node).collect::<Vec<_>>()
            };
            prop_assert_eq!(meaning(&copy), meaning(&document));
        }
    }

    #[test]
    fn what_is_admitted_stays_admitted_however_often_it_is_relayed(
        address in vec(select(&[">", "\"", "&amp;", "&#10;", "\n", "u"][..]), 1..300),
        prefixes in 0_usize..65,
    ) {
        let address = address.concat();
        let declared: String = (0..prefixes).map(|n| format!(" xmlns:p{n} = '{address}{n}'")).collect();
        if let Ok(document) = parse(format!("<a{declared}><p0:b/>text</a>")) {
            let mut relayed = document;
            for _ in 0..3 {
                let bytes = Element::new("m").attribute("n", 1).content_of(&relayed).to_frame().into_bytes();
                let length = bytes.len();
                let next = parse(bytes).expect("what is relayed is admitted");
                prop_assert_eq!(next.content(), relayed.content());
                prop_assert!(next.declarations().eq(relayed.declarations()));
                prop_assert!(length <= relayed.frame().len() + "<m n=\"1\"></m>".len());
                relayed = next;
            }
        }
    }
}
