//! Defines [`Engine`], the dispatcher's table of connections.
//!
//! What an application sends is appended to the batch, encoded once however many receive it; each receiver notes which
//! pieces of the batch are its own. Frames in a row become one piece, so that most clients get a batch as one.
//! [`Engine::flush`] then offers each touched client its pieces, once.
//!
//! Knows: slots, pieces, outboxes. Must not know: threads, channels, what the application is.

use std::cmp::Reverse;
use std::sync::{Arc, Weak};
use std::time::Instant;

use log::info;

use super::arrival::held::{Arrival, Arrivals};
use super::batch::{Batch, METHOD_BYTES_MAX, Piece, Sending};
use super::closing::CloseReason;
use super::observer::Observer;
use super::outbox::{Outbox, Pushed};
use super::peer::{ConnectionId, Now, Peer};
use super::settings::{Frames, ListenerSettings};
use super::waiting::Outboxes;
use crate::wire::{Encode, split_frames};

/// Pieces for which room is kept when nothing needs it.
const EARLIER_KEPT: usize = 1_024;

/// Bytes that a receiver counts beside those of the frame: what a send takes, however little is in it.
const RECEIVER_BYTES: usize = 64;

/// Bytes, counted once for each receiver, that a frame may make the server send at no cost of its own; so many more
/// cost a token.
const WORK_BYTES: usize = 32 * 1024;

/// Where a connection's bytes go at a flush.
pub(super) enum Outlet {
    /// To a client.
    Outbox(Arc<Outbox>),
    /// Into a buffer that a test reads ([`Stage`](super::Stage)).
    Buffer(Vec<u8>),
}

/// All that sending to a connection touches, apart from everything else: a fan-out to thousands runs over these.
#[derive(Clone, Default)]
struct Mark {
    /// Who may be sent to in this slot; nobody when the slot is free or its connection is about to be closed.
    /// Compared at each use, because slots are used again and ids are not.
    id: Option<ConnectionId>,
    /// The piece of the batch that was noted last; empty when this client has none yet.
    last: Piece,
}

/// A connection as the dispatcher knows it.
pub(super) struct Slot {
    /// Who is in this slot.
    pub(super) id: ConnectionId,
    /// Where in [`Engine::earlier`] the piece stands that was noted before the one in its mark, counted from 1; 0 when
    /// there is none.
    earlier: u32,
    /// Where it stands among its listener's members, once it has joined them.
    place: Option<u32>,
    /// When the application was last told of its silence.
    pub(super) asked: Option<Instant>,
    /// Whether its client's thread has ended.
    pub(super) ended: bool,
    /// What the application may know of it.
    pub(super) peer: Peer,
    /// The settings of its listener; `None` on a stage.
    pub(super) settings: Option<Arc<ListenerSettings>>,
    /// Where its bytes go.
    pub(super) outlet: Outlet,
}

/// Those whom what is sent to everybody on a listener reaches.
struct Audience {
    /// The connections that the application knows.
    members: Vec<ConnectionId>,
    /// Those that it does not know yet.
    arrivals: Arc<Arrivals>,
}

/// All connections that the application knows of, and what is to be sent to them.
pub(super) struct Engine {
    /// For each slot what sending to it touches.
    marks: Vec<Mark>,
    slots: Vec<Option<Box<Slot>>>,
    /// For each listener, who is there.
    audiences: Vec<Audience>,
    /// How many slots are taken.
    connections: usize,
    /// What has been sent since the last flush.
    batch: Batch,
    /// The slots that have pieces of `batch`.
    touched: Vec<u32>,
    /// The pieces of all slots that have several, each with the place of the one before it: a chain a slot.
    earlier: Vec<(Piece, u32)>,
    /// Connections to close after the running method, in order.
    closings: Vec<(ConnectionId, CloseReason)>,
    /// Outboxes that need a catch-up writer.
    behind: Vec<(ConnectionId, Arc<Outbox>)>,
    /// Outboxes in which something may wait, on their way out or not: those that fell behind, while they are.
    laggards: Vec<(ConnectionId, Weak<Outbox>)>,
    /// What the application has made the server send since this was last taken, in bytes as they count.
    work: usize,
    /// The bounds of what waits.
    outboxes: Arc<Outboxes>,
    /// Who is shown each frame that is sent, if anybody.
    trace: Option<Arc<dyn Observer>>,
    /// The time of the event being handled.
    pub(super) now: Now,
}

