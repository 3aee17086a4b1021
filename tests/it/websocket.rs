//! WebSocket on a listener: both kinds of messages, what is refused, and that a WebSocket client is bounded and served as
//! any other.

use std::time::{Duration, Instant};

use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};
use xmlsocket::server::{CloseReason, Flood, Frames};
use xmlsocket::wire::Element;

use crate::harness::{Client, DEADLINE, Probe, Running};
use crate::websocket_client::{BINARY, CLOSE, PING, PONG, TEXT, Ws, fragment, handshake, message};
use crate::websocket_handshake::setup;

/// Connects as tungstenite's own client does.
fn dial(running: &Running, path: &str) -> WebSocket<std::net::TcpStream> {
    let request = format!("ws://{}{path}", running.address).into_client_request().unwrap();
    let stream = running.connect().stream;
    tungstenite::client(request, stream).expect("a handshake").0
}

#[test]
fn tungstenite_talks_to_us() {
    let running = setup().serve(Probe::default());
    for path in ["/", "/ws", "/ws?room=lobby"] {
        let mut socket = dial(&running, path);
        socket.send(Message::binary(&b"<a/>\0<b/>\0<c"[..])).unwrap();
        socket.send(Message::binary(&b"/>\0"[..])).unwrap();
        let mut heard = Vec::new();
        while heard.len() < 15 {
            heard.extend_from_slice(&socket.read().unwrap().into_data());
        }
        assert_eq!(heard, b"<a/>\0<b/>\0<c/>\0", "{path}");
        socket.close(None).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Close(None));
        assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    }
}

#[test]
fn both_halves_are_read_at_whatever_cut_they_arrive() {
    let mut running = setup().serve(Probe::default());
    let mut stream = handshake(running.address, "").into_bytes();
    let shaken = stream.len();
    stream.extend(message(BINARY, "<a b='ü'/>\0<c".as_bytes()));
    stream.extend(message(PING, b"?"));
    stream.extend(fragment(BINARY, b"/"));
    stream.extend(fragment(0x80, b">\0"));
    for cut in 1..stream.len() {
        let mut client = running.connect();
        client.write(&stream[..cut]);
        if cut >= shaken {
            // The server has read what was sent so far once it has answered it.
            assert!(client.head().starts_with("HTTP/1.1 101 "), "cut at {cut}");
        }
        client.write(&stream[cut..]);
        if cut < shaken {
            assert!(client.head().starts_with("HTTP/1.1 101 "), "cut at {cut}");
        }
        let mut ws = Ws { client };
        let (mut frames, mut pongs) = (String::new(), 0);
        while frames.len() < "<a b='ü'/>\0<c/>\0".len() || pongs == 0 {
            match ws.receive() {
                (PONG, payload) => {
                    assert_eq!(payload, b"?");
                    pongs += 1;
                }
                (kind, payload) => {
                    assert_eq!(kind, BINARY);
                    frames.push_str(str::from_utf8(&payload).unwrap());
                }
            }
        }
        assert_eq!(frames, "<a b='ü'/>\0<c/>\0", "cut at {cut}");
    }
    assert_eq!(running.told.message(), "<a b='ü'/>");
}

#[test]
fn who_begins_with_text_is_answered_in_text() {
    let probe = Probe::answering(|cx, from, text| {
        cx.send(from, &Element::new("one").attribute("got", text));
        cx.send(from, &Element::new("two"));
    });
    let mut running = setup().serve(probe);
    let mut ws = Ws::open(running.address);
    ws.send(TEXT, "<é/>".as_bytes());
    assert_eq!(ws.receive(), (TEXT, "<one got=\"&lt;é/&gt;\"/>".as_bytes().to_vec()));
    assert_eq!(ws.receive(), (TEXT, b"<two/>".to_vec()));
    // A zero byte separates; one at the end, too, begins no further frame. Binary messages still bring frames.
    ws.send(TEXT, b"<b/>\0<c/>\0");
    ws.send(BINARY, b"<d/>\0");
    for frame in ["<é/>", "<b/>", "<c/>", "<d/>"] {
        assert_eq!(running.told.message(), frame);
    }
    for frame in ["<b/>", "<c/>", "<d/>"] {
        let expected = format!("<one got=\"{}\"/>", frame.replace('<', "&lt;").replace('>', "&gt;"));
        assert_eq!(ws.receive(), (TEXT, expected.into_bytes()));
        assert_eq!(ws.receive(), (TEXT, b"<two/>".to_vec()));
    }
}

