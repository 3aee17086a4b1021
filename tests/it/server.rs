//! The ordinary course of things: frames in, frames out, and errors that keep the connection.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use xmlsocket::server::{CloseReason, Framing, Message, PostError};
use xmlsocket::wire::{Element, Frame, Limits};

use crate::harness::{Client, DEADLINE, Probe, Setup, Told};

#[test]
fn frames_come_back_in_order_however_they_are_cut() {
    let running = Setup::new().serve(Probe::default());
    let mut client = running.connect();
    let stream = "<a/>\0<b>two</b>\0\n<c/>\n\0\u{feff}<d é='ü'/>\0";
    let frames: Vec<_> = stream.split_terminator('\0').collect();
    for size in 1..stream.len() {
        stream.as_bytes().chunks(size).for_each(|chunk| client.write(chunk));
        for frame in &frames {
            assert_eq!(client.frame(), *frame, "in pieces of {size}");
        }
    }
}

#[test]
fn everybody_gets_what_one_says_byte_for_byte() {
    let mut running = Setup::new().any().serve(Probe::fan_out());
    let mut clients: Vec<_> = (0..20).map(|_| running.join().0).collect();
    for text in ["%xt%z%1%", "", "{\"a\":1}", "<not xml", "MojaChat", " \t\r\n"] {
        clients[7].send(text);
        for client in &mut clients {
            assert_eq!(client.frame(), text);
        }
    }
}

#[test]
fn documents_travel_parsed() {
    let (parsed, documents) = crossbeam_channel::unbounded();
    let mut probe = Probe::default();
    probe.on_message = Box::new(move |_, (_, message)| {
        let Message::Document(document) = message else { panic!("not parsed: {message:?}") };
        let root = document.root();
        let text = format!("{} {:?} {}", root.tag_name().name(), document.attribute("to"), document.content());
        parsed.send((text, document.frame().lossy().into_owned())).unwrap();
    });
    let running = Setup::new().serve(probe);
    let mut client = running.connect();
    let sent = " <?xml version='1.0'?><m to='a&amp;b'>x<b/>&lt;<![CDATA[<]]></m>\n";
    client.send(&sent[1..]);
    let (text, raw) = documents.recv_timeout(DEADLINE).unwrap();
    assert_eq!(text, "m Some(\"a&b\") x<b/>&lt;<![CDATA[<]]>");
    assert_eq!(raw, sent[1..]);
}

#[test]
fn what_is_no_document_is_answered_and_the_connection_kept() {
    let mut running = Setup::new().serve(Probe::default());
    let (mut client, id) = running.join();
    for (frame, answer) in [
        (&b"<a>\n  <b></a>"[..], "<error code=\"not-xml\" line=\"2\" column=\"6\">"),
        (b"hello", "<error code=\"not-xml\" line=\"1\" column=\"1\">"),
        (b"<a/><b/>", "<error code=\"not-xml\" line=\"1\" column=\"5\">"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "<error code=\"not-xml\""),
        (b"<a>\xff</a>", "<error code=\"not-utf8\" byte=\"3\">"),
        (b"<a b='x' b='y'/>", "<error code=\"not-xml\""),
        (b" ", "<error code=\"not-xml\""),
    ] {
        client.write(frame);
        client.write(b"\0");
        let said = client.frame();
        assert!(said.starts_with(answer), "{}: {said}", frame.escape_ascii());
        roxmltree::Document::parse(&said).unwrap();
    }
    client.send(&format!("<a>{}</a>", "<b/>".repeat(5_000)));
    assert!(client.frame().starts_with("<error code=\"too-complex\""));
    client.write(b"\0\0");
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
    assert_eq!(running.told.open(), id);
    assert_eq!(running.told.all(), [Told::Message(id, "<a/>".to_owned())]);
}

