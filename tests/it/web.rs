//! HTTP on a listener: pages, files, what is refused, and that nothing which began as HTTP is read as frames.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use xmlsocket::edge::content::{self, Content, FlashHost};
use xmlsocket::edge::files::Folder;
use xmlsocket::edge::http::{Gate, Site};
use xmlsocket::edge::web::{Basics, ChatPage};
use xmlsocket::server::CloseReason;

use crate::harness::{Client, Probe, Running, Setup, Told, lock, log_lines};

fn setup() -> Setup {
    with(Site::new(Gate::new(["chat.example.org".to_owned()])).route(ChatPage).route(Basics))
}

fn with(site: Site) -> Setup {
    let site = Arc::new(site);
    Setup::new().settings(|settings| settings.http = Some(site))
}

/// A folder of content and one of Ruffle's files, and a server for them.
fn content(change: impl FnOnce(Content) -> Content) -> (tempfile::TempDir, Setup) {
    let around = tempfile::tempdir().unwrap();
    let root = around.path();
    for (path, text) in [
        ("secret", "secret"),
        ("content/game.swf", "FWS game"),
        ("content/deep/chat & \"<b>.swf", "FWS chat"),
        ("content/deep/level 1.xml", "<level/>"),
        ("content/index.html", "theirs"),
        ("ruffle/ruffle.js", "/* ruffle */"),
        ("ruffle/core.wasm", "\0asm"),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    std::os::unix::fs::symlink(root.join("secret"), root.join("content/out.txt")).unwrap();
    let folder = Folder::open(root.join("content")).unwrap();
    let content = Content::new(folder).with_ruffle(content::ruffle(root.join("ruffle")).unwrap());
    let site = Site::new(Gate::default()).route(ChatPage).route(Basics).route(change(content));
    (around, with(site))
}

/// A response in its parts.
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().filter_map(|line| line.split_once(": ")).filter(|(own, _)| *own == name);
        let value = values.next().map(|(_, value)| value);
        assert!(values.next().is_none(), "{name} twice in {}", self.head);
        value
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// Sends bytes and reads the response to its end.
fn send(running: &Running, bytes: &[u8]) -> Got {
    let mut client = running.connect();
    client.write(bytes);
    receive(&mut client)
}

fn receive(client: &mut Client) -> Got {
    let head = client.head();
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
    Got { status, head, body: client.rest() }
}

fn get(running: &Running, path: &str) -> Got {
    send(running, format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", running.address).as_bytes())
}

#[test]
fn the_page_and_its_files_are_served_strictly() {
    let running = setup().serve(Probe::default());
    for (path, media_type, begins) in [
        ("/", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/?room=lobby", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/chat.css", "text/css; charset=utf-8", ""),
        ("/chat.js", "text/javascript; charset=utf-8", ""),
        ("/healthz", "text/plain; charset=utf-8", "ok\n"),
    ] {
        let got = get(&running, path);
        assert_eq!(got.status, 200, "{path}");
        assert_eq!(got.field("Content-Type"), Some(media_type), "{path}");
        assert_eq!(got.field("Content-Length").unwrap(), got.body.len().to_string(), "{path}");
        assert!(got.text().starts_with(begins) && !got.body.is_empty(), "{path}: {}", got.text());
        assert_eq!(got.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(got.field("Referrer-Policy"), Some("no-referrer"));
        assert_eq!(got.field("Cross-Origin-Resource-Policy"), Some("same-origin"));
        assert_eq!(got.field("Connection"), Some("close"));
        let policy = got.field("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let head = send(&running, format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.field("Content-Length"), got.field("Content-Length"));
    }
    let policy = get(&running, "/").field("Content-Security-Policy").unwrap().to_owned();
    assert!(policy.contains(&format!("connect-src 'self' ws://{0} wss://{0}", running.address)), "{policy}");
}

#[test]
fn what_a_browser_has_it_need_not_load_again() {
    let (around, setup) = content(|content| content);
    let running = setup.serve(Probe::default());
    for path in ["/", "/chat.js", "/game.swf"] {
        let first = get(&running, path);
        let tag = first.field("ETag").unwrap().to_owned();
        assert_eq!(first.field("Cache-Control"), Some("no-cache"), "asked again each time: {path}");
        let again = |tag: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n");
            send(&running, request.as_bytes())
        };
        let known = again(&format!("\"other\", W/{tag}"));
        assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
        assert_eq!(again("\"other\"").status, 200);
    }
    let before = get(&running, "/game.swf").field("ETag").unwrap().to_owned();
    fs::write(around.path().join("content/game.swf"), "FWS game, second edition").unwrap();
    assert_ne!(get(&running, "/game.swf").field("ETag"), Some(before.as_str()));
}

#[test]
fn the_policy_is_served_by_http_where_there_is_one() {
    let running = setup().policy().serve(Probe::default());
    let got = get(&running, "/crossdomain.xml");
    assert_eq!((got.status, got.field("Content-Type")), (200, Some("text/x-cross-domain-policy")));
    assert!(got.text().starts_with("<cross-domain-policy>") && got.text().contains("example.com"), "{}", got.text());
    let running = setup().serve(Probe::default());
    assert_eq!(get(&running, "/crossdomain.xml").status, 404);
}

#[test]
fn what_is_no_request_for_a_page_is_refused_in_its_own_words() {
    let mut running = setup().serve(Probe::default());
    let host = format!("Host: {}\r\n", running.address);
    let fields = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    for (what, request, status) in [
        ("another path", format!("GET /nothing HTTP/1.1\r\n{host}\r\n"), 404),
        ("a way up", format!("GET /../etc/passwd HTTP/1.1\r\n{host}\r\n"), 404),
        ("POST", format!("POST / HTTP/1.1\r\n{host}\r\n<evil/>\0"), 405),
        ("PUT, half a head", "PUT /".to_owned(), 405),
        ("OPTIONS", format!("OPTIONS * HTTP/1.1\r\n{host}\r\n"), 405),
        ("CONNECT", "CONNECT example.com:443 HTTP/1.1\r\n\r\n".to_owned(), 405),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 405),
        ("a method of its own", "<evil/> / HTTP/1.1\r\n".replace("<evil/>", "EVIL"), 405),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("two Hosts", format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), 400),
        ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), 421),
        ("a foreign Host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), 421),
        ("a foreign target", format!("GET http://evil.example/ HTTP/1.1\r\n{host}\r\n"), 421),
        ("a Host of binary", "GET / HTTP/1.1\r\nHost: \u{1}\r\n\r\n".to_owned(), 400),
        ("a body", format!("GET / HTTP/1.1\r\n{host}Content-Length: 8\r\n\r\n<evil/>\0"), 413),
        ("a body in pieces", format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n"), 413),
        ("no path", format!("GET * HTTP/1.1\r\n{host}\r\n"), 400),
        ("HTTP/3.0", format!("GET / HTTP/3.0\r\n{host}\r\n"), 505),
        ("no version", "GET /\r\n\r\n".to_owned(), 400),
        ("a field without a name", format!("GET / HTTP/1.1\r\n{host}: x\r\n\r\n"), 400),
        ("a zero byte", format!("GET / HTTP/1.1\r\n{host}\0<evil/>\0\r\n\r\n"), 400),
        ("a folded field", format!("GET / HTTP/1.1\r\n{host}X: y\r\n z\r\n\r\n"), 400),
        ("too many fields", format!("GET / HTTP/1.1\r\n{host}{}\r\n", fields(101)), 431),
        ("a long target", format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(20_000)), 431),
        ("100 KiB of a field", format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "a".repeat(100 * 1024)), 431),
    ] {
        let mut client = running.connect();
        client.write(request.as_bytes());
        let got = receive(&mut client);
        assert_eq!(got.status, status, "{what}: {}", got.head);
        assert_eq!(got.field("Allow"), (status == 405).then_some("GET, HEAD"), "{what}");
        assert!(got.text().ends_with(".\n"), "{what}: a sentence: {}", got.text());
    }
    running.server.shutdown();
    let told = running.told.all();
    assert!(!told.iter().any(|told| matches!(told, Told::Message(..) | Told::Open(_))), "{told:?}");
}

