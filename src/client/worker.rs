//! Defines [`Worker`], the thread of a socket: asks, connects, reads, tells what happened, tries again.
//!
//! Knows: the order of events under every way of ending. Must not know: what a frame holds, who takes the events.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::dial::{self, Dial};
use super::error::player;
use super::event::{Event, EventListener, dispatch};
use super::options::Options;
use super::permission::Verdict;
use super::queue::{Attempt, Queue, lock};
use super::reconnect::Delays;
use super::sender::{Greeting, Sender};
use super::tcp::{Source, Tcp, is_temporary};

/// A listener and its lock: it may be busy for an earlier attempt while a new one begins.
pub(super) type SharedListener<P> = Arc<Mutex<dyn EventListener<P>>>;

/// Makes what a server sends into what `Data` carries.
pub(super) trait Incoming<P>: Send {
    /// The next piece and its weight in bytes. `None`: the server closed the connection.
    fn next(&mut self) -> Result<Option<(P, usize)>, ReadError>;

    /// Whether the server was silent for longer than it may be.
    fn is_idle(&self) -> bool;
}

/// Why nothing (more) can be read.
pub(super) enum ReadError {
    /// The connection failed, or a deadline passed.
    Io(io::Error),
    /// What the server sent is not what it may send.
    Refused(String),
}

/// How a [`Incoming`] of a new connection is made.
pub(super) type MakeIncoming<P> = fn(Source, &Options) -> Box<dyn Incoming<P>>;

/// One attempt's thread.
pub(super) struct Worker<P> {
    pub(super) queue: Arc<Queue<P>>,
    pub(super) attempt: Arc<Attempt>,
    /// Disconnected once the attempt is over.
    pub(super) stopped: Receiver<Infallible>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) options: Options,
    /// What ends a frame that is sent.
    pub(super) end_of_frame: Option<u8>,
    pub(super) listener: Option<SharedListener<P>>,
    pub(super) make_incoming: MakeIncoming<P>,
}

/// Says that no more events come, also when a listener panicked.
struct Finish<'worker, P>(&'worker Worker<P>);

impl<P> Drop for Finish<'_, P> {
    fn drop(&mut self) {
        self.0.queue.finish(&self.0.attempt);
    }
}

/// The connection (or the attempt) was closed by the application: nothing more is to be told.
struct Stopped;

/// Why there is no connection.
enum Unreached<P> {
    /// The attempt is over.
    Stopped,
    /// What this tells.
    Event(Event<P>),
}

/// How a connection, or one try at it, ended.
struct Ended<P> {
    /// The event that tells it.
    event: Event<P>,
    /// For how long there was a connection. `None`: there was none.
    held: Option<Duration>,
}

