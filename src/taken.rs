//! Defines [`Taken`], what an option takes: said when it is given something else. And the readers of numbers that say it.
//!
//! Knows: ranges. Must not know: which options there are.

use std::fmt;
use std::ops::RangeInclusive;

/// What an option takes, in words that go behind "takes".
#[derive(Clone, Debug)]
pub(crate) struct Taken(String);

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Taken {}

/// Reads a whole number within a range, all of which MUST fit the type.
pub(crate) fn whole<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, Taken> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let taken = || Taken(format!("a whole number from {} to {}", range.start(), range.end()));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(taken)
    }
}

/// Reads a number within a range.
#[cfg(target_os = "linux")]
pub(crate) fn number(range: RangeInclusive<f64>) -> impl Fn(&str) -> Result<f64, Taken> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| Taken(format!("a number from {} to {}", range.start(), range.end())))
    }
}
