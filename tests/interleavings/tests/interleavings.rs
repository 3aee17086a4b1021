//! Runs the scenarios under many orders of their threads' steps. A failure prints a schedule; `shuttle::replay` repeats it.

use shuttle::{check_pct, check_random};
use xmlsocket_interleavings::server::handing_over::{Besides, hand_over};
use xmlsocket_interleavings::server::stopping;

/// Schedules of each scenario, taken at random.
const RANDOM: usize = 4_000;

/// Schedules with few changes between threads, at places taken at random: what is rare comes up sooner.
const FEW_CHANGES: usize = 2_000;

/// Changes between threads in those.
const CHANGES: usize = 3;

fn check(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    check_random(scenario.clone(), RANDOM);
    check_pct(scenario, FEW_CHANGES, CHANGES);
}

#[test]
fn nothing_is_lost_when_writers_come_and_go() {
    check(|| hand_over(true, Besides::Nothing));
}

#[test]
fn a_writer_is_told_of_all_that_it_is_to_do() {
    check(|| hand_over(false, Besides::Nothing));
    check(|| hand_over(false, Besides::Waits));
}

#[test]
fn a_link_may_be_given_up_at_any_time() {
    check(|| hand_over(true, Besides::Dies));
    check(|| hand_over(false, Besides::GivenUp));
}

#[test]
fn a_client_may_stall() {
    check(|| hand_over(true, Besides::Stalls));
}

#[test]
fn too_much_may_wait() {
    check(|| hand_over(true, Besides::Overflows));
}

#[test]
fn nobody_waits_for_a_server_that_stops() {
    check(stopping::stop);
}

#[test]
fn whoever_waits_for_room_gets_it() {
    check(stopping::share);
}
