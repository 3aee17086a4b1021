//! Defines [`Intake`], the byte stream that a client's thread cuts into frames: bytes that were read already, then the
//! link's, decoded where the client's framing is not XMLSocket's own.
//!
//! Knows: the deadline of what has begun, the link. Must not know: what a frame holds, where it ends, which framing it is.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::closing::CloseReason;
use super::decoding::Decoding;
use super::framing::Encoder;
use super::link::Link;
use super::outbox::Outbox;

/// The bytes of a client, as its thread reads them.
pub(super) struct Intake {
    link: Arc<Link>,
    /// Bytes that were read before: while sniffing, into a smaller buffer, or decoded. Given out first.
    earlier: Vec<u8>,
    /// How many of them have been given out.
    given: usize,
    /// What decodes the link's bytes; `None` where they are given out as they are.
    decoding: Option<Box<Decoding>>,
    frame_timeout: Option<Duration>,
    /// How long the peer has been waited for to end the frame that it has begun; `None` between frames. Time in which
    /// this server was busy, or paused on purpose, is not the peer's and does not count.
    waited: Option<Duration>,
    /// Whether the socket has a read timeout set.
    timed: bool,
    /// Whether the last read filled the whole buffer: more is likely to wait.
    pub(super) filled: bool,
}

impl Intake {
    /// The stream of `link` after the bytes `first`, which began to arrive at `begun`.
    pub(super) fn new(
        link: Arc<Link>,
        first: Vec<u8>,
        mut decoding: Option<Box<Decoding>>,
        frame_timeout: Option<Duration>,
        begun: Instant,
    ) -> Intake {
        let (earlier, waited) = match &mut decoding {
            Some(decoding) => {
                decoding.feed(&first, Duration::ZERO);
                (Vec::new(), None)
            }
            None => {
                let waited = (!first.is_empty()).then(|| begun.elapsed());
                (first, waited)
            }
        };
        Intake { link, earlier, given: 0, decoding, frame_timeout, waited, timed: true, filled: false }
    }

    /// The same stream, continued after `unread`, which a buffer in front of it holds.
    pub(super) fn resume(&mut self, unread: &[u8]) -> Intake {
        let mut earlier = unread.to_vec();
        earlier.extend_from_slice(&self.earlier[self.given..]);
        Intake { link: Arc::clone(&self.link), earlier, given: 0, decoding: self.decoding.take(), ..*self }
    }

    /// Sets how long a frame may take from here on.
    pub(super) fn set_frame_timeout(&mut self, frame_timeout: Option<Duration>) {
        self.frame_timeout = frame_timeout;
    }

    /// A frame has begun: from now on what is waited for counts.
    pub(super) fn begin_frame(&mut self) {
        self.waited.get_or_insert(Duration::ZERO);
    }

    /// The frame has ended.
    pub(super) fn end_frame(&mut self) {
        self.waited = None;
    }

    /// What ended the stream from within; `None` where the link ended, or nothing has.
    pub(super) fn ended(&self) -> Option<CloseReason> {
        self.decoding.as_ref()?.ended()
    }

    /// What is to write to the client, if its bytes have told that before there was an outbox.
    pub(super) fn take_encoder(&mut self) -> Option<Arc<dyn Encoder>> {
        self.decoding.as_mut()?.take_encoder()
    }

    /// From here on the client is answered by its outbox.
    pub(super) fn answer_by(&mut self, outbox: &Arc<Outbox>) {
        if let Some(decoding) = &mut self.decoding {
            decoding.answer_by(outbox);
        }
    }

    /// How long the peer has been waited for to end what it has begun, if anything.
    fn waited(&self) -> Option<Duration> {
        self.waited.max(self.decoding.as_ref().and_then(|decoding| decoding.waited()))
    }

    /// Sets the time that the next read may wait: for what has begun, or for ever.
    fn arm(&mut self) -> io::Result<()> {
        let waited = self.waited();
        if waited.is_some() && !self.filled {
            self.link.acknowledge();
        }
        match (waited, self.frame_timeout) {
            (Some(waited), Some(frame_timeout)) => {
                let left = frame_timeout.saturating_sub(waited);
                if left.is_zero() {
                    return Err(ErrorKind::TimedOut.into());
                }
                self.timed = true;
                // The system counts in microseconds and takes zero for "for ever".
                self.link.set_read_timeout(Some(left.max(Duration::from_millis(1))))
            }
            _ if self.timed => {
                self.timed = false;
                self.link.set_read_timeout(None)
            }
            _ => Ok(()),
        }
    }

    /// Gives out what was read before.
    fn give(&mut self, out: &mut [u8]) -> usize {
        let count = (self.earlier.len() - self.given).min(out.len());
        out[..count].copy_from_slice(&self.earlier[self.given..][..count]);
        self.given += count;
        if self.given == self.earlier.len() {
            (self.earlier, self.given) = (Vec::new(), 0);
        }
        count
    }
}

impl Read for Intake {
    /// Reads what is there. `TimedOut` is the deadline of what has begun; the end of the stream is also what a dead link
    /// gives.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.given < self.earlier.len() {
                return Ok(self.give(out));
            }
            if self.link.is_dead() {
                return Ok(0);
            }
            if let Some(decoding) = &mut self.decoding {
                if decoding.step(&self.link, &mut self.earlier) {
                    continue;
                }
                if decoding.ended().is_some() {
                    return Ok(0);
                }
            }
            self.arm()?;
            let asked = Instant::now();
            let read = self.link.read(out);
            let took = asked.elapsed();
            self.waited = self.waited.map(|before| before + took);
            match read {
                Ok(count) => {
                    self.filled = count == out.len();
                    self.link.touch();
                    match &mut self.decoding {
                        Some(decoding) if count > 0 => decoding.feed(&out[..count], took),
                        _ => return Ok(count),
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Some(decoding) = &mut self.decoding {
                        decoding.feed(&[], took);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_ends_in_time_leaves_no_deadline_behind() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let link = Arc::new(Link::new(server.try_clone().unwrap()));
        let mut intake = Intake::new(link, Vec::new(), None, Some(Duration::from_secs(10)), Instant::now());
        let mut read = |intake: &mut Intake| {
            client.write_all(b"x").unwrap();
            assert_eq!(intake.read(&mut [0]).unwrap(), 1);
            server.read_timeout().unwrap().is_some()
        };
        assert!(!read(&mut intake), "nothing has begun");
        intake.begin_frame();
        assert!(read(&mut intake));
        intake.end_frame();
        assert!(!read(&mut intake));
    }

    #[test]
    fn a_stream_goes_on_where_it_was_whatever_was_read_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let link = Arc::new(Link::new(listener.accept().unwrap().0));
        let mut intake = Intake::new(link, b"abcdef".to_vec(), None, Some(Duration::from_secs(10)), Instant::now());
        let mut bytes = [0; 2];
        assert_eq!((intake.read(&mut bytes).unwrap(), bytes), (2, *b"ab"));
        let mut intake = intake.resume(b"b");
        client.write_all(b"g").unwrap();
        let mut bytes = [0; 6];
        intake.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, *b"bcdefg");
    }
}
