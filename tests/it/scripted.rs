//! A server that follows a script: what it does to a client, byte for byte, is written in the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

/// How long anything may take before a test fails.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// A listener on a free port, and the thread that runs the script.
pub(crate) struct Scripted {
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Runs `script` with a listener of its own.
    pub(crate) fn run(script: impl FnOnce(&Listener) + Send + 'static) -> Scripted {
        let listener = Listener::bind();
        let port = listener.port();
        Scripted { port, thread: Some(std::thread::spawn(move || script(&listener))) }
    }

    /// Runs `script` with the first connection.
    pub(crate) fn once(script: impl FnOnce(Peer) + Send + 'static) -> Scripted {
        Scripted::run(|listener| script(listener.accept()))
    }

    pub(crate) fn port(&self) -> u32 {
        self.port.into()
    }

    /// Waits for the script to end; a failure there fails the test here.
    pub(crate) fn join(mut self) {
        if let Err(panic) = self.thread.take().unwrap().join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A listening socket whose `accept` has a deadline.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn bind() -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).set_read_timeout(Some(WAIT)).unwrap();
        Listener(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn accept(&self) -> Peer {
        let (stream, _) = self.0.accept().expect("a client connects in time");
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_write_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer(BufReader::new(stream))
    }
}

/// The server's end of one connection. Dropping it closes it.
pub(crate) struct Peer(BufReader<TcpStream>);

impl Peer {
    /// Sends `bytes`, and has them sent before anything else is done.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next frame, without its zero byte.
    pub(crate) fn hear(&mut self) -> String {
        let mut bytes = Vec::new();
        self.0.read_until(0, &mut bytes).expect("a frame comes in time");
        assert_eq!(bytes.pop(), Some(0), "the client closed, or left a frame unfinished: {bytes:?}");
        String::from_utf8(bytes).unwrap()
    }

    /// Everything that the client sends until it closes.
    pub(crate) fn hear_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("the client closes in time");
        bytes
    }
}
