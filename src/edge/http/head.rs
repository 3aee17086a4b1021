//! Defines [`Head`], a request's head as it came, and [`Request`], what routes see of it.
//!
//! Knows: the grammar of a head (by `httparse`), its bounds. Must not know: which paths there are.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use httparse::{EMPTY_HEADER, Header, Status};

use super::forwarded;
use super::gate::Gate;
use super::response::Response;
use crate::server::Visitor;

/// Bytes of a head. Browsers send every cookie that any server on the same host ever set.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Fields of a head.
const FIELDS_MAX: usize = 100;

/// How long a head may take from the first byte to the last, unless the limit for frames is shorter.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Characters of a request line that are logged.
const LOGGED_MAX: usize = 120;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 1024;

/// Room for the fields of a head. It is made on the heap: the stack of a thread keeps every page that it ever touched,
/// and this thread may serve a WebSocket for days.
pub(super) fn room<'head>() -> Vec<Header<'head>> {
    vec![EMPTY_HEADER; FIELDS_MAX]
}

/// A whole head, and what came with it.
pub(super) struct Head {
    bytes: Vec<u8>,
    /// The bytes of the head; what follows is not part of it.
    length: usize,
}

/// A request that is not answered by any route.
pub(super) struct Refusal {
    pub(super) response: Response,
}

impl Refusal {
    pub(super) fn new(response: Response) -> Refusal {
        Refusal { response }
    }

    fn text(status: u16, text: &'static str) -> Refusal {
        Refusal::new(Response::text(status, text))
    }

    /// Answers with it; a client that does not want to hear it goes without.
    pub(super) fn write(self, visitor: &mut Visitor<'_>) {
        let _ = self.response.write(visitor, false);
    }
}

impl Head {
    /// Reads a head; `None` when the client left.
    pub(super) fn read(visitor: &mut Visitor<'_>) -> Result<Option<Head>, Refusal> {
        visitor.read_for(HEAD_TIMEOUT);
        Head::read_from(visitor)
    }

    /// As [`read`](Head::read), from any stream.
    pub(super) fn read_from(stream: &mut impl Read) -> Result<Option<Head>, Refusal> {
        let mut head = Head { bytes: Vec::new(), length: 0 };
        loop {
            let before = head.bytes.len();
            head.bytes.resize(before + PIECE_BYTES, 0);
            let read = stream.read(&mut head.bytes[before..]);
            head.bytes.truncate(before + read.as_ref().map_or(0, |count| *count));
            match read {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Err(Refusal::text(408, "The request did not end in time."));
                }
                Ok(0) | Err(_) => return Ok(None),
            }
            head.check_method()?;
            // Only a line's end can end a head, or show what is wrong with it.
            if head.bytes[before..].contains(&b'\n') {
                let mut fields = room();
                if let Status::Complete(length) = parse(&head.bytes, &mut fields)?.0 {
                    head.length = length;
                }
            }
            match head.length {
                0 if head.bytes.len() < HEAD_BYTES_MAX => {}
                length if (1..=HEAD_BYTES_MAX).contains(&length) => return Ok(Some(head)),
                _ => return Err(Refusal::text(431, "The head of the request is too long.")),
            }
        }
    }

    /// The fields of the head, in the room that the caller gives.
    pub(super) fn parse<'head>(&'head self, fields: &'head mut [Header<'head>]) -> Result<Parsed<'head>, Refusal> {
        let (_, request) = parse(&self.bytes[..self.length], fields)?;
        let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        let fields = &*request.headers;
        let mut hosts = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
        let named = match (hosts.next(), hosts.next()) {
            (Some(host), None) => str::from_utf8(host.value).map_err(|_| Refusal::text(400, "Host is no name."))?,
            // Only clients from before there was a Host go without, and those are no browsers.
            (None, _) if request.version == Some(0) => "localhost",
            _ => return Err(Refusal::text(400, "A request has one Host.")),
        };
        let (host, target) = match absolute(target) {
            Some((host, target)) => (host, target),
            None => (named, target),
        };
        let (path, _) = target.split_once('?').unwrap_or((target, ""));
        if !path.starts_with('/') {
            return Err(Refusal::text(400, "The target of a request is a path."));
        }
        Ok(Parsed { is_head: method == "HEAD", is_http_1_0: request.version == Some(0), path, host, fields })
    }

    /// Whether the request asks for the head of a response alone.
    pub(super) fn is_head(&self) -> bool {
        self.bytes.starts_with(b"HEAD ")
    }

    /// Method and path for the log. Its query is left out: people have put worse into one than passwords.
    pub(super) fn line(&self) -> String {
        let line = self.bytes.split(|byte| matches!(byte, b'\r' | b'\n' | b'?')).next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        line.trim_end_matches(" HTTP/1.1").chars().take(LOGGED_MAX).flat_map(char::escape_debug).collect()
    }

    /// What came after the head.
    pub(super) fn into_rest(mut self) -> Vec<u8> {
        self.bytes.split_off(self.length)
    }

    /// Refuses other methods before all of the head is there: their senders want to be read as something else.
    fn check_method(&self) -> Result<(), Refusal> {
        match self.bytes.split_first_chunk::<4>() {
            Some((b"GET ", _)) => Ok(()),
            Some((b"HEAD", [] | [b' ', ..])) | None => Ok(()),
            _ => {
                let response = Response::text(405, "Only GET and HEAD are answered.").with("Allow", "GET, HEAD");
                Err(Refusal::new(response))
            }
        }
    }
}

