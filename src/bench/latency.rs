//! Defines the workload `latency`: how long messages take at a fixed rate.
//!
//! An open loop: a message leaves when it is due, whether or not earlier ones have arrived, so a server that stops for a
//! moment has every message counted that waited. Time begins when a message is handed to the system, and ends
//! when a receiver has read it.
//!
//! Knows: the rate, what is counted. Must not know: what a message looks like.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::clock::Stopwatch;
use super::fleet::{Fleet, Watch};
use super::histogram::{Histogram, Names};
use super::patience::Patience;
use super::payload::Mark;
use super::plan::Plan;
use super::progress::Progress;
use super::report::Report;
use super::throughput::{drain, missing};
use crate::exit_code::Failure;

/// What is told of the time to each receiver.
const TO_EACH: Names =
    [("p50_ms", "to each receiver, ms: p50"), ("p99_ms", "p99"), ("p999_ms", "p99.9"), ("max_ms", "longest")];

/// What is told of the time to the last receiver of each message.
const TO_LAST: Names = [
    ("last_p50_ms", "to the last receiver, ms: p50"),
    ("last_p99_ms", "p99"),
    ("last_p999_ms", "p99.9"),
    ("last_max_ms", "longest"),
];

/// Runs the workload.
pub(super) fn run(plan: &Plan) -> Result<Report, Failure> {
    let rate = plan.rate.unwrap_or(50.0);
    let mut progress = Progress::new();
    let mut fleet = plan.fleet()?;
    let listeners = plan.enter(&mut fleet, &mut progress)?;
    let timer = fleet.timer(Duration::from_secs_f64(1.0 / rate))?;
    let mut waiting = Outstanding::new(plan);

    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.seconds;
    let mut watch = Stopwatch::new(plan.pid);
    let mut patience = Patience::new();
    while Instant::now() < end {
        fleet.turn(Duration::from_millis(100), &mut waiting)?;
        for _ in 0..timer.expired() {
            waiting.say(&mut fleet, begin)?;
        }
        let now = Instant::now();
        if progress.is_due(now) {
            if now < begin {
                watch = Stopwatch::new(plan.pid);
            }
            if waiting.each.total() > 0 {
                progress.say(&format!("{} messages, p50 {:.3} ms", fleet.sent(), waiting.each.within_ms(0.5)));
            } else {
                progress.say("warming up");
            }
            if !waiting.messages.is_empty() && patience.is_over(fleet.heard(listeners.clone()), now) {
                return Err(missing(&fleet, &listeners));
            }
        }
    }
    let lap = watch.lap();
    drain(&mut fleet, &listeners, &mut waiting)?;
    progress.done();

    let mut report = plan.report("latency");
    report.number("rate_per_second", "messages a second", rate, 2);
    report.number("seconds", "seconds", plan.seconds.as_secs_f64(), 2);
    report.count("messages", "messages that count", waiting.last.total());
    waiting.each.tell(&TO_EACH, &mut report);
    waiting.last.tell(&TO_LAST, &mut report);
    lap.tell(&mut report);
    Ok(report)
}

/// Messages that are on their way.
struct Outstanding {
    messages: VecDeque<Timed>,
    /// How many messages have arrived everywhere and are no longer among them.
    done: u64,
    senders: usize,
    /// How often each message arrives.
    copies: usize,
    each: Histogram,
    last: Histogram,
}

/// A message that is on its way.
struct Timed {
    sent: Instant,
    /// Where it has still to arrive.
    left: usize,
    /// Whether it was sent after the warm-up.
    counts: bool,
}

impl Outstanding {
    fn new(plan: &Plan) -> Outstanding {
        Outstanding {
            messages: VecDeque::new(),
            done: 0,
            senders: plan.senders,
            copies: plan.copies(),
            each: Histogram::new(),
            last: Histogram::new(),
        }
    }

    /// Has the next sender say its next message, now.
    fn say(&mut self, fleet: &mut Fleet<'_>, begin: Instant) -> Result<(), Failure> {
        let sender = (fleet.sent() % self.senders as u64) as usize;
        fleet.say(sender);
        let sent = Instant::now();
        self.messages.push_back(Timed { sent, left: self.copies, counts: sent >= begin });
        fleet.flush(sender)
    }
}

impl Watch for Outstanding {
    fn delivered(&mut self, _link: usize, mark: Mark) {
        // Senders take turns, so their numbers give the order in which all messages were sent.
        let index = mark.number * self.senders as u64 + mark.sender as u64 - self.done;
        let Some(message) = self.messages.get_mut(index as usize) else { return };
        let taken = message.sent.elapsed();
        message.left = message.left.saturating_sub(1);
        if message.counts {
            self.each.add(taken);
            if message.left == 0 {
                self.last.add(taken);
            }
        }
        while self.messages.front().is_some_and(|message| message.left == 0) {
            self.messages.pop_front();
            self.done += 1;
        }
    }
}
