//! Defines [`Budget`], which bounds in bytes what waits for the dispatcher.
//!
//! Who finds no room stands in line. A message larger than all the room there is goes alone: it waits until nothing else
//! is there, and the line sees to it that this comes, however many go on coming.
//!
//! Large documents have a share of their own. Such a one takes milliseconds to parse, and has its room from before that: so
//! there are only ever a few at a time, and what somebody says in a chat waits for none of them.
//!
//! Knows: who waits for room. Must not know: what the bytes are.

use std::collections::VecDeque;
use std::sync::Arc;

use super::sync::{AtomicUsize, Condvar, Mutex, Ordering, PoisonError};
use crate::wire::CHANNEL_BYTES_MAX;

/// Bytes that an event counts in the channel beside the message in it.
const EVENT_BYTES: usize = 128;

/// Bytes of the largest document that is small: parsing it takes a tenth of a millisecond.
const SMALL_BYTES_MAX: usize = 32 << 10;

/// The room for large documents, beside the rest: for the two largest that there are with the default limits.
const LARGE_ROOM_BYTES: usize = 2 << 20;

/// What a message counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    bytes: usize,
    /// Whether it is a document that takes long to parse.
    is_large: bool,
}

impl Cost {
    /// Of a message that is not parsed.
    pub(super) fn of_text(bytes: usize) -> Cost {
        Cost { bytes: bytes.saturating_add(EVENT_BYTES), is_large: false }
    }

    /// Of a message that is parsed into a document of `bytes` bytes at most.
    pub(super) fn of_document(bytes: usize) -> Cost {
        Cost { is_large: bytes > SMALL_BYTES_MAX, ..Cost::of_text(bytes) }
    }
}

/// Counts the bytes of messages between the clients' threads and the dispatcher.
pub(super) struct Budget {
    small: Share,
    large: Share,
}

/// What messages counted that have been handled.
#[derive(Default)]
pub(super) struct Handled {
    small: usize,
    large: usize,
}

impl Handled {
    /// Adds a message.
    pub(super) fn add(&mut self, cost: Cost) {
        *(if cost.is_large { &mut self.large } else { &mut self.small }) += cost.bytes;
    }
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { small: Share::new(CHANNEL_BYTES_MAX), large: Share::new(LARGE_ROOM_BYTES) }
    }

    /// Waits until `cost` fits. `false` when the server stops.
    pub(super) fn take(&self, cost: Cost) -> bool {
        if cost.is_large { self.large.take(cost.bytes) } else { self.small.take(cost.bytes) }
    }

    /// Gives back what a message counted that was not handed on.
    pub(super) fn give_back(&self, cost: Cost) {
        let mut handled = Handled::default();
        handled.add(cost);
        self.give_back_all(&handled);
    }

    /// Gives back what handled messages counted.
    pub(super) fn give_back_all(&self, handled: &Handled) {
        self.small.give_back(handled.small);
        self.large.give_back(handled.large);
    }

    /// Lets everybody who waits go.
    pub(super) fn close(&self) {
        self.small.close();
        self.large.close();
    }
}

/// A part of the room, and who waits for it.
struct Share {
    bytes_max: usize,
    used: AtomicUsize,
    /// How many stand in line: nobody goes past them.
    in_line: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    /// Who waits, the first in front.
    waiting: VecDeque<Waiter>,
    /// How many have been let in from the front of the line.
    let_in: usize,
    /// Whether there will never be room again: the server stops.
    closed: bool,
}

/// A thread that waits.
struct Waiter {
    cost: usize,
    /// Signals that it was let in, or that nobody will be any more.
    called: Arc<Condvar>,
}

impl Share {
    fn new(bytes_max: usize) -> Share {
        Share { bytes_max, used: AtomicUsize::new(0), in_line: AtomicUsize::new(0), line: Mutex::default() }
    }

    fn take(&self, cost: usize) -> bool {
        (self.in_line.load(Ordering::SeqCst) == 0 && self.fits(cost)) || self.wait(cost)
    }

