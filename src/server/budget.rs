//! Defines [`Budget`], which bounds in bytes what waits for the dispatcher.
//!
//! Knows: who waits for room. Must not know: what the bytes are.

use super::sync::{AtomicUsize, Condvar, Mutex, Ordering, PoisonError};
use crate::wire::CHANNEL_BYTES_MAX;

/// Bytes that an event counts in the channel beside its text: a document's tree takes room, too.
const EVENT_BYTES: usize = 128;

/// Counts the bytes of messages between the clients' threads and the dispatcher.
pub(super) struct Budget {
    used: AtomicUsize,
    waiting: Mutex<Waiting>,
    room: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// How many threads wait for room.
    threads: usize,
    /// Whether there will never be room again: the server stops.
    closed: bool,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { used: AtomicUsize::new(0), waiting: Mutex::default(), room: Condvar::new() }
    }

    /// What a message of `bytes` bytes counts.
    pub(super) fn cost(bytes: usize) -> usize {
        bytes + EVENT_BYTES
    }

    /// Waits until `cost` fits. `false` when the server stops.
    pub(super) fn take(&self, cost: usize) -> bool {
        if self.fits(cost) {
            return true;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.threads += 1;
        let fits = loop {
            if waiting.closed {
                break false;
            }
            if self.fits(cost) {
                break true;
            }
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        };
        waiting.threads -= 1;
        fits
    }

    /// Gives back what handled messages counted.
    pub(super) fn give_back(&self, cost: usize) {
        if cost == 0 {
            return;
        }
        self.used.fetch_sub(cost, Ordering::SeqCst);
        // Whoever found no room has taken this lock before looking again, so that the signal cannot be missed.
        if self.waiting.lock().unwrap_or_else(PoisonError::into_inner).threads > 0 {
            self.room.notify_all();
        }
    }

    /// Lets everybody who waits go.
    pub(super) fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.room.notify_all();
    }

    /// Takes `cost` if there is room. A message larger than everything is let in when nothing else waits.
    fn fits(&self, cost: usize) -> bool {
        self.used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                (used == 0 || used + cost <= CHANNEL_BYTES_MAX).then_some(used + cost)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crossbeam_channel::unbounded;

    use super::*;

    /// Whoever waits is woken, whatever the others take, and no more is ever out than the limit.
    #[test]
    fn whoever_waits_for_room_gets_it() {
        const ROUNDS: usize = 300;
        let budget = Budget::new();
        let (taken, out) = unbounded();
        thread::scope(|scope| {
            for n in 0..8 {
                let (budget, taken) = (&budget, taken.clone());
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        // One of them always wants more than there is: it is let in when nothing else is.
                        let cost =
                            if n == 0 { CHANNEL_BYTES_MAX + 1 } else { CHANNEL_BYTES_MAX / (1 + (n + round) % 5) };
                        assert!(budget.take(cost));
                        taken.send(cost).unwrap();
                    }
                });
            }
            for _ in 0..8 * ROUNDS {
                let cost = out.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
                let used = budget.used.load(Ordering::SeqCst);
                assert!(used <= CHANNEL_BYTES_MAX || used == CHANNEL_BYTES_MAX + 1, "{used}");
                budget.give_back(cost);
            }
        });
        assert_eq!(budget.used.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn nobody_waits_for_a_server_that_stops() {
        let budget = Budget::new();
        assert!(budget.take(CHANNEL_BYTES_MAX));
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| budget.take(1))).collect();
            budget.close();
            waiting.into_iter().for_each(|thread| assert!(!thread.join().unwrap()));
        });
        assert!(!budget.take(1));
    }
}
