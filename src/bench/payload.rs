//! Defines what the load generator sends as payload, so that a receiver can tell of every byte whether it belongs there.
//!
//! A payload is `~~SSSSNNNNNNNNNN`, letters, `SSSSNNNNNNNNNN~`: its sender, its number, a stretch of the alphabet that
//! begins at another letter for each number, and sender and number again. What is cut out of one, what is mixed
//! from two, and what has one byte altered can be told.
//!
//! Knows: bytes. Must not know: frames, sockets.

/// What every payload begins with. Nothing else that a server sends may hold it.
pub(super) const MARK: &[u8; 2] = b"~~";

/// The fewest bytes of a payload.
pub(super) const PAYLOAD_BYTES_MIN: usize = HEAD + TAIL;

/// Bytes before the letters: the mark, the sender, the number.
const HEAD: usize = 2 + DIGITS;

/// Bytes after the letters: the sender and the number again, and `~`.
const TAIL: usize = DIGITS + 1;

/// Digits of a sender, and of a sender and a number together.
const SENDER_DIGITS: usize = 4;
const DIGITS: usize = SENDER_DIGITS + 10;

/// The most senders that the digits can tell apart.
pub(super) const SENDERS_MAX: usize = 10_000;

/// Which message a payload belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which sender, counted from 0.
    pub(super) sender: usize,
    /// Which message of this sender, counted from 0.
    pub(super) number: u64,
}

/// Makes and checks payloads of one length.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    /// Bytes of a payload.
    bytes: usize,
    /// The alphabet, over and over: letters from any of its first 26 places are at hand.
    letters: Vec<u8>,
}

impl Payload {
    /// Payloads of `bytes` bytes, which MUST be at least [`PAYLOAD_BYTES_MIN`].
    pub(super) fn new(bytes: usize) -> Payload {
        assert!(bytes >= PAYLOAD_BYTES_MIN, "checked with the arguments");
        Payload { bytes, letters: (b'a'..=b'z').cycle().take(bytes + 26).collect() }
    }

    /// Bytes of a payload.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Writes the payload of a message over `out`.
    pub(super) fn write(&self, mark: Mark, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(MARK);
        push_digits(mark.sender as u64, SENDER_DIGITS, out);
        push_digits(mark.number, DIGITS - SENDER_DIGITS, out);
        out.extend_from_slice(self.middle(mark.number));
        out.extend_from_within(MARK.len()..HEAD);
        out.push(b'~');
    }

    /// Which message `bytes`, of the right length, are the payload of; `None` when one byte is wrong.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Mark> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (middle, tail) = rest.split_at_checked(self.bytes - HEAD - TAIL)?;
        let digits = head.strip_prefix(MARK)?;
        let number = read_digits(&digits[SENDER_DIGITS..])?;
        let sound = middle == self.middle(number) && tail.strip_suffix(b"~") == Some(digits);
        sound.then_some(Mark { sender: read_digits(&digits[..SENDER_DIGITS])? as usize, number })
    }

    /// The letters of the message with this number.
    fn middle(&self, number: u64) -> &[u8] {
        let from = (number % 26) as usize;
        &self.letters[from..from + self.bytes - HEAD - TAIL]
    }
}

fn push_digits(mut value: u64, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(payload: &Payload, sender: usize, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        payload.write(Mark { sender, number }, &mut out);
        out
    }

    #[test]
    fn what_is_written_is_read_at_every_length() {
        for bytes in [PAYLOAD_BYTES_MIN, PAYLOAD_BYTES_MIN + 1, 128, 1000] {
            let payload = Payload::new(bytes);
            let out = written(&payload, 12, 987_654);
            assert_eq!(out.len(), bytes);
            assert_eq!(payload.read(&out), Some(Mark { sender: 12, number: 987_654 }));
        }
    }

    #[test]
    fn no_byte_can_change_unseen() {
        let payload = Payload::new(64);
        let sound = written(&payload, 1, 41);
        for at in 0..sound.len() {
            let mut torn = sound.clone();
            torn[at] ^= 1;
            assert_eq!(payload.read(&torn), None, "byte {at}");
        }
        assert_eq!(payload.read(&sound[1..]), None);
        assert_eq!(payload.read(&[sound.clone(), sound].concat()[..64 + 1]), None);
    }

    #[test]
    fn two_halves_of_different_messages_make_none() {
        let payload = Payload::new(64);
        let (one, two) = (written(&payload, 0, 3), written(&payload, 0, 4));
        for cut in 1..64 {
            let mixed = [&one[..cut], &two[cut..]].concat();
            assert_eq!(payload.read(&mixed).is_some(), mixed == one || mixed == two, "cut at {cut}");
        }
    }
}
