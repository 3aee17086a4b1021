//! Defines the workload `slow`: what receivers that stop reading do to the others and to the server.
//!
//! First all read; then some stop. The rest should not notice, the server should not grow without bound, and should close
//! those that stopped. What these had got until then must be in order as well.
//!
//! Knows: who stops when, what is compared. Must not know: what a message looks like.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::super::exit_code::Failure;
use super::clock::{Stopwatch, resident_kib};
use super::connections::Connections;
use super::fleet::{Fleet, Watch};
use super::patience::Patience;
use super::plan::Plan;
use super::progress::Progress;
use super::report::Report;
use super::throughput::{Pump, drain};

/// How often the server's memory is looked at.
const SAMPLE: Duration = Duration::from_millis(100);

/// How often the system's table of connections is looked at: where it is long, reading it takes a while.
const TABLE_SAMPLE: Duration = Duration::from_millis(500);

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
    pump.run(&mut fleet, plan.seconds, &mut progress, &mut closed)?;
    let before = (fleet.heard(rest.clone()) - heard) as f64 / watch.elapsed().as_secs_f64();

    for link in stalled.clone() {
        fleet.set_reads(link, false);
    }
    pump.set_listeners(rest.clone());
    let mut sight = Sight::new(plan, &fleet, stalled.clone());
    let (heard, watch) = (fleet.heard(rest.clone()), Stopwatch::new(plan.pid));
    while sight.began.elapsed() < plan.seconds {
        pump.run(&mut fleet, SAMPLE, &mut progress, &mut closed)?;
        sight.look();
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
    sight.tell(&mut report);
    report.count("closed", "closed by the server", closed.count as u64);
    report.count("stalled_heard", "messages that the stalled ones had got", fleet.heard(stalled));
    lap.tell(&mut report);
    Ok(report)
}

/// Reads on where receivers had stopped, until each is closed or has everything.
fn catch_up(fleet: &mut Fleet<'_>, stalled: &Range<usize>, closed: &mut Closed) -> Result<(), Failure> {
    for link in stalled.clone() {
        fleet.set_reads(link, true);
        fleet.read(link, true, closed)?;
    }
    let mut patience = Patience::new();
    while stalled.clone().any(|link| fleet.is_open(link) && fleet.in_flight(link..link + 1) > 0) {
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
    fn closed(&mut self, link: usize) -> bool {
        let stalled = self.stalled.contains(&link);
        self.count += usize::from(stalled);
        stalled
    }
}

/// What can be seen of the server while some do not read.
struct Sight {
    began: Instant,
    pid: Option<u32>,
    /// Its memory when it began, and the most since, in KiB.
    resident: Option<(u64, u64)>,
    /// The connections of the stalled ones as the server's system sees them.
    connections: Connections,
    /// How often these were looked at.
    looks: u32,
    /// When the first and the last of them were seen to be closed.
    closed: Vec<Duration>,
}

impl Sight {
    fn new(plan: &Plan, fleet: &Fleet<'_>, stalled: Range<usize>) -> Sight {
        let ports = stalled.filter_map(|link| fleet.port(link)).collect();
        Sight {
            began: Instant::now(),
            pid: plan.pid,
            resident: plan.pid.and_then(resident_kib).map(|now| (now, now)),
            connections: Connections::new(plan.address.port(), ports),
            looks: 0,
            closed: Vec::new(),
        }
    }

    fn look(&mut self) {
        if let (Some((_, most)), Some(now)) = (&mut self.resident, self.pid.and_then(resident_kib)) {
            *most = now.max(*most);
        }
        let due = TABLE_SAMPLE * self.looks;
        if self.connections.all_closed() || self.began.elapsed() < due {
            return;
        }
        self.looks += 1;
        let closed = self.connections.closed();
        while self.closed.len() < closed {
            self.closed.push(self.began.elapsed());
        }
    }

    fn tell(&self, report: &mut Report) {
        if let Some((before, most)) = self.resident {
            let growth = (most - before) as f64 / 1024.0;
            report.number("resident_growth_mib", "the server's memory grew by, MiB", growth, 1);
        }
        if let (Some(first), Some(last)) = (self.closed.first(), self.closed.last()) {
            report.number("first_closed_seconds", "first one closed after, s", first.as_secs_f64(), 1);
            report.number("last_closed_seconds", "last one closed after, s", last.as_secs_f64(), 1);
        }
    }
}
