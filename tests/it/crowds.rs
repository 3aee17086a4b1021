//! Tests the chat with many people and much data, on a stage: what is sent stays proportional and bounded.

use xmlsocket::chat::{Chat, Settings};
use xmlsocket::server::{ConnectionId, Stage};
use xmlsocket::wire::{Document, Frame, Limits, SENT_FRAME_BYTES_MAX};

/// A chat with other limits than the default ones.
fn chat(set: &[(&str, u64)]) -> Stage<Chat> {
    let mut settings = Settings::default();
    for (name, value) in set {
        settings.limits.set(name, *value).expect("a limit");
    }
    let mut sessions = 0_u64;
    let random = move |bytes: &mut [u8]| {
        sessions += 1;
        bytes[..8].copy_from_slice(&sessions.to_le_bytes());
    };
    Stage::new(Chat::new(settings, Box::new(random)))
}

/// Somebody who is logged in.
fn person(stage: &mut Stage<Chat>, nick: &str) -> ConnectionId {
    let id = stage.open();
    assert!(ask(stage, id, &format!("<login nick='{nick}'/>"))[0].starts_with("<welcome "), "{nick}");
    id
}

/// What `id` gets for `request`.
fn ask(stage: &mut Stage<Chat>, id: ConnectionId, request: &str) -> Vec<String> {
    stage.hear(id);
    stage.say(id, request);
    stage.hear(id)
}

fn document(frame: &str) -> Document {
    let frame = Frame::try_from(frame).expect("no zero byte");
    Document::parse(frame, u32::MAX).unwrap_or_else(|(frame, error)| panic!("{error} in {:?}", frame.lossy()))
}

/// The attribute `name` of each child of the frame's root.
fn children(frame: &str, name: &str) -> Vec<String> {
    document(frame).root().children().map(|child| child.attribute(name).expect(name).to_owned()).collect()
}

/// Asks for page after page, each after the last name of the one before.
fn pages(stage: &mut Stage<Chat>, id: ConnectionId, request: &str, name: &str) -> Vec<Vec<String>> {
    let mut pages: Vec<Vec<String>> = Vec::new();
    let mut frame = ask(stage, id, &format!("<{request}/>")).remove(0);
    loop {
        pages.push(children(&frame, name));
        let last = pages.last().and_then(|page| page.last()).expect("no page is empty");
        if document(&frame).attribute("more") != Some("true") {
            return pages;
        }
        frame = ask(stage, id, &format!("<{request} after='{last}'/>")).remove(0);
    }
}

#[test]
fn a_full_room_is_listed_in_pages_and_a_join_costs_the_others_one_frame() {
    let mut stage = chat(&[]);
    let people: Vec<_> = (0..250).map(|n| person(&mut stage, &format!("p{n:03}"))).collect();
    for (n, id) in people.iter().enumerate() {
        let got = ask(&mut stage, *id, "<join room='hall'/>");
        assert_eq!(got.len(), 1, "nothing but the room is told");
        let listed = children(&got[0], "nick");
        assert_eq!(listed.len(), (n + 1).min(200));
        assert_eq!(document(&got[0]).attribute("users"), Some(&*(n + 1).to_string()));
    }
    for (n, id) in people.iter().enumerate() {
        let expected: Vec<String> =
            (n + 1..250).map(|later| format!("<joined room=\"hall\" nick=\"p{later:03}\"/>")).collect();
        let got: Vec<String> = stage.hear(*id).iter().map(|frame| without_person(frame)).collect();
        assert_eq!(got, expected, "p{n:03} hears of each later one once, and nothing else");
    }
    let pages = pages(&mut stage, people[7], "users room='hall'", "nick");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [200, 50]);
    assert_eq!(pages.concat(), (0..250).map(|n| format!("p{n:03}")).collect::<Vec<_>>());
}

#[test]
fn a_message_reaches_each_of_a_crowd_once() {
    let mut stage = chat(&[]);
    let people: Vec<_> = (0..300).map(|n| person(&mut stage, &format!("p{n}"))).collect();
    people.iter().for_each(|id| stage.say(*id, "<join room='hall'/>"));
    people.iter().for_each(|id| drop(stage.hear(*id)));
    stage.say(people[0], "<message room='hall' id='1'>all</message>");
    let first = stage.hear(people[0]);
    assert_eq!(first.len(), 2);
    for id in &people[1..] {
        assert_eq!(stage.hear(*id), first[..1]);
    }
}

