//! What threads meet at, in the model: `shuttle`'s, and a condition that may time out, which `shuttle`'s never does.

use std::cell::Cell;
use std::sync::{Arc, LockResult};
use std::time::Duration;

pub(super) use std::sync::PoisonError;

use shuttle::rand::Rng;
use shuttle::sync::atomic::AtomicBool;
pub(super) use shuttle::sync::atomic::{AtomicUsize, Ordering};
pub(super) use shuttle::sync::{Mutex, MutexGuard};
use shuttle::thread;

thread_local! {
    /// Whether time passes. A scenario runs on one thread of the system, whatever threads it has of its own.
    static PASSES: Cell<bool> = const { Cell::new(true) };
}

/// From here on a wait with a timeout ends by it whenever the scheduler likes; or never, so that it is seen when somebody
/// needed it to.
pub(super) fn let_time_pass(passes: bool) {
    PASSES.set(passes);
}

/// Lets others go on for a while, or not.
pub(super) fn pause() {
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..24) {
        thread::yield_now();
    }
}

/// As the standard library's.
pub(super) struct Condvar(Arc<shuttle::sync::Condvar>);

/// Whether a wait has timed out.
pub(super) struct TimedOut(bool);

impl TimedOut {
    pub(super) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(super) fn new() -> Condvar {
        Condvar(Arc::new(shuttle::sync::Condvar::new()))
    }

    pub(super) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    /// Waits, until somebody notifies or time is over: another thread says so, now or later.
    pub(super) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
        if !PASSES.get() {
            return self
                .0
                .wait(guard)
                .map(|guard| (guard, TimedOut(false)))
                .map_err(|error| PoisonError::new((error.into_inner(), TimedOut(false))));
        }
        let (is_over, is_awake) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (over, awake, condition) = (Arc::clone(&is_over), Arc::clone(&is_awake), Arc::clone(&self.0));
        let clock = thread::spawn(move || {
            pause();
            over.store(true, Ordering::SeqCst);
            // Until it is heard: nobody may be waiting yet.
            while !awake.load(Ordering::SeqCst) {
                condition.notify_all();
                thread::yield_now();
            }
        });
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        is_awake.store(true, Ordering::SeqCst);
        drop(clock);
        Ok((guard, TimedOut(is_over.load(Ordering::SeqCst))))
    }
}
