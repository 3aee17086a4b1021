//! The chat client of docs/examples, run against scripted servers.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};

use xmlsocket::client::XmlSocket;
use xmlsocket::client::permission::{Permission, Player};

use crate::scripted::{Refusing, Scripted, WAIT};

#[path = "../../docs/examples/chat_client.rs"]
#[expect(dead_code, reason = "its main is for people")]
mod chat_client;

/// Hands on each line that is written to it.
struct Lines(Sender<String>, String);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.push_str(std::str::from_utf8(bytes).unwrap());
        while let Some((line, rest)) = self.1.split_once('\n') {
            self.0.send(line.to_owned()).unwrap();
            self.1 = rest.to_owned();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs the client with `socket`; gives its keyboard, its screen, and its end.
fn run(socket: XmlSocket, port: u32) -> (UnixStream, Receiver<String>, std::thread::JoinHandle<Result<(), String>>) {
    let (keyboard, input) = UnixStream::pair().unwrap();
    input.set_read_timeout(Some(WAIT)).unwrap();
    let (lines, screen) = channel();
    let client = std::thread::spawn(move || {
        let output = Lines(lines, String::new());
        chat_client::chat(socket, ("127.0.0.1", port), BufReader::new(input), output).map_err(|error| error.to_string())
    });
    (keyboard, screen, client)
}

#[test]
fn it_connects_logs_and_sends() {
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear(), "<login nick=\"ann\"/>");
        peer.say("<welcome nick=\"ann\"/>\0<message/>\0");
        assert_eq!(peer.hear(), "<quit/>");
        assert_eq!(peer.hear_all(), b"");
    });
    let (mut keyboard, screen, client) = run(XmlSocket::new(), server.port());
    writeln!(keyboard, "<login nick=\"ann\"/>").unwrap();
    let shown: Vec<_> = (0..3).map(|_| screen.recv_timeout(WAIT).unwrap()).collect();
    assert_eq!(shown, ["connect", "data: <welcome nick=\"ann\"/>", "data: <message/>"]);
    writeln!(keyboard, "<quit/>").unwrap();
    drop(keyboard);
    client.join().unwrap().unwrap();
    assert!(screen.recv().is_err(), "its own close is no event");
    server.join();
}

#[test]
fn it_logs_close_io_error_and_security_error() {
    let server = Scripted::once(drop);
    let (mut keyboard, screen, client) = run(XmlSocket::new(), server.port());
    let shown: Vec<_> = (0..2).map(|_| screen.recv_timeout(WAIT).unwrap()).collect();
    assert_eq!(shown, ["connect", "close"]);
    // The client may have seen the end before it began to read the keyboard; then it is gone already.
    let _ = writeln!(keyboard, "too late");
    drop(keyboard);
    let _ = client.join().unwrap();

    let refusing = Refusing::bind();
    let (_keyboard, screen, client) = run(XmlSocket::new(), refusing.port());
    client.join().unwrap().unwrap();
    let shown = screen.recv_timeout(WAIT).unwrap();
    assert!(shown.starts_with("ioError: Error #2031: Socket Error. (could not connect to"), "{shown}");

    let mut socket = XmlSocket::new();
    let master = u16::try_from(refusing.port()).unwrap();
    socket.set_permission(Some(Permission::new(Player::V10, "a.test").unwrap().master_port(master)));
    let (_keyboard, screen, client) = run(socket, refusing.port());
    client.join().unwrap().unwrap();
    let shown = screen.recv_timeout(WAIT).unwrap();
    assert!(shown.starts_with("securityError: Error #2048: Security sandbox violation: a.test cannot"), "{shown}");
}
