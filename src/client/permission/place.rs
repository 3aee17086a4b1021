//! Defines [`Place`], where a policy file is asked for, and [`Location`], a place that the SWF names.
//!
//! Knows: which ports players refuse to ask, which file may open which port. Must not know: who asks when.

use std::fmt;
use std::str::FromStr;

use crate::policy::{RESTRICTED_PORTS_END, fault_of_host};

/// The port of the master policy file.
pub const MASTER_PORT: u16 = 843;

/// The port of the web server whose policy file old players take.
pub const WEB_PORT: u16 = 80;

/// The path of that file.
pub const WEB_PATH: &str = "/crossdomain.xml";

/// A place on the host that is asked for a policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The port of the master file: 843, or the one that stands in for it.
    Master(u16),
    /// A port that the SWF named with `loadPolicyFile`.
    Named(u16),
    /// The port that the SWF wants to connect to.
    Target(u16),
    /// `/crossdomain.xml` of the web server at this port: 80, or the one that stands in for it.
    Web(u16),
}

impl Place {
    /// The port.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Place::Master(port) | Place::Named(port) | Place::Target(port) | Place::Web(port) => port,
        }
    }

    /// Whether this is the web server.
    #[must_use]
    pub fn is_web(self) -> bool {
        matches!(self, Place::Web(_))
    }

    /// Whether a file from here can let anybody in to `port`. A file from a port below 1024 can open every port, one
    /// from 1024 or above only ports from 1024. The web server's opens ports from 1024 only, though it stands at 80.
    ///
    /// The master port is below 1024 whatever its number: where another port stands in for 843, it does so in every
    /// rule, or else a test of the rules would need the right to bind 843.
    #[must_use]
    pub fn can_open(self, port: u16) -> bool {
        let is_trusted = match self {
            Place::Master(_) => true,
            Place::Named(own) | Place::Target(own) => own < RESTRICTED_PORTS_END,
            Place::Web(_) => false,
        };
        is_trusted || port >= RESTRICTED_PORTS_END
    }

    /// Whether players ask here at all: some ports belong to services that a policy request might confuse.
    pub(super) fn is_asked(self) -> bool {
        match self {
            Place::Master(_) | Place::Web(_) => true,
            Place::Named(port) | Place::Target(port) => !matches!(
                port,
                22 | 25 | 37 | 43 | 53 | 88 | 111 | 113 | 137..=139 | 143 | 161..=162 | 389 | 465 | 500 | 535 | 546
                    ..=547 | 636 | 749..=754
            ),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Master(port) => write!(f, "the master policy file on port {port}"),
            Place::Named(port) | Place::Target(port) => write!(f, "the policy file on port {port}"),
            Place::Web(port) => write!(f, "{WEB_PATH} of the web server on port {port}"),
        }
    }
}

/// A place that a SWF names with `loadPolicyFile`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// `xmlsocket://host:port`.
    Socket {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The URL of a file on a web server.
    Web {
        /// The host.
        host: String,
        /// The port; 80 unless written.
        port: u16,
        /// The path, with its slash.
        path: String,
    },
}

impl Location {
    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Location::Socket { host, .. } | Location::Web { host, .. } => host,
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Location, LocationError> {
        let error = || LocationError { text: text.to_owned() };
        let (scheme, rest) = text.split_once("://").ok_or_else(error)?;
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse::<u16>().map_err(|_| error())?)),
            _ => (address, None),
        };
        if fault_of_host(host).is_some() || port == Some(0) {
            return Err(error());
        }
        let host = host.to_ascii_lowercase();
        match (scheme.to_ascii_lowercase().as_str(), port, path) {
            ("xmlsocket", Some(port), "" | "/") => Ok(Location::Socket { host, port }),
            ("http", port, path) => {
                let path = if path.is_empty() { "/" } else { path };
                Ok(Location::Web { host, port: port.unwrap_or(WEB_PORT), path: path.to_owned() })
            }
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Socket { host, port } => write!(f, "xmlsocket://{host}:{port}"),
            Location::Web { host, port: WEB_PORT, path } => write!(f, "http://{host}{path}"),
            Location::Web { host, port, path } => write!(f, "http://{host}:{port}{path}"),
        }
    }
}

