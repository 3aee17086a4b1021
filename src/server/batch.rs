//! Defines [`Batch`], what is sent to all clients between two flushes, and [`Piece`], a part of it.
//!
//! A frame is encoded once, however many receive it. Frames for many and frames for one lie in buffers of their own:
//! an answer to one client between two broadcasts would otherwise cut the broadcasts apart for everybody.
//!
//! Knows: bytes and where they lie. Must not know: who receives what.

use std::cell::{OnceCell, Ref, RefCell};
use std::ops::{Deref, Range};
use std::sync::Arc;

use log::error;

use super::framing::{Encoder, Header, encode_each};
use super::waiting::{Kept, Outboxes};
use crate::wire::{Encode, write_frame};

/// Bytes after which a batch is flushed even in the middle of an application's method (the dispatcher flushes sooner
/// between two of them), and the capacity that its buffers keep at most.
pub(super) const METHOD_BYTES_MAX: usize = 1 << 20;

/// The bit that tells positions in the buffer of frames for one from those in the other.
const SINGLE: u32 = 1 << 31;

/// What is sent between two flushes.
#[derive(Default)]
pub(super) struct Batch {
    /// Frames that were sent to many.
    shared: Vec<u8>,
    /// Frames that were sent to one connection each.
    single: Vec<u8>,
    /// The most bytes that either buffer has held since [`relax`](Batch::relax) was last called.
    peak: usize,
}

/// Where in a batch some frames lie, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    start: u32,
    end: u32,
}

impl Batch {
    /// Bytes in the batch.
    pub(super) fn len(&self) -> usize {
        self.shared.len() + self.single.len()
    }

    /// Appends a frame that goes to many.
    pub(super) fn push_shared(&mut self, frame: &(impl Encode + ?Sized)) -> Piece {
        Batch::push(&mut self.shared, frame, 0)
    }

    /// Appends a frame that goes to one.
    pub(super) fn push_single(&mut self, frame: &(impl Encode + ?Sized)) -> Piece {
        Batch::push(&mut self.single, frame, SINGLE)
    }

    fn push(buffer: &mut Vec<u8>, frame: &(impl Encode + ?Sized), tag: u32) -> Piece {
        let start = buffer.len() as u32;
        if write_frame(frame, buffer) {
            error!("the application sent a frame with a zero byte in it: U+FFFD went in its place");
        }
        Piece { start: tag + start, end: tag + buffer.len() as u32 }
    }

    /// Takes back the frame that was appended last, because nobody receives it.
    pub(super) fn take_back(&mut self, piece: Piece) {
        let buffer = if piece.is_shared() { &mut self.shared } else { &mut self.single };
        buffer.truncate((piece.start & !SINGLE) as usize);
    }

    /// The bytes of `piece`.
    pub(super) fn bytes(&self, piece: Piece) -> &[u8] {
        let buffer = if piece.is_shared() { &self.shared } else { &self.single };
        &buffer[(piece.start & !SINGLE) as usize..(piece.end & !SINGLE) as usize]
    }

    /// Empties the batch.
    pub(super) fn clear(&mut self) {
        self.peak = self.peak.max(self.shared.len()).max(self.single.len());
        for buffer in [&mut self.shared, &mut self.single] {
            buffer.clear();
            buffer.shrink_to(METHOD_BYTES_MAX);
        }
    }

    /// Gives up the capacity that has not been needed since the last call.
    pub(super) fn relax(&mut self) {
        let peak = std::mem::take(&mut self.peak);
        self.shared.shrink_to(peak);
        self.single.shrink_to(peak);
    }
}

impl Piece {
    /// How many bytes it has.
    pub(super) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    fn is_shared(self) -> bool {
        self.start & SINGLE == 0
    }

    /// Makes the piece longer by `next`, if that follows it directly.
    pub(super) fn extend(&mut self, next: Piece) -> bool {
        let follows = self.end == next.start;
        if follows {
            self.end = next.end;
        }
        follows
    }
}

/// A batch on its way to its receivers.
pub(super) struct Sending<'batch> {
    batch: &'batch Batch,
    /// The frames for many, for clients that are behind; made when the first of them needs it.
    shared: OnceCell<Kept>,
    /// What was gathered last: the members of a room, one after the other, get the same.
    gathered: RefCell<Gathered>,
}

