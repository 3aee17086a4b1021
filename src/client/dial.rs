//! Defines [`Dial`], the way from a host's name to a connection, within one timeout.
//!
//! Knows: name lookup, several addresses of one host. Must not know: what the connection is for.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};

use super::queue::Attempt;
use super::tcp::Tcp;

/// What all connections of one attempt have in common.
pub(super) struct Dial<'attempt> {
    pub(super) attempt: &'attempt Attempt,
    /// Disconnected once the attempt is over.
    pub(super) stopped: &'attempt Receiver<Infallible>,
    pub(super) send_timeout: Duration,
    /// What ends a frame that is sent, if anything does.
    pub(super) end_of_frame: Option<u8>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Unreached {
    /// The attempt is over.
    Stopped,
    /// Every address refused.
    Refused(String),
    /// The name of the host leads to no address, or not in time.
    Unknown(String),
    /// No address answered in time.
    TimedOut(String),
    /// Something else.
    Failed(String),
}

impl Dial<'_> {
    /// Connects to the first address of `host` that answers. Looking up and connecting share `timeout`.
    pub(super) fn reach(&self, host: &str, port: u16, timeout: Duration) -> Result<Arc<Tcp>, Unreached> {
        let deadline = Instant::now() + timeout;
        let addresses = self.lookup(host, port, timeout)?;
        let mut seen = HashSet::new();
        let addresses: Vec<_> = addresses.into_iter().filter(|address| seen.insert(*address)).collect();
        let (mut reasons, mut kinds) = (Vec::new(), HashSet::new());
        for (n, &address) in addresses.iter().enumerate() {
            // An address that never answers must leave time for those after it.
            let left = deadline.saturating_duration_since(Instant::now());
            match self.connect(address, share(left, addresses.len(), n)) {
                Ok(Some(tcp)) => return Ok(tcp),
                Ok(None) => return Err(Unreached::Stopped),
                Err(error) => {
                    kinds.insert(error.kind());
                    reasons.push(format!("{address}: {error}"));
                }
            }
        }
        let reason = format!("could not connect to {}", reasons.join("; "));
        let all = |kind| kinds.iter().all(|own| *own == kind);
        Err(if all(io::ErrorKind::ConnectionRefused) {
            Unreached::Refused(reason)
        } else if all(io::ErrorKind::TimedOut) {
            Unreached::TimedOut(reason)
        } else {
            Unreached::Failed(reason)
        })
    }

    /// Connects to `address`. `None`: the attempt is over.
    fn connect(&self, address: SocketAddr, timeout: Duration) -> io::Result<Option<Arc<Tcp>>> {
        let tcp = Arc::new(Tcp::new(address, self.send_timeout, self.end_of_frame)?);
        // From here on `close` can end the wait.
        if !self.attempt.set_tcp(&tcp) {
            return Ok(None);
        }
        tcp.connect(address, timeout)?;
        Ok(Some(tcp))
    }

    /// The addresses of `host`, looked up within `timeout`.
    ///
    /// The system's lookup can neither be bounded nor interrupted, so it runs on a thread of its own. When the answer
    /// does not come in time, or the attempt ends, that thread is left to itself: it ends when the system answers.
    fn lookup(&self, host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Unreached> {
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let (answer, answered) = bounded(1);
        let name = host.to_owned();
        let asked = thread::Builder::new().name("xmlsocket-lookup".to_owned()).spawn(move || {
            let _ = answer.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
        });
        if let Err(error) = asked {
            return Err(Unreached::Failed(format!("the system could not start a thread to look up {host}: {error}")));
        }
        select! {
            recv(answered) -> answer => match answer {
                Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
                Ok(Err(error)) => Err(Unreached::Unknown(format!("could not look up {host}: {error}"))),
                Ok(Ok(_)) | Err(_) => Err(Unreached::Unknown(format!("{host} has no address"))),
            },
            recv(self.stopped) -> _ => Err(Unreached::Stopped),
            default(timeout) => {
                Err(Unreached::Unknown(format!("no answer to the lookup of {host} within {timeout:?}")))
            },
        }
    }
}

/// What the address after `done` of `count` addresses gets of the time that is `left`: each that follows gets as much.
fn share(left: Duration, count: usize, done: usize) -> Duration {
    left / (count - done) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_host_share_the_time() {
        let seconds = Duration::from_secs;
        assert_eq!(
            [share(seconds(6), 3, 0), share(seconds(4), 3, 1), share(seconds(3), 3, 2)],
            [seconds(2), seconds(2), seconds(3)]
        );
    }
}
