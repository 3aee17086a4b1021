//! Defines [`Link`], one client's socket as its three users share it: its thread reads, the dispatcher and the
//! catch-up writer send.
//!
//! Knows: the socket, the last sign of life, why it was given up. Must not know: frames, order, limits.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use super::arrival::accounts::Account;
use super::arrival::no_seat::NoSeat;
use super::arrival::seats::Admission;
use super::closing::CloseReason;
use crate::wire::Limits;

/// Reading and sending go on.
const OPEN: u8 = 0;
/// Nothing that is read matters any more; the client still gets what was sent to it.
const FINISHING: u8 = 1;
/// The socket is shut down; its thread must end.
const DEAD: u8 = 2;

/// A client's socket. Ends when the last of its users drops it.
pub(super) struct Link {
    stream: TcpStream,
    /// When the link began: `seen` counts from here.
    since: Instant,
    /// Nanoseconds from `since` to the last sign of life. Written by the client's thread, read by the dispatcher.
    seen: AtomicU64,
    state: AtomicU8,
    /// Why the server gave the link up. The first reason stays.
    reason: Mutex<Option<CloseReason>>,
    /// Tokens that the connection owes for what it made the server send. Written by the dispatcher, taken by the
    /// client's thread.
    debt: AtomicU32,
    /// The connection's seat, if it got one. The last field: the socket is closed before the seat is given back.
    admission: Mutex<Option<Admission>>,
}

impl Link {
    pub(super) fn new(stream: TcpStream) -> Link {
        Link {
            stream,
            since: Instant::now(),
            seen: AtomicU64::new(0),
            state: AtomicU8::new(OPEN),
            reason: Mutex::new(None),
            debt: AtomicU32::new(0),
            admission: Mutex::new(None),
        }
    }

    /// Keeps the connection's admission until the link ends, or it gets another.
    pub(super) fn sit(&self, admission: Admission) {
        // Dropped when the lock is not held any more: it gives a seat back.
        let before = self.admission().replace(admission);
        drop(before);
    }

    /// Counts the connection as one from `address`.
    pub(super) fn count(&self, address: IpAddr, limits: &Limits) -> Result<(), NoSeat> {
        self.admission().as_ref().map_or(Ok(()), |admission| admission.count(address, limits))
    }

    /// Gives the connection's seat up before the link ends: it is to be told why it may not stay. Where enough are being
    /// told already, it ends at once.
    pub(super) fn refuse(self: &Arc<Link>, no_seat: NoSeat) {
        let seats = self.admission().as_ref().map(|admission| Arc::clone(admission.seats()));
        if !seats.is_some_and(|seats| seats.refuse(self)) {
            self.kill(no_seat.reason());
        }
    }

    /// Whether the connection gave its seat up.
    pub(super) fn is_refused(&self) -> bool {
        matches!(*self.admission(), Some(Admission::Refused(_)))
    }

    /// What the connection has together with others of its address; `None` while nobody said which that is.
    pub(super) fn account(&self) -> Option<Arc<Account>> {
        self.admission().as_ref().and_then(Admission::account)
    }

    /// Lets the connection, and its address, owe `tokens`.
    pub(super) fn charge(&self, tokens: u32) {
        self.debt.fetch_add(tokens, Ordering::Relaxed);
        if let Some(account) = self.account() {
            account.owe(tokens);
        }
    }

    /// What the connection owes since this was last asked.
    pub(super) fn take_debt(&self) -> u32 {
        if self.debt.load(Ordering::Relaxed) == 0 { 0 } else { self.debt.swap(0, Ordering::Relaxed) }
    }

    fn admission(&self) -> MutexGuard<'_, Option<Admission>> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of our end.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Sends as much of `bytes` as fits into the system's buffer; never waits. `WouldBlock` when nothing fits.
    pub(super) fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| Ok(send(&self.stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?))
    }

    /// As [`try_send`](Link::try_send), of `header` and then `bytes`, which leave together.
    pub(super) fn try_send_both(&self, header: &[u8], bytes: &[u8]) -> io::Result<usize> {
        let both = [IoSlice::new(header), IoSlice::new(bytes)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        retry(|| Ok(sendmsg(&self.stream, &both, &mut SendAncillaryBuffer::default(), flags)?))
    }

    /// Sends some of `bytes`, waiting for room. `WouldBlock` when the write timeout passed without one byte.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| Ok(send(&self.stream, bytes, SendFlags::NOSIGNAL)?))
    }

    /// Sends all of `bytes`, waiting at most `timeout` for each step.
    pub(super) fn send_all(&self, mut bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(timeout))?;
        while !bytes.is_empty() {
            let sent = self.send(bytes)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// The time that [`send`](Link::send) waits for the client to take one byte.
    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    /// The time that a read waits for a byte.
    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    /// Reads some bytes.
    pub(super) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        retry(|| (&self.stream).read(bytes))
    }

    /// Acknowledges at once what has been read. Many clients write a frame and its zero byte in two pieces, and their system
    /// keeps the second one until the first is acknowledged (Nagle), which ours delays for some 40 ms in the hope of an
    /// answer to send along: but there is none before the frame has ended. Linux forgets this by itself.
    #[inline(never)]
    pub(super) fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
    }

    /// Notes a sign of life.
    pub(super) fn touch(&self) {
        self.seen.store(self.since.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    /// How long ago the last sign of life was.
    pub(super) fn silent(&self, now: Instant) -> Duration {
        let seen = Duration::from_nanos(self.seen.load(Ordering::Relaxed));
        now.saturating_duration_since(self.since + seen)
    }

    /// Tells the client that nothing more will come, and its thread that nothing more matters.
    pub(super) fn finish(&self) {
        let _ = self.state.compare_exchange(OPEN, FINISHING, Ordering::AcqRel, Ordering::Acquire);
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// From here on nothing that the client sends matters; what was sent to it still arrives.
    pub(super) fn stop_reading(&self) {
        let _ = self.state.compare_exchange(OPEN, FINISHING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Gives the link up at once, in both directions; frees whoever is blocked on it.
    pub(super) fn kill(&self, reason: CloseReason) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.state.store(DEAD, Ordering::Release);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Why the server gave the link up, if it did.
    pub(super) fn killed(&self) -> Option<CloseReason> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether what is read still matters.
    pub(super) fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }

    /// Whether the socket was shut down: the client's thread must end.
    pub(super) fn is_dead(&self) -> bool {
        self.state.load(Ordering::Acquire) == DEAD
    }
}

/// What `call` gives once no signal interrupts it.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_interrupts_goes_on_and_other_failures_are_handed_on() {
        let mut results =
            vec![Ok(3), Err(ErrorKind::WouldBlock), Err(ErrorKind::Interrupted), Err(ErrorKind::Interrupted)];
        let mut call = || results.pop().expect("not asked again").map_err(io::Error::from);
        assert_eq!(retry(&mut call).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(retry(&mut call).unwrap(), 3);
    }
}
