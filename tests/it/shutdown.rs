//! Stopping: from wherever it is asked for, whatever the clients are doing, within the time that was given.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use xmlsocket::server::{CloseReason, ConnectionId, Ended, Listener, Observer, PostError, Server};
use xmlsocket::wire::{Element, Limits};

use crate::harness::{Client, DEADLINE, Note, Probe, Setup, Told, alone, lock};

/// What stopping may take beside the time that clients are given.
const SMALL: Duration = Duration::from_millis(900);

/// A frame of a megabyte.
fn megabyte() -> Element {
    Element::new("big").text("x".repeat(1 << 20))
}

/// Sends everybody who asks four megabytes.
fn generous() -> Probe {
    Probe::answering(|cx, from, _| (0..4).for_each(|_| cx.send(from, &megabyte())))
}

#[test]
fn a_stalled_client_that_has_closed_its_half_cannot_delay_a_stop() {
    let mut running = Setup::new()
        .limits(|limits| {
            limits.shutdown_seconds_max = 1;
            limits.outbox_bytes_max = 64 << 20;
        })
        .serve(generous());
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    client.send("<more/>");
    client.half_close();
    running.notes.fell_behind(id);
    assert_eq!(running.notes.closed(id), CloseReason::ByPeer);
    let took = running.stop();
    assert!(took < Duration::from_secs(1) + SMALL, "{took:?}");
    assert!(running.notes.all().contains(&Note::Ended(id)));
}

#[test]
fn a_refused_client_that_stays_cannot_delay_a_stop() {
    let mut running = Setup::new().limits(|limits| limits.connections_max = 1).serve(Probe::default());
    let (_first, _) = running.join();
    let mut second = running.connect();
    assert!(second.frame().starts_with("<error code=\"server-full\">"));
    let begun = Instant::now();
    running.server.shutdown();
    assert!(begun.elapsed() < SMALL, "{:?}", begun.elapsed());
}

#[test]
fn a_seat_is_free_only_when_nothing_waits_for_its_client_any_more() {
    let mut running = Setup::new()
        .limits(|limits| {
            limits.connections_max = 1;
            limits.outbox_bytes_max = 64 << 20;
        })
        .serve(generous());
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    client.send("<more/>");
    client.half_close();
    running.notes.fell_behind(id);
    running.notes.closed(id);
    // Its thread reads no more, but four megabytes wait: it still counts.
    assert!(running.connect().frame().starts_with("<error code=\"server-full\">"));
    assert_eq!(client.rest().len(), 4 * ((1 << 20) + "<big></big>".len() + 1));
    drop(client);
    running.notes.wait("the seat is free", |note| (*note == Note::Ended(id)).then_some(()));
    let (mut next, _) = running.join();
    next.send("<a/>");
    assert!(next.frame().starts_with("<big>"));
}

#[test]
fn what_was_posted_before_a_stop_is_handled_before_the_farewell() {
    let (entered, inside) = bounded(0);
    let (leave, left) = bounded::<()>(0);
    let mut probe = Probe::answering(move |_, _, _| {
        entered.send(()).unwrap();
        left.recv_timeout(DEADLINE).unwrap();
    });
    probe.on_shutdown = Box::new(|_, ()| {});
    let mut running = Setup::new().serve(probe);
    let (mut client, _) = running.join();
    client.send("<wait/>");
    inside.recv_timeout(DEADLINE).unwrap();
    let handle = running.server.handle();
    (0..100).for_each(|n| handle.post(n).unwrap());
    handle.shutdown();
    assert_eq!(handle.post(100), Err(PostError::Stopped(100)));
    leave.send(()).unwrap();
    assert_eq!(running.server.wait(), Ended::Shutdown);
    let told: Vec<_> = running.told.all().split_off(2);
    assert_eq!(told.iter().filter(|told| **told == Told::External).count(), 100);
    assert_eq!(told.last(), Some(&Told::Shutdown));
}