/// Pieces of a batch, put together.
#[derive(Default)]
struct Gathered {
    /// Which pieces.
    pieces: Vec<Piece>,
    /// What encoded each frame; `None` where they are as they were.
    encoder: Option<Arc<dyn Encoder>>,
    bytes: Vec<u8>,
}

impl<'batch> Sending<'batch> {
    pub(super) fn new(batch: &'batch Batch) -> Sending<'batch> {
        Sending { batch, shared: OnceCell::new(), gathered: RefCell::default() }
    }

    /// The bytes of `pieces` as `encoder` writes them, and the header before them.
    pub(super) fn encoded(&self, pieces: &[Piece], encoder: &Arc<dyn Encoder>) -> (Header, Encoded<'_>) {
        let header = encoder.header(pieces.iter().map(|piece| piece.len()).sum());
        if header.is_some()
            && let [piece] = pieces
        {
            return (header.unwrap_or_default(), Encoded::AsTheyAre(self.batch.bytes(*piece)));
        }
        let encoder = if header.is_some() { None } else { Some(encoder) };
        if !self.gathered.borrow().is_of(pieces, encoder) {
            self.gathered.borrow_mut().gather(self.batch, pieces, encoder);
        }
        let bytes = Ref::map(self.gathered.borrow(), |gathered| gathered.bytes.as_slice());
        (header.unwrap_or_default(), Encoded::Gathered(bytes))
    }

    /// The last `unsent` bytes of `pieces`, for a client that is behind: shared with the others that are, unless that
    /// would keep more than twice as much alive.
    pub(super) fn rest(
        &self,
        pieces: &[Piece],
        encoded: &Encoded<'_>,
        unsent: usize,
        outboxes: &Arc<Outboxes>,
    ) -> (Kept, Range<usize>) {
        match (pieces, encoded) {
            ([piece], Encoded::AsTheyAre(_)) if piece.is_shared() && unsent * 2 >= self.batch.shared.len() => {
                let all = self.shared.get_or_init(|| Kept::new(&self.batch.shared, outboxes));
                let end = piece.end as usize;
                (all.clone(), end - unsent..end)
            }
            _ => (Kept::new(&encoded[encoded.len() - unsent..], outboxes), 0..unsent),
        }
    }
}

impl Gathered {
    /// Whether this is what `encoder` makes of `pieces`.
    fn is_of(&self, pieces: &[Piece], encoder: Option<&Arc<dyn Encoder>>) -> bool {
        let same = match (&self.encoder, encoder) {
            (Some(own), Some(encoder)) => Arc::ptr_eq(own, encoder),
            (own, encoder) => own.is_none() && encoder.is_none(),
        };
        same && self.pieces == pieces
    }

