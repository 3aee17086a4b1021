//! Streams, both ways.

use super::*;
use crate::wire::split_frames;

/// A framing after a root.
fn framed(root: &str, bytes_max: usize) -> Framed {
    let mut opening = Opening::new(bytes_max, 100);
    let mut bytes = root.as_bytes().to_vec();
    let root = opening.take(&mut bytes).unwrap().unwrap();
    assert_eq!(opening.scanner.scan(&bytes).unwrap().0, bytes.len(), "it is a root and nothing else");
    opening.open(root).unwrap().0
}

fn elements(bytes_max: usize) -> Box<dyn Decoder> {
    framed("<r xmlns:p='urn:p'>", bytes_max).decoder
}

/// What some bytes amount to, a step each; `!` is an element that is not complete.
fn steps(elements: &mut Box<dyn Decoder>, mut bytes: &str) -> Vec<String> {
    let mut steps = Vec::new();
    loop {
        let mut frames = Vec::new();
        let (used, decoded) = match elements.decode(bytes.as_bytes(), &mut frames) {
            Ok(decoded) => decoded,
            Err(end) => {
                steps.push(format!("{:?}: {}", end.reason, String::from_utf8_lossy(&end.reply)));
                return steps;
            }
        };
        bytes = &bytes[used..];
        match decoded {
            Decoded::Frames => steps.extend(split_frames(&frames).map(|f| String::from_utf8_lossy(f).into_owned())),
            Decoded::Reply(reply) => steps.push(format!("reply {}", String::from_utf8(reply.bytes).unwrap())),
            Decoded::Idle => steps.push("idle".to_owned()),
            Decoded::Unfinished => {
                steps.extend(elements.is_unfinished().then(|| "!".to_owned()));
                return steps;
            }
        }
    }
}

#[test]
fn elements_become_frames_with_their_namespaces_one_at_a_time() {
    let mut elements = elements(100);
    let mut frames = Vec::new();
    let (used, _) = elements.decode(b"<a/><b/>", &mut frames).unwrap();
    assert_eq!((used, frames.escape_ascii().to_string().as_str()), (4, r"<a/>\x00"));
    assert_eq!(steps(&mut elements, "<b/>\n<p:b>x</p:b>\0<c"), ["<b/>", "<p:b xmlns:p='urn:p'>x</p:b>", "!"]);
    assert_eq!(steps(&mut elements, "/>"), ["<c/>"]);
    assert_eq!(steps(&mut elements, " "), ["idle"], "activity");
    assert_eq!(steps(&mut elements, "<d/></r><e/>"), ["<d/>", "ByPeer: "], "the application has yet to answer");
}

#[test]
fn a_stream_begins_anew_with_a_root_of_ours() {
    let mut elements = elements(100);
    assert_eq!(steps(&mut elements, "<a/><r id='2'><b/>"), ["<a/>", "reply <r id='2'>", "<b/>"]);
    assert_eq!(steps(&mut elements, "<?xml version='1.0'?><s>"), ["reply <?xml version='1.0'?><s>"]);
    let steps = steps(&mut elements, "<?xml version='1.0'?><q:s>");
    assert!(steps[0].starts_with("ProtocolError") && steps[0].contains("<error code=\"not-xml\""), "{steps:?}");
}

#[test]
fn what_cannot_be_followed_ends_the_stream() {
    let long = steps(&mut elements(20), "<a>12345678901234567890");
    assert_eq!(long, ["FrameTooLong { frame_bytes_max: 20 }: "]);
    let broken = steps(&mut elements(20), "<a/></b>");
    assert_eq!(broken[0], "<a/>", "what came before counts");
    assert!(broken[1].contains("end tag") && broken[1].contains("<error code=\"not-xml\""), "{broken:?}");
}

