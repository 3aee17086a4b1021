//! Tests of the procedure: dialogues of what a player asks, what it is answered, and what comes of it.

use super::Outcome::{ClosedWithoutAnswer, ConnectionRefused, Silent, TooLong};
use super::*;

/// A dialogue: what the procedure must ask for, each time with its answer, and the verdict.
struct Play {
    procedure: Procedure,
    title: String,
}

fn play(player: &str, origin: &str, address: &str) -> Play {
    let (host, port) = address.rsplit_once(':').unwrap();
    let procedure = Procedure::new(player.parse().unwrap(), origin.parse().unwrap(), host, port.parse().unwrap());
    Play { procedure, title: format!("{player}: {origin} → {address}") }
}

impl Play {
    fn named(mut self, location: &str) -> Play {
        self.procedure = self.procedure.location(location.parse().unwrap());
        self
    }

    fn master(mut self, port: u16) -> Play {
        self.procedure = self.procedure.master_port(port);
        self
    }

    fn web(mut self, port: u16) -> Play {
        self.procedure = self.procedure.web_port(port);
        self
    }

    /// `step` is `843 3s` (a port and the wait), `2525 -` (no wait) or `web 80`.
    fn asks(mut self, step: &str, answer: Outcome) -> Play {
        let asked = match self.procedure.next() {
            Step::Ask { port, wait: Some(wait) } => format!("{port} {}s", wait.as_secs()),
            Step::Ask { port, wait: None } => format!("{port} -"),
            Step::AskHttp { port, path: "/crossdomain.xml" } => format!("web {port}"),
            other => format!("{other:?}"),
        };
        assert_eq!(asked, step, "{}", self.title);
        assert_eq!(self.procedure.next(), self.procedure.next(), "asking twice changes nothing");
        self.procedure.answer(answer);
        self
    }

    /// `verdict` is the name of the grounds, with place and domain of an entry, or the code of the reason.
    #[track_caller]
    fn ends(self, verdict: &str) -> Procedure {
        let Step::Done(found) = self.procedure.next() else {
            panic!("{}: {:?} instead of {verdict}", self.title, self.procedure.next())
        };
        let shown = match &found {
            Verdict::Granted(Grounds::Entry { place, grant }) => format!("{place:?} {}", grant.domain),
            Verdict::Granted(grounds) => format!("{grounds:?}"),
            Verdict::Refused(reason) => reason.code().to_owned(),
        };
        assert_eq!(shown, verdict, "{}: {found}", self.title);
        assert_eq!(found.is_granted(), matches!(found, Verdict::Granted(_)));
        assert_eq!(self.procedure.place(), None);
        self.procedure
    }
}

fn file(body: &str) -> Outcome {
    Outcome::File(format!("<cross-domain-policy>{body}</cross-domain-policy>"))
}

