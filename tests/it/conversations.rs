//! Runs the plays in `tests/conversations`: files that say, line by line, what each person sends to a chat and what
//! each person receives, without a network and without a clock that runs. A play ends with nothing left unread.
//!
//! | line | meaning |
//! |---|---|
//! | `# text`, an empty line | nothing |
//! | `The server has rooms_max 2` | a limit; before anything else |
//! | `Romeo connects`, `Romeo connects from 192.0.2.1` | a connection is there, from 127.0.0.1 or elsewhere |
//! | `Romeo sends: <ping/>` | one frame |
//! | `Romeo receives: <pong/>` | exactly this frame is next |
//! | `Romeo receives nothing` | no frame is waiting for him |
//! | `Romeo is closed: quit` | the server closed his connection, for this reason |
//! | `Romeo hangs up`, `Romeo is lost` | his side ends the connection in order; the network breaks it |
//! | `Romeo is silent` | the server notices that half of `idle_seconds_max` passed without a frame |
//! | `60 seconds pass` | time passes, a second at a time |
//! | `The server stops` | a graceful stop begins |
//!
//! In frames, `*` as a whole attribute value matches any; `{word}` in place of one is remembered at the first time and
//! means that value from then on; `{a*33}` is 33 letters a.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xmlsocket::chat::{Chat, Code, Settings};
use xmlsocket::server::{CloseReason, ConnectionId, Stage};

#[test]
fn every_play_goes_as_written() {
    let plays = plays();
    assert!(plays.len() >= 12, "only {} plays were found", plays.len());
    let mut failures = String::new();
    for (path, text) in &plays {
        if let Err((line, failure)) = Play::run(text) {
            let _ = writeln!(failures, "\n{}:{line}: {failure}", path.display());
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_error_code_is_in_a_play() {
    let plays = plays();
    for code in Code::ALL {
        let error = format!("<error code=\"{}\"", code.as_str());
        let played = plays
            .iter()
            .any(|(_, text)| text.lines().any(|line| line.contains(" receives: ") && line.contains(&error)));
        assert!(played, "no play shows {error}");
    }
}

#[test]
fn every_error_code_is_documented() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let texts = std::fs::read_dir(folder).expect("the documents").map(|file| file.expect("a file").path());
    let texts = texts.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let texts: String = texts.map(|path| std::fs::read_to_string(path).expect("a document")).collect();
    for code in Code::ALL {
        assert!(texts.contains(&format!("| `{}` |", code.as_str())), "no document explains {code:?}");
    }
}

#[test]
fn a_play_that_goes_otherwise_fails() {
    for (play, failure) in [
        ("Romeo connects\nRomeo sends: <ping/>", "2: Romeo has not read: <pong/>"),
        ("Romeo connects\nRomeo sends: <ping/>\nRomeo receives: <ping/>", "3: expected <ping/>\n     got <pong/>"),
        ("Romeo connects\nRomeo sends: <ping/>\nRomeo receives nothing", "3: expected nothing\n     got <pong/>"),
        ("Romeo connects\nRomeo receives: <pong/>", "2: expected <pong/>\n     got nothing"),
        ("Romeo connects\nRomeo is closed: quit", "2: Romeo is not closed"),
        ("Romeo sends: <ping/>", "1: Romeo is not connected"),
        ("Romeo connects\nRomeo sleeps", "2: not a line of a play: Romeo sleeps"),
        ("Romeo connects\nRomeo sends: <ping id=\"{a}\"/>", "2: nothing is remembered as {a}"),
    ] {
        let (line, text) = Play::run(play).expect_err(play);
        assert_eq!(format!("{line}: {text}"), failure);
    }
}

/// All plays: their files and texts, in the order of their names.
fn plays() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let files = std::fs::read_dir(folder).expect("the folder of plays");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a play");
            (path, text)
        })
        .collect()
}

/// A play as it goes on.
struct Play {
    stage: Stage<Chat>,
    people: HashMap<String, Person>,
    /// What `{word}` stands for.
    remembered: HashMap<String, String>,
}

/// Somebody in a play. Whoever connects again has a new connection; what came over the old one is still to be read.
struct Person {
    connection: ConnectionId,
    unread: VecDeque<String>,
}

