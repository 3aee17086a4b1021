//! A client's thread: it finds out what the client speaks, then reads frames, parses them, and tells the dispatcher.
//!
//! Until the application knows the connection, this thread writes (policy files, refusals); afterwards only the
//! outbox does.
//!
//! Knows: the link, the wire, the limits of reading. Must not know: what any element means to the application.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, info};

use super::arrival::accounts::Account;
use super::arrival::first_bytes::FirstBytes;
use super::arrival::held::Arrival;
use super::arrival::sniff::Speaks;
use super::budget::Cost;
use super::closing::CloseReason;
use super::closing::linger::{linger, send_frame};
use super::closing::refusal;
use super::decoding::Decoding;
use super::event::{Event, Opened};
use super::flood::Flooding;
use super::framing::{Decoder, Encoder, nul};
use super::intake::Intake;
use super::link::Link;
use super::outbox::{Outbox, Pushed};
use super::peer::{ConnectionId, Peer};
use super::service::Message;
use super::settings::{Flood, Frames, ListenerSettings};
use super::shared::Shared;
use crate::policy::is_request;
use crate::wire::{Document, Frame, FrameError, FrameReader, Limits, ParseError};

// What is it?
mod arrival;

/// Bytes of the buffer that a connection begins with: most clients say little. A buffer that was filled by one read
/// becomes four times as large.
const BUFFER_BYTES: usize = 128;

/// Bytes of the buffer of a connection that always has more to say.
const BUSY_BUFFER_BYTES: usize = 16 * 1_024;

/// The longest that this thread sleeps before it looks whether it must end.
const NAP: Duration = Duration::from_millis(50);

/// A connection on its thread.
pub(super) struct Connection {
    id: ConnectionId,
    settings: Arc<ListenerSettings>,
    shared: Arc<Shared>,
    limits: Arc<Limits>,
    link: Arc<Link>,
    peer: Peer,
    /// Whether the connection is from a proxy that is believed and has not said yet for whom it speaks.
    by_proxy: bool,
    /// What writes to the client, as far as that is known.
    encoder: Arc<dyn Encoder>,
    /// Holds what everybody gets until the application knows of the connection; none where it never will.
    arrival: Option<Arrival>,
    /// Set once the application knows of the connection.
    outbox: Option<Arc<Outbox>>,
}

