//! A connection until it is clear what it speaks, and those that speak something else than frames.
//!
//! Knows: sniffing and its deadlines, the proxy's word on where a connection comes from, the door that answers HTTP.
//! Must not know: what a frame holds.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use log::info;

use super::super::arrival::door::{Answer, Visitor};
use super::super::arrival::first_bytes::FirstBytes;
use super::super::arrival::proxy::{self, NotProxied};
use super::super::arrival::sniff::{Speaks, speaks, spoken};
use super::super::closing::CloseReason;
use super::super::closing::linger::{LINGER, tell_no_seat};
use super::super::closing::refusal;
use super::super::event::Event;
use super::super::framing::{DecodeEnd, Framed, stream};
use super::super::intake::Intake;
use super::{Connection, Reading};
use crate::wire::ROOT_NAMESPACES_BYTES_MAX;

/// Bytes read at a time until it is known what a connection speaks: enough for that, and little for who is silent.
const FIRST_BYTES: usize = 64;

/// The deadline of a policy port, where silence is not a listener's patience.
const POLICY_PORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a proxy has to say for whom it speaks, unless the limit for frames is shorter.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);

impl Connection {
    /// Reads into `first` until it is clear what the peer speaks, and since when.
    #[inline(never)]
    pub(super) fn sniff(&mut self, first: &mut Vec<u8>) -> Result<(Speaks, Instant), Box<CloseReason>> {
        let begun = self.wait_for_first_byte(first)?;
        loop {
            let has_ended = self.settings.framing.has_ended(first);
            if let Some(what) = spoken(first, has_ended, self.limits.frame_bytes_max) {
                return Ok((what, begun));
            }
            self.read_in_time(first, begun)?;
        }
    }

