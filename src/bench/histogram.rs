//! Defines [`Histogram`]: how long things took, in a bounded number of counters.
//!
//! Knows: durations, ranks. Must not know: what took so long.

use std::time::Duration;

use super::report::Report;

/// Counters for each doubling of the duration: a value is known to 1.6 %.
const STEPS: u64 = 64;

/// Durations, counted.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// How many durations fell into each step.
    counters: Vec<u64>,
    total: u64,
    longest: u64,
}

/// The names of what is told of a histogram: p50, p99, p99.9, longest; first for JSON, then for people.
pub(super) type Names = [(&'static str, &'static str); 4];

impl Histogram {
    /// Nothing counted yet.
    pub(super) fn new() -> Histogram {
        Histogram { counters: vec![0; (STEPS * 64) as usize], total: 0, longest: 0 }
    }

    /// Counts a duration.
    pub(super) fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counters[step(nanos)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanos);
    }

    /// How many were counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The duration, in milliseconds, within which the given share of them (from 0 to 1) was done.
    pub(super) fn within_ms(&self, share: f64) -> f64 {
        if self.total == 0 {
            return f64::NAN;
        }
        let rank = ((share * self.total as f64).ceil() as u64).clamp(1, self.total);
        let mut counted = 0;
        for (step, counter) in self.counters.iter().enumerate() {
            counted += counter;
            if counted >= rank {
                return upper(step as u64).min(self.longest) as f64 / 1e6;
            }
        }
        self.longest as f64 / 1e6
    }

    /// Tells the usual percentiles.
    pub(super) fn tell(&self, names: &Names, report: &mut Report) {
        for ((name, label), share) in names.iter().zip([0.5, 0.99, 0.999, 1.0]) {
            report.number(name, label, self.within_ms(share), 3);
        }
    }
}

/// The counter for a duration: exact below [`STEPS`], then 64 of them for each doubling.
fn step(nanos: u64) -> usize {
    let doublings = (nanos / STEPS).checked_ilog2().map_or(0, |log| log + 1);
    let within = if doublings == 0 { nanos } else { (nanos >> (doublings - 1)) - STEPS };
    (u64::from(doublings) * STEPS + within) as usize
}

/// The longest duration that falls into a step.
fn upper(step: u64) -> u64 {
    match (step / STEPS, step % STEPS) {
        (0, within) => within,
        (doublings, within) => ((u128::from(STEPS + within) + 1) << (doublings - 1)).saturating_sub(1) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_in_order_and_hold_what_falls_into_them() {
        let mut last = 0;
        for nanos in (0..200).chain((8..64).flat_map(|log| [(1 << log) - 1, 1 << log, (1 << log) + 1])) {
            let at = step(nanos);
            assert!(at >= last && at < (STEPS * 64) as usize, "{nanos}");
            assert!(upper(at as u64) >= nanos, "{nanos}");
            assert!(upper(at as u64) as f64 <= nanos as f64 * (1.0 + 1.0 / STEPS as f64) + 1.0, "{nanos}");
            last = at;
        }
        assert!(step(u64::MAX) < (STEPS * 64) as usize);
    }

    #[test]
    fn percentiles_are_what_they_say() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros));
        }
        assert_eq!(histogram.total(), 1000);
        for (share, ms) in [(0.5, 0.5), (0.99, 0.99), (0.999, 0.999), (1.0, 1.0)] {
            let got = histogram.within_ms(share);
            assert!((ms..ms * 1.02).contains(&got), "{share}: {got}");
        }
        assert!(Histogram::new().within_ms(0.5).is_nan());
    }
}
