//! Defines [`Socket`], what all sockets of this layer have in common: the members of the class, and the threads.
//!
//! Knows: when a thread is started, waited for, or left to itself. Must not know: what `Data` carries.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::error::Error;
use super::event::{Event, EventListener};
use super::options::{Options, TIMEOUT_MAX, TIMEOUT_MIN};
use super::permission::Permission;
use super::queue::{Attempt, Queue};
use super::reconnect::Reconnect;
use super::sender::Sender;
use super::worker::{MakeIncoming, SharedListener, Worker};
use crate::wire::Encode;

/// How long dropping a socket waits for its threads: once for them to end by themselves, once more after forcing them.
const DROP_WAIT: Duration = Duration::from_millis(250);

/// A client socket, blocking, with one thread of its own. `P` is what its `Data` events carry: see
/// [`XmlSocket`](super::XmlSocket) and [`XmlStreams`](super::XmlStreams), which are this type with two kinds of `P`.
///
/// `connect` returns at once and the outcome is an event. Events are received (`recv`, `recv_timeout`, `try_recv`,
/// `events`), or go to a [`EventListener`]; [`Event`] has their order. As in a player, a socket's state changes when the
/// event is *taken*: `connected` is false after `connect`, true once `Connect` was taken, false again once `Close`
/// or `IoError` was taken or `close` was called.
///
/// What may wait to be taken is bounded in bytes. Beyond it the socket stops reading, so the server has to wait;
/// nothing is lost. Dropping the socket closes it and ends its thread.
pub struct Socket<P: Send + 'static> {
    pub(super) options: Options,
    sender: Sender<P>,
    /// Who takes the events. `None`: whoever receives them.
    listener: Option<SharedListener<P>>,
    /// The thread of the attempt there is, and those of earlier ones that have not ended.
    threads: Vec<Running>,
    /// How what the server sends becomes `P`.
    make_incoming: MakeIncoming<P>,
    /// What ends a frame that is sent, if anything does.
    end_of_frame: fn(&Options) -> Option<u8>,
}

/// A thread of a socket.
struct Running {
    attempt: Arc<Attempt>,
    handle: JoinHandle<()>,
    /// Disconnected when the thread has done all it does.
    done: Receiver<Infallible>,
}

