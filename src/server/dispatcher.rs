//! The dispatcher: one thread that owns the application and the table of connections, takes events from the channel
//! in batches, and writes to the clients.
//!
//! It never blocks on a client and never waits for a client's thread, which may itself be waiting for room in the
//! dispatcher's channel.
//!
//! Knows: the order of events, time. Must not know: what the application does with them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{debug, error, info, warn};

use super::STACK_BYTES;
use super::arrival::held::Arrival;
use super::arrival::threads::ThreadPermit;
use super::budget::Handled;
use super::builder::Ended;
use super::closing::CloseReason;
use super::closing::linger::LINGER;
use super::context::Context;
use super::engine::{Engine, Outlet, Slot};
use super::event::{EVENTS_MAX, Event, Opened};
use super::outbox::{Outbox, Pushed};
use super::peer::{ConnectionId, Now};
use super::service::Service;
use super::shared::Shared;
use crate::wire::Limits;

/// The time between two ticks.
const TICK: Duration = Duration::from_secs(1);

/// Events handled before what they made is sent, so that nobody waits long for it.
const BATCH_EVENTS_MAX: usize = 512;

/// Receivers of a batch from which on it is worth letting clients' threads run once more before it is sent.
const WORTH_A_LOOK: usize = 32;

/// Bytes sent to anybody before they leave.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Panics outside any connection, within [`PANICS_WINDOW`], after which the server gives up.
const PANICS_MAX: usize = 3;

/// See [`PANICS_MAX`].
const PANICS_WINDOW: Duration = Duration::from_secs(60);

/// How often a stopping server looks whether its clients have got everything.
const STOP_POLL: Duration = Duration::from_millis(5);

/// How long clients that have got everything may take to close when the server stops.
const STOP_GRACE: Duration = Duration::from_millis(300);

/// The dispatcher's state.
pub(super) struct Dispatcher<S> {
    service: S,
    engine: Engine,
    inbox: Receiver<Event>,
    shared: Arc<Shared>,
    next_tick: Instant,
    /// Connections that the application has forgotten and whose sockets are still needed: they get their last bytes,
    /// or have yet to close.
    parting: HashMap<ConnectionId, Parting>,
    /// When the application panicked outside any connection.
    panics: Vec<Instant>,
}

/// Stops the rest of the server when the dispatcher ends, should it end by a panic that is not the application's: who
/// waits for a dispatcher that is no more would wait for ever.
struct StopAtEnd(Arc<Shared>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.begin_stop();
        self.0.budget.close();
        self.0.seats.close();
    }
}

/// A connection on its way out.
struct Parting {
    outbox: Arc<Outbox>,
    /// Whether its client's thread has ended: then nothing is left to do once the last byte is sent.
    ended: bool,
}

impl<S: Service> Dispatcher<S> {
    pub(super) fn new(service: S, inbox: Receiver<Event>, shared: Arc<Shared>) -> Dispatcher<S> {
        let now = read_clock();
        let trace = shared.wants_frames_out.then(|| Arc::clone(&shared.observer));
        Dispatcher {
            service,
            engine: Engine::new(now, Arc::clone(&shared.outboxes), trace, &shared.arrivals),
            inbox,
            shared,
            next_tick: now.instant + TICK,
            parting: HashMap::new(),
            panics: Vec::new(),
        }
    }

