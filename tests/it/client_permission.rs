//! Permission as a player decides it, over real connections to scripted policy servers.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use xmlsocket::client::as2::{Handlers, SocketRef, XmlSocket as As2Socket};
use xmlsocket::client::permission::{Outcome, Permission, Place, Player};
use xmlsocket::client::{Error, Event, Reconnect, XmlSocket};

use crate::client::{assert_over, data, next};
use crate::scripted::{Mute, Peer, Refusing, Scripted, WAIT};

/// The SWF of all these tests.
const SWF: &str = "http://a.test/chat.swf";

/// A file that lets everybody in everywhere.
const ALL: &str = "<cross-domain-policy><allow-access-from domain=\"*\" to-ports=\"*\"/></cross-domain-policy>";

/// A file that lets nobody in.
const NONE: &str = "<cross-domain-policy/>";

fn port(port: u32) -> u16 {
    u16::try_from(port).unwrap()
}

/// What player 10 needs, with a short wait and `master` in the place of 843.
fn permission(master: u32) -> Permission {
    Permission::new(Player::V10, SWF).unwrap().master_port(port(master)).wait_max(Duration::from_millis(150))
}

fn socket(permission: Permission) -> XmlSocket {
    let mut socket = XmlSocket::new();
    socket.set_permission(Some(permission));
    socket
}

/// Hears the request, to the byte, and answers it.
fn answer(mut peer: Peer, file: impl AsRef<[u8]>) {
    assert_eq!(peer.hear_bytes(23), b"<policy-file-request/>\0");
    peer.say(file);
}

/// A policy server that answers one request with `file`, and then sees the player close.
fn policy_server(file: String) -> Scripted {
    Scripted::once(move |peer| answer(peer, file))
}

/// A server that answers one policy request on its own connection, and then serves a client.
fn chat_server(file: &'static str) -> Scripted {
    Scripted::run(move |listener| {
        answer(listener.accept(), file);
        listener.accept().say("welcome\0");
    })
}

fn assert_welcome(socket: &mut XmlSocket, server: Scripted) {
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert_eq!((next(socket), data(socket), next(socket)), (Event::Connect, "welcome".to_owned(), Event::Close));
    server.join();
}

/// The next event is the player's refusal, whose reason speaks of `part`, and then it is over.
fn assert_refused(socket: &mut XmlSocket, port: u32, part: &str) {
    socket.connect("127.0.0.1", port).unwrap();
    match next(socket) {
        Event::SecurityError { id, text, reason } => {
            assert_eq!(id, 2048);
            let expected = format!("Security sandbox violation: {SWF} cannot load data from 127.0.0.1:{port}.");
            assert_eq!(text, format!("Error #2048: {expected}"));
            assert!(reason.contains(part), "{reason:?} should speak of {part:?}");
        }
        other => panic!("expected a SecurityError, got {other:?}"),
    }
    assert_over(socket);
}

#[test]
fn a_grant_of_the_master_is_enough() {
    let server = Scripted::once(|mut peer| peer.say("welcome\0"));
    let master = policy_server(format!("{ALL}\0"));
    assert_welcome(&mut socket(permission(master.port())), server);
    master.join();
}

#[test]
fn a_master_that_does_not_help_passes_the_question_to_the_port_itself() {
    let refusing = Refusing::bind();
    assert_welcome(&mut socket(permission(refusing.port())), chat_server(ALL));
    let mute = Mute::bind();
    assert_welcome(&mut socket(permission(mute.port())), chat_server(ALL));
    let scripts: [fn(Peer); 6] = [
        |peer| drop(peer),
        |peer| answer(peer, ""),
        |peer| answer(peer, "HTTP/1.1 400 Bad Request\r\n\r\n\0"),
        |peer| answer(peer, NONE),
        |peer| answer(peer, format!("{}\0", "x".repeat(65_537))),
        |mut peer| {
            // Begins an answer and never ends it.
            peer.say("<cross-domain-policy>");
            let _ = peer.hear_all();
        },
    ];
    for script in scripts {
        let master = Scripted::once(script);
        assert_welcome(&mut socket(permission(master.port())), chat_server(ALL));
        master.join();
    }
}

