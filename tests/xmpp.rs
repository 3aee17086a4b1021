//! The client for streams against a real XMPP server: Prosody, started on a free port of this machine with a configuration
//! of its own, and stopped by its process id. `make xmpp` runs this; `make test-tools` installs Prosody.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use xmlsocket::client::{Event, XmlStreams};
use xmlsocket::wire::{Document, Fragment, Root, StreamEvent};

/// The longest that anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often another port is tried when somebody was faster.
const ATTEMPTS: usize = 3;

const STREAMS: &str = "http://etherx.jabber.org/streams";

/// The root of a client's stream.
const ROOT: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'>";

/// Prosody, running. Dropping it stops it.
struct Prosody {
    child: Child,
    port: u16,
    /// What it says; ends when it does.
    lines: Receiver<String>,
    _directory: tempfile::TempDir,
}

impl Prosody {
    fn start() -> Prosody {
        (0..ATTEMPTS).find_map(|_| Prosody::try_start()).expect("a free port for Prosody")
    }

    /// Starts it on a port that was free; `None` if it is not any more.
    fn try_start() -> Option<Prosody> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("prosody.cfg.lua");
        std::fs::write(&file, configuration(directory.path(), port)).unwrap();
        let mut command = Command::new("prosody");
        command.arg("--config").arg(&file).arg("-F");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("Prosody is not installed, and this test needs it: run `make test-tools` once, as root")
            }
            Err(error) => panic!("Prosody cannot be started: {error}"),
        };
        let lines = lines(&mut child);
        let prosody = Prosody { child, port, lines, _directory: directory };
        let deadline = Instant::now() + DEADLINE;
        let mut said = Vec::new();
        loop {
            let line = prosody.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| panic!("Prosody does not serve ({error}); it said: {said:#?}"));
            if line.contains("Activated service 'c2s' on [127.0.0.1]") {
                return Some(prosody);
            } else if line.contains("Failed to open server port") {
                return None;
            }
            said.push(line);
        }
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        // In order, so that it leaves nothing behind; by force, should it not.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        while self.lines.recv_timeout(Duration::from_secs(5)).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server for this test alone: no other servers, no encryption, no accounts, one host with rooms.
fn configuration(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!(
        r#"
run_as_root = true
pidfile = "{directory}/prosody.pid"
data_path = "{directory}"
certificates = "{directory}"
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
modules_enabled = {{ "saslauth" }}
modules_disabled = {{ "s2s" }}
storage = "memory"
c2s_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{}}
s2s_ports = {{}}
http_ports = {{}}
https_ports = {{}}
c2s_require_encryption = false
VirtualHost "localhost"
  authentication = "anonymous"
Component "rooms.localhost" "muc"
  muc_room_locking = false
"#
    )
}

/// What it says, line by line, read for as long as it runs.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // Nobody may listen any more; its output is read all the same, so that it is never held up.
            let _ = sender.send(line);
        }
    });
    lines
}

/// A client of it.
struct Client(XmlStreams);

impl Client {
    /// Connects and logs in without a name. The stream begins, and begins anew after that.
    fn log_in(port: u16) -> Client {
        let mut socket = XmlStreams::new();
        socket.connect("127.0.0.1", port.into()).unwrap();
        let client = Client(socket);
        assert_eq!(client.event(), Event::Connect);
        client.send(ROOT);
        let StreamEvent::Opened(first) = client.data() else { panic!("expected the root of the stream") };
        client.wait("features", |features| features.frame().lossy().contains("ANONYMOUS"));
        client.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>");
        client.wait("success", |_| true);
        client.send(ROOT);
        let StreamEvent::Restarted(second) = client.data() else { panic!("expected the stream to begin anew") };
        assert_eq!((first.name(), second.name()), ("stream:stream", "stream:stream"));
        assert_ne!(id(&first), id(&second), "another stream");
        let features = client.wait("features", |features| features.frame().lossy().contains("xmpp-bind"));
        assert_eq!(features.root().tag_name().namespace(), Some(STREAMS), "declared on the stream's root alone");
        client.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        let bound = client.wait("iq", |_| true);
        assert_eq!((bound.attribute("id"), bound.attribute("type")), (Some("bind"), Some("result")));
        assert_eq!(bound.root().tag_name().namespace(), Some("jabber:client"));
        client
    }

    /// Enters the room, and waits until it is in.
    fn enter(&self, nick: &str) {
        let muc = "<x xmlns='http://jabber.org/protocol/muc'/>";
        self.send(&format!("<presence to='tea@rooms.localhost/{nick}'>{muc}</presence>"));
        // Status 110 says that it is oneself.
        self.wait("presence", |presence| presence.frame().lossy().contains("'110'"));
    }

    fn send(&self, text: &str) {
        self.0.send(text).unwrap();
    }

    fn event(&self) -> Event<StreamEvent> {
        self.0.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("expected an event, got: {error}"))
    }

    fn data(&self) -> StreamEvent {
        match self.event() {
            Event::Data(data) => data,
            other => panic!("expected data, got {other:?}"),
        }
    }

    /// Waits for an element called `name` that is `wanted`.
    fn wait(&self, name: &str, wanted: impl Fn(&Fragment) -> bool) -> Document {
        loop {
            let StreamEvent::Element(element) = self.data() else { panic!("the stream ended before {name} came") };
            let document = element.document(1_000).expect("a server's elements are XML");
            if document.root().tag_name().name() == name && wanted(&element) {
                return document;
            }
        }
    }

    /// Ends the stream, and sees the server end its own and the connection.
    fn leave(self) {
        self.send("</stream:stream>");
        while self.data() != StreamEvent::Closed {}
        assert_eq!(self.event(), Event::Close);
    }
}

/// The id that the server gave a stream.
fn id(root: &Root) -> String {
    root.document(100).unwrap().attribute("id").expect("a stream has an id").to_owned()
}

#[test]
fn a_message_to_a_room_comes_back() {
    let prosody = Prosody::start();
    let ann = Client::log_in(prosody.port);
    ann.enter("ann");
    let bob = Client::log_in(prosody.port);
    bob.enter("bob");
    let text = "caf\u{e9} &amp; &lt;&gt; ]]&gt;";
    ann.send(&format!("<message to='tea@rooms.localhost' type='groupchat' id='m1'><body>{text}</body></message>"));
    for client in [&ann, &bob] {
        let message = client.wait("message", |message| message.frame().lossy().contains("<body>"));
        assert_eq!(message.attribute("from"), Some("tea@rooms.localhost/ann"));
        assert_eq!(message.attribute("id"), Some("m1"));
        let body = message.root().children().find(|child| child.has_tag_name(("jabber:client", "body"))).unwrap();
        assert_eq!(body.text(), Some("caf\u{e9} & <> ]]>"));
    }
    bob.leave();
    ann.leave();
}