#[test]
fn who_begins_with_bytes_is_answered_in_bytes_for_good() {
    let running = setup().serve(Probe::default());
    let mut ws = Ws::open(running.address);
    ws.send(PING, b"");
    ws.send(BINARY, b"");
    ws.send(BINARY, b"<a/>\0");
    ws.send(TEXT, b"<b/>");
    assert_eq!(ws.receive(), (PONG, Vec::new()));
    let mut heard = ws.frames();
    while heard.len() < 10 {
        heard.push_str(&ws.frames());
    }
    assert_eq!(heard, "<a/>\0<b/>\0");
}

#[test]
fn frames_that_are_no_text_arrive_as_they_are_or_legible() {
    let running = setup().any().serve(Probe::default());
    let mut bytes = Ws::open(running.address);
    bytes.send(BINARY, b"caf\xe9\0");
    assert_eq!(bytes.receive(), (BINARY, b"caf\xe9\0".to_vec()));
    let mut text = Ws::open(running.address);
    text.send(TEXT, b"x");
    assert_eq!(text.receive(), (TEXT, b"x".to_vec()));
    text.send(BINARY, b"caf\xe9\0");
    assert_eq!(text.receive(), (TEXT, "caf\u{fffd}".as_bytes().to_vec()));
}

#[test]
fn a_message_may_be_cut_inside_a_character() {
    let mut running = setup().serve(Probe::default());
    let text = "<m>日本語</m>".as_bytes();
    for cut in 1..text.len() {
        let mut ws = Ws::open(running.address);
        ws.client.write(&fragment(TEXT, &text[..cut]));
        ws.send(PING, b"between");
        ws.client.write(&fragment(0x80, &text[cut..]));
        assert_eq!(ws.receive(), (PONG, b"between".to_vec()));
        assert_eq!(ws.receive(), (TEXT, text.to_vec()), "cut at {cut}");
        assert_eq!(running.told.message().as_bytes(), text);
    }
}

#[test]
fn closing_is_answered_in_kind() {
    let mut running = setup().serve(Probe::default());
    let answers: &[(&[u8], &[u8])] =
        &[(b"", b""), (b"\x03\xe8", b"\x03\xe8"), (b"\x03\xe9bye", b"\x03\xe9bye"), (b"\x0f\xa0", b"\x0f\xa0")];
    for (sent, answer) in answers {
        let mut ws = Ws::open(running.address);
        let id = running.told.open();
        ws.send(BINARY, b"<a/>\0");
        assert_eq!(ws.frames(), "<a/>\0");
        ws.send(CLOSE, sent);
        assert_eq!(ws.receive(), (CLOSE, answer.to_vec()));
        ws.client.end();
        assert_eq!(running.told.close(id), CloseReason::ByPeer);
    }
}