    /// Puts `pieces` together.
    fn gather(&mut self, batch: &Batch, pieces: &[Piece], encoder: Option<&Arc<dyn Encoder>>) {
        self.pieces.clear();
        self.pieces.extend_from_slice(pieces);
        self.encoder = encoder.map(Arc::clone);
        self.bytes.clear();
        for bytes in pieces.iter().map(|piece| batch.bytes(*piece)) {
            match encoder {
                Some(encoder) => encode_each(&**encoder, bytes, &mut self.bytes),
                None => self.bytes.extend_from_slice(bytes),
            }
        }
    }
}

/// Bytes that one client is to get.
pub(super) enum Encoded<'sending> {
    /// A part of the batch.
    AsTheyAre(&'sending [u8]),
    /// Put together from several, or encoded one by one.
    Gathered(Ref<'sending, [u8]>),
}

impl Deref for Encoded<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Encoded::AsTheyAre(bytes) => bytes,
            Encoded::Gathered(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::framing::Framing;
    use super::super::waiting::Waiting;
    use super::*;
    use crate::wire::{Frame, Limits};

    fn frame(text: &str) -> Frame {
        Frame::try_from(text).unwrap()
    }

    #[test]
    fn an_answer_to_one_does_not_cut_apart_what_all_get() {
        let mut batch = Batch::default();
        let mut piece = batch.push_shared(&frame("a"));
        let answer = batch.push_single(&frame("ok"));
        assert!(piece.extend(batch.push_shared(&frame("b"))), "for all but one it is one piece");
        assert_eq!(batch.bytes(piece), b"a\0b\0");
        assert_eq!(batch.bytes(answer), b"ok\0");
        assert!(!piece.extend(answer) && !{ answer }.extend(piece));
        assert_eq!(batch.len(), 7);
    }

    #[test]
    fn what_nobody_receives_leaves_no_bytes() {
        let mut batch = Batch::default();
        let mut kept = batch.push_shared(&frame("kept"));
        for unwanted in [batch.push_shared(&frame("shared")), batch.push_single(&frame("single"))] {
            batch.take_back(unwanted);
        }
        assert_eq!(batch.len(), 5);
        assert!(kept.extend(batch.push_shared(&frame("next"))));
        assert_eq!(batch.bytes(kept), b"kept\0next\0");
    }

    #[test]
    fn pieces_are_gathered_in_their_order_and_as_they_travel() {
        let mut batch = Batch::default();
        let pieces = [batch.push_shared(&frame("a")), batch.push_single(&frame("ok")), batch.push_shared(&frame("b"))];
        let sending = Sending::new(&batch);
        let encoded = |pieces: &[Piece], framing: Framing| sending.encoded(pieces, &framing.encoder(true)).1.to_vec();
        assert_eq!(encoded(&pieces, Framing::Nul), b"a\0ok\0b\0");
        assert_eq!(encoded(&pieces, Framing::Line), b"a\nok\nb\n");
        assert_eq!(encoded(&pieces, Framing::Nul), b"a\0ok\0b\0", "the same pieces encoded otherwise are others");
        assert_eq!(encoded(&pieces[..2], Framing::Nul), b"a\0ok\0");
        assert_eq!(encoded(&pieces[..1], Framing::Line), b"a\n");
        assert_eq!(encoded(&pieces[1..2], Framing::Nul), b"ok\0");
    }

    #[test]
    fn what_is_encoded_is_encoded_once_for_all_who_get_the_same() {
        let mut batch = Batch::default();
        let piece = batch.push_shared(&frame("a"));
        let sending = Sending::new(&batch);
        let at = |framing: Framing| sending.encoded(&[piece], &framing.encoder(true)).1.as_ptr();
        assert_eq!(at(Framing::Nul), batch.shared.as_ptr(), "nothing is copied");
        assert_eq!(at(Framing::Line), at(Framing::Line));
        assert!(sending.gathered.borrow().is_of(&[piece], Some(&Framing::Line.encoder(true))));
        assert!(!sending.gathered.borrow().is_of(&[piece], Some(&Framing::Line.encoder(false))));
        assert!(!sending.gathered.borrow().is_of(&[piece], None));
    }

    #[test]
    fn who_is_behind_shares_the_batch_only_where_most_of_it_is_theirs() {
        let mut batch = Batch::default();
        let (small, large) = (batch.push_shared(&frame("1234")), batch.push_shared(&frame(&"x".repeat(99))));
        let answer = batch.push_single(&frame("ok"));
        let sending = Sending::new(&batch);
        let outboxes = Outboxes::new(&Limits::default());
        let rest = |piece, unsent| {
            let (_, encoded) = sending.encoded(&[piece], &Framing::Nul.encoder(true));
            let (kept, range) = sending.rest(&[piece], &encoded, unsent, &outboxes);
            let mut waiting = Waiting::new(Arc::clone(&outboxes));
            waiting.push(kept, range);
            let (bytes, range) = waiting.front().unwrap();
            assert_eq!(bytes[range], encoded[encoded.len() - unsent..]);
            bytes.len()
        };
        assert_eq!(rest(large, 100), 105, "the whole batch, shared");
        assert_eq!(rest(large, 52), 52);
        assert_eq!(rest(small, 5), 5);
        assert_eq!(rest(answer, 2), 2);
    }

    #[test]
    fn capacity_is_kept_while_it_is_needed() {
        let mut batch = Batch::default();
        batch.push_shared(&frame(&"x".repeat(9_999)));
        batch.clear();
        batch.relax();
        assert!(batch.shared.capacity() >= 10_000, "it was needed since the last time");
        batch.push_shared(&frame("x"));
        batch.clear();
        batch.relax();
        assert!(batch.shared.capacity() < 100, "it was not");
    }
}
