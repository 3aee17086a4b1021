//! Defines [`Options`], what the suite is asked for.
//!
//! Knows: how options are written. Must not know: what is done with them.

use std::path::PathBuf;

use crate::Failure;
use crate::measures::Part;
use crate::servers::Kind;

/// What can be said.
const USAGE: &str = "xmlsocket-suite PROGRAM [--runs N] [--parts NAME,…] [--servers NAME,…] [--smoke] [--page FILE]";

/// What the suite is asked for.
pub(crate) struct Options {
    /// The program `xmlsocket`: our servers, and the load generator.
    pub(crate) program: PathBuf,
    /// How often everything is measured; medians are told.
    pub(crate) runs: u32,
    /// What is measured: all, unless some are named.
    pub(crate) parts: Vec<Part>,
    /// Which servers: all that are installed, unless some are named.
    pub(crate) servers: Vec<Kind>,
    /// Everything small and short: to see that it works.
    pub(crate) smoke: bool,
    /// The page; what stands outside its marks stays as it is.
    pub(crate) page: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Options, Failure> {
        let program = words.next().filter(|word| !word.starts_with('-')).ok_or(USAGE)?.into();
        let (parts, servers) = (Vec::new(), Vec::new());
        let mut options = Options { program, runs: 3, parts, servers, smoke: false, page: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value: {USAGE}"));
            match word.as_str() {
                "--smoke" => options.smoke = true,
                "--runs" => {
                    let runs = value()?.parse().ok().filter(|runs| (1..100).contains(runs));
                    options.runs = runs.ok_or("--runs takes a number from 1 to 99")?;
                }
                "--parts" => options.parts = named(&value()?, Part::ALL, Part::name)?,
                "--servers" => options.servers = named(&value()?, Kind::ALL, Kind::name)?,
                "--page" => options.page = Some(value()?.into()),
                _ => return Err(format!("{word} is not known: {USAGE}")),
            }
        }
        Ok(options)
    }
}

/// Those of `all` that the words of `text` name, with commas between them.
fn named<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<Vec<T>, Failure> {
    let find = |word: &str| {
        let found = all.iter().copied().find(|one| name(*one) == word);
        let names = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("{word} is none of {}", names()))
    };
    text.split(',').map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Options, Failure> {
        Options::read(words.split(' ').map(str::to_owned))
    }

    #[test]
    fn what_is_asked_for_is_read_and_what_is_not_known_is_said() {
        let options = read("a/b --runs 2 --parts idle,churn --servers limit --smoke --page c.md").unwrap();
        assert_eq!((options.runs, options.smoke), (2, true));
        assert_eq!(options.parts, [Part::Idle, Part::Churn]);
        assert_eq!(options.servers, [Kind::Limit]);
        assert_eq!((options.program, options.page), ("a/b".into(), Some("c.md".into())));
        for (words, fault) in [
            ("--smoke", "xmlsocket-suite PROGRAM"),
            ("a --parts idle,work", "work is none of throughput, unpinned"),
            ("a --runs 0", "--runs takes"),
            ("a --page", "--page needs a value"),
            ("a --fast", "--fast is not known"),
        ] {
            let said = read(words).err().unwrap();
            assert!(said.starts_with(fault), "{words}: {said}");
        }
    }
}
