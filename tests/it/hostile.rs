//! Peers that mean no good, or are merely broken: each loses its own connection at most.

use std::io::Write;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use xmlsocket::server::{CloseReason, Framing};
use xmlsocket::wire::Element;

use crate::harness::{Client, DEADLINE, Note, Probe, Random, Running, Setup, alone, lock, log_lines};

/// The server answers somebody new.
fn serves(running: &Running) {
    let mut client = running.connect();
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
}

#[test]
fn random_bytes_harm_nobody() {
    let seed = 0x5eed_0001;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    // Pieces that mean something, so that random streams get far.
    let pieces: &[&[u8]] = &[
        b"<a/>",
        b"\0",
        b"<policy-file-request/>\0",
        b"GET / HTTP/1.1\r\n",
        b"\r\n\r\n",
        b"POST ",
        b"\x16\x03\x01",
        b"<!DOCTYPE a>",
        b"\xff\xfe",
        b"<a xmlns='",
        b"'>",
        b"</a>",
        b"\n",
        b"&#0;",
        b"%xt%",
        b"PROXY TCP4 ",
        b" ",
    ];
    for setup in
        [Setup::new().policy(), Setup::new().any(), Setup::new().settings(|settings| settings.framing = Framing::Line)]
    {
        let mut running = setup.limits(|limits| limits.frame_bytes_max = 1_000).quiet().serve(Probe::default());
        let mut ids = 0;
        for _ in 0..150 {
            let client = running.connect();
            ids += 1;
            for _ in 0..random.below(20) {
                let piece = pieces[random.below(pieces.len())];
                let cut = random.below(piece.len() + 1);
                // The server may have closed it already.
                let _ =
                    (&client.stream).write_all(&piece[..cut]).and_then(|()| (&client.stream).write_all(&piece[cut..]));
            }
            match random.below(3) {
                0 => client.reset(),
                1 => drop(client),
                _ => drop(client.stream.shutdown(Shutdown::Write)),
            }
        }
        running.notes.ends(ids);
        serves(&running);
    }
}

/// In a process of its own, because other tests' connections may have had the same address, and are logged, too.
#[test]
fn megabytes_without_a_zero_byte_cost_one_line_and_no_frame() {
    alone("hostile::megabytes_without_a_zero_byte_cost_one_line_and_no_frame", || {
        let mut running = Setup::new().policy().serve(Probe::default());
        let client = running.connect();
        let address = client.address().to_string();
        let zeroless = vec![b'x'; 1 << 20];
        // It ends when the server is tired of reading on, or when all is sent.
        let _ = (0..64).try_for_each(|_| (&client.stream).write_all(&zeroless));
        drop(client);
        running.notes.any_ended();
        assert!(!running.notes.all().iter().any(|note| matches!(note, Note::FrameIn(..))));
        let lines: Vec<_> = lock(log_lines()).iter().filter(|line| line.contains(&address)).cloned().collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("no zero byte within 65536 bytes"), "{lines:?}");
        serves(&running);
    });
}

#[test]
fn zero_bytes_without_end_are_only_signs_of_life() {
    let mut running = Setup::new().serve(Probe::default());
    let (mut client, _) = running.join();
    client.write(&vec![0; 100_000]);
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
}

#[test]
fn a_flood_of_errors_is_answered_one_for_one_or_ends() {
    // Each frame is answered with more bytes than it has; whoever does not read them is closed for it.
    let mut running = Setup::new().quiet().limits(|limits| limits.outbox_bytes_max = 1 << 20).serve(Probe::default());
    let client = Client::with_small_buffer(running.address);
    let id = running.opened();
    let nonsense = b"x\0".repeat(8 << 10);
    let _ = (0..64).try_for_each(|_| (&client.stream).write_all(&nonsense));
    assert_eq!(running.notes.closed(id), CloseReason::TooSlow);
    running.notes.ended(id);
    serves(&running);
}

#[test]
fn a_reset_is_noticed_and_told() {
    let mut running = Setup::new().serve(Probe::default());
    let (mut client, id) = running.join();
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
    client.reset();
    assert!(matches!(running.told.close(id), CloseReason::Lost(_)));
    running.notes.ended(id);
    assert_eq!(running.server.connections(), 0);
}

#[test]
fn a_client_that_closes_its_half_is_still_answered() {
    let mut running = Setup::new().serve(Probe::default());
    let (mut client, id) = running.join();
    let frames: String = (0..1_000).map(|n| format!("<a n='{n}'/>\0")).collect();
    client.write(frames.as_bytes());
    client.half_close();
    assert_eq!(String::from_utf8(client.rest()).unwrap(), frames);
    assert_eq!(running.told.close(id), CloseReason::ByPeer);
}

