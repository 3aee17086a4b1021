//! Defines [`Response`], and how it goes on the wire: with everything that keeps a browser from guessing.
//!
//! Knows: status lines, fields, bodies. Must not know: who asked for what.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};

/// Bytes of a file that are read at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// What a document may do unless a route says otherwise: nothing.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// An answer to a request.
pub struct Response {
    status: u16,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    body: Body,
    note: Option<String>,
}

enum Body {
    None,
    Bytes(Cow<'static, [u8]>),
    /// That many bytes of a file.
    File(File, u64),
}

impl Response {
    /// A response with a body of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Response {
        let response = Response { status, fields: Vec::new(), body: Body::Bytes(body.into()), note: None };
        response.with("Content-Type", media_type)
    }

    /// A sentence.
    #[must_use]
    pub fn text(status: u16, sentence: impl Into<Cow<'static, str>>) -> Response {
        let mut sentence = sentence.into().into_owned();
        sentence.push('\n');
        Response::new(status, "text/plain; charset=utf-8", sentence.into_bytes())
    }

    /// The first `length` bytes of a file. They leave piece by piece.
    #[must_use]
    pub fn file(media_type: &'static str, file: File, length: u64) -> Response {
        let response = Response { status: 200, fields: Vec::new(), body: Body::File(file, length), note: None };
        response.with("Content-Type", media_type)
    }

    /// A response without a body, and without a length of one.
    #[must_use]
    pub fn bare(status: u16) -> Response {
        Response { status, fields: Vec::new(), body: Body::None, note: None }
    }

    /// Adds a field, in place of one with the same name.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Response {
        self.fields.retain(|(other, _)| *other != name);
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a note for the log.
    #[must_use]
    pub fn noted(mut self, note: impl Into<String>) -> Response {
        self.note = Some(note.into());
        self
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The note for the log.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Writes the response, without its body when `is_head`.
    pub(super) fn write(self, out: &mut impl Write, is_head: bool) -> io::Result<()> {
        let mut bytes = self.head().into_bytes();
        match self.body {
            Body::Bytes(body) if !is_head => bytes.extend_from_slice(&body),
            Body::File(mut file, length) if !is_head => {
                out.write_all(&bytes)?;
                return copy(&mut file, length, out);
            }
            _ => {}
        }
        out.write_all(&bytes)
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        let mut field = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        self.fields.iter().for_each(|(name, value)| field(name, value));
        let length = match &self.body {
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File(_, length) => Some(*length),
        };
        if let Some(length) = length {
            field("Content-Length", &length.to_string());
        }
        if self.status != 101 {
            let has = |name| self.fields.iter().any(|(other, _)| *other == name);
            for (name, value) in [
                ("Connection", "close"),
                ("Cache-Control", "no-cache"),
                ("Content-Security-Policy", POLICY),
                ("Cross-Origin-Resource-Policy", "same-origin"),
                ("Referrer-Policy", "no-referrer"),
                ("X-Content-Type-Options", "nosniff"),
            ] {
                if !has(name) {
                    field(name, value);
                }
            }
        }
        head.push_str("\r\n");
        head
    }
}

/// Copies `length` bytes; a file that became shorter meanwhile ends the response early, and the client sees that.
fn copy(file: &mut File, length: u64, out: &mut impl Write) -> io::Result<()> {
    let mut left = length;
    let mut piece = vec![0; PIECE_BYTES];
    while left > 0 {
        let wanted = left.min(PIECE_BYTES as u64) as usize;
        let count = file.read(&mut piece[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.write_all(&piece[..count])?;
        left -= count as u64;
    }
    Ok(())
}

fn phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(response: Response, is_head: bool) -> String {
        let mut bytes = Vec::new();
        response.write(&mut bytes, is_head).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_response_says_all_that_it_must() {
        let response =
            || Response::text(404, "Nothing.").with("Cache-Control", "max-age=1").with("Content-Type", "a/b");
        let text = written(response(), false);
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nNothing.\n"), "{text}");
        for field in ["Content-Length: 9", "Connection: close", "Cache-Control: max-age=1", "Content-Type: a/b"] {
            assert_eq!(text.matches(&format!("\r\n{field}\r\n")).count(), 1, "{field} in {text}");
        }
        assert_eq!(text.matches("Cache-Control").count() + text.matches("Content-Type:").count(), 2);
        assert!(text.contains("X-Content-Type-Options: nosniff") && text.contains("default-src 'none'"));
        let head = written(response(), true);
        assert_eq!(format!("{head}Nothing.\n"), text);
    }

    #[test]
    fn a_file_leaves_piece_by_piece_and_no_more_than_was_said() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 3 * PIECE_BYTES]).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let response = Response::file("a/b", file, 2 * PIECE_BYTES as u64 + 1);
        let mut bytes = Vec::new();
        response.write(&mut bytes, false).unwrap();
        let body = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(bytes[body..], [7; 2 * PIECE_BYTES + 1]);
        let short = Response::file("a/b", tempfile::tempfile().unwrap(), 1);
        assert!(short.write(&mut Vec::new(), false).is_err());
    }
}
