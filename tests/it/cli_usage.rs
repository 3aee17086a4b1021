//! What the program says about itself, and about arguments and settings that are wrong.

use std::path::{Path, PathBuf};

use crate::program::{Ended, run};

/// Set to rewrite docs/help from what the program says now.
const REWRITE: &str = "XMLSOCKET_REWRITE_HELP";

#[test]
fn the_help_of_every_command_is_what_docs_keep() {
    let pages: [(&str, &[&str]); 10] = [
        ("xmlsocket", &[]),
        ("serve", &["serve"]),
        ("chat", &["chat"]),
        ("connect", &["connect"]),
        ("policy", &["policy"]),
        ("policy-fetch", &["policy", "fetch"]),
        ("policy-check", &["policy", "check"]),
        ("bench", &["bench"]),
        ("check-config", &["check-config"]),
        ("ruffle-config", &["ruffle-config"]),
    ];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/help");
    let mut kept: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    for (name, words) in pages {
        let help = run(&[words, &["--help"]].concat());
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{name}");
        assert!(help.stdout.contains("Examples:\n  "), "{name} teaches by examples");
        let file = directory.join(format!("{name}.txt"));
        if std::env::var_os(REWRITE).is_some() {
            std::fs::write(&file, &help.stdout).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(help.stdout, expected, "{} differs; {REWRITE}=1 writes it anew", file.display());
        kept.retain(|path| *path != file);
    }
    assert!(kept.is_empty() || std::env::var_os(REWRITE).is_some(), "pages of no command: {kept:?}");
}

#[test]
fn every_wrong_argument_is_one_sentence_and_exit_code_2() {
    let rows: &[(&[&str], &str)] = &[
        (&["srve"], "there is no command `srve`; the nearest one is `serve`; see `xmlsocket --help`"),
        (
            &["serve", "--lisen", "a:1"],
            "there is no option `--lisen`; the nearest one is `--listen`; see `xmlsocket serve --help`",
        ),
        (&["serve", "--data", "d"], "there is no option `--data`; the nearest one is"),
        (&["serve", "now"], "`now` is one argument too many"),
        (&["serve", "--app"], "`--app` needs a value"),
        (&["serve", "--echo=yes"], "`--echo` takes no value"),
        (&["serve", "--app", "caht"], "`--app` takes `chat` or `relay`, not the string \"caht\""),
        (&["serve", "--app", "chat", "--app", "relay"], "`--app` is given twice"),
        (&["serve", "--frames", "json"], "`--frames` takes `auto`, `xml` or `any`"),
        (&["serve", "--frames", "any"], "a chat reads XML"),
        (&["serve", "--framing", "tab"], "`--framing` takes `nul`, `line` or `stream`, not the string \"tab\""),
        (&["serve", "--app", "relay", "--framing", "stream", "--frames", "any"], "a stream is one XML document"),
        (&["serve", "--listen", "1024"], "`--listen` takes an address such as `127.0.0.1:1024`"),
        (&["serve", "--policy-listen", "843"], "`--policy-listen` takes an address"),
        (
            &["serve", "--public-port", "eighty"],
            "`--public-port` takes a port from 0 to 65535, not the string \"eighty\"",
        ),
        (&["serve", "--public-port", "70000"], "`--public-port` takes a port from 0 to 65535, not the number 70000"),
        (
            &["serve", "--public-name", "*.a.example"],
            "`--public-name` takes a name such as `chat.example.com`, without wildcard",
        ),
        (&["serve", "--allow-domain", "http://a.example/"], "leave out the scheme"),
        (&["serve", "--echo"], "`echo` is for relays"),
        (
            &["serve", "--policy-file", "/nonexistent/p.xml"],
            "cannot read the policy file /nonexistent/p.xml: No such file",
        ),
        (
            &["serve", "--policy-file", "p.xml", "--allow-domain", "*"],
            "`policy_file` takes the place of `allow_domain`",
        ),
        (
            &["serve", "--config", "/nonexistent/x.toml"],
            "cannot read the configuration /nonexistent/x.toml: No such file",
        ),
        (
            &["serve", "--set", "limits.room_max=1"],
            "--set: there is no setting `limits.room_max`; the nearest one is `limits.rooms_max`",
        ),
        (
            &["serve", "--set", "limits.frame_bytes_max=64k"],
            "--set: `limits.frame_bytes_max` takes a whole number of bytes, such as 65536",
        ),
        (&["serve", "--set", "limits.outbox_bytes_max=0"], "may not be 0: it protects the server's memory"),
        (&["serve", "--set", "echo"], "`echo` has no value; write KEY=VALUE"),
        (&["check-config", "--ap", "chat"], "the nearest one is `--app`; see `xmlsocket check-config --help`"),
        (&["chat", "127.0.0.1"], "--nick <NICK> is missing; see `xmlsocket chat --help`"),
        (&["chat", "--nick", "ann"], "<ADDR> is missing"),
        (&["chat"], "--nick <NICK> and <ADDR> are missing"),
        (&["chat", "http://a.example", "--nick", "ann"], "`http://a.example` is no address; write HOST or HOST:PORT"),
        (&["connect"], "<ADDR> is missing; see `xmlsocket connect --help`"),
        (&["connect", "a:b"], "`a:b` is no address"),
        (&["connect", "a", "--framing", "tab"], "`--framing` takes `nul` or `line`, not `tab`"),
        (&["connect", "a", "--wait", "long"], "`--wait` takes a whole number from 0 to 86400, not `long`"),
        (&["connect", "a", "--wait", "90000"], "`--wait` takes a whole number from 0 to 86400, not `90000`"),
        (&["policy", "fetch", "a"], "<PORT> is missing; see `xmlsocket policy fetch --help`"),
        (&["policy", "fetch", "a", "0"], "`PORT` takes a whole number from 1 to 65535, not `0`"),
        (&["policy", "check", "a", "1"], "--from <DOMAIN> is missing; see `xmlsocket policy check --help`"),
        (
            &["policy", "check", "a", "1", "--from", "b.test", "--player", "nine"],
            "`--player`: \"nine\" is no player: write a version such as `9.0.124`, or `air`; see `xmlsocket policy check",
        ),
        (&["policy", "check", "a", "1", "--from", "ftp://b.test/"], "`--from`: "),
        (&["policy", "check", "a", "1", "--from", "b.test", "--load-policy", "b.test"], "`--load-policy`: "),
        (
            &["policy", "check", "a", "1", "--from", "b", "--master-port", "0"],
            "takes a whole number from 1 to 65535, not `0`",
        ),
        (
            &["policy", "fetsh", "a", "1"],
            "there is no command `fetsh`; the nearest one is `fetch`; see `xmlsocket policy --help`",
        ),
    ];
    for (arguments, expected) in rows {
        let Ended { code, stdout, stderr } = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}\nexpected: {expected}\ngot:      {stderr}");
        assert!(stderr.starts_with("xmlsocket: ") && stderr.lines().count() == 1, "one sentence: {stderr}");
    }
}

