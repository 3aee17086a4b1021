//! Defines the page that shows the results: docs/BENCHMARKS.md, between two marks. What people wrote around them stays, and
//! so do the tables of what was not measured this time.
//!
//! Knows: tables, what the goals are. Must not know: how anything was measured.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::processors::Processors;
use crate::results::Results;
use crate::servers::Kind;
use crate::tables::{Column, TABLES, Table};

/// What the measured part begins and ends with.
const BEGIN: &str = "<!-- measured: written by `make bench`, do not edit -->";
const END: &str = "<!-- measured: end -->";

/// What a new page says above the measured part.
const HEADING: &str =
    "# Benchmarks\n\nHow fast the servers are, beside others and beside the limit of the machine.\n\n";

/// Writes the page at `path`.
pub(crate) fn write(path: &Path, results: &Results, kinds: &[Kind], processors: &Processors) -> Result<(), Failure> {
    let failed = |error| format!("{} cannot be written: {error}", path.display());
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let before = old.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map_or("", |(measured, _)| measured);
    fs::write(path, replaced(&old, &measured(before, results, kinds, processors))).map_err(failed)
}

/// `old` with another measured part; without one, it comes at the end.
fn replaced(old: &str, measured: &str) -> String {
    let measured = format!("{BEGIN}\n{measured}{END}\n");
    match (old.split_once(BEGIN), old.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{measured}{}", after.trim_start_matches('\n')),
        _ if old.is_empty() => format!("{HEADING}{measured}"),
        _ => format!("{}\n\n{measured}", old.trim_end()),
    }
}

/// The measured part, of which `before` is an earlier state.
fn measured(before: &str, results: &Results, kinds: &[Kind], processors: &Processors) -> String {
    let mut out = format!("\n{}\n\n", circumstances(kinds, processors));
    let date = Command::new("date").args(["-u", "+%F"]).output().map(|output| output.stdout).unwrap_or_default();
    let date = String::from_utf8_lossy(&date);
    for table in TABLES {
        let heading = format!("### {}\n", table.title);
        if table.columns.iter().any(|column| results.has(column.measure)) {
            let _ = writeln!(out, "{heading}\n{}\n", table.note);
            values(table, results, kinds, &mut out);
            if table.ratios {
                ratios(table, results, kinds, &mut out);
            }
            failures(table, results, &mut out);
            let _ = writeln!(out, "Measured on {}; runs: {}.\n", date.trim(), results.runs());
        } else if let Some((_, rest)) = before.split_once(&heading) {
            let kept = rest.split("\n### ").next().unwrap_or(rest).trim_end();
            let _ = writeln!(out, "{heading}{kept}\n");
        }
    }
    out
}

/// On what it was measured.
fn circumstances(kinds: &[Kind], processors: &Processors) -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let memory = field(&file("/proc/meminfo"), "MemTotal");
    let gib = memory.split(' ').next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / f64::from(1 << 20);
    let others: Vec<String> =
        kinds.iter().filter(|kind| !kind.is_ours()).map(|kind| format!("{} {}", kind.name(), kind.version())).collect();
    format!(
        "The machine: {} processors ({}{}), {gib:.0} GiB of memory, Linux {}, TCP congestion control {}.\nBeside: {}.",
        processors.count(),
        field(&file("/proc/cpuinfo"), "model name"),
        if field(&file("/proc/cpuinfo"), "flags").contains("hypervisor") { ", virtual" } else { "" },
        file("/proc/sys/kernel/osrelease").trim().split(['.', '-']).take(2).collect::<Vec<_>>().join("."),
        file("/proc/sys/net/ipv4/tcp_congestion_control").trim(),
        if others.is_empty() { "no other server".to_owned() } else { others.join(", ") },
    )
}

/// Servers that were measured for a table.
fn measured_of<'a>(table: &'a Table, results: &'a Results, kinds: &'a [Kind]) -> impl Iterator<Item = Kind> + 'a {
    let tried = |kind: Kind, column: &Column| {
        results.median(kind, column.measure, column.figure).is_some() || results.only_failed(kind, column.measure)
    };
    kinds.iter().copied().filter(move |&kind| table.columns.iter().any(|column| tried(kind, column)))
}

fn head(first: &str, table: &Table, out: &mut String) {
    let headings: Vec<&str> = table.columns.iter().map(|column| column.heading).collect();
    let _ = writeln!(out, "| {first} | {} |\n|---|{}", headings.join(" | "), "---:|".repeat(headings.len()));
}

