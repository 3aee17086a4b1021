//! Defines what is remembered of what was said: the trait [`History`], and [`InMemory`], a bounded ring a room.
//!
//! Knows: messages as frames, their numbers, three bounds. Must not know: who reads, who may.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::wire::Limits;

/// A message as it is kept.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number; each is above all earlier ones of the server.
    pub id: u64,
    /// The frame that the members got, without its zero byte.
    pub frame: Arc<[u8]>,
    /// The position in `frame` after the last attribute of the root, where one more can be put.
    pub attributes_end: usize,
}

/// Which messages of a room are asked for. Of those that match, the newest are given.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Only messages above this number.
    pub after: Option<u64>,
    /// Only messages below this number.
    pub before: Option<u64>,
    /// At most so many.
    pub count_max: usize,
    /// At most so many bytes, each message counted with `bytes_more`.
    pub bytes_max: usize,
    /// What a message costs beside its frame.
    pub bytes_more: usize,
}

/// Messages of a room.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The messages, oldest first, without gaps between them.
    pub records: Vec<Record>,
    /// Whether matching messages that are older were left out because of `count_max` or `bytes_max`.
    pub left_out: bool,
    /// Whether matching messages may have been that are not kept (any longer).
    pub lost: bool,
}

/// What remembers the messages of rooms. Rooms are named by what their names are compared by.
///
/// The dispatcher calls these methods, so none may block: not on a disk, not on a lock that another thread holds for
/// long. A database therefore stands behind this trait like so: it keeps the rings of [`InMemory`], filled from its
/// tables before the server starts, and answers every [`page`](History::page) from them; [`append`](History::append)
/// and [`forget`](History::forget) also post to a bounded channel that a thread of the database's own writes from, and
/// count what did not fit, never wait. Since ids rise, that thread can write what was missed later, from the rings.
/// What is older than the rings stays with that thread: it reads it on request and posts what it found through a
/// [`Handle`](crate::server::Handle), as an event of the application's.
#[expect(unused_variables, reason = "names are for whoever implements it")]
pub trait History: Send {
    /// The highest number of a message that was ever kept, so that a restarted server goes on above it.
    fn last_id(&self) -> Option<u64> {
        None
    }

    /// A room was made. Messages up to the number `last_id` cannot have been in it, unless they are known here.
    fn begin(&mut self, room: &str, last_id: u64);

    /// A message was sent to a room. Its number is above all others.
    fn append(&mut self, room: &str, record: Record);

    /// Some messages of a room.
    fn page(&self, room: &str, query: &Query) -> Page;

    /// A room is no more; nothing of it need be kept.
    fn forget(&mut self, room: &str);

    /// The bounds are others from now on.
    fn set_limits(&mut self, limits: &Limits) {}
}

/// A history that ends with the process: per room the last messages, bounded in number and bytes, and all together
/// bounded in bytes; the oldest go first.
pub struct InMemory {
    messages_max: usize,
    bytes_max: usize,
    total_bytes_max: usize,
    rings: HashMap<Arc<str>, Ring>,
    /// The bytes in all rings.
    bytes: usize,
}

/// The last messages of a room.
struct Ring {
    records: VecDeque<Record>,
    bytes: usize,
    /// Messages up to this number may have been here and are not.
    lost_up_to: u64,
}

impl InMemory {
    /// An empty history with the bounds of `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> InMemory {
        let mut history =
            InMemory { messages_max: 0, bytes_max: 0, total_bytes_max: 0, rings: HashMap::new(), bytes: 0 };
        history.set_limits(limits);
        history
    }

    /// The bytes of all messages.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the messages that came first, of whatever room, if not all fit. It makes room for some more at once: who
    /// comes next is found by looking at all rooms.
    fn evict(&mut self) {
        if self.bytes <= self.total_bytes_max {
            return;
        }
        let goal = self.total_bytes_max - self.total_bytes_max / 1_024;
        let fronts =
            self.rings.iter().filter_map(|(room, ring)| Some(Reverse((ring.records.front()?.id, Arc::clone(room)))));
        let mut oldest: BinaryHeap<_> = fronts.collect();
        while self.bytes > goal
            && let Some(Reverse((_, room))) = oldest.pop()
            && let Some(ring) = self.rings.get_mut(&room)
        {
            self.bytes -= ring.drop_oldest();
            if let Some(front) = ring.records.front() {
                oldest.push(Reverse((front.id, room)));
            }
        }
    }
}

