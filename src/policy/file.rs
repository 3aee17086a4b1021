//! Defines [`PolicyFile`], a socket policy file: its model, reading it, writing it.
//!
//! Knows: the elements and attributes that count for sockets, what makes reading expensive.
//! Must not know: which file is asked for when, and what is decided from it.

use std::fmt;

use super::domain::DomainPattern;
use super::ports::{PortList, RESTRICTED_PORTS_END};
use super::warning::{Warning, WarningKind};
use crate::wire::{Element, Encode, NAMESPACES_MAX, Node};

/// Bytes of a policy file that a caller should read at most: what a frame may have.
pub const POLICY_BYTES_MAX: usize = 65_536;

/// Elements, texts and comments that a policy file may have: half of them grants, that is four times more than the
/// largest file in use would need.
const NODES_MAX: u32 = 8_192;

/// A socket policy file: who may connect to which ports of the host that serves it.
///
/// ```
/// use xmlsocket::policy::PolicyFile;
/// let text = r#"<cross-domain-policy><allow-access-from domain="*.foo.com" to-ports="507,516"/></cross-domain-policy>"#;
/// let (file, warnings) = PolicyFile::parse(text)?;
/// assert!(warnings.is_empty());
/// assert!(file.grants[0].ports.contains(516));
/// assert_eq!(file.to_string(), text);
/// # Ok::<(), xmlsocket::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFile {
    /// Which other ports of the host may serve policy files. Players look at it in the master file only, the one
    /// from port 843; `None` means the same as [`SiteControl::All`].
    pub site_control: Option<SiteControl>,
    /// Who is let in. One matching entry is enough.
    pub grants: Vec<Grant>,
}

/// One `allow-access-from` of a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The SWFs that are let in, by where they were loaded from.
    pub domain: DomainPattern,
    /// The ports that are opened to them.
    pub ports: PortList,
    /// Whether only SWFs loaded over HTTPS are let in. Sockets: false unless written.
    pub secure: bool,
}

/// Which policy files of a host count: `permitted-cross-domain-policies` of `site-control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SiteControl {
    /// No policy file at all, the master file included.
    None,
    /// The master file only.
    MasterOnly,
    /// Files from every port: what holds for sockets when nothing is said.
    All,
    /// For web servers: files of a certain content type. No socket has one, so it is `MasterOnly` in effect.
    ByContentType,
    /// For FTP servers: files of a certain name. No socket has one, so it is `MasterOnly` in effect.
    ByFtpFilename,
}

impl SiteControl {
    const VALUES: [SiteControl; 5] = [
        SiteControl::None,
        SiteControl::MasterOnly,
        SiteControl::All,
        SiteControl::ByContentType,
        SiteControl::ByFtpFilename,
    ];

    /// The value as it is written in a file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SiteControl::None => "none",
            SiteControl::MasterOnly => "master-only",
            SiteControl::All => "all",
            SiteControl::ByContentType => "by-content-type",
            SiteControl::ByFtpFilename => "by-ftp-filename",
        }
    }

    /// Whether the master file itself may let anybody in.
    #[must_use]
    pub fn permits_master(self) -> bool {
        self != SiteControl::None
    }

    /// Whether a file from another port than the master's may let anybody in.
    #[must_use]
    pub fn permits_other_ports(self) -> bool {
        self == SiteControl::All
    }
}

impl PolicyFile {
    /// A file that opens `ports` to each of `domains`; a domain that comes twice is written once.
    #[must_use]
    pub fn granting(domains: impl IntoIterator<Item = DomainPattern>, ports: &PortList) -> PolicyFile {
        let mut grants: Vec<Grant> = Vec::new();
        for domain in domains {
            if grants.iter().all(|grant| grant.domain != domain) {
                grants.push(Grant { domain, ports: ports.clone(), secure: false });
            }
        }
        PolicyFile { site_control: None, grants }
    }

    /// Reads a socket policy file as players do: what they ignore is ignored, and comes back as warnings. A byte order mark,
    /// white space and one zero byte around the file do not matter, nor does a document type declaration, as long as
    /// it declares no entities. The caller bounds the length of `text`: [`POLICY_BYTES_MAX`].
    ///
    /// # Errors
    /// When the text is not XML, or XML of something else, or made to be expensive.
    pub fn parse(text: &str) -> Result<(PolicyFile, Vec<Warning>), PolicyError> {
        PolicyFile::parse_from(text, Server::Socket)
    }

    /// Reads the `/crossdomain.xml` of a web server, which old players take for a socket policy as well: an entry
    /// needs no `to-ports`, and if it has some, they are not looked at.
    ///
    /// # Errors
    /// As [`parse`](PolicyFile::parse).
    pub fn parse_of_web_server(text: &str) -> Result<(PolicyFile, Vec<Warning>), PolicyError> {
        PolicyFile::parse_from(text, Server::Web)
    }

