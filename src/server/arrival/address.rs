//! Defines [`AddressKey`], the address under which somebody is counted.
//!
//! Knows: what one customer has of a network. Must not know: what is counted, and how much of it is too much.

use std::net::{IpAddr, Ipv6Addr};

/// The address under which a connection, its rate and what it leaves behind are counted: IPv6 by its /64, which one
/// customer has; IPv4, in IPv6 too, and loopback as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(IpAddr);

impl AddressKey {
    /// The key of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> AddressKey {
        AddressKey(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            address => address,
        })
    }

    /// The network around an IPv6 address, its /48, which one customer may have, too; `None` of others.
    #[must_use]
    pub fn network(self) -> Option<AddressKey> {
        match self.0 {
            IpAddr::V6(address) if !address.is_loopback() => {
                let network = Ipv6Addr::from_bits(address.to_bits() >> 80 << 80);
                Some(AddressKey(IpAddr::V6(network)))
            }
            _ => None,
        }
    }

    /// Whether it is this machine: some counts exempt it, and say so.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> AddressKey {
        AddressKey::of(address.parse().expect("an address"))
    }

    #[test]
    fn one_customer_has_one_key() {
        for (one, same, other) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
            ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.2"),
            ("::1", "::1", "::2"),
        ] {
            assert_eq!(key(one), key(same), "{one} {same}");
            assert_ne!(key(one), key(other), "{one} {other}");
        }
        assert_eq!(key("2001:db8:1:2::3").network(), Some(key("2001:db8:1::")));
        for other in ["192.0.2.1", "::ffff:192.0.2.1", "::1"] {
            assert_eq!(key(other).network(), None, "{other}");
        }
        for (address, is_loopback) in [("127.0.0.2", true), ("::1", true), ("::ffff:127.1.1.1", true), ("::", false)] {
            assert_eq!(key(address).is_loopback(), is_loopback, "{address}");
        }
    }
}
