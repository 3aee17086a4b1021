//! `serve` for browsers from outside: what is on its port beside XMLSocket, and what of the settings changes that.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::Client;
use crate::program::{Serve, run};
use crate::websocket_client::{BINARY, TEXT, Ws, handshake};

/// What a path answers, as it came.
fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut client = Client::connect(address);
    client.write(request.as_bytes());
    String::from_utf8(client.rest()).unwrap()
}

fn folder(directory: &Path, files: &[(&str, &str)]) -> String {
    fs::create_dir_all(directory).unwrap();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    directory.to_str().unwrap().to_owned()
}

#[test]
fn a_chat_is_reached_by_tcp_by_websocket_and_by_its_page() {
    let mut serve = Serve::start(&[]);
    let address = serve.address(0);
    serve.program.logged(&format!("a browser can chat at http://{address}/"));
    assert!(get(address, "/").contains("<!DOCTYPE html>"));
    assert!(get(address, "/healthz").ends_with("\r\n\r\nok\n"));
    assert!(get(address, "/crossdomain.xml").contains("allow-access-from domain=\"127.0.0.1\""));
    let mut ann = Ws::open(address);
    for frame in ["<login nick='ann'/>", "<join room='lobby'/>"] {
        ann.send(TEXT, frame.as_bytes());
        assert_eq!(ann.receive().0, TEXT);
    }
    let mut bob = Ws::open(address);
    bob.send(BINARY, b"<login nick='bob'/>\0<join room='lobby'/>\0");
    let mut heard = String::new();
    while !heard.contains("<room ") {
        heard.push_str(&bob.frames());
    }
    let mut eve = serve.connect();
    eve.ask("<login nick='eve'/>", "<welcome ");
    eve.ask("<join room='lobby'/>", "<room ");
    eve.send(b"<message room='lobby'>hi</message>\0");
    let text = loop {
        let (kind, payload) = ann.receive();
        assert_eq!(kind, TEXT);
        let text = String::from_utf8(payload).unwrap();
        if text.starts_with("<message ") {
            break text;
        }
    };
    let mut heard = String::new();
    while !heard.contains("</message>\0") {
        heard.push_str(&bob.frames());
    }
    assert!(heard.contains(&format!("{text}\0")), "the same bytes: {text} and {heard}");
}

#[test]
fn a_relay_has_websocket_and_no_page() {
    let serve = Serve::start(&["--app", "relay", "--echo"]);
    let address = serve.address(0);
    assert!(get(address, "/").starts_with("HTTP/1.1 404 "));
    let (mut ann, mut bob) = (Ws::open(address), Ws::open(address));
    ann.send(BINARY, b"%xt%z%1%\0");
    assert_eq!(ann.frames(), "%xt%z%1%\0");
    bob.send(BINARY, b"%xt%z%2%\0");
    assert_eq!(ann.frames(), "%xt%z%2%\0");
}

#[test]
fn who_gets_in_follows_from_the_settings_and_can_be_changed() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("x.toml");
    fs::write(&config, "public_name = \"chat.example.org\"\nallow_domain = \"*.friend.example\"\n").unwrap();
    let mut serve = Serve::start(&["--config", config.to_str().unwrap()]);
    let address = serve.address(0);
    let status = |request: String| ask_head(address, &request)[9..12].to_owned();
    let from = |origin: &str| handshake(address, &format!("Origin: {origin}\r\n"));
    let named = |name: &str| format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
    assert_eq!(status(from("https://games.friend.example")), "101");
    assert_eq!(status(from("https://chat.example.org")), "101");
    assert_eq!(status(from("https://evil.example")), "403");
    let refused = serve.program.logged("403");
    assert!(refused.contains("\"https://evil.example\"") && refused.contains("--allow-domain"), "{refused}");
    assert_eq!(status(named("chat.example.org")), "200");
    assert_eq!(status(named("evil.example")), "421");
    assert!(serve.program.logged("421").contains("--public-name"));
    fs::write(&config, "public_name = \"new.example.org\"\nallow_domain = \"evil.example\"\n").unwrap();
    serve.program.signal(Signal::HUP);
    serve.program.logged("limits and policy were read again");
    assert_eq!(status(from("https://games.friend.example")), "403");
    assert_eq!(status(from("https://evil.example")), "101");
    assert_eq!((status(named("chat.example.org")), status(named("new.example.org"))), ("421".into(), "200".into()));
}

