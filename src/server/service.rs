//! Defines what an application is: a [`Service`], and all that it ever sees of the server.
//!
//! Knows: connections by id, messages, reasons. Must not know: sockets, threads, who writes bytes and when.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::context::Context;
use crate::wire::{Document, Element, Frame, Limits};

/// An application: a state machine that the dispatcher thread feeds, one event at a time. It owns its state without
/// locks. No method may block: everybody waits for it.
///
/// A panic in a method that concerns one connection closes that connection; state that the method left half
/// changed is the application's to mend in [`on_close`](Service::on_close).
pub trait Service: Send {
    /// A connection is there: its first frame is about to follow, or it has been silent for `announce_seconds`.
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let _ = (cx, id);
    }

    /// A connection sent a message.
    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message);

    /// A connection has shown no sign of life for half of `idle_seconds_max`: the time to ask for one.
    fn on_idle(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let _ = (cx, id);
    }

    /// A connection is gone, whoever closed it. What is sent to it from here on is dropped.
    /// Called exactly once for each [`on_open`](Service::on_open).
    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, reason: &CloseReason) {
        let _ = (cx, id, reason);
    }

    /// A second has passed.
    fn on_tick(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Another thread posted `event` through a [`Handle`](super::Handle).
    fn on_external(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        let _ = (cx, event);
    }

    /// The operator set other limits while the server runs. They count from here on.
    fn on_limits(&mut self, cx: &mut Context<'_>, limits: &Limits) {
        let _ = (cx, limits);
    }

    /// The server stops: the time to say farewell. Every connection is closed afterwards, without `on_close`.
    fn on_shutdown(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }
}

/// The name of a connection for as long as the server runs; never given to another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(NonZeroU64);

impl ConnectionId {
    /// Bits that hold the place in the dispatcher's table; the rest is a running number.
    const SLOT_BITS: u32 = 24;

    /// The most connections that can be told apart at a time.
    pub(crate) const SLOTS_MAX: usize = 1 << ConnectionId::SLOT_BITS;

    pub(crate) fn new(serial: u64, slot: usize) -> ConnectionId {
        debug_assert!(serial > 0 && slot < ConnectionId::SLOTS_MAX);
        let bits = NonZeroU64::new(serial << ConnectionId::SLOT_BITS | slot as u64);
        ConnectionId(bits.unwrap_or(NonZeroU64::MAX))
    }

    pub(crate) fn slot(self) -> usize {
        (self.0.get() & (ConnectionId::SLOTS_MAX as u64 - 1)) as usize
    }

    /// The running number: the first connection is 1.
    #[must_use]
    pub fn serial(self) -> u64 {
        self.0.get() >> ConnectionId::SLOT_BITS
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.serial())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a connection sent: a frame, and on listeners that read XML its document.
#[derive(Debug)]
pub enum Message {
    /// A frame of a listener whose frames are not parsed.
    Frame(Frame),
    /// A frame that is a well-formed document. Those that are not never reach a service.
    Document(Document),
}

impl Message {
    /// The frame, byte for byte as it came.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        match self {
            Message::Frame(frame) => frame,
            Message::Document(document) => document.frame(),
        }
    }

    /// The parsed document; `None` on listeners that do not parse.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Message::Frame(_) => None,
            Message::Document(document) => Some(document),
        }
    }
}

/// What is known about the other end of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// The address that it reached.
    pub local_address: SocketAddr,
    /// Which of the server's listeners it reached, counted from 0 in the order they were given.
    pub listener: usize,
    /// What its frames travel in.
    pub transport: Transport,
    /// Since when it is connected.
    pub since: Instant,
}

impl Peer {
    /// A connection over plain TCP, beginning at `since`.
    #[must_use]
    pub fn new(address: SocketAddr, local_address: SocketAddr, listener: usize, since: Instant) -> Peer {
        Peer { address, local_address, listener, transport: Transport::TCP, since }
    }
}

/// What frames travel in, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport(&'static str);

impl Transport {
    /// A TCP connection, and nothing between it and the frames.
    pub const TCP: Transport = Transport("tcp");

    /// Another one, as the edge that brings it calls it.
    #[must_use]
    pub const fn named(name: &'static str) -> Transport {
        Transport(name)
    }

