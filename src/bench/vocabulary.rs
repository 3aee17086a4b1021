//! Defines [`Vocabulary`]: what a kind of server wants to hear and says, as far as the load generator needs it.
//!
//! Knows: how a vocabulary file is written (TOML, a key for each text), the two that come with the program. Must not know:
//! sockets, when something is sent.

use clap::ValueEnum;
use toml::de::{DeTable, DeValue};

use super::template::{Blank, Template};

/// A kind of server that needs no file: those of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// xmlsocket's chat
    Chat,
    /// A server that sends each frame to all, such as `xmlsocket serve --app relay`
    Relay,
}

/// What is said to a server and what it says. All texts without the delimiter; an empty one is not sent, not awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vocabulary {
    /// What ends every frame.
    pub(super) delimiter: Vec<u8>,
    /// The first thing that a connection says.
    pub(super) hello: Template,
    /// What the frame that answers `hello` holds.
    pub(super) ready: Vec<u8>,
    /// How a connection enters its room.
    pub(super) join: Template,
    /// What the frame that answers `join` holds.
    pub(super) joined: Vec<u8>,
    /// A message to the room.
    pub(super) message: Template,
    /// What a message looks like when it arrives.
    pub(super) deliver: Template,
    /// How a connection leaves its room.
    pub(super) leave: Template,
    /// What the frame that answers `leave` holds.
    pub(super) left: Vec<u8>,
    /// The last thing that a connection says; the server closes then. Where it is empty, the generator closes.
    pub(super) quit: Template,
    /// What a frame that asks for a sign of life begins with.
    pub(super) ping: Vec<u8>,
    /// The answer to it.
    pub(super) pong: Vec<u8>,
    /// Whether what follows `ping` in the frame follows `pong` in the answer.
    pub(super) pong_repeats: bool,
    /// What a frame begins with that says that something went wrong; `<error` where nothing else is known.
    pub(super) refused: Vec<u8>,
    /// Whether a sender gets its own messages.
    pub(super) echo: bool,
    /// Whether senders are connections of their own, which enter no room and receive no messages.
    pub(super) senders_apart: bool,
    /// Whether receivers acknowledge at once what they read. Servers that leave it to the system when small packets leave
    /// (TCP's Nagle) wait for that, up to 40 ms: what would be measured is the wait.
    pub(super) quick_ack: bool,
}

impl Vocabulary {
    /// The vocabulary of a preset.
    pub(super) fn of(preset: Preset) -> Vocabulary {
        let file = match preset {
            Preset::Chat => include_str!("chat.toml"),
            Preset::Relay => include_str!("relay.toml"),
        };
        Vocabulary::read(file).expect("a test reads them")
    }

    /// Reads a vocabulary file.
    ///
    /// # Errors
    /// What is wrong with it, to go on with after its name.
    pub(super) fn read(text: &str) -> Result<Vocabulary, String> {
        let table =
            DeTable::parse(text).map_err(|error| format!("is not TOML: {}", error.message().replace('\n', ", ")))?;
        let mut vocabulary = Vocabulary::plain();
        for (key, value) in table.get_ref() {
            let (key, value) = (key.get_ref().as_ref(), value.get_ref());
            match (vocabulary.word(key), value) {
                (Some(Word::Template(template)), DeValue::String(text)) => *template = Template::new(text),
                (Some(Word::Text(bytes)), DeValue::String(text)) => *bytes = Template::literal(text),
                (Some(Word::Switch(switch)), DeValue::Boolean(on)) => *switch = *on,
                (Some(Word::Switch(_)), _) => return Err(format!("says of `{key}` neither true nor false")),
                (Some(_), _) => return Err(format!("has something else than a text as `{key}`")),
                (None, _) => return Err(format!("has a key `{key}`, and no vocabulary has that")),
            }
        }
        if vocabulary.delimiter.is_empty() {
            return Err("has an empty `delimiter`: nothing would end a frame".to_owned());
        }
        if !vocabulary.message.has(Blank::Payload) {
            return Err("has no `message` that holds {payload}: receivers check it".to_owned());
        }
        if vocabulary.deliver.is_empty() {
            vocabulary.deliver.clone_from(&vocabulary.message);
        }
        Ok(vocabulary)
    }

