//! Defines [`Connections`]: whether the server has closed a connection that nobody reads from.
//!
//! The end of a connection arrives after what is still to be read, so whoever does not read cannot see it. The system
//! knows: both ends are on this machine, and the server's is in the system's table.
//!
//! Knows: /proc/net/tcp. Must not know: why a connection is closed.

use std::fs;

/// The state of a connection that neither end has closed.
const ESTABLISHED: &str = "01";

/// Connections to one server that are looked at.
#[derive(Debug)]
pub(super) struct Connections {
    server: u16,
    /// Our ports of those that were open when last looked at.
    open: Vec<u16>,
    closed: usize,
}

impl Connections {
    /// The connections from `ports` to the server's port.
    pub(super) fn new(server: u16, ports: Vec<u16>) -> Connections {
        Connections { server, open: ports, closed: 0 }
    }

    /// How many the server has closed; none where the system does not tell.
    pub(super) fn closed(&mut self) -> usize {
        let tables: Vec<String> =
            ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
        if !tables.is_empty() && !self.open.is_empty() {
            let established: Vec<u16> =
                tables.iter().flat_map(|table| table.lines()).filter_map(|line| self.peer(line)).collect();
            let before = self.open.len();
            self.open.retain(|port| established.contains(port));
            self.closed += before - self.open.len();
        }
        self.closed
    }

    /// Whether there is nothing left to look for.
    pub(super) fn all_closed(&self) -> bool {
        self.open.is_empty()
    }

    /// The other end's port in a line of the table about an established connection, seen from the server.
    fn peer(&self, line: &str) -> Option<u16> {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
        (state == ESTABLISHED && port(local)? == self.server).then(|| port(remote))?
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_that_the_server_closes_is_seen_to_be_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let served = [listener.accept().unwrap().0, listener.accept().unwrap().0];
        let ports = clients.iter().map(|client| client.local_addr().unwrap().port()).collect();
        let mut connections = Connections::new(address.port(), ports);
        assert_eq!(connections.closed(), 0);
        let [first, second] = served;
        drop(first);
        assert_eq!(connections.closed(), 1);
        drop(second);
        assert_eq!(connections.closed(), 2);
    }
}
