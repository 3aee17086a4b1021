//! Defines [`Speech`], how things are said on the screen: sentences, and names in colours.
//!
//! Knows: colours, what is safe to print. Must not know: what was asked, who is where.

use std::io::IsTerminal;

use crate::printable::printable;
use xmlsocket::wire::Document;

/// The colours of names: those of the terminal's own palette that can be read on light and on dark.
const COLOURS: [u8; 10] = [31, 32, 33, 34, 35, 36, 91, 92, 94, 95];

/// How things are said.
pub(super) struct Speech {
    colours: bool,
}

impl Speech {
    /// With colours for a person, unless the environment says that there shall be none (`NO_COLOR`).
    pub(super) fn new(for_person: bool) -> Speech {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Speech { colours: for_person && std::io::stdout().is_terminal() && !unwanted }
    }

    #[cfg(test)]
    pub(super) fn plain() -> Speech {
        Speech { colours: false }
    }

    /// A name; always in the same colour, however it is written.
    pub(super) fn name(&self, name: &str) -> String {
        let shown = printable(name);
        if !self.colours {
            return shown.into_owned();
        }
        let hash = name
            .to_lowercase()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let colour = COLOURS[hash as usize % COLOURS.len()];
        format!("\x1b[{colour}m{shown}\x1b[0m")
    }

    /// Any text of others.
    pub(super) fn text(&self, text: &str) -> String {
        printable(text).into_owned()
    }

    /// A message in a place. `time` when it is an old one.
    pub(super) fn message(&self, place: &str, from: &str, time: Option<&str>, text: &str) -> String {
        // "2026-11-20T21:56:00.123Z" to the minute.
        let time =
            time.map(|time| format!("{} ", printable(time).chars().take(16).collect::<String>().replace('T', " ")));
        let time = time.unwrap_or_default();
        let from = self.name(from);
        match text.strip_prefix("/me ") {
            Some(action) => format!("[{}] {time}* {from} {}", printable(place), printable(action)),
            None => format!("[{}] {time}{from}: {}", printable(place), printable(text)),
        }
    }

    /// Names, with their roles where they have one worth mentioning.
    pub(super) fn people<'a>(&self, people: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
        let people: Vec<String> = people
            .map(|(name, role)| match role {
                Some(role) if role != "member" => format!("{} ({})", self.name(name), printable(role)),
                _ => self.name(name),
            })
            .collect();
        people.join(", ")
    }
}

/// The content of a message as text: as it is written when there are elements in it, so that nothing is hidden.
pub(super) fn content(document: &Document) -> String {
    if document.root().children().any(|node| node.is_element()) {
        return document.content().to_owned();
    }
    document.root().children().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmlsocket::wire::Frame;

    #[test]
    fn a_name_keeps_its_colour_and_cannot_bring_its_own() {
        let speech = Speech { colours: true };
        assert_eq!(speech.name("Ann").replace("Ann", "ann"), speech.name("ann"));
        assert!(speech.name("ann").ends_with("mann\u{1b}[0m"));
        assert!(speech.name("\u{1b}[31mred").contains("\\u{1b}[31mred"));
        assert_eq!(Speech::plain().name("ann"), "ann");
        let different: std::collections::HashSet<_> =
            ["ann", "bob", "eve", "zoe", "max"].map(|name| speech.name(name)[..5].to_owned()).into();
        assert!(different.len() > 2, "{different:?}");
    }

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let speech = Speech::plain();
        assert_eq!(speech.message("lobby", "ann", None, "a\nb\u{1b}[2J"), "[lobby] ann: a\\nb\\u{1b}[2J");
        assert_eq!(speech.message("lobby", "ann", None, "/me waves"), "[lobby] * ann waves");
        let time = Some("2026-11-20T21:56:00.123Z");
        assert_eq!(speech.message("lobby", "ann", time, "hi"), "[lobby] 2026-11-20 21:56 ann: hi");
        assert_eq!(speech.message("a\r", "b\n", Some("\u{7}"), "c"), "[a\\r] \\u{7} b\\n: c");
    }

    #[test]
    fn elements_are_shown_as_they_were_written() {
        let rows = [
            ("<m>a &lt; b</m>", "a < b"),
            ("<m>a<![CDATA[<b>]]><!-- c -->d</m>", "a<b>d"),
            ("<m>a <b x='1'/> &amp;</m>", "a <b x='1'/> &amp;"),
            ("<m/>", ""),
        ];
        for (frame, expected) in rows {
            let document = Document::parse(Frame::try_from(frame).unwrap(), 100).unwrap();
            assert_eq!(content(&document), expected);
        }
    }
}
