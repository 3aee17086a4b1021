//! Defines what signals do: SIGINT and SIGTERM stop, a second one at once; SIGHUP reads the configuration again.
//!
//! Every thread that this needs is made at the start and waits: when a signal comes there may be none to be had.
//!
//! Knows: `ctrlc` for INT, `signal-hook` for TERM and HUP. Must not know: what stopping and reading again mean.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit_code::{ExitCode, Failure};

/// What a signal can ask for.
struct Actions {
    /// Whether a stop was asked for.
    stopping: AtomicBool,
    /// Begins a graceful stop.
    stop: Order,
    /// Reads the configuration again; absent where SIGHUP means the same as SIGTERM.
    reload: Option<Order>,
}

impl Actions {
    /// Stops gracefully; ends the program when that was asked for before.
    fn stop(&self, name: &str, at_once: ExitCode) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            log::warn!("{name} again: stopping at once");
            super::stderr::flush();
            std::process::exit(i32::from(at_once.number()));
        }
        log::info!("{name}: stopping; once more stops at once");
        self.stop.give();
    }

    fn hang_up(&self) {
        match &self.reload {
            Some(reload) => reload.give(),
            None if self.stopping.load(Ordering::Acquire) => {}
            None => self.stop("SIGHUP", ExitCode::Failed),
        }
    }
}

/// Something that a thread of its own does whenever it is told to: it may take a while, and meanwhile other signals
/// are heard.
struct Order(SyncSender<()>);

impl Order {
    /// Makes the thread, called `name`, that does `act`.
    fn waiting(name: &str, mut act: impl FnMut() + Send + 'static) -> io::Result<Order> {
        // One that comes while another is carried out is remembered; two are the same as one.
        let (given, orders) = sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || orders.iter().for_each(|()| act()))?;
        Ok(Order(given))
    }

    fn give(&self) {
        let _ = self.0.try_send(());
    }
}

/// Begins to act on signals. They are handled one after another, on threads that do nothing else.
pub(super) fn watch(stop: impl Fn() + Send + 'static, reload: Option<Box<dyn FnMut() + Send>>) -> Result<(), Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::run_time(format!("cannot watch for signals: {error}"));
    let stop = Order::waiting("stop", stop).map_err(|error| failure(&error))?;
    let reload = reload.map(|reload| Order::waiting("reload", reload)).transpose().map_err(|error| failure(&error))?;
    let actions = Arc::new(Actions { stopping: AtomicBool::new(false), stop, reload });
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
