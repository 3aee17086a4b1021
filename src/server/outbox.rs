//! Defines [`Outbox`], the only code that writes to a client once the application knows it.
//!
//! An outbox is Level or Behind. Level: the dispatcher offers a batch to the socket without blocking, and that is
//! all. When the socket does not take the whole batch, the outbox is Behind from that moment on, in the same critical
//! section: the rest, and all that follows, is queued, bounded in bytes, and a catch-up writer thread sends it.
//! Only that thread, under the lock and with the queue empty, makes the outbox Level again. So the bytes of a client
//! have one order, whichever thread sends them.
//!
//! What is pushed at a time is queued whole, so that the end of the queue is always the end of a message; there
//! control messages (a WebSocket's pong, its CLOSE, the root of a stream that begins anew) enter, from whichever thread.
//!
//! Knows: one client's link, its queue, how its frames are wrapped. Must not know: who decided to send.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::envelope::{self, Envelope, Header};
use super::link::Link;
use super::service::CloseReason;
use crate::wire::NUL;

/// How long a catch-up writer waits for more before it ends: a client that fell behind once tends to again.
const LINGER: Duration = Duration::from_millis(250);

/// What is sent to all clients between two flushes.
pub(super) struct Batch<'bytes> {
    bytes: &'bytes [u8],
    /// The same bytes, for clients that are behind; made when the first of them needs it.
    shared: OnceCell<Arc<[u8]>>,
    /// Where the ranges of one client are put together when they are not one piece.
    gathered: RefCell<Vec<u8>>,
}

impl<'bytes> Batch<'bytes> {
    pub(super) fn new(bytes: &'bytes [u8]) -> Batch<'bytes> {
        Batch { bytes, shared: OnceCell::new(), gathered: RefCell::new(Vec::new()) }
    }

    pub(super) fn bytes(&self, range: &Range<u32>) -> &'bytes [u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }
}

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Sent, or queued behind what a writer is sending already.
    Done,
    /// Part of it is queued, and a catch-up writer must be started.
    FellBehind,
    /// It does not fit: the client must be closed.
    Overflow,
}

/// A client's outgoing bytes.
pub(super) struct Outbox {
    link: Arc<Link>,
    state: Mutex<State>,
    /// Signals the catch-up writer: there is something to do.
    work: Condvar,
    /// The bytes that may wait.
    bytes_max: usize,
    /// How long a client that is behind may take not one byte.
    write_timeout: Option<Duration>,
}

struct State {
    /// Whether a catch-up writer sends, and not the dispatcher.
    behind: bool,
    /// What waits, oldest first. Empty when Level.
    queue: VecDeque<Chunk>,
    /// The bytes in `queue`.
    queued_bytes: usize,
    envelope: Envelope,
    /// Whether the client was told, in its protocol's words, that nothing more comes.
    said_close: bool,
    /// Set when nothing more will be pushed: once all is sent, the client is told.
    finishing: bool,
    /// When all was sent after that.
    finished: Option<Instant>,
    /// Whether a byte was ever pushed.
    used: bool,
}

/// Bytes that wait, perhaps shared with other clients.
struct Chunk {
    bytes: Arc<[u8]>,
    range: Range<usize>,
}

