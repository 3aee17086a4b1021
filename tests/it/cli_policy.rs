//! `policy check` from the outside: against scripted policy servers and against the program's own server, with what it
//! says of each refusal. None of it needs the right to listen on 843.

use crate::program::{Ended, Serve, run};
use crate::scripted::{Refusing, Scripted};

/// Lets everybody in everywhere.
const ALL: &str = "<cross-domain-policy><allow-access-from domain=\"*\" to-ports=\"*\"/></cross-domain-policy>";

/// The SWF of these tests.
const FROM: &str = "http://www.example.com/chat.swf";

/// A policy server that answers one request.
fn policy_server(answer: &str) -> Scripted {
    let answer = answer.to_owned();
    Scripted::once(move |mut peer| {
        assert_eq!(peer.hear(), "<policy-file-request/>");
        peer.say(answer);
    })
}

/// Checks with `master` in the place of 843.
fn check(port: u32, master: u32, more: &[&str]) -> Ended {
    let (port, master) = (port.to_string(), master.to_string());
    let arguments = ["policy", "check", "127.0.0.1", &port, "--from", FROM, "--master-port", &master];
    run(&[&arguments, more].concat())
}

/// The file with these `entries`, and its zero byte.
fn file(entries: &str) -> String {
    format!("<cross-domain-policy>{entries}</cross-domain-policy>\0")
}

#[track_caller]
fn assert_refused(ended: &Ended, parts: &[&str]) {
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""), "{}", ended.stdout);
    let verdict = ended.stdout.lines().last().unwrap_or_default();
    assert!(verdict.starts_with("refused: "), "{}", ended.stdout);
    parts.iter().for_each(|part| assert!(ended.stdout.contains(part), "expected: {part}\ngot:\n{}", ended.stdout));
}

#[test]
fn each_step_and_the_grant_are_told() {
    let refusing = Refusing::bind();
    let target = policy_server(&file("<allow-access-from domain=\"*.example.com\" to-ports=\"1024-65535\"/>"));
    let port = target.port();
    let ended = check(port, refusing.port(), &["--player", "9.0.124"]);
    target.join();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let question =
        format!("May a SWF from {FROM} connect to port {port} of 127.0.0.1? As Flash Player 9.0.124 decides it:");
    assert_eq!(lines[0], question);
    let master = format!("1. asked the master policy file on port {}; refused after ", refusing.port());
    assert!(lines[1].starts_with(&master) && lines[1].ends_with(" ms"), "{}", lines[1]);
    assert_eq!(lines[2], "   it refused the connection");
    let asked = format!("2. asked the policy file on port {port}; an answer of 108 bytes after ");
    assert!(lines[3].starts_with(&asked), "{}", lines[3]);
    assert_eq!(lines[4], "   it answered a policy file with 1 entry");
    let verdict = format!("granted: the policy file on port {port} lets *.example.com in to ports 1024-65535");
    assert_eq!(lines[5..], [verdict]);
}

#[test]
fn a_file_that_does_not_let_the_swf_in_is_told_with_what_to_change() {
    let entry = |attributes: &str| file(&format!("<allow-access-from {attributes}/>"));
    for (answer, parts) in [
        (file(""), ["it has no entry for www.example.com", "add <allow-access-from domain=\"www.example.com\""]),
        (
            entry("domain=\"*\" to-ports=\"1\""),
            ["its entry for * is for ports 1 only", "to the `to-ports` of that entry"],
        ),
        (
            entry("domain=\"*.example.com\" to-ports=\"*\" secure=\"true\""),
            ["loaded over HTTPS only", "serve the SWF from an https address, or remove secure=\"true\""],
        ),
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n\0".to_owned(),
            ["no policy file: line 1, column 1", "its answer begins `HTTP/1.1 400 Bad Request`"],
        ),
        (
            file("<site-control permitted-cross-domain-policies=\"none\"/>"),
            ["says that no policy file counts", "change its site-control from \"none\" to \"all\""],
        ),
        (
            file("<site-control permitted-cross-domain-policies=\"master-only\"/>"),
            ["the files of other ports do not count", "or change its site-control to \"all\""],
        ),
    ] {
        let master = policy_server(&answer);
        let refusing = Refusing::bind();
        let ended = check(refusing.port(), master.port(), &[]);
        master.join();
        assert_refused(&ended, &parts);
    }
}

