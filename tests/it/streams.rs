//! Listeners for endless documents: what `XMLStreams` and XMPP clients get from the server.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use xmlsocket::client::{Event, XmlStreams};
use xmlsocket::server::{CloseReason, ConnectionId, Framing, Listener, ListenerSettings, Observer, Server};
use xmlsocket::wire::StreamEvent;

use crate::harness::{Client, DEADLINE, Note, Probe, Running, Setup, test_policy};

/// A root as XMPP has it.
const ROOT: &str = "<stream:stream to='a.test' xmlns='jabber:client' xmlns:stream='urn:s'>";

fn setup() -> Setup {
    Setup::new().settings(|settings| settings.framing = Framing::Stream)
}

/// The next bytes must be `text`.
#[track_caller]
fn hear(client: &mut Client, text: &str) {
    let mut bytes = vec![0; text.len()];
    if let Err(error) = client.stream.read_exact(&mut bytes) {
        panic!("expected {text}, got {error} after {}", bytes.escape_ascii());
    }
    assert_eq!(bytes.escape_ascii().to_string(), text.as_bytes().escape_ascii().to_string());
}

/// A client whose stream has begun.
fn begun(running: &Running, root: &str) -> Client {
    let mut client = running.connect();
    client.write(root.as_bytes());
    hear(&mut client, root);
    client
}

#[track_caller]
fn next(socket: &XmlStreams) -> Event<StreamEvent> {
    socket.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("expected an event, got: {error}"))
}

#[test]
fn the_class_for_streams_talks_with_the_server() {
    let mut running = setup().serve(Probe::default());
    let mut socket = XmlStreams::new();
    socket.connect("127.0.0.1", running.address.port().into()).unwrap();
    assert_eq!(next(&socket), Event::Connect);
    socket.send(ROOT).unwrap();
    let Event::Data(StreamEvent::Opened(root)) = next(&socket) else { panic!("expected a root") };
    assert_eq!(root.start_tag(), ROOT, "ours mirrors the client's");
    socket.send("<message><body>h&#233;</body></message> <stream:a/>").unwrap();
    let complete = ["<message xmlns='jabber:client'><body>h&#233;</body></message>"];
    let complete = [complete[0], "<stream:a xmlns='jabber:client' xmlns:stream='urn:s'/>"];
    for expected in complete {
        let Event::Data(StreamEvent::Element(element)) = next(&socket) else { panic!("expected an element") };
        assert_eq!(element.frame().text().unwrap(), expected);
    }
    assert_eq!([running.told.message(), running.told.message()], complete);
    socket.send("<last/></stream:stream>").unwrap();
    let Event::Data(StreamEvent::Element(_)) = next(&socket) else { panic!("what came before the end is answered") };
    assert_eq!([next(&socket), next(&socket)], [Event::Data(StreamEvent::Closed), Event::Close]);
    let (_, reason) = running.notes.any_closed();
    assert_eq!(reason, CloseReason::ByPeer);
    running.notes.any_ended();
}

#[test]
fn pieces_zero_bytes_and_white_space_do_not_matter() {
    let running = setup().serve(Probe::default());
    let mut client = running.connect();
    for byte in b"\n<?xml version='1.0'?><!-- c --><r a=\">\">\0 <a/>\0\n<b><c/>t</b>\0</r>\0" {
        client.write(&[*byte]);
    }
    hear(&mut client, "<r a=\">\"><a/><b><c/>t</b></r>");
    client.end();
}

#[test]
fn a_stream_begins_anew_and_the_new_root_is_mirrored() {
    let running = setup().serve(Probe::default());
    let mut client = begun(&running, "<r id='1'>");
    client.write(b"<a/>");
    hear(&mut client, "<a/>");
    client.write(b"<r id='2'>");
    hear(&mut client, "<r id='2'>");
    client.write(b"<?xml version='1.0'?><s id='3'><b/>");
    hear(&mut client, "<?xml version='1.0'?><s id='3'><b/>");
    client.write(b"</s>");
    hear(&mut client, "</s>");
    client.end();
}