#[test]
fn without_a_command_the_help_is_shown_and_nothing_is_done() {
    let Ended { code, stdout, stderr } = run(&[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("Usage: xmlsocket <COMMAND>"), "{stderr}");
    let version = run(&["--version"]);
    assert_eq!((version.code, version.stdout), (0, format!("xmlsocket {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_wrong_file_is_told_with_name_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chat.toml");
    let name = file.to_str().unwrap();
    for (text, expected) in [
        (
            "listen = []\n\n[limits]\nrooms = 1\n",
            ":4: there is no setting `limits.rooms`; the nearest one is `limits.rooms_max`",
        ),
        ("app = chat\n", ":1: this is not TOML: "),
        ("\n[[listener]]\naddress = \"a\"\n", ":3: `address` takes an address such as `127.0.0.1:1024`"),
    ] {
        std::fs::write(&file, text).unwrap();
        for command in ["serve", "check-config"] {
            let Ended { code, stderr, .. } = run(&[command, "--config", name]);
            assert_eq!(code, 2, "{stderr}");
            assert!(
                stderr.starts_with(&format!("xmlsocket: {name}{expected}")) && stderr.lines().count() == 1,
                "{stderr}"
            );
        }
    }
}

#[test]
fn check_config_prints_every_setting_with_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chat.toml");
    let name = file.to_str().unwrap();
    std::fs::write(&file, "name = \"club\"\n[limits]\nrooms_max = 7\n").unwrap();
    let arguments = ["check-config", "--config", name, "--set", "limits.variables_max=8", "--listen", "127.0.0.1:2000"];
    let first = run(&arguments);
    assert_eq!((first.code, first.stderr.as_str()), (0, ""));
    let expected = [
        ("name = \"club\"", format!("{name}:1")),
        ("rooms_max = 7", format!("{name}:3")),
        ("variables_max = 8", "--set".to_owned()),
        ("listen = [\"127.0.0.1:2000\"]", "--listen".to_owned()),
        ("app = \"chat\"", "default".to_owned()),
    ];
    for (setting, source) in expected {
        let line =
            first.stdout.lines().find(|line| line.starts_with(setting)).unwrap_or_else(|| panic!("{}", first.stdout));
        assert_eq!(line[setting.len()..].trim(), format!("# {source}"));
    }
    // What it prints is a configuration of its own, and means the same.
    let printed = directory.path().join("printed.toml");
    std::fs::write(&printed, &first.stdout).unwrap();
    let settings = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim().to_owned()).collect()
    };
    let second = run(&["check-config", "--config", printed.to_str().unwrap()]);
    assert_eq!(settings(&second.stdout), settings(&first.stdout));
}

