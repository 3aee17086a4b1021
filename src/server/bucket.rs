//! Defines [`Bucket`], which counts how fast frames come.
//!
//! A frame costs its length before it is read as anything. What it makes the server send is known only when the
//! dispatcher has handled it: that becomes a debt, which is paid before the next frame is admitted.
//!
//! Knows: the rate limits. Must not know: whose frames it counts.

use std::time::{Duration, Instant};

use crate::wire::Limits;

/// Seconds after which any debt is paid: what is beyond that is forgotten, so that nobody waits for ever.
const DEBT_SECONDS_MAX: f64 = 60.0;

/// Seconds for which an address may save up.
const ADDRESS_SECONDS_MAX: f64 = 4.0;

/// A token bucket: it fills with its rate, up to its size, and each frame takes from it. What was sent on account of
/// frames that were admitted may leave it with less than nothing.
pub(super) struct Bucket {
    /// Tokens a second; `None` without a limit.
    rate: Option<f64>,
    size: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// The bucket of one connection.
    pub(super) fn new(limits: &Limits, now: Instant) -> Bucket {
        let rate = Limits::bound(limits.frames_per_second_max).map(|rate| rate as f64);
        let size = limits.frames_burst_max.max(limits.frames_per_second_max) as f64;
        Bucket { rate, size, tokens: size, filled: now }
    }

    /// The bucket that the connections of `addresses` addresses share.
    pub(super) fn shared(limits: &Limits, addresses: u64, now: Instant) -> Bucket {
        let mut bucket = Bucket { rate: None, size: 0.0, tokens: f64::MAX, filled: now };
        bucket.set_shared(limits, addresses);
        bucket
    }

    /// Takes new limits over for a bucket that is shared.
    pub(super) fn set_shared(&mut self, limits: &Limits, addresses: u64) {
        let bounded = Limits::bound(limits.frames_per_second_max).is_some();
        let rate = Limits::bound(limits.frames_per_second_per_address_max).filter(|_| bounded);
        self.rate = rate.map(|rate| rate.saturating_mul(addresses) as f64);
        self.size = self.rate.map_or(0.0, |rate| rate * ADDRESS_SECONDS_MAX);
        self.tokens = self.tokens.min(self.size);
    }

    /// Whether there is a rate at all.
    pub(super) fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// What a frame counts: one, and one more for each started KiB beyond the first.
    pub(super) fn cost(bytes: usize) -> u32 {
        1 + (bytes.saturating_sub(1) / 1024) as u32
    }

    /// Takes `cost` tokens, or says how long it takes until they are there. A cost above the bucket's size takes all.
    pub(super) fn take(&mut self, cost: u32, now: Instant) -> Result<(), Duration> {
        self.look(cost, now)?;
        self.tokens -= f64::from(cost).min(self.size);
        Ok(())
    }

    /// Whether [`take`](Bucket::take) would succeed; if not, how long it takes until it will.
    pub(super) fn look(&mut self, cost: u32, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        self.fill(now);
        let missing = f64::from(cost).min(self.size) - self.tokens;
        if missing <= 0.0 { Ok(()) } else { Err(Duration::from_secs_f64(missing / rate)) }
    }

    /// Takes `cost` tokens whether they are there or not.
    pub(super) fn owe(&mut self, cost: u32) {
        if let Some(rate) = self.rate {
            self.tokens = (self.tokens - f64::from(cost)).max(-rate * DEBT_SECONDS_MAX);
        }
    }

    /// Whether a bucketful is owed, and more.
    pub(super) fn is_overdrawn(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.rate.is_some() && self.tokens <= -self.size
    }

    /// Whether nothing is missing: then it is as good as new.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.rate.is_none() || self.tokens >= self.size
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now.max(self.filled);
        self.tokens = (self.tokens + passed * self.rate.unwrap_or(0.0)).min(self.size);
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
    fn what_is_owed_is_paid_before_the_next_frame_and_not_for_ever() {
        let start = Instant::now();
        let mut bucket = bucket(50, 200, start);
        bucket.owe(300);
        assert_eq!(bucket.take(1, start), Err(Duration::from_secs_f64(101.0 / 50.0)));
        let later = start + Duration::from_secs(3);
        assert_eq!((0..1_000).filter(|_| bucket.take(1, later).is_ok()).count(), 50);
        bucket.owe(u32::MAX);
        assert_eq!(bucket.take(50, later), Err(Duration::from_secs(61)));
        assert_eq!(bucket.take(50, later + Duration::from_secs(61)), Ok(()));
    }

    #[test]
    fn a_shared_bucket_holds_four_seconds_and_follows_its_limits() {
        let start = Instant::now();
        let of = |rate, each| Limits {
            frames_per_second_max: each,
            frames_per_second_per_address_max: rate,
            ..Limits::default()
        };
        let mut bucket = Bucket::shared(&of(10, 50), 2, start);
        assert!(bucket.is_full(start));
        assert_eq!((0..1_000).filter(|_| bucket.take(1, start).is_ok()).count(), 80);
        assert!(!bucket.is_full(start) && !bucket.is_overdrawn(start));
        bucket.owe(80);
        assert!(bucket.is_overdrawn(start) && !bucket.is_overdrawn(start + Duration::from_secs(1)));
        assert!(bucket.is_full(start + Duration::from_secs(8)));
        for unlimited in [of(0, 50), of(10, 0)] {
            bucket.set_shared(&unlimited, 2);
            assert!(bucket.take(9_999, start).is_ok() && bucket.is_full(start) && !bucket.is_overdrawn(start));
        }
        bucket.set_shared(&of(1, 50), 1);
        assert_eq!((0..1_000).filter(|_| bucket.take(1, start + Duration::from_secs(20)).is_ok()).count(), 4);
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
