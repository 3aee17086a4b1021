//! Defines [`Address`], where a client command connects: `HOST` or `HOST:PORT`.
//!
//! Knows: the default port, IPv6 in brackets, how a plain connection is made. Must not know: what is said over it.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::exit_code::Failure;

/// The port that is meant when none is given.
const DEFAULT_PORT: u16 = 1024;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Address, Failure> {
        let fault = || {
            Failure::usage(format!("`{text}` is no address; write HOST or HOST:PORT, an IPv6 address as [::1]:1024"))
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(fault)?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(fault)?) })
            }
            // More than one colon and no brackets: an IPv6 address without port.
            None if text.matches(':').count() > 1 => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().map_err(|_| fault())?,
            Some(_) => return Err(fault()),
        };
        let is_host = !host.is_empty() && !host.contains(['/', ' ', '[', ']']) && port != 0;
        if is_host { Ok(Address { host: host.to_owned(), port }) } else { Err(fault()) }
    }

    /// Connects, trying each address that the host has for `timeout` at most.
    pub(crate) fn connect(&self, timeout: Duration) -> Result<TcpStream, Failure> {
        let failure = |error: &io::Error| Failure::run_time(format!("cannot connect to {self}: {error}"));
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs().map_err(|error| failure(&error))? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(failure(&last))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_with_and_without_port() {
        let rows = [
            ("127.0.0.1", "127.0.0.1:1024"),
            ("chat.example.com:2000", "chat.example.com:2000"),
            ("localhost", "localhost:1024"),
            ("[::1]:7", "[::1]:7"),
            ("[::1]", "[::1]:1024"),
            ("::1", "[::1]:1024"),
        ];
        for (text, shown) in rows {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        for text in
            ["", ":1024", "a:", "a:x", "a:65536", "a:0", "a:-1", "a:+1", "http://a", "[::1", "[::1]7", "a b", "[]:1"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