    /// Handles events until the server stops. Catch-up writers are threads of the scope.
    pub(super) fn run(mut self) -> Ended {
        thread::scope(|scope| {
            let _stop = StopAtEnd(Arc::clone(&self.shared));
            while !self.shared.is_stopping() {
                match self.inbox.recv_deadline(self.next_tick) {
                    Ok(event) => self.handle_batch(event),
                    Err(RecvTimeoutError::Timeout) => self.engine.now = read_clock(),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if self.engine.now.instant >= self.next_tick {
                    self.tick();
                }
                self.settle(scope);
            }
            self.stop(scope);
        });
        if self.panics.len() >= PANICS_MAX { Ended::ServicePanicked } else { Ended::Shutdown }
    }

    /// Handles `event` and those that are waiting behind it, up to a bound.
    fn handle_batch(&mut self, event: Event) {
        self.engine.now = read_clock();
        self.renew_limits();
        let mut counted = Handled::default();
        self.handle(event, &mut counted);
        let mut has_yielded = false;
        for handled in 1..BATCH_EVENTS_MAX {
            // Whoever stops the server waits no longer than one event takes; what else waits is told apart there.
            if self.engine.batch_len() >= BATCH_BYTES_MAX || self.shared.is_stopping() {
                break;
            }
            let event = match self.inbox.try_recv() {
                Ok(event) => event,
                // Several came together, so others may be about to be read, and many are to get them: one look more costs
                // less than a second round of sends. A lone message is not kept waiting.
                Err(_) if handled > 1 && !has_yielded && self.engine.touched() >= WORTH_A_LOOK => {
                    has_yielded = true;
                    thread::yield_now();
                    continue;
                }
                Err(_) => break,
            };
            self.handle(event, &mut counted);
        }
        self.shared.budget.give_back_all(&counted);
    }

    /// Handles one event; adds what it counted in the budget.
    fn handle(&mut self, event: Event, counted: &mut Handled) {
        match event {
            Event::Message { id, message, cost } => {
                if self.engine.is_open(id) {
                    self.guard(Some(id), |service, cx| service.on_message(cx, id, message));
                }
                counted.add(cost);
            }
            Event::Opened(opened) => self.open(*opened),
            Event::Reply { id, frame, then_close } => {
                self.engine.send(id, &frame);
                if let Some(reason) = then_close {
                    self.engine.close(id, reason);
                }
            }
            Event::Withdraw(id, answer) => {
                let _ = answer.send(self.withdraw(id));
            }
            Event::FellBehind(id, outbox) => self.engine.needs_writer(id, outbox),
            Event::Closed { id, reason, ended } => self.closed(id, *reason, ended),
            Event::External(event) => self.guard(None, |service, cx| service.on_external(cx, event)),
            Event::Wake => self.renew_limits(),
        }
    }

    /// Hands new limits to the application. They do not come through the channel, which may be full.
    fn renew_limits(&mut self) {
        if let Some(limits) = self.shared.new_limits() {
            self.guard(None, |service, cx| service.on_limits(cx, &limits));
        }
    }

    fn open(&mut self, opened: Opened) {
        let Opened { id, peer, outbox, settings, arrival } = opened;
        self.engine.insert(id, peer, Some(settings), Outlet::Outbox(outbox));
        self.guard(Some(id), |service, cx| service.on_open(cx, id));
        self.engine.join(id, &arrival);
        // What others said before was theirs to pay for.
        self.engine.take_charge();
    }

    /// A client's thread hands on nothing more.
    fn closed(&mut self, id: ConnectionId, reason: CloseReason, ended: bool) {
        if let Some(slot) = self.engine.slot(id) {
            slot.ended |= ended;
            self.engine.close(id, reason);
        } else if ended && let Some(parting) = self.parting.get_mut(&id) {
            parting.ended = true;
            if parting.outbox.finished().is_some() {
                self.parting.remove(&id);
            }
        }
    }

    /// Makes the application forget a connection without touching its link, so that its thread may write to it; from
    /// here on it arrives. `None` when the connection was sent something before, or is on its way out: then it is
    /// closed like any other.
    fn withdraw(&mut self, id: ConnectionId) -> Option<Arrival> {
        const REASON: CloseReason = CloseReason::NotXmlSocket("an HTTP request");
        self.engine.flush();
        let open = self.engine.is_open(id);
        let unused = self.engine.slot(id).is_some_and(|slot| match &slot.outlet {
            Outlet::Outbox(outbox) => open && outbox.withdraw(),
            Outlet::Buffer(_) => false,
        });
        if !unused {
            self.engine.close(id, REASON);
            return None;
        }
        let listener = self.engine.remove(id)?.peer.listener;
        self.shared.observer.closed(id, &REASON);
        self.guard(Some(id), |service, cx| service.on_close(cx, id, &REASON));
        Some(self.engine.arrive(listener))
    }

    /// Sends what is to be sent, closes what is to be closed, and starts writers for those who fell behind, until
    /// nothing is left: closing makes the application send and close more.
    fn settle<'scope>(&mut self, scope: &'scope Scope<'scope, '_>) {
        loop {
            self.engine.flush();
            for (id, outbox) in self.engine.take_behind() {
                self.start_writer(scope, id, outbox);
            }
            if !self.close_all() {
                return;
            }
        }
    }

