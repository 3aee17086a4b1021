//! The program `xmlsocket`.

use std::process::ExitCode;

fn main() -> ExitCode {
    xmlsocket::cli::run(std::env::args_os()).into()
}
