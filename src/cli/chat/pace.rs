//! Defines [`Pace`], how fast a script's lines are sent: below what a server admits by default.
//!
//! Knows: arithmetic of time. Must not know: a clock.

use std::time::{Duration, Instant};

/// Lines a second, in the long run. The server's default is 50, and answers to its pings count too.
const PER_SECOND: f64 = 40.0;

/// Lines that may be sent at once, after a rest. The server's default is 200.
const BURST: f64 = 150.0;

/// Bytes that count as one line more, as the server counts them.
const KIB: usize = 1_024;

/// A store that fills with time and empties with each line.
pub(super) struct Pace {
    /// What was in the store at `since`; less than nothing after a long line.
    stored: f64,
    since: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Pace {
        Pace { stored: BURST, since: now }
    }

    /// A line of that many bytes is sent.
    pub(super) fn spend(&mut self, bytes: usize, now: Instant) {
        self.stored = self.stored_at(now) - 1.0 - (bytes / KIB) as f64;
        self.since = now;
    }

    /// When the next line may be sent; `None` is now.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        let missing = 1.0 - self.stored_at(now);
        (missing > 0.0).then(|| now + Duration::from_secs_f64(missing / PER_SECOND))
    }

    fn stored_at(&self, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(self.since).as_secs_f64() * PER_SECOND;
        (self.stored + gained).min(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_time_counts() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for n in 0..150 {
            assert_eq!(pace.wait_until(start), None, "line {n}");
            pace.spend(10, start);
        }
        let next = pace.wait_until(start).expect("the store is empty");
        assert_eq!((next - start).as_millis(), 25);
        assert_eq!(pace.wait_until(next + Duration::from_millis(1)), None);
        pace.spend(3 * KIB, next);
        assert_eq!((pace.wait_until(next).unwrap() - next).as_millis(), 100);
        // An hour's rest saves up no more than a burst.
        let later = next + Duration::from_secs(3_600);
        for _ in 0..150 {
            pace.spend(10, later);
        }
        assert!(pace.wait_until(later).is_some());
    }
}
