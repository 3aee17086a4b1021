//! The permission: whether a player would let a SWF connect. Defines [`Permission`], which asks for policy files as a player
//! would, over real connections; the rules themselves are pure, and can be asked without it ([`Procedure`]).
//!
//! Knows: how a policy file is asked for, and until when. Must not know: what a policy file says (`policy` does).
//!
//! In the order of a decision:

// Whose rules: the versions of the player.
mod player;

// Where a policy file is asked for.
mod place;

// The rules: who is asked, in which order, and what counts.
mod decide;

// What comes of it, and what to do about it.
mod verdict;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::dial::{Dial, Unreached};
use super::error::{Error, player as words};
use super::queue::Attempt;
use super::tcp::{Tcp, is_temporary};
use crate::policy::{DomainError, Origin, POLICY_BYTES_MAX};
use crate::wire::NUL;

pub use decide::{Finding, Outcome, Procedure, Step, WAIT};
pub use place::{Location, LocationError, MASTER_PORT, Place, WEB_PATH, WEB_PORT};
pub use player::{Player, PlayerError};
pub use verdict::{Grounds, RefusalReason, Verdict};

/// What a player sends to ask for a policy file: 23 bytes, the zero byte included.
const REQUEST: &[u8] = b"<policy-file-request/>\0";

/// What a web server may send before the file itself.
const HEADER_BYTES_MAX: usize = 16_384;

/// Which player connects, and where its SWF comes from: what decides whether a connection may be made. Set it with
/// [`Socket::set_permission`](super::Socket::set_permission); without it a socket connects wherever it is told to, as
/// in the application sandbox of AIR.
///
/// Players remember a policy file for as long as the SWF runs; a socket remembers a grant while it reconnects.
#[derive(Clone, Debug)]
pub struct Permission {
    player: Player,
    /// The address of the SWF as it was given, for the player's text.
    swf: String,
    origin: Origin,
    /// Where the SWF said that policy files are, with `loadPolicyFile`.
    locations: Vec<Location>,
    master_port: Option<u16>,
    web_port: Option<u16>,
    wait_max: Duration,
    with_filesystem: bool,
}

/// One place that was asked for a policy file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asked {
    /// The place.
    pub place: Place,
    /// What it answered.
    pub outcome: Outcome,
    /// How long that took.
    pub took: Duration,
    /// What the answer showed, in words.
    pub findings: Vec<Finding>,
}

/// A decision, and how it came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// Who was asked, in this order.
    pub asked: Vec<Asked>,
    /// What each step showed, in words; also what the player knew before it asked anybody.
    pub findings: Vec<Finding>,
    /// What comes of it.
    pub verdict: Verdict,
}

/// The attempt was over before the decision stood.
pub(in crate::client) struct Stopped;

impl Permission {
    /// The permission that `player` needs for the SWF at `swf`: an address (`http://a.test/chat.swf`), a bare domain,
    /// or a local file (`file:///home/ann/chat.swf`).
    ///
    /// # Errors
    /// When `swf` is none of these.
    pub fn new(player: Player, swf: &str) -> Result<Permission, DomainError> {
        Ok(Permission {
            player,
            swf: swf.to_owned(),
            origin: swf.parse()?,
            locations: Vec::new(),
            master_port: None,
            web_port: None,
            wait_max: Duration::from_secs(60),
            with_filesystem: false,
        })
    }

    /// Adds a place where policy files are, as `loadPolicyFile` does.
    #[must_use]
    pub fn location(mut self, location: Location) -> Permission {
        self.locations.push(location);
        self
    }

    /// Lets `port` stand in for 843, which is not everybody's to listen on.
    #[must_use]
    pub fn master_port(mut self, port: u16) -> Permission {
        self.master_port = Some(port);
        self
    }

    /// Lets `port` stand in for 80, where old players ask for `/crossdomain.xml`.
    #[must_use]
    pub fn web_port(mut self, port: u16) -> Permission {
        self.web_port = Some(port);
        self
    }

