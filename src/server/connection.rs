//! A client's thread: it finds out what the client speaks, then reads frames, parses them, and tells the dispatcher.
//!
//! Until the application knows the connection, this thread writes (policy files, refusals); afterwards only the
//! outbox does.
//!
//! Knows: the link, the wire, the limits of reading. Must not know: what any element means to the application.

use std::io::{BufReader, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use log::{debug, info};

use super::event::{Budget, Event, Opened};
use super::flood::{Bucket, Flooding};
use super::intake::Intake;
use super::link::Link;
use super::listener::{Flood, Frames, Framing, ListenerSettings};
use super::outbox::{Envelope, Outbox};
use super::refusal;
use super::seats::NoSeat;
use super::service::{CloseReason, ConnectionId, Message, Peer};
use super::shutdown::Shared;
use super::sniff::{REQUEST_LINE_BYTES_MAX, Speaks, speaks};
use crate::policy::is_request;
use crate::wire::{Document, Element, Frame, FrameError, FrameReader, Limits, ParseError, write_frame};

/// Bytes of the buffer that a connection begins with: most clients say little. A buffer that was filled by one read
/// becomes four times as large.
const BUFFER_BYTES: usize = 256;

/// Bytes read at a time until it is known what a connection speaks: enough for that, and little for who is silent.
const FIRST_BYTES: usize = 64;

/// Bytes of the buffer of a connection that always has more to say.
const BUSY_BUFFER_BYTES: usize = 16 * 1_024;

/// How long a peer has to take what this thread writes, and to close after it was told why.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// How long a refused connection has to show what it speaks before it is told in XML.
const REFUSED_SNIFF: Duration = Duration::from_millis(250);

/// The longest that this thread sleeps before it looks whether it must end.
const NAP: Duration = Duration::from_millis(50);

/// The deadline of a policy port, where silence is not a listener's patience.
const POLICY_PORT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection on its thread.
pub(super) struct Connection {
    id: ConnectionId,
    settings: Arc<ListenerSettings>,
    shared: Arc<Shared>,
    limits: Arc<Limits>,
    link: Arc<Link>,
    peer: Peer,
    /// How frames are wrapped on their way to the client, as far as that is known.
    envelope: Envelope,
    /// Set once the application knows of the connection.
    outbox: Option<Arc<Outbox>>,
}

/// Runs a connection from its first byte to its last. Never panics on what a peer sends; if it did, the connection
/// would end like any other.
///
/// A thread's stack takes memory by the page. What a client's thread needs while it waits and while it parses an
/// ordinary document fits into the two pages that it touches anyway, beside the system's own data: connections travel
/// in a box, and what is rarely done stays in functions of its own.
pub(super) fn run(mut connection: Box<Connection>) {
    let reason = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| connection.converse()));
    connection.part(reason.unwrap_or_else(|_| Box::new(CloseReason::Panicked)));
}

/// Tells a connection that gets no seat why, in what it speaks.
pub(super) fn refuse(settings: &ListenerSettings, link: &Link, no_seat: NoSeat) {
    let mut first = [0; 256];
    let _ = link.set_read_timeout(Some(REFUSED_SNIFF));
    let length = link.read(&mut first).unwrap_or(0);
    match speaks(&first[..length]) {
        Some(Speaks::Tls) => return,
        Some(Speaks::Http) => {
            let _ = link.send_all(&refusal::http_unavailable(no_seat.text()), LINGER);
        }
        Some(Speaks::Frames) | None if settings.frames == Frames::Xml && !settings.policy_only => {
            let error = Element::new("error").attribute("code", no_seat.code()).text(no_seat.text());
            let mut bytes = Vec::new();
            write_frame(&error, &mut bytes);
            let _ = link.send_all(&bytes, LINGER);
        }
        _ => return,
    }
    link.finish();
    linger(link);
}