impl<P: Send + 'static> Socket<P> {
    /// A socket that is not connected, and how it reads and ends its frames.
    pub(super) fn of(make_incoming: MakeIncoming<P>, end_of_frame: fn(&Options) -> Option<u8>) -> Socket<P> {
        let sender = Sender { queue: Arc::new(Queue::new()) };
        Socket { options: Options::default(), sender, listener: None, threads: Vec::new(), make_incoming, end_of_frame }
    }

    /// Begins to connect, and returns at once. `Connect` follows, or `IoError` or `SecurityError`, within
    /// [`timeout`](Socket::timeout) and what asking for permission takes. An empty `host` is the
    /// [default host](Socket::set_default_host).
    ///
    /// A socket that is connected, or connecting, closes first, without a word: its events that were not taken are
    /// gone, and the connection that this call begins takes the place of the other.
    ///
    /// # Errors
    /// [`Error::InvalidPort`] (#2003), [`Error::InvalidHost`] or [`Error::Start`] (#2011); a socket that was connected
    /// stays so after the first two. With a permission also [`Error::LocalWithFilesystem`] (#2010) and
    /// [`Error::Forbidden`] (#2048).
    pub fn connect(&mut self, host: &str, port: u32) -> Result<(), Error> {
        let given = port;
        let port = u16::try_from(port).ok().filter(|port| *port != 0).ok_or(Error::InvalidPort { port })?;
        let host = if host.is_empty() { self.options.default_host() } else { host }.to_owned();
        if !is_host(&host) {
            return Err(Error::InvalidHost { host, port: given });
        }
        if let Some(permission) = &self.options.permission {
            permission.refuse_at_once(&host, port)?;
        }
        self.start(&host, port).map_err(|source| Error::Start { host, port: given, source })
    }

    /// Sends the text of `content` and the zero byte that ends it, in one write. A zero byte inside the text makes two
    /// frames of it, as in a player. ([`XmlStreams`](super::XmlStreams) end nothing with a zero byte.)
    ///
    /// # Errors
    /// [`Error::NotConnected`] (#2002) before the `Connect` event was taken and after the end;
    /// [`Error::SendTimeout`] when the server does not read, which ends the connection; [`Error::Lost`].
    pub fn send(&self, content: &(impl fmt::Display + ?Sized)) -> Result<(), Error> {
        self.sender.send(content)
    }

    /// Sends `content` and the zero byte that ends it, in one write: for frames that are not text, and without a detour
    /// through a `String`.
    ///
    /// # Errors
    /// Those of [`send`](Socket::send).
    pub fn send_encoded(&self, content: &(impl Encode + ?Sized)) -> Result<(), Error> {
        self.sender.send_encoded(content)
    }

    /// Closes the connection, or ends the attempt at one. What was sent before still reaches the server. No event
    /// comes after this call, and none that waited is given out any more.
    ///
    /// # Errors
    /// [`Error::NotConnected`] (#2002) when there is nothing to close.
    pub fn close(&self) -> Result<(), Error> {
        self.sender.close()
    }

    /// Whether the socket is connected, as far as the events that were taken say.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.sender.connected()
    }

    /// The half of the socket that other threads can send and close with.
    #[must_use]
    pub fn sender(&self) -> Sender<P> {
        self.sender.clone()
    }

    /// Waits for the next event and takes it.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when no more events come; [`Error::Listening`].
    pub fn recv(&self) -> Result<Event<P>, Error> {
        self.receivable()?;
        // Without a deadline there is no `None`.
        self.sender.queue.take(None)?.ok_or(Error::NotConnected)
    }

    /// Waits for the next event, for `timeout` at most, and takes it.
    ///
    /// # Errors
    /// [`Error::RecvTimeout`]; else those of [`recv`](Socket::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event<P>, Error> {
        self.receivable()?;
        // A timeout beyond what the clock can count is none.
        let deadline = Instant::now().checked_add(timeout);
        self.sender.queue.take(deadline)?.ok_or(Error::RecvTimeout { waited: timeout })
    }

    /// Takes the next event if there is one.
    ///
    /// # Errors
    /// Those of [`recv`](Socket::recv).
    pub fn try_recv(&self) -> Result<Option<Event<P>>, Error> {
        self.receivable()?;
        self.sender.queue.take(Some(Instant::now()))
    }

    /// The events, each taken when the iterator gives it out. Ends when no more events come.
    pub fn events(&self) -> impl Iterator<Item = Event<P>> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Makes `listener` take the events, each on the socket's own thread, from the next `connect` on. They cannot be
    /// received any more.
    pub fn listen(&mut self, listener: impl EventListener<P> + 'static) {
        self.listener = Some(Arc::new(Mutex::new(listener)));
    }

    /// Waits until the socket is connected, for `timeout` at most: for who has a listener, and wants to send from
    /// another thread. Whether it is connected. Without a listener somebody MUST take events meanwhile.
    pub fn wait_connected(&self, timeout: Duration) -> bool {
        self.sender.queue.wait_for_connect(Instant::now().checked_add(timeout))
    }

    /// Waits until the connection (and all reconnecting) has ended, for `timeout` at most: for who has a listener and
    /// nothing else to do. Whether it has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.sender.queue.wait_for_end(Instant::now().checked_add(timeout))
    }

    /// Waits until the connection (and all reconnecting) has ended.
    pub fn wait(&self) {
        self.sender.queue.wait_for_end(None);
    }

    /// Starts the thread of a new attempt, which takes the place of the one there is.
    fn start(&mut self, host: &str, port: u16) -> io::Result<()> {
        let (attempt, stopped) = Attempt::new();
        self.sender.queue.begin(&attempt);
        self.threads.retain(|running| !running.handle.is_finished());
        let worker = Worker {
            queue: Arc::clone(&self.sender.queue),
            attempt: Arc::clone(&attempt),
            stopped,
            host: host.to_owned(),
            port,
            options: self.options.clone(),
            end_of_frame: (self.end_of_frame)(&self.options),
            listener: self.listener.clone(),
            make_incoming: self.make_incoming,
        };
        let (working, done) = bounded(0);
        let started = thread::Builder::new().name("xmlsocket-client".to_owned()).spawn(move || {
            // Dropped last, whatever happens in between.
            let _working = working;
            worker.run();
        });
        let handle = started.inspect_err(|_| {
            self.sender.queue.end();
        })?;
        self.threads.push(Running { attempt, handle, done });
        Ok(())
    }

    fn receivable(&self) -> Result<(), Error> {
        if self.listener.is_some() { Err(Error::Listening) } else { Ok(()) }
    }
}

