//! Defines the attacks: how many come, what they say, how fast, whether they read.
//!
//! Knows: what is costly to a server. Must not know: sockets, goals.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use xmlsocket::wire::{ATTRIBUTES_MAX, Limits, NAMESPACES_MAX};

use crate::server::Stderr;

/// An attack.
#[derive(Clone, Copy)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What they do, as the table says it.
    pub(crate) what: &'static str,
    pub(crate) connections: usize,
    pub(crate) port: Port,
    pub(crate) pace: Pace,
    /// Whether they read what they are sent.
    pub(crate) reads: bool,
    pub(crate) stderr: Stderr,
    /// What one of them says at one of its visits.
    pub(crate) script: fn(usize, usize) -> Script,
}

/// Which of the server's ports is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// The one where people chat.
    Chat,
    /// A relay of streams.
    Streams,
}

/// When a connection writes its next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As soon as the socket takes it.
    Pours,
    /// So long after the last.
    Every(Duration),
}

/// What one connection says.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// Said first.
    pub(crate) opening: Vec<u8>,
    /// Said then, one after the other, again and again; nothing if there is none.
    pub(crate) rounds: Arc<[Vec<u8>]>,
    /// Whether the connection is closed as soon as its opening is written.
    pub(crate) leaves: bool,
}

/// A second, the pace of those who trickle.
const SECOND: Pace = Pace::Every(Duration::from_secs(1));

/// The pace of those who stay just below `frames_per_second_max`, with frames of one KiB at most.
const ADMITTED: Pace = Pace::Every(Duration::from_millis(20));

/// All attacks; the first is none, and shows how alike two quiet times are.
pub(crate) fn all() -> Vec<Attack> {
    let attack = |name, what, connections, pace, reads, script| Attack {
        name,
        what,
        connections,
        port: Port::Chat,
        pace,
        reads,
        stderr: Stderr::File,
        script,
    };
    vec![
        attack("nobody", "nobody", 0, SECOND, true, visit),
        attack("drip", "drip one byte a second", 8_000, SECOND, true, drip),
        attack("flood", "flood", 1_000, Pace::Pours, true, flood),
        attack("deaf", "do not read what others say", 1_000, Pace::Every(Duration::from_millis(700)), false, deaf),
        attack("ask", "do not read what they ask for", 1_000, Pace::Every(Duration::from_millis(100)), false, ask),
        attack("reconnect", "reconnect without pause", 500, SECOND, true, visit),
        attack("costly", "send the costliest requests", 200, ADMITTED, true, costly),
        attack(
            "complex",
            "send the costliest documents",
            200,
            Pace::Every(Duration::from_millis(1_300)),
            true,
            complex,
        ),
        attack("fragments", "pour WebSocket fragments", 200, Pace::Pours, true, fragments),
        Attack {
            port: Port::Streams,
            ..attack("streams", "repeat a root's namespaces", 200, Pace::Pours, false, streams)
        },
        Attack {
            stderr: Stderr::Stalled,
            ..attack("stderr", "visit while stderr is not read", 100, SECOND, true, visit)
        },
    ]
}

fn say(opening: String, rounds: impl Into<Arc<[Vec<u8>]>>) -> Script {
    Script { opening: opening.into_bytes(), rounds: rounds.into(), leaves: false }
}

/// A frame, an HTTP head or a WebSocket message that comes byte by byte, before the login or after it.
fn drip(n: usize, visit: usize) -> Script {
    static BYTE: LazyLock<Arc<[Vec<u8>]>> = LazyLock::new(|| vec![b"x".to_vec()].into());
    let opening = match n % 4 {
        0 => "<message room=\"drip\">".to_owned(),
        1 => format!("<login nick=\"drip {n} {visit}\"/>\0<message>"),
        2 => "GET / HTTP/1.1\r\nHost: ".to_owned(),
        _ => handshake(),
    };
    let mut script = say(opening, Arc::clone(&BYTE));
    if n % 4 == 3 {
        // A binary message of 60 000 bytes, masked with zeros.
        script.opening.extend([0x82, 0xFE, 0xEA, 0x60, 0, 0, 0, 0]);
    }
    script
}

