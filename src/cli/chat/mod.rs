//! The command `chat`: a terminal client. A person types at a prompt, or a script sends its lines.
//!
//! In the order of a line's way out and an answer's way back:

// Where lines come from and texts go to: a terminal, or two pipes.
mod screen;

// What a line means, and what a frame says.
mod session;

// How things are said: names, colours, sentences.
mod speech;

// How fast a script sends.
mod pace;

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender as ChannelSender, at, bounded, never, select};

use super::options::ChatOptions;
use super::say;
use crate::address::Address;
use crate::exit_code::{ExitCode, Failure};
use pace::Pace;
use screen::{Input, Screen};
use session::{Session, Step};
use speech::Speech;
use xmlsocket::client::{Event, Reconnect, Sender, XmlSocket};

/// How long the server may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long the farewell may take: nobody wants to wait for it.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// Lines that are kept for when the connection is back; a person who types more waits.
const KEPT_LINES_MAX: usize = 100;

/// Events that wait for this thread; the socket waits when there are more.
const EVENTS_MAX: usize = 64;

/// Talks in a chat until the person leaves, the script ends, or the server closes. A person's connection that is lost is
/// made again; a script's is its end, since what was sent last may not have arrived.
pub(super) fn run(options: &ChatOptions) -> Result<ExitCode, Failure> {
    let address = Address::parse(&options.address)?;
    let is_script = !std::io::stdin().is_terminal();
    let for_person = !is_script && std::io::stdout().is_terminal();
    let mut socket = XmlSocket::new();
    socket.set_reconnect(for_person.then(Reconnect::new));
    let failure = |error: &dyn std::fmt::Display| Failure::run_time(format!("cannot connect to {address}: {error}"));
    socket.connect(&address.host, u32::from(address.port)).map_err(|error| failure(&error))?;
    let sender = socket.sender();
    let events = forward(socket).map_err(|error| failure(&error))?;
    match events.recv_timeout(ANSWER_MAX) {
        Ok(Event::Connect) => {}
        Ok(Event::IoError { reason, .. } | Event::SecurityError { reason, .. }) => return Err(failure(&reason)),
        _ => return Err(failure(&"no answer")),
    }
    let session = Session::new(&options.nick, &options.room, Speech::new(for_person), for_person);
    let mut talk = Talk {
        session,
        sender,
        screen: Screen::new(for_person)?,
        pace: Pace::new(Instant::now()),
        for_person,
        stops_at_faults: is_script && !options.keep_going,
        asked: Instant::now(),
        connected: true,
        kept: VecDeque::new(),
        lines: 0,
        faults: 0,
        ended: false,
    };
    talk.run(&events)
}

