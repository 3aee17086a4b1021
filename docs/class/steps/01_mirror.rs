//! Step 1: a mirror. It sends back, backwards, whatever a read has brought. `cargo run --example 01_mirror [ADDRESS]`
//!
//! What is wrong with it: a read is not a message. `hello` and its zero byte, sent in two pieces, come back in two.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1024".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        let _ = connection(stream);
    }
}

fn connection(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 1_024];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        bytes[..count].reverse();
        stream.write_all(&bytes[..count])?;
    }
}
