//! Defines [`XmlSocket`], ActionScript 3's `flash.net.XMLSocket` in Rust.
//!
//! Knows: the members of the class. Must not know: how they are done (the modules beside this one do).

use std::fmt;
use std::time::Duration;

use super::error::Error;
use super::event::{Event, Listener};
use super::link::Source;
use super::options::{Framing, Options, TIMEOUT_MAX, TIMEOUT_MIN};
use super::reconnect::Reconnect;
use super::sender::Sender;
use super::socket::Socket;
use super::worker::{ReadError, Reading};
use crate::wire::{Encode, Frame, FrameError, FrameReader};

/// A client socket: the class of ActionScript 3, blocking, with one thread of its own.
///
/// ```no_run
/// use xmlsocket::client::{Event, XmlSocket};
/// use xmlsocket::wire::Element;
///
/// let mut socket = XmlSocket::new();
/// socket.connect("127.0.0.1", 1024)?;
/// for event in socket.events() {
///     match event {
///         Event::Connect => socket.send(&Element::new("login").attribute("nick", "ann"))?,
///         Event::Data(frame) => println!("{}", frame.lossy()),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok::<(), xmlsocket::client::Error>(())
/// ```
///
/// `connect` returns at once and the outcome is an event. Events are received (`recv`, `recv_timeout`, `try_recv`,
/// `events`), or go to a [`Listener`]; [`Event`] has their order. As in a player, a socket's state changes when the
/// event is *taken*: `connected` is false after `connect`, true once `Connect` was taken, false again once `Close`
/// or `IoError` was taken or `close` was called.
///
/// What may wait to be taken is bounded in bytes. Beyond it the socket stops reading, so the server has to wait;
/// nothing is lost. Dropping the socket closes it and ends its thread.
pub struct XmlSocket {
    socket: Socket<Frame>,
}

impl Default for XmlSocket {
    fn default() -> XmlSocket {
        XmlSocket::new()
    }
}

impl XmlSocket {
    /// A socket that is not connected.
    #[must_use]
    pub fn new() -> XmlSocket {
        XmlSocket { socket: Socket::new(|source, options| Box::new(Frames::new(source, options))) }
    }

    /// A socket that connects at once, as the class does when its constructor gets an address. There is no time to set
    /// anything or to listen before: prefer [`new`](XmlSocket::new).
    ///
    /// # Errors
    /// Those of [`connect`](XmlSocket::connect).
    pub fn to(host: &str, port: u32) -> Result<XmlSocket, Error> {
        let mut socket = XmlSocket::new();
        socket.connect(host, port)?;
        Ok(socket)
    }

    /// Begins to connect, and returns at once. `Connect` follows, or `IoError` or `SecurityError`, within
    /// [`timeout`](XmlSocket::timeout). An empty `host` is the [default host](XmlSocket::set_default_host).
    ///
    /// A socket that is connected, or connecting, closes first, without a word: its events that were not taken are
    /// gone, and the connection that this call begins takes the place of the other.
    ///
    /// # Errors
    /// [`Error::InvalidPort`] (#2003), [`Error::InvalidHost`] or [`Error::Start`] (#2011); a socket that was connected
    /// stays so after the first two. With a permission also [`Error::LocalWithFilesystem`] (#2010) and
    /// [`Error::Forbidden`] (#2048).
    pub fn connect(&mut self, host: &str, port: u32) -> Result<(), Error> {
        let end_of_frame = self.socket.options.framing.end_of_frame();
        self.socket.connect(host, port, Some(end_of_frame))
    }

    /// Sends the text of `content` and one zero byte, in one write. A zero byte inside the text makes two frames of
    /// it, as in a player.
    ///
    /// # Errors
    /// [`Error::NotConnected`] (#2002) before the `Connect` event was taken and after the end;
    /// [`Error::SendTimeout`] when the server does not read, which ends the connection; [`Error::Lost`].
    pub fn send(&self, content: &(impl fmt::Display + ?Sized)) -> Result<(), Error> {
        self.socket.sender().send(content)
    }

    /// Sends `content` and one zero byte, in one write: for frames that are not text, and without a detour through a
    /// `String`.
    ///
    /// # Errors
    /// Those of [`send`](XmlSocket::send).
    pub fn send_encoded(&self, content: &(impl Encode + ?Sized)) -> Result<(), Error> {
        self.socket.sender().send_encoded(content)
    }

    /// Closes the connection, or ends the attempt at one. What was sent before still reaches the server. No event
    /// comes after this call, and none that waited is given out any more.
    ///
    /// # Errors
    /// [`Error::NotConnected`] (#2002) when there is nothing to close.
    pub fn close(&self) -> Result<(), Error> {
        self.socket.sender().close()
    }