#[test]
fn the_reference_configuration_is_one_that_runs() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/xmlsocket.default.toml");
    let checked = run(&["check-config", "--config", reference.to_str().unwrap()]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
    let values = |text: &str| {
        text.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&checked.stdout), values(&run(&["check-config"]).stdout));
}

#[test]
fn low_ports_and_what_players_ignore_are_remarked_upon() {
    let low = run(&["check-config", "--listen", "127.0.0.1:443"]);
    assert_eq!(low.code, 0);
    assert!(
        low.stderr.contains("port 443 is below 1024") && low.stderr.contains("--policy-listen ADDR:843"),
        "{}",
        low.stderr
    );
    assert_eq!(run(&["check-config", "--listen", "127.0.0.1:443", "--policy-listen", "127.0.0.1:843"]).stderr, "");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.xml");
    std::fs::write(&file, "<cross-domain-policy><allow-access-from domain=\"*\"/></cross-domain-policy>").unwrap();
    let remarked = run(&["check-config", "--policy-file", file.to_str().unwrap()]);
    assert_eq!(remarked.code, 0);
    assert!(
        remarked.stderr.contains("policy.xml: line 1: ") && remarked.stderr.contains("to-ports"),
        "{}",
        remarked.stderr
    );
    std::fs::write(&file, "<html/>").unwrap();
    let refused = run(&["check-config", "--policy-file", file.to_str().unwrap()]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("policy.xml cannot be used: "), "{}", refused.stderr);
}

#[test]
fn the_manual_names_every_option_and_every_limit() {
    let manual = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/MANUAL.md")).unwrap();
    for page in ["serve", "chat", "connect", "policy-fetch", "policy-check", "check-config", "ruffle-config", "bench"] {
        let help = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/help/{page}.txt"));
        let help = std::fs::read_to_string(help).unwrap();
        let options = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
        for option in options.filter_map(|line| line.split([' ', '=']).next()) {
            assert!(manual.contains(&format!("--{option}")), "--{option} of {page}");
        }
    }
    for (name, value) in xmlsocket::wire::Limits::default().entries() {
        assert!(manual.contains(&format!("| `{name}` | {value} |")), "{name} {value}");
    }
}
