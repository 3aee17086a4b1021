//! What a WebSocket client sends: messages, in fragments, between which pings and a CLOSE may come.
//!
//! Payloads are handed on as they arrive, so that no message is held in memory; what has come of a frame is bounded as it
//! is for every client.
//!
//! Knows: RFC 6455 §5, as a server reads. Must not know: sockets, time, what a frame holds.

use super::outgoing::{self, TEXTS};
use crate::server::{CloseReason, DecodeEnd, Decoded, Decoder, Reply};
use crate::wire::{NUL, end_frame};

/// Bytes of one message, however many frames are in it.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of the longest header that a client sends: kind, length, eight bytes of length, mask.
const HEADER_BYTES_MAX: usize = 14;

/// RFC 6455's codes for what is wrong.
const PROTOCOL: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// The kinds of fragments.
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The messages of one client.
#[derive(Default)]
pub(super) struct Messages {
    /// What has come of a header.
    header: Vec<u8>,
    /// The fragment whose payload comes.
    fragment: Option<Fragment>,
    /// The message that has begun.
    message: Option<Message>,
    /// What has come of the payload of a ping or a CLOSE, which may stand between a message's fragments.
    control: Vec<u8>,
    /// What has come of a character that was cut.
    cut: Vec<u8>,
    /// Whether it is settled how the client is answered.
    is_settled: bool,
    /// Whether the last byte of the messages so far ended no frame.
    is_open: bool,
}

/// What is known of a fragment whose payload comes.
struct Fragment {
    kind: u8,
    is_last: bool,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// What the payload is masked with, from its next byte on.
    mask: [u8; 4],
}

/// A message that has begun.
struct Message {
    is_text: bool,
    /// Bytes that were announced for it.
    bytes: u64,
}

/// The client broke the protocol: RFC 6455's code, and a sentence.
struct Fault(u16, &'static str);

impl Decoder for Messages {
    fn decode(&mut self, bytes: &[u8], frames: &mut Vec<u8>) -> Result<(usize, Decoded), DecodeEnd> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let decoded = if self.fragment.is_some() {
                let (count, decoded) = self.payload(rest, frames)?;
                used += count;
                decoded
            } else {
                let (count, fragment) = self.read_header(rest).map_err(broken)?;
                used += count;
                let Some(fragment) = fragment else { return Ok((used, Decoded::Unfinished)) };
                self.begin(fragment).map_err(broken)?
            };
            let is_missing = self.fragment.as_ref().is_some_and(|fragment| fragment.left > 0) && used == bytes.len();
            match decoded {
                Some(decoded) => return Ok((used, decoded)),
                None if is_missing => return Ok((used, Decoded::Unfinished)),
                None => {}
            }
        }
    }

    fn is_unfinished(&self) -> bool {
        !self.header.is_empty() || self.fragment.is_some() || self.message.is_some()
    }
}

impl Messages {
    /// Takes the next bytes of a header; gives how many it took, and the fragment that a whole one begins.
    fn read_header(&mut self, bytes: &[u8]) -> Result<(usize, Option<Fragment>), Fault> {
        let before = self.header.len();
        for (at, &byte) in bytes.iter().enumerate().take(HEADER_BYTES_MAX - before) {
            self.header.push(byte);
            if let Some(fragment) = parse_header(&self.header)? {
                self.header = Vec::new();
                return Ok((at + 1, Some(fragment)));
            }
        }
        Ok((bytes.len(), None))
    }

