//! Defines [`Report`]: what was measured, as text for people or as JSON for scripts.
//!
//! Knows: names, values, units. Must not know: how anything is measured.

use std::fmt::Write;

use crate::json::Json;

/// What a run measured, in the order in which it is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Report(Vec<Figure>);

/// One thing that was measured or set.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    /// Its name in JSON: words with underscores, the unit last.
    name: &'static str,
    /// What people read: the words and the unit.
    label: &'static str,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    /// A number, and how many digits after the point are true.
    Number(f64, usize),
}

impl Report {
    /// A report of one workload.
    pub(super) fn new(workload: &str) -> Report {
        let mut report = Report::default();
        report.text("workload", "workload", workload);
        report
    }

    /// Adds words.
    pub(super) fn text(&mut self, name: &'static str, label: &'static str, text: impl Into<String>) {
        self.0.push(Figure { name, label, value: Value::Text(text.into()) });
    }

    /// Adds a whole number.
    pub(super) fn count(&mut self, name: &'static str, label: &'static str, count: u64) {
        self.number(name, label, count as f64, 0);
    }

    /// Adds a number with so many digits after the point.
    pub(super) fn number(&mut self, name: &'static str, label: &'static str, number: f64, digits: usize) {
        self.0.push(Figure { name, label, value: Value::Number(number, digits) });
    }

    /// One line for each, for people.
    pub(super) fn to_text(&self) -> String {
        let width = self.0.iter().map(|figure| figure.label.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for figure in &self.0 {
            let value = match &figure.value {
                Value::Text(text) => text.clone(),
                Value::Number(number, digits) => grouped(*number, *digits),
            };
            let _ = writeln!(out, "{:width$}  {value}", figure.label);
        }
        out
    }

    /// One object, in one line, for scripts. A number that could not be measured is null.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::from("{");
        for (n, figure) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            let _ = write!(out, "{comma}{}: ", Json::text(figure.name));
            let _ = match &figure.value {
                Value::Text(text) => write!(out, "{}", Json::text(text)),
                Value::Number(number, digits) if number.is_finite() => write!(out, "{number:.digits$}"),
                Value::Number(..) => write!(out, "null"),
            };
        }
        out.push('}');
        out
    }
}

/// A number with a space between thousands.
fn grouped(number: f64, digits: usize) -> String {
    if !number.is_finite() {
        return "not measured".to_owned();
    }
    let text = format!("{number:.digits$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && digit.is_ascii_digit() && (whole.len() - n).is_multiple_of(3) && !out.ends_with('-') {
            out.push(' ');
        }
        out.push(digit);
    }
    out + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_scripts_read_the_same_figures() {
        let mut report = Report::new("throughput");
        report.number("deliveries_per_second", "deliveries a second", 8_312_004.4, 0);
        report.number("p50_ms", "p50, ms", 0.1234, 3);
        report.number("memory_kib", "memory, KiB", f64::NAN, 1);
        report.text("address", "to", "a \"b\"\n");
        assert_eq!(
            report.to_json(),
            "{\"workload\": \"throughput\", \"deliveries_per_second\": 8312004, \"p50_ms\": 0.123, \
             \"memory_kib\": null, \"address\": \"a \\\"b\\\"\\u000a\"}"
        );
        let text = report.to_text();
        assert!(text.contains("deliveries a second  8 312 004\n"), "{text}");
        assert!(text.contains("not measured"), "{text}");
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, digits, text) in
            [(0.0, 0, "0"), (999.0, 0, "999"), (-1000.0, 0, "-1 000"), (12345.678, 2, "12 345.68")]
        {
            assert_eq!(grouped(number, digits), text);
        }
    }
}
