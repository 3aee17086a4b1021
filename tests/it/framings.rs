//! Every framing beside every other, over sockets: n frames that are sent are n frames that are read, whatever is in them.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use socket2::SockRef;
use xmlsocket::server::{Frames, Framing, Listener, ListenerSettings, Server};
use xmlsocket::wire::{Document, Frame, Limits, Node, StreamEvent, StreamReader, StreamScanner, UNPROCESSED_BYTES_MAX};

use crate::harness::{Client, Probe, Setup};

/// The frame after which nothing more comes.
const LAST: &str = "<last/>";

/// A server that sends everything to everybody, on a listener of zero bytes, one of lines and one of streams.
fn serve(frames: Frames) -> Server {
    let mut limits = Limits::default();
    limits.frames_per_second_max = 0;
    let listener = |framing| {
        let mut settings = ListenerSettings::default();
        (settings.frames, settings.framing) = (frames, framing);
        Listener::bind("127.0.0.1:0", settings).unwrap()
    };
    let mut builder = Server::builder().limits(limits);
    for framing in [Framing::Nul, Framing::Line, Framing::Stream] {
        builder = builder.listen(listener(framing));
    }
    builder.serve(Probe::fan_out()).unwrap()
}

/// A client that has heard its own greeting, so that it hears whatever is sent from then on.
fn greet(address: SocketAddr, greeting: &str, echo: &str) -> Client {
    let mut client = Client::connect(address);
    client.write(greeting.as_bytes());
    let mut heard = Vec::new();
    while !heard.ends_with(echo.as_bytes()) {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).unwrap();
        heard.push(byte[0]);
    }
    client
}

/// What three clients get of `frames`, which a fourth one sends: by zero bytes, by lines, by elements.
fn hear(frames: &[Vec<u8>], kind: Frames) -> [Vec<Vec<u8>>; 3] {
    let server = serve(kind);
    let [nul, line, stream] = server.local_addrs() else { panic!("three listeners") };
    let mut by_nul = greet(*nul, "<hi/>\0", "<hi/>\0");
    let mut by_line = greet(*line, "<hi/>\r\n", "<hi/>\n");
    let mut by_stream = greet(*stream, "<of-its-own><hi/>", "<of-its-own><hi/>");
    let mut sender = Client::connect(*nul);
    for frame in frames.iter().map(Vec::as_slice).chain([LAST.as_bytes()]) {
        sender.write(&[frame, b"\0"].concat());
    }
    let until = |client: &mut Client, end: &[u8]| {
        let mut heard = std::mem::take(&mut client.unread);
        let mut bytes = [0; 4_096];
        while !heard.ends_with(end) {
            let count = client.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "the connection ended after {}", heard.escape_ascii());
            heard.extend_from_slice(&bytes[..count]);
        }
        heard.truncate(heard.len() - end.len());
        heard
    };
    let split = |heard: Vec<u8>, end: u8| {
        // The clients that came later greeted, too.
        let parts = heard.split(|byte| *byte == end).map(<[u8]>::to_vec);
        let mut parts: Vec<_> = parts.skip_while(|part| part == b"<hi/>").collect();
        assert_eq!(parts.pop(), Some(Vec::new()), "each is ended");
        parts
    };
    let nul = split(until(&mut by_nul, b"<last/>\0"), 0);
    let line = split(until(&mut by_line, b"<last/>\n"), b'\n');
    let elements = [b"<of-its-own>".to_vec(), until(&mut by_stream, LAST.as_bytes())].concat();
    let mut reader = StreamReader::new(&elements[..], StreamScanner::new(UNPROCESSED_BYTES_MAX, Default::default()));
    let mut stream = Vec::new();
    while let Some(event) = reader.read().unwrap() {
        match event {
            StreamEvent::Opened(_) => {}
            StreamEvent::Element(element) => stream.push(element.into_frame().into_bytes()),
            other => panic!("{other:?} of {}", elements.escape_ascii()),
        }
    }
    [nul, line, stream]
}

/// What a document says to a program that reads it, but for comments and instructions.
fn meaning(frame: &[u8]) -> Vec<String> {
    let document = Document::parse(Frame::new(frame).unwrap(), 4_096).expect("a document");
    let node = |node: Node<'_, '_>| {
        let attributes: Vec<_> = node.attributes().map(|a| format!("{} {:?}", a.name(), a.value())).collect();
        // After a reference the parser leaves a carriage return as it is.
        let text = node.text().map(|text| text.replace('\r', "\n"));
        let says = !node.is_comment() && !node.is_pi();
        says.then(|| format!("{:?} {text:?} {attributes:?}", node.tag_name().name()))
    };
    document.root().descendants().filter_map(node).collect()
}