    /// Reads what is there into `first`, if its frame, which began at `begun`, can still be in time.
    fn read_in_time(&self, first: &mut Vec<u8>, begun: Instant) -> Result<(), Box<CloseReason>> {
        let left = self.frame_timeout().map(|timeout| timeout.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Box::new(CloseReason::FrameTimeout { zero_byte_missing: false }));
        }
        self.link.acknowledge();
        match self.read_some(first, left) {
            Ok(0) => Err(Box::new(CloseReason::ByPeer)),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(Box::new(CloseReason::Lost(error.to_string()))),
        }
    }

    /// Waits for the first byte as long as it takes; makes the connection known when it is silent for long enough.
    #[inline(never)]
    fn wait_for_first_byte(&mut self, first: &mut Vec<u8>) -> Result<Instant, Box<CloseReason>> {
        if !first.is_empty() {
            return Ok(Instant::now());
        }
        // Whoever asks for the policy file or sends an HTTP request is not to be taken for a silent client.
        let may_be_another = self.settings.policy.is_some() || self.settings.http.is_some();
        let mut timeout = match self.limits.announce_seconds {
            _ if self.settings.policy_only => Some(POLICY_PORT_TIMEOUT),
            // To a stream nothing can be sent before it has begun, so that no application can know of it.
            _ if self.settings.framing.begins_with_the_client() => self.frame_timeout(),
            seconds @ 1.. if may_be_another => Some(Duration::from_secs(seconds)),
            _ => {
                self.announce_silent();
                None
            }
        };
        let must_speak = self.settings.policy_only || self.settings.framing.begins_with_the_client();
        loop {
            match self.read_some(first, timeout) {
                Ok(0) => {
                    self.release();
                    return Err(Box::new(CloseReason::ByPeer));
                }
                Ok(_) => return Ok(Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock && must_speak => {
                    return Err(Box::new(CloseReason::FrameTimeout { zero_byte_missing: false }));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    timeout = None;
                    self.announce_silent();
                }
                Err(error) => return Err(Box::new(CloseReason::Lost(error.to_string()))),
            }
        }
    }

    /// Makes a connection known that has said nothing. It may still be a browser's, whose request is on the way.
    fn announce_silent(&mut self) {
        let ports = [self.peer.local_address.port(), self.settings.public_port.unwrap_or(0)];
        self.announce(FirstBytes::of_silent(&ports));
    }

    /// Reads what is there into `first`, waiting at most `timeout`.
    fn read_some(&self, first: &mut Vec<u8>, timeout: Option<Duration>) -> io::Result<usize> {
        self.link.set_read_timeout(timeout.map(|timeout| timeout.max(Duration::from_millis(1))))?;
        let length = first.len();
        first.resize(length + FIRST_BYTES, 0);
        let read = self.link.read(&mut first[length..]);
        first.truncate(length + read.as_ref().map_or(0, |read| *read));
        self.link.touch();
        read
    }

    /// Reads the header in which a proxy says for whom it speaks. A proxy that speaks HTTP needs none: it says so in
    /// the request, and the door reads it there.
    #[inline(never)]
    pub(super) fn read_proxy_header(&mut self, first: &mut Vec<u8>) -> Result<(), Box<CloseReason>> {
        let timeout = self.frame_timeout().map_or(PROXY_TIMEOUT, |timeout| timeout.min(PROXY_TIMEOUT));
        let deadline = Instant::now() + timeout;
        let refused = |what| Err(Box::new(CloseReason::NotXmlSocket(what)));
        loop {
            match proxy::parse(first) {
                Ok(None) => {}
                Ok(Some((header, length))) => {
                    first.drain(..length);
                    // Its word is taken once: what a request says beside is the client's own.
                    self.by_proxy = false;
                    return self.speak_for(header, first);
                }
                Err(NotProxied::Broken) => return refused("a broken PROXY header"),
                Err(NotProxied::Other) => match speaks(first) {
                    Some(Speaks::Http) => return Ok(()),
                    Some(_) => return refused("no PROXY header"),
                    None => {}
                },
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return refused("no whole PROXY header in time");
            }
            match self.read_some(first, Some(left)) {
                Ok(0) => return Err(Box::new(CloseReason::ByPeer)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(Box::new(CloseReason::Lost(error.to_string()))),
            }
        }
    }

    /// Takes over the addresses of a proxy's header, and counts the connection where it comes from.
    fn speak_for(&mut self, header: proxy::Header, first: &mut Vec<u8>) -> Result<(), Box<CloseReason>> {
        let proxy::Header::Addresses { source, destination } = header else { return Ok(()) };
        (self.peer.address, self.peer.local_address) = (source, destination);
        if let Err(no_seat) = self.link.count(source.ip(), &self.limits) {
            self.shared.observer.refused(source, no_seat.code());
            info!("refused a connection from {source}: {}", no_seat.code());
            // Its seat is somebody else's at once, and its thread only if few are being told.
            self.link.refuse(no_seat);
            if self.link.is_refused() {
                let _ = tell_no_seat(&self.settings, &self.link, no_seat, std::mem::take(first));
            }
            return Err(Box::new(no_seat.reason()));
        }
        Ok(())
    }

    /// Answers an HTTP request, by the listener's door if it has one. If the application knows the connection, it
    /// forgets it first.
    #[inline(never)]
    pub(super) fn answer_http(&mut self, first: &[u8]) -> Box<CloseReason> {
        if self.outbox.is_some() {
            let (answer, withdrawn) = bounded(1);
            self.tell(Event::Withdraw(self.id, answer));
            let Ok(Some(arrival)) = withdrawn.recv() else {
                return Box::new(CloseReason::NotXmlSocket("an HTTP request after frames were sent"));
            };
            self.arrival = Some(arrival);
            self.outbox = None;
        }
        let settings = Arc::clone(&self.settings);
        let Some(door) = &settings.http else {
            let _ = self.link.send_all(refusal::http(first), LINGER);
            return Box::new(CloseReason::NotXmlSocket("an HTTP request"));
        };
        let mut visitor = Visitor::new(&self.link, &settings, &self.limits, &mut self.peer, self.by_proxy, first);
        let answer = catch_unwind(AssertUnwindSafe(|| door.answer(&mut visitor))).unwrap_or(Answer::Done);
        match answer {
            Answer::Done => Box::new(CloseReason::HttpAnswered),
            Answer::Upgraded { framing, transport, unread } => {
                self.peer.transport = transport;
                let frame_bytes_max = self.limits.frame_bytes_max as usize;
                match self.begin_decoding(framing, unread, frame_bytes_max) {
                    Some(reading) => self.read_frames(reading),
                    None => Box::new(CloseReason::ByPeer),
                }
            }
        }
    }

    /// Reads what must be said before frames can travel, answers it, and prepares to read what follows. A policy request,
    /// which might be such a beginning, is answered as everywhere.
    #[inline(never)]
    pub(super) fn open(
        &mut self,
        mut opening: stream::Opening,
        first: Vec<u8>,
        begun: Instant,
    ) -> Result<Box<Reading>, Box<CloseReason>> {
        let mut unread = first;
        let root = loop {
            match opening.take(&mut unread) {
                Ok(Some(root)) => break root,
                Ok(None) => self.read_in_time(&mut unread, begun)?,
                Err(end) => return Err(self.refuse_opening(end)),
            }
        };
        if self.settings.policy.is_some() && stream::is_policy_request(&root) {
            return Err(self.serve_policy());
        }
        let (framing, mirrored) = opening.open(root).map_err(|end| self.refuse_opening(end))?;
        let sent = self.link.send_all(mirrored.as_bytes(), LINGER);
        sent.map_err(|error| Box::new(CloseReason::Lost(error.to_string())))?;
        // An element gets namespaces from the root.
        let frame_bytes_max = (self.limits.frame_bytes_max as usize).saturating_add(ROOT_NAMESPACES_BYTES_MAX);
        let mut reading = self.begin_decoding(framing, unread, frame_bytes_max).ok_or(CloseReason::ByPeer)?;
        // The client began with its root: a policy request would have been that.
        reading.is_first = false;
        Ok(reading)
    }

    /// Tells a client why its stream cannot begin.
    fn refuse_opening(&self, end: DecodeEnd) -> Box<CloseReason> {
        if self.shared.wants_frames_out && !end.reply.is_empty() {
            self.shared.observer.frame_out(self.id, &end.reply);
        }
        let _ = self.link.send_all(&end.reply, LINGER);
        Box::new(end.reason)
    }

    /// Makes a connection known to the application whose frames travel in `framing`, and prepares to read them.
    fn begin_decoding(&mut self, framing: Framed, unread: Vec<u8>, frame_bytes_max: usize) -> Option<Box<Reading>> {
        self.encoder = framing.encoder;
        // What is written from here on, the outbox writes, with its own deadline.
        let _ = self.link.set_write_timeout(None);
        self.announce(FirstBytes::Free);
        self.outbox.as_ref()?;
        let decoding = self.decoding(framing.decoder);
        let intake = Intake::new(Arc::clone(&self.link), unread, Some(decoding), self.frame_timeout(), Instant::now());
        Some(Reading::new(intake, &self.limits, self.link.account(), frame_bytes_max))
    }
}
