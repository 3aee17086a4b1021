//! Defines [`Kind`], what a setting can be: which values it takes, and what is said about others.
//!
//! Knows: addresses, domains, choices, units. Must not know: which settings there are.

use std::net::IpAddr;

use xmlsocket::policy::DomainPattern;
use xmlsocket::server::{Framing, Network};
use xmlsocket::wire::Limits;

use super::ConfigError;
use super::value::Value;

/// The most seconds that a limit may have: thirty years, so that no sum of times overflows.
const SECONDS_MAX: i64 = 1_000_000_000;

/// The most that any other limit may be: beyond it a number is a slip of the hand.
const COUNT_MAX: i64 = 1 << 40;

/// What is expected of an address.
const ADDRESS: &str = "an address such as `127.0.0.1:1024`, host and port";

/// A type that settings can have.
pub(crate) trait Kind: Sized {
    /// How an option gives a value.
    const FORM: Form;

    /// Reads a value; gives it back in the form that the setting has, too.
    fn read(value: Value) -> Result<(Self, Value), Unfit>;
}

/// How an option gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By being there.
    Switch,
    /// As a word.
    One,
    /// As a word, any number of times.
    Many,
    /// As a number.
    Number,
}

/// Why a value does not fit.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// What is expected, and what came.
    Expected(String, String),
    /// The sentence of someone who knows better.
    Says(String),
    /// A sentence that names the setting itself.
    Sentence(String),
    /// What is wrong with a setting inside.
    Within(ConfigError),
}

fn expected<T>(expected: &str, value: &Value) -> Result<T, Unfit> {
    Err(Unfit::Expected(expected.to_owned(), describe(value)))
}

impl Kind for bool {
    const FORM: Form = Form::Switch;

    fn read(value: Value) -> Result<(bool, Value), Unfit> {
        match value {
            Value::Bool(on) => Ok((on, value)),
            value => expected("`true` or `false`", &value),
        }
    }
}

impl Kind for String {
    const FORM: Form = Form::One;

    fn read(value: Value) -> Result<(String, Value), Unfit> {
        match &value {
            Value::Text(text) => Ok((text.clone(), value)),
            value => expected("a string", value),
        }
    }
}

/// A port of the outside, unless it is the listener's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutsidePort(pub(crate) Option<u16>);

impl Kind for OutsidePort {
    const FORM: Form = Form::Number;

    fn read(value: Value) -> Result<(OutsidePort, Value), Unfit> {
        let port = match value {
            Value::Number(port) => u16::try_from(port).ok(),
            _ => None,
        };
        match port {
            Some(port) => Ok((OutsidePort((port != 0).then_some(port)), value)),
            None => expected("a port from 0 to 65535", &value),
        }
    }
}

/// `HOST:PORT`. The text of an address that may be left out can be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) String);

impl Kind for Address {
    const FORM: Form = Form::One;

    fn read(value: Value) -> Result<(Address, Value), Unfit> {
        match &value {
            Value::Text(text) if text.is_empty() || is_address(text) => Ok((Address(text.clone()), value)),
            value => expected(ADDRESS, value),
        }
    }
}

impl Kind for Vec<Address> {
    const FORM: Form = Form::Many;

    fn read(value: Value) -> Result<(Vec<Address>, Value), Unfit> {
        read_list(value, ADDRESS, |text| is_address(text).then(|| Ok(Address(text.to_owned()))))
    }
}

impl Kind for Vec<DomainPattern> {
    const FORM: Form = Form::Many;

    fn read(value: Value) -> Result<(Vec<DomainPattern>, Value), Unfit> {
        read_list(value, "a domain such as `www.example.com`", |text| Some(domain(text)))
    }
}

/// Names of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostNames(pub(crate) Vec<DomainPattern>);

impl Kind for HostNames {
    const FORM: Form = Form::Many;

    fn read(value: Value) -> Result<(HostNames, Value), Unfit> {
        let expected = "a name such as `chat.example.com`, without wildcard";
        let (names, value) = read_list(value, expected, |text| (!text.contains('*')).then(|| domain(text)))?;
        Ok((HostNames(names), value))
    }
}

/// Hosts and ports that SWFs open sockets to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlashHosts(pub(crate) Vec<String>);

impl Kind for FlashHosts {
    const FORM: Form = Form::Many;

