//! What one request brings its sender at once: never more than half of an outbox, and not much less where there is more.

use super::command::Request;
use super::commands::users::{FRAME_BYTES, VARIABLES_SHARE};
use super::vocabulary::Body;
use super::*;
use crate::server::Stage;
use crate::wire::{Document, Element, Frame};

fn stage(outbox_bytes_max: usize) -> Stage<Chat> {
    let limits = Limits { outbox_bytes_max: outbox_bytes_max as u64, ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let mut session = 0_u128;
    let random = move |bytes: &mut [u8]| {
        session += 1;
        bytes.copy_from_slice(&session.to_be_bytes());
    };
    Stage::new(Chat::new(settings, Box::new(random)))
}

fn set_outbox(stage: &mut Stage<Chat>, outbox_bytes_max: usize) {
    stage.set_limits(&Limits { outbox_bytes_max: outbox_bytes_max as u64, ..Limits::default() });
}

/// Somebody new, in the room.
fn enter(stage: &mut Stage<Chat>, nick: &str, room: &str) -> ConnectionId {
    let id = stage.open();
    stage.say(id, &format!("<login nick=\"{nick}\"/>"));
    stage.say(id, &format!("<join room=\"{room}\"/>"));
    stage.hear(id);
    id
}

fn ask(stage: &mut Stage<Chat>, id: ConnectionId, request: &str) -> Vec<String> {
    stage.hear(id);
    stage.say(id, request);
    stage.hear(id)
}

/// The bytes of frames on the wire.
fn bytes(frames: &[String]) -> usize {
    frames.iter().map(|frame| frame.len() + 1).sum()
}

/// What is counted for the tags of an answer to `request`.
fn around(request: &str) -> usize {
    let document = Document::parse(Frame::try_from(request).unwrap(), 99).map_err(|(_, error)| error).unwrap();
    Request::new(ConnectionId::new(1, 1), &document).ok().unwrap().answer_bytes_more()
}

#[test]
fn a_join_fills_half_an_outbox_and_no_more() {
    const BUDGET: usize = 40_000;
    const RECORD: usize = 400;
    let mut stage = stage(16 << 20);
    let ann = enter(&mut stage, "ann", "a");
    stage.say(ann, &format!("<topic room=\"a\">{}</topic>", "\"".repeat(500)));
    for n in 0..10 {
        stage.say(ann, &format!("<set room=\"a\" name=\"v{n}\">{}</set>", "v".repeat(500)));
    }
    for n in 0..40 {
        let person = enter(&mut stage, &format!("{n:0>32}"), "a");
        for variable in 0..if n % 8 == 0 { 5 } else { 0 } {
            stage.say(person, &format!("<set name=\"v{variable}\">{}</set>", "v".repeat(200)));
        }
    }
    for _ in 0..200 {
        stage.say(ann, &format!("<message room=\"a\">{}</message>", "m".repeat(RECORD - 100)));
    }
    set_outbox(&mut stage, 2 * BUDGET);
    let eve = stage.open();
    stage.say(eve, "<login nick=\"eve\"/>");
    let request = format!("<join room=\"a\" history=\"500\" id=\"{}\"/>", "&amp;".repeat(40));
    let heard = ask(&mut stage, eve, &request);
    let kinds = |kind: &str| heard.iter().filter(|frame| frame.starts_with(kind)).count();
    assert_eq!((kinds("<room "), kinds("<set room="), kinds("<set name=")), (1, 10, 25));
    let total = bytes(&heard) + kinds("<set name=") * FRAME_BYTES;
    assert!(kinds("<message ") > 20, "{heard:?}");
    assert!(total <= BUDGET && total > BUDGET - RECORD - around("<join/>") - 6 * 40, "{total}");
}

#[test]
fn variables_of_people_fill_their_share_and_one_person_is_always_listed() {
    let mut stage = stage(16 << 20);
    let people = ["a".to_owned(), "b&amp;".repeat(5), "c".repeat(32), "d".to_owned(), "e".to_owned()];
    let people = people.map(|nick| enter(&mut stage, &nick, "a"));
    for (n, person) in people.iter().enumerate() {
        for variable in 0..9 - n {
            stage.say(*person, &format!("<set name=\"{variable}\">{variable}</set>"));
        }
    }
    let request = "<users room=\"a\" variables=\"true\"/>";
    let whole = ask(&mut stage, people[0], request);
    assert_eq!(whole.len(), 1 + 9 + 8 + 7 + 6 + 5);
    let mut told = 0;
    for (listed, variables) in [9, 8, 7, 6, 5].into_iter().enumerate() {
        told += variables;
        let all = bytes(&whole[1..=told]) + told * FRAME_BYTES;
        for (share, fits) in [(all, true), (all - 1, false)] {
            set_outbox(&mut stage, 2 * VARIABLES_SHARE * share);
            let heard = ask(&mut stage, people[0], request);
            let expected = if fits || listed == 0 { told } else { told - variables };
            assert_eq!(heard.len() - 1, expected, "{share} bytes for {} people", listed + 1);
            assert_eq!(heard[0].contains(" more=\"true\""), expected < whole.len() - 1);
        }
    }
}

#[test]
fn lists_of_rooms_fill_an_answer_and_one_room_is_always_listed() {
    let mut stage = stage(16 << 20);
    let ann = enter(&mut stage, "ann", "a");
    for room in ["b", "c"] {
        stage.say(ann, &format!("<join room=\"{room}\"/>"));
    }
    let request = "<rooms id=\"&lt;\"/>";
    let whole = ask(&mut stage, ann, request).remove(0);
    let entry = whole.matches("<room ").count();
    assert_eq!(entry, 3, "{whole}");
    let entries = &whole[whole.find("<room ").unwrap()..whole.find("</rooms>").unwrap()];
    for (listed, room) in [(1, entries.len() / 3), (2, entries.len() * 2 / 3), (3, entries.len())] {
        for (bytes_max, fits) in [(room, true), (room - 1, false)] {
            set_outbox(&mut stage, 2 * (bytes_max + around(request)));
            let heard = ask(&mut stage, ann, request).remove(0);
            let expected = if fits || listed == 1 { listed } else { listed - 1 };
            assert_eq!(heard.matches("<room ").count(), expected, "{heard}");
            assert_eq!(heard.contains(" more=\"true\""), expected < 3);
        }
    }
}

#[test]
fn of_messages_that_are_too_long_for_any_page_one_is_told_at_a_time() {
    let mut stage = stage(4_000);
    let ann = enter(&mut stage, "ann", "a");
    for letter in ["x", "y", "z"] {
        stage.say(ann, &format!("<message room=\"a\">{}</message>", letter.repeat(2_000)));
    }
    let heard = ask(&mut stage, ann, "<history room=\"a\"/>").remove(0);
    assert!(heard.contains("zz") && !heard.contains("yy") && heard.contains(" more=\"true\""), "{heard}");
}

#[test]
fn a_value_counts_what_it_takes_wherever_it_is_told() {
    for text in ["<set/>", "<set>v</set>", "<set xmlns='u' xmlns:long = \"v&amp;\"><long:v/>\n</set>"] {
        let document = Document::parse(Frame::try_from(text).unwrap(), 9).map_err(|(_, error)| error).unwrap();
        let told = Element::new("e").text("").content_of(&document).to_string();
        let tags = if document.content().is_empty() { "<e/>" } else { "<e></e>" };
        assert_eq!(Body::new(&document).bytes(), told.len() - tags.len(), "{told}");
    }
}

#[test]
fn a_room_is_found_by_its_name_however_many_one_is_in() {
    let mut stage = stage(16 << 20);
    let ann = enter(&mut stage, "ann", "b");
    for room in ["\u{65e5}\u{672c}", "Lobby"] {
        stage.say(ann, &format!("<join room=\"{room}\"/>"));
    }
    for (named, room) in [("\u{65e5}\u{672c}", "\u{65e5}\u{672c}"), ("lobby", "Lobby"), ("Lobby", "Lobby"), ("B", "b")]
    {
        let heard = ask(&mut stage, ann, &format!("<message room=\"{named}\">x</message>"));
        assert!(heard[0].contains(&format!(" room=\"{room}\"")), "{heard:?}");
    }
}

#[test]
fn who_takes_a_session_over_is_counted_by_the_new_address() {
    let mut stage = stage(16 << 20);
    stage.set_limits(&Limits { rooms_per_address_max: 1, ..Limits::default() });
    let [home, away] = ["192.0.2.1:1024", "198.51.100.1:1024"].map(|from| stage.open_from(from.parse().unwrap()));
    let welcome = ask(&mut stage, home, "<login nick=\"ann\"/>").remove(0);
    let session = welcome.split('"').nth(3).unwrap().to_owned();
    stage.say(home, "<join room=\"a\"/>");
    let heard = ask(&mut stage, home, "<join room=\"b\"/>");
    assert!(heard[0].contains("rooms-full"), "{heard:?}");
    stage.say(away, &format!("<login nick=\"ann\" session=\"{session}\"/>"));
    let heard = ask(&mut stage, away, "<join room=\"b\"/>");
    assert!(heard[0].starts_with("<room "), "{heard:?}");
}
