//! What the most expensive frames cost: the time that one client can take from its thread, whatever it sends.

use std::time::{Duration, Instant};

use xmlsocket::wire::{ATTRIBUTES_MAX, Document, Frame, Limits, NAMESPACE_BYTES_MAX, NAMESPACES_MAX, ParseErrorKind};

/// The most that parsing, or refusing, a frame may take; the worst known frame takes 6 ms. Without optimisation
/// everything is 7 to 13 times slower, the worst 50 ms, so there the bound is ten times as wide.
const COST_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });

/// Runs of which the best counts: on a busy machine any one of them may be interrupted.
const RUNS: usize = 10;

/// Parses `text` with the default limits and gives the outcome, after checking what it cost.
fn check_cost(what: &str, text: &str) -> Result<(), ParseErrorKind> {
    let limits = Limits::default();
    assert!(text.len() as u64 <= limits.frame_bytes_max, "{what}: the frame is not admitted");
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let frame = Frame::try_from(text).expect("no zero byte");
        let start = Instant::now();
        let outcome = Document::parse(frame, limits.nodes_max as u32);
        best = best.min(start.elapsed());
        if best < COST_MAX {
            return outcome.map(drop).map_err(|(_, error)| error.kind);
        }
    }
    panic!("{what}: {best:?}, which is more than {COST_MAX:?}");
}

/// A frame as long as is admitted: `head`, then pieces while there is room, then `tail`.
fn fill(head: &str, mut piece: impl FnMut(usize) -> String, tail: &str) -> String {
    let room = Limits::default().frame_bytes_max as usize - tail.len();
    let mut text = head.to_owned();
    for n in 0.. {
        let piece = piece(n);
        if piece.is_empty() || text.len() + piece.len() > room {
            break;
        }
        text += &piece;
    }
    text + tail
}

/// The shortest names, one for each `n`.
fn name(n: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    let last = char::from(LETTERS[n % LETTERS.len()]);
    if n < LETTERS.len() { last.to_string() } else { name(n / LETTERS.len() - 1) + &last.to_string() }
}

/// `count` attributes with names after `prefix`, all with `value`.
fn attributes(count: usize, prefix: &str, value: &str) -> String {
    (0..count).map(|n| format!(" {prefix}{}='{value}'", name(n))).collect()
}

/// The most nodes that leave some room for the root and its text.
fn nodes() -> usize {
    Limits::default().nodes_max as usize - 10
}

/// For [`fill`]: `count` times `piece`, then blanks.
fn up_to(count: usize, piece: &str) -> impl FnMut(usize) -> String + use<> {
    let piece = piece.to_owned();
    move |n| if n < count { piece.clone() } else { " ".to_owned() }
}

/// For [`fill`]: `piece` as often as there is room.
fn all(piece: &str) -> impl FnMut(usize) -> String + use<> {
    up_to(usize::MAX, piece)
}

#[test]
fn no_attributes_take_long() {
    const MOST: usize = ATTRIBUTES_MAX - 1;
    let tag = |prefix: &str, value: &str| all(&format!("<a{}/>", attributes(MOST, prefix, value)));
    let address = "u".repeat(NAMESPACE_BYTES_MAX);
    let root = format!("<r xmlns:a='{address}'>");
    // As many prefixes with addresses of equal length as leave room, and each name with each of them.
    let roots: String = (0..26).map(|n| format!(" xmlns:{}='{}{n:02}'", name(n), &address[2..])).collect();
    let mixed: String = (0..MOST).map(|n| format!(" {}:{}=''", name(n % 26), name(n / 26))).collect();
    for (what, text) in [
        ("attributes", fill("<r>", tag("", ""), "</r>")),
        ("attributes with long names", fill("<r>", tag(&"n".repeat(30), ""), "</r>")),
        ("attributes that need memory", fill("<r>", tag("", "\t"), "</r>")),
        ("a long address", fill(&root, tag("a:", ""), "</r>")),
        ("a long address and memory", fill(&root, tag("a:", "\t"), "</r>")),
        ("long addresses", fill(&format!("<r{roots}>"), all(&format!("<a{mixed}/>")), "</r>")),
        ("references in a value", fill("<r a='", all("&lt;"), "'/>")),
        ("spaces in a tag", fill("<r", all(" "), "/>")),
    ] {
        assert_eq!(check_cost(what, &text), Ok(()), "{what}");
    }
}

