//! Defines [`XmlSocket`], the class of ActionScript 1 and 2, and of Flash Media Server: a boolean and four handlers.
//!
//! Knows: which handler a script finds called when. Must not know: how events come about (`XmlSocket` of ActionScript 3
//! is used for that).

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::event::EventListener;
use super::queue::lock;
use super::sender::Sender;
use super::socket::Socket;
use super::xml::Xml;
use super::{XmlSocket as FrameSocket, XmlStreams};
use crate::wire::{Frame, StreamEvent};

/// What sends made between `connect` and `onConnect` may hold back.
const EARLY_BYTES_MAX: usize = 65_536;

/// The handlers of the class; a script assigns functions to the properties of these names. All are called on the
/// socket's own thread, in the order in which things happened.
#[expect(unused_variables, reason = "a default does nothing with them")]
pub trait Handlers: Send {
    /// `onConnect`: the outcome of `connect`, once for each call that returned true.
    fn on_connect(&mut self, socket: &SocketRef<'_>, success: bool) {}

    /// `onData`: a frame, before it is parsed. Unless overridden it parses, and calls `on_xml` whatever came of it;
    /// overridden, `on_xml` is not called. Bytes that are not UTF-8 arrive as U+FFFD.
    fn on_data(&mut self, socket: &SocketRef<'_>, src: &str) {
        self.on_xml(socket, &Xml::parse(src));
    }

    /// `onXML`: a parsed frame. What was not XML is here too: `xml.status()` tells.
    fn on_xml(&mut self, socket: &SocketRef<'_>, xml: &Xml) {}

    /// `onClose`: the connection was closed, but not by `close`.
    fn on_close(&mut self, socket: &SocketRef<'_>) {}
}

/// What a handler can do with the socket that called it.
pub struct SocketRef<'socket>(&'socket dyn Outlet);

/// The sending half of a socket, whatever it receives.
trait Outlet {
    fn write(&self, text: &str) -> bool;
    fn end(&self);
}

impl<P> Outlet for Sender<P> {
    fn write(&self, text: &str) -> bool {
        self.send(text).is_ok()
    }

    fn end(&self) {
        // In this class there is no word about closing what is not open.
        let _ = self.close();
    }
}

impl SocketRef<'_> {
    /// `send`: sends the text of `content` as one frame. Whether it was sent; a script is not told.
    pub fn send(&self, content: &(impl fmt::Display + ?Sized)) -> bool {
        written(content).is_some_and(|text| self.0.write(&text))
    }

    /// `close`: no handler is called any more.
    pub fn close(&self) {
        self.0.end();
    }
}

impl fmt::Debug for SocketRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketRef").finish_non_exhaustive()
    }
}

/// The class of ActionScript 1 and 2.
///
/// ```no_run
/// use xmlsocket::client::Xml;
/// use xmlsocket::client::as2::{SocketRef, Handlers, XmlSocket};
///
/// struct Chat;
/// impl Handlers for Chat {
///     fn on_connect(&mut self, socket: &SocketRef<'_>, success: bool) {
///         if success {
///             socket.send("<login nick='ann'/>");
///         }
///     }
///     fn on_xml(&mut self, _: &SocketRef<'_>, xml: &Xml) {
///         println!("{:?} {}", xml.status(), xml.source());
///     }
/// }
/// let mut socket = XmlSocket::new(Chat);
/// assert!(socket.connect("127.0.0.1", 1024));
/// ```
pub struct XmlSocket {
    socket: Inner,
    early: Arc<Mutex<Early>>,
    /// The lowest port that `connect` accepts.
    port_min: u32,
}

/// The socket that does the work.
enum Inner {
    Frames(FrameSocket),
    Stream(XmlStreams),
}

/// What was sent between `connect` and `onConnect`.
#[derive(Default)]
struct Early {
    /// Whether the outcome of `connect` is still to come.
    pending: bool,
    bytes: usize,
    texts: Vec<String>,
}

impl XmlSocket {
    /// `new XMLSocket()`.
    #[must_use]
    pub fn new(handlers: impl Handlers + 'static) -> XmlSocket {
        XmlSocket::with(FrameSocket::new(), handlers)
    }

    /// `new XMLSocket("stream")` of Flash Media Server: an endless document, each of whose elements is data.
    #[must_use]
    pub fn stream(handlers: impl Handlers + 'static) -> XmlSocket {
        XmlSocket::with_stream(XmlStreams::new(), handlers)
    }

    /// This class on top of a socket that was set up before, with limits, a permission, or reconnecting.
    #[must_use]
    pub fn with(mut socket: FrameSocket, handlers: impl Handlers + 'static) -> XmlSocket {
        let early = Arc::default();
        socket.listen(Adapter { handlers, early: Arc::clone(&early) });
        XmlSocket { socket: Inner::Frames(socket), early, port_min: 1 }
    }

    /// This class on top of an endless document that was set up before, such as with a larger `maxUnprocessedChars`.
    #[must_use]
    pub fn with_stream(mut socket: XmlStreams, handlers: impl Handlers + 'static) -> XmlSocket {
        let early = Arc::default();
        socket.listen(Adapter { handlers, early: Arc::clone(&early) });
        XmlSocket { socket: Inner::Stream(socket), early, port_min: 1 }
    }

