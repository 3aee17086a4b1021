//! Defines how one thing is measured, with `xmlsocket bench`, and [`Report`], what it said.
//!
//! Knows: that program's JSON and its exit code. Must not know: what is measured.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;

/// What the load generator measured: one JSON object of texts and numbers.
#[derive(Clone, Debug)]
pub(crate) struct Report(String);

/// Runs the load generator with `arguments`.
pub(crate) fn measure(program: &Path, arguments: &[String]) -> Result<Report, Failure> {
    let mut command = Command::new(program);
    command.arg("bench").args(arguments).arg("--json").stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(Report(text(&output.stdout)))
    } else {
        let said = text(&output.stderr);
        Err(said.strip_prefix("xmlsocket: ").unwrap_or(&said).to_owned())
    }
}

impl Report {
    /// The number called `name`; `None` where it was not measured.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        let (_, rest) = self.0.split_once(&format!("\"{name}\": "))?;
        rest.split([',', '}']).next()?.parse().ok()
    }

    /// All of it, as it was said.
    pub(crate) fn json(&self) -> &str {
        &self.0
    }

    /// One with one number in it.
    #[cfg(test)]
    pub(crate) fn of(name: &str, number: f64) -> Report {
        Report(format!("{{\"{name}\": {number}}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        let report =
            Report("{\"workload\": \"idle\", \"p50_ms\": 0.12, \"last_p50_ms\": null, \"closed\": 5}".to_owned());
        assert_eq!((report.get("p50_ms"), report.get("closed")), (Some(0.12), Some(5.0)));
        assert_eq!((report.get("workload"), report.get("last_p50_ms"), report.get("p99_ms")), (None, None, None));
    }
}
