//! Defines [`Server`], which starts everything, and the order in which everything stops.
//!
//! Stopping: the flag is set and every `accept` woken → the application says farewell → outboxes drain to a deadline →
//! every link is shut down, which frees whoever reads or writes → each listener's scope joins its clients' threads,
//! the dispatcher's scope its writers → the dispatcher ends.
//!
//! Knows: which threads there are. Must not know: what they do.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use socket2::SockRef;

use super::arrivals::Arrivals;
use super::budget::Budget;
use super::dispatcher::Dispatcher;
use super::event::{EVENTS_MAX, Event};
use super::listener::{Listener, ListenerSettings};
use super::observer::{Observer, Silent};
use super::seats::Seats;
use super::service::Service;
use super::threads;
use super::waiting::Outboxes;
use crate::wire::Limits;

/// What the threads of a server share.
pub(super) struct Shared {
    pub(super) inbox: Sender<Event>,
    pub(super) budget: Budget,
    pub(super) seats: Arc<Seats>,
    pub(super) outboxes: Arc<Outboxes>,
    pub(super) observer: Arc<dyn Observer>,
    /// Whether the observer is to be shown the frames that are sent.
    pub(super) wants_frames_out: bool,
    /// Who arrives at each listener.
    pub(super) arrivals: Vec<Arc<Arrivals>>,
    limits: RwLock<Arc<Limits>>,
    /// Set when the limits were set anew and the dispatcher has not told the application.
    limits_are_new: AtomicBool,
    stopping: AtomicBool,
    addresses: Vec<SocketAddr>,
    /// The sockets of the listeners, for as long as they accept.
    sockets: Vec<Weak<TcpListener>>,
}

impl Shared {
    /// The limits for a connection that begins now.
    pub(super) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The limits, if they were set anew since this was last asked.
    pub(super) fn new_limits(&self) -> Option<Arc<Limits>> {
        // Asked for each batch, so without writing to what other threads read.
        let are_new = self.limits_are_new.load(Ordering::Relaxed) && self.limits_are_new.swap(false, Ordering::AcqRel);
        are_new.then(|| self.limits())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Begins to stop; returns at once.
    pub(super) fn begin_stop(&self) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        let _ = self.inbox.try_send(Event::Wake);
        // A thread that is blocked in accept sees the flag when somebody connects.
        for (address, socket) in self.addresses.iter().zip(&self.sockets) {
            let woken = TcpStream::connect_timeout(&reachable(*address), Duration::from_secs(1));
            // Without a descriptor, or a port, nobody can. Then the socket itself stops listening, which is not the
            // first choice because a service manager may have passed it and want to go on with it.
            if woken.is_err()
                && let Some(socket) = socket.upgrade()
            {
                let _ = SockRef::from(&*socket).shutdown(Shutdown::Both);
            }
        }
    }
}

/// A running server. Dropping it stops it, in order.
pub struct Server {
    handle: Handle,
    /// The threads, joined by whoever waits first.
    threads: Mutex<Option<Threads>>,
    ended: Mutex<Ended>,
}

struct Threads {
    dispatcher: JoinHandle<Ended>,
    listeners: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds `address` with the default settings: the shortest way to a server. Port 0 is any free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Builder, StartError> {
        Ok(Server::builder().listen(Listener::bind(address, ListenerSettings::default())?))
    }

    /// A server with no listener yet.
    pub fn builder() -> Builder {
        Builder { listeners: Vec::new(), limits: Limits::default(), observer: Arc::new(Silent) }
    }

    /// The address of the first listener.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.shared.addresses[0]
    }

    /// The addresses of all listeners, in the order they were given.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.handle.shared.addresses
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.handle.shared.seats.taken()
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until the server has stopped and all its threads have ended.
    pub fn wait(&self) -> Ended {
        // Whoever comes second waits here for the first.
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(threads) = threads {
            *ended = threads.dispatcher.join().unwrap_or(Ended::ServicePanicked);
            for listener in threads.listeners {
                let _ = listener.join();
            }
        }
        *ended
    }

    /// Stops the server: clients get what was sent to them, until `shutdown_seconds_max`; every thread is joined.
    pub fn shutdown(&self) -> Ended {
        self.handle.shutdown();
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// It was told to.
    Shutdown,
    /// The application kept panicking outside any connection.
    ServicePanicked,
}

/// A server that is being set up.
#[must_use = "a server listens only once it serves"]
pub struct Builder {
    listeners: Vec<Listener>,
    limits: Limits,
    observer: Arc<dyn Observer>,
}