impl Play {
    /// Plays `text`; the failure comes with the number of its line.
    fn run(text: &str) -> Result<(), (usize, String)> {
        let mut settings = Settings::default();
        settings.version = "1.0".to_owned();
        let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())).peekable();
        let is_heading = |line: &str| line.is_empty() || line.starts_with('#') || line.starts_with("The server has ");
        while let Some((n, line)) = lines.next_if(|(_, line)| is_heading(line)) {
            let Some(limit) = line.strip_prefix("The server has ") else { continue };
            let (name, value) = limit.split_once(' ').ok_or((n, format!("not a limit: {limit}")))?;
            let value = value.parse().map_err(|_| (n, format!("not a number: {value}")))?;
            settings.limits.set(name, value).map_err(|error| (n, error.to_string()))?;
        }
        let mut sessions = 0_u8;
        let random = move |bytes: &mut [u8]| {
            sessions += 1;
            bytes.fill(sessions);
        };
        let stage = Stage::new(Chat::new(settings, Box::new(random)));
        let mut play = Play { stage, people: HashMap::new(), remembered: HashMap::new() };
        let mut last = 0;
        for (n, line) in lines {
            last = n;
            if !line.is_empty() && !line.starts_with('#') {
                play.line(line).map_err(|failure| (n, failure))?;
            }
        }
        play.end().map_err(|failure| (last, failure))
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line == "The server stops" {
            self.stage.shut_down();
            return Ok(());
        }
        if let Some((number, "seconds pass" | "second passes")) = line.split_once(' ') {
            let seconds: u64 = number.parse().map_err(|_| format!("not a number: {number}"))?;
            (0..seconds).for_each(|_| self.stage.wait(Duration::from_secs(1)));
            return Ok(());
        }
        let (person, action) = line.split_once(' ').ok_or(format!("not a line of a play: {line}"))?;
        if let Some(from) = action.strip_prefix("connects") {
            let from = from.strip_prefix(" from ").unwrap_or("127.0.0.1");
            let address = from.parse().map_err(|_| format!("not an address: {from}"))?;
            let connection = self.stage.open_from(SocketAddr::new(address, 50_000));
            let unread = self.people.remove(person).map(|before| self.unread_of(before)).unwrap_or_default();
            self.people.insert(person.to_owned(), Person { connection, unread });
            return Ok(());
        }
        let connection = self.people.get(person).ok_or(format!("{person} is not connected"))?.connection;
        if let Some(frame) = action.strip_prefix("sends: ") {
            let frame = self.filled(frame)?;
            self.stage.say(connection, &frame);
            return Ok(());
        }
        if let Some(expected) = action.strip_prefix("receives: ") {
            let Some(got) = self.hear(person).pop_front() else { return Err(differs(expected, "nothing")) };
            return if self.matches(expected, &got) { Ok(()) } else { Err(differs(expected, &got)) };
        }
        if let Some(reason) = action.strip_prefix("is closed: ") {
            let closed = self.stage.closed(connection).ok_or(format!("{person} is not closed"))?;
            return if closed.code() == reason { Ok(()) } else { Err(differs(reason, closed.code())) };
        }
        match action {
            "receives nothing" => return self.hear(person).front().map_or(Ok(()), |got| Err(differs("nothing", got))),
            "hangs up" => self.stage.leave(connection, CloseReason::ByPeer),
            "is lost" => self.stage.leave(connection, CloseReason::Lost("reset".to_owned())),
            "is silent" => self.stage.idle(connection),
            _ => return Err(format!("not a line of a play: {line}")),
        }
        Ok(())
    }

    /// What a person who is in the play has not read yet.
    fn hear(&mut self, person: &str) -> &mut VecDeque<String> {
        let person = self.people.get_mut(person).expect("the person is connected");
        person.unread.extend(self.stage.hear(person.connection));
        &mut person.unread
    }

    /// What came over a connection before its person connected anew.
    fn unread_of(&mut self, mut person: Person) -> VecDeque<String> {
        person.unread.extend(self.stage.hear(person.connection));
        person.unread
    }

    /// Whether `got` is what is expected; remembers what is to be.
    fn matches(&mut self, expected: &str, got: &str) -> bool {
        let (mut expected, mut got) = (expected, got);
        let mut found = Vec::new();
        while !expected.is_empty() {
            let value = got.split('"').next().unwrap_or_default();
            if let Some(rest) = expected.strip_prefix("*\"") {
                (expected, got) = (rest, got[value.len()..].strip_prefix('"').unwrap_or("\0"));
            } else if let Some((word, rest)) = word(expected) {
                let filled = self.filled(&expected[..expected.len() - rest.len()]);
                let meant = filled.unwrap_or_else(|_| {
                    found.push((word.to_owned(), value.to_owned()));
                    value.to_owned()
                });
                let Some(after) = got.strip_prefix(&*meant) else { return false };
                (expected, got) = (rest, after);
            } else {
                let (Some(a), Some(b)) = (expected.chars().next(), got.chars().next()) else { return false };
                if a != b {
                    return false;
                }
                (expected, got) = (&expected[a.len_utf8()..], &got[b.len_utf8()..]);
            }
        }
        if got.is_empty() {
            self.remembered.extend(found);
        }
        got.is_empty()
    }

    /// `text` with what `{word}` and `{a*33}` stand for.
    fn filled(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((word, after)) = word(rest) {
                match (word.split_once('*'), self.remembered.get(word)) {
                    (Some((what, times)), _) => filled += &what.repeat(times.parse().map_err(|_| times.to_owned())?),
                    (None, Some(value)) => filled += value,
                    (None, None) => return Err(format!("nothing is remembered as {{{word}}}")),
                }
                rest = after;
            } else {
                filled.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        Ok(filled)
    }

    /// Nobody may have anything left to read.
    fn end(mut self) -> Result<(), String> {
        let mut names: Vec<String> = self.people.keys().cloned().collect();
        names.sort();
        for name in names {
            if let Some(frame) = self.hear(&name).front() {
                return Err(format!("{name} has not read: {frame}"));
            }
        }
        Ok(())
    }
}

/// The word in braces at the beginning of `text`, and what follows. Braces with anything else in them are text.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.strip_prefix('{')?.split_once('}')?;
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '*' || c == '&' || c == ';');
    is_word.then_some((word, rest))
}

fn differs(expected: &str, got: &str) -> String {
    format!("expected {expected}\n     got {got}")
}
