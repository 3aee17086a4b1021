//! `serve` where the system gives few threads: what it promises, whom it serves, and that it stops all the same.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getuid};
use tempfile::TempDir;

use crate::program::Serve;
use crate::scripted::WAIT;

/// A user of whom nothing else runs, a new one each time: root itself is bound by no count of threads.
fn somebody() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    50_000 + (std::process::id() * 8 + COUNT.fetch_add(1, Ordering::Relaxed)) % 10_000
}

/// `serve`, run by one who may have few threads.
struct Bounded {
    serve: Serve,
    /// Who runs it, if not we.
    user: Option<u32>,
    /// Where the program lies, so that others can run it.
    _folder: TempDir,
}

impl Bounded {
    /// Starts it for one who may have `threads` threads more than run already.
    fn start(threads: usize, arguments: &[&str]) -> Bounded {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("xmlsocket");
        std::fs::copy(env!("CARGO_BIN_EXE_xmlsocket"), &program).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let user = getuid().is_root().then(somebody);
        let bound = threads + user.map_or_else(own_threads, |_| 0);
        let mut command = as_user(user, "prlimit");
        command.arg(format!("--nproc={bound}")).arg(&program).args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Bounded { serve: Serve::of(command, 1), user, _folder: folder }
    }

    /// From here on it can make no thread more.
    fn give_no_thread(&self) {
        let pid = self.serve.program.pid().to_string();
        let status = as_user(self.user, "prlimit").args(["--pid", &pid, "--nproc=1"]).status();
        assert!(status.unwrap().success());
    }
}

/// A command that runs `program` as `user`, if that is not us.
fn as_user(user: Option<u32>, program: &str) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user);
    }
    command
}

/// How many threads this user has.
fn own_threads() -> usize {
    let user = getuid().as_raw().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let statuses = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
    let field = |status: &str, name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next().map(str::to_owned))
    };
    let own = statuses.filter(|status| field(status, "Uid:").is_some_and(|owner| owner == user));
    own.filter_map(|status| field(&status, "Threads:")?.parse::<usize>().ok()).sum()
}

#[test]
fn a_stop_and_a_reload_need_no_thread_that_is_not_there_yet() {
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM")] {
        let mut bounded = Bounded::start(200, &[]);
        let serve = &mut bounded.serve;
        let mut client = serve.connect();
        client.ask("<login nick='ann'/>", "<welcome");
        bounded.give_no_thread();
        let serve = &mut bounded.serve;
        let mut other = serve.connect();
        assert_eq!(other.frame(), None, "there is no thread for it");
        serve.program.signal(Signal::HUP);
        serve.program.logged("SIGHUP: limits and policy were read again");
        serve.program.signal(signal);
        serve.program.logged(&format!("{name}: stopping"));
        assert_eq!(client.frame().as_deref(), Some(r#"<bye reason="shutdown"/>"#));
        assert_eq!(client.frame(), None);
        assert_eq!(bounded.serve.program.end().code, 0);
    }
}

#[test]
fn a_second_signal_ends_at_once_what_has_no_thread_to_stop_with() {
    let sets = ["limits.shutdown_seconds_max=3600", "limits.write_seconds_max=3600", "limits.frames_per_second_max=0"];
    let more = ["limits.outbox_bytes_max=134217728"];
    let sets: Vec<_> = sets.iter().chain(&more).flat_map(|set| ["--set", set]).collect();
    let bounded = Bounded::start(200, &[&["--app", "relay", "--echo"], &sets[..]].concat());
    let mut stream = TcpStream::connect(bounded.serve.address(0)).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    // It does not read, so that the first signal waits for it. So much that most of it has been echoed.
    let frame = [vec![b'x'; 65_535], vec![0]].concat();
    (0..1_024).for_each(|_| stream.write_all(&frame).unwrap());
    bounded.give_no_thread();
    let mut program = bounded.serve.program;
    program.signal(Signal::TERM);
    program.logged("SIGTERM: stopping");
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, 143);
}

#[test]
fn idle_connections_leave_threads_for_who_falls_behind() {
    // More than the system keeps for one that does not read.
    const MESSAGES: usize = 400;
    let sets =
        ["limits.connections_per_address_max=0", "limits.frames_per_second_max=0", "limits.outbox_bytes_max=67108864"];
    let sets: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let mut bounded = Bounded::start(232, &sets);
    let serve = &mut bounded.serve;
    let said = serve.program.logged("open files");
    let possible: usize = said.rsplit(' ').nth(1).unwrap().parse().unwrap();
    assert!((100..200).contains(&possible), "{said}");
    let mut inside: Vec<_> = (0..possible).map(|_| serve.connect()).collect();
    inside.iter_mut().for_each(|client| drop(client.ask("<ping/>", "<pong/>")));
    let refused = serve.connect().frame().expect("an answer");
    assert!(refused.contains("server-full"), "{refused}");
    // Now somebody falls behind.
    let slow = &mut inside[0];
    slow.ask("<login nick='ann'/>", "<welcome");
    slow.ask("<join room='a'/>", "<room ");
    let message = format!("<message room='a'>{}</message>\0", "x".repeat(60_000));
    (0..MESSAGES).for_each(|_| slow.send(message.as_bytes()));
    slow.send(b"<ping id='last'/>\0");
    let heard = std::iter::from_fn(|| slow.frame().filter(|frame| !frame.contains("last")));
    assert_eq!(heard.filter(|frame| frame.len() > 60_000).count(), MESSAGES);
}
