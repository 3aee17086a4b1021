//! The load generator: every workload against a chat, and servers that fail in each way that it must find.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::program::{Ended, Serve, run};

/// A chat without limits that a load would meet.
fn chat() -> Serve {
    Serve::start(&["--set", "limits.frames_per_second_max=0"])
}

/// Runs `bench` against `address`, as short as possible.
fn bench(address: SocketAddr, words: &[&str]) -> Ended {
    let address = address.to_string();
    run(&[&["bench", &address], words, &["--seconds", "0.2", "--warm-up", "0.1", "--json"]].concat())
}

/// The number called `name` in a JSON object.
fn figure(json: &str, name: &str) -> f64 {
    let (_, rest) = json.split_once(&format!("\"{name}\": ")).unwrap_or_else(|| panic!("no {name} in {json}"));
    rest.split([',', '}']).next().unwrap().parse().unwrap_or_else(|_| panic!("{name} is no number in {json}"))
}

fn assert_ok(ended: &Ended) {
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
}

#[test]
fn throughput_counts_what_is_delivered_and_says_how_busy_both_sides_were() {
    let serve = chat();
    let pid = std::process::id().to_string();
    let ended = bench(serve.address(0), &["throughput", "--receivers", "5", "--senders", "2", "--pid", &pid]);
    assert_ok(&ended);
    let names: Vec<&str> = ended.stdout.split('"').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
    let expected = [
        "payload_bytes",
        "deliveries_per_second",
        "messages_per_second",
        "megabytes_per_second",
        "deliveries_per_read",
        "generator_busy_percent",
        "server_busy_percent",
    ];
    assert_eq!(names, expected, "{}", ended.stdout);
    let (deliveries, messages) =
        (figure(&ended.stdout, "deliveries_per_second"), figure(&ended.stdout, "messages_per_second"));
    assert!(messages > 10.0, "{}", ended.stdout);
    let copies = deliveries / messages;
    assert!((copies - 5.0).abs() < 1.0, "a message is delivered 5 times, not {copies}");
}

#[test]
fn people_read_the_same_as_lines() {
    let serve = chat();
    let address = serve.address(0).to_string();
    let words = ["bench", &address, "--receivers", "4", "--seconds", "0.1", "--warm-up", "0"];
    let ended = run(&words);
    assert_ok(&ended);
    assert!(ended.stdout.lines().any(|line| line.starts_with("deliveries a second  ")), "{}", ended.stdout);
    assert!(!ended.stdout.contains('{'), "{}", ended.stdout);
}

#[test]
fn latency_keeps_its_rate_and_gives_percentiles_in_order() {
    let serve = chat();
    let ended = bench(serve.address(0), &["latency", "--receivers", "5", "--rate", "100"]);
    assert_ok(&ended);
    let json = &ended.stdout;
    assert!(figure(json, "messages") > 2.0, "{json}");
    for names in
        [["p50_ms", "p99_ms", "p999_ms", "max_ms"], ["last_p50_ms", "last_p99_ms", "last_p999_ms", "last_max_ms"]]
    {
        let values = names.map(|name| figure(json, name));
        assert!(values[0] > 0.0 && values.is_sorted(), "{json}");
    }
    assert!(figure(json, "last_p50_ms") >= figure(json, "p50_ms"), "{json}");
}

#[test]
fn idle_connections_enter_their_rooms_and_all_get_a_message() {
    let serve = chat();
    let words = ["idle", "--connections", "20", "--room-size", "5"];
    let ended = bench(serve.address(0), &words);
    assert_ok(&ended);
    assert_eq!(figure(&ended.stdout, "rooms"), 4.0);
    assert!(figure(&ended.stdout, "broadcast_ms") > 0.0 && figure(&ended.stdout, "connects_per_second") > 1.0);
    let outside = bench(serve.address(0), &["idle", "--connections", "20", "--stay-out"]);
    assert_ok(&outside);
    assert!(!outside.stdout.contains("broadcast_ms"), "nobody in a room hears anything: {}", outside.stdout);
}

