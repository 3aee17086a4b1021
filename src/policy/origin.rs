//! Defines [`Origin`], where a SWF was loaded from: what a policy file's entries are compared with.
//!
//! Knows: URLs as far as scheme and host. Must not know: patterns, ports, how the SWF was loaded.

use std::fmt;
use std::str::FromStr;

use super::domain::{DomainError, DomainFault, fault_of_host, is_same_host};

/// Where a SWF was loaded from. Read from a domain (`www.example.com`), an IP address or the SWF's URL; only the
/// host and whether the URL was `https` count. A SWF from a `file:` URL has no host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The host as it was written, in lower case and without the brackets of an IPv6 address; `None` for a local file.
    host: Option<String>,
    /// Whether the SWF came over HTTPS, which entries with `secure="true"` ask for.
    is_secure: bool,
}

impl Origin {
    /// The origin of a SWF that was opened from a local file.
    #[must_use]
    pub fn local_file() -> Origin {
        Origin { host: None, is_secure: false }
    }

    /// The host that served the SWF; `None` for a local file.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Whether the SWF was loaded over HTTPS. A bare domain counts as HTTP.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether the SWF was served by `host`, compared as text: nothing is resolved.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        self.host.as_deref().is_some_and(|own| is_same_host(own, host))
    }
}

impl FromStr for Origin {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Origin, DomainError> {
        let error = |fault| DomainError { text: text.to_owned(), fault };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:")) => {
                return Ok(Origin::local_file());
            }
            None => ("http".to_owned(), text),
        };
        let is_secure = match scheme.as_str() {
            "http" => false,
            "https" => true,
            "file" => return Ok(Origin::local_file()),
            _ => return Err(error(DomainFault::Scheme)),
        };
        let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        let address = authority.rsplit('@').next().unwrap_or_default();
        let host = host_of(address);
        match fault_of_host(host) {
            Some(fault) => Err(error(fault)),
            None => Ok(Origin { host: Some(host.to_ascii_lowercase()), is_secure }),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) if self.is_secure => write!(f, "https://{host}"),
            Some(host) => f.write_str(host),
            None => f.write_str("a local file"),
        }
    }
}

/// The host of `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
fn host_of(address: &str) -> &str {
    if let Some((host, _)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    match address.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_domains_and_urls() {
        let rows = [
            ("www.Foo.com", Some("www.foo.com"), false),
            ("foo.com:8080", Some("foo.com"), false),
            ("foo.com/games/chat.swf", Some("foo.com"), false),
            ("http://foo.com", Some("foo.com"), false),
            ("HTTPS://foo.com/chat.swf?x=http://bar.com", Some("foo.com"), true),
            ("http://foo.com:8080/chat.swf", Some("foo.com"), false),
            ("http://foo.com?chat", Some("foo.com"), false),
            ("http://foo.com#chat", Some("foo.com"), false),
            ("http://ann:secret@foo.com/", Some("foo.com"), false),
            ("http://bar.com@foo.com/", Some("foo.com"), false),
            ("http://foo.com\\@bar.com/", Some("foo.com"), false),
            ("127.0.0.1:1024", Some("127.0.0.1"), false),
            ("::1", Some("::1"), false),
            ("[::1]", Some("::1"), false),
            ("https://[2001:DB8::1]:443/a", Some("2001:db8::1"), true),
            ("file:///home/ann/chat.swf", None, false),
            ("FILE:C:\\chat.swf", None, false),
            ("file://server/chat.swf", None, false),
            ("file.example.com", Some("file.example.com"), false),
        ];
        for (text, host, is_secure) in rows {
            let origin: Origin = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((origin.host(), origin.is_secure()), (host, is_secure), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_origin() {
        let rows = [
            ("", DomainFault::Empty),
            ("http://", DomainFault::Empty),
            ("http:///chat.swf", DomainFault::Empty),
            ("ftp://foo.com/chat.swf", DomainFault::Scheme),
            ("*", DomainFault::Wildcard),
            ("foo com", DomainFault::Character(' ')),
            ("http://foo..com", DomainFault::EmptyLabel),
        ];
        for (text, fault) in rows {
            assert_eq!(text.parse::<Origin>().expect_err(text).fault, fault, "{text}");
        }
        assert!("ftp://foo.com".parse::<Origin>().unwrap_err().to_string().contains("http, https or file"));
    }

    #[test]
    fn is_shown_as_an_operator_knows_it() {
        for (text, shown) in
            [("http://foo.com/a", "foo.com"), ("https://foo.com/a", "https://foo.com"), ("file:a", "a local file")]
        {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn the_same_host_is_the_same_text() {
        let rows = [
            ("foo.com", "FOO.com.", true),
            ("foo.com", "www.foo.com", false),
            ("localhost", "127.0.0.1", false),
            ("::1", "[::1]", true),
            ("file:a", "localhost", false),
        ];
        for (origin, host, expected) in rows {
            assert_eq!(origin.parse::<Origin>().unwrap().is_host(host), expected, "{origin} {host}");
        }
    }
}