    /// What `key` stands for in a file.
    fn word(&mut self, key: &str) -> Option<Word<'_>> {
        Some(match key {
            "delimiter" => Word::Text(&mut self.delimiter),
            "hello" => Word::Template(&mut self.hello),
            "ready" => Word::Text(&mut self.ready),
            "join" => Word::Template(&mut self.join),
            "joined" => Word::Text(&mut self.joined),
            "message" => Word::Template(&mut self.message),
            "deliver" => Word::Template(&mut self.deliver),
            "leave" => Word::Template(&mut self.leave),
            "left" => Word::Text(&mut self.left),
            "quit" => Word::Template(&mut self.quit),
            "ping" => Word::Text(&mut self.ping),
            "pong" => Word::Text(&mut self.pong),
            "pong_repeats" => Word::Switch(&mut self.pong_repeats),
            "refused" => Word::Text(&mut self.refused),
            "echo" => Word::Switch(&mut self.echo),
            "senders_apart" => Word::Switch(&mut self.senders_apart),
            "quick_ack" => Word::Switch(&mut self.quick_ack),
            _ => return None,
        })
    }

    /// Whether a frame says that something went wrong.
    pub(super) fn is_refusal(&self, frame: &[u8]) -> bool {
        frame.starts_with(&self.refused)
    }

    /// Appends the answer to `out` when a frame asks for a sign of life. Gives whether it does.
    pub(super) fn answer_ping(&self, frame: &[u8], out: &mut Vec<u8>) -> bool {
        if self.ping.is_empty() {
            return false;
        }
        let Some(rest) = frame.strip_prefix(self.ping.as_slice()) else { return false };
        out.extend_from_slice(&self.pong);
        if self.pong_repeats {
            out.extend_from_slice(rest);
        }
        out.extend_from_slice(&self.delimiter);
        true
    }

    /// Nothing said but messages, zero bytes between them, to everybody.
    fn plain() -> Vocabulary {
        let nothing = Template::new("");
        Vocabulary {
            delimiter: vec![0],
            hello: nothing.clone(),
            ready: Vec::new(),
            join: nothing.clone(),
            joined: Vec::new(),
            message: nothing.clone(),
            deliver: nothing.clone(),
            leave: nothing.clone(),
            left: Vec::new(),
            quit: nothing,
            ping: Vec::new(),
            pong: Vec::new(),
            pong_repeats: false,
            refused: b"<error".to_vec(),
            echo: true,
            senders_apart: false,
            quick_ack: false,
        }
    }
}

/// A key of a file, to be given its value.
enum Word<'a> {
    /// What is sent, with places to fill in.
    Template(&'a mut Template),
    /// Bytes that are sent, or looked for.
    Text(&'a mut Vec<u8>),
    /// Whether something is so.
    Switch(&'a mut bool),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_can_be_read() {
        let (chat, relay) = (Vocabulary::of(Preset::Chat), Vocabulary::of(Preset::Relay));
        assert_eq!((chat.delimiter.as_slice(), relay.delimiter.as_slice()), (&b"\0"[..], &b"\0"[..]));
        assert_eq!(relay.deliver, relay.message, "unless a file says otherwise");
        assert_ne!(chat.deliver, chat.message);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let rows = [
            ("message = ", "is not TOML: "),
            ("", "has no `message`"),
            ("message = 'hello'", "has no `message`"),
            ("message = 1", "has something else than a text as `message`"),
            ("message = '{payload}'\necho = 'no'", "says of `echo` neither true nor false"),
            ("message = '{payload}'\ndelimiter = ''", "has an empty `delimiter`"),
            ("message = '{payload}'\nmesage = '{payload}'", "has a key `mesage`"),
        ];
        for (text, sentence) in rows {
            let fault = Vocabulary::read(text).unwrap_err();
            assert!(fault.starts_with(sentence), "{text}: {fault}");
        }
    }
}
