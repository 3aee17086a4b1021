//! In the place of a client's socket: it takes as many bytes at a time as it likes, and sees who writes.

use std::io::{self, ErrorKind};
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::sync::atomic::AtomicBool;
use shuttle::thread;

use super::closing::CloseReason;
use super::sync::{AtomicUsize, Condvar, Mutex, Ordering, PoisonError};

/// A client's socket.
pub(super) struct Link {
    /// What was sent.
    sent: Mutex<Vec<u8>>,
    /// Signals that more was sent.
    came: Condvar,
    /// Whether somebody is sending.
    is_busy: AtomicBool,
    is_dead: AtomicBool,
    /// How often it was said that nothing more comes.
    pub(super) finished: AtomicUsize,
    /// Whether a send may wait in vain.
    may_time_out: bool,
}

impl Link {
    pub(super) fn new(may_time_out: bool) -> Link {
        Link {
            sent: Mutex::default(),
            came: Condvar::new(),
            is_busy: AtomicBool::new(false),
            is_dead: AtomicBool::new(false),
            finished: AtomicUsize::new(0),
            may_time_out,
        }
    }

    /// What the client has got.
    pub(super) fn sent(&self) -> String {
        String::from_utf8(self.sent.lock().unwrap().clone()).unwrap()
    }

    /// Waits until the client has got so many bytes.
    pub(super) fn wait_for(&self, bytes: usize) {
        let mut sent = self.sent.lock().unwrap();
        while sent.len() < bytes {
            sent = self.came.wait(sent).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes from `least` to all of `bytes`.
    fn take(&self, bytes: &[u8], least: usize) -> io::Result<usize> {
        assert!(!self.is_busy.swap(true, Ordering::SeqCst), "two threads write to one client");
        thread::yield_now();
        let count = shuttle::rand::thread_rng().gen_range(least..=bytes.len());
        let outcome = if self.is_dead() {
            Err(ErrorKind::BrokenPipe.into())
        } else if count == 0 {
            Err(ErrorKind::WouldBlock.into())
        } else {
            assert_eq!(self.finished.load(Ordering::SeqCst), 0, "bytes follow what was said to be the last");
            self.sent.lock().unwrap().extend_from_slice(&bytes[..count]);
            self.came.notify_all();
            Ok(count)
        };
        self.is_busy.store(false, Ordering::SeqCst);
        outcome
    }

    pub(super) fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes, 0)
    }

    pub(super) fn try_send_both(&self, header: &[u8], bytes: &[u8]) -> io::Result<usize> {
        self.take(&[header, bytes].concat(), 0)
    }

    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes, usize::from(!self.may_time_out))
    }

    pub(super) fn set_write_timeout(&self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn finish(&self) {
        self.finished.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn stop_reading(&self) {}

    pub(super) fn kill(&self, _reason: CloseReason) {
        self.is_dead.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }
}
