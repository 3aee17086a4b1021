//! Step 5: no lock. One thread, the dispatcher, owns all state; the clients' threads tell it over a channel what happens.
//!
//! What is wrong with it: the dispatcher still waits for a client that does not read, and everybody for the dispatcher. A
//! channel is no cure for a blocking write.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Events that may wait for the dispatcher; beyond it the clients' threads wait, and so do their clients.
const EVENTS_MAX: usize = 1_024;

enum Event {
    Opened(u64, TcpStream),
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
    let _ = inbox.send(Event::Opened(id, stream.try_clone()?));
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
    let mut clients = HashMap::new();
    for event in events {
        match event {
            Event::Opened(id, stream) => drop(clients.insert(id, stream)),
            Event::Message(id, frame) => {
                for (_, client) in clients.iter_mut().filter(|(other, _)| **other != id) {
                    let _ = client.write_all(&frame); // Who is gone has a thread that finds out.
                }
            }
            Event::Closed(id) => drop(clients.remove(&id)),
        }
    }
}
