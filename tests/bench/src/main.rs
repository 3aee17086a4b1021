//! The tables of docs/BENCHMARKS.md: our servers, the limit, and those that people would take instead, one after the other,
//! again and again, on the same machine. What is measured is measured by `xmlsocket bench`, a process of its own.
//!
//! In the order in which it comes about:

// What was asked for.
mod options;

// What is measured.
mod measures;

// Who is measured: how each is started and ended.
mod servers;

// Which processor who works on.
mod processors;

// The load generator.
mod generator;

// What came out.
mod results;

// The page that shows it.
mod page;
mod tables;

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use generator::Report;
use measures::Measure;
use options::Options;
use processors::Processors;
use results::Results;
use servers::{Kind, Running};

/// What went wrong, in a sentence.
type Failure = String;

fn main() -> ExitCode {
    match Options::read(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything that was asked for, tells each result in one line, and writes the page after each run.
fn run(options: &Options) -> Result<(), Failure> {
    // As many files as possible, for the servers: they inherit it. A system that refuses keeps what it had.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let kinds: Vec<Kind> = match options.servers.as_slice() {
        [] => Kind::ALL.iter().copied().filter(|kind| kind.is_there()).collect(),
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
                let told = result.as_ref().map_or_else(Failure::as_str, Report::json);
                println!("run {run}: {} of {}: {told}", measure.name, kind.name());
                results.add(kind, measure, result);
            }
        }
        results.run_done();
        if let Some(path) = &options.page {
            page::write(path, &results, &kinds, &processors)?;
        }
    }
    results.failed().map_or(Ok(()), Err)
}

/// Starts a server, measures one thing, and ends it.
fn one(measure: &Measure, kind: Kind, processors: &Processors, options: &Options) -> Result<Report, Failure> {
    if measure.pinned {
        processors.server();
    } else {
        processors.all();
    }
    let server = Running::start(kind, measure.limits, &options.program);
    if measure.pinned {
        processors.generator();
    }
    let server = server?;
    generator::measure(&options.program, &measure.arguments(kind, server.address(), server.pid(), options.smoke))
}
