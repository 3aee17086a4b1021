//! Defines the names of people and rooms: what a name may be, and when two are the same.
//!
//! Names are checked and compared by the Nickname profile of PRECIS (RFC 8266): case, width and runs of spaces make
//! no difference; control, formatting and unassigned characters are refused, so that no name can reorder or hide text.
//! They are shown as typed. What a peer typed is looked at only as a [`Typed`], which is short.
//!
//! Knows: how long a name may be, ASCII. Must not know: who has which name.

use std::borrow::Cow;
use std::sync::Arc;

use super::error::{Code, Refusal};
use super::looks::looks;
use super::profile;
use crate::wire::escape;

/// The most characters of a name, as typed.
const CHARACTERS_MAX: usize = 32;

/// The most bytes of so many characters.
const BYTES_MAX: usize = 4 * CHARACTERS_MAX;

/// What is compared: equal for names that count as the same. Shared, because tables are keyed by it.
pub(super) type Key = Arc<str>;

/// What somebody typed where a name is due, and short enough for one: the only text that is compared as names are.
#[derive(Clone, Copy)]
pub(super) struct Typed<'a>(&'a str);

impl<'a> Typed<'a> {
    /// `text`, unless it is too long for a name.
    pub(super) fn new(text: &'a str) -> Option<Typed<'a>> {
        let fits =
            text.len() <= CHARACTERS_MAX || text.len() <= BYTES_MAX && text.chars().nth(CHARACTERS_MAX).is_none();
        fits.then_some(Typed(text))
    }

    /// The text as it was typed.
    pub(super) fn as_str(self) -> &'a str {
        self.0
    }
}

/// The name of a person or a room, in its forms. Most names look the same in all of them and are kept once.
#[derive(Debug)]
pub(super) struct Name {
    /// As typed.
    pub(super) shown: Arc<str>,
    /// As compared.
    pub(super) key: Key,
    /// As typed, ready to stand in an attribute.
    pub(super) escaped: Arc<str>,
    /// What it looks like, as compared and as typed: two people here have none of these in common.
    pub(super) looks: [Arc<str>; 2],
}

impl Name {
    /// What was typed as the nick of a person.
    pub(super) fn nick(typed: Typed<'_>) -> Result<Name, Refusal> {
        Name::new(typed).ok_or(Refusal::from(Code::BadNick))
    }

    /// What was typed as the name of a room.
    pub(super) fn room(typed: Typed<'_>) -> Result<Name, Refusal> {
        Name::new(typed).ok_or(Refusal::from(Code::BadRoom))
    }

    fn new(typed: Typed<'_>) -> Option<Name> {
        let text = typed.as_str();
        let shown: Arc<str> = text.into();
        let shared = |form: &str, same: &Arc<str>| if *form == **same { Arc::clone(same) } else { form.into() };
        let key = shared(&key(typed)?, &shown);
        let escaped = shared(&escape(text), &shown);
        let as_compared = shared(&looks(&key), &key);
        let as_typed = shared(&looks(text), &as_compared);
        Some(Name { shown, key, escaped, looks: [as_compared, as_typed] })
    }
}

/// What a name is compared by; `None` when it can be nobody's.
pub(super) fn key(typed: Typed<'_>) -> Option<Cow<'_, str>> {
    let text = typed.as_str();
    let key = if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        ascii_key(text)
    } else {
        Cow::Owned(profile::enforce(text)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let key = |text| Typed::new(text).and_then(key).expect("a name");
        key(a) == key(b)
    }

    fn nick(text: &str) -> Option<Name> {
        Typed::new(text).and_then(|typed| Name::nick(typed).ok())
    }

    #[test]
    fn case_width_and_spaces_make_no_difference() {
        assert!(same("Ann", "aNN"));
        assert!(same("ＡＮＮ", "ann"));
        assert!(same("  Ann \u{a0} Lee ", "ann lee"));
        assert!(same("ΣΊΣΥΦΟΣ", "σίσυφοσ"));
        assert!(same("Zo\u{eb}", "zoe\u{308}"));
        assert!(!same("ann", "аnn"), "a Cyrillic letter is another one: to look alike is not to be the same");
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
            // In ink they are nothing: patterns, fillers, notes without a head, what stands for an object.
            "\u{2800}",
            "Ann\u{2800}",
            "Ann\u{1d159}",
            "Ann\u{fffc}",
            "Ann\u{16fe4}",
            "Ann\u{13441}",
            "\u{115f}",
            "\u{1160}",
            "\u{3164}",
            "\u{ffa0}",
            "Ann\u{3164}",
            "Ann\u{34f}",
            "Ann\u{180b}",
            "Ann\u{e0100}",
            "Ann\u{2065}",
            "\u{301}",
            "\u{1100}",
        ];
        for name in refused {
            assert!(nick(name).is_none(), "{name:?}");
        }
        // The last ones came with Unicode 7 to 17.
        for name in ["a", "Ann Lee", "<&\"'>", "Зоя", "日本", "한글", "😀", "!", "a.b-c_d", "ﷺ", "🙂", "🦀", "🫨", "🫪"]
        {
            assert_eq!(&*nick(name).expect(name).shown, name);
        }
    }

    #[test]
    fn length_is_counted_in_characters_as_typed() {
        for letter in ["a", "я", "語", "😀"] {
            assert!(nick(&letter.repeat(32)).is_some(), "{letter}");
            assert!(Typed::new(&letter.repeat(33)).is_none(), "{letter}");
        }
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
            let key = Typed::new(&text).and_then(key).map(Cow::into_owned);
            assert_eq!(key, profile::enforce(&text), "{text:?}");
        }
    }
}
