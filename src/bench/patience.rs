//! Defines [`Patience`], so that no run waits forever.
//!
//! Knows: how long is too long. Must not know: what is waited for.

use std::time::{Duration, Instant};

/// How long a run waits for something that must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a run has waited without anything new.
pub(super) struct Patience {
    /// What was last seen.
    seen: u64,
    /// Since when.
    since: Instant,
}

impl Patience {
    /// Patience that begins now.
    pub(super) fn new() -> Patience {
        Patience { seen: 0, since: Instant::now() }
    }

    /// Whether `count` has not changed for too long.
    pub(super) fn is_over(&mut self, count: u64, now: Instant) -> bool {
        if count != self.seen {
            *self = Patience { seen: count, since: now };
        }
        now.duration_since(self.since) > PATIENCE
    }
}
