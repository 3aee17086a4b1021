//! `connect`, `chat` and `policy fetch` from outside, against the program's own server and against scripted ones.

use std::net::TcpListener;
use std::process::Stdio;

use crate::program::{Program, Serve, command, run, run_with};
use crate::scripted::Scripted;

fn address(scripted: &Scripted) -> String {
    format!("127.0.0.1:{}", scripted.port())
}

#[test]
fn connect_sends_lines_and_prints_answers() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let input = "<login nick='ann'/>\n<join room='a'/>\n<message room='a'>two\\nlines</message>";
    let ended = run_with(&["connect", &address], input);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, start) in lines.iter().zip(["<welcome nick=\"ann\"", "<room name=\"a\"", "<message id="]) {
        assert!(line.starts_with(start), "{line}");
    }
    // The same, ended by zero bytes as other tools want it.
    let ended = run_with(&["connect", &address], "<login nick='bob'/>\0<ping id='7'/>\0");
    assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);
    assert!(ended.stdout.ends_with("<pong re=\"7\"/>\n"), "{}", ended.stdout);
}

#[test]
fn connect_shows_what_a_terminal_would_act_upon() {
    let scripted = Scripted::once(|mut peer| {
        peer.say(b"two\nlines\0\x1b[2J\0\0plain\0not \xff utf-8\0unfinished");
    });
    let ended = run(&["connect", &address(&scripted)]);
    scripted.join();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.stdout, "two\\nlines\n\\u{1b}[2J\n\nplain\nnot \u{fffd} utf-8\n");
}

