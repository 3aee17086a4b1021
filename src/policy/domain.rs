//! Defines [`DomainPattern`], the `domain` of a policy file's entry: which origins it means.
//!
//! Knows: the wildcards of policy files, what a host name may look like.
//! Must not know: name resolution (a pattern is compared with text), ports, files.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::origin::Origin;

/// The origins that an entry of a policy file lets in, as it is written there:
///
/// - `*` – all of them, IP addresses and local files included;
/// - `*.example.com` – `example.com` itself and everything below it, never an IP address;
/// - anything else – exactly that host. An IP address means only SWFs that were loaded by that very text: nothing
///   is ever resolved, and `127.0.0.1` is not `localhost`.
///
/// ASCII letters compare without case, one trailing dot is ignored, and so are the brackets of an IPv6 address. Other
/// characters are compared as they are: an internationalised name matches in the spelling that the file has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainPattern(String);

impl DomainPattern {
    /// The pattern `*`.
    #[must_use]
    pub fn any() -> DomainPattern {
        DomainPattern("*".to_owned())
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a SWF from `origin` is meant. A local file has no host: only `*` means it.
    #[must_use]
    pub fn matches(&self, origin: &Origin) -> bool {
        if self.0 == "*" {
            return true;
        }
        let Some(host) = origin.host().map(bare) else { return false };
        match self.0.strip_prefix("*.").map(bare) {
            Some(domain) => !is_ip_address(host) && is_at_or_below(host, domain),
            None => is_same_host(&self.0, host),
        }
    }
}

impl From<IpAddr> for DomainPattern {
    /// The pattern of one address. An IPv4 address that was mapped into IPv6 becomes the IPv4 address that a SWF's
    /// URL would have.
    fn from(address: IpAddr) -> DomainPattern {
        DomainPattern(address.to_canonical().to_string())
    }
}

impl FromStr for DomainPattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<DomainPattern, DomainError> {
        let error = |fault| DomainError { text: text.to_owned(), fault };
        if text == "*" {
            return Ok(DomainPattern::any());
        }
        let (wildcard, domain) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text),
        };
        match fault_of_host(domain) {
            // "192.168.*" and "*.0.0.1" alike: an address has no subdomains.
            Some(DomainFault::Wildcard) if starts_like_ip_address(domain) => {
                return Err(error(DomainFault::WildcardAddress));
            }
            Some(fault) => return Err(error(fault)),
            None => {}
        }
        if wildcard && (is_ip_address(bare(domain)) || ends_like_ip_address(domain)) {
            return Err(error(DomainFault::WildcardAddress));
        }
        Ok(DomainPattern(text.to_owned()))
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no domain of a policy file, or no origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub fault: DomainFault,
}

/// The faults of [`DomainError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DomainFault {
    /// There is no host name at all.
    Empty,
    /// A `*` that neither stands alone nor is the first label.
    Wildcard,
    /// A wildcard in an IP address.
    WildcardAddress,
    /// A URL or path where a host name belongs.
    Url,
    /// A port where a host name belongs.
    Port,
    /// Two dots in a row, or one in front.
    EmptyLabel,
    /// A character that no host name has.
    Character(char),
    /// A URL of a scheme that SWFs are not loaded by.
    Scheme,
}

impl fmt::Display for DomainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match self.fault {
            DomainFault::Empty => {
                f.write_str("the domain is empty; write a host name, `*.` and a domain, or `*` for everyone")
            }
            DomainFault::Wildcard => write!(
                f,
                "{text:?} is no domain: a `*` stands alone (everyone) or in front of a domain (`*.example.com`)"
            ),
            DomainFault::WildcardAddress => {
                write!(f, "{text:?} is no domain: IP addresses take no wildcard; write each address out, or `*`")
            }
            DomainFault::Url => {
                write!(f, "{text:?} is no domain: leave out the scheme and the path, as in `www.example.com`")
            }
            DomainFault::Port => write!(f, "{text:?} is no domain: leave out the port"),
            DomainFault::EmptyLabel => {
                write!(
                    f,
                    "{text:?} is no domain: there is nothing before a dot; subdomains are written `*.example.com`"
                )
            }
            DomainFault::Character(c) => write!(f, "{text:?} is no domain: {c:?} cannot be part of a host name"),
            DomainFault::Scheme => write!(f, "{text:?} is no origin: SWFs come from http, https or file addresses"),
        }
    }
}

