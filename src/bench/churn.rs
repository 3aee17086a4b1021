//! Defines the workload `churn`: people who connect, log in, enter a room, leave it and quit, again and again.
//!
//! A step is one thing that a connection does and has answered: being connected, each line of its script.
//!
//! Knows: how many there are at a time, what is counted. Must not know: what is said.

use std::time::{Duration, Instant};

use super::clock::Stopwatch;
use super::fleet::{Fleet, Watch};
use super::patience::Patience;
use super::plan::Plan;
use super::progress::Progress;
use super::report::Report;
use super::script::Script;
use crate::exit_code::Failure;

/// Runs the workload.
pub(super) fn run(plan: &Plan) -> Result<Report, Failure> {
    plan.allow(plan.at_once)?;
    let mut progress = Progress::new();
    let mut fleet = Fleet::new(plan.address, &plan.vocabulary, plan.shape.clone(), 0, true)?;
    let script = Script::visit(&plan.vocabulary);
    for number in 0..plan.at_once {
        fleet.begin(&script, number, number)?;
    }
    let mut visits = Visits { next: plan.at_once, ..Visits::default() };
    progress.say("warming up");
    visits.go_on(&mut fleet, plan.warm_up, &mut progress)?;
    let (steps, done, watch) = (visits.steps, visits.done, Stopwatch::new(plan.pid));
    visits.go_on(&mut fleet, plan.seconds, &mut progress)?;
    let lap = watch.lap();
    progress.done();
    if visits.done == 0 {
        return Err(Failure::run_time(format!("nobody's visit came to its end: {}", fleet.awaits(0))));
    }

    let mut report = Report::new("churn");
    report.text("address", "server", plan.address.to_string());
    report.count("at_once", "connections at a time", plan.at_once as u64);
    report.number("seconds", "seconds", lap.seconds, 2);
    report.number("steps_per_second", "steps a second", (visits.steps - steps) as f64 / lap.seconds, 0);
    report.number("visits_per_second", "visits a second", (visits.done - done) as f64 / lap.seconds, 0);
    lap.tell(&mut report);
    Ok(report)
}

/// Visits, counted.
#[derive(Default)]
struct Visits {
    /// Steps that were answered.
    steps: u64,
    /// Visits that are over.
    done: u64,
    /// Clients whose visit is over, and which begin the next one.
    over: Vec<usize>,
    /// The number of the next visitor: no name is used twice.
    next: usize,
}

impl Visits {
    /// Goes on for a while.
    fn go_on(&mut self, fleet: &mut Fleet<'_>, time: Duration, progress: &mut Progress) -> Result<(), Failure> {
        let end = Instant::now() + time;
        let mut patience = Patience::new();
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            fleet.turn(Duration::from_millis(100), self)?;
            for client in std::mem::take(&mut self.over) {
                fleet.close(client);
                fleet.begin_again(client, self.next)?;
                self.next += 1;
            }
            if progress.is_due(now) {
                progress.count("steps", self.steps, now);
            }
            if patience.is_over(self.steps, now) {
                return Err(Failure::run_time("no connection got an answer any more"));
            }
        }
    }
}

impl Watch for Visits {
    fn answered(&mut self, _link: usize, _after: usize) {
        self.steps += 1;
    }

    fn ready(&mut self, client: usize) {
        self.done += 1;
        self.over.push(client);
    }
}