#[test]
fn rooms_are_listed_in_as_many_answers_as_it_takes() {
    let mut stage = chat(&[("outbox_bytes_max", 8_000), ("rooms_per_user_max", 0), ("rooms_per_address_max", 0)]);
    let ann = person(&mut stage, "ann");
    let names: Vec<String> = (0..300).map(|n| format!("room {n:03}")).collect();
    for name in &names {
        stage.say(ann, &format!("<join room='{name}'/>"));
        stage.say(ann, &format!("<topic room='{name}'>{}</topic>", "&lt;".repeat(20)));
    }
    let whole = ask(&mut stage, ann, "<rooms/>");
    assert!(whole[0].len() <= 4_000, "{} bytes are more than half of the outbox", whole[0].len());
    let pages = pages(&mut stage, ann, "rooms", "name");
    assert!(pages.len() > 3, "{} pages", pages.len());
    assert_eq!(pages.concat(), names);
}

#[test]
fn the_variables_of_a_crowd_are_told_within_half_of_the_outbox_and_none_is_out_of_reach() {
    let mut stage = chat(&[("outbox_bytes_max", 64 << 10)]);
    let people: Vec<_> = (0..40).map(|n| person(&mut stage, &format!("p{n:02}"))).collect();
    let value = "&lt;".repeat(250);
    for id in &people {
        stage.say(*id, "<join room='hall'/>");
        (0..3).for_each(|n| stage.say(*id, &format!("<set name='v{n}'>{value}</set>")));
    }
    people.iter().for_each(|id| drop(stage.hear(*id)));
    let ann = person(&mut stage, "ann");
    for request in ["<join room='hall' history='9'/>", "<users room='hall' variables='true'/>"] {
        let got = ask(&mut stage, ann, request);
        let bytes: usize = got.iter().map(|frame| frame.len() + 1).sum();
        assert!(bytes <= 32 << 10, "{request} brings {bytes} bytes");
        // `ann` is listed first, and has none.
        let listed = children(&got[0], "nick");
        assert!(listed.len() > 2 && listed.len() < 30, "{} are listed", listed.len());
        assert_eq!(got.len() - 1, 3 * (listed.len() - 1), "all variables of all who are listed, and no others");
    }
    let pages = pages(&mut stage, ann, "users room='hall' variables='true'", "nick");
    assert_eq!(pages.concat().len(), 41);
    for id in &people {
        let got = stage.hear(*id);
        assert_eq!((got.len(), &*without_person(&got[0])), (1, "<joined room=\"hall\" nick=\"ann\"/>"));
    }
}

/// A frame without the number of the person whom it tells of.
fn without_person(frame: &str) -> String {
    let Some((before, rest)) = frame.split_once(" person=\"") else { return frame.to_owned() };
    let (_, after) = rest.split_once('"').unwrap_or_default();
    format!("{before}{after}")
}

#[test]
fn no_request_brings_more_than_its_bound_whatever_the_limits_are() {
    let limits = ["variables_max", "rooms_per_user_max", "rooms_per_address_max", "outbox_bytes_max"];
    let mut stage = chat(&limits.map(|name| (name, if name == "outbox_bytes_max" { 1 << 30 } else { 0 })));
    let people: Vec<_> = (0..20).map(|n| person(&mut stage, &format!("p{n:02}"))).collect();
    for (n, id) in people.iter().enumerate() {
        stage.say(*id, "<join room='hall'/>");
        // A room, or a person, has at most a quarter of what one request may bring.
        for place in ["", " room='hall'"].into_iter().take(if n == 0 { 2 } else { 1 }) {
            let mut sets = (0..).map(|name| format!("<set{place} name='{name}'>{}</set>", "v".repeat(1_000)));
            while ask(&mut stage, *id, &sets.next().expect("there are more"))[0].starts_with("<set ") {}
        }
        (0..50).for_each(|_| stage.say(*id, &format!("<message room='hall'>{}</message>", "m".repeat(10_000))));
        people.iter().for_each(|id| drop(stage.hear(*id)));
    }
    let names: Vec<String> = (0..450).map(|n| format!("room {n:03}")).collect();
    names.iter().for_each(|name| stage.say(people[0], &format!("<join room='{name}'/>")));
    let bytes = |frames: &[String]| frames.iter().map(|frame| frame.len() + 1).sum::<usize>();
    let ann = person(&mut stage, "ann");
    for (request, max) in [
        ("<join room='hall' history='9999'/>", 512 << 10),
        ("<users room='hall' variables='true'/>", 512 << 10),
        ("<history room='hall' limit='9999'/>", 256 << 10),
        ("<rooms/>", 64 << 10),
    ] {
        let got = bytes(&ask(&mut stage, ann, request));
        assert!(got <= max, "{request} brings {got} bytes");
    }
    let pages = pages(&mut stage, ann, "rooms", "name");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [200, 200, 51]);
}