    fn parse_from(text: &str, server: Server) -> Result<(PolicyFile, Vec<Warning>), PolicyError> {
        let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        let skipped = &text[..text.len() - start.len()];
        let document = start.strip_suffix('\0').unwrap_or(start);
        refuse_expensive(document, skipped)?;
        let options = roxmltree::ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, entity_resolver: None };
        let tree = roxmltree::Document::parse_with_options(document, options).map_err(|error| {
            // Without its position, which counts from where the white space ended.
            let text = error.to_string();
            let reason = text.strip_suffix(&format!(" at {}", error.pos())).unwrap_or(&text).to_owned();
            let kind = match error {
                roxmltree::Error::NodesLimitReached
                | roxmltree::Error::AttributesLimitReached
                | roxmltree::Error::NamespacesLimitReached => PolicyErrorKind::TooComplex(reason),
                _ => PolicyErrorKind::NotXml(reason),
            };
            PolicyError::at(error.pos(), skipped, kind)
        })?;
        let root = tree.root_element();
        if root.tag_name().name() != "cross-domain-policy" {
            let kind = PolicyErrorKind::NotAPolicy(root.tag_name().name().to_owned());
            return Err(PolicyError::at(tree.text_pos_at(root.range().start), skipped, kind));
        }
        let mut reading = Reading {
            server,
            file: PolicyFile::default(),
            warnings: Vec::new(),
            offset: 0,
            line: newlines(skipped) + 1,
        };
        reading.read_root(root);
        Ok((reading.file, reading.warnings))
    }

    /// The file as it may be served from `port`, the port that players see. Served from 1024 or above it cannot
    /// open a port below 1024: players would ignore that, so such ports are left out, and ranges cut, with a
    /// warning each; an entry without ports left disappears. `*` stays, as [`PortList::unrestricted`] explains.
    #[must_use]
    pub fn restricted_to_serving_port(&self, port: u16) -> (PolicyFile, Vec<Warning>) {
        if port < RESTRICTED_PORTS_END {
            return (self.clone(), Vec::new());
        }
        let mut file = PolicyFile { site_control: self.site_control, grants: Vec::new() };
        let mut warnings = Vec::new();
        for grant in &self.grants {
            let ports = grant.ports.unrestricted();
            if ports.as_ref() != Some(&grant.ports) {
                let domain = grant.domain.to_string();
                warnings.push(Warning { line: 0, kind: WarningKind::RestrictedPorts { domain, serving_port: port } });
            }
            file.grants.extend(ports.map(|ports| Grant { ports, ..grant.clone() }));
        }
        (file, warnings)
    }

    /// The file as an element, for sending.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut root = Element::new("cross-domain-policy");
        if let Some(value) = self.site_control {
            let child = Element::new("site-control").attribute("permitted-cross-domain-policies", value.as_str());
            root = root.child(&child);
        }
        for Grant { domain, ports, secure } in &self.grants {
            let child = Element::new("allow-access-from").attribute("domain", domain).attribute("to-ports", ports);
            root = root.child(&child.attribute_if_some("secure", secure.then_some("true")));
        }
        root
    }
}

impl Encode for PolicyFile {
    fn encode(&self, out: &mut Vec<u8>) {
        self.to_element().encode(out);
    }
}

impl fmt::Display for PolicyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_element().fmt(f)
    }
}

/// Refuses what would take long or much memory to parse, before anything is parsed. No policy file needs either.
fn refuse_expensive(text: &str, skipped: &str) -> Result<(), PolicyError> {
    let namespace = memchr::memmem::find_iter(text.as_bytes(), b"xmlns").nth(NAMESPACES_MAX);
    let entity = memchr::memmem::find(text.as_bytes(), b"<!ENTITY");
    let Some(offset) = namespace.or(entity) else { return Ok(()) };
    let reason = if namespace.is_some() { "it declares too many namespaces" } else { "it declares entities" };
    let before = &text[..offset];
    let row = newlines(before) + 1;
    let col = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
    let kind = PolicyErrorKind::TooComplex(reason.to_owned());
    Err(PolicyError::at(roxmltree::TextPos::new(row, col), skipped, kind))
}

/// What kind of server a file comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Socket,
    Web,
}

/// A file that is being read.
struct Reading {
    server: Server,
    file: PolicyFile,
    warnings: Vec<Warning>,
    /// A byte of the document and the line it lies in: where the last warning was. Lines are counted from there, not
    /// from the start, so that a file of nothing but mistakes is read in a moment.
    offset: usize,
    line: u32,
}

impl Reading {
    fn warn(&mut self, node: Node<'_, '_>, kind: WarningKind) {
        let (text, offset) = (node.document().input_text(), node.range().start);
        if offset >= self.offset {
            self.line += newlines(&text[self.offset..offset]);
        } else {
            self.line -= newlines(&text[offset..self.offset]);
        }
        self.offset = offset;
        self.warnings.push(Warning { line: self.line, kind });
    }

