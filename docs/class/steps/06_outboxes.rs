//! Step 6: an outbox for each client. The dispatcher puts frames in and goes on; a writer thread takes them out and waits.
//!
//! What is wrong with it: an outbox has no bound. Who does not read stops nobody any more, and costs memory without end.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Events that may wait for the dispatcher; beyond it the clients' threads wait, and so do their clients.
const EVENTS_MAX: usize = 1_024;

type Outbox = Sender<Arc<[u8]>>;

enum Event {
    Opened(u64, Outbox),
    Message(u64, Vec<u8>),
    Closed(u64),
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1024".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let (inbox, events) = sync_channel(EVENTS_MAX);
    thread::spawn(move || dispatcher(events));
    for id in 1.. {
        let (stream, _) = listener.accept()?;
        let inbox = inbox.clone();
        thread::spawn(move || connection(id, stream, &inbox));
    }
    Ok(())
}

fn connection(id: u64, stream: TcpStream, inbox: &SyncSender<Event>) -> io::Result<()> {
    let (outbox, frames) = channel();
    let to_client = stream.try_clone()?;
    thread::spawn(move || writer(to_client, frames));
    let _ = inbox.send(Event::Opened(id, outbox));
    let ended = read_frames(id, stream, inbox);
    let _ = inbox.send(Event::Closed(id));
    ended
}

fn read_frames(id: u64, stream: TcpStream, inbox: &SyncSender<Event>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut frame = Vec::new();
        reader.read_until(0, &mut frame)?;
        if frame.last() != Some(&0) {
            return Ok(()); // The end of the stream; what no zero byte ended was no frame.
        }
        let _ = inbox.send(Event::Message(id, frame));
    }
}

fn dispatcher(events: Receiver<Event>) {
    let mut clients: HashMap<u64, Outbox> = HashMap::new();
    for event in events {
        match event {
            Event::Opened(id, outbox) => drop(clients.insert(id, outbox)),
            Event::Message(id, frame) => {
                let frame: Arc<[u8]> = frame.into(); // One copy, however many get it.
                for (_, client) in clients.iter().filter(|(other, _)| **other != id) {
                    let _ = client.send(Arc::clone(&frame));
                }
            }
            Event::Closed(id) => drop(clients.remove(&id)),
        }
    }
}

fn writer(mut stream: TcpStream, frames: Receiver<Arc<[u8]>>) -> io::Result<()> {
    frames.iter().try_for_each(|frame| stream.write_all(&frame))
}
