//! Defines [`Script`]: what a connection says and waits for, line by line, before it takes part or until it ends.
//!
//! Knows: the order of lines. Must not know: sockets.

use std::rc::Rc;

use super::template::Template;
use super::vocabulary::Vocabulary;

/// What a connection goes through. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Script(Rc<[Line]>);

/// Something that is said, and what must come before the next line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// What is said.
    pub(super) say: Template,
    /// What the frame that answers it holds; empty when nothing answers.
    pub(super) answer: Vec<u8>,
    /// Whether the answer is that the server closes.
    pub(super) closes: bool,
}

impl Script {
    /// Say hello and enter the room.
    pub(super) fn enter(vocabulary: &Vocabulary) -> Script {
        Script::of([greeting(vocabulary), entering(vocabulary)])
    }

    /// Say hello, and no more.
    pub(super) fn greet(vocabulary: &Vocabulary) -> Script {
        Script::of([greeting(vocabulary)])
    }

    /// Say hello, enter the room, leave it and quit.
    pub(super) fn visit(vocabulary: &Vocabulary) -> Script {
        let leaving = Line { say: vocabulary.leave.clone(), answer: vocabulary.left.clone(), closes: false };
        let quitting = Line { say: vocabulary.quit.clone(), answer: Vec::new(), closes: !vocabulary.quit.is_empty() };
        Script::of([greeting(vocabulary), entering(vocabulary), leaving, quitting])
    }

    fn of<const N: usize>(lines: [Line; N]) -> Script {
        Script(lines.into_iter().filter(|line| !line.say.is_empty() || !line.answer.is_empty()).collect())
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The line after `done` ones.
    pub(super) fn line(&self, done: usize) -> Option<&Line> {
        self.0.get(done)
    }
}

fn greeting(vocabulary: &Vocabulary) -> Line {
    Line { say: vocabulary.hello.clone(), answer: vocabulary.ready.clone(), closes: false }
}

fn entering(vocabulary: &Vocabulary) -> Line {
    Line { say: vocabulary.join.clone(), answer: vocabulary.joined.clone(), closes: false }
}
