//! Defines [`Value`], what a setting may be given as, and [`Source`], where it was given.
//!
//! Knows: TOML, `KEY=VALUE`. Must not know: which settings there are.

use std::fmt::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// What a setting is given as. Not every value fits every setting: see `settings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Value>),
    /// A table; its entries in the order of the file.
    Table(Vec<Assignment>),
    /// Something that no setting takes, by its name.
    Foreign(&'static str),
}

/// One `key = value`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The key; dotted when it stands in a table that is no list (`limits.rooms_max`).
    pub(crate) key: String,
    /// The value.
    pub(crate) value: Value,
    /// Where it was given.
    pub(crate) source: Source,
}

/// Where a setting's value comes from. Later ones take precedence over earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Built in.
    Default,
    /// A line of the configuration file.
    File {
        /// The file's name.
        file: Arc<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// `--set KEY=VALUE`.
    Set,
    /// An option, by its name.
    Option(&'static str),
}

impl Source {
    /// How strong the source is: equal for all lines of a file.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Source::Default => 0,
            Source::File { .. } => 1,
            Source::Set => 2,
            Source::Option(_) => 3,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { file, line } => write!(f, "{file}:{line}"),
            Source::Set => f.write_str("--set"),
            Source::Option(name) => f.write_str(name),
        }
    }
}

/// Reads a configuration file's `text`: its assignments in the order of the file.
pub(crate) fn read_file(file: &str, text: &str) -> Result<Vec<Assignment>, ConfigError> {
    let reader = FileReader { file: file.into(), text };
    let table = DeTable::parse(text).map_err(|error| {
        let source = reader.source(&error.span().unwrap_or(0..0));
        ConfigError::new(source, format!("this is not TOML: {}", error.message().replace('\n', ", ")))
    })?;
    Ok(reader.assignments("", table.into_inner()))
}

/// Reads the `KEY=VALUE` of `--set`. What is not TOML is taken as a string, so that quotes are rarely needed.
pub(crate) fn read_set(argument: &str) -> Result<Assignment, ConfigError> {
    let Some((key, value)) = argument.split_once('=') else {
        let sentence = format!("`{argument}` has no value; write KEY=VALUE, as in `limits.idle_seconds_max=60`");
        return Err(ConfigError::new(Source::Set, sentence));
    };
    let value = value.trim();
    let reader = FileReader { file: "".into(), text: "" };
    let mut value = match DeValue::parse(value) {
        Ok(parsed) => reader.value(parsed.into_inner()),
        Err(_) => Value::Text(value.to_owned()),
    };
    mark_as_set(&mut value);
    Ok(Assignment { key: key.trim().to_owned(), value, source: Source::Set })
}

/// Tables inside a `--set` have no lines: their source is the option.
fn mark_as_set(value: &mut Value) {
    match value {
        Value::List(items) => items.iter_mut().for_each(mark_as_set),
        Value::Table(entries) => {
            for entry in entries {
                entry.source = Source::Set;
                mark_as_set(&mut entry.value);
            }
        }
        _ => {}
    }
}

/// Turns parsed TOML into values whose places are known as lines.
struct FileReader<'text> {
    file: Arc<str>,
    text: &'text str,
}

impl FileReader<'_> {
    fn source(&self, span: &Range<usize>) -> Source {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        Source::File { file: Arc::clone(&self.file), line: memchr::memchr_iter(b'\n', before).count() + 1 }
    }

    /// The entries of `table`, with those of tables in it, their keys joined by dots.
    fn assignments(&self, prefix: &str, table: DeTable<'_>) -> Vec<Assignment> {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut assignments = Vec::new();
        for (key, value) in entries {
            let source = self.source(&key.span());
            let name = format!("{prefix}{}", key.get_ref());
            match value.into_inner() {
                DeValue::Table(inner) if !inner.is_empty() => {
                    assignments.extend(self.assignments(&format!("{name}."), inner));
                }
                value => assignments.push(Assignment { key: name, value: self.value(value), source }),
            }
        }
        assignments
    }

    fn value(&self, value: DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Foreign("a number of more than 64 bits"), Value::Number),
            DeValue::Boolean(on) => Value::Bool(on),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.value(item.into_inner())).collect()),
            DeValue::Table(table) => Value::Table(self.assignments("", table)),
            DeValue::Float(_) => Value::Foreign("a number with a fraction"),
            DeValue::Datetime(_) => Value::Foreign("a date or time"),
        }
    }
}