/// Runs a connection from its first byte to its last. Never panics on what a peer sends; if it did, the connection
/// would end like any other.
///
/// A thread's stack takes memory by the page. What a client's thread needs while it waits and while it parses an
/// ordinary document fits into the two pages that it touches anyway, beside the system's own data: connections travel
/// in a box, and what is rarely done stays in functions of its own.
pub(super) fn run(connection: &mut Connection) {
    let reason = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| connection.converse()));
    connection.part(reason.unwrap_or_else(|_| Box::new(CloseReason::Panicked)));
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
        let by_proxy = settings.is_proxy(address.ip());
        let encoder = settings.encoder();
        let arrives = !settings.policy_only;
        let arrival = arrives.then(|| shared.arrivals[listener].arrive());
        Connection { id, settings, shared, limits, link, peer, by_proxy, encoder, arrival, outbox: None }
    }

    /// Finds out what the peer speaks and does that. The result is why it ended.
    #[inline(never)]
    fn converse(&mut self) -> Box<CloseReason> {
        let mut first = Vec::new();
        if self.by_proxy
            && let Err(reason) = self.read_proxy_header(&mut first)
        {
            return reason;
        }
        match self.sniff(&mut first) {
            Ok((Speaks::Frames, begun)) => {
                self.release();
                match self.begin_reading(first, begun) {
                    Ok(reading) => self.read_frames(reading),
                    Err(reason) => reason,
                }
            }
            Ok((Speaks::Http, _)) => self.answer_http(&first),
            Ok((Speaks::Tls, _)) => Box::new(CloseReason::NotXmlSocket("a TLS handshake")),
            Err(reason) => reason,
        }
    }

    /// The time from a frame's first byte to its end, as far as that is bounded.
    fn frame_timeout(&self) -> Option<Duration> {
        let bound = |seconds| Limits::bound(seconds).map(Duration::from_secs);
        bound(self.limits.frame_seconds_max).or_else(|| {
            // The limits of login and silence hold for whom the application knows. With none at all, whoever sent one byte
            // would stay for ever.
            let is_unknown = self.outbox.is_none() && self.settings.idle;
            let others = [self.limits.login_seconds_max, self.limits.idle_seconds_max];
            others.into_iter().filter(|_| is_unknown).filter_map(bound).min()
        })
    }

    /// Makes the connection known to the application; says what may be sent to it at first.
    #[inline(never)]
    fn announce(&mut self, first_bytes: FirstBytes) {
        let Some(arrival) = self.arrival.take() else { return };
        let outboxes = Arc::clone(&self.shared.outboxes);
        let write_timeout = Limits::bound(self.limits.write_seconds_max).map(Duration::from_secs);
        let (link, encoder) = (Arc::clone(&self.link), Arc::clone(&self.encoder));
        let outbox = Arc::new(Outbox::new(link, encoder, first_bytes, outboxes, write_timeout));
        self.outbox = Some(Arc::clone(&outbox));
        self.shared.observer.opened(self.id, &self.peer);
        let settings = Arc::clone(&self.settings);
        self.tell(Event::Opened(Box::new(Opened { id: self.id, peer: self.peer.clone(), outbox, settings, arrival })));
    }

    /// Lets leave what had to wait as long as the client might have been about to speak HTTP.
    #[inline(never)]
    fn release(&self) {
        if let Some(outbox) = &self.outbox
            && outbox.release() == Pushed::FellBehind
        {
            self.tell(Event::FellBehind(self.id, Arc::clone(outbox)));
        }
    }

    /// Reads frames until the connection ends.
    #[inline(never)]
    fn read_frames(&mut self, mut reading: Box<Reading>) -> Box<CloseReason> {
        loop {
            if let Err(reason) = self.read_frame(&mut reading) {
                return reason;
            }
        }
    }

    /// Prepares to read frames, of which the bytes `first` have come, since `begun`.
    #[inline(never)]
    fn begin_reading(&mut self, first: Vec<u8>, begun: Instant) -> Result<Box<Reading>, Box<CloseReason>> {
        let framing = self.settings.framing;
        let frame_bytes_max = self.limits.frame_bytes_max as usize;
        if let Some(opening) = framing.opening(frame_bytes_max, self.nodes_max()) {
            return self.open(opening, first, begun);
        }
        let decoding = framing.decoder().map(|decoder| self.decoding(decoder));
        let intake = Intake::new(Arc::clone(&self.link), first, decoding, self.frame_timeout(), begun);
        Ok(Reading::new(intake, &self.limits, self.link.account(), frame_bytes_max))
    }

    fn decoding(&self, decoder: Box<dyn Decoder>) -> Box<Decoding> {
        let mut decoding = Decoding::new(self.id, decoder, Arc::clone(&self.shared), &self.limits);
        if let Some(outbox) = &self.outbox {
            decoding.answer_by(outbox);
        }
        Box::new(decoding)
    }

    /// Reads one frame and hands it on.
    fn read_frame(&mut self, reading: &mut Reading) -> Result<(), Box<CloseReason>> {
        let frame = match reading.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(self.reading_ended(reading.reader.reader().get_ref())),
            Err(error) => return Err(read_failed(error, reading.reader.partial(), self.nodes_max())),
        };
        if !self.link.is_open() {
            return Err(Box::new(CloseReason::ByPeer));
        }
        self.shared.observer.frame_in(self.id, frame.bytes());
        if std::mem::take(&mut reading.is_first) {
            if self.asks_for_policy(&frame) {
                return Err(self.serve_policy());
            }
            self.meet(reading.reader.reader_mut().get_mut())?;
        }
        self.deliver(frame, &mut reading.flooding)?;
        grow(&mut reading.reader);
        Ok(())
    }

    /// Why nothing more can be read, other than for an error.
    #[inline(never)]
    fn reading_ended(&self, intake: &Intake) -> Box<CloseReason> {
        let ended = intake.ended();
        if ended.is_some() {
            // The conversation ended before the connection: what still follows is dropped while our goodbye is sent.
            self.link.stop_reading();
        }
        Box::new(ended.unwrap_or(CloseReason::ByPeer))
    }

    /// Makes the connection known for its first frame, which is no policy request.
    #[inline(never)]
    fn meet(&mut self, intake: &mut Intake) -> Result<(), Box<CloseReason>> {
        if self.settings.policy_only {
            return Err(Box::new(CloseReason::NotXmlSocket("no policy request")));
        }
        if let Some(encoder) = intake.take_encoder() {
            self.encoder = encoder;
        }
        self.announce(FirstBytes::Free);
        if let Some(outbox) = &self.outbox {
            intake.answer_by(outbox);
        }
        intake.set_frame_timeout(self.frame_timeout());
        Ok(())
    }

    /// Hands a frame to the dispatcher, parsed if the listener parses; refuses it if it comes too fast or is no XML.
    fn deliver(&self, frame: Frame, flooding: &mut Flooding) -> Result<(), Box<CloseReason>> {
        if !self.admit(&frame, flooding)? {
            return Ok(());
        }
        if self.asks_for_policy(&frame) {
            self.reply_with_policy();
            return Ok(());
        }
        let cost = match self.settings.frames {
            Frames::Any => Cost::of_text(frame.len()),
            // An empty frame is a sign of life and nothing else.
            Frames::Xml if frame.is_empty() => return Ok(()),
            Frames::Xml => Cost::of_document(Document::memory_bytes_max(&frame, self.nodes_max())),
        };
        // Before it is parsed: thousands of threads may wait here.
        if !self.shared.budget.take(cost) {
            return Err(Box::new(CloseReason::Shutdown));
        }
        let message = match self.settings.frames {
            Frames::Any => Message::Frame(frame),
            Frames::Xml => match Document::parse(frame, self.nodes_max()) {
                Ok(document) => Message::Document(document),
                Err((_, error)) => {
                    self.shared.budget.give_back(cost);
                    self.reply(&error);
                    return Ok(());
                }
            },
        };
        self.tell(Event::Message { id: self.id, message, cost });
        Ok(())
    }

    /// Whether a frame does not come too fast. Refuses it if it does, or waits until it does not.
    #[inline(never)]
    fn admit(&self, frame: &Frame, flooding: &mut Flooding) -> Result<bool, Box<CloseReason>> {
        while let Err(wait) = flooding.take(frame.len(), &self.link) {
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

    /// Whether a frame is a policy request, and such requests are answered here.
    fn asks_for_policy(&self, frame: &Frame) -> bool {
        self.settings.policy.is_some() && is_request(frame)
    }

    /// The policy file as this client is to get it.
    fn policy(&self) -> Option<Frame> {
        debug!("{} from {} asked for the policy file", self.id, self.peer.address);
        self.settings.policy_at(self.peer.local_address).map(|file| file.to_element().to_frame())
    }

    /// Answers a connection that began with a policy request, and ends it: a player asks on a connection of its own.
    #[inline(never)]
    fn serve_policy(&self) -> Box<CloseReason> {
        let Some(frame) = self.policy() else { return Box::new(CloseReason::ByPeer) };
        if self.outbox.is_some() {
            self.tell(Event::Reply { id: self.id, frame, then_close: Some(CloseReason::PolicyServed) });
        } else {
            self.say(&frame, &*nul::encoder());
        }
        Box::new(CloseReason::PolicyServed)
    }

    /// Answers a policy request in the middle of a conversation, which goes on.
    #[inline(never)]
    fn reply_with_policy(&self) {
        if let Some(frame) = self.policy() {
            self.tell(Event::Reply { id: self.id, frame, then_close: None });
        }
    }

    /// Ends the connection: by the outbox when the application knows it, else here.
    #[inline(never)]
    fn part(&mut self, reason: Box<CloseReason>) {
        self.arrival = None;
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
            let served = matches!(*reason, CloseReason::PolicyServed | CloseReason::HttpAnswered);
            let refused = self.link.is_refused() || *reason == CloseReason::AddressFull;
            if !by_peer && !served && !refused {
                info!("{} from {} closed: {reason}", self.id, self.peer.address);
            }
            if self.settings.frames == Frames::Xml
                && !self.settings.policy_only
                && !refused
                && let Some(farewell) = self.settings.framing.farewell(&reason)
            {
                self.say(&farewell.to_frame(), &*self.encoder);
            }
            self.link.finish();
            if !ended {
                linger(&self.link);
            }
        }
    }

    /// Writes a frame to a client that the application does not know.
    #[inline(never)]
    fn say(&self, frame: &Frame, encoder: &dyn Encoder) {
        if self.shared.wants_frames_out {
            self.shared.observer.frame_out(self.id, frame.bytes());
        }
        send_frame(&self.link, frame, encoder);
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

impl Reading {
    fn new(intake: Intake, limits: &Limits, account: Option<Arc<Account>>, frame_bytes_max: usize) -> Box<Reading> {
        let buffer = BufReader::with_capacity(BUFFER_BYTES, intake);
        let reader = FrameReader::new(buffer, frame_bytes_max);
        Box::new(Reading { reader, flooding: Flooding::new(limits, account), is_first: true })
    }

    /// Waits for a frame to begin, as long as it takes; then reads it, in time.
    fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let buffer = self.reader.reader_mut();
        if buffer.fill_buf()?.is_empty() {
            return Ok(None);
        }
        buffer.get_mut().begin_frame();
        let frame = self.reader.read()?;
        self.reader.reader_mut().get_mut().end_frame();
        Ok(frame)
    }
}

/// Gives a busy connection a larger buffer.
#[inline(never)]
fn grow(reader: &mut FrameReader<BufReader<Intake>>) {
    let buffer = reader.reader_mut();
    if buffer.get_ref().filled
        && let Some(capacity) = larger(buffer.capacity())
    {
        let unread = buffer.buffer().to_vec();
        let intake = buffer.get_mut().resume(&unread);
        *buffer = BufReader::with_capacity(capacity, intake);
    }
}

/// The next larger buffer, unless this one is large enough.
fn larger(capacity: usize) -> Option<usize> {
    match capacity {
        ..BUSY_BUFFER_BYTES => Some(capacity * 4),
        _ => None,
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_is_busy_gets_a_larger_buffer_and_no_frame_is_lost() {
        assert_eq!([128, 8_192, BUSY_BUFFER_BYTES, 32_768].map(larger), [Some(512), Some(32_768), None, None]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let link = Arc::new(Link::new(listener.accept().unwrap().0));
        let frames: String = (0..2_000).map(|n| format!("frame {n}\0")).collect();
        client.write_all(frames.as_bytes()).unwrap();
        drop(client);
        let intake = Intake::new(link, Vec::new(), None, None, Instant::now());
        let mut reading = Reading::new(intake, &Limits::default(), None, 100);
        for n in 0..2_000 {
            assert_eq!(reading.next().unwrap().unwrap().bytes(), format!("frame {n}").as_bytes());
            grow(&mut reading.reader);
        }
        assert!(reading.next().unwrap().is_none());
        assert!(reading.reader.reader().capacity() > 8 * BUFFER_BYTES, "{}", reading.reader.reader().capacity());
    }

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
