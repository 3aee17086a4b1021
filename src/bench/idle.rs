//! Defines the workload `idle`: many connections that say nothing, what they cost, and how soon a message reaches all.
//!
//! Knows: rooms, memory, the time of a broadcast. Must not know: what is said.

use std::time::{Duration, Instant};

use super::clock::{Stopwatch, resident_kib};
use super::fleet::{Fleet, Nothing};
use super::opening;
use super::patience::PATIENCE;
use super::payload::SENDERS_MAX;
use super::plan::Plan;
use super::progress::Progress;
use super::report::Report;
use super::script::Script;
use super::template::Blank;
use crate::exit_code::Failure;

/// Broadcasts that are timed.
const BROADCASTS: u64 = 5;

/// How long all is quiet before memory is read, and before each broadcast.
const QUIET: Duration = Duration::from_millis(200);

/// Runs the workload.
pub(super) fn run(plan: &Plan) -> Result<Report, Failure> {
    let rooms = rooms(plan);
    // In the report, and for who sends: one in each room.
    let plan = &Plan { receivers: plan.connections, senders: rooms, ..plan.clone() };
    let joins = !plan.stay_out;
    let broadcasts = joins || plan.vocabulary.join.is_empty();
    let apart = if broadcasts { plan.apart() } else { 0 };
    let senders = if broadcasts { rooms } else { 0 };
    if senders > SENDERS_MAX {
        return Err(Failure::usage(format!(
            "--room-size makes {rooms} rooms; at most {SENDERS_MAX} have a sender each"
        )));
    }
    plan.allow(apart + plan.connections)?;
    let mut progress = Progress::new();
    let mut fleet = Fleet::new(plan.address, &plan.vocabulary, plan.shape.clone(), senders, rooms == 1)?;
    let (enter, greet) = (Script::enter(&plan.vocabulary), Script::greet(&plan.vocabulary));

    let before = plan.pid.and_then(resident_kib);
    let watch = Stopwatch::new(plan.pid);
    if apart > 0 {
        opening::open(&mut fleet, apart, plan.at_once, &mut progress, |number| (greet.clone(), number))?;
    }
    let taken = opening::open(&mut fleet, plan.connections, plan.at_once, &mut progress, |number| {
        (if joins { enter.clone() } else { greet.clone() }, (number - apart) % rooms)
    })?;
    let lap = watch.lap();
    rest(&mut fleet, plan.settle.max(QUIET))?;
    let after = plan.pid.and_then(resident_kib);

    let mut report = plan.report("idle");
    report.count("connections", "connections", plan.connections as u64);
    report.count("rooms", "rooms", if joins { rooms as u64 } else { 0 });
    let connected = plan.connections as f64 / taken.as_secs_f64();
    report.number("connects_per_second", "connected a second", connected, 0);
    if let (Some(before), Some(after)) = (before, after) {
        let each = (after as f64 - before as f64) / (plan.connections + apart) as f64;
        report.number("resident_kib_per_connection", "memory of each, KiB", each, 2);
        report.number("resident_mib", "memory of the server, MiB", after as f64 / 1024.0, 1);
    }
    lap.tell(&mut report);
    if broadcasts {
        let mut times = Vec::new();
        for n in 1..=BROADCASTS {
            progress.say(&format!("broadcast {n} of {BROADCASTS}"));
            times.push(broadcast(&mut fleet, plan, n)?.as_secs_f64() * 1e3);
            rest(&mut fleet, QUIET)?;
        }
        times.sort_by(f64::total_cmp);
        report.number("broadcast_ms", "a message has reached all after, ms (median)", times[times.len() / 2], 2);
        report.number("broadcast_max_ms", "longest", times[times.len() - 1], 2);
    }
    progress.done();
    Ok(report)
}

/// How many rooms there are: one, where messages go to everybody.
fn rooms(plan: &Plan) -> usize {
    let has_rooms = plan.vocabulary.message.has(Blank::Room) && !plan.stay_out;
    match plan.room_size {
        size @ 1.. if has_rooms => plan.connections.div_ceil(size),
        _ => 1,
    }
}

/// Has one message sent in each room, and waits until it has reached everybody.
fn broadcast(fleet: &mut Fleet<'_>, plan: &Plan, round: u64) -> Result<Duration, Failure> {
    let silent = if plan.vocabulary.echo || plan.vocabulary.senders_apart { 0 } else { plan.senders };
    let due = round * (plan.connections - silent) as u64;
    let began = Instant::now();
    for sender in 0..plan.senders {
        fleet.say(sender);
        fleet.flush(sender)?;
    }
    while fleet.heard(0..fleet.len()) < due {
        fleet.turn(Duration::from_millis(100), &mut Nothing)?;
        if began.elapsed() > PATIENCE {
            let missing = due.saturating_sub(fleet.heard(0..fleet.len()));
            let seconds = PATIENCE.as_secs();
            return Err(Failure::run_time(format!("{missing} connections lack the message after {seconds} seconds")));
        }
    }
    Ok(began.elapsed())
}

/// Lets time pass.
fn rest(fleet: &mut Fleet<'_>, time: Duration) -> Result<(), Failure> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        fleet.turn(end.saturating_duration_since(Instant::now()), &mut Nothing)?;
    }
    Ok(())
}
