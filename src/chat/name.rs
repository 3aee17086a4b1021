//! Defines the names of people and rooms: what a name may be, and when two are the same.
//!
//! Names are checked and compared by the Nickname profile of PRECIS (RFC 8266): case, width and runs of spaces make
//! no difference; control, formatting and unassigned characters are refused, so that no name can reorder or hide text.
//! They are shown as typed. The library's tables are those of Unicode 6.3: characters that came later are unassigned.
//!
//! Knows: PRECIS. Must not know: who has which name.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use precis_core::profile::{Profile, Rules, stabilize};
use precis_profiles::Nickname;

use super::error::{Code, Refusal};
use crate::wire::escape;

/// The most characters of a name, as typed.
const CHARACTERS_MAX: usize = 32;

/// What is compared: equal for names that count as the same. Shared, because tables are keyed by it.
pub(super) type Key = Arc<str>;

/// The name of a person or a room, in three forms. Most names look the same in all of them and are kept once.
pub(super) struct Name {
    /// As typed.
    pub(super) shown: Arc<str>,
    /// As compared.
    pub(super) key: Key,
    /// As typed, ready to stand in an attribute.
    pub(super) escaped: Arc<str>,
}

impl Name {
    /// `text` as the nick of a person.
    pub(super) fn nick(text: &str) -> Result<Name, Refusal> {
        Name::new(text).ok_or(Refusal::from(Code::BadNick))
    }

    /// `text` as the name of a room.
    pub(super) fn room(text: &str) -> Result<Name, Refusal> {
        Name::new(text).ok_or(Refusal::from(Code::BadRoom))
    }

    fn new(text: &str) -> Option<Name> {
        if text.chars().nth(CHARACTERS_MAX).is_some() {
            return None;
        }
        let shown: Arc<str> = text.into();
        let shared = |form: &str| if *form == *shown { Arc::clone(&shown) } else { form.into() };
        let (key, escaped) = (shared(&key(text)?), shared(&escape(text)));
        Some(Name { shown, key, escaped })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown)
    }
}

/// What `text` is compared by; `None` when it can be nobody's name.
pub(super) fn key(text: &str) -> Option<Cow<'_, str>> {
    let key = if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        ascii_key(text)
    } else {
        stabilize(text, enforced_for_comparison).ok()?
    };
    (!key.is_empty()).then_some(key)
}

/// What the profile does to printable ASCII, without its tables: nearly all names are that, and every message names a
/// room.
fn ascii_key(text: &str) -> Cow<'_, str> {
    let kept = !text.bytes().any(|byte| byte.is_ascii_uppercase())
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ");
    if kept {
        return Cow::Borrowed(text);
    }
    let mut key = String::with_capacity(text.len());
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !key.is_empty() {
            key.push(' ');
        }
        key.push_str(word);
    }
    key.make_ascii_lowercase();
    Cow::Owned(key)
}

/// The steps of RFC 8266 §2.4, once; they are repeated until nothing changes.
fn enforced_for_comparison(text: &str) -> Result<Cow<'_, str>, precis_core::Error> {
    let profile = Nickname::new();
    let text = profile.prepare(text)?;
    let text = profile.additional_mapping_rule(text)?;
    let text = profile.case_mapping_rule(text)?;
    profile.normalization_rule(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        key(a).expect("a name") == key(b).expect("a name")
    }

    #[test]
    fn case_width_and_spaces_make_no_difference() {
        assert!(same("Ann", "aNN"));
        assert!(same("ＡＮＮ", "ann"));
        assert!(same("  Ann \u{a0} Lee ", "ann lee"));
        assert!(same("ΣΊΣΥΦΟΣ", "σίσυφοσ"));
        assert!(same("Zo\u{eb}", "zoe\u{308}"));
        assert!(!same("ann", "аnn"), "a Cyrillic letter is another one, RFC 8266 has no table of look-alikes");
        assert!(!same("ann lee", "annlee"));
    }

    #[test]
    fn names_that_cannot_be_seen_or_that_deceive_are_refused() {
        let refused = [
            "",
            " ",
            "\u{a0}\u{3000}",
            "a\tb",
            "a\nb",
            "a\u{7f}",
            "a\u{85}b",
            "a\u{ad}b",
            "a\u{200b}b",
            "a\u{200d}b",
            "a\u{200e}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{61c}b",
            "\u{feff}a",
            "a\u{2028}b",
            "a\u{fffe}b",
            "a\u{e0041}b",
            "a\u{fe0f}",
            "\u{e000}",
            "\u{378}",
        ];
        for name in refused {
            assert!(Name::nick(name).is_err(), "{name:?}");
        }
        for name in ["a", "Ann Lee", "<&\"'>", "Зоя", "日本", "😀", "!", "a.b-c_d", "ﷺ"] {
            assert_eq!(&*Name::nick(name).expect(name).shown, name);
        }
    }

    #[test]
    fn length_is_counted_in_characters_as_typed() {
        for letter in ["a", "я", "語", "😀"] {
            assert!(Name::nick(&letter.repeat(32)).is_ok(), "{letter}");
            assert!(Name::nick(&letter.repeat(33)).is_err(), "{letter}");
        }
        assert!(Name::room(&" ".repeat(33)).is_err());
    }

    #[test]
    fn the_short_way_for_ascii_is_what_the_profile_says() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..random % 7 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push(char::from(b"  aAzZ<09~"[(random >> 33) as usize % 10]));
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let profile = stabilize(text.as_str(), enforced_for_comparison).ok().filter(|key| !key.is_empty());
            assert_eq!(key(&text), profile, "{text:?}");
        }
    }
}