#[test]
fn a_connection_that_is_closed_says_nothing_more_to_the_application() {
    let mut running = Setup::new().serve(Probe::answering(|cx, from, text| {
        cx.send(from, &Element::new("seen").attribute("text", text));
        cx.close(from, CloseReason::application("quit", "It said so."));
        // Neither this nor a second closing does anything.
        cx.send(from, &Element::new("late"));
        cx.close(from, CloseReason::application("again", "It said so."));
    }));
    let (mut client, id) = running.join();
    client.write(&b"<a/>\0<b/>\0<c/>\0".repeat(1_000));
    assert_eq!(client.frame(), "<seen text=\"&lt;a/&gt;\"/>");
    client.end();
    assert_eq!(running.told.close(id).code(), "quit");
    drop(client);
    running.notes.ended(id);
    serves_once(&mut running);
    let messages: Vec<_> = running
        .told
        .all()
        .into_iter()
        .filter(|told| matches!(told, crate::harness::Told::Message(from, _) if *from == id))
        .collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
}

fn serves_once(running: &mut Running) {
    let (mut client, id) = running.join();
    client.send("<a/>");
    assert_eq!(client.frame(), "<seen text=\"&lt;a/&gt;\"/>");
    client.end();
    running.told.close(id);
}

/// Connections are closed from every handler that there is, the one that is being told of included.
#[test]
fn an_application_may_close_anybody_from_anywhere() {
    let everybody = Arc::new(Mutex::new(Vec::new()));
    let close_all = |everybody: &Arc<Mutex<Vec<_>>>| {
        let everybody = Arc::clone(everybody);
        move |cx: &mut xmlsocket::server::Context<'_>| {
            for id in lock(&everybody).drain(..) {
                cx.send(id, &Element::new("bye"));
                cx.close(id, CloseReason::application("all", "Everybody goes."));
            }
        }
    };
    let mut probe = Probe::default();
    let (comers, all) = (Arc::clone(&everybody), close_all(&everybody));
    let mut limit = 4;
    probe.on_open = Box::new(move |cx, id| {
        lock(&comers).push(id);
        if lock(&comers).len() == limit {
            // Every second time it is on_open that closes all, else one of the others.
            all(cx);
            limit = if limit == 4 { 1_000 } else { 4 };
        }
    });
    let (on_message, on_external) = (close_all(&everybody), close_all(&everybody));
    probe.on_message = Box::new(move |cx, _| on_message(cx));
    probe.on_external = Box::new(move |cx, _| on_external(cx));
    let on_close = close_all(&everybody);
    probe.on_close = Box::new(move |cx, _| on_close(cx));
    let mut running = Setup::new().serve(probe);
    let mut rounds = 0;
    for how in ["open", "message", "external", "close"] {
        let mut clients: Vec<_> = (0..4).map(|_| running.join().0).collect();
        rounds += 4;
        match how {
            "open" => {}
            "message" => clients[2].send("<a/>"),
            "external" => running.server.handle().post(()).unwrap(),
            _ => {
                clients.remove(1);
            }
        }
        for client in &mut clients {
            assert_eq!(client.frame(), "<bye/>", "{how}");
            client.end();
        }
    }
    drop(everybody);
    running.notes.ends(rounds);
    assert_eq!(running.server.connections(), 0);
}

/// Broadcasts go on while connections come and go: who stays gets every one, in order, and nobody gets another's.
#[test]
fn churn_during_broadcasts_confuses_nobody() {
    let mut running = Setup::new().any().quiet().serve(Probe::fan_out());
    let (mut stays, _) = running.join();
    let (mut sender, _) = running.join();
    let address = running.address;
    let churn: Vec<_> = (0..4)
        .map(|n| {
            thread::spawn(move || {
                for round in 0..100 {
                    let mut client = Client::connect(address);
                    client.send("hello");
                    match (n + round) % 4 {
                        0 => client.reset(),
                        1 => drop(client.frame()),
                        2 => client.half_close(),
                        _ => {}
                    }
                }
            })
        })
        .collect();
    for n in 0..1_000 {
        sender.send(&n.to_string());
    }
    churn.into_iter().for_each(|thread| thread.join().unwrap());
    sender.send("end");
    for client in [&mut stays, &mut sender] {
        let mut heard = Vec::new();
        loop {
            let frame = client.frame();
            match frame.as_str() {
                "hello" => {}
                "end" => break,
                number => heard.push(number.parse::<usize>().unwrap()),
            }
        }
        assert_eq!(heard, (0..1_000).collect::<Vec<_>>());
    }
    let ids: Vec<_> = running
        .notes
        .all()
        .into_iter()
        .filter_map(|note| match note {
            Note::Accepted(id) => Some(id.serial()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "no id twice");
}

/// A connection that is told to go and does not close is cut off after a while, and its seat is free.
#[test]
fn who_does_not_close_when_told_to_is_cut_off() {
    let mut running = Setup::new()
        .limits(|limits| limits.connections_max = 1)
        .serve(Probe::answering(|cx, from, _| cx.close(from, CloseReason::application("quit", "It said so."))));
    let (mut stubborn, id) = running.join();
    stubborn.send("<quit/>");
    stubborn.end();
    let begun = std::time::Instant::now();
    running.notes.ended(id);
    assert!(begun.elapsed() < Duration::from_secs(5) && begun.elapsed() < DEADLINE);
    running.join();
}