#[test]
fn what_cannot_be_read_is_told_and_ends_with_our_end_tag_or_goes_on() {
    let setup = || setup().limits(|limits| limits.frame_bytes_max = 50);
    let running = setup().serve(Probe::default());
    // An element that is no XML is refused like any other frame, and the stream goes on.
    let mut client = begun(&running, "<r>");
    client.write(b"<a></b><c/>");
    hear(&mut client, "<error code=\"not-xml\" line=\"1\" ");
    let rest = |mut client: Client, text: String| {
        client.write(text.as_bytes());
        client.half_close();
        String::from_utf8(client.rest()).unwrap()
    };
    let gone_on = rest(client, "<d/></r>".to_owned());
    assert!(gone_on.ends_with("</error><c/><d/></r>"), "{gone_on}");

    // As long as may be, and a byte longer.
    let element = format!("<a>{}</a>", "x".repeat(43));
    assert_eq!(rest(begun(&running, "<r>"), format!("{element}</r>")), format!("{element}</r>"));
    let long = rest(begun(&running, "<r>"), element.replacen('x', "xx", 1));
    assert!(
        long.starts_with("<error code=\"frame-too-long\">An element, or the root's start tag, may have 50 bytes")
            && long.ends_with("</r>"),
        "{long}"
    );

    // Where the next element begins cannot be told any more.
    let broken = rest(begun(&running, "<r>"), "<a/></b><c/>".to_owned());
    assert!(broken.contains("<error code=\"not-xml\">An end tag that is not the root's"), "{broken}");
    assert!(broken.contains("<a/>") && broken.ends_with("</r>"), "{broken}");

    // What is said before a stream has begun is a document of its own.
    for (root, code) in [
        ("hello there\n".to_owned(), "not-xml"),
        ("<p:r>".to_owned(), "not-xml"),
        (format!("<{}", "r".repeat(60)), "frame-too-long"),
    ] {
        let refused = rest(running.connect(), root);
        assert!(refused.starts_with(&format!("<error code=\"{code}\"")) && refused.ends_with("</error>"), "{refused}");
    }
    let server_full = setup().limits(|limits| limits.connections_max = 1).serve(Probe::default());
    let _first = begun(&server_full, "<r>");
    let refused = rest(server_full.connect(), "<r>".to_owned());
    assert!(refused.starts_with("<error code=\"server-full\">") && refused.ends_with("</error>"), "{refused}");
}

#[test]
fn floods_are_refused_on_streams_too() {
    let running = setup()
        .limits(|limits| (limits.frames_per_second_max, limits.frames_burst_max) = (1, 2))
        .serve(Probe::answering(|_, _, _| {}));
    let mut client = begun(&running, "<r>");
    client.write(b"<a/><b/><c id='7'/>");
    hear(&mut client, "<error code=\"too-fast\" re=\"7\"");
}

#[test]
fn who_does_not_begin_or_does_not_end_an_element_is_closed() {
    let mut running = setup().limits(|limits| limits.frame_seconds_max = 1).serve(Probe::default());
    let mut silent = running.connect();
    let mut rootless = running.connect();
    rootless.write(b"<r a='");
    let mut begun = begun(&running, "<r>");
    begun.write(b"<a>");
    for (client, end) in [(&mut silent, ""), (&mut rootless, ""), (&mut begun, "</r>")] {
        let rest = String::from_utf8(client.rest()).unwrap();
        assert!(
            rest.starts_with("<error code=\"frame-timeout\">") && rest.ends_with(&format!("</error>{end}")),
            "{rest}"
        );
    }
    let opened = running.notes.all().into_iter().filter(|note| matches!(note, Note::Opened(_))).count();
    assert_eq!(opened, 1, "the application hears of streams that have begun, and of no others");
}