impl Outbox {
    pub(super) fn new(
        link: Arc<Link>,
        envelope: Envelope,
        bytes_max: usize,
        write_timeout: Option<Duration>,
    ) -> Outbox {
        let state = State {
            behind: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            envelope,
            said_close: false,
            finishing: false,
            finished: None,
            used: false,
        };
        Outbox { link, state: Mutex::new(state), work: Condvar::new(), bytes_max, write_timeout }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Sends the client its ranges of the batch, or queues what the socket does not take now. Never blocks.
    /// MUST be called by the dispatcher only: it alone decides the order.
    pub(super) fn push(&self, batch: &Batch<'_>, ranges: &[Range<u32>]) -> Pushed {
        let mut state = self.lock();
        if state.finishing || state.said_close || self.link.is_dead() {
            return Pushed::Done;
        }
        state.used = true;
        let mut gathered = batch.gathered.borrow_mut();
        let (bytes, whole) = match (ranges, &state.envelope) {
            ([range], Envelope::Nul | Envelope::WebSocketBinary) => (batch.bytes(range), Some(range)),
            (_, envelope) => {
                gathered.clear();
                for bytes in ranges.iter().map(|range| batch.bytes(range)) {
                    match envelope {
                        Envelope::WebSocketText => envelope::wrap_as_text(bytes, &mut gathered),
                        Envelope::Stream(root) => envelope::wrap_in_stream(bytes, root, &mut gathered),
                        _ => gathered.extend_from_slice(bytes),
                    }
                }
                if *envelope == Envelope::Line {
                    gathered.iter_mut().filter(|byte| **byte == NUL).for_each(|byte| *byte = b'\n');
                }
                (gathered.as_slice(), None)
            }
        };
        let header = Header::of(&state.envelope, bytes.len());
        let header = header.as_bytes();
        let sent = if state.behind { 0 } else { self.offer(header, bytes) };
        let rest = header.len() + bytes.len() - sent;
        if rest == 0 || self.link.is_dead() {
            return Pushed::Done;
        }
        if state.queued_bytes + rest > self.bytes_max {
            // A part may have been sent. Nothing can follow it.
            self.link.kill(CloseReason::TooSlow);
            return Pushed::Overflow;
        }
        if sent < header.len() {
            state.queue.push_back(Chunk::of(&header[sent..]));
        }
        let sent = sent.saturating_sub(header.len());
        let unsent = bytes.len() - sent;
        // The whole batch is shared only where that keeps at most twice this client's own bytes alive.
        state.queue.push_back(match whole {
            Some(range) if unsent * 2 >= batch.bytes.len() => Chunk {
                bytes: Arc::clone(batch.shared.get_or_init(|| Arc::from(batch.bytes))),
                range: range.start as usize + sent..range.end as usize,
            },
            _ => Chunk::of(&bytes[sent..]),
        });
        self.queued(&mut state, rest)
    }

    /// Sends or queues control messages, whole ones, after what was pushed before. Never blocks. After `is_last`
    /// nothing more is sent. May be called by any thread.
    pub(super) fn control(&self, bytes: &[u8], is_last: bool) -> Pushed {
        let mut state = self.lock();
        if state.finishing || state.said_close || self.link.is_dead() {
            return Pushed::Done;
        }
        if state.behind && state.queued_bytes + bytes.len() > self.bytes_max {
            return Pushed::Overflow;
        }
        state.said_close = is_last;
        self.append(&mut state, bytes)
    }

    /// Asks the client for a sign of life, if its protocol has a way to.
    pub(super) fn ping(&self) -> Pushed {
        let is_websocket = self.lock().envelope.is_websocket();
        if is_websocket { self.control(&envelope::PING, false) } else { Pushed::Done }
    }

    /// Nothing more will be pushed. Once all is sent the client is told so, now or by the catch-up writer; a
    /// WebSocket also hears why, and a stream is closed by its end tag.
    pub(super) fn finish(&self, reason: &CloseReason) -> Pushed {
        let mut state = self.lock();
        self.link.stop_reading();
        let mut pushed = Pushed::Done;
        let last_words = state.envelope.last_words(reason);
        if !last_words.is_empty() && !state.said_close && !state.finishing && !self.link.is_dead() {
            state.said_close = true;
            pushed = self.append(&mut state, &last_words);
        }
        state.finishing = true;
        if state.behind {
            self.work.notify_one();
        } else {
            self.end(&mut state);
        }
        pushed
    }

    /// When the last byte was handed to the system after [`finish`](Outbox::finish); `None` while bytes wait.
    pub(super) fn finished(&self) -> Option<Instant> {
        self.lock().finished
    }

    /// Lets the client's thread write by itself again, unless the client has been sent something already.
    pub(super) fn withdraw(&self) -> bool {
        let mut state = self.lock();
        if state.used {
            return false;
        }
        state.finishing = true;
        true
    }

    /// How frames are wrapped from here on.
    pub(super) fn set_envelope(&self, envelope: Envelope) {
        self.lock().envelope = envelope;
    }

    /// Sends what is queued until the client is level again. Runs on a thread of its own while the outbox is Behind.
    pub(super) fn catch_up(&self) {
        let _ = self.link.set_write_timeout(self.write_timeout);
        let mut state = self.lock();
        while !self.link.is_dead() {
            let Some(chunk) = state.queue.front() else {
                if state.finishing {
                    return self.end(&mut state);
                }
                let (waited, timeout) = self.work.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
                state = waited;
                if timeout.timed_out() && state.queue.is_empty() && !state.finishing {
                    state.behind = false;
                    return;
                }
                continue;
            };
            let (bytes, range) = (Arc::clone(&chunk.bytes), chunk.range.clone());
            drop(state);
            let sent = self.link.send(&bytes[range]);
            state = self.lock();
            match sent {
                Ok(sent) => state.sent(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.link.kill(CloseReason::WriteTimeout),
                Err(error) => self.link.kill(CloseReason::Lost(error.to_string())),
            }
        }
        state.queue = VecDeque::new();
        state.queued_bytes = 0;
    }

    /// Drops what waits. The link is dead or about to be.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.finishing = true;
        state.queue = VecDeque::new();
        state.queued_bytes = 0;
        self.work.notify_one();
    }

    /// Sends `bytes`, or queues what the socket does not take now.
    fn append(&self, state: &mut State, bytes: &[u8]) -> Pushed {
        let sent = if state.behind { 0 } else { self.offer(bytes, &[]) };
        let rest = bytes.len() - sent;
        if rest == 0 || self.link.is_dead() {
            return Pushed::Done;
        }
        state.queue.push_back(Chunk::of(&bytes[sent..]));
        self.queued(state, rest)
    }

    /// Notes that `count` bytes more wait, for the catch-up writer or for one that is to be started.
    fn queued(&self, state: &mut State, count: usize) -> Pushed {
        state.queued_bytes += count;
        if state.behind {
            self.work.notify_one();
            Pushed::Done
        } else {
            state.behind = true;
            Pushed::FellBehind
        }
    }

    fn end(&self, state: &mut State) {
        self.link.finish();
        state.finished.get_or_insert_with(Instant::now);
    }

    /// Sends what the socket takes now of `header` and `bytes`; gives the number of bytes.
    fn offer(&self, header: &[u8], bytes: &[u8]) -> usize {
        let sent = match (header, bytes) {
            ([], bytes) | (bytes, []) => self.link.try_send(bytes),
            _ => self.link.try_send_both(header, bytes),
        };
        match sent {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => {
                self.link.kill(CloseReason::Lost(error.to_string()));
                0
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chunk {
    /// Bytes of this client alone.
    fn of(bytes: &[u8]) -> Chunk {
        Chunk { bytes: Arc::from(bytes), range: 0..bytes.len() }
    }
}

impl State {
    /// Takes `sent` bytes off the front of the queue.
    fn sent(&mut self, sent: usize) {
        self.queued_bytes = self.queued_bytes.saturating_sub(sent);
        if let Some(front) = self.queue.front_mut() {
            front.range.start += sent;
            if front.range.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn nothing_follows_a_message_that_was_cut_off() {
        for envelope in [Envelope::Nul, Envelope::WebSocketBinary] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let link = Arc::new(Link::new(listener.accept().unwrap().0));
            let outbox = Outbox::new(Arc::clone(&link), envelope.clone(), 1 << 20, None);
            let bytes = vec![b'x'; 64 << 20];
            let whole = 0..bytes.len() as u32;
            assert_eq!(outbox.push(&Batch::new(&bytes), std::slice::from_ref(&whole)), Pushed::Overflow);
            // The application had closed it in the same breath: then that is why it is let go.
            assert_eq!(outbox.finish(&CloseReason::PolicyServed), Pushed::Done);
            drop((outbox, link));
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            let header = Header::of(&envelope, 64 << 20);
            let payload = got.strip_prefix(header.as_bytes()).unwrap();
            assert!(!payload.is_empty() && payload.iter().all(|byte| *byte == b'x'), "{envelope:?}");
        }
    }
}
