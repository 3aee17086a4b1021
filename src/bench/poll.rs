//! Defines [`Poll`], which waits for many sockets at once, and [`Timer`], which wakes it.
//!
//! It is epoll through `rustix`, which the crate has anyway. The `polling` crate would add itself and its parts, and its
//! registration is `unsafe`, which this crate forbids.
//!
//! Knows: epoll, edge-triggered. Must not know: what is read and written.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

/// Sockets that are reported at once.
const EVENTS_MAX: usize = 1024;

/// Sockets to be waited for.
pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// Expires again and again, and wakes who waits.
pub(super) struct Timer(OwnedFd);

impl Timer {
    /// A timer that expires every `interval` from now on.
    pub(super) fn new(interval: Duration) -> io::Result<Timer> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = timespec(interval);
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: interval, it_value: interval })?;
        Ok(Timer(timer))
    }

    /// How often it has expired since the last call.
    pub(super) fn expired(&self) -> u64 {
        let mut count = [0; 8];
        // Nothing to read means that it has not expired.
        let read = rustix::io::read(&self.0, &mut count).unwrap_or(0);
        if read == count.len() { u64::from_ne_bytes(count) } else { 0 }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}

/// What a socket is ready for, since it was last reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    /// The number that it was registered with.
    pub(super) key: usize,
    /// There is something to read, or the other end is gone.
    pub(super) read: bool,
    /// The other end has said all, or is gone: the end is to be read too, or it is never reported again.
    pub(super) ended: bool,
    /// There is room to write, or a connection was made.
    pub(super) write: bool,
}

impl Poll {
    /// Nothing to be waited for yet.
    pub(super) fn new() -> io::Result<Poll> {
        Ok(Poll { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Reports `socket` from now on, once for each time that it becomes ready: it MUST be read until nothing is left.
    /// It is forgotten when it is closed.
    pub(super) fn add(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(key as u64), flags)?)
    }

    /// Waits, at most for `patience`, and gives how many are ready.
    pub(super) fn wait(&mut self, patience: Duration) -> io::Result<usize> {
        self.events.clear();
        let patience = timespec(patience);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(self.events.len()),
            Err(error) => Err(error.into()),
        }
    }

    /// One of those that the last [`wait`](Poll::wait) found ready.
    pub(super) fn ready(&self, index: usize) -> Ready {
        let event = &self.events[index];
        let flags = event.flags;
        let gone = epoll::EventFlags::HUP | epoll::EventFlags::ERR | epoll::EventFlags::RDHUP;
        Ready {
            key: event.data.u64() as usize,
            read: flags.intersects(epoll::EventFlags::IN | gone),
            ended: flags.intersects(gone),
            write: flags.intersects(epoll::EventFlags::OUT | gone),
        }
    }
}
