//! Defines [`Gate`]: by which names this server may be called, and which pages may speak with it.
//!
//! A page of a foreign site can make its own name point to this server's address and then speak with it as with its
//! own server. It cannot choose what the browser puts into `Host`: a name that is not ours gets nothing. And a page
//! can open a WebSocket to anybody: the browser says in `Origin` which site it is from.
//!
//! Knows: names, origins, patterns of domains. Must not know: requests.

use std::net::{IpAddr, Ipv6Addr};

use crate::policy::{DomainPattern, Origin};

/// Who gets in.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// The names by which the outside calls this server, beside its addresses and `localhost`.
    public_names: Vec<String>,
    /// The sites whose pages may speak with this server, beside its own.
    friends: Vec<DomainPattern>,
}

impl Gate {
    /// A gate for this server's own pages under its own names: its addresses, `localhost`, and `public_names`.
    #[must_use]
    pub fn new(public_names: impl IntoIterator<Item = String>) -> Gate {
        let public_names = public_names.into_iter().map(|name| bare(&name).to_owned()).collect();
        Gate { public_names, friends: Vec::new() }
    }

    /// Lets pages of these sites speak with this server, too.
    #[must_use]
    pub fn with_friends(mut self, friends: impl IntoIterator<Item = DomainPattern>) -> Gate {
        self.friends.extend(friends);
        self
    }

    /// Whether `host`, a name or an address and perhaps a port, is this server. An address cannot be made to point
    /// to another one, so any will do.
    pub(super) fn is_name(&self, host: &str) -> bool {
        let Some((name, _)) = split_port(host) else { return false };
        is_address(name) || name.eq_ignore_ascii_case("localhost") || self.is_public_name(name)
    }

    /// Whether a page from `origin` may speak with this server, which it calls `host`.
    pub(super) fn is_friend(&self, origin: &str, host: &str) -> bool {
        is_same(origin, host)
            || match origin.parse::<Origin>() {
                Ok(origin) if origin.host().is_some_and(|host| self.is_public_name(host)) => true,
                Ok(origin) => self.friends.iter().any(|friend| friend.matches(&origin)),
                // `null` and the schemes of extensions: nobody's pages.
                Err(_) => self.friends.iter().any(|friend| friend.matches(&Origin::local_file())),
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
    use super::*;

    fn gate() -> Gate {
        let friends = ["*.friend.example", "10.0.0.9"].map(|friend| friend.parse().unwrap());
        Gate::new(["Chat.Example.org".to_owned()]).with_friends(friends)
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
            assert_eq!(gate().is_friend(origin, host), friend, "{origin} to {host}");
        }
        let open = Gate::default().with_friends([DomainPattern::any()]);
        for origin in ["null", "https://evil.example", "chrome-extension://abcdef", "file://"] {
            assert!(open.is_friend(origin, "127.0.0.1:1024"), "{origin}");
        }
    }
}
