//! Defines what the program says on stderr: log lines, traces, panics, and the sentence with which it ends.
//!
//! A server's threads never wait for whoever reads stderr: from [`spool`] on all of it goes through one [`Spool`].
//!
//! Knows: which of it there is. Must not know: what it says.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::sync::OnceLock;
use std::{panic, thread};

use super::spool::Spool;

/// Where all goes that is said, once a server's threads may say something.
static SPOOL: OnceLock<Spool> = OnceLock::new();

/// Lets a thread of its own write all that is said from here on.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn spool() -> io::Result<()> {
    let spool = Spool::start("stderr", io::stderr())?;
    if SPOOL.set(spool).is_ok() {
        // What Rust itself would do is to write, holding the lock of stderr, and wait for its reader.
        panic::set_hook(Box::new(|panicked| {
            let thread = thread::current();
            let mut text = format!("thread '{}' {panicked}\n", thread.name().unwrap_or("without a name"));
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                text.push_str(&format!("{backtrace}\n"));
            }
            write(&text);
        }));
    }
    Ok(())
}

/// Says `text`, which ends its line. When nobody listens there, there is nobody to tell.
pub(super) fn write(text: &str) {
    match SPOOL.get() {
        Some(spool) => spool.add(text.as_bytes()),
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Waits until all has been written, but not for long: the last thing before the program ends.
pub(super) fn flush() {
    if let Some(spool) = SPOOL.get() {
        spool.flush();
    }
}

/// Logs what the program and its library say; `RUST_LOG` says which of it.
pub(super) fn install_logger(default: &str) {
    let target = env_logger::Target::Pipe(Box::new(Lines));
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(default)).target(target).init();
}

/// What the logger writes to: each of its writes is a whole line.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        write(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Flushes when it goes, on whatever way the program ends.
pub(super) struct Flushed;

impl Drop for Flushed {
    fn drop(&mut self) {
        flush();
    }
}