#[test]
fn a_frame_with_newlines_is_one_line_and_says_the_same() {
    let forged = "<m>hi\n<message from=\"admin\">forged</message>\n<bye reason=\"shutdown\"/>\n</m>";
    let frames = [
        forged,
        "<m>two\r\nlines</m>\r\n",
        "\n<!--\n--><m\na='1\n2'>\n<![CDATA[<\n>]]>\n</m\n>\n",
        "\u{feff}<?xml version='1.0'\n?>\n<m/>",
    ];
    let frames = frames.map(|text| text.as_bytes().to_vec());
    let [nul, line, stream] = hear(&frames, Frames::Xml);
    assert_eq!(nul, frames);
    assert_eq!(
        String::from_utf8_lossy(&line[0]),
        "<m>hi&#10;<message from=\"admin\">forged</message>&#10;<bye reason=\"shutdown\"/>&#10;</m>"
    );
    for (heard, frame) in [&line, &stream].into_iter().flat_map(|heard| heard.iter().zip(&frames)) {
        assert_eq!(meaning(heard), meaning(frame));
    }
    assert_eq!((line.len(), stream.len()), (frames.len(), frames.len()));
}

#[test]
fn where_anything_may_be_a_line_break_becomes_a_space() {
    let frames = [&b"a\nb\r\nc\rd\n"[..], b"{\n  \"json\": 1\n}", b"\xff\n\xfe", b""].map(<[u8]>::to_vec);
    let [nul, line, _] = hear(&frames, Frames::Any);
    assert_eq!(nul, frames);
    assert_eq!(line, [&b"a b c d "[..], b"{   \"json\": 1 }", b"\xff \xfe", b""]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_many_documents_are_read_as_were_sent(
        frames in vec(
            "(\u{feff}|)(\n|\r\n|)(<[?]xml version='1[.]0'\n[?]>|)(<!--\n<a/>-->|<[?]p\n[?]>|\r){0,2}<m( a='\n>'|\r|)>(\n|\r|text|&lt;|<m>\n</m>|<!--\n-->|<!\\[CDATA\\[\n</m>]]>|<of-its-own/>){0,4}</m>\n?",
            0..12,
        ),
    ) {
        let frames: Vec<Vec<u8>> = frames.into_iter().map(String::into_bytes).collect();
        let admitted: Vec<Vec<u8>> =
            frames.iter().filter(|f| Document::parse(Frame::new(f.as_slice()).unwrap(), 4_096).is_ok()).cloned().collect();
        let [nul, line, stream] = hear(&admitted, Frames::Xml);
        prop_assert_eq!(&nul, &admitted);
        for heard in [line, stream] {
            prop_assert_eq!(heard.len(), admitted.len());
            heard.iter().zip(&admitted).for_each(|(heard, sent)| assert_eq!(meaning(heard), meaning(sent)));
        }
    }

    #[test]
    fn as_many_frames_of_any_bytes_are_read_as_were_sent(
        frames in vec(vec(prop_oneof![2 => 1_u8.., 1 => Just(b'\n'), 1 => Just(b'\r')], 0..20), 0..12),
    ) {
        let [nul, line, _] = hear(&frames, Frames::Any);
        prop_assert_eq!(&nul, &frames);
        prop_assert_eq!(line.len(), frames.len());
        for (heard, sent) in line.iter().zip(&frames).filter(|(_, sent)| !sent.iter().any(|b| b"\r\n".contains(b))) {
            prop_assert_eq!(heard, sent);
        }
    }
}

/// Clients that write a frame and then its zero byte: their system keeps the second piece until the first one is
/// acknowledged, and ours waits with that for something to send along.
#[test]
#[cfg(target_os = "linux")]
fn a_zero_byte_that_is_written_apart_does_not_wait() {
    for framing in [Framing::Nul, Framing::Line] {
        let running = Setup::new().settings(|settings| settings.framing = framing).serve(Probe::default());
        let mut client = running.connect();
        SockRef::from(&client.stream).set_tcp_nodelay(false).unwrap();
        let mut best = crate::harness::DEADLINE;
        // At first Linux acknowledges everything at once.
        for round in 0..40 {
            let begun = Instant::now();
            client.write(b"<a/>");
            client.write(b"\0");
            assert_eq!(client.frame(), "<a/>");
            if round >= 30 {
                best = best.min(begun.elapsed());
            }
        }
        assert!(best.as_millis() < 20, "{framing:?}: {best:?} a round trip");
    }
}
