//! Defines how a proxy in front of a listener says for whom it speaks: the PROXY protocol's header, versions 1 and 2
//! (HAProxy's `proxy-protocol.txt`), and [`Network`], which names the proxies that are believed.
//!
//! Knows: bytes and addresses. Must not know: sockets, deadlines, what follows the header.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What a header of version 1 begins with.
const V1_START: &[u8] = b"PROXY ";

/// Bytes of the longest header of version 1, its line end counted.
const V1_BYTES_MAX: usize = 107;

/// What a header of version 2 begins with.
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a header of version 2 before its addresses.
const V2_FIXED_BYTES: usize = 16;

/// Bytes of addresses and extensions that are accepted; extensions are skipped.
const V2_REST_BYTES_MAX: usize = 4_096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Header {
    /// The connection is from `source`, which reached `destination`.
    Addresses { source: SocketAddr, destination: SocketAddr },
    /// The proxy speaks for itself, or does not know: the connection's own addresses count.
    Own,
}

/// Why bytes hold no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum NotProxied {
    /// They begin like something else.
    Other,
    /// They begin like a header that goes wrong later.
    Broken,
}

/// Reads a header at the start of `bytes`: what it says and how many bytes it has; `None` while it is not whole.
pub(in crate::server) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, NotProxied> {
    let begins = |start: &[u8]| bytes.iter().zip(start).all(|(a, b)| a == b);
    if begins(V1_START) {
        return bytes.get(V1_START.len()..).map_or(Ok(None), |_| parse_v1(bytes));
    }
    if begins(V2_SIGNATURE) {
        return if bytes.len() < V2_FIXED_BYTES { Ok(None) } else { parse_v2(bytes) };
    }
    Err(NotProxied::Other)
}

/// `PROXY TCP4 192.0.2.7 198.51.100.1 50000 1024\r\n`
fn parse_v1(bytes: &[u8]) -> Result<Option<(Header, usize)>, NotProxied> {
    let Some(end) = bytes.iter().take(V1_BYTES_MAX).position(|&byte| byte == b'\n') else {
        return if bytes.len() < V1_BYTES_MAX { Ok(None) } else { Err(NotProxied::Broken) };
    };
    let line = bytes[V1_START.len()..end].strip_suffix(b"\r").ok_or(NotProxied::Broken)?;
    let line = str::from_utf8(line).map_err(|_| NotProxied::Broken)?;
    let header = if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        Header::Own
    } else {
        addresses_v1(line).ok_or(NotProxied::Broken)?
    };
    Ok(Some((header, end + 1)))
}

