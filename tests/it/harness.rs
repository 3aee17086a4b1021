//! What every test over sockets is made of: a server that reports what it does, and raw clients. Nothing here sleeps:
//! every wait is on a channel or a socket, and ends at [`DEADLINE`].

use std::any::Any;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use socket2::{Domain, Socket, Type};
use xmlsocket::policy::{PolicyFile, PortList};
use xmlsocket::server::{
    CloseReason, ConnectionId, Context, Frames, Listener, ListenerSettings, Message, Observer, Peer, Server, Service,
};
use xmlsocket::wire::Limits;

/// The longest that any test waits for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// What the server reports, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    Accepted(ConnectionId),
    Refused(String),
    Opened(ConnectionId),
    FrameIn(ConnectionId, usize),
    FellBehind(ConnectionId),
    CaughtUp(ConnectionId),
    Closed(ConnectionId, CloseReason),
    Ended(ConnectionId),
}

/// What the service was told, in the order in which it happened. Ticks are not reported: they come all the time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Open(ConnectionId),
    Message(ConnectionId, String),
    Idle(ConnectionId),
    Close(ConnectionId, CloseReason),
    External,
    Shutdown,
}

/// A queue of reports that can be searched: what a search skips stays for the next.
pub(crate) struct Reports<T> {
    queue: Receiver<T>,
    skipped: Vec<T>,
}

impl<T: std::fmt::Debug> Reports<T> {
    fn new(queue: Receiver<T>) -> Reports<T> {
        Reports { queue, skipped: Vec::new() }
    }

    /// Waits for the first report that `pick` gives something for, and takes it out.
    pub(crate) fn wait<R>(&mut self, what: &str, mut pick: impl FnMut(&T) -> Option<R>) -> R {
        for at in 0..self.skipped.len() {
            if let Some(picked) = pick(&self.skipped[at]) {
                self.skipped.remove(at);
                return picked;
            }
        }
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.queue.recv_deadline(deadline) {
                Ok(report) => match pick(&report) {
                    Some(picked) => return picked,
                    None => self.skipped.push(report),
                },
                Err(_) => panic!("no report of: {what}; there were {:?}", self.tail()),
            }
        }
    }

    /// All reports that are there, whether skipped before or not.
    pub(crate) fn all(&mut self) -> Vec<T> {
        self.skipped.extend(self.queue.try_iter());
        std::mem::take(&mut self.skipped)
    }

    fn tail(&self) -> &[T] {
        &self.skipped[self.skipped.len().saturating_sub(20)..]
    }
}