#[test]
fn memory_is_told_when_the_servers_process_is_known() {
    let serve = chat();
    let pid = std::process::id().to_string();
    let ended = bench(serve.address(0), &["idle", "--connections", "5", "--pid", &pid]);
    assert_ok(&ended);
    assert!(figure(&ended.stdout, "resident_mib") > 1.0, "{}", ended.stdout);
    figure(&ended.stdout, "resident_kib_per_connection");
}

#[test]
fn the_rest_hears_on_while_some_do_not_read_and_what_those_had_got_is_checked() {
    let serve = chat();
    let ended = bench(serve.address(0), &["slow", "--receivers", "6", "--senders", "1", "--stalled", "2"]);
    assert_ok(&ended);
    assert!(figure(&ended.stdout, "after_per_second") > 0.0, "{}", ended.stdout);
    assert!(figure(&ended.stdout, "stalled_heard") > 0.0, "{}", ended.stdout);
}

#[test]
fn people_come_and_go() {
    let serve = chat();
    let ended = bench(serve.address(0), &["churn", "--at-once", "3"]);
    assert_ok(&ended);
    let (steps, visits) = (figure(&ended.stdout, "steps_per_second"), figure(&ended.stdout, "visits_per_second"));
    assert!(visits > 1.0 && steps > 4.0 * visits, "connect, log in, join, leave, quit: {}", ended.stdout);
}

#[test]
fn a_chat_may_be_asked_for_receipts() {
    let serve = chat();
    let message = "<message room=\"bench{room}\" id=\"{i}\">{payload}</message>";
    let ended = bench(serve.address(0), &["--receivers", "4", "--senders", "2", "--message", message]);
    assert_ok(&ended);
    assert!(figure(&ended.stdout, "messages_per_second") > 10.0, "{}", ended.stdout);
}

#[test]
fn what_the_server_refuses_ends_the_run_with_its_words() {
    let serve = Serve::start(&[]);
    let ended = bench(serve.address(0), &["--receivers", "3", "--senders", "1", "--window", "500"]);
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    assert!(ended.stderr.contains("code=\"too-fast\""), "{}", ended.stderr);
    assert!(ended.stderr.contains("--rate keeps below"), "{}", ended.stderr);
    let paced = bench(serve.address(0), &["--receivers", "3", "--senders", "1", "--rate", "20"]);
    assert_ok(&paced);
}

#[test]
fn what_cannot_be_run_is_one_sentence_and_exit_code_2() {
    let rows: &[(&[&str], &str)] = &[
        (&["bench"], "<ADDR> is missing"),
        (&["bench", "192.0.2.1:1024"], "192.0.2.1 is not this machine"),
        (&["bench", "a b"], "`a b` is no address; write HOST or HOST:PORT"),
        (&["bench", "127.0.0.1:1", "fast"], "takes `throughput`, `latency`"),
        (&["bench", "127.0.0.1:1", "--payload", "5"], "`--payload` takes a whole number from 31 to 60000, not `5`"),
        (&["bench", "127.0.0.1:1", "--seconds", "0"], "`--seconds` takes a number from 0.1 to 3600, not `0`"),
        (&["bench", "127.0.0.1:1", "--senders", "101"], "101 senders are too many"),
        (&["bench", "127.0.0.1:1", "slow", "--stalled", "97"], "97 of 100 receivers cannot stall"),
        (&["bench", "127.0.0.1:1", "--message", "<m/>"], "--message must hold {payload}"),
        (&["bench", "127.0.0.1:1", "--deliver", "<m>"], "--deliver does not say what a message looks like"),
        (&["bench", "127.0.0.1:1", "--no-echo"], "--no-echo does not fit the chat"),
        (&["bench", "127.0.0.1:1", "--vocabulary", "no-such.toml"], "no-such.toml cannot be read: "),
        (&["bench", "127.0.0.1:1", "--vocabulary", "Cargo.toml"], "Cargo.toml has a key `"),
        (
            &["bench", "127.0.0.1:1", "--vocabulary", "a.toml", "--preset", "chat"],
            "--preset and --vocabulary both say what the server speaks",
        ),
        (
            &["bench", "127.0.0.1:1", "idle", "--connections", "20000", "--room-size", "1"],
            "--room-size makes 20000 rooms",
        ),
    ];
    for (words, sentence) in rows {
        let ended = run(words);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(sentence) && ended.stderr.lines().count() == 1, "{words:?}: {}", ended.stderr);
    }
}