impl History for InMemory {
    fn begin(&mut self, room: &str, last_id: u64) {
        self.forget(room);
        self.rings.insert(room.into(), Ring { records: VecDeque::new(), bytes: 0, lost_up_to: last_id });
    }

    fn append(&mut self, room: &str, record: Record) {
        let Some(ring) = self.rings.get_mut(room) else { return };
        self.bytes += record.frame.len();
        ring.bytes += record.frame.len();
        ring.records.push_back(record);
        self.bytes -= ring.shrink(self.messages_max, self.bytes_max);
        self.evict();
    }

    fn page(&self, room: &str, query: &Query) -> Page {
        let Some(ring) = self.rings.get(room) else { return Page::default() };
        let start = query.after.map_or(0, |after| ring.records.partition_point(|record| record.id <= after));
        let end = query.before.map_or(ring.records.len(), |before| ring.records.partition_point(|r| r.id < before));
        let (mut from, mut bytes) = (end.max(start), 0);
        while from > start && end - from < query.count_max {
            bytes += ring.records[from - 1].frame.len() + query.bytes_more;
            if bytes > query.bytes_max {
                break;
            }
            from -= 1;
        }
        Page {
            records: ring.records.range(from..end.max(start)).cloned().collect(),
            left_out: from > start,
            lost: query.after.is_some_and(|after| after < ring.lost_up_to),
        }
    }

    fn forget(&mut self, room: &str) {
        if let Some(ring) = self.rings.remove(room) {
            self.bytes -= ring.bytes;
        }
    }

    fn set_limits(&mut self, limits: &Limits) {
        let bound = |limit| Limits::bound(limit).map_or(usize::MAX, |limit| limit as usize);
        self.messages_max = bound(limits.history_messages_max);
        self.bytes_max = bound(limits.history_bytes_max);
        self.total_bytes_max = bound(limits.history_total_bytes_max);
        for ring in self.rings.values_mut() {
            self.bytes -= ring.shrink(self.messages_max, self.bytes_max);
        }
        self.evict();
    }
}

impl Ring {
    /// Drops the oldest messages until the bounds hold; gives the bytes that were dropped.
    fn shrink(&mut self, messages_max: usize, bytes_max: usize) -> usize {
        let mut bytes = 0;
        while self.records.len() > messages_max || self.bytes > bytes_max {
            bytes += self.drop_oldest();
        }
        bytes
    }

