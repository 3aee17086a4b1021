//! Defines [`Results`]: what each run measured of each server, and what is in the middle of that.
//!
//! Knows: medians, ratios. Must not know: how they are shown.

use std::collections::HashMap;

use crate::Failure;
use crate::generator::Report;
use crate::measures::Measure;
use crate::servers::Kind;

/// What came out, of all runs.
pub(crate) struct Results {
    runs: u32,
    /// By server and measure: each run's report, or `None` where it failed.
    reports: HashMap<(Kind, &'static str), Vec<Option<Report>>>,
    /// What failed, in sentences.
    failures: Vec<(Kind, &'static str, String)>,
}

impl Results {
    /// Nothing measured yet.
    pub(crate) fn new() -> Results {
        Results { runs: 0, reports: HashMap::new(), failures: Vec::new() }
    }

    /// Everything was measured once more.
    pub(crate) fn run_done(&mut self) {
        self.runs += 1;
    }

    /// How often everything was measured.
    pub(crate) fn runs(&self) -> u32 {
        self.runs
    }

    /// Adds what the next run measured.
    pub(crate) fn add(&mut self, kind: Kind, measure: &Measure, result: Result<Report, Failure>) {
        let reports = self.reports.entry((kind, measure.name)).or_default();
        match result {
            Ok(report) => reports.push(Some(report)),
            Err(failure) => {
                reports.push(None);
                self.failures.push((kind, measure.name, failure));
            }
        }
    }

    /// What failed: which server, at what, and why.
    pub(crate) fn failures(&self) -> &[(Kind, &'static str, String)] {
        &self.failures
    }

    /// A sentence when one of our own servers failed.
    pub(crate) fn failed(&self) -> Option<String> {
        let (kind, measure, sentence) = self.failures.iter().find(|(kind, ..)| kind.is_ours())?;
        Some(format!("{measure} of {} failed: {sentence}", kind.name()))
    }

    /// Whether anything was measured under this name.
    pub(crate) fn has(&self, measure: &str) -> bool {
        self.reports.keys().any(|(_, name)| *name == measure)
    }

    /// Whether a server was measured, and failed each time.
    pub(crate) fn only_failed(&self, kind: Kind, measure: &'static str) -> bool {
        self.reports.get(&(kind, measure)).is_some_and(|reports| reports.iter().all(Option::is_none))
    }

    /// The median of a figure.
    pub(crate) fn median(&self, kind: Kind, measure: &'static str, figure: &str) -> Option<f64> {
        let reports = self.reports.get(&(kind, measure))?;
        median(reports.iter().filter_map(|report| report.as_ref()?.get(figure)).collect())
    }

    /// The median of one server's figure divided by another's in the same run.
    pub(crate) fn ratio(&self, kind: Kind, to: Kind, measure: &'static str, figure: &str) -> Option<f64> {
        let (one, other) = (self.reports.get(&(kind, measure))?, self.reports.get(&(to, measure))?);
        let ratio = |(one, other): (&Option<Report>, &Option<Report>)| {
            Some(one.as_ref()?.get(figure)? / other.as_ref()?.get(figure)?)
        };
        median(one.iter().zip(other).filter_map(ratio).collect())
    }
}

/// What is in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures;

    fn report(value: f64) -> Result<Report, Failure> {
        Ok(Report::of("deliveries_per_second", value))
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, f64::NAN, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_of_the_same_run_and_a_failure_takes_its_run_out() {
        let measure = &measures::all(true)[0];
        let mut results = Results::new();
        for (relay, redis) in [(10.0, 1.0), (20.0, 10.0), (90.0, 30.0)] {
            results.add(Kind::Relay, measure, report(relay));
            let redis = if redis == 10.0 { Err("gone".to_owned()) } else { report(redis) };
            results.add(Kind::Redis, measure, redis);
        }
        assert_eq!(results.median(Kind::Relay, measure.name, "deliveries_per_second"), Some(20.0));
        let ratio = results.ratio(Kind::Relay, Kind::Redis, measure.name, "deliveries_per_second");
        assert_eq!(ratio, Some(6.5), "of 10 and 3");
        assert_eq!(results.failures().len(), 1);
        assert_eq!(results.failed(), None, "redis is not ours");
        results.add(Kind::Chat, measure, Err("a gap".to_owned()));
        assert_eq!(results.failed().unwrap(), format!("{} of chat failed: a gap", measure.name));
    }
}