    fn read(value: Value) -> Result<(FlashHosts, Value), Unfit> {
        let (hosts, value) = read_list(value, "a host and a port such as `games.example.org:9339`", |text| {
            (is_address(text) && !text.ends_with(":0")).then(|| Ok(text.to_owned()))
        })?;
        Ok((FlashHosts(hosts), value))
    }
}

impl Kind for Vec<Network> {
    const FORM: Form = Form::Many;

    fn read(value: Value) -> Result<(Vec<Network>, Value), Unfit> {
        read_list(value, "an address or a range such as `10.0.0.0/8`", |text| text.parse().ok().map(Ok))
    }
}

/// A type whose values are words.
pub(crate) trait Choice: Copy + 'static {
    /// The words, and what they mean.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Choice> Kind for T {
    const FORM: Form = Form::One;

    fn read(value: Value) -> Result<(T, Value), Unfit> {
        let chosen = match &value {
            Value::Text(text) => T::WORDS.iter().find(|(word, _)| word == text),
            _ => None,
        };
        match chosen {
            Some((_, chosen)) => Ok((*chosen, value)),
            None => expected(&one_of(T::WORDS.iter().map(|(word, _)| *word)), &value),
        }
    }
}

/// An application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum App {
    /// Rooms and people.
    Chat,
    /// Every frame to everybody else.
    Relay,
}

impl Choice for App {
    const WORDS: &'static [(&'static str, App)] = &[("chat", App::Chat), ("relay", App::Relay)];
}

/// What frames may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramesWanted {
    /// What the application takes.
    Auto,
    /// Well-formed documents.
    Xml,
    /// Anything.
    Any,
}

impl Choice for FramesWanted {
    const WORDS: &'static [(&'static str, FramesWanted)] =
        &[("auto", FramesWanted::Auto), ("xml", FramesWanted::Xml), ("any", FramesWanted::Any)];
}

impl Choice for Framing {
    const WORDS: &'static [(&'static str, Framing)] =
        &[("nul", Framing::Nul), ("line", Framing::Line), ("stream", Framing::Stream)];
}

/// Reads each text of a list. One text alone is a list of one, which spares the brackets. `read` answers `None` when the
/// text is not what is expected, or else what it has to say.
fn read_list<T>(
    value: Value,
    expected: &str,
    read: impl Fn(&str) -> Option<Result<T, String>>,
) -> Result<(Vec<T>, Value), Unfit> {
    let items = match value {
        Value::List(items) => items,
        value => vec![value],
    };
    let unfit = |item: &Value| Unfit::Expected(format!("{expected}, or a list of such"), describe(item));
    let read_item = |item: &Value| match item {
        Value::Text(text) => read(text).ok_or_else(|| unfit(item))?.map_err(Unfit::Says),
        item => Err(unfit(item)),
    };
    let read: Result<Vec<T>, Unfit> = items.iter().map(read_item).collect();
    Ok((read?, Value::List(items)))
}

fn domain(text: &str) -> Result<DomainPattern, String> {
    text.parse::<DomainPattern>().map_err(|error| error.to_string())
}

/// Whether `text` is `HOST:PORT`. An IPv6 address stands in brackets; other names are looked up when they are used.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()),
        None => !host.is_empty() && !host.contains([':', '/', ' ', '[', ']', '*']),
    };
    is_port && is_host
}

/// Reads the value of a limit, whose default is `default`.
pub(crate) fn read_limit(name: &str, default: u64, value: &Value) -> Result<u64, Unfit> {
    let unit = unit_of(name);
    let Value::Number(number) = *value else {
        return expected(&format!("a whole number{unit}, such as {default}, without quotes and unit"), value);
    };
    let most = if unit == " of seconds" { SECONDS_MAX } else { COUNT_MAX };
    if !(0..=most).contains(&number) {
        let expected = format!("a number{unit} from 0 to {most}, such as {default}");
        return Err(Unfit::Expected(expected, number.to_string()));
    }
    let number = number.unsigned_abs();
    // Some may not be 0.
    Limits::default().set(name, number).map_err(|error| Unfit::Says(error.to_string()))?;
    Ok(number)
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

/// Words that may be chosen, as a sentence names them.
pub(crate) fn one_of<'word>(words: impl IntoIterator<Item = &'word str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A value as a sentence names it.
pub(crate) fn describe(value: &Value) -> String {
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
