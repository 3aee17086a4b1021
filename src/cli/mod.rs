//! The command line: options, configuration, one file for each subcommand. Wiring only: nothing is decided here that a
//! library's user would have to decide again.
//!
//! In the order in which a command is read, done, and ended:

// The command line and its help.
mod options;

// What is wrong with the arguments, in one sentence.
mod usage;

// The settings of a server: names, sources, precedence.
mod config;

// `serve`: from settings to a running server.
mod serve;

// Who may connect from a SWF, as the settings say.
mod grants;

// What is there only with some features: browsers, Flash content.
mod edges;

// Several applications in one server.
mod worlds;

// Each frame, shown.
mod trace;

// Writing that nobody waits for.
mod spool;

// Log lines and what else is said to the person.
mod stderr;

// SIGINT, SIGTERM, SIGHUP.
mod signals;

// `check-config`.
mod check_config;

// `chat`.
mod chat;

// `connect`.
mod connect;

// `policy`.
mod policy;

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;
use clap::error::ErrorKind;

use crate::exit_code::{ExitCode, Failure};
use options::{Command, Options, PolicyCommand};

/// Does what `arguments` say, the program's own name first. What went wrong is said on stderr, in one sentence.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _flushed = stderr::Flushed;
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match Options::try_parse_from(&arguments) {
        Ok(options) => ended(execute(options.command)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = error.print();
                ExitCode::Ok
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                ExitCode::Usage
            }
            _ => {
                let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
                ended(Err(usage::failure(&error, &words)))
            }
        },
    }
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    stderr::install_logger(if matches!(command, Command::Serve(_)) { "info" } else { "warn" });
    match command {
        Command::Serve(options) => serve::run(options),
        Command::Chat(options) => chat::run(&options),
        Command::Connect(options) => connect::run(&options),
        Command::Policy { command: PolicyCommand::Fetch { host, port, timeout } } => {
            policy::fetch(&host, port, timeout)
        }
        Command::Policy { command: PolicyCommand::Check(options) } => policy::check(&options),
        #[cfg(target_os = "linux")]
        Command::Bench(options) => {
            print(crate::bench::run(&options)?.trim_end());
            Ok(ExitCode::Ok)
        }
        Command::CheckConfig(options) => check_config::run(&options),
        Command::RuffleConfig(options) => edges::ruffle_config(&options),
    }
}

fn ended(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| {
        say(&failure.sentence);
        failure.code
    })
}

/// Says something to the person, on stderr. When nobody listens there, there is nobody to tell.
fn say(sentence: &str) {
    stderr::write(&format!("xmlsocket: {sentence}\n"));
}

/// Prints one line of what was asked for, on stdout, at once. Whether somebody still reads: a reader that has gone
/// (`| head -1`) is no failure, but there is no use in going on for it.
fn print(line: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_ok()
}