    /// Sets how long one answer is waited for at most, 60 s unless set: where a player waits for 3 s, and where it
    /// would wait as long as it takes.
    #[must_use]
    pub fn wait_max(mut self, wait_max: Duration) -> Permission {
        self.wait_max = wait_max;
        self
    }

    /// Says that the SWF is a local file that may read other files: from version 8 on such a file has no access to
    /// the network at all (#2010).
    #[must_use]
    pub fn with_filesystem(mut self) -> Permission {
        self.with_filesystem = true;
        self
    }

    /// Where the SWF comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Decides whether the SWF may connect to `port` of `host`, without connecting there; `told` hears of every place
    /// as soon as it has answered.
    pub fn check(&self, host: &str, port: u16, mut told: impl FnMut(&Asked)) -> Check {
        let (attempt, stopped) = Attempt::new();
        let mut asked = Vec::new();
        let mut procedure = self.procedure(host, port);
        let decided = self.decide(&mut procedure, host, &attempt, &stopped, &mut |step| {
            told(&step);
            asked.push(step);
        });
        // Nobody else knows of this attempt, so nobody ends it; if it were, nobody would have given a file.
        let nobody = RefusalReason::NoPolicyFile { asked: Vec::new(), origin: self.origin.clone(), port };
        let verdict = decided.unwrap_or(Verdict::Refused(nobody));
        Check { asked, findings: procedure.findings().to_vec(), verdict }
    }

    /// The host that the SWF comes from, which an empty host stands for.
    pub(in crate::client) fn own_host(&self) -> Option<&str> {
        self.origin.host()
    }

