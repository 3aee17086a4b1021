//! `chat` on a terminal: a pseudo-terminal plays the person's screen and keys.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::program::{Program, Serve, command, run_with};
use crate::scripted::{Scripted, WAIT};

/// A person at a terminal.
struct Person {
    keys: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    /// How much of `seen` has been looked at.
    looked: usize,
    program: Program,
}

impl Person {
    /// Runs `chat` with `arguments` on a terminal of its own.
    fn at_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> Person {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let terminal = || -> OwnedFd { rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap() };
        let mut command = command(arguments);
        command.env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
        command.stdin(Stdio::from(terminal())).stdout(Stdio::from(terminal()));
        let keys = File::from(keys);
        let mut output = keys.try_clone().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Person { keys, screen, seen: String::new(), looked: 0, program: Program::start(command) }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `text` appears, after all that was waited for before.
    fn sees(&mut self, text: &str) {
        let deadline = Instant::now() + WAIT;
        loop {
            if let Some(at) = self.seen[self.looked..].find(text) {
                self.looked += at + text.len();
                return;
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} did not appear after {:?}", &self.seen[self.looked..]),
            }
        }
    }
}

#[test]
fn a_person_types_at_a_prompt_and_others_appear_above_it() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let mut ann = Person::at_terminal(&["chat", &address, "--nick", "ann"], &[("NO_COLOR", "1")]);
    ann.sees("-- welcome, ann: this is xmlsocket; /help shows the commands");
    ann.sees("-- you are in lobby, alone");
    ann.sees("[lobby] ann: ");
    run_with(&["chat", &address, "--nick", "bob"], "hello ann\n");
    ann.sees("-- bob entered lobby");
    ann.sees("[lobby] bob: hello ann");
    ann.sees("-- bob left lobby");
    ann.press("hi all\r");
    ann.sees("hi all");
    ann.press("/topic tea\r");
    ann.sees("-- the topic of lobby, says ann: tea");
    assert!(
        !ann.seen.contains("ann: hi all\r\n[lobby] ann: hi all"),
        "one's own words are not said twice: {:?}",
        ann.seen
    );
    ann.press("/jion x\r");
    ann.sees("!! there is no command /jion; the nearest one is /join");
    ann.press("/join den\r");
    ann.sees("-- you are in den, alone");
    ann.sees("[den] ann: ");
    ann.press("/quit\r");
    assert_eq!(ann.program.end().code, 0);
}

#[test]
fn names_have_colours() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let mut ann = Person::at_terminal(&["chat", &address, "--nick", "ann"], &[]);
    ann.sees("[lobby] \u{1b}[");
    run_with(&["chat", &address, "--nick", "bob"], "hello\n");
    ann.sees("[lobby] \u{1b}[");
    ann.sees("mbob\u{1b}[0m: hello");
}

#[test]
fn the_terminal_is_left_as_it_was() {
    let scripted = Scripted::once(|mut peer| {
        peer.hear();
        peer.say("<welcome nick=\"ann\" re=\"1\"/>\0");
        peer.hear();
        peer.say("<room name=\"lobby\" topic=\"\" re=\"2\"/>\0");
        assert_eq!(peer.hear(), "<message room=\"lobby\" id=\"3\">bye</message>");
        peer.say("<ok re=\"3\"/>\0<bye reason=\"kicked\"/>\0");
    });
    let address = format!("127.0.0.1:{}", scripted.port());
    let mut ann = Person::at_terminal(&["chat", &address, "--nick", "ann"], &[("NO_COLOR", "1")]);
    ann.sees("[lobby] ann: ");
    let canonical = rustix::termios::LocalModes::ICANON;
    let keys = ann.keys.try_clone().unwrap();
    let modes = || rustix::termios::tcgetattr(&keys).unwrap().local_modes;
    assert!(!modes().contains(canonical), "the editor reads keys");
    // The server closes while the editor waits for a key.
    ann.press("bye\r");
    let ended = ann.program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (1, "xmlsocket: the server closed the connection: kicked\n"));
    assert!(modes().contains(canonical));
    scripted.join();
}

