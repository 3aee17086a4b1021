//! Defines [`Settings`], every setting with its value and where that was given, and [`Config`], what they amount to.
//!
//! Knows: precedence (option, `--set`, file, default), which settings exclude each other.
//! Must not know: sockets, threads, how a server is started.

use std::fmt;
use std::path::{Path, PathBuf};

use xmlsocket::policy::DomainPattern;
use xmlsocket::server::{Frames, Framing, Network};
use xmlsocket::wire::Limits;

// What a setting is given as, and where.
mod value;

// The table of all settings.
mod keys;

#[cfg(test)]
mod tests;

use keys::limit_key;
pub(crate) use keys::nearest;
pub(crate) use value::{Assignment, Source, Value};
use value::{read_file, read_set};

/// Why a configuration cannot be used: where, and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    source: Source,
    sentence: String,
}

impl ConfigError {
    pub(crate) fn new(source: Source, sentence: impl Into<String>) -> ConfigError {
        ConfigError { source, sentence: sentence.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            // The sentence names the option or the setting itself.
            Source::Default | Source::Option(_) => f.write_str(&self.sentence),
            source => write!(f, "{source}: {}", self.sentence),
        }
    }
}

/// Every setting: its value and where it was given. All values have passed the checks of the table of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// One for each key, in the order of the reference.
    assignments: Vec<Assignment>,
}

impl Settings {
    /// What is built in.
    pub(crate) fn defaults() -> Settings {
        Settings { assignments: keys::defaults() }
    }

    /// Puts the sources together: options over `--set`s over the file over what is built in.
    pub(crate) fn load(
        file: Option<&Path>,
        sets: &[String],
        options: Vec<Assignment>,
    ) -> Result<Settings, ConfigError> {
        let mut settings = Settings::defaults();
        if let Some(path) = file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                ConfigError::new(Source::Default, format!("cannot read the configuration {name}: {error}"))
            })?;
            settings.assign_all(read_file(&name, &text)?)?;
        }
        settings.assign_all(sets.iter().map(|set| read_set(set)).collect::<Result<Vec<_>, _>>()?)?;
        settings.assign_all(options)?;
        settings.settle_listeners();
        Ok(settings)
    }

    fn assign_all(&mut self, assignments: Vec<Assignment>) -> Result<(), ConfigError> {
        for assignment in assignments {
            // An empty `[limits]` says nothing, and is no mistake.
            if assignment.key == "limits" && assignment.value == Value::Table(Vec::new()) {
                continue;
            }
            let checked = keys::check(assignment)?;
            if let Some(place) = self.assignments.iter_mut().find(|known| known.key == checked.key) {
                *place = checked;
            }
        }
        Ok(())
    }

    /// `listen` and `listener` are one setting in two forms: both count when they come from the same source,
    /// otherwise the one of the stronger source replaces the other.
    fn settle_listeners(&mut self) {
        let source = |key: &str| self.assignment(key).source.clone();
        let (listen, listener) = (source("listen"), source("listener"));
        let (loser, winner) = match listen.rank().cmp(&listener.rank()) {
            std::cmp::Ordering::Less => ("listen", listener),
            std::cmp::Ordering::Greater => ("listener", listen),
            std::cmp::Ordering::Equal => return,
        };
        if let Some(place) = self.assignments.iter_mut().find(|known| known.key == loser) {
            *place = Assignment { value: Value::List(Vec::new()), source: winner, ..place.clone() };
        }
    }

    /// The assignment of a key that the table has.
    fn assignment(&self, key: &str) -> &Assignment {
        // Every key is there from the start, and nothing is ever taken away.
        self.assignments.iter().find(|known| known.key == key).unwrap_or(&self.assignments[0])
    }

    fn text(&self, key: &str) -> &str {
        match &self.assignment(key).value {
            Value::Text(text) => text,
            _ => "",
        }
    }

    fn list(&self, key: &str) -> &[Value] {
        items(&self.assignment(key).value)
    }

    fn number(&self, key: &str) -> u64 {
        match self.assignment(key).value {
            Value::Number(number) => number.unsigned_abs(),
            _ => 0,
        }
    }

    fn is_on(&self, key: &str) -> bool {
        self.assignment(key).value == Value::Bool(true)
    }

    fn patterns(&self, key: &str) -> Vec<DomainPattern> {
        self.list(key).iter().filter_map(as_text).filter_map(|text| text.parse().ok()).collect()
    }

    /// An error about the setting `key`, with its place.
    fn error(&self, key: &str, sentence: impl Into<String>) -> ConfigError {
        ConfigError::new(self.assignment(key).source.clone(), sentence)
    }

    /// The setting as TOML, each with its source: what `check-config` prints. Read back, it means the same.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        let (limits, rest): (Vec<_>, Vec<_>) = self.assignments.iter().partition(|a| a.key.starts_with("limits."));
        for assignment in rest.iter().filter(|assignment| assignment.key != "listener") {
            push_line(&mut text, &assignment.key, assignment);
        }
        text.push_str("\n[limits]\n");
        for assignment in limits {
            push_line(&mut text, assignment.key.trim_start_matches("limits."), assignment);
        }
        for listener in self.list("listener") {
            text.push_str("\n[[listener]]\n");
            for entry in entries(listener) {
                push_line(&mut text, &entry.key, entry);
            }
        }
        text
    }
}