impl std::error::Error for DomainError {}

/// What keeps `host` from being a host name or an IP address.
pub(crate) fn fault_of_host(host: &str) -> Option<DomainFault> {
    if host.is_empty() {
        return Some(DomainFault::Empty);
    }
    if is_ip_address(bare(host)) {
        return None;
    }
    if host.contains('/') {
        return Some(DomainFault::Url);
    }
    if host.contains('*') {
        return Some(DomainFault::Wildcard);
    }
    if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u32>().is_ok()) {
        return Some(DomainFault::Port);
    }
    if let Some(c) = host.chars().find(|&c| !is_host_character(c)) {
        return Some(DomainFault::Character(c));
    }
    host.strip_suffix('.').unwrap_or(host).split('.').any(str::is_empty).then_some(DomainFault::EmptyLabel)
}

/// Whether a host name may hold `c`. Beyond ASCII only what is invisible or cannot be written into XML is refused.
fn is_host_character(c: char) -> bool {
    match c {
        '\0'..='\x7f' => c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
        '\u{fffe}' | '\u{ffff}' | '\u{feff}' => false,
        _ => !c.is_control() && !c.is_whitespace(),
    }
}

/// The host without what does not count: the brackets of an IPv6 address, one trailing dot.
fn bare(host: &str) -> &str {
    let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    unbracketed.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host))
}

/// Whether two hosts are the same text, but for what does not count.
pub(crate) fn is_same_host(one: &str, other: &str) -> bool {
    bare(one).eq_ignore_ascii_case(bare(other))
}

/// Whether `host` is `domain` or ends in a dot and `domain`.
fn is_at_or_below(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.as_bytes(), domain.as_bytes());
    let Some(split) = host.len().checked_sub(domain.len()) else { return false };
    let (front, back) = host.split_at(split);
    back.eq_ignore_ascii_case(domain) && (front.is_empty() || front.ends_with(b"."))
}

fn is_ip_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// Whether the first label is a number, as in `192.168.*`.
fn starts_like_ip_address(host: &str) -> bool {
    host.split('.').next().is_some_and(is_number)
}

/// Whether the last label is a number, as in `0.0.1`: no domain ends so.
fn ends_like_ip_address(host: &str) -> bool {
    host.rsplit('.').next().is_some_and(is_number)
}

