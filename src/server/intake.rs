//! Defines [`Intake`], the byte stream that a client's thread reads: bytes that were read already, then the link's,
//! unwrapped where frames travel in another protocol's messages.
//!
//! Knows: the deadline of a frame that has begun, the newline form. Must not know: what a frame holds.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::Link;
use super::listener::Framing;
use super::service::CloseReason;
use super::upgraded::Upgraded;
use crate::wire::NUL;

/// The bytes of a client, as its thread reads them.
pub(super) struct Intake {
    link: Arc<Link>,
    /// Bytes that were read before: while sniffing, into a smaller buffer, or unwrapped. Given out first.
    earlier: Vec<u8>,
    /// How many of them have been given out.
    given: usize,
    /// What unwraps the link's bytes; `None` where frames travel as they are.
    upgraded: Option<Box<Upgraded>>,
    framing: Framing,
    frame_timeout: Option<Duration>,
    /// How long the peer has been waited for to end the frame that it has begun; `None` between frames. Time in which
    /// this server was busy, or paused on purpose, is not the peer's and does not count.
    waited: Option<Duration>,
    /// Whether the socket has a read timeout set.
    timed: bool,
    /// Whether the last read filled the whole buffer: more is likely to wait.
    pub(super) filled: bool,
    /// The first byte that ended a frame: what the client takes for the end of a frame.
    pub(super) first_end: Option<u8>,
}

impl Intake {
    /// The stream of `link`, after the bytes `earlier`, which began to arrive at `begun`.
    pub(super) fn new(
        link: Arc<Link>,
        mut earlier: Vec<u8>,
        framing: Framing,
        frame_timeout: Option<Duration>,
        begun: Instant,
    ) -> Intake {
        let mut intake = Intake {
            link,
            earlier: Vec::new(),
            given: 0,
            upgraded: None,
            framing,
            frame_timeout,
            waited: (!earlier.is_empty()).then_some(Duration::ZERO),
            timed: true,
            filled: false,
            first_end: None,
        };
        intake.scan(&mut earlier, begun.elapsed());
        intake.earlier = earlier;
        intake
    }

    /// The stream of `link` unwrapped by `upgraded`, of which the bytes `unread` have been read.
    pub(super) fn upgraded(
        link: Arc<Link>,
        unread: &[u8],
        upgraded: Upgraded,
        frame_timeout: Option<Duration>,
    ) -> Intake {
        let mut intake = Intake::new(link, Vec::new(), Framing::Nul, frame_timeout, Instant::now());
        intake.upgraded = Some(Box::new(upgraded));
        intake.unwrap_messages(unread, Duration::ZERO);
        intake
    }

    /// The same stream, continued after `unread`, which a buffer in front of it holds.
    pub(super) fn resume(&mut self, unread: &[u8]) -> Intake {
        let mut earlier = unread.to_vec();
        earlier.extend_from_slice(&self.earlier[self.given..]);
        Intake { link: Arc::clone(&self.link), earlier, given: 0, upgraded: self.upgraded.take(), ..*self }
    }

    /// What ended the stream from within; `None` where the link ended, or nothing has.
    pub(super) fn ended(&self) -> Option<CloseReason> {
        self.upgraded.as_ref()?.ended()
    }

    /// Unwraps `bytes`, which the link gave after `waited`, into `earlier`, which is empty.
    fn unwrap_messages(&mut self, bytes: &[u8], waited: Duration) {
        let Some(upgraded) = &mut self.upgraded else { return };
        let mut frames = upgraded.unwrap_messages(bytes, &self.link, waited);
        self.scan(&mut frames, waited);
        self.earlier = frames;
        self.given = 0;
    }

    /// Notes whether `bytes` leave a frame open, and turns newlines into zero bytes where they end a frame.
    /// They took `waited` to come.
    fn scan(&mut self, bytes: &mut [u8], waited: Duration) {
        let line = self.framing == Framing::Line;
        let is_end = |byte: &u8| *byte == NUL || line && *byte == b'\n';
        if self.first_end.is_none() {
            self.first_end = bytes.iter().copied().find(|byte| is_end(byte));
        }
        match bytes.iter().rposition(is_end) {
            Some(end) if end + 1 == bytes.len() => self.waited = None,
            Some(_) => self.waited = Some(Duration::ZERO),
            None if bytes.is_empty() => self.waited = self.waited.map(|before| before + waited),
            None => self.waited = Some(self.waited.map_or(Duration::ZERO, |before| before + waited)),
        }
        if line {
            bytes.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = NUL);
        }
    }

    /// Sets the time that the next read may wait: for the frame that has begun, or for ever.
    fn arm(&mut self) -> io::Result<()> {
        let message_waited = self.upgraded.as_ref().and_then(|upgraded| upgraded.waited);
        match (self.waited.max(message_waited), self.frame_timeout) {
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
}

impl Read for Intake {
    /// Reads what is there. `TimedOut` is the frame's deadline; the end of the stream is also what a dead link gives.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.given < self.earlier.len() {
                let count = (self.earlier.len() - self.given).min(out.len());
                out[..count].copy_from_slice(&self.earlier[self.given..][..count]);
                self.given += count;
                if self.given == self.earlier.len() {
                    (self.earlier, self.given) = (Vec::new(), 0);
                }
                return Ok(count);
            }
            if self.link.is_dead() || self.upgraded.as_ref().is_some_and(|upgraded| upgraded.has_ended()) {
                return Ok(0);
            }
            self.arm()?;
            let asked = Instant::now();
            match self.link.read(out) {
                Ok(count) => {
                    self.filled = count == out.len();
                    self.link.touch();
                    if self.upgraded.is_none() || count == 0 {
                        self.scan(&mut out[..count], asked.elapsed());
                        return Ok(count);
                    }
                    self.unwrap_messages(&out[..count], asked.elapsed());
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    self.waited = self.waited.map(|before| before + asked.elapsed());
                    if let Some(upgraded) = &mut self.upgraded {
                        upgraded.waited = upgraded.waited.map(|before| before + asked.elapsed());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}