    /// Its name, such as `tcp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// The time at which an event is handled, given to the application so that it needs no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For measuring durations.
    pub instant: Instant,
    /// For showing: time since 1970-01-01T00:00:00Z.
    pub unix: Duration,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it in order.
    ByPeer,
    /// The network or the peer's system broke it.
    Lost(String),
    /// No sign of life for `idle_seconds_max`.
    IdleTimeout,
    /// A frame was begun and not ended within `frame_seconds_max`.
    FrameTimeout {
        /// Whether a complete document ending in a newline was there: its author forgot the zero byte.
        zero_byte_missing: bool,
    },
    /// A frame exceeded `frame_bytes_max`.
    FrameTooLong {
        /// That limit.
        frame_bytes_max: usize,
    },
    /// Too many frames were refused for coming too fast.
    TooFast,
    /// More than `outbox_bytes_max` waited for it: it reads too slowly.
    TooSlow,
    /// It took not one byte for `write_seconds_max`.
    WriteTimeout,
    /// It fell behind, and the system has no thread left to write to it.
    NoThreadLeft,
    /// Its address, named by a proxy, has as many connections as it may.
    AddressFull,
    /// It began with a policy request, and got the policy file. The application knew of it only if it had been silent
    /// before for `announce_seconds`.
    PolicyServed,
    /// It sent an HTTP request and got its answer.
    HttpAnswered,
    /// What it speaks is not this protocol (TLS, HTTP where nothing answers it).
    NotXmlSocket(&'static str),
    /// It broke the protocol in which its frames travel.
    ProtocolError(Cow<'static, str>),
    /// The application panicked while it handled the connection.
    Panicked,
    /// The server stops.
    Shutdown,
    /// The application closed it, with a code for programs and a sentence for the log.
    Application {
        /// A short code such as `quit`.
        code: Cow<'static, str>,
        /// What happened, for a person.
        text: Cow<'static, str>,
    },
}

impl CloseReason {
    /// The application's reason, from its parts.
    pub fn application(code: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> CloseReason {
        CloseReason::Application { code: code.into(), text: text.into() }
    }

    /// The reason as a short code: what other people's programs are told.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            CloseReason::ByPeer => "closed",
            CloseReason::Lost(_) => "lost",
            CloseReason::IdleTimeout => "idle-timeout",
            CloseReason::FrameTimeout { .. } => "frame-timeout",
            CloseReason::FrameTooLong { .. } => "frame-too-long",
            CloseReason::TooFast => "too-fast",
            CloseReason::TooSlow => "too-slow",
            CloseReason::WriteTimeout => "write-timeout",
            CloseReason::NoThreadLeft => "server-full",
            CloseReason::AddressFull => "address-full",
            CloseReason::PolicyServed => "policy-served",
            CloseReason::HttpAnswered => "http-answered",
            CloseReason::NotXmlSocket(_) => "not-xmlsocket",
            CloseReason::ProtocolError(_) => "protocol-error",
            CloseReason::Panicked => "internal-error",
            CloseReason::Shutdown => "shutdown",
            CloseReason::Application { code, .. } => code,
        }
    }

    /// The last frame for the peer, on listeners whose frames are XML: `None` where it needs none or the application
    /// has said it already.
    #[must_use]
    pub fn farewell(&self) -> Option<Element> {
        let text = match self {
            CloseReason::ByPeer
            | CloseReason::Lost(_)
            | CloseReason::TooSlow
            | CloseReason::WriteTimeout
            | CloseReason::NoThreadLeft
            | CloseReason::AddressFull
            | CloseReason::PolicyServed
            | CloseReason::HttpAnswered
            | CloseReason::NotXmlSocket(_)
            | CloseReason::ProtocolError(_)
            | CloseReason::Shutdown
            | CloseReason::Application { .. } => return None,
            CloseReason::IdleTimeout => "No frame came for too long. Answer a ping with <pong/>.".to_owned(),
            CloseReason::FrameTimeout { zero_byte_missing: true } => {
                "The document is complete but the zero byte that ends a frame is missing: send \\0 after it.".to_owned()
            }
            CloseReason::FrameTimeout { zero_byte_missing: false } => {
                "The frame was begun but its zero byte did not come in time.".to_owned()
            }
            CloseReason::FrameTooLong { frame_bytes_max } => {
                format!("A frame may have {frame_bytes_max} bytes before its zero byte.")
            }
            CloseReason::TooFast => "Frames kept coming too fast. Wait before you connect again.".to_owned(),
            CloseReason::Panicked => "The server failed on this request; others are not affected.".to_owned(),
        };
        Some(Element::new("error").attribute("code", self.code()).text(text))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::ByPeer => f.write_str("closed by the peer"),
            CloseReason::Lost(error) => write!(f, "connection lost: {error}"),
            CloseReason::IdleTimeout => f.write_str("no sign of life within idle_seconds_max"),
            CloseReason::FrameTimeout { zero_byte_missing: true } => {
                f.write_str("a complete document came without its zero byte")
            }
            CloseReason::FrameTimeout { zero_byte_missing: false } => {
                f.write_str("a frame was not ended within frame_seconds_max")
            }
            CloseReason::FrameTooLong { frame_bytes_max } => write!(f, "no zero byte within {frame_bytes_max} bytes"),
            CloseReason::TooFast => f.write_str("frames kept coming above frames_per_second_max"),
            CloseReason::TooSlow => f.write_str("it reads too slowly: outbox_bytes_max or outboxes_bytes_max exceeded"),
            CloseReason::WriteTimeout => f.write_str("it took no byte within write_seconds_max"),
            CloseReason::NoThreadLeft => f.write_str("it fell behind and no thread is left to write to it"),
            CloseReason::AddressFull => f.write_str("its address has as many connections as it may"),
            CloseReason::PolicyServed => f.write_str("policy file served"),
            CloseReason::HttpAnswered => f.write_str("HTTP request answered"),
            CloseReason::NotXmlSocket(what) => write!(f, "not an XMLSocket client: {what}"),
            CloseReason::ProtocolError(error) => write!(f, "it broke the protocol: {error}"),
            CloseReason::Panicked => f.write_str("the application panicked"),
            CloseReason::Shutdown => f.write_str("the server stops"),
            CloseReason::Application { text, .. } => f.write_str(text),
        }
    }
}
