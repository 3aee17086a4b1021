//! Step 11: stopping in order. No new client, a last word, every outbox drained, every thread ended; then the server ends.
//!
//! What is wrong with it: two threads a client, a write for each frame, no test; and it is written anew for each program.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// Events that may wait for the dispatcher; beyond it the clients' threads wait, and so do their clients.
const EVENTS_MAX: usize = 1_024;

/// Frames that may wait for one client.
const OUTBOX_FRAMES_MAX: usize = 256;

/// Bytes of a frame, its zero byte counted; a longer one closes the connection.
const FRAME_BYTES_MAX: u64 = 65_536;

/// The time from a frame's first byte to its zero byte: short, so that a class can wait for it.
const FRAME_TIME_MAX: Duration = Duration::from_secs(2);

/// The time in which a client must take at least one byte.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// Connections at a time: each costs a thread that reads and one that writes.
const CONNECTIONS_MAX: usize = 1_000;

struct Client {
    stream: TcpStream,
    outbox: SyncSender<Arc<[u8]>>,
}

enum Event {
    Opened(u64, Client),
    Message(u64, Vec<u8>),
    Closed(u64),
    Stop,
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1024".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let (inbox, events) = sync_channel(EVENTS_MAX);
    let (stopping, connections) = (AtomicBool::new(false), AtomicUsize::new(0));
    // A scope ends when all its threads have; nobody keeps a list of them.
    thread::scope(|scope| {
        scope.spawn(move || dispatcher(events));
        let (stopping, connections, stop) = (&stopping, &connections, inbox.clone());
        let own_address = listener.local_addr()?;
        scope.spawn(move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            stopping.store(true, Ordering::Relaxed);
            let _ = stop.send(Event::Stop);
            let _ = TcpStream::connect(own_address); // It waits in accept.
        });
        for id in 1.. {
            let Ok((stream, _)) = listener.accept() else { continue };
            if stopping.load(Ordering::Relaxed) {
                break;
            }
            if connections.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
                continue; // Dropping the stream closes it.
            }
            connections.fetch_add(1, Ordering::Relaxed);
            let inbox = inbox.clone();
            scope.spawn(move || {
                let _ = connection(id, stream, &inbox, scope);
                connections.fetch_sub(1, Ordering::Relaxed);
            });
        }
        drop(inbox); // The dispatcher ends when the last one is dropped.
        Ok(())
    })
}

fn connection<'scope>(
    id: u64,
    stream: TcpStream,
    inbox: &SyncSender<Event>,
    scope: &'scope Scope<'scope, '_>,
) -> io::Result<()> {
    let (outbox, frames) = sync_channel(OUTBOX_FRAMES_MAX);
    let client = Client { stream: stream.try_clone()?, outbox };
    let to_client = stream.try_clone()?;
    to_client.set_write_timeout(Some(WRITE_TIME_MAX))?;
    scope.spawn(move || writer(to_client, frames));
    let _ = inbox.send(Event::Opened(id, client));
    let ended = read_frames(id, stream, inbox);
    let _ = inbox.send(Event::Closed(id));
    ended
}

fn read_frames(id: u64, stream: TcpStream, inbox: &SyncSender<Event>) -> io::Result<()> {
    let mut reader = BufReader::new(Intake { stream, deadline: None });
    loop {
        let mut frame = Vec::new();
        reader.by_ref().take(FRAME_BYTES_MAX).read_until(0, &mut frame)?;
        if frame.last() != Some(&0) {
            return Ok(()); // The end of the stream, or a frame that is too long.
        }
        let _ = inbox.send(Event::Message(id, frame));
    }
}

/// The bytes of a client. A timeout for each read would be no deadline: one byte now and then would renew it.
struct Intake {
    stream: TcpStream,
    /// When the frame that has begun must have ended.
    deadline: Option<Instant>,
}

impl Read for Intake {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(left)?;
        let count = self.stream.read(bytes)?;
        self.deadline = match bytes[..count].iter().rposition(|byte| *byte == 0) {
            Some(end) if end + 1 == count => None,
            Some(_) => Some(Instant::now() + FRAME_TIME_MAX),
            None => self.deadline.or(Some(Instant::now() + FRAME_TIME_MAX)),
        };
        Ok(count)
    }
}

fn dispatcher(events: Receiver<Event>) {
    let mut clients: HashMap<u64, Client> = HashMap::new();
    let mut stopping = false;
    for event in events {
        match event {
            Event::Opened(_, client) if stopping => farewell(&client),
            Event::Opened(id, client) => drop(clients.insert(id, client)),
            Event::Message(id, frame) => {
                let frame: Arc<[u8]> = frame.into(); // One copy, however many get it.
                for (_, client) in clients.iter().filter(|(other, _)| **other != id) {
                    if client.outbox.try_send(Arc::clone(&frame)).is_err() {
                        // Too slow. This frees both of its threads; its reader tells that it is gone.
                        let _ = client.stream.shutdown(Shutdown::Both);
                    }
                }
            }
            Event::Closed(id) => drop(clients.remove(&id)),
            Event::Stop => {
                stopping = true;
                clients.drain().for_each(|(_, client)| farewell(&client));
            }
        }
    }
}

/// The last word, and the end of reading. The outbox is dropped: its writer sends what waits, and ends.
fn farewell(client: &Client) {
    let _ = client.outbox.try_send(Arc::from(b"<bye reason=\"shutdown\"/>\0".as_slice()));
    let _ = client.stream.shutdown(Shutdown::Read);
}

fn writer(mut stream: TcpStream, frames: Receiver<Arc<[u8]>>) -> io::Result<()> {
    frames.iter().try_for_each(|frame| stream.write_all(&frame))
}
