//! Defines [`Decoding`], which turns the bytes of a client whose framing is not XMLSocket's own into frames, one at a time,
//! and sees that the client gets the framing's own answers.
//!
//! Knows: the decoder, the outbox that answers enter, how fast what is no frame may come. Must not know: which framing it is.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::closing::CloseReason;
use super::closing::linger::LINGER;
use super::event::Event;
use super::framing::{DecodeEnd, Decoded, Decoder, Encoder, Reply};
use super::link::Link;
use super::outbox::{Outbox, Pushed};
use super::peer::ConnectionId;
use super::shared::Shared;
use crate::wire::Limits;

/// The longest that this thread sleeps before it looks whether it must end.
const NAP: Duration = Duration::from_millis(50);

/// The incoming half of a framing, and what it needs of its connection.
pub(super) struct Decoding {
    id: ConnectionId,
    decoder: Box<dyn Decoder>,
    shared: Arc<Shared>,
    /// What answers the client; until the application knows it, its own thread does.
    outbox: Option<Arc<Outbox>>,
    /// What is to write to the client, if that was told before there was an outbox.
    encoder: Option<Arc<dyn Encoder>>,
    /// The link's bytes that have not been decoded.
    bytes: Vec<u8>,
    /// How many of them have been.
    used: usize,
    /// Whether the decoder may have more to say of the bytes it got.
    has_more: bool,
    /// What came beside frames and has not been counted yet.
    owed: u32,
    /// How fast that may come.
    bucket: Bucket,
    /// How long the client has been waited for to end what it has begun, beside frames; `None` when nothing has begun.
    waited: Option<Duration>,
    /// Why the stream ended.
    end: Option<CloseReason>,
}

impl Decoding {
    pub(super) fn new(id: ConnectionId, decoder: Box<dyn Decoder>, shared: Arc<Shared>, limits: &Limits) -> Decoding {
        let bucket = Bucket::new(limits, Instant::now());
        Decoding {
            id,
            decoder,
            shared,
            outbox: None,
            encoder: None,
            bytes: Vec::new(),
            used: 0,
            has_more: true,
            owed: 0,
            bucket,
            waited: None,
            end: None,
        }
    }

    /// Takes bytes of the link, after all before them were decoded; they took `waited` to come.
    pub(super) fn feed(&mut self, bytes: &[u8], waited: Duration) {
        self.waited = self.waited.map(|before| before + waited);
        self.bytes.extend_from_slice(bytes);
        self.has_more = true;
    }

    /// Decodes up to the end of the next thing that is complete, and appends to `frames` what it brings. `false` when
    /// nothing is at hand any more.
    pub(super) fn step(&mut self, link: &Link, frames: &mut Vec<u8>) -> bool {
        if !self.has_more || self.end.is_some() {
            return false;
        }
        self.pay(link);
        match self.decoder.decode(&self.bytes[self.used..], frames) {
            Ok((used, decoded)) => {
                self.used += used;
                self.take(decoded, used, link);
            }
            Err(DecodeEnd { reason, reply, is_goodbye }) => {
                self.reply(Reply { bytes: reply, encoder: None }, is_goodbye, link);
                self.end = Some(reason);
            }
        }
        self.waited = self.decoder.is_unfinished().then(|| self.waited.unwrap_or_default());
        true
    }

    /// Does what follows from what was decoded, with `used` bytes.
    fn take(&mut self, decoded: Decoded, used: usize, link: &Link) {
        match decoded {
            Decoded::Frames => {}
            Decoded::Idle => self.owed = Bucket::cost(used),
            Decoded::Reply(reply) => {
                self.owed = if reply.bytes.is_empty() { 0 } else { Bucket::cost(used) };
                self.reply(reply, false, link);
            }
            Decoded::Unfinished => {
                (self.bytes, self.used) = (Vec::new(), 0);
                self.has_more = false;
            }
        }
    }

    /// Reads no further while what is owed comes too fast.
    fn pay(&mut self, link: &Link) {
        let owed = std::mem::take(&mut self.owed);
        if owed == 0 {
            return;
        }
        while let Err(wait) = self.bucket.take(owed, Instant::now())
            && link.is_open()
        {
            thread::sleep(wait.min(NAP));
        }
    }

    fn reply(&mut self, reply: Reply, is_goodbye: bool, link: &Link) {
        let Some(outbox) = &self.outbox else {
            let _ = link.send_all(&reply.bytes, LINGER);
            self.encoder = reply.encoder.or(self.encoder.take());
            return;
        };
        match outbox.reply(reply, is_goodbye) {
            Pushed::Done | Pushed::Held => {}
            Pushed::FellBehind => {
                let _ = self.shared.inbox.send(Event::FellBehind(self.id, Arc::clone(outbox)));
            }
            Pushed::Overflow => link.kill(CloseReason::TooSlow),
        }
    }

    /// How long the client has been waited for to end what it has begun, if anything.
    pub(super) fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// Why the stream ended, once it has.
    pub(super) fn ended(&self) -> Option<CloseReason> {
        self.end.clone()
    }

    /// What is to write to the client, if that was told before there was an outbox.
    pub(super) fn take_encoder(&mut self) -> Option<Arc<dyn Encoder>> {
        self.encoder.take()
    }

    /// From here on the client is answered by its outbox.
    pub(super) fn answer_by(&mut self, outbox: &Arc<Outbox>) {
        self.outbox = Some(Arc::clone(outbox));
    }
}