    /// Whether the socket is connected, as far as the events that were taken say.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.socket.sender().connected()
    }

    /// The half of the socket that other threads can send and close with.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.socket.sender().clone()
    }

    /// Waits for the next event and takes it.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when no more events come; [`Error::Listening`].
    pub fn recv(&self) -> Result<Event, Error> {
        self.socket.recv()
    }

    /// Waits for the next event, for `timeout` at most, and takes it.
    ///
    /// # Errors
    /// [`Error::RecvTimeout`]; else those of [`recv`](XmlSocket::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event, Error> {
        self.socket.recv_timeout(timeout)
    }

    /// Takes the next event if there is one.
    ///
    /// # Errors
    /// Those of [`recv`](XmlSocket::recv).
    pub fn try_recv(&self) -> Result<Option<Event>, Error> {
        self.socket.try_recv()
    }

    /// The events, each taken when the iterator gives it out. Ends when no more events come.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Makes `listener` take the events, each on the socket's own thread, from the next `connect` on. They cannot be
    /// received any more.
    pub fn listen(&mut self, listener: impl Listener + 'static) {
        self.socket.listen(listener);
    }

    /// Waits until the connection (and all reconnecting) has ended, for `timeout` at most: for who has a listener and
    /// nothing else to do. Whether it has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.socket.wait_timeout(Some(timeout))
    }

    /// Waits until the connection (and all reconnecting) has ended.
    pub fn wait(&self) {
        self.socket.wait_timeout(None);
    }
}

/// What can be set. A setting counts from the next `connect` on.
impl XmlSocket {
    /// How long connecting may take, looking up the name included.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.socket.options.timeout
    }

    /// Sets how long connecting may take; 20 s unless set. Less than 250 ms becomes 250 ms, as in the class.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.socket.options.timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
    }

    /// Sets how long one frame may take to be written; 30 s unless set. A server that does not read for so long loses
    /// the connection.
    pub fn set_send_timeout(&mut self, timeout: Duration) {
        self.socket.options.send_timeout = timeout.clamp(Duration::from_millis(1), TIMEOUT_MAX);
    }

    /// Sets how long the server may be silent before the connection counts as failed; for ever unless set. For servers
    /// that are known to speak now and then, such as with pings.
    pub fn set_idle_max(&mut self, idle_max: Option<Duration>) {
        self.socket.options.idle_max = idle_max.map(|idle_max| idle_max.max(Duration::from_millis(1)));
    }

    /// Sets the longest frame that is read, its zero byte not counted; 4 MiB unless set. A longer one ends the
    /// connection with `IoError`.
    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.socket.options.frame_bytes_max = frame_bytes_max;
    }

    /// Sets how many bytes of events may wait to be taken; 8 MiB unless set. One event may always wait.
    pub fn set_queue_bytes_max(&mut self, queue_bytes_max: usize) {
        self.socket.options.queue_bytes_max = queue_bytes_max;
    }

    /// Sets what ends a frame; a zero byte unless set.
    pub fn set_framing(&mut self, framing: Framing) {
        self.socket.options.framing = framing;
    }

    /// Sets the host that an empty host stands for: in a player the one that the movie came from. `localhost` unless
    /// set, which is what a player takes for a movie from a file.
    pub fn set_default_host(&mut self, host: impl Into<String>) {
        self.socket.options.default_host = host.into();
    }

    /// Sets whether and how a lost connection is made again; not at all unless set.
    pub fn set_reconnect(&mut self, reconnect: Option<Reconnect>) {
        self.socket.options.reconnect = reconnect;
    }
}

impl fmt::Debug for XmlSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XmlSocket").field("connected", &self.connected()).finish_non_exhaustive()
    }
}

/// Frames, read from a server.
struct Frames {
    reader: FrameReader<Source>,
    frame_bytes_max: usize,
    lines: bool,
}

impl Frames {
    fn new(source: Source, options: &Options) -> Frames {
        let lines = options.framing == Framing::Line;
        // The carriage return before a newline does not count.
        let frame_bytes_max = options.frame_bytes_max.saturating_add(usize::from(lines));
        let reader = FrameReader::new(source, frame_bytes_max.min(usize::MAX - 1));
        Frames { reader, frame_bytes_max: options.frame_bytes_max, lines }
    }
}

impl Reading<Frame> for Frames {
    fn next(&mut self) -> Result<Option<(Frame, usize)>, ReadError> {
        match self.reader.read() {
            Ok(Some(frame)) => {
                let frame = if self.lines { without_carriage_return(frame) } else { frame };
                let bytes = frame.len();
                if bytes > self.frame_bytes_max {
                    return Err(ReadError::Refused(too_long(self.frame_bytes_max)));
                }
                Ok(Some((frame, bytes)))
            }
            Ok(None) => Ok(None),
            Err(FrameError::Io(error)) => Err(ReadError::Io(error)),
            Err(_) => Err(ReadError::Refused(too_long(self.frame_bytes_max))),
        }
    }

    fn is_idle(&self) -> bool {
        self.reader.reader().is_idle()
    }
}

fn too_long(frame_bytes_max: usize) -> String {
    format!("the server sent more than {frame_bytes_max} bytes without ending the frame")
}

fn without_carriage_return(frame: Frame) -> Frame {
    let mut bytes = frame.into_bytes();
    bytes.pop_if(|byte| *byte == b'\r');
    Frame::new(bytes).unwrap_or_default()
}
