//! Defines [`Procedure`], which decides as a player would whether a SWF may connect to a host and port.
//!
//! Knows: in which order each version of the player asks whom, how long it waits, and what counts.
//! Must not know: sockets, clocks. Its caller asks, and tells it what was answered.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::place::{Location, MASTER_PORT, Place, WEB_PATH, WEB_PORT};
use super::player::Player;
use super::verdict::{Grounds, REFUSED, RefusalReason, Verdict};
use crate::policy::{Grant, Origin, PolicyFile, RESTRICTED_PORTS_END, SiteControl, is_same_host};

/// How long a player waits for a policy file where it asks of its own accord: port 843, then the target port. Where
/// the SWF told it to ask (`loadPolicyFile`), it waits as long as it takes.
pub const WAIT: Duration = Duration::from_secs(3);

/// Warnings of one file that become findings; the rest is counted.
const WARNINGS_MAX: usize = 20;

/// Characters of an answer that is no policy file which a finding quotes.
const QUOTED_MAX: usize = 60;

/// The decision of a player about one connection, step by step. Its owner does what [`next`](Procedure::next) says
/// and tells the outcome to [`answer`](Procedure::answer), until `next` gives a verdict.
///
/// ```
/// use xmlsocket::client::permission::{Outcome, Player, Procedure, Step, WAIT};
/// let mut procedure = Procedure::new(Player::V9_0_124, "www.foo.com".parse()?, "chat.foo.com", 1024);
/// assert_eq!(procedure.next(), Step::Ask { port: 843, wait: Some(WAIT) });
/// procedure.answer(Outcome::ConnectionRefused);
/// assert_eq!(procedure.next(), Step::Ask { port: 1024, wait: Some(WAIT) });
/// let file = r#"<cross-domain-policy><allow-access-from domain="*.foo.com" to-ports="1024"/></cross-domain-policy>"#;
/// procedure.answer(Outcome::File(file.to_owned()));
/// let Step::Done(verdict) = procedure.next() else { panic!("one answer was enough") };
/// assert_eq!(verdict.to_string(), "granted: the policy file on port 1024 lets *.foo.com in to ports 1024");
/// # Ok::<(), xmlsocket::policy::DomainError>(())
/// ```
///
/// Players differ, and so do the sources: [`Player`] says which rules are whose. Where they are silent:
/// a master that is absent, silent or no policy file forbids nothing, and the next place is asked;
/// `site-control` of a value for web or FTP servers counts as `master-only`, and of an unknown value as `none`.
#[derive(Clone, Debug)]
pub struct Procedure {
    player: Player,
    origin: Origin,
    host: String,
    port: u16,
    master_port: u16,
    web_port: u16,
    /// What the SWF named, in its order.
    locations: Vec<Location>,
    /// Whom to ask, first to last; empty once the verdict stands.
    questions: VecDeque<Question>,
    /// Who gave no file, and what they did instead.
    silent: Vec<(Place, String)>,
    findings: Vec<Finding>,
    /// What it comes to when no question is left.
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    place: Place,
    wait: Option<Duration>,
}

/// What the owner of a [`Procedure`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connect to this port of the host, send a policy request, and give the text up to a zero byte or the end.
    Ask {
        /// The port.
        port: u16,
        /// How long to wait for the whole answer, from the start of the connection; `None`: as long as it takes.
        wait: Option<Duration>,
    },
    /// Fetch this file from the host's web server.
    AskHttp {
        /// The port.
        port: u16,
        /// The path.
        path: &'static str,
    },
    /// There is nothing left to do.
    Done(Verdict),
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This text, which may or may not be a policy file.
    File(String),
    /// This text, ended by the end of the connection and not by a zero byte.
    Unended(String),
    /// No complete answer in time.
    Silent,
    /// The host refused the connection.
    ConnectionRefused,
    /// The name of the host leads to no address, in the words of the system. Nobody else is asked then: every place is
    /// on this host.
    HostUnknown(String),
    /// The connection was closed without a byte.
    ClosedWithoutAnswer,
    /// More bytes than [`POLICY_BYTES_MAX`](crate::policy::POLICY_BYTES_MAX), without an end.
    TooLong,
    /// Anything else that went wrong, in the words of the system or the web server.
    Failed(String),
}

