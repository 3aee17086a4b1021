//! Defines [`BenchOptions`], the options of `bench`.
//!
//! Knows: clap, how options are called. Must not know: what is done with them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::payload::{PAYLOAD_BYTES_MIN, SENDERS_MAX};
use super::vocabulary::Preset;
use crate::taken::{number, whole};

/// Connections that one run may make.
const CONNECTIONS_MAX: u64 = 200_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// How many messages a second are delivered, with a number of them in flight
    Throughput,
    /// How long messages take, at a fixed rate
    Latency,
    /// What connections cost that say nothing, and how soon a message reaches them all
    Idle,
    /// What receivers that stop reading do to the others and to the server
    Slow,
    /// How fast people connect, log in, enter a room, leave it and quit
    Churn,
}

/// The options of `bench`.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    /// The server: HOST or HOST:PORT; without a port it is 1024
    #[arg(value_name = "ADDR")]
    pub(super) address: String,
    /// What is measured
    #[arg(value_enum, default_value_t = Workload::Throughput)]
    pub(super) workload: Workload,
    /// Connections that receive; the senders are among them, unless the server wants them apart
    #[arg(long, default_value_t = 100, value_parser = whole::<usize>(1..=CONNECTIONS_MAX))]
    pub(super) receivers: usize,
    /// Connections that send [default: 4; latency: 1]
    #[arg(long, value_parser = whole::<usize>(1..=SENDERS_MAX as u64))]
    senders: Option<usize>,
    /// Bytes of a message's payload [default: 128; slow: 400]
    #[arg(long, value_name = "BYTES", value_parser = whole::<usize>(PAYLOAD_BYTES_MIN as u64..=60_000))]
    payload: Option<usize>,
    /// Messages in flight
    #[arg(long, default_value_t = 64, value_parser = whole::<usize>(1..=1_000_000))]
    pub(super) window: usize,
    /// Messages a second: of each sender, for servers that limit it; latency: of all together [default there: 50]
    #[arg(long, value_parser = number(0.01..=1e6))]
    rate: Option<f64>,
    /// Seconds that are measured [default: 5]
    #[arg(long, value_parser = number(0.1..=3_600.0))]
    seconds: Option<f64>,
    /// Seconds before that
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = number(0.0..=3_600.0))]
    pub(super) warm_up: f64,
    /// Seconds between connecting and the first message [default: 1.5 where the server answers nothing, else 0]
    #[arg(long, value_name = "SECONDS", value_parser = number(0.0..=600.0))]
    pub(super) settle: Option<f64>,
    /// The server's process, to tell its memory and its work
    #[arg(long)]
    pub(super) pid: Option<u32>,
    /// idle: connections
    #[arg(long, default_value_t = 1_000, value_parser = whole::<usize>(1..=CONNECTIONS_MAX))]
    pub(super) connections: usize,
    /// idle: connections in each room; 0 puts all in one
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = whole::<usize>(0..=CONNECTIONS_MAX))]
    pub(super) room_size: usize,
    /// idle: neither log in nor enter a room
    #[arg(long)]
    pub(super) stay_out: bool,
    /// slow: receivers that stop reading
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<usize>(0..=CONNECTIONS_MAX))]
    stalled: usize,
    /// Connections that are being made at a time [default: 100; churn: that there are at a time: 32]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1..=CONNECTIONS_MAX))]
    at_once: Option<usize>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Load a server that is not on this machine
    #[arg(long)]
    pub(super) i_own_this_server: bool,
    /// What the server speaks; the options below change parts of it [default: chat]
    #[arg(long, value_enum)]
    pub(super) preset: Option<Preset>,
    /// What it speaks, if that is something else: a file of the texts that are said and heard
    #[arg(long, value_name = "FILE")]
    pub(super) vocabulary: Option<PathBuf>,
    /// What a connection says first; {i} is its number
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) hello: Option<String>,
    /// What the answer to it holds
    #[arg(long, value_name = "TEXT")]
    pub(super) ready: Option<String>,
    /// How it enters its room; {room} is the room's number
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) join: Option<String>,
    /// What the answer to it holds
    #[arg(long, value_name = "TEXT")]
    pub(super) joined: Option<String>,
    /// A message, with {payload} and, where wanted, {bytes}, {i} and {room}
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) message: Option<String>,
    /// A message when it arrives, {*} for what differs from one to the next [default: as it was sent; in a chat, as a chat writes it]
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) deliver: Option<String>,
    /// Senders do not get their own messages
    #[arg(long)]
    pub(super) no_echo: bool,
}

impl BenchOptions {
    /// Senders, as given or as the workload has them.
    pub(super) fn senders(&self) -> usize {
        self.senders.unwrap_or(if self.workload == Workload::Latency { 1 } else { 4 })
    }

    /// Connections that are being made, or that there are at a time.
    pub(super) fn at_once(&self) -> usize {
        self.at_once.unwrap_or(if self.workload == Workload::Churn { 32 } else { 100 })
    }

    /// Bytes of a payload.
    pub(super) fn payload(&self) -> usize {
        self.payload.unwrap_or(if self.workload == Workload::Slow { 400 } else { 128 })
    }

    /// Messages a second.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Seconds that are measured.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(5.0)
    }

    /// Receivers that stop reading.
    pub(super) fn stalled(&self) -> usize {
        if self.workload == Workload::Slow { self.stalled } else { 0 }
    }
}
