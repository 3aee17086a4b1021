//! Defines the limit: a relay that does the least that any server must do, to know what the machine can give.
//!
//! It reads what is there from everybody, puts it all together, and sends it to everybody in one piece, the senders
//! included. It parses nothing, checks nothing, and knows nobody. That no frame is mixed with another is all it cares for.
//!
//! Knows: sockets, the zero byte. Must not know: anything else.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use memchr::memrchr;

use super::poll::Poll;

/// The key of the listening socket.
const LISTENER: usize = usize::MAX;

/// Bytes of one round that are put together before they are sent.
const ROUND_BYTES: usize = 64 << 10;

/// Bytes that wait for a client before it is closed.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// A client.
struct Client {
    socket: TcpStream,
    /// The frame that it has begun.
    begun: Vec<u8>,
    /// What it has not taken yet.
    waiting: Vec<u8>,
}

/// Relays until the process is ended; tells `listening` where.
pub(super) fn serve(address: SocketAddr, listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = super::sockets::listen(address)?;
    listening(listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.add_reader(&listener, LISTENER)?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = vec![0; ROUND_BYTES];
    let mut round = Vec::with_capacity(2 * ROUND_BYTES);
    loop {
        // Whoever is about to say more is waited for as long as that costs nothing.
        let patience = if round.is_empty() { Duration::from_secs(60) } else { Duration::ZERO };
        let ready = poll.wait(patience)?;
        for index in 0..ready {
            let event = poll.ready(index);
            if event.key == LISTENER {
                accept(&listener, &poll, &mut clients, &mut free)?;
                continue;
            }
            let Some(place) = clients.get_mut(event.key) else { continue };
            let alive = place.as_mut().is_some_and(|client| {
                (!event.write || send(client, b"")) && (!event.read || read(client, &mut buffer, &mut round))
            });
            if !alive && place.take().is_some() {
                free.push(event.key);
            }
            if round.len() >= ROUND_BYTES {
                send_all(&mut clients, &mut free, &mut round);
            }
        }
        if ready == 0 {
            send_all(&mut clients, &mut free, &mut round);
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    clients: &mut Vec<Option<Client>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(error),
        };
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let key = free.pop().unwrap_or(clients.len());
        poll.add(&socket, key)?;
        let client = Some(Client { socket, begun: Vec::new(), waiting: Vec::new() });
        match clients.get_mut(key) {
            Some(place) => *place = client,
            None => clients.push(client),
        }
    }
}

/// Reads what is there; whole frames join the round. Gives whether the client is still there.
fn read(client: &mut Client, buffer: &mut [u8], round: &mut Vec<u8>) -> bool {
    loop {
        match client.socket.read(buffer) {
            Ok(0) => return false,
            Ok(length) => {
                let bytes = &buffer[..length];
                match memrchr(0, bytes) {
                    Some(last) => {
                        round.append(&mut client.begun);
                        round.extend_from_slice(&bytes[..=last]);
                        client.begun.extend_from_slice(&bytes[last + 1..]);
                    }
                    None => client.begun.extend_from_slice(bytes),
                }
                if client.begun.len() > WAITING_BYTES_MAX {
                    return false;
                }
                if length < buffer.len() {
                    return true;
                }
            }
            Err(error) => return matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

fn send_all(clients: &mut [Option<Client>], free: &mut Vec<usize>, round: &mut Vec<u8>) {
    if round.is_empty() {
        return;
    }
    for (key, place) in clients.iter_mut().enumerate() {
        if place.as_mut().is_some_and(|client| !send(client, round)) {
            *place = None;
            free.push(key);
        }
    }
    round.clear();
}

/// Sends what waits and then `bytes`, as far as the client takes it. Gives whether it may stay.
fn send(client: &mut Client, mut bytes: &[u8]) -> bool {
    if !client.waiting.is_empty() {
        client.waiting.extend_from_slice(bytes);
        bytes = b"";
        match write(&client.socket, &client.waiting) {
            Ok(taken) => drop(client.waiting.drain(..taken)),
            Err(_) => return false,
        }
    }
    match write(&client.socket, bytes) {
        Ok(taken) => client.waiting.extend_from_slice(&bytes[taken..]),
        Err(_) => return false,
    }
    client.waiting.len() <= WAITING_BYTES_MAX
}

/// Writes as much as the socket takes.
fn write(mut socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match socket.write(&bytes[taken..]) {
            Ok(length) => taken += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