#[test]
fn nobody_there_is_exit_code_1() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = bench(free, &[]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("cannot be made"), "{}", ended.stderr);
}

#[test]
fn the_vocabularies_of_other_servers_can_be_read() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for server in ["redis", "nats", "irc"] {
        let file = format!("{}/tests/bench/{server}.toml", env!("CARGO_MANIFEST_DIR"));
        let ended = bench(free, &["--vocabulary", &file]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("cannot be made"), "{}", ended.stderr);
    }
}

/// What a faulty server does, once, to one receiver.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Drop,
    Repeat,
    Swap,
    Lose,
    Gain,
    Alter,
    Join,
    Close,
}

/// How many receivers a faulty server has, and the frame with which it makes its mistake.
const RECEIVERS: usize = 4;
const FAULTY_FRAME: usize = 30;

/// Reads one frame from whichever client has sent one; `None` when they are gone.
fn any_frame(clients: &mut [BufReader<TcpStream>]) -> Option<Vec<u8>> {
    let sender = clients.iter().position(|client| !client.buffer().is_empty()).unwrap_or(0);
    let mut frame = Vec::new();
    let length = clients[sender].read_until(0, &mut frame).ok()?;
    (length > 0).then_some(frame)
}

/// A relay that greets, and makes one mistake; `victim` is the receiver that gets it.
fn faulty_relay(fault: Fault, victim: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let mut clients: Vec<BufReader<TcpStream>> = Vec::new();
        for _ in 0..RECEIVERS {
            let mut client = BufReader::new(listener.accept().ok()?.0);
            client.read_until(0, &mut Vec::new()).ok()?;
            client.get_mut().write_all(b"<ready/>\0").ok()?;
            clients.push(client);
        }
        for number in 0.. {
            let one = any_frame(&mut clients)?;
            if number != FAULTY_FRAME {
                clients.iter_mut().try_for_each(|client| client.get_mut().write_all(&one)).ok()?;
                continue;
            }
            let other = any_frame(&mut clients)?;
            let (sound, middle) = ([&one[..], &other].concat(), one.len() / 2);
            let faulty = match fault {
                Fault::None | Fault::Close => sound.clone(),
                Fault::Drop => other,
                Fault::Repeat => [&one[..], &one, &other].concat(),
                Fault::Swap => [&other[..], &one].concat(),
                Fault::Lose => [&one[..middle], &one[middle + 1..], &other].concat(),
                Fault::Gain => [&one[..middle], b"x", &one[middle..], &other].concat(),
                Fault::Alter => [&one[..middle], b"X", &one[middle + 1..], &other].concat(),
                Fault::Join => [&one[..one.len() - 1], &other].concat(),
            };
            for (receiver, client) in clients.iter_mut().enumerate() {
                client.get_mut().write_all(if receiver == victim { &faulty } else { &sound }).ok()?;
            }
            if matches!(fault, Fault::Close) {
                clients[victim].get_ref().shutdown(std::net::Shutdown::Both).ok()?;
            }
        }
        Some(())
    };
    thread::spawn(serve);
    address
}

#[test]
fn each_fault_of_a_server_fails_the_run_whoever_gets_it() {
    let faults = [
        (Fault::Drop, "message 30 of sender 0 is missing: number 31 came instead (a gap)"),
        (Fault::Repeat, "message 30 of sender 0 came again where number 31 was due (a repeat)"),
        (Fault::Swap, "message 30 of sender 0 is missing: number 31 came instead (a gap)"),
        (Fault::Lose, "after 30 messages came a torn frame"),
        (Fault::Gain, "after 30 messages came a torn frame"),
        (Fault::Alter, "after 30 messages came a torn frame"),
        (Fault::Join, "after 30 messages came a torn frame"),
        (Fault::Close, "the server closed connection"),
    ];
    let words =
        ["--preset", "relay", "--hello", "<hi n=\"{i}\"/>", "--ready", "<ready", "--receivers", "4", "--senders", "1"];
    for victim in [0, 2] {
        for (fault, sentence) in faults {
            let ended = bench(faulty_relay(fault, victim), &words);
            assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{sentence}");
            assert!(ended.stderr.contains(sentence), "expected {sentence:?}, got {}", ended.stderr);
        }
    }
    assert_ok(&bench(faulty_relay(Fault::None, 0), &words));
}

