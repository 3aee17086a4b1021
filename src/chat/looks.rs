//! Defines when two names look the same: by the skeletons of UTS #39, whatever the case.
//!
//! A Cyrillic а beside a Latin a, a 1 beside an l, rn beside m: what people cannot tell apart, one person must not use
//! to pass for another.
//!
//! Knows: UTS #39. Must not know: whose names they are.

use std::borrow::Cow;

use unicode_security::confusable_detection::skeleton;

/// What `text` looks like: equal for texts that people take for each other.
pub(super) fn looks(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        return Cow::Owned(skeleton(text).flat_map(char::to_lowercase).collect());
    }
    if !text.bytes().any(|byte| byte.is_ascii_uppercase() || ascii_prototype(byte).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut looks = String::with_capacity(text.len() + 4);
    for byte in text.bytes() {
        match ascii_prototype(byte) {
            Some(prototype) => looks.push_str(prototype),
            None => looks.push(char::from(byte.to_ascii_lowercase())),
        }
    }
    Cow::Owned(looks)
}

/// What the tables make of a character of ASCII, in lower case, unless it is itself: nearly all names are ASCII, and
/// this spares each login a search in the tables. A test compares.
fn ascii_prototype(byte: u8) -> Option<&'static str> {
    match byte {
        b'"' => Some("''"),
        b'%' => Some("°/₀"),
        b'0' => Some("o"),
        b'1' | b'I' | b'|' => Some("l"),
        b'`' => Some("'"),
        b'm' => Some("rn"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (one, other) in [
            ("ann", "аnn"),
            ("ANN", "ΑΝΝ"),
            ("paul", "pau1"),
            ("Iris", "lris"),
            ("bob", "b0b"),
            ("sam", "sarn"),
            ("ann", "a\u{200d}nn"),
            ("scope", "ѕсоре"),
        ] {
            assert_eq!(looks(one), looks(other), "{one} {other}");
        }
        for (one, other) in [("ann", "anna"), ("ann", "änn"), ("зоя", "зая"), ("日本", "日木")] {
            assert_ne!(looks(one), looks(other), "{one} {other}");
        }
    }

    #[test]
    fn the_short_way_for_ascii_is_what_the_tables_say() {
        for byte in b' '..=b'~' {
            let text = char::from(byte).to_string();
            let by_tables: String = skeleton(&text).flat_map(char::to_lowercase).collect();
            assert_eq!(looks(&text), by_tables, "{text}");
        }
    }
}
