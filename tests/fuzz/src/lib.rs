//! Defines [`Running`], a server in this process for fuzz targets that go through a socket, and [`decode`] for those that
//! try a framing.
//!
//! Knows: how a connection is made that leaves nothing behind. Must not know: what is said over it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use xmlsocket::server::{
    CloseReason, ConnectionId, Context, Decoded, Decoder, Listener, ListenerSettings, Message, Server, Service,
};
use xmlsocket::wire::{Limits, split_frames};

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

/// What a decoder makes of a client's bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The frames, one after the other, each ended by its zero byte; and what has come of one.
    pub bytes: Vec<u8>,
    /// What the client is answered.
    pub replies: Vec<u8>,
    /// Why nothing more comes, if so.
    pub end: Option<CloseReason>,
}

impl Heard {
    /// The frames that are whole.
    pub fn frames(&self) -> Vec<&[u8]> {
        split_frames(&self.bytes).collect()
    }
}

/// What `decoder` makes of the bytes of a client, which come in `pieces`.
pub fn decode<'a>(decoder: &mut dyn Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let mut heard = Heard::default();
    for mut piece in pieces {
        loop {
            match decoder.decode(piece, &mut heard.bytes) {
                Ok((used, decoded)) => {
                    piece = &piece[used..];
                    match decoded {
                        Decoded::Reply(reply) => heard.replies.extend(reply.bytes),
                        Decoded::Frames | Decoded::Idle => {}
                        Decoded::Unfinished => break assert!(piece.is_empty(), "all is used"),
                    }
                }
                Err(end) => {
                    heard.replies.extend(end.reply);
                    heard.end = Some(end.reason);
                    return heard;
                }
            }
        }
    }
    heard
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
