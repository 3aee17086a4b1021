//! Defines [`Variables`], what programs keep at a room or a person: small values by name.
//!
//! Knows: names, how many, how long. Must not know: whose they are.

use std::collections::BTreeMap;

use super::error::{Code, Refusal};
use super::vocabulary::{Body, Variable};
use crate::wire::Element;

/// The most bytes of a value, with the namespace declarations that it needs.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;

/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 32;

/// How much may be kept at one room or person.
#[derive(Clone, Copy)]
pub(super) struct Most {
    /// How many.
    pub(super) count: Option<u64>,
    /// The bytes of all of them.
    pub(super) bytes: usize,
}

/// Values by name, in the order of their names.
#[derive(Default)]
pub(super) struct Variables {
    values: BTreeMap<Box<str>, Variable>,
    /// The bytes of all of them, about as they are sent.
    bytes: usize,
}

impl Variables {
    /// Keeps `value`: `set` is the frame that tells it. Without content the variable is deleted.
    pub(super) fn set(&mut self, name: &str, value: Body<'_>, set: &Element, most: Most) -> Result<(), Refusal> {
        let old = self.values.get(name).map(Variable::bytes);
        if value.is_empty() {
            self.values.remove(name);
            self.bytes -= old.unwrap_or(0);
            return Ok(());
        }
        let variable = Variable::new(set, value);
        let bytes = self.bytes - old.unwrap_or(0) + variable.bytes();
        let too_many = old.is_none() && most.count.is_some_and(|max| self.values.len() as u64 >= max);
        if too_many || bytes > most.bytes {
            return Err(Code::TooManyVariables.into());
        }
        self.values.insert(name.into(), variable);
        self.bytes = bytes;
        Ok(())
    }

    /// The frames that tell them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.values.values()
    }

    /// The bytes of all of them, about as they are sent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Refuses names and values that cannot be kept.
pub(super) fn check(name: &str, value: Body<'_>) -> Result<(), Refusal> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(known) {
        return Err(Code::BadVariable.into());
    }
    if value.bytes() > VALUE_BYTES_MAX {
        let text = format!("The value of a variable has at most {VALUE_BYTES_MAX} bytes, its namespaces counted.");
        return Err(Refusal::new(Code::TooLong, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::vocabulary;
    use crate::wire::{Document, Frame};

    #[test]
    fn what_variables_take_is_counted_whatever_happens_to_them() {
        let mut variables = Variables::default();
        let mut set = |name: &str, value: &str| {
            let frame = Frame::try_from(&*format!("<set>{value}</set>")).expect("a frame");
            let document = Document::parse(frame, 9).expect("a document");
            let value = Body::new(&document);
            let most = Most { count: Some(2), bytes: 60 };
            let done = variables.set(name, value, &vocabulary::set_of_person(name, value), most);
            (done.is_ok(), variables.len(), variables.is_empty(), variables.bytes())
        };
        let bytes = |value: &str| "<set name=\"a\"></set>".len() + value.len();
        assert_eq!(set("a", ""), (true, 0, true, 0));
        assert_eq!(set("a", "1"), (true, 1, false, bytes("1")));
        assert_eq!(set("a", "12345"), (true, 1, false, bytes("12345")));
        assert_eq!(set("b", "1"), (true, 2, false, bytes("12345") + bytes("1")));
        assert_eq!(set("c", "1"), (false, 2, false, bytes("12345") + bytes("1")));
        assert_eq!(set("a", "12"), (true, 2, false, bytes("12") + bytes("1")), "one that is there may change");
        let most = "1".repeat(60 - 2 * bytes(""));
        assert_eq!(set("a", &most[1..]), (true, 2, false, 60), "as much as all may take");
        assert_eq!(set("a", &most), (false, 2, false, 60), "a byte more");
        assert_eq!(set("a", ""), (true, 1, false, bytes("1")));
        assert_eq!(set("b", ""), (true, 0, true, 0));
    }
}
