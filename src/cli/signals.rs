//! Defines what signals do: SIGINT and SIGTERM stop, a second one at once; SIGHUP reads the configuration again.
//!
//! Knows: `ctrlc` for INT, `signal-hook` for TERM and HUP. Must not know: what stopping and reading again mean.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit_code::{ExitCode, Failure};

/// What a signal can ask for.
struct Actions {
    /// Whether a stop was asked for.
    stopping: AtomicBool,
    /// Begins a graceful stop. May take a while, so it gets a thread of its own.
    stop: Arc<dyn Fn() + Send + Sync>,
    /// Reads the configuration again; absent where SIGHUP means the same as SIGTERM.
    reload: Option<Mutex<Box<dyn FnMut() + Send>>>,
}

impl Actions {
    /// Stops gracefully; ends the program when that was asked for before.
    fn stop(&self, name: &str, at_once: ExitCode) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            log::warn!("{name} again: stopping at once");
            at_once.exit();
        }
        log::info!("{name}: stopping; once more stops at once");
        let stop = Arc::clone(&self.stop);
        thread::spawn(move || stop());
    }

    fn hang_up(&self) {
        match &self.reload {
            Some(reload) => (reload.lock().unwrap_or_else(PoisonError::into_inner))(),
            None if self.stopping.load(Ordering::Acquire) => {}
            None => self.stop("SIGHUP", ExitCode::Failed),
        }
    }
}

/// Begins to act on signals. They are handled one after another, on threads that do nothing else.
pub(super) fn watch(
    stop: impl Fn() + Send + Sync + 'static,
    reload: Option<Box<dyn FnMut() + Send>>,
) -> Result<(), Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::run_time(format!("cannot watch for signals: {error}"));
    let actions =
        Arc::new(Actions { stopping: AtomicBool::new(false), stop: Arc::new(stop), reload: reload.map(Mutex::new) });
    let on_interrupt = Arc::clone(&actions);
    ctrlc::set_handler(move || on_interrupt.stop("SIGINT", ExitCode::Interrupted)).map_err(|error| failure(&error))?;
    let mut signals = Signals::new([SIGTERM, SIGHUP]).map_err(|error| failure(&error))?;
    let spawned = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGTERM => actions.stop("SIGTERM", ExitCode::Terminated),
                _ => actions.hang_up(),
            }
        }
    });
    spawned.map(drop).map_err(|error| failure(&error))
}
