//! The configuration: [`Settings`], every setting with its value and where that was given, and [`Config`], what they amount to.
//!
//! Knows: precedence (option, `--set`, file, default), which settings exclude each other.
//! Must not know: sockets, threads, how a server is started.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};

use xmlsocket::policy::DomainPattern;
use xmlsocket::server::{Frames, Framing, Network};
use xmlsocket::wire::Limits;

// What a setting is given as, and where.
mod value;

// What a setting can be.
mod kind;

// All settings, each declared once.
mod settings;

#[cfg(test)]
mod tests;

use kind::FramesWanted;
pub(crate) use kind::{App, Form, one_of};
use settings::ListenerTable;
pub(crate) use settings::{DECLARED, Declared, Setting, Settings, nearest};
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

impl Settings {
    /// Puts the sources together: options over `--set`s over the file over what is built in.
    pub(crate) fn load(
        file: Option<&Path>,
        sets: &[String],
        options: Vec<Assignment>,
    ) -> Result<Settings, ConfigError> {
        let mut settings = Settings::defaults()?;
        if let Some(path) = file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                ConfigError::new(Source::Default, format!("cannot read the configuration {name}: {error}"))
            })?;
            read_file(&name, &text)?.into_iter().try_for_each(|assignment| settings.assign(assignment))?;
        }
        sets.iter().try_for_each(|set| settings.assign(read_set(set)?))?;
        options.into_iter().try_for_each(|option| settings.assign(option))?;
        settings.settle_listeners();
        Ok(settings)
    }

    /// `listen` and `listener` are one setting in two forms: both count when they come from the same source,
    /// otherwise the one of the stronger source replaces the other.
    fn settle_listeners(&mut self) {
        let none = Value::List(Vec::new());
        match self.listen.source.rank().cmp(&self.listener.source.rank()) {
            Ordering::Less => {
                self.listen = Setting { value: Vec::new(), written: none, source: self.listener.source.clone() };
            }
            Ordering::Greater => {
                self.listener = Setting { value: Vec::new(), written: none, source: self.listen.source.clone() };
            }
            Ordering::Equal => {}
        }
    }

    /// The settings as TOML, each with its source: what `check-config` prints. Read back, they mean the same.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        for (name, value, source) in self.entries().into_iter().filter(|(name, ..)| *name != "listener") {
            push_line(&mut text, name, value, source);
        }
        text.push_str("\n[limits]\n");
        for (name, limit) in &self.limits {
            push_line(&mut text, name, &limit.written, &limit.source);
        }
        for listener in items(&self.listener.written) {
            text.push_str("\n[[listener]]\n");
            for entry in entries(listener) {
                push_line(&mut text, &entry.key, &entry.value, &entry.source);
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
        if !settings.in_memory.value {
            let sentence = "`in_memory = false` needs a database, which this version does not have; leave it out";
            return Err(settings.in_memory.error(sentence));
        }
        let policy_file = file(&settings.policy_file);
        if policy_file.is_some() && !settings.allow_domain.value.is_empty() {
            let sentence = "`policy_file` takes the place of `allow_domain`; write those domains into the file, or leave the file out";
            return Err(settings.policy_file.error(sentence));
        }
        let policy_listen = settings.policy_listen.value.0.clone();
        Ok(Config {
            listeners,
            policy_listen: (!policy_listen.is_empty()).then_some(policy_listen),
            allow_domain: settings.allow_domain.value.clone(),
            policy_file,
            public_name: settings.public_name.value.0.clone(),
            content: content(settings)?,
            public_port: settings.public_port.value.0,
            name: settings.name.value.clone(),
            trace: settings.trace.value,
            limits,
        })
    }
}

impl<T> Setting<T> {
    /// An error about the setting, with its place.
    fn error(&self, sentence: impl Into<String>) -> ConfigError {
        ConfigError::new(self.source.clone(), sentence)
    }
}

fn content(settings: &Settings) -> Result<ContentConfig, ConfigError> {
    let Settings { content, content_list, ruffle, flash_host, .. } = settings;
    let config = ContentConfig {
        folder: file(content),
        list: content_list.value,
        ruffle: file(ruffle),
        flash_host: flash_host.value.0.clone(),
    };
    let needs_content = [
        ("ruffle", config.ruffle.is_some(), &ruffle.source),
        ("flash_host", !config.flash_host.is_empty(), &flash_host.source),
        ("content_list", config.list, &content_list.source),
    ];
    match needs_content.into_iter().find(|(_, is_set, _)| *is_set) {
        Some((name, _, source)) if config.folder.is_none() => {
            let sentence = format!("`{name}` says how Flash content is served, but `content` names no folder of it");
            Err(ConfigError::new(source.clone(), sentence))
        }
        _ => Ok(config),
    }
}

