//! Step 4: a relay. What one client says goes to all others: the first chat.
//!
//! What is wrong with it: it writes under a lock. One client that does not read stops everybody, once the buffers of the
//! kernel are full.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

type Clients = Arc<Mutex<HashMap<u64, TcpStream>>>;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1024".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let clients = Clients::default();
    for id in 1.. {
        let (stream, _) = listener.accept()?;
        let clients = Arc::clone(&clients);
        thread::spawn(move || connection(id, stream, &clients));
    }
    Ok(())
}

fn connection(id: u64, stream: TcpStream, clients: &Clients) -> io::Result<()> {
    clients.lock().unwrap().insert(id, stream.try_clone()?);
    let ended = read_frames(id, stream, clients);
    clients.lock().unwrap().remove(&id);
    ended
}

fn read_frames(id: u64, stream: TcpStream, clients: &Clients) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut frame = Vec::new();
        reader.read_until(0, &mut frame)?;
        if frame.last() != Some(&0) {
            return Ok(()); // The end of the stream; what no zero byte ended was no frame.
        }
        for (_, client) in clients.lock().unwrap().iter_mut().filter(|(other, _)| **other != id) {
            let _ = client.write_all(&frame); // Who is gone has a thread that finds out.
        }
    }
}
