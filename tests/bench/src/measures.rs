//! Defines what is measured, each as the arguments of `xmlsocket bench`.
//!
//! Knows: workloads, sizes, who takes part. Must not know: how a server is started, what the page looks like.

use std::net::SocketAddr;

use crate::servers::{Kind, Limits};

/// A part of the table, which can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Deliveries a second, server and generator each on a processor of its own, limits off
    Throughput,
    /// The same, on any processor
    Unpinned,
    /// The same with the default limits: what they admit
    Defaults,
    /// How long messages take at low load
    Latency,
    /// Idle connections: memory, connecting, one message to all
    Idle,
    /// Receivers that stop reading
    Slow,
    /// People who come and go
    Churn,
}

impl Part {
    /// All of them.
    pub(crate) const ALL: &[Part] =
        &[Part::Throughput, Part::Unpinned, Part::Defaults, Part::Latency, Part::Idle, Part::Slow, Part::Churn];

    /// How it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Throughput => "throughput",
            Part::Unpinned => "unpinned",
            Part::Defaults => "defaults",
            Part::Latency => "latency",
            Part::Idle => "idle",
            Part::Slow => "slow",
            Part::Churn => "churn",
        }
    }
}

/// One thing that is measured of several servers.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    /// How the results are found again.
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// Whether server and generator have a processor each.
    pub(crate) pinned: bool,
    pub(crate) limits: Limits,
    /// Who is measured.
    pub(crate) servers: &'static [Kind],
    /// The workload and its options.
    words: &'static str,
    /// What to say instead to see that it works; `None` where another measure shows that.
    small: Option<&'static str>,
}

const ALL: &[Kind] = &[Kind::Limit, Kind::Relay, Kind::Chat, Kind::Redis, Kind::Nats, Kind::Ngircd, Kind::Inspircd];
const OURS: &[Kind] = &[Kind::Relay, Kind::Chat];
const WITHOUT_LIMIT: &[Kind] = &[Kind::Relay, Kind::Chat, Kind::Redis, Kind::Nats];
/// The IRC servers let people in so slowly that ten thousand of them take minutes.
const ROOMS: &[Kind] = &[Kind::Chat, Kind::Redis, Kind::Nats];
const PEOPLE: &[Kind] = &[Kind::Chat, Kind::Redis, Kind::Nats, Kind::Ngircd, Kind::Inspircd];
const FIVE: &[Kind] = &[Kind::Limit, Kind::Relay, Kind::Chat, Kind::Redis, Kind::Nats];

/// All measures; with `smoke`, one of each kind, as small as possible.
pub(crate) fn all(smoke: bool) -> Vec<Measure> {
    let off = |name, part, servers, words, small| Measure {
        name,
        part,
        pinned: true,
        limits: Limits::Off,
        servers,
        words,
        small,
    };
    let throughput = |name, words, small| off(name, Part::Throughput, ALL, words, small);
    let idle = |name, servers, words, small| off(name, Part::Idle, servers, words, small);
    let unpinned = |name, words| Measure { pinned: false, ..off(name, Part::Unpinned, FIVE, words, None) };
    let defaults =
        |name, words, small| Measure { limits: Limits::Default, ..off(name, Part::Defaults, OURS, words, small) };
    let mut measures = vec![
        throughput("throughput-10", "throughput --receivers 10", Some("throughput --receivers 10")),
        throughput("throughput-100", "throughput --receivers 100", None),
        throughput("throughput-1000", "throughput --receivers 1000", None),
        unpinned("unpinned-10", "throughput --receivers 10"),
        unpinned("unpinned-100", "throughput --receivers 100"),
        unpinned("unpinned-1000", "throughput --receivers 1000"),
        defaults(
            "defaults-4",
            "throughput --receivers 100 --senders 4 --rate 50",
            Some("throughput --receivers 10 --rate 20"),
        ),
        defaults("defaults-100", "throughput --receivers 100 --senders 100 --rate 50 --window 1000", None),
        off("latency", Part::Latency, ALL, "latency --receivers 100 --rate 50", Some("latency --receivers 10")),
        idle("idle-1000", FIVE, "idle --connections 1000 --stay-out", Some("idle --connections 20 --stay-out")),
        idle("idle-10000", FIVE, "idle --connections 10000 --stay-out", None),
        idle("rooms-1000", ROOMS, "idle --connections 1000", Some("idle --connections 20 --room-size 5")),
        idle("rooms-10000", ROOMS, "idle --connections 10000", None),
        idle("all-1000", FIVE, "idle --connections 1000 --room-size 0", None),
        idle("all-10000", FIVE, "idle --connections 10000 --room-size 0", None),
        off("slow", Part::Slow, WITHOUT_LIMIT, "slow --stalled 5", Some("slow --receivers 10 --stalled 2")),
        off("churn", Part::Churn, PEOPLE, "churn", Some("churn")),
    ];
    if smoke {
        measures.retain(|measure| measure.small.is_some());
    }
    measures
}

impl Measure {
    /// The arguments for one server; with `smoke` the small ones.
    pub(crate) fn arguments(&self, kind: Kind, address: SocketAddr, pid: u32, smoke: bool) -> Vec<String> {
        let words = if smoke { self.small.unwrap_or(self.words) } else { self.words };
        let mut arguments = vec![address.to_string()];
        arguments.extend(words.split(' ').map(str::to_owned));
        arguments.extend(kind.speaks());
        arguments.extend(["--pid".to_owned(), pid.to_string()]);
        // So long that the whole table, three times over, takes less than half an hour.
        let (seconds, warm_up) = match self.part {
            _ if smoke => ("0.2", "0.1"),
            Part::Latency => ("5", "0.5"),
            Part::Slow => ("12", "0.5"),
            _ => ("2.5", "0.5"),
        };
        arguments.extend(["--seconds", seconds, "--warm-up", warm_up].map(str::to_owned));
        arguments.extend(self.exceptions(kind).iter().map(|&word| word.to_owned()));
        arguments
    }

    /// What one kind of server needs that others do not.
    fn exceptions(&self, kind: Kind) -> &'static [&'static str] {
        let connects = self.part != Part::Churn;
        match kind {
            // It knows connections as soon as it has accepted them.
            Kind::Limit => &["--settle", "0.2"],
            // Its backlog holds so few connections that others would wait for seconds to be tried again.
            Kind::Ngircd if connects => &["--at-once", "8"],
            // It lets people in once a second, however many there are.
            Kind::Inspircd if connects => &["--at-once", "1000"],
            // People who are connected and not logged in.
            Kind::Chat if self.words.ends_with("--stay-out") => &["--hello", "<ping/>", "--ready", "<pong"],
            _ => &[],
        }
    }
}
