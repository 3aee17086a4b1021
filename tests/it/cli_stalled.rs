//! Somebody holds the other end of the program's output and does not read: nobody else may notice.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::program::{Program, Raw, Serve, command};
use crate::scripted::WAIT;

/// Visits that end with a log line each.
const VISITS: usize = 700;

/// A stream that takes not one byte more, and its reader, who does not read.
fn full() -> (Stdio, UnixStream) {
    let (mut writer, reader) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    for chunk in [&[b'.'; 4096][..], b"."] {
        loop {
            match writer.write(chunk) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    writer.set_nonblocking(false).unwrap();
    reader.set_read_timeout(Some(WAIT)).unwrap();
    (Stdio::from(OwnedFd::from(writer)), reader)
}

/// What stands in the stream behind the bytes that filled it.
fn read_on(mut reader: UnixStream) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text.trim_start_matches('.').to_owned()
}

fn visit(serve: &Serve, n: usize) {
    let mut client = serve.connect();
    client.send(format!("<login nick=\"guest {n}\"/>\0<quit/>\0").as_bytes());
    assert!(client.frame().expect("an answer").starts_with("<welcome "), "visit {n}");
    assert_eq!(client.frame().as_deref(), Some(r#"<bye reason="quit"/>"#), "visit {n}");
    assert_eq!(client.frame(), None);
}

#[test]
fn everybody_is_served_while_nobody_reads_stderr_and_a_signal_stops_in_time() {
    for options in [&[][..], &["--trace"]] {
        let (stderr, reader) = full();
        let mut command = command(&[&["serve", "--listen", "127.0.0.1:0"], options].concat());
        command.stderr(stderr);
        let serve = Serve::of(command, 1);
        let visits = if options.is_empty() { VISITS } else { 20 };
        (0..visits).for_each(|n| visit(&serve, n));
        let begun = Instant::now();
        assert_eq!(serve.stop().code, 0);
        assert!(begun.elapsed() < Duration::from_secs(3), "it stopped after {:?}", begun.elapsed());
        drop(reader);
    }
}

#[test]
fn who_reads_again_gets_what_was_said_meanwhile() {
    let (stderr, reader) = full();
    let mut command = command(&["serve", "--listen", "127.0.0.1:0"]);
    command.stderr(stderr);
    let serve = Serve::of(command, 1);
    visit(&serve, 1);
    let reading = std::thread::spawn(move || read_on(reader));
    assert_eq!(serve.stop().code, 0);
    let said = reading.join().unwrap();
    assert!(said.contains("a browser can chat at") && said.contains("SIGTERM: stopping"), "{said}");
}

#[test]
fn a_failure_is_said_behind_all_else_and_one_that_nobody_reads_ends_in_time() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["serve", "--listen", &address];
    let ended = Program::start(command(&arguments)).end();
    let said = ended.stderr.lines().last().unwrap_or_default();
    assert!(ended.code == 1 && said.starts_with("xmlsocket: cannot listen on "), "{}", ended.stderr);
    let (stderr, _reader) = full();
    let mut stalled = command(&arguments);
    stalled.stderr(stderr);
    let begun = Instant::now();
    assert_eq!(Program::start(stalled).end().code, 1);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn nobody_needs_to_read_where_the_server_listens() {
    let passed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = passed.local_addr().unwrap();
    let (stdout, _reader) = full();
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_xmlsocket");
    let script = format!("exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec '{program}' serve");
    shell.args(["-c", &script]).stdin(Stdio::from(OwnedFd::from(passed))).stdout(stdout).stderr(Stdio::piped());
    let mut program = Program::start(shell);
    program.logged("a browser can chat at");
    Raw::to(address).ask("<ping/>", "<pong/>");
    program.signal(Signal::TERM);
    let begun = Instant::now();
    assert_eq!(program.end().code, 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "it stopped after {:?}", begun.elapsed());
    assert!(TcpStream::connect(address).is_err());
}
