//! Defines what several fuzz targets need: [`Running`], a server in this process, for those that go through a socket, and
//! [`read`], which reads a framing without one.
//!
//! Knows: how a connection is made, what a decoder must keep to. Must not know: what is said.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use xmlsocket::server::{
    CloseReason, ConnectionId, Context, Decoded, Decoder, Encoder, Listener, ListenerSettings, Message, Server, Service,
};
use xmlsocket::wire::Limits;

/// The longest that anything may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What the application is told of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// A frame came.
    Frame(Vec<u8>),
    /// The connection is gone.
    Closed,
}

/// Sends every frame back to who sent it, and tells of it.
struct Echo(Sender<Told>);

impl Service for Echo {
    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        cx.send(from, message.frame());
        let _ = self.0.send(Told::Frame(message.frame().bytes().to_vec()));
    }

    fn on_close(&mut self, _: &mut Context<'_>, _: ConnectionId, _: &CloseReason) {
        let _ = self.0.send(Told::Closed);
    }
}

/// A server that echoes.
pub struct Running {
    server: Server,
    told: Mutex<Receiver<Told>>,
}

impl Running {
    /// Starts a server with a listener for each of `settings`; nothing comes too fast for it.
    pub fn start(settings: Vec<ListenerSettings>, frame_bytes_max: u64) -> Running {
        let mut limits = Limits::default();
        limits.frame_bytes_max = frame_bytes_max;
        limits.frames_per_second_max = 0;
        limits.connections_max = 0;
        let (sender, told) = channel();
        let mut builder = Server::builder().limits(limits);
        for settings in settings {
            builder = builder.listen(Listener::bind("127.0.0.1:0", settings).expect("a port"));
        }
        Running { server: builder.serve(Echo(sender)).expect("a server"), told: Mutex::new(told) }
    }

    /// Sends `pieces`, says that this is all, and gives what came back until the end. A listener that waits for ever
    /// fails here.
    pub fn converse(&self, listener: usize, pieces: &[&[u8]]) -> Vec<u8> {
        let mut stream = connect(self.server.local_addrs()[listener]);
        for piece in pieces {
            // A server that has closed takes no more; what it said before is what counts.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut heard = Vec::new();
        match stream.read_to_end(&mut heard) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection does not end: {error}; {}", heard.escape_ascii()),
        }
        heard
    }

    /// Forgets what the application was told.
    pub fn forget(&self) {
        self.told.lock().expect("nobody panics while holding it").try_iter().for_each(drop);
    }

    /// What the application was told of the last connection, which must have become known to it: its frames.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let told = self.told.lock().expect("nobody panics while holding it");
        let mut frames = Vec::new();
        loop {
            match told.recv_timeout(DEADLINE).expect("the end of the connection is told") {
                Told::Frame(frame) => frames.push(frame),
                Told::Closed => return frames,
            }
        }
    }
}

/// A connection from one of many addresses: the ports of one are used up by connections that have ended.
fn connect(to: SocketAddr) -> TcpStream {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) % 250;
    let from = Ipv4Addr::from_bits(Ipv4Addr::new(127, 77, 0, 1).to_bits() + count);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address");
    socket.connect(&to.into()).expect("a connection");
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// What came of reading a client.
#[derive(Default)]
pub struct Found {
    /// The bytes of frames, each with its zero byte where it has ended.
    pub frames: Vec<u8>,
    /// What the framing said to the client by itself.
    pub replies: Vec<u8>,
    /// What is to write to the client now, if that was said.
    pub encoder: Option<Arc<dyn Encoder>>,
    /// Why nothing more can come.
    pub end: Option<String>,
}

/// Reads `pieces`, as a client's thread does.
pub fn read(decoder: &mut dyn Decoder, pieces: &[&[u8]]) -> Found {
    let mut found = Found::default();
    for piece in pieces {
        let mut rest = *piece;
        for turn in 0.. {
            assert!(turn <= 8 * piece.len() + 8, "the decoder goes on for ever");
            let (used, decoded) = match decoder.decode(rest, &mut found.frames) {
                Ok(decoded) => decoded,
                Err(end) => {
                    found.replies.extend(end.reply);
                    found.end = Some(format!("{:?}", end.reason));
                    return found;
                }
            };
            rest = &rest[used..];
            match decoded {
                Decoded::Frames | Decoded::Idle => {}
                Decoded::Reply(reply) => {
                    found.replies.extend(reply.bytes);
                    found.encoder = reply.encoder.or(found.encoder.take());
                }
                Decoded::Unfinished => break,
            }
        }
        assert!(rest.is_empty(), "{} bytes would be dropped", rest.len());
    }
    found
}

/// The frames of bytes that hold whole ones.
pub fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    assert_eq!(frames.pop(), Some(&b""[..]), "every frame has ended");
    frames
}

/// Bytes as text that tells them apart.
pub fn shown(frames: &[&[u8]]) -> Vec<String> {
    frames.iter().map(|frame| frame.escape_ascii().to_string()).collect()
}

/// The next number of an input, below `below`; 0 when there is none.
pub fn number(input: &mut &[u8], below: usize) -> usize {
    match input {
        [first, rest @ ..] => {
            let number = usize::from(*first) % below;
            *input = rest;
            number
        }
        [] => 0,
    }
}