impl Reports<Note> {
    pub(crate) fn opened(&mut self) -> ConnectionId {
        self.wait("a connection opened", |note| match note {
            Note::Opened(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn closed(&mut self, id: ConnectionId) -> CloseReason {
        self.wait(&format!("{id} closed"), |note| match note {
            Note::Closed(closed, reason) if *closed == id => Some(reason.clone()),
            _ => None,
        })
    }

    pub(crate) fn any_closed(&mut self) -> (ConnectionId, CloseReason) {
        self.wait("a connection closed", |note| match note {
            Note::Closed(id, reason) => Some((*id, reason.clone())),
            _ => None,
        })
    }

    pub(crate) fn any_ended(&mut self) -> ConnectionId {
        self.wait("a connection ended", |note| match note {
            Note::Ended(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn ended(&mut self, id: ConnectionId) {
        self.wait(&format!("{id} ended"), |note| (*note == Note::Ended(id)).then_some(()));
    }

    pub(crate) fn caught_up(&mut self, id: ConnectionId) {
        self.wait(&format!("{id} caught up"), |note| (*note == Note::CaughtUp(id)).then_some(()));
    }

    pub(crate) fn fell_behind(&mut self, id: ConnectionId) {
        self.wait(&format!("{id} fell behind"), |note| (*note == Note::FellBehind(id)).then_some(()));
    }
}

impl Reports<Told> {
    pub(crate) fn open(&mut self) -> ConnectionId {
        self.wait("on_open", |told| match told {
            Told::Open(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn message(&mut self) -> String {
        self.wait("on_message", |told| match told {
            Told::Message(_, text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(crate) fn close(&mut self, id: ConnectionId) -> CloseReason {
        self.wait("on_close", |told| match told {
            Told::Close(closed, reason) if *closed == id => Some(reason.clone()),
            _ => None,
        })
    }
}

/// Reports to a channel.
struct Watch(Sender<Note>);

impl Watch {
    fn note(&self, note: Note) {
        let _ = self.0.send(note);
    }
}

impl Observer for Watch {
    fn accepted(&self, id: ConnectionId, _: SocketAddr) {
        self.note(Note::Accepted(id));
    }
    fn refused(&self, _: SocketAddr, code: &str) {
        self.note(Note::Refused(code.to_owned()));
    }
    fn opened(&self, id: ConnectionId, _: &Peer) {
        self.note(Note::Opened(id));
    }
    fn frame_in(&self, id: ConnectionId, frame: &[u8]) {
        self.note(Note::FrameIn(id, frame.len()));
    }
    fn fell_behind(&self, id: ConnectionId) {
        self.note(Note::FellBehind(id));
    }
    fn caught_up(&self, id: ConnectionId) {
        self.note(Note::CaughtUp(id));
    }
    fn closed(&self, id: ConnectionId, reason: &CloseReason) {
        self.note(Note::Closed(id, reason.clone()));
    }
    fn ended(&self, id: ConnectionId) {
        self.note(Note::Ended(id));
    }
}

type On<A> = Box<dyn FnMut(&mut Context<'_>, A) + Send>;

/// A service that reports what it is told and then does what a test says.
pub(crate) struct Probe {
    told: Option<Sender<Told>>,
    pub(crate) on_open: On<ConnectionId>,
    pub(crate) on_message: On<(ConnectionId, Message)>,
    pub(crate) on_idle: On<ConnectionId>,
    pub(crate) on_close: On<ConnectionId>,
    pub(crate) on_tick: On<()>,
    pub(crate) on_external: On<Box<dyn Any + Send>>,
    pub(crate) on_shutdown: On<()>,
}

impl Default for Probe {
    /// Echoes.
    fn default() -> Probe {
        Probe {
            told: None,
            on_open: Box::new(|_, _| {}),
            on_message: Box::new(|cx, (from, message)| cx.send(from, message.frame())),
            on_idle: Box::new(|_, _| {}),
            on_close: Box::new(|_, _| {}),
            on_tick: Box::new(|_, ()| {}),
            on_external: Box::new(|_, _| {}),
            on_shutdown: Box::new(|_, ()| {}),
        }
    }
}

impl Probe {
    /// Answers messages as `on_message` does.
    pub(crate) fn answering(on_message: impl FnMut(&mut Context<'_>, ConnectionId, &str) + Send + 'static) -> Probe {
        let mut on_message = on_message;
        Probe {
            on_message: Box::new(move |cx, (from, message)| on_message(cx, from, &message.frame().lossy())),
            ..Probe::default()
        }
    }

    /// Sends every message to everybody who is there, the sender too.
    pub(crate) fn fan_out() -> Probe {
        let everybody = Arc::new(Mutex::new(Vec::new()));
        let (comers, goers, readers) = (Arc::clone(&everybody), Arc::clone(&everybody), everybody);
        Probe {
            on_open: Box::new(move |_, id| lock(&comers).push(id)),
            on_close: Box::new(move |_, id| lock(&goers).retain(|other| *other != id)),
            on_message: Box::new(move |cx, (_, message)| {
                cx.send_all(lock(&readers).iter().copied(), message.frame());
            }),
            ..Probe::default()
        }
    }

    fn tell(&self, told: Told) {
        if let Some(sender) = &self.told {
            let _ = sender.send(told);
        }
    }
}

impl Service for Probe {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.tell(Told::Open(id));
        (self.on_open)(cx, id);
    }
    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        self.tell(Told::Message(from, message.frame().lossy().into_owned()));
        (self.on_message)(cx, (from, message));
    }
    fn on_idle(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.tell(Told::Idle(id));
        (self.on_idle)(cx, id);
    }
    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, reason: &CloseReason) {
        self.tell(Told::Close(id, reason.clone()));
        (self.on_close)(cx, id);
    }
    fn on_tick(&mut self, cx: &mut Context<'_>) {
        (self.on_tick)(cx, ());
    }
    fn on_external(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        self.tell(Told::External);
        (self.on_external)(cx, event);
    }
    fn on_shutdown(&mut self, cx: &mut Context<'_>) {
        self.tell(Told::Shutdown);
        (self.on_shutdown)(cx, ());
    }
}

/// A server that is being set up.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) settings: ListenerSettings,
    /// Whether there is a policy port, too: the second address.
    pub(crate) policy_port: bool,
    /// Whether messages are reported by the service: switched off where there are very many.
    pub(crate) told: bool,
}

impl Setup {
    /// XML, no policy, no limit on how fast frames come.
    pub(crate) fn new() -> Setup {
        let mut limits = Limits::default();
        limits.frames_per_second_max = 0;
        Setup { limits, settings: ListenerSettings::default(), policy_port: false, told: true }
    }

    /// Sets limits.
    pub(crate) fn limits(mut self, set: impl FnOnce(&mut Limits)) -> Setup {
        set(&mut self.limits);
        self
    }

    /// Sets what may be set for the listener.
    pub(crate) fn settings(mut self, set: impl FnOnce(&mut ListenerSettings)) -> Setup {
        set(&mut self.settings);
        self
    }

    /// Frames are not parsed.
    pub(crate) fn any(self) -> Setup {
        self.settings(|settings| settings.frames = Frames::Any)
    }

    /// Policy requests are answered.
    pub(crate) fn policy(self) -> Setup {
        self.settings(|settings| settings.policy = Some(Arc::new(|_| test_policy())))
    }

    /// Nothing is reported but the observer's notes.
    pub(crate) fn quiet(mut self) -> Setup {
        self.told = false;
        self
    }

    /// Starts the server.
    pub(crate) fn serve(self, mut probe: Probe) -> Running {
        log_lines();
        let (notes, noted) = unbounded();
        let (told, telling) = unbounded();
        probe.told = self.told.then_some(told);
        let listener = Listener::bind("127.0.0.1:0", self.settings).unwrap();
        let mut builder = Server::builder().listen(listener).limits(self.limits).observer(Arc::new(Watch(notes)));
        if self.policy_port {
            let listener = Listener::bind_policy("127.0.0.1:0", Arc::new(|_| test_policy())).unwrap();
            builder = builder.listen(listener);
        }
        let server = builder.serve(probe).unwrap();
        Running { address: server.local_addr(), server, notes: Reports::new(noted), told: Reports::new(telling) }
    }
}

/// The policy file that test servers serve.
pub(crate) fn test_policy() -> PolicyFile {
    PolicyFile::granting(["example.com".parse().unwrap()], &"1024-65535".parse::<PortList>().unwrap())
}

/// A server under test.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) notes: Reports<Note>,
    pub(crate) told: Reports<Told>,
}

impl Running {
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Connects and waits until the service knows of it. There MUST be no policy, so that it does at once.
    pub(crate) fn join(&mut self) -> (Client, ConnectionId) {
        let client = self.connect();
        (client, self.notes.opened())
    }

    /// Stops the server and gives how long that took.
    pub(crate) fn stop(&self) -> Duration {
        let begun = Instant::now();
        self.server.shutdown();
        begun.elapsed()
    }
}

/// A raw client. Every read and write has the deadline.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Bytes that were read after the last frame.
    pub(crate) unread: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::from_stream(TcpStream::connect_timeout(&address, DEADLINE).unwrap())
    }

    /// A client whose system takes few bytes that it does not read.
    pub(crate) fn with_small_buffer(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect_timeout(&address.into(), DEADLINE).unwrap();
        Client::from_stream(socket.into())
    }

    fn from_stream(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client { stream, unread: Vec::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.write(&bytes);
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame; `None` at the end of the stream, whatever was begun. A reset counts as an end.
    pub(crate) fn frame_or_end(&mut self) -> Option<String> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.unread[searched..].iter().position(|&byte| byte == 0) {
                let frame: Vec<u8> = self.unread.drain(..=searched + end).collect();
                return Some(String::from_utf8(frame[..frame.len() - 1].to_vec()).unwrap());
            }
            searched = self.unread.len();
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no frame and no end: {error}; so far {:?}", self.unread.escape_ascii()),
            }
        }
    }

    /// The next frame, which must be there.
    pub(crate) fn frame(&mut self) -> String {
        self.frame_or_end().expect("the connection ended and a frame was expected")
    }

    /// The connection must end, without another byte.
    pub(crate) fn end(&mut self) {
        assert_eq!(self.rest().escape_ascii().to_string(), "", "nothing more was expected");
    }

    /// All bytes up to the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.unread);
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return rest,
                Ok(count) => rest.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return rest,
                Err(error) => panic!("no end: {error}; so far {} bytes", rest.len()),
            }
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Makes the system answer with a reset when this client is dropped.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Runs `test`, which is called `name`, in a process of its own: this binary once more, with that one test.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    const CHILD: &str = "XMLSOCKET_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Locks, whoever panicked before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines that were logged by all tests of this process; a test finds its own by an address or a name in them.
pub(crate) fn log_lines() -> &'static Mutex<Vec<String>> {
    struct Lines(Mutex<Vec<String>>);
    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            lock(&self.0).push(format!("{} {}", record.level(), record.args()));
        }
        fn flush(&self) {}
    }
    static LINES: OnceLock<&'static Lines> = OnceLock::new();
    let lines = LINES.get_or_init(|| {
        let lines: &'static Lines = Box::leak(Box::new(Lines(Mutex::new(Vec::new()))));
        log::set_logger(lines).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        lines
    });
    &lines.0
}