#[test]
fn what_breaks_the_protocol_is_closed_with_its_code() {
    let too_long = {
        let mut bytes = message(BINARY, &vec![b'a'; 70_000]);
        bytes[2..10].copy_from_slice(&(u64::MAX >> 1).to_be_bytes());
        bytes.truncate(20);
        bytes
    };
    let rows: &[(&str, Vec<u8>, u16)] = &[
        ("unmasked", b"\x82\x05<a/>\0".to_vec(), 1002),
        ("reserved bit", fragment(0xC2, b"<a/>\0"), 1002),
        ("reserved opcode", message(3, b"<a/>\0"), 1002),
        ("reserved control opcode", message(11, b""), 1002),
        ("continuation of nothing", fragment(0x80, b"<a/>\0"), 1002),
        ("new message within a message", [fragment(BINARY, b"<a"), message(BINARY, b"/>\0")].concat(), 1002),
        ("fragmented ping", fragment(PING, b""), 1002),
        ("long ping", message(PING, &[0; 126]), 1002),
        ("close of one byte", message(CLOSE, b"\x03"), 1002),
        ("close with a reserved code", message(CLOSE, b"\x03\xed"), 1002),
        ("text that is no UTF-8", message(TEXT, b"caf\xe9"), 1007),
        ("close text that is no UTF-8", message(CLOSE, b"\x03\xe8\xff"), 1007),
        ("one byte more than a message may have", message(BINARY, &vec![0; (1 << 20) + 1]), 1009),
        ("a fragment too many", [fragment(BINARY, &vec![0; 1 << 20]), fragment(0x80, b"x")].concat(), 1009),
        ("a length beyond all", too_long, 1009),
    ];
    let mut running = setup().any().serve(Probe::answering(|_, _, _| {}));
    for (what, bytes, code) in rows {
        let mut ws = Ws::open(running.address);
        let id = running.told.open();
        ws.client.write(bytes);
        let (kind, payload) = ws.receive();
        assert_eq!((kind, &payload[..2]), (CLOSE, &code.to_be_bytes()[..]), "{what}");
        ws.client.end();
        let reason = running.told.close(id);
        assert!(matches!(reason, CloseReason::ProtocolError(_) | CloseReason::ByPeer), "{what}: {reason}");
    }
}

#[test]
fn a_frame_that_is_too_long_is_closed_as_everywhere() {
    let mut running = setup().serve(Probe::default());
    let mut ws = Ws::open(running.address);
    let id = running.told.open();
    ws.send(BINARY, &vec![b'a'; 65_537]);
    assert!(ws.frames().starts_with("<error code=\"frame-too-long\">"));
    ws.closed(1009);
    assert_eq!(running.told.close(id), CloseReason::FrameTooLong { frame_bytes_max: 65_536 });
}

#[test]
fn what_is_begun_must_end_in_time() {
    let half_a_message = fragment(0x80 | BINARY, b"<a/>\0");
    let half_a_frame = message(BINARY, b"<a>");
    let half_a_fragmented_message = fragment(BINARY, b"<a/>\0");
    // What a message has brought so far is handed on; it has begun all the same.
    let begun = [
        (&half_a_message[..half_a_message.len() - 1], ""),
        (&half_a_frame, ""),
        (&half_a_fragmented_message, "<a/>\0"),
    ];
    for (begun, heard) in begun {
        let mut running = setup().limits(|limits| limits.frame_seconds_max = 1).serve(Probe::default());
        let mut ws = Ws::open(running.address);
        let id = running.told.open();
        ws.client.write(begun);
        if !heard.is_empty() {
            assert_eq!(ws.frames(), heard);
        }
        assert!(ws.frames().starts_with("<error code=\"frame-timeout\">"));
        ws.closed(1008);
        assert_eq!(running.told.close(id), CloseReason::FrameTimeout { zero_byte_missing: false });
    }
}

/// Runs until the application has seen `count` seconds pass.
fn ticking() -> (Probe, impl Fn(usize)) {
    let (ticks, ticked) = std::sync::mpsc::channel();
    let mut probe = Probe::default();
    probe.on_tick = Box::new(move |_, ()| {
        let _ = ticks.send(());
    });
    (probe, move |count| (0..count).for_each(|_| ticked.recv_timeout(DEADLINE).unwrap()))
}

