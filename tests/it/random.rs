//! A hundred clients that do what comes to their mind, on a small service with groups: each gets exactly the frames it
//! should, in order and whole, or is closed with a reason.
//!
//! The service writes down what it sends to whom; a client's bytes are then compared with that. The seed is printed,
//! and can be set with `XMLSOCKET_TEST_SEED`.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use xmlsocket::server::{CloseReason, ConnectionId, Context, Message, Service};
use xmlsocket::wire::{Element, Frame};

use crate::harness::{Client, DEADLINE, Note, Random, Setup, lock};

const CLIENTS: usize = 100;
const GROUPS: usize = 8;
/// Steps that each client takes.
const STEPS: usize = 60;

/// What the service sent to each connection, by its name, and why it closed it.
#[derive(Default)]
struct Record {
    sent: Vec<u8>,
    /// The lengths of `sent` after which nothing more may have been sent: somebody in the group was about to be closed.
    ends: Vec<usize>,
    closed: Option<CloseReason>,
}

type Records = Arc<Mutex<HashMap<ConnectionId, Record>>>;

/// Groups whose members hear what is said in them. Who says `go N` moves to group N, `quit` quits, `all` is heard by
/// everybody, and `flood` brings 64 KiB.
struct Groups {
    records: Records,
    group_of: HashMap<ConnectionId, usize>,
    serial: usize,
}

impl Groups {
    fn send(&mut self, cx: &mut Context<'_>, to: &[ConnectionId], frame: &Frame) {
        let reached = cx.send_all(to.iter().copied(), frame);
        let mut records = lock(&self.records);
        for id in to {
            let record = records.entry(*id).or_default();
            if reached < to.len() {
                record.ends.push(record.sent.len());
            }
            record.sent.extend_from_slice(frame.bytes());
            record.sent.push(0);
        }
    }

    fn members(&self, group: Option<usize>) -> Vec<ConnectionId> {
        let is_in = |of: &usize| group.is_none_or(|group| *of == group);
        self.group_of.iter().filter(|(_, of)| is_in(of)).map(|(id, _)| *id).collect()
    }

    fn numbered(&mut self, padding: usize) -> Frame {
        self.serial += 1;
        Element::new("n").attribute("n", self.serial).text("x".repeat(padding)).to_frame()
    }
}

impl Service for Groups {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.group_of.insert(id, 0);
        let welcome = Element::new("welcome").attribute("serial", id.serial()).to_frame();
        self.send(cx, &[id], &welcome);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        let text = message.frame().lossy().into_owned();
        match text.split_once(' ').unwrap_or((&text, "")) {
            ("go", group) => {
                self.group_of.insert(from, group.parse().unwrap());
            }
            ("quit", _) => {
                self.group_of.remove(&from);
                cx.close(from, CloseReason::application("quit", "It said so."));
            }
            ("all", _) => {
                let frame = self.numbered(100);
                let everybody = self.members(None);
                self.send(cx, &everybody, &frame);
            }
            ("flood", _) => {
                for _ in 0..64 {
                    let frame = self.numbered(1_000);
                    self.send(cx, &[from], &frame);
                }
            }
            _ => {
                let frame = self.numbered(text.len());
                let group = self.members(self.group_of.get(&from).copied());
                self.send(cx, &group, &frame);
            }
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, reason: &CloseReason) {
        lock(&self.records).entry(id).or_default().closed = Some(reason.clone());
        if let Some(group) = self.group_of.remove(&id) {
            let frame = self.numbered(10);
            let group = self.members(Some(group));
            self.send(cx, &group, &frame);
        }
    }
}

/// How a client's life ended, as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It read to the end of the stream.
    Read,
    /// It went away in the middle.
    Left,
}

