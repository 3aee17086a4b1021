//! Defines [`Options`], the command line: subcommands, options, and the help that teaches them.
//!
//! Knows: clap, how options are called. Must not know: which values fit a setting (see `config/settings.rs`), what is done.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, value_parser};

use super::config::{Assignment, ConfigError, DECLARED, Declared, Form, Settings, Source, Value};
#[cfg(target_os = "linux")]
use crate::bench::BenchOptions;
use crate::taken::whole;
use xmlsocket::wire::Limits;

/// What every help page looks like: what it is for, examples, then the reference.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// The columns of a help page, on screens that are wider.
const COLUMNS_MAX: usize = 100;

/// The command line.
#[derive(Parser, Debug)]
#[command(
    name = "xmlsocket",
    version,
    about = "XMLSocket: a chat server, a relay, and clients, for XML over TCP, each frame ended by a zero byte",
    help_template = TEMPLATE,
    max_term_width = COLUMNS_MAX,
    before_help = "Examples:
  xmlsocket serve
      a chat server on 127.0.0.1, port 1024
  xmlsocket chat 127.0.0.1 --nick ann
      talk in it
  xmlsocket connect 127.0.0.1
      see its frames as they are
  xmlsocket policy check 127.0.0.1 1024 --from www.example.com
      would a Flash Player let a SWF from there connect?",
    after_help = "`xmlsocket COMMAND --help` explains a command. Exit codes: 0 all went well, 1 it failed at run \
            time, 2 the arguments or the configuration are wrong."
)]
pub(super) struct Options {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What the help of `serve` ends with: what it prints, how it stops, and the limits.
fn serve_notes() -> String {
    let mut notes = String::from(
        "Once it is ready, one line for each port goes to stdout: `listening on 127.0.0.1:1024 (chat)`. Logs go to stderr \
         (RUST_LOG=debug for more). SIGINT (^C) and SIGTERM stop it gracefully, a second one at once; SIGHUP reads limits \
         and policy again.\n\n\
         Limits, set with --set limits.NAME=NUMBER; the unit ends the name, 0 means none:\n",
    );
    for (name, value) in Limits::default().entries() {
        let needed = if Limits::default().set(name, 0).is_err() { "  (0 is refused)" } else { "" };
        notes.push_str(&format!("  {name:<33} {value}{needed}\n"));
    }
    notes.push_str("All settings with their reasons: docs/xmlsocket.default.toml.");
    notes
}

/// What the program is to do.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run a server: a chat, a relay, or both
    #[command(
        before_help = "Examples:
  xmlsocket serve
      a chat on 127.0.0.1:1024, for this machine
  xmlsocket serve --listen 0.0.0.0:1024 --public-name chat.example.com
      a chat for everyone, and for SWFs loaded from that name
  xmlsocket serve --app relay --echo --framing line
      every frame to everybody, usable with telnet
  xmlsocket serve --app relay --content games --ruffle node_modules/@ruffle-rs/ruffle
      old SWFs in a browser, at http://127.0.0.1:1024/play/NAME.swf
  xmlsocket serve --trace
      see each frame that comes and goes
  xmlsocket serve --config my.toml --set limits.connections_max=500
      settings from a file, and one that differs this time",
        after_help = serve_notes()
    )]
    Serve(ServeOptions),
    /// Talk in a chat
    #[command(
        before_help = "Examples:
  xmlsocket chat 127.0.0.1 --nick ann
      then type; /help shows the commands
  xmlsocket chat chat.example.com:2000 --nick ann --room tea
      another port, another room
  echo 'dinner is ready' | xmlsocket chat 127.0.0.1 --nick kitchen
      from a script: ends when all is answered",
        after_help = "On a terminal, lines are read with a prompt and what others say appears above it; a lost connection is \
            made again. Otherwise the \
            lines are sent at a speed that the server's default limits allow, and at their end the program \
            waits for the answers and leaves. A line that is refused ends it with exit code 1, and those behind it are \
            not sent: they may have been meant for a room that it could not enter."
    )]
    Chat(ChatOptions),
    /// Send and receive raw frames: a line in is a frame out
    #[command(
        before_help = "Examples:
  xmlsocket connect 127.0.0.1
      then type: <login nick=\"ann\"/>
  printf '<ping/>\\n<rooms/>\\n' | xmlsocket connect 127.0.0.1
      from a script: prints the answers and ends
  xmlsocket connect --framing line 127.0.0.1:2000
      frames end with a newline, both ways",
        after_help = "Each frame that comes in is a line on stdout; a newline or control character inside it is shown \
            as \\n or \\u{1b}. At the end of its input it tells the server that nothing more will come, and \
            goes on printing until the server closes or --wait has passed without a frame."
    )]
    Connect(ConnectOptions),
    /// Ask for a server's socket policy, as Flash Players do
    #[command(
        subcommand_required = true,
        help_template = TEMPLATE,
        before_help = "Examples:
  xmlsocket policy fetch chat.example.com 843
      what the policy port answers
  xmlsocket policy check chat.example.com 1024 --from www.example.com
      whether a SWF from there may connect, and otherwise what to change"
    )]
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Measure a server: load it, and check every frame that it delivers
    #[cfg(target_os = "linux")]
    #[command(
        before_help = "Examples:
  xmlsocket bench 127.0.0.1:1024
      a chat without limits (serve --set limits.frames_per_second_max=0): messages to 100 people from 4
  xmlsocket bench 127.0.0.1:1024 latency --rate 50 --json
      how long they take, for a script
  xmlsocket bench 127.0.0.1:2000 --preset relay --receivers 1000
      a relay (serve --app relay --echo)",
        after_help = "One frame that is missing, comes twice, or is torn ends the run with exit code 1. The limits of a \
            server are what it is for; to see what it can do without them: \
            xmlsocket serve --set limits.frames_per_second_max=0"
    )]
    Bench(Box<BenchOptions>),
    /// Show the settings that `serve` would run with, and where each comes from
    #[command(
        before_help = "Examples:
  xmlsocket check-config --config my.toml
      before a restart
  xmlsocket check-config > my.toml
      a file to begin with",
        after_help = "It takes all options of `serve` and prints TOML, each line with its source: `default`, \
            FILE:LINE, `--set`, or the option. Nothing is started. Wrong settings: one sentence on stderr \
            and exit code 2."
    )]
    CheckConfig(ServeOptions),
    /// Print what a web page needs so that Ruffle leads a SWF's sockets to a server
    #[command(
        before_help = "Examples:
  xmlsocket ruffle-config --flash-host games.example.org:9339 --url wss://games.example.org/ws
      for a page of your own, before the script that loads Ruffle
  xmlsocket ruffle-config
      for a server on this machine",
        after_help = "A browser cannot open TCP: Ruffle leads each socket through the WebSocket that its configuration \
            names for the socket's host and port, exactly as the SWF writes them. The server lets the page in if \
            `--allow-domain` names the site that the page is from. `serve --content` makes pages that need none of this."
    )]
    RuffleConfig(RuffleOptions),
}

