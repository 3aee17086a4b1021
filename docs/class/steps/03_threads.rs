//! Step 3: many clients. Each has a thread of its own, which may wait for it as long as it likes.
//!
//! What is wrong with it: the clients do not hear of each other.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1024".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || connection(stream));
    }
}

fn connection(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut frame = Vec::new();
        reader.read_until(0, &mut frame)?;
        if frame.pop() != Some(0) {
            return Ok(()); // The end of the stream; what no zero byte ended was no frame.
        }
        frame.reverse();
        frame.push(0);
        stream.write_all(&frame)?;
    }
}
