//! Tells from the first bytes of a connection what it speaks.
//!
//! A web page of any origin can make a browser connect to a port and send an HTTP request whose body holds zero
//! bytes; so what begins as HTTP is never read as frames, whatever follows.
//!
//! Knows: what HTTP and TLS begin with. Must not know: sockets, time.

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Speaks {
    /// Frames, or a policy request, which is one.
    Frames,
    /// An HTTP request.
    Http,
    /// A TLS handshake.
    Tls,
}

/// Bytes of an HTTP request line; a longer one is HTTP all the same.
const REQUEST_LINE_BYTES_MAX: usize = 8_192;

/// Methods that are HTTP as soon as a target follows. Others may be somebody's text protocol: `SAY /hello`.
const METHODS: [&[u8]; 10] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"];

/// Characters of the longest method that is considered.
const METHOD_BYTES_MAX: usize = 64;

/// What a connection that began with `first` speaks, of whose frames may be that one has ended; `None` while that cannot be
/// told, and what has come may still be the beginning of a frame.
pub(in crate::server) fn spoken(first: &[u8], has_ended: bool, frame_bytes_max: u64) -> Option<Speaks> {
    let is_frame = has_ended || first.len() as u64 > frame_bytes_max;
    speaks(first).or(is_frame.then_some(Speaks::Frames))
}

/// What a connection that began with `first` speaks; `None` while that cannot be told.
pub(in crate::server) fn speaks(first: &[u8]) -> Option<Speaks> {
    match first {
        [] | [0x16] => return None,
        [0x16, 0x03, ..] => return Some(Speaks::Tls),
        _ => {}
    }
    let method = first.iter().take_while(|&&byte| is_token(byte)).count();
    if method == first.len() && method < METHOD_BYTES_MAX {
        return None;
    }
    let (method, target) = match first[method..] {
        [b' ', ..] if method > 0 => (&first[..method], &first[method + 1..]),
        _ => return Some(Speaks::Frames),
    };
    let known = METHODS.contains(&method);
    let begins = |prefix: &[u8]| target.iter().zip(prefix).all(|(a, b)| a.eq_ignore_ascii_case(b));
    match target {
        [] => return None,
        [b'/' | b'*', ..] => {}
        _ if begins(b"http://") && target.len() < 7 || begins(b"https://") && target.len() < 8 => return None,
        _ if begins(b"http://") || begins(b"https://") => {}
        [byte, ..] if method == b"CONNECT" && byte.is_ascii_graphic() => {}
        _ => return Some(Speaks::Frames),
    }
    if known {
        return Some(Speaks::Http);
    }
    // A method that nobody knows: the request line says what it is, at its end.
    // No control character stands in one, but for those that end it.
    match target.iter().position(|byte| byte.is_ascii_control() && *byte != b'\r') {
        Some(end) if target[end] == b'\n' && is_http_version(&target[..end]) => Some(Speaks::Http),
        Some(_) => Some(Speaks::Frames),
        None if first.len() >= REQUEST_LINE_BYTES_MAX => Some(Speaks::Http),
        None => None,
    }
}

/// Whether a request line ends as HTTP's do: ` HTTP/1.1`.
fn is_http_version(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    matches!(line.last_chunk(), Some([b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// A character of an HTTP method (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&[u8], Speaks)] = &[
        (b"<login/>\0", Speaks::Frames),
        (b"<policy-file-request/>\0", Speaks::Frames),
        (b"\0", Speaks::Frames),
        (b"\n<a/>\0", Speaks::Frames),
        (b"\xef\xbb\xbf<a/>\0", Speaks::Frames),
        (b"%xt%z%1%\0", Speaks::Frames),
        (b"MojaChat\0", Speaks::Frames),
        (b"{\"a\":1}\0", Speaks::Frames),
        (b"hello world\0", Speaks::Frames),
        (b"!SOS<clear/>\0", Speaks::Frames),
        (b"SAY /hello\0", Speaks::Frames),
        (b"SAY /hello\nthere\0", Speaks::Frames),
        (b"GETTING better\0", Speaks::Frames),
        (b"GET\0", Speaks::Frames),
        (b"GET it\0", Speaks::Frames),
        (b"GET hello\0", Speaks::Frames),
        (b"GET httpd\0", Speaks::Frames),
        (b"GET http:/\0", Speaks::Frames),
        (b"GET https:/\0", Speaks::Frames),
        (b"GET http://", Speaks::Http),
        (b"GET https://", Speaks::Http),
        (b"GET / HTTP/1.1\r\n", Speaks::Http),
        (b"GET /\r\n", Speaks::Http),
        (b"HEAD /x HTTP/1.0\r\n", Speaks::Http),
        (b"POST / HTTP/1.1\r\n\r\n<login/>\0", Speaks::Http),
        (b"OPTIONS * HTTP/1.1\r\n", Speaks::Http),
        (b"PRI * HTTP/2.0\r\n", Speaks::Http),
        (b"CONNECT example.com:1024 HTTP/1.1\r\n", Speaks::Http),
        (b"GET http://example.com/ HTTP/1.1\r\n", Speaks::Http),
        (b"login / HTTP/1.1\r\n", Speaks::Http),
        (b"X-Odd_Method /a?b=c HTTP/1.1\n", Speaks::Http),
        (b"\x16\x03\x01\x02\x00", Speaks::Tls),
        (b"\x16\x02\0", Speaks::Frames),
    ];

    #[test]
    fn first_bytes_tell_at_whatever_cut_they_arrive() {
        for (bytes, expected) in TABLE {
            assert_eq!(speaks(bytes), Some(*expected), "{}", bytes.escape_ascii());
            for cut in 0..bytes.len() {
                let early = speaks(&bytes[..cut]);
                assert!(early.is_none() || early == Some(*expected), "{} cut at {cut}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn what_has_ended_or_is_too_long_for_a_frame_is_no_beginning_of_a_request() {
        assert_eq!(spoken(b"GE", false, 2), None);
        assert_eq!(spoken(b"GE", false, 1), Some(Speaks::Frames));
        assert_eq!(spoken(b"GE", true, 2), Some(Speaks::Frames));
        assert_eq!(spoken(b"GET /", true, 2), Some(Speaks::Http));
        let line = |bytes: usize| [b"ODD /", &vec![b'a'; bytes - 5][..]].concat();
        assert_eq!(spoken(&line(REQUEST_LINE_BYTES_MAX - 1), false, u64::MAX), None);
        assert_eq!(spoken(&line(REQUEST_LINE_BYTES_MAX - 1), true, u64::MAX), Some(Speaks::Frames));
        assert_eq!(spoken(&line(REQUEST_LINE_BYTES_MAX), true, 1), Some(Speaks::Http));
    }

    #[test]
    fn endless_beginnings_are_decided() {
        assert_eq!(speaks(&[b'a'; METHOD_BYTES_MAX]), Some(Speaks::Frames));
        let mut line = b"ODD /".to_vec();
        line.resize(REQUEST_LINE_BYTES_MAX, b'a');
        assert_eq!(speaks(&line), Some(Speaks::Http));
    }
}