#[test]
fn connect_speaks_lines_both_ways() {
    let serve = Serve::start(&["--app", "relay", "--echo", "--framing", "line"]);
    let ended = run_with(&["connect", "--framing", "line", &serve.address(0).to_string()], "one\ntwo\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "one\ntwo\n"));
}

#[test]
fn connect_goes_on_after_its_input_until_it_is_quiet() {
    // This server does not close when its client has no more to say.
    let (done, wait) = std::sync::mpsc::channel();
    let scripted = Scripted::once(move |mut peer| {
        peer.say("later\0");
        let _ = wait.recv_timeout(crate::scripted::WAIT);
    });
    let ended = run(&["connect", "--wait", "0", &address(&scripted)]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let ended = ended.stdout;
    done.send(()).unwrap();
    scripted.join();
    assert!(ended.is_empty() || ended == "later\n", "{ended}");
}

#[test]
fn connect_ends_when_the_server_closes_though_its_input_goes_on() {
    let scripted = Scripted::once(|mut peer| peer.say("bye\0"));
    let mut client = Program::typed(&["connect", &address(&scripted)]);
    assert_eq!(client.line(), "bye");
    scripted.join();
    let ended = client.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn nobody_there_is_one_sentence_and_exit_code_1() {
    // A port that was free a moment ago, and is bound without listening, refuses.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = address.port().to_string();
    let address = address.to_string();
    for arguments in
        [&["connect", &address][..], &["chat", &address, "--nick", "ann"], &["policy", "fetch", "127.0.0.1", &port]]
    {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(ended.stderr.starts_with(&format!("xmlsocket: cannot connect to {address}: ")), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn two_people_talk() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let mut ann = Program::typed(&["chat", &address, "--nick", "ann", "--room", "tea"]);
    assert_eq!(ann.line(), "-- you are in tea, alone");
    let mut bob = Program::typed(&["chat", &address, "--nick", "bob", "--room", "tea"]);
    assert_eq!(bob.line(), "-- you are in tea with ann (owner)");
    assert_eq!(ann.line(), "-- bob entered tea");
    ann.type_in("hello <bob> & \u{1b}[2Jall\n");
    assert_eq!(ann.line(), "[tea] ann: hello <bob> & [2Jall", "XML has no escape characters");
    assert_eq!(bob.line(), "[tea] ann: hello <bob> & [2Jall");
    bob.type_in("/msg ann psst\n/me waves\n/nick robert\n/topic cups\n/who\n/rooms\n");
    assert_eq!(ann.line(), "[private] bob: psst");
    assert_eq!(ann.line(), "[tea] * bob waves");
    assert_eq!(ann.line(), "-- bob is now robert");
    assert_eq!(ann.line(), "-- the topic of tea, says robert: cups");
    assert_eq!(bob.line(), "[private to ann] bob: psst");
    let bobs: Vec<String> = (0..5).map(|_| bob.line()).collect();
    let expected = [
        "[tea] * bob waves",
        "-- bob is now robert",
        "-- the topic of tea, says robert: cups",
        "-- in tea: ann (owner), robert",
        "   tea (2) cups",
    ];
    assert_eq!(bobs, expected);
    bob.end_input();
    let bob = bob.end();
    assert_eq!((bob.code, bob.stdout.as_str(), bob.stderr.as_str()), (0, "", ""));
    let left = ann.line();
    assert!(left.starts_with("-- robert left tea"), "{left}");
    ann.type_in("/quit\n");
    assert_eq!(ann.end().code, 0);
}

#[test]
fn a_script_waits_for_its_answers_and_reports_what_was_refused() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let chat = ["chat", &address, "--nick", "kitchen"];
    let ended = run_with(&chat, "dinner is ready\r\n\nlast line without an end");
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let said =
        "-- you are in lobby, alone\n[lobby] kitchen: dinner is ready\n[lobby] kitchen: last line without an end\n";
    assert_eq!(ended.stdout, said);
    let ended = run_with(&[&chat[..], &["--keep-going"]].concat(), "/msg nobody hi\n/jion x\nstill here\n");
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.ends_with("[lobby] kitchen: still here\n"), "{}", ended.stdout);
    let faults: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("xmlsocket: line 1: Nobody here has this nick"), "{faults:?}");
    assert!(faults[1].contains("line 2: there is no command /jion; the nearest one is /join"), "{faults:?}");
}

#[test]
fn what_follows_a_refused_line_of_a_script_is_not_sent() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let mut owner = serve.connect();
    owner.ask("<login nick='owner'/>", "<welcome");
    owner.ask("<join room='secret' password='pw'/>", "<room ");
    owner.ask("<join room='lobby'/>", "<room ");
    for (first, fault) in [
        ("/join secret", "line 2: The room has a password, and this is not it."),
        ("/msg nobody my own words", "line 2: Nobody here has this nick."),
        ("/jion secret", "line 2: there is no command /jion; the nearest one is /join"),
        ("/topic", ""),
    ] {
        let ended = run_with(&["chat", &address, "--nick", "ann"], &format!("hello\n{first}\nfor secret ears\n"));
        let stops = !fault.is_empty();
        assert_eq!(ended.code, i32::from(stops), "{first}: {}", ended.stderr);
        assert_eq!(ended.stdout.contains("for secret ears"), !stops, "{first}: {}", ended.stdout);
        if stops {
            assert!(ended.stderr.starts_with(&format!("xmlsocket: {fault}")), "{first}: {}", ended.stderr);
            assert!(ended.stderr.contains("--keep-going") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
        }
        let heard = owner.ask("<history room='lobby'/>", "<history ");
        assert_eq!(heard.contains("for secret ears"), !stops, "{first}: {heard}");
    }
}

#[test]
fn a_script_of_many_lines_is_not_too_fast() {
    let serve = Serve::start(&[]);
    let lines: String = (0..160).map(|n| format!("line {n}\n")).collect();
    let ended = run_with(&["chat", &serve.address(0).to_string(), "--nick", "ann"], &lines);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout.lines().count(), 161);
}

#[test]
fn a_name_that_is_taken_and_a_server_that_closes_end_with_1() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    let mut ann = Program::typed(&["chat", &address, "--nick", "ann"]);
    ann.line();
    let taken = run_with(&["chat", &address, "--nick", "ANN"], "hi\n");
    assert_eq!((taken.code, taken.stdout.as_str()), (1, ""));
    assert!(taken.stderr.starts_with("xmlsocket: ") && taken.stderr.lines().count() == 1, "{}", taken.stderr);
    assert_eq!(serve.stop().code, 0);
    let ended = ann.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (1, "xmlsocket: the server closed the connection: shutdown\n"));
}

