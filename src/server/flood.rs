//! Defines [`Bucket`], which counts how fast frames come, and [`Flooding`], which counts refusals.
//!
//! Knows: the rate limits. Must not know: what happens to a frame that comes too fast.

use std::time::{Duration, Instant};

use crate::wire::Limits;

/// Refusals within [`REFUSALS_WINDOW`] after which a connection is closed.
const REFUSALS_MAX: u32 = 100;

/// See [`REFUSALS_MAX`].
const REFUSALS_WINDOW: Duration = Duration::from_secs(10);

/// A token bucket: it fills with `frames_per_second_max`, up to `frames_burst_max`, and each frame takes from it.
pub(super) struct Bucket {
    /// Tokens a second; `None` without a limit.
    rate: Option<f64>,
    size: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(limits: &Limits, now: Instant) -> Bucket {
        let rate = Limits::bound(limits.frames_per_second_max).map(|rate| rate as f64);
        let size = limits.frames_burst_max.max(limits.frames_per_second_max) as f64;
        Bucket { rate, size, tokens: size, filled: now }
    }

    /// What a frame counts: one, and one more for each started KiB beyond the first.
    pub(super) fn cost(bytes: usize) -> u32 {
        1 + (bytes.saturating_sub(1) / 1024) as u32
    }

    /// Takes `cost` tokens, or says how long it takes until they are there. A cost above the bucket's size takes all.
    pub(super) fn take(&mut self, cost: u32, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * rate).min(self.size);
        let cost = f64::from(cost).min(self.size);
        if self.tokens >= cost {
            self.tokens -= cost;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((cost - self.tokens) / rate))
        }
    }
}

/// How fast one connection's frames come.
pub(super) struct Flooding {
    pub(super) bucket: Bucket,
    refusals: u32,
    since: Instant,
}

impl Flooding {
    pub(super) fn new(limits: &Limits) -> Flooding {
        let now = Instant::now();
        Flooding { bucket: Bucket::new(limits, now), refusals: 0, since: now }
    }

    /// Counts a refusal. `true` when there were too many in a short time.
    pub(super) fn is_over(&mut self) -> bool {
        if self.since.elapsed() > REFUSALS_WINDOW {
            self.refusals = 0;
            self.since = Instant::now();
        }
        self.refusals += 1;
        self.refusals > REFUSALS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: u64, burst: u64, now: Instant) -> Bucket {
        let limits = Limits { frames_per_second_max: rate, frames_burst_max: burst, ..Limits::default() };
        Bucket::new(&limits, now)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut bucket = bucket(50, 200, start);
        assert_eq!((0..1_000).filter(|_| bucket.take(1, start).is_ok()).count(), 200);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| bucket.take(1, later).is_ok()).count(), 50);
        let much_later = start + Duration::from_secs(1_000);
        assert_eq!((0..1_000).filter(|_| bucket.take(1, much_later).is_ok()).count(), 200);
    }

    #[test]
    fn long_frames_count_by_the_started_kib() {
        assert_eq!([0, 1, 1024, 1025, 2048, 2049, 65_536].map(Bucket::cost), [1, 1, 1, 2, 2, 3, 64]);
    }

    #[test]
    fn a_frame_that_can_never_fit_takes_all() {
        let start = Instant::now();
        let mut bucket = bucket(1, 1, start);
        assert_eq!(bucket.take(64, start), Ok(()));
        assert_eq!(bucket.take(1, start), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(1, start + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn zero_is_no_limit() {
        let start = Instant::now();
        let mut bucket = bucket(0, 1, start);
        assert!((0..10_000).all(|_| bucket.take(64, start).is_ok()));
    }
}