impl Engine {
    /// An engine for listeners at which `arrivals` arrive.
    pub(super) fn new(
        now: Now,
        outboxes: Arc<Outboxes>,
        trace: Option<Arc<dyn Observer>>,
        arrivals: &[Arc<Arrivals>],
    ) -> Engine {
        Engine {
            marks: Vec::new(),
            slots: Vec::new(),
            audiences: arrivals.iter().map(|arrivals| Audience::of(Arc::clone(arrivals))).collect(),
            connections: 0,
            batch: Batch::default(),
            touched: Vec::new(),
            earlier: Vec::new(),
            closings: Vec::new(),
            behind: Vec::new(),
            laggards: Vec::new(),
            work: 0,
            outboxes,
            trace,
            now,
        }
    }

    /// Notes that a connection arrives at a listener.
    pub(super) fn arrive(&mut self, listener: usize) -> Arrival {
        self.audience(listener).arrivals.arrive()
    }

    /// Takes a connection in. What is sent to everybody does not reach it before it has [joined](Engine::join).
    pub(super) fn insert(
        &mut self,
        id: ConnectionId,
        peer: Peer,
        settings: Option<Arc<ListenerSettings>>,
        outlet: Outlet,
    ) {
        let at = id.slot();
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
            self.marks.resize(at + 1, Mark::default());
        }
        // The connection that had this slot before kept its seat until its outbox was dropped.
        debug_assert!(self.slots[at].is_none(), "a slot is used again only after it was freed");
        self.connections += 1;
        self.marks[at] = Mark { id: Some(id), last: Piece::default() };
        let slot = Slot { id, earlier: 0, place: None, asked: None, ended: false, peer, settings, outlet };
        self.slots[at] = Some(Box::new(slot));
    }

    /// Sends a connection what everybody got since it arrived, and counts it among them from here on.
    pub(super) fn join(&mut self, id: ConnectionId, arrival: &Arrival) {
        if !self.is_open(id) {
            return;
        }
        let Some(frames) = arrival.frames(id) else {
            info!("{id} was not known until more than outbox_bytes_max had been sent to everybody");
            return self.close(id, CloseReason::TooSlow);
        };
        frames.iter().for_each(|frame| self.send(id, frame));
        let Some(listener) = self.slot(id).map(|slot| slot.peer.listener) else { return };
        let members = &mut self.audience(listener).members;
        let place = members.len() as u32;
        members.push(id);
        if let Some(slot) = self.slot(id) {
            slot.place = Some(place);
        }
    }

    /// Lets a connection go. What it was still to get has been flushed by the caller.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Box<Slot>> {
        self.slot(id)?;
        self.connections -= 1;
        self.marks[id.slot()] = Mark::default();
        let slot = self.slots[id.slot()].take()?;
        if let Some(place) = slot.place {
            // The last member takes the free place, so that a thousand connections that leave at once cost a thousand
            // steps and not a million.
            let members = &mut self.audience(slot.peer.listener).members;
            members.swap_remove(place as usize);
            let moved = members.get(place as usize).copied();
            if let Some(moved) = moved.and_then(|id| self.slot(id)) {
                moved.place = Some(place);
            }
        }
        Some(slot)
    }

    /// Lets all connections go.
    pub(super) fn remove_all(&mut self) -> impl Iterator<Item = Box<Slot>> {
        self.connections = 0;
        self.marks.clear();
        self.audiences.clear();
        self.slots.drain(..).flatten()
    }

    /// Who is at a listener.
    fn audience(&mut self, listener: usize) -> &mut Audience {
        while self.audiences.len() <= listener {
            self.audiences.push(Audience::of(Arrivals::new(&self.outboxes)));
        }
        &mut self.audiences[listener]
    }

    /// Whether the connection is there, and not about to be closed.
    pub(super) fn is_open(&self, id: ConnectionId) -> bool {
        self.marks.get(id.slot()).is_some_and(|mark| mark.id == Some(id))
    }

    /// The connection, if it is (still) there.
    pub(super) fn slot(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.slots.get_mut(id.slot())?.as_deref_mut().filter(|slot| slot.id == id)
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// All connections.
    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut().filter_map(|slot| slot.as_deref_mut())
    }

    /// Notes that a connection is to be closed, after the last frame that its reason has for it.
    pub(super) fn close(&mut self, id: ConnectionId, reason: CloseReason) {
        if !self.is_open(id) {
            return;
        }
        let Some(slot) = self.slot(id) else { return };
        let settings = slot.settings.as_ref().filter(|settings| settings.frames == Frames::Xml);
        if let Some(farewell) = settings.and_then(|settings| settings.framing.farewell(&reason)) {
            self.send(id, &farewell);
        }
        self.marks[id.slot()].id = None;
        self.closings.push((id, reason));
    }

    /// The connections that are to be closed, in order.
    pub(super) fn take_closings(&mut self) -> Vec<(ConnectionId, CloseReason)> {
        std::mem::take(&mut self.closings)
    }

    /// The outboxes that fell behind at the last flushes.
    pub(super) fn take_behind(&mut self) -> Vec<(ConnectionId, Arc<Outbox>)> {
        std::mem::take(&mut self.behind)
    }

    /// Notes that an outbox needs a catch-up writer.
    pub(super) fn needs_writer(&mut self, id: ConnectionId, outbox: Arc<Outbox>) {
        self.laggards.push((id, Arc::downgrade(&outbox)));
        self.behind.push((id, outbox));
    }

    /// Asks a connection for activity in its framing's own words, if it has any for that.
    pub(super) fn ping(&mut self, id: ConnectionId) {
        let Some(Slot { outlet: Outlet::Outbox(outbox), .. }) = self.slot(id) else { return };
        match outbox.ping() {
            Pushed::Done | Pushed::Held => {}
            Pushed::FellBehind => {
                let outbox = Arc::clone(outbox);
                self.needs_writer(id, outbox);
            }
            Pushed::Overflow => self.close(id, CloseReason::TooSlow),
        }
    }

    /// What the application has sent since this was last taken, in tokens: one for each begun measure beyond the first,
    /// so that what is usual costs nothing beside the frame that asked for it.
    pub(super) fn take_charge(&mut self) -> u32 {
        let measures = std::mem::take(&mut self.work).saturating_sub(1) / WORK_BYTES;
        u32::try_from(measures).unwrap_or(u32::MAX)
    }

    /// Bytes waiting for the next flush.
    pub(super) fn batch_len(&self) -> usize {
        self.batch.len()
    }

    /// How many connections the batch goes to.
    pub(super) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// Gives up memory that has not been needed for a while.
    pub(super) fn relax(&mut self) {
        self.batch.relax();
        self.earlier.shrink_to(EARLIER_KEPT);
        self.laggards.retain(|(_, outbox)| outbox.upgrade().is_some_and(|outbox| outbox.waiting().is_some()));
    }

    /// Notes `frame` for one connection.
    pub(super) fn send(&mut self, to: ConnectionId, frame: &(impl Encode + ?Sized)) {
        if self.is_open(to) {
            self.make_room();
            let piece = self.batch.push_single(frame);
            self.note(to, piece);
            self.work += piece.len() + RECEIVER_BYTES;
        }
    }

    /// Encodes `frame` once and notes it for each of `to`.
    pub(super) fn send_all(
        &mut self,
        to: impl IntoIterator<Item = ConnectionId>,
        frame: &(impl Encode + ?Sized),
    ) -> usize {
        self.make_room();
        let piece = self.batch.push_shared(frame);
        let receivers = to.into_iter().filter(|id| self.note(*id, piece)).count();
        self.work += receivers * (piece.len() + RECEIVER_BYTES);
        if receivers == 0 {
            self.batch.take_back(piece);
        }
        receivers
    }

    /// Encodes `frame` once and notes it for everybody at a listener but one; holds it for those who arrive.
    pub(super) fn broadcast(
        &mut self,
        listener: usize,
        but: Option<ConnectionId>,
        frame: &(impl Encode + ?Sized),
    ) -> usize {
        let audience = self.audience(listener);
        audience.arrivals.hold(but, frame);
        let members = std::mem::take(&mut audience.members);
        let receivers = self.send_all(members.iter().copied().filter(|to| Some(*to) != but), frame);
        self.audience(listener).members = members;
        receivers
    }

    fn make_room(&mut self) {
        if self.batch.len() >= METHOD_BYTES_MAX {
            self.flush();
        }
    }

    /// Notes that a connection is to get a piece of the batch. `false` when it is not there any more.
    fn note(&mut self, id: ConnectionId, piece: Piece) -> bool {
        let at = id.slot();
        let Some(mark) = self.marks.get_mut(at).filter(|mark| mark.id == Some(id)) else { return false };
        if mark.last.is_empty() {
            self.touched.push(at as u32);
            mark.last = piece;
        } else if !mark.last.extend(piece)
            && let Some(slot) = &mut self.slots[at]
        {
            self.earlier.push((mark.last, slot.earlier));
            slot.earlier = self.earlier.len() as u32;
            mark.last = piece;
        }
        true
    }

    /// Offers each touched client what was sent to it since the last flush, in one go and without blocking.
    pub(super) fn flush(&mut self) {
        let sending = Sending::new(&self.batch);
        let mut pieces = Vec::new();
        let mut too_slow = Vec::new();
        for at in self.touched.drain(..) {
            let at = at as usize;
            let Some(slot) = &mut self.slots[at] else { continue };
            let last = std::mem::take(&mut self.marks[at].last);
            if last.is_empty() {
                continue;
            }
            pieces.clear();
            pieces.push(last);
            while let Some((piece, before)) = slot.earlier.checked_sub(1).map(|at| self.earlier[at as usize]) {
                pieces.push(piece);
                slot.earlier = before;
            }
            pieces.reverse();
            if let Some(trace) = &self.trace {
                let frames = pieces.iter().flat_map(|piece| split_frames(self.batch.bytes(*piece)));
                frames.for_each(|frame| trace.frame_out(slot.id, frame));
            }
            match &mut slot.outlet {
                Outlet::Outbox(outbox) => match outbox.push(&sending, &pieces) {
                    Pushed::Done => {}
                    Pushed::FellBehind => {
                        self.laggards.push((slot.id, Arc::downgrade(outbox)));
                        self.behind.push((slot.id, Arc::clone(outbox)));
                    }
                    Pushed::Held => {
                        info!("what {} is sent waits until it speaks: it could be taken for an HTTP response", slot.id);
                        self.laggards.push((slot.id, Arc::downgrade(outbox)));
                    }
                    Pushed::Overflow => too_slow.push(slot.id),
                },
                Outlet::Buffer(buffer) => {
                    pieces.iter().for_each(|piece| buffer.extend_from_slice(self.batch.bytes(*piece)));
                }
            }
            // Not only at the end: a batch may be much for each of many.
            if self.outboxes.is_over() {
                shed(&self.laggards, &self.outboxes, &mut too_slow);
            }
        }
        self.earlier.clear();
        self.batch.clear();
        if self.outboxes.is_over() {
            shed(&self.laggards, &self.outboxes, &mut too_slow);
        }
        for id in too_slow {
            self.close(id, CloseReason::TooSlow);
            // Of one that is being closed for another reason it must be known, too, that it did not get all.
            if let Some((_, reason)) = self.closings.iter_mut().rev().find(|(closing, _)| *closing == id) {
                *reason = CloseReason::TooSlow;
            }
        }
    }
}

/// Lets those go who have most waiting, until what waits for all together is well within its bound.
#[cold]
fn shed(laggards: &[(ConnectionId, Weak<Outbox>)], outboxes: &Outboxes, gone: &mut Vec<ConnectionId>) {
    let waiting = |(id, outbox): &(ConnectionId, Weak<Outbox>)| {
        let outbox = outbox.upgrade()?;
        let count = outbox.waiting().filter(|count| *count > 0)?;
        Some((Reverse(count), *id, outbox))
    };
    let mut waiting: Vec<_> = laggards.iter().filter_map(waiting).collect();
    waiting.sort_unstable_by_key(|(count, id, _)| (*count, *id));
    for (_, id, outbox) in waiting {
        if !outboxes.is_to_shrink() {
            return;
        }
        outbox.link().kill(CloseReason::TooSlow);
        outbox.discard();
        gone.push(id);
    }
}

impl Audience {
    fn of(arrivals: Arc<Arrivals>) -> Audience {
        Audience { members: Vec::new(), arrivals }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
