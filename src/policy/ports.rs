//! Defines [`PortList`], the `to-ports` of a policy file's entry: which ports it opens.
//!
//! Knows: single ports, ranges, `*`, the border at 1024. Must not know: who is let in, files.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The first port that is not restricted: a policy file served at this port or above opens no port below it.
pub const RESTRICTED_PORTS_END: u16 = 1024;

/// The ports that an entry of a policy file opens: `507`, `507,516`, `516-523`, `507,516-523`, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortList(Ports);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Ports {
    All,
    /// Never empty; each range has its smaller port first. In the order of the text.
    Ranges(Vec<(u16, u16)>),
}

impl PortList {
    /// All ports: `*`.
    #[must_use]
    pub fn all() -> PortList {
        PortList(Ports::All)
    }

    /// The ports given. `None` when there are none: no `to-ports` says "no port".
    #[must_use]
    pub fn of(ports: impl IntoIterator<Item = u16>) -> Option<PortList> {
        let ranges: Vec<_> = ports.into_iter().map(|port| (port, port)).collect();
        (!ranges.is_empty()).then_some(PortList(Ports::Ranges(ranges)))
    }

    /// Whether this is `*`.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == Ports::All
    }

    /// Whether `port` is in the list.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        match &self.0 {
            Ports::All => true,
            Ports::Ranges(ranges) => ranges.iter().any(|&(first, last)| (first..=last).contains(&port)),
        }
    }

    /// The list as ranges, in its order; all ports are one range.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> {
        let ranges: &[(u16, u16)] = match &self.0 {
            Ports::All => &[(0, u16::MAX)],
            Ports::Ranges(ranges) => ranges,
        };
        ranges.iter().map(|&(first, last)| first..=last)
    }

    /// The list without the ports below 1024; `None` when nothing is left. `*` stays `*`.
    ///
    /// COMPAT: players take `*` of a file from a port at or above 1024 for "all from 1024"; writing `1024-65535`
    /// would shut out Lightspark, which reads a range as its first port only.
    #[must_use]
    pub fn unrestricted(&self) -> Option<PortList> {
        let Ports::Ranges(ranges) = &self.0 else { return Some(PortList::all()) };
        let ranges: Vec<_> = ranges
            .iter()
            .filter(|(_, last)| *last >= RESTRICTED_PORTS_END)
            .map(|&(first, last)| (first.max(RESTRICTED_PORTS_END), last))
            .collect();
        (!ranges.is_empty()).then_some(PortList(Ports::Ranges(ranges)))
    }
}

impl From<u16> for PortList {
    /// A list of one port. Port 0 is no port: nobody connects to it.
    fn from(port: u16) -> PortList {
        PortList(Ports::Ranges(vec![(port, port)]))
    }
}

impl FromStr for PortList {
    type Err = PortError;

    /// White space around numbers is ignored. A `*` among other ports makes them all superfluous.
    fn from_str(text: &str) -> Result<PortList, PortError> {
        let error = |fault| PortError { text: text.to_owned(), fault };
        if text.trim().is_empty() {
            return Err(error(PortFault::Empty));
        }
        let mut ranges = Vec::new();
        let mut all = false;
        for item in text.split(',').map(str::trim) {
            match item.split_once('-') {
                _ if item == "*" => all = true,
                None => {
                    let port = read_port(item).map_err(error)?;
                    ranges.push((port, port));
                }
                Some((first, last)) => {
                    let (first, last) = (read_port(first).map_err(error)?, read_port(last).map_err(error)?);
                    if first > last {
                        return Err(error(PortFault::Backwards { first, last }));
                    }
                    ranges.push((first, last));
                }
            }
        }
        Ok(if all { PortList::all() } else { PortList(Ports::Ranges(ranges)) })
    }
}

/// Reads one port number: digits only, so that no sign and no other notation gets through.
fn read_port(text: &str) -> Result<u16, PortFault> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PortFault::NotANumber(text.to_owned()));
    }
    match text.parse::<u16>() {
        Ok(0) | Err(_) => Err(PortFault::OutOfRange(text.to_owned())),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ports::Ranges(ranges) = &self.0 else { return f.write_str("*") };
        for (n, (first, last)) in ranges.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// Why a text is no list of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortError {
    /// The whole list.
    pub text: String,
    /// What is wrong with it.
    pub fault: PortFault,
}

