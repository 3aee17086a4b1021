//! Defines [`Handle`], a way into a running server from other threads.
//!
//! Knows: the channel, the limits. Must not know: what the application makes of what is posted.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crossbeam_channel::TrySendError;

use super::event::Event;
use super::shared::Shared;
use crate::wire::Limits;

/// A way into a running server from other threads. Cheap to clone; keeps nothing alive.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// What the threads of the server share.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Gives `event` to the application's [`on_external`](super::Service::on_external). Never blocks.
    ///
    /// # Errors
    /// Gives the event back when the channel is full (try again) or the server has stopped.
    pub fn post<T: Any + Send>(&self, event: T) -> Result<(), PostError<T>> {
        let give_back = |event: Event| match event {
            Event::External(event) => event.downcast::<T>().ok().map(|event| *event),
            _ => None,
        };
        if self.shared.is_stopping() {
            return Err(PostError::Stopped(event));
        }
        match self.shared.inbox.try_send(Event::External(Box::new(event))) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => give_back(event).map_or(Ok(()), |event| Err(PostError::Full(event))),
            Err(TrySendError::Disconnected(event)) => {
                give_back(event).map_or(Ok(()), |event| Err(PostError::Stopped(event)))
            }
        }
    }

    /// Sets the limits: what one connection may do, for those that begin from now on; what holds for the server, at
    /// once. The application is told ([`on_limits`](super::Service::on_limits)). Cannot fail and never blocks, however much the
    /// server has to do: that is when limits must be lowered.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.outboxes.set_limits(&limits);
        self.shared.set_limits(limits);
        // With a full channel the dispatcher is awake anyway, and looks with its next batch.
        let _ = self.shared.inbox.try_send(Event::Wake);
    }

    /// Makes the server stop; returns at once. [`Server::wait`](super::Server::wait) waits for it.
    pub fn shutdown(&self) {
        self.shared.begin_stop();
    }
}

/// Why an event could not be posted; holds it.
#[derive(Debug, PartialEq, Eq)]
pub enum PostError<T> {
    /// The channel is full.
    Full(T),
    /// The server has stopped or is about to.
    Stopped(T),
}

impl<T> fmt::Display for PostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PostError::Full(_) => "the server has too much to do: its channel is full",
            PostError::Stopped(_) => "the server has stopped",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for PostError<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_cannot_be_posted_says_why() {
        assert_eq!(PostError::Full(1).to_string(), "the server has too much to do: its channel is full");
        assert_eq!(PostError::Stopped(1).to_string(), "the server has stopped");
    }
}
