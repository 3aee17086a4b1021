//! Defines [`Verdict`]: whether a SWF may connect, by whose word, and otherwise what an operator must change.
//!
//! Knows: every reason, in words. Must not know: how it was found.

use std::fmt;

use super::place::{MASTER_PORT, Place};
use super::player::Player;
use crate::policy::{DomainPattern, Grant, Origin, PolicyError, PortList, RESTRICTED_PORTS_END, SiteControl};
use crate::wire::Element;

/// What a place did where nothing listens.
pub(super) const REFUSED: &str = "refused the connection";

/// What a player decides about one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The SWF may connect.
    Granted(Grounds),
    /// The SWF may not connect: the player reports error 2048.
    Refused(RefusalReason),
}

impl Verdict {
    /// Whether the SWF may connect.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self, Verdict::Granted(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Granted(grounds) => write!(f, "granted: {grounds}"),
            Verdict::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

/// Why a SWF may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// This player checks nothing.
    NoCheck,
    /// This player lets a SWF connect to the host that served it.
    OwnHost,
    /// This player lets a SWF from a local file connect anywhere.
    LocalFile,
    /// A policy file lets it in.
    Entry {
        /// Where the file is.
        place: Place,
        /// The entry.
        grant: Grant,
    },
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Grounds::NoCheck => f.write_str("this player checks no policy"),
            Grounds::OwnHost => f.write_str("this player needs no policy file for the host that served the SWF"),
            Grounds::LocalFile => f.write_str("this player needs no policy file for a SWF from a local file"),
            Grounds::Entry { place, grant } if place.is_web() => write!(f, "{place} lets {} in", grant.domain),
            Grounds::Entry { place, grant } => write!(f, "{place} lets {} in to ports {}", grant.domain, grant.ports),
        }
    }
}

/// Why a SWF may not connect. The text says what to change, and where.
///
/// When several files were looked at, the reason is the one that came closest to a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// This player connects to no port below 1024.
    RestrictedPort {
        /// The port that the SWF wants.
        port: u16,
    },
    /// There is no place that this player would ask.
    NothingToAsk {
        /// The player.
        player: Player,
        /// The host that the SWF wants.
        host: String,
        /// The port that the SWF wants.
        port: u16,
    },
    /// The name of the host leads to no address, so that nobody could be asked.
    HostUnknown {
        /// The host that the SWF wants.
        host: String,
        /// What the system says of it.
        reason: String,
    },
    /// No place gave a policy file.
    NoPolicyFile {
        /// Each place, and what it did instead.
        asked: Vec<(Place, String)>,
        /// Where the SWF is from.
        origin: Origin,
        /// The port that the SWF wants.
        port: u16,
    },
    /// The answer is no policy file.
    NotAPolicyFile {
        /// Where it came from.
        place: Place,
        /// What is wrong with it.
        error: PolicyError,
        /// Where the SWF is from.
        origin: Origin,
        /// The port that the SWF wants.
        port: u16,
    },
    /// No entry of the file is for the SWF's origin.
    DomainNotGranted {
        /// Where the file is.
        place: Place,
        /// Where the SWF is from.
        origin: Origin,
        /// The port that the SWF wants.
        port: u16,
    },
    /// The entry for the SWF's origin is for other ports.
    PortNotGranted {
        /// Where the file is.
        place: Place,
        /// The entry's domain.
        domain: DomainPattern,
        /// The entry's ports.
        ports: PortList,
        /// The port that the SWF wants.
        port: u16,
    },
    /// The entry for origin and port is for SWFs loaded over HTTPS.
    SecureOnly {
        /// Where the file is.
        place: Place,
        /// The entry's domain.
        domain: DomainPattern,
    },
    /// The entry fits, but a file from this place cannot open a port below 1024.
    PlaceCannotOpen {
        /// Where the file is.
        place: Place,
        /// The port that the SWF wants.
        port: u16,
    },
    /// The file says that no policy file counts, itself included.
    SiteControlNone {
        /// Where the file is.
        place: Place,
    },
    /// The master file says that files of other ports do not count, and does not let the SWF in itself.
    SiteControlMasterOnly {
        /// Where the master file is.
        place: Place,
        /// What it says.
        value: SiteControl,
        /// Where the SWF is from.
        origin: Origin,
        /// The port that the SWF wants.
        port: u16,
    },
}