    /// Drops the oldest message and gives its bytes.
    fn drop_oldest(&mut self) -> usize {
        let Some(oldest) = self.records.pop_front() else { return 0 };
        self.lost_up_to = oldest.id;
        self.bytes -= oldest.frame.len();
        oldest.frame.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tighter_bounds_hold_at_once_and_the_count_stays_true() {
        let mut limits = Limits::default();
        let mut history = InMemory::new(&limits);
        let everything = Query { after: None, before: None, count_max: 100, bytes_max: 1 << 20, bytes_more: 0 };
        for (n, room) in ["a", "b"].into_iter().enumerate() {
            history.begin(room, 0);
            for id in 1..=10 {
                history.append(room, Record { id: 10 * n as u64 + id, frame: [b'x'; 10].into(), attributes_end: 0 });
            }
        }
        assert_eq!(history.last_id(), None, "nothing is known of earlier runs");
        let kept = |history: &InMemory| ["a", "b"].map(|room| history.page(room, &everything).records.len());
        assert_eq!((kept(&history), history.bytes()), ([10, 10], 200));
        limits.history_messages_max = 6;
        history.set_limits(&limits);
        assert_eq!((kept(&history), history.bytes()), ([6, 6], 120));
        limits.history_total_bytes_max = 81;
        history.set_limits(&limits);
        assert_eq!((kept(&history), history.bytes()), ([2, 6], 80));
        limits.history_bytes_max = 30;
        history.set_limits(&limits);
        assert_eq!((kept(&history), history.bytes()), ([2, 3], 50));
    }

    const ALL: Query = Query { after: None, before: None, count_max: usize::MAX, bytes_max: usize::MAX, bytes_more: 0 };

    fn history(messages: u64, bytes: u64, total_bytes: u64) -> InMemory {
        let limits = Limits {
            history_messages_max: messages,
            history_bytes_max: bytes,
            history_total_bytes_max: total_bytes,
            ..Limits::default()
        };
        let mut history = InMemory::new(&limits);
        history.begin("a", 9);
        history.begin("b", 9);
        history
    }

    fn append(history: &mut InMemory, room: &str, id: u64, bytes: usize) {
        history.append(room, Record { id, frame: vec![b'x'; bytes].into(), attributes_end: 0 });
    }

    fn ids(page: &Page) -> Vec<u64> {
        page.records.iter().map(|record| record.id).collect()
    }

    #[test]
    fn a_room_keeps_its_last_messages_within_both_bounds() {
        let mut kept = history(3, 100, 0);
        (10..15).for_each(|id| append(&mut kept, "a", id, 20));
        assert_eq!(ids(&kept.page("a", &ALL)), [12, 13, 14]);
        append(&mut kept, "a", 15, 60);
        assert_eq!((ids(&kept.page("a", &ALL)), kept.bytes()), (vec![13, 14, 15], 100));
        append(&mut kept, "a", 16, 100);
        assert_eq!(ids(&kept.page("a", &ALL)), [16]);
        append(&mut kept, "a", 17, 101);
        assert_eq!((ids(&kept.page("a", &ALL)), kept.bytes()), (vec![], 0));
        append(&mut kept, "elsewhere", 18, 1);
        assert_eq!(kept.bytes(), 0, "a room that was not begun keeps nothing");
    }

    #[test]
    fn of_all_rooms_the_oldest_messages_go_first() {
        let mut kept = history(0, 0, 100);
        for (id, room) in [(10, "a"), (11, "b"), (12, "b"), (13, "a"), (14, "a")] {
            append(&mut kept, room, id, 20);
        }
        assert_eq!(kept.bytes(), 100, "equal is allowed");
        append(&mut kept, "b", 15, 1);
        assert_eq!((ids(&kept.page("a", &ALL)), ids(&kept.page("b", &ALL))), (vec![13, 14], vec![11, 12, 15]));
        append(&mut kept, "b", 16, 45);
        assert_eq!((ids(&kept.page("a", &ALL)), ids(&kept.page("b", &ALL))), (vec![13, 14], vec![15, 16]));
        kept.forget("a");
        assert_eq!((kept.bytes(), ids(&kept.page("a", &ALL))), (46, vec![]));
        kept.begin("b", 16);
        assert_eq!(kept.bytes(), 0, "a room that begins anew has no past");
    }

    #[test]
    fn pages_are_the_newest_that_match_and_fit() {
        let mut kept = history(5, 0, 0);
        (10..16).for_each(|id| append(&mut kept, "a", id, 20));
        let page = |query: Query| {
            let page = kept.page("a", &query);
            (ids(&page), page.left_out, page.lost)
        };
        assert_eq!(page(ALL), (vec![11, 12, 13, 14, 15], false, false));
        assert_eq!(page(Query { count_max: 2, ..ALL }), (vec![14, 15], true, false));
        assert_eq!(page(Query { count_max: 0, ..ALL }), (vec![], true, false));
        assert_eq!(page(Query { bytes_max: 60, ..ALL }), (vec![13, 14, 15], true, false));
        assert_eq!(page(Query { bytes_max: 60, bytes_more: 1, ..ALL }), (vec![14, 15], true, false));
        assert_eq!(page(Query { before: Some(13), ..ALL }), (vec![11, 12], false, false));
        assert_eq!(page(Query { before: Some(13), count_max: 1, ..ALL }), (vec![12], true, false));
        assert_eq!(page(Query { before: Some(11), ..ALL }), (vec![], false, false));
        assert_eq!(page(Query { after: Some(13), ..ALL }), (vec![14, 15], false, false));
        assert_eq!(page(Query { after: Some(10), ..ALL }), (vec![11, 12, 13, 14, 15], false, false));
        assert_eq!(page(Query { after: Some(9), ..ALL }), (vec![11, 12, 13, 14, 15], false, true));
        assert_eq!(page(Query { after: Some(99), ..ALL }), (vec![], false, false));
        assert_eq!(page(Query { after: Some(14), before: Some(12), ..ALL }), (vec![], false, false));
    }

    #[test]
    fn what_a_room_may_have_lost_before_it_began_is_lost() {
        let mut kept = history(0, 0, 0);
        append(&mut kept, "a", 12, 1);
        assert!(kept.page("a", &Query { after: Some(8), ..ALL }).lost);
        assert!(!kept.page("a", &Query { after: Some(9), ..ALL }).lost);
        assert!(kept.page("b", &Query { after: Some(8), ..ALL }).lost);
    }
}