#[test]
fn requests_of_other_kinds_are_answered() {
    let running = setup().serve(Probe::default());
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: CHAT.example.org:8443\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:1024\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\nHost: localhost\n\n",
        "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let got = send(&running, request.as_bytes());
        assert_eq!(got.status, 200, "{request}: {}", got.head);
        assert!(got.text().trim_end().ends_with("</html>"), "one answer to {request}");
    }
}

#[test]
fn a_head_is_read_at_whatever_cut_it_arrives() {
    let running = setup().serve(Probe::default());
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nX: y\r\n\r\n", running.address);
    for cut in 1..request.len() {
        let mut client = running.connect();
        client.write(&request.as_bytes()[..cut]);
        client.write(&request.as_bytes()[cut..]);
        let got = receive(&mut client);
        assert_eq!((got.status, got.text()), (200, "ok\n"), "cut at {cut}");
    }
}

#[test]
fn half_a_head_and_silence_end_with_their_deadline() {
    let mut running = setup().limits(|limits| limits.frame_seconds_max = 1).serve(Probe::default());
    let begun = Instant::now();
    let mut silent = running.connect();
    silent.write(b"GET / HTTP/1.1\r\nHost: local");
    let mut trickling = running.connect();
    trickling.write(b"GET / HTTP/1.1\r\nHost: local");
    let mut left = running.connect();
    left.write(b"GET / HTTP/1.1\r\nHost: local");
    left.half_close();
    left.end();
    trickling.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while trickling.stream.peek(&mut [0]).is_err() {
        trickling.write(b"h");
    }
    for mut client in [silent, trickling] {
        assert_eq!(receive(&mut client).status, 408);
        client.half_close();
    }
    assert!(begun.elapsed() > Duration::from_millis(900) && begun.elapsed() < Duration::from_secs(5));
    for _ in 0..3 {
        running.notes.any_ended();
    }
}

