//! Defines how text from strangers is shown on a terminal: visible, on one line, and without effects.
//!
//! Knows: which characters a terminal acts upon. Must not know: where the text comes from.

use std::borrow::Cow;

/// `text` as it may be printed: control characters (escape sequences begin with one), line breaks and the invisible
/// characters that turn the direction of writing are shown by their names (`\n`, `\u{1b}`). All else stays.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_active(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Whether a terminal, or a reader's eye, would be led astray by `c`.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Line and paragraph separator; marks, embeddings, overrides and isolates of direction.
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Zero-width characters that can hide text or make two names look alike; not the joiners that scripts need.
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_upon_gets_through() {
        let rows = [
            ("plain é 日本 😀 a\u{200d}b", "plain é 日本 😀 a\u{200d}b"),
            ("two\nlines\r\t", "two\\nlines\\r\\t"),
            ("\u{1b}[2J\u{1b}]0;x\u{7}", "\\u{1b}[2J\\u{1b}]0;x\\u{7}"),
            ("\u{9b}31m\u{7f}\u{0}", "\\u{9b}31m\\u{7f}\\u{0}"),
            ("ann\u{202e}bob\u{2066}", "ann\\u{202e}bob\\u{2066}"),
            ("a\u{200b}b\u{feff}c\u{e0041}", "a\\u{200b}b\\u{feff}c\\u{e0041}"),
            ("a\\n", "a\\n"),
        ];
        for (text, shown) in rows {
            assert_eq!(printable(text), shown);
        }
        for c in ('\u{0}'..='\u{ffff}').filter(|c| c.is_control()) {
            assert!(printable(&c.to_string()).starts_with('\\'), "{c:?}");
        }
    }
}
