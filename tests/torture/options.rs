//! Defines [`Options`]: which attacks, how long, how many.
//!
//! Knows: the words of the command line. Must not know: what an attack does.

use std::path::PathBuf;
use std::time::Duration;

use crate::attacks::{self, Attack};

/// What is to be run.
pub(crate) struct Options {
    /// The names of the attacks; empty for all.
    names: Vec<String>,
    /// How long people chat in quiet.
    pub(crate) quiet: Duration,
    /// How long they chat while attacked.
    pub(crate) seconds: Duration,
    /// How many people chat.
    pub(crate) people: usize,
    /// The divisor of each attack's connections.
    divisor: usize,
    /// Whether figures are held against their goals: not in small, on a build that is not optimised.
    pub(crate) strict: bool,
    /// The page whose table is to be written anew.
    pub(crate) page: Option<PathBuf>,
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            names: Vec::new(),
            quiet: Duration::from_secs(8),
            seconds: Duration::from_secs(20),
            people: 100,
            divisor: 1,
            strict: true,
            page: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--smoke" => {
                    options.quiet = Duration::from_millis(300);
                    options.seconds = Duration::from_secs(1);
                    options.people = 20;
                    options.divisor = 40;
                    options.strict = false;
                }
                "--quiet" => options.quiet = seconds(&value()?)?,
                "--seconds" => options.seconds = seconds(&value()?)?,
                "--divisor" => options.divisor = value()?.parse().map_err(|_| "--divisor is a whole number")?,
                "--attacks" => options.names = value()?.split(',').map(str::to_owned).collect(),
                "--page" => options.page = Some(value()?.into()),
                _ => {
                    return Err(format!("{word}? There are --smoke, --quiet, --seconds, --divisor, --attacks, --page"));
                }
            }
        }
        options.divisor = options.divisor.max(1);
        match options.names.iter().find(|name| attacks::all().iter().all(|attack| attack.name != *name)) {
            Some(name) => Err(format!("there is no attack {name}; there are {}", names().join(", "))),
            None => Ok(options),
        }
    }

    /// Whether this attack is to be run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    /// How many connections this attack makes.
    pub(crate) fn crowd(&self, attack: &Attack) -> usize {
        attack.connections.div_ceil(self.divisor)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds > 0.0)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{text} is no number of seconds"))
}

fn names() -> Vec<&'static str> {
    attacks::all().iter().map(|attack| attack.name).collect()
}