/// The options of `ruffle-config`.
#[derive(Args, Debug)]
#[command(help_template = TEMPLATE)]
pub(super) struct RuffleOptions {
    /// A host and port that the SWF opens sockets to; repeatable [default: localhost:1024 and 127.0.0.1:1024]
    #[arg(long, value_name = "NAME:PORT")]
    pub(super) flash_host: Vec<String>,
    /// The server's WebSocket: ws://HOST:PORT/ws, or wss:// behind TLS
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:1024/ws")]
    pub(super) url: String,
}

/// The options of `serve`: those that give settings, as these are declared, the configuration file, and `--set`.
#[derive(Clone, Debug)]
pub(super) struct ServeOptions {
    given: Vec<Assignment>,
    config: Option<PathBuf>,
    set: Vec<String>,
}

impl ServeOptions {
    /// All settings: these options, the `--set`s, the file, the defaults.
    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        Settings::load(self.config.as_deref(), &self.set, self.given.clone())
    }
}

impl Args for ServeOptions {
    fn augment_args(command: clap::Command) -> clap::Command {
        let config = Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf));
        let set = Arg::new("set").long("set").value_name("KEY=VALUE").action(ArgAction::Append);
        command
            .args(DECLARED.iter().filter_map(option))
            .arg(config.help("The configuration file, TOML [default: none]"))
            .arg(set.help("Set any key of the configuration file, such as limits.frames_per_second_max=0; repeatable"))
            .help_template(TEMPLATE)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ServeOptions::augment_args(command)
    }
}