impl fmt::Display for Value {
    /// Writes the value as TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write_text(f, text),
            Value::Number(number) => write!(f, "{number}"),
            Value::Bool(on) => write!(f, "{on}"),
            Value::List(items) => {
                f.write_char('[')?;
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Value::Table(entries) => {
                f.write_str("{ ")?;
                for (n, entry) in entries.iter().enumerate() {
                    write!(f, "{}{} = {}", if n == 0 { "" } else { ", " }, entry.key, entry.value)?;
                }
                f.write_str(" }")
            }
            Value::Foreign(what) => f.write_str(what),
        }
    }
}

/// Writes a TOML string.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(argument: &str) -> (String, Value) {
        let assignment = read_set(argument).unwrap();
        assert_eq!(assignment.source, Source::Set);
        (assignment.key, assignment.value)
    }

    #[test]
    fn a_file_is_read_with_the_line_of_each_key() {
        let text = "b = 1\na = \"x\"\n\n[limits]\nrooms_max = 1_000\nz = 0x10\n[[listener]]\naddress = \"a:1\"\n";
        let read = read_file("x.toml", text).unwrap();
        let seen: Vec<_> = read.iter().map(|a| format!("{} {} = {}", a.source, a.key, a.value)).collect();
        let expected = [
            "x.toml:1 b = 1",
            "x.toml:2 a = \"x\"",
            "x.toml:5 limits.rooms_max = 1000",
            "x.toml:6 limits.z = 16",
            "x.toml:7 listener = [{ address = \"a:1\" }]",
        ];
        assert_eq!(seen, expected);
        let Value::List(listeners) = &read[4].value else { panic!("{read:?}") };
        let Value::Table(entries) = &listeners[0] else { panic!("{read:?}") };
        assert_eq!(entries[0].source.to_string(), "x.toml:8");
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        for (text, line) in [("a = 1\nb = \n", 2), ("[limits\n", 1), ("a = 1\na = 2\n", 2), ("\n\nlisten 1024\n", 3)] {
            let error = read_file("x.toml", text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x.toml:{line}: this is not TOML: ")), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_set_value_is_toml_or_else_a_string() {
        assert_eq!(set("limits.rooms_max=7"), ("limits.rooms_max".to_owned(), Value::Number(7)));
        assert_eq!(set(" echo = true "), ("echo".to_owned(), Value::Bool(true)));
        assert_eq!(set("name=\"a b\""), ("name".to_owned(), Value::Text("a b".to_owned())));
        assert_eq!(set("policy_listen=[::1]:843").1, Value::Text("[::1]:843".to_owned()));
        assert_eq!(set("name=a=b").1, Value::Text("a=b".to_owned()));
        assert_eq!(set("name=").1, Value::Text(String::new()));
        assert_eq!(set("listen=[\"a:1\", \"b:2\"]").1.to_string(), "[\"a:1\", \"b:2\"]");
        let (_, Value::List(listeners)) = set("listener=[{address=\"a:1\"}]") else { panic!() };
        assert!(matches!(&listeners[0], Value::Table(entries) if entries[0].source == Source::Set));
        assert!(read_set("echo").unwrap_err().to_string().contains("KEY=VALUE"));
    }

    #[test]
    fn a_value_is_written_as_the_toml_that_it_was_read_from() {
        for toml in [r#""a \"b\" \\ \u001B é""#, "[1, [true, \"x\"]]", "{ a = 1, b = [{ c = false }] }"] {
            let (_, value) = set(&format!("k={toml}"));
            assert_eq!(value.to_string(), toml);
        }
    }

    #[test]
    fn stronger_sources_rank_higher() {
        let line = |line| Source::File { file: "x".into(), line };
        assert_eq!(line(1).rank(), line(9).rank());
        let ranks = [Source::Default, line(1), Source::Set, Source::Option("--app")].map(|source| source.rank());
        assert!(ranks.is_sorted_by(|a, b| a < b));
    }
}
