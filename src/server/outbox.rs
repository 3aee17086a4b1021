//! Defines [`Outbox`], the only code that writes to a client once the application knows it.
//!
//! An outbox is Level or Behind. Level: the dispatcher offers a batch to the socket without blocking, and that is
//! all. When the socket does not take the whole batch, the outbox is Behind from that moment on, in the same critical
//! section: the rest, and all that follows, is queued, bounded in bytes, and a catch-up writer thread sends it.
//! Only that thread, under the lock and with the queue empty, makes the outbox Level again. So the bytes of a client
//! have one order, whichever thread sends them.
//!
//! What is pushed at a time is queued whole, so that the end of the queue is always the end of a message; there
//! what a framing says by itself (an answer to a ping, a mirrored root, a goodbye) enters, from whichever thread.
//!
//! To a client that has not spoken nothing is sent that it could take for an answer to HTTP: see [`FirstBytes`]. That is
//! decided here, under the lock, so that no request can come between.
//!
//! Knows: one client's link, its queue, what writes its frames. Must not know: who decided to send, which framing it is.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arrival::first_bytes::FirstBytes;
use super::batch::{Piece, Sending};
use super::closing::CloseReason;
use super::framing::{Encoder, Reply};
use super::link::Link;
use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use super::waiting::{Outboxes, Waiting};

/// How long a catch-up writer waits for more before it ends: a client that fell behind once tends to again.
const LINGER: Duration = Duration::from_millis(250);

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Sent, or queued behind what a writer is sending already.
    Done,
    /// Part of it is queued, and a catch-up writer must be started.
    FellBehind,
    /// It is the first that waits until the client has spoken.
    Held,
    /// It does not fit: the client must be closed.
    Overflow,
}

/// A client's outgoing bytes.
pub(super) struct Outbox {
    link: Arc<Link>,
    state: Mutex<State>,
    /// Signals the catch-up writer: there is something to do.
    work: Condvar,
    /// How long a client that is behind may take not one byte.
    write_timeout: Option<Duration>,
}

struct State {
    /// Whether a catch-up writer sends, and not the dispatcher.
    behind: bool,
    /// What waits. Empty when Level, unless it is held.
    waiting: Waiting,
    /// What may be sent while the client has not spoken.
    first_bytes: FirstBytes,
    /// What writes the client's frames.
    encoder: Arc<dyn Encoder>,
    /// Whether the client was told, in its framing's words, that nothing more comes.
    said_goodbye: bool,
    /// Set when nothing more will be pushed: once all is sent, the client is told.
    finishing: bool,
    /// When all was sent after that.
    finished: Option<Instant>,
    /// Whether a byte was ever pushed.
    used: bool,
}

