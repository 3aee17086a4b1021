//! Defines [`ExitCode`], how the program ends, and [`Failure`], what it says then.
//!
//! Knows: the codes that scripts and service managers read. Must not know: what went wrong.

use std::fmt;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All went well; a graceful stop included.
    Ok,
    /// It failed at run time: a port taken, a connection refused, a policy that grants nothing.
    Failed,
    /// Arguments or configuration are wrong; nothing was started.
    Usage,
    /// A second SIGINT ended it at once.
    Interrupted,
    /// A second SIGTERM ended it at once.
    Terminated,
}

impl ExitCode {
    /// The number that the shell sees.
    #[must_use]
    pub(crate) fn number(self) -> u8 {
        match self {
            ExitCode::Ok => 0,
            ExitCode::Failed => 1,
            ExitCode::Usage => 2,
            ExitCode::Interrupted => 128 + 2,
            ExitCode::Terminated => 128 + 15,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code.number())
    }
}

/// Why the program ends otherwise than well: a code for scripts, one sentence for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: ExitCode,
    /// What happened and what to do about it.
    pub(crate) sentence: String,
}

impl Failure {
    /// A failure at run time.
    pub(crate) fn run_time(sentence: impl Into<String>) -> Failure {
        Failure { code: ExitCode::Failed, sentence: sentence.into() }
    }

    /// Wrong arguments or configuration.
    pub(crate) fn usage(sentence: impl Into<String>) -> Failure {
        Failure { code: ExitCode::Usage, sentence: sentence.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_stay_what_they_are() {
        let codes = [
            (ExitCode::Ok, 0),
            (ExitCode::Failed, 1),
            (ExitCode::Usage, 2),
            (ExitCode::Interrupted, 130),
            (ExitCode::Terminated, 143),
        ];
        for (code, number) in codes {
            assert_eq!(code.number(), number, "{code:?}");
        }
    }
}
