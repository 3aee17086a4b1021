//! Tests of the configuration: precedence, every refusal with its place, the reference file.

use super::*;

fn from_file(text: &str) -> Result<Config, String> {
    with(text, &[], Vec::new()).and_then(|settings| Config::new(&settings).map_err(|error| error.to_string()))
}

fn with(file: &str, sets: &[&str], options: Vec<Assignment>) -> Result<Settings, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.toml");
    std::fs::write(&path, file).unwrap();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let shorten = |error: ConfigError| error.to_string().replace(&path.display().to_string(), "x.toml");
    Settings::load(Some(&path), &sets, options).map_err(shorten)
}

fn option(name: &'static str, key: &str, value: Value) -> Assignment {
    Assignment { key: key.to_owned(), value, source: Source::Option(name) }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn the_reference_has_every_key_with_its_default() {
    let reference = include_str!("../../../docs/xmlsocket.default.toml");
    let read = read_file("docs/xmlsocket.default.toml", reference).unwrap();
    let given: Vec<String> = read.iter().map(|assignment| assignment.key.clone()).collect();
    let defaults = Settings::defaults().unwrap();
    let limits = defaults.limits.iter().map(|(name, _)| format!("limits.{name}"));
    // A list of tables cannot be written empty and in its own form: the reference shows one in comments.
    let names = DECLARED.iter().map(|declared| declared.name.to_owned()).filter(|name| name != "listener");
    assert_eq!(given, names.chain(limits).collect::<Vec<_>>(), "all of them, in their order");
    let mut settings = Settings::defaults().unwrap();
    for assignment in read {
        settings.assign(assignment).unwrap();
    }
    assert_eq!(without_sources(&settings), without_sources(&defaults));
}

/// What `check-config` prints, without where each value comes from.
fn without_sources(settings: &Settings) -> Vec<String> {
    let text = settings.to_toml();
    text.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn the_reference_names_the_option_of_each_setting() {
    let reference = include_str!("../../../docs/xmlsocket.default.toml");
    for declared in DECLARED {
        let Some((before, _)) = reference.split_once(&format!("\n{} = ", declared.name)) else {
            assert_eq!(declared.name, "listener");
            continue;
        };
        let described: String = before.rsplit("\n\n").next().unwrap_or_default().replace("\n#", "");
        let option = declared.usage.map(|usage| usage.split(' ').next().unwrap_or_default());
        match option {
            Some(option) => {
                assert_eq!(option, format!("--{}", declared.name.replace('_', "-")));
                let repeatable = if declared.form == Form::Many { ", repeatable" } else { "" };
                assert!(
                    described.contains(&format!(" Option: {option}{repeatable}.")),
                    "{}: {described}",
                    declared.name
                );
            }
            None => assert!(!described.contains("Option:"), "{}: {described}", declared.name),
        }
    }
}

#[test]
fn the_listener_that_the_reference_shows_is_one() {
    let reference = include_str!("../../../docs/xmlsocket.default.toml");
    let start = reference.find("# [[listener]]").expect("an example in comments");
    let example: String =
        reference[start..].lines().filter_map(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join("\n");
    let config = from_file(&example).unwrap();
    assert_eq!(config.listeners.len(), 1);
    for key in ListenerTable::NAMES {
        assert!(example.contains(&format!("\n{key} = ")), "{key}");
    }
}

#[test]
fn options_beat_sets_beat_the_file() {
    let file = "name = \"file\"\n[limits]\nrooms_max = 1\nvariables_max = 1\n";
    let settings = with(file, &["name=set", "limits.rooms_max=2", "limits.rooms_max=3"], Vec::new()).unwrap();
    let config = Config::new(&settings).unwrap();
    assert_eq!((config.name.as_str(), config.limits.rooms_max, config.limits.variables_max), ("set", 3, 1));
    let settings = with(file, &["app=chat"], vec![option("--app", "app", text("relay"))]).unwrap();
    assert_eq!(Config::new(&settings).unwrap().listeners[0].app, App::Relay);
    assert_eq!(settings.app.source.to_string(), "--app");
}

#[test]
fn the_strongest_source_says_where_to_listen() {
    let addresses = |settings: Settings| -> Vec<String> {
        Config::new(&settings).unwrap().listeners.into_iter().map(|listener| listener.address).collect()
    };
    let both = "listen = \"a:1\"\n[[listener]]\naddress = \"b:2\"\n[[listener]]\naddress = \"c:3\"\n";
    assert_eq!(addresses(with("", &[], Vec::new()).unwrap()), ["127.0.0.1:1024"]);
    assert_eq!(addresses(with(both, &[], Vec::new()).unwrap()), ["a:1", "b:2", "c:3"]);
    assert_eq!(addresses(with("[[listener]]\naddress = \"b:2\"\n", &[], Vec::new()).unwrap()), ["b:2"]);
    assert_eq!(addresses(with(both, &["listen=d:4"], Vec::new()).unwrap()), ["d:4"]);
    let given = option("--listen", "listen", Value::List(vec![text("e:5"), text("f:6")]));
    assert_eq!(addresses(with(both, &["listen=d:4"], vec![given]).unwrap()), ["e:5", "f:6"]);
    assert_eq!(addresses(with("listen = [\"a:1\"]", &["listener=[{address=\"g:7\"}]"], Vec::new()).unwrap()), ["g:7"]);
}

#[test]
fn a_listener_takes_from_outside_what_it_does_not_say() {
    let file = "app = \"relay\"\necho = true\nframing = \"line\"\nlisten = [\"a:1\"]\n\
        [[listener]]\naddress = \"b:2\"\napp = \"chat\"\npolicy = false\n\
        [[listener]]\naddress = \"[::1]:3\"\nframes = \"xml\"\nframing = \"nul\"\necho = false\n";
    let seen: Vec<_> = from_file(file)
        .unwrap()
        .listeners
        .iter()
        .map(|l| format!("{} {} {:?} {:?} {} {}", l.address, l.app, l.frames, l.framing, l.echo, l.policy))
        .collect();
    let expected =
        ["a:1 relay Any Line true true", "b:2 chat Xml Line false false", "[::1]:3 relay Xml Nul false true"];
    assert_eq!(seen, expected);
}

#[test]
fn each_mistake_in_a_file_is_told_with_its_line() {
    let rows = [
        ("\nlimts = 1", "x.toml:2: there is no setting `limts`; the nearest one is `limits."),
        ("polcy_listen = \"\"", "x.toml:1: there is no setting `polcy_listen`; the nearest one is `policy_listen`"),
        ("frame_bytes_max = 1", "the nearest one is `limits.frame_bytes_max`"),
        (
            "[limits]\n\nframe_byte_max = 1",
            "x.toml:3: there is no setting `limits.frame_byte_max`; the nearest one is `limits.frame_bytes_max`",
        ),
        ("[limits]\necho = true", "x.toml:2: there is no setting `limits.echo`; the nearest one is `echo`"),
        ("limits = 7", "x.toml:1: `limits` is a table; write `[limits]`"),
        ("[listener]\naddress = \"a:1\"", "x.toml:2: `listener` is a list; write `[[listener]]`"),
        (
            "[[listener]]\npolcy = true",
            "x.toml:2: a `[[listener]]` has no setting `polcy`; the nearest one is `policy`",
        ),
        (
            "[[listener]]\naddress = \"a:1\"\nproxy = \"10.0.0.0/40\"",
            "x.toml:3: `proxy` takes an address or a range such as `10.0.0.0/8`, or a list of such, not the string",
        ),
        ("flash_host = \"games.example.org\"", "x.toml:1: `flash_host` takes a host and a port such as"),
        ("flash_host = [\"a:1\"]", "x.toml:1: `flash_host` says how Flash content is served, but `content` names no"),
        ("ruffle = \"r\"", "x.toml:1: `ruffle` says how Flash content is served"),
        ("listen = []\n[[listener]]\napp = \"chat\"", "x.toml:3: a `[[listener]]` needs an `address`"),
        ("listener = [1]", "x.toml:1: `listener` is a list of tables"),
        ("listener = 1", "x.toml:1: `listener` takes a list of tables, each headed `[[listener]]`, not the number 1"),
        ("app = \"caht\"", "x.toml:1: `app` takes `chat` or `relay`, not the string \"caht\""),
        ("frames = true", "x.toml:1: `frames` takes `auto`, `xml` or `any`, not `true`"),
        ("echo = \"yes\"", "x.toml:1: `echo` takes `true` or `false`, not the string \"yes\""),
        (
            "listen = 1024",
            "x.toml:1: `listen` takes an address such as `127.0.0.1:1024`, host and port, or a list of such, not the number 1024",
        ),
        ("listen = \"localhost\"", "the string \"localhost\""),
        ("listen = [\"a:1\", \"::1:1024\"]", "the string \"::1:1024\""),
        ("listen = [\"a:65536\"]", "the string \"a:65536\""),
        ("listen = []", "x.toml:1: `listen` is empty"),
        (
            "policy_listen = \"843\"",
            "`policy_listen` takes an address such as `127.0.0.1:1024`, host and port, not the string \"843\"",
        ),
        ("public_port = 65536", "x.toml:1: `public_port` takes a port from 0 to 65535, not the number 65536"),
        ("public_name = \"*.example.com\"", "`public_name` takes a name such as `chat.example.com`, without wildcard"),
        (
            "allow_domain = [\"http://a.example\"]",
            "`allow_domain`: \"http://a.example\" is no domain: leave out the scheme",
        ),
        ("name = 1.5", "`name` takes a string, not a number with a fraction"),
        ("name = 2026-01-01", "`name` takes a string, not a date or time"),
        (
            "[limits]\nidle_seconds_max = \"5m\"",
            "x.toml:2: `limits.idle_seconds_max` takes a whole number of seconds, such as 300, without quotes and unit, not the string \"5m\"",
        ),
        (
            "[limits]\nframe_bytes_max = -1",
            "`limits.frame_bytes_max` takes a number of bytes from 0 to 1099511627776, such as 65536, not -1",
        ),
        ("[limits]\nidle_seconds_max = 1000000001", "seconds from 0 to 1000000000"),
        ("[limits]\nrooms_max = 1.0", "`limits.rooms_max` takes a whole number, such as 1000"),
        ("[limits]\nnodes_max = 0", "x.toml:2: `limits.nodes_max`: `nodes_max` may not be 0: it protects"),
        (
            "[limits]\noutbox_bytes_max = 65535",
            "x.toml:2: `limits.outbox_bytes_max` (65535) is less than `limits.frame_bytes_max` (65536)",
        ),
        ("[limits]\nframe_bytes_max = 5000000", "x.toml:2: `limits.outbox_bytes_max` (4194304) is less than"),
        ("frames = \"any\"", "x.toml:1: a chat reads XML"),
        (
            "app = \"relay\"\n[[listener]]\naddress = \"a:1\"\napp = \"chat\"\nframes = \"any\"",
            "x.toml:5: a chat reads XML",
        ),
        ("echo = true", "x.toml:1: `echo` is for relays"),
        ("in_memory = false", "x.toml:1: `in_memory = false` needs a database"),
        ("policy_file = \"p\"\nallow_domain = \"a\"", "x.toml:1: `policy_file` takes the place of `allow_domain`"),
    ];
    for (file, expected) in rows {
        let got = with(file, &[], Vec::new())
            .and_then(|settings| Config::new(&settings).map_err(|error| error.to_string()))
            .expect_err(file);
        let got = match got.split_once("x.toml") {
            Some((_, rest)) => format!("x.toml{rest}"),
            None => got,
        };
        assert!(got.contains(expected), "\n{file}\nexpected: {expected}\ngot:      {got}");
        assert!(!got.contains('\n'), "{got}");
    }
}

#[test]
fn a_mistake_in_an_option_names_the_option() {
    let error = |sets: &[&str], options| with("", sets, options).unwrap_err();
    assert_eq!(
        error(&[], vec![option("--app", "app", text("shout"))]),
        "`--app` takes `chat` or `relay`, not the string \"shout\""
    );
    assert!(
        error(&["limits.idle_seconds=1"], Vec::new()).starts_with("--set: there is no setting `limits.idle_seconds`")
    );
    assert!(error(&["limits.rooms_max=many"], Vec::new()).contains("the string \"many\""));
    let missing = Settings::load(Some(Path::new("/nonexistent/x.toml")), &[], Vec::new()).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the configuration /nonexistent/x.toml: No such file"), "{missing}");
}

#[test]
fn a_policy_file_lies_beside_the_configuration_that_names_it() {
    let of = |source| {
        let mut settings = Settings::defaults().unwrap();
        settings.assign(Assignment { key: "policy_file".to_owned(), value: text("p.xml"), source }).unwrap();
        Config::new(&settings).unwrap().policy_file.unwrap()
    };
    assert_eq!(of(Source::File { file: "/etc/chat/x.toml".into(), line: 1 }), Path::new("/etc/chat/p.xml"));
    assert_eq!(of(Source::Option("--policy-file")), Path::new("p.xml"));
}

#[test]
fn what_check_config_prints_means_the_same_when_read_back() {
    let file = "name = \"a\\\"b\"\npublic_name = [\"chat.example.com\"]\nlisten = [\"a:1\"]\n[limits]\nrooms_max = 7\n\
        [[listener]]\naddress = \"b:2\"\napp = \"relay\"\necho = true\n";
    let settings = with(file, &["trace=true"], vec![option("--listen", "listen", text("c:3"))]).unwrap();
    let printed = settings.to_toml();
    assert!(printed.contains("rooms_max = 7") && printed.contains("x.toml:5\n"), "{printed}");
    assert!(printed.contains("listen = [\"c:3\"]                             # --listen\n"), "{printed}");
    assert!(!printed.contains("[[listener]]"), "{printed}");
    assert_eq!(from_file(&printed), Ok(Config::new(&settings).unwrap()));
    let settings = with(file, &[], Vec::new()).unwrap();
    assert!(settings.to_toml().contains("\n[[listener]]\naddress = \"b:2\" "), "{}", settings.to_toml());
    assert_eq!(from_file(&settings.to_toml()), Ok(Config::new(&settings).unwrap()));
}