fn is_number(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_players_do() {
        let rows = [
            ("www.foo.com", "www.foo.com", true),
            ("www.foo.com", "foo.com", false),
            ("foo.com", "www.foo.com", false),
            ("foo.com", "xfoo.com", false),
            ("WWW.foo.COM", "www.FOO.com", true),
            ("www.foo.com.", "www.foo.com", true),
            ("www.foo.com", "www.foo.com.", true),
            ("*", "www.foo.com", true),
            ("*", "127.0.0.1", true),
            ("*", "::1", true),
            ("*", "file:///home/ann/chat.swf", true),
            ("*.foo.com", "www.foo.com", true),
            ("*.foo.com", "a.b.foo.com", true),
            ("*.foo.com", "foo.com", true),
            ("*.foo.com", "xfoo.com", false),
            ("*.foo.com", "foo.com.evil.org", false),
            ("*.foo.com", "com", false),
            ("*.FOO.com", "www.foo.COM.", true),
            ("*.foo.com.", "www.foo.com", true),
            ("*.foo.com", "file:///home/ann/chat.swf", false),
            ("foo.com", "file:///home/ann/chat.swf", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "localhost", false),
            ("localhost", "127.0.0.1", false),
            ("localhost", "localhost", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("::1", "[::1]", true),
            ("[::1]", "http://[::1]:80/a.swf", true),
            ("[2001:DB8::1]", "2001:db8::1", true),
            ("::1", "::2", false),
            ("münchen.example", "münchen.example", true),
            ("münchen.example", "xn--mnchen-3ya.example", false),
            ("*.münchen.example", "www.münchen.example", true),
            ("*.chen.example", "mün.chen.example", true),
            ("*.chen.example", "münchen.example", false),
        ];
        for (pattern, origin, expected) in rows {
            let pattern: DomainPattern = pattern.parse().unwrap();
            let origin: Origin = origin.parse().unwrap();
            assert_eq!(pattern.matches(&origin), expected, "{pattern} ∋ {origin}");
        }
        // Beyond what `from_str` lets through: a suffix never reaches into an address.
        let pattern = DomainPattern("*.0.0.1".to_owned());
        assert!(!pattern.matches(&"127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn says_what_is_wrong_with_a_domain() {
        let rows = [
            ("", DomainFault::Empty, "`*` for everyone"),
            ("*.", DomainFault::Empty, "empty"),
            ("*foo.com", DomainFault::Wildcard, "`*.example.com`"),
            ("www.*.com", DomainFault::Wildcard, "stands alone"),
            ("**", DomainFault::Wildcard, "\"**\""),
            ("*.*.com", DomainFault::Wildcard, "in front"),
            ("192.168.*", DomainFault::WildcardAddress, "no wildcard"),
            ("192.168.*.1", DomainFault::WildcardAddress, "no wildcard"),
            ("*.168.0.1", DomainFault::WildcardAddress, "each address"),
            ("*.1", DomainFault::WildcardAddress, "each address"),
            ("*.127.0.0.1", DomainFault::WildcardAddress, "each address"),
            ("*.::1", DomainFault::WildcardAddress, "each address"),
            ("http://foo.com", DomainFault::Url, "leave out the scheme"),
            ("foo.com/chat", DomainFault::Url, "the path"),
            ("foo.com:1024", DomainFault::Port, "leave out the port"),
            ("foo.com:*", DomainFault::Wildcard, "`*`"),
            ("foo:bar", DomainFault::Character(':'), "':'"),
            ("foo.com,bar.com", DomainFault::Character(','), "','"),
            ("foo com", DomainFault::Character(' '), "' '"),
            ("foo\u{9b}.com", DomainFault::Character('\u{9b}'), "\\u{9b}"),
            ("foo\u{2003}com", DomainFault::Character('\u{2003}'), "host name"),
            ("foo\u{ffff}.com", DomainFault::Character('\u{ffff}'), "host name"),
            ("\u{feff}foo.com", DomainFault::Character('\u{feff}'), "host name"),
            (".foo.com", DomainFault::EmptyLabel, "`*.example.com`"),
            ("foo..com", DomainFault::EmptyLabel, "before a dot"),
            (".", DomainFault::EmptyLabel, "before a dot"),
            ("*.foo..com", DomainFault::EmptyLabel, "before a dot"),
        ];
        for (text, fault, words) in rows {
            let error = text.parse::<DomainPattern>().expect_err(text);
            assert_eq!(error, DomainError { text: text.to_owned(), fault });
            assert!(error.to_string().contains(words), "{text:?}: {error}");
        }
        for text in ["*", "a", "a_b.c-d", "1.2.3.4", "3com.example", "1e100.net", "::1", "[::1]", "foo.com."] {
            assert_eq!(text.parse::<DomainPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_address_is_written_as_a_url_has_it() {
        for (address, text) in
            [("127.0.0.1", "127.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::1")]
        {
            assert_eq!(DomainPattern::from(address.parse::<IpAddr>().unwrap()).as_str(), text);
        }
    }
}