/// What a listener is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerConfig {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// The application behind it.
    pub(crate) app: App,
    /// What frames may be.
    pub(crate) frames: Frames,
    /// What ends a frame.
    pub(crate) framing: Framing,
    /// Whether a relay sends frames back to their sender, too.
    pub(crate) echo: bool,
    /// Whether policy requests are answered.
    pub(crate) policy: bool,
    /// Whether browsers are answered: WebSocket, the page, files.
    pub(crate) http: bool,
    /// The proxies that are believed about where their clients come from.
    pub(crate) proxies: Vec<Network>,
}

/// What is served for Flash content beside its sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContentConfig {
    /// The folder of SWFs and their assets.
    pub(crate) folder: Option<PathBuf>,
    /// Whether its SWFs are listed.
    pub(crate) list: bool,
    /// The folder of Ruffle's files.
    pub(crate) ruffle: Option<PathBuf>,
    /// The hosts, with ports, whose sockets are led here.
    pub(crate) flash_host: Vec<String>,
}

/// An application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum App {
    /// Rooms and people.
    Chat,
    /// Every frame to everybody else.
    Relay,
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            App::Chat => "chat",
            App::Relay => "relay",
        })
    }
}

/// What the settings amount to: what a server is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where clients connect; at least one.
    pub(crate) listeners: Vec<ListenerConfig>,
    /// The policy port's address.
    pub(crate) policy_listen: Option<String>,
    /// Domains that the policy lets in beside the server's own names.
    pub(crate) allow_domain: Vec<DomainPattern>,
    /// The file that takes the place of the policy that is made here.
    pub(crate) policy_file: Option<PathBuf>,
    /// How the outside calls this server.
    pub(crate) public_name: Vec<DomainPattern>,
    /// The port that the outside uses, where it is another than the listener's.
    pub(crate) public_port: Option<u16>,
    /// Flash content.
    pub(crate) content: ContentConfig,
    /// The server's name in a chat's welcome.
    pub(crate) name: String,
    /// Whether frames are shown.
    pub(crate) trace: bool,
    /// All limits.
    pub(crate) limits: Limits,
}

impl Config {
    /// Reads the settings, and checks what only shows when they are seen together.
    pub(crate) fn new(settings: &Settings) -> Result<Config, ConfigError> {
        let limits = limits(settings)?;
        let listeners = listeners(settings)?;
        if !settings.is_on("in_memory") {
            let sentence = "`in_memory = false` needs a database, which this version does not have; leave it out";
            return Err(settings.error("in_memory", sentence));
        }
        let non_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let policy_file = non_empty(settings.text("policy_file")).map(|file| beside(settings, "policy_file", &file));
        if policy_file.is_some() && !settings.list("allow_domain").is_empty() {
            let sentence = "`policy_file` takes the place of `allow_domain`; write those domains into the file, or leave the file out";
            return Err(settings.error("policy_file", sentence));
        }
        Ok(Config {
            listeners,
            policy_listen: non_empty(settings.text("policy_listen")),
            allow_domain: settings.patterns("allow_domain"),
            policy_file,
            public_name: settings.patterns("public_name"),
            content: content(settings)?,
            public_port: u16::try_from(settings.number("public_port")).ok().filter(|port| *port != 0),
            name: settings.text("name").to_owned(),
            trace: settings.is_on("trace"),
            limits,
        })
    }
}

fn content(settings: &Settings) -> Result<ContentConfig, ConfigError> {
    let folder = |key: &str| {
        let named = Some(settings.text(key)).filter(|name| !name.is_empty());
        named.map(|name| beside(settings, key, name))
    };
    let folder_of_content = folder("content");
    let needs_content = [
        ("ruffle", folder("ruffle").is_some()),
        ("flash_host", !settings.list("flash_host").is_empty()),
        ("content_list", settings.is_on("content_list")),
    ];
    if let (None, Some((key, _))) = (&folder_of_content, needs_content.iter().find(|(_, is_set)| *is_set)) {
        let sentence = format!("`{key}` says how Flash content is served, but `content` names no folder of it");
        return Err(settings.error(key, sentence));
    }
    Ok(ContentConfig {
        folder: folder_of_content,
        list: settings.is_on("content_list"),
        ruffle: folder("ruffle"),
        flash_host: settings.list("flash_host").iter().filter_map(as_text).map(str::to_owned).collect(),
    })
}

