//! Defines [`ListenerSettings`]: what may be set for a listener.
//!
//! Knows: choices and their defaults. Must not know: sockets, what a choice costs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::arrival::door::Door;
use super::arrival::proxy::Network;
use super::framing::{Encoder, Framing};
use crate::policy::PolicyFile;

/// What frames may be on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Well-formed XML documents, parsed. Others are answered with an error, the connection stays.
    Xml,
    /// Anything, not parsed. The server itself never writes a frame.
    Any,
}

/// What happens to frames that come faster than `frames_per_second_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// They are refused with an error, and a client that goes on is closed. Where frames are not parsed, and the server
    /// writes none of its own, they wait as with [`Pause`](Flood::Pause).
    Refuse,
    /// They are read later; nothing is lost.
    Pause,
}

/// Gives the policy file for a request that reached the given local address.
pub type PolicySource = Arc<dyn Fn(SocketAddr) -> PolicyFile + Send + Sync>;

/// What may be set for a listener.
#[derive(Clone)]
#[non_exhaustive]
pub struct ListenerSettings {
    /// What frames may be.
    pub frames: Frames,
    /// What ends a frame.
    pub framing: Framing,
    /// What happens to frames that come too fast.
    pub flood: Flood,
    /// Whether a connection that shows no sign of life is closed after `idle_seconds_max`.
    pub idle: bool,
    /// Where policy requests are answered from; without it they are frames like others.
    pub policy: Option<PolicySource>,
    /// What answers HTTP requests; without it they are refused.
    pub http: Option<Arc<dyn Door>>,
    /// The proxies that are believed when they say for whom they speak. A connection from one of them MUST begin with
    /// a PROXY header or an HTTP request.
    pub proxies: Vec<Network>,
    /// The port under which browsers reach the listener, where that is another than its own.
    pub public_port: Option<u16>,
    /// Whether policy requests are all that is answered.
    pub(super) policy_only: bool,
}

impl Default for ListenerSettings {
    /// XML, zero bytes, refusals, idle connections closed; no policy, no HTTP, no proxy.
    fn default() -> ListenerSettings {
        ListenerSettings {
            frames: Frames::Xml,
            framing: Framing::Nul,
            flood: Flood::Refuse,
            idle: true,
            policy: None,
            http: None,
            proxies: Vec::new(),
            public_port: None,
            policy_only: false,
        }
    }
}

impl ListenerSettings {
    /// Those of a policy port, where policy requests are answered and all else is closed.
    pub(super) fn policy_port(policy: PolicySource) -> ListenerSettings {
        ListenerSettings { policy: Some(policy), policy_only: true, ..ListenerSettings::default() }
    }

    /// The policy file for who reached `local`; `None` where none is served.
    pub(super) fn policy_at(&self, local: SocketAddr) -> Option<PolicyFile> {
        let policy = self.policy.as_ref()?;
        let (mut file, _) = policy(local).restricted_to_serving_port(local.port());
        if !self.policy_only {
            // A meta-policy belongs into the master policy file; Lightspark rejects a file from elsewhere that has one.
            file.site_control = None;
        }
        Some(file)
    }

    /// What writes to a client that has said nothing yet.
    pub(super) fn encoder(&self) -> Arc<dyn Encoder> {
        self.framing.encoder(self.frames == Frames::Xml)
    }

    /// Whether `address` is one of the proxies that are believed.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::SiteControl;

    #[test]
    fn a_meta_policy_is_in_the_file_of_the_policy_port_alone() {
        let policy: PolicySource =
            Arc::new(|_| PolicyFile { site_control: Some(SiteControl::MasterOnly), ..PolicyFile::default() });
        let port = ListenerSettings::policy_port(Arc::clone(&policy));
        let listener = ListenerSettings { policy: Some(policy), ..ListenerSettings::default() };
        let local = SocketAddr::from(([127, 0, 0, 1], 1024));
        assert_eq!(port.policy_at(local).unwrap().site_control, Some(SiteControl::MasterOnly));
        assert_eq!(listener.policy_at(local).unwrap().site_control, None);
        assert!(ListenerSettings::default().policy_at(local).is_none());
    }
}
