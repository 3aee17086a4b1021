//! Defines [`Poll`], which waits for many sockets at once.
//!
//! It is epoll through `rustix`, which the crate has anyway. The `polling` crate would add itself and its parts, and its
//! registration is `unsafe`, which this crate forbids.
//!
//! Knows: epoll, edge-triggered. Must not know: what is read and written.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// Sockets that are reported at once.
const EVENTS_MAX: usize = 1024;

/// Sockets to be waited for.
pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// What a socket is ready for, since it was last reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    /// The number that it was registered with.
    pub(super) key: usize,
    /// There is something to read, or the other end is gone.
    pub(super) read: bool,
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

    /// As [`add`](Poll::add), but only for reading, and reported again as long as something is there.
    pub(super) fn add_reader(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(key as u64), epoll::EventFlags::IN)?)
    }

    /// Waits, at most for `patience`, and gives how many are ready.
    pub(super) fn wait(&mut self, patience: Duration) -> io::Result<usize> {
        self.events.clear();
        let patience = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
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
            write: flags.intersects(epoll::EventFlags::OUT | gone),
        }
    }
}