/// The medians.
fn values(table: &Table, results: &Results, kinds: &[Kind], out: &mut String) {
    head(table.unit, table, out);
    for kind in measured_of(table, results, kinds) {
        let _ = write!(out, "| {} |", kind.name());
        for column in table.columns {
            let cell = match results.median(kind, column.measure, column.figure) {
                Some(value) => format!("{:.*}", column.digits, value / column.scale),
                None if results.only_failed(kind, column.measure) => "failed".to_owned(),
                None => "–".to_owned(),
            };
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    for (name, goals) in table.goals {
        let _ = writeln!(out, "| **goal, {name}** | {} |", goals.join(" | "));
    }
    out.push('\n');
}

/// Our servers' figures divided by those of the others.
fn ratios(table: &Table, results: &Results, kinds: &[Kind], out: &mut String) {
    let others: Vec<Kind> = measured_of(table, results, kinds).filter(|kind| !is_one_of_ours(*kind)).collect();
    if others.is_empty() {
        return;
    }
    head("times as much as", table, out);
    for kind in measured_of(table, results, kinds).filter(|kind| is_one_of_ours(*kind)) {
        for &other in &others {
            let _ = write!(out, "| {} ÷ {} |", kind.name(), other.name());
            for column in table.columns {
                let ratio = results.ratio(kind, other, column.measure, column.figure);
                let cell = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
                let _ = write!(out, " {cell} |");
            }
            out.push('\n');
        }
    }
    out.push('\n');
}

/// What failed, of the measures in the table.
fn failures(table: &Table, results: &Results, out: &mut String) {
    for (kind, measure, sentence) in results.failures() {
        if table.columns.iter().any(|column| column.measure == *measure) {
            let _ = writeln!(out, "{} failed ({measure}): {sentence}\n", kind.name());
        }
    }
}

/// Whether it is a server of ours, and not the limit, which is what servers are held against.
fn is_one_of_ours(kind: Kind) -> bool {
    kind.is_ours() && kind != Kind::Limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Report;
    use crate::measures;

    #[test]
    fn what_people_wrote_stays_and_the_measured_part_is_replaced() {
        let first = replaced("", "one\n");
        assert!(first.starts_with("# Benchmarks") && first.contains("one"), "{first}");
        let edited = format!("{first}\n## What was tried\n\nThis.\n");
        let second = replaced(&edited.replace("How fast", "Just how fast"), "two\n");
        assert!(second.contains("Just how fast") && second.ends_with("## What was tried\n\nThis.\n"), "{second}");
        assert!(second.contains("two") && !second.contains("one\n"), "{second}");
        assert_eq!(replaced(&second, "two\n").matches(BEGIN).count(), 1);
        assert!(replaced("# Mine\n", "x\n").starts_with("# Mine\n\n<!-- measured"));
    }

    #[test]
    fn tables_hold_values_ratios_and_failures() {
        let mut results = Results::new();
        let measures = measures::all(false);
        let measure = measures.iter().find(|measure| measure.name == "throughput-100").unwrap();
        for (kind, value) in [(Kind::Limit, 16e6), (Kind::Relay, 12e6)] {
            results.add(kind, measure, Ok(Report::of("deliveries_per_second", value)));
        }
        results.add(Kind::Nats, measure, Err("it stalls".to_owned()));
        let kept = "### Low load\n\n| relay | 0.4 |\n\n### Something\n\nelse\n";
        let page = measured(kept, &results, &[Kind::Limit, Kind::Relay, Kind::Nats], &Processors::find());
        for line in ["| relay | – | 12.00 | – |", "| relay ÷ limit | – | 0.75 | – |", "| nats | – | failed | – |"]
        {
            assert!(page.lines().any(|known| known == line), "{line} is missing in\n{page}");
        }
        assert!(page.contains("nats failed (throughput-100): it stalls"), "{page}");
        assert!(!page.contains("Idle"), "what was never measured has no table");
        assert!(page.contains("### Low load\n\n| relay | 0.4 |\n\n"), "what was measured before stays: {page}");
        assert!(!page.contains("Something"), "there is no such table any more: {page}");
    }

    #[test]
    fn every_column_is_of_a_measure_that_there_is() {
        let measures = measures::all(false);
        for column in TABLES.iter().flat_map(|table| table.columns) {
            assert!(measures.iter().any(|measure| measure.name == column.measure), "{}", column.measure);
        }
        for table in TABLES {
            assert!(table.goals.iter().all(|(_, goals)| goals.len() == table.columns.len()), "{}", table.title);
        }
    }
}
