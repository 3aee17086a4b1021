//! A server that has no descriptor left: it accepts again when it can, says so once, and still stops in order.
//!
//! The limit holds for a whole process, so the server runs in a child: this test binary once more, with one test.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use xmlsocket::server::{CloseReason, Handle, Listener, Server};
use xmlsocket::wire::{Element, Limits};

use crate::harness::{Client, DEADLINE, Probe, lock, log_lines};

/// Set in the child.
const CHILD: &str = "XMLSOCKET_TEST_DESCRIPTORS";

/// Descriptors that the child may have.
const DESCRIPTORS: u64 = 64;

#[test]
fn out_of_descriptors_the_server_waits_and_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        return serve_with_few_descriptors();
    }
    let (mut child, mut lines, address) = start_child();
    // Connections that the server closes do not use descriptors up.
    let begun = Instant::now();
    for _ in 0..3 * DESCRIPTORS {
        let mut client = Client::connect(address);
        client.send("<quit/>");
        client.end();
    }
    // The system accepts more connections than the server can; those wait their turn.
    let mut clients: Vec<_> = (0..2 * DESCRIPTORS).map(|_| Client::connect(address)).collect();
    clients.iter_mut().for_each(|client| client.send("<a/>"));
    for mut client in clients.drain(..) {
        assert_eq!(client.frame(), "<a/>");
    }
    // A stop needs no descriptor either, and the other listener, which waits for its first connection, ends, too.
    let mut clients: Vec<_> = (0..2 * DESCRIPTORS).map(|_| Client::connect(address)).collect();
    loop {
        clients[0].send("<exhausted/>");
        if clients[0].frame() == "<yes/>" {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "the child found descriptors to spare");
    }
    clients[0].send("<stop/>");
    let warnings = lines.find_map(|line| line.strip_prefix("ended, warnings: ").map(str::to_owned));
    assert_eq!(warnings.as_deref(), Some("1"), "twice exhausted and many pauses are one line a minute");
    assert!(child.wait().unwrap().success());
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
}

fn start_child() -> (Child, impl Iterator<Item = String>, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "descriptors::out_of_descriptors_the_server_waits_and_goes_on", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| line.strip_prefix("address ").map(|address| address.parse().unwrap()));
    (child, lines, address.unwrap())
}

fn serve_with_few_descriptors() {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum: hard }).unwrap();
    log_lines();
    let stopper = Arc::new(OnceLock::<Handle>::new());
    let handle = Arc::clone(&stopper);
    let probe = Probe::answering(move |cx, from, text| match text {
        "<quit/>" => cx.close(from, CloseReason::application("quit", "It said so.")),
        "<stop/>" => handle.get().unwrap().shutdown(),
        "<exhausted/>" if File::open("/dev/null").is_err() => cx.send(from, &Element::new("yes")),
        _ => cx.send(from, &Element::new("a")),
    });
    let quiet = Listener::bind("127.0.0.1:0", Default::default()).unwrap();
    let busy = Listener::bind("127.0.0.1:0", Default::default()).unwrap();
    let address = busy.local_addr();
    // The parent asks again and again whether there is a descriptor left.
    let mut limits = Limits::default();
    limits.frames_per_second_max = 0;
    let server = Server::builder().listen(quiet).listen(busy).limits(limits).serve(probe).unwrap();
    assert!(stopper.set(server.handle()).is_ok());
    println!("address {address}");
    server.wait();
    println!("ended, warnings: {}", lock(log_lines()).iter().filter(|line| line.starts_with("WARN")).count());
}