impl FromArgMatches for ServeOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<ServeOptions, clap::Error> {
        Ok(ServeOptions {
            given: DECLARED.iter().filter_map(|declared| assignment(declared, matches)).collect(),
            config: matches.get_one::<PathBuf>("config").cloned(),
            set: matches.get_many::<String>("set").into_iter().flatten().cloned().collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = ServeOptions::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The option that gives a setting, if there is one. Values are checked with those of the configuration file, so they are
/// texts here.
fn option(declared: &Declared) -> Option<Arg> {
    let (option, placeholder) = declared.usage.map(|usage| usage.split_once(' ').unwrap_or((usage, "")))?;
    let mut help: String = declared.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    if let Some(default) = declared.default_shown().filter(|_| !help.contains("[default: ")) {
        help.push_str(&format!(" [default: {default}]"));
    }
    let arg = Arg::new(declared.name).long(option.trim_start_matches('-')).help(help);
    Some(match declared.form {
        Form::Switch => arg.action(ArgAction::SetTrue),
        Form::One | Form::Number => arg.value_name(placeholder),
        Form::Many => arg.value_name(placeholder).action(ArgAction::Append),
    })
}

/// The setting that was given with its option, if it was.
fn assignment(declared: &Declared, matches: &ArgMatches) -> Option<Assignment> {
    let (option, _) = declared.usage.map(|usage| usage.split_once(' ').unwrap_or((usage, "")))?;
    let texts = || matches.get_many::<String>(declared.name).into_iter().flatten().cloned();
    let value = match declared.form {
        Form::Switch => matches.get_flag(declared.name).then_some(Value::Bool(true)),
        Form::One => texts().next().map(Value::Text),
        Form::Many => Some(Value::List(texts().map(Value::Text).collect())).filter(|_| texts().next().is_some()),
        // What is no number stays a text, so that the check says what is expected.
        Form::Number => texts().next().map(|text| text.parse().map_or(Value::Text(text), Value::Number)),
    };
    Some(Assignment { key: declared.name.to_owned(), value: value?, source: Source::Option(option) })
}

/// The options of `chat`.
#[derive(Args, Debug)]
#[command(help_template = TEMPLATE)]
pub(super) struct ChatOptions {
    /// The server, as HOST or HOST:PORT [default port: 1024]
    #[arg(value_name = "ADDR")]
    pub(super) address: String,
    /// Your name in the chat, 1 to 32 characters
    #[arg(long, value_name = "NICK")]
    pub(super) nick: String,
    /// The room to go to first
    #[arg(long, value_name = "ROOM", default_value = "lobby")]
    pub(super) room: String,
    /// In a script, go on behind a line that is refused; the exit code is 1 all the same
    #[arg(long)]
    pub(super) keep_going: bool,
}

/// The options of `connect`.
#[derive(Args, Debug)]
#[command(help_template = TEMPLATE)]
pub(super) struct ConnectOptions {
    /// The server, as HOST or HOST:PORT [default port: 1024]
    #[arg(value_name = "ADDR")]
    pub(super) address: String,
    /// What ends a frame: nul (a zero byte) or line (a newline)
    #[arg(long, value_name = "FRAMING", default_value = "nul", hide_possible_values = true)]
    pub(super) framing: ConnectFraming,
    /// Seconds without a frame after which it ends, once its input has ended
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = whole::<u64>(0..=86_400))]
    pub(super) wait: u64,
}

/// What ends a frame of `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ConnectFraming {
    /// A zero byte.
    Nul,
    /// A newline.
    Line,
}

/// What to do about policies.
#[derive(Subcommand, Debug)]
pub(super) enum PolicyCommand {
    /// Print the policy file that HOST answers at PORT
    #[command(
        help_template = TEMPLATE,
        before_help = "Examples:
  xmlsocket policy fetch chat.example.com 843
      what the policy port answers
  xmlsocket policy fetch 127.0.0.1 1024 > policy.xml
      keep it",
        after_help = "It sends <policy-file-request/> and a zero byte, prints what comes back up to the next zero \
            byte, and says on stderr what players would ignore in it. Exit code 1: nobody answers, or not \
            with a policy file."
    )]
    Fetch {
        /// The server's name or address
        #[arg(value_name = "HOST")]
        host: String,
        /// The port to ask: 843, the port of the service itself, or another
        #[arg(value_name = "PORT", value_parser = whole::<u16>(1..=65_535))]
        port: u16,
        /// Seconds to wait for the connection, and for the answer; players give port 843 three
        #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = whole::<u64>(1..=3_600))]
        timeout: u64,
    },
    /// Decide as a Flash Player would whether a SWF may connect to PORT of HOST, and say why
    #[command(
        before_help = "Examples:
  xmlsocket policy check chat.example.com 1024 --from www.example.com
      the latest players, and a SWF of that web site
  xmlsocket policy check chat.example.com 1024 --from https://www.example.com --player 9
      an older player, a SWF loaded over HTTPS
  xmlsocket policy check 127.0.0.1 1024 --from file:///home/ann/chat.swf --json
      a SWF opened from a file; the answer for a script",
        after_help = "It asks whom the player would ask, in that order and as patiently: says what each answered and in how \
            long, and then the verdict with its reason. It does not connect as the SWF would. Exit code 0: granted, 1: \
            refused."
    )]
    Check(CheckOptions),
}

/// The options of `policy check`.
#[derive(Args, Debug)]
#[command(help_template = TEMPLATE)]
pub(super) struct CheckOptions {
    /// The server's name or address, as the SWF would write it
    #[arg(value_name = "HOST")]
    pub(super) host: String,
    /// The port that the SWF would connect to
    #[arg(value_name = "PORT", value_parser = whole::<u16>(1..=65_535))]
    pub(super) port: u16,
    /// Where the SWF was loaded from: a domain, or the address of the SWF
    #[arg(long, value_name = "DOMAIN")]
    pub(super) from: String,
    /// The player's version, or air
    #[arg(long, value_name = "VERSION", default_value = "10")]
    pub(super) player: String,
    /// A place that the SWF named with loadPolicyFile, such as xmlsocket://chat.example.com:8430; repeatable
    #[arg(long, value_name = "URL")]
    pub(super) load_policy: Vec<String>,
    /// One JSON object on stdout, for scripts
    #[arg(long)]
    pub(super) json: bool,
    /// The port that stands in for 843, to try a policy where nobody may listen there
    #[arg(long, value_name = "PORT", value_parser = whole::<u16>(1..=65_535))]
    pub(super) master_port: Option<u16>,
    /// The port that stands in for 80, where players up to 8 ask for /crossdomain.xml
    #[arg(long, value_name = "PORT", value_parser = whole::<u16>(1..=65_535))]
    pub(super) web_port: Option<u16>,
}