/// Why a text is no place for a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationError {
    /// The text.
    pub text: String,
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no place for a policy file: write `xmlsocket://host:port` or `http://host{WEB_PATH}`",
            self.text
        )
    }
}

impl std::error::Error for LocationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_load_policy_file_takes() {
        let socket = |host: &str, port| Location::Socket { host: host.to_owned(), port };
        let web = |host: &str, port, path: &str| Location::Web { host: host.to_owned(), port, path: path.to_owned() };
        let rows = [
            ("xmlsocket://foo.com:507", socket("foo.com", 507), "xmlsocket://foo.com:507"),
            ("XMLSocket://FOO.com:507/", socket("foo.com", 507), "xmlsocket://foo.com:507"),
            ("xmlsocket://[::1]:507", socket("[::1]", 507), "xmlsocket://[::1]:507"),
            (
                "http://foo.com/crossdomain.xml",
                web("foo.com", 80, "/crossdomain.xml"),
                "http://foo.com/crossdomain.xml",
            ),
            ("http://foo.com:80/a/b.xml", web("foo.com", 80, "/a/b.xml"), "http://foo.com/a/b.xml"),
            ("http://foo.com:8080", web("foo.com", 8080, "/"), "http://foo.com:8080/"),
            ("http://[::1]/a", web("[::1]", 80, "/a"), "http://[::1]/a"),
        ];
        for (text, location, shown) in rows {
            assert_eq!(text.parse::<Location>().as_ref(), Ok(&location), "{text}");
            assert_eq!(location.to_string(), shown);
        }
        let wrong = [
            "",
            "foo.com:507",
            "xmlsocket://foo.com",
            "xmlsocket://:507",
            "xmlsocket://foo.com:0",
            "xmlsocket://foo.com:x",
            "xmlsocket://foo.com:65536",
            "xmlsocket://foo.com:507/a",
            "https://foo.com/crossdomain.xml",
            "http://",
            "http://foo bar/",
            "xmlsocket://*:507",
        ];
        for text in wrong {
            let error = text.parse::<Location>().expect_err(text);
            assert!(error.to_string().contains("`xmlsocket://host:port`"), "{error}");
        }
        assert_eq!("xmlsocket://foo.com:1".parse::<Location>().unwrap().host(), "foo.com");
        assert_eq!("http://foo.com".parse::<Location>().unwrap().host(), "foo.com");
    }

    #[test]
    fn who_can_open_what() {
        let rows = [
            (Place::Master(843), 80, true),
            (Place::Master(8430), 80, true),
            (Place::Master(8430), 1024, true),
            (Place::Named(1023), 80, true),
            (Place::Named(1024), 1023, false),
            (Place::Named(1024), 1024, true),
            (Place::Target(80), 80, true),
            (Place::Target(2000), 2000, true),
            (Place::Web(80), 1023, false),
            (Place::Web(80), 1024, true),
        ];
        for (place, port, expected) in rows {
            assert_eq!(place.can_open(port), expected, "{place} {port}");
        }
    }

    #[test]
    fn players_leave_the_ports_of_other_services_alone() {
        let refused = [
            22, 25, 37, 43, 53, 88, 111, 113, 137, 138, 139, 143, 161, 162, 389, 465, 500, 535, 546, 547, 636, 749,
            750, 751, 752, 753, 754,
        ];
        for port in 1..=u16::MAX {
            let is_refused = refused.contains(&port);
            assert_eq!(Place::Target(port).is_asked(), !is_refused, "{port}");
            assert_eq!(Place::Named(port).is_asked(), !is_refused, "{port}");
            assert!(Place::Master(port).is_asked() && Place::Web(port).is_asked());
        }
    }
}