    /// Closes what is to be closed, all of it: closing may close more. Gives whether there was anything.
    fn close_all(&mut self) -> bool {
        let mut any = false;
        loop {
            // Before they are taken: it may change their reasons.
            self.engine.flush();
            let closings = self.engine.take_closings();
            if closings.is_empty() {
                return any;
            }
            any = true;
            for (id, reason) in closings {
                let Some(slot) = self.engine.remove(id) else { continue };
                match &reason {
                    CloseReason::ByPeer | CloseReason::Lost(_) => debug!("{id} closed: {reason}"),
                    _ => info!("{id} from {} closed: {reason}", slot.peer.address),
                }
                self.shared.observer.closed(id, &reason);
                let link = if let Outlet::Outbox(outbox) = slot.outlet {
                    let link = Arc::clone(outbox.link());
                    self.part(id, Parting { outbox, ended: slot.ended }, &reason);
                    Some(link)
                } else {
                    None
                };
                // A panic here concerns a connection that is gone already: its peer must not be able to stop the server.
                self.call(Some(id), |service, cx| service.on_close(cx, id, &reason));
                // Its address pays for what its going makes the server say.
                if let (tokens @ 1.., Some(link)) = (self.engine.take_charge(), link) {
                    link.charge(tokens);
                }
            }
        }
    }

    /// Lets a connection's link go, after its last bytes where there is somebody to take them.
    fn part(&mut self, id: ConnectionId, parting: Parting, reason: &CloseReason) {
        match reason {
            CloseReason::Lost(_) | CloseReason::TooSlow | CloseReason::WriteTimeout | CloseReason::NoThreadLeft => {
                parting.outbox.link().kill(reason.clone());
                parting.outbox.discard();
            }
            _ => {
                if parting.outbox.finish(reason) == Pushed::FellBehind {
                    self.engine.needs_writer(id, Arc::clone(&parting.outbox));
                }
                if !(parting.ended && parting.outbox.finished().is_some()) {
                    self.parting.insert(id, parting);
                }
            }
        }
    }