impl Connection {
    pub(super) fn new(
        id: ConnectionId,
        listener: usize,
        settings: Arc<ListenerSettings>,
        shared: Arc<Shared>,
        limits: Arc<Limits>,
        link: Arc<Link>,
        address: SocketAddr,
    ) -> Connection {
        let local = link.local_addr().unwrap_or(address);
        let peer = Peer::new(address, local, listener, Instant::now());
        let envelope = match settings.framing {
            Framing::Nul => Envelope::Nul,
            Framing::Line => Envelope::Line,
        };
        Connection { id, settings, shared, limits, link, peer, envelope, outbox: None }
    }

    /// Finds out what the peer speaks and does that. The result is why it ended.
    #[inline(never)]
    fn converse(&mut self) -> Box<CloseReason> {
        let mut first = Vec::new();
        match self.sniff(&mut first) {
            Ok((Speaks::Frames, begun)) => self.read_frames(first, begun),
            Ok((Speaks::Http, _)) => self.answer_http(&first),
            Ok((Speaks::Tls, _)) => {
                info!("{} from {} sent a TLS handshake to a plain port: closed", self.id, self.peer.address);
                Box::new(CloseReason::NotXmlSocket("a TLS handshake"))
            }
            Err(reason) => reason,
        }
    }

    /// Reads into `first` until it is clear what the peer speaks, and since when.
    #[inline(never)]
    fn sniff(&mut self, first: &mut Vec<u8>) -> Result<(Speaks, Instant), Box<CloseReason>> {
        let begun = self.wait_for_first_byte(first)?;
        let line = self.settings.framing == Framing::Line;
        let timeout = self.frame_timeout();
        loop {
            let ended = line && first.contains(&b'\n') && first.len() < REQUEST_LINE_BYTES_MAX;
            match speaks(first) {
                Some(what) => return Ok((what, begun)),
                None if ended => return Ok((Speaks::Frames, begun)),
                None => {}
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Box::new(CloseReason::FrameTimeout { zero_byte_missing: false }));
            }
            match self.read_some(first, left) {
                Ok(0) => return Err(Box::new(CloseReason::ByPeer)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(Box::new(CloseReason::Lost(error.to_string()))),
            }
        }
    }

    /// The time from a frame's first byte to its end.
    fn frame_timeout(&self) -> Option<Duration> {
        Limits::bound(self.limits.frame_seconds_max).map(Duration::from_secs)
    }

