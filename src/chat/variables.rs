//! Defines [`Variables`], what programs keep at a room or a person: small values by name.
//!
//! Knows: names, how many, how long. Must not know: whose they are.

use std::collections::BTreeMap;

use super::error::{Code, Refusal};
use super::vocabulary::Body;
use crate::wire::Element;

/// The most bytes of a value, with the namespace declarations that it needs.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;

/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 32;

/// Values by name, in the order of their names. A value is the `<set>` that tells it, so that telling it again costs
/// nothing but copying.
#[derive(Default)]
pub(super) struct Variables {
    values: BTreeMap<Box<str>, Element>,
    /// The bytes of all of them, about as they are sent.
    bytes: usize,
}

impl Variables {
    /// Keeps `value`: `set` is the frame that tells it. Without content the variable is deleted.
    pub(super) fn set(&mut self, name: &str, value: Body<'_>, set: Element, max: Option<u64>) -> Result<(), Refusal> {
        let is_new = !self.values.contains_key(name);
        let deletes = value.is_empty();
        if is_new && !deletes && max.is_some_and(|max| self.values.len() as u64 >= max) {
            return Err(Code::TooManyVariables.into());
        }
        if let Some(old) = self.values.remove(name) {
            self.bytes -= size(&old);
        }
        if !deletes {
            self.bytes += size(&set);
            self.values.insert(name.into(), set);
        }
        Ok(())
    }

    /// The frames that tell them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Element> {
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

fn size(set: &Element) -> usize {
    set.to_string().len()
}
