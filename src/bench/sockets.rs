//! Defines how the load generator's sockets are made.
//!
//! Knows: source addresses, ports, the limit of open files. Must not know: what is said.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections from one source address. A system has some 28 000 ports for them, and some are still in use by
/// connections that have ended.
const CONNECTIONS_PER_SOURCE: usize = 20_000;

/// Files that the program has open besides its connections.
const OTHER_FILES: u64 = 32;

/// Begins a connection to `address`; `number` counts the connections of this run. It is made when the socket is ready
/// to be written to and has no error.
pub(super) fn connect(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let (IpAddr::V4(to), source @ 1..) = (address.ip(), number / CONNECTIONS_PER_SOURCE)
        && to.is_loopback()
    {
        let from = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + source as u32);
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Raises the soft limit of open files as far as it goes.
///
/// # Errors
/// How many connections are possible, when that is less than `connections`.
pub(super) fn allow(connections: usize) -> Result<(), u64> {
    let limit = getrlimit(Resource::Nofile);
    // A system that refuses keeps the soft limit, which then counts below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if files < connections as u64 + OTHER_FILES { Err(files.saturating_sub(OTHER_FILES)) } else { Ok(()) }
}