#[test]
fn a_stop_does_not_wait_for_half_a_head() {
    let running = setup().serve(Probe::default());
    let mut client = running.connect();
    client.write(b"GET / HTTP/1.1\r\n");
    assert!(running.stop() < Duration::from_secs(2));
    client.end();
}

#[test]
fn refusals_are_logged_once_and_legibly() {
    let running = setup().serve(Probe::default());
    let mut client = running.connect();
    let name = client.address().to_string();
    client.write(b"GET /\x1b[31m HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    receive(&mut client);
    let mut other = running.connect();
    let other_name = other.address().to_string();
    other.write(b"GET /page\x7f HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    receive(&mut other);
    let lines: Vec<String> = lock(log_lines()).clone();
    for name in [name, other_name] {
        let lines: Vec<_> = lines.iter().filter(|line| line.contains(&name) && line.contains(": 4")).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].is_ascii() && !lines[0].contains(['\u{1b}', '\u{7f}']), "{lines:?}");
    }
}

#[test]
fn content_is_served_and_nothing_beside_it() {
    let (_around, setup) = content(|content| content);
    let running = setup.serve(Probe::default());
    for (path, media_type, text) in [
        ("/content/game.swf", "application/x-shockwave-flash", "FWS game"),
        ("/game.swf", "application/x-shockwave-flash", "FWS game"),
        ("/game.swf?v=2", "application/x-shockwave-flash", "FWS game"),
        ("/content/deep/level%201.xml", "application/xml", "<level/>"),
        ("/content/index.html", "text/html; charset=utf-8", "theirs"),
        ("/ruffle/ruffle.js", "text/javascript; charset=utf-8", "/* ruffle */"),
        ("/ruffle/core.wasm", "application/wasm", "\0asm"),
    ] {
        let got = get(&running, path);
        assert_eq!((got.status, got.field("Content-Type")), (200, Some(media_type)), "{path}");
        assert_eq!(got.text(), text, "{path}");
        assert!(got.field("Content-Security-Policy").unwrap().starts_with("default-src 'none'"));
    }
    for path in [
        "/content/",
        "/content",
        "/content/deep",
        "/content/deep/",
        "/content/missing.swf",
        "/content/out.txt",
        "/content/../secret",
        "/content/%2e%2e/secret",
        "/content/..%2fsecret",
        "/%2e%2e/secret",
        "/ruffle/../secret",
        "/ruffle/",
        "/play/",
        "/play/missing.swf",
        "/play/deep/level%201.xml",
        "/play/out.txt",
        "//secret",
    ] {
        let got = get(&running, path);
        assert_eq!(got.status, 404, "{path}: {}", got.text());
    }
    // The page is ours, whatever the folder holds.
    assert_ne!(get(&running, "/").text(), "theirs");
}