/// What can be set. A setting counts from the next `connect` on.
impl<P: Send + 'static> Socket<P> {
    /// How long connecting may take, looking up the name included.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.options.timeout
    }

    /// Sets how long connecting may take; 20 s unless set. Less than 250 ms becomes 250 ms, as in the class.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.options.timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
    }

    /// Sets how long one frame may take to be written; 30 s unless set. A server that does not read for so long loses
    /// the connection.
    pub fn set_send_timeout(&mut self, timeout: Duration) {
        self.options.send_timeout = timeout.clamp(Duration::from_millis(1), TIMEOUT_MAX);
    }

    /// Sets how long the server may be silent before the connection counts as failed; for ever unless set. For servers
    /// that are known to speak now and then, such as with pings.
    pub fn set_idle_max(&mut self, idle_max: Option<Duration>) {
        self.options.idle_max = idle_max.map(|idle_max| idle_max.max(Duration::from_millis(1)));
    }

    /// Sets how many bytes of events may wait to be taken; 8 MiB unless set. One event may always wait.
    pub fn set_queue_bytes_max(&mut self, queue_bytes_max: usize) {
        self.options.queue_bytes_max = queue_bytes_max;
    }

    /// Sets the host that an empty host stands for. Unless set it is the one that the SWF came from (see
    /// [`set_permission`](Socket::set_permission)), and `localhost` for a SWF from a file and for none.
    pub fn set_default_host(&mut self, host: impl Into<String>) {
        self.options.default_host = Some(host.into());
    }

    /// Sets whose rules decide whether a connection may be made; nobody's unless set, as in AIR. A refusal is a
    /// `SecurityError` (#2048), or an error of `connect` where the player refuses without asking anybody.
    pub fn set_permission(&mut self, permission: Option<Permission>) {
        self.options.permission = permission;
    }

    /// Sets whether and how a lost connection is made again; not at all unless set.
    pub fn set_reconnect(&mut self, reconnect: Option<Reconnect>) {
        self.options.reconnect = reconnect;
    }
}

impl<P: Send + 'static> fmt::Debug for Socket<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("connected", &self.connected()).finish_non_exhaustive()
    }
}

impl<P: Send + 'static> Drop for Socket<P> {
    /// Ends the socket and its threads. A thread that is still inside a listener's method after half a second is left
    /// to itself, and so is a name lookup, which the system does not let anybody interrupt.
    fn drop(&mut self) {
        self.sender.queue.end();
        let patience = patience();
        let mut late = Vec::new();
        for running in self.threads.drain(..) {
            late.extend(running.join_by(patience));
        }
        late.iter().for_each(|running| running.attempt.force());
        let patience = self::patience();
        for running in late {
            if running.join_by(patience).is_some() {
                log::warn!("a client socket was dropped while its thread was busy: the thread ends by itself");
            }
        }
    }
}