#[test]
fn a_lost_connection_is_made_again_and_what_was_typed_meanwhile_is_said() {
    let (typed, is_typed) = channel();
    let scripted = Scripted::run(move |listener| {
        let mut peer = listener.accept();
        assert_eq!(peer.hear(), "<login nick=\"ann\" id=\"1\"/>");
        peer.say("<welcome nick=\"ann\" session=\"s\" re=\"1\"/>\0");
        assert_eq!(peer.hear(), "<join room=\"lobby\" history=\"20\" id=\"2\"/>");
        peer.say(
            "<room name=\"lobby\" topic=\"\" re=\"2\"/>\0<message id=\"7\" room=\"lobby\" from=\"bob\">hi</message>\0",
        );
        assert_eq!(peer.hear(), "<message room=\"lobby\" id=\"3\">first</message>");
        drop(peer);
        let mut peer = listener.accept();
        assert_eq!(peer.hear(), "<login nick=\"ann\" session=\"s\" id=\"4\"/>");
        is_typed.recv_timeout(WAIT).unwrap();
        peer.say("<welcome nick=\"ann\" session=\"s\" resumed=\"true\" re=\"4\"/>\0");
        assert_eq!(peer.hear(), "<join room=\"lobby\" history=\"200\" after=\"7\" id=\"5\"/>");
        peer.say("<room name=\"lobby\" topic=\"\" re=\"5\"/>\0");
        assert_eq!(peer.hear(), "<message room=\"lobby\" id=\"6\">second</message>");
        peer.say("<ok re=\"6\"/>\0");
        assert_eq!(peer.hear(), "<quit/>");
    });
    let address = format!("127.0.0.1:{}", scripted.port());
    let mut ann = Person::at_terminal(&["chat", &address, "--nick", "ann"], &[("NO_COLOR", "1")]);
    ann.sees("[lobby] bob: hi");
    ann.sees("[lobby] ann: ");
    ann.press("first\r");
    ann.sees("!! the server closed the connection; what you said last may not have arrived. What you type is kept");
    ann.press("second\r");
    ann.sees("second");
    typed.send(()).unwrap();
    ann.sees("-- the connection is back, ann");
    ann.sees("-- you are in lobby, alone");
    ann.sees("[lobby] ann: ");
    ann.press("/quit\r");
    assert_eq!(ann.program.end().code, 0);
    scripted.join();
}

#[test]
fn who_leaves_while_there_is_no_connection_is_told_what_was_not_sent() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let mut ann = Person::at_terminal(&["chat", &address, "--nick", "ann"], &[("NO_COLOR", "1")]);
    ann.sees("[lobby] ann: ");
    assert_eq!(serve.stop().code, 0);
    ann.sees(
        "!! the server closed the connection: shutdown. What you type is kept until the connection is back; ^D ends",
    );
    ann.press("anybody?\r");
    ann.sees("anybody?");
    ann.sees("[lobby] ann: ");
    ann.press("\u{4}");
    let ended = ann.program.end();
    let said = "xmlsocket: the connection was not back yet, and one line was not sent\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (1, said));
}

#[test]
fn the_end_of_input_takes_leave() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    for key in ["\u{4}", "\u{3}"] {
        let mut ann = Person::at_terminal(&["chat", &address, "--nick", "ann"], &[("NO_COLOR", "1")]);
        ann.sees("[lobby] ann: ");
        ann.press(key);
        assert_eq!(ann.program.end().code, 0, "{key:?}");
    }
}

#[test]
fn a_terminal_that_can_do_nothing_is_enough() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let mut ann = Person::at_terminal(&["chat", &address, "--nick", "ann"], &[("TERM", "dumb")]);
    ann.sees("-- you are in lobby, alone");
    ann.sees("[lobby] ann: ");
    run_with(&["chat", &address, "--nick", "bob"], "hello\n");
    ann.sees("[lobby] bob: hello");
    ann.press("/who\n");
    ann.sees("-- in lobby: ann (owner)");
    assert!(!ann.seen.contains('\u{1b}'), "{:?}", ann.seen);
    ann.press("/quit\n");
    assert_eq!(ann.program.end().code, 0);
}