#[test]
fn who_has_begun_nothing_is_not_closed_for_it() {
    let (probe, wait) = ticking();
    let running = setup().limits(|limits| limits.frame_seconds_max = 1).serve(probe);
    let (mut silent, mut pinging) = (Ws::open(running.address), Ws::open(running.address));
    for _ in 0..3 {
        pinging.send(PING, b"");
        assert_eq!(pinging.receive(), (PONG, Vec::new()));
        wait(1);
    }
    for ws in [&mut silent, &mut pinging] {
        ws.send(BINARY, b"<a/>\0");
        assert_eq!(ws.frames(), "<a/>\0");
    }
}

#[test]
fn a_ping_beside_each_fragment_gives_no_more_time() {
    let mut running = setup().limits(|limits| limits.frame_seconds_max = 1).serve(Probe::default());
    let mut ws = Ws::open(running.address);
    let id = running.told.open();
    ws.client.write(&fragment(BINARY, b"<a"));
    let heard = loop {
        ws.client.write(&[message(PING, b""), fragment(0, b"")].concat());
        match ws.receive() {
            (PONG, _) => {}
            (_, heard) => break String::from_utf8(heard).unwrap(),
        }
    };
    assert!(heard.starts_with("<error code=\"frame-timeout\">"), "{heard}");
    assert_eq!(running.told.close(id), CloseReason::FrameTimeout { zero_byte_missing: false });
}

#[test]
fn the_application_hears_of_a_websocket_after_the_handshake() {
    let mut probe = Probe::default();
    probe.on_open = Box::new(|cx, id| {
        let is_websocket = cx.peer(id).is_some_and(|peer| peer.transport.name() == "websocket");
        cx.send(id, &Element::new("hello").attribute("websocket", is_websocket));
    });
    let mut running = setup().policy().serve(probe);
    let mut ws = Ws::open(running.address);
    assert_eq!(ws.frames(), "<hello websocket=\"true\"/>\0");
    let id = running.told.open();
    // A policy request is answered in the same stream. As the first frame it ends it, as everywhere.
    ws.send(BINARY, b"<policy-file-request/>\0");
    assert!(ws.frames().starts_with("<cross-domain-policy>"));
    ws.closed(1000);
    assert_eq!(running.told.close(id), CloseReason::PolicyServed);
    let mut ws = Ws::open(running.address);
    assert_eq!(ws.frames(), "<hello websocket=\"true\"/>\0");
    for said in ["<a/>\0", "<b/>\0"] {
        ws.send(BINARY, said.as_bytes());
        assert_eq!(ws.frames(), said);
        ws.send(BINARY, b"<policy-file-request/>\0");
        assert!(ws.frames().starts_with("<cross-domain-policy>"));
    }
}

#[test]
fn a_connection_known_for_its_silence_may_still_open_a_websocket() {
    let mut running = setup().serve(Probe::default());
    let client = running.connect();
    let id = running.told.open();
    let mut ws = Ws::over(client, running.address);
    assert!(matches!(running.told.close(id), CloseReason::NotXmlSocket(_)));
    assert_eq!(running.told.open(), id);
    ws.send(BINARY, b"<a/>\0");
    assert_eq!(ws.frames(), "<a/>\0");
}

#[test]
fn an_idle_websocket_is_pinged_and_its_pong_keeps_it() {
    let mut running = setup().limits(|limits| limits.idle_seconds_max = 4).serve(Probe::default());
    let mut lively = Ws::open(running.address);
    let id = running.told.open();
    let mut mute = Ws::open(running.address);
    let mute_id = running.told.open();
    // Both are pinged at half the time; who answers is asked again.
    for _ in 0..2 {
        assert_eq!(lively.receive(), (PING, Vec::new()));
        lively.send(PONG, b"");
    }
    assert_eq!(running.told.close(mute_id), CloseReason::IdleTimeout);
    assert_eq!(mute.receive(), (PING, Vec::new()));
    assert!(mute.frames().starts_with("<error code=\"idle-timeout\">"));
    mute.closed(1008);
    lively.send(BINARY, b"<a/>\0");
    while lively.receive() != (BINARY, b"<a/>\0".to_vec()) {}
    assert!(!running.told.all().iter().any(|told| matches!(told, crate::harness::Told::Close(gone, _) if *gone == id)));
}

