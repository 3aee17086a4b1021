//! Who writes to a client: the dispatcher while the client is level, a catch-up writer while it is behind, and its own
//! thread's replies in between. One at a time writes, nothing is lost or turned around, and the end is told once.

use std::sync::Arc;

use shuttle::rand::Rng;
use shuttle::sync::mpsc::{Receiver, channel};
use shuttle::thread::{self, JoinHandle};

use super::arrival::first_bytes::FirstBytes;
use super::batch::{Batch, Sending};
use super::closing::CloseReason;
use super::framing::{Marked, Reply};
use super::link::Link;
use super::outbox::{Outbox, Pushed};
use super::sync::{AtomicUsize, Ordering, let_time_pass, pause};
use super::waiting::Outboxes;
use crate::wire::{Frame, Limits};

/// Frames that the dispatcher sends.
const FRAMES: usize = 3;

/// Replies of the client's own thread.
const REPLIES: usize = 2;

/// The dispatcher, as far as it concerns one client.
struct Dispatcher {
    outbox: Arc<Outbox>,
    /// What the client's thread tells: that a writer must be started.
    told: Receiver<()>,
    writers: Vec<JoinHandle<()>>,
    /// Writers at work.
    working: Arc<AtomicUsize>,
}

impl Dispatcher {
    fn push(&mut self, text: &str) {
        let mut batch = Batch::default();
        let piece = batch.push_shared(&Frame::try_from(text).unwrap());
        let pushed = self.outbox.push(&Sending::new(&batch), &[piece]);
        self.settle(&pushed);
    }

    /// Gives the link up and drops what waits, as for a client that is lost.
    fn drop_all(&mut self) {
        self.outbox.link().kill(CloseReason::TooSlow);
        self.outbox.discard();
    }

    fn finish(&mut self) {
        let pushed = self.outbox.finish(&CloseReason::Shutdown);
        self.settle(&pushed);
    }

    /// Starts the writer that is wanted.
    fn settle(&mut self, pushed: &Pushed) {
        let told = self.told.try_recv().is_ok();
        assert!(!(told && *pushed == Pushed::FellBehind), "a client falls behind once at a time");
        if told || *pushed == Pushed::FellBehind {
            let (outbox, working) = (Arc::clone(&self.outbox), Arc::clone(&self.working));
            self.writers.push(thread::spawn(move || {
                assert_eq!(working.fetch_add(1, Ordering::SeqCst), 0, "two writers for one client");
                outbox.catch_up();
                working.fetch_sub(1, Ordering::SeqCst);
            }));
        }
    }
}

/// What happens besides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Besides {
    /// Nothing.
    Nothing,
    /// The dispatcher finishes only when the client has got everything.
    Waits,
    /// The link dies at some time.
    Dies,
    /// The dispatcher gives the link up in the place of finishing.
    GivenUp,
    /// A writer may wait in vain.
    Stalls,
    /// Hardly anything may wait.
    Overflows,
}

