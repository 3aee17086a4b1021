//! Defines [`Outboxes`], the bounds of what waits for clients, and [`Waiting`], what waits for one of them, counted in
//! both bounds.
//!
//! Bytes that several clients wait for are kept, and counted in the bound of all, once. In the bound of each client
//! they count whole.
//!
//! Knows: bytes, how many there are. Must not know: who sends them, what happens to who has too many.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::wire::Limits;

/// Bytes that a chunk counts beside its own: its place in the queue, which may have room for twice as many, what counts
/// its users, and what the allocator adds. Without it the shortest frames would take twenty times what they count.
pub(super) const CHUNK_BYTES: usize = 160;

/// The part of the bound that is made free when it is exceeded: so that it is not exceeded again at once, and looking
/// who has most is paid for by what it frees.
const SLACK: usize = 16;

/// The bounds of what waits for clients, and how much there is.
pub(super) struct Outboxes {
    /// Bytes that may wait for one client.
    each_max: AtomicUsize,
    /// Bytes that may wait for all together.
    all_max: AtomicUsize,
    /// Bytes that wait for all together.
    used: AtomicUsize,
}

impl Outboxes {
    pub(super) fn new(limits: &Limits) -> Arc<Outboxes> {
        let outboxes =
            Outboxes { each_max: AtomicUsize::new(0), all_max: AtomicUsize::new(0), used: AtomicUsize::new(0) };
        outboxes.set_limits(limits);
        Arc::new(outboxes)
    }

    /// Sets the bounds, for what waits already, too.
    pub(super) fn set_limits(&self, limits: &Limits) {
        let bound = |max: u64| usize::try_from(max).unwrap_or(usize::MAX);
        self.each_max.store(bound(limits.outbox_bytes_max), Ordering::Relaxed);
        let all_max = Limits::bound(limits.outboxes_bytes_max).map_or(usize::MAX, bound);
        self.all_max.store(all_max, Ordering::Relaxed);
    }

    /// Bytes that may wait for one client.
    pub(super) fn each_max(&self) -> usize {
        self.each_max.load(Ordering::Relaxed)
    }

    /// Whether more waits than may.
    pub(super) fn is_over(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.all_max.load(Ordering::Relaxed)
    }

    /// Whether still more waits than is to be left once there was too much.
    pub(super) fn is_to_shrink(&self) -> bool {
        let all_max = self.all_max.load(Ordering::Relaxed);
        self.used.load(Ordering::Relaxed) > all_max - all_max / SLACK
    }
}

/// Bytes that wait, for as many clients as have it.
#[derive(Clone)]
pub(super) struct Kept {
    bytes: Arc<[u8]>,
    /// Held by every queue that these bytes are in, and not by who is sending them.
    _lease: Arc<Lease>,
}

/// The place of some bytes in the bound of all; given back when dropped.
struct Lease {
    count: usize,
    outboxes: Arc<Outboxes>,
}

impl Kept {
    pub(super) fn new(bytes: &[u8], outboxes: &Arc<Outboxes>) -> Kept {
        outboxes.used.fetch_add(bytes.len(), Ordering::Relaxed);
        Kept { bytes: Arc::from(bytes), _lease: Arc::new(Lease { count: bytes.len(), outboxes: Arc::clone(outboxes) }) }
    }

    /// What is kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.outboxes.used.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// What waits for one client, oldest first.
pub(super) struct Waiting {
    chunks: VecDeque<Chunk>,
    /// What that counts in the client's own bound.
    count: usize,
    outboxes: Arc<Outboxes>,
}

/// A part of what waits.
struct Chunk {
    kept: Kept,
    range: Range<usize>,
}

impl Waiting {
    pub(super) fn new(outboxes: Arc<Outboxes>) -> Waiting {
        Waiting { chunks: VecDeque::new(), count: 0, outboxes }
    }

    /// What counts what is kept here.
    pub(super) fn outboxes(&self) -> &Arc<Outboxes> {
        &self.outboxes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether it is one chunk.
    pub(super) fn is_one(&self) -> bool {
        self.chunks.len() == 1
    }

    /// What it counts in the client's own bound.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether a chunk of `bytes` bytes may wait, too.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.count + bytes + CHUNK_BYTES <= self.outboxes.each_max()
    }

    /// Adds a part of `kept` to the end.
    pub(super) fn push(&mut self, kept: Kept, range: Range<usize>) {
        self.outboxes.used.fetch_add(CHUNK_BYTES, Ordering::Relaxed);
        self.count += range.len() + CHUNK_BYTES;
        self.chunks.push_back(Chunk { kept, range });
    }

