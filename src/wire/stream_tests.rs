//! The scanner of endless documents: every stream whole, cut at every byte, and byte by byte.

use std::error::Error;
use std::io::{BufReader, Read};

use super::*;

/// What a stream amounts to, in a few words each.
fn words(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Opened(root) => format!("opened {}", root.name()),
        StreamEvent::Restarted(root) => format!("restarted {}{}", root.name(), root.attributes()),
        StreamEvent::Element(fragment) => fragment.frame().text().unwrap().to_owned(),
        StreamEvent::Discarded { bytes } => format!("discarded {bytes}"),
        StreamEvent::Closed => "closed".to_owned(),
    }
}

fn scan(scanner: &mut StreamScanner, mut input: &[u8], events: &mut Vec<String>) {
    loop {
        match scanner.scan(input) {
            Ok((used, event)) => {
                input = &input[used..];
                match event {
                    Some(event) => events.push(words(&event)),
                    None => return assert!(input.is_empty(), "all is used"),
                }
            }
            Err(error) => return events.push(format!("error: {error}")),
        }
    }
}

/// Checks `stream` in one piece, in two pieces cut at every byte, in single bytes, and through the reader.
fn check_with(max: usize, overflow: Overflow, stream: &str, expected: &[&str]) {
    let stream = stream.as_bytes();
    for cut in 0..=stream.len() {
        let mut scanner = StreamScanner::new(max, overflow);
        let mut events = Vec::new();
        scan(&mut scanner, &stream[..cut], &mut events);
        if !events.last().is_some_and(|event| event.starts_with("error")) {
            scan(&mut scanner, &stream[cut..], &mut events);
        }
        assert_eq!(events, expected, "cut at {cut}");
    }
    for capacity in [1, 2, 3, 5, 8192] {
        let reader = BufReader::with_capacity(capacity, stream);
        let mut reader = StreamReader::new(reader, StreamScanner::new(max, overflow));
        let mut events = Vec::new();
        loop {
            match reader.read() {
                Ok(Some(event)) => events.push(words(&event)),
                Ok(None) => break,
                Err(error) => {
                    events.push(format!("error: {error}"));
                    break;
                }
            }
        }
        assert_eq!(events, expected, "read {capacity} bytes at a time");
    }
}

fn check(stream: &str, expected: &[&str]) {
    check_with(UNPROCESSED_BYTES_MAX, Overflow::Close, stream, expected);
}

#[test]
fn each_top_level_element_is_told_when_it_is_complete() {
    check(
        "\u{feff}<?xml version='1.0'?>\n<!-- c --><s:s to='a'>\n<a/> <b c='d'>e<b>f</b></b>text<g></g></s:s>",
        &["opened s:s", "<a/>", "<b c='d'>e<b>f</b></b>", "<g></g>", "closed"],
    );
    check("<s><a/><b>unfinished", &["opened s", "<a/>"]);
    check("<s></s>", &["opened s", "closed"]);
    check("<s/>", &["opened s", "closed"]);
    check("<s /><ignored/>", &["opened s", "closed"]);
    check("<s></s >\n<anything&\0", &["opened s", "closed"]);
    check("<s><\u{e9}>\u{20ac}</\u{e9}></s>", &["opened s", "<\u{e9}>\u{20ac}</\u{e9}>", "closed"]);
    check("<s>\0<a/>\0 \0<b/>\0</s>\0", &["opened s", "<a/>", "<b/>", "closed"]);
}

#[test]
fn what_looks_like_a_tag_and_is_none_does_not_count() {
    for element in [
        r#"<a b="x>y" c='</a>' d='"'/>"#,
        "<a><!-- </a> <b> - -- > --></a>",
        "<a><!----></a>",
        "<a><![CDATA[</a>]]]]><![CDATA[>]] ></a>]]></a>",
        "<a><?p </a> ? > ??></a>",
        "<a/ b='c'></a>",
        "<a b='/'>text > more</a>",
        "<a b=/>",
    ] {
        check(&format!("<s>{element}<z/></s>"), &["opened s", element, "<z/>", "closed"]);
    }
    for between in ["<!-- <a> -->", "<![CDATA[<a>]]>", "<?p <a> ?>", "<?xmlish?>", "text &amp; more", ">", "<!-->-->"] {
        check(&format!("<s>{between}<z/>{between}</s>"), &["opened s", "<z/>", "closed"]);
    }
    for before in
        ["<!DOCTYPE s>", "<!DOCTYPE s [<!ENTITY a '>]'>]>", "<!DOCTYPE s PUBLIC \"]>\" 'x'>", "<?p?>", "<!---->"]
    {
        check(&format!("{before} <s>{}</s>", "<z/>"), &["opened s", "<z/>", "closed"]);
    }
}

#[test]
fn a_stream_begins_anew_with_a_declaration_or_with_its_roots_name() {
    check("<s:s a='1'><x/><s:s b='2'><y/></s:s>", &["opened s:s", "<x/>", "restarted s:s b='2'", "<y/>", "closed"]);
    check(
        "<s:s><x/><?xml version='1.0'?>\n<t c='3'><y/></t>",
        &["opened s:s", "<x/>", "restarted t c='3'", "<y/>", "closed"],
    );
    check("<s><s/>", &["opened s", "restarted s", "closed"]);
    check("<s><a><s></s><?xml?></a></s>", &["opened s", "<a><s></s><?xml?></a>", "closed"]);
    check("<s><ss/></s>", &["opened s", "<ss/>", "closed"]);
}