/// Until when dropping a socket waits for its threads.
fn patience() -> Instant {
    Instant::now() + DROP_WAIT
}

impl Running {
    /// Joins the thread, unless it has not ended by `deadline`: then it is given back. A thread does not wait for
    /// itself (a listener may own the last handle of its own socket).
    fn join_by(self, deadline: Instant) -> Option<Running> {
        if thread::current().id() == self.handle.thread().id() {
            return None;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if !matches!(self.done.recv_timeout(left), Err(RecvTimeoutError::Disconnected)) {
            return Some(self);
        }
        // A listener's panic was told on standard error already.
        let _ = self.handle.join();
        None
    }
}

/// Whether `host` can be looked up at all. A colon is part of an IPv6 address or of a mistake (`http://host`).
fn is_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '/' | ':' | '[' | ']' | '"' | '<' | '>');
    address.parse::<std::net::IpAddr>().is_ok() || (!host.is_empty() && host.chars().all(fits))
}

#[cfg(test)]
mod tests {
    use super::super::tcp::tests::WAIT;
    use super::super::{XmlSocket, XmlStreams};
    use super::*;

    #[test]
    fn every_setting_is_kept() {
        let mut socket = XmlSocket::new();
        socket.set_send_timeout(Duration::from_secs(7));
        socket.set_idle_max(Some(Duration::ZERO));
        socket.set_queue_bytes_max(9);
        socket.set_default_host("a.test");
        let Options { send_timeout, idle_max, queue_bytes_max, default_host, .. } = &socket.options;
        assert_eq!((*send_timeout, *idle_max), (Duration::from_secs(7), Some(Duration::from_millis(1))));
        assert_eq!((*queue_bytes_max, default_host.as_deref()), (9, Some("a.test")));
    }

    #[test]
    fn a_thread_is_joined_when_it_ends_in_time_and_given_back_when_not() {
        let (attempt, _stopped) = Attempt::new();
        let (working, done) = bounded(0);
        let (go, goes) = bounded::<()>(0);
        let handle = thread::spawn(move || {
            let _working: crossbeam_channel::Sender<Infallible> = working;
            let _ = goes.recv_timeout(WAIT);
        });
        let running = Running { attempt, handle, done }.join_by(Instant::now()).expect("it has not ended");
        drop(go);
        assert!(running.join_by(Instant::now() + WAIT).is_none());
        assert!(patience() > Instant::now());
    }

    #[test]
    fn threads_that_have_ended_are_forgotten() {
        // Taken and not listened on, so it refuses connections.
        let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        taken.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let port = taken.local_addr().unwrap().as_socket().unwrap().port();
        let mut socket = XmlSocket::new();
        socket.connect("127.0.0.1", port.into()).unwrap();
        assert!(socket.recv_timeout(WAIT).unwrap().is_end());
        let deadline = Instant::now() + WAIT;
        while !socket.threads[0].handle.is_finished() {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
        socket.connect("127.0.0.1", port.into()).unwrap();
        assert_eq!(socket.threads.len(), 1);
    }

    #[test]
    fn sockets_and_their_halves_say_whether_they_are_connected() {
        let (socket, streams) = (XmlSocket::new(), XmlStreams::new());
        for shown in [format!("{socket:?}"), format!("{streams:?}")] {
            assert_eq!(shown, "Socket { connected: false, .. }");
        }
        assert_eq!(format!("{:?}", socket.sender()), "Sender { connected: false, .. }");
    }

    #[test]
    fn names_and_addresses_are_hosts_and_page_addresses_are_not() {
        for host in ["localhost", "a.test", "127.0.0.1", "::1", "[::1]", "xn--bcher-kva.test", "bücher.test", "a_b"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "http://a.test", "a.test:1024", "a.test/chat", "a test", "a\0b", "[::1]:9", "a\n"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