fn addresses_v1(line: &str) -> Option<Header> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let address = |word: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |word: &str| -> Option<u16> {
        let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse().ok().filter(|_| is_plain)
    };
    let (source, destination) = (address(words.next()?)?, address(words.next()?)?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(Header::Addresses {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// The signature, version and command, family and transport, the length of what follows, addresses, extensions.
fn parse_v2(bytes: &[u8]) -> Result<Option<(Header, usize)>, NotProxied> {
    let (version, command) = (bytes[12] >> 4, bytes[12] & 0xF);
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if version != 2 || command > 1 || length > V2_REST_BYTES_MAX {
        return Err(NotProxied::Broken);
    }
    let Some(rest) = bytes.get(V2_FIXED_BYTES..V2_FIXED_BYTES + length) else { return Ok(None) };
    let header = match (command, bytes[13]) {
        (0, _) | (_, 0x00 | 0x31) => Header::Own,
        (_, 0x11) => addresses_v2::<4>(rest).ok_or(NotProxied::Broken)?,
        (_, 0x21) => addresses_v2::<16>(rest).ok_or(NotProxied::Broken)?,
        _ => return Err(NotProxied::Broken),
    };
    Ok(Some((header, V2_FIXED_BYTES + length)))
}

fn addresses_v2<const BYTES: usize>(rest: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; BYTES]>,
{
    let (source, rest) = rest.split_first_chunk::<BYTES>()?;
    let (destination, rest) = rest.split_first_chunk::<BYTES>()?;
    let (source_port, rest) = rest.split_first_chunk()?;
    let (destination_port, _) = rest.split_first_chunk()?;
    Some(Header::Addresses {
        source: SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(IpAddr::from(*destination), u16::from_be_bytes(*destination_port)),
    })
}

/// Bits before the IPv4 address in `::ffff:10.0.0.1`.
const MAPPED_PREFIX: u8 = 96;

/// A range of addresses: `10.0.0.0/8`, or one address. `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` is in the range. An IPv4 address in IPv6's clothes counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            Some(digits) if digits.starts_with('+') => return Err(error()),
            Some(digits) => digits.parse().ok().filter(|&prefix| prefix <= longest).ok_or_else(error)?,
            None => longest,
        };
        // An IPv4 address in IPv6's clothes is meant as what it is, as it is when it connects.
        match address.to_canonical() {
            canonical @ IpAddr::V4(_) if address.is_ipv6() => {
                let prefix = prefix.checked_sub(MAPPED_PREFIX).ok_or_else(error)?;
                Ok(Network { address: canonical, prefix })
            }
            address => Ok(Network { address, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A text that names no range of addresses; holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError(pub String);

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no address and no range of addresses such as 10.0.0.0/8", self.0)
    }
}

impl std::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_they_are_read() {
        for (text, written) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), written);
            assert_eq!(written.parse(), Ok(network));
        }
        let error = "10.0.0.0/33".parse::<Network>().unwrap_err();
        assert_eq!(error.to_string(), "`10.0.0.0/33` is no address and no range of addresses such as 10.0.0.0/8");
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend_from_slice(&[0x20 | command, family]);
        bytes.extend_from_slice(&(rest.len() as u16).to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes
    }

    fn addresses(source: &str, destination: &str) -> Header {
        Header::Addresses { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    #[test]
    fn headers_are_read_at_whatever_cut_they_arrive() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0xC3, 0x50, 4, 0];
        let with_extension = [&four[..], &[4, 0, 1, 0xFF]].concat();
        let mut six = [0; 36];
        (six[15], six[31], six[33], six[34]) = (1, 2, 7, 4);
        let own = Header::Own;
        let by_name = addresses("192.0.2.7:50000", "198.51.100.1:1024");
        let rows = [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 1024\r\n".to_vec(), by_name),
            (b"PROXY TCP6 ::1 ::2 7 1024\r\n".to_vec(), addresses("[::1]:7", "[::2]:1024")),
            (b"PROXY UNKNOWN\r\n".to_vec(), own),
            (b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n".to_vec(), own),
            (v2(1, 0x11, &four), by_name),
            (v2(1, 0x11, &with_extension), by_name),
            (v2(1, 0x21, &six), addresses("[::1]:7", "[::2]:1024")),
            (v2(0, 0x00, b""), own),
            (v2(0, 0x11, &four), own),
            (v2(1, 0x00, b"what"), own),
            (v2(1, 0x31, &[0; 216]), own),
        ];
        for (bytes, header) in rows {
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), Ok(None), "{} cut at {cut}", bytes.escape_ascii());
            }
            let followed = [&bytes[..], b"<login/>\0"].concat();
            assert_eq!(parse(&followed), Ok(Some((header, bytes.len()))), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_header_is_as_long_as_it_may_be_and_no_longer() {
        let mut line = b"PROXY UNKNOWN ".to_vec();
        line.resize(V1_BYTES_MAX - 1, b'a');
        assert_eq!(parse(&line), Ok(None));
        assert_eq!(parse(&[&line[..], b"a"].concat()), Err(NotProxied::Broken));
        let rest = vec![0; V2_REST_BYTES_MAX + 1];
        assert!(matches!(parse(&v2(0, 0, &rest[1..])), Ok(Some(_))));
        assert_eq!(parse(&v2(0, 0, &rest)), Err(NotProxied::Broken));
    }

    #[test]
    fn broken_headers_are_refused() {
        let broken: &[&[u8]] = &[
            b"PROXY \r\n",
            b"PROXY TCP4\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 1024\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 70000\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 1024\r\n",
            b"PROXY TCP4 192.0.2.7  198.51.100.1 1 1024\r\n",
            b"PROXY TCP4 ::1 ::2 1 1024\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 1024 x\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 50000 1024\r\n",
            b"PROXY tcp4 192.0.2.7 198.51.100.1 50000 1024\r\n",
            b"PROXY \xff\r\n",
            &[&b"PROXY UNKNOWN "[..], &[b'a'; 200]].concat(),
            &v2(2, 0x11, &[0; 12]),
            &v2(1, 0x11, &[0; 11]),
            &v2(1, 0x12, &[0; 12]),
            &v2(1, 0x21, &[0; 12]),
            &v2(1, 0x11, &vec![0; V2_REST_BYTES_MAX + 1]),
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
        ];
        for bytes in broken {
            assert_eq!(parse(bytes), Err(NotProxied::Broken), "{}", bytes.escape_ascii());
        }
        for other in [&b"GET / HTTP/1.1\r\n"[..], b"POST", b"<login/>\0", b"\r\n<a/>", b"PROXYING", b"\0"] {
            assert_eq!(parse(other), Err(NotProxied::Other), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.1", "10.0.0.2", false),
            ("::ffff:a00:0/104", "10.255.0.1", true),
            ("::ffff:10.0.0.0/104", "11.0.0.1", false),
            ("::ffff:0.0.0.0/96", "8.8.8.8", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), holds, "{network} {address}");
        }
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "::/129",
            "10.0.0.0/",
            "::ffff:10.0.0.0/8",
            "::ffff:0:0/95",
            "10.0.0.0/+8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError(text.to_owned())));
        }
    }
}
