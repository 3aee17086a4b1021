//! Defines [`Vocabulary`]: what a kind of server wants to hear and says, as far as the load generator needs it.
//!
//! Knows: the presets. Must not know: sockets, when something is sent.

use clap::ValueEnum;

use super::template::Template;

/// A kind of server that needs no templates on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// xmlsocket's chat
    Chat,
    /// A server that sends each frame to all, such as `xmlsocket serve --app relay`
    Relay,
    /// Redis: publish and subscribe
    Redis,
    /// NATS
    Nats,
    /// An IRC server
    Irc,
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
        match preset {
            Preset::Chat => Vocabulary::chat(),
            Preset::Relay => Vocabulary::relay(),
            Preset::Redis => Vocabulary::redis(),
            Preset::Nats => Vocabulary::nats(),
            Preset::Irc => Vocabulary::irc(),
        }
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

    /// Log in, join, and answer pings.
    fn chat() -> Vocabulary {
        Vocabulary {
            delimiter: vec![0],
            hello: Template::new("<login nick=\"b{i}\"/>"),
            ready: b"<welcome ".to_vec(),
            join: Template::new("<join room=\"bench{room}\"/>"),
            joined: b"<room ".to_vec(),
            message: Template::new("<message room=\"bench{room}\">{payload}</message>"),
            deliver: Template::new("<message id=\"{*}\">{payload}</message>"),
            leave: Template::new("<leave room=\"bench{room}\"/>"),
            left: b"<left ".to_vec(),
            quit: Template::new("<quit/>"),
            ping: b"<ping".to_vec(),
            pong: b"<pong/>".to_vec(),
            ..Vocabulary::plain()
        }
    }

    /// Messages that may be read as XML.
    fn relay() -> Vocabulary {
        Vocabulary {
            message: Template::new("<m>{payload}</m>"),
            deliver: Template::new("<m>{payload}</m>"),
            ..Vocabulary::plain()
        }
    }

    /// The protocol of Redis, version 2.
    fn redis() -> Vocabulary {
        Vocabulary {
            delimiter: b"\r\n".to_vec(),
            hello: Template::new("PING"),
            ready: b"+PONG".to_vec(),
            join: Template::new("SUBSCRIBE bench{room}"),
            joined: b":1".to_vec(),
            message: Template::new("*3\\r\\n$7\\r\\nPUBLISH\\r\\n$10\\r\\nbench{room}\\r\\n${bytes}\\r\\n{payload}"),
            deliver: Template::new("*3\\r\\n$7\\r\\nmessage\\r\\n$10\\r\\nbench{room}\\r\\n${bytes}\\r\\n{payload}"),
            leave: Template::new("UNSUBSCRIBE bench{room}"),
            left: b":0".to_vec(),
            quit: Template::new("QUIT"),
            refused: b"-".to_vec(),
            senders_apart: true,
            ..Vocabulary::plain()
        }
    }

    /// Whether a line was understood is asked with a ping.
    fn nats() -> Vocabulary {
        Vocabulary {
            delimiter: b"\r\n".to_vec(),
            hello: Template::new("CONNECT {\"verbose\":false}\\r\\nPING"),
            ready: b"PONG".to_vec(),
            join: Template::new("SUB bench{room} 1\\r\\nPING"),
            joined: b"PONG".to_vec(),
            message: Template::new("PUB bench{room} {bytes}\\r\\n{payload}"),
            deliver: Template::new("MSG bench{room} 1 {bytes}\\r\\n{payload}"),
            leave: Template::new("UNSUB 1\\r\\nPING"),
            left: b"PONG".to_vec(),
            ping: b"PING".to_vec(),
            pong: b"PONG".to_vec(),
            refused: b"-ERR".to_vec(),
            ..Vocabulary::plain()
        }
    }

    /// Names are as long as servers allow: nine letters at most.
    fn irc() -> Vocabulary {
        Vocabulary {
            delimiter: b"\r\n".to_vec(),
            hello: Template::new("NICK b{i}\\r\\nUSER bench 0 * :bench"),
            ready: b" 001 ".to_vec(),
            join: Template::new("JOIN #bench{room}"),
            joined: b" 366 ".to_vec(),
            message: Template::new("PRIVMSG #bench{room} :{payload}"),
            deliver: Template::new(":b{i}!{*} PRIVMSG #bench{room} :{payload}"),
            leave: Template::new("PART #bench{room}"),
            left: b" PART ".to_vec(),
            quit: Template::new("QUIT"),
            ping: b"PING".to_vec(),
            pong: b"PONG".to_vec(),
            pong_repeats: true,
            refused: b"ERROR".to_vec(),
            echo: false,
            quick_ack: true,
            ..Vocabulary::plain()
        }
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
