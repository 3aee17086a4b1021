//! The five listeners of the class, called on the socket's own thread.

use std::sync::mpsc::{Receiver, Sender as Channel, channel};
use std::time::Duration;

use xmlsocket::client::{Error, EventListener, Sender, XmlSocket};
use xmlsocket::wire::Frame;

use crate::scripted::{Refusing, Scripted, WAIT};

/// Tells each call, with what `connected` is meanwhile, and closes at a frame that says so.
struct Teller(Channel<String>);

impl Teller {
    fn tell(&self, socket: &Sender, what: &str) {
        let thread = std::thread::current();
        assert_eq!(thread.name(), Some("xmlsocket-client"));
        self.0.send(format!("{what} {}", if socket.connected() { "connected" } else { "unconnected" })).unwrap();
    }
}

impl EventListener for Teller {
    fn on_connect(&mut self, socket: &Sender) {
        self.tell(socket, "connect");
        socket.send("hello").unwrap();
    }

    fn on_data(&mut self, socket: &Sender, frame: Frame) {
        self.tell(socket, &format!("data {:?}", frame.lossy()));
        match frame.bytes() {
            b"close" => socket.close().unwrap(),
            b"panic" => panic!("a listener that panics, on purpose"),
            _ => {}
        }
    }

    fn on_close(&mut self, socket: &Sender) {
        self.tell(socket, "close");
    }

    fn on_io_error(&mut self, socket: &Sender, id: u32, text: &str, reason: &str) {
        assert!((id, text) == (2031, "Error #2031: Socket Error.") && reason.contains("refused"), "{reason}");
        self.tell(socket, "ioError");
    }
}

fn listening() -> (XmlSocket, Receiver<String>) {
    let (teller, told) = channel();
    let mut socket = XmlSocket::new();
    socket.listen(Teller(teller));
    (socket, told)
}

fn assert_told(told: &Receiver<String>, expected: &[&str]) {
    let found: Vec<_> = expected.iter().map(|_| told.recv_timeout(WAIT).unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_listener_hears_the_events_in_order_and_sees_the_state_they_make() {
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear(), "hello");
        peer.say("a\0\0b\0cut");
    });
    let (mut socket, told) = listening();
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert_told(&told, &["connect connected", "data \"a\" connected", "data \"\" connected", "data \"b\" connected"]);
    assert_told(&told, &["close unconnected"]);
    assert!(socket.wait_timeout(WAIT));
    socket.wait();
    for error in [socket.recv_timeout(WAIT).unwrap_err(), socket.try_recv().unwrap_err(), socket.recv().unwrap_err()] {
        assert!(matches!(error, Error::Listening), "{error:?}");
    }
    let refusing = Refusing::bind();
    socket.connect("127.0.0.1", refusing.port()).unwrap();
    assert_told(&told, &["ioError unconnected"]);
    drop(socket);
    assert!(told.recv_timeout(WAIT).is_err(), "the listener is dropped with the socket, and nothing more was told");
}

#[test]
fn after_close_inside_a_listener_no_frame_and_no_close_is_told() {
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear(), "hello");
        peer.say("a\0close\0b\0c\0");
        assert_eq!(peer.hear_all(), b"");
    });
    let (mut socket, told) = listening();
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert!(socket.wait_timeout(WAIT));
    server.join();
    assert_eq!(socket.close().unwrap_err().id(), Some(2002));
    drop(socket);
    assert_eq!(
        told.iter().collect::<Vec<_>>(),
        ["connect connected", "data \"a\" connected", "data \"close\" connected"]
    );
}

#[test]
fn a_listener_that_panics_ends_its_connection_and_leaves_the_socket_usable() {
    let (mut socket, told) = listening();
    for _ in 0..2 {
        let server = Scripted::once(|mut peer| {
            assert_eq!(peer.hear(), "hello");
            peer.say("panic\0a\0");
            let _ = peer.hear_all();
        });
        socket.connect("127.0.0.1", server.port()).unwrap();
        assert_told(&told, &["connect connected", "data \"panic\" connected"]);
        assert!(socket.wait_timeout(WAIT));
        assert!(!socket.connected() && socket.send("x").unwrap_err().id() == Some(2002));
        server.join();
    }
}

/// Owns its own socket, as a careless program may come to.
struct Owner(Option<XmlSocket>, std::sync::mpsc::Receiver<XmlSocket>);

impl EventListener for Owner {
    fn on_connect(&mut self, _: &Sender) {
        self.0 = Some(self.1.recv_timeout(WAIT).unwrap());
    }

    fn on_data(&mut self, _: &Sender, _: Frame) {
        self.0 = None;
    }
}

#[test]
fn a_socket_can_be_dropped_on_its_own_thread() {
    let server = Scripted::once(|mut peer| {
        peer.say("a\0");
        assert_eq!(peer.hear_all(), b"");
    });
    let (give, given) = channel();
    let mut socket = XmlSocket::new();
    socket.listen(Owner(None, given));
    socket.connect("127.0.0.1", server.port()).unwrap();
    give.send(socket).unwrap();
    server.join();
}

/// Says that it is busy, and stays so until the channel ends.
struct Busy(Channel<()>, Receiver<()>);

impl EventListener for Busy {
    fn on_data(&mut self, _: &Sender, _: Frame) {
        self.0.send(()).unwrap();
        let _ = self.1.recv_timeout(WAIT);
    }
}

#[test]
fn dropping_a_socket_whose_listener_is_busy_does_not_hang() {
    let server = Scripted::once(|mut peer| {
        peer.say("a\0");
        assert_eq!(peer.hear_all(), b"");
    });
    let (says, busy) = channel();
    let (_end, ends) = channel();
    let mut socket = XmlSocket::new();
    socket.listen(Busy(says, ends));
    socket.connect("127.0.0.1", server.port()).unwrap();
    busy.recv_timeout(WAIT).unwrap();
    let begin = std::time::Instant::now();
    drop(socket);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    server.join();
}

#[test]
fn waiting_ends_with_the_connection() {
    let (told, tells) = channel();
    let server = Scripted::once(move |mut peer| {
        assert_eq!(peer.hear(), "hello");
        told.send(()).unwrap();
    });
    let (mut socket, _events) = listening();
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert!(!socket.wait_timeout(Duration::ZERO), "it has only begun");
    socket.wait();
    assert_eq!(tells.try_recv(), Ok(()), "the server closes after it has told");
    assert!(socket.wait_timeout(Duration::ZERO));
    server.join();
}
