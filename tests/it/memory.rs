//! What a connection costs: thousands of people who have logged in and joined, against the program itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::DEADLINE;

/// People in the chat, and how many of them share a room.
const PEOPLE: usize = 5_000;
const ROOM: usize = 100;

/// Resident bytes a connection may take. A debug build's code needs deeper stacks, hence more pages.
const BYTES_MAX: u64 = if cfg!(debug_assertions) { 48 * 1024 } else { 13 * 1024 };

/// The program, ended when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn memory_of_people_who_have_logged_in_and_joined() {
    raise_open_files();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xmlsocket"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--set", "limits.frames_per_second_per_address_max=0"]);
    command.env("RUST_LOG", "warn").stdout(Stdio::piped());
    let mut program = Program(command.spawn().expect("the program starts"));
    let stdout = program.0.stdout.take().expect("its output is piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
    let address = line.split_whitespace().nth(2).and_then(|address| address.parse().ok());
    let address: SocketAddr = address.unwrap_or_else(|| panic!("no address in {line:?}"));

    let before = resident_bytes(program.0.id());
    let people: Vec<TcpStream> = (0..PEOPLE).map(|number| enter(address, number)).collect();
    let after = resident_bytes(program.0.id());

    let each = (after - before) / PEOPLE as u64;
    println!("memory: {:.2} KiB resident a connection, {PEOPLE} logged in, rooms of {ROOM}", each as f64 / 1024.0);
    assert!(each <= BYTES_MAX, "{each} bytes a connection, more than {BYTES_MAX}");
    assert!(each >= 4096, "{each} bytes a connection cannot be: each has a thread, whose stack has a page");
    drop(people);
}

/// Connects, logs in, joins; returns once the room was told.
fn enter(address: SocketAddr, number: usize) -> TcpStream {
    let mut person = TcpStream::connect(address).expect("the server accepts");
    person.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let request = format!("<login nick=\"user{number}\"/>\0<join room=\"room{}\"/>\0", number / ROOM);
    person.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    let mut piece = [0; 8192];
    while !(answer.ends_with(b"\0") && answer.windows(6).any(|part| part == b"<room ")) {
        let count = person.read(&mut piece).expect("the server answers");
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..count]);
    }
    person
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the program runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024
}

fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("the soft limit may be raised to the hard one");
    let enough = limit.maximum.is_none_or(|maximum| maximum >= PEOPLE as u64 + 500);
    assert!(enough, "this test needs a hard limit of open files above {PEOPLE} (ulimit -Hn)");
}