/// Plays one client; gives all bytes that it got.
fn play(mut client: Client, mut random: Random) -> (Vec<u8>, Fate) {
    let mut got = Vec::new();
    let mut stream = client.stream.try_clone().unwrap();
    let mut read_some = |got: &mut Vec<u8>, bytes: usize| {
        let mut piece = vec![0; bytes];
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        match stream.read(&mut piece) {
            Ok(count) => got.extend_from_slice(&piece[..count]),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionReset)),
        }
    };
    for _ in 0..STEPS {
        let said = match random.below(40) {
            0..3 => "flood".to_owned(),
            3 => "all".to_owned(),
            4..8 => format!("go {}", random.below(GROUPS)),
            8..14 => {
                let bytes = 1 + random.below(100_000);
                read_some(&mut got, bytes);
                continue;
            }
            14 if random.below(4) == 0 => {
                client.reset();
                return (got, Fate::Left);
            }
            15 if random.below(4) == 0 => return (got, Fate::Left),
            _ => "x".repeat(1 + random.below(200)),
        };
        let frame = [said.as_bytes(), b"\0"].concat();
        let cut = random.below(frame.len());
        // It may have been closed for reading too slowly.
        if client.stream.write_all(&frame[..cut]).and_then(|()| client.stream.write_all(&frame[cut..])).is_err() {
            break;
        }
    }
    match random.below(3) {
        0 => drop(client.stream.write_all(b"quit\0")),
        1 => drop(client.stream.shutdown(Shutdown::Write)),
        _ => drop(client.stream.write_all(b"begun").and_then(|()| client.stream.shutdown(Shutdown::Write))),
    }
    client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
    got.extend_from_slice(&client.rest());
    (got, Fate::Read)
}

#[test]
fn everybody_gets_exactly_what_was_sent_or_is_closed_with_a_reason() {
    let seed = match std::env::var("XMLSOCKET_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1,
    };
    println!("XMLSOCKET_TEST_SEED={seed}");
    let records = Records::default();
    let service = Groups { records: Arc::clone(&records), group_of: HashMap::new(), serial: 0 };
    let mut running = Setup::new()
        .any()
        .small_send_buffer()
        .limits(|limits| limits.outbox_bytes_max = 200_000)
        .serve_service(service);
    let mut random = Random(seed);
    let begun = Instant::now();
    let players: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let client = if n % 3 == 0 { Client::with_small_buffer(running.address) } else { running.connect() };
            let id = running.notes.opened();
            let random = Random(seed.wrapping_mul(2 * n as u64 + 1) ^ random.below(usize::MAX) as u64 | 1);
            (id, thread::spawn(move || play(client, random)))
        })
        .collect();
    let mut whole = 0;
    let fates: Vec<_> = players.into_iter().map(|(id, player)| (id, player.join().unwrap())).collect();
    for (id, _) in &fates {
        running.notes.ended(*id);
    }
    let records = lock(&records);
    for (id, (got, fate)) in fates {
        let Record { sent, ends, closed } = &records[&id];
        let reason = closed.as_ref().expect("everybody is gone");
        assert!(sent.starts_with(&got), "{id}, {reason}: what it got is not the beginning of what was sent to it");
        let ended_in_order = match reason {
            CloseReason::ByPeer => true,
            CloseReason::Application { code, .. } => code == "quit",
            CloseReason::Lost(_) | CloseReason::TooSlow => false,
            other => panic!("{id}: closed for {other}"),
        };
        if ended_in_order && fate == Fate::Read {
            let is_end = got.len() == sent.len() || ends.contains(&got.len());
            assert!(is_end, "{id}, {reason}: {} bytes of {} and {ends:?}", got.len(), sent.len());
            whole += 1;
        }
    }
    assert!(whole > CLIENTS / 4, "only {whole} came through: nothing was tried");
    assert_eq!(running.server.connections(), 0);
    let behind = running.notes.all().iter().filter(|note| matches!(note, Note::FellBehind(_))).count();
    assert!(behind > CLIENTS / 4, "only {behind} fell behind: nothing was tried");
    println!("{whole} whole, {behind} times behind, {:?}", begun.elapsed());
}
