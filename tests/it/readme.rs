//! The conversation that the README shows, played against the program.

use std::collections::HashMap;

use crate::program::{Raw, Serve};

/// Whether `text` is `shown`, where each `…` of it stands for anything.
fn is_shown(text: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn the_conversation_goes_as_the_readme_shows_it() {
    let readme = include_str!("../../README.md");
    let (_, session) = readme.split_once("```session\n").expect("the README shows a session");
    let (session, _) = session.split_once("```").expect("it ends");
    let server = Serve::start(&[]);
    let mut people: HashMap<&str, Raw> = HashMap::new();
    let mut heard = 0;
    for line in session.lines() {
        let (name, said) = line.split_at(3);
        let person = people.entry(name).or_insert_with(|| server.connect());
        match said.split_at(2) {
            ("> ", frame) => person.send(format!("{frame}\0").as_bytes()),
            ("< ", shown) => {
                let frame = person.frame().unwrap_or_default();
                assert!(is_shown(&frame, shown), "the README shows\n{shown}\nbut {name} got\n{frame}");
                heard += 1;
            }
            _ => panic!("neither said nor heard: {line}"),
        }
    }
    assert!(heard >= 11, "only {heard} lines were heard");
    server.stop();
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    assert!(is_shown("<a id=\"7\"/>", "<a id=\"…\"/>"));
    assert!(is_shown("<a/>", "<a/>"));
    assert!(!is_shown("<a id=\"7\" b=\"\"/>", "<a id=\"7\"/>"));
    assert!(!is_shown("<b id=\"7\"/>", "<a id=\"…\"/>"));
    assert!(!is_shown("<a id=\"7\">", "<a id=\"…\"/>"));
}