#[test]
fn an_answer_counts_however_it_is_sent() {
    let server = || Scripted::once(|mut peer| peer.say("welcome\0"));
    let scripts: [fn(Peer); 4] = [
        // Without a zero byte, ended by the end of the connection.
        |peer| answer(peer, ALL),
        // With more behind the zero byte.
        |peer| answer(peer, format!("{ALL}\0and more")),
        // Byte by byte.
        |mut peer| {
            assert_eq!(peer.hear(), "<policy-file-request/>");
            ALL.bytes().chain([0]).for_each(|byte| peer.say([byte]));
        },
        // Unasked, and gone with a reset.
        |mut peer| peer.say(format!("{ALL}\0")),
    ];
    for script in scripts {
        let master = Scripted::once(script);
        assert_welcome(&mut socket(permission(master.port())), server());
        master.join();
    }
}

#[test]
fn a_refusal_is_a_security_error_and_no_connection_is_made() {
    let refusing = Refusing::bind();
    let wrong_port = "<cross-domain-policy><allow-access-from domain='*' to-ports='1'/></cross-domain-policy>";
    let wrong_domain = "<cross-domain-policy><allow-access-from domain='b.test' to-ports='*'/></cross-domain-policy>";
    for (file, part) in [
        (NONE, "no entry for a.test"),
        (wrong_port, "to ports 1 only"),
        (wrong_domain, "no entry for a.test"),
        ("<a/>", "no policy file"),
        ("", "closed the connection without an answer"),
    ] {
        let server = Scripted::run(move |listener| {
            answer(listener.accept(), file);
            // The player's next connection is none of its own: it comes from this test.
            assert_eq!(listener.accept().hear(), "the test");
        });
        assert_refused(&mut socket(permission(refusing.port())), server.port(), part);
        let mut test = XmlSocket::new();
        test.connect("127.0.0.1", server.port()).unwrap();
        assert_eq!(next(&test), Event::Connect);
        test.send("the test").unwrap();
        server.join();
    }
    let forbids = "<cross-domain-policy><site-control permitted-cross-domain-policies='none'/></cross-domain-policy>\0";
    let master = policy_server(forbids.to_owned());
    assert_refused(&mut socket(permission(master.port())), refusing.port(), "no policy file counts");
    master.join();
}

#[test]
fn air_and_a_socket_without_permission_ask_nobody() {
    for permission in [None, Some(Permission::new(Player::Air, SWF).unwrap())] {
        let mut socket = XmlSocket::new();
        socket.set_permission(permission);
        assert_welcome(&mut socket, Scripted::once(|mut peer| peer.say("welcome\0")));
    }
}

#[test]
fn the_host_of_the_swf_is_the_default_and_needs_no_file_before_9_0_124() {
    let server = Scripted::once(|mut peer| peer.say("welcome\0"));
    let mut own = socket(Permission::new(Player::V9_0_115, "http://127.0.0.1:8080/chat.swf").unwrap());
    own.connect("", server.port()).unwrap();
    assert_eq!((next(&own), data(&own)), (Event::Connect, "welcome".to_owned()));
    server.join();
}

#[test]
fn old_players_ask_the_web_server() {
    let entry = "<allow-access-from domain=\"a.test\"/>";
    let found = format!("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n<cross-domain-policy>{entry}</cross-domain-policy>");
    for (answer, part) in [
        (found.as_str(), None),
        ("HTTP/1.1 404 Not Found\r\n\r\nno", Some("the web server answered 404")),
        ("HTTP/1.1 200 OK\r\n\r\n<cross-domain-policy/>", Some("no entry for a.test")),
        ("what?", Some("what answered is no web server")),
        ("HTTP/1.1 200", Some("what answered is no web server")),
    ] {
        let answer = answer.to_owned();
        let web = Scripted::once(move |mut peer| {
            let request = "GET /crossdomain.xml HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
            assert_eq!(peer.hear_bytes(request.len()), request.as_bytes());
            peer.say(answer);
        });
        let mut socket = socket(Permission::new(Player::V8, SWF).unwrap().web_port(port(web.port())));
        match part {
            None => assert_welcome(&mut socket, Scripted::once(|mut peer| peer.say("welcome\0"))),
            Some(part) => assert_refused(&mut socket, Refusing::bind().port(), part),
        }
        web.join();
    }
}

#[test]
fn a_place_that_the_swf_names_is_asked_and_waited_for() {
    let refusing = Refusing::bind();
    let named = policy_server(format!("{ALL}\0"));
    let location = format!("xmlsocket://127.0.0.1:{}", named.port()).parse().unwrap();
    let server = Scripted::once(|mut peer| peer.say("welcome\0"));
    assert_welcome(&mut socket(permission(refusing.port()).location(location)), server);
    named.join();
}

