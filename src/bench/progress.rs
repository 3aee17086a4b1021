//! Defines [`Progress`]: one line on a terminal that says how far a run is. On anything else it says nothing.
//!
//! Knows: the terminal. Must not know: what is measured.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line changes, and how often loops look around.
const INTERVAL: Duration = Duration::from_millis(250);

/// The line.
pub(super) struct Progress {
    shown: bool,
    due: Instant,
    /// What was last counted, and when.
    last: (u64, Instant),
}

impl Progress {
    /// Nothing said yet.
    pub(super) fn new() -> Progress {
        let now = Instant::now();
        Progress { shown: io::stderr().is_terminal(), due: now, last: (0, now) }
    }

    /// Whether it is time to look around; true at most every quarter of a second.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + INTERVAL;
        true
    }

    /// Says what is being done.
    pub(super) fn say(&self, text: &str) {
        if self.shown {
            // Nobody misses the line when it cannot be written.
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
        }
    }

    /// Says how fast `what` are counted.
    pub(super) fn count(&mut self, what: &str, count: u64, now: Instant) {
        let seconds = now.duration_since(self.last.1).as_secs_f64();
        if seconds > 0.0 {
            self.say(&format!("{:.0} {what} a second", count.saturating_sub(self.last.0) as f64 / seconds));
        }
        self.last = (count, now);
    }

    /// Takes the line away.
    pub(super) fn done(&self) {
        self.say("");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}
