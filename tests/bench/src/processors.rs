//! Defines [`Processors`]: the server on one, the load generator on another, so that neither takes time from the other.
//!
//! Knows: affinity. Must not know: what is measured.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that we may use.
pub(crate) struct Processors(Vec<usize>);

impl Processors {
    /// Those that this program was started on.
    pub(crate) fn find() -> Processors {
        let allowed = sched_getaffinity(None).unwrap_or_default();
        Processors((0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).collect())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// From here on this thread, and what it starts, is on the server's.
    pub(crate) fn server(&self) {
        self.keep_to(self.0.first());
    }

    /// From here on this thread is on the generator's.
    pub(crate) fn generator(&self) {
        self.keep_to(self.0.last());
    }

    /// From here on this thread, and what it starts, is on any.
    pub(crate) fn all(&self) {
        self.keep_to(&self.0);
    }

    fn keep_to<'a>(&self, processors: impl IntoIterator<Item = &'a usize>) {
        let mut set = CpuSet::new();
        for &processor in processors {
            set.set(processor);
        }
        // A system that refuses leaves everything on all processors; the page tells how many there are.
        let _ = sched_setaffinity(None, &set);
    }
}