#[test]
fn a_stop_says_going_away() {
    let running = setup().serve(Probe::default());
    let mut ws = Ws::open(running.address);
    ws.send(BINARY, b"<a/>\0");
    assert_eq!(ws.frames(), "<a/>\0");
    running.server.handle().shutdown();
    assert_eq!(ws.receive(), (CLOSE, b"\x03\xe9shutdown".to_vec()));
    ws.client.end();
    ws.client.half_close();
    assert!(running.stop() < Duration::from_secs(3));
}

#[test]
fn the_application_closes_with_its_code() {
    let probe = Probe::answering(|cx, from, _| {
        cx.send(from, &Element::new("bye"));
        cx.close(from, CloseReason::application("quit", "it quit"));
    });
    let running = setup().serve(probe);
    let mut ws = Ws::open(running.address);
    ws.send(BINARY, b"<quit/>\0");
    assert_eq!(ws.frames(), "<bye/>\0");
    assert_eq!(ws.receive(), (CLOSE, b"\x03\xe8quit".to_vec()));
    ws.client.end();
}

#[test]
fn websocket_and_tcp_meet_and_who_falls_behind_loses_nothing() {
    const FRAMES: usize = 3_000;
    let filler = "x".repeat(1_000);
    let setup = setup().limits(|limits| limits.outbox_bytes_max = 64 << 20).quiet();
    let mut running = setup.serve(Probe::fan_out());
    let mut sender = running.connect();
    running.opened();
    let mut slow = Ws::over(Client::with_small_buffer(running.address), running.address);
    let slow_id = running.opened();
    let mut slow_text = Ws::over(Client::with_small_buffer(running.address), running.address);
    let text_id = running.opened();
    slow_text.send(TEXT, b"<hello/>");
    assert_eq!(slow_text.receive(), (TEXT, b"<hello/>".to_vec()));
    for n in 0..FRAMES {
        sender.send(&format!("<m n='{n}'>{filler}</m>"));
        sender.frame();
        if n % 500 == 0 {
            slow.send(PING, n.to_string().as_bytes());
            slow_text.send(PING, n.to_string().as_bytes());
        }
    }
    running.notes.fell_behind(slow_id);
    running.notes.fell_behind(text_id);
    let expected: Vec<u8> = std::iter::once("<hello/>\0".to_owned())
        .chain((0..FRAMES).map(|n| format!("<m n='{n}'>{filler}</m>\0")))
        .flat_map(String::into_bytes)
        .collect();
    let (mut frames, mut pongs) = (Vec::new(), Vec::new());
    while frames.len() < expected.len() || pongs.len() < 6 {
        match slow.receive() {
            (PONG, payload) => pongs.push(String::from_utf8(payload).unwrap()),
            (kind, payload) => {
                assert_eq!(kind, BINARY);
                frames.extend_from_slice(&payload);
            }
        }
    }
    assert!(frames == expected, "{} bytes, {} expected", frames.len(), expected.len());
    assert_eq!(pongs, ["0", "500", "1000", "1500", "2000", "2500"]);
    let mut n = 0;
    while n < FRAMES {
        match slow_text.receive() {
            (PONG, _) => {}
            (kind, payload) => {
                assert_eq!((kind, payload), (TEXT, format!("<m n='{n}'>{filler}</m>").into_bytes()));
                n += 1;
            }
        }
    }
}

