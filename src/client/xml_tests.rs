//! Documents, well-formed and malformed, each with the status and the tree that a player makes of it.

use std::fmt::Write;

use super::*;

/// The tree in short: elements as `name(attribute=value)[children]`, text in quotes.
fn outline(xml: &Xml) -> String {
    fn write(node: XmlNode<'_>, out: &mut String) {
        match node.name() {
            None => write!(out, "{:?}", node.value().unwrap()).unwrap(),
            Some(name) => {
                out.push_str(name);
                for (name, value) in node.attributes() {
                    write!(out, "({name}={value})").unwrap();
                }
                if node.first_child().is_some() {
                    out.push('[');
                    node.children().for_each(|child| write(child, out));
                    out.push(']');
                }
            }
        }
        out.push(' ');
    }
    let mut out = String::new();
    xml.children().for_each(|node| write(node, &mut out));
    out.replace(" ]", "]").trim_end().to_owned()
}

/// Text, the code of its status, and what the tree holds: all of it, or what came before the fault.
const TABLE: &[(&str, i8, &str)] = &[
    // 0: well-formed, or nothing that a player minds.
    ("", 0, ""),
    ("Hello!", 0, "\"Hello!\""),
    ("%xt%z%1%", 0, "\"%xt%z%1%\""),
    ("<a/>", 0, "a"),
    ("<a b='1' c = \"2\" />", 0, "a(b=1)(c=2)"),
    ("<a><b>c</b></a>", 0, "a[b[\"c\"]]"),
    ("<a/><b/>", 0, "a b"),
    ("hi<a/>", 0, "\"hi\" a"),
    ("\n<a> </a>", 0, "\"\\n\" a[\" \"]"),
    ("<a></A >", 0, "a"),
    ("<x:a/>", 0, "x:a"),
    ("<1/>", 0, "1"),
    ("<a b='<x>' b='2'/>", 0, "a(b=<x>)(b=2)"),
    (
        "<a>&lt;&amp;&gt;&quot;&apos;&nbsp;&#65;&#x42;&unknown;& &#x110000;</a>",
        0,
        "a[\"<&>\\\"'\\u{a0}AB&unknown;& &#x110000;\"]",
    ),
    ("<a b='&lt;'/>", 0, "a(b=<)"),
    ("<a><![CDATA[<b>&lt;]]></a>", 0, "a[\"<b>&lt;\"]"),
    ("<?xml version='1.0'?><a/>", 0, "a"),
    ("<!DOCTYPE a [<!ELEMENT a ANY>]><a/>", 0, "a"),
    ("<!doctype a><a/>", 0, "a"),
    ("<!-- <b> --><a/>", 0, "a"),
    ("]]> > --> ?>", 0, "\"]]> > --> ?>\""),
    // -2: a CDATA section that does not end.
    ("<![CDATA[", -2, ""),
    ("<a><![CDATA[b</a>", -2, "a"),
    ("<a/><![CDATA[b]] >", -2, "a"),
    // -3: a declaration that does not end.
    ("<?xml version='1.0'", -3, ""),
    ("<?xml version='1.0'><a/>", -3, ""),
    ("<a/><?", -3, "a"),
    // -4: a document type declaration that does not end.
    ("<!DOCTYPE", -4, ""),
    ("<!DOCTYPE a [<!ELEMENT a ANY]><a/", -4, ""),
    ("<a/><!DOCTYPE a", -4, "a"),
    // -5: a comment that does not end.
    ("<!--", -5, ""),
    ("<!-->", -5, ""),
    ("<a><!-- b -- ></a>", -5, "a"),
    // -6: a malformed tag.
    ("<", -6, ""),
    ("<>", -6, ""),
    ("</>", -6, ""),
    ("</a", -6, ""),
    ("< a/>", -6, ""),
    ("<a", -6, ""),
    ("<a ", -6, ""),
    ("<a b", -6, ""),
    ("<a b>", -6, ""),
    ("<a b=>", -6, ""),
    ("<a b=c>", -6, ""),
    ("<a ='c'>", -6, ""),
    ("<a b='c'", -6, ""),
    ("<z><a b='c' / ></z>", -6, "z"),
    ("<z>y<a/", -6, "z[\"y\"]"),
    // -8: an attribute's value that does not end.
    ("<a b='", -8, ""),
    ("<a b='c>d</a>", -8, ""),
    ("<a b=\"c'/>", -8, ""),
    ("<z><a b='c' d='e></z>", -8, "z"),
    // -9: a start tag without its end tag.
    ("<a>", -9, "a"),
    ("<a><b></a>", -9, "a[b]"),
    ("<a><b></a></b>", -9, "a[b]"),
    ("<a><b>c</b>", -9, "a[b[\"c\"]]"),
    ("<!a>", -9, "!a"),
    // -10: an end tag without its start tag.
    ("</a>", -10, ""),
    ("<a/></a>", -10, "a"),
    ("<a></b></a>", -10, "a"),
    ("b</a>", -10, "\"b\""),
];