    /// Adds bytes of this client alone to the end.
    pub(super) fn push_own(&mut self, bytes: &[u8]) {
        let kept = Kept::new(bytes, &self.outboxes);
        self.push(kept, 0..bytes.len());
    }

    /// What is to be sent next.
    pub(super) fn front(&self) -> Option<(Arc<[u8]>, Range<usize>)> {
        self.chunks.front().map(|chunk| (Arc::clone(&chunk.kept.bytes), chunk.range.clone()))
    }

    /// Takes `sent` bytes off the front.
    pub(super) fn sent(&mut self, sent: usize) {
        let Some(front) = self.chunks.front_mut() else { return };
        front.range.start += sent;
        self.count = self.count.saturating_sub(sent);
        if front.range.is_empty() {
            self.chunks.pop_front();
            self.count = self.count.saturating_sub(CHUNK_BYTES);
            self.outboxes.used.fetch_sub(CHUNK_BYTES, Ordering::Relaxed);
        }
    }

    /// Drops all of it.
    pub(super) fn clear(&mut self) {
        self.outboxes.used.fetch_sub(self.chunks.len() * CHUNK_BYTES, Ordering::Relaxed);
        self.chunks = VecDeque::new();
        self.count = 0;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outboxes(each: u64, all: u64) -> Arc<Outboxes> {
        Outboxes::new(&Limits { outbox_bytes_max: each, outboxes_bytes_max: all, ..Limits::default() })
    }

    fn used(outboxes: &Outboxes) -> usize {
        outboxes.used.load(Ordering::Relaxed)
    }

    #[test]
    fn what_several_wait_for_counts_once_for_all_and_whole_for_each() {
        let outboxes = outboxes(10_000, 10_000);
        let kept = Kept::new(&[7; 1_000], &outboxes);
        let [mut one, mut other] = [(); 2].map(|()| Waiting::new(Arc::clone(&outboxes)));
        one.push(kept.clone(), 0..1_000);
        other.push(kept, 400..1_000);
        assert_eq!((one.count(), other.count()), (1_000 + CHUNK_BYTES, 600 + CHUNK_BYTES));
        assert_eq!(used(&outboxes), 1_000 + 2 * CHUNK_BYTES);
        one.sent(999);
        assert_eq!((one.count(), one.front().map(|front| front.1)), (1 + CHUNK_BYTES, Some(999..1_000)));
        one.sent(1);
        assert!(one.is_empty() && one.count() == 0);
        assert_eq!(used(&outboxes), 1_000 + CHUNK_BYTES, "the other still waits for it");
        let sending = other.front();
        other.clear();
        assert_eq!((other.count(), used(&outboxes)), (0, 0), "who is sending it does not wait for it");
        drop(sending);
        assert_eq!(used(&outboxes), 0);
    }

    #[test]
    fn a_chunk_counts_more_than_its_bytes() {
        let outboxes = outboxes(1_000, 1_600);
        let mut waiting = Waiting::new(Arc::clone(&outboxes));
        assert!(waiting.has_room(1_000 - CHUNK_BYTES) && !waiting.has_room(1_001 - CHUNK_BYTES));
        (0..5).for_each(|_| waiting.push_own(b"x"));
        assert_eq!(waiting.count(), 5 * (1 + CHUNK_BYTES));
        assert!(!waiting.has_room(100));
        assert_eq!(used(&outboxes), waiting.count());
        assert!(!outboxes.is_over() && !outboxes.is_to_shrink());
        waiting.push_own(&[0; 1_500 - 6 * CHUNK_BYTES - 5]);
        assert_eq!((used(&outboxes), outboxes.is_over(), outboxes.is_to_shrink()), (1_500, false, false));
        let one = Kept::new(b"x", &outboxes);
        assert_eq!((used(&outboxes), outboxes.is_over(), outboxes.is_to_shrink()), (1_501, false, true));
        drop(one);
        waiting.push_own(&[]);
        assert!(outboxes.is_over());
        drop(waiting);
        assert_eq!(used(&outboxes), 0);
    }

    #[test]
    fn bounds_count_at_once_and_zero_is_none_for_all() {
        let outboxes = outboxes(1_000, 1);
        let mut waiting = Waiting::new(Arc::clone(&outboxes));
        waiting.push_own(&[0; 500]);
        assert!(outboxes.is_over() && !waiting.has_room(500));
        let limits = Limits { outbox_bytes_max: 2_000, outboxes_bytes_max: 0, ..Limits::default() };
        outboxes.set_limits(&limits);
        assert!(!outboxes.is_over() && waiting.has_room(500));
    }
}