#[test]
fn where_frames_are_not_parsed_the_server_writes_none_of_its_own() {
    let mut running = Setup::new()
        .any()
        .limits(|limits| {
            limits.frame_bytes_max = 10;
            limits.frame_seconds_max = 1;
            limits.idle_seconds_max = 1;
        })
        .serve(Probe::answering(|_, _, text| assert_ne!(text, "panic")));
    let mut ends = Vec::new();
    for bytes in [&b"01234567890"[..], b"panic\0", b"begun", b"", b"\xff\xfe\0"] {
        let (mut client, id) = running.join();
        client.write(bytes);
        ends.push((client, id));
    }
    let reasons = ends.into_iter().map(|(mut client, id)| {
        client.end();
        running.notes.closed(id)
    });
    let reasons: Vec<_> = reasons.collect();
    let codes: Vec<_> = reasons.iter().map(CloseReason::code).collect();
    assert_eq!(codes, ["frame-too-long", "internal-error", "frame-timeout", "idle-timeout", "idle-timeout"]);
}

#[test]
fn an_empty_frame_reaches_the_application_only_where_frames_are_not_parsed() {
    let mut running = Setup::new().any().serve(Probe::default());
    let (mut client, _) = running.join();
    client.write(b"\0");
    assert_eq!(client.frame(), "");
    assert_eq!(running.told.message(), "");
}

#[test]
fn an_unended_tail_is_no_frame() {
    let mut running = Setup::new().serve(Probe::default());
    let (mut client, id) = running.join();
    client.write(b"<a/>\0<b/>");
    client.half_close();
    assert_eq!(client.frame(), "<a/>");
    client.end();
    assert_eq!(running.told.close(id), CloseReason::ByPeer);
    assert!(!running.told.all().contains(&Told::Message(id, "<b/>".to_owned())));
}

#[test]
fn a_line_listener_takes_lines_and_answers_each_client_in_its_own_way() {
    let running = Setup::new().settings(|settings| settings.framing = Framing::Line).serve(Probe::default());
    for (sent, got) in [
        ("<a/>\n<b/>\n", "<a/>\\n<b/>\\n"),
        ("<a/>\r\n<b/>\r\n", "<a/>\\n<b/>\\n"),
        ("<a/>\0<b/>\0", "<a/>\\x00<b/>\\x00"),
        ("<a/>\0<b/>\n<c/>\0", "<a/>\\x00<b/>\\x00<c/>\\x00"),
        ("<a>\n", "<error code="),
    ] {
        let mut client = running.connect();
        client.write(sent.as_bytes());
        client.half_close();
        let said = client.rest().escape_ascii().to_string();
        assert!(said.replace("\\\"", "\"").starts_with(got), "{sent:?}: {said}");
    }
}

#[test]
fn what_on_close_sends_leaves_at_once() {
    let mut probe = Probe::default();
    let survivor = Arc::new(OnceLock::new());
    let (first, listener) = (survivor.clone(), survivor);
    probe.on_open = Box::new(move |_, id| {
        let _ = first.set(id);
    });
    probe.on_close = Box::new(move |cx, id| {
        cx.send(*listener.get().unwrap(), &Element::new("left").attribute("id", id.serial()));
    });
    let mut running = Setup::new().serve(probe);
    let (mut ann, _) = running.join();
    let begun = Instant::now();
    for _ in 0..8 {
        let (bob, id) = running.join();
        drop(bob);
        assert_eq!(ann.frame(), format!("<left id=\"{}\"/>", id.serial()));
    }
    // Were it sent with the next tick, each round would take half a second.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn another_thread_reaches_the_application_through_a_handle() {
    let mut probe = Probe::default();
    let only = Arc::new(OnceLock::new());
    let first = Arc::clone(&only);
    probe.on_open = Box::new(move |_, id| {
        let _ = first.set(id);
    });
    probe.on_external = Box::new(move |cx, event| {
        let frame: Box<Frame> = event.downcast().unwrap();
        cx.send(*only.get().unwrap(), &*frame);
    });
    let mut running = Setup::new().serve(probe);
    let (mut client, _) = running.join();
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
    let handle = running.server.handle();
    std::thread::spawn(move || handle.post(Frame::try_from("<news/>").unwrap())).join().unwrap().unwrap();
    assert_eq!(client.frame(), "<news/>");
}

