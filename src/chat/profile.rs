//! Defines what the Nickname profile of PRECIS (RFC 8266) makes of a text, over the tables of the current Unicode.
//!
//! The published tables of PRECIS end with Unicode 6.3, and so do the libraries that follow them; but RFC 8264 §8
//! derives its classes from properties of Unicode, which well-kept libraries have. What is decided beyond the RFCs:
//!
//! - What is assigned, allowed and yet blank in every font is refused like what cannot be seen.
//! - A name begins with no mark: it would sit on what stands before the name.
//! - Emoji are taken as phones type them: a variation selector after one, which makes no difference, and a joiner
//!   between two.
//! - A non-joiner may stand between any two Arabic letters (RFC 5892 A.1 asks for letters that join). What that
//!   leaves undistinguished to the eye is compared equal by its looks.
//!
//! Every rule takes time in proportion to the text: whether it holds what the rules for single characters ask for is
//! looked up once.
//!
//! Knows: RFC 8264, RFC 8266. Must not know: how long a name may be, who has which.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};
use unicode_security::confusable_detection::skeleton;

/// How often the steps are repeated until nothing changes (RFC 8264 §7); what still changes then is refused.
const ROUNDS_MAX: usize = 4;

/// The most characters of what is compared: one that stands for many (U+FDFA for 18) is looked at as these.
const KEY_CHARACTERS_MAX: usize = 64;

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const EMOJI_STYLE: char = '\u{fe0f}';

/// The class of characters with a virama, after which joiners have a meaning of their own.
const VIRAMA: u8 = 9;

/// Symbols and letters that have a meaning and no ink.
const BLANK: &[char] =
    &['\u{2800}', '\u{fffc}', '\u{13441}', '\u{13442}', '\u{16fe4}', '\u{1d159}', '\u{1da7f}', '\u{1da80}'];

/// What `text` is compared by; `None` when it can be nobody's name.
pub(super) fn enforce(text: &str) -> Option<String> {
    let mut before = round(text)?;
    for _ in 1..ROUNDS_MAX {
        let after = round(&before)?;
        if after == before {
            return Some(after).filter(|key| !key.is_empty());
        }
        before = after;
    }
    None
}

/// The steps of RFC 8266 §2.4, once: the class, spaces, case, compatibility.
fn round(text: &str) -> Option<String> {
    if !is_allowed(text) {
        return None;
    }
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.general_category() == GeneralCategory::SpaceSeparator {
            if !mapped.is_empty() && !mapped.ends_with(' ') {
                mapped.push(' ');
            }
        } else if c != EMOJI_STYLE {
            mapped.extend(c.to_lowercase());
        }
    }
    let mut characters = mapped.trim_end_matches(' ').nfkc();
    let key: String = characters.by_ref().take(KEY_CHARACTERS_MAX).collect();
    characters.next().is_none().then_some(key)
}

/// Whether every character is of the FreeformClass (RFC 8264 §4.3, derived as in §8), and in a place where it may be.
fn is_allowed(text: &str) -> bool {
    let whole = Whole::of(text);
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.clone().next();
        let allowed = match c {
            NON_JOINER | JOINER => joins(c, before, after),
            EMOJI_STYLE => before.is_some_and(|before| before.is_emoji_char()),
            '\u{b7}' => (before, after) == (Some('l'), Some('l')),
            '\u{375}' => after.is_some_and(|after| after.script() == Script::Greek),
            '\u{5f3}' | '\u{5f4}' => before.is_some_and(|before| before.script() == Script::Hebrew),
            '\u{30fb}' => whole.has_japanese,
            '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => !(whole.has_arabic_digits && whole.has_extended_digits),
            // The exceptions of RFC 8264 §9.6 that would be allowed otherwise, and letters of old Hangul.
            '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}' => false,
            '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7c6}' | '\u{d7cb}'..='\u{d7fb}' => {
                false
            }
            _ => is_freeform(c) && (before.is_some() || !is_combining_mark(c)),
        };
        if !allowed {
            return false;
        }
        before = Some(c);
    }
    true
}

/// Whether a character is allowed wherever it stands, but for the exceptions.
fn is_freeform(c: char) -> bool {
    let allowed = match c.general_category_group() {
        GeneralCategoryGroup::Other => false,
        GeneralCategoryGroup::Separator => c.general_category() == GeneralCategory::SpaceSeparator,
        GeneralCategoryGroup::Letter
        | GeneralCategoryGroup::Mark
        | GeneralCategoryGroup::Number
        | GeneralCategoryGroup::Punctuation
        | GeneralCategoryGroup::Symbol => true,
    };
    allowed && !BLANK.contains(&c) && !is_ignorable(c)
}

