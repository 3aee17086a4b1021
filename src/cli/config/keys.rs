//! Defines the table of all settings: name, default, and what value fits.
//!
//! Knows: every key of the configuration file. Must not know: what a setting does.

use std::net::IpAddr;

use super::value::{Assignment, Source, Value};
use super::{ConfigError, read_set};
use xmlsocket::policy::DomainPattern;
use xmlsocket::server::Network;
use xmlsocket::wire::Limits;

/// The most seconds that a limit may have: thirty years, so that no sum of times overflows.
const SECONDS_MAX: i64 = 1_000_000_000;

/// The most that any other limit may be: beyond it a number is a slip of the hand.
const COUNT_MAX: i64 = 1 << 40;

/// A setting outside of `[limits]`.
struct Key {
    /// Its name in the file.
    name: &'static str,
    /// Which values it takes.
    kind: Kind,
    /// Its default, as TOML.
    default: &'static str,
}

/// Which values a setting takes.
#[derive(Clone, Copy)]
enum Kind {
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A port; 0 has a meaning of its own.
    Port,
    /// `HOST:PORT`, or nothing.
    Address,
    /// `HOST:PORT`, any number of them.
    Addresses,
    /// Domains as policy files have them.
    Domains,
    /// Names of this host.
    Hosts,
    /// Hosts and ports that SWFs open sockets to.
    FlashHosts,
    /// Addresses and ranges of addresses.
    Networks,
    /// Any text, a file's name among them.
    Text,
    /// A whole number of what the limit's name ends in.
    Limit,
    /// Tables of [`LISTENER_KEYS`].
    Listeners,
}

const APPS: Kind = Kind::Choice(&["chat", "relay"]);
const FRAMES: Kind = Kind::Choice(&["auto", "xml", "any"]);
const FRAMINGS: Kind = Kind::Choice(&["nul", "line", "stream"]);