fn limits(settings: &Settings) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    for (name, limit) in &settings.limits {
        limits.set(name, limit.value).map_err(|error| limit.error(error.to_string()))?;
    }
    if limits.outbox_bytes_max < limits.frame_bytes_max {
        let sentence = format!(
            "`limits.outbox_bytes_max` ({}) is less than `limits.frame_bytes_max` ({}), so one frame could close whoever gets it",
            limits.outbox_bytes_max, limits.frame_bytes_max
        );
        // Whichever was given by the stronger source, and so came later.
        let both = settings.limits.iter().filter(|(name, _)| matches!(*name, "frame_bytes_max" | "outbox_bytes_max"));
        let source = both.map(|(_, limit)| &limit.source).max_by_key(|source| source.rank());
        return Err(ConfigError::new(source.unwrap_or(&Source::Default).clone(), sentence));
    }
    Ok(limits)
}

fn listeners(settings: &Settings) -> Result<Vec<ListenerConfig>, ConfigError> {
    let mut listeners = Vec::new();
    for address in &settings.listen.value {
        listeners.push(listener(settings, &address.0, &ListenerTable::default())?);
    }
    for table in &settings.listener.value {
        let address = table.address.as_ref().map_or("", |address| &address.value.0);
        listeners.push(listener(settings, address, table)?);
    }
    if listeners.is_empty() {
        return Err(settings.listen.error("`listen` is empty, so nobody could connect; name at least one address"));
    }
    if settings.echo.value && listeners.iter().all(|listener| listener.app == App::Chat) {
        let sentence = "`echo` is for relays: a chat always sends a message to its sender, too; leave it out";
        return Err(settings.echo.error(sentence));
    }
    Ok(listeners)
}

/// One listener: what its table says, otherwise what is said outside.
fn listener(settings: &Settings, address: &str, table: &ListenerTable) -> Result<ListenerConfig, ConfigError> {
    let app = table.app.as_ref().unwrap_or(&settings.app).value;
    let framing = table.framing.as_ref().unwrap_or(&settings.framing).value;
    let wanted = table.frames.as_ref().unwrap_or(&settings.frames);
    let frames = match (wanted.value, app) {
        (FramesWanted::Any, App::Relay) if framing == Framing::Stream => {
            let sentence =
                "a stream is one XML document, so `frames` cannot be `any` there; leave it out, or say `xml`";
            return Err(wanted.error(sentence));
        }
        (FramesWanted::Any, App::Chat) => {
            let sentence =
                "a chat reads XML, so `frames` cannot be `any` there; leave it out, or take `app = \"relay\"`";
            return Err(wanted.error(sentence));
        }
        (FramesWanted::Xml, _) | (_, App::Chat) => Frames::Xml,
        _ if framing == Framing::Stream => Frames::Xml,
        _ => Frames::Any,
    };
    Ok(ListenerConfig {
        address: address.to_owned(),
        app,
        frames,
        framing,
        echo: app == App::Relay && table.echo.as_ref().unwrap_or(&settings.echo).value,
        policy: table.policy.as_ref().is_none_or(|policy| policy.value),
        http: table.http.as_ref().unwrap_or(&settings.http).value,
        proxies: table.proxy.as_ref().unwrap_or(&settings.proxy).value.clone(),
    })
}

/// A file, unless none is named. One that the configuration file names lies beside that file, unless its path begins at
/// the root.
fn file(setting: &Setting<String>) -> Option<PathBuf> {
    let name = Some(&setting.value).filter(|name| !name.is_empty())?;
    Some(match &setting.source {
        Source::File { file: config, .. } => Path::new(config.as_ref()).parent().unwrap_or(Path::new("")).join(name),
        _ => PathBuf::from(name),
    })
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
fn push_line(text: &mut String, key: &str, value: &Value, source: &Source) {
    let line = format!("{key} = {value}");
    text.push_str(&format!("{line:<44} # {source}\n"));
}