fn limits(settings: &Settings) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    for name in Limits::NAMES {
        let key = limit_key(name);
        limits.set(name, settings.number(&key)).map_err(|error| settings.error(&key, error.to_string()))?;
    }
    if limits.outbox_bytes_max < limits.frame_bytes_max {
        let sentence = format!(
            "`limits.outbox_bytes_max` ({}) is less than `limits.frame_bytes_max` ({}), so one frame could close whoever gets it",
            limits.outbox_bytes_max, limits.frame_bytes_max
        );
        let outbox_came_later = settings.assignment("limits.outbox_bytes_max").source.rank()
            >= settings.assignment("limits.frame_bytes_max").source.rank();
        let key = if outbox_came_later { "limits.outbox_bytes_max" } else { "limits.frame_bytes_max" };
        return Err(settings.error(key, sentence));
    }
    Ok(limits)
}

fn listeners(settings: &Settings) -> Result<Vec<ListenerConfig>, ConfigError> {
    let mut listeners = Vec::new();
    for address in settings.list("listen").iter().filter_map(as_text) {
        let entry =
            Assignment { key: "address".to_owned(), value: Value::Text(address.to_owned()), source: Source::Default };
        listeners.push(listener(settings, &[entry])?);
    }
    for table in settings.list("listener") {
        listeners.push(listener(settings, entries(table))?);
    }
    if listeners.is_empty() {
        return Err(settings.error("listen", "`listen` is empty, so nobody could connect; name at least one address"));
    }
    let echoes = settings.is_on("echo");
    if echoes && listeners.iter().all(|listener| listener.app == App::Chat) {
        let sentence = "`echo` is for relays: a chat always sends a message to its sender, too; leave it out";
        return Err(settings.error("echo", sentence));
    }
    Ok(listeners)
}

/// One listener: what its table says, otherwise what is said outside.
fn listener(settings: &Settings, table: &[Assignment]) -> Result<ListenerConfig, ConfigError> {
    let get = |key: &str| table.iter().find(|entry| entry.key == key);
    let setting = |key: &str| get(key).unwrap_or_else(|| settings.assignment(key));
    let word = |key: &str| as_text(&setting(key).value).unwrap_or_default();
    let app = if word("app") == "relay" { App::Relay } else { App::Chat };
    let framing = match word("framing") {
        "line" => Framing::Line,
        "stream" => Framing::Stream,
        _ => Framing::Nul,
    };
    let frames = match (word("frames"), app) {
        ("any", App::Relay) if framing == Framing::Stream => {
            let sentence =
                "a stream is one XML document, so `frames` cannot be `any` there; leave it out, or say `xml`";
            return Err(ConfigError::new(setting("frames").source.clone(), sentence));
        }
        _ if framing == Framing::Stream && app == App::Relay => Frames::Xml,
        ("any", App::Chat) => {
            let sentence =
                "a chat reads XML, so `frames` cannot be `any` there; leave it out, or take `app = \"relay\"`";
            return Err(ConfigError::new(setting("frames").source.clone(), sentence));
        }
        ("xml", _) | (_, App::Chat) => Frames::Xml,
        _ => Frames::Any,
    };
    Ok(ListenerConfig {
        address: word("address").to_owned(),
        app,
        frames,
        framing,
        echo: app == App::Relay && setting("echo").value == Value::Bool(true),
        policy: get("policy").is_none_or(|entry| entry.value == Value::Bool(true)),
        http: setting("http").value == Value::Bool(true),
        proxies: items(&setting("proxy").value)
            .iter()
            .filter_map(as_text)
            .filter_map(|text| text.parse().ok())
            .collect(),
    })
}

/// A file that the configuration file names lies beside that file, unless its path begins at the root.
fn beside(settings: &Settings, key: &str, file: &str) -> PathBuf {
    match &settings.assignment(key).source {
        Source::File { file: config, .. } => Path::new(config.as_ref()).parent().unwrap_or(Path::new("")).join(file),
        _ => PathBuf::from(file),
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn entries(value: &Value) -> &[Assignment] {
    match value {
        Value::Table(entries) => entries,
        _ => &[],
    }
}

/// One line of TOML, its source as a comment.
fn push_line(text: &mut String, key: &str, assignment: &Assignment) {
    let line = format!("{key} = {}", assignment.value);
    text.push_str(&format!("{line:<44} # {}\n", assignment.source));
}