/// The faults of [`PortError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortFault {
    /// There is no port in it.
    Empty,
    /// This part is no number.
    NotANumber(String),
    /// This part is 0 or above 65535.
    OutOfRange(String),
    /// A range that ends before it begins.
    Backwards {
        /// The port before the hyphen.
        first: u16,
        /// The port behind it.
        last: u16,
    },
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &self.fault {
            PortFault::Empty => {
                f.write_str("the list of ports is empty; write `1024`, `1024,2000-2010`, or `*` for all")
            }
            PortFault::NotANumber(part) => {
                write!(f, "{text:?} is no list of ports: {part:?} is no number; write it like `1024,2000-2010`")
            }
            PortFault::OutOfRange(part) => write!(f, "{text:?} is no list of ports: {part} is not between 1 and 65535"),
            PortFault::Backwards { first, last } => {
                write!(f, "{text:?} is no list of ports: the smaller port comes first, as in `{last}-{first}`")
            }
        }
    }
}

impl std::error::Error for PortError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_what_the_list_says() {
        let rows: &[(&str, &[u16], &[u16])] = &[
            ("507", &[507], &[506, 508, 50, 5070]),
            ("507,516", &[507, 516], &[508, 515]),
            ("516-523", &[516, 520, 523], &[515, 524]),
            ("507,516-523", &[507, 516, 523], &[508, 515, 524]),
            ("516-523,507", &[507, 516, 523], &[508, 515, 524]),
            ("*", &[1, 507, 1024, 65535], &[]),
            ("507,*", &[1, 65535], &[]),
            (" 507 , 516 - 523 ", &[507, 520], &[508]),
            ("5-5", &[5], &[4, 6]),
        ];
        for (text, inside, outside) in rows {
            let list: PortList = text.parse().unwrap();
            for port in *inside {
                assert!(list.contains(*port), "{text} ∌ {port}");
            }
            for port in *outside {
                assert!(!list.contains(*port), "{text} ∋ {port}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_list() {
        let number = |part: &str| PortFault::NotANumber(part.to_owned());
        let range = |part: &str| PortFault::OutOfRange(part.to_owned());
        let rows = [
            ("", PortFault::Empty, "`*` for all"),
            ("  ", PortFault::Empty, "empty"),
            (",", number(""), "\"\" is no number"),
            ("507,", number(""), "`1024,2000-2010`"),
            ("507 516", number("507 516"), "\"507 516\""),
            ("-507", number(""), "no number"),
            ("507-", number(""), "no number"),
            ("1-2-3", number("2-3"), "\"2-3\""),
            ("+507", number("+507"), "\"+507\""),
            ("abc", number("abc"), "\"abc\""),
            ("5*", number("5*"), "\"5*\""),
            ("0", range("0"), "between 1 and 65535"),
            ("65536", range("65536"), "65536 is not"),
            ("1-65536", range("65536"), "65536 is not"),
            ("99999999999999999999", range("99999999999999999999"), "is not between"),
            ("523-516", PortFault::Backwards { first: 523, last: 516 }, "`516-523`"),
        ];
        for (text, fault, words) in rows {
            let error = text.parse::<PortList>().expect_err(text);
            assert_eq!(error, PortError { text: text.to_owned(), fault });
            assert!(error.to_string().contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn is_written_as_it_was_read() {
        for text in ["507", "507,516", "516-523", "507,516-523", "*", "1,65535"] {
            assert_eq!(text.parse::<PortList>().unwrap().to_string(), text);
        }
        assert_eq!("1-1,*".parse::<PortList>().unwrap().to_string(), "*");
        assert_eq!("7-7".parse::<PortList>().unwrap().to_string(), "7");
        assert_eq!(PortList::from(1024).to_string(), "1024");
        assert_eq!(PortList::of([1024, 80]).unwrap().to_string(), "1024,80");
        assert_eq!(PortList::of([]), None);
        assert!(PortList::all().is_all() && !PortList::from(1).is_all());
    }

    #[test]
    fn gives_its_ranges() {
        let ranges = |text: &str| text.parse::<PortList>().unwrap().ranges().collect::<Vec<_>>();
        assert_eq!(ranges("507,516-523"), [507..=507, 516..=523]);
        assert_eq!(ranges("*"), [0..=65535]);
    }

    #[test]
    fn drops_the_restricted_ports() {
        let rows = [
            ("80", None),
            ("1023", None),
            ("1024", Some("1024")),
            ("80,1024,443", Some("1024")),
            ("1-1023", None),
            ("1-1024", Some("1024")),
            ("80-2000", Some("1024-2000")),
            ("1025-2000", Some("1025-2000")),
            ("80,1000-1030,5000", Some("1024-1030,5000")),
            ("*", Some("*")),
        ];
        for (text, expected) in rows {
            let list = text.parse::<PortList>().unwrap().unrestricted();
            assert_eq!(list.map(|list| list.to_string()).as_deref(), expected, "{text}");
        }
    }
}
