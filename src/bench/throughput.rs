//! Defines the workload `throughput`: how many messages a second can be delivered.
//!
//! A closed loop: at most so many messages are in flight, and a message is in flight until it has arrived everywhere. So
//! no server can be ahead of its receivers, and none can gain by letting some of them wait.
//!
//! Knows: the loop and what it counts. Must not know: what a message looks like.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::clock::Stopwatch;
use super::fleet::{Fleet, Nothing, Watch};
use super::patience::{PATIENCE, Patience};
use super::plan::Plan;
use super::progress::Progress;
use super::report::Report;
use crate::exit_code::Failure;

/// Runs the workload.
pub(super) fn run(plan: &Plan) -> Result<Report, Failure> {
    let mut progress = Progress::new();
    let mut fleet = plan.fleet()?;
    let listeners = plan.enter(&mut fleet, &mut progress)?;
    let mut pump = Pump::new(plan, listeners.clone());

    progress.say("warming up");
    pump.run(&mut fleet, plan.warm_up, &mut progress, &mut Nothing)?;
    let watch = Stopwatch::new(plan.pid);
    let (sent, heard, reads, bytes) = (fleet.sent(), fleet.heard(0..fleet.len()), fleet.reads, fleet.bytes);
    pump.run(&mut fleet, plan.seconds, &mut progress, &mut Nothing)?;
    let lap = watch.lap();
    let (sent, heard) = (fleet.sent() - sent, fleet.heard(0..fleet.len()) - heard);
    let (reads, bytes) = (fleet.reads - reads, fleet.bytes - bytes);
    drain(&mut fleet, &listeners, &mut Nothing)?;
    progress.done();

    let mut report = plan.report("throughput");
    report.number("seconds", "seconds", lap.seconds, 2);
    report.number("deliveries_per_second", "deliveries a second", heard as f64 / lap.seconds, 0);
    report.number("messages_per_second", "messages a second", sent as f64 / lap.seconds, 0);
    report.number("megabytes_per_second", "megabytes a second", bytes as f64 / 1e6 / lap.seconds, 1);
    report.number("deliveries_per_read", "deliveries that arrive in one read", heard as f64 / reads as f64, 1);
    lap.tell(&mut report);
    Ok(report)
}

/// Waits until everything that was sent has arrived everywhere.
pub(super) fn drain(fleet: &mut Fleet<'_>, listeners: &Range<usize>, watch: &mut impl Watch) -> Result<(), Failure> {
    let mut patience = Patience::new();
    while fleet.in_flight(listeners.clone()) > 0 {
        fleet.turn(Duration::from_millis(100), watch)?;
        if patience.is_over(fleet.heard(listeners.clone()), Instant::now()) {
            return Err(missing(fleet, listeners));
        }
    }
    Ok(())
}

/// What to say when messages do not arrive.
pub(super) fn missing(fleet: &Fleet<'_>, listeners: &Range<usize>) -> Failure {
    let (client, heard) = fleet.last(listeners.clone()).unwrap_or_default();
    let hint = if fleet.is_sender(client) { ". If senders do not get their own messages: --no-echo" } else { "" };
    Failure::run_time(format!(
        "nothing more arrived for {} seconds, and connection {} has {heard} of {} messages{hint}",
        PATIENCE.as_secs(),
        client + 1,
        fleet.sent(),
    ))
}

/// Keeps messages in flight.
pub(super) struct Pump {
    /// How many may be in flight.
    window: u64,
    /// How many senders there are, and whose turn it is.
    senders: usize,
    turn: usize,
    /// Messages a second at most, of each sender, and when the next one is due.
    pace: Option<Pace>,
    /// Where messages must arrive.
    listeners: Range<usize>,
    /// How long nothing has arrived.
    patience: Patience,
}

/// Holds senders back.
struct Pace {
    /// Time between two messages of all senders together.
    interval: Duration,
    due: Instant,
}

impl Pump {
    /// A pump of the plan's messages to `listeners`.
    pub(super) fn new(plan: &Plan, listeners: Range<usize>) -> Pump {
        let pace = plan.rate.map(|rate| Pace {
            interval: Duration::from_secs_f64(1.0 / (rate * plan.senders as f64)),
            due: Instant::now(),
        });
        Pump { window: plan.window, senders: plan.senders, turn: 0, pace, listeners, patience: Patience::new() }
    }

    /// From here on messages must arrive at `listeners` only.
    pub(super) fn set_listeners(&mut self, listeners: Range<usize>) {
        self.listeners = listeners;
    }

    /// Pumps for a while.
    pub(super) fn run(
        &mut self,
        fleet: &mut Fleet<'_>,
        time: Duration,
        progress: &mut Progress,
        watch: &mut impl Watch,
    ) -> Result<(), Failure> {
        let end = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            self.send(fleet, now)?;
            fleet.turn(self.nap(now), watch)?;
            if progress.is_due(now) {
                let heard = fleet.heard(self.listeners.clone());
                progress.count("messages delivered", heard, now);
                if fleet.in_flight(self.listeners.clone()) > 0 && self.patience.is_over(heard, now) {
                    return Err(missing(fleet, &self.listeners));
                }
            }
        }
    }

    /// Sends what the window and the pace have room for.
    fn send(&mut self, fleet: &mut Fleet<'_>, now: Instant) -> Result<(), Failure> {
        let room = self.window.saturating_sub(fleet.in_flight(self.listeners.clone()));
        let mut said = 0;
        while said < room {
            if let Some(pace) = &mut self.pace {
                if pace.due > now {
                    break;
                }
                pace.due = (pace.due + pace.interval).max(now - 8 * pace.interval);
            }
            fleet.say((self.turn + said as usize) % self.senders);
            said += 1;
        }
        for n in 0..self.senders.min(said as usize) {
            fleet.flush((self.turn + n) % self.senders)?;
        }
        self.turn = (self.turn + said as usize) % self.senders;
        Ok(())
    }

    /// How long nothing needs to be done unless something arrives.
    fn nap(&self, now: Instant) -> Duration {
        let longest = Duration::from_millis(100);
        self.pace.as_ref().map_or(longest, |pace| pace.due.saturating_duration_since(now).min(longest))
    }
}
