//! Reports: what the server and its service did, in order, waited for with a deadline.

use std::net::SocketAddr;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use xmlsocket::server::{CloseReason, ConnectionId, Observer, Peer};

use super::DEADLINE;

/// What the server reports, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    Accepted(ConnectionId),
    Refused(String),
    Opened(ConnectionId),
    FrameIn(ConnectionId, usize),
    FellBehind(ConnectionId),
    CaughtUp(ConnectionId),
    Closed(ConnectionId, CloseReason),
    Ended(ConnectionId),
}

/// What the service was told, in the order in which it happened. Ticks are not reported: they come all the time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Open(ConnectionId),
    Message(ConnectionId, String),
    Idle(ConnectionId),
    Close(ConnectionId, CloseReason),
    External,
    Shutdown,
}

/// A queue of reports that can be searched: what a search skips stays for the next.
pub(crate) struct Reports<T> {
    queue: Receiver<T>,
    skipped: Vec<T>,
}

impl<T: std::fmt::Debug> Reports<T> {
    pub(super) fn new(queue: Receiver<T>) -> Reports<T> {
        Reports { queue, skipped: Vec::new() }
    }

    /// Waits for the first report that `pick` gives something for, and takes it out.
    pub(crate) fn wait<R>(&mut self, what: &str, mut pick: impl FnMut(&T) -> Option<R>) -> R {
        for at in 0..self.skipped.len() {
            if let Some(picked) = pick(&self.skipped[at]) {
                self.skipped.remove(at);
                return picked;
            }
        }
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.queue.recv_deadline(deadline) {
                Ok(report) => match pick(&report) {
                    Some(picked) => return picked,
                    None => self.skipped.push(report),
                },
                Err(_) => panic!("no report of: {what}; there were {:?}", self.tail()),
            }
        }
    }

    /// All reports that are there, whether skipped before or not.
    pub(crate) fn all(&mut self) -> Vec<T> {
        self.skipped.extend(self.queue.try_iter());
        std::mem::take(&mut self.skipped)
    }

    fn tail(&self) -> &[T] {
        &self.skipped[self.skipped.len().saturating_sub(20)..]
    }
}

impl Reports<Note> {
    pub(crate) fn opened(&mut self) -> ConnectionId {
        self.wait("a connection opened", |note| match note {
            Note::Opened(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn closed(&mut self, id: ConnectionId) -> CloseReason {
        self.wait(&format!("{id} closed"), |note| match note {
            Note::Closed(closed, reason) if *closed == id => Some(reason.clone()),
            _ => None,
        })
    }

    pub(crate) fn any_closed(&mut self) -> (ConnectionId, CloseReason) {
        self.wait("a connection closed", |note| match note {
            Note::Closed(id, reason) => Some((*id, reason.clone())),
            _ => None,
        })
    }

    pub(crate) fn ends(&mut self, count: usize) {
        (0..count).for_each(|_| {
            self.any_ended();
        });
    }

    pub(crate) fn any_ended(&mut self) -> ConnectionId {
        self.wait("a connection ended", |note| match note {
            Note::Ended(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn ended(&mut self, id: ConnectionId) {
        self.wait(&format!("{id} ended"), |note| (*note == Note::Ended(id)).then_some(()));
    }

    pub(crate) fn caught_up(&mut self, id: ConnectionId) {
        self.wait(&format!("{id} caught up"), |note| (*note == Note::CaughtUp(id)).then_some(()));
    }

    pub(crate) fn fell_behind(&mut self, id: ConnectionId) {
        self.wait(&format!("{id} fell behind"), |note| (*note == Note::FellBehind(id)).then_some(()));
    }
}

impl Reports<Told> {
    pub(crate) fn open(&mut self) -> ConnectionId {
        self.wait("on_open", |told| match told {
            Told::Open(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn message(&mut self) -> String {
        self.wait("on_message", |told| match told {
            Told::Message(_, text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(crate) fn close(&mut self, id: ConnectionId) -> CloseReason {
        self.wait("on_close", |told| match told {
            Told::Close(closed, reason) if *closed == id => Some(reason.clone()),
            _ => None,
        })
    }
}

/// Reports to a channel.
pub(super) struct Watch(pub(super) Sender<Note>);

impl Watch {
    fn note(&self, note: Note) {
        let _ = self.0.send(note);
    }
}

impl Observer for Watch {
    fn accepted(&self, id: ConnectionId, _: SocketAddr) {
        self.note(Note::Accepted(id));
    }
    fn refused(&self, _: SocketAddr, code: &str) {
        self.note(Note::Refused(code.to_owned()));
    }
    fn opened(&self, id: ConnectionId, _: &Peer) {
        self.note(Note::Opened(id));
    }
    fn frame_in(&self, id: ConnectionId, frame: &[u8]) {
        self.note(Note::FrameIn(id, frame.len()));
    }
    fn fell_behind(&self, id: ConnectionId) {
        self.note(Note::FellBehind(id));
    }
    fn caught_up(&self, id: ConnectionId) {
        self.note(Note::CaughtUp(id));
    }
    fn closed(&self, id: ConnectionId, reason: &CloseReason) {
        self.note(Note::Closed(id, reason.clone()));
    }
    fn ended(&self, id: ConnectionId) {
        self.note(Note::Ended(id));
    }
}