    /// Waits for the first byte as long as it takes; makes the connection known when it is silent for long enough.
    #[inline(never)]
    fn wait_for_first_byte(&mut self, first: &mut Vec<u8>) -> Result<Instant, Box<CloseReason>> {
        let patience = match (&self.settings.policy, self.limits.announce_seconds) {
            _ if self.settings.policy_only => Some(POLICY_PORT_TIMEOUT),
            (Some(_), seconds @ 1..) => Some(Duration::from_secs(seconds)),
            _ => {
                self.announce();
                None
            }
        };
        let mut timeout = patience;
        loop {
            match self.read_some(first, timeout) {
                Ok(0) => return Err(Box::new(CloseReason::ByPeer)),
                Ok(_) => return Ok(Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.settings.policy_only => {
                    return Err(Box::new(CloseReason::FrameTimeout { zero_byte_missing: false }));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    timeout = None;
                    self.announce();
                }
                Err(error) => return Err(Box::new(CloseReason::Lost(error.to_string()))),
            }
        }
    }

    /// Reads what is there into `first`, waiting at most `timeout`.
    fn read_some(&self, first: &mut Vec<u8>, timeout: Option<Duration>) -> std::io::Result<usize> {
        self.link.set_read_timeout(timeout.map(|timeout| timeout.max(Duration::from_millis(1))))?;
        let length = first.len();
        first.resize(length + FIRST_BYTES, 0);
        let read = loop {
            match self.link.read(&mut first[length..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        first.truncate(length + read.as_ref().map_or(0, |read| *read));
        self.link.touch();
        read
    }

    /// Makes the connection known to the application.
    #[inline(never)]
    fn announce(&mut self) {
        if self.outbox.is_some() || self.settings.policy_only {
            return;
        }
        let bytes_max = self.limits.outbox_bytes_max as usize;
        let write_timeout = Limits::bound(self.limits.write_seconds_max).map(Duration::from_secs);
        let outbox = Arc::new(Outbox::new(Arc::clone(&self.link), self.envelope, bytes_max, write_timeout));
        self.outbox = Some(Arc::clone(&outbox));
        self.shared.observer.opened(self.id, &self.peer);
        let opened = Opened { id: self.id, peer: self.peer.clone(), outbox, settings: Arc::clone(&self.settings) };
        self.tell(Event::Opened(Box::new(opened)));
    }

    /// Reads frames until the connection ends.
    #[inline(never)]
    fn read_frames(&mut self, first: Vec<u8>, begun: Instant) -> Box<CloseReason> {
        let mut reading = self.begin_reading(first, begun);
        loop {
            if let Err(reason) = self.read_frame(&mut reading) {
                return reason;
            }
        }
    }

    #[inline(never)]
    fn begin_reading(&self, first: Vec<u8>, begun: Instant) -> Box<Reading> {
        let intake = Intake::new(Arc::clone(&self.link), first, self.settings.framing, self.frame_timeout(), begun);
        let buffer = BufReader::with_capacity(BUFFER_BYTES, intake);
        let reader = FrameReader::new(buffer, self.limits.frame_bytes_max as usize);
        Box::new(Reading { reader, flooding: Flooding::new(&self.limits), is_first: true })
    }

    /// Reads one frame and hands it on.
    fn read_frame(&mut self, reading: &mut Reading) -> Result<(), Box<CloseReason>> {
        let frame = match reading.reader.read() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(Box::new(CloseReason::ByPeer)),
            Err(error) => return Err(read_failed(error, reading.reader.partial(), self.nodes_max())),
        };
        if !self.link.is_open() {
            return Err(Box::new(CloseReason::ByPeer));
        }
        self.shared.observer.frame_in(self.id, frame.bytes());
        let is_first = std::mem::take(&mut reading.is_first);
        if is_first {
            self.settle_envelope(reading.reader.reader().get_ref());
        }
        if self.settings.policy.is_some() && is_request(&frame) {
            return Err(self.answer_policy_request());
        }
        if is_first {
            self.meet()?;
        }
        self.deliver(frame, &mut reading.flooding)?;
        grow(&mut reading.reader);
        Ok(())
    }

    /// Makes the connection known for its first frame, which is no policy request.
    #[inline(never)]
    fn meet(&mut self) -> Result<(), Box<CloseReason>> {
        if self.settings.policy_only {
            return Err(Box::new(CloseReason::NotXmlSocket("no policy request")));
        }
        self.announce();
        Ok(())
    }

    /// On a listener that takes newlines, too, a client is answered with what it ends its own frames with.
    #[inline(never)]
    fn settle_envelope(&mut self, intake: &Intake) {
        if self.settings.framing == Framing::Line && intake.first_end == Some(crate::wire::NUL) {
            self.envelope = Envelope::Nul;
            if let Some(outbox) = &self.outbox {
                outbox.set_envelope(Envelope::Nul);
            }
        }
    }

    /// Hands a frame to the dispatcher, parsed if the listener parses; refuses it if it comes too fast or is no XML.
    fn deliver(&self, frame: Frame, flooding: &mut Flooding) -> Result<(), Box<CloseReason>> {
        let frame = match self.settings.framing {
            Framing::Line => refusal::without_carriage_return(frame),
            Framing::Nul => frame,
        };
        if !self.admit(&frame, flooding)? {
            return Ok(());
        }
        let cost = Budget::cost(frame.len());
        let message = match self.settings.frames {
            Frames::Any => Message::Frame(frame),
            // An empty frame is a sign of life and nothing else.
            Frames::Xml if frame.is_empty() => return Ok(()),
            Frames::Xml => match Document::parse(frame, self.nodes_max()) {
                Ok(document) => Message::Document(document),
                Err((_, error)) => {
                    self.reply(&error);
                    return Ok(());
                }
            },
        };
        if !self.shared.budget.take(cost) {
            return Err(Box::new(CloseReason::Shutdown));
        }
        self.tell(Event::Message { id: self.id, message, cost });
        Ok(())
    }

    /// Whether a frame does not come too fast. Refuses it if it does, or waits until it does not.
    #[inline(never)]
    fn admit(&self, frame: &Frame, flooding: &mut Flooding) -> Result<bool, Box<CloseReason>> {
        let cost = Bucket::cost(frame.len());
        while let Err(wait) = flooding.bucket.take(cost, Instant::now()) {
            match self.settings.flood {
                // A refusal without a word would be a loss without a word.
                Flood::Refuse if self.settings.frames == Frames::Any => thread::sleep(wait.min(NAP)),
                Flood::Refuse if flooding.is_over() => return Err(Box::new(CloseReason::TooFast)),
                Flood::Refuse => {
                    let answer = refusal::too_fast(frame, wait).to_frame();
                    self.tell(Event::Reply { id: self.id, frame: answer, then_close: None });
                    return Ok(false);
                }
                Flood::Pause => thread::sleep(wait.min(NAP)),
            }
            if !self.link.is_open() {
                return Err(Box::new(CloseReason::ByPeer));
            }
        }
        Ok(true)
    }

    fn nodes_max(&self) -> u32 {
        self.limits.nodes_max.min(u64::from(u32::MAX)) as u32
    }

    /// Answers a frame that is no document; the application does not get it.
    #[inline(never)]
    fn reply(&self, error: &ParseError) {
        let answer = refusal::not_a_document(error).to_frame();
        self.tell(Event::Reply { id: self.id, frame: answer, then_close: None });
    }

    /// Serves the policy file and ends the connection.
    #[inline(never)]
    fn answer_policy_request(&self) -> Box<CloseReason> {
        let Some(policy) = &self.settings.policy else { return Box::new(CloseReason::ByPeer) };
        let local = self.peer.local_address;
        let (mut file, _) = policy(local).restricted_to_serving_port(local.port());
        if !self.settings.policy_only {
            // A meta-policy belongs into the master policy file; Lightspark rejects a file from elsewhere that has one.
            file.site_control = None;
        }
        debug!("{} from {} asked for the policy file", self.id, self.peer.address);
        let frame = file.to_element().to_frame();
        if self.outbox.is_some() {
            self.tell(Event::Reply { id: self.id, frame, then_close: Some(CloseReason::PolicyServed) });
        } else {
            self.shared.observer.frame_out(self.id, frame.bytes());
            let mut bytes = Vec::new();
            write_frame(&frame, &mut bytes);
            let _ = self.link.send_all(&bytes, LINGER);
        }
        Box::new(CloseReason::PolicyServed)
    }

    /// Refuses an HTTP request in its own words. If the application knows the connection, it forgets it first.
    #[inline(never)]
    fn answer_http(&mut self, first: &[u8]) -> Box<CloseReason> {
        const REASON: CloseReason = CloseReason::NotXmlSocket("an HTTP request");
        if self.outbox.is_some() {
            let (answer, withdrawn) = bounded(1);
            self.tell(Event::Withdraw(self.id, answer));
            if !withdrawn.recv().unwrap_or(false) {
                return Box::new(REASON);
            }
            self.outbox = None;
        }
        debug!("{} from {} sent an HTTP request", self.id, self.peer.address);
        let _ = self.link.send_all(refusal::http(first), LINGER);
        Box::new(REASON)
    }

    /// Ends the connection: by the outbox when the application knows it, else here.
    #[inline(never)]
    fn part(&self, reason: Box<CloseReason>) {
        // What the server decided counts for more than the end of the stream that followed from it.
        let reason = self.link.killed().map_or(reason, Box::new);
        let by_peer = matches!(*reason, CloseReason::ByPeer | CloseReason::Lost(_) | CloseReason::Shutdown);
        // Closing with bytes unread would make the system throw away what the peer was to get last. There are none
        // when the end of the stream is why we are here, and none that matter when the link is dead.
        let ended = self.link.is_dead() || by_peer && self.link.is_open();
        if self.outbox.is_some() {
            self.tell(Event::Closed { id: self.id, reason, ended });
            if !ended {
                linger(&self.link);
                self.tell(Event::Closed { id: self.id, reason: Box::new(CloseReason::ByPeer), ended: true });
            }
        } else {
            if !by_peer {
                debug!("{} from {} closed: {reason}", self.id, self.peer.address);
            }
            if self.settings.frames == Frames::Xml
                && !self.settings.policy_only
                && let Some(farewell) = reason.farewell()
            {
                let mut bytes = Vec::new();
                write_frame(&farewell, &mut bytes);
                let _ = self.link.send_all(&bytes, LINGER);
            }
            self.link.finish();
            if !ended {
                linger(&self.link);
            }
        }
    }

    fn tell(&self, event: Event) {
        // The dispatcher is gone only when the server stops, and then nothing matters any more.
        let _ = self.shared.inbox.send(event);
    }
}

/// What reading frames needs to remember. Lies on the heap, not on the thread's stack.
struct Reading {
    reader: FrameReader<BufReader<Intake>>,
    flooding: Flooding,
    /// Whether the next frame is the connection's first.
    is_first: bool,
}

/// Gives a busy connection a larger buffer.
#[inline(never)]
fn grow(reader: &mut FrameReader<BufReader<Intake>>) {
    let buffer = reader.reader_mut();
    if buffer.get_ref().filled && buffer.capacity() < BUSY_BUFFER_BYTES {
        let capacity = buffer.capacity() * 4;
        let unread = buffer.buffer().to_vec();
        let intake = buffer.get_mut().resume(&unread);
        *buffer = BufReader::with_capacity(capacity, intake);
    }
}

/// Why reading ended, from the error and the frame that had begun.
#[inline(never)]
fn read_failed(error: FrameError, partial: &[u8], nodes_max: u32) -> Box<CloseReason> {
    Box::new(match error {
        FrameError::TooLong { frame_bytes_max } => CloseReason::FrameTooLong { frame_bytes_max },
        // The system says `TimedOut`, too, when the network is gone; that has an error number.
        FrameError::Io(error) if error.kind() == ErrorKind::TimedOut && error.raw_os_error().is_none() => {
            let complete = partial.ends_with(b"\n")
                && Frame::new(partial).is_ok_and(|frame| Document::parse(frame, nodes_max).is_ok());
            CloseReason::FrameTimeout { zero_byte_missing: complete }
        }
        FrameError::Io(error) => CloseReason::Lost(error.to_string()),
    })
}

/// Reads and drops what a peer that was told to go still sends, for a short time.
#[inline(never)]
fn linger(link: &Link) {
    let deadline = Instant::now() + LINGER;
    let mut scrap = [0; 512];
    while !link.is_dead() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || link.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match link.read(&mut scrap) {
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_network_that_is_gone_is_not_a_frame_that_was_not_ended() {
        let because = |error: io::Error, partial: &[u8]| *read_failed(FrameError::Io(error), partial, 100);
        let deadline = || io::Error::from(ErrorKind::TimedOut);
        let lost = || io::Error::from(rustix::io::Errno::TIMEDOUT);
        assert_eq!(lost().kind(), ErrorKind::TimedOut);
        assert!(matches!(because(lost(), b"<a/>\n"), CloseReason::Lost(_)));
        assert_eq!(because(deadline(), b"<a/>\n"), CloseReason::FrameTimeout { zero_byte_missing: true });
        assert_eq!(because(deadline(), b"<a/>"), CloseReason::FrameTimeout { zero_byte_missing: false });
        assert_eq!(because(deadline(), b"<a>\n"), CloseReason::FrameTimeout { zero_byte_missing: false });
        assert_eq!(because(deadline(), b""), CloseReason::FrameTimeout { zero_byte_missing: false });
    }
}