/// The dispatcher sends, the client's thread replies, then the dispatcher finishes. With `time`, a writer that has nothing
/// to do may end at any moment; without, never by itself, so that whoever should have told it something is found out.
pub fn hand_over(time: bool, besides: Besides) {
    let_time_pass(time);
    let link = Arc::new(Link::new(besides == Besides::Stalls));
    let mut limits = Limits::default();
    if besides == Besides::Overflows {
        limits.outbox_bytes_max = 200;
    }
    let has_goodbye = shuttle::rand::thread_rng().gen_range(0..2) == 1;
    // Nobody whose framing has a goodbye is held: it has begun with the client's own bytes.
    let is_held = !has_goodbye && shuttle::rand::thread_rng().gen_range(0..2) == 1;
    let first_bytes = if is_held { FirstBytes::of_silent(&[80]) } else { FirstBytes::Free };
    let outbox =
        Outbox::new(Arc::clone(&link), Arc::new(Marked(has_goodbye)), first_bytes, Outboxes::new(&limits), None);
    let outbox = Arc::new(outbox);
    let (tell, told) = channel();
    // How far the client's thread has come: 1 once it has shown what it speaks, then one more for each reply.
    let replied = Arc::new(AtomicUsize::new(0));
    let client = {
        let (outbox, replied, link) = (Arc::clone(&outbox), Arc::clone(&replied), Arc::clone(&link));
        thread::spawn(move || {
            pause();
            if outbox.release() == Pushed::FellBehind {
                tell.send(()).unwrap();
            }
            for n in 0..REPLIES {
                replied.fetch_add(1, Ordering::SeqCst);
                pause();
                let reply = Reply { bytes: format!("[{n}]").into_bytes(), encoder: None };
                match outbox.reply(reply, false) {
                    Pushed::FellBehind => tell.send(()).unwrap(),
                    Pushed::Done | Pushed::Held => {}
                    Pushed::Overflow => link.kill(CloseReason::TooSlow),
                }
            }
            replied.fetch_add(1, Ordering::SeqCst);
        })
    };
    let killer = (besides == Besides::Dies).then(|| {
        let link = Arc::clone(&link);
        thread::spawn(move || link.kill(CloseReason::Lost(String::new())))
    });
    let working = Arc::new(AtomicUsize::new(0));
    let mut dispatcher = Dispatcher { outbox: Arc::clone(&outbox), told, writers: Vec::new(), working };
    for n in 0..FRAMES {
        dispatcher.push(&n.to_string());
        pause();
    }
    let mut client = Some(client);
    if besides == Besides::Waits {
        client.take().map(JoinHandle::join);
        dispatcher.settle(&Pushed::Done);
        link.wait_for((0..FRAMES).map(|n| format!("<{n}\0").len()).sum::<usize>() + REPLIES * "[0]".len());
    }
    let replied_before = replied.load(Ordering::SeqCst);
    if besides == Besides::GivenUp {
        dispatcher.drop_all();
    } else {
        dispatcher.finish();
    }
    client.take().map(JoinHandle::join);
    dispatcher.settle(&Pushed::Done);
    if matches!(besides, Besides::Nothing | Besides::Waits) {
        dispatcher.writers.drain(..).for_each(|writer| writer.join().unwrap());
        assert!(outbox.finished().is_some(), "the end was not told");
        assert_eq!(link.finished.load(Ordering::SeqCst), 1, "the end is told once");
    } else {
        // As the dispatcher does with a link that is dead or has had its time.
        killer.into_iter().for_each(|killer| killer.join().unwrap());
        if link.is_dead() {
            outbox.discard();
        }
        dispatcher.writers.drain(..).for_each(|writer| writer.join().unwrap());
        assert!(outbox.finished().is_some() || link.is_dead());
        assert!(link.finished.load(Ordering::SeqCst) <= 1, "the end is told once");
    }
    // Whoever did not show in time what it speaks gets nothing of what was held.
    if replied_before == 0 && is_held && link.sent().is_empty() {
        return;
    }
    check(&link.sent(), link.is_dead(), replied_before.saturating_sub(1), has_goodbye);
}

/// Whether the client has got what it should, of which `replies` were made before the end.
fn check(sent: &str, may_be_cut: bool, replies: usize, has_goodbye: bool) {
    let mut rest = sent;
    let (mut frames, mut controls, mut is_over) = (0, 0, false);
    while !rest.is_empty() {
        assert!(!is_over, "something follows the goodbye: {sent:?}");
        let (frame, control) = (format!("<{frames}\0"), format!("[{controls}]"));
        rest = if let Some(rest) = rest.strip_prefix(&frame) {
            frames += 1;
            rest
        } else if let Some(rest) = rest.strip_prefix(&control) {
            controls += 1;
            rest
        } else if let Some(rest) = rest.strip_prefix('!') {
            is_over = true;
            rest
        } else {
            let is_part = frame.starts_with(rest) || control.starts_with(rest);
            return assert!(may_be_cut && is_part, "lost or turned around: {sent:?}");
        };
    }
    assert!(may_be_cut || frames == FRAMES && controls >= replies && is_over == has_goodbye, "not all came: {sent:?}");
}
