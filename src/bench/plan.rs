//! Defines [`Plan`]: the options of a run, checked, and what all workloads begin with.
//!
//! Knows: which options fit together. Must not know: what is measured.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use super::fleet::{Fleet, Nothing};
use super::opening;
use super::options::{BenchOptions, Workload};
use super::payload::Payload;
use super::progress::Progress;
use super::report::Report;
use super::script::Script;
use super::shape::Shape;
use super::sockets;
use super::template::{Blank, Template};
use super::vocabulary::{Preset, Vocabulary};
use crate::address::Address;
use crate::exit_code::Failure;

/// How long silent connections are given to become known to a server that answers nothing.
const SETTLE: Duration = Duration::from_millis(1_500);

/// What a run does.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// What is measured.
    pub(super) workload: Workload,
    /// The server.
    pub(super) address: SocketAddr,
    /// What is said to it.
    pub(super) vocabulary: Vocabulary,
    /// What messages look like when they arrive.
    pub(super) shape: Shape,
    /// Connections that receive.
    pub(super) receivers: usize,
    /// Connections that send.
    pub(super) senders: usize,
    /// Messages in flight.
    pub(super) window: u64,
    /// Messages a second: of each sender (throughput, slow), or of all (latency).
    pub(super) rate: Option<f64>,
    /// How long a run goes on before anything counts.
    pub(super) warm_up: Duration,
    /// How long a run goes on then.
    pub(super) seconds: Duration,
    /// How long connections rest before the first message.
    pub(super) settle: Duration,
    /// The server's process.
    pub(super) pid: Option<u32>,
    /// Idle connections.
    pub(super) connections: usize,
    /// Connections in each room; 0 puts all in one.
    pub(super) room_size: usize,
    /// Whether idle connections only say hello.
    pub(super) stay_out: bool,
    /// Receivers that stop reading.
    pub(super) stalled: usize,
    /// Connections that are being made at a time; `churn`: that there are.
    pub(super) at_once: usize,
}

impl Plan {
    /// Checks the options.
    ///
    /// # Errors
    /// A sentence about what does not fit.
    pub(super) fn new(options: &BenchOptions) -> Result<Plan, Failure> {
        let address = resolve(&options.address)?;
        if !address.ip().is_loopback() && !options.i_own_this_server {
            return Err(Failure::usage(format!(
                "{} is not this machine: a load test of somebody else's server is an attack. If it is yours, \
                 say --i-own-this-server",
                address.ip()
            )));
        }
        let vocabulary = vocabulary(options)?;
        let shape = Shape::new(&vocabulary.deliver, &vocabulary.delimiter, Payload::new(options.payload()))
            .map_err(|text| Failure::usage(format!("--deliver does not say what a message looks like: {text}")))?;
        let senders = options.senders();
        if !vocabulary.senders_apart && senders > options.receivers {
            return Err(Failure::usage(format!(
                "{senders} senders are too many: the senders are some of the {} receivers",
                options.receivers
            )));
        }
        if options.stalled() + senders > options.receivers {
            return Err(Failure::usage(format!(
                "{} of {} receivers cannot stall: the senders have to go on",
                options.stalled(),
                options.receivers
            )));
        }
        // What is said last says whether the server has understood.
        let last = if vocabulary.join.is_empty() { &vocabulary.ready } else { &vocabulary.joined };
        let answered = !last.is_empty();
        Ok(Plan {
            workload: options.workload,
            address,
            shape,
            receivers: options.receivers,
            senders,
            window: options.window as u64,
            rate: options.rate(),
            warm_up: Duration::from_secs_f64(options.warm_up),
            seconds: Duration::from_secs_f64(options.seconds()),
            settle: options.settle.map_or(if answered { Duration::ZERO } else { SETTLE }, Duration::from_secs_f64),
            pid: options.pid,
            connections: options.connections,
            room_size: options.room_size,
            stay_out: options.stay_out,
            stalled: options.stalled(),
            at_once: options.at_once(),
            vocabulary,
        })
    }