#[test]
fn what_a_player_refuses_without_asking_is_refused_at_once() {
    let mut restricted = socket(Permission::new(Player::V7_0_14, SWF).unwrap());
    let error = restricted.connect("127.0.0.1", 1023).unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }) && error.id() == Some(2048), "{error:?}");
    let text = format!("Error #2048: Security sandbox violation: {SWF} cannot load data from 127.0.0.1:1023.");
    assert_eq!(error.player_text(), Some(text));
    assert!(error.to_string().contains("no port below 1024"), "{error}");
    assert_over(&restricted);

    let file = "file:///home/ann/chat.swf";
    let local = |player| Permission::new(player, file).unwrap().with_filesystem();
    for player in [Player::V8, Player::V9, Player::V10] {
        let error = socket(local(player)).connect("127.0.0.1", 1024).unwrap_err();
        let text = "Error #2010: Local-with-filesystem SWF files are not permitted to use sockets.";
        assert_eq!((error.id(), error.player_text().as_deref()), (Some(2010), Some(text)));
    }
    for player in [Player::V7_0_14, Player::V7_0_19, Player::Air] {
        assert_welcome(&mut socket(local(player)), Scripted::once(|mut peer| peer.say("welcome\0")));
    }
    let remote = Permission::new(Player::V9_0_115, "http://127.0.0.1/a.swf").unwrap().with_filesystem();
    assert_welcome(&mut socket(remote), Scripted::once(|mut peer| peer.say("welcome\0")));
}

#[test]
fn close_and_drop_end_the_waiting_for_an_answer() {
    for explicit in [true, false] {
        let (asked, asks) = channel();
        let master = Scripted::once(move |mut peer| {
            assert_eq!(peer.hear(), "<policy-file-request/>");
            asked.send(()).unwrap();
            assert_eq!(peer.hear_all(), b"");
        });
        let mut socket = socket(permission(master.port()).wait_max(WAIT));
        socket.connect("127.0.0.1", 1024).unwrap();
        asks.recv_timeout(WAIT).unwrap();
        assert_eq!(socket.try_recv().unwrap(), None);
        let begin = Instant::now();
        if explicit {
            socket.close().unwrap();
            assert_over(&socket);
        }
        drop(socket);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        master.join();
    }
}

#[test]
fn a_grant_holds_while_the_socket_reconnects_and_a_refusal_is_not_tried_again() {
    let reconnect = Reconnect::new().delays(Duration::from_millis(1), Duration::from_millis(1)).attempts_max(1);
    let server = Scripted::run(|listener| (0..2).for_each(|_| listener.accept().say("welcome\0")));
    let master = policy_server(format!("{ALL}\0"));
    let mut granted = socket(permission(master.port()));
    granted.set_reconnect(Some(reconnect.clone()));
    granted.connect("127.0.0.1", server.port()).unwrap();
    assert_eq!((next(&granted), data(&granted), next(&granted)), (Event::Connect, "welcome".into(), Event::Close));
    assert!(matches!(next(&granted), Event::Reconnecting { attempt: 1, .. }));
    assert_eq!((next(&granted), data(&granted), next(&granted)), (Event::Connect, "welcome".into(), Event::Close));
    assert_over(&granted);
    master.join();
    server.join();

    let master = policy_server(format!("{NONE}\0"));
    let refusing = Refusing::bind();
    let mut refused = socket(permission(master.port()));
    refused.set_reconnect(Some(reconnect));
    assert_refused(&mut refused, refusing.port(), "no entry for a.test");
    master.join();
}

#[test]
fn a_check_tells_each_step_and_does_not_connect() {
    let mute = Mute::bind();
    let server = policy_server(format!("{NONE}\0"));
    let mut told = Vec::new();
    let check = permission(mute.port()).check("127.0.0.1", port(server.port()), |asked| told.push(asked.place));
    assert!(!check.verdict.is_granted());
    assert_eq!(told, [Place::Master(port(mute.port())), Place::Target(port(server.port()))]);
    assert_eq!(check.asked.iter().map(|asked| asked.place).collect::<Vec<_>>(), told);
    assert_eq!(check.asked[0].outcome, Outcome::Silent);
    assert!(check.asked[0].took >= Duration::from_millis(150) && check.asked[0].took < WAIT);
    assert_eq!(check.asked[1].outcome, Outcome::File(NONE.to_owned()));
    assert!(check.findings.iter().any(|finding| finding.to_string().contains("no entry for a.test")));
    server.join();
    let check = Permission::new(Player::Air, SWF).unwrap().check("127.0.0.1", 1, |_| panic!("nobody is asked"));
    assert!(check.verdict.is_granted() && check.asked.is_empty());
}

