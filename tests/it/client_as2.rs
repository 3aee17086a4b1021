//! The members of ActionScript 1 and 2's class, one by one.

use std::sync::mpsc::{Receiver, Sender as Channel, channel};
use std::time::Duration;

use xmlsocket::client::as2::{Handlers, SocketRef, XmlSocket};
use xmlsocket::client::{Reconnect, Xml, XmlSocket as Plain};

use crate::scripted::{Mute, Refusing, Scripted, WAIT};

/// Tells each call; `data` says whether `on_data` is overridden.
struct Teller {
    told: Channel<String>,
    data: bool,
}

impl Handlers for Teller {
    fn on_connect(&mut self, socket: &SocketRef<'_>, success: bool) {
        self.told.send(format!("onConnect {success}")).unwrap();
        assert_eq!(socket.send("<hello/>"), success, "send never fails loudly");
    }

    fn on_data(&mut self, socket: &SocketRef<'_>, src: &str) {
        match (src, self.data) {
            ("close", _) => socket.close(),
            (_, true) => self.told.send(format!("onData {src:?}")).unwrap(),
            (_, false) => self.on_xml(socket, &Xml::parse(src)),
        }
    }

    fn on_xml(&mut self, _: &SocketRef<'_>, xml: &Xml) {
        let name = xml.first_child().and_then(|child| child.name());
        self.told.send(format!("onXML {} {name:?}", xml.status().code())).unwrap();
    }

    fn on_close(&mut self, _: &SocketRef<'_>) {
        self.told.send("onClose".to_owned()).unwrap();
    }
}

fn teller(data: bool) -> (Teller, Receiver<String>) {
    let (told, tells) = channel();
    (Teller { told, data }, tells)
}

/// Everything that is told until the socket is dropped.
fn all(tells: &Receiver<String>, socket: XmlSocket) -> Vec<String> {
    assert!(socket.wait_timeout(WAIT));
    drop(socket);
    tells.iter().collect()
}

#[test]
fn on_connect_comes_once_and_on_close_when_the_server_closes() {
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear(), "<hello/>");
        peer.say("a\0\0<b/>\0cut");
    });
    let (handlers, tells) = teller(true);
    let mut socket = XmlSocket::new(handlers);
    socket.set_port_min(server.port());
    assert!(socket.connect("127.0.0.1", server.port()), "the lowest port is one that it may be");
    assert_eq!(all(&tells, socket), ["onConnect true", "onData \"a\"", "onData \"\"", "onData \"<b/>\"", "onClose"]);
    server.join();
}

#[test]
fn a_failed_attempt_is_one_on_connect_false_and_no_on_close() {
    let (refusing, mute) = (Refusing::bind(), Mute::bind());
    for port in [refusing.port(), mute.port()] {
        let (handlers, tells) = teller(true);
        let mut plain = Plain::new();
        plain.set_timeout(Duration::ZERO);
        let mut socket = XmlSocket::with(plain, handlers);
        assert!(socket.connect("127.0.0.1", port), "the attempt has begun");
        assert_eq!(all(&tells, socket), ["onConnect false"]);
    }
}

#[test]
fn connect_returns_false_when_it_cannot_begin_and_on_connect_is_not_called() {
    let (handlers, tells) = teller(true);
    let mut socket = XmlSocket::new(handlers);
    for (host, port) in [("127.0.0.1", 65_536), ("127.0.0.1", 1_090_929_898), ("127.0.0.1", 0), ("a b", 1024)] {
        assert!(!socket.connect(host, port), "{host}:{port}");
    }
    socket.set_port_min(1024);
    assert!(!socket.connect("127.0.0.1", 1023), "the rule of the media server");
    assert!(!socket.send("x"), "no attempt, nothing kept");
    socket.close();
    assert_eq!(all(&tells, socket), [""; 0]);
}

#[test]
fn no_host_is_the_host_that_the_movie_came_from() {
    for host in [None, Some(""), Some("http://127.0.0.1"), Some("http://127.0.0.1/")] {
        let server = Scripted::once(|mut peer| assert_eq!(peer.hear(), "<hello/>"));
        let (handlers, tells) = teller(true);
        let mut plain = Plain::new();
        plain.set_default_host("127.0.0.1");
        let mut socket = XmlSocket::with(plain, handlers);
        assert!(socket.connect(host, server.port()), "{host:?}");
        assert_eq!(all(&tells, socket), ["onConnect true", "onClose"]);
        server.join();
    }
}

/// Overrides nothing but `on_xml`, so that `on_data` is the class's own.
struct OnXml(Channel<String>);

impl Handlers for OnXml {
    fn on_xml(&mut self, _: &SocketRef<'_>, xml: &Xml) {
        self.0.send(format!("{} {}", xml.status().code(), xml.source())).unwrap();
    }
}

#[test]
fn on_data_parses_unless_it_is_overridden_and_malformed_text_comes_with_its_status() {
    let frames = ["<a/>", "Hello!", "", "<a>", "</a>", "<a b='", "<!--", "<![CDATA[", "<?xml", "<!DOCTYPE", "<"];
    let server = Scripted::once(move |mut peer| peer.say(format!("{}\0", frames.join("\0"))));
    let (told, tells) = channel();
    let mut socket = XmlSocket::new(OnXml(told));
    assert!(socket.connect("127.0.0.1", server.port()));
    let codes = [0, 0, 0, -9, -10, -8, -5, -2, -3, -4, -6];
    let expected: Vec<_> = codes.iter().zip(frames).map(|(code, frame)| format!("{code} {frame}")).collect();
    assert_eq!(all(&tells, socket), expected);
    server.join();
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear(), "<hello/>");
        peer.say(b"<\xff/>\0<b/>\0");
    });
    let (handlers, tells) = teller(false);
    let mut socket = XmlSocket::new(handlers);
    assert!(socket.connect("127.0.0.1", server.port()));
    let expected = ["onConnect true", "onXML 0 Some(\"\u{fffd}\")", "onXML 0 Some(\"b\")", "onClose"];
    assert_eq!(all(&tells, socket), expected);
    server.join();
}