#[test]
fn what_is_no_element_is_counted_wherever_it_is_cut() {
    let comments = "<!-- of forty bytes, which nobody reads -->".repeat(1_000);
    for length in [1, 39, 1_000, 4_000] {
        let mut elements = elements(100);
        let pieces = comments.as_bytes().chunks(length).map(|piece| str::from_utf8(piece).unwrap());
        let idle: usize = pieces.map(|piece| steps(&mut elements, piece).iter().filter(|s| *s == "idle").count()).sum();
        assert!(idle >= comments.len() / length.max(2 * IDLE_BYTES), "{idle} in pieces of {length}");
    }
    let mut elements = elements(50_000);
    let element = format!("<a>{}</a>", "x".repeat(40_000));
    let idle: usize = element
        .as_bytes()
        .chunks(100)
        .map(|piece| steps(&mut elements, str::from_utf8(piece).unwrap()).iter().filter(|s| *s == "idle").count())
        .sum();
    assert_eq!(idle, 0, "an element is counted when it is complete");
}

#[test]
fn namespaces_of_a_root_are_bounded_altogether() {
    let open = |bytes: usize| {
        let declared: String = (0..bytes / 100).map(|n| format!(" xmlns:p{n:03}='{}'", "u".repeat(86))).collect();
        let mut opening = Opening::new(65_536, 100);
        let root = opening.take(&mut format!("<r{declared}>").into_bytes()).unwrap().unwrap();
        opening.open(root).map(|_| ())
    };
    assert!(open(4_000).is_ok());
    let end = open(4_200).unwrap_err();
    let reply = String::from_utf8(end.reply).unwrap();
    assert!(reply.starts_with("<error code=\"too-complex\""), "{reply}");
}

#[test]
fn only_what_is_read_as_exactly_one_element_is_sent() {
    let encoder = framed("<r a='1'>", 100).encoder;
    for (frames, sent) in [
        (&["<a/>", "<b>x</b>"][..], "<a/><b>x</b>"),
        (&["\u{feff}<?xml version='1.0'?>\n<!--> - --><?p ?> <a/>\n", "<b/>"], "<a/><b/>"),
        (&["<r/>", "<r>", "<r x='1'>", "<!-- r --><r\n/>", "<ra/>", "<r:a/>"], "<ra/><r:a/>"),
        (&["", " ", "<a/> <!-- b -->"], "<a/>"),
        // Whatever would be read as something else, or as more, or as nothing.
        (&["\u{feff}\u{feff}<?xml version='1.0'?><a/>", "\u{feff}\u{feff}<r/>", " \u{feff}<a/>"], ""),
        (&["<!-- never ended", "<?", "text", "<a>", "</r>", "<a/></r>", "<a/><b/>", "<a/>text", "<![CDATA[]]>"], ""),
        (&["<a/><?xml version='1.0'?><s>", "<a></a></r>", "<!DOCTYPE r><a/>", "<a", "<a b='"], ""),
    ] {
        let mut out = Vec::new();
        frames.iter().for_each(|frame| encoder.encode(frame.as_bytes(), &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), sent, "{frames:?}");
    }
    assert_eq!(encoder.goodbye(&CloseReason::Shutdown), b"</r>");
}

proptest::proptest! {
    #[test]
    fn each_frame_that_is_sent_is_read_as_one_element(
        frames in proptest::collection::vec("(\u{feff}|<[?]xml version='1[.]0'[?]>|<[?]p[?]>|<!---->|<r>|</r>|<r/>|<a>|</a>|<a/>|<b c='>'>|</b>|<!\\[CDATA\\[|\\]\\]>|<!|x| |\n|\"){0,5}", 0..9),
    ) {
        let framed = framed("<r>", 1_000);
        let mut reader = framed.decoder;
        for frame in frames {
            let mut out = Vec::new();
            framed.encoder.encode(frame.as_bytes(), &mut out);
            let out = String::from_utf8(out).unwrap();
            let read = steps(&mut reader, &out);
            let expected = if out.is_empty() { Vec::new() } else { vec![out.clone()] };
            proptest::prop_assert_eq!(read, expected);
            proptest::prop_assert!(frame.contains(&out));
        }
    }
}
