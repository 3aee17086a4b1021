//! The command `connect`: raw frames, for learning and for looking for faults. A line in is a frame out.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};

use super::options::{ConnectFraming, ConnectOptions};
use super::print;
use crate::address::Address;
use crate::exit_code::{ExitCode, Failure};
use crate::printable::printable;
use xmlsocket::wire::{CLIENT_FRAME_BYTES_MAX, Frame, FrameError, FrameReader, NUL};

/// How long connecting may take, and the server may not read what is sent to it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects, and carries frames both ways until the server closes or the input has ended and it is quiet.
pub(super) fn run(options: &ConnectOptions) -> Result<ExitCode, Failure> {
    let address = Address::parse(&options.address)?;
    let stream = address.connect(PATIENCE)?;
    let failure = |error: io::Error| Failure::run_time(format!("the connection to {address} failed: {error}"));
    stream.set_write_timeout(Some(PATIENCE)).map_err(failure)?;
    let writing = stream.try_clone().map_err(failure)?;
    let framing = options.framing;
    // One sign that a frame came is as good as many.
    let (frame_came, frames) = bounded(1);
    let (input_ended, input) = bounded(1);
    let (closed, close) = bounded(1);
    spawn("output", move || {
        let _ = closed.send(show_frames(stream, framing, &frame_came));
    })?;
    spawn("input", move || {
        let _ = input_ended.send(send_lines(io::stdin().lock(), &writing, framing));
    })?;
    wait(&frames, &input, &close, Duration::from_secs(options.wait)).map_err(failure)?;
    Ok(ExitCode::Ok)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(drop).map_err(|error| Failure::run_time(format!("the system gives no thread: {error}")))
}

/// Waits for the server to close, or for `quiet` without a frame after the input has ended.
fn wait(
    frames: &Receiver<()>,
    input: &Receiver<io::Result<()>>,
    close: &Receiver<io::Result<()>>,
    quiet: Duration,
) -> io::Result<()> {
    let mut ended = false;
    loop {
        let deadline = if ended { after(quiet) } else { never() };
        select! {
            recv(close) -> result => return result.unwrap_or(Ok(())),
            recv(frames) -> _ => {}
            recv(deadline) -> _ => return Ok(()),
            recv(if ended { never() } else { input.clone() }) -> result => match result.unwrap_or(Ok(())) {
                Ok(()) => ended = true,
                // The server has closed before all was sent. What it said before that is still shown.
                Err(error) => {
                    let _ = close.recv_timeout(quiet);
                    return Err(error);
                }
            },
        }
    }
}

/// Sends each line as a frame; at the end tells the server that nothing more will come. A zero byte in the input ends
/// a frame as well, so that input made for other tools does the same here.
fn send_lines(mut input: impl BufRead, mut stream: &TcpStream, framing: ConnectFraming) -> io::Result<()> {
    let end_of_frame = match framing {
        ConnectFraming::Nul => NUL,
        ConnectFraming::Line => b'\n',
    };
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        line.pop_if(|byte| *byte == b'\n');
        if line.last() == Some(&NUL) {
            line.pop();
        }
        line.push(end_of_frame);
        stream.write_all(&line)?;
        line.clear();
    }
    match stream.shutdown(Shutdown::Write) {
        // Gone already: reading says how.
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}

/// Prints each frame as a line, until the server closes or nobody reads any more.
fn show_frames(stream: TcpStream, framing: ConnectFraming, came: &Sender<()>) -> io::Result<()> {
    let input = LineStream { stream, framing };
    let mut frames = FrameReader::new(BufReader::new(input), CLIENT_FRAME_BYTES_MAX);
    loop {
        match frames.read() {
            Ok(Some(frame)) if print(&shown(&frame, framing)) => {}
            Ok(_) => return Ok(()),
            Err(FrameError::Io(error)) if error.kind() == ErrorKind::Interrupted => continue,
            Err(FrameError::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
        let _ = came.try_send(());
    }
}

fn shown(frame: &Frame, framing: ConnectFraming) -> String {
    let text = frame.lossy();
    let text = match framing {
        ConnectFraming::Line => text.strip_suffix('\r').unwrap_or(&text),
        ConnectFraming::Nul => &text,
    };
    printable(text).into_owned()
}

/// A stream in which, with line framing, a newline ends a frame too.
struct LineStream {
    stream: TcpStream,
    framing: ConnectFraming,
}

impl Read for LineStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(bytes)?;
        if self.framing == ConnectFraming::Line {
            bytes[..count].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = NUL);
        }
        Ok(count)
    }
}
