//! The commands of `policy`. Here `fetch`: asks for a socket policy as a player does, and prints it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{print, say};
use crate::address::Address;
use crate::exit_code::{ExitCode, Failure};
use crate::printable::printable;
use xmlsocket::policy::{POLICY_BYTES_MAX, PolicyFile};
use xmlsocket::wire::NUL;

// `check`: whether a SWF may connect.
mod check;

pub(super) use check::check;

/// What a player asks with: 23 bytes, without a space before the slash.
const REQUEST: &[u8] = b"<policy-file-request/>\0";

/// Characters of an answer that is no policy which are quoted.
const QUOTED_MAX: usize = 100;

/// Prints the policy that `host` answers at `port`; says on stderr what players ignore in it.
pub(super) fn fetch(host: &str, port: u16, timeout_seconds: u64) -> Result<ExitCode, Failure> {
    let address = Address { host: host.to_owned(), port };
    let timeout = Duration::from_secs(timeout_seconds);
    let stream = address.connect(timeout)?;
    let answer = ask(stream, timeout)
        .map_err(|error| Failure::run_time(format!("cannot read the answer of {address}: {error}")))?;
    let text = String::from_utf8_lossy(&answer.bytes);
    let is_policy = PolicyFile::parse(&text);
    if let Ok((_, warnings)) = &is_policy {
        text.trim().lines().all(|line| print(&printable(line)));
        warnings.iter().for_each(|warning| say(&printable(&warning.to_string())));
    }
    match (is_policy, answer.end) {
        (Ok(_), End::ZeroByte) => Ok(ExitCode::Ok),
        (Ok(_), End::Close) => {
            say("the answer ends without a zero byte; players of Adobe wait for it");
            Ok(ExitCode::Ok)
        }
        (_, End::Timeout) if answer.bytes.is_empty() => {
            Err(Failure::run_time(format!("{address} does not answer within {timeout_seconds} s")))
        }
        (_, End::Timeout) => Err(Failure::run_time(format!(
            "{address} does not end its answer with a zero byte within {timeout_seconds} s"
        ))),
        (Err(_), End::Close) if answer.bytes.is_empty() => {
            Err(Failure::run_time(format!("{address} closes the connection without an answer")))
        }
        (_, End::TooLong) => Err(Failure::run_time(format!(
            "{address} answers with more than {POLICY_BYTES_MAX} bytes; no policy file is so long"
        ))),
        (Err(error), _) => {
            let start: String = text.chars().take(QUOTED_MAX).collect();
            Err(Failure::run_time(format!(
                "{address} answers, but not with a policy file: {error}; the answer begins `{}`",
                printable(&start)
            )))
        }
    }
}

/// What came back.
struct Answer {
    bytes: Vec<u8>,
    end: End,
}

/// What ended an answer.
enum End {
    ZeroByte,
    Close,
    Timeout,
    TooLong,
}

/// Asks and reads the answer, for `timeout` at most, however slowly it comes.
fn ask(mut stream: TcpStream, timeout: Duration) -> io::Result<Answer> {
    let deadline = Instant::now() + timeout;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(REQUEST)?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    let end = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break End::Timeout;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => break End::Close,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break End::Timeout,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A server that closes without having read all resets the connection; what came before still counts.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && !bytes.is_empty() => break End::Close,
            Err(error) => return Err(error),
        }
        if let Some(end) = memchr::memchr(NUL, &bytes) {
            bytes.truncate(end);
            break End::ZeroByte;
        }
        if bytes.len() > POLICY_BYTES_MAX {
            break End::TooLong;
        }
    };
    Ok(Answer { bytes, end })
}
