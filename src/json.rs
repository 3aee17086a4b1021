//! Defines [`Json`], what scripts read on stdout.
//!
//! Knows: how JSON is written (RFC 8259). Must not know: what is said in it.

use std::fmt::{self, Write};

/// A value, to be written.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Names and values, in this order.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// A text.
    pub(crate) fn text(text: impl fmt::Display) -> Json {
        Json::Text(text.to_string())
    }
}

impl fmt::Display for Json {
    /// On one line, so that a script can read it as one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(number) if number.is_finite() => write!(f, "{number}"),
            Json::Number(_) => f.write_str("null"),
            Json::Text(text) => write_text(f, text),
            Json::List(items) => {
                f.write_char('[')?;
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n == 0 { "" } else { "," })?;
                }
                f.write_char(']')
            }
            Json::Object(members) => {
                f.write_char('{')?;
                for (n, (name, value)) in members.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { "," })?;
                    write_text(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

/// Control characters are escaped, those of a terminal (U+007F to U+009F) as well: the text may be a stranger's.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_json_has_them() {
        let rows = [
            (Json::Null, "null"),
            (Json::Bool(true), "true"),
            (Json::Number(0.25), "0.25"),
            (Json::Number(3.0), "3"),
            (Json::Number(f64::NAN), "null"),
            (Json::text("a \"b\" \\ é\n\u{0}\u{1b}\u{9b}"), r#""a \"b\" \\ é\u000a\u0000\u001b\u009b""#),
            (Json::List(vec![]), "[]"),
            (Json::List(vec![Json::Null, Json::Bool(false)]), "[null,false]"),
            (Json::Object(vec![]), "{}"),
            (Json::Object(vec![("a", Json::Null), ("b", Json::List(vec![Json::text("")]))]), r#"{"a":null,"b":[""]}"#),
        ];
        for (value, written) in rows {
            assert_eq!(value.to_string(), written);
        }
    }
}
