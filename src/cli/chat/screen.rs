//! Defines [`Screen`], where lines come from and texts go to: a terminal with a prompt, or two pipes.
//!
//! Knows: `rustyline`, threads that wait for input. Must not know: what lines and texts mean.

use std::io::{self, BufRead};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use crate::cli::print;
use crate::exit_code::Failure;

/// How long the editor waits for a new prompt before it takes the old one.
const PROMPT_MAX: Duration = Duration::from_secs(2);

/// How long the editor may take to set the terminal once it has its prompt.
const EDITOR_MAX: Duration = Duration::from_millis(200);

/// What the input gives.
pub(super) enum Input {
    /// A line, without its end.
    Line(String),
    /// There will be no more.
    End,
    /// It cannot be read.
    Failed(String),
}

/// Input and output.
pub(super) struct Screen {
    lines: Receiver<Input>,
    terminal: Option<Terminal>,
}

/// What a terminal needs beside lines.
struct Terminal {
    /// Prints above the prompt. `None` on terminals that cannot do that.
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    /// Tells the editor to go on, and with which prompt.
    prompts: Sender<String>,
    /// Whether the editor has its prompt for the next line.
    prompted: bool,
    /// How the terminal was set before, to leave it so even while the editor waits for a key.
    before: Option<Termios>,
}

impl Screen {
    /// A terminal for a person, or plain lines.
    pub(super) fn new(for_person: bool) -> Result<Screen, Failure> {
        let (sender, lines) = bounded(0);
        let terminal = if for_person { Some(edit_lines(sender)?) } else { read_lines(sender).map(|()| None)? };
        Ok(Screen { lines, terminal })
    }

    /// The next line, asked for with `prompt`.
    pub(super) fn lines(&mut self, prompt: String) -> Receiver<Input> {
        if let Some(terminal) = &mut self.terminal
            && !terminal.prompted
        {
            terminal.prompted = terminal.prompts.try_send(prompt).is_ok();
        }
        self.lines.clone()
    }

    /// The next line, in case there is one already: nobody is asked.
    pub(super) fn waiting_lines(&self) -> Receiver<Input> {
        self.lines.clone()
    }

    /// What was asked for has come.
    pub(super) fn input_taken(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            terminal.prompted = false;
        }
    }

    /// Shows a line of text; on a terminal above the prompt. Whether somebody still looks.
    pub(super) fn show(&mut self, text: &str) -> bool {
        match self.terminal.as_mut().and_then(|terminal| terminal.printer.as_mut()) {
            Some(printer) => printer.print(format!("{text}\n")).is_ok(),
            None => print(text),
        }
    }

    /// Gives the terminal back as it was, without the prompt.
    pub(super) fn close(&mut self) {
        let Some(Terminal { before, prompted, prompts, .. }) = self.terminal.take() else { return };
        // An editor without a prompt sees that there will be none.
        drop(prompts);
        if let Some(before) = before {
            use io::Write;
            // One that has just got its prompt is about to change the terminal, and must not do so after this.
            let deadline = Instant::now() + EDITOR_MAX;
            while prompted && is_line_by_line() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &before);
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(b"\r\x1b[K").and_then(|()| stdout.flush());
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether the terminal gives lines, and not keys as the editor wants them.
fn is_line_by_line() -> bool {
    tcgetattr(io::stdin().as_fd()).is_ok_and(|now| now.local_modes.contains(LocalModes::ICANON))
}

/// Reads lines on a thread: from a file or a pipe.
fn read_lines(lines: Sender<Input>) -> Result<(), Failure> {
    spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        let last = loop {
            line.clear();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => break Input::End,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line);
                    let text = text.strip_suffix('\n').unwrap_or(&text);
                    let text = text.strip_suffix('\r').unwrap_or(text);
                    if lines.send(Input::Line(text.to_owned())).is_err() {
                        return;
                    }
                }
                Err(error) => break Input::Failed(error.to_string()),
            }
        };
        let _ = lines.send(last);
    })
}

/// Lets a person edit lines on a thread.
fn edit_lines(lines: Sender<Input>) -> Result<Terminal, Failure> {
    let failure = |error: &ReadlineError| Failure::run_time(format!("cannot use the terminal: {error}"));
    let before = tcgetattr(io::stdin().as_fd()).ok();
    // Pasted lines are sent one by one, and the terminal needs no word of farewell.
    let config = Config::builder().bracketed_paste(false).build();
    let mut editor =
        Editor::<(), MemHistory>::with_history(config, MemHistory::new()).map_err(|error| failure(&error))?;
    let printer = editor.create_external_printer().ok();
    let printer = printer.map(|printer| Box::new(printer) as Box<dyn ExternalPrinter + Send>);
    let (prompts, new_prompts) = bounded::<String>(1);
    spawn(move || {
        let Ok(mut prompt) = new_prompts.recv() else { return };
        loop {
            let input = match editor.readline(&prompt) {
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    Input::Line(line)
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Input::End,
                Err(error) => Input::Failed(error.to_string()),
            };
            let goes_on = matches!(input, Input::Line(_));
            if lines.send(input).is_err() || !goes_on {
                return;
            }
            // The answer comes before the prompt, unless it takes long. Without this wait for it to end, a text that
            // is printed at this very moment would wait for the editor, and the editor for who prints it.
            prompt = match new_prompts.recv_timeout(PROMPT_MAX) {
                Ok(prompt) => prompt,
                Err(RecvTimeoutError::Timeout) => prompt,
                Err(RecvTimeoutError::Disconnected) => return,
            };
        }
    })?;
    Ok(Terminal { printer, prompts, prompted: false, before })
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let spawned = thread::Builder::new().name("input".to_owned()).spawn(run);
    spawned.map(drop).map_err(|error| Failure::run_time(format!("the system gives no thread: {error}")))
}
