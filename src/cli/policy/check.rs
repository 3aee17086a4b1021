//! The command `policy check`: decides as a player would whether a SWF may connect, and shows how it came to that.

use std::time::Duration;

use super::super::options::CheckOptions;
use super::super::print;
use crate::exit_code::{ExitCode, Failure};
use crate::json::Json;
use crate::printable::printable;
use xmlsocket::client::permission::{
    Asked, Check, Finding, Grounds, Location, Outcome, Permission, Place, Player, Verdict,
};

/// Asks whom the player would ask, and prints each step and the verdict.
pub(in super::super) fn check(options: &CheckOptions) -> Result<ExitCode, Failure> {
    let player: Player = options.player.parse().map_err(|error| wrong("--player", &error))?;
    let permission = permission(options, player)?;
    let (host, port) = (options.host.as_str(), options.port);
    let mut steps = 0;
    if !options.json {
        print(&printable(&question(options, player)));
    }
    let check = permission.check(host, port, |asked| {
        steps += 1;
        if !options.json {
            show_step(steps, asked);
        }
    });
    if options.json {
        print(&report(options, player, &check).to_string());
    } else {
        remarks(&check).all(|remark| print(&printable(&format!("note: {remark}"))));
        print(&printable(&check.verdict.to_string()));
    }
    Ok(if check.verdict.is_granted() { ExitCode::Ok } else { ExitCode::Failed })
}

fn wrong(option: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("`{option}`: {error}; see `xmlsocket policy check --help`"))
}

/// What the options say, for the library.
fn permission(options: &CheckOptions, player: Player) -> Result<Permission, Failure> {
    let mut permission = Permission::new(player, &options.from).map_err(|error| wrong("--from", &error))?;
    for location in &options.load_policy {
        let location: Location = location.parse().map_err(|error| wrong("--load-policy", &error))?;
        permission = permission.location(location);
    }
    if let Some(port) = options.master_port {
        permission = permission.master_port(port);
    }
    if let Some(port) = options.web_port {
        permission = permission.web_port(port);
    }
    Ok(permission)
}

fn question(options: &CheckOptions, player: Player) -> String {
    let CheckOptions { host, port, from, .. } = options;
    let player = if player == Player::Air { "AIR".to_owned() } else { format!("Flash Player {player}") };
    format!("May a SWF from {from} connect to port {port} of {host}? As {player} decides it:")
}

/// Prints a step as soon as it is done: a player's patience is seconds.
fn show_step(number: usize, asked: &Asked) {
    print(&format!("{number}. asked {}; {} after {}", asked.place, word(&asked.outcome), took(asked.took)));
    for finding in &asked.findings {
        print(&printable(&format!("   {}", finding.text)));
    }
}

fn took(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 1000.0 { format!("{milliseconds:.1} ms") } else { format!("{:.1} s", time.as_secs_f64()) }
}

/// What the player knew without asking: findings of no step.
fn remarks(check: &Check) -> impl Iterator<Item = &Finding> {
    let of_steps: usize = check.asked.iter().map(|asked| asked.findings.len()).sum();
    // Steps only append, so what is not theirs came before the first of them.
    check.findings.iter().take(check.findings.len().saturating_sub(of_steps))
}

/// An answer in words, before what it means is said.
fn word(answer: &Outcome) -> String {
    match answer {
        Outcome::File(text) | Outcome::Unended(text) => format!("an answer of {} bytes", text.len()),
        Outcome::Silent => "no complete answer".to_owned(),
        Outcome::ConnectionRefused => "refused".to_owned(),
        Outcome::HostUnknown(_) => "no address".to_owned(),
        Outcome::ClosedWithoutAnswer => "closed".to_owned(),
        Outcome::TooLong => "too long an answer".to_owned(),
        Outcome::Failed(_) => "failed".to_owned(),
    }
}

/// A verdict's name for scripts: why.
fn reason(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Granted(Grounds::NoCheck) => "no-check",
        Verdict::Granted(Grounds::OwnHost) => "own-host",
        Verdict::Granted(Grounds::LocalFile) => "local-file",
        Verdict::Granted(Grounds::Entry { .. }) => "entry",
        Verdict::Refused(reason) => reason.code(),
    }
}

/// All of it, for scripts.
fn report(options: &CheckOptions, player: Player, check: &Check) -> Json {
    let kind = |place: Place| match place {
        Place::Master(_) => "master",
        Place::Named(_) => "named",
        Place::Target(_) => "target",
        Place::Web(_) => "web",
    };
    let texts = |findings: &[Finding]| Json::List(findings.iter().map(|finding| Json::text(&finding.text)).collect());
    let step = |asked: &Asked| {
        let text = match &asked.outcome {
            Outcome::File(text) | Outcome::Unended(text) => Json::text(text),
            _ => Json::Null,
        };
        Json::Object(vec![
            ("place", Json::text(kind(asked.place))),
            ("port", Json::Number(asked.place.port().into())),
            ("answer", Json::text(asked.outcome.code())),
            ("milliseconds", Json::Number(asked.took.as_micros() as f64 / 1000.0)),
            ("findings", texts(&asked.findings)),
            ("text", text),
        ])
    };
    Json::Object(vec![
        ("host", Json::text(&options.host)),
        ("port", Json::Number(options.port.into())),
        ("from", Json::text(&options.from)),
        ("player", Json::text(player)),
        ("granted", Json::Bool(check.verdict.is_granted())),
        ("reason", Json::text(reason(&check.verdict))),
        ("verdict", Json::text(&check.verdict)),
        ("notes", Json::List(remarks(check).map(Json::text).collect())),
        ("steps", Json::List(check.asked.iter().map(step).collect())),
    ])
}