impl Outbox {
    pub(super) fn new(
        link: Arc<Link>,
        encoder: Arc<dyn Encoder>,
        first_bytes: FirstBytes,
        outboxes: Arc<Outboxes>,
        write_timeout: Option<Duration>,
    ) -> Outbox {
        let state = State {
            behind: false,
            waiting: Waiting::new(outboxes),
            first_bytes,
            encoder,
            said_goodbye: false,
            finishing: false,
            finished: None,
            used: false,
        };
        Outbox { link, state: Mutex::new(state), work: Condvar::new(), write_timeout }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Sends the client its pieces of the batch, or queues what the socket does not take now. Never blocks.
    /// MUST be called by the dispatcher only: it alone decides the order.
    pub(super) fn push(&self, sending: &Sending<'_>, pieces: &[Piece]) -> Pushed {
        let mut state = self.lock();
        if self.is_over(&state) {
            return Pushed::Done;
        }
        let (header, bytes) = sending.encoded(pieces, &state.encoder);
        let header = header.as_bytes();
        if header.is_empty() && bytes.is_empty() {
            return Pushed::Done;
        }
        let held = state.first_bytes.holds(header) || state.first_bytes.holds(&bytes);
        state.used |= !held;
        let sent = if held || state.behind { 0 } else { self.offer(header, &bytes) };
        let rest = header.len() + bytes.len() - sent;
        if rest == 0 || self.link.is_dead() {
            return Pushed::Done;
        }
        // A client cannot be behind while so little was sent to it that more must be held; if it is, no writer may go on.
        if !state.waiting.has_room(rest) || held && state.behind {
            // A part may have been sent. Nothing can follow it.
            self.link.kill(CloseReason::TooSlow);
            return Pushed::Overflow;
        }
        let (header, unsent) = left(header, bytes.len(), sent);
        if !header.is_empty() {
            state.waiting.push_own(header);
        }
        let (kept, range) = sending.rest(pieces, &bytes, unsent, state.waiting.outboxes());
        state.waiting.push(kept, range);
        self.queued(&mut state)
    }

    /// The client speaks no HTTP, or says nothing any more: what was held until this was known is sent.
    pub(super) fn release(&self) -> Pushed {
        let mut state = self.lock();
        if !state.first_bytes.release() || state.waiting.is_empty() {
            return Pushed::Done;
        }
        state.used = true;
        self.queued(&mut state)
    }

    /// Sends or queues what the framing says by itself, after what was pushed before, and changes what writes from then on:
    /// in one step, so that nothing is written in the old way behind it, nor in the new way before it. Never blocks. After
    /// the goodbye nothing more is sent. May be called by any thread.
    pub(super) fn reply(&self, reply: Reply, is_goodbye: bool) -> Pushed {
        let mut state = self.lock();
        let pushed = self.say(&mut state, &reply.bytes);
        if pushed != Pushed::Overflow {
            state.said_goodbye |= is_goodbye;
            if let Some(encoder) = reply.encoder {
                state.encoder = encoder;
            }
        }
        pushed
    }

    /// Asks the client for activity, if its framing has a way to.
    pub(super) fn ping(&self) -> Pushed {
        let mut state = self.lock();
        let ping = state.encoder.ping();
        ping.map_or(Pushed::Done, |ping| self.say(&mut state, ping))
    }

    fn say(&self, state: &mut State, bytes: &[u8]) -> Pushed {
        if self.is_over(state) || bytes.is_empty() {
            return Pushed::Done;
        }
        if state.behind && !state.waiting.has_room(bytes.len()) {
            return Pushed::Overflow;
        }
        self.append(state, bytes)
    }

    /// Nothing more will be pushed. Once all is sent the client is told so, now or by the catch-up writer;
    /// where the framing has a goodbye, that is sent before.
    pub(super) fn finish(&self, reason: &CloseReason) -> Pushed {
        let mut state = self.lock();
        self.link.stop_reading();
        if state.first_bytes.are_held() {
            state.waiting.clear();
        }
        let mut pushed = Pushed::Done;
        let goodbye = state.encoder.goodbye(reason);
        if !self.is_over(&state) && !goodbye.is_empty() {
            state.said_goodbye = true;
            pushed = self.append(&mut state, &goodbye);
        }
        state.finishing = true;
        if state.behind {
            self.work.notify_one();
        } else {
            self.end(&mut state);
        }
        pushed
    }

    /// What waits, as it counts in the bound of one client; `None` when nothing does.
    pub(super) fn waiting(&self) -> Option<usize> {
        let state = self.lock();
        (state.behind || state.first_bytes.are_held()).then(|| state.waiting.count())
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
        state.waiting.clear();
        true
    }

    /// Sends what is queued until the client is level again. Runs on a thread of its own while the outbox is Behind.
    pub(super) fn catch_up(&self) {
        let _ = self.link.set_write_timeout(self.write_timeout);
        let mut state = self.lock();
        let mut lingered = false;
        while !self.link.is_dead() {
            let Some((bytes, range)) = state.waiting.front() else {
                if state.finishing {
                    return self.end(&mut state);
                } else if lingered {
                    state.behind = false;
                    return;
                }
                let (waited, timeout) = self.work.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
                state = waited;
                lingered = timeout.timed_out();
                continue;
            };
            drop(state);
            lingered = false;
            let sent = self.link.send(&bytes[range]);
            state = self.lock();
            match sent {
                Ok(sent) => state.waiting.sent(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.link.kill(CloseReason::WriteTimeout),
                Err(error) => self.link.kill(CloseReason::Lost(error.to_string())),
            }
        }
        state.waiting.clear();
    }

    /// Drops what waits. The link is dead or about to be.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.finishing = true;
        state.waiting.clear();
        self.work.notify_one();
    }

    /// Sends `bytes`, or queues what the socket does not take now.
    fn append(&self, state: &mut State, bytes: &[u8]) -> Pushed {
        let sent = if state.first_bytes.holds(bytes) || state.behind { 0 } else { self.offer(bytes, &[]) };
        let rest = bytes.len() - sent;
        if rest == 0 || self.link.is_dead() {
            return Pushed::Done;
        }
        state.waiting.push_own(&bytes[sent..]);
        self.queued(state)
    }

    /// Whether nothing may be written any more.
    fn is_over(&self, state: &State) -> bool {
        state.finishing || state.said_goodbye || self.link.is_dead()
    }

    /// Notes that more waits, for the catch-up writer or for one that is to be started, or until the client speaks.
    fn queued(&self, state: &mut State) -> Pushed {
        if state.first_bytes.are_held() {
            if state.waiting.is_one() { Pushed::Held } else { Pushed::Done }
        } else if state.behind {
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

/// What is left of `header` and the `bytes` bytes behind it when `sent` bytes of both were sent.
fn left(header: &[u8], bytes: usize, sent: usize) -> (&[u8], usize) {
    let of_header = sent.min(header.len());
    (&header[of_header..], bytes - (sent - of_header))
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
