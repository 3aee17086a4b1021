//! Defines [`XmlStreams`], Flash Media Server's `new XMLSocket("stream")`: for servers that speak one endless document.
//!
//! Knows: the class's limit on what is unfinished. Must not know: how a stream is cut (`wire` does), events, threads.

use super::options::Options;
use super::socket::Socket;
use super::tcp::Source;
use super::worker::{Incoming, ReadError};
use crate::wire::{Overflow, StreamError, StreamEvent, StreamReader, StreamScanner};

/// The class of Flash Media Server: a socket whose `Data` events carry what an endless document consists of. The
/// server's root tag opens it, each complete element below the root is a [`StreamEvent::Element`], and the root's end
/// tag closes it, and the connection with it. [`Socket`] has the other members.
///
/// ```no_run
/// use xmlsocket::client::{Event, XmlStreams};
/// use xmlsocket::wire::StreamEvent;
///
/// let mut socket = XmlStreams::new();
/// socket.connect("127.0.0.1", 5222)?;
/// for event in socket.events() {
///     match event {
///         Event::Connect => socket.send("<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
///                                        xmlns:stream='http://etherx.jabber.org/streams'>")?,
///         Event::Data(StreamEvent::Element(element)) => println!("{}", element.complete().lossy()),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok::<(), xmlsocket::client::Error>(())
/// ```
///
/// What is sent is sent as it is, without a zero byte, which no XML document may hold.
pub type XmlStreams = Socket<StreamEvent>;

impl Default for XmlStreams {
    fn default() -> XmlStreams {
        XmlStreams::new()
    }
}

impl XmlStreams {
    /// A socket that is not connected.
    #[must_use]
    pub fn new() -> XmlStreams {
        Socket::of(|source, options| Box::new(Stream::new(source, options)), |_| None)
    }

    /// Sets how many bytes may come without an element being complete: the class's `maxUnprocessedChars`, 4096 unless
    /// set.
    pub fn set_max_unprocessed(&mut self, bytes: usize) {
        self.options.unprocessed_max = bytes;
    }

    /// Sets what happens when more come: the connection ends with `IoError`, or the data is thrown away, which
    /// [`StreamEvent::Discarded`] tells.
    pub fn set_overflow(&mut self, overflow: Overflow) {
        self.options.overflow = overflow;
    }
}

/// An endless document, read from a server.
struct Stream {
    reader: StreamReader<Source>,
    /// Whether the root's end tag came.
    closed: bool,
}

impl Stream {
    fn new(source: Source, options: &Options) -> Stream {
        let scanner = StreamScanner::new(options.unprocessed_max, options.overflow);
        Stream { reader: StreamReader::new(source, scanner), closed: false }
    }
}

impl Incoming<StreamEvent> for Stream {
    fn next(&mut self) -> Result<Option<(StreamEvent, usize)>, ReadError> {
        if self.closed {
            return Ok(None);
        }
        match self.reader.read() {
            Ok(Some(event)) => {
                self.closed = matches!(event, StreamEvent::Closed);
                let bytes = bytes(&event);
                Ok(Some((event, bytes)))
            }
            Ok(None) => Ok(None),
            Err(StreamError::Io(error)) => Err(ReadError::Io(error)),
            Err(error) => Err(ReadError::Refused(format!("the server's stream cannot be read: {error}"))),
        }
    }

    fn is_idle(&self) -> bool {
        self.reader.reader().is_idle()
    }
}

/// What an event weighs while it waits to be taken.
fn bytes(event: &StreamEvent) -> usize {
    match event {
        StreamEvent::Element(fragment) => fragment.frame().len(),
        StreamEvent::Opened(root) | StreamEvent::Restarted(root) => root.name().len() + root.attributes().len(),
        _ => 0,
    }
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
            assert_eq!(Stream::new(source, &Options::default()).is_idle(), is_idle);
        }
    }

    #[test]
    fn events_weigh_what_they_carry() {
        let mut reader =
            StreamReader::new(&b"<r a='1'><b/><r a=''><c></c></r>"[..], StreamScanner::new(99, Overflow::Close));
        let mut weights = Vec::new();
        while let Some(event) = reader.read().unwrap() {
            weights.push(bytes(&event));
        }
        assert_eq!(weights, ["r".len() + " a='1'".len(), "<b/>".len(), "r".len() + " a=''".len(), "<c></c>".len(), 0]);
    }
}