/// Messages to rooms of their own, as many as the socket takes.
fn flood(n: usize, visit: usize) -> Script {
    static ROUNDS: LazyLock<Vec<Arc<[Vec<u8>]>>> = LazyLock::new(|| {
        let rooms = (0..FLOODED_ROOMS).map(|room| format!("<message room=\"flood {room}\">x</message>\0").repeat(400));
        rooms.map(|round| vec![round.into_bytes()].into()).collect()
    });
    let room = n % FLOODED_ROOMS;
    say(format!("<login nick=\"flood {n} {visit}\"/>\0<join room=\"flood {room}\"/>\0"), Arc::clone(&ROUNDS[room]))
}

/// Rooms over which those who flood are spread.
const FLOODED_ROOMS: usize = 50;

/// Rooms of fifty; one in each says as much as is admitted, and nobody reads.
fn deaf(n: usize, visit: usize) -> Script {
    let room = n / 50;
    let opening = format!("<login nick=\"deaf {n} {visit}\"/>\0<join room=\"deaf {room}\"/>\0");
    let rounds = if n.is_multiple_of(50) {
        vec![format!("<message room=\"deaf {room}\">{}</message>\0", "x".repeat(32 << 10)).into_bytes()]
    } else {
        Vec::new()
    };
    say(opening, rounds)
}

/// The first twenty fill the table of rooms with topics; all others ask for it, without a login, and do not read.
fn ask(n: usize, visit: usize) -> Script {
    static ROUNDS: LazyLock<Arc<[Vec<u8>]>> = LazyLock::new(|| vec![b"<rooms/>\0".to_vec()].into());
    if n >= 20 {
        return say(String::new(), Arc::clone(&ROUNDS));
    }
    let mut opening = format!("<login nick=\"ask {n} {visit}\"/>\0");
    let topic = "t".repeat(Limits::default().topic_bytes_max as usize);
    for room in 0..Limits::default().rooms_per_user_max {
        opening += &format!("<join room=\"ask {n} {room}\"/>\0<topic room=\"ask {n} {room}\">{topic}</topic>\0");
    }
    say(opening, Vec::new())
}

/// In, into a room, and out again: with a farewell, without one, or before anything was answered.
fn visit(n: usize, visit: usize) -> Script {
    let opening = match n % 4 {
        0 => "<quit/>\0".to_owned(),
        1 => format!("<login nick=\"visit {n} {visit}\"/>\0<join room=\"visit {n}\"/>\0<quit/>\0"),
        2 => format!("<login nick=\"visit {n} {visit}\"/>\0<join room=\"visit {n}\"/>\0"),
        _ => "<policy-file-request/>\0".to_owned(),
    };
    let mut script = say(opening, Vec::new());
    script.leaves = n % 4 == 2;
    script
}

/// The requests that make the server look for longest, or answer most, one after the other.
fn costly(n: usize, visit: usize) -> Script {
    static ROUNDS: LazyLock<Arc<[Vec<u8>]>> = LazyLock::new(|| {
        // As long as a name may be, of characters that are admitted only if a letter of certain scripts is among them.
        let name = |last: char| "\u{30FB}".repeat(31) + &last.to_string();
        let (one, other) = (name('\u{30A2}'), name('\u{30A4}'));
        let value = "v".repeat(1_000);
        let requests = [
            "<rooms/>".to_owned(),
            format!("<rooms after=\"{one}\"/>"),
            "<users room=\"costly\" variables=\"true\"/>".to_owned(),
            "<join room=\"costly\" history=\"1000\"/>".to_owned(),
            format!("<join room=\"{one}\"/>"),
            format!("<leave room=\"{one}\"/>"),
            format!("<nick name=\"{one}\"/>"),
            format!("<nick name=\"{other}\"/>"),
            format!("<message to=\"{one}\">x</message>"),
            format!("<users room=\"costly\" after=\"{other}\"/>"),
            format!("<set name=\"v\">{value}</set>"),
            format!("<set room=\"costly\" name=\"v\">{value}</set>"),
            format!("<topic room=\"costly\">{}</topic>", "t".repeat(500)),
            format!("<message room=\"costly\">{value}</message>"),
        ];
        let frames: Vec<Vec<u8>> = requests.iter().map(|request| format!("{request}\0").into_bytes()).collect();
        frames.into()
    });
    let mut opening = format!("<login nick=\"costly {n} {visit}\"/>\0<join room=\"costly\"/>\0");
    (0..20).for_each(|v| opening += &format!("<set name=\"v{v}\">{}</set>\0", "v".repeat(100)));
    say(opening, Arc::clone(&ROUNDS))
}