#[test]
fn silence_and_refused_connections_are_told_apart() {
    let (refusing, other) = (Refusing::bind(), Refusing::bind());
    let nobody = check(other.port(), refusing.port(), &[]);
    assert_refused(
        &nobody,
        &["nobody gave a policy file", "refused the connection", ", where nothing listens, with", "and a zero byte"],
    );

    // The player's patience is part of what is told, so this one takes its three seconds.
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let silent = Scripted::once(move |mut peer| {
        peer.say("<cross-domain-policy>");
        let _ = wait.recv_timeout(crate::scripted::WAIT);
    });
    let ended = check(other.port(), silent.port(), &[]);
    drop(done);
    silent.join();
    assert_refused(&ended, &["no complete answer after 3.", "gave no complete answer within 3 s"]);
}

#[test]
fn a_name_that_leads_nowhere_is_told_as_such() {
    // A label of 64 letters cannot be asked of any name server, so the answer is the system's own and comes at once.
    let host = format!("{}.invalid", "a".repeat(64));
    let arguments = ["policy", "check", &host, "1024", "--from", FROM];
    let ended = run(&arguments);
    let spelling = format!("refused: nobody could be asked, because {host} leads to no address (could not look up ");
    let advice = "check how the name is spelt, and its entry in the DNS";
    assert_refused(&ended, &["port 843; no address after ", &spelling, advice]);
    // One place was asked; the others are on the same host, and what to serve there is not the question.
    assert_eq!(ended.stdout.lines().count(), 4, "{}", ended.stdout);
    assert!(!ended.stdout.contains("cross-domain-policy"), "{}", ended.stdout);

    let ended = run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(ended.code, 1);
    for part in ["\"reason\":\"host-unknown\"", "\"answer\":\"host-unknown\""] {
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
}

#[test]
fn an_answer_without_its_zero_byte_is_told_as_such() {
    let refusing = Refusing::bind();
    for (answer, count) in [(ALL.to_owned(), 1), (format!("{ALL}\0"), 0)] {
        let master = policy_server(&answer);
        let ended = check(refusing.port(), master.port(), &[]);
        master.join();
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        let told = "it ended its answer without a zero byte, which players of Adobe wait for";
        assert_eq!(ended.stdout.matches(told).count(), count, "{}", ended.stdout);
    }
}

#[test]
fn players_that_never_ask_are_told_apart_too() {
    let refusing = Refusing::bind();
    let old = check(1023, refusing.port(), &["--player", "7.0.14"]);
    assert_refused(&old, &["As Flash Player 7.0.14 decides", "connects to no port below 1024"]);
    let unnamed = check(1023, refusing.port(), &["--player", "7.0.19"]);
    assert_refused(&unnamed, &["note: /crossdomain.xml is not asked", "loadPolicyFile(\"xmlsocket://127.0.0.1:843\")"]);
    let service = check(25, refusing.port(), &[]);
    assert_refused(&service, &["note: the policy file on port 25: players ask no policy file from this port"]);
    let air = check(1, refusing.port(), &["--player", "air"]);
    assert_eq!((air.code, air.stdout.lines().last()), (0, Some("granted: this player checks no policy")));
    assert!(air.stdout.contains("As AIR decides it:") && air.stdout.lines().count() == 2, "{}", air.stdout);
}

#[test]
fn places_that_the_swf_names_and_web_servers_are_asked() {
    let refusing = Refusing::bind();
    let named = policy_server(&format!("{ALL}\0"));
    let url = format!("xmlsocket://127.0.0.1:{}", named.port());
    let ended = check(refusing.port(), refusing.port(), &["--load-policy", &url]);
    named.join();
    assert_eq!(ended.code, 0, "{}", ended.stdout);

    // From its port, such a file opens no low one.
    let named = policy_server(&format!("{ALL}\0"));
    let url = format!("xmlsocket://127.0.0.1:{}", named.port());
    let ended = check(22, refusing.port(), &["--load-policy", &url]);
    named.join();
    assert_refused(&ended, &["a file from here cannot open port 22", "let the server listen on port 1024 or above"]);

    let web = Scripted::once(|mut peer| {
        assert!(peer.hear_bytes(23).starts_with(b"GET /crossdomain.xml "));
        peer.say("HTTP/1.0 404 Not Found\r\n\r\n");
    });
    let web_port = web.port().to_string();
    let ended = check(refusing.port(), refusing.port(), &["--player", "8", "--web-port", &web_port]);
    web.join();
    assert_refused(&ended, &["the web server answered 404", "as /crossdomain.xml of the web server"]);
}

#[test]
fn the_program_s_own_server_is_understood() {
    let serve = Serve::with(
        &["serve", "--listen", "127.0.0.1:0", "--policy-listen", "127.0.0.1:0", "--allow-domain", "*.example.com"],
        2,
    );
    let (port, master) = (serve.address(0).port().into(), serve.address(1).port().into());
    let granted = check(port, master, &[]);
    assert_eq!(granted.code, 0, "{}", granted.stdout);
    assert!(granted.stdout.contains("granted: the master policy file on port"), "{}", granted.stdout);
    let refusing = Refusing::bind();
    let other_port = check(refusing.port(), master, &[]);
    assert_refused(&other_port, &["to ports"]);
    let elsewhere = check(port, master, &["--from", "www.example.org"]);
    // An option that is given twice is refused, so the domain is asked for in a command of its own.
    assert_eq!(elsewhere.code, 2, "{}", elsewhere.stderr);
    let (port, master) = (port.to_string(), master.to_string());
    let from = ["--from", "www.example.org", "--master-port", &master];
    let elsewhere = run(&[&["policy", "check", "127.0.0.1", &port], &from[..]].concat());
    assert_refused(&elsewhere, &["it has no entry for www.example.org", "add <allow-access-from"]);
    let stopped = serve.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
}

#[test]
fn scripts_get_one_object() {
    let refusing = Refusing::bind();
    let target = policy_server(&format!("{ALL}\0"));
    let port = target.port();
    let ended = check(port, refusing.port(), &["--json"]);
    target.join();
    assert_eq!((ended.code, ended.stderr.as_str(), ended.stdout.lines().count()), (0, "", 1), "{}", ended.stdout);
    // How long it took differs from run to run.
    let mut parts = ended.stdout.split("\"milliseconds\":");
    let mut without_times = parts.next().unwrap().to_owned();
    for part in parts {
        let (time, rest) = part.split_once(',').unwrap();
        assert!(time.parse::<f64>().unwrap() < 10_000.0);
        without_times.push_str(rest);
    }
    let master = refusing.port();
    let quoted = ALL.replace('"', "\\\"");
    let expected = [
        &format!("{{\"host\":\"127.0.0.1\",\"port\":{port},\"from\":\"{FROM}\",\"player\":\"10\",\"granted\":true,"),
        &format!("\"reason\":\"entry\",\"verdict\":\"granted: the policy file on port {port} lets * in to ports *\","),
        "\"notes\":[],\"steps\":[",
        &format!("{{\"place\":\"master\",\"port\":{master},\"answer\":\"refused\","),
        "\"findings\":[\"it refused the connection\"],\"text\":null},",
        &format!("{{\"place\":\"target\",\"port\":{port},\"answer\":\"text\","),
        &format!("\"findings\":[\"it answered a policy file with 1 entry\"],\"text\":\"{quoted}\"}}]}}\n"),
    ];
    assert_eq!(without_times, expected.concat());

    let refused = check(refusing.port(), refusing.port(), &["--json"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stdout.contains("\"granted\":false,\"reason\":\"no-policy-file\""), "{}", refused.stdout);
}
