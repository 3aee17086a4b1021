//! The program itself, started by tests: what it prints, how it ends. Nothing that is started here outlives its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::scripted::WAIT;

/// A command that runs the program with `arguments`, in an environment that says nothing.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xmlsocket"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("COLUMNS").env_remove("NO_COLOR");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The program, running.
pub(crate) struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Program {
    /// Starts `command`.
    pub(crate) fn start(mut command: Command) -> Program {
        let mut child = command.spawn().unwrap();
        // The command holds its own end of whatever it was given.
        drop(command);
        let stdout = child.stdout.take().map_or_else(|| Lines::of(std::io::empty()), Lines::of);
        let stderr = child.stderr.take().map_or_else(|| Lines::of(std::io::empty()), Lines::of);
        Program { child, stdout, stderr }
    }

    /// Starts the program with lines to come from [`type_in`](Program::type_in).
    pub(crate) fn typed(arguments: &[&str]) -> Program {
        let mut command = command(arguments);
        command.stdin(Stdio::piped());
        Program::start(command)
    }

    /// Writes `text` to its input.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        self.stdout.next().expect("a line of output, not its end")
    }

    /// Waits for a line on stderr that has `part` in it.
    pub(crate) fn logged(&mut self, part: &str) -> String {
        self.stderr.find(part)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end; gives what it had still to say.
    pub(crate) fn end(mut self) -> Ended {
        let stdout = self.stdout.rest();
        let stderr = self.stderr.rest();
        // Both ends of its output are closed, so it has ended or is about to.
        let status = self.child.wait().unwrap();
        Ended { code: code(status), stdout, stderr }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end, with `input` as its input.
pub(crate) fn run_with(arguments: &[&str], input: &str) -> Ended {
    let mut program = Program::typed(arguments);
    // A program that has ended already takes no input.
    let _ = program.child.stdin.as_mut().unwrap().write_all(input.as_bytes());
    program.end_input();
    program.end()
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Program::start(command(arguments)).end()
}

/// `serve`, running.
pub(crate) struct Serve {
    pub(crate) program: Program,
    /// The lines that it printed, one for each port.
    pub(crate) announced: Vec<String>,
}

impl Serve {
    /// Starts `serve` on one free port, with more `arguments`.
    pub(crate) fn start(arguments: &[&str]) -> Serve {
        Serve::with(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat(), 1)
    }

    /// Starts the program with `arguments`, which make it serve `ports` ports.
    pub(crate) fn with(arguments: &[&str], ports: usize) -> Serve {
        Serve::of(command(arguments), ports)
    }

    pub(crate) fn of(command: Command, ports: usize) -> Serve {
        let mut program = Program::start(command);
        let announced = (0..ports).map(|_| program.line()).collect();
        Serve { program, announced }
    }

    /// The address of the `place`th port.
    pub(crate) fn address(&self, place: usize) -> SocketAddr {
        let line = &self.announced[place];
        line.split(' ').find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("no address in {line:?}"))
    }

    /// A connection to the first port.
    pub(crate) fn connect(&self) -> Raw {
        Raw::to(self.address(0))
    }

    /// Stops it in order; gives what it had still to say.
    pub(crate) fn stop(self) -> Ended {
        self.program.signal(Signal::TERM);
        self.program.end()
    }
}

/// A client that is nothing but a socket.
pub(crate) struct Raw(pub(crate) BufReader<TcpStream>);

impl Raw {
    pub(crate) fn to(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_write_timeout(Some(WAIT)).unwrap();
        Raw(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next frame; `None` is the end of the stream.
    pub(crate) fn frame(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        self.0.read_until(0, &mut bytes).unwrap();
        let ended = bytes.pop()?;
        assert_eq!(ended, 0, "an unterminated tail: {:?}", String::from_utf8_lossy(&bytes));
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Says `text` as a frame, and waits for one that has `part` in it.
    pub(crate) fn ask(&mut self, text: &str, part: &str) -> String {
        self.send(format!("{text}\0").as_bytes());
        loop {
            let frame = self.frame().unwrap_or_else(|| panic!("closed before {part:?} came"));
            if frame.contains(part) {
                return frame;
            }
        }
    }
}

/// The lines that a program writes, read on a thread so that waiting for them can have a deadline.
struct Lines {
    lines: Receiver<String>,
    seen: String,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Lines {
        let (sender, lines): (Sender<String>, _) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Lines { lines, seen: String::new() }
    }

    fn next(&mut self) -> Option<String> {
        self.next_before(Instant::now() + WAIT)
    }

    fn next_before(&mut self, deadline: Instant) -> Option<String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.seen.push_str(&line);
                self.seen.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing more came in time; before:\n{}", self.seen),
        }
    }

    fn find(&mut self, part: &str) -> String {
        loop {
            match self.next() {
                Some(line) if line.contains(part) => return line,
                Some(_) => {}
                None => panic!("{part:?} was not said; this was:\n{}", self.seen),
            }
        }
    }

    fn rest(&mut self) -> String {
        let deadline = Instant::now() + WAIT;
        let mut rest = String::new();
        while let Some(line) = self.next_before(deadline) {
            rest.push_str(&line);
            rest.push('\n');
        }
        rest
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| panic!("it did not exit by itself: {status}"))
}
