//! People who mean no good to a chat: what they ask for costs others nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use xmlsocket::chat::{Chat, Settings};
use xmlsocket::server::{CloseReason, ConnectionId, Stage};

use crate::harness::{Client, Running, Setup};

fn chat(settings: Settings) -> Chat {
    let mut sessions = 0_u64;
    let random = move |bytes: &mut [u8]| {
        sessions += 1;
        bytes[..8].copy_from_slice(&sessions.to_le_bytes());
    };
    Chat::new(settings, Box::new(random))
}

/// A chat with other limits than the default ones, and none on how fast frames come.
fn serve(set: &[(&str, u64)]) -> Running {
    let mut settings = Settings::default();
    set.iter().for_each(|(name, value)| settings.limits.set(name, *value).expect("a limit"));
    Setup::new().quiet().serve_service(chat(settings))
}

/// The session in a welcome.
fn session(welcome: &str) -> String {
    let (_, session) = welcome.split_once(" session=\"").expect(welcome);
    session.split('"').next().expect(welcome).to_owned()
}

#[test]
fn no_name_is_so_long_that_others_wait_for_it() {
    let running = serve(&[]);
    let (mut mallory, mut ann) = (running.connect(), running.connect());
    ann.send("<ping/>");
    assert_eq!(ann.frame(), "<pong/>");
    // To compare these as names took three seconds each: what one letter allows was looked up for each of the others.
    let name = "・".repeat(20_000) + "ア";
    let frames = ["rooms after", "login nick", "message room", "message to"];
    for frame in frames.iter().cycle().take(24) {
        mallory.send(&format!("<{frame}=\"{name}\"/>"));
    }
    ann.send("<ping/>");
    assert_eq!(ann.frame(), "<pong/>");
    for _ in 0..24 {
        let answer = mallory.frame();
        assert!(answer.starts_with("<error code=\"too-long\"") || answer.contains("not-logged-in"), "{answer}");
    }
    assert!(running.stop() < Duration::from_secs(5));
}

#[test]
fn sessions_are_counted_by_the_address_that_a_connection_comes_from() {
    let mut running = serve(&[("sessions_per_address_max", 2), ("rooms_per_address_max", 1)]);
    let mallory = Ipv4Addr::new(127, 0, 0, 66);
    let mut ann = running.connect();
    ann.send("<login nick='ann'/>");
    let session_of_ann = session(&ann.frame());
    let mut of_mallory = Vec::new();
    for nick in ["m1", "m2", "m3"] {
        let mut client = Client::from(mallory, running.address);
        client.send(&format!("<login nick='{nick}'/>"));
        of_mallory.push(session(&client.frame()));
        client.send(&format!("<join room='{nick}'/>"));
        let made = client.frame().starts_with("<room ");
        assert_eq!(made, nick == "m1", "one room an address");
        client.send("<topic room='m1'>it holds something</topic>");
        client.frame();
        client.send("<leave room='m1'/>");
        client.frame();
        if nick == "m1" {
            drop(ann);
            running.notes.any_ended();
            ann = running.connect();
        }
        drop(client);
        running.notes.any_ended();
    }
    for (client, session, resumed) in [
        (&mut ann, &session_of_ann, true),
        (&mut Client::from(mallory, running.address), &of_mallory[0], false),
        (&mut running.connect(), &of_mallory[1], true),
        (&mut running.connect(), &of_mallory[2], true),
    ] {
        client.send(&format!("<login nick='x' session='{session}'/>"));
        let welcome = client.frame();
        assert_eq!(welcome.contains(" resumed=\"true\""), resumed, "{welcome}");
        client.send("<quit/>");
        assert_eq!(client.frame(), "<bye reason=\"quit\"/>");
    }
}

/// Somebody from `address` who is logged in, and the session.
fn person(stage: &mut Stage<Chat>, address: Ipv4Addr, nick: &str) -> (ConnectionId, String) {
    let id = stage.open_from(SocketAddr::from((address, 50_000)));
    stage.say(id, &format!("<login nick='{nick}'/>"));
    (id, session(&stage.hear(id)[0]))
}

#[test]
fn no_flood_of_logins_takes_a_room_from_its_owner() {
    let mut stage = Stage::new(chat(Settings::default()));
    let (ann, session_of_ann) = person(&mut stage, Ipv4Addr::new(192, 0, 2, 1), "ann");
    let mallory = Ipv4Addr::new(192, 0, 2, 66);
    let (insider, _) = person(&mut stage, mallory, "mallory");
    stage.say(ann, "<join room='club'/>");
    stage.say(insider, "<join room='club'/>");
    stage.leave(ann, CloseReason::Lost("reset".to_owned()));
    // More people than are kept, and more variables; then the same from many addresses.
    let one = |_: u32| mallory;
    let many = |n: u32| Ipv4Addr::from_bits(0x0a00_0000 + n % 20);
    let value = "v".repeat(1_000);
    for n in 0..10_350 {
        let address = if n < 10_050 { one(n) } else { many(n) };
        let (id, _) = person(&mut stage, address, &format!("p{n}"));
        if n >= 10_030 {
            (0..64).for_each(|name| stage.say(id, &format!("<set name='{name}'>{value}</set>")));
        }
        stage.leave(id, CloseReason::Lost("reset".to_owned()));
    }
    stage.hear(insider);
    stage.say(insider, "<room-password room='club'>mine</room-password>");
    assert!(stage.hear(insider)[0].starts_with("<error code=\"not-owner\""));
    let ann = stage.open();
    stage.say(ann, &format!("<login nick='ann' session='{session_of_ann}'/>"));
    stage.say(ann, "<room-password room='club'>ours</room-password>");
    let heard = stage.hear(ann);
    assert!(heard[0].contains(" resumed=\"true\"") && heard.last().is_some_and(|last| last == "<ok/>"), "{heard:?}");
}

#[test]
fn a_few_connections_cannot_fill_the_server_with_rooms() {
    let mut stage = Stage::new(chat(Settings::default()));
    // Twenty connections, from ten addresses, each as many rooms as it can, and a topic for each that stays.
    for n in 0..20 {
        let address = Ipv4Addr::new(192, 0, 2, 100 + n % 10);
        let (id, _) = person(&mut stage, address, &format!("p{n}"));
        for room in 0..50 {
            stage.say(id, &format!("<join room='{n}-{room}'/>"));
            stage.say(id, &format!("<topic room='{n}-{room}'>mine</topic>"));
        }
        stage.leave(id, CloseReason::ByPeer);
    }
    let (ann, _) = person(&mut stage, Ipv4Addr::new(192, 0, 2, 1), "ann");
    for room in 0..50 {
        stage.say(ann, &format!("<join room='of ann {room}'/>"));
        let heard = stage.hear(ann);
        assert!(heard[0].starts_with("<room "), "{heard:?}");
    }
}
