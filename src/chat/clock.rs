//! Defines [`Clock`], which writes points in time the way the vocabulary shows them.
//!
//! Knows: the civil calendar. Must not know: what time it is now (that comes as an argument).

use std::fmt::Write;
use std::time::Duration;

/// Writes times as ISO 8601 in UTC with milliseconds, such as `2026-11-20T21:56:00.123Z`. It keeps what it wrote last,
/// because of the many messages of one second only the milliseconds differ.
pub(super) struct Clock {
    /// The second that `text` begins with.
    second: u64,
    /// What was written last.
    text: String,
    /// The bytes of `text` that depend on the second alone.
    prefix: usize,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { second: u64::MAX, text: String::new(), prefix: 0 }
    }

    /// `unix`, the time since 1970-01-01T00:00:00Z, as text.
    pub(super) fn write(&mut self, unix: Duration) -> &str {
        if unix.as_secs() != self.second {
            self.second = unix.as_secs();
            let (year, month, day) = date(self.second / 86_400);
            let (hour, minute, second) = (self.second / 3_600 % 24, self.second / 60 % 60, self.second % 60);
            self.text.clear();
            let _ = write!(self.text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.");
            self.prefix = self.text.len();
        }
        self.text.truncate(self.prefix);
        let milliseconds = unix.subsec_millis();
        for digit in [milliseconds / 100, milliseconds / 10 % 10, milliseconds % 10] {
            self.text.push(char::from(b'0' + digit as u8));
        }
        self.text.push('Z');
        &self.text
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March here, so that the leap day is
/// a year's last; 400 of them always have 146 097 days.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468; // Days from 0000-03-01 to 1970-01-01.
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_are_written_right() {
        let mut clock = Clock::new();
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.123Z"),
            (951_782_399, "2000-02-28T23:59:59.123Z"),
            (951_782_400, "2000-02-29T00:00:00.123Z"),
            (951_868_800, "2000-03-01T00:00:00.123Z"),
            (1_709_251_199, "2024-02-29T23:59:59.123Z"),
            (1_795_211_760, "2026-11-20T21:56:00.123Z"),
            (1_798_761_599, "2026-12-31T23:59:59.123Z"),
            (4_107_542_400, "2100-03-01T00:00:00.123Z"),
        ] {
            assert_eq!(clock.write(Duration::from_millis(seconds * 1_000 + 123)), text);
        }
        assert_eq!(clock.write(Duration::from_millis(4_107_542_400_007)), "2100-03-01T00:00:00.007Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(0);
        for day in 1..150_000 {
            let (year, month, of_month) = date(day);
            let follows = if of_month > 1 {
                (year, month, of_month - 1) == before
            } else {
                before.2 >= 28
                    && (year, month) == if before.1 == 12 { (before.0 + 1, 1) } else { (before.0, before.1 + 1) }
            };
            assert!(follows, "{before:?} is followed by {:?}", (year, month, of_month));
            before = (year, month, of_month);
        }
    }
}
