//! Defines [`Socket`], what all sockets of this layer have in common: options, an attempt, its thread, and their ends.
//!
//! Knows: when a thread is started, waited for, or left to itself. Must not know: frames.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::error::Error;
use super::event::{Event, Listener};
use super::options::Options;
use super::queue::{Attempt, Queue};
use super::sender::Sender;
use super::worker::{MakeReading, SharedListener, Worker};

/// How long dropping a socket waits for its threads: once for them to end by themselves, once more after forcing them.
const DROP_WAIT: Duration = Duration::from_millis(250);

/// A socket, whatever its `Data` carries.
pub(super) struct Socket<P: Send + 'static> {
    pub(super) options: Options,
    sender: Sender<P>,
    listener: Option<SharedListener<P>>,
    /// The thread of the attempt there is, and those of earlier ones that have not ended.
    threads: Vec<Running>,
    make_reading: MakeReading<P>,
}

/// A thread of a socket.
struct Running {
    attempt: Arc<Attempt>,
    handle: JoinHandle<()>,
    /// Disconnected when the thread has done all it does.
    done: Receiver<Infallible>,
}

impl<P: Send + 'static> Socket<P> {
    pub(super) fn new(make_reading: MakeReading<P>) -> Socket<P> {
        let sender = Sender { queue: Arc::new(Queue::new()) };
        Socket { options: Options::default(), sender, listener: None, threads: Vec::new(), make_reading }
    }

    /// Makes `listener` take the events of the attempts to come.
    pub(super) fn listen(&mut self, listener: impl Listener<P> + 'static) {
        self.listener = Some(Arc::new(Mutex::new(listener)));
    }

    /// Begins an attempt; an earlier one ends.
    pub(super) fn connect(&mut self, host: &str, port: u32, end_of_frame: Option<u8>) -> Result<(), Error> {
        let checked = match u16::try_from(port) {
            Ok(port) if port != 0 => port,
            _ => return Err(Error::InvalidPort { port }),
        };
        let host = if host.is_empty() { self.options.default_host.as_str() } else { host }.to_owned();
        if !is_host(&host) {
            return Err(Error::InvalidHost { host, port });
        }
        let (attempt, stopped) = Attempt::new();
        self.sender.queue.begin(&attempt);
        self.threads.retain(|running| !running.handle.is_finished());
        let worker = Worker {
            queue: Arc::clone(&self.sender.queue),
            attempt: Arc::clone(&attempt),
            stopped,
            host: host.clone(),
            port: checked,
            options: self.options.clone(),
            end_of_frame,
            listener: self.listener.clone(),
            make_reading: self.make_reading,
        };
        let (working, done) = bounded(0);
        let started = thread::Builder::new().name("xmlsocket-client".to_owned()).spawn(move || {
            // Dropped last, whatever happens in between.
            let _working = working;
            worker.run();
        });
        match started {
            Ok(handle) => self.threads.push(Running { attempt, handle, done }),
            Err(source) => {
                self.sender.queue.end();
                return Err(Error::Start { host, port, source });
            }
        }
        Ok(())
    }

    pub(super) fn sender(&self) -> &Sender<P> {
        &self.sender
    }

    pub(super) fn recv(&self) -> Result<Event<P>, Error> {
        self.receivable()?;
        // Without a deadline there is no `None`.
        self.sender.queue.take(None)?.ok_or(Error::NotConnected)
    }

    pub(super) fn recv_timeout(&self, timeout: Duration) -> Result<Event<P>, Error> {
        self.receivable()?;
        // A timeout beyond what the clock can count is none.
        let deadline = Instant::now().checked_add(timeout);
        self.sender.queue.take(deadline)?.ok_or(Error::RecvTimeout { waited: timeout })
    }

    pub(super) fn try_recv(&self) -> Result<Option<Event<P>>, Error> {
        self.receivable()?;
        self.sender.queue.take(Some(Instant::now()))
    }

    /// Waits until no more events come. Whether that was so within `timeout`.
    pub(super) fn wait_timeout(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.sender.queue.wait_for_end(deadline)
    }

    fn receivable(&self) -> Result<(), Error> {
        if self.listener.is_some() { Err(Error::Listening) } else { Ok(()) }
    }
}

impl<P: Send + 'static> Drop for Socket<P> {
    /// Ends the socket and its threads. A thread that is still inside a listener's method after half a second is left
    /// to itself, and so is a name lookup, which the system does not let anybody interrupt.
    fn drop(&mut self) {
        self.sender.queue.end();
        let patience = Instant::now() + DROP_WAIT;
        let mut late = Vec::new();
        for running in self.threads.drain(..) {
            if !running.join_by(patience) {
                late.push(running);
            }
        }
        late.iter().for_each(|running| running.attempt.force());
        let patience = Instant::now() + DROP_WAIT;
        for running in late {
            if !running.join_by(patience) {
                log::warn!("a client socket was dropped while its listener was busy: its thread ends by itself");
            }
        }
    }
}

impl Running {
    /// Waits until the thread has ended, or until `deadline`. Whether it has, or is the thread that waits.
    fn join_by(&self, deadline: Instant) -> bool {
        // A listener may own the last handle of its own socket; a thread cannot wait for itself.
        let is_own = thread::current().id() == self.handle.thread().id();
        let left = deadline.saturating_duration_since(Instant::now());
        is_own || matches!(self.done.recv_timeout(left), Err(RecvTimeoutError::Disconnected))
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
    use super::is_host;

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