#[test]
fn limits_that_are_set_later_apply_to_connections_that_come_later() {
    let mut running = Setup::new().serve(Probe::default());
    let (mut before, _) = running.join();
    let mut limits = Limits::default();
    limits.frame_bytes_max = 4;
    running.server.handle().set_limits(limits);
    let (mut after, _) = running.join();
    for client in [&mut before, &mut after] {
        client.send("<abc/>");
    }
    assert_eq!(before.frame(), "<abc/>");
    assert!(after.frame().starts_with("<error code=\"frame-too-long\">"));
}

#[test]
fn ids_are_never_used_again_and_old_ones_reach_nobody() {
    let known = Arc::new(std::sync::Mutex::new(Vec::new()));
    let all = Arc::clone(&known);
    let mut probe = Probe::default();
    probe.on_open = Box::new(move |cx, id| {
        let mut known = crate::harness::lock(&known);
        // What goes to those who are gone goes to nobody, least of all to whoever has their place now.
        let reached = cx.send_all(known.iter().copied(), &Element::new("wrong"));
        assert_eq!(reached, 0, "{known:?}");
        known.iter().for_each(|&old| {
            assert!(cx.peer(old).is_none());
            cx.close(old, CloseReason::application("wrong", "Nobody is there."));
        });
        known.push(id);
        cx.send(id, &Element::new("welcome"));
    });
    let mut running = Setup::new().limits(|limits| limits.connections_max = 1).serve(probe);
    for round in 0..100 {
        let (mut client, id) = running.join();
        assert_eq!(client.frame(), "<welcome/>");
        match round % 3 {
            0 => drop(client),
            1 => client.reset(),
            _ => {
                client.half_close();
                client.end();
                drop(client);
            }
        }
        running.notes.ended(id);
    }
    let ids = crate::harness::lock(&all).clone();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 100);
}

#[test]
fn two_listeners_share_one_application() {
    let settings = || xmlsocket::server::ListenerSettings::default();
    let first = xmlsocket::server::Listener::bind("127.0.0.1:0", settings()).unwrap();
    let second = xmlsocket::server::Listener::bind("127.0.0.1:0", settings()).unwrap();
    let mut probe = Probe::default();
    probe.on_message = Box::new(|cx, (from, _)| {
        let peer = cx.peer(from).unwrap().clone();
        let answer = Element::new("peer").attribute("listener", peer.listener).attribute("from", peer.address);
        cx.send(from, &answer);
    });
    let server = xmlsocket::server::Server::builder().listen(first).listen(second).serve(probe).unwrap();
    for (n, address) in server.local_addrs().iter().enumerate() {
        let mut client = Client::connect(*address);
        client.send("<who/>");
        assert_eq!(client.frame(), format!("<peer listener=\"{n}\" from=\"{}\"/>", client.address()));
    }
}

#[test]
fn a_full_channel_gives_the_event_back_and_loses_none() {
    let (entered, inside) = crossbeam_channel::bounded(0);
    let (open, gate) = crossbeam_channel::bounded::<()>(0);
    let (hear, heard) = crossbeam_channel::unbounded();
    let mut probe = Probe::answering(move |_, _, _| {
        entered.send(()).unwrap();
        gate.recv_timeout(DEADLINE).unwrap();
    });
    probe.on_external = Box::new(move |_, event| hear.send(*event.downcast::<usize>().unwrap()).unwrap());
    let running = Setup::new().serve(probe);
    let mut client = running.connect();
    client.send("<wait/>");
    inside.recv_timeout(DEADLINE).unwrap();
    let handle = running.server.handle();
    let posted = (0..).find(|n| handle.post(*n) == Err(PostError::Full(*n))).unwrap();
    assert!(posted > 1_000, "{posted}");
    open.send(()).unwrap();
    for n in 0..posted {
        assert_eq!(heard.recv_timeout(DEADLINE), Ok(n));
    }
    handle.post(posted).unwrap();
    assert_eq!(heard.recv_timeout(DEADLINE), Ok(posted));
}
