//! `serve` from outside: what it announces, serves, logs, and how it stops.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use crate::program::{Raw, Serve, command, run};

/// The policy that a port answers.
fn policy(address: SocketAddr) -> String {
    let mut client = Raw::to(address);
    client.send(b"<policy-file-request/>\0");
    let policy = client.frame().expect("a policy");
    assert_eq!(client.frame(), None, "closed behind the policy");
    policy
}

fn grant(domain: &str, ports: &str) -> String {
    format!(r#"<allow-access-from domain="{domain}" to-ports="{ports}"/>"#)
}

#[test]
fn a_chat_runs_on_three_frames_of_a_bare_socket() {
    let serve = Serve::start(&[]);
    assert_eq!(serve.announced, [format!("listening on {} (chat)", serve.address(0))]);
    let mut client = serve.connect();
    client.send(b"<login nick=\"ann\"/>\0<join room=\"lobby\"/>\0<message room=\"lobby\">hi</message>\0");
    assert!(client.frame().unwrap().starts_with(r#"<welcome nick="ann" "#));
    assert!(client.frame().unwrap().starts_with(r#"<room name="lobby" "#));
    let message = client.frame().unwrap();
    assert!(message.starts_with("<message id=\"") && message.ends_with(">hi</message>"), "{message}");
    let ended = serve.stop();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    assert_eq!(client.frame().as_deref(), Some(r#"<bye reason="shutdown"/>"#));
    assert_eq!(client.frame(), None);
}

#[test]
fn the_name_and_the_limits_of_the_settings_are_those_of_the_chat() {
    let serve = Serve::start(&["--set", "name=the club", "--set", "limits.rooms_per_user_max=1", "--in-memory"]);
    let mut client = serve.connect();
    assert!(client.ask("<login nick='ann'/>", "<welcome").contains(r#"server="the club""#));
    client.ask("<join room='a'/>", "<room ");
    assert!(client.ask("<join room='b'/>", "<error ").contains("code="));
}

#[test]
fn a_relay_hands_every_frame_on_byte_for_byte() {
    let frames: [&[u8]; 5] = [b"%xt%z%1%", b"", b" <a  b='c'/>\n", b"\xff\xfe not utf-8", b"<login nick='x'/>"];
    for echo in [false, true] {
        let relay = ["--app", "relay", "--trace", "--echo"];
        let mut serve = Serve::start(if echo { &relay } else { &relay[..3] });
        assert!(serve.announced[0].ends_with(" (relay)"));
        let (mut ann, mut bob) = (serve.connect(), serve.connect());
        ann.send(b"ann\0");
        serve.program.logged("#1 opened");
        if echo {
            assert_eq!(ann.frame().as_deref(), Some("ann"));
        }
        bob.send(b"bob\0");
        assert_eq!(ann.frame().as_deref(), Some("bob"));
        // Whether bob was there in time for ann's first frame is open; from here on both are.
        ann.send(b"now\0");
        while bob.frame().expect("the relay goes on") != "now" {}
        if echo {
            assert_eq!(ann.frame().as_deref(), Some("now"));
        }
        let sent: Vec<u8> = frames.iter().flat_map(|frame| [frame, &b"\0"[..]].concat()).collect();
        ann.send(&sent);
        let expect = |client: &mut Raw, bytes: &[u8]| {
            let mut got = vec![0; bytes.len()];
            client.0.read_exact(&mut got).unwrap();
            assert_eq!(got, bytes, "echo: {echo}");
        };
        expect(&mut bob, &sent);
        if echo {
            expect(&mut ann, &sent);
        }
        // What ann gets next is bob's: without --echo nothing of her own came between.
        bob.send(b"last\0");
        expect(&mut ann, b"last\0");
    }
}

#[test]
fn listeners_of_a_file_differ_and_relays_are_worlds_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chat.toml");
    let listeners = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
        [[listener]]\naddress = \"127.0.0.1:0\"\napp = \"relay\"\necho = true\nframing = \"line\"\n\
        [[listener]]\naddress = \"127.0.0.1:0\"\napp = \"relay\"\necho = true\npolicy = false\n\
        [[listener]]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(&file, listeners).unwrap();
    let serve = Serve::with(&["serve", "--config", file.to_str().unwrap()], 4);
    let apps: Vec<_> = serve.announced.iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(apps, ["(chat)", "(relay)", "(relay)", "(chat)"]);
    let [mut ann, mut bob] = [0, 3].map(|place| Raw::to(serve.address(place)));
    ann.ask("<login nick='ann'/>", "<welcome");
    ann.ask("<join room='a'/>", "<room ");
    bob.ask("<login nick='bob'/>", "<welcome");
    assert!(bob.ask("<join room='a'/>", "<room ").contains(r#"users="2""#), "all chat listeners share one chat");
    let mut lines = Raw::to(serve.address(1));
    lines.send(b"one\n");
    let mut got = [0; 4];
    lines.0.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"one\n");
    // Without a policy the request is a frame like any other.
    let mut other = Raw::to(serve.address(2));
    assert_eq!(other.ask("<policy-file-request/>", "policy"), "<policy-file-request/>");
}

#[test]
fn the_default_policy_grants_the_address_that_was_reached_for_its_own_port() {
    let mut serve = Serve::start(&[]);
    let port = serve.address(0).port().to_string();
    let expected = grant("127.0.0.1", &port) + &grant("localhost", &port);
    assert_eq!(policy(serve.address(0)), format!("<cross-domain-policy>{expected}</cross-domain-policy>"));
    let said = serve.program.logged("a policy request was answered");
    assert!(said.contains("--public-name NAME") && said.contains("--allow-domain DOMAIN"), "{said}");
    policy(serve.address(0));
    assert!(!serve.stop().stderr.contains("a policy request was answered"), "it is said once");
}

#[test]
fn names_domains_and_ports_of_the_options_are_granted() {
    let options = ["--public-name", "chat.example.com", "--allow-domain", "*.example.org", "--public-port", "2001"];
    let serve = Serve::start(&options);
    let policy = policy(serve.address(0));
    for domain in ["127.0.0.1", "localhost", "chat.example.com", "*.example.org"] {
        assert!(policy.contains(&grant(domain, "2001")), "{policy}");
    }
    assert!(!serve.stop().stderr.contains("a policy request was answered"));
}

#[test]
fn the_policy_port_answers_for_all_listeners_and_nothing_else() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--policy-listen", "127.0.0.1:0"];
    let serve = Serve::with(&arguments, 3);
    assert_eq!(serve.announced[2], format!("policy on {}", serve.address(2)));
    let ports = format!("{},{}", serve.address(0).port(), serve.address(1).port());
    assert!(policy(serve.address(2)).contains(&grant("127.0.0.1", &ports)));
    let mut client = Raw::to(serve.address(2));
    client.send(b"<login nick='ann'/>\0");
    assert_eq!(client.frame(), None, "no chat there");
}

#[test]
fn a_listener_without_policy_is_not_in_the_file_of_the_policy_port() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chat.toml");
    let listeners = "policy_listen = \"127.0.0.1:0\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
        [[listener]]\naddress = \"127.0.0.1:0\"\npolicy = false\n";
    std::fs::write(&file, listeners).unwrap();
    let serve = Serve::with(&["serve", "--config", file.to_str().unwrap()], 3);
    let policy = policy(serve.address(2));
    assert!(policy.contains(&grant("127.0.0.1", &serve.address(0).port().to_string())), "{policy}");
    assert!(!policy.contains(&serve.address(1).port().to_string()), "{policy}");
}

#[test]
fn a_policy_file_is_answered_without_the_ports_that_it_cannot_open() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.xml");
    let text = r#"<cross-domain-policy><allow-access-from domain="a.example" to-ports="80,2000-2010"/><allow-access-from domain="b.example" to-ports="443"/></cross-domain-policy>"#;
    std::fs::write(&file, text).unwrap();
    let serve = Serve::start(&["--policy-file", file.to_str().unwrap()]);
    let expected = grant("a.example", "2000-2010");
    assert_eq!(policy(serve.address(0)), format!("<cross-domain-policy>{expected}</cross-domain-policy>"));
}

#[test]
fn a_port_that_is_taken_is_told_with_its_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for arguments in
        [&["serve", "--listen", &address][..], &["serve", "--listen", "127.0.0.1:0", "--policy-listen", &address]]
    {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
        let said = ended.stderr.lines().last().unwrap();
        assert!(said.starts_with(&format!("xmlsocket: cannot listen on {address}: the address is taken")), "{said}");
    }
    let ended = run(&["serve", "--listen", "192.0.2.1:0"]);
    assert!(ended.code == 1 && ended.stderr.contains("this machine has no such address"), "{}", ended.stderr);
}

#[test]
fn the_first_signal_stops_in_order_and_a_second_one_at_once() {
    for (signal, name, at_once) in [(Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143)] {
        let mut quiet = Serve::start(&[]);
        let mut client = quiet.connect();
        client.ask("<login nick='ann'/>", "<welcome");
        quiet.program.signal(signal);
        quiet.program.logged(&format!("{name}: stopping"));
        assert_eq!(client.frame().as_deref(), Some(r#"<bye reason="shutdown"/>"#));
        assert_eq!(quiet.program.end().code, 0);

        // A client that has not read what was sent to it is waited for, unless the signal comes again.
        let unlimited =
            ["limits.shutdown_seconds_max=3600", "limits.write_seconds_max=3600", "limits.outbox_bytes_max=134217728"];
        let options = ["--app", "relay", "--echo", "--set", "limits.frames_per_second_max=0"];
        let sets: Vec<&str> = unlimited.iter().flat_map(|set| ["--set", set]).collect();
        let mut busy = Serve::start(&[&options[..], &sets[..]].concat());
        let mut stream = TcpStream::connect(busy.address(0)).unwrap();
        stream.set_write_timeout(Some(crate::scripted::WAIT)).unwrap();
        let frame = [vec![b'x'; 65_535], vec![0]].concat();
        for _ in 0..512 {
            stream.write_all(&frame).unwrap();
        }
        busy.program.signal(signal);
        busy.program.logged(&format!("{name}: stopping"));
        busy.program.signal(signal);
        busy.program.logged("again: stopping at once");
        assert_eq!(busy.program.end().code, at_once);
    }
}

#[test]
fn hanging_up_reads_limits_and_policy_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chat.toml");
    let write = |text: &str| std::fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{text}")).unwrap();
    write("allow_domain = \"old.example\"\n");
    let mut serve = Serve::with(&["serve", "--config", file.to_str().unwrap()], 1);
    let mut ann = serve.connect();
    ann.ask("<login nick='ann'/>", "<welcome");
    assert!(policy(serve.address(0)).contains("old.example"));
    write(
        "allow_domain = \"new.example\"\nname = \"other\"\n[limits]\nrooms_per_user_max = 1\nframe_bytes_max = 100\n",
    );
    serve.program.signal(Signal::HUP);
    assert!(serve.program.logged("SIGHUP: listeners").contains("stay as they are"));
    serve.program.logged("SIGHUP: limits and policy were read again");
    let answer = policy(serve.address(0));
    assert!(answer.contains("new.example") && !answer.contains("old.example"), "{answer}");
    ann.ask("<join room='a'/>", "<room ");
    ann.ask("<join room='b'/>", "<error ");
    let mut bob = serve.connect();
    assert!(bob.ask(&format!("<ping id='{}'/>", "x".repeat(100)), "<error ").contains("frame-too-long"));
    write("[limits]\nframe_bytes_max = 0\n");
    serve.program.signal(Signal::HUP);
    let said = serve.program.logged("SIGHUP: nothing was changed");
    assert!(said.contains("chat.toml:3: `limits.frame_bytes_max`"), "{said}");
    assert_eq!(serve.stop().code, 0);
}

#[test]
fn a_trace_shows_frames_and_no_secret() {
    let mut serve = Serve::start(&["--trace"]);
    let mut client = serve.connect();
    let welcome = client.ask("<login nick='ann' password='s3cret'/>", "<welcome");
    let session = welcome.split("session=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(session.len(), 32, "{welcome}");
    client.ask("<join room='a' password='s3cret'/>", "<room ");
    client.ask("<room-password room='a' id='7'>s3cret</room-password>", "<ok ");
    let mut again = serve.connect();
    let back = again.ask(&format!("<login nick='ann' session='{session}'/>"), "<welcome");
    assert!(back.contains("resumed=\"true\"") && back.contains(&session), "{back}");
    again.ask(&format!("<ping session = {session}"), "<error ");
    again.ask("<quit/>", "<bye ");
    let first = serve.program.logged("#1 in ");
    assert_eq!(first, "#1 in  <login nick='ann' password='***'/>");
    let hex = serve.program.logged("    0010");
    assert_eq!(hex, "    0010  27 20 70 61 73 73 77 6f  72 64 3d 27 2a 2a 2a 27");
    let rest = serve.stop().stderr;
    for expected in [
        "#1 out <welcome nick=\"ann\" session=\"***\" ",
        "#1 in  <join room='a' password='***'/>",
        "#1 in  <room-password room='a' id='7'>***</room-password>",
        "#2 in  <login nick='ann' session='***'/>",
        "#2 out <welcome nick=\"ann\" session=\"***\" ",
        "#2 in  <ping session = ***",
        "#2 out <bye reason=\"quit\"/>",
        "#1 closed: ",
    ] {
        assert!(rest.contains(expected), "{expected}\n{rest}");
    }
    // The rows of hex put together: what is split over two of them is found, too.
    let rows = rest.lines().filter_map(|line| line.strip_prefix("    ")?.get(6..));
    let digits: String = rows.collect::<String>().replace(' ', "");
    for secret in ["s3cret", session.as_str()] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!rest.contains(secret) && !digits.contains(&hex), "{secret}: {rest}");
    }
}

#[test]
fn sockets_that_a_service_manager_passes_take_the_places_of_addresses() {
    let passed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = passed.local_addr().unwrap();
    let shell = |arguments: &str| {
        let mut command = std::process::Command::new("sh");
        let program = env!("CARGO_BIN_EXE_xmlsocket");
        let script = format!("exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec '{program}' {arguments}");
        command.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(passed.try_clone().unwrap())));
        command
    };
    let serve = Serve::of(shell("serve --policy-listen 127.0.0.1:0"), 2);
    assert_eq!(serve.address(0), address);
    serve.connect().ask("<ping/>", "<pong/>");
    assert!(policy(serve.address(1)).contains(&address.port().to_string()));
    assert_eq!(serve.stop().code, 0);
    let ended = crate::program::Program::start(shell("serve --set listener='[]' --set listen='[]'")).end();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
}

#[test]
fn the_number_of_possible_connections_is_said() {
    let mut serve = Serve::start(&["--set", "limits.connections_max=0"]);
    let said = serve.program.logged("open files");
    assert!(said.contains(" allow ") && said.ends_with(" connections"), "{said}");
    let mut quiet = command(&["serve", "--listen", "127.0.0.1:0"]);
    quiet.env("RUST_LOG", "error");
    assert_eq!(Serve::of(quiet, 1).stop().stderr, "");
}

#[test]
fn the_example_of_the_reference_configuration_runs() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/xmlsocket.default.toml");
    let reference = reference.to_str().unwrap();
    let serve = Serve::with(&["serve", "--config", reference, "--listen", "127.0.0.1:0"], 1);
    serve.connect().ask("<ping/>", "<pong/>");
    assert_eq!(serve.stop().code, 0);
}

#[test]
fn a_chat_is_had_with_zero_bytes_and_as_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chat.toml");
    let listeners = "listen = []\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
        [[listener]]\naddress = \"127.0.0.1:0\"\nframing = \"stream\"\n\
        [[listener]]\naddress = \"127.0.0.1:0\"\nframing = \"stream\"\napp = \"relay\"\n";
    std::fs::write(&file, listeners).unwrap();
    let serve = Serve::with(&["serve", "--config", file.to_str().unwrap()], 3);
    let mut ann = serve.connect();
    ann.ask("<login nick='ann'/>", "<welcome");
    ann.ask("<join room='lobby'/>", "<room ");
    let mut bob = Stream::to(serve.address(1));
    bob.say("<s xmlns='urn:chat' id='1'>");
    bob.hear("<s xmlns='urn:chat' id='1'>");
    bob.say("<login nick='bob'/><join room='lobby'/>");
    bob.hear("<welcome nick=\"bob\" ");
    bob.hear("<room name=\"lobby\" ");
    ann.ask("<message room='lobby'>one <b>two</b></message>", "one <b>two</b>");
    bob.hear("one <b>two</b></message>");
    bob.say("<message room='lobby'>three</message></s>");
    assert!(ann.ask("<ping/>", "three").ends_with(">three</message>"));
    let rest = bob.rest();
    assert!(rest.ends_with(">three</message></s>"), "he hears himself and then the end: {rest}");

    // A relay is a world of its own, and checks what it hands on.
    let (mut cay, mut dan) = (Stream::to(serve.address(2)), Stream::to(serve.address(2)));
    for client in [&mut cay, &mut dan] {
        client.say("<s>");
        client.hear("<s>");
    }
    cay.say("<a></b>");
    cay.hear("<error code=\"not-xml\"");
    // Whoever has been heard is known to the relay.
    dan.say("<d/>");
    cay.hear("<d/>");
    cay.say("<c/>");
    dan.hear("<c/>");
    let ended = serve.stop();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(cay.rest().ends_with("</s>"));
    assert_eq!(dan.rest(), "</s>");
}

/// A client of an endless document.
struct Stream(TcpStream, String);

impl Stream {
    fn to(address: SocketAddr) -> Stream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(crate::scripted::WAIT)).unwrap();
        Stream(stream, String::new())
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads up to the end of `text`.
    fn hear(&mut self, text: &str) {
        while !self.1.ends_with(text) {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "{text} did not come, but {}", self.1);
            self.1.push(byte[0].into());
        }
        self.1.clear();
    }

    fn rest(mut self) -> String {
        self.0.read_to_string(&mut self.1).unwrap();
        self.1
    }
}