impl<P> Worker<P> {
    /// The thread, from its start to its end.
    pub(super) fn run(self) {
        let _finish = Finish(&self);
        let mut delays = self.options.reconnect.as_ref().map(super::reconnect::Reconnect::delays_from_here);
        let (mut again, mut granted) = (false, false);
        while let Ok(Ended { event, held }) = self.connection(again, &mut granted) {
            again |= held.is_some();
            // Who was refused for where it comes from will be refused again.
            let next = if matches!(event, Event::SecurityError { .. }) { None } else { next(&mut delays, held) };
            if self.tell(event, None, 0).is_err() {
                return;
            }
            let Some((attempt, delay)) = next else { return };
            if self.tell(Event::Reconnecting { attempt, delay }, None, 0).is_err() {
                return;
            }
            if self.stopped.recv_timeout(delay) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// One connection, from the lookup of its name to its end.
    fn connection(&self, again: bool, granted: &mut bool) -> Result<Ended<P>, Stopped> {
        let failed = |reason: String| Ok(Ended { event: Event::io_error(reason), held: None });
        let tcp = match self.reach(granted) {
            Ok(tcp) => tcp,
            Err(Unreached::Stopped) => return Err(Stopped),
            Err(Unreached::Event(event)) => return Ok(Ended { event, held: None }),
        };
        let lines = self.options.frame_end == super::FrameEnd::Line;
        let source = match Source::new(Arc::clone(&tcp), lines, self.options.idle_max) {
            Ok(source) => source,
            Err(error) => return failed(format!("the connection failed at once: {error}")),
        };
        let since = Instant::now();
        let greeted = match self.options.reconnect.as_ref().and_then(|policy| policy.hook.as_ref()) {
            Some(hook) => (lock(hook))(&Greeting::new(&tcp, again)),
            None => Ok(()),
        };
        if let Err(error) = greeted {
            tcp.abort();
            return failed(format!("the greeting failed: {error}"));
        }
        let mut incoming = (self.make_incoming)(source, &self.options);
        let connected = self.tell(Event::Connect, Some(Arc::downgrade(&tcp)), 0);
        let event = connected.and_then(|()| self.read(&tcp, &mut *incoming)).inspect_err(|Stopped| tcp.linger())?;
        Ok(Ended { event, held: Some(since.elapsed()) })
    }

    /// Asks for permission, unless it was granted before in this attempt, and connects.
    fn reach(&self, granted: &mut bool) -> Result<Arc<Tcp>, Unreached<P>> {
        let (host, port) = (self.host.as_str(), self.port);
        if let Some(permission) = self.options.permission.as_ref().filter(|_| !*granted) {
            let decided = permission.decide_for(host, port, &self.attempt, &self.stopped);
            if let Verdict::Refused(reason) = decided.map_err(|_| Unreached::Stopped)? {
                let (id, text) = (player::SANDBOX_VIOLATION, permission.player_text(host, port));
                return Err(Unreached::Event(Event::SecurityError { id, text, reason: reason.to_string() }));
            }
            *granted = true;
        }
        let dial = Dial {
            attempt: &self.attempt,
            stopped: &self.stopped,
            send_timeout: self.options.send_timeout,
            end_of_frame: self.end_of_frame,
        };
        dial.reach(host, port, self.options.timeout).map_err(|unreached| match unreached {
            dial::Unreached::Stopped => Unreached::Stopped,
            dial::Unreached::Refused(reason)
            | dial::Unreached::Unknown(reason)
            | dial::Unreached::TimedOut(reason)
            | dial::Unreached::Failed(reason) => Unreached::Event(Event::io_error(reason)),
        })
    }

    /// Reads until the connection ends, and says how it ended.
    fn read(&self, tcp: &Tcp, incoming: &mut dyn Incoming<P>) -> Result<Event<P>, Stopped> {
        loop {
            match incoming.next() {
                Ok(Some((data, bytes))) => self.tell(Event::Data(data), None, bytes)?,
                _ if self.attempt.is_over() => return Err(Stopped),
                // Who gave the connection up knows why better than the read that failed in consequence.
                Ok(None) => return Ok(tcp.failure().map_or(Event::Close, Event::io_error)),
                Err(ReadError::Refused(reason)) => {
                    tcp.abort();
                    return Ok(Event::io_error(reason));
                }
                Err(ReadError::Io(error)) if is_temporary(&error) => {
                    if incoming.is_idle() {
                        let reason =
                            format!("nothing came from the server for {:?}", self.options.idle_max.unwrap_or_default());
                        tcp.abort();
                        return Ok(Event::io_error(reason));
                    }
                }
                Err(ReadError::Io(error)) => return Ok(end_of(tcp, &error)),
            }
        }
    }

    /// Tells `event` to whoever takes events, waiting until there is room.
    fn tell(&self, event: Event<P>, tcp: Option<Weak<Tcp>>, bytes: usize) -> Result<(), Stopped> {
        let Some(listener) = &self.listener else {
            let told = self.queue.push(&self.attempt, event, tcp, bytes, self.options.queue_bytes_max);
            return if told { Ok(()) } else { Err(Stopped) };
        };
        let mut listener = lock(listener);
        if !self.queue.pass(&self.attempt, &event, tcp) {
            return Err(Stopped);
        }
        dispatch(&mut *listener, &Sender { queue: Arc::clone(&self.queue) }, event);
        Ok(())
    }
}

/// The next try, when there is a policy and it allows one.
fn next(delays: &mut Option<Delays>, held: Option<Duration>) -> Option<(u32, Duration)> {
    delays.as_mut()?.next(held)
}

/// The event for a connection on which reading failed.
fn end_of<P>(tcp: &Tcp, error: &io::Error) -> Event<P> {
    if let Some(reason) = tcp.failure() {
        return Event::io_error(reason);
    }
    match error.kind() {
        // The server closed without a farewell (a reset): for a script that is a close like any other.
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => Event::Close,
        _ => Event::io_error(format!("reading failed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tcp::tests::connected;
    use super::*;

    /// Reads what it is given, and is idle once it was asked that often.
    struct Given {
        outcomes: Vec<Result<Option<((), usize)>, ReadError>>,
        idle_after: usize,
    }

    impl Incoming<()> for Given {
        fn next(&mut self) -> Result<Option<((), usize)>, ReadError> {
            self.idle_after = self.idle_after.saturating_sub(1);
            self.outcomes.pop().unwrap_or(Ok(None))
        }

        fn is_idle(&self) -> bool {
            self.idle_after == 0
        }
    }

    fn io(kind: io::ErrorKind) -> Result<Option<((), usize)>, ReadError> {
        Err(ReadError::Io(kind.into()))
    }

    /// What reading `outcomes`, the last first, comes to; `None` when nothing is told because the attempt is over.
    fn told(outcomes: Vec<Result<Option<((), usize)>, ReadError>>, idle_after: usize, is_over: bool) -> Option<String> {
        let (attempt, stopped) = Attempt::new();
        let queue = Arc::new(Queue::new());
        queue.begin(&attempt);
        if is_over {
            queue.end();
        }
        let worker = Worker {
            queue,
            attempt,
            stopped,
            host: String::new(),
            port: 1,
            options: Options::default(),
            end_of_frame: None,
            listener: None,
            make_incoming: |_, _| Box::new(Given { outcomes: Vec::new(), idle_after: 0 }),
        };
        let (tcp, _peer) = connected();
        match worker.read(&tcp, &mut Given { outcomes, idle_after }) {
            Ok(Event::IoError { reason, .. }) => Some(reason),
            Ok(event) => Some(format!("{event:?}")),
            Err(Stopped) => None,
        }
    }

    #[test]
    fn reading_ends_as_the_connection_does() {
        let refused = || Err(ReadError::Refused("too long".to_owned()));
        let busy = || io(io::ErrorKind::WouldBlock);
        let told = |outcome, idle_after| told(vec![outcome], idle_after, false).unwrap();
        assert_eq!(told(Ok(None), 9), "Close");
        assert_eq!(told(Ok(Some(((), 1))), 9), "Close", "data is told, and reading goes on");
        assert_eq!(told(refused(), 9), "too long");
        assert_eq!(told(busy(), 9), "Close", "a deadline without silence ends nothing");
        assert!(told(busy(), 1).starts_with("nothing came from the server for"));
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionAborted, io::ErrorKind::BrokenPipe] {
            assert_eq!(told(io(kind), 1), "Close");
        }
        assert!(told(io(io::ErrorKind::TimedOut), 1).starts_with("reading failed: "));
    }

    #[test]
    fn nothing_is_told_of_an_attempt_that_is_over() {
        let refused = Err(ReadError::Refused("too long".to_owned()));
        for outcome in
            [Ok(None), Ok(Some(((), 1))), refused, io(io::ErrorKind::WouldBlock), io(io::ErrorKind::TimedOut)]
        {
            // What would come next is never read.
            assert_eq!(told(vec![Ok(None), outcome], 9, true), None);
        }
    }
}
