//! Defines [`Settings`], every setting that there is: one declaration each, from which the configuration file, `--set`,
//! `check-config`, the options of `serve` and their help are made. docs/xmlsocket.default.toml says the reasons; a test
//! compares it with this.
//!
//! Knows: names, types, defaults, options. Must not know: which settings go together, what they do.

use xmlsocket::policy::DomainPattern;
use xmlsocket::server::{Framing, Network};
use xmlsocket::wire::Limits;

use super::ConfigError;
use super::kind::{Address, App, FlashHosts, Form, FramesWanted, HostNames, Kind, OutsidePort, Unfit, read_limit};
use super::value::{Assignment, Source, Value, read_set};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    /// The value as it is written in a file.
    pub(super) written: Value,
    /// Where it was given.
    pub(crate) source: Source,
}

impl<T: Kind> Setting<T> {
    /// What an assignment to a setting of this type makes of it.
    fn read(assignment: Assignment) -> Result<Setting<T>, ConfigError> {
        let Assignment { key, value, source } = assignment;
        let (value, written) = T::read(value).map_err(|unfit| refusal(&key, source.clone(), unfit))?;
        Ok(Setting { value, written, source })
    }
}

/// What to say of a value that does not fit the setting `key`.
fn refusal(key: &str, source: Source, unfit: Unfit) -> ConfigError {
    let label = match &source {
        Source::Option(option) => option,
        _ => key,
    };
    let sentence = match unfit {
        Unfit::Expected(expected, got) => format!("`{label}` takes {expected}, not {got}"),
        Unfit::Says(text) => format!("`{label}`: {text}"),
        Unfit::Sentence(sentence) => sentence,
        Unfit::Within(error) => return error,
    };
    ConfigError::new(source, sentence)
}

/// What is declared of a setting.
pub(crate) struct Declared {
    /// Its name.
    pub(crate) name: &'static str,
    /// The option of `serve` that gives it, with two dashes, and what stands for the value in its help.
    pub(crate) usage: Option<&'static str>,
    /// How the option gives a value.
    pub(crate) form: Form,
    /// The lines of the option's help.
    pub(crate) help: &'static [&'static str],
    /// The default, as TOML.
    pub(crate) default: &'static str,
}

impl Declared {
    /// The default, as the help shows it; `None` where nothing is the default, or a switch is off.
    pub(crate) fn default_shown(&self) -> Option<String> {
        let text = |value: Value| if let Value::Text(text) = value { text } else { value.to_string() };
        match read_set(&format!("{}={}", self.name, self.default)).ok()?.value {
            Value::Bool(_) => None,
            Value::List(items) => Some(items.into_iter().map(text).collect::<Vec<_>>().join(", ")),
            value => Some(text(value)),
        }
        .filter(|shown| !shown.is_empty())
    }
}