    /// Begins a fragment, if it may stand here.
    fn begin(&mut self, fragment: Fragment) -> Result<Option<Decoded>, Fault> {
        let (kind, length) = (fragment.kind, fragment.left);
        // The first fragment of a message is paid for by the frame that it brings; all others count.
        let mut is_idle = kind == CONTINUATION;
        let mut is_first_text = false;
        match (kind, &mut self.message) {
            (TEXT | BINARY, Some(_)) => return Err(Fault(PROTOCOL, "a message began inside another one")),
            (CONTINUATION, None) => return Err(Fault(PROTOCOL, "a fragment of no message came")),
            (TEXT | BINARY, message) => {
                let is_text = kind == TEXT;
                *message = Some(Message { is_text, bytes: 0 });
                is_first_text = is_text && !self.is_settled;
                self.is_settled |= is_text || length > 0;
                is_idle = self.is_open || length == 0 && !is_text;
            }
            _ => {}
        }
        if let (CONTINUATION | TEXT | BINARY, Some(message)) = (kind, &mut self.message) {
            message.bytes = message.bytes.saturating_add(length);
            if message.bytes > MESSAGE_BYTES_MAX {
                return Err(Fault(TOO_BIG, "a message has at most 1048576 bytes"));
            }
            if kind == CONTINUATION && length > 0 && !message.is_text {
                self.is_settled = true;
            }
        }
        self.fragment = Some(fragment);
        if is_first_text {
            return Ok(Some(Decoded::Reply(Reply { bytes: Vec::new(), encoder: Some(TEXTS.clone()) })));
        }
        Ok(is_idle.then_some(Decoded::Idle))
    }

    /// Takes what has come of a fragment's payload.
    fn payload(&mut self, bytes: &[u8], frames: &mut Vec<u8>) -> Result<(usize, Option<Decoded>), DecodeEnd> {
        let Some(fragment) = &mut self.fragment else { return Ok((0, None)) };
        let count = bytes.len().min(usize::try_from(fragment.left).unwrap_or(usize::MAX));
        fragment.left -= count as u64;
        let (kind, is_last, is_over) = (fragment.kind, fragment.is_last, fragment.left == 0);
        let is_control = kind >= CLOSE;
        let out = if is_control { &mut self.control } else { &mut *frames };
        let start = out.len();
        out.extend_from_slice(&bytes[..count]);
        unmask(&mut out[start..], &mut fragment.mask);
        if is_over {
            self.fragment = None;
        }
        if is_control {
            let decoded = if is_over { Some(self.answer(kind)?) } else { None };
            return Ok((count, decoded));
        }
        let ends = is_over && is_last;
        let has_ended_frame = self.message_bytes(start, ends, frames).map_err(broken)?;
        let decoded = (count > 0 || has_ended_frame).then_some(Decoded::Frames);
        Ok((count, decoded))
    }

    /// Looks at the bytes of a message, those of `frames` from `start` on. Gives whether its end ended a frame.
    fn message_bytes(&mut self, start: usize, ends: bool, frames: &mut Vec<u8>) -> Result<bool, Fault> {
        if let Some(last) = frames[start..].last() {
            self.is_open = *last != NUL;
        }
        let is_text = self.message.as_ref().is_some_and(|message| message.is_text);
        if is_text {
            let is_text_up_to = text_up_to(&mut self.cut, &frames[start..]);
            if is_text_up_to.is_some() || ends && !self.cut.is_empty() {
                // Frames that ended before it have come, whether they were handed on already or not.
                frames.truncate(is_text_up_to.map_or(frames.len(), |length| start + length));
                return Err(Fault(NOT_UTF8, "a text message is UTF-8"));
            }
        }
        if !ends {
            return Ok(false);
        }
        let message = self.message.take();
        // A zero byte at its end has ended the frame already; a text without a byte is an empty frame.
        let ends_frame = is_text && (self.is_open || message.is_some_and(|message| message.bytes == 0));
        if ends_frame {
            end_frame(frames);
            self.is_open = false;
        }
        Ok(ends_frame)
    }