#[test]
fn where_nothing_can_be_told_the_stream_ends() {
    for (stream, part, offset) in [
        ("hello", "text before the root", 0),
        (" \u{feff}<s>", "text before the root", 1),
        ("<![CDATA[a]]><s>", "text before the root", 12),
        ("</s>", "an end tag that is not", 3),
        ("<s></t>", "an end tag that is not", 6),
        ("<s>< a/>", "begins nothing", 4),
        ("<s><1/>", "begins nothing", 4),
        ("<s><a <b/></a>", "inside a tag", 6),
        ("<s><a></a<b/>", "inside a tag", 9),
        ("<s><!DOCTYPE a>", "begins nothing that may", 5),
        ("<s><!-x", "begins nothing that may", 6),
        ("<s><![CDATE[", "begins nothing that may", 10),
        ("<s><a>\0</a>", "a zero byte", 6),
    ] {
        let mut events = Vec::new();
        scan(&mut StreamScanner::new(99, Overflow::Discard), stream.as_bytes(), &mut events);
        let error = events.last().unwrap();
        assert!(error.contains(part) && error.contains(&format!("byte {offset} ")), "{stream}: {error}");
    }
}

#[test]
fn an_element_may_be_as_long_as_the_limit_and_no_longer() {
    let too_long = "error: an element, or what should be one, is longer than 10 bytes";
    let (close, discard) = (Overflow::Close, Overflow::Discard);
    check_with(10, close, "<s><a>345</a></s>", &["opened s", "<a>345</a>", "closed"]);
    check_with(10, close, "<s><a>3456</a>", &["opened s", too_long]);
    check_with(10, close, "<s>12345678901", &["opened s", too_long]);
    check_with(10, close, "<s><!--567-->", &["opened s"]);
    check_with(10, close, "<s><!--567-->12345678901", &["opened s", too_long]);
    check_with(10, close, "<s><!--567-->1234567890<a/>", &["opened s", "<a/>"]);
    check_with(10, close, "<s><!--5678-->", &["opened s", too_long]);
    for overflow in [close, discard] {
        check_with(10, overflow, "<s23456789>", &[too_long]);
        check_with(10, overflow, "<!--5678901-->", &[too_long]);
        check_with(10, overflow, &format!("<s>{}<a/></s>", " ".repeat(50)), &["opened s", "<a/>", "closed"]);
    }
    check_with(10, discard, "<s><a>3456</a><b/></s>", &["opened s", "discarded 11", "<b/>", "closed"]);
    check_with(10, discard, "<s><a x='</a>'><!--</a>--></a><b/></s>", &["opened s", "discarded 27", "<b/>", "closed"]);
    check_with(10, discard, "<s><!--5678901--><b/></s>", &["opened s", "discarded 14", "<b/>", "closed"]);
    check_with(10, discard, "<s>12345678901<b/></s>", &["opened s", "discarded 11", "<b/>", "closed"]);
    check_with(0, discard, "<s>", &["error: an element, or what should be one, is longer than 0 bytes"]);
}

#[test]
fn it_is_known_whether_something_is_unfinished() {
    let mut scanner = StreamScanner::new(99, Overflow::Close);
    for (piece, between) in
        [(" ", true), ("<", false), ("s>", true), (" x", true), ("<a>", false), ("b", false), ("</a>", true)]
    {
        scan(&mut scanner, piece.as_bytes(), &mut Vec::new());
        assert_eq!(scanner.is_between_elements(), between, "after {piece}");
    }
    scan(&mut scanner, b"</s><a", &mut Vec::new());
    assert!(scanner.is_between_elements(), "nothing counts after the end");
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_the_same_events_however_they_are_cut(
        pieces in proptest::collection::vec("[<>/!?a:= '\"\u{e9}\\-\\[\\]\u{0}]{0,6}|<s>|</s>|<a>|</a>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?xml|\\?>", 0..12),
        max in 0_usize..40,
        discard in proptest::bool::ANY,
    ) {
        let overflow = if discard { Overflow::Discard } else { Overflow::Close };
        let whole = format!("<s>{}", pieces.concat());
        let mut expected = Vec::new();
        scan(&mut StreamScanner::new(max, overflow), whole.as_bytes(), &mut expected);
        let mut scanner = StreamScanner::new(max, overflow);
        let mut events: Vec<String> = Vec::new();
        for byte in whole.as_bytes() {
            if !events.last().is_some_and(|event| event.starts_with("error")) {
                scan(&mut scanner, &[*byte], &mut events);
                proptest::prop_assert!(scanner.item.len() <= max);
            }
        }
        proptest::prop_assert_eq!(events, expected);
    }
}

/// Gives out `outcomes`, the last first.
struct Failing(Vec<io::Result<&'static [u8]>>);

impl Read for Failing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.pop().unwrap_or(Ok(b"")).map(|bytes| {
            out[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        })
    }
}

#[test]
fn what_a_signal_interrupts_goes_on_and_other_failures_are_handed_on() {
    let failing =
        |outcomes| StreamReader::new(BufReader::new(Failing(outcomes)), StreamScanner::new(99, Overflow::Close));
    let interrupted = || Err(io::ErrorKind::Interrupted.into());
    let mut reader = failing(vec![Ok(b"a>".as_slice()), interrupted(), Ok(b"<".as_slice()), interrupted()]);
    assert_eq!(words(&reader.read().unwrap().unwrap()), "opened a");

    let mut reader = failing(vec![Ok(b"a>".as_slice()), Err(io::ErrorKind::WouldBlock.into()), Ok(b"<".as_slice())]);
    let error = reader.read().unwrap_err();
    assert!(matches!(&error, StreamError::Io(error) if error.kind() == io::ErrorKind::WouldBlock), "{error:?}");
    assert!(error.source().is_some_and(|source| source.is::<io::Error>()));
    assert_eq!(words(&reader.read().unwrap().unwrap()), "opened a", "nothing is lost");
    assert!(StreamError::TooLong { unprocessed_max: 9 }.source().is_none());
}