/// Documents as long as is admitted that take longest to parse: one tag after the other, full of attributes with
/// prefixes; and the one that is refused last.
fn complex(_: usize, _: usize) -> Script {
    static ROUNDS: LazyLock<Arc<[Vec<u8>]>> = LazyLock::new(|| {
        let long = "u".repeat(250);
        let roots: String = (0..26).map(|n| format!(" xmlns:{}='{long}{n:02}'", letter(n))).collect();
        let mixed: String =
            (0..ATTRIBUTES_MAX - 1).map(|n| format!(" {}:{}=''", letter(n % 26), letter(n / 26))).collect();
        let nested: String = (0..NAMESPACES_MAX).map(|n| format!("<a xmlns:x{n}='u'>")).collect();
        let frames = [
            fill(&format!("<r{roots}>"), &format!("<a{mixed}/>"), "</r>"),
            fill(&nested, "<a/>", &"</a>".repeat(NAMESPACES_MAX)),
        ];
        frames.map(|frame| frame.into_bytes()).to_vec().into()
    });
    say(String::new(), Arc::clone(&ROUNDS))
}

fn letter(n: usize) -> char {
    char::from(b'a' + n as u8)
}

/// A frame as long as is admitted: `head`, then `piece` as often as there is room, then `tail`.
fn fill(head: &str, piece: &str, tail: &str) -> String {
    let room = Limits::default().frame_bytes_max as usize - head.len() - tail.len();
    format!("{head}{}{tail}\0", piece.repeat((room / piece.len()).min(4_000)))
}

/// Empty continuation frames, a byte and a ping beside each, or the same once a second at most.
fn fragments(n: usize, _: usize) -> Script {
    static ROUNDS: LazyLock<[Arc<[Vec<u8>]>; 2]> = LazyLock::new(|| {
        let empty = [0x00, 0x80, 0, 0, 0, 0].repeat(4_000);
        let pinged = [0x00, 0x81, 0, 0, 0, 0, b'x', 0x89, 0x80, 0, 0, 0, 0].repeat(2_000);
        [vec![empty].into(), vec![pinged].into()]
    });
    let mut script = say(handshake(), Arc::clone(&ROUNDS[n % 2]));
    script.opening.extend([0x02, 0x81, 0, 0, 0, 0, b'<']);
    script
}

/// A root with as many namespaces as it may declare, and elements that need them all.
fn streams(_: usize, _: usize) -> Script {
    static ROUNDS: LazyLock<Arc<[Vec<u8>]>> = LazyLock::new(|| {
        let used: String = (0..20).map(|n| format!("<x{n}:a/>")).collect();
        vec![format!("<e>{used}</e>").repeat(100).into_bytes()].into()
    });
    let long = "u".repeat(250);
    let declared: String = (0..NAMESPACES_MAX - 1).map(|n| format!(" xmlns:x{n}='{long}{n:02}'")).collect();
    say(format!("<r{declared}>"), Arc::clone(&ROUNDS))
}

/// The request that makes a connection a WebSocket.
fn handshake() -> String {
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        .to_owned()
}