    /// What follows from a ping, a pong or a CLOSE that has come.
    fn answer(&mut self, kind: u8) -> Result<Decoded, DecodeEnd> {
        let payload = std::mem::take(&mut self.control);
        match kind {
            PING => Ok(Decoded::Reply(Reply { bytes: outgoing::pong(&payload), encoder: None })),
            PONG => Ok(Decoded::Idle),
            _ => {
                check_close(&payload).map_err(broken)?;
                let reply = outgoing::closed_with(&payload);
                Err(DecodeEnd { reason: CloseReason::ByPeer, reply, is_goodbye: true })
            }
        }
    }
}

/// The fragment that a header begins; `None` while bytes of it are missing.
fn parse_header(header: &[u8]) -> Result<Option<Fragment>, Fault> {
    let [first, second, rest @ ..] = header else { return Ok(None) };
    let (kind, is_last, short) = (first & 0x0f, first & 0x80 != 0, second & 0x7f);
    if first & 0x70 != 0 {
        return Err(Fault(PROTOCOL, "a reserved bit is set"));
    }
    if !matches!(kind, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
        return Err(Fault(PROTOCOL, "there is no such kind of message"));
    }
    if second & 0x80 == 0 {
        return Err(Fault(PROTOCOL, "a client masks what it sends"));
    }
    if kind >= CLOSE && (!is_last || short > 125) {
        return Err(Fault(PROTOCOL, "a control message is whole and has at most 125 bytes"));
    }
    let (left, mask) = match (short, rest) {
        (126, [a, b, mask @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), mask),
        (127, [a, b, c, d, e, f, g, h, mask @ ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), mask),
        (126 | 127, _) => return Ok(None),
        (length, mask) => (u64::from(length), mask),
    };
    let Ok(mask) = mask.try_into() else { return Ok(None) };
    Ok(Some(Fragment { kind, is_last, left, mask }))
}

/// Takes the mask off `bytes`, and turns it to where the next bytes begin.
fn unmask(bytes: &mut [u8], mask: &mut [u8; 4]) {
    let mut chunks = bytes.chunks_exact_mut(4);
    let word = u32::from_ne_bytes(*mask);
    for chunk in &mut chunks {
        if let Ok(four) = <[u8; 4]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u32::from_ne_bytes(four) ^ word).to_ne_bytes());
        }
    }
    let rest = chunks.into_remainder();
    rest.iter_mut().zip(*mask).for_each(|(byte, mask)| *byte ^= mask);
    mask.rotate_left(rest.len());
}

/// Up to where text goes on with `bytes`, after `cut`, which has come of a character; `None` if all of it is text, and then
/// `cut` is what has come of the next character.
fn text_up_to(cut: &mut Vec<u8>, bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while !cut.is_empty() {
        let [first, after @ ..] = rest else { return None };
        cut.push(*first);
        rest = after;
        match str::from_utf8(cut) {
            Ok(_) => *cut = Vec::new(),
            Err(error) if error.error_len().is_some() => return Some(0),
            Err(_) => {}
        }
    }
    let error = str::from_utf8(rest).err()?;
    if error.error_len().is_some() {
        return Some(bytes.len() - rest.len() + error.valid_up_to());
    }
    cut.extend_from_slice(&rest[error.valid_up_to()..]);
    None
}

/// Whether a CLOSE may have this payload: nothing, or a code that may be sent and a text (RFC 6455 §7.4).
fn check_close(payload: &[u8]) -> Result<(), Fault> {
    let (code, text) = match payload {
        [] => return Ok(()),
        [high, low, text @ ..] => (u16::from_be_bytes([*high, *low]), text),
        [_] => return Err(Fault(PROTOCOL, "a code of two bytes begins what a CLOSE says")),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Fault(PROTOCOL, "no CLOSE has such a code"));
    }
    str::from_utf8(text).map(drop).map_err(|_| Fault(NOT_UTF8, "the text of a CLOSE is UTF-8"))
}

fn broken(Fault(code, sentence): Fault) -> DecodeEnd {
    let reply = outgoing::close(code, sentence);
    DecodeEnd { reason: CloseReason::ProtocolError(sentence.into()), reply, is_goodbye: true }
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
