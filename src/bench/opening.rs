//! Defines how the connections of a run are made: so many at once, each through its script.
//!
//! Knows: when the next one may begin. Must not know: what the script says.

use std::time::{Duration, Instant};

use super::fleet::{Fleet, Watch};
use super::patience::{PATIENCE, Patience};
use super::progress::Progress;
use super::script::Script;
use crate::exit_code::Failure;

/// Counts what is done.
#[derive(Default)]
struct Counter {
    ready: usize,
    answers: u64,
}

impl Watch for Counter {
    fn answered(&mut self, _link: usize, _after: usize) {
        self.answers += 1;
    }

    fn ready(&mut self, _link: usize) {
        self.ready += 1;
    }
}

/// Makes `count` more connections, each through the script and into the room that `place` gives for its number, `at_once` of
/// them at a time, and gives how long that took.
pub(super) fn open(
    fleet: &mut Fleet<'_>,
    count: usize,
    at_once: usize,
    progress: &mut Progress,
    place: impl Fn(usize) -> (Script, usize),
) -> Result<Duration, Failure> {
    let began = Instant::now();
    let (first, mut counter, mut patience) = (fleet.len(), Counter::default(), Patience::new());
    while counter.ready < count {
        let begun = fleet.len() - first;
        if begun < count && begun - counter.ready < at_once {
            let number = fleet.len();
            let (script, room) = place(number);
            fleet.begin(&script, number, room)?;
            continue;
        }
        fleet.turn(Duration::from_millis(100), &mut counter)?;
        let now = Instant::now();
        if progress.is_due(now) {
            progress.say(&format!("{} of {count} connections", counter.ready));
        }
        if patience.is_over(counter.answers, now) {
            return Err(Failure::run_time(format!(
                "no answer for {} seconds, {} of {count} connections have entered: {}",
                PATIENCE.as_secs(),
                counter.ready,
                fleet.awaits(first),
            )));
        }
    }
    Ok(began.elapsed())
}
