//! What a proxy that the listener believes says of a request: where it comes from, and whether it came over TLS.
//!
//! Knows: `X-Forwarded-For` and `X-Forwarded-Proto`. Must not know: which proxies are believed.

use std::net::{IpAddr, SocketAddr};

use super::head::{Parsed, Refusal};
use super::response::Response;
use crate::server::Visitor;

/// Lets the visitor come from where its proxy says it does.
pub(super) fn apply(request: &Parsed<'_>, visitor: &mut Visitor<'_>) -> Result<(), Refusal> {
    if !visitor.is_by_proxy() {
        return Ok(());
    }
    let named: Vec<_> = request.values("x-forwarded-for").flat_map(|value| value.split(',')).map(str::trim).collect();
    let Some(address) = client(&named, |address| visitor.is_proxy(address)) else { return Ok(()) };
    visitor
        .set_address(address)
        .map_err(|sentence| Refusal::new(Response::text(503, sentence).with("Retry-After", "10")))
}

/// Whether the client's own connection was TLS, as the proxy nearest to us says.
pub(super) fn is_secure(request: &Parsed<'_>, visitor: &Visitor<'_>) -> bool {
    visitor.is_by_proxy()
        && request
            .values("x-forwarded-proto")
            .next_back()
            .and_then(|value| value.rsplit(',').next())
            .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// The client among the addresses that proxies noted, each behind the one it heard from. From the end, the first that
/// is no proxy of ours: what stands before it, the client itself may have written.
fn client(named: &[&str], is_proxy: impl Fn(IpAddr) -> bool) -> Option<SocketAddr> {
    let mut client = None;
    for name in named.iter().rev() {
        let Some(address) = read(name) else { break };
        client = Some(address);
        if !is_proxy(address.ip()) {
            break;
        }
    }
    client
}

/// An address with or without a port, as proxies write it.
fn read(name: &str) -> Option<SocketAddr> {
    if let Ok(address) = name.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        let is_proxy = |address: IpAddr| address.to_string().starts_with("10.");
        for (named, expected) in [
            (&["192.0.2.7"][..], Some("192.0.2.7:0")),
            (&["192.0.2.7:5000"], Some("192.0.2.7:5000")),
            (&["2001:db8::1"], Some("[2001:db8::1]:0")),
            (&["[2001:db8::1]"], Some("[2001:db8::1]:0")),
            (&["[2001:db8::1]:5000"], Some("[2001:db8::1]:5000")),
            (&["6.6.6.6", "192.0.2.7", "10.0.0.1"], Some("192.0.2.7:0")),
            (&["6.6.6.6", "nonsense", "10.0.0.1"], Some("10.0.0.1:0")),
            (&["10.0.0.2", "10.0.0.1"], Some("10.0.0.2:0")),
            (&["unknown"], None),
            (&[""], None),
            (&[], None),
        ] {
            let expected = expected.map(|expected| expected.parse().unwrap());
            assert_eq!(client(named, is_proxy), expected, "{named:?}");
        }
    }
}