/// The settings outside of `[limits]`, in the order of the reference.
const TOP_KEYS: &[Key] = &[
    Key { name: "listen", kind: Kind::Addresses, default: r#"["127.0.0.1:1024"]"# },
    Key { name: "app", kind: APPS, default: r#""chat""# },
    Key { name: "frames", kind: FRAMES, default: r#""auto""# },
    Key { name: "framing", kind: FRAMINGS, default: r#""nul""# },
    Key { name: "echo", kind: Kind::Switch, default: "false" },
    Key { name: "name", kind: Kind::Text, default: r#""xmlsocket""# },
    Key { name: "in_memory", kind: Kind::Switch, default: "true" },
    Key { name: "trace", kind: Kind::Switch, default: "false" },
    Key { name: "policy_listen", kind: Kind::Address, default: r#""""# },
    Key { name: "public_name", kind: Kind::Hosts, default: "[]" },
    Key { name: "public_port", kind: Kind::Port, default: "0" },
    Key { name: "allow_domain", kind: Kind::Domains, default: "[]" },
    Key { name: "policy_file", kind: Kind::Text, default: r#""""# },
    Key { name: "http", kind: Kind::Switch, default: "true" },
    Key { name: "proxy", kind: Kind::Networks, default: "[]" },
    Key { name: "content", kind: Kind::Text, default: r#""""# },
    Key { name: "content_list", kind: Kind::Switch, default: "false" },
    Key { name: "ruffle", kind: Kind::Text, default: r#""""# },
    Key { name: "flash_host", kind: Kind::FlashHosts, default: "[]" },
    Key { name: "listener", kind: Kind::Listeners, default: "[]" },
];

/// What a `[[listener]]` may have. Where it is silent, the setting of the same name outside counts; a policy is served.
const LISTENER_KEYS: &[(&str, Kind)] = &[
    ("address", Kind::Address),
    ("app", APPS),
    ("frames", FRAMES),
    ("framing", FRAMINGS),
    ("echo", Kind::Switch),
    ("policy", Kind::Switch),
    ("http", Kind::Switch),
    ("proxy", Kind::Networks),
];

/// The full name of a limit.
pub(crate) fn limit_key(name: &str) -> String {
    format!("limits.{name}")
}

/// Every key with its default, in the order of the reference.
pub(crate) fn defaults() -> Vec<Assignment> {
    let top = TOP_KEYS.iter().map(|key| {
        let value = read_set(&format!("{}={}", key.name, key.default)).map_or(Value::Bool(false), |set| set.value);
        Assignment { key: key.name.to_owned(), value, source: Source::Default }
    });
    let limits = Limits::default().entries().map(|(name, value)| Assignment {
        key: limit_key(name),
        value: Value::Number(value.cast_signed()),
        source: Source::Default,
    });
    top.chain(limits).collect()
}

/// Checks an assignment to a key outside of `[[listener]]`: gives it back in the form that the setting has.
pub(crate) fn check(assignment: Assignment) -> Result<Assignment, ConfigError> {
    let kind = match TOP_KEYS.iter().find(|key| key.name == assignment.key) {
        Some(key) => key.kind,
        None if is_limit(&assignment.key) => Kind::Limit,
        None => return Err(unknown(&assignment)),
    };
    check_kind(kind, assignment)
}

fn is_limit(key: &str) -> bool {
    key.strip_prefix("limits.").is_some_and(|name| Limits::NAMES.contains(&name))
}

/// What to say about a key that there is not.
fn unknown(assignment: &Assignment) -> ConfigError {
    let key = assignment.key.as_str();
    let sentence = match key {
        "limits" => "`limits` is a table; write `[limits]` and below it one limit a line".to_owned(),
        _ if key.starts_with("listener.") => "`listener` is a list; write `[[listener]]`, with two brackets".to_owned(),
        _ => {
            let limits: Vec<String> = Limits::NAMES.iter().map(|name| limit_key(name)).collect();
            let known = TOP_KEYS.iter().map(|key| key.name).chain(limits.iter().map(String::as_str));
            format!("there is no setting `{key}`; the nearest one is `{}`", nearest(key, known))
        }
    };
    ConfigError::new(assignment.source.clone(), sentence)
}

/// The one of `known` that looks most like `name`. A name that was put into the wrong table is compared without it.
pub(crate) fn nearest<'known>(name: &str, known: impl IntoIterator<Item = &'known str>) -> &'known str {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |candidate: &str| {
        let whole = strsim::jaro_winkler(name, candidate);
        whole.max(strsim::jaro_winkler(&last(name), &last(candidate)) - 0.01)
    };
    known.into_iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or_default()
}

fn check_kind(kind: Kind, assignment: Assignment) -> Result<Assignment, ConfigError> {
    let Assignment { key, value, source } = assignment;
    let label = match source {
        Source::Option(option) => option.to_owned(),
        _ => key.clone(),
    };
    let value = match (kind, value) {
        (Kind::Listeners, Value::List(items)) => check_listeners(&source, items),
        (kind, value) => check_value(kind, &key, value).map_err(|fault| {
            let sentence = match fault {
                Unfit::Expected(expected, got) => format!("`{label}` takes {expected}, not {got}"),
                Unfit::Says(text) => format!("`{label}`: {text}"),
            };
            ConfigError::new(source.clone(), sentence)
        }),
    }?;
    Ok(Assignment { key, value, source })
}

/// Why a value does not fit.
enum Unfit {
    /// What is expected, and what came.
    Expected(String, String),
    /// The sentence of someone who knows better.
    Says(String),
}

fn check_value(kind: Kind, key: &str, value: Value) -> Result<Value, Unfit> {
    let expected = |expected: &str, value: &Value| Err(Unfit::Expected(expected.to_owned(), describe(value)));
    match (kind, value) {
        (Kind::Choice(choices), Value::Text(word)) if choices.contains(&word.as_str()) => Ok(Value::Text(word)),
        (Kind::Choice(choices), value) => expected(&one_of(choices), &value),
        (Kind::Switch, Value::Bool(on)) => Ok(Value::Bool(on)),
        (Kind::Switch, value) => expected("`true` or `false`", &value),
        (Kind::Port, Value::Number(port)) if (0..=65_535).contains(&port) => Ok(Value::Number(port)),
        (Kind::Port, value) => expected("a port from 0 to 65535", &value),
        (Kind::Text, Value::Text(text)) => Ok(Value::Text(text)),
        (Kind::Text, value) => expected("a string", &value),
        (Kind::Address, Value::Text(text)) if text.is_empty() => Ok(Value::Text(text)),
        (Kind::Address, value) => check_text(value, ADDRESS, |text| check_address(text).then_some(Ok(()))),
        (Kind::Addresses, value) => check_list(value, ADDRESS, |text| check_address(text).then_some(Ok(()))),
        (Kind::Domains, value) => check_list(value, "a domain such as `www.example.com`", |text| {
            Some(text.parse::<DomainPattern>().map(drop).map_err(|error| error.to_string()))
        }),
        (Kind::Hosts, value) => check_list(value, "a name such as `chat.example.com`, without wildcard", |text| {
            (!text.contains('*')).then(|| text.parse::<DomainPattern>().map(drop).map_err(|error| error.to_string()))
        }),
        (Kind::FlashHosts, value) => check_list(value, "a host and a port such as `games.example.org:9339`", |text| {
            (check_address(text) && !text.ends_with(":0")).then_some(Ok(()))
        }),
        (Kind::Networks, value) => check_list(value, "an address or a range such as `10.0.0.0/8`", |text| {
            text.parse::<Network>().is_ok().then_some(Ok(()))
        }),
        (Kind::Limit, value) => check_limit(key, value),
        (Kind::Listeners, value) => expected("a list of tables, each headed `[[listener]]`", &value),
    }
}

const ADDRESS: &str = "an address such as `127.0.0.1:1024`, host and port";

/// Checks one text. `check` answers `None` when the text is not what is expected, or else what it has to say.
fn check_text(
    value: Value,
    expected: &str,
    check: impl Fn(&str) -> Option<Result<(), String>>,
) -> Result<Value, Unfit> {
    let answer = match &value {
        Value::Text(text) => check(text),
        _ => None,
    };
    match answer {
        None => Err(Unfit::Expected(expected.to_owned(), describe(&value))),
        Some(Err(sentence)) => Err(Unfit::Says(sentence)),
        Some(Ok(())) => Ok(value),
    }
}

/// Checks each text of a list. One text alone is a list of one, which spares the brackets.
fn check_list(
    value: Value,
    expected: &str,
    check: impl Fn(&str) -> Option<Result<(), String>>,
) -> Result<Value, Unfit> {
    let items = match value {
        Value::List(items) => items,
        value => vec![value],
    };
    let checked: Result<Vec<Value>, Unfit> =
        items.into_iter().map(|item| check_text(item, &format!("{expected}, or a list of such"), &check)).collect();
    checked.map(Value::List)
}

/// Whether `text` is `HOST:PORT`. An IPv6 address stands in brackets; other names are looked up when they are used.
fn check_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()),
        None => !host.is_empty() && !host.contains([':', '/', ' ', '[', ']', '*']),
    };
    is_port && is_host
}

fn check_limit(key: &str, value: Value) -> Result<Value, Unfit> {
    let name = key.trim_start_matches("limits.");
    let unit = unit_of(name);
    let mut limits = Limits::default();
    let example = limits.entries().find(|(known, _)| *known == name).map_or(0, |(_, value)| value);
    let Value::Number(number) = value else {
        let expected = format!("a whole number{unit}, such as {example}, without quotes and unit");
        return Err(Unfit::Expected(expected, describe(&value)));
    };
    let most = if unit == " of seconds" { SECONDS_MAX } else { COUNT_MAX };
    if !(0..=most).contains(&number) {
        return Err(Unfit::Expected(format!("a number{unit} from 0 to {most}, such as {example}"), number.to_string()));
    }
    limits.set(name, number.unsigned_abs()).map_err(|error| Unfit::Says(error.to_string()))?;
    Ok(Value::Number(number))
}

/// What a limit counts, as words behind "a number": its name ends in it.
fn unit_of(limit: &str) -> &'static str {
    if limit.contains("_per_second_") {
        " of frames a second"
    } else if limit.contains("seconds") {
        " of seconds"
    } else if limit.contains("bytes") {
        " of bytes"
    } else {
        ""
    }
}

fn check_listeners(source: &Source, items: Vec<Value>) -> Result<Value, ConfigError> {
    let mut checked = Vec::new();
    for item in items {
        let Value::Table(entries) = item else {
            let sentence = "`listener` is a list of tables, each headed `[[listener]]`";
            return Err(ConfigError::new(source.clone(), sentence));
        };
        let place = entries.first().map_or(source, |entry| &entry.source).clone();
        let entries: Result<Vec<_>, _> = entries.into_iter().map(check_listener_entry).collect();
        let entries = entries?;
        if !entries.iter().any(|entry| entry.key == "address" && entry.value != Value::Text(String::new())) {
            return Err(ConfigError::new(place, "a `[[listener]]` needs an `address`, such as `\"127.0.0.1:1024\"`"));
        }
        checked.push(Value::Table(entries));
    }
    Ok(Value::List(checked))
}

fn check_listener_entry(entry: Assignment) -> Result<Assignment, ConfigError> {
    match LISTENER_KEYS.iter().find(|(name, _)| *name == entry.key) {
        Some((_, kind)) => check_kind(*kind, entry),
        None => {
            let nearest = nearest(&entry.key, LISTENER_KEYS.iter().map(|(name, _)| *name));
            let sentence = format!("a `[[listener]]` has no setting `{}`; the nearest one is `{nearest}`", entry.key);
            Err(ConfigError::new(entry.source, sentence))
        }
    }
}

fn one_of(choices: &[&str]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A value as a sentence names it.
fn describe(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "an empty string".to_owned(),
        Value::Text(_) => format!("the string {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::Bool(on) => format!("`{on}`"),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Foreign(what) => (*what).to_owned(),
    }
}