impl RefusalReason {
    /// A short name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            RefusalReason::RestrictedPort { .. } => "restricted-port",
            RefusalReason::NothingToAsk { .. } => "nothing-to-ask",
            RefusalReason::HostUnknown { .. } => "host-unknown",
            RefusalReason::NoPolicyFile { .. } => "no-policy-file",
            RefusalReason::NotAPolicyFile { .. } => "not-a-policy-file",
            RefusalReason::DomainNotGranted { .. } => "domain-not-granted",
            RefusalReason::PortNotGranted { .. } => "port-not-granted",
            RefusalReason::SecureOnly { .. } => "secure-only",
            RefusalReason::PlaceCannotOpen { .. } => "place-cannot-open",
            RefusalReason::SiteControlNone { .. } => "site-control-none",
            RefusalReason::SiteControlMasterOnly { .. } => "site-control-master-only",
        }
    }

    /// What the file itself shows, without advice.
    pub(super) fn as_seen_in_file(&self) -> String {
        match self {
            RefusalReason::DomainNotGranted { origin, .. } => format!("it has no entry for {origin}"),
            RefusalReason::PortNotGranted { domain, ports, .. } => {
                format!("its entry for {domain} is for ports {ports} only")
            }
            RefusalReason::SecureOnly { domain, .. } => {
                format!("its entry for {domain} is for SWFs loaded over HTTPS only")
            }
            RefusalReason::PlaceCannotOpen { port, .. } => {
                format!("its entry fits, but a file from here cannot open port {port}")
            }
            reason => reason.to_string(),
        }
    }

    /// How close to a grant this came: of several reasons the highest is told.
    pub(super) fn closeness(&self) -> u8 {
        match self {
            RefusalReason::RestrictedPort { .. } | RefusalReason::NothingToAsk { .. } => 0,
            RefusalReason::NoPolicyFile { .. } | RefusalReason::HostUnknown { .. } => 1,
            RefusalReason::NotAPolicyFile { .. } => 2,
            RefusalReason::DomainNotGranted { .. } | RefusalReason::SiteControlNone { .. } => 3,
            RefusalReason::PortNotGranted { .. } => 4,
            RefusalReason::SecureOnly { .. } => 5,
            RefusalReason::PlaceCannotOpen { .. } => 6,
            // What shuts every other file out is told whatever else the master file says.
            RefusalReason::SiteControlMasterOnly { .. } => 7,
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefusalReason::RestrictedPort { port } => write!(
                f,
                "this player connects to no port below {RESTRICTED_PORTS_END}, whatever a policy file says: let the \
                 server listen on port {RESTRICTED_PORTS_END} or above instead of {port}"
            ),
            RefusalReason::NothingToAsk { player, host, port } => write!(
                f,
                "Flash Player {player} knows nobody to ask about port {port}: let the SWF call \
                 loadPolicyFile(\"xmlsocket://{host}:{MASTER_PORT}\") and answer there, or let the server listen on port \
                 {RESTRICTED_PORTS_END} or above"
            ),
            RefusalReason::HostUnknown { host, reason } => write!(
                f,
                "nobody could be asked, because {host} leads to no address ({reason}): check how the name is spelt, and \
                 its entry in the DNS"
            ),
            RefusalReason::NoPolicyFile { asked, origin, port } => write_no_policy_file(f, asked, origin, *port),
            RefusalReason::NotAPolicyFile { place, error, origin, port } => {
                write!(f, "what port {} answered is no policy file ({error}): ", place.port())?;
                write_how_to_serve(f, *place, true, origin, *port)
            }
            RefusalReason::DomainNotGranted { place, origin, port } => {
                write!(f, "{place} has no entry for {origin}: add {} there", entry(*place, origin, *port))
            }
            RefusalReason::PortNotGranted { place, domain, ports, port } => {
                write!(f, "{place} lets {domain} in to ports {ports} only: add {port} to the `to-ports` of that entry")
            }
            RefusalReason::SecureOnly { place, domain } => write!(
                f,
                "{place} lets {domain} in with SWFs loaded over HTTPS only: serve the SWF from an https address, or \
                 remove secure=\"true\" from that entry"
            ),
            RefusalReason::PlaceCannotOpen { place, port } => write!(
                f,
                "{place} cannot open port {port}, only a file from a port below {RESTRICTED_PORTS_END} can: serve it on \
                 port {MASTER_PORT} too, or let the server listen on port {RESTRICTED_PORTS_END} or above"
            ),
            RefusalReason::SiteControlNone { place } => write!(
                f,
                "{place} says that no policy file counts, itself included: change its site-control from \"none\" to \
                 \"all\""
            ),
            RefusalReason::SiteControlMasterOnly { place, value, origin, port } => write!(
                f,
                "{place} says that no other file counts (site-control \"{}\") and does not let {origin} in to port \
                 {port}: add {} there, or change its site-control to \"all\"",
                value.as_str(),
                entry(*place, origin, *port)
            ),
        }
    }
}

fn write_no_policy_file(
    f: &mut fmt::Formatter<'_>,
    asked: &[(Place, String)],
    origin: &Origin,
    port: u16,
) -> fmt::Result {
    f.write_str("nobody gave a policy file (")?;
    for (n, (place, what)) in asked.iter().enumerate() {
        write!(f, "{}port {} {what}", if n == 0 { "" } else { "; " }, place.port())?;
    }
    // The last place asked is the server's own port, unless it could not help.
    let place = asked.iter().rev().map(|(place, _)| *place).find(|place| place.can_open(port));
    let place = place.unwrap_or(Place::Master(MASTER_PORT));
    f.write_str("): ")?;
    let is_there = !asked.iter().any(|(other, what)| *other == place && what == REFUSED);
    write_how_to_serve(f, place, is_there, origin, port)
}

/// The advice to serve a file at `place`, where a server `is_there` already or must be started.
fn write_how_to_serve(
    f: &mut fmt::Formatter<'_>,
    place: Place,
    is_there: bool,
    origin: &Origin,
    port: u16,
) -> fmt::Result {
    let file = Element::new("cross-domain-policy").child(&entry(place, origin, port));
    if place.is_web() {
        write!(f, "serve {file} as {place}")
    } else {
        let there = if is_there { "" } else { ", where nothing listens," };
        write!(f, "answer <policy-file-request/> on port {}{there} with {file} and a zero byte", place.port())
    }
}

/// The entry that would let the SWF in.
fn entry(place: Place, origin: &Origin, port: u16) -> Element {
    let element = Element::new("allow-access-from").attribute("domain", origin.host().unwrap_or("*"));
    if place.is_web() { element } else { element.attribute("to-ports", port) }
}
