//! Defines [`Spool`]: what is written to a stream by a thread of its own, so that whoever has something to say never
//! waits for whoever reads it.
//!
//! Knows: how much may wait, and for how long an end is delayed. Must not know: what is written, and where it goes.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that may wait to be written. An entry that is larger than this waits only where nothing else does.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// How long [`Spool::flush`] waits: a reader that stalls must not keep the program from its end.
const FLUSH_MAX: Duration = Duration::from_millis(500);

/// Entries on their way to a stream. When its reader cannot keep up, entries are left out and counted.
pub(super) struct Spool {
    inner: Arc<Inner>,
}

/// What the spool and its thread share.
#[derive(Default)]
struct Inner {
    state: Mutex<Backlog>,
    /// Told when there is something to write, and when all has been written.
    changed: Condvar,
}

#[derive(Default)]
struct Backlog {
    /// Whole entries, in their order.
    waiting: Vec<u8>,
    /// Entries left out behind those that wait.
    left_out: u64,
    /// Whether the thread is busy with what it took.
    is_writing: bool,
    /// Whether nothing more will come.
    is_over: bool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool {
    /// Begins to write to `out`. The thread exists from here on, however few there are later.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(name: &str, out: impl Write + Send + 'static) -> io::Result<Spool> {
        let inner = Arc::new(Inner::default());
        let writer = Arc::clone(&inner);
        thread::Builder::new().name(name.to_owned()).spawn(move || write_all(&writer, out))?;
        Ok(Spool { inner })
    }

    /// Writes `entry` as soon as that is possible, or leaves it out; returns at once. What comes behind an entry that
    /// was left out is left out as well, until the thread has said how many there were: so they are missed where
    /// they are missing.
    pub(super) fn add(&self, entry: &[u8]) {
        let mut state = self.inner.lock();
        let fits = state.waiting.is_empty() || state.waiting.len() + entry.len() <= WAITING_BYTES_MAX;
        if fits && state.left_out == 0 {
            state.waiting.extend_from_slice(entry);
        } else {
            state.left_out += 1;
        }
        drop(state);
        self.inner.changed.notify_all();
    }

    /// Waits until all that was added has been written, but not for long.
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + FLUSH_MAX;
        let mut state = self.inner.lock();
        while state.is_writing || !state.waiting.is_empty() || state.left_out > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.inner.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.inner.lock().is_over = true;
        self.inner.changed.notify_all();
    }
}

/// Writes what waits, until nothing more will come.
fn write_all(inner: &Inner, mut out: impl Write) {
    let mut state = inner.lock();
    loop {
        while state.waiting.is_empty() && state.left_out == 0 {
            if state.is_over {
                return;
            }
            state = inner.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut entries = std::mem::take(&mut state.waiting);
        let left_out = std::mem::take(&mut state.left_out);
        state.is_writing = true;
        drop(state);
        if left_out > 0 {
            let sentence = format!("({left_out} entries left out: they came faster than they could be shown)\n");
            entries.extend_from_slice(sentence.as_bytes());
        }
        // Nobody to tell when nobody reads.
        let _ = out.write_all(&entries).and_then(|()| out.flush());
        state = inner.lock();
        state.is_writing = false;
        inner.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    use super::*;

    /// A reader that tells of each write, then stands still until the test lets it go on.
    struct Stalled(Sender<String>, Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            let _ = self.1.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_in_time_is_counted_where_it_is_missing() {
        let (go_on, gate) = bounded::<()>(0);
        let (writes, written) = unbounded();
        let next = || written.recv_timeout(Duration::from_secs(10)).unwrap();
        let spool = Spool::start("spool", Stalled(writes, gate)).unwrap();
        spool.add(b"first\n");
        assert_eq!(next(), "first\n");
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let count = WAITING_BYTES_MAX / line.len();
        (0..count).for_each(|_| spool.add(&line));
        spool.add(&line);
        spool.add(b"small\n");
        let begun = Instant::now();
        spool.flush();
        assert!(begun.elapsed() >= FLUSH_MAX && begun.elapsed() < 8 * FLUSH_MAX, "{:?}", begun.elapsed());
        drop(go_on);
        let all = next();
        let (lines, sentence) = all.split_at(count * line.len());
        assert!(lines.split_terminator('\n').all(|line| line.len() == 1023));
        assert_eq!(sentence, "(2 entries left out: they came faster than they could be shown)\n");
        spool.flush();
        spool.add(&vec![b'y'; WAITING_BYTES_MAX + 1]);
        assert_eq!(next().len(), WAITING_BYTES_MAX + 1, "alone it may be as large as it is");
        spool.add(b"last\n");
        drop(spool);
        assert_eq!(next(), "last\n");
        assert!(written.recv_timeout(Duration::from_secs(10)).is_err(), "the thread has ended");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        /// A stream that takes nothing.
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let spool = Spool::start("spool", Closed).unwrap();
        spool.add(b"first\n");
        spool.add(b"second\n");
        spool.flush();
        assert!(spool.inner.lock().waiting.is_empty());
    }
}
