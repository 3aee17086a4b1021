//! Defines [`Upgraded`], which unwraps the frames of a connection that travel in another protocol's messages, or as
//! elements of a stream, and answers that protocol's own questions.
//!
//! Knows: the decoder, the outbox that control messages enter, how fast they may come.
//! Must not know: which protocol it is.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::envelope::Envelope;
use super::event::Event;
use super::flood::Bucket;
use super::http::{DecodeEnd, Decoded, Decoder};
use super::link::Link;
use super::outbox::{Outbox, Pushed};
use super::service::{CloseReason, ConnectionId};
use super::shutdown::Shared;
use crate::wire::Limits;

/// The longest that this thread sleeps before it looks whether it must end.
const NAP: Duration = Duration::from_millis(50);

/// The incoming half of an upgraded connection.
pub(super) struct Upgraded {
    id: ConnectionId,
    decoder: Box<dyn Decoder>,
    outbox: Arc<Outbox>,
    /// Whether frames are the elements of a stream.
    is_stream: bool,
    shared: Arc<Shared>,
    /// How fast messages may come that bring no frame, and so are not counted as frames.
    bucket: Bucket,
    /// How long the client has been waited for to end the message that it has begun; `None` between messages, as far as
    /// that can be told: a message whose first bytes came with the end of another one counts from the next bytes on.
    pub(super) waited: Option<Duration>,
    /// Why the stream ended.
    end: Option<DecodeEnd>,
}

impl Upgraded {
    pub(super) fn new(
        id: ConnectionId,
        decoder: Box<dyn Decoder>,
        outbox: Arc<Outbox>,
        is_stream: bool,
        shared: Arc<Shared>,
        limits: &Limits,
    ) -> Upgraded {
        let bucket = Bucket::new(limits, Instant::now());
        Upgraded { id, decoder, outbox, is_stream, shared, bucket, waited: None, end: None }
    }

    /// Gives the bytes of frames that the link's `bytes` bring, which took `waited` to come; answers what is to be
    /// answered.
    pub(super) fn unwrap_messages(&mut self, bytes: &[u8], link: &Link, waited: Duration) -> Vec<u8> {
        let mut decoded = Decoded::default();
        let end = self.decoder.decode(bytes, &mut decoded).err();
        if decoded.messages > 0 || end.is_some() {
            self.waited = None;
        } else if decoded.controls == 0 || self.waited.is_some() {
            self.waited = Some(self.waited.map_or(Duration::ZERO, |before| before + waited));
        }
        if decoded.answer_as_text {
            self.outbox.set_envelope(Envelope::WebSocketText);
        }
        self.pause(decoded.controls, link);
        // Of a stream the outbox writes the end, once what was said before is answered.
        let is_last = end.is_some() && !self.is_stream;
        if let Some(root) = decoded.root {
            self.outbox.set_envelope(Envelope::Stream(root));
        }
        if !decoded.answers.is_empty() {
            match self.outbox.control(&decoded.answers, is_last) {
                Pushed::Done => {}
                Pushed::FellBehind => {
                    let _ = self.shared.inbox.send(Event::FellBehind(self.id, Arc::clone(&self.outbox)));
                }
                Pushed::Overflow => link.kill(CloseReason::TooSlow),
            }
        }
        self.end = end;
        decoded.frames
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Why the stream ended, once it has.
    pub(super) fn ended(&self) -> Option<CloseReason> {
        self.end.as_ref().map(|end| match end {
            DecodeEnd::Closed => CloseReason::ByPeer,
            DecodeEnd::Broken(error) => CloseReason::ProtocolError(error.clone()),
            DecodeEnd::TooLong { frame_bytes_max } => CloseReason::FrameTooLong { frame_bytes_max: *frame_bytes_max },
        })
    }

    /// Reads no further while `count` messages without a frame come too fast.
    fn pause(&mut self, count: u32, link: &Link) {
        while count > 0
            && let Err(wait) = self.bucket.take(count, Instant::now())
            && link.is_open()
        {
            thread::sleep(wait.min(NAP));
        }
    }
}