    #[inline(never)]
    fn wait(&self, cost: usize) -> bool {
        let called = Arc::new(Condvar::new());
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let place = line.let_in + line.waiting.len();
        line.waiting.push_back(Waiter { cost, called: Arc::clone(&called) });
        // Room that came before this thread stood in line was offered to nobody.
        self.let_in(&mut line);
        while line.let_in <= place {
            if line.closed {
                return false;
            }
            line = called.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn give_back(&self, cost: usize) {
        if cost == 0 {
            return;
        }
        self.used.fetch_sub(cost, Ordering::SeqCst);
        // Whoever found no room takes this lock before looking again, so that nobody can be missed.
        self.let_in(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn close(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.closed = true;
        line.waiting.iter().for_each(|waiter| waiter.called.notify_one());
    }

    /// Takes what those in front of the line wait for, as far as there is room, and calls them.
    fn let_in(&self, line: &mut Line) {
        while line.waiting.front().is_some_and(|first| self.fits(first.cost)) {
            line.let_in += 1;
            if let Some(first) = line.waiting.pop_front() {
                first.called.notify_one();
            }
        }
        self.in_line.store(line.waiting.len(), Ordering::SeqCst);
    }

    /// Takes `cost` if there is room. What is larger than all of it is let in when nothing else is there.
    fn fits(&self, cost: usize) -> bool {
        self.used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                let both = used.saturating_add(cost);
                (used == 0 || both <= self.bytes_max).then_some(both)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crossbeam_channel::unbounded;

    use super::*;

    /// Some room.
    const ROOM: usize = 1_000;

    /// Whoever waits is woken, whatever the others take, and no more is ever out than the limit.
    #[test]
    fn whoever_waits_for_room_gets_it() {
        const ROUNDS: usize = 300;
        let budget = Share::new(ROOM);
        let (taken, out) = unbounded();
        thread::scope(|scope| {
            for n in 0..8 {
                let (budget, taken) = (&budget, taken.clone());
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        // One of them always wants more than there is: it is let in when nothing else is.
                        let cost = if n == 0 { ROOM + 1 } else { ROOM / (1 + (n + round) % 5) };
                        assert!(budget.take(cost));
                        taken.send(cost).unwrap();
                    }
                });
            }
            for _ in 0..8 * ROUNDS {
                let cost = out.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
                let used = budget.used.load(Ordering::SeqCst);
                assert!(used <= ROOM || used == ROOM + 1, "{used}");
                budget.give_back(cost);
            }
        });
        assert_eq!(budget.used.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_is_larger_than_all_gets_its_turn_before_what_comes_after_it() {
        let budget = Share::new(ROOM);
        let (taken, out) = unbounded();
        assert!(budget.take(10));
        thread::scope(|scope| {
            for (number, cost) in [ROOM + 1, 1, 2].into_iter().enumerate() {
                let (budget, taken) = (&budget, taken.clone());
                scope.spawn(move || {
                    assert!(budget.take(cost));
                    taken.send(cost).unwrap();
                });
                // Only then comes the next.
                while budget.in_line.load(Ordering::SeqCst) <= number {
                    thread::yield_now();
                }
            }
            assert!(out.is_empty(), "there is room for the small ones, but they came later");
            let next = || out.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
            budget.give_back(10);
            assert_eq!(next(), ROOM + 1);
            budget.give_back(ROOM + 1);
            assert_eq!(next() + next(), 1 + 2);
        });
        assert_eq!(budget.used.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn nothing_small_waits_for_what_is_large_and_takes_long() {
        let budget = Budget::new();
        let (small, large) = (Cost::of_document(SMALL_BYTES_MAX), Cost::of_document(SMALL_BYTES_MAX + 1));
        let all = Cost::of_document(LARGE_ROOM_BYTES);
        assert!(budget.take(all));
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| budget.take(large))).collect();
            while budget.large.in_line.load(Ordering::SeqCst) < waiting.len() {
                thread::yield_now();
            }
            // Here, and not on a thread of its own: it returns at once.
            assert!(budget.take(small) && budget.take(Cost::of_text(SMALL_BYTES_MAX + 1)));
            assert_eq!(budget.large.in_line.load(Ordering::SeqCst), waiting.len());
            budget.give_back(all);
            waiting.into_iter().for_each(|thread| assert!(thread.join().unwrap()));
        });
        let mut handled = Handled::default();
        let all = [small, Cost::of_text(SMALL_BYTES_MAX + 1), large, large, large, large];
        all.into_iter().for_each(|cost| handled.add(cost));
        budget.give_back_all(&handled);
        assert_eq!([&budget.small, &budget.large].map(|share| share.used.load(Ordering::SeqCst)), [0, 0]);
    }

    #[test]
    fn nobody_waits_for_a_server_that_stops() {
        let budget = &Budget::new();
        let (text, large) = (Cost::of_text(CHANNEL_BYTES_MAX), Cost::of_document(LARGE_ROOM_BYTES));
        assert!(budget.take(text) && budget.take(large));
        thread::scope(|scope| {
            let costs = [Cost::of_text(1), Cost::of_document(1), large, text];
            let waiting = costs.map(|cost| scope.spawn(move || budget.take(cost)));
            budget.close();
            waiting.into_iter().for_each(|thread| assert!(!thread.join().unwrap()));
        });
        assert!(!budget.take(text) && !budget.take(large));
    }
}