#[test]
fn what_a_framing_says_while_the_server_begins_to_stop_arrives_whole() {
    const ROOTS: usize = 60;
    let (entered, inside) = bounded(0);
    let (leave, left) = bounded::<()>(0);
    let mut probe = Probe::default();
    probe.on_shutdown = Box::new(move |_, ()| {
        entered.send(()).unwrap();
        left.recv_timeout(DEADLINE).unwrap();
    });
    let mut running = setup().small_send_buffer().serve(probe);
    let mut client = Client::with_small_buffer(running.address);
    client.write(b"<r>");
    hear(&mut client, "<r>");
    let handle = running.server.handle();
    handle.shutdown();
    inside.recv_timeout(DEADLINE).unwrap();
    // The client begins anew, and is answered by its own thread with more than the system takes: a writer is needed that
    // the dispatcher has no time to start yet.
    let root = format!("<r a='{}'>", "x".repeat(50_000));
    (0..ROOTS).for_each(|_| client.write(root.as_bytes()));
    client.write(b"<a/>");
    running.notes.wait("all was read", |note| matches!(note, Note::FrameIn(..)).then_some(()));
    leave.send(()).unwrap();
    let (ended, end) = bounded(1);
    let server = running.server;
    std::thread::scope(|scope| {
        scope.spawn(move || ended.send(server.wait()));
        // Longer than the server waits for connections to which nothing is to be sent any more.
        assert!(end.recv_timeout(Duration::from_millis(700)).is_err(), "it does not stop before the client has it all");
        let rest = client.rest();
        assert_eq!(rest.len(), ROOTS * root.len() + "</r>".len());
        assert!(rest.ends_with(b"'></r>"));
        end.recv_timeout(DEADLINE).unwrap();
    });
}

#[test]
fn whoever_watches_is_told_why_a_stream_could_not_begin() {
    struct FramesOut(Sender<String>);
    impl Observer for FramesOut {
        fn frame_out(&self, _id: ConnectionId, frame: &[u8]) {
            let _ = self.0.send(String::from_utf8_lossy(frame).into_owned());
        }
        fn wants_frames_out(&self) -> bool {
            true
        }
    }
    let (frames, out) = unbounded();
    let mut settings = ListenerSettings::default();
    settings.framing = Framing::Stream;
    let listener = Listener::bind("127.0.0.1:0", settings).unwrap();
    let server = Server::builder().listen(listener).observer(Arc::new(FramesOut(frames)));
    let server = server.serve(Probe::default()).unwrap();
    let mut client = Client::connect(server.local_addr());
    client.write(b"</r>");
    let told = String::from_utf8(client.rest()).unwrap();
    assert!(told.starts_with("<error code=\"not-xml\">"), "{told}");
    assert_eq!(out.recv_timeout(DEADLINE).unwrap(), told);
    assert!(out.is_empty(), "nothing else was told");
}

#[test]
fn white_space_is_a_sign_of_life() {
    let (ticks, ticked) = std::sync::mpsc::channel();
    let mut probe = Probe::default();
    probe.on_tick = Box::new(move |_, ()| {
        let _ = ticks.send(());
    });
    let mut running = setup().limits(|limits| limits.idle_seconds_max = 2).serve(probe);
    let mut client = begun(&running, "<r>");
    for _ in 0..4 {
        client.write(b" ");
        ticked.recv_timeout(DEADLINE).unwrap();
    }
    client.write(b"<a/>");
    hear(&mut client, "<a/>");
    let rest = String::from_utf8(client.rest()).unwrap();
    assert!(rest.starts_with("<error code=\"idle-timeout\">") && rest.ends_with("</r>"), "{rest}");
    assert_eq!(running.notes.any_closed().1, CloseReason::IdleTimeout);
}

#[test]
fn a_policy_request_is_answered_as_everywhere() {
    let mut running = setup().policy().serve(Probe::default());
    for request in ["<policy-file-request/>\0", "<cross-domain-request />\0"] {
        let mut player = running.connect();
        player.send(request.trim_end_matches('\0'));
        let policy = player.frame();
        assert!(policy.starts_with("<cross-domain-policy>"), "{policy}");
        player.end();
    }
    // The long form of the request might be anybody's root where it has attributes.
    let mut client = begun(&running, "<policy-file-request a='1'>");
    client.write(b"<a/>");
    hear(&mut client, "<a/>");
    let notes = running.notes.all();
    assert_eq!(notes.iter().filter(|note| matches!(note, Note::Opened(_))).count(), 1, "who asks is no client");
    // In a stream that has begun it is answered as an element, and the stream goes on.
    let mut client = begun(&running, "<r>");
    client.write(b"<policy-file-request/><a/>");
    hear(&mut client, &test_policy().to_string());
    hear(&mut client, "<a/>");
}

