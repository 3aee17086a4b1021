//! Defines [`XmlSocket`], ActionScript 3's `flash.net.XMLSocket` in Rust.
//!
//! Knows: how frames are read, and what can be set about it. Must not know: events, threads.

use super::error::Error;
use super::options::{FrameEnd, Options};
use super::socket::Socket;
use super::tcp::Source;
use super::worker::{Incoming, ReadError};
use crate::wire::{Frame, FrameError, FrameReader};

/// The class of ActionScript 3: a socket whose `Data` events carry frames. [`Socket`] has the other members.
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
pub type XmlSocket = Socket<Frame>;

impl Default for XmlSocket {
    fn default() -> XmlSocket {
        XmlSocket::new()
    }
}

impl XmlSocket {
    /// A socket that is not connected.
    #[must_use]
    pub fn new() -> XmlSocket {
        Socket::of(
            |source, options| Box::new(Frames::new(source, options)),
            |options| Some(options.frame_end.end_of_frame()),
        )
    }

    /// A socket that connects at once, as the class does when its constructor gets an address. There is no time to set
    /// anything or to listen before: prefer [`new`](XmlSocket::new).
    ///
    /// # Errors
    /// Those of [`connect`](Socket::connect).
    pub fn to(host: &str, port: u32) -> Result<XmlSocket, Error> {
        let mut socket = XmlSocket::new();
        socket.connect(host, port)?;
        Ok(socket)
    }

    /// Sets the longest frame that is read, its zero byte not counted; 4 MiB unless set. A longer one ends the
    /// connection with `IoError`.
    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.options.frame_bytes_max = frame_bytes_max;
    }

    /// Sets what ends a frame; a zero byte unless set.
    pub fn set_frame_end(&mut self, frame_end: FrameEnd) {
        self.options.frame_end = frame_end;
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
        let lines = options.frame_end == FrameEnd::Line;
        // The carriage return before a newline does not count.
        let frame_bytes_max = options.frame_bytes_max.saturating_add(usize::from(lines));
        let reader = FrameReader::new(source, frame_bytes_max.min(usize::MAX - 1));
        Frames { reader, frame_bytes_max: options.frame_bytes_max, lines }
    }
}

impl Incoming<Frame> for Frames {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::tcp::tests::connected;
    use super::*;

    #[test]
    fn silence_is_the_source_s_to_tell() {
        let (tcp, _peer) = connected();
        for (idle_max, is_idle) in [(None, false), (Some(Duration::ZERO), true)] {
            let source = Source::new(Arc::clone(&tcp), false, None).unwrap().with_idle_max(idle_max);
            assert_eq!(Frames::new(source, &Options::default()).is_idle(), is_idle);
        }
    }
}