impl Outcome {
    /// A short name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Outcome::File(_) | Outcome::Unended(_) => "text",
            Outcome::Silent => "silent",
            Outcome::ConnectionRefused => "refused",
            Outcome::HostUnknown(_) => "host-unknown",
            Outcome::ClosedWithoutAnswer => "closed",
            Outcome::TooLong => "too-long",
            Outcome::Failed(_) => "failed",
        }
    }
}

/// What one step showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The place that was asked; `None` for what the player knows by itself.
    pub place: Option<Place>,
    /// What it means, in words.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{place}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Procedure {
    /// The decision of `player` whether a SWF from `origin` may connect to `port` of `host`.
    #[must_use]
    pub fn new(player: Player, origin: Origin, host: impl Into<String>, port: u16) -> Procedure {
        let procedure = Procedure {
            player,
            origin,
            host: host.into(),
            port,
            master_port: MASTER_PORT,
            web_port: WEB_PORT,
            locations: Vec::new(),
            questions: VecDeque::new(),
            silent: Vec::new(),
            findings: Vec::new(),
            verdict: Verdict::Granted(Grounds::NoCheck),
        };
        procedure.start()
    }

    /// Lets `port` stand in for 843 in every rule, so that a test needs no right to bind it. MUST be called before
    /// the first answer, as must the other two settings: each starts the procedure anew.
    #[must_use]
    pub fn master_port(self, port: u16) -> Procedure {
        Procedure { master_port: port, ..self }.start()
    }

    /// Lets `port` stand in for 80, the port of the web server.
    #[must_use]
    pub fn web_port(self, port: u16) -> Procedure {
        Procedure { web_port: port, ..self }.start()
    }

    /// Adds a place that the SWF named with `loadPolicyFile` before it connected.
    #[must_use]
    pub fn location(mut self, location: Location) -> Procedure {
        self.locations.push(location);
        self.start()
    }

    /// What to do now. The same until an answer is given.
    #[must_use]
    pub fn next(&self) -> Step {
        match self.questions.front() {
            Some(Question { place: Place::Web(port), .. }) => Step::AskHttp { port: *port, path: WEB_PATH },
            Some(Question { place, wait }) => Step::Ask { port: place.port(), wait: *wait },
            None => Step::Done(self.verdict.clone()),
        }
    }

    /// The place that [`next`](Procedure::next) asks.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.questions.front().map(|question| question.place)
    }

    /// Takes the answer to what `next` asked. After the verdict answers are ignored.
    pub fn answer(&mut self, answer: Outcome) {
        let Some(Question { place, wait }) = self.questions.pop_front() else { return };
        let failure = match answer {
            Outcome::File(text) => return self.read(place, &text),
            Outcome::Unended(text) => {
                self.find(Some(place), "it ended its answer without a zero byte, which players of Adobe wait for");
                return self.read(place, &text);
            }
            Outcome::Silent => match wait {
                Some(wait) => format!("gave no complete answer within {} s", wait.as_secs()),
                None => "gave no complete answer".to_owned(),
            },
            Outcome::HostUnknown(reason) => return self.give_up_on_host(place, reason),
            Outcome::ConnectionRefused => REFUSED.to_owned(),
            Outcome::ClosedWithoutAnswer => "closed the connection without an answer".to_owned(),
            Outcome::TooLong => "sent more than a policy file can be".to_owned(),
            Outcome::Failed(reason) => format!("could not be asked: {reason}"),
        };
        self.find(Some(place), format!("it {failure}"));
        self.silent.push((place, failure));
        let (asked, origin) = (self.silent.clone(), self.origin.clone());
        self.miss(RefusalReason::NoPolicyFile { asked, origin, port: self.port });
    }

    /// Asks nobody any more: what could be asked is on a host that nobody finds.
    fn give_up_on_host(&mut self, place: Place, reason: String) {
        self.questions.clear();
        self.find(Some(place), reason.clone());
        self.miss(RefusalReason::HostUnknown { host: self.host.clone(), reason });
    }

    /// What each step showed so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Plans whom to ask, from the settings.
    fn start(mut self) -> Procedure {
        self.questions.clear();
        self.silent.clear();
        self.findings.clear();
        if let Some(verdict) = self.verdict_without_asking() {
            self.verdict = verdict;
            return self;
        }
        let (player, host, port) = (self.player, self.host.clone(), self.port);
        self.verdict = Verdict::Refused(RefusalReason::NothingToAsk { player, host, port });
        if self.player.knows_master() {
            self.ask(Place::Master(self.master_port), Some(WAIT));
        }
        for location in self.locations.clone() {
            match self.named_place(&location) {
                Ok(place) => self.ask(place, None),
                Err(reason) => self.find(None, format!("{location} is not asked: {reason}")),
            }
        }
        if !self.player.asks_web_server() {
            self.ask(Place::Target(self.port), self.player.knows_master().then_some(WAIT));
        } else if self.is_restricted() {
            self.find(None, format!("{WEB_PATH} is not asked: it opens no port below {RESTRICTED_PORTS_END}"));
        } else {
            self.ask(Place::Web(self.web_port), None);
        }
        self
    }

    /// Whether the port is one that only trusted files can open.
    fn is_restricted(&self) -> bool {
        self.port < RESTRICTED_PORTS_END
    }

    fn verdict_without_asking(&self) -> Option<Verdict> {
        if self.player == Player::Air {
            return Some(Verdict::Granted(Grounds::NoCheck));
        }
        if self.is_restricted() {
            let reason = RefusalReason::RestrictedPort { port: self.port };
            return (self.player == Player::V7_0_14).then_some(Verdict::Refused(reason));
        }
        if self.player.trusts_own_host() && self.origin.is_host(&self.host) {
            return Some(Verdict::Granted(Grounds::OwnHost));
        }
        if self.player.trusts_local_files() && self.origin.host().is_none() {
            return Some(Verdict::Granted(Grounds::LocalFile));
        }
        None
    }

    /// Appends a question, unless the place is asked already (then it waits as long as the more patient of both), or
    /// is one that players leave alone.
    fn ask(&mut self, place: Place, wait: Option<Duration>) {
        let same = |known: Place| known.port() == place.port() && known.is_web() == place.is_web();
        if let Some(question) = self.questions.iter_mut().find(|question| same(question.place)) {
            question.wait = question.wait.and(wait);
        } else if place.is_asked() {
            self.questions.push_back(Question { place, wait });
        } else {
            self.find(Some(place), "players ask no policy file from this port: it belongs to another service");
        }
    }

    /// The place that a location means, or why the player does not ask there.
    fn named_place(&self, location: &Location) -> Result<Place, &'static str> {
        if !self.player.knows_named_places() {
            return Err("this player does not know loadPolicyFile");
        }
        if !is_same_host(location.host(), &self.host) {
            return Err("a policy file speaks only for the host that serves it");
        }
        match location {
            Location::Socket { port, .. } => Ok(Place::Named(*port)),
            Location::Web { .. } if !self.player.takes_web_files() => {
                Err("for this player the file of a web server opens no sockets")
            }
            Location::Web { .. } if self.is_restricted() => Err("the file of a web server opens no port below 1024"),
            Location::Web { port, path, .. } if *port == self.web_port && path == WEB_PATH => Ok(Place::Web(*port)),
            Location::Web { .. } => Err("of a web server only /crossdomain.xml on port 80 opens sockets"),
        }
    }

    /// Looks for a grant in what `place` answered.
    fn read(&mut self, place: Place, text: &str) {
        let read = if place.is_web() { PolicyFile::parse_of_web_server(text) } else { PolicyFile::parse(text) };
        let (file, warnings) = match read {
            Ok(read) => read,
            Err(error) => {
                self.find(Some(place), format!("it answered something that is no policy file: {error}"));
                let start: String = text.trim_start().chars().take_while(|c| *c != '\n').take(QUOTED_MAX).collect();
                self.find(Some(place), format!("its answer begins `{}`", start.trim_end()));
                let (origin, port) = (self.origin.clone(), self.port);
                return self.miss(RefusalReason::NotAPolicyFile { place, error, origin, port });
            }
        };
        let entries = if file.grants.len() == 1 { "entry" } else { "entries" };
        self.find(Some(place), format!("it answered a policy file with {} {entries}", file.grants.len()));
        for warning in warnings.iter().take(WARNINGS_MAX) {
            self.find(Some(place), warning.to_string());
        }
        if warnings.len() > WARNINGS_MAX {
            self.find(Some(place), format!("{} more warnings of this kind", warnings.len() - WARNINGS_MAX));
        }
        let site_control = self.site_control(place, &file);
        if !site_control.permits_master() {
            self.find(Some(place), "its site-control says that no policy file counts");
            if !place.is_web() {
                self.questions.clear();
            }
            return self.miss(RefusalReason::SiteControlNone { place });
        }
        match file.grant_for(place, &self.origin, self.port).cloned() {
            Ok(grant) => {
                self.questions.clear();
                self.verdict = Verdict::Granted(Grounds::Entry { place, grant });
            }
            Err(reason) => {
                self.find(Some(place), reason.as_seen_in_file());
                self.miss(reason);
                self.mind_other_places(place, site_control);
            }
        }
    }

    /// What the file's `site-control` means to this player, from this place.
    fn site_control(&mut self, place: Place, file: &PolicyFile) -> SiteControl {
        let Some(value) = file.site_control else { return SiteControl::All };
        if !self.player.knows_master() {
            self.find(Some(place), "this player does not know site-control");
            return SiteControl::All;
        }
        if !matches!(place, Place::Master(_) | Place::Web(_)) {
            self.find(Some(place), "its site-control does not count: only the master file's does");
            return SiteControl::All;
        }
        value
    }

    /// Drops the other places if a master that does not let the SWF in shuts them out.
    fn mind_other_places(&mut self, place: Place, site_control: SiteControl) {
        if place.is_web() || site_control.permits_other_ports() || self.questions.is_empty() {
            return;
        }
        self.questions.clear();
        self.find(Some(place), "its site-control says that the files of other ports do not count");
        self.miss(RefusalReason::SiteControlMasterOnly {
            place,
            value: site_control,
            origin: self.origin.clone(),
            port: self.port,
        });
    }

    /// Makes this the reason of a refusal, unless one before came closer to a grant. Of equals the later one is told:
    /// the last place asked is the server's own port, where its operator can change things.
    fn miss(&mut self, reason: RefusalReason) {
        if let Verdict::Refused(told) = &mut self.verdict
            && reason.closeness() >= told.closeness()
        {
            *told = reason;
        }
    }

    fn find(&mut self, place: Option<Place>, text: impl Into<String>) {
        self.findings.push(Finding { place, text: text.into() });
    }
}

impl PolicyFile {
    /// The first entry of this file, had from `place`, that lets content from `origin` in to `port`.
    ///
    /// # Errors
    /// When there is none: why, as the entry shows that came closest.
    pub fn grant_for(&self, place: Place, origin: &Origin, port: u16) -> Result<&Grant, RefusalReason> {
        let mut closest = RefusalReason::DomainNotGranted { place, origin: origin.clone(), port };
        for grant in self.grants.iter().filter(|grant| grant.domain.matches(origin)) {
            let (domain, ports) = (grant.domain.clone(), grant.ports.clone());
            let miss = if !grant.ports.contains(port) {
                RefusalReason::PortNotGranted { place, domain, ports, port }
            } else if grant.secure && !origin.is_secure() {
                RefusalReason::SecureOnly { place, domain }
            } else if !place.can_open(port) {
                RefusalReason::PlaceCannotOpen { place, port }
            } else {
                return Ok(grant);
            };
            if miss.closeness() > closest.closeness() {
                closest = miss;
            }
        }
        Err(closest)
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