    /// Sets the lowest port that `connect` accepts; 1 unless set. It is 1024 in the media server, and in players before
    /// 7.0.19 ([`Permission`](super::permission::Permission) knows those).
    pub fn set_port_min(&mut self, port_min: u32) {
        self.port_min = port_min;
    }

    /// `connect`: true when the attempt has begun, whose outcome `on_connect` gets; false when it cannot begin, and
    /// then `on_connect` is not called. `None`, or an empty host, is the default host: in a player the one that the
    /// movie came from. A socket that is connected closes first, without `on_close`.
    pub fn connect<'host>(&mut self, host: impl Into<Option<&'host str>>, port: u32) -> bool {
        if port < self.port_min {
            return false;
        }
        // COMPAT: the class's first documentation writes the host as the address of a page.
        let host = host.into().unwrap_or_default();
        let host = host.strip_prefix("http://").map_or(host, |rest| rest.trim_end_matches('/'));
        *lock(&self.early) = Early { pending: true, ..Early::default() };
        let begun = match &mut self.socket {
            Inner::Frames(socket) => socket.connect(host, port),
            Inner::Stream(socket) => socket.connect(host, port),
        };
        if let Err(error) = &begun {
            log::debug!("connect returns false: {error}");
            lock(&self.early).pending = false;
        }
        begun.is_ok()
    }

    /// `send`: sends the text of `content` as one frame. Between `connect` and `on_connect` it is kept (64 KiB in all)
    /// and leaves first, as scripts expect that connect and send in one go. Whether it was sent or kept; a script is
    /// not told.
    pub fn send(&self, content: &(impl fmt::Display + ?Sized)) -> bool {
        let Some(text) = written(content) else { return false };
        let mut early = lock(&self.early);
        if !early.pending {
            drop(early);
            return self.outlet().write(&text);
        }
        let fits = early.bytes + text.len() <= EARLY_BYTES_MAX;
        if fits {
            early.bytes += text.len();
            early.texts.push(text);
        }
        fits
    }

    /// `close`: closes the connection, or ends the attempt at one. No handler is called any more.
    pub fn close(&self) {
        *lock(&self.early) = Early::default();
        self.outlet().end();
    }

    /// Waits until the connection has ended, for `timeout` at most. Whether it has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        match &self.socket {
            Inner::Frames(socket) => socket.wait_timeout(timeout),
            Inner::Stream(socket) => socket.wait_timeout(timeout),
        }
    }

    fn outlet(&self) -> Box<dyn Outlet> {
        fn of<P: Send + 'static>(socket: &Socket<P>) -> Box<dyn Outlet> {
            Box::new(socket.sender())
        }
        match &self.socket {
            Inner::Frames(socket) => of(socket),
            Inner::Stream(socket) => of(socket),
        }
    }
}

impl fmt::Debug for XmlSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XmlSocket").finish_non_exhaustive()
    }
}

/// Calls the handlers of this class for the events of ActionScript 3's.
struct Adapter<H> {
    handlers: H,
    early: Arc<Mutex<Early>>,
}

impl<H: Handlers> Adapter<H> {
    fn connect(&mut self, socket: &dyn Outlet) {
        // Under the lock, so that nothing that is sent from now on overtakes what was sent before.
        let mut early = lock(&self.early);
        std::mem::take(&mut early.texts).iter().for_each(|text| {
            socket.write(text);
        });
        *early = Early::default();
        drop(early);
        self.handlers.on_connect(&SocketRef(socket), true);
    }

    /// The connection ended, or there was none.
    fn end(&mut self, socket: &dyn Outlet) {
        if std::mem::take(&mut *lock(&self.early)).pending {
            self.handlers.on_connect(&SocketRef(socket), false);
        } else {
            self.handlers.on_close(&SocketRef(socket));
        }
    }
}

/// Listens to a socket; the two kinds of data differ in nothing but what of them is data.
macro_rules! adapt {
    ($data:ty, $frame:expr) => {
        impl<H: Handlers> EventListener<$data> for Adapter<H> {
            fn on_connect(&mut self, socket: &Sender<$data>) {
                self.connect(socket);
            }

            fn on_data(&mut self, socket: &Sender<$data>, data: $data) {
                let frame: fn($data) -> Option<Frame> = $frame;
                if let Some(frame) = frame(data) {
                    self.handlers.on_data(&SocketRef(socket), &frame.lossy());
                }
            }

            fn on_close(&mut self, socket: &Sender<$data>) {
                self.end(socket);
            }

            fn on_io_error(&mut self, socket: &Sender<$data>, _: u32, _: &str, reason: &str) {
                log::debug!("{reason}");
                self.end(socket);
            }

            fn on_security_error(&mut self, socket: &Sender<$data>, _: u32, _: &str, reason: &str) {
                log::debug!("{reason}");
                self.end(socket);
            }

            fn on_reconnecting(&mut self, _: &Sender<$data>, _: u32, _: Duration) {
                lock(&self.early).pending = true;
            }
        }
    };
}

adapt!(Frame, Some);
adapt!(StreamEvent, |event| match event {
    StreamEvent::Element(fragment) => Some(fragment.complete()),
    _ => None,
});

/// The text of `content`. `None`: its `Display` failed.
fn written(content: &(impl fmt::Display + ?Sized)) -> Option<String> {
    let mut text = String::new();
    fmt::Write::write_fmt(&mut text, format_args!("{content}")).ok().map(|()| text)
}
