//! Defines [`Queue`], the events between a socket's thread and who takes them, and [`Attempt`], one call of `connect`.
//!
//! Knows: that a socket's state changes when an event is taken, not when it happens; the bound in bytes.
//! Must not know: how connections are made, what the events carry.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender as ChannelSender, bounded};

use super::error::Error;
use super::event::Event;
use super::tcp::Tcp;

/// What an event weighs beyond the bytes it carries: roughly what it takes in memory.
const EVENT_BYTES: usize = 128;

/// Locks `mutex`. A panic of a listener's must not take the socket down with it.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call of `connect`, with all its tries, shared by the thread that makes them and by who may end them.
pub(super) struct Attempt {
    inner: Mutex<AttemptState>,
}

/// What [`Attempt`] guards.
struct AttemptState {
    /// The connection being made or in use. The thread owns it, `close` shuts it.
    tcp: Weak<Tcp>,
    /// Dropped to end the thread's waits. `None`: the attempt is over.
    stop: Option<ChannelSender<Infallible>>,
}

impl Attempt {
    /// A new attempt, and the receiver that is disconnected once it is over.
    pub(super) fn new() -> (Arc<Attempt>, Receiver<Infallible>) {
        let (stop, stopped) = bounded(0);
        (Arc::new(Attempt { inner: Mutex::new(AttemptState { tcp: Weak::new(), stop: Some(stop) }) }), stopped)
    }

    /// Whether somebody ended it.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.inner).stop.is_none()
    }

    /// Makes `tcp` the connection that [`end`](Attempt::end) closes. False when the attempt is over.
    pub(super) fn set_tcp(&self, tcp: &Arc<Tcp>) -> bool {
        let mut inner = lock(&self.inner);
        if inner.stop.is_none() {
            return false;
        }
        inner.tcp = Arc::downgrade(tcp);
        true
    }

    /// Ends it: what was sent still leaves, then the server sees the end.
    fn end(&self) {
        let mut inner = lock(&self.inner);
        inner.stop = None;
        if let Some(tcp) = inner.tcp.upgrade() {
            tcp.finish();
        }
    }

    /// Ends it at once, whatever the server does: frees the thread from a blocked read, write or connect.
    pub(super) fn force(&self) {
        self.end();
        if let Some(tcp) = lock(&self.inner).tcp.upgrade() {
            tcp.abort();
        }
    }
}

/// The events of a socket on their way to who takes them, and the state that follows from the events taken.
pub(super) struct Queue<P> {
    state: Mutex<Contents<P>>,
    /// Signalled when an event came or went, and when an attempt began or ended.
    changed: Condvar,
}

/// What [`Queue`] guards.
struct Contents<P> {
    /// The attempt whose events count. `None`: nothing can come.
    attempt: Option<Arc<Attempt>>,
    /// Events that happened and were not taken.
    waiting: VecDeque<Queued<P>>,
    /// What `waiting` weighs.
    bytes: usize,
    /// Whether the thread waits for room.
    full: bool,
    /// The connection to send on: set when `Connect` is taken, unset when the end is taken. Owned by the thread: a
    /// connection that has ended is gone, whether its end was taken or not.
    tcp: Option<Weak<Tcp>>,
}

/// An event that was not taken yet.
struct Queued<P> {
    event: Event<P>,
    bytes: usize,
    /// With `Connect`: the connection that was established.
    tcp: Option<Weak<Tcp>>,
}

impl<P> Contents<P> {
    /// Whether `attempt` is the one whose events count.
    fn is_current(&self, attempt: &Arc<Attempt>) -> bool {
        self.attempt.as_ref().is_some_and(|current| Arc::ptr_eq(current, attempt))
    }

    /// Whether an event of `bytes` may wait beside those that do: up to `bytes_max`, and one alone always.
    fn has_room(&self, bytes: usize, bytes_max: usize) -> bool {
        self.waiting.is_empty() || self.bytes + bytes <= bytes_max
    }

    /// Follows an event that is taken now.
    fn follow(&mut self, event: &Event<P>, tcp: Option<Weak<Tcp>>) {
        if matches!(event, Event::Connect) {
            self.tcp = tcp;
        } else if event.is_end() {
            self.tcp = None;
        }
    }

    /// The next event, taken.
    fn take(&mut self) -> Option<Event<P>> {
        let Queued { event, bytes, tcp } = self.waiting.pop_front()?;
        self.bytes -= bytes;
        self.follow(&event, tcp);
        Some(event)
    }
}

