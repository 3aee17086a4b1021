//! The limit: a relay that does the least that any server must do, to know what the machine can give.
//!
//! It reads what is there from everybody, puts it all together, and sends it to everybody in one piece, the senders
//! included. It parses nothing, checks nothing, and knows nobody. That no frame is mixed with another is all it cares for.
//! It listens at the port of this machine that it is told, until it is ended.
//!
//! Knows: sockets, the zero byte. Must not know: anything else.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use memchr::memrchr;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::retry_on_intr;
use socket2::{Domain, Protocol, Socket, Type};

/// The key of the listening socket.
const LISTENER: usize = usize::MAX;

/// Bytes of one round that are put together before they are sent.
const ROUND_BYTES: usize = 64 << 10;

/// Sockets that are reported at once.
const EVENTS_MAX: usize = 1024;

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 4_096;

/// No time at all.
const AT_ONCE: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };

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

fn main() -> ExitCode {
    let Some(port) = std::env::args().nth(1).and_then(|port| port.parse().ok()) else {
        eprintln!("limit PORT");
        return ExitCode::FAILURE;
    };
    match serve(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the limit ended: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Relays until the process is ended.
fn serve(port: u16) -> io::Result<()> {
    let listener = listen((Ipv4Addr::LOCALHOST, port).into())?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER as u64), EventFlags::IN)?;
    let mut events = Vec::with_capacity(EVENTS_MAX);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = vec![0; ROUND_BYTES];
    let mut round = Vec::with_capacity(2 * ROUND_BYTES);
    loop {
        events.clear();
        // Whoever is about to say more is waited for as long as that costs nothing.
        let patience = if round.is_empty() { None } else { Some(&AT_ONCE) };
        retry_on_intr(|| epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), patience))?;
        for event in &events {
            let (key, flags) = (event.data.u64() as usize, event.flags);
            if key == LISTENER {
                accept(&listener, &epoll, &mut clients, &mut free)?;
                continue;
            }
            let gone = EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP;
            let (reads, writes) = (flags.intersects(EventFlags::IN | gone), flags.intersects(EventFlags::OUT | gone));
            let Some(place) = clients.get_mut(key) else { continue };
            let alive = place.as_mut().is_some_and(|client| {
                (!writes || send(client, b"")) && (!reads || read(client, &mut buffer, &mut round))
            });
            if !alive && place.take().is_some() {
                free.push(key);
            }
            if round.len() >= ROUND_BYTES {
                send_all(&mut clients, &mut free, &mut round);
            }
        }
        if events.is_empty() {
            send_all(&mut clients, &mut free, &mut round);
        }
    }
}

/// A listener that does not block.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn accept(
    listener: &TcpListener,
    epoll: &OwnedFd,
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
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &socket, EventData::new_u64(key as u64), flags)?;
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
