//! Defines [`is_request`], which tells a policy request from every other frame.
//!
//! Knows: the spellings of the request that Adobe's documents and clients use.
//! Must not know: what is answered to it.

use crate::wire::Frame;

/// The names that the request has had: today's, and the one that the Flash MX 2004 reference prints (p. 849).
const NAMES: [&[u8]; 2] = [b"policy-file-request", b"cross-domain-request"];

/// Whether `frame` asks for the policy file: it is one of the elements `<policy-file-request/>` and
/// `<cross-domain-request/>`, empty and without attributes, and nothing else. White space inside the tag, white
/// space and a byte order mark around the element, and the long form `<policy-file-request></policy-file-request>`
/// do not matter. A frame that only contains such an element (a chat message that quotes it) is no request.
///
/// It is asked of every first frame, so it looks at the bytes and parses nothing.
#[must_use]
pub fn is_request(frame: &Frame) -> bool {
    let text = trim(frame.bytes());
    let text = trim(text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text));
    let Some(tag) = text.strip_prefix(b"<") else { return false };
    NAMES.iter().any(|name| tag.strip_prefix(*name).is_some_and(|rest| ends_empty(trim_start(rest), name)))
}

/// Whether `rest`, which follows `<name` and white space, ends an empty element called `name` and the frame with it.
fn ends_empty(rest: &[u8], name: &[u8]) -> bool {
    if rest == b"/>" {
        return true;
    }
    let end_tag = rest.strip_prefix(b">").and_then(|rest| rest.strip_prefix(b"</"));
    end_tag.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| trim_start(rest) == b">")
}

/// Drops the white space of XML (not that of Unicode) from both ends.
fn trim(mut text: &[u8]) -> &[u8] {
    text = trim_start(text);
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = text {
        text = rest;
    }
    text
}

/// Drops the white space of XML from the front.
fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_spelling_and_nothing_else() {
        let rows: &[(&[u8], bool)] = &[
            (b"<policy-file-request/>", true),
            (b"<policy-file-request />", true),
            (b"<policy-file-request\t\r\n />", true),
            (b"<cross-domain-request/>", true),
            (b"<cross-domain-request />", true),
            (b"<policy-file-request></policy-file-request>", true),
            (b"<policy-file-request ></policy-file-request\n>", true),
            (b"<cross-domain-request></cross-domain-request>", true),
            (b" \r\n\t<policy-file-request/> \r\n\t", true),
            (b"\xef\xbb\xbf<policy-file-request/>\n", true),
            (b"\n\xef\xbb\xbf <policy-file-request/>", true),
            (b"", false),
            (b" ", false),
            (b"<", false),
            (b"policy-file-request/>", false),
            (b"<policy-file-request", false),
            (b"<policy-file-request>", false),
            (b"<policy-file-request/", false),
            (b"<policy-file-request/ >", false),
            (b"<policy-file-request/>x", false),
            (b"x<policy-file-request/>", false),
            (b"<policy-file-request/><policy-file-request/>", false),
            (b"<policy-file-requests/>", false),
            (b"<policy-file-request-not/>", false),
            (b"<policy-file-request a='1'/>", false),
            (b"<Policy-File-Request/>", false),
            (b"< policy-file-request/>", false),
            (b"<policy-file-request>x</policy-file-request>", false),
            (b"<policy-file-request></cross-domain-request>", false),
            (b"<policy-file-request></policy-file-requests>", false),
            (b"<policy-file-request></ policy-file-request>", false),
            (b"<policy-file-request></policy-file-request>x", false),
            (b"<policy-file-request/></policy-file-request>", false),
            (b"<message><policy-file-request/></message>", false),
            (b"<cross-domain-policy/>", false),
            (b"\xa0<policy-file-request/>", false),
            (b"<policy-file-request/>\x0c", false),
        ];
        for (bytes, expected) in rows {
            let frame = Frame::new(*bytes).unwrap();
            assert_eq!(is_request(&frame), *expected, "{frame:?}");
        }
    }
}
