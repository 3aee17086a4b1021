//! Defines [`Server`], the program that is attacked.
//!
//! Knows: its configuration, its process. Must not know: who connects to it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The default settings but one: the attacks need more places than there are. The second port is for attacks on what
/// other clients speak.
const CONFIGURATION: &str = r#"
listen = ["127.0.0.1:0"]

[limits]
connections_max = 12_000

[[listener]]
address = "127.0.0.1:0"
app = "relay"
framing = "stream"
"#;

/// The most that the server may come to hold before it is ended by force: this machine has other work.
const RUNAWAY_KIB: u64 = 6 << 20;

/// Where the server's log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stderr {
    /// Into a file.
    File,
    /// Into a pipe that nobody reads.
    Stalled,
}

/// A server that was started here. Dropping it ends it.
pub(crate) struct Server {
    child: Child,
    addresses: Vec<SocketAddr>,
    folder: tempfile::TempDir,
    /// The most memory it was seen to hold, in KiB.
    peak_kib: std::cell::Cell<u64>,
}

impl Server {
    /// Starts it and waits for its ports.
    pub(crate) fn start(stderr: Stderr) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = folder.path().join("server.toml");
        std::fs::write(&configuration, CONFIGURATION).expect("a file");
        let log = File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_xmlsocket"));
        command.arg("serve").arg("--config").arg(&configuration).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(if stderr == Stderr::File { log.into() } else { Stdio::piped() });
        let mut child = command.spawn().expect("the program");
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        // Both lines come before the first connection does; its output stays open with the child, unread from here.
        let lines: Vec<String> = stdout.lines().map_while(Result::ok).take(2).collect();
        let address = |line: &String| line.split(' ').find_map(|word| word.parse().ok()).expect("an address");
        let addresses: Vec<SocketAddr> = lines.iter().map(address).collect();
        assert_eq!(addresses.len(), 2, "the program said {lines:?}");
        Server { child, addresses, folder, peak_kib: 0.into() }
    }

    /// Where people chat.
    pub(crate) fn chat(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where a relay speaks streams.
    pub(crate) fn streams(&self) -> SocketAddr {
        self.addresses[1]
    }

    /// Notes how much memory it holds. Is it still within what this machine can spare?
    pub(crate) fn watch(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        self.peak_kib.set(self.peak_kib.get().max(kib));
        if kib > RUNAWAY_KIB {
            let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
        }
        kib <= RUNAWAY_KIB
    }

    /// The most memory that it was seen to hold, in MiB.
    pub(crate) fn memory(&self) -> u64 {
        self.peak_kib.get().div_ceil(1 << 10)
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.watch();
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// How it ended; `None` when it had to be ended by force at `deadline`.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Option<ExitStatus> {
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            // Nothing tells of a child's end without a signal handler of our own; it is measured to 5 ms.
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }

    /// What it said that no attack explains: of a panic, above all.
    pub(crate) fn log(&self) -> Vec<String> {
        let Ok(log) = File::open(self.folder.path().join("log")) else { return Vec::new() };
        let lines = BufReader::new(log).lines().map_while(Result::ok);
        lines.filter(|line| line.contains("panicked")).take(5).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