type Piece<'head, 'fields> = (Status<usize>, httparse::Request<'fields, 'head>);

fn parse<'head, 'fields>(
    bytes: &'head [u8],
    fields: &'fields mut [Header<'head>],
) -> Result<Piece<'head, 'fields>, Refusal> {
    let mut request = httparse::Request::new(fields);
    match request.parse(bytes) {
        Ok(status) => Ok((status, request)),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::text(431, "The head of the request has too many fields.")),
        Err(httparse::Error::Version) => Err(Refusal::text(505, "This server speaks HTTP/1.1.")),
        Err(_) => Err(Refusal::text(400, "This is not HTTP.")),
    }
}

/// Host and path of a target that names both, as clients send it to proxies.
fn absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    Some(match rest.find(['/', '?']) {
        Some(end) if rest[end..].starts_with('/') => rest.split_at(end),
        Some(end) => (&rest[..end], "/"),
        None => (rest, "/"),
    })
}

/// A head in its parts.
pub(super) struct Parsed<'head> {
    is_head: bool,
    is_http_1_0: bool,
    pub(super) path: &'head str,
    pub(super) host: &'head str,
    fields: &'head [Header<'head>],
}

impl<'head> Parsed<'head> {
    /// Whether something follows that the request wants to be stored.
    pub(super) fn has_body(&self) -> bool {
        self.values("content-length").any(|value| value != "0") || self.values("transfer-encoding").next().is_some()
    }

    /// The values of all fields with this name, in order. One that is no text is no value.
    pub(super) fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &'head str> {
        let named = self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.filter_map(|field| str::from_utf8(field.value).ok()).map(str::trim)
    }
}

/// A request, for routes.
pub struct Request<'head> {
    parsed: &'head Parsed<'head>,
    visitor: &'head Visitor<'head>,
    gate: &'head Gate,
}

impl<'head> Request<'head> {
    pub(super) fn new(parsed: &'head Parsed<'head>, visitor: &'head Visitor<'head>, gate: &'head Gate) -> Self {
        Request { parsed, visitor, gate }
    }

