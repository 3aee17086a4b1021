//! Defines [`Arrivals`], what was sent to everybody on a listener while somebody was arriving there: connected, and not
//! known to the application yet.
//!
//! Whoever turns out to be a client gets it then, and so misses nothing since it was accepted. Whoever asks for the
//! policy file or for a page never hears of it. One log serves all who arrive, each from its own position; it may have
//! as much as may wait for one client, counts in what waits for all, and is empty when nobody arrives.
//!
//! Knows: frames, in their order. Must not know: what a connection will be, how frames travel.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::peer::ConnectionId;
use super::super::waiting::{CHUNK_BYTES, Kept, Outboxes};
use crate::wire::Encode;

/// Those who arrive at one listener, and what they are to get.
pub(in crate::server) struct Arrivals {
    state: Mutex<Log>,
    outboxes: Arc<Outboxes>,
}

#[derive(Default)]
struct Log {
    /// What was sent since the first of those who are arriving came, oldest first.
    log: VecDeque<Sent>,
    /// The position of the first frame in the log. Positions count up and are never used again.
    first: u64,
    /// What the log counts, as if it waited for one client.
    count: usize,
    /// How many are arriving, by the position of the first frame that each is to get. None stands before `first`.
    waiting: BTreeMap<u64, usize>,
}

/// A frame that was sent to everybody.
struct Sent {
    /// Who was not to get it.
    but: Option<ConnectionId>,
    frame: Kept,
}

/// A connection that is arriving. Dropped once it is known what it is.
pub(in crate::server) struct Arrival {
    arrivals: Arc<Arrivals>,
    /// The position of the first frame that it is to get.
    position: u64,
}

/// A frame that was encoded before.
pub(in crate::server) struct Held(Kept);

impl Encode for Held {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.bytes());
    }
}

impl Arrivals {
    pub(in crate::server) fn new(outboxes: &Arc<Outboxes>) -> Arc<Arrivals> {
        Arc::new(Arrivals { state: Mutex::default(), outboxes: Arc::clone(outboxes) })
    }

    /// Notes that a connection arrives.
    pub(in crate::server) fn arrive(self: &Arc<Arrivals>) -> Arrival {
        let mut state = self.lock();
        let position = state.first + state.log.len() as u64;
        *state.waiting.entry(position).or_default() += 1;
        Arrival { arrivals: Arc::clone(self), position }
    }

    /// Holds a frame that everybody but one gets, if somebody is arriving.
    pub(in crate::server) fn hold(&self, but: Option<ConnectionId>, frame: &(impl Encode + ?Sized)) {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        state.count += bytes.len() + CHUNK_BYTES;
        state.log.push_back(Sent { but, frame: Kept::new(&bytes, &self.outboxes) });
        while state.count > self.outboxes.each_max() && state.waiting.pop_first().is_some() {
            // Whoever has waited longest gets nothing any more.
            state.trim();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrival {
    /// What was sent to everybody since the connection arrived, for `id`, which it has become; `None` when that was more than
    /// could be held.
    pub(in crate::server) fn frames(&self, id: ConnectionId) -> Option<Vec<Held>> {
        let state = self.arrivals.lock();
        let from = self.position.checked_sub(state.first)? as usize;
        let frames = state.log.range(from..).filter(|sent| sent.but != Some(id));
        Some(frames.map(|sent| Held(sent.frame.clone())).collect())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut state = self.arrivals.lock();
        let Some(count) = state.waiting.get_mut(&self.position) else { return };
        *count -= 1;
        if *count == 0 {
            state.waiting.remove(&self.position);
            state.trim();
        }
    }
}

impl Log {
    /// Forgets what nobody waits for.
    fn trim(&mut self) {
        let end = self.first + self.log.len() as u64;
        let needed = self.waiting.first_key_value().map_or(end, |(position, _)| *position);
        while self.first < needed
            && let Some(sent) = self.log.pop_front()
        {
            self.first += 1;
            self.count -= sent.frame.bytes().len() + CHUNK_BYTES;
        }
        if self.log.is_empty() {
            self.log = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, Limits};

    fn arrivals(each_max: usize) -> Arc<Arrivals> {
        Arrivals::new(&Outboxes::new(&Limits { outbox_bytes_max: each_max as u64, ..Limits::default() }))
    }

    fn hold(arrivals: &Arrivals, text: &str) {
        arrivals.hold(None, &Frame::try_from(text).unwrap());
    }

    fn heard(arrival: &Arrival) -> Option<Vec<String>> {
        let frames = arrival.frames(ConnectionId::new(1, 0))?;
        Some(frames.iter().map(|held| String::from_utf8_lossy(held.0.bytes()).into_owned()).collect())
    }

    #[test]
    fn each_gets_what_was_sent_since_it_came_but_not_what_was_not_for_it() {
        let arrivals = arrivals(1_000);
        hold(&arrivals, "nobody is there");
        let ann = arrivals.arrive();
        hold(&arrivals, "a");
        let bob = arrivals.arrive();
        hold(&arrivals, "b");
        arrivals.hold(Some(ConnectionId::new(1, 0)), &Frame::try_from("not for #1").unwrap());
        arrivals.hold(Some(ConnectionId::new(2, 0)), &Frame::try_from("c").unwrap());
        assert_eq!(heard(&ann).unwrap(), ["a", "b", "c"]);
        assert_eq!(heard(&bob).unwrap(), ["b", "c"]);
        let eve = arrivals.arrive();
        drop(ann);
        assert_eq!(heard(&bob).unwrap(), ["b", "c"], "others do not matter");
        assert_eq!(arrivals.lock().count, 3 * CHUNK_BYTES + "bnot for #1c".len());
        drop(bob);
        assert!(heard(&eve).unwrap().is_empty());
        assert_eq!(arrivals.lock().log.len(), 0, "what nobody waits for is forgotten");
        drop(eve);
        let state = arrivals.lock();
        assert_eq!((state.count, state.log.capacity(), state.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn who_has_waited_longest_loses_when_it_is_too_much() {
        let room_for_two = 2 * (CHUNK_BYTES + 1);
        let arrivals = arrivals(room_for_two);
        let [ann, bob] = [arrivals.arrive(), arrivals.arrive()];
        hold(&arrivals, "a");
        let eve = arrivals.arrive();
        hold(&arrivals, "b");
        assert_eq!(heard(&ann).unwrap(), ["a", "b"]);
        hold(&arrivals, "c");
        assert_eq!((heard(&ann), heard(&bob)), (None, None));
        assert_eq!(heard(&eve).unwrap(), ["b", "c"]);
        drop((ann, bob));
        assert_eq!(heard(&eve).unwrap(), ["b", "c"], "who has lost takes nothing from the others");
        hold(&arrivals, &"x".repeat(room_for_two));
        assert_eq!(heard(&eve), None);
        assert_eq!(arrivals.lock().count, 0, "nothing is kept for nobody");
        let late = arrivals.arrive();
        drop(eve);
        hold(&arrivals, "d");
        assert_eq!(heard(&late).unwrap(), ["d"]);
    }
}
