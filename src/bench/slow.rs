//! Defines the workload `slow`: what receivers that stop reading do to the others and to the server.
//!
//! First all read, for a third of the time; then some stop. The rest should not notice, the server should not grow without bound, and should close
//! those that stopped. What these had got until then must be in order as well.
//!
//! Knows: who stops when, what is compared. Must not know: what a message looks like.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::clock::{Stopwatch, resident_kib};
use super::fleet::{Fleet, Watch};
use super::patience::Patience;
use super::plan::Plan;
use super::progress::Progress;
use super::report::Report;
use super::throughput::{Pump, drain};
use crate::exit_code::Failure;

/// How often the server's memory is looked at.
const SAMPLE: Duration = Duration::from_millis(100);

/// Runs the workload.
pub(super) fn run(plan: &Plan) -> Result<Report, Failure> {
    let mut progress = Progress::new();
    let mut fleet = plan.fleet()?;
    let all = plan.enter(&mut fleet, &mut progress)?;
    let (rest, stalled) = (all.start..all.end - plan.stalled, all.end - plan.stalled..all.end);
    let mut closed = Closed { stalled: stalled.clone(), count: 0 };
    let mut pump = Pump::new(plan, all);
    pump.run(&mut fleet, plan.warm_up, &mut progress, &mut closed)?;

    let (heard, watch) = (fleet.heard(rest.clone()), Instant::now());
    pump.run(&mut fleet, plan.seconds / 3, &mut progress, &mut closed)?;
    let before = (fleet.heard(rest.clone()) - heard) as f64 / watch.elapsed().as_secs_f64();

    for client in stalled.clone() {
        fleet.set_reads(client, false);
    }
    pump.set_listeners(rest.clone());
    let resident = || plan.pid.and_then(resident_kib);
    let before_kib = resident();
    let mut most_kib = before_kib;
    let (heard, watch) = (fleet.heard(rest.clone()), Stopwatch::new(plan.pid));
    let began = Instant::now();
    while began.elapsed() < plan.seconds {
        pump.run(&mut fleet, SAMPLE, &mut progress, &mut closed)?;
        most_kib = most_kib.max(resident());
    }
    let lap = watch.lap();
    let after = (fleet.heard(rest.clone()) - heard) as f64 / lap.seconds;
    drain(&mut fleet, &rest, &mut closed)?;
    progress.say("reading what the stalled ones had got");
    catch_up(&mut fleet, &stalled, &mut closed)?;
    progress.done();

    let mut report = plan.report("slow");
    report.count("stalled", "receivers that stop reading", plan.stalled as u64);
    report.number("before_per_second", "deliveries a second to the rest, all reading", before, 0);
    report.number("after_per_second", "the same while some do not read", after, 0);
    report.number("after_percent", "that is, %", 100.0 * after / before, 1);
    if let (Some(before), Some(most)) = (before_kib, most_kib) {
        report.number("resident_growth_mib", "the server's memory grew by, MiB", (most - before) as f64 / 1024.0, 1);
    }
    report.count("closed", "closed by the server", closed.count as u64);
    report.count("stalled_heard", "messages that the stalled ones had got", fleet.heard(stalled));
    lap.tell(&mut report);
    Ok(report)
}

/// Reads on where receivers had stopped, until each is closed or has everything.
fn catch_up(fleet: &mut Fleet<'_>, stalled: &Range<usize>, closed: &mut Closed) -> Result<(), Failure> {
    for client in stalled.clone() {
        fleet.set_reads(client, true);
        fleet.read(client, true, closed)?;
    }
    let mut patience = Patience::new();
    while stalled.clone().any(|client| fleet.is_open(client) && fleet.in_flight(client..client + 1) > 0) {
        fleet.turn(SAMPLE, closed)?;
        if patience.is_over(fleet.bytes, Instant::now()) {
            return Err(Failure::run_time("a receiver that had stopped reading got neither the rest nor an end"));
        }
    }
    Ok(())
}

/// Counts the stalled ones that the server closes; nobody else may be closed.
struct Closed {
    stalled: Range<usize>,
    count: usize,
}

impl Watch for Closed {
    fn closed(&mut self, client: usize) -> bool {
        let stalled = self.stalled.contains(&client);
        self.count += usize::from(stalled);
        stalled
    }
}
