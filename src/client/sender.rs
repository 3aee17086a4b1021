//! Defines [`Sender`], the half of a socket that any thread can hold, and [`Greeting`], what speaks first.
//!
//! Knows: how a value becomes the bytes of one frame. Must not know: who receives, how connections are made.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::error::Error;
use super::queue::Queue;
use super::tcp::Tcp;
use crate::wire::{Encode, Frame};

/// The sending half of a socket: cheap to clone, usable from any thread. It outlives the connection, and is then
/// simply not connected.
pub struct Sender<P = Frame> {
    pub(super) queue: Arc<Queue<P>>,
}

impl<P> Clone for Sender<P> {
    fn clone(&self) -> Sender<P> {
        Sender { queue: Arc::clone(&self.queue) }
    }
}

impl<P> fmt::Debug for Sender<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("connected", &self.connected()).finish_non_exhaustive()
    }
}

impl<P> Sender<P> {
    /// Sends the text of `content` and what ends a frame, in one write. A zero byte inside the text makes two frames
    /// of it, as in a player.
    ///
    /// # Errors
    /// [`Error::NotConnected`] (#2002) before the `Connect` event was taken and after the end;
    /// [`Error::SendTimeout`] when the server does not read, which ends the connection; [`Error::Lost`].
    pub fn send(&self, content: &(impl fmt::Display + ?Sized)) -> Result<(), Error> {
        self.tcp()?.write_text(content)
    }

    /// Sends `content` and what ends a frame, in one write: for frames that are not text, and without a detour
    /// through a `String`.
    ///
    /// # Errors
    /// Those of [`send`](Sender::send).
    pub fn send_encoded(&self, content: &(impl Encode + ?Sized)) -> Result<(), Error> {
        let tcp = self.tcp()?;
        let mut bytes = Vec::new();
        content.encode(&mut bytes);
        tcp.write_frame(bytes)
    }

    /// Closes the connection, or ends the attempt at one, and any reconnecting. What was sent before still reaches
    /// the server. No event comes after this call, and none that waited is given out any more; a listener's method
    /// that runs already runs to its end.
    ///
    /// # Errors
    /// [`Error::NotConnected`] (#2002) when there is nothing to close.
    pub fn close(&self) -> Result<(), Error> {
        if self.queue.end() { Ok(()) } else { Err(Error::NotConnected) }
    }

    /// Whether the socket is connected, as far as the events that were taken say: from the moment `Connect` is taken
    /// to the moment `Close` or `IoError` is taken, or to `close`.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.queue.tcp().is_some()
    }

    fn tcp(&self) -> Result<Arc<Tcp>, Error> {
        let tcp = self.queue.tcp().ok_or(Error::NotConnected)?;
        tcp.upgrade()
            .ok_or_else(|| Error::Lost { reason: "it has ended, and its last event waits to be taken".to_owned() })
    }
}

impl Tcp {
    /// Writes the text of `content` as one frame.
    pub(super) fn write_text(&self, content: &(impl fmt::Display + ?Sized)) -> Result<(), Error> {
        let mut text = String::new();
        // Not `to_string`: that panics when a `Display` fails.
        write!(text, "{content}").map_err(|_| Error::Unwritable)?;
        self.write_frame(text.into_bytes())
    }

    /// Writes `bytes` and what ends a frame.
    pub(super) fn write_frame(&self, mut bytes: Vec<u8>) -> Result<(), Error> {
        bytes.extend(self.end_of_frame());
        self.write(&bytes)
    }
}

/// A connection that was just made, of which the application has not heard yet; see
/// [`Reconnect::greeting`](super::Reconnect::greeting).
pub struct Greeting<'tcp> {
    tcp: &'tcp Tcp,
    again: bool,
}

impl<'tcp> Greeting<'tcp> {
    pub(super) fn new(tcp: &'tcp Tcp, again: bool) -> Greeting<'tcp> {
        Greeting { tcp, again }
    }

    /// Sends the text of `content` as one frame.
    ///
    /// # Errors
    /// As [`Sender::send`]; handing the error on is the right thing to do with it.
    pub fn send(&self, content: &(impl fmt::Display + ?Sized)) -> Result<(), Error> {
        self.tcp.write_text(content)
    }

    /// Whether there was a connection before this one, since `connect` was called.
    #[must_use]
    pub fn again(&self) -> bool {
        self.again
    }
}

impl fmt::Debug for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting").field("again", &self.again).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tcp::tests::connected;
    use super::*;

    #[test]
    fn a_greeting_says_whether_it_is_the_first() {
        let (tcp, _peer) = connected();
        for again in [false, true] {
            let greeting = Greeting::new(&tcp, again);
            assert_eq!(
                (greeting.again(), format!("{greeting:?}")),
                (again, format!("Greeting {{ again: {again}, .. }}"))
            );
        }
    }
}