#[test]
fn what_waits_longer_than_half_of_the_patience_is_not_handled_any_more() {
    const EVENTS: usize = 1_000;
    let (_never, nothing) = bounded::<()>(0);
    let (entered, inside) = bounded(EVENTS);
    let (leave, left) = bounded::<()>(0);
    let mut probe = Probe::answering(move |_, _, _| left.recv_timeout(DEADLINE).unwrap());
    probe.on_external = Box::new(move |_, _| {
        entered.send(()).unwrap();
        let _ = nothing.recv_timeout(Duration::from_millis(50));
    });
    let mut running = Setup::new().limits(|limits| limits.shutdown_seconds_max = 1).serve(probe);
    let (mut client, _) = running.join();
    client.send("<wait/>");
    running.told.message();
    let handle = running.server.handle();
    (0..EVENTS).for_each(|n| handle.post(n).unwrap());
    handle.shutdown();
    leave.send(()).unwrap();
    assert_eq!(running.server.wait(), Ended::Shutdown);
    let handled = inside.try_iter().count();
    assert!((1..=20).contains(&handled), "{handled} of {EVENTS}, each of which takes 50 ms");
}

#[test]
fn whoever_waits_waits_to_the_end() {
    let mut running = Setup::new().serve(Probe::default());
    let (_client, id) = running.join();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| running.server.shutdown())).collect();
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Ended::Shutdown);
        }
    });
    assert_eq!(running.server.shutdown(), Ended::Shutdown);
    assert!(running.notes.all().contains(&Note::Ended(id)));
}

#[test]
fn an_observer_that_panics_in_the_dispatcher_ends_the_server_and_hangs_nobody() {
    struct Fragile;
    impl Observer for Fragile {
        fn closed(&self, _: ConnectionId, _: &CloseReason) {
            panic!("the observer is broken");
        }
    }
    let listener = Listener::bind("127.0.0.1:0", Default::default()).unwrap();
    let server = Server::builder().listen(listener).observer(Arc::new(Fragile)).serve(Probe::default()).unwrap();
    let mut stays = Client::connect(server.local_addr());
    stays.send("<a/>");
    assert_eq!(stays.frame(), "<a/>");
    drop(Client::connect(server.local_addr()));
    let (done, ended) = bounded(1);
    std::thread::spawn(move || done.send(server.wait()));
    assert_eq!(ended.recv_timeout(DEADLINE), Ok(Ended::ServicePanicked));
    stays.end();
}

#[test]
fn limits_beyond_all_time_are_no_limits() {
    let mut limits = Limits::default();
    for name in Limits::NAMES {
        limits.set(name, u64::MAX).unwrap();
    }
    let mut running = Setup::new().policy().limits(|l| *l = limits).serve(Probe::default());
    let mut client = running.connect();
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
    let id = running.opened();
    let took = running.stop();
    assert!(took < SMALL, "{took:?}");
    assert!(running.notes.all().contains(&Note::Ended(id)));
}

#[test]
fn a_service_may_set_limits_and_stop_its_own_server() {
    let (give, take) = bounded::<xmlsocket::server::Handle>(1);
    let probe = Probe::answering(move |_, _, _| {
        let handle = take.recv_timeout(DEADLINE).unwrap();
        // Many more than fit into the channel that only this thread empties.
        (0..10_000).for_each(|_| handle.set_limits(Limits::default()));
        handle.shutdown();
        handle.shutdown();
    });
    let running = Setup::new().serve(probe);
    give.send(running.server.handle()).unwrap();
    let mut client = running.connect();
    client.send("<stop/>");
    client.end();
    assert_eq!(running.server.wait(), Ended::Shutdown);
    assert_eq!(running.server.handle().post(()), Err(PostError::Stopped(())));
    let refused = std::net::TcpStream::connect_timeout(&running.address, DEADLINE);
    assert!(refused.is_err(), "nobody listens any more");
}