/// Takes the events of `socket` on a thread, so that they can be waited for together with the input.
fn forward(socket: XmlSocket) -> std::io::Result<Receiver<Event>> {
    let (events, receiver): (ChannelSender<Event>, _) = bounded(EVENTS_MAX);
    thread::Builder::new().name("events".to_owned()).spawn(move || {
        for event in socket.events() {
            if events.send(event).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

/// A conversation.
struct Talk {
    session: Session,
    sender: Sender,
    screen: Screen,
    pace: Pace,
    /// Whether a person types, or else a script.
    for_person: bool,
    /// Whether the first fault is the end: the lines that follow were written by somebody who did not expect it.
    stops_at_faults: bool,
    /// When the request was sent that has waited longest for its answer.
    asked: Instant,
    /// Whether there is a connection at the moment.
    connected: bool,
    /// Lines that were typed while there was none.
    kept: VecDeque<String>,
    /// The lines that were read.
    lines: u64,
    /// What a script got wrong, or was refused.
    faults: u32,
    /// Whether the input has ended, or nobody looks at the output any more.
    ended: bool,
}

/// What is waited for next.
enum Next {
    /// The next line of the input.
    Line,
    /// The time at which the next line may be sent.
    Time(Instant),
    /// An answer, until then.
    Answer(Instant),
    /// Another connection.
    Connection,
}

impl Talk {
    fn run(&mut self, events: &Receiver<Event>) -> Result<ExitCode, Failure> {
        let steps = self.session.begin();
        self.take(steps)?;
        loop {
            let next = self.next();
            let (lines, deadline) = match &next {
                Next::Line => (self.screen.lines(self.session.prompt()), never()),
                Next::Time(time) => (never(), at(*time)),
                // A person may type while an answer is awaited.
                Next::Answer(time) if self.for_person && !self.ended && self.session.is_there() => {
                    (self.screen.waiting_lines(), at(*time))
                }
                Next::Answer(time) => (never(), at(*time)),
                Next::Connection if self.kept.len() < KEPT_LINES_MAX => {
                    (self.screen.lines(self.session.prompt()), never())
                }
                Next::Connection => (never(), never()),
            };
            select! {
                recv(events) -> event => match event {
                    Ok(Event::Data(frame)) => {
                        let steps = self.session.on_frame(&frame);
                        self.take(steps)?;
                    }
                    Ok(Event::Connect) => {
                        self.connected = true;
                        let steps = self.session.begin();
                        self.take(steps)?;
                    }
                    // It was said already that the connection is gone.
                    Ok(Event::Reconnecting { .. }) => {}
                    Ok(event) => if !self.goes_on_without(&event) {
                        return self.end(Some(&event));
                    },
                    Err(_) => return self.end(None),
                },
                recv(lines) -> line => match line {
                    Ok(Input::Line(line)) => {
                        self.pace.spend(line.len(), Instant::now());
                        self.screen.input_taken();
                        self.lines += 1;
                        self.on_line(line)?;
                    }
                    Ok(Input::Failed(error)) => return Err(Failure::run_time(format!("cannot read the input: {error}"))),
                    Ok(Input::End) | Err(_) => {
                        self.screen.input_taken();
                        self.ended = true;
                    }
                },
                recv(deadline) -> _ => if matches!(next, Next::Answer(_)) {
                    self.on_silence()?;
                },
            }
            while self.connected && self.session.is_idle() {
                let Some(line) = self.kept.pop_front() else { break };
                let steps = self.session.on_line(&line);
                self.take(steps)?;
            }
            if self.ended && !self.connected {
                return self.leave_without_connection();
            }
            if self.ended && !self.session.is_leaving() && self.session.is_idle() {
                let steps = self.session.leave();
                self.take(steps)?;
            }
        }
    }

    /// What is to be waited for, beside events.
    fn next(&self) -> Next {
        if self.session.is_leaving() {
            Next::Answer(self.asked + FAREWELL_MAX)
        } else if !self.connected {
            Next::Connection
        } else if self.ended || !self.session.is_idle() {
            Next::Answer(self.asked + ANSWER_MAX)
        } else if self.for_person {
            Next::Line
        } else {
            self.pace.wait_until(Instant::now()).map_or(Next::Line, Next::Time)
        }
    }

    /// A line was typed: it is for now, or for later.
    fn on_line(&mut self, line: String) -> Result<(), Failure> {
        if !self.connected || !self.kept.is_empty() {
            self.kept.push_back(line);
            return Ok(());
        }
        let steps = self.session.on_line(&line);
        self.take(steps)
    }

    /// Does what the session wants done.
    fn take(&mut self, steps: Vec<Step>) -> Result<(), Failure> {
        for step in steps {
            match step {
                Step::Send(element) => {
                    self.asked = Instant::now();
                    // When the connection is gone, the event that says so is on its way.
                    let _ = self.sender.send_encoded(&element);
                }
                Step::Show(text) => self.ended |= !self.screen.show(&text),
                Step::Fault(text) if self.for_person => self.ended |= !self.screen.show(&format!("!! {text}")),
                Step::Fault(text) => {
                    self.faults += 1;
                    // A line is sent when the one before has been answered: this is about the last one.
                    let hint =
                        if self.stops_at_faults { " (what follows is not sent without --keep-going)" } else { "" };
                    say(&format!("line {}: {text}{hint}", self.lines));
                    self.ended |= self.stops_at_faults;
                }
                Step::Fail(text) => return Err(Failure::run_time(text)),
            }
        }
        Ok(())
    }

    fn on_silence(&mut self) -> Result<(), Failure> {
        if self.session.is_leaving() {
            return Err(Failure::run_time("the server did not take leave in time"));
        }
        if self.for_person && self.session.is_there() {
            self.session.forget_requests();
            self.screen.show("!! the server has not answered");
            return Ok(());
        }
        Err(Failure::run_time(format!("the server did not answer within {} s", ANSWER_MAX.as_secs())))
    }

    /// The connection has ended, or could not be made again, as `event` says. Whether the conversation outlives that.
    fn goes_on_without(&mut self, event: &Event) -> bool {
        let (reason, unanswered) = (self.reason(event), self.session.is_there() && !self.session.is_idle());
        if !self.session.lost() {
            return false;
        }
        if std::mem::replace(&mut self.connected, false) {
            let doubt = if unanswered { "; what you said last may not have arrived" } else { "" };
            let text = format!("!! {reason}{doubt}. What you type is kept until the connection is back; ^D ends");
            self.ended |= !self.screen.show(&text);
        }
        true
    }

    /// Why the connection has ended.
    fn reason(&self, event: &Event) -> String {
        match (event, self.session.farewell()) {
            (Event::IoError { reason, .. }, _) => format!("the connection failed: {reason}"),
            (_, Some(reason)) => format!("the server closed the connection: {reason}"),
            _ => "the server closed the connection".to_owned(),
        }
    }

    /// The person leaves while there is no connection.
    fn leave_without_connection(&mut self) -> Result<ExitCode, Failure> {
        self.screen.close();
        let lines = match self.kept.len() {
            0 => String::new(),
            1 => ", and one line was not sent".to_owned(),
            lines => format!(", and {lines} lines were not sent"),
        };
        Err(Failure::run_time(format!("the connection was not back yet{lines}")))
    }

    /// The connection has ended, and so does the conversation.
    fn end(&mut self, event: Option<&Event>) -> Result<ExitCode, Failure> {
        self.screen.close();
        if self.session.is_leaving() {
            return Ok(if self.faults == 0 { ExitCode::Ok } else { ExitCode::Failed });
        }
        Err(Failure::run_time(self.reason(event.unwrap_or(&Event::Close))))
    }
}
