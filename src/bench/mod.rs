//! The load generator: one thread, as many connections as the system gives, every frame checked.
//!
//! Linux alone: it needs epoll and /proc.
//!
//! In the order in which a run is read, made, and told:

// Options and their defaults.
mod options;

// Options, checked.
mod plan;

// What servers want to hear.
mod vocabulary;

// Frames with places to fill in.
mod template;

// What a connection goes through.
mod script;

// What is sent, so that each byte can be checked.
mod payload;

// What is delivered, cut out of a stream.
mod shape;

// What all receivers get.
mod tape;

// Sockets, and how they are waited for.
mod poll;
mod sockets;

// One connection.
mod client;

// All connections.
mod fleet;
mod opening;
mod patience;

// The workloads.
mod churn;
mod idle;
mod latency;
mod slow;
mod throughput;

// What was measured.
mod clock;
mod histogram;
mod progress;
mod report;

use crate::exit_code::Failure;
pub(crate) use options::BenchOptions;
use options::Workload;
use plan::Plan;
use report::Report;

/// Runs one workload and gives what it measured, as text for people or as one JSON object.
pub(crate) fn run(options: &BenchOptions) -> Result<String, Failure> {
    let report = measure(&Plan::new(options)?)?;
    Ok(if options.json { report.to_json() } else { report.to_text() })
}

/// Runs one workload.
fn measure(plan: &Plan) -> Result<Report, Failure> {
    match plan.workload {
        Workload::Throughput => throughput::run(plan),
        Workload::Latency => latency::run(plan),
        Workload::Idle => idle::run(plan),
        Workload::Slow => slow::run(plan),
        Workload::Churn => churn::run(plan),
    }
}
