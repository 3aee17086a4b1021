//! Defines [`Grants`], the socket policy that follows from the settings.
//!
//! Knows: which names and ports the policy opens. Must not know: how a request arrives and is answered.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::config::Config;
use super::exit_code::Failure;
use xmlsocket::policy::{DomainPattern, POLICY_BYTES_MAX, PolicyFile, PortList, RESTRICTED_PORTS_END};
use xmlsocket::server::PolicySource;

/// What the server's policy opens, and to whom.
pub(super) struct Grants {
    /// A policy of the operator's own, which is answered instead of all below.
    file: Option<PolicyFile>,
    /// The names that are let in beside the address that was reached.
    names: Vec<DomainPattern>,
    /// The port that the outside uses.
    public_port: Option<u16>,
}

impl Grants {
    /// The policy of `config`, and what should be said about it. Reads the policy file.
    pub(super) fn new(config: &Config) -> Result<(Grants, Vec<String>), Failure> {
        let names = config.public_name.iter().chain(&config.allow_domain).cloned().collect();
        let mut grants = Grants { file: None, names, public_port: config.public_port };
        let mut remarks = Vec::new();
        if let Some(path) = &config.policy_file {
            let (file, warnings) = read(path)?;
            grants.file = Some(file);
            remarks = warnings.into_iter().map(|warning| format!("{}: {warning}", path.display())).collect();
        }
        Ok((grants, remarks))
    }

    /// The policy for a request that reached `reached`: it opens `ports`, as far as a file that players see coming
    /// from `serving_port` can.
    fn policy(&self, reached: SocketAddr, ports: &[u16], serving_port: u16) -> PolicyFile {
        let policy = self.file.clone().unwrap_or_else(|| {
            let address = reached.ip().to_canonical();
            let local = address.is_loopback().then(|| "localhost".parse().ok()).flatten();
            let domains = [DomainPattern::from(address)].into_iter().chain(local).chain(self.names.iter().cloned());
            let ports = match self.public_port {
                Some(port) => vec![port],
                None => ports.to_vec(),
            };
            PortList::of(ports).map(|ports| PolicyFile::granting(domains, &ports)).unwrap_or_default()
        });
        policy.restricted_to_serving_port(serving_port).0
    }

    /// The sites whose content is let in, wherever it reaches the server.
    pub(super) fn domains(&self) -> Vec<DomainPattern> {
        match &self.file {
            Some(file) => file.grants.iter().map(|grant| grant.domain.clone()).collect(),
            None => self.names.clone(),
        }
    }

    /// Whether SWFs that were loaded from a name are let in at all.
    fn knows_names(&self) -> bool {
        self.file.is_some() || !self.names.is_empty()
    }
}

/// The policy as the threads of a server share it. It can be replaced while the server runs.
#[derive(Clone)]
pub(super) struct SharedGrants {
    grants: Arc<RwLock<Arc<Grants>>>,
    /// Whether it has been said that no name is let in.
    said: Arc<AtomicBool>,
}

impl SharedGrants {
    pub(super) fn new(grants: Grants) -> SharedGrants {
        SharedGrants { grants: Arc::new(RwLock::new(Arc::new(grants))), said: Arc::new(AtomicBool::new(false)) }
    }

    /// Requests from now on are answered with `grants`.
    pub(super) fn replace(&self, grants: Grants) {
        *self.grants.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(grants);
    }

