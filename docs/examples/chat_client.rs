//! The chat client of the class's reference: connects, sends each line that is typed, and logs all five events.
//! Try it with `cargo run --example chat_client -- 127.0.0.1 1024`.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Duration;

use xmlsocket::client::{EventListener, Sender, XmlSocket};
use xmlsocket::wire::Frame;

/// Logs what it hears.
struct Log<W>(W);

impl<W: Write + Send> EventListener for Log<W> {
    fn on_connect(&mut self, _: &Sender) {
        let _ = writeln!(self.0, "connect");
    }

    fn on_data(&mut self, _: &Sender, frame: Frame) {
        let _ = writeln!(self.0, "data: {}", frame.lossy());
    }

    fn on_close(&mut self, _: &Sender) {
        let _ = writeln!(self.0, "close");
    }

    fn on_io_error(&mut self, _: &Sender, _id: u32, text: &str, reason: &str) {
        let _ = writeln!(self.0, "ioError: {text} ({reason})");
    }

    fn on_security_error(&mut self, _: &Sender, _id: u32, text: &str, reason: &str) {
        let _ = writeln!(self.0, "securityError: {text} ({reason})");
    }
}

/// Chats with the server at `host` until `input` ends or the connection does.
pub(crate) fn chat(
    mut socket: XmlSocket,
    (host, port): (&str, u32),
    input: impl BufRead,
    output: impl Write + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    socket.listen(Log(output));
    socket.connect(host, port)?;
    if socket.wait_connected(Duration::from_secs(30)) {
        for line in input.lines() {
            socket.send(&line?)?;
        }
        socket.close()?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().map_or(Ok(1024), |port| port.parse())?;
    chat(XmlSocket::new(), (&host, port), stdin().lock(), stdout())
}
