//! Tests of the session: lines in, requests out; frames in, sentences out. No socket, no screen.

use super::*;
use xmlsocket::wire::Frame;

/// A session that has logged in as ann and entered the lobby; its next request has the id 3.
fn in_lobby(for_person: bool) -> Session {
    let mut session = Session::new("ann", "lobby", Speech::plain(), for_person);
    session.begin();
    hear(&mut session, r#"<welcome nick="ann" server="test" re="1"/>"#);
    hear(&mut session, r#"<room name="lobby" topic="" users="1" re="2"><user nick="ann" role="owner"/></room>"#);
    session
}

/// What steps come to, each as a line: `> <frame/>` is sent, other lines are shown, `! ` is a fault, `X ` the end.
fn lines(steps: Vec<Step>) -> Vec<String> {
    let line = |step| match step {
        Step::Send(element) => format!("> {element}"),
        Step::Show(text) => text,
        Step::Fault(text) => format!("! {text}"),
        Step::Fail(text) => format!("X {text}"),
    };
    steps.into_iter().map(line).collect()
}

fn hear(session: &mut Session, frame: &str) -> Vec<String> {
    lines(session.on_frame(&Frame::try_from(frame).unwrap()))
}

fn type_in(session: &mut Session, line: &str) -> Vec<String> {
    lines(session.on_line(line))
}

#[test]
fn it_logs_in_and_enters_its_room() {
    let mut session = Session::new("Ann", "tea time", Speech::plain(), true);
    assert_eq!(lines(session.begin()), [r#"> <login nick="Ann" id="1"/>"#]);
    assert!(!session.is_idle() && !session.is_there());
    assert_eq!(
        hear(&mut session, r#"<welcome nick="Ann" session="s" server="Club &lt;1>" version="1" guest="true" re="1"/>"#),
        [
            "-- welcome, Ann: this is Club <1>; /help shows the commands",
            r#"> <join room="tea time" history="20" id="2"/>"#
        ]
    );
    assert!(session.is_there() && !session.is_idle());
    let room = r#"<room name="Tea Time" topic="cups" users="3" re="2"><user nick="bob" role="owner"/><user nick="eve" role="member"/><user nick="Ann" role="member"/></room>"#;
    assert_eq!(
        hear(&mut session, room),
        ["-- you are in Tea Time with bob (owner), eve", "-- the topic of Tea Time: cups"]
    );
    assert!(session.is_idle());
    assert_eq!(session.prompt(), "[Tea Time] Ann: ");
}

#[test]
fn a_room_may_have_any_name() {
    let mut session = Session::new("ann", "the \"red\" room", Speech::plain(), false);
    session.begin();
    let join = r#"> <join room="the &quot;red&quot; room" id="2"/>"#;
    assert_eq!(hear(&mut session, r#"<welcome nick="ann" re="1"/>"#), [join]);
}

#[test]
fn each_command_becomes_its_request() {
    let rows = [
        ("hello <you>", r#"> <message room="lobby" id="3">hello &lt;you&gt;</message>"#),
        ("  //shrug  ", r#"> <message room="lobby" id="3">/shrug</message>"#),
        ("/me waves  twice", r#"> <message room="lobby" id="3">/me waves  twice</message>"#),
        ("/msg bob hi there", r#"> <message to="bob" id="3">hi there</message>"#),
        ("/msg \"big bob\" hi", r#"> <message to="big bob" id="3">hi</message>"#),
        ("/join tea", r#"> <join room="tea" history="20" id="3"/>"#),
        ("/join \"tea time\" s3 cret", r#"> <join room="tea time" password="s3" history="20" id="3"/>"#),
        ("/leave", r#"> <leave room="lobby" id="3"/>"#),
        ("/leave tea", r#"> <leave room="tea" id="3"/>"#),
        ("/topic new one", r#"> <topic room="lobby" id="3">new one</topic>"#),
        ("/topic \"\"", r#"> <topic room="lobby" id="3"/>"#),
        ("/who", r#"> <users room="lobby" id="3"/>"#),
        ("/who tea", r#"> <users room="tea" id="3"/>"#),
        ("/rooms", r#"> <rooms id="3"/>"#),
        ("/nick anna", r#"> <nick name="anna" id="3"/>"#),
        ("/nick \"anna b\"", r#"> <nick name="anna b" id="3"/>"#),
        ("/quit", "> <quit/>"),
        ("/topic", "-- lobby has no topic"),
        ("/join LOBBY", "-- you are talking in lobby"),
        ("/msg bob", "! something is missing: /msg NICK TEXT"),
        ("/msg", "! something is missing: /msg NICK TEXT"),
        ("/me", "! something is missing: /me TEXT"),
        ("/join", "! something is missing: /join ROOM [PASSWORD]"),
        ("/nick", "! something is missing: /nick NICK"),
        ("/jion tea", "! there is no command /jion; the nearest one is /join, and /help lists all"),
    ];
    for (line, expected) in rows {
        assert_eq!(type_in(&mut in_lobby(true), line), [expected], "{line}");
    }
    assert!(type_in(&mut in_lobby(true), "   ").is_empty());
    let help = type_in(&mut in_lobby(true), "/help").join("\n");
    for command in ["/join", "/leave", "/msg", "/nick", "/topic", "/who", "/rooms", "/me", "/help", "/quit"] {
        assert!(help.contains(&format!("   {command}")), "{help}");
    }
}

#[test]
fn without_a_room_there_is_nowhere_to_speak() {
    let mut session = in_lobby(true);
    assert_eq!(hear(&mut session, r#"<left room="lobby" nick="ann"/>"#), ["-- ann left lobby"]);
    assert_eq!(session.prompt(), "ann: ");
    for line in ["hi", "/leave", "/topic", "/who"] {
        assert_eq!(type_in(&mut session, line), ["! you are in no room; /join ROOM enters one"], "{line}");
    }
}

#[test]
fn each_frame_becomes_a_sentence() {
    let rows: &[(&str, &[&str])] = &[
        (r#"<message id="1" room="lobby" from="bob" time="t">hi &amp; bye</message>"#, &["[lobby] bob: hi & bye"]),
        (r#"<message id="1" room="lobby" from="bob" time="t">/me waves</message>"#, &["[lobby] * bob waves"]),
        (
            r#"<message id="1" room="lobby" from="bob" time="t"><move x="1"/></message>"#,
            &[r#"[lobby] bob: <move x="1"/>"#],
        ),
        (
            r#"<message id="1" room="lobby" from="bob" time="2026-11-20T21:56:00.123Z" history="true">old</message>"#,
            &["[lobby] 2026-11-20 21:56 bob: old"],
        ),
        (
            r#"<message id="1" room="lobby" from="ann" time="2026-11-20T21:56:00.123Z" history="true">old</message>"#,
            &["[lobby] 2026-11-20 21:56 ann: old"],
        ),
        (r#"<message id="1" to="ann" from="bob" time="t">psst</message>"#, &["[private] bob: psst"]),
        (r#"<message id="1" to="bob" from="ann" time="t">psst</message>"#, &["[private to bob] ann: psst"]),
        (r#"<message id="1" room="lobby" from="ann" time="t">typed</message>"#, &[]),
        (r#"<message id="1" room="lobby" from="ann" time="t">/me waves</message>"#, &["[lobby] * ann waves"]),
        (r#"<joined room="lobby" nick="bob"/>"#, &["-- bob entered lobby"]),
        (r#"<left room="lobby" nick="bob"/>"#, &["-- bob left lobby"]),
        (r#"<left room="lobby" nick="bob" reason="idle-timeout"/>"#, &["-- bob left lobby (idle-timeout)"]),
        (r#"<renamed from="bob" nick="rob"/>"#, &["-- bob is now rob"]),
        (r#"<topic room="lobby" from="bob">tea</topic>"#, &["-- the topic of lobby, says bob: tea"]),
        (r#"<topic room="lobby" from="bob"/>"#, &["-- lobby has no topic, says bob"]),
        (
            r#"<users room="lobby" users="2"><user nick="ann" role="owner"/><user nick="bob" role="member"/></users>"#,
            &["-- in lobby: ann (owner), bob"],
        ),
        (r#"<users room="lobby" users="9" more="true"><user nick="ann"/></users>"#, &["-- in lobby: ann, and more"]),
        (
            r#"<rooms><room name="lobby" users="2" topic="tea"/><room name="x" users="1" topic="" locked="true"/></rooms>"#,
            &["   lobby (2) tea", "   x (1, password)"],
        ),
        (r#"<rooms more="true"><room name="x" users="1" topic=""/></rooms>"#, &["   x (1)", "   and more"]),
        ("<rooms/>", &["-- there is no room yet; /join NAME makes one"]),
        (r#"<error code="no-such-user">Nobody is called bob.</error>"#, &["! Nobody is called bob."]),
        (r#"<error code="no-such-user"/>"#, &["! no-such-user"]),
        ("<ping/>", &["> <pong/>"]),
        (r#"<ping id="7"/>"#, &[r#"> <pong re="7"/>"#]),
        (r#"<set room="lobby" name="k">v</set>"#, &[]),
        ("<pong/>", &[]),
        ("", &[]),
        ("<new-thing/>", &["?? <new-thing/>"]),
        ("no\u{1b}[2J xml", &["?? no\\u{1b}[2J xml"]),
    ];
    for (frame, expected) in rows {
        assert_eq!(&hear(&mut in_lobby(true), frame), expected, "{frame}");
    }
}

#[test]
fn nothing_that_others_say_reaches_the_terminal_raw() {
    let nasty = "\u{202e}&#10;\u{9b}31m";
    let frames = [
        format!(r#"<message room="{nasty}" from="{nasty}" time="{nasty}" history="true">{nasty}</message>"#),
        format!(r#"<message to="ann" from="{nasty}">/me {nasty}</message>"#),
        format!(r#"<joined room="{nasty}" nick="{nasty}"/>"#),
        format!(r#"<left room="{nasty}" nick="{nasty}" reason="{nasty}"/>"#),
        format!(r#"<renamed from="{nasty}" nick="{nasty}"/>"#),
        format!(r#"<topic room="{nasty}" from="{nasty}">{nasty}</topic>"#),
        format!(r#"<users room="{nasty}"><user nick="{nasty}" role="{nasty}"/></users>"#),
        format!(r#"<rooms><room name="{nasty}" users="{nasty}" topic="{nasty}"/></rooms>"#),
        format!(r#"<room name="{nasty}" topic="{nasty}"><user nick="{nasty}" role="{nasty}"/></room>"#),
        format!(r#"<error code="x">{nasty}</error>"#),
        format!(r#"<error code="{nasty}"/>"#),
        format!(r#"<welcome nick="{nasty}" server="{nasty}"/>"#),
        format!(r#"<what is="{nasty}"/>"#),
        format!("<bye reason=\"{nasty}\"/>"),
    ];
    for frame in frames {
        let mut session = in_lobby(true);
        let mut shown =
            hear(&mut session, &frame).into_iter().filter(|line| !line.starts_with("> ")).collect::<Vec<_>>();
        shown.push(session.prompt());
        shown.extend(session.farewell().map(str::to_owned));
        let shown = shown.join("");
        assert!(!shown.contains(['\u{202e}', '\n', '\u{9b}']), "{frame} {shown:?}");
        assert!(shown.contains("u{202e}"), "{frame} {shown:?}");
    }
}

#[test]
fn requests_wait_for_their_own_answers() {
    let mut session = in_lobby(false);
    assert_eq!(type_in(&mut session, "hi"), [r#"> <message room="lobby" id="3">hi</message>"#]);
    assert!(!session.is_idle());
    // For a script one's own words are output like all others.
    assert_eq!(hear(&mut session, r#"<message room="lobby" from="ann" time="t">hi</message>"#), ["[lobby] ann: hi"]);
    hear(&mut session, r#"<ok re="4"/>"#);
    assert!(!session.is_idle());
    hear(&mut session, r#"<ok re="3" message="1"/>"#);
    assert!(session.is_idle());
    type_in(&mut session, "/msg bob hi");
    assert_eq!(hear(&mut session, r#"<error code="no-such-user" re="4">Nobody.</error>"#), ["! Nobody."]);
    assert!(session.is_idle());
    type_in(&mut session, "hi");
    session.forget_requests();
    assert!(session.is_idle());
}

#[test]
fn a_refused_login_is_the_end_and_a_refused_room_is_one_for_a_script() {
    for for_person in [true, false] {
        let mut session = Session::new("ann", "lobby", Speech::plain(), for_person);
        session.begin();
        let taken = r#"<error code="nick-in-use" re="1">Somebody is called ann.</error>"#;
        assert_eq!(hear(&mut session, taken), ["X Somebody is called ann."]);
        let mut session = Session::new("ann", "lobby", Speech::plain(), for_person);
        session.begin();
        hear(&mut session, r#"<welcome nick="ann" re="1"/>"#);
        let locked = hear(&mut session, r#"<error code="wrong-password" re="2">Give the password.</error>"#);
        assert_eq!(locked, [if for_person { "! Give the password." } else { "X Give the password." }]);
    }
}

#[test]
fn rooms_and_names_are_kept_track_of() {
    let mut session = in_lobby(true);
    hear(&mut session, r#"<room name="tea" topic="cups" re="9"/>"#);
    assert_eq!(session.prompt(), "[tea] ann: ");
    type_in(&mut session, "/join lobby");
    assert_eq!(session.prompt(), "[lobby] ann: ");
    hear(&mut session, r#"<renamed from="ANN" nick="Anna"/>"#);
    assert_eq!(session.prompt(), "[lobby] Anna: ");
    hear(&mut session, r#"<topic room="tea" from="bob">mugs</topic>"#);
    hear(&mut session, r#"<left room="Lobby" nick="anna"/>"#);
    assert_eq!(session.prompt(), "[tea] Anna: ");
    assert_eq!(type_in(&mut session, "/topic"), ["-- the topic of tea: mugs"]);
    hear(&mut session, r#"<bye reason="shutdown"/>"#);
    assert_eq!(session.farewell(), Some("shutdown"));
}

#[test]
fn who_comes_back_is_the_same_person_in_the_same_rooms() {
    let mut session = Session::new("ann", "lobby", Speech::plain(), true);
    session.begin();
    hear(&mut session, r#"<welcome nick="Ann" session="s1" re="1"/>"#);
    hear(&mut session, r#"<room name="lobby" topic="" re="2"/>"#);
    type_in(&mut session, "/join tea pw");
    hear(&mut session, r#"<room name="tea" topic="" re="3"/>"#);
    hear(&mut session, r#"<message id="7" room="tea" from="bob">hi</message>"#);
    type_in(&mut session, "never answered");
    assert!(session.lost() && !session.is_there() && !session.is_idle());
    assert_eq!(lines(session.begin()), [r#"> <login nick="Ann" session="s1" id="5"/>"#]);
    // The session is known: only what was missed is asked for.
    assert_eq!(
        hear(&mut session, r#"<welcome nick="Ann" session="s1" resumed="true" re="5"/>"#),
        [
            "-- the connection is back, Ann",
            r#"> <join room="lobby" history="20" id="6"/>"#,
            r#"> <join room="tea" password="pw" history="200" after="7" id="7"/>"#
        ]
    );
    assert_eq!(hear(&mut session, r#"<room name="lobby" topic="" re="6"/>"#), ["-- you are in lobby, alone"]);
    let locked = r#"<error code="wrong-password" re="7">Give the password.</error>"#;
    assert_eq!(hear(&mut session, locked), ["! you are no longer in tea: Give the password."]);
    assert_eq!((session.is_idle(), session.prompt().as_str()), (true, "[lobby] Ann: "));
    // It is not known any more: its messages may be counted anew.
    hear(&mut session, r#"<message id="9" room="lobby" from="bob">hi</message>"#);
    assert!(session.lost());
    session.begin();
    let steps = hear(&mut session, r#"<welcome nick="Ann" session="s2" re="8"/>"#);
    assert_eq!(steps[1..], [r#"> <join room="lobby" history="20" id="9"/>"#]);
    assert!(session.lost());
    assert_eq!(lines(session.begin()), [r#"> <login nick="Ann" session="s2" id="10"/>"#]);
}

#[test]
fn who_was_never_in_who_is_a_script_and_who_was_sent_away_does_not_come_back() {
    let mut stranger = Session::new("ann", "lobby", Speech::plain(), true);
    stranger.begin();
    assert!(!stranger.lost());
    assert!(!in_lobby(false).lost());
    for (reason, returns) in [("kicked", false), ("banned", false), ("taken-over", false), ("shutdown", true)] {
        let mut session = in_lobby(true);
        hear(&mut session, &format!("<bye reason='{reason}'/>"));
        assert_eq!(session.lost(), returns, "{reason}");
    }
    let mut leaving = in_lobby(true);
    leaving.leave();
    assert!(!leaving.lost());
}