    /// What the player refuses without asking anybody.
    pub(in crate::client) fn refuse_at_once(&self, host: &str, port: u16) -> Result<(), Error> {
        let is_local = self.with_filesystem && self.origin.host().is_none();
        if is_local && self.player >= Player::V8 && self.player != Player::Air {
            return Err(Error::LocalWithFilesystem);
        }
        match self.procedure(host, port).next() {
            Step::Done(Verdict::Refused(reason)) => {
                Err(Error::Forbidden { text: self.player_text(host, port), reason: reason.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// What the player says when the verdict is a refusal.
    pub(in crate::client) fn player_text(&self, host: &str, port: u16) -> String {
        words::sandbox_violation(&self.swf, &format!("{host}:{port}"))
    }

    /// The decision for an attempt that may be ended meanwhile.
    pub(in crate::client) fn decide_for(
        &self,
        host: &str,
        port: u16,
        attempt: &Attempt,
        stopped: &Receiver<Infallible>,
    ) -> Result<Verdict, Stopped> {
        self.decide(&mut self.procedure(host, port), host, attempt, stopped, &mut |step| {
            log::debug!("asked {}: {} after {:?}", step.place, step.outcome.code(), step.took);
        })
    }

    fn procedure(&self, host: &str, port: u16) -> Procedure {
        let mut procedure = Procedure::new(self.player, self.origin.clone(), host, port);
        if let Some(port) = self.master_port {
            procedure = procedure.master_port(port);
        }
        if let Some(port) = self.web_port {
            procedure = procedure.web_port(port);
        }
        self.locations.iter().cloned().fold(procedure, Procedure::location)
    }

    fn decide(
        &self,
        procedure: &mut Procedure,
        host: &str,
        attempt: &Attempt,
        stopped: &Receiver<Infallible>,
        told: &mut dyn FnMut(Asked),
    ) -> Result<Verdict, Stopped> {
        loop {
            let begin = Instant::now();
            let (port, wait, path) = match procedure.next() {
                Step::Done(verdict) => return Ok(verdict),
                Step::Ask { port, wait } => (port, wait.map_or(self.wait_max, |wait| wait.min(self.wait_max)), None),
                Step::AskHttp { port, path } => (port, self.wait_max, Some(path)),
            };
            let dial = Dial { attempt, stopped, send_timeout: wait, end_of_frame: None };
            let outcome = match dial.reach(host, port, wait) {
                Ok(tcp) => ask(&tcp, host, path, begin + wait),
                Err(Unreached::Refused(_)) => Outcome::ConnectionRefused,
                Err(Unreached::Unknown(reason)) => Outcome::HostUnknown(reason),
                Err(Unreached::TimedOut(_)) => Outcome::Silent,
                Err(Unreached::Failed(reason)) => Outcome::Failed(reason),
                Err(Unreached::Stopped) => return Err(Stopped),
            };
            let (place, took, known) = (procedure.place(), begin.elapsed(), procedure.findings().len());
            procedure.answer(outcome.clone());
            if let Some(place) = place {
                let findings = procedure.findings().iter().skip(known).cloned().collect();
                told(Asked { place, outcome, took, findings });
            }
        }
    }
}

/// Asks for the policy file over `tcp`; `path` when the other end is a web server.
fn ask(tcp: &Arc<Tcp>, host: &str, path: Option<&str>, deadline: Instant) -> Outcome {
    let request = match path {
        Some(path) => format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes(),
        None => REQUEST.to_vec(),
    };
    // A server may send its file unasked and close: what it sent counts even if it did not take the request.
    let _ = tcp.write(&request);
    let (bytes_max, end) = match path {
        Some(_) => (HEADER_BYTES_MAX + POLICY_BYTES_MAX, None),
        None => (POLICY_BYTES_MAX, Some(NUL)),
    };
    let (bytes, is_ended) = match read_to(tcp, bytes_max, end, deadline) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    if bytes.is_empty() {
        return Outcome::ClosedWithoutAnswer;
    }
    let text = String::from_utf8_lossy(&bytes);
    match path {
        Some(_) => file_of_web_server(&text),
        None if is_ended => Outcome::File(text.into_owned()),
        None => Outcome::Unended(text.into_owned()),
    }
}

/// Reads up to `end`, or up to the end of the connection, which ends a file as well; says whether it was `end`.
fn read_to(tcp: &Tcp, bytes_max: usize, end: Option<u8>, deadline: Instant) -> Result<(Vec<u8>, bool), Outcome> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = match tcp.read_by(&mut buffer, deadline) {
            Ok(0) => return Ok((bytes, false)),
            Ok(count) => count,
            Err(error) if is_temporary(&error) => return Err(Outcome::Silent),
            // Closed, and not in order: a server that does not wait for the request it answers ends with a reset.
            Err(_) => return Ok((bytes, false)),
        };
        let piece = &buffer[..count];
        let length = end.and_then(|end| memchr::memchr(end, piece));
        bytes.extend_from_slice(&piece[..length.unwrap_or(count)]);
        if bytes.len() > bytes_max {
            return Err(Outcome::TooLong);
        } else if length.is_some() {
            return Ok((bytes, true));
        }
    }
}

/// The file in the answer of a web server.
fn file_of_web_server(answer: &str) -> Outcome {
    let head = answer.lines().next().unwrap_or_default();
    let status = head.strip_prefix("HTTP/").and_then(|head| head.split_ascii_whitespace().nth(1));
    match (status, answer.split_once("\r\n\r\n")) {
        (Some("200"), Some((_, body))) => Outcome::File(body.to_owned()),
        (Some(status), Some(_)) if status.len() == 3 => Outcome::Failed(format!("the web server answered {status}")),
        _ => Outcome::Failed("what answered is no web server".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_web_server_is_told_from_its_refusals() {
        let failed = |text: &str| Outcome::Failed(text.to_owned());
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nServer: a\r\n\r\n<a>\r\n\r\n</a>", Outcome::File("<a>\r\n\r\n</a>".to_owned())),
            ("HTTP/1.0 200\r\n\r\n", Outcome::File(String::new())),
            ("HTTP/1.1 404 Not Found\r\n\r\n<a/>", failed("the web server answered 404")),
            ("HTTP/1.1 200 OK\r\n", failed("what answered is no web server")),
            ("HTTP/1.1 2000 OK\r\n\r\n", failed("what answered is no web server")),
            ("HTTP/1.1\r\n\r\n", failed("what answered is no web server")),
            ("200 200 OK\r\n\r\n<a/>", failed("what answered is no web server")),
        ] {
            assert_eq!(file_of_web_server(answer), expected, "{answer:?}");
        }
    }
}
