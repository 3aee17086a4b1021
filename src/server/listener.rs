//! Defines [`Listener`] and what may be set for it, and accepts connections.
//!
//! Knows: how a socket is bound, what accepting can fail with. Must not know: what a connection says.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::STACK_BYTES;
use super::arrival::no_seat::NoSeat;
use super::arrival::threads::ThreadPermit;
use super::closing::linger;
use super::connection::{self, Connection};
use super::framing::Framing;
use super::link::Link;
use super::settings::{Frames, ListenerSettings, PolicySource};
use super::shared::Shared;

/// Connections that the system keeps for us until we accept them; Linux takes the smaller of this and its own limit.
const BACKLOG: i32 = 4_096;

/// How long accepting rests when the system has no descriptor or memory left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How often a listener says that it rests, at most.
const EXHAUSTED_WARNING: Duration = Duration::from_secs(60);

/// A bound port with its settings, not yet accepting.
pub struct Listener {
    pub(super) socket: Arc<TcpListener>,
    pub(super) address: SocketAddr,
    pub(super) settings: Arc<ListenerSettings>,
}

impl Listener {
    /// Binds `address`; port 0 is any free one.
    ///
    /// # Errors
    /// When no such address can be bound; the text says which and why.
    pub fn bind(address: impl ToSocketAddrs, settings: ListenerSettings) -> Result<Listener, StartError> {
        let addresses = address.to_socket_addrs().map_err(StartError::Address)?;
        let mut failed = StartError::Address(io::Error::new(ErrorKind::NotFound, "the name has no address"));
        for address in addresses {
            match bind_one(address).and_then(|socket| Listener::from_std(socket, settings.clone())) {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = StartError::Bind { address, error },
            }
        }
        Err(failed)
    }

    /// Binds `address` as a policy port: policy requests are answered, all else is closed.
    ///
    /// # Errors
    /// As [`bind`](Listener::bind).
    pub fn bind_policy(address: impl ToSocketAddrs, policy: PolicySource) -> Result<Listener, StartError> {
        Listener::bind(address, ListenerSettings::policy_port(policy))
    }

    /// Takes a socket that listens already, such as one that a service manager passed.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn from_std(socket: TcpListener, mut settings: ListenerSettings) -> io::Result<Listener> {
        if settings.framing == Framing::Stream {
            settings.frames = Frames::Xml;
        }
        socket.set_nonblocking(false)?;
        // Accepted sockets inherit these on Linux, which saves calls for each connection.
        let reference = SockRef::from(&socket);
        reference.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(120)))?;
        reference.set_tcp_nodelay(true)?;
        let address = socket.local_addr()?;
        Ok(Listener { socket: Arc::new(socket), address, settings: Arc::new(settings) })
    }

    /// Takes a socket that listens already as a policy port.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn policy_from_std(socket: TcpListener, policy: PolicySource) -> io::Result<Listener> {
        Listener::from_std(socket, ListenerSettings::policy_port(policy))
    }

    /// The address that is bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until the server stops; then waits until the last of their threads has ended.
    pub(super) fn run(self, index: usize, shared: &Arc<Shared>) {
        let mut warned: Option<Instant> = None;
        thread::scope(|scope| {
            while !shared.is_stopping() {
                match self.socket.accept() {
                    Ok((stream, address)) if !shared.is_stopping() => {
                        self.admit(index, scope, shared, stream, address);
                    }
                    Ok(_) => {}
                    Err(_) if shared.is_stopping() => {}
                    Err(error) if is_passing(&error) => debug!("accepting on {} failed: {error}", self.address),
                    Err(error) => {
                        if warned.is_none_or(|at| at.elapsed() >= EXHAUSTED_WARNING) {
                            warn!("accepting on {} rests until the system can: {error}", self.address);
                            warned = Some(Instant::now());
                        }
                        thread::sleep(EXHAUSTED_PAUSE);
                    }
                }
            }
        });
    }

    /// Gives a connection its thread, or refuses it.
    fn admit<'scope>(
        &'scope self,
        index: usize,
        scope: &'scope Scope<'scope, '_>,
        shared: &'scope Arc<Shared>,
        stream: TcpStream,
        address: SocketAddr,
    ) {
        let link = Arc::new(Link::new(stream));
        let limits = shared.limits();
        // A proxy's connections are counted where they come from, once it has said so.
        let counted = (!self.settings.is_proxy(address.ip())).then_some(address.ip());
        let permit = ThreadPermit::for_connection().ok_or(NoSeat::ServerFull);
        let seated = permit.and_then(|permit| Ok((shared.seats.take(counted, &link, &limits)?, permit)));
        let (id, permit) = match seated {
            Ok(seated) => seated,
            Err(no_seat) => return self.refuse(scope, shared, link, address, no_seat),
        };
        let name = format!("client {id}");
        let connection =
            Connection::new(id, index, Arc::clone(&self.settings), Arc::clone(shared), limits, link, address);
        shared.observer.accepted(id, address);
        let mut connection = Box::new(connection);
        let spawned = thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn_scoped(scope, move || {
            let _permit = permit;
            connection::run(&mut connection);
        });
        if let Err(error) = spawned {
            // The connection was dropped with the closure: closed, and its seat is free.
            warn!("no thread for {id} from {address}: {error}");
        }
    }

    /// Tells a connection why it is refused, on one of a few short-lived threads; closes it bare when they are busy.
    fn refuse<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        shared: &'scope Arc<Shared>,
        link: Arc<Link>,
        address: SocketAddr,
        no_seat: NoSeat,
    ) {
        if shared.is_stopping() {
            return;
        }
        shared.observer.refused(address, no_seat.code());
        info!("refused a connection from {address}: {}", no_seat.code());
        if shared.seats.refuse(&link) {
            let thread = thread::Builder::new().name("refusal".to_owned()).stack_size(STACK_BYTES);
            // Without a thread it is dropped with the closure: closed.
            let _ = thread.spawn_scoped(scope, move || linger::refuse(&self.settings, &link, no_seat));
        }
    }
}

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

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether accepting failed for the connection's sake, so that the next one may be accepted at once.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_start_says_why() {
        let error = || io::Error::other("why");
        let address = SocketAddr::from(([127, 0, 0, 1], 843));
        for (error, text) in [
            (StartError::Address(error()), "no such address: why"),
            (StartError::Bind { address, error: error() }, "cannot listen on 127.0.0.1:843: why"),
            (StartError::Thread(error()), "the system gives no thread: why"),
            (StartError::NoListener, "there is no address to listen on"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