#[test]
fn chat_answers_pings_and_survives_a_strange_server() {
    let scripted = Scripted::once(|mut peer| {
        assert_eq!(peer.hear(), r#"<login nick="ann" id="1"/>"#);
        peer.say("<ping/>\0");
        assert_eq!(peer.hear(), "<pong/>");
        peer.say("\0no xml\0<welcome re=\"1\"/>\0<room name=\"lobby\" re=\"2\"/>\0<wave a=\"\u{202e}\"/>\0");
        assert_eq!(peer.hear(), r#"<join room="lobby" id="2"/>"#);
        assert_eq!(peer.hear(), "<quit/>");
    });
    let ended = run_with(&["chat", &address(&scripted), "--nick", "ann"], "");
    scripted.join();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout, "?? no xml\n-- you are in lobby, alone\n?? <wave a=\"\\u{202e}\"/>\n");
}

#[test]
fn policy_fetch_prints_what_players_would_read() {
    let serve = Serve::with(
        &["serve", "--listen", "127.0.0.1:0", "--policy-listen", "127.0.0.1:0", "--allow-domain", "a.example"],
        2,
    );
    for place in [0, 1] {
        let port = serve.address(place).port().to_string();
        let ended = run(&["policy", "fetch", "127.0.0.1", &port]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.starts_with("<cross-domain-policy>"), "{}", ended.stdout);
        assert!(ended.stdout.contains("domain=\"a.example\""), "{}", ended.stdout);
    }
}

#[test]
fn policy_fetch_says_what_is_wrong_with_an_answer() {
    let policy = "<cross-domain-policy><allow-access-from domain=\"*\"/></cross-domain-policy>";
    let too_long = format!("{}\0", " ".repeat(70_000));
    let rows: [(&str, i32, &str); 6] = [
        (&format!("{policy}\0"), 0, "line 1: players ignore this <allow-access-from>: it has no `to-ports`"),
        (policy, 0, "the answer ends without a zero byte"),
        ("", 1, "closes the connection without an answer"),
        ("<a\u{1b}/>\0", 1, "answers, but not with a policy file"),
        ("HTTP/1.0 400 Bad Request\r\n\r\n", 1, "the answer begins `HTTP/1.0 400 Bad Request\\r\\n\\r\\n`"),
        (&too_long, 1, "answers with more than 65536 bytes"),
    ];
    for (answer, code, expected) in rows {
        let answer = answer.to_owned();
        let scripted = Scripted::once(move |mut peer| {
            assert_eq!(peer.hear(), "<policy-file-request/>");
            // The client may have seen enough and gone.
            let _ = peer.try_say(&answer);
        });
        let ended = run(&["policy", "fetch", "127.0.0.1", &scripted.port().to_string()]);
        scripted.join();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "expected: {expected}\ngot:      {}", ended.stderr);
        assert_eq!(ended.stdout.is_empty(), code != 0, "{}", ended.stdout);
    }
}

#[test]
fn policy_fetch_does_not_wait_for_ever() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let scripted = Scripted::once(move |mut peer| {
        peer.say("<cross-domain-policy/>");
        let _ = wait.recv_timeout(crate::scripted::WAIT);
    });
    let port = scripted.port().to_string();
    let ended = run(&["policy", "fetch", "127.0.0.1", &port, "--timeout", "1"]);
    drop(done);
    scripted.join();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("does not end its answer with a zero byte within 1 s"), "{}", ended.stderr);
}

#[test]
fn what_nobody_reads_ends_though_its_input_goes_on() {
    let serve = Serve::start(&[]);
    let address = serve.address(0).to_string();
    for arguments in [&["connect", &address][..], &["chat", &address, "--nick", "ann"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(arguments);
        command.stdin(Stdio::piped()).stdout(writer);
        let mut client = Program::start(command);
        client.type_in("<ping/>\n");
        assert_eq!(client.end().code, 0, "{arguments:?}");
    }
}