/// Tells whether it could connect.
struct Teller(std::sync::mpsc::Sender<bool>);

impl Handlers for Teller {
    fn on_connect(&mut self, _: &SocketRef<'_>, success: bool) {
        self.0.send(success).unwrap();
    }
}

#[test]
fn in_actionscript_2_a_refusal_is_on_connect_false_or_no_attempt() {
    let master = policy_server(format!("{NONE}\0"));
    let refusing = Refusing::bind();
    let (tells, told) = channel();
    let mut later = As2Socket::with(socket(permission(master.port())), Teller(tells));
    assert!(later.connect("127.0.0.1", refusing.port()), "the attempt has begun");
    assert!(!told.recv_timeout(WAIT).unwrap());
    master.join();

    let (tells, told) = channel();
    let at_once = socket(Permission::new(Player::V7_0_14, SWF).unwrap());
    let mut at_once = As2Socket::with(at_once, Teller(tells));
    assert!(!at_once.connect("127.0.0.1", 1023));
    drop(at_once);
    assert!(told.recv().is_err(), "onConnect is not called");
}

/// What came of asking the master, which `script` plays, and which is waited for as long as a player does.
fn asked_of_master(script: impl FnOnce(Peer) + Send + 'static) -> Outcome {
    let (refusing, master) = (Refusing::bind(), Scripted::once(script));
    let check = permission(master.port()).wait_max(WAIT).check("127.0.0.1", port(refusing.port()), |_| {});
    master.join();
    check.asked[0].outcome.clone()
}

#[test]
fn every_way_to_answer_has_its_name() {
    let longest = |more: usize| ALL.replacen("><", &format!(">{}<", " ".repeat(65_536 + more - ALL.len())), 1);
    let (fits, too_long) = (longest(0), longest(1));
    assert_eq!(fits.len(), 65_536);
    let sent = fits.clone();
    assert_eq!(asked_of_master(move |peer| answer(peer, sent + "\0")), Outcome::File(fits));
    assert_eq!(asked_of_master(move |mut peer| drop(peer.try_say(too_long + "\0"))), Outcome::TooLong);
    assert_eq!(asked_of_master(|peer| answer(peer, ALL)), Outcome::Unended(ALL.to_owned()));
    assert_eq!(asked_of_master(|peer| answer(peer, "")), Outcome::ClosedWithoutAnswer);
    let reset = |mut peer: Peer| {
        assert_eq!(peer.hear(), "<policy-file-request/>");
        peer.reset();
    };
    assert_eq!(asked_of_master(reset), Outcome::ClosedWithoutAnswer);
    let (silent, refusing) = (Mute::bind(), Refusing::bind());
    let check = permission(silent.port()).check("127.0.0.1", port(refusing.port()), |_| {});
    assert_eq!(check.asked[0].outcome, Outcome::Silent);
    let silent = Scripted::once(|mut peer| assert_eq!(peer.hear_all(), b"<policy-file-request/>\0"));
    let check = permission(silent.port()).check("127.0.0.1", port(refusing.port()), |_| {});
    silent.join();
    assert_eq!(check.asked[0].outcome, Outcome::Silent);
    let check = permission(refusing.port()).check("127.0.0.1", port(refusing.port()), |_| {});
    assert_eq!(check.asked[0].outcome, Outcome::ConnectionRefused);
}

#[test]
fn a_web_server_may_send_a_header_and_no_endless_file() {
    let web = |body: usize, wait_max: Duration| {
        let server = Scripted::once(move |mut peer| {
            let _ = peer.try_say(format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(body)));
            let _ = peer.hear_all();
        });
        let refusing = Refusing::bind();
        let check = Permission::new(Player::V8, SWF).unwrap().web_port(port(server.port())).wait_max(wait_max).check(
            "127.0.0.1",
            port(refusing.port()),
            |_| {},
        );
        let answer = check.asked[0].outcome.code();
        (answer, server)
    };
    // A header of 16 KiB and a file of 64 KiB are the most. The server that sends less leaves the connection open.
    let header = "HTTP/1.0 200 OK\r\n\r\n".len();
    let soon = Duration::from_millis(150);
    for (bytes, wait_max, expected) in [(81_920, soon, "silent"), (81_921, WAIT, "too-long")] {
        let (answer, server) = web(bytes - header, wait_max);
        assert_eq!(answer, expected);
        server.join();
    }
}
