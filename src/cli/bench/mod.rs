//! The load generator: one thread, as many connections as the system gives, every frame checked.
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
mod link;

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

// The least that a server must do.
mod limit;

// What was measured.
mod clock;
mod histogram;
mod progress;
mod report;

// All of it, of many servers.
mod suite;

use std::net::SocketAddr;

use super::exit_code::{ExitCode, Failure};
pub(super) use options::BenchOptions;
use options::Workload;
use plan::Plan;
use report::Report;
pub(super) use suite::{SuiteOptions, run as run_suite};

/// Runs one workload and prints what it measured.
pub(super) fn run(options: &BenchOptions) -> Result<ExitCode, Failure> {
    if options.serve_limit {
        return serve_limit(&options.address);
    }
    let report = measure(&Plan::new(options)?)?;
    let text = if options.json { report.to_json() } else { report.to_text() };
    super::print(text.trim_end());
    Ok(ExitCode::Ok)
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

/// Is the limit, until the process is ended.
fn serve_limit(address: &str) -> Result<ExitCode, Failure> {
    let address: SocketAddr =
        address.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback()).ok_or_else(|| {
            Failure::usage("the limit listens on addresses of this machine only, such as 127.0.0.1:0")
        })?;
    let listening = |address| {
        super::print(&format!("listening on {address} (limit)"));
    };
    match limit::serve(address, listening) {
        Ok(()) => Ok(ExitCode::Ok),
        Err(error) => Err(Failure::run_time(format!("the limit ended: {error}"))),
    }
}
