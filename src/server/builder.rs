//! Defines [`Server`], which starts everything, and the order in which everything stops.
//!
//! Stopping: the flag is set and every `accept` woken → the application says farewell → outboxes drain to a deadline →
//! every link is shut down, which frees whoever reads or writes → each listener's scope joins its clients' threads,
//! the dispatcher's scope its writers → the dispatcher ends.
//!
//! Knows: which threads there are. Must not know: what they do.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::bounded;

use super::arrival::threads;
use super::dispatcher::Dispatcher;
use super::event::EVENTS_MAX;
use super::handle::Handle;
use super::listener::{Listener, StartError};
use super::observer::{Observer, Silent};
use super::service::Service;
use super::settings::ListenerSettings;
use super::shared::Shared;
use crate::wire::Limits;

/// A running server. Dropping it stops it, in order.
pub struct Server {
    handle: Handle,
    /// The threads, joined by whoever waits first.
    threads: Mutex<Option<Threads>>,
    ended: Mutex<Ended>,
}

struct Threads {
    dispatcher: JoinHandle<Ended>,
    listeners: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds `address` with the default settings: the shortest way to a server. Port 0 is any free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Builder, StartError> {
        Ok(Server::builder().listen(Listener::bind(address, ListenerSettings::default())?))
    }

    /// A server with no listener yet.
    pub fn builder() -> Builder {
        Builder { listeners: Vec::new(), limits: Limits::default(), observer: Arc::new(Silent) }
    }

    /// The address of the first listener.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.shared().addresses()[0]
    }

    /// The addresses of all listeners, in the order they were given.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        self.handle.shared().addresses()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.handle.shared().seats.taken()
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until the server has stopped and all its threads have ended.
    pub fn wait(&self) -> Ended {
        // Whoever comes second waits here for the first.
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(threads) = threads {
            *ended = threads.dispatcher.join().unwrap_or(Ended::ServicePanicked);
            for listener in threads.listeners {
                let _ = listener.join();
            }
        }
        *ended
    }

    /// Stops the server: clients get what was sent to them, until `shutdown_seconds_max`; every thread is joined.
    pub fn shutdown(&self) -> Ended {
        self.handle.shutdown();
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// It was told to.
    Shutdown,
    /// The application kept panicking outside any connection.
    ServicePanicked,
}

/// A server that is being set up.
#[must_use = "a server listens only once it serves"]
pub struct Builder {
    listeners: Vec<Listener>,
    limits: Limits,
    observer: Arc<dyn Observer>,
}

impl Builder {
    /// Adds a listener. All listeners share the application, the dispatcher and the limits.
    pub fn listen(mut self, listener: Listener) -> Builder {
        self.listeners.push(listener);
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Sets who is told what the server does.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Builder {
        self.observer = observer;
        self
    }

    /// Starts the server with its application; returns at once.
    ///
    /// # Errors
    /// When there is no listener, or a thread cannot be started.
    pub fn serve<S: Service + 'static>(self, service: S) -> Result<Server, StartError> {
        if self.listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        // It is read now, so that the first connection does not wait for it.
        let _ = threads::connection_ceiling();
        let (inbox, events) = bounded(EVENTS_MAX);
        let sockets = self.listeners.iter().map(|listener| (listener.address, Arc::downgrade(&listener.socket)));
        let shared = Arc::new(Shared::new(inbox, self.observer, self.limits, sockets));
        let dispatcher = Dispatcher::new(service, events, Arc::clone(&shared));
        let spawn = thread::Builder::new().name("dispatcher".to_owned());
        let dispatcher = spawn.spawn(move || dispatcher.run()).map_err(StartError::Thread)?;
        let handle = Handle::new(shared);
        let mut server = Server {
            handle,
            threads: Mutex::new(Some(Threads { dispatcher, listeners: Vec::new() })),
            ended: Mutex::new(Ended::Shutdown),
        };
        for (index, listener) in self.listeners.into_iter().enumerate() {
            let shared = Arc::clone(server.handle.shared());
            let spawn = thread::Builder::new().name(format!("listener {}", listener.local_addr().port()));
            let thread = spawn.spawn(move || listener.run(index, &shared)).map_err(StartError::Thread)?;
            if let Some(threads) = server.threads.get_mut().unwrap_or_else(PoisonError::into_inner) {
                threads.listeners.push(thread);
            }
        }
        Ok(server)
    }
}