    fn start_writer<'scope>(&mut self, scope: &'scope Scope<'scope, '_>, id: ConnectionId, outbox: Arc<Outbox>) {
        debug!("{id} fell behind");
        self.shared.observer.fell_behind(id);
        let spawned = ThreadPermit::for_writer().is_some_and(|permit| {
            let name = format!("catch-up {id}");
            let (outbox, observer) = (Arc::clone(&outbox), Arc::clone(&self.shared.observer));
            let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
            thread
                .spawn_scoped(scope, move || {
                    let _permit = permit;
                    outbox.catch_up();
                    observer.caught_up(id);
                })
                .is_ok()
        });
        if !spawned {
            outbox.link().kill(CloseReason::NoThreadLeft);
            self.engine.close(id, CloseReason::NoThreadLeft);
        }
    }

    /// What is due once a second: pings, deadlines, the application's own.
    fn tick(&mut self) {
        let now = self.engine.now.instant;
        self.next_tick = now + TICK;
        self.engine.relax();
        let mut idle = Vec::new();
        let mut expired = Vec::new();
        if let Some(max) = Limits::bound(self.shared.limits().idle_seconds_max).map(Duration::from_secs) {
            for slot in self.engine.slots() {
                let Outlet::Outbox(outbox) = &slot.outlet else { continue };
                if !slot.settings.as_ref().is_some_and(|settings| settings.idle) {
                    continue;
                }
                let silent = outbox.link().silent(now);
                // Nobody is closed for a silence that the application had no chance to end.
                let asked = slot.asked.is_some_and(|at| now.saturating_duration_since(at) <= silent);
                if asked && silent >= max {
                    expired.push(slot.id);
                } else if !asked && silent >= max / 2 {
                    slot.asked = Some(now);
                    idle.push(slot.id);
                }
            }
        }
        for id in expired {
            self.engine.close(id, CloseReason::IdleTimeout);
        }
        for id in idle {
            self.engine.ping(id);
            self.guard(Some(id), |service, cx| service.on_idle(cx, id));
        }
        self.parting.retain(|_, Parting { outbox, ended }| match outbox.finished() {
            None => !outbox.link().is_dead(),
            Some(_) if *ended => false,
            Some(at) if now.saturating_duration_since(at) < LINGER => true,
            Some(_) => {
                outbox.link().kill(CloseReason::Shutdown);
                false
            }
        });
        self.guard(None, |service, cx| service.on_tick(cx));
    }

    /// Calls the application, about a connection that is there or about none. What it sends costs that connection:
    /// here, once for all applications.
    fn guard(&mut self, about: Option<ConnectionId>, act: impl FnOnce(&mut S, &mut Context<'_>)) {
        self.call(about, act);
        let tokens = self.engine.take_charge();
        if tokens > 0
            && let Some(Slot { outlet: Outlet::Outbox(outbox), .. }) = about.and_then(|id| self.engine.slot(id))
        {
            outbox.link().charge(tokens);
        }
    }

    /// Calls the application. A panic closes the connection that it was about; where it was about none, several in a
    /// short time stop the server, because then something else is wrong.
    fn call(&mut self, about: Option<ConnectionId>, act: impl FnOnce(&mut S, &mut Context<'_>)) {
        let Dispatcher { service, engine, .. } = self;
        let call = AssertUnwindSafe(|| act(service, &mut Context::new(engine)));
        let Err(panic) = catch_unwind(call) else { return };
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        match about {
            Some(id) => {
                error!("the application panicked while it handled {id}: {text}");
                self.engine.close(id, CloseReason::Panicked);
            }
            None => {
                error!("the application panicked: {text}");
                let now = self.engine.now.instant;
                self.panics.retain(|at| now.saturating_duration_since(*at) < PANICS_WINDOW);
                self.panics.push(now);
                if self.panics.len() >= PANICS_MAX {
                    error!("the application panicked {PANICS_MAX} times within a minute: the server stops");
                    self.shared.begin_stop();
                }
            }
        }
    }

    /// Stops: what waits is handled, farewell, last bytes until a deadline, then every link is shut down, which frees
    /// every thread.
    fn stop<'scope>(&mut self, scope: &'scope Scope<'scope, '_>) {
        let begun = Instant::now();
        let patience = Limits::bound(self.shared.limits().shutdown_seconds_max).map(Duration::from_secs);
        self.handle_waiting(|| patience.is_some_and(|patience| begun.elapsed() >= patience / 2));
        self.engine.now = read_clock();
        self.guard(None, |service, cx| service.on_shutdown(cx));
        self.settle(scope);
        let mut outboxes: Vec<_> = self.parting.drain().map(|(_, parting)| parting.outbox).collect();
        let open: Vec<_> = self.engine.remove_all().collect();
        for slot in open {
            if let Outlet::Outbox(outbox) = slot.outlet {
                self.finish(scope, slot.id, &outbox);
                outboxes.push(outbox);
            }
        }
        self.shared.budget.close();
        let mut grace = None;
        loop {
            self.drop_waiting(scope, &mut outboxes);
            outboxes.retain(|outbox| outbox.finished().is_none() && !outbox.link().is_dead());
            let now = Instant::now();
            if outboxes.is_empty() && self.shared.seats.taken() == 0
                || patience.is_some_and(|patience| now.duration_since(begun) >= patience)
                || outboxes.is_empty() && now >= *grace.get_or_insert(now + STOP_GRACE)
            {
                break;
            }
            thread::sleep(STOP_POLL);
        }
        if !outboxes.is_empty() {
            warn!("{} clients had not taken everything when the server stopped", outboxes.len());
        }
        self.shared.seats.close();
        outboxes.iter().for_each(|outbox| outbox.discard());
    }

    /// Handles the events that wait when the server stops: they were said before. Not those that come meanwhile, and
    /// none for an application that keeps panicking.
    fn handle_waiting(&mut self, is_late: impl Fn() -> bool) {
        self.engine.now = read_clock();
        for _ in 0..self.inbox.len() {
            if is_late() || self.panics.len() >= PANICS_MAX {
                return;
            }
            let Ok(event) = self.inbox.try_recv() else { return };
            let mut counted = Handled::default();
            self.handle(event, &mut counted);
            self.shared.budget.give_back_all(&counted);
        }
    }

    /// Drops the events that come after the farewell: clients' threads that wait for room in the channel must get it
    /// in order to end. Who is announced only now is told that nothing will come.
    fn drop_waiting<'scope>(&mut self, scope: &'scope Scope<'scope, '_>, outboxes: &mut Vec<Arc<Outbox>>) {
        let inbox = self.inbox.clone();
        for event in inbox.try_iter().take(EVENTS_MAX) {
            match event {
                Event::Opened(opened) => {
                    self.finish(scope, opened.id, &opened.outbox);
                    outboxes.push(opened.outbox);
                }
                Event::FellBehind(id, outbox) => self.start_writer(scope, id, outbox),
                _ => {}
            }
        }
    }

    /// Lets a client that gets nothing more take what it was sent, and hear that the server stops.
    fn finish<'scope>(&mut self, scope: &'scope Scope<'scope, '_>, id: ConnectionId, outbox: &Arc<Outbox>) {
        if outbox.finish(&CloseReason::Shutdown) == Pushed::FellBehind {
            self.start_writer(scope, id, Arc::clone(outbox));
        }
    }
}

fn read_clock() -> Now {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), unix }
}
