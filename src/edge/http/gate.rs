//! Defines [`Gate`]: by which names this server may be called, and which pages may speak with it.
//!
//! A page of a foreign site can make its own name point to this server's address and then speak with it as with its
//! own server. It cannot choose what the browser puts into `Host`: a name that is not ours gets nothing. And a page
//! can open a WebSocket to anybody: the browser says in `Origin` which site it is from.
//!
//! Knows: names and origins. Must not know: requests, and whose pages are friends: it asks.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use crate::policy::Origin;
use crate::server::Peer;

/// Says whether pages of a site other than this server's own may speak with who they reached; if not, why not.
/// Pages that no site has served count as local files.
type Friends = dyn Fn(&Origin, &Peer) -> Result<(), String> + Send + Sync;

/// Who gets in.
#[derive(Clone, Default)]
pub struct Gate {
    /// The names by which the outside calls this server, beside its addresses and `localhost`.
    public_names: Vec<String>,
    /// Which pages may speak with this server, beside its own; without it no others.
    friends: Option<Arc<Friends>>,
}

impl Gate {
    /// A gate for this server's own pages under its own names: its addresses, `localhost`, and `public_names`.
    #[must_use]
    pub fn new(public_names: impl IntoIterator<Item = String>) -> Gate {
        let public_names = public_names.into_iter().map(|name| bare(&name).to_owned()).collect();
        Gate { public_names, friends: None }
    }

    /// Lets pages speak with this server, too, that `friends` lets in. It is asked on the clients' threads, and gives the
    /// reason for the log.
    #[must_use]
    pub fn with_friends(
        mut self,
        friends: impl Fn(&Origin, &Peer) -> Result<(), String> + Send + Sync + 'static,
    ) -> Gate {
        self.friends = Some(Arc::new(friends));
        self
    }

    /// Whether `host`, a name or an address and perhaps a port, is this server. An address cannot be made to point
    /// to another one, so any will do.
    pub(super) fn is_name(&self, host: &str) -> bool {
        let Some((name, _)) = split_port(host) else { return false };
        is_address(name) || name.eq_ignore_ascii_case("localhost") || self.is_public_name(name)
    }

    /// Lets a page from `origin` speak with this server, which it calls `host` and reached as `peer`; or says why not.
    pub(super) fn admit(&self, origin: &str, host: &str, peer: &Peer) -> Result<(), String> {
        if is_same(origin, host) {
            return Ok(());
        }
        // `null` and the schemes of extensions: nobody's pages.
        let origin = origin.parse::<Origin>().unwrap_or_else(|_| Origin::local_file());
        if origin.host().is_some_and(|host| self.is_public_name(host)) {
            return Ok(());
        }
        match &self.friends {
            Some(friends) => friends(&origin, peer),
            None => Err("only this server's own pages may".to_owned()),
        }
    }

    fn is_public_name(&self, name: &str) -> bool {
        self.public_names.iter().any(|own| own.eq_ignore_ascii_case(bare(name)))
    }
}

/// Whether a page from `origin` was served under the name and port `host`.
fn is_same(origin: &str, host: &str) -> bool {
    let (authority, usual_port) = match origin.split_once("://") {
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("http") => (authority, 80),
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("https") => (authority, 443),
        _ => return false,
    };
    let (Some((name, port)), Some((own_name, own_port))) = (split_port(authority), split_port(host)) else {
        return false;
    };
    name.eq_ignore_ascii_case(own_name) && port.unwrap_or(usual_port) == own_port.unwrap_or(usual_port)
}

/// The name and the port of `name`, `name:port`, `[v6]` or `[v6]:port`.
fn split_port(host: &str) -> Option<(&str, Option<u16>)> {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at(end);
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None if port.is_empty() => None,
        None => return None,
    };
    (!name.is_empty()).then_some((bare(name), port))
}

fn is_address(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    }
}

/// A name without the dot that may end it.
fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::policy::DomainPattern;

    fn gate() -> Gate {
        let friends = ["*.friend.example", "10.0.0.9"].map(|friend| friend.parse::<DomainPattern>().unwrap());
        let is_friend = move |origin: &Origin| friends.iter().any(|friend| friend.matches(origin));
        Gate::new(["Chat.Example.org".to_owned()])
            .with_friends(move |origin, _| is_friend(origin).then_some(()).ok_or_else(|| "no friend".to_owned()))
    }

    fn is_friend(gate: &Gate, origin: &str, host: &str) -> bool {
        let address = "127.0.0.1:1024".parse().unwrap();
        gate.admit(origin, host, &Peer::new(address, address, 0, Instant::now())).is_ok()
    }

    #[test]
    fn names_of_this_server_and_no_others() {
        for (host, ours) in [
            ("127.0.0.1", true),
            ("127.0.0.1:1024", true),
            ("192.0.2.1", true),
            ("[::1]:1024", true),
            ("[2001:db8::1]", true),
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("localhost.", true),
            ("chat.example.org", true),
            ("CHAT.example.org.:443", true),
            ("", false),
            (":1024", false),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("sub.localhost", false),
            ("sub.chat.example.org", false),
            ("::1", false),
            ("[::1", false),
            ("[evil]", false),
            ("[127.0.0.1]", false),
            ("127.0.0.1:x", false),
            ("127.0.0.1:70000", false),
            ("localhost@evil.example", false),
            ("127.1", false),
            ("0x7f000001", false),
        ] {
            assert_eq!(gate().is_name(host), ours, "{host}");
        }
    }

    #[test]
    fn pages_of_this_server_and_of_friends() {
        for (origin, host, friend) in [
            ("http://127.0.0.1:1024", "127.0.0.1:1024", true),
            ("http://127.0.0.1", "127.0.0.1:80", true),
            ("https://192.0.2.1", "192.0.2.1", true),
            ("http://[::1]:1024", "[::1]:1024", true),
            ("http://LocalHost:1024", "localhost:1024", true),
            ("http://127.0.0.1:8080", "127.0.0.1:1024", false),
            ("http://localhost:1024", "127.0.0.1:1024", false),
            ("https://chat.example.org", "chat.example.org:1024", true),
            ("http://chat.example.org:8080", "127.0.0.1:1024", true),
            ("https://games.friend.example", "127.0.0.1:1024", true),
            ("http://10.0.0.9:5000", "127.0.0.1:1024", true),
            ("https://evil.example", "127.0.0.1:1024", false),
            ("https://friend.example.evil.example", "127.0.0.1:1024", false),
            ("null", "127.0.0.1:1024", false),
            ("", "127.0.0.1:1024", false),
            ("file://", "127.0.0.1:1024", false),
            ("chrome-extension://abcdef", "127.0.0.1:1024", false),
        ] {
            assert_eq!(is_friend(&gate(), origin, host), friend, "{origin} to {host}");
        }
        let open = Gate::default().with_friends(|_, _| Ok(()));
        for origin in ["null", "https://evil.example", "chrome-extension://abcdef", "file://"] {
            assert!(is_friend(&open, origin, "127.0.0.1:1024"), "{origin}");
            assert!(!is_friend(&Gate::default(), origin, "127.0.0.1:1024"), "{origin}");
        }
    }
}
