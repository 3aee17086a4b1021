//! Defines [`CloseReason`]: why a connection ended, in the words of the log, of other people's programs, and of the peer.
//!
//! Knows: every reason there is. Must not know: who closes, and how.

use std::borrow::Cow;
use std::fmt;

use crate::wire::Element;

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
