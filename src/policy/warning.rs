//! Defines [`Warning`]: what is written in a policy file and yet means nothing to a player.
//!
//! Knows: words for an operator. Must not know: how a file is read.

use std::fmt;

use super::domain::DomainError;
use super::ports::PortError;

/// Something in a policy file that players ignore. The rest of the file counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The line of the file, counted from 1; 0 when the file was not read from text.
    pub line: u32,
    /// What is ignored, and why.
    pub kind: WarningKind,
}

/// What a [`Warning`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// An entry without `domain`.
    NoDomain,
    /// An entry without `to-ports`.
    NoPorts,
    /// An entry whose `domain` is none.
    BadDomain(DomainError),
    /// An entry whose `to-ports` is no list.
    BadPorts(PortError),
    /// An entry whose `secure` is neither `true` nor `false`: it counts as `false`.
    BadSecure(String),
    /// A second `site-control`: `none` counts wherever it stands, otherwise the first one.
    SecondSiteControl,
    /// A `site-control` without its attribute.
    EmptySiteControl,
    /// A `site-control` of a value that does not exist: it counts as `none`.
    UnknownSiteControl(String),
    /// A `site-control` of a value that only web and FTP servers can use.
    SiteControlOfUrls(&'static str),
    /// An element that only means something in a file that a web server serves.
    HttpOnly(String),
    /// An element that policy files do not have here.
    UnknownElement(String),
    /// An attribute that its element does not have.
    UnknownAttribute {
        /// The element.
        element: String,
        /// The attribute.
        attribute: String,
    },
    /// Text where only elements belong.
    StrayText,
    /// Ports below 1024, which a file served from this port cannot open to the domain.
    RestrictedPorts {
        /// The entry's domain.
        domain: String,
        /// The port from which the file is served.
        serving_port: u16,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line != 0 {
            write!(f, "line {}: ", self.line)?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WarningKind::NoDomain => f.write_str("players ignore this <allow-access-from>: it has no `domain`"),
            WarningKind::NoPorts => f.write_str(
                "players ignore this <allow-access-from>: it has no `to-ports`, which every socket policy needs",
            ),
            WarningKind::BadDomain(error) => write!(f, "players ignore this <allow-access-from>: {error}"),
            WarningKind::BadPorts(error) => write!(f, "players ignore this <allow-access-from>: {error}"),
            WarningKind::BadSecure(value) => {
                write!(f, "secure={value:?} counts as \"false\": it must be \"true\" or \"false\"")
            }
            WarningKind::SecondSiteControl => f.write_str(
                "there is more than one <site-control>: if one says `none`, that counts, otherwise the first",
            ),
            WarningKind::EmptySiteControl => {
                f.write_str("this <site-control> says nothing: it has no `permitted-cross-domain-policies`")
            }
            WarningKind::UnknownSiteControl(value) => write!(
                f,
                "permitted-cross-domain-policies={value:?} counts as \"none\", which refuses everybody: \
                 write \"all\", \"master-only\" or \"none\""
            ),
            WarningKind::SiteControlOfUrls(value) => write!(
                f,
                "permitted-cross-domain-policies=\"{value}\" is for web and FTP servers; here it lets no other port \
                 serve a policy: write \"all\" or \"master-only\""
            ),
            WarningKind::HttpOnly(element) => {
                write!(f, "players ignore <{element}> in a socket policy: it is for web servers")
            }
            WarningKind::UnknownElement(element) => {
                write!(f, "players ignore <{element}>: policy files have no such element here")
            }
            WarningKind::UnknownAttribute { element, attribute } => {
                write!(f, "players ignore the attribute `{attribute}` of <{element}>")
            }
            WarningKind::StrayText => f.write_str("players ignore text between the elements of a policy file"),
            WarningKind::RestrictedPorts { domain, serving_port } => write!(
                f,
                "the ports below 1024 were left out of the entry for {domain}: a policy served from port {serving_port} \
                 cannot open them; serve it from a port below 1024, such as 843"
            ),
        }
    }
}
