//! Defines what is said about wrong arguments: one sentence, with the nearest known name.
//!
//! Knows: clap's errors. Must not know: what the arguments do.

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::config::{nearest, one_of};
use super::options::Options;
use crate::exit_code::Failure;
use crate::taken::Taken;

/// Says in one sentence what is wrong with `arguments`.
pub(super) fn failure(error: &clap::Error, arguments: &[String]) -> Failure {
    let command = Addressed::find(arguments);
    let context = |kind| error.get(kind).map(words).unwrap_or_default();
    let argument = context(ContextKind::InvalidArg);
    let fault = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => command.unknown_option(&argument),
        ErrorKind::UnknownArgument => format!("`{argument}` is one argument too many"),
        ErrorKind::InvalidSubcommand => command.unknown_subcommand(&context(ContextKind::InvalidSubcommand)),
        ErrorKind::MissingRequiredArgument if argument.contains(", ") => {
            format!("{} are missing", argument.replace(", ", " and "))
        }
        ErrorKind::MissingRequiredArgument => format!("{argument} is missing"),
        ErrorKind::ArgumentConflict => format!("`{}` is given twice", name_of(&argument)),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = context(ContextKind::InvalidValue);
            if value.is_empty() {
                format!("`{}` needs a value, as in `{argument}`", name_of(&argument))
            } else {
                format!("`{}` takes {}, not `{value}`", name_of(&argument), taken(error))
            }
        }
        ErrorKind::TooManyValues => format!("`{}` takes no value", name_of(&argument)),
        ErrorKind::InvalidUtf8 => "the arguments must be UTF-8".to_owned(),
        kind => kind.as_str().unwrap_or("the arguments cannot be understood").to_owned(),
    };
    Failure::usage(format!("{fault}; see `{} --help`", command.path))
}

/// The option's own name, without its placeholder: `--app` of `--app <APP>`.
fn name_of(argument: &str) -> &str {
    argument.split([' ', '=']).next().unwrap_or(argument).trim_matches(['<', '>', '[', ']'])
}

fn words(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(words) => words.join(", "),
        value => value.to_string(),
    }
}

/// The command that the arguments were meant for.
struct Addressed {
    command: clap::Command,
    /// How it is called: `xmlsocket policy fetch`.
    path: String,
}

impl Addressed {
    fn find(arguments: &[String]) -> Addressed {
        let mut command = Options::command();
        command.build();
        let mut path = command.get_name().to_owned();
        for argument in arguments.iter().skip(1) {
            if let Some(inner) = command.find_subcommand(argument) {
                path = format!("{path} {}", inner.get_name());
                command = inner.clone();
            }
        }
        Addressed { command, path }
    }

    fn unknown_option(&self, argument: &str) -> String {
        let known: Vec<String> =
            self.command.get_arguments().filter_map(|known| known.get_long().map(|long| format!("--{long}"))).collect();
        let name = name_of(argument);
        format!("there is no option `{name}`; the nearest one is `{}`", nearest(name, known.iter().map(String::as_str)))
    }

    fn unknown_subcommand(&self, name: &str) -> String {
        let nearest = nearest(name, self.command.get_subcommands().map(clap::Command::get_name));
        format!("there is no command `{name}`; the nearest one is `{nearest}`")
    }
}

/// What the argument takes: its choices, or what its reader says.
fn taken(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(choices)) = error.get(ContextKind::ValidValue) {
        return one_of(choices.iter().map(String::as_str));
    }
    let says = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Taken>());
    says.map_or_else(|| "something else".to_owned(), Taken::to_string)
}