    /// A fleet of no connections yet, all of them in one room.
    pub(super) fn fleet(&self) -> Result<Fleet<'_>, Failure> {
        self.allow(self.receivers + self.apart())?;
        Fleet::new(self.address, &self.vocabulary, self.shape.clone(), self.senders, true)
    }

    /// Makes sure that so many connections are possible.
    pub(super) fn allow(&self, connections: usize) -> Result<(), Failure> {
        sockets::allow(connections).map_err(|possible| {
            Failure::run_time(format!(
                "{connections} connections need as many open files, and the system allows {possible} (ulimit -Hn)"
            ))
        })
    }

    /// How often a message arrives when all are in one room.
    pub(super) fn copies(&self) -> usize {
        let to_itself = self.vocabulary.echo || self.vocabulary.senders_apart;
        if to_itself { self.receivers } else { self.receivers - 1 }
    }

    /// Connections that only send.
    pub(super) fn apart(&self) -> usize {
        if self.vocabulary.senders_apart { self.senders } else { 0 }
    }

    /// Connects senders and receivers, all in one room, and gives those that receive.
    pub(super) fn enter(&self, fleet: &mut Fleet<'_>, progress: &mut Progress) -> Result<Range<usize>, Failure> {
        let (enter, greet) = (Script::enter(&self.vocabulary), Script::greet(&self.vocabulary));
        let apart = self.apart();
        opening::open(fleet, apart + self.receivers, self.at_once, progress, |number| {
            (if number < apart { greet.clone() } else { enter.clone() }, 0)
        })?;
        self.settle(fleet, progress)?;
        Ok(apart..apart + self.receivers)
    }

    /// Lets connections rest.
    pub(super) fn settle(&self, fleet: &mut Fleet<'_>, progress: &Progress) -> Result<(), Failure> {
        progress.say("waiting until the server knows everybody");
        let end = Instant::now() + self.settle;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            fleet.turn(rest.min(Duration::from_millis(100)), &mut Nothing)?;
        }
    }

    /// A report that begins with what was asked for.
    pub(super) fn report(&self, workload: &str) -> Report {
        let mut report = Report::new(workload);
        report.text("address", "server", self.address.to_string());
        report.count("receivers", "receivers", self.receivers as u64);
        report.count("senders", "senders", self.senders as u64);
        report.count("payload_bytes", "payload, bytes", self.shape.payload().len() as u64);
        report
    }
}

/// The address that the text stands for: of those that a name has, an IPv4 one, on which most listen.
fn resolve(text: &str) -> Result<SocketAddr, Failure> {
    let address = Address::parse(text)?;
    let found = (address.host.as_str(), address.port).to_socket_addrs();
    let found = found.map_err(|error| Failure::run_time(format!("{address} cannot be found: {error}")))?;
    let all: Vec<SocketAddr> = found.collect();
    let first = all.iter().find(|found| found.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| Failure::run_time(format!("{address} has no address")))
}

/// The vocabulary of the preset or of the file, changed as the options say.
fn vocabulary(options: &BenchOptions) -> Result<Vocabulary, Failure> {
    let (mut vocabulary, is_chat) = match (&options.vocabulary, options.preset) {
        (None, preset) => {
            let preset = preset.unwrap_or(Preset::Chat);
            (Vocabulary::of(preset), preset == Preset::Chat)
        }
        (Some(path), None) => (read(path)?, false),
        (Some(_), Some(_)) => {
            return Err(Failure::usage("--preset and --vocabulary both say what the server speaks: one is enough"));
        }
    };
    let template = |to: &mut Template, text: Option<&String>| {
        if let Some(text) = text {
            *to = Template::new(text);
        }
    };
    let bytes = |to: &mut Vec<u8>, text: &Option<String>| {
        if let Some(text) = text {
            *to = Template::literal(text);
        }
    };
    // What a server answers, and how one leaves it, is known of what its own vocabulary says.
    let is_foreign =
        |text: &Option<String>, chat: &str| text.as_ref().is_some_and(|text| !is_chat || !text.starts_with(chat));
    if is_foreign(&options.hello, "<login ") {
        vocabulary.ready.clear();
        vocabulary.quit = Template::new("");
    }
    if is_foreign(&options.join, "<join ") {
        vocabulary.joined.clear();
        vocabulary.leave = Template::new("");
        vocabulary.left.clear();
    }
    template(&mut vocabulary.hello, options.hello.as_ref());
    bytes(&mut vocabulary.ready, &options.ready);
    template(&mut vocabulary.join, options.join.as_ref());
    bytes(&mut vocabulary.joined, &options.joined);
    template(&mut vocabulary.message, options.message.as_ref());
    // A server is taken to deliver what was sent, unless one of those says otherwise that know. The chat writes the
    // start tag of each message anew, whatever stood in it.
    let as_sent = options.message.as_ref().filter(|_| is_foreign(&options.message, "<message "));
    template(&mut vocabulary.deliver, options.deliver.as_ref().or(as_sent));
    vocabulary.echo &= !options.no_echo;
    if !vocabulary.message.has(Blank::Payload) {
        return Err(Failure::usage("--message must hold {payload}: receivers check it"));
    }
    if is_chat && options.hello.is_none() && options.no_echo {
        return Err(Failure::usage("--no-echo does not fit the chat, which sends messages to their senders too"));
    }
    Ok(vocabulary)
}

/// The vocabulary that the file at `path` holds.
fn read(path: &Path) -> Result<Vocabulary, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
    Vocabulary::read(&text).map_err(|fault| Failure::usage(format!("{} {fault}", path.display())))
}