/// Whether a character has the property Default_Ignorable_Code_Point: nothing else leaves no skeleton (UTS #39).
fn is_ignorable(c: char) -> bool {
    skeleton(c.encode_utf8(&mut [0; 4])).next().is_none()
}

/// Whether a joiner or non-joiner has a meaning between these two (RFC 5892 A.1, A.2, and emoji).
fn joins(joiner: char, before: Option<char>, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    let between = |is: fn(char) -> bool| is(before) && after.is_some_and(is);
    let after_virama = canonical_combining_class(before) == VIRAMA;
    match joiner {
        NON_JOINER => after_virama || between(|c| c.script() == Script::Arabic && c.is_alphabetic()),
        _ => after_virama || between(|c| c == EMOJI_STYLE || c.is_emoji_char() && !c.is_ascii()),
    }
}

/// What the rules for single characters ask about the whole text (RFC 5892 A.7 to A.9).
#[derive(Default)]
struct Whole {
    has_japanese: bool,
    has_arabic_digits: bool,
    has_extended_digits: bool,
}

impl Whole {
    fn of(text: &str) -> Whole {
        let mut whole = Whole::default();
        for c in text.chars().filter(|c| !c.is_ascii()) {
            match c {
                '\u{660}'..='\u{669}' => whole.has_arabic_digits = true,
                '\u{6f0}'..='\u{6f9}' => whole.has_extended_digits = true,
                _ => whole.has_japanese |= matches!(c.script(), Script::Hiragana | Script::Katakana | Script::Han),
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stand_only_in_some_places_is_refused_in_others() {
        for (allowed, refused) in [
            ("col\u{b7}leg", "col\u{b7}eg"),
            ("\u{375}α", "\u{375}a"),
            ("א\u{5f3}", "a\u{5f3}"),
            ("א\u{5f4}", "\u{5f4}א"),
            ("ア\u{30fb}b", "a\u{30fb}b"),
            ("漢\u{30fb}", "\u{30fb}"),
            ("٣٤a", "٣۴a"),
            ("۳۴a", "۳٤a"),
            ("علی\u{200c}رضا", "ann\u{200c}a"),
            ("क्\u{200d}ष", "क\u{200d}ष"),
            ("क्\u{200c}ष", "\u{200c}"),
            ("👩\u{200d}💻", "👩\u{200d}a"),
            ("👩\u{1f3fd}\u{200d}💻", "\u{200d}💻"),
            ("❤\u{fe0f}", "a\u{fe0f}"),
            ("❤\u{fe0f}\u{200d}🔥", "\u{fe0f}"),
            ("e\u{301}", "\u{301}e"),
        ] {
            assert!(enforce(allowed).is_some(), "{allowed:?}");
            assert!(enforce(refused).is_none(), "{refused:?}");
        }
    }

    #[test]
    fn letters_that_are_exceptions_are_refused() {
        for c in
            "\u{640}\u{7fa}\u{302e}\u{302f}\u{3031}\u{3035}\u{303b}\u{1100}\u{11ff}\u{a960}\u{d7b0}\u{d7fb}".chars()
        {
            assert!(enforce(&format!("a{c}")).is_none(), "{c:?}");
        }
    }

    #[test]
    fn the_style_of_an_emoji_makes_no_difference() {
        assert_eq!(enforce("❤\u{fe0f}"), enforce("❤"));
        assert_ne!(enforce("❤"), enforce("💛"));
    }

    #[test]
    fn what_is_compared_has_a_length_too() {
        assert!(enforce(&"ﷺ".repeat(3)).is_some());
        assert!(enforce(&"ﷺ".repeat(4)).is_none());
        let most = format!("{}{}", "ﷺ".repeat(3), "я".repeat(10));
        assert!(enforce(&most).is_some() && enforce(&(most + "я")).is_none());
    }

    #[test]
    fn nothing_is_left_that_another_round_would_change() {
        for c in ('\u{80}'..=char::MAX).step_by(7) {
            if let Some(key) = enforce(&format!("a{c}")) {
                assert_eq!(enforce(&key).as_deref(), Some(&*key), "{c:?}");
                assert_eq!(round(&key).as_deref(), Some(&*key), "{c:?}");
            }
        }
    }

    #[test]
    fn the_tables_are_those_of_a_current_unicode() {
        let versions = [
            (unicode_normalization::UNICODE_VERSION.0.into(), "normalization"),
            (unicode_properties::UNICODE_VERSION.0, "properties"),
            (unicode_script::UNICODE_VERSION.0, "script"),
            (unicode_security::UNICODE_VERSION.0, "security"),
        ];
        assert!(versions.iter().all(|(version, _)| *version == versions[0].0 && *version >= 16), "{versions:?}");
    }
}