/// The names of this process's threads.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Clients in every state that there is, most of which stay. In a process of its own, for the count of its threads.
#[test]
fn a_stop_ends_every_thread_whatever_the_clients_are_doing() {
    alone("shutdown::a_stop_ends_every_thread_whatever_the_clients_are_doing", || {
        let before = threads();
        let mut running = Setup::new()
            .policy()
            .quiet()
            .small_send_buffer()
            .limits(|limits| {
                limits.announce_seconds = 1_000;
                limits.connections_max = 60;
                limits.outbox_bytes_max = 64 << 20;
                limits.shutdown_seconds_max = 1;
            })
            .serve(Probe::answering(|cx, from, text| match text {
                "<quit/>" => cx.close(from, CloseReason::application("quit", "It said so.")),
                "<more/>" => (0..4).for_each(|_| cx.send(from, &megabyte())),
                _ => cx.send(from, &Element::new("a")),
            }));
        let firsts: [&[u8]; 12] = [
            b"",
            b"GE",
            b"ODD / HT",
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\n\r\n",
            b"<policy-file",
            b"<policy-file-request/>\0",
            b"\x16\x03",
            b"<a/>\0",
            b"<a/>\0<begun",
            b"<quit/>\0",
            b"<more/>\0",
        ];
        let mut clients = Vec::new();
        for first in firsts.repeat(5) {
            let mut client = Client::with_small_buffer(running.address);
            client.write(first);
            running.notes.wait("it was accepted", |note| matches!(note, Note::Accepted(_)).then_some(()));
            clients.push(client);
        }
        (0..5).for_each(|_| running.notes.wait("it fell behind", |n| matches!(n, Note::FellBehind(_)).then_some(())));
        // Some are being told that there is no room, and some flood without reading anything.
        clients.extend((0..20).map(|_| running.connect()));
        let flood: Vec<_> = (0..4)
            .map(|n| {
                let stream = clients[12 * n + 8].stream.try_clone().unwrap();
                std::thread::spawn(move || while (&stream).write_all(&b"<a/>\0".repeat(1_000)).is_ok() {})
            })
            .collect();
        let begun = Instant::now();
        let took = running.stop();
        assert!(took < Duration::from_secs(1) + SMALL, "{took:?}");
        assert_eq!(running.server.connections(), 0);
        let (accepted, ended): (Vec<_>, Vec<_>) = running
            .notes
            .all()
            .into_iter()
            .filter(|note| matches!(note, Note::Accepted(_) | Note::Ended(_)))
            .partition(|note| matches!(note, Note::Accepted(_)));
        assert_eq!(ended.len(), 60 + accepted.len(), "60 acceptances were taken out above");
        flood.into_iter().for_each(|thread| thread.join().unwrap());
        // A thread that has ended is shown a moment longer.
        while threads() != before {
            assert!(begun.elapsed() < DEADLINE, "{:?}", threads());
            std::thread::yield_now();
        }
        // Those who read to the end find one.
        clients.iter_mut().for_each(|client| drop(client.rest()));
    });
}

#[test]
fn a_farewell_reaches_everybody_under_load() {
    let everybody = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (comers, all) = (Arc::clone(&everybody), everybody);
    let mut probe = Probe::default();
    probe.on_open = Box::new(move |_, id| lock(&comers).push(id));
    probe.on_shutdown = Box::new(move |cx, ()| {
        cx.send_all(lock(&all).iter().copied(), &Element::new("bye"));
    });
    let mut running = Setup::new().quiet().serve(probe);
    let clients: Vec<_> = (0..20).map(|_| running.join().0).collect();
    let talking: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || {
                let mut heard = 0;
                while client.stream.write_all(b"<a/>\0").is_ok() {
                    match client.frame_or_end().as_deref() {
                        Some("<a/>") => heard += 1,
                        other => return (heard, other.map(str::to_owned)),
                    }
                }
                (heard, client.frame_or_end())
            })
        })
        .collect();
    // They are all at it.
    (0..1_000).for_each(|_| running.notes.wait("a frame", |note| matches!(note, Note::FrameIn(..)).then_some(())));
    let took = running.stop();
    assert!(took < SMALL, "{took:?}");
    for thread in talking {
        let (heard, last) = thread.join().unwrap();
        assert_eq!(last.as_deref(), Some("<bye/>"), "after {heard} echoes");
    }
}

#[test]
fn dropping_a_server_stops_it() {
    let mut running = Setup::new().serve(Probe::default());
    let (mut client, id) = running.join();
    let (address, handle) = (running.address, running.server.handle());
    drop(running.server);
    client.end();
    assert!(running.notes.all().contains(&Note::Ended(id)));
    assert_eq!(running.told.all().last(), Some(&Told::Shutdown));
    assert_eq!(handle.post("late"), Err(PostError::Stopped("late")));
    // The handle keeps nothing alive: the port is free.
    Listener::bind(address, Default::default()).unwrap();
}

#[test]
fn a_listener_on_every_address_is_woken_too() {
    for address in ["0.0.0.0:0", "127.0.0.1:0"] {
        let server = Server::bind(address).unwrap().serve(Probe::default()).unwrap();
        let begun = Instant::now();
        server.shutdown();
        assert!(begun.elapsed() < SMALL, "{address}: {:?}", begun.elapsed());
    }
}
