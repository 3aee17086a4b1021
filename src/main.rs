//! The program `xmlsocket`: what a person types, done with the library. Wiring only: nothing is decided here that a
//! library's user would have to decide again.
//!
//! Knows: everything the library offers to all. Must not know: what the library keeps to itself.

// How the program ends.
mod exit_code;

// The address of a server, as a client is given it.
mod address;

// Text of strangers on a terminal.
mod printable;

// What scripts read.
mod json;

// What an option takes.
mod taken;

// The load generator.
#[cfg(target_os = "linux")]
mod bench;

// The command line: a file for each subcommand.
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os()).into()
}