impl<P> Queue<P> {
    pub(super) fn new() -> Queue<P> {
        let state = Contents { attempt: None, waiting: VecDeque::new(), bytes: 0, full: false, tcp: None };
        Queue { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Makes `attempt` the one whose events count. The one before it ends, and its events are thrown away.
    pub(super) fn begin(&self, attempt: &Arc<Attempt>) {
        self.replace(Some(Arc::clone(attempt)));
    }

    /// Ends the attempt there is. From now on none of its events is given out. False when there was none.
    pub(super) fn end(&self) -> bool {
        self.replace(None)
    }

    fn replace(&self, next: Option<Arc<Attempt>>) -> bool {
        let mut state = lock(&self.state);
        let before = std::mem::replace(&mut state.attempt, next);
        // An attempt that ended by itself is not `attempt` any more, yet its last events may wait to be taken.
        let was_live = before.is_some() || !state.waiting.is_empty();
        state.waiting.clear();
        state.bytes = 0;
        state.tcp = None;
        if let Some(before) = before {
            before.end();
        }
        self.changed.notify_all();
        was_live
    }

    /// Adds an event of `attempt`, waiting for room: `bytes_max` bytes may wait to be taken, and at least one event
    /// may. False when the attempt is over.
    pub(super) fn push(
        &self,
        attempt: &Arc<Attempt>,
        event: Event<P>,
        tcp: Option<Weak<Tcp>>,
        bytes: usize,
        bytes_max: usize,
    ) -> bool {
        let bytes = bytes + EVENT_BYTES;
        let mut state = lock(&self.state);
        while state.is_current(attempt) && !state.has_room(bytes, bytes_max) {
            state.full = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.is_current(attempt) {
            return false;
        }
        state.bytes += bytes;
        state.waiting.push_back(Queued { event, bytes, tcp });
        // Who waits for an event waits only while there is none.
        if state.waiting.len() == 1 {
            self.changed.notify_all();
        }
        true
    }

    /// Follows an event of `attempt` that a listener takes now. False when the attempt is over.
    pub(super) fn pass(&self, attempt: &Arc<Attempt>, event: &Event<P>, tcp: Option<Weak<Tcp>>) -> bool {
        let mut state = lock(&self.state);
        let current = state.is_current(attempt);
        if current {
            state.follow(event, tcp);
            // Who waits here waits for a connection: data is nothing to wake up for.
            if matches!(event, Event::Connect) {
                self.changed.notify_all();
            }
        }
        current
    }

    /// Says that no more events of `attempt` come. Those that wait can still be taken.
    pub(super) fn finish(&self, attempt: &Arc<Attempt>) {
        let mut state = lock(&self.state);
        if state.is_current(attempt) {
            state.attempt = None;
            // Only a listener that panicked leaves a connection without an event that ends it.
            if state.waiting.is_empty() {
                state.tcp = None;
            }
            self.changed.notify_all();
        }
    }

    /// Takes the next event, waiting for it until `deadline`. `Ok(None)`: it did not come in time.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Result<Option<Event<P>>, Error> {
        let mut state = lock(&self.state);
        loop {
            if let Some(event) = state.take() {
                if std::mem::take(&mut state.full) || matches!(event, Event::Connect) {
                    self.changed.notify_all();
                }
                return Ok(Some(event));
            }
            if state.attempt.is_none() {
                return Err(Error::NotConnected);
            }
            state = match self.wait_for_change(state, deadline) {
                Some(state) => state,
                None => return Ok(None),
            };
        }
    }

    /// Waits until no more events come, or `deadline` has passed. Whether no more come.
    pub(super) fn wait_for_end(&self, deadline: Option<Instant>) -> bool {
        self.wait(deadline, |state| state.attempt.is_none())
    }

    /// Waits until `Connect` is taken, until that cannot happen any more, or until `deadline`. Whether it was taken.
    pub(super) fn wait_for_connect(&self, deadline: Option<Instant>) -> bool {
        self.wait(deadline, |state| state.tcp.is_some() || state.attempt.is_none());
        self.tcp().is_some()
    }

    /// Waits until `is_reached`, or until `deadline`. Whether it is.
    fn wait(&self, deadline: Option<Instant>, is_reached: impl Fn(&Contents<P>) -> bool) -> bool {
        let mut state = lock(&self.state);
        while !is_reached(&state) {
            let Some(waited) = self.wait_for_change(state, deadline) else { return false };
            state = waited;
        }
        true
    }

    /// Waits for `changed`. `None`: not by `deadline`.
    fn wait_for_change<'state>(
        &self,
        state: MutexGuard<'state, Contents<P>>,
        deadline: Option<Instant>,
    ) -> Option<MutexGuard<'state, Contents<P>>> {
        let Some(deadline) = deadline else {
            return Some(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        Some(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    /// The connection to send on. `None`: not connected, as far as the events taken say.
    pub(super) fn tcp(&self) -> Option<Weak<Tcp>> {
        lock(&self.state).tcp.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::tcp::tests::{WAIT, connected};
    use super::*;

    #[test]
    fn an_attempt_that_ends_stops_speaking_and_one_that_is_forced_stops_hearing() {
        let (tcp, mut peer) = connected();
        let (attempt, _stopped) = Attempt::new();
        assert!(!attempt.is_over() && attempt.set_tcp(&tcp));
        attempt.end();
        assert!(attempt.is_over() && !attempt.set_tcp(&tcp));
        assert_eq!(peer.read(&mut [0; 9]).unwrap(), 0);
        attempt.force();
        assert_eq!(tcp.read_by(&mut [0; 9], Instant::now() + WAIT).unwrap(), 0, "a blocked read is free");
    }

    #[test]
    fn what_waits_is_weighed_and_bounded() {
        let queue = Queue::new();
        let (attempt, _stopped) = Attempt::new();
        queue.begin(&attempt);
        let weighed = || lock(&queue.state).bytes;
        // Asked before it is relied on: who finds no room waits for it.
        let has_room = |bytes, bytes_max| lock(&queue.state).has_room(bytes, bytes_max);
        assert!(has_room(usize::MAX, 0), "one event may always wait");
        assert!(queue.push(&attempt, Event::Connect, None, 0, 0));
        assert_eq!(weighed(), EVENT_BYTES);
        let two = 2 * EVENT_BYTES + 100;
        assert!(has_room(EVENT_BYTES + 100, two) && !has_room(EVENT_BYTES + 101, two));
        assert!(queue.push(&attempt, Event::Data(()), None, 100, two));
        assert_eq!(weighed(), two);
        for left in [EVENT_BYTES + 100, 0] {
            queue.take(Some(Instant::now())).unwrap().unwrap();
            assert_eq!(weighed(), left);
        }
    }
}
