//! Defines the closed list of what the chat refuses: a code for programs, a sentence for people.
//!
//! Knows: codes and sentences. Must not know: which command refuses what.

use std::borrow::Cow;

/// Declares [`Code`], so that no code can be without its text and its sentence.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $sentence:literal;)+) => {
        /// The code of an `<error>`: what a client's program decides by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code as it stands in the attribute.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $code,)+
                }
            }

            /// What a person can do about it, when nothing more precise is known.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Code::$variant => $sentence,)+
                }
            }
        }
    };
}

codes! {
    /// A frame that is not a document. Listeners for chat answer these before the application sees them.
    NotXml = "not-xml", "The frame is not one well-formed XML element.";
    /// The element has no meaning here.
    UnknownRequest = "unknown-request", "This server does not know that element.";
    /// An attribute is missing or has a value that cannot be meant.
    BadRequest = "bad-request", "An attribute is missing or has a value that cannot be used.";
    /// Something but login, ping, pong, quit and rooms before the login.
    NotLoggedIn = "not-logged-in", "Log in first: <login nick=\"..\"/>.";
    /// The login did not come in time; the connection is closed.
    LoginTimeout = "login-timeout", "No login came in time. Connect again and send <login nick=\"..\"/>.";
    /// A second login on one connection.
    AlreadyLoggedIn = "already-logged-in", "This connection is logged in already. Change the name with <nick name=\"..\"/>.";
    /// A nick that nobody can have.
    BadNick = "bad-nick", "A nick has 1 to 32 characters: none that cannot be seen, and not spaces alone.";
    /// Somebody has the nick, or one that is compared equal.
    NickInUse = "nick-in-use", "Somebody here has this nick, or one that looks the same. Choose another one.";
    /// A name that no room can have.
    BadRoom = "bad-room", "The name of a room has 1 to 32 characters: none that cannot be seen, and not spaces alone.";
    /// There is no room of that name.
    NoSuchRoom = "no-such-room", "There is no room of this name. A join makes it.";
    /// The room is there, but one must be in it for this.
    NotInRoom = "not-in-room", "You are not in this room. Join it first.";
    /// The room has a password, and it is another one.
    WrongPassword = "wrong-password", "The room has a password, and this is not it.";
    /// `rooms_per_user_max`.
    TooManyRooms = "too-many-rooms", "You are in as many rooms as one person may be. Leave one first.";
    /// `rooms_max`.
    RoomsFull = "rooms-full", "The server has as many rooms as it may have. Join one that is there.";
    /// Nobody has the nick.
    NoSuchUser = "no-such-user", "Nobody here has this nick.";
    /// Only the room's owner may do that.
    NotOwner = "not-owner", "Only the owner of the room may do this.";
    /// More bytes than the server keeps or sends: a message, topic, variable, password or id.
    TooLong = "too-long", "This is longer than the server takes.";
    /// A name that no variable can have.
    BadVariable = "bad-variable", "The name of a variable has 1 to 32 characters from a-z, A-Z, 0-9 and _ - . :";
    /// `variables_max`.
    TooManyVariables = "too-many-variables", "There are as many variables as there may be. Delete one first: set it to nothing.";
}

/// A request that was not carried out, and why. Nothing has changed.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    /// Instead of the code's own sentence, when more is known.
    pub(super) text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with a sentence made for the case.
    pub(super) fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code, text: text.into() }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Refusal {
        Refusal::new(code, code.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_have_sentences() {
        for (n, code) in Code::ALL.iter().enumerate() {
            assert!(Code::ALL[..n].iter().all(|other| other.as_str() != code.as_str()), "{code:?} is there twice");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code:?}");
            assert!(code.sentence().starts_with(|c: char| c.is_ascii_uppercase()), "{code:?}");
        }
    }
}
