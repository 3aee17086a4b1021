//! Defines [`FirstBytes`], which looks at what a client gets first if it has not said anything yet.
//!
//! Such a client may be a browser: it connects ahead of time, and its request is perhaps on the way. What others wrote
//! must never be taken for the answer, or they would have a page of theirs shown under this server's name. So until
//! the client has shown that it does not speak HTTP, nothing leaves that could begin an HTTP response; and once anything
//! has left, an HTTP request gets no answer.
//!
//! Knows: what browsers take for the beginning of a response. Must not know: sockets, who sends.

use std::mem;

/// Bytes that browsers skip in search of a status line.
const SKIPPED_MAX: usize = 4;

/// What a status line begins with, in any case: HTTP's, and one that is taken for HTTP's (SHOUTcast).
const STATUS_LINES: [&[u8]; 2] = [b"http", b"icy "];

/// Bytes, after white space, that tell whether a status line is among them.
const SEEN_MAX: usize = SKIPPED_MAX + 4;

/// White space and zero bytes that may go before those: few enough to fit into the buffer of any socket.
const BLANKS_MAX: u8 = 200;

/// The ports where browsers take whatever comes for a response, even without a status line (HTTP/0.9).
const HTTP_PORTS: [u16; 2] = [80, 443];

/// What may be sent to a client before it has shown what it speaks.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum FirstBytes {
    /// Anything: the client speaks no HTTP, or so much was sent that nothing can be taken for a response any more.
    Free,
    /// What does not make a response of what was sent so far.
    Watched {
        /// How many white space and zero bytes were sent first.
        blanks: u8,
        /// The bytes after those.
        seen: [u8; SEEN_MAX],
        /// How many they are.
        length: u8,
    },
    /// Nothing.
    Held,
}

impl FirstBytes {
    /// For a client that has said nothing, and may believe to have reached one of `ports`.
    pub(in crate::server) fn of_silent(ports: &[u16]) -> FirstBytes {
        if ports.iter().any(|port| HTTP_PORTS.contains(port)) {
            FirstBytes::Held
        } else {
            FirstBytes::Watched { blanks: 0, seen: [0; SEEN_MAX], length: 0 }
        }
    }

    /// Whether `bytes`, the next that the client is to get, must wait until it speaks. If not, they MUST be sent.
    pub(in crate::server) fn holds(&mut self, bytes: &[u8]) -> bool {
        if let FirstBytes::Watched { blanks, seen, length } = self {
            for &byte in bytes {
                if *length == 0 && (byte.is_ascii_whitespace() || byte == 0) {
                    *blanks += 1;
                    if *blanks < BLANKS_MAX {
                        continue;
                    }
                    *self = FirstBytes::Held;
                    break;
                }
                seen[usize::from(*length)] = byte.to_ascii_lowercase();
                *length += 1;
                let so_far = &seen[..usize::from(*length)];
                if STATUS_LINES.iter().any(|begin| so_far.ends_with(begin)) {
                    *self = FirstBytes::Held;
                    break;
                }
                if so_far.len() == SEEN_MAX {
                    *self = FirstBytes::Free;
                    break;
                }
            }
        }
        self.are_held()
    }

    /// Whether everything must wait.
    pub(in crate::server) fn are_held(&self) -> bool {
        *self == FirstBytes::Held
    }

    /// The client speaks no HTTP. Gives whether everything had to wait for that.
    pub(in crate::server) fn release(&mut self) -> bool {
        mem::replace(self, FirstBytes::Free) == FirstBytes::Held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of `pushes` waits, each the bytes of one push.
    fn waits(pushes: &[&[u8]]) -> Vec<bool> {
        let mut first = FirstBytes::of_silent(&[1024]);
        pushes.iter().map(|bytes| first.holds(bytes)).collect()
    }

    #[test]
    fn nothing_that_begins_a_response_leaves() {
        for first in [
            &b"HTTP/1.1 200 OK\r\n\r\n<script>\0"[..],
            b"http/1.1 200\0",
            b"HTTP",
            b"<http>\0",
            b"\xef\xbb\xbfHTTP/1.1\0",
            b"....HTTP/1.1 200 OK\0",
            b"a\0\0\0HTTP/1.1\0",
            b"\r\n\r\n\r\n\r\n\r\n\r\nHTTP/1.1 200 OK\0",
            b"\0\0\0\0\0\0 ....http\0",
            b"ICY 200 OK\0",
            b" icy 200\0",
            &[b'\n'; 200],
        ] {
            assert_eq!(waits(&[first, b"<a/>\0"]), [true, true], "{}", first.escape_ascii());
            // Where a push ends does not matter, as far as nothing before it was enough.
            for cut in 0..first.len() {
                let cut_up = waits(&[&first[..cut], &first[cut..], b"<a/>\0"]);
                assert_eq!(cut_up[1..], [true, true], "{} cut at {cut}", first.escape_ascii());
            }
        }
    }

    #[test]
    fn everything_else_leaves_and_nothing_after_it_matters() {
        for first in [
            &b"<message>HTTP/1.1 200 OK</message>\0"[..],
            b".....HTTP/1.1 200 OK\0",
            b"%xt%z%1%\0",
            b"<html>..\0",
            b"\n\n<policy/>\0",
            b"icyness\0",
            b"\0\0hello\0\0\0",
            &[b'\n'; 199],
        ] {
            assert_eq!(waits(&[first]), [false], "{}", first.escape_ascii());
        }
        assert_eq!(waits(&[b"<a/>\0<b/>\0", b"HTTP/1.1 200 OK\0"]), [false, false]);
        assert_eq!(waits(&[b"hi\0", b"", b"yo\0", b"HTTP/1.1 200 OK\0"]), [false, false, false, false]);
        assert_eq!(waits(&[b"hi\0", b"HTTP/1.1 200 OK\0", b"<a/>\0"]), [false, true, true], "too little was sent");
    }

    #[test]
    fn where_a_browser_takes_anything_for_a_response_all_waits() {
        for (port, waits) in [(80, true), (443, true), (81, false), (1024, false), (8080, false)] {
            assert_eq!(FirstBytes::of_silent(&[1024, port]).holds(b"<message/>\0"), waits, "{port}");
        }
        let mut first = FirstBytes::of_silent(&[80]);
        assert!(first.release());
        assert!(!first.holds(b"HTTP/1.1 200 OK\0") && !first.release());
    }
}