    fn read_root(&mut self, root: Node<'_, '_>) {
        for node in root.children() {
            match node.tag_name().name() {
                _ if node.is_text() => self.warn_of_text(node),
                _ if !node.is_element() => {}
                "site-control" => self.read_site_control(node),
                "allow-access-from" => self.read_grant(node),
                name @ ("allow-http-request-headers-from" | "allow-access-from-identity") => {
                    if self.server == Server::Socket {
                        self.warn(node, WarningKind::HttpOnly(name.to_owned()));
                    }
                }
                name => self.warn(node, WarningKind::UnknownElement(name.to_owned())),
            }
        }
    }

    fn read_site_control(&mut self, node: Node<'_, '_>) {
        self.warn_of_extras(node, &["permitted-cross-domain-policies"]);
        let Some(text) = node.attribute("permitted-cross-domain-policies") else {
            return self.warn(node, WarningKind::EmptySiteControl);
        };
        let value = SiteControl::VALUES.into_iter().find(|value| value.as_str() == text);
        match value {
            None => self.warn(node, WarningKind::UnknownSiteControl(text.to_owned())),
            Some(value @ (SiteControl::ByContentType | SiteControl::ByFtpFilename))
                if self.server == Server::Socket =>
            {
                self.warn(node, WarningKind::SiteControlOfUrls(value.as_str()));
            }
            Some(_) => {}
        }
        // What nobody understands must not open more than was meant.
        let value = value.unwrap_or(SiteControl::None);
        if self.file.site_control.is_some() {
            self.warn(node, WarningKind::SecondSiteControl);
            if value != SiteControl::None {
                return;
            }
        }
        self.file.site_control = Some(value);
    }

    fn read_grant(&mut self, node: Node<'_, '_>) {
        self.warn_of_extras(node, &["domain", "to-ports", "secure"]);
        let Some(domain) = node.attribute("domain") else { return self.warn(node, WarningKind::NoDomain) };
        let ports = match self.server {
            Server::Socket => node.attribute("to-ports"),
            Server::Web => Some("*"),
        };
        let Some(ports) = ports else { return self.warn(node, WarningKind::NoPorts) };
        let domain = match domain.parse() {
            Ok(domain) => domain,
            Err(error) => return self.warn(node, WarningKind::BadDomain(error)),
        };
        let ports = match ports.parse() {
            Ok(ports) => ports,
            Err(error) => return self.warn(node, WarningKind::BadPorts(error)),
        };
        let secure = node.attribute("secure");
        if let Some(value) = secure.filter(|value| !matches!(*value, "true" | "false")) {
            self.warn(node, WarningKind::BadSecure(value.to_owned()));
        }
        self.file.grants.push(Grant { domain, ports, secure: secure == Some("true") });
    }

    /// Warns of attributes other than `known`, and of anything inside an element that is to be empty.
    fn warn_of_extras(&mut self, node: Node<'_, '_>, known: &[&str]) {
        for attribute in node.attributes().filter(|a| a.namespace().is_none() && !known.contains(&a.name())) {
            let (element, attribute) = (node.tag_name().name().to_owned(), attribute.name().to_owned());
            self.warn(node, WarningKind::UnknownAttribute { element, attribute });
        }
        for child in node.children() {
            if child.is_element() {
                self.warn(child, WarningKind::UnknownElement(child.tag_name().name().to_owned()));
            } else if child.is_text() {
                self.warn_of_text(child);
            }
        }
    }

    fn warn_of_text(&mut self, node: Node<'_, '_>) {
        if node.text().is_some_and(|text| !text.trim().is_empty()) {
            self.warn(node, WarningKind::StrayText);
        }
    }
}

fn newlines(text: &str) -> u32 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u32
}

/// Why a text is no policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The line at which it was noticed, counted from 1.
    pub line: u32,
    /// The character of that line, counted from 1.
    pub column: u32,
    /// What is wrong.
    pub kind: PolicyErrorKind,
}

/// The kinds of [`PolicyError`]; all are the fault of who wrote the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyErrorKind {
    /// Not well-formed XML, and why.
    NotXml(String),
    /// XML with this root element instead of `cross-domain-policy`.
    NotAPolicy(String),
    /// More nodes, attributes or namespaces than are parsed, or entities; and what there was too much of.
    TooComplex(String),
}

impl PolicyError {
    /// An error at a place of the document, which follows `skipped` in the text.
    fn at(place: roxmltree::TextPos, skipped: &str, kind: PolicyErrorKind) -> PolicyError {
        let indent = if place.row == 1 { skipped.rsplit('\n').next().unwrap_or_default().chars().count() } else { 0 };
        PolicyError { line: place.row + newlines(skipped), column: place.col + indent as u32, kind }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        match &self.kind {
            PolicyErrorKind::NotXml(reason) => write!(f, "the policy file is not XML: {reason}"),
            PolicyErrorKind::NotAPolicy(root) => {
                write!(f, "a policy file begins with <cross-domain-policy>, but this one with <{root}>")
            }
            PolicyErrorKind::TooComplex(reason) => write!(f, "the policy file is not read: {reason}"),
        }
    }
}

impl std::error::Error for PolicyError {}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
