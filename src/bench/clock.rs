//! Defines [`Stopwatch`]: time that passes, and time that the generator and the server work.
//!
//! Knows: clocks, /proc. Must not know: what is measured.

use std::fs;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use super::report::Report;

/// Ticks a second in which Linux counts the work of processes.
const TICKS_PER_SECOND: f64 = 100.0;

/// A measurement that has begun.
pub(super) struct Stopwatch {
    began: Instant,
    /// Seconds that this thread had worked.
    worked: f64,
    /// The server's process, and seconds that it had worked.
    server: Option<(u32, Option<f64>)>,
}

/// What was measured.
pub(super) struct Lap {
    /// Seconds that have passed.
    pub(super) seconds: f64,
    /// How busy this thread was, from 0 to 1: near 1, it may be what held the figures back.
    pub(super) generator: f64,
    /// How many processors the server kept busy; `None` when it is not known which process it is.
    pub(super) server: Option<f64>,
}

impl Stopwatch {
    /// Begins now.
    pub(super) fn new(pid: Option<u32>) -> Stopwatch {
        Stopwatch { began: Instant::now(), worked: worked(), server: pid.map(|pid| (pid, worked_by(pid))) }
    }

    /// What has passed so far.
    pub(super) fn lap(&self) -> Lap {
        let seconds = self.began.elapsed().as_secs_f64();
        let server = self.server.and_then(|(pid, before)| Some((worked_by(pid)? - before?) / seconds));
        Lap { seconds, generator: (worked() - self.worked) / seconds, server }
    }
}

impl Lap {
    /// Says how busy both sides were.
    pub(super) fn tell(&self, report: &mut Report) {
        report.number("generator_busy_percent", "generator busy, %", 100.0 * self.generator, 0);
        if let Some(server) = self.server {
            report.number("server_busy_percent", "server busy, % of one processor", 100.0 * server, 0);
        }
    }
}

/// Seconds that this thread has worked.
fn worked() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds that a process has worked, in all its threads.
fn worked_by(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields after it are numbers.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Resident memory of a process, in KiB.
pub(super) fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
