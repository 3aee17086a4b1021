//! A server that follows a script: what it does to a client, byte for byte, is written in the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

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

/// A port that refuses connections for as long as this lives: it is taken, and nobody listens.
pub(crate) struct Refusing(Socket);

impl Refusing {
    pub(crate) fn bind() -> Refusing {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Refusing(socket)
    }

    pub(crate) fn port(&self) -> u32 {
        self.0.local_addr().unwrap().as_socket().unwrap().port().into()
    }
}

/// A port that neither accepts nor refuses: its queue of connections is full, so the system ignores more.
pub(crate) struct Mute {
    listener: Socket,
    queue: Vec<TcpStream>,
    port: u16,
}

impl Mute {
    pub(crate) fn bind() -> Mute {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        // The queue is full once a connection is not made at once.
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queue.push(stream);
        }
        Mute { listener, queue, port: address.port() }
    }

    pub(crate) fn port(&self) -> u32 {
        self.port.into()
    }

    /// Takes the connections off the queue, until the next one (which tries again about every second) is there.
    pub(crate) fn accept(self) -> Peer {
        self.listener.set_read_timeout(Some(WAIT)).unwrap();
        let listener = Listener(self.listener.into());
        let own: Vec<_> = self.queue.iter().map(|stream| stream.local_addr().unwrap()).collect();
        loop {
            let peer = listener.accept();
            if !own.contains(&peer.0.get_ref().peer_addr().unwrap()) {
                return peer;
            }
        }
    }
}

/// The server's end of one connection. Dropping it closes it.
pub(crate) struct Peer(BufReader<TcpStream>);

impl Peer {
    /// Sends `bytes`, and has them sent before anything else is done.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Sends `bytes` if the client still takes them.
    pub(crate) fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    /// The next frame, without its zero byte.
    pub(crate) fn hear(&mut self) -> String {
        let mut bytes = Vec::new();
        self.0.read_until(0, &mut bytes).expect("a frame comes in time");
        assert_eq!(bytes.pop(), Some(0), "the client closed, or left a frame unfinished: {bytes:?}");
        String::from_utf8(bytes).unwrap()
    }

    /// The next `count` bytes.
    pub(crate) fn hear_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("the bytes come in time");
        bytes
    }

    /// Everything that the client sends until it closes.
    pub(crate) fn hear_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("the client closes in time");
        bytes
    }

    /// Ends the sending side only.
    pub(crate) fn half_close(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Closes with a reset, as a killed program with unread input does.
    pub(crate) fn reset(self) {
        SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