#[test]
fn a_policy_file_decides_about_pages_as_about_swfs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.xml");
    fs::write(&file, "<cross-domain-policy/>").unwrap();
    let mut serve = Serve::start(&["--policy-file", file.to_str().unwrap()]);
    let address = serve.address(0);
    let port = address.port();
    let text = format!(
        "<cross-domain-policy><allow-access-from domain=\"secure.example\" secure=\"true\" to-ports=\"*\"/>\
         <allow-access-from domain=\"port.example\" to-ports=\"{port}\"/>\
         <allow-access-from domain=\"other.example\" to-ports=\"1-{}\"/></cross-domain-policy>",
        port - 1
    );
    fs::write(&file, text).unwrap();
    serve.program.signal(Signal::HUP);
    serve.program.logged("limits and policy were read again");
    for (origin, status, reason) in [
        ("https://secure.example", "101", ""),
        ("http://secure.example", "403", "over HTTPS only"),
        ("http://port.example", "101", ""),
        ("http://other.example", "403", "to ports 1-"),
        ("http://evil.example", "403", "no entry for evil.example"),
    ] {
        let head = ask_head(address, &handshake(address, &format!("Origin: {origin}\r\n")));
        assert_eq!(&head[9..12], status, "{origin}");
        if !reason.is_empty() {
            let said = serve.program.logged("403");
            assert!(said.contains(reason), "{origin}: {said}");
        }
    }
}

/// The head of an answer; what follows it may go on.
fn ask_head(address: SocketAddr, request: &str) -> String {
    let mut client = Client::connect(address);
    client.write(request.as_bytes());
    client.head()
}

#[test]
fn http_and_proxies_are_settings_of_each_listener() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("x.toml");
    let text = "app = \"relay\"\n[[listener]]\naddress = \"127.0.0.1:0\"\nhttp = false\n\
                [[listener]]\naddress = \"127.0.0.1:0\"\nproxy = [\"127.0.0.0/8\"]\n";
    fs::write(&config, text).unwrap();
    let mut serve = Serve::with(&["serve", "--config", config.to_str().unwrap(), "--trace"], 2);
    let (bare, proxied) = (serve.address(0), serve.address(1));
    assert!(get(bare, "/healthz").starts_with("HTTP/1.1 404 "));
    assert!(get(proxied, "/healthz").starts_with("HTTP/1.1 200 "));
    let mut client = Client::connect(proxied);
    client.write(b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 1024\r\nhello\0");
    serve.program.logged(" opened at 198.51.100.1:1024");
    let mut stranger = Client::connect(proxied);
    stranger.write(b"hello\0");
    stranger.end();
    serve.program.logged("no PROXY header");
}

#[test]
fn flash_content_is_played_and_what_is_missing_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let games = folder(&directory.path().join("games"), &[("chat.swf", "FWS")]);
    let ruffle = folder(&directory.path().join("ruffle"), &[("ruffle.js", "/* */")]);
    let arguments = ["--app", "relay", "--content", &games, "--content-list", "--ruffle", &ruffle];
    let serve = Serve::start(&[&arguments[..], &["--flash-host", "games.example.org:9339"]].concat());
    let address = serve.address(0);
    let page = get(address, "/play/chat.swf");
    let proxy = format!("{{\"host\":\"games.example.org\",\"port\":9339,\"proxyUrl\":\"ws://{address}/ws\"}}");
    assert!(page.contains(&proxy), "{proxy} in {page}");
    assert!(get(address, "/play/").contains("/play/chat.swf"));
    assert!(get(address, "/content/chat.swf").ends_with("FWS"));
    assert!(get(address, "/ruffle/ruffle.js").ends_with("/* */"));

    for (arguments, part) in [
        (&["--content", "/nonexistent"][..], "cannot serve /nonexistent: "),
        (&["--content", &games, "--ruffle", &games], "there is no ruffle.js in it"),
        (&["--ruffle", &ruffle], "`content` names no folder"),
        (&["--content", &games, "--flash-host", "games.example.org"], "`--flash-host` takes a host and a port"),
        (&["--proxy", "localhost"], "`--proxy` takes an address or a range"),
    ] {
        for command in ["serve", "check-config"] {
            let ended = run(&[&[command], arguments].concat());
            assert_eq!(ended.code, 2, "{command} {arguments:?}");
            assert!(ended.stderr.contains(part) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
        }
    }
}

#[test]
fn ruffle_config_prints_what_a_page_needs() {
    let printed = run(&["ruffle-config", "--flash-host", "games.example.org:9339", "--url", "wss://a.example/ws"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    let entry = r#"{ host: "games.example.org", port: 9339, proxyUrl: "wss://a.example/ws" },"#;
    assert!(printed.stdout.starts_with("<script>") && printed.stdout.contains(entry), "{}", printed.stdout);
    let own = run(&["ruffle-config"]).stdout;
    assert!(own.contains(r#"host: "localhost", port: 1024, proxyUrl: "ws://127.0.0.1:1024/ws""#), "{own}");
    for (arguments, part) in [
        (["--url", "http://a.example/"], "`--url` takes an address that begins with ws://"),
        (["--flash-host", "a.example"], "`a.example` is no host and port"),
    ] {
        let ended = run(&[&["ruffle-config"], &arguments[..]].concat());
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}