#[test]
fn a_newcomer_with_many_variables_is_not_broadcast_with_them() {
    let mut stage = chat(&[]);
    let ann = person(&mut stage, "ann");
    stage.say(ann, "<join room='hall'/>");
    let bob = person(&mut stage, "bob");
    (0..4).for_each(|n| stage.say(bob, &format!("<set name='v{n}'>{}</set>", "v".repeat(900))));
    stage.hear(ann);
    stage.say(bob, "<join room='hall'/>");
    let got = stage.hear(ann);
    assert_eq!((got.len(), &*without_person(&got[0])), (5, "<joined room=\"hall\" nick=\"bob\"/>"));
    stage.say(bob, "<leave room='hall'/>");
    stage.say(bob, &format!("<set name='v5'>{}</set>", "v".repeat(900)));
    stage.hear(ann);
    stage.say(bob, "<join room='hall'/>");
    let got = stage.hear(ann);
    let expected = "<joined room=\"hall\" nick=\"bob\" variables=\"true\"/>";
    assert_eq!((got.len(), &*without_person(&got[0])), (1, expected));
    let got = ask(&mut stage, ann, "<users room='hall' after='ann' variables='true'/>");
    assert_eq!(got.len(), 1 + 5);
}

#[test]
fn no_frame_is_longer_than_the_server_may_send() {
    let mut stage = chat(&[("history_bytes_max", 0), ("outbox_bytes_max", 1 << 30)]);
    let ann = person(&mut stage, "ann");
    let name = "\"".repeat(32);
    let room = "&quot;".repeat(32);
    assert_eq!(document(&ask(&mut stage, ann, &format!("<join room='{name}'/>"))[0]).attribute("name"), Some(&*name));
    // The longest content that is taken: the answer that tells it again is still within the bound.
    let frame = |bytes: usize| format!("<message room='{room}' id='1'>{}</message>", "x".repeat(bytes));
    let (mut taken, mut refused) = (SENT_FRAME_BYTES_MAX - (8 << 10), SENT_FRAME_BYTES_MAX);
    while refused - taken > 1 {
        let bytes = taken.midpoint(refused);
        match ask(&mut stage, ann, &frame(bytes)).last() {
            Some(ok) if ok.starts_with("<ok ") => taken = bytes,
            error => {
                assert!(error.is_some_and(|error| error.starts_with("<error code=\"too-long\" re=\"1\">")), "{bytes}");
                refused = bytes;
            }
        }
    }
    assert!(ask(&mut stage, ann, &frame(taken))[1].starts_with("<ok "), "{taken} bytes are not taken");
    let id = "&quot;".repeat(256);
    let answer = ask(&mut stage, ann, &format!("<history room='{room}' limit='1' id='{id}'/>"));
    assert!((taken..=SENT_FRAME_BYTES_MAX).contains(&answer[0].len()), "{} bytes", answer[0].len());
    let all = ask(&mut stage, ann, &format!("<history room='{room}' limit='99'/>"));
    assert!(all[0].len() <= SENT_FRAME_BYTES_MAX, "{} bytes", all[0].len());
    assert_eq!(document(&all[0]).attribute("more"), Some("true"));
}

#[test]
fn a_limit_of_nothing_is_no_limit() {
    let names = ["rooms_max", "rooms_per_user_max", "variables_max", "topic_bytes_max", "login_seconds_max"];
    let mut stage = chat(&names.map(|name| (name, 0)));
    let guest = stage.open();
    let ann = person(&mut stage, "ann");
    for n in 0..=Limits::default().rooms_per_user_max {
        assert!(ask(&mut stage, ann, &format!("<join room='{n}'/>"))[0].starts_with("<room "));
    }
    for n in 0..=Limits::default().variables_max {
        assert!(ask(&mut stage, ann, &format!("<set name='{n}'>v</set>"))[0].starts_with("<set "));
    }
    assert!(ask(&mut stage, ann, &format!("<topic room='0'>{}</topic>", "t".repeat(9_999)))[0].starts_with("<topic "));
    stage.wait(std::time::Duration::from_secs(100_000));
    assert!(stage.closed(guest).is_none());
}