fn entry(domain: &str, ports: &str) -> String {
    format!(r#"<allow-access-from domain="{domain}" to-ports="{ports}"/>"#)
}

fn site_control(value: &str) -> String {
    format!(r#"<site-control permitted-cross-domain-policies="{value}"/>"#)
}

fn everyone() -> Outcome {
    file(&entry("*", "*"))
}

fn nobody() -> Outcome {
    file("")
}

#[test]
fn air_checks_nothing() {
    for address in ["foo.com:80", "foo.com:1024", "foo.com:25"] {
        play("air", "bar.com", address).named("xmlsocket://foo.com:843").ends("NoCheck");
    }
}

#[test]
fn player_7_0_14_asks_the_web_server() {
    let p = "7.0.14";
    play(p, "foo.com", "foo.com:1023").ends("restricted-port");
    play(p, "bar.com", "foo.com:80").named("xmlsocket://foo.com:843").ends("restricted-port");
    play(p, "foo.com", "foo.com:1024").ends("OwnHost");
    play(p, "FOO.com.", "foo.com:1024").ends("OwnHost");
    play(p, "file:///a.swf", "foo.com:1024").ends("LocalFile");
    play(p, "file:///a.swf", "foo.com:80").ends("restricted-port");
    let foreign = || play(p, "www.foo.com", "foo.com:1024");
    foreign().asks("web 80", everyone()).ends("Web(80) *");
    foreign().asks("web 80", file(r#"<allow-access-from domain="www.foo.com"/>"#)).ends("Web(80) www.foo.com");
    foreign().asks("web 80", file(&entry("*.foo.com", "507"))).ends("Web(80) *.foo.com");
    foreign().asks("web 80", file(&(site_control("none") + &entry("*", "*")))).ends("Web(80) *");
    foreign().asks("web 80", file(&entry("foo.com", "*"))).ends("domain-not-granted");
    foreign().asks("web 80", Outcome::Failed("404 Not Found".to_owned())).ends("no-policy-file");
    foreign().asks("web 80", Outcome::File("<html/>".to_owned())).ends("not-a-policy-file");
    foreign().named("xmlsocket://foo.com:2525").asks("web 80", nobody()).ends("domain-not-granted");
    foreign().web(8080).asks("web 8080", everyone()).ends("Web(8080) *");
}

#[test]
fn players_7_0_19_and_8_ask_where_the_swf_says_and_then_the_web_server() {
    for p in ["7.0.19", "8"] {
        let foreign = || play(p, "bar.com", "foo.com:1024");
        play(p, "foo.com", "foo.com:1024").named("xmlsocket://foo.com:2525").ends("OwnHost");
        foreign().asks("web 80", everyone()).ends("Web(80) *");
        foreign().named("xmlsocket://foo.com:2525").asks("2525 -", everyone()).ends("Named(2525) *");
        foreign().named("xmlsocket://FOO.com.:2525").asks("2525 -", everyone()).ends("Named(2525) *");
        let two = || foreign().named("xmlsocket://foo.com:2526").named("xmlsocket://foo.com:2525");
        two().asks("2526 -", nobody()).asks("2525 -", everyone()).ends("Named(2525) *");
        two().asks("2526 -", Silent).asks("2525 -", Silent).asks("web 80", everyone()).ends("Web(80) *");
        two().asks("2526 -", Silent).asks("2525 -", Silent).asks("web 80", Silent).ends("no-policy-file");
        foreign().named("xmlsocket://bar.com:2525").asks("web 80", Silent).ends("no-policy-file");
        foreign().named("http://foo.com/crossdomain.xml").asks("web 80", Silent).ends("no-policy-file");
        foreign().named("http://foo.com/a/crossdomain.xml").asks("web 80", Silent).ends("no-policy-file");
        foreign().named("http://foo.com:8080/crossdomain.xml").asks("web 80", Silent).ends("no-policy-file");
        // Ports 80 of web server and socket are different places.
        foreign().named("xmlsocket://foo.com:80").asks("80 -", nobody()).asks("web 80", everyone()).ends("Web(80) *");
        // There is no master yet: nobody shuts others out.
        foreign()
            .named("xmlsocket://foo.com:843")
            .asks("843 -", file(&site_control("none")))
            .asks("web 80", everyone())
            .ends("Web(80) *");

        play(p, "foo.com", "foo.com:80").ends("nothing-to-ask");
        play(p, "foo.com", "foo.com:80").named("http://foo.com/crossdomain.xml").ends("nothing-to-ask");
        let low = || play(p, "foo.com", "foo.com:1023");
        low().named("xmlsocket://foo.com:507").asks("507 -", everyone()).ends("Named(507) *");
        low().named("xmlsocket://foo.com:1024").asks("1024 -", everyone()).ends("place-cannot-open");
        low().named("xmlsocket://foo.com:25").ends("nothing-to-ask");
    }
    play("7.0.19", "file:a.swf", "foo.com:1024").ends("LocalFile");
    play("8", "file:a.swf", "foo.com:1024").asks("web 80", everyone()).ends("Web(80) *");
}

#[test]
fn player_9_asks_the_port_itself() {
    let p = "9";
    let foreign = || play(p, "bar.com", "foo.com:1024");
    play(p, "foo.com", "foo.com:1024").ends("OwnHost");
    play(p, "foo.com", "foo.com:80").asks("80 -", everyone()).ends("Target(80) *");
    play(p, "foo.com", "foo.com:80").asks("80 -", nobody()).ends("domain-not-granted");
    foreign().asks("1024 -", everyone()).ends("Target(1024) *");
    foreign().asks("1024 -", file(&(site_control("none") + &entry("*", "*")))).ends("Target(1024) *");
    foreign()
        .named("xmlsocket://foo.com:843")
        .asks("843 -", nobody())
        .asks("1024 -", Silent)
        .ends("domain-not-granted");
    foreign().named("xmlsocket://foo.com:1024").asks("1024 -", everyone()).ends("Named(1024) *");
    foreign().named("http://foo.com/crossdomain.xml").asks("web 80", everyone()).ends("Web(80) *");
    foreign()
        .named("http://foo.com/crossdomain.xml")
        .asks("web 80", Silent)
        .asks("1024 -", everyone())
        .ends("Target(1024) *");
    play(p, "bar.com", "foo.com:80")
        .named("http://foo.com/crossdomain.xml")
        .asks("80 -", everyone())
        .ends("Target(80) *");
    play(p, "bar.com", "foo.com:843").asks("843 -", file(&site_control("none"))).ends("domain-not-granted");
    play(p, "foo.com", "foo.com:25").ends("nothing-to-ask");
    play(p, "file:a.swf", "foo.com:1024").asks("1024 -", everyone()).ends("Target(1024) *");
}

#[test]
fn player_9_0_115_asks_the_master_first() {
    let p = "9.0.115";
    let foreign = || play(p, "bar.com", "foo.com:1024");
    play(p, "foo.com", "foo.com:1024").ends("OwnHost");
    play(p, "foo.com", "foo.com:80").asks("843 3s", Silent).asks("80 3s", everyone()).ends("Target(80) *");
    foreign().asks("843 3s", ConnectionRefused).asks("1024 3s", everyone()).ends("Target(1024) *");
    foreign().asks("843 3s", file(&site_control("none"))).ends("site-control-none");
    let web = || foreign().named("http://foo.com/crossdomain.xml").asks("843 3s", Silent);
    web().asks("web 80", everyone()).ends("Web(80) *");
    // The web server's site-control is about files of web servers.
    let none = || file(&(site_control("none") + &entry("*", "*")));
    web().asks("web 80", none()).asks("1024 3s", everyone()).ends("Target(1024) *");
    web().asks("web 80", none()).asks("1024 3s", Silent).ends("site-control-none");
    web().asks("web 80", none()).asks("1024 3s", nobody()).ends("domain-not-granted");
    let master_only = file(&site_control("master-only"));
    web().asks("web 80", master_only).asks("1024 3s", everyone()).ends("Target(1024) *");
}

#[test]
fn players_from_9_0_124_need_a_policy_file_for_everything() {
    for p in ["9.0.124", "10"] {
        let foreign = || play(p, "bar.com", "foo.com:1024");
        foreign().asks("843 3s", everyone()).ends("Master(843) *");
        foreign().asks("843 3s", nobody()).asks("1024 3s", everyone()).ends("Target(1024) *");
        foreign().asks("843 3s", file(&entry("bar.com", "507"))).asks("1024 3s", everyone()).ends("Target(1024) *");
        for failure in [Silent, ConnectionRefused, ClosedWithoutAnswer, TooLong, Outcome::Failed("no route".to_owned())]
        {
            foreign().asks("843 3s", failure.clone()).asks("1024 3s", everyone()).ends("Target(1024) *");
            foreign().asks("843 3s", Silent).asks("1024 3s", failure).ends("no-policy-file");
        }
        for text in ["", "hello", "<html/>", "<cross-domain-policy>"] {
            let text = || Outcome::File(text.to_owned());
            foreign().asks("843 3s", text()).asks("1024 3s", everyone()).ends("Target(1024) *");
            foreign().asks("843 3s", Silent).asks("1024 3s", text()).ends("not-a-policy-file");
        }
        let own = || play(p, "foo.com", "foo.com:1024");
        own().asks("843 3s", Silent).asks("1024 3s", nobody()).ends("domain-not-granted");
        own().asks("843 3s", Silent).asks("1024 3s", file(&entry("foo.com", "1024"))).ends("Target(1024) foo.com");
        let local = || play(p, "file:a.swf", "foo.com:1024").asks("843 3s", Silent);
        local().asks("1024 3s", file(&entry("localhost", "1024"))).ends("domain-not-granted");
        local().asks("1024 3s", everyone()).ends("Target(1024) *");
        let low = || play(p, "bar.com", "foo.com:80");
        low().asks("843 3s", everyone()).ends("Master(843) *");
        low().asks("843 3s", Silent).asks("80 3s", everyone()).ends("Target(80) *");
        play(p, "bar.com", "foo.com:25").asks("843 3s", Silent).ends("no-policy-file");
        play(p, "bar.com", "foo.com:25").asks("843 3s", everyone()).ends("Master(843) *");
        foreign()
            .named("http://foo.com/crossdomain.xml")
            .asks("843 3s", Silent)
            .asks("1024 3s", Silent)
            .ends("no-policy-file");
    }
}

#[test]
fn the_master_decides_which_files_count() {
    let foreign = || play("9.0.124", "bar.com", "foo.com:1024");
    let with = |value: &str, grants: &str| file(&(site_control(value) + grants));
    let all = entry("*", "*");
    for value in ["none", "", "NONE", "some"] {
        foreign().asks("843 3s", with(value, &all)).ends("site-control-none");
        foreign().named("xmlsocket://foo.com:2525").asks("843 3s", with(value, &all)).ends("site-control-none");
    }
    for value in ["master-only", "by-content-type", "by-ftp-filename"] {
        foreign().asks("843 3s", with(value, &all)).ends("Master(843) *");
        foreign().asks("843 3s", with(value, &entry("bar.com", "1"))).ends("site-control-master-only");
        foreign().named("xmlsocket://foo.com:2525").asks("843 3s", with(value, "")).ends("site-control-master-only");
        // There is no other place that it could shut out.
        play("9.0.124", "bar.com", "foo.com:843").asks("843 3s", with(value, "")).ends("domain-not-granted");
    }
    foreign().asks("843 3s", with("all", "")).asks("1024 3s", everyone()).ends("Target(1024) *");
    // Elsewhere it does not count.
    for value in ["none", "master-only", "all"] {
        foreign().asks("843 3s", Silent).asks("1024 3s", with(value, &all)).ends("Target(1024) *");
        let named = foreign().named("xmlsocket://foo.com:2525").asks("843 3s", Silent);
        named.asks("2525 -", with(value, "")).asks("1024 3s", everyone()).ends("Target(1024) *");
    }
}

#[test]
fn a_swf_may_name_further_places() {
    let foreign = || play("9.0.124", "bar.com", "foo.com:1024");
    let named = || foreign().named("xmlsocket://foo.com:2525").asks("843 3s", Silent);
    named().asks("2525 -", everyone()).ends("Named(2525) *");
    named().asks("2525 -", nobody()).asks("1024 3s", everyone()).ends("Target(1024) *");
    // What is named is waited for.
    foreign().named("xmlsocket://foo.com:843").asks("843 -", Silent).asks("1024 3s", everyone()).ends("Target(1024) *");
    foreign().named("xmlsocket://foo.com:1024").asks("843 3s", Silent).asks("1024 -", everyone()).ends("Named(1024) *");
    foreign().named("xmlsocket://bar.com:843").asks("843 3s", Silent).asks("1024 3s", Silent).ends("no-policy-file");
    foreign().named("xmlsocket://foo.com:25").asks("843 3s", Silent).asks("1024 3s", Silent).ends("no-policy-file");
    // A port from 1024 cannot open one below.
    let low_named =
        || play("9.0.124", "bar.com", "foo.com:1023").named("xmlsocket://foo.com:1024").asks("843 3s", Silent);
    low_named().asks("1024 -", everyone()).asks("1023 3s", Silent).ends("place-cannot-open");
    low_named().asks("1024 -", everyone()).asks("1023 3s", everyone()).ends("Target(1023) *");
}

#[test]
fn the_master_port_can_stand_elsewhere() {
    let low = || play("9.0.124", "bar.com", "foo.com:80").master(8430);
    low().asks("8430 3s", everyone()).ends("Master(8430) *");
    low().asks("8430 3s", file(&site_control("none"))).ends("site-control-none");
    low().asks("8430 3s", Silent).asks("80 3s", everyone()).ends("Target(80) *");
    low().named("xmlsocket://foo.com:8430").asks("8430 -", everyone()).ends("Master(8430) *");
    play("9.0.124", "bar.com", "foo.com:8430").master(8430).asks("8430 3s", everyone()).ends("Master(8430) *");
    play("9.0.124", "bar.com", "foo.com:80").master(25).asks("25 3s", everyone()).ends("Master(25) *");
    // 843 is then a port like any other below 1024.
    low()
        .named("xmlsocket://foo.com:843")
        .asks("8430 3s", Silent)
        .asks("843 -", file(&(site_control("none") + &entry("*", "80"))))
        .ends("Named(843) *");
}

#[test]
fn an_entry_must_fit_in_everything() {
    let asked = |origin: &str, body: &str| {
        play("9.0.124", origin, "foo.com:1024").asks("843 3s", Silent).asks("1024 3s", file(body))
    };
    let secure = entry("bar.com", "1024").replace("/>", r#" secure="true"/>"#);
    asked("bar.com", &entry("bar.com", "1024")).ends("Target(1024) bar.com");
    asked("bar.com", &(entry("baz.com", "*") + &entry("*.bar.com", "1000-1024"))).ends("Target(1024) *.bar.com");
    asked("bar.com", &entry("baz.com", "*")).ends("domain-not-granted");
    asked("bar.com", &entry("bar.com", "1025,80")).ends("port-not-granted");
    asked("bar.com", &secure).ends("secure-only");
    asked("https://bar.com", &secure).ends("Target(1024) bar.com");
    asked("https://bar.com", &entry("bar.com", "1024")).ends("Target(1024) bar.com");
    asked("bar.com", r#"<allow-access-from domain="bar.com"/>"#).ends("domain-not-granted");
    // The entry that comes closest is told, wherever it stands.
    for body in [entry("bar.com", "80") + &secure, secure.clone() + &entry("bar.com", "80")] {
        asked("bar.com", &body).ends("secure-only");
    }
    let procedure = asked("bar.com", &(entry("bar.com", "1") + &entry("*", "2"))).ends("port-not-granted");
    let Step::Done(verdict) = procedure.next() else { panic!() };
    assert!(verdict.to_string().contains("lets bar.com in to ports 1 only"), "{verdict}");
}

#[test]
fn the_reason_that_came_closest_is_told() {
    let garbage = || Outcome::File("hello".to_owned());
    let low = || file(&entry("bar.com", "*"));
    let steps = [
        (Silent, "no-policy-file"),
        (garbage(), "not-a-policy-file"),
        (file(&entry("baz.com", "*")), "domain-not-granted"),
        (file(&entry("bar.com", "81")), "port-not-granted"),
        (file(&entry("bar.com", "80").replace("/>", r#" secure="true"/>"#)), "secure-only"),
        (low(), "place-cannot-open"),
    ];
    for (n, (first, first_code)) in steps.iter().enumerate() {
        for (m, (second, second_code)) in steps.iter().enumerate() {
            play("8", "bar.com", "foo.com:80")
                .named("xmlsocket://foo.com:2525")
                .named("xmlsocket://foo.com:2526")
                .asks("2525 -", first.clone())
                .asks("2526 -", second.clone())
                .ends(if n > m { first_code } else { second_code });
        }
    }
    let both = play("9.0.124", "bar.com", "foo.com:1024").asks("843 3s", nobody()).asks("1024 3s", nobody());
    let Step::Done(verdict) = both.ends("domain-not-granted").next() else { panic!() };
    assert!(verdict.to_string().contains("on port 1024 has no entry"), "the later of equals: {verdict}");
}

#[test]
fn every_verdict_says_what_to_do() {
    let asked =
        |origin: &str, answer| play("9.0.124", origin, "foo.com:1024").asks("843 3s", Silent).asks("1024 3s", answer);
    let rows = [
        (play("air", "a", "foo.com:1"), "granted: this player checks no policy"),
        (play("8", "foo.com", "foo.com:1024"), "granted: this player needs no policy file for the host that served"),
        (play("7", "file:a", "foo.com:1024"), "granted: this player needs no policy file for a SWF from a local file"),
        (asked("a", everyone()), "granted: the policy file on port 1024 lets * in to ports *"),
        (
            play("8", "a", "foo.com:1024").asks("web 80", everyone()),
            "granted: /crossdomain.xml of the web server on port 80 lets * in.",
        ),
        (play("7", "a", "foo.com:80"), "let the server listen on port 1024 or above instead of 80"),
        (
            play("8", "a", "foo.com:80"),
            "Flash Player 8 knows nobody to ask about port 80: let the SWF call loadPolicyFile(\"xmlsocket://foo.com:843\")",
        ),
        (
            asked("a", ConnectionRefused),
            "(port 843 gave no complete answer within 3 s; port 1024 refused the connection): answer <policy-file-request/> on port 1024, where nothing listens, with <cross-domain-policy><allow-access-from domain=\"a\" to-ports=\"1024\"/></cross-domain-policy> and a zero byte",
        ),
        (asked("a", ClosedWithoutAnswer), "an answer): answer <policy-file-request/> on port 1024 with"),
        (asked("a", TooLong), "port 1024 sent more than a policy file can be)"),
        (asked("a", Outcome::Failed("no route to host".to_owned())), "port 1024 could not be asked: no route to host)"),
        (asked("file:a", Silent), "domain=\"*\" to-ports=\"1024\""),
        (
            play("8", "a", "foo.com:1024").asks("web 80", Outcome::Failed("404".to_owned())),
            "serve <cross-domain-policy><allow-access-from domain=\"a\"/></cross-domain-policy> as /crossdomain.xml of the web server on port 80",
        ),
        (
            play("8", "a", "foo.com:80").named("xmlsocket://foo.com:2525").asks("2525 -", Silent),
            "(port 2525 gave no complete answer): answer <policy-file-request/> on port 843",
        ),
        (
            asked("a", Outcome::File("<html/>".to_owned())),
            "what port 1024 answered is no policy file (line 1, column 1: a policy file begins with <cross-domain-policy>, but this one with <html>): answer <policy-file-request/> on port 1024",
        ),
        (
            asked("a", nobody()),
            "refused: the policy file on port 1024 has no entry for a: add <allow-access-from domain=\"a\" to-ports=\"1024\"/> there",
        ),
        (play("8", "a", "foo.com:1024").asks("web 80", nobody()), "add <allow-access-from domain=\"a\"/> there"),
        (
            asked("a", file(&entry("a", "1,2"))),
            "the policy file on port 1024 lets a in to ports 1,2 only: add 1024 to the `to-ports` of that entry",
        ),
        (
            asked("a", file(&entry("a", "*").replace("/>", " secure='true'/>"))),
            "serve the SWF from an https address, or remove secure=\"true\"",
        ),
        (
            play("8", "a", "foo.com:80").named("xmlsocket://foo.com:2525").asks("2525 -", everyone()),
            "the policy file on port 2525 cannot open port 80, only a file from a port below 1024 can: serve it on port 843",
        ),
        (
            play("10", "a", "foo.com:1024").asks("843 3s", file(&site_control("none"))),
            "the master policy file on port 843 says that no policy file counts, itself included: change its site-control from \"none\" to \"all\"",
        ),
        (
            play("10", "a", "foo.com:1024").asks("843 3s", file(&site_control("master-only"))),
            "(site-control \"master-only\") and does not let a in to port 1024: add <allow-access-from domain=\"a\" to-ports=\"1024\"/> there, or change its site-control to \"all\"",
        ),
    ];
    for (play, words) in rows {
        let Step::Done(verdict) = play.procedure.next() else { panic!("{} is not done", play.title) };
        // A full stop after the words: the text ends there.
        let text = format!("{verdict}.");
        assert!(text.contains(words), "{}: {text}", play.title);
    }
}

#[test]
fn every_step_is_told() {
    let texts = |procedure: &Procedure| procedure.findings().iter().map(Finding::to_string).collect::<Vec<_>>();
    let procedure = play("9.0.124", "bar.com", "foo.com:1024")
        .named("xmlsocket://baz.com:843")
        .named("http://foo.com/crossdomain.xml")
        .named("xmlsocket://foo.com:25")
        .asks("843 3s", Silent)
        .asks("1024 3s", file(&(site_control("none") + "<x/>" + &entry("bar.com", "80"))))
        .ends("port-not-granted");
    assert_eq!(
        texts(&procedure),
        [
            "xmlsocket://baz.com:843 is not asked: a policy file speaks only for the host that serves it",
            "http://foo.com/crossdomain.xml is not asked: for this player the file of a web server opens no sockets",
            "the policy file on port 25: players ask no policy file from this port: it belongs to another service",
            "the master policy file on port 843: it gave no complete answer within 3 s",
            "the policy file on port 1024: it answered a policy file with 1 entry",
            "the policy file on port 1024: line 1: players ignore <x>: policy files have no such element here",
            "the policy file on port 1024: its site-control does not count: only the master file's does",
            "the policy file on port 1024: its entry for bar.com is for ports 80 only",
        ]
    );
    let master = |body: &str| {
        let play = play("9.0.124", "bar.com", "foo.com:1024").asks("843 3s", file(body));
        texts(&play.procedure).into_iter().map(|text| text.replace("the master policy file on port 843: ", ""))
    };
    let rows = [
        (site_control("none"), "its site-control says that no policy file counts"),
        (site_control("master-only"), "its site-control says that the files of other ports do not count"),
        (String::new(), "it has no entry for bar.com"),
        (
            entry("bar.com", "*").replace("/>", " secure='true'/>"),
            "its entry for bar.com is for SWFs loaded over HTTPS only",
        ),
    ];
    for (body, last) in rows {
        assert_eq!(master(&body).next_back().as_deref(), Some(last));
    }
    assert_eq!(master(&entry("*", "*")).collect::<Vec<_>>(), ["it answered a policy file with 1 entry"]);
    assert_eq!(master("").next().as_deref(), Some("it answered a policy file with 0 entries"));
    let many: Vec<String> = master(&"<x/>".repeat(22)).collect();
    assert_eq!((many.len(), many[21].as_str()), (23, "2 more warnings of this kind"));
    assert_eq!(master(&"<x/>".repeat(20)).count(), 22);

    let rows = [
        ("7.0.14", 1024, "xmlsocket://foo.com:2525", "this player does not know loadPolicyFile"),
        ("8", 80, "http://foo.com/crossdomain.xml", "the file of a web server opens no port below 1024"),
        ("8", 1024, "http://foo.com/a.xml", "of a web server only /crossdomain.xml on port 80 opens sockets"),
        ("8", 80, "xmlsocket://bar.com:1", "speaks only for the host that serves it"),
    ];
    for (player, port, location, words) in rows {
        let play = play(player, "bar.com", &format!("foo.com:{port}")).named(location);
        let texts = texts(&play.procedure);
        assert!(texts[0].starts_with(&format!("{location} is not asked: ")) && texts[0].contains(words), "{texts:?}");
    }
    let texts_8 = texts(&play("8", "bar.com", "foo.com:80").procedure);
    assert_eq!(texts_8, ["/crossdomain.xml is not asked: it opens no port below 1024"]);
    let old = play("8", "bar.com", "foo.com:1024").asks("web 80", file(&site_control("none")));
    assert!(texts(&old.procedure)[1].contains("this player does not know site-control"));
    let open = play("8", "a", "foo.com:80").named("xmlsocket://foo.com:2525").asks("2525 -", everyone());
    let last = texts(&open.procedure).pop();
    assert!(last.is_some_and(|text| text.ends_with("a file from here cannot open port 80")));
}

#[test]
fn answers_after_the_verdict_and_settings_before_it() {
    let mut procedure = play("9.0.124", "bar.com", "foo.com:1024").asks("843 3s", everyone()).ends("Master(843) *");
    let (step, findings) = (procedure.next(), procedure.findings().len());
    procedure.answer(Silent);
    assert_eq!((procedure.next(), procedure.findings().len()), (step, findings));

    let place = |play: &Play| play.procedure.place();
    let fresh = play("9.0.124", "bar.com", "foo.com:1024");
    assert_eq!(place(&fresh), Some(Place::Master(843)));
    assert_eq!(place(&fresh.asks("843 3s", Silent)), Some(Place::Target(1024)));
    // A setting begins anew: nothing is asked or told twice.
    let again = play("9.0.124", "bar.com", "foo.com:1024").named("xmlsocket://baz.com:1").asks("843 3s", Silent);
    let again = again.master(844).web(81);
    assert_eq!(again.procedure.findings().len(), 1);
    let procedure = again.asks("844 3s", Silent).asks("1024 3s", Silent).ends("no-policy-file");
    let Step::Done(Verdict::Refused(RefusalReason::NoPolicyFile { asked, .. })) = procedure.next() else { panic!() };
    assert_eq!(asked.iter().map(|(place, _)| place.port()).collect::<Vec<_>>(), [844, 1024]);
}
