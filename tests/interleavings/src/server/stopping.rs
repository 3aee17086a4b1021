//! The order of stopping: clients' threads wait for room in the budget, and for room in the channel; the dispatcher handles
//! what waits, closes the budget, drops what comes, and then the channel's end. Nobody waits for ever.
//!
//! The dispatcher's steps are those of `Dispatcher::stop`, written again: its own file needs a whole server.

use std::sync::Arc;

use shuttle::rand::Rng;
use shuttle::sync::mpsc::{Receiver, sync_channel};
use shuttle::thread;

use super::budget::{Budget, Cost};
use super::sync::let_time_pass;
use crate::wire::CHANNEL_BYTES_MAX;

/// Threads of clients.
const CLIENTS: usize = 3;

/// Messages of each.
const MESSAGES: usize = 3;

/// Events that the channel holds.
const EVENTS: usize = 2;

/// Room for what is not parsed, but what an event counts by itself.
const ROOM: usize = CHANNEL_BYTES_MAX - 128;

/// Messages of which so many fit at a time.
fn cost(count: usize) -> Cost {
    Cost::of_text(ROOM / count - 128)
}

/// Clients send while the server stops.
pub fn stop() {
    let_time_pass(false);
    let budget = Arc::new(Budget::new());
    let (inbox, events) = sync_channel(EVENTS);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (budget, inbox) = (Arc::clone(&budget), inbox.clone());
            thread::spawn(move || {
                for _ in 0..MESSAGES {
                    if !budget.take(cost(2)) {
                        return;
                    }
                    // The end of the dispatcher frees who waits here.
                    let _ = inbox.send(cost(2));
                }
            })
        })
        .collect();
    drop(inbox);
    dispatch(&budget, events);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// The dispatcher: it handles some events, and stops.
fn dispatch(budget: &Budget, events: Receiver<Cost>) {
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..CLIENTS * MESSAGES) {
        let Ok(cost) = events.recv() else { return };
        budget.give_back(cost);
    }
    // What waits is handled: it was said before.
    for _ in 0..EVENTS {
        let Ok(cost) = events.try_recv() else { break };
        budget.give_back(cost);
    }
    budget.close();
    // What comes now is dropped, for a while; how long is the clients' affair.
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..4) {
        let _ = events.try_recv();
        thread::yield_now();
    }
}

/// Whoever waits for room gets it, whatever the others take, and no more is out than may be.
pub fn share() {
    let_time_pass(false);
    let budget = Arc::new(Budget::new());
    let (inbox, events) = sync_channel(CLIENTS * MESSAGES);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (budget, inbox) = (Arc::clone(&budget), inbox.clone());
            thread::spawn(move || {
                for message in 0..MESSAGES {
                    // One of them always wants more than there is: it is let in when nothing else is.
                    let cost = if client == 0 { Cost::of_text(CHANNEL_BYTES_MAX) } else { cost(2 + message) };
                    assert!(budget.take(cost), "nothing stops");
                    inbox.send(cost).unwrap();
                }
            })
        })
        .collect();
    drop(inbox);
    for _ in 0..CLIENTS * MESSAGES {
        budget.give_back(events.recv().unwrap());
    }
    clients.into_iter().for_each(|client| client.join().unwrap());
    // All of it is there again.
    assert!(budget.take(cost(1)));
}