    fn current(&self) -> Arc<Grants> {
        Arc::clone(&self.grants.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers requests on a listener's own port: it opens that port.
    pub(super) fn for_own_port(&self) -> PolicySource {
        let shared = self.clone();
        Arc::new(move |reached| {
            let grants = shared.current();
            shared.note_request(&grants, reached);
            let seen_port = grants.public_port.unwrap_or(reached.port());
            grants.policy(reached, &[reached.port()], seen_port)
        })
    }

    /// Answers requests on the policy port: it opens `ports`, those of all listeners.
    pub(super) fn for_policy_port(&self, ports: Vec<u16>) -> PolicySource {
        let shared = self.clone();
        Arc::new(move |reached| {
            let grants = shared.current();
            shared.note_request(&grants, reached);
            grants.policy(reached, &ports, reached.port())
        })
    }

    /// Says once, at the first request, that SWFs from names will be refused.
    fn note_request(&self, grants: &Grants, reached: SocketAddr) {
        if !grants.knows_names() && !self.said.swap(true, Ordering::Relaxed) {
            log::info!(
                "a policy request was answered: it lets in SWFs loaded from {} and from no name; `--public-name NAME` says \
                 how the outside calls this server, `--allow-domain DOMAIN` lets others in",
                reached.ip().to_canonical()
            );
        }
    }
}

/// What to say about ports below 1024, which players treat differently. `ports` are the listeners', as they are bound.
pub(super) fn remarks_on_low_ports(config: &Config, ports: &[u16], policy_port: Option<u16>) -> Vec<String> {
    let is_low = |port: u16| port < RESTRICTED_PORTS_END;
    if policy_port.is_some_and(is_low) {
        return Vec::new();
    }
    let seen = ports.iter().zip(&config.listeners).map(|(port, listener)| {
        let port = config.public_port.unwrap_or(*port);
        (port, listener.policy)
    });
    let mut remarks: Vec<String> = seen
        .filter(|(port, _)| is_low(*port))
        .map(|(port, with_policy)| {
            let newer = if with_policy {
                "7.0.19 to 9.0.115 refuse it unless the SWF itself loads the policy from this port, and newer ones first ask \
                 port 843 for up to three seconds"
            } else {
                "all newer ones refuse it too, because nobody answers with a policy"
            };
            format!(
                "port {port} is below 1024 and there is no policy port below 1024: Flash Player up to 7.0.14 refuses it \
                 in any case, {newer}; `--policy-listen ADDR:843` is what they look for"
            )
        })
        .collect();
    remarks.dedup();
    remarks
}

fn read(path: &Path) -> Result<(PolicyFile, Vec<xmlsocket::policy::Warning>), Failure> {
    let name = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(POLICY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::usage(format!("cannot read the policy file {name}: {error}")))?;
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(Failure::usage(format!("the policy file {name} has more than {POLICY_BYTES_MAX} bytes")));
    }
    PolicyFile::parse(&String::from_utf8_lossy(&bytes))
        .map_err(|error| Failure::usage(format!("the policy file {name} cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(names: &[&str], public_port: Option<u16>) -> Grants {
        Grants { file: None, names: names.iter().map(|name| name.parse().unwrap()).collect(), public_port }
    }

    #[test]
    fn opens_the_port_to_the_address_that_was_reached_and_to_the_names() {
        let rows = [
            ("127.0.0.1:1024", &[][..], None, "127.0.0.1 localhost", "1024"),
            ("[::1]:1024", &[], None, "::1 localhost", "1024"),
            ("[::ffff:192.0.2.7]:2000", &[], None, "192.0.2.7", "2000"),
            (
                "192.0.2.7:2000",
                &["chat.example.com", "*.example.org"],
                None,
                "192.0.2.7 chat.example.com *.example.org",
                "2000",
            ),
            ("192.0.2.7:2000", &["a.example", "a.example"], Some(1935), "192.0.2.7 a.example", "1935"),
            ("127.0.0.1:443", &[], None, "127.0.0.1 localhost", "443"),
            ("127.0.0.1:10443", &[], Some(443), "127.0.0.1 localhost", "443"),
        ];
        for (reached, names, public_port, domains, port) in rows {
            let shared = SharedGrants::new(grants(names, public_port));
            let policy = shared.for_own_port()(reached.parse().unwrap());
            let got: Vec<_> = policy.grants.iter().map(|grant| grant.domain.to_string()).collect();
            assert_eq!(got.join(" "), domains, "{reached}");
            assert!(policy.grants.iter().all(|grant| grant.ports.to_string() == port), "{policy}");
        }
    }

    #[test]
    fn the_policy_port_opens_all_ports_that_it_can() {
        let shared = SharedGrants::new(grants(&[], None));
        let ask = |reached: &str, ports: &[u16]| {
            let policy = shared.for_policy_port(ports.to_vec())(reached.parse().unwrap());
            policy.grants.first().map(|grant| grant.ports.to_string())
        };
        assert_eq!(ask("127.0.0.1:843", &[80, 1024]).as_deref(), Some("80,1024"));
        assert_eq!(ask("127.0.0.1:8430", &[80, 1024]).as_deref(), Some("1024"));
        assert_eq!(ask("127.0.0.1:8430", &[80]), None);
    }

    #[test]
    fn a_file_of_ones_own_is_answered_instead_and_can_be_replaced() {
        let text =
            r#"<cross-domain-policy><allow-access-from domain="*" to-ports="80,2000-2010"/></cross-domain-policy>"#;
        let file = PolicyFile::parse(text).unwrap().0;
        let shared = SharedGrants::new(Grants { file: Some(file), ..grants(&["ignored.example"], None) });
        let source = shared.for_own_port();
        let policy = source("127.0.0.1:1024".parse().unwrap());
        assert_eq!(policy.to_string(), text.replace("80,", ""));
        shared.replace(grants(&["new.example"], None));
        assert!(source("127.0.0.1:1024".parse().unwrap()).to_string().contains("new.example"));
    }

    #[test]
    fn low_ports_without_a_low_policy_port_are_remarked_upon() {
        use crate::cli::config::Settings;
        let config = Config::new(&Settings::defaults()).unwrap();
        assert!(remarks_on_low_ports(&config, &[1024], None).is_empty());
        assert!(remarks_on_low_ports(&config, &[443], Some(843)).is_empty());
        let remarks = remarks_on_low_ports(&config, &[443], Some(8430));
        assert!(remarks[0].contains("port 443") && remarks[0].contains("7.0.19 to 9.0.115 refuse it"), "{remarks:?}");
        let mut silent = config.clone();
        silent.listeners[0].policy = false;
        assert!(remarks_on_low_ports(&silent, &[443], None)[0].contains("all newer ones refuse it too"));
        let redirected = Config { public_port: Some(80), ..config };
        assert!(remarks_on_low_ports(&redirected, &[8080], None)[0].contains("port 80 is below"));
    }
}