#[test]
fn each_text_has_the_status_and_the_tree_that_a_player_gives_it() {
    for &(text, code, tree) in TABLE {
        let xml = Xml::parse(text);
        assert_eq!((xml.status().code(), outline(&xml).as_str()), (code, tree), "{text:?}");
        assert_eq!((xml.source(), xml.to_string().as_str()), (text, text));
    }
    let codes: std::collections::BTreeSet<i8> = TABLE.iter().map(|row| row.1).collect();
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), [-10, -9, -8, -6, -5, -4, -3, -2, 0], "and -7 below");
}

#[test]
fn too_much_is_out_of_memory() {
    for text in
        ["<a/>".repeat(NODES_MAX + 1), "<a>".repeat(NODES_MAX + 1), format!("<a{}/>", " b=''".repeat(NODES_MAX))]
    {
        let xml = Xml::parse(&text);
        assert_eq!((xml.status(), xml.status().code()), (Status::Memory, -7));
        assert!(xml.nodes.len() <= NODES_MAX + 1);
    }
    assert_eq!(Xml::parse(&"<a/>".repeat(NODES_MAX)).status(), Status::Ok);
    assert_eq!(Xml::parse(&format!("<a{}/>", " b=''".repeat(NODES_MAX - 1))).status(), Status::Ok);
    assert_eq!(Xml::parse(&"<a>".repeat(NODES_MAX)).status(), Status::StartTag);
}

#[test]
fn declarations_are_kept_white_space_can_be_ignored_and_the_text_parsed_strictly() {
    let text = "<?xml version='1.0'?>\n<!DOCTYPE a>\n<a> <b> c </b>\n</a>\n";
    let xml = Xml::parse_ignoring_white(text);
    assert_eq!(outline(&xml), "a[b[\" c \"]]");
    assert_eq!((xml.xml_declaration(), xml.document_type()), ("<?xml version='1.0'?>", "<!DOCTYPE a>"));
    assert_eq!(outline(&Xml::parse("<a> </a>")), "a[\" \"]");
    let b = xml.first_child().unwrap().first_child().unwrap();
    assert_eq!((b.name(), b.value(), b.attribute("c")), (Some("b"), None, None));
    assert_eq!(Xml::parse("<a b='1' b='2'/>").first_child().unwrap().attribute("b"), Some("1"));
    assert_eq!(Xml::parse("<a b='1'/>").document(9).unwrap().attribute("b"), Some("1"));
    assert!(xml.document(9).is_err(), "a document type declaration is refused there");
}

#[test]
fn no_prefix_of_any_text_panics() {
    for &(text, ..) in TABLE {
        for (end, _) in text.char_indices() {
            let xml = Xml::parse(&text[..end]);
            assert!(outline(&xml).len() <= 8 * text.len());
        }
    }
    assert_eq!(Xml::parse("<\u{e9}DOCTYPE\u{e9}").status(), Status::Element);
    assert_eq!(
        outline(&Xml::parse("&\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9};")),
        "\"&\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9};\""
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_the_tree_holds_no_more_than_the_text(
        pieces in proptest::collection::vec("[<>/!?a:= '\"&#x;\u{e9}\\-\\[\\]]{0,8}|<a>|</a>|<b c='d'/>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?xml|<!DOCTYPE", 0..12),
    ) {
        let text = pieces.concat();
        let xml = Xml::parse(&text);
        proptest::prop_assert!(xml.nodes.len() <= text.len() + 1);
        let strict = xml.document(1_000);
        // What a strict parser takes, a lenient one takes.
        if strict.is_ok() {
            proptest::prop_assert_eq!(xml.status(), Status::Ok);
        }
    }
}