/// Declares [`Settings`]: a name with its type and default, as TOML, and the option that gives it, if there is one. The
/// description is the option's help.
macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ty = $default:literal $(, $usage:literal)?;)+) => {
        /// Every setting. No name of one is a text outside of this file, so that none can be mistyped.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Settings {
            $($(#[doc = $help])+ pub(crate) $name: Setting<$kind>,)+
            /// The limits by name, in the order of the reference.
            pub(crate) limits: Vec<(&'static str, Setting<u64>)>,
        }

        /// What is declared of each setting, in the order of the reference.
        pub(crate) const DECLARED: &[Declared] = &[$(Declared {
            name: stringify!($name),
            usage: settings!(@usage $($usage)?),
            form: <$kind as Kind>::FORM,
            help: &[$($help),+],
            default: $default,
        }),+];

        impl Settings {
            /// What is built in.
            pub(crate) fn defaults() -> Result<Settings, ConfigError> {
                Ok(Settings {
                    $($name: built_in(concat!(stringify!($name), "=", $default))?,)+
                    limits: built_in_limits(),
                })
            }

            /// Gives the setting called `key` another value. Whether there is one.
            fn replace(&mut self, assignment: Assignment) -> Result<Option<Assignment>, ConfigError> {
                match assignment.key.as_str() {
                    $(stringify!($name) => self.$name = Setting::read(assignment)?,)+
                    _ => return Ok(Some(assignment)),
                }
                Ok(None)
            }

            /// The settings that are no limits, by name, as they are written in a file.
            pub(super) fn entries(&self) -> Vec<(&'static str, &Value, &Source)> {
                vec![$((stringify!($name), &self.$name.written, &self.$name.source)),+]
            }
        }
    };
    (@usage) => { None };
    (@usage $usage:literal) => { Some($usage) };
}

settings! {
    /// Where to listen; repeatable; port 0 is any free one
    listen: Vec<Address> = r#"["127.0.0.1:1024"]"#, "--listen ADDR:PORT";
    /// What runs there: chat (rooms and people) or relay (every frame to all others)
    app: App = r#""chat""#, "--app APP";
    /// What a frame may be: xml (a well-formed document) or any (not looked at) [default: xml for chat, any for
    /// relay]
    frames: FramesWanted = r#""auto""#, "--frames FRAMES";
    /// What ends a frame: nul (a zero byte), line (a newline too, for telnet and class) or stream (the end of an element
    /// of an endless document, for XMLStreams and XMPP)
    framing: Framing = r#""nul""#, "--framing FRAMING";
    /// A relay sends frames to their sender, too
    echo: bool = "false", "--echo";
    /// The server's name in a chat's welcome
    name: String = r#""xmlsocket""#;
    /// Keep history in memory only: in this version there is nothing else
    in_memory: bool = "true", "--in-memory";
    /// Show each frame in and out on stderr, as text and hex; passwords and sessions as ***
    trace: bool = "false", "--trace";
    /// A port of its own for the socket policy, 843 where the right is given [default: none]
    policy_listen: Address = r#""""#, "--policy-listen ADDR:PORT";
    /// How the outside calls this server: SWFs loaded from there may connect; repeatable
    public_name: HostNames = "[]", "--public-name NAME";
    /// The port that the outside uses [default: the listener's own]
    public_port: OutsidePort = "0", "--public-port PORT";
    /// SWFs from this domain may connect: www.example.com, *.example.com, or * (everyone); repeatable
    allow_domain: Vec<DomainPattern> = "[]", "--allow-domain DOMAIN";
    /// Answer policy requests with this file instead
    policy_file: String = r#""""#, "--policy-file FILE";
    /// Whether browsers are answered
    http: bool = "true";
    /// Believe this proxy, an address or a range such as 10.0.0.0/8, about where its clients come from (PROXY protocol,
    /// X-Forwarded-For); repeatable
    proxy: Vec<Network> = "[]", "--proxy ADDRESS";
    /// Serve this folder of SWFs and their assets, at /content/
    content: String = r#""""#, "--content DIR";
    /// List the SWFs of --content at /play/
    content_list: bool = "false", "--content-list";
    /// Play the SWFs of --content at /play/NAME.swf, in the Ruffle that lies here: the folder of the npm package
    /// @ruffle-rs/ruffle
    ruffle: String = r#""""#, "--ruffle DIR";
    /// Lead the sockets that these SWFs open to this host and port to this server; repeatable [default: this server's
    /// own name and port]
    flash_host: FlashHosts = "[]", "--flash-host NAME:PORT";
    /// Listeners that differ
    listener: Vec<ListenerTable> = "[]";
}

impl Settings {
    /// Gives a setting another value.
    pub(super) fn assign(&mut self, assignment: Assignment) -> Result<(), ConfigError> {
        // An empty `[limits]` says nothing, and is no mistake.
        if assignment.key == "limits" && assignment.value == Value::Table(Vec::new()) {
            return Ok(());
        }
        let Some(assignment) = self.replace(assignment)? else { return Ok(()) };
        let limit = assignment.key.strip_prefix("limits.");
        let Some((name, limit)) = self.limits.iter_mut().find(|(name, _)| Some(*name) == limit) else {
            return Err(unknown(&assignment));
        };
        let default = Limits::default().entries().find(|(known, _)| known == name).map_or(0, |(_, value)| value);
        let Assignment { key, value, source } = assignment;
        let read = read_limit(name, default, &value).map_err(|unfit| refusal(&key, source.clone(), unfit))?;
        *limit = Setting { value: read, written: value, source };
        Ok(())
    }
}

fn built_in<T: Kind>(assignment: &str) -> Result<Setting<T>, ConfigError> {
    Setting::read(Assignment { source: Source::Default, ..read_set(assignment)? })
}

fn built_in_limits() -> Vec<(&'static str, Setting<u64>)> {
    let limit = |(name, value): (&'static str, u64)| {
        (name, Setting { value, written: Value::Number(value.cast_signed()), source: Source::Default })
    };
    Limits::default().entries().map(limit).collect()
}

/// What to say about a key that there is not.
fn unknown(assignment: &Assignment) -> ConfigError {
    let key = assignment.key.as_str();
    let sentence = match key {
        "limits" => "`limits` is a table; write `[limits]` and below it one limit a line".to_owned(),
        _ if key.starts_with("listener.") => "`listener` is a list; write `[[listener]]`, with two brackets".to_owned(),
        _ => {
            let limits: Vec<String> = Limits::NAMES.iter().map(|name| format!("limits.{name}")).collect();
            let known = DECLARED.iter().map(|declared| declared.name).chain(limits.iter().map(String::as_str));
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

/// Declares [`ListenerTable`].
macro_rules! listener_settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty;)+) => {
        /// A `[[listener]]`. Where it is silent, the setting of the same name outside counts; a policy is served.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct ListenerTable {
            $($(#[doc = $doc])+ pub(crate) $name: Option<Setting<$kind>>,)+
        }

        impl ListenerTable {
            /// The names of what a table may have.
            pub(super) const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            fn assign(&mut self, entry: Assignment) -> Result<(), ConfigError> {
                match entry.key.as_str() {
                    $(stringify!($name) => self.$name = Some(Setting::read(entry)?),)+
                    key => {
                        let nearest = nearest(key, Self::NAMES.iter().copied());
                        let sentence =
                            format!("a `[[listener]]` has no setting `{key}`; the nearest one is `{nearest}`");
                        return Err(ConfigError::new(entry.source, sentence));
                    }
                }
                Ok(())
            }
        }
    };
}

listener_settings! {
    /// Where clients connect.
    address: Address;
    /// What runs there.
    app: App;
    /// What a frame may be.
    frames: FramesWanted;
    /// What ends a frame.
    framing: Framing;
    /// Whether a relay sends frames to their sender, too.
    echo: bool;
    /// Whether policy requests are answered.
    policy: bool;
    /// Whether browsers are answered.
    http: bool;
    /// The proxies that are believed.
    proxy: Vec<Network>;
}

impl Kind for Vec<ListenerTable> {
    const FORM: Form = Form::Many;

    fn read(value: Value) -> Result<(Vec<ListenerTable>, Value), Unfit> {
        let Value::List(items) = value else {
            let expected = "a list of tables, each headed `[[listener]]`".to_owned();
            return Err(Unfit::Expected(expected, super::kind::describe(&value)));
        };
        let tables: Result<Vec<ListenerTable>, Unfit> = items.iter().map(read_table).collect();
        Ok((tables?, Value::List(items)))
    }
}

fn read_table(item: &Value) -> Result<ListenerTable, Unfit> {
    let Value::Table(entries) = item else {
        return Err(Unfit::Sentence("`listener` is a list of tables, each headed `[[listener]]`".to_owned()));
    };
    let mut table = ListenerTable::default();
    entries.iter().try_for_each(|entry| table.assign(entry.clone())).map_err(Unfit::Within)?;
    if table.address.as_ref().is_none_or(|address| address.value.0.is_empty()) {
        let sentence = "a `[[listener]]` needs an `address`, such as `\"127.0.0.1:1024\"`";
        return Err(match entries.first() {
            Some(entry) => Unfit::Within(ConfigError::new(entry.source.clone(), sentence)),
            None => Unfit::Sentence(sentence.to_owned()),
        });
    }
    Ok(table)
}