#[test]
fn after_close_no_handler_is_called() {
    for inside in [true, false] {
        let server = Scripted::once(move |mut peer| {
            assert_eq!(peer.hear(), "<hello/>");
            peer.say(if inside { "a\0close\0b\0" } else { "a\0" });
            assert_eq!(peer.hear_all(), b"");
        });
        let (handlers, tells) = teller(true);
        let mut socket = XmlSocket::new(handlers);
        assert!(socket.connect("127.0.0.1", server.port()));
        let told: Vec<_> = (0..2).map(|_| tells.recv_timeout(WAIT).unwrap()).collect();
        assert_eq!(told, ["onConnect true", "onData \"a\""]);
        if !inside {
            socket.close();
            socket.close();
            assert!(!socket.send("x"));
        }
        assert_eq!(all(&tells, socket), [""; 0]);
        server.join();
    }
}

#[test]
fn what_is_sent_before_on_connect_leaves_first_and_is_bounded() {
    let mute = Mute::bind();
    let (handlers, tells) = teller(true);
    let mut socket = XmlSocket::new(handlers);
    assert!(!socket.send("never"));
    assert!(socket.connect("127.0.0.1", mute.port()));
    assert!(socket.send("<early/>") && socket.send("<later/>"));
    let frame = "x".repeat(10_000);
    assert_eq!((0..10).take_while(|_| socket.send(&frame)).count(), 6, "64 KiB are kept");
    let mut peer = mute.accept();
    assert_eq!([peer.hear(), peer.hear()], ["<early/>", "<later/>"]);
    (0..6).for_each(|_| assert_eq!(peer.hear(), frame));
    assert_eq!(peer.hear(), "<hello/>");
    assert_eq!(tells.recv_timeout(WAIT).unwrap(), "onConnect true");
    socket.close();
    assert_eq!(peer.hear_all(), b"");
}

#[test]
fn a_second_connect_closes_without_on_close() {
    let first = Scripted::once(|mut peer| {
        assert_eq!(peer.hear(), "<hello/>");
        peer.say("a\0");
        assert_eq!(peer.hear_all(), b"");
    });
    let refusing = Refusing::bind();
    let (handlers, tells) = teller(true);
    let mut socket = XmlSocket::new(handlers);
    assert!(socket.connect("127.0.0.1", first.port()));
    let told: Vec<_> = (0..2).map(|_| tells.recv_timeout(WAIT).unwrap()).collect();
    assert_eq!(told, ["onConnect true", "onData \"a\""]);
    assert!(socket.connect("127.0.0.1", refusing.port()));
    assert_eq!(all(&tells, socket), ["onConnect false"]);
    first.join();
}

#[test]
fn each_connection_of_a_socket_that_reconnects_has_its_on_connect() {
    let server = Scripted::run(|listener| (0..2).for_each(|_| assert_eq!(listener.accept().hear(), "<hello/>")));
    let (handlers, tells) = teller(true);
    let mut plain = Plain::new();
    let short = Duration::from_millis(1);
    plain.set_reconnect(Some(Reconnect::new().delays(short, short).attempts_max(2).held_min(WAIT)));
    let mut socket = XmlSocket::with(plain, handlers);
    assert!(socket.connect("127.0.0.1", server.port()));
    let expected = ["onConnect true", "onClose", "onConnect true", "onClose", "onConnect false"];
    assert_eq!(all(&tells, socket), expected);
    server.join();
}

#[test]
fn the_media_servers_stream_class_has_the_same_handlers() {
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear_bytes(8), b"<hello/>");
        peer.say("<?xml version='1.0'?><s:s xmlns='u'><a>");
        peer.say("</a> <b xmlns='v'/></s:s><c/>");
        assert_eq!(peer.hear_all(), b"");
    });
    let (handlers, tells) = teller(true);
    let mut socket = XmlSocket::stream(handlers);
    assert!(socket.connect("127.0.0.1", server.port()));
    let expected = ["onConnect true", "onData \"<a xmlns='u'></a>\"", "onData \"<b xmlns='v'/>\"", "onClose"];
    assert_eq!(all(&tells, socket), expected);
    server.join();
}

#[test]
fn socket_and_handle_can_be_shown() {
    struct Shown(Channel<String>);
    impl Handlers for Shown {
        fn on_connect(&mut self, socket: &SocketRef<'_>, _: bool) {
            self.0.send(format!("{socket:?}")).unwrap();
        }
    }
    let server = Scripted::once(|mut peer| assert_eq!(peer.hear_all(), b""));
    let (told, tells) = channel();
    let mut socket = XmlSocket::new(Shown(told));
    assert_eq!(format!("{socket:?}"), "XmlSocket { .. }");
    assert!(socket.connect("127.0.0.1", server.port()));
    assert_eq!(tells.recv_timeout(WAIT).as_deref(), Ok("SocketRef { .. }"));
    socket.close();
    server.join();
}