#[test]
fn everybody_gets_elements_that_fit_into_the_own_stream() {
    let mut running = setup().serve(Probe::fan_out());
    let mut ann = begun(&running, "<ann>");
    running.opened();
    let mut bob = begun(&running, "<bob xmlns:p='urn:p'>");
    running.opened();
    // For Ann the second would begin her stream anew.
    bob.write(b"<p:a/><ann/><c/>");
    hear(&mut bob, "<p:a xmlns:p='urn:p'/><ann/><c/>");
    hear(&mut ann, "<p:a xmlns:p='urn:p'/><c/>");
}

#[test]
fn the_namespaces_of_a_root_have_a_bound() {
    let running = setup().serve(Probe::default());
    let root = |bytes: usize| {
        let declared: String = (0..bytes / 100).map(|n| format!(" xmlns:p{n:03}='{}'", "u".repeat(86))).collect();
        format!("<r{declared}>")
    };
    // Each element gets those that it needs, and no others.
    let mut client = begun(&running, &root(4_000));
    client.write(b"<a/><p007:a b='p008:'/>");
    let [seven, eight] = ["007", "008"].map(|n| format!("xmlns:p{n}='{}'", "u".repeat(86)));
    hear(&mut client, &format!("<a/><p007:a {seven} {eight} b='p008:'/>"));
    let mut client = running.connect();
    client.write(root(4_200).as_bytes());
    let refused = String::from_utf8(client.rest()).unwrap();
    assert!(refused.starts_with("<error code=\"too-complex\"") && refused.contains("4096"), "{refused}");
}

#[test]
fn a_limit_may_be_as_large_as_can_be_written() {
    let running = setup().limits(|limits| limits.frame_bytes_max = u64::MAX).serve(Probe::default());
    let mut client = begun(&running, "<r>");
    client.write(b"<a/></r>");
    hear(&mut client, "<a/></r>");
    client.end();
}

#[test]
fn comments_without_end_are_read_no_faster_than_frames() {
    let setup = setup().limits(|limits| (limits.frames_per_second_max, limits.frames_burst_max) = (100, 100));
    let running = setup.serve(Probe::default());
    let mut client = begun(&running, "<r>");
    // However little is read at a time.
    let began = std::time::Instant::now();
    client.write(format!("{}<a/>", "<!-- of thirty bytes or more -->".repeat(600)).as_bytes());
    hear(&mut client, "<a/>");
    assert!(began.elapsed() > std::time::Duration::from_millis(300), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_stops_ends_its_streams() {
    let running = setup().serve(Probe::default());
    let mut client = begun(&running, ROOT);
    running.stop();
    hear(&mut client, "</stream:stream>");
    client.end();
}

#[cfg(feature = "websocket")]
#[test]
fn web_sockets_on_such_a_listener_send_frames_and_meet_the_streams() {
    use crate::websocket_client::{TEXT, Ws};
    let setup = crate::websocket_handshake::setup().settings(|settings| settings.framing = Framing::Stream);
    let mut running = setup.serve(Probe::fan_out());
    let mut client = begun(&running, "<r>");
    running.opened();
    let mut browser = Ws::open(running.address);
    browser.send(TEXT, b"<?xml version='1.0'?><a/>");
    hear(&mut client, "<a/>");
    assert_eq!(browser.receive(), (TEXT, b"<?xml version='1.0'?><a/>".to_vec()));
    client.write(b"<b/>");
    assert_eq!(browser.receive(), (TEXT, b"<b/>".to_vec()));
    // Nobody ends the stream of another, nor begins it anew.
    for bytes in ["</r>", "\u{feff}\u{feff}<?xml version='1.0'?><s>", "\u{feff}\u{feff}<r/>"] {
        browser.send(TEXT, bytes.as_bytes());
        let (_, answer) = browser.receive();
        assert!(String::from_utf8(answer).unwrap().contains("not-xml"), "{bytes}");
    }
    browser.send(TEXT, "\u{feff}<!-- c --><c/>".as_bytes());
    hear(&mut client, "<b/><c/>");
    browser.receive();
    browser.send(TEXT, b"</r>");
    let (_, answer) = browser.receive();
    assert!(String::from_utf8(answer).unwrap().contains("not-xml"), "nobody ends the stream of another");
}