#[test]
fn no_namespaces_take_long() {
    let root: String = (0..NAMESPACES_MAX).map(|n| format!(" xmlns:{}='u{n}'", name(n))).collect();
    let root = format!("<r{root}>");
    let last = name(NAMESPACES_MAX - 1);
    let nested: String = (0..NAMESPACES_MAX).map(|n| format!("<a xmlns:{}='u'>", name(n))).collect();
    let long = "p".repeat(400);
    let long_root = format!("<r xmlns:{long}a='u' xmlns:{long}b='v'>");
    for (what, text) in [
        ("elements", fill(&root, up_to(nodes(), "<a/>"), "</r>")),
        ("elements with a prefix", fill(&root, up_to(nodes(), &format!("<{last}:a/>")), "</r>")),
        ("attributes", fill(&root, all(&format!("<a{}/>", attributes(100, &format!("{last}:"), ""))), "</r>")),
        ("nested", fill(&nested, up_to(nodes() - NAMESPACES_MAX, "<a/>"), &"</a>".repeat(NAMESPACES_MAX))),
        ("long prefixes", fill(&long_root, all(&format!("<{long}b:c/>")), "</r>")),
        ("the word xmlns", fill("<r>", all("xmlns"), "</r>")),
    ] {
        assert_eq!(check_cost(what, &text), Ok(()), "{what}");
    }
}

#[test]
fn no_nodes_take_long() {
    for (what, text) in [
        ("depth", fill(&"<a>".repeat(nodes()), all("x"), &"</a>".repeat(nodes()))),
        ("elements", fill("<r>", up_to(nodes(), "<a/>"), "</r>")),
        ("texts that need memory", fill("<r>", up_to(nodes() / 2, "<a/>&lt;"), "</r>")),
        ("comments", fill("<r>", up_to(nodes() / 2, "<!---->x"), "</r>")),
        ("instructions", fill("<r>", up_to(nodes(), "<?a b?>"), "</r>")),
        ("references", fill("<r>", all("&#9;"), "</r>")),
        ("empty pieces", fill("<r>", all("<![CDATA[]]>"), "</r>")),
        ("pieces that are merged", fill("<r>", all("<![CDATA[a]]>\r"), "</r>")),
        ("dashes", fill("<r><!--", all("- "), "--></r>")),
        ("brackets", fill("<r><![CDATA[", all("]"), "]]></r>")),
        ("greater-than signs", fill("<r>", all("]>"), "</r>")),
        ("question marks", fill("<r><?a ", all("?"), "?></r>")),
        ("what looks like markup", fill("<r><![CDATA[", all("<"), "]]></r>")),
        ("equals signs", fill("<r>", all("="), "</r>")),
        ("text", fill("<r>", all("é"), "</r>")),
    ] {
        assert_eq!(check_cost(what, &text), Ok(()), "{what}");
    }
}

#[test]
fn no_refusal_takes_long() {
    let long_address = format!("<r xmlns:a='{}'>", "u".repeat(32_000));
    let (long_a, long_b) = (format!("<{}>", "a".repeat(30_000)), format!("</{}>", "b".repeat(30_000)));
    for (what, text) in [
        // Without the limits these took 0.15 s, 0.6 s and 2.7 s.
        ("attributes", fill("<a", |n| format!(" {}=''", name(n)), "/>")),
        ("a long address", fill(&long_address, all(&format!("<a{}/>", attributes(127, "a:", ""))), "</r>")),
        ("nested namespaces", fill("", |n| format!("<a xmlns:{}='u'>", name(n)), "")),
        ("elements", fill("<r>", all("<a/>"), "</r>")),
        ("depth", fill("", all("<a>"), "")),
    ] {
        assert_eq!(check_cost(what, &text), Err(ParseErrorKind::TooComplex), "{what}");
    }
    for (what, text) in [
        ("a duplicate at the end", fill("<r>", all(&format!("<a{}/>", attributes(127, "", ""))), "<a a='' a=''/></r>")),
        ("an unknown reference at the end", fill("<r>", all("&lt;"), "&nbsp;</r>")),
        ("a lone ampersand at the end of many lines", fill("<r>", all("\n"), "&")),
        ("a lone ampersand at the end of a long line", fill("<r>", all("é"), "&")),
        ("no end tag", fill("<r>", all("x"), "")),
        ("another end tag", fill(&long_a, all("x"), &long_b)),
        ("no closing quote", fill("<r a='", all("x"), "")),
        ("quotes", fill("<r ", all("'"), "")),
        ("open comments", fill("<r>", all("<!--"), "")),
        ("open sections", fill("<r>", all("<![CDATA["), "")),
        ("open instructions", fill("<r>", all("<?a "), "")),
        ("open tags", fill("", all("<"), "")),
        ("open tags with quotes", fill("", all("<a b='"), "")),
        ("ampersands", fill("<r>", all("&#"), "")),
        ("a long number", fill("<r>&#x", all("0"), "")),
        ("a type declaration", fill("<!DOCTYPE a [", all("<!ENTITY a 'b'>"), "")),
    ] {
        assert_eq!(check_cost(what, &text), Err(ParseErrorKind::NotXml), "{what}");
    }
}
