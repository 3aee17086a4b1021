//! The table of docs/BENCHMARKS.md: our servers, the limit, and those that people would take instead, one after the other,
//! again and again, on the same machine.
//!
//! In the order in which it comes about:

// What is measured.
mod measures;

// Who is measured: how each is started and ended.
mod servers;

// Which processor who works on.
mod processors;

// What came out.
mod results;

// The page that shows it.
mod page;
mod tables;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::exit_code::{ExitCode, Failure};
use super::options::BenchOptions;
use super::plan::Plan;
use super::report::Report;
use measures::{Measure, Part};
use processors::Processors;
use results::Results;
use servers::{Kind, Running};

/// The options of `bench-suite`.
#[derive(Args, Debug)]
pub(in super::super) struct SuiteOptions {
    /// How often everything is measured; medians are told
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// What is measured: all, unless some are named
    #[arg(long, value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Which servers: all that are installed, unless some are named
    #[arg(long, value_enum, value_delimiter = ',')]
    servers: Vec<Kind>,
    /// Everything small and short: to see that it works
    #[arg(long)]
    smoke: bool,
    /// The page; what stands outside its marks stays as it is
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Where the configurations of the other servers are
    #[arg(long, value_name = "DIR", default_value = "tests/bench")]
    configurations: PathBuf,
}

/// Measures everything that was asked for, tells each result in one line, and writes the page after each run.
pub(in super::super) fn run(options: &SuiteOptions) -> Result<ExitCode, Failure> {
    // As many files as possible, for the servers too: they inherit it.
    let _ = super::sockets::allow(0);
    let kinds: Vec<Kind> = match options.servers.as_slice() {
        [] => Kind::value_variants().iter().copied().filter(|kind| kind.is_installed()).collect(),
        named => named.to_vec(),
    };
    let measures: Vec<Measure> = measures::all(options.smoke)
        .into_iter()
        .filter(|measure| options.parts.is_empty() || options.parts.contains(&measure.part))
        .collect();
    let processors = Processors::find();
    let mut results = Results::new();
    for run in 1..=if options.smoke { 1 } else { options.runs } {
        for measure in &measures {
            for &kind in kinds.iter().filter(|kind| measure.servers.contains(kind)) {
                let result = one(measure, kind, &processors, options);
                let told = match &result {
                    Ok(report) => report.to_json(),
                    Err(failure) => failure.sentence.clone(),
                };
                super::super::print(&format!("run {run}: {} of {}: {told}", measure.name, kind.name()));
                results.add(kind, measure, result);
            }
        }
        results.run_done();
        if let Some(path) = &options.page {
            page::write(path, &results, &kinds, &processors)?;
        }
    }
    match results.failed() {
        Some(sentence) => Err(Failure::run_time(sentence)),
        None => Ok(ExitCode::Ok),
    }
}

/// Starts a server, measures one thing, and ends it.
fn one(measure: &Measure, kind: Kind, processors: &Processors, options: &SuiteOptions) -> Result<Report, Failure> {
    if measure.pinned {
        processors.server();
    } else {
        processors.all();
    }
    let server = Running::start(kind, measure.limits, &options.configurations);
    if measure.pinned {
        processors.generator();
    }
    let server = server?;
    let arguments = measure.arguments(kind, server.address(), server.pid(), options.smoke);
    super::measure(&Plan::new(&BenchOptions::read(&arguments)?)?)
}