impl Builder {
    /// Adds a listener. All listeners share the application, the dispatcher and the limits.
    pub fn listen(mut self, listener: Listener) -> Builder {
        self.listeners.push(listener);
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Sets who is told what the server does.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Builder {
        self.observer = observer;
        self
    }

    /// Starts the server with its application; returns at once.
    ///
    /// # Errors
    /// When there is no listener, or a thread cannot be started.
    pub fn serve<S: Service + 'static>(self, service: S) -> Result<Server, StartError> {
        if self.listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        // It is read now, so that the first connection does not wait for it.
        let _ = threads::connection_ceiling();
        let (inbox, events) = bounded(EVENTS_MAX);
        let observer = self.observer;
        let outboxes = Outboxes::new(&self.limits);
        let shared = Arc::new(Shared {
            inbox,
            budget: Budget::new(),
            seats: Arc::new(Seats::new(Arc::clone(&observer))),
            wants_frames_out: observer.wants_frames_out(),
            observer,
            arrivals: self.listeners.iter().map(|_| Arrivals::new(&outboxes)).collect(),
            outboxes,
            limits: RwLock::new(Arc::new(self.limits)),
            limits_are_new: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            addresses: self.listeners.iter().map(Listener::local_addr).collect(),
            sockets: self.listeners.iter().map(|listener| Arc::downgrade(&listener.socket)).collect(),
        });
        let dispatcher = Dispatcher::new(service, events, Arc::clone(&shared));
        let spawn = thread::Builder::new().name("dispatcher".to_owned());
        let dispatcher = spawn.spawn(move || dispatcher.run()).map_err(StartError::Thread)?;
        let handle = Handle { shared };
        let mut server = Server {
            handle,
            threads: Mutex::new(Some(Threads { dispatcher, listeners: Vec::new() })),
            ended: Mutex::new(Ended::Shutdown),
        };
        for (index, listener) in self.listeners.into_iter().enumerate() {
            let shared = Arc::clone(&server.handle.shared);
            let spawn = thread::Builder::new().name(format!("listener {}", listener.local_addr().port()));
            let thread = spawn.spawn(move || listener.run(index, &shared)).map_err(StartError::Thread)?;
            if let Some(threads) = server.threads.get_mut().unwrap_or_else(PoisonError::into_inner) {
                threads.listeners.push(thread);
            }
        }
        Ok(server)
    }
}

/// A way into a running server from other threads. Cheap to clone; keeps nothing alive.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Gives `event` to the application's [`on_external`](Service::on_external). Never blocks.
    ///
    /// # Errors
    /// Gives the event back when the channel is full (try again) or the server has stopped.
    pub fn post<T: Any + Send>(&self, event: T) -> Result<(), PostError<T>> {
        let give_back = |event: Event| match event {
            Event::External(event) => event.downcast::<T>().ok().map(|event| *event),
            _ => None,
        };
        if self.shared.is_stopping() {
            return Err(PostError::Stopped(event));
        }
        match self.shared.inbox.try_send(Event::External(Box::new(event))) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => give_back(event).map_or(Ok(()), |event| Err(PostError::Full(event))),
            Err(TrySendError::Disconnected(event)) => {
                give_back(event).map_or(Ok(()), |event| Err(PostError::Stopped(event)))
            }
        }
    }

    /// Sets the limits: what one connection may do, for those that begin from now on; what holds for the server, at
    /// once. The application is told ([`on_limits`](Service::on_limits)). Cannot fail and never blocks, however much the
    /// server has to do: that is when limits must be lowered.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.outboxes.set_limits(&limits);
        *self.shared.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
        self.shared.limits_are_new.store(true, Ordering::Release);
        // With a full channel the dispatcher is awake anyway, and looks with its next batch.
        let _ = self.shared.inbox.try_send(Event::Wake);
    }

    /// Makes the server stop; returns at once. [`Server::wait`] waits for it.
    pub fn shutdown(&self) {
        self.shared.begin_stop();
    }
}

/// Why an event could not be posted; holds it.
#[derive(Debug, PartialEq, Eq)]
pub enum PostError<T> {
    /// The channel is full.
    Full(T),
    /// The server has stopped or is about to.
    Stopped(T),
}

impl<T> fmt::Display for PostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PostError::Full(_) => "the server has too much to do: its channel is full",
            PostError::Stopped(_) => "the server has stopped",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for PostError<T> {}

/// Why a server could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address makes no sense or its name is unknown.
    Address(io::Error),
    /// The address cannot be listened on.
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The system gives no thread.
    Thread(io::Error),
    /// There is nothing to listen on.
    NoListener,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Address(error) => write!(f, "no such address: {error}"),
            StartError::Bind { address, error } => write!(f, "cannot listen on {address}: {error}"),
            StartError::Thread(error) => write!(f, "the system gives no thread: {error}"),
            StartError::NoListener => f.write_str("there is no address to listen on"),
        }
    }
}

impl std::error::Error for StartError {}

/// The address at which a listener bound to `address` can be reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