#[test]
fn a_relay_may_leave_the_sender_out() {
    let quiet = Serve::start(&["--app", "relay", "--set", "limits.announce_seconds=0"]);
    let words = ["latency", "--preset", "relay", "--no-echo", "--receivers", "5", "--settle", "0.5", "--rate", "20"];
    let ended = bench(quiet.address(0), &words);
    assert_ok(&ended);
    assert!(figure(&ended.stdout, "messages") > 0.0, "{}", ended.stdout);
}

#[test]
fn another_vocabulary_needs_no_preset() {
    let templates = ["--hello", "<hi/>", "--ready", "<ready", "--join", "", "--message", "<m>{payload}</m>"];
    let words = [&templates[..], &["--receivers", "4", "--senders", "1"]].concat();
    assert_ok(&bench(faulty_relay(Fault::None, 0), &words));
}

#[test]
fn a_file_says_what_another_kind_of_server_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.toml");
    // Lines, a login that is answered by itself, messages that say how long they are, senders that stand apart.
    std::fs::write(
        &file,
        "delimiter = '\\n'\nhello = 'HELLO b{i}'\nready = 'HELLO'\nmessage = \"SAY {bytes}\\n{payload}\"\nsenders_apart = true\n",
    )
    .unwrap();
    let lines = ["--app", "relay", "--echo", "--framing", "line", "--frames", "any"];
    let limits = ["--set", "limits.frames_per_second_max=0", "--set", "limits.announce_seconds=0"];
    let serve = Serve::start(&[&lines[..], &limits].concat());
    let words = ["--vocabulary", file.to_str().unwrap(), "--receivers", "4", "--senders", "1", "--settle", "0.2"];
    let ended = bench(serve.address(0), &words);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(figure(&ended.stdout, "messages_per_second") > 10.0, "{}", ended.stdout);
}

#[test]
fn visits_that_never_end_are_no_result() {
    let serve = chat();
    let ended = bench(serve.address(0), &["churn", "--at-once", "2", "--joined", "<never"]);
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    assert!(ended.stderr.contains("nobody's visit came to its end: connection 1 waits for"), "{}", ended.stderr);
}

#[test]
fn what_is_wrong_with_the_templates_is_said() {
    let words = ["--preset", "relay", "--hello", "<hi/>", "--ready", "<ready", "--receivers", "4", "--senders", "1"];
    let changed = bench(faulty_relay(Fault::None, 0), &[&words[..], &["--deliver", "<said>{payload}</said>"]].concat());
    assert_eq!(changed.code, 1);
    assert!(changed.stderr.contains("if all arrive like this, --deliver tells how"), "{}", changed.stderr);
    let serve = chat();
    let login = bench(serve.address(0), &["--preset", "relay", "--receivers", "2", "--senders", "1", "--settle", "0"]);
    assert_eq!(login.code, 1);
    assert!(login.stderr.contains("<error code=\"unknown-request\""), "{}", login.stderr);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    thread::spawn(move || {
        let mut client = BufReader::new(other.accept().unwrap().0);
        client.read_until(0, &mut Vec::new()).unwrap();
        client.get_mut().write_all(b"<nothing-of-that-kind/>\0").unwrap();
    });
    let ended = bench(address, &["--ready", "<hello", "--receivers", "1", "--senders", "1"]);
    assert_eq!(ended.code, 1);
    let sentence = "the server closed connection 1: connection 1 waits for a frame that holds `<hello`; the last that came \
                    was `<nothing-of-that-kind/>`";
    assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
}
