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
use crate::exit_code::Failure;
use xmlsocket::client::permission::{Place, RefusalReason};
use xmlsocket::policy::{DomainPattern, Origin, POLICY_BYTES_MAX, PolicyFile, PortList, RESTRICTED_PORTS_END};
use xmlsocket::server::{Peer, PolicySource};

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

    /// Lets a page of `origin` speak with a listener that it reached at `reached`, if a SWF from there could: the same
    /// entry lets in both. Only the address that was reached counts for SWFs alone: on another port of the same machine
    /// stands somebody else's web server.
    fn admit_page(&self, origin: &Origin, reached: SocketAddr, answers: Answers) -> Result<(), String> {
        let port = self.public_port.unwrap_or(reached.port());
        let Some(file) = &self.file else {
            let is_friend = answers.itself && self.names.iter().any(|name| name.matches(origin));
            return if is_friend { Ok(()) } else { Err("--allow-domain lets them".to_owned()) };
        };
        let place = Place::Target(port);
        if !answers.itself && !answers.policy_port {
            return Err(format!("this listener has `policy = false`, so no policy file opens port {port}"));
        }
        if answers.policy_port && file.site_control.is_some_and(|value| !value.permits_master()) {
            return Err(RefusalReason::SiteControlNone { place }.to_string());
        }
        file.grant_for(place, origin, port).map(drop).map_err(|reason| reason.to_string())
    }

    /// Whether SWFs that were loaded from a name are let in at all.
    fn knows_names(&self) -> bool {
        self.file.is_some() || !self.names.is_empty()
    }
}

/// Who answers policy requests about a listener.
#[derive(Clone, Copy)]
struct Answers {
    /// The listener.
    itself: bool,
    /// A policy port.
    policy_port: bool,
}

/// The policy as the threads of a server share it. It can be replaced while the server runs.
#[derive(Clone)]
pub(super) struct SharedGrants {
    /// Who answers about each listener: that stays as it is while the server runs.
    answers: Arc<[Answers]>,
    grants: Arc<RwLock<Arc<Grants>>>,
    /// Whether it has been said that no name is let in.
    said: Arc<AtomicBool>,
}

impl SharedGrants {
    /// The policy of a server that has the listeners of `config`.
    pub(super) fn new(grants: Grants, config: &Config) -> SharedGrants {
        let policy_port = config.policy_listen.is_some();
        let answers = config.listeners.iter().map(|listener| Answers { itself: listener.policy, policy_port });
        SharedGrants {
            answers: answers.collect(),
            grants: Arc::new(RwLock::new(Arc::new(grants))),
            said: Arc::new(AtomicBool::new(false)),
        }
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

    /// Says which pages may speak with the listeners, beside the server's own.
    #[allow(dead_code, reason = "without the edges there are no pages")]
    pub(super) fn for_pages(&self) -> impl Fn(&Origin, &Peer) -> Result<(), String> + Send + Sync + 'static {
        let shared = self.clone();
        move |origin, peer| {
            let answers = shared.answers.get(peer.listener).copied();
            let answers = answers.unwrap_or(Answers { itself: false, policy_port: false });
            shared.current().admit_page(origin, peer.local_address, answers)
        }
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

    /// As a server with the default settings shares it.
    fn shared(grants: Grants) -> SharedGrants {
        SharedGrants::new(grants, &Config::new(&crate::cli::config::Settings::defaults().unwrap()).unwrap())
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
            let shared = shared(grants(names, public_port));
            let policy = shared.for_own_port()(reached.parse().unwrap());
            let got: Vec<_> = policy.grants.iter().map(|grant| grant.domain.to_string()).collect();
            assert_eq!(got.join(" "), domains, "{reached}");
            assert!(policy.grants.iter().all(|grant| grant.ports.to_string() == port), "{policy}");
        }
    }

    #[test]
    fn the_policy_port_opens_all_ports_that_it_can() {
        let shared = shared(grants(&[], None));
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
        let shared = shared(Grants { file: Some(file), ..grants(&["ignored.example"], None) });
        let source = shared.for_own_port();
        let policy = source("127.0.0.1:1024".parse().unwrap());
        assert_eq!(policy.to_string(), text.replace("80,", ""));
        shared.replace(grants(&["new.example"], None));
        assert!(source("127.0.0.1:1024".parse().unwrap()).to_string().contains("new.example"));
    }

    #[test]
    fn a_page_may_speak_with_a_listener_if_a_swf_of_its_site_could() {
        let entries = r#"<allow-access-from domain="*.secure.example" secure="true" to-ports="*"/>
            <allow-access-from domain="port.example" to-ports="1024,2001"/></cross-domain-policy>"#;
        let of_file = |start: &str, public_port: Option<u16>| {
            let file = PolicyFile::parse(&format!("<cross-domain-policy>{start}{entries}")).unwrap().0;
            Grants { file: Some(file), ..grants(&["name.example"], public_port) }
        };
        let none = r#"<site-control permitted-cross-domain-policies="none"/>"#;
        let [own, port_only, both, nobody] = [(true, false), (false, true), (true, true), (false, false)]
            .map(|(itself, policy_port)| Answers { itself, policy_port });
        let rows = [
            (of_file("", None), "https://a.secure.example", own, Ok(())),
            (of_file("", None), "http://a.secure.example", own, Err("HTTPS only")),
            (of_file("", None), "http://port.example", own, Ok(())),
            (of_file("", Some(2001)), "http://port.example", own, Ok(())),
            (of_file("", Some(2002)), "http://port.example", own, Err("to ports 1024,2001 only")),
            (of_file("", None), "http://name.example", own, Err("has no entry for name.example")),
            (of_file("", None), "http://port.example", nobody, Err("`policy = false`")),
            (of_file("", None), "http://port.example", port_only, Ok(())),
            (of_file(none, None), "http://port.example", both, Err("site-control")),
            (of_file(none, None), "http://port.example", own, Ok(())),
            (grants(&["name.example"], None), "http://name.example:81", own, Ok(())),
            (grants(&["name.example"], None), "http://name.example", port_only, Err("--allow-domain")),
            (grants(&["name.example"], None), "http://127.0.0.1", both, Err("--allow-domain")),
            (grants(&["*"], None), "file:", own, Ok(())),
        ];
        for (n, (grants, origin, answers, expected)) in rows.into_iter().enumerate() {
            let got = grants.admit_page(&origin.parse().unwrap(), "127.0.0.1:1024".parse().unwrap(), answers);
            match (&got, expected) {
                (Ok(()), Ok(())) => {}
                (Err(reason), Err(part)) => assert!(reason.contains(part), "row {n}: {reason}"),
                _ => panic!("row {n}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn low_ports_without_a_low_policy_port_are_remarked_upon() {
        use crate::cli::config::Settings;
        let config = Config::new(&Settings::defaults().unwrap()).unwrap();
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