#[test]
fn a_swf_is_played_with_its_sockets_led_here() {
    let hosts = ["games.example.org:9339", "10.0.0.1:1024"].map(|host| host.parse::<FlashHost>().unwrap());
    let (_around, setup) = content(|content| content.with_hosts(hosts).with_list());
    let running = setup.serve(Probe::default());
    let got = get(&running, "/play/game.swf");
    assert_eq!(got.status, 200);
    let url = format!("\"proxyUrl\":\"ws://{}/ws\"", running.address);
    let expected = format!(
        "{{\"url\":\"/content/game.swf\",\"base\":\"/content/\",\"autoplay\":\"on\",\"letterbox\":\"on\",\
         \"socketProxy\":[{{\"host\":\"games.example.org\",\"port\":9339,{url}}},{{\"host\":\"10.0.0.1\",\"port\":1024,{url}}}]}}"
    );
    assert!(got.text().contains(&expected), "{} in {}", expected, got.text());
    assert!(got.text().contains("<script src=\"/ruffle/ruffle.js\""));
    let policy = got.field("Content-Security-Policy").unwrap();
    assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
    assert!(policy.contains(&format!("ws://{} ", running.address)), "{policy}");
    let odd = get(&running, "/play/deep/chat%20&%20%22%3Cb%3E.swf");
    assert_eq!(odd.status, 200);
    assert!(odd.text().contains("<title>chat &amp; &quot;&lt;b&gt;.swf</title>"), "{}", odd.text());
    assert!(odd.text().contains("\"url\":\"/content/deep/chat%20\\u0026%20%22%3Cb%3E.swf\""), "{}", odd.text());
    for path in ["/play.js", "/play.css"] {
        assert_eq!(get(&running, path).status, 200, "{path}");
    }
    let list = get(&running, "/play/");
    assert!(list.text().contains("<a href=\"/play/game.swf\">game.swf</a>"), "{}", list.text());
}

#[test]
fn a_proxy_that_is_believed_may_say_that_the_page_is_secure() {
    let address = "127.0.0.1".parse().unwrap();
    for (proxies, scheme) in [(vec![address], "wss"), (Vec::new(), "ws")] {
        let (_around, setup) = content(|content| content);
        let running = setup.settings(|settings| settings.proxies = proxies).serve(Probe::default());
        let request = "GET /play/game.swf HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\r\n";
        let got = send(&running, request.as_bytes());
        assert!(got.text().contains(&format!("\"proxyUrl\":\"{scheme}://localhost/ws\"")), "{}", got.text());
        // Without --flash-host, what the SWF takes for its own host is this one.
        let own = format!("{{\"host\":\"localhost\",\"port\":{},", running.address.port());
        assert!(got.text().contains(&own), "{own} in {}", got.text());
    }
}

#[test]
fn without_ruffle_the_page_says_how_to_get_it() {
    let around = tempfile::tempdir().unwrap();
    fs::write(around.path().join("game.swf"), "FWS").unwrap();
    let site = Site::new(Gate::default()).route(Content::new(Folder::open(around.path()).unwrap()));
    let running = with(site).serve(Probe::default());
    let got = get(&running, "/play/game.swf");
    assert!(got.status == 404 && got.text().contains("--ruffle"), "{}", got.text());
    assert_eq!(get(&running, "/ruffle/ruffle.js").status, 404);
    let error = content::ruffle(around.path()).unwrap_err().to_string();
    assert!(error.contains("ruffle.js"), "{error}");
    assert!(content::ruffle(Path::new("/nonexistent")).is_err());
}

#[test]
fn a_large_file_arrives_whole_and_a_reader_that_stops_is_let_go() {
    let (around, setup) = content(|content| content);
    let bytes: Vec<u8> = (0..8u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(around.path().join("content/large.bin"), &bytes).unwrap();
    let mut running = setup.limits(|limits| limits.write_seconds_max = 1).serve(Probe::default());
    let got = get(&running, "/large.bin");
    assert_eq!((got.status, got.field("Content-Length")), (200, Some("8388608")));
    assert!(got.body == bytes, "{} bytes", got.body.len());
    running.notes.any_ended();
    let mut stalled = Client::with_small_buffer(running.address);
    stalled.write(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let begun = Instant::now();
    running.notes.any_ended();
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[test]
fn silence_then_a_page_costs_the_application_nothing_but_a_greeting() {
    let mut running = setup().serve(Probe::default());
    let mut client = running.connect();
    let id = running.told.open();
    client.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(receive(&mut client).status, 200);
    assert!(matches!(running.told.close(id), CloseReason::NotXmlSocket(_)));
}

#[test]
fn a_tls_hello_is_closed_without_a_word() {
    let mut running = setup().serve(Probe::default());
    let mut client = running.connect();
    client.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    client.end();
    client.half_close();
    running.notes.any_ended();
    let name = client.address().to_string();
    let lines = lock(log_lines()).iter().filter(|line| line.contains(&name) && line.contains("TLS")).count();
    assert_eq!(lines, 1);
}
