//! Defines [`Settings`]: what a chat is told when it is made.
//!
//! Knows: names and bounds. Must not know: options, configuration files.

use crate::wire::Limits;

/// What fills its argument with bytes that nobody can guess.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// What a chat is called and what bounds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What `<welcome>` says as `server`.
    pub name: String,
    /// What `<welcome>` says as `version`.
    pub version: String,
    /// The bounds; the chat reads those of logins, rooms, histories, variables, topics and outboxes.
    pub limits: Limits,
}

impl Default for Settings {
    /// A chat called `xmlsocket`, of this crate's version, with the default bounds.
    fn default() -> Settings {
        Settings {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits::default(),
        }
    }
}
