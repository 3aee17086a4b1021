//! What every test over sockets is made of: a server that reports what it does, and raw clients. Nothing here sleeps:
//! every wait is on a channel or a socket, and ends at [`DEADLINE`].

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use socket2::SockRef;
use xmlsocket::policy::{PolicyFile, PortList};
use xmlsocket::server::{
    CloseReason, ConnectionId, Context, Frames, Listener, ListenerSettings, Message, Server, Service,
};
use xmlsocket::wire::Limits;

pub(crate) use self::client::Client;
use self::reports::Watch;
pub(crate) use self::reports::{Note, Reports, Told};

mod client;
mod reports;

/// The longest that any test waits for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

type On<A> = Box<dyn FnMut(&mut Context<'_>, A) + Send>;

/// A service that reports what it is told and then does what a test says.
pub(crate) struct Probe {
    told: Option<Sender<Told>>,
    /// Where each connection is named once the service knows it.
    known: Option<Sender<ConnectionId>>,
    pub(crate) on_open: On<ConnectionId>,
    pub(crate) on_message: On<(ConnectionId, Message)>,
    pub(crate) on_idle: On<ConnectionId>,
    pub(crate) on_close: On<ConnectionId>,
    pub(crate) on_tick: On<()>,
    pub(crate) on_limits: On<Limits>,
    pub(crate) on_external: On<Box<dyn Any + Send>>,
    pub(crate) on_shutdown: On<()>,
}

impl Default for Probe {
    /// Echoes.
    fn default() -> Probe {
        Probe {
            told: None,
            known: None,
            on_open: Box::new(|_, _| {}),
            on_message: Box::new(|cx, (from, message)| cx.send(from, message.frame())),
            on_idle: Box::new(|_, _| {}),
            on_close: Box::new(|_, _| {}),
            on_tick: Box::new(|_, ()| {}),
            on_limits: Box::new(|_, _| {}),
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
        // Before the test's own part, which may panic; whatever else comes is handled after it.
        if let Some(known) = &self.known {
            let _ = known.send(id);
        }
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
    fn on_limits(&mut self, cx: &mut Context<'_>, limits: &Limits) {
        (self.on_limits)(cx, limits.clone());
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
    /// Bytes that the system takes from the server for a client that does not read; its own choice is some megabytes.
    pub(crate) send_buffer: Option<usize>,
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
        Setup { limits, settings: ListenerSettings::default(), send_buffer: None, policy_port: false, told: true }
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

    /// A client that does not read falls behind soon.
    pub(crate) fn small_send_buffer(mut self) -> Setup {
        self.send_buffer = Some(8 * 1024);
        self
    }

    /// Nothing is reported but the observer's notes.
    pub(crate) fn quiet(mut self) -> Setup {
        self.told = false;
        self
    }

    /// Starts the server.
    pub(crate) fn serve(self, mut probe: Probe) -> Running {
        let (told, telling) = unbounded();
        let (known, knowing) = unbounded();
        probe.told = self.told.then_some(told);
        probe.known = Some(known);
        let mut running = self.serve_service(probe);
        running.told = Reports::new(telling);
        running.known = Reports::new(knowing);
        running
    }

    /// Starts the server with a service of the test's own, which reports nothing.
    pub(crate) fn serve_service(self, service: impl Service + 'static) -> Running {
        log_lines();
        let (notes, noted) = unbounded();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Some(bytes) = self.send_buffer {
            // Connections inherit it from the socket that accepts them.
            SockRef::from(&socket).set_send_buffer_size(bytes).unwrap();
        }
        let listener = Listener::from_std(socket, self.settings).unwrap();
        let mut builder = Server::builder().listen(listener).limits(self.limits).observer(Arc::new(Watch(notes)));
        if self.policy_port {
            let listener = Listener::bind_policy("127.0.0.1:0", Arc::new(|_| test_policy())).unwrap();
            builder = builder.listen(listener);
        }
        let server = builder.serve(service).unwrap();
        Running {
            address: server.local_addr(),
            server,
            notes: Reports::new(noted),
            told: Reports::new(unbounded().1),
            known: Reports::new(unbounded().1),
        }
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
    known: Reports<ConnectionId>,
}

impl Running {
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Waits until the service knows of one connection more. It MUST be a [`Probe`].
    pub(crate) fn opened(&mut self) -> ConnectionId {
        let id = self.notes.opened();
        self.known.wait("the service knows it", |known| (*known == id).then_some(id))
    }

    /// Connects and waits until the service knows of it. There MUST be no policy, so that it does at once.
    pub(crate) fn join(&mut self) -> (Client, ConnectionId) {
        let client = self.connect();
        (client, self.opened())
    }

    /// Stops the server and gives how long that took.
    pub(crate) fn stop(&self) -> Duration {
        let begun = Instant::now();
        self.server.shutdown();
        begun.elapsed()
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

/// A small generator of numbers that look random (xorshift); tests print its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
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