    /// Whether the head of the response is all that is wanted. The body is left out by itself.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.parsed.is_head
    }

    /// Whether the client speaks HTTP/1.0.
    #[must_use]
    pub fn is_http_1_0(&self) -> bool {
        self.parsed.is_http_1_0
    }

    /// The path as it was sent, with its percent signs and without its query.
    #[must_use]
    pub fn path(&self) -> &'head str {
        self.parsed.path
    }

    /// The name, and the port if it is not the usual one, by which the client calls this server. It has been checked.
    #[must_use]
    pub fn host(&self) -> &'head str {
        self.parsed.host
    }

    /// The value of the first field with this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'head str> {
        self.parsed.values(name).next()
    }

    /// The words that the fields with this name list between commas.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &'head str> {
        self.parsed.values(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// Whether the client reached this server over TLS, as far as a proxy that is believed says so.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        forwarded::is_secure(self.parsed, self.visitor)
    }

    /// Whether the page that sent the request may speak with this server. Other programs than browsers name no page.
    ///
    /// # Errors
    /// When it may not: the page's site, and why.
    pub fn check_origin(&self) -> Result<(), (&'head str, String)> {
        let peer = self.visitor.peer();
        self.parsed
            .values("origin")
            .try_for_each(|origin| self.gate.admit(origin, self.parsed.host, peer).map_err(|reason| (origin, reason)))
    }

    /// Who sent it, and what the listener has for it.
    #[must_use]
    pub fn visitor(&self) -> &'head Visitor<'head> {
        self.visitor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream that comes in pieces of these lengths.
    struct Pieces<'stream> {
        rest: &'stream [u8],
        lengths: std::iter::Cycle<std::slice::Iter<'stream, usize>>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let length = self.lengths.next().copied().unwrap_or(1).min(out.len());
            self.rest.read(&mut out[..length])
        }
    }

    /// What a stream amounts to, in pieces of these lengths: the host and path of its head and what follows it; or the
    /// status of a refusal; or nothing yet.
    fn read(stream: &[u8], pieces: &[usize]) -> Result<Option<(String, String, Vec<u8>)>, u16> {
        let mut source = Pieces { rest: stream, lengths: pieces.iter().cycle() };
        let head = Head::read_from(&mut source).map_err(|refusal| refusal.response.status())?;
        let (Some(head), rest) = (head, source.rest) else { return Ok(None) };
        let mut fields = room();
        let parsed = head.parse(&mut fields).map_err(|refusal| refusal.response.status())?;
        assert!(!head.line().contains(['\r', '\n', '?']));
        let (host, path) = (parsed.host.to_owned(), parsed.path.to_owned());
        Ok(Some((host, path, [&head.into_rest(), rest].concat())))
    }

    #[test]
    fn heads_are_read_however_they_are_cut() {
        let long = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes));
        let many = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(count));
        let rows = [
            ("GET / HTTP/1.1\r\nHost: a:1\r\n\r\n", Ok(Some(("a:1", "/")))),
            ("GET / HTTP/1.1\nhost: a\n\n", Ok(Some(("a", "/")))),
            ("HEAD /a%20b?c?d HTTP/1.1\r\nHOST:a \r\n\r\n", Ok(Some(("a", "/a%20b")))),
            ("GET http://b:2/c HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Some(("b:2", "/c")))),
            ("GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Some(("b", "/")))),
            ("GET http://b?c=/d HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Some(("b", "/")))),
            ("GET / HTTP/1.0\r\n\r\n", Ok(Some(("localhost", "/")))),
            ("GET / HTTP/1.1\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Err(400)),
            ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(400)),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", Err(400)),
            ("GET / HTTP/2.0\r\n\r\n", Err(505)),
            ("GET /\r\n\r\n", Err(400)),
            ("POST / HTTP/1.1\r\n", Err(405)),
            ("HEADER / HTTP/1.1\r\n", Err(405)),
            ("get / HTTP/1.1\r\n", Err(405)),
            ("GETS", Err(405)),
            ("GET", Ok(None)),
            ("GET / HTTP/1.1\r\nHost: a\r\n", Ok(None)),
            (&long(HEAD_BYTES_MAX - 32), Ok(Some(("a", "/")))),
            (&long(HEAD_BYTES_MAX - 31), Err(431)),
            (&many(FIELDS_MAX - 1), Ok(Some(("a", "/")))),
            (&many(FIELDS_MAX), Err(431)),
        ];
        for (text, expected) in rows {
            let ends = matches!(expected, Ok(Some(_)));
            let stream = if ends { format!("{text}<a/>\0") } else { text.to_owned() };
            let expected =
                expected.map(|found| found.map(|(host, path)| (host.to_owned(), path.to_owned(), b"<a/>\0".to_vec())));
            let shown = &text[..text.len().min(60)];
            assert_eq!(read(stream.as_bytes(), &[stream.len()]), expected, "{shown:?}");
            assert_eq!(read(stream.as_bytes(), &[1]), expected, "{shown:?}, byte by byte");
            for cut in 1..stream.len().min(200) {
                assert_eq!(read(stream.as_bytes(), &[cut, stream.len()]), expected, "{shown:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_log_line_holds_no_query_and_nothing_that_a_terminal_acts_upon() {
        for (bytes, line) in [
            (&b"GET /ws?session=5ec3e7 HTTP/1.1\r\n"[..], "GET /ws"),
            (b"GET /\x1b[2J HTTP/1.1\r\n", "GET /\\u{1b}[2J"),
            (b"HEAD / HTTP/1.0\r\n", "HEAD / HTTP/1.0"),
            (b"GET /\xff HTTP/1.1", "GET /\u{fffd}"),
        ] {
            assert_eq!(Head { bytes: bytes.to_vec(), length: bytes.len() }.line(), line);
        }
    }

    /// Pieces of heads, well made or not.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let known = [
            "GET ",
            "HEAD ",
            "/",
            "http://",
            "?",
            " HTTP/1.1",
            " HTTP/1.0",
            "\r\n",
            "\n",
            "Host: a",
            "Host:",
            ": ",
            "x",
            "Content-Length: 1",
            "Origin: null",
            " ",
            "\0",
            "\r",
            "%",
            "[::1]:1",
        ];
        let known = prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec());
        prop_oneof![8 => known, 1 => prop::collection::vec(any::<u8>(), 0..4)]
    }

    proptest! {
        #[test]
        fn whatever_comes_means_the_same_however_it_is_cut(
            pieces in prop::collection::vec(piece(), 0..24),
            cuts in prop::collection::vec(1usize..30, 1..6),
        ) {
            let stream = [b"GET ".to_vec(), pieces.concat()].concat();
            let all = [&[stream.len()][..], &[1], &cuts].map(|pieces| read(&stream, pieces));
            // What is wrong may show sooner when more has come; what is right is the same.
            if all.iter().any(|read| matches!(read, Ok(Some(_)))) {
                prop_assert_eq!(&all[1], &all[0]);
                prop_assert_eq!(&all[2], &all[0]);
            }
        }
    }
}
