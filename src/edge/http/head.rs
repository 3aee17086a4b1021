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

    /// Method and target for the log.
    pub(super) fn line(&self) -> String {
        let line = self.bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
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
