//! Defines how connections are made: from many addresses of this machine, without waiting.
//!
//! Knows: source addresses, buffers, the limit of open files. Must not know: what is said.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::PATIENCE;

/// Connections of the crowd from one address: as many as `connections_per_address_max` allows.
const PER_ADDRESS: usize = 64;

/// Bytes that the system keeps for who does not read.
const DEAF_BYTES: usize = 4_096;

/// The address of a person: each has one of its own.
pub(crate) fn home(person: usize) -> Ipv4Addr {
    at(Ipv4Addr::new(127, 1, 0, 1), person)
}

/// The address of one of the crowd.
pub(crate) fn lair(number: usize) -> Ipv4Addr {
    at(Ipv4Addr::new(127, 66, 0, 1), number / PER_ADDRESS)
}

fn at(first: Ipv4Addr, number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + number as u32)
}

/// Makes a connection, and waits for it.
pub(crate) fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Begins a connection. It is made when the socket is ready to be written to and has no error.
pub(crate) fn dial(from: Ipv4Addr, to: SocketAddr, is_deaf: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if is_deaf {
        socket.set_recv_buffer_size(DEAF_BYTES)?;
    }
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Raises the soft limit of open files as far as it goes, for the server, too, which inherits it.
pub(crate) fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
