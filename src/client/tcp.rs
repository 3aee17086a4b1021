//! Defines [`Tcp`], one TCP connection of a client, all under deadlines, and [`Source`], the bytes of it.
//!
//! Knows: TCP, deadlines, what a server may do to keep a client waiting. Must not know: names, frames, events.

use std::io::{self, BufRead, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::error::Error;
use super::queue::lock;

/// How often a blocked read looks up, to see that the socket was closed meanwhile or that nothing came for too long.
const READ_TICK: Duration = Duration::from_secs(5);

/// How long a closed connection goes on reading, so that unread input does not destroy what was sent last: a system
/// answers input that nobody reads with a reset, and a reset may overtake data.
const LINGER: Duration = Duration::from_secs(1);

/// How much it reads for that.
const LINGER_BYTES_MAX: usize = 16 << 20;

/// Bytes read from the system at a time.
const READ_BYTES: usize = 16 << 10;

/// One TCP connection, shared by the thread that reads it and by those who write to it or end it.
pub(super) struct Tcp {
    stream: TcpStream,
    /// Whether somebody writes at present: frames of several threads must not mix.
    writing: Mutex<bool>,
    /// Signalled when `writing` becomes false.
    written: Condvar,
    /// How long one frame may take to be written.
    send_timeout: Duration,
    /// What ends a frame that is written, if anything does.
    end_of_frame: Option<u8>,
    /// Why this side gave the connection up. Set by a writer, read by the reader, for the event that ends it all.
    failure: Mutex<Option<String>>,
}

impl Tcp {
    /// A connection that is still to be made, of the family of `address`.
    pub(super) fn new(address: SocketAddr, send_timeout: Duration, end_of_frame: Option<u8>) -> io::Result<Tcp> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        Ok(Tcp {
            stream: socket.into(),
            writing: Mutex::new(false),
            written: Condvar::new(),
            send_timeout,
            end_of_frame,
            failure: Mutex::new(None),
        })
    }

    /// Makes the connection. [`finish`](Tcp::finish) and [`abort`](Tcp::abort) from another thread end the wait.
    pub(super) fn connect(&self, address: SocketAddr, timeout: Duration) -> io::Result<()> {
        let socket = SockRef::from(&self.stream);
        // The system counts whole milliseconds: one more, so as not to end before the time.
        socket.connect_timeout(&address.into(), timeout + Duration::from_millis(1))?;
        socket.set_tcp_nodelay(true)?;
        // A peer that vanished without a word is noticed after two minutes of silence, instead of never.
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(15))
            .with_retries(4);
        socket.set_tcp_keepalive(&keepalive)
    }

    /// What ends a frame that is written, if anything does.
    pub(super) fn end_of_frame(&self) -> Option<u8> {
        self.end_of_frame
    }

    /// Writes `bytes`, all of them or the connection is given up.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let deadline = Instant::now() + self.send_timeout;
        if !self.begin_writing(deadline) {
            return Err(self.give_up_writing());
        }
        let result = self.write_by(bytes, deadline);
        *lock(&self.writing) = false;
        self.written.notify_one();
        result
    }

    /// Waits until no other thread writes. False: not by `deadline`.
    fn begin_writing(&self, deadline: Instant) -> bool {
        let mut writing = lock(&self.writing);
        while *writing {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            writing = self.written.wait_timeout(writing, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *writing = true;
        true
    }

    fn write_by(&self, mut bytes: &[u8], deadline: Instant) -> Result<(), Error> {
        while !bytes.is_empty() {
            // Each write gets what is left: a peer that takes a byte now and then must not stretch the deadline.
            let written = uninterrupted(|| {
                self.stream.set_write_timeout(Some(time_left(deadline)?))?;
                (&self.stream).write(bytes)
            });
            match written {
                Ok(0) => return Err(self.lose("the system took no byte")),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_temporary(&error) => return Err(self.give_up_writing()),
                Err(error) => return Err(self.lose(&error.to_string())),
            }
        }
        Ok(())
    }

    fn give_up_writing(&self) -> Error {
        let waited = self.send_timeout;
        lock(&self.failure).get_or_insert_with(|| format!("the server did not take a frame within {waited:?}"));
        self.abort();
        Error::SendTimeout { waited }
    }

    /// Ends a connection on which a write failed. What the server sent before is still read, and the end of the
    /// stream tells whether it closed.
    fn lose(&self, reason: &str) -> Error {
        self.finish();
        Error::Lost { reason: reason.to_owned() }
    }

    /// Why this side gave the connection up, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// Ends the sending side: what was sent arrives, and then the server sees the end.
    pub(super) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends both sides: frees a blocked read, write or connect.
    pub(super) fn abort(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Reads and drops what the server still sends, until it closes too; for a second at most.
    pub(super) fn linger(&self) {
        self.finish();
        let deadline = Instant::now() + LINGER;
        let mut buffer = [0; 4096];
        let mut left = LINGER_BYTES_MAX;
        while let Ok(count @ 1..) = self.read_by(&mut buffer, deadline) {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    }

    /// Reads some bytes by `deadline`. Nothing is read from what a [`Source`] reads.
    ///
    /// # Errors
    /// One that [`is_temporary`] when no byte came in time.
    pub(super) fn read_by(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        uninterrupted(|| {
            self.stream.set_read_timeout(Some(time_left(deadline)?))?;
            (&self.stream).read(buffer)
        })
    }
}

/// Makes a system call again for as long as signals interrupt it. On a socket with a timeout they do so even where
/// the program handles none: it is enough that it was stopped and goes on.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The time until `deadline`, which is never zero.
///
/// # Errors
/// One that [`is_temporary`] when the deadline has passed.
fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(left) }
}

/// Whether an I/O error is a deadline that passed, and no fault of the connection's.
pub(super) fn is_temporary(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// The bytes that a server sends.
pub(super) struct Source {
    tcp: Arc<Tcp>,
    buffer: Vec<u8>,
    /// What of `buffer` was read from the system and not consumed.
    filled: std::ops::Range<usize>,
    /// Whether a newline becomes the zero byte that ends a frame.
    lines: bool,
    /// When the last byte came.
    alive: Instant,
    /// After how long without a byte the connection is given up. `None`: never.
    idle_max: Option<Duration>,
}

impl Source {
    pub(super) fn new(tcp: Arc<Tcp>, lines: bool, idle_max: Option<Duration>) -> io::Result<Source> {
        tcp.stream.set_read_timeout(Some(idle_max.map_or(READ_TICK, |idle| idle.min(READ_TICK))))?;
        let alive = Instant::now();
        Ok(Source { tcp, buffer: vec![0; READ_BYTES], filled: 0..0, lines, alive, idle_max })
    }

    /// Whether nothing came for longer than it may.
    pub(super) fn is_idle(&self) -> bool {
        self.idle_max.is_some_and(|idle_max| self.alive.elapsed() >= idle_max)
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.filled.is_empty() {
            let count = (&self.tcp.stream).read(&mut self.buffer)?;
            self.alive = Instant::now();
            self.filled = 0..count;
            if self.lines {
                self.buffer[..count].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = 0);
            }
        }
        Ok(&self.buffer[self.filled.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.filled.start = self.filled.end.min(self.filled.start + count);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// How long anything may take before a test fails.
    pub(in crate::client) const WAIT: Duration = Duration::from_secs(10);

    /// A connection, and the server's end of its connection.
    pub(in crate::client) fn connected() -> (Arc<Tcp>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tcp = Tcp::new(address, WAIT, Some(0)).unwrap();
        tcp.connect(address, WAIT).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(WAIT)).unwrap();
        (Arc::new(tcp), peer)
    }

    #[test]
    fn a_finished_link_ends_what_it_sends_and_still_hears() {
        let (tcp, mut peer) = connected();
        tcp.write(b"last").unwrap();
        tcp.finish();
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"last");
        peer.write_all(b"answer").unwrap();
        let mut buffer = [0; 9];
        assert_eq!(tcp.read_by(&mut buffer, Instant::now() + WAIT).unwrap(), 6);
    }

    #[test]
    fn an_aborted_link_neither_hears_nor_speaks() {
        let (tcp, _peer) = connected();
        tcp.abort();
        assert_eq!(tcp.read_by(&mut [0; 9], Instant::now() + WAIT).unwrap(), 0);
        assert!(matches!(tcp.write(b"x"), Err(Error::Lost { .. })));
    }

    #[test]
    fn a_closed_link_reads_all_that_the_server_still_sends() {
        let (tcp, mut peer) = connected();
        let server = thread::spawn(move || {
            assert_eq!(peer.read(&mut [0; 9]).unwrap(), 0, "the client has finished");
            peer.write_all(&vec![b'x'; 100_000]).unwrap();
        });
        tcp.linger();
        server.join().unwrap();
        assert_eq!(tcp.read_by(&mut [0; 9], Instant::now() + WAIT).unwrap(), 0, "nothing is left unread");
    }

    #[test]
    fn a_deadline_that_has_passed_is_temporary_and_loses_nothing() {
        let (tcp, mut peer) = connected();
        peer.write_all(b"x").unwrap();
        let error = tcp.read_by(&mut [0; 9], Instant::now()).unwrap_err();
        assert!(is_temporary(&error), "{error}");
        assert!(!is_temporary(&io::ErrorKind::ConnectionReset.into()));
        assert_eq!(tcp.read_by(&mut [0; 9], Instant::now() + WAIT).unwrap(), 1);
        assert!(matches!(tcp.write_by(b"x", Instant::now()), Err(Error::SendTimeout { .. })));
        assert!(tcp.failure().is_some(), "a frame that was not taken ends the connection");
    }

    #[test]
    fn a_call_is_made_until_no_signal_interrupts_it() {
        let mut outcomes = vec![Ok(7), Err(io::ErrorKind::Interrupted), Err(io::ErrorKind::Interrupted)];
        assert_eq!(uninterrupted(|| outcomes.pop().unwrap().map_err(io::Error::from)).unwrap(), 7);
        let mut outcomes = vec![Err::<(), _>(io::ErrorKind::WouldBlock)];
        let error = uninterrupted(|| outcomes.pop().unwrap().map_err(io::Error::from)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    impl Source {
        /// With another limit on silence than its reads have: none takes long to be over.
        pub(in crate::client) fn with_idle_max(self, idle_max: Option<Duration>) -> Source {
            Source { idle_max, ..self }
        }
    }

    #[test]
    fn a_source_gives_what_came_and_is_idle_only_after_its_time() {
        let (tcp, mut peer) = connected();
        peer.write_all(b"a\nb").unwrap();
        let mut source = Source::new(Arc::clone(&tcp), true, None).unwrap();
        let mut heard = [0; 3];
        source.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"a\0b");
        assert!(!source.is_idle(), "without a limit it never is");
        assert!(!Source::new(Arc::clone(&tcp), true, Some(WAIT)).unwrap().is_idle());
        assert!(source.with_idle_max(Some(Duration::ZERO)).is_idle());
    }
}