#[test]
fn a_websocket_that_stops_reading_is_dropped_and_hurts_nobody() {
    let setup = setup().limits(|limits| limits.outbox_bytes_max = 256 * 1024).quiet();
    let mut running = setup.serve(Probe::fan_out());
    let (mut sender, _) = running.join();
    let _stalled = Ws::over(Client::with_small_buffer(running.address), running.address);
    let stalled_id = running.opened();
    let frame = format!("<m>{}</m>", "x".repeat(10_000));
    let begun = Instant::now();
    for _ in 0..2_000 {
        sender.send(&frame);
        assert_eq!(sender.frame(), frame);
    }
    assert!(begun.elapsed() < DEADLINE);
    assert_eq!(running.notes.closed(stalled_id), CloseReason::TooSlow);
}

#[test]
fn pings_without_end_are_read_no_faster_than_frames() {
    for flood in [Flood::Refuse, Flood::Pause] {
        let setup = setup().settings(|settings| settings.flood = flood);
        let setup = setup.limits(|limits| (limits.frames_per_second_max, limits.frames_burst_max) = (100, 100));
        let running = setup.serve(Probe::default());
        let mut ws = Ws::open(running.address);
        let begun = Instant::now();
        let pings: Vec<u8> = (0..200).flat_map(|_| message(PING, b"")).collect();
        ws.client.write(&pings);
        (0..200).for_each(|_| assert_eq!(ws.receive(), (PONG, Vec::new())));
        assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
        ws.send(BINARY, b"<a/>\0");
        assert_eq!(ws.frames(), "<a/>\0");
    }
}

#[test]
fn fragments_without_end_are_read_no_faster_than_frames() {
    let empty = [fragment(BINARY, b"<a/>\0"), fragment(0, b"").repeat(200), fragment(0x80, b"")].concat();
    let short = [fragment(TEXT, b"<a"), fragment(0, b" ").repeat(200), fragment(0x80, b"/>")].concat();
    let apart = [message(BINARY, b"<a"), message(BINARY, b" ").repeat(200), message(BINARY, b"/>\0")].concat();
    let nothing = [message(BINARY, b"").repeat(200), message(BINARY, b"<a/>\0")].concat();
    for fragments in [empty, short, apart, nothing] {
        let setup = setup().limits(|limits| (limits.frames_per_second_max, limits.frames_burst_max) = (100, 100));
        let running = setup.serve(Probe::default());
        let mut ws = Ws::open(running.address);
        let begun = Instant::now();
        ws.client.write(&[fragments, message(BINARY, b"<b/>\0")].concat());
        let mut heard = Vec::new();
        while !heard.ends_with(b"<b/>") {
            heard.extend(ws.receive().1);
            heard.retain(|byte| *byte != 0);
        }
        assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
    }
}

#[test]
fn frames_that_come_too_fast_are_refused_as_everywhere() {
    let setup = setup().limits(|limits| (limits.frames_per_second_max, limits.frames_burst_max) = (1, 2));
    let running = setup.serve(Probe::default());
    let mut ws = Ws::open(running.address);
    ws.send(BINARY, b"<a/>\0<b/>\0<c id='7'/>\0");
    let mut heard = ws.frames();
    while !heard.ends_with("</error>\0") {
        heard.push_str(&ws.frames());
    }
    assert!(heard.starts_with("<a/>\0<b/>\0<error code=\"too-fast\" re=\"7\""), "{heard}");
}

#[test]
fn a_line_listener_reads_a_websocket_as_any_other() {
    let setup = setup().settings(|settings| {
        settings.framing = xmlsocket::server::Framing::Line;
        settings.frames = Frames::Xml;
    });
    let mut running = setup.serve(Probe::default());
    let mut ws = Ws::open(running.address);
    ws.send(BINARY, b"<a>one\r\ntwo</a>\0");
    assert_eq!(ws.frames(), "<a>one\r\ntwo</a>\0");
    assert_eq!(running.told.message(), "<a>one\r\ntwo</a>");
}
