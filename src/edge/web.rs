//! The chat page and the small things that belong to a web server: `/healthz`, and the policy as `/crossdomain.xml`.
//!
//! The page's files are built into the program. They come from here alone, and the page may load nothing else.
//!
//! Knows: paths, media types, what the page may do. Must not know: what the page does.

use super::http::{Request, Response, Route, RouteAnswer};

/// What the chat page may do: load its own style and script, and speak with this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files of the page: path, media type, content.
const FILES: [(&str, &str, &[u8]); 11] = [
    ("/", "text/html; charset=utf-8", include_bytes!("web/index.html")),
    ("/chat.css", "text/css; charset=utf-8", include_bytes!("web/chat.css")),
    ("/chat.js", SCRIPT, include_bytes!("web/chat.js")),
    ("/commands.js", SCRIPT, include_bytes!("web/commands.js")),
    ("/conversations.js", SCRIPT, include_bytes!("web/conversations.js")),
    ("/frames.js", SCRIPT, include_bytes!("web/frames.js")),
    ("/link.js", SCRIPT, include_bytes!("web/link.js")),
    ("/log.js", SCRIPT, include_bytes!("web/log.js")),
    ("/places.js", SCRIPT, include_bytes!("web/places.js")),
    ("/session.js", SCRIPT, include_bytes!("web/session.js")),
    ("/storage.js", SCRIPT, include_bytes!("web/storage.js")),
];

/// The chat page, at `/`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatPage;

impl Route for ChatPage {
    fn answer(&self, request: &Request<'_>) -> Option<RouteAnswer> {
        let (path, media_type, content) = FILES.iter().find(|(path, ..)| *path == request.path())?;
        let response = embedded(request, media_type, content);
        Some(match *path {
            "/" => response.with("Content-Security-Policy", page_policy(request)).into(),
            _ => response.into(),
        })
    }
}

/// `/healthz`, for whoever watches over the server, and `/crossdomain.xml`, the policy for who asks by HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Basics;

impl Route for Basics {
    fn answer(&self, request: &Request<'_>) -> Option<RouteAnswer> {
        match request.path() {
            "/healthz" => Some(Response::text(200, "ok").with("Cache-Control", "no-store").into()),
            "/crossdomain.xml" => {
                let policy = request.visitor().policy()?.to_element().to_frame();
                Some(Response::new(200, "text/x-cross-domain-policy", policy.into_bytes()).into())
            }
            _ => None,
        }
    }
}

/// What is built into the program. A browser that has it already is told so.
pub(super) fn embedded(request: &Request<'_>, media_type: &'static str, content: &'static [u8]) -> Response {
    let tag = format!("\"{:016x}\"", fingerprint(content));
    if request.words("if-none-match").any(|known| known.trim_start_matches("W/") == tag) {
        return Response::bare(304).with("ETag", tag);
    }
    Response::new(200, media_type, content).with("ETag", tag)
}

/// The page's policy, with this server's WebSocket by name: not every browser takes `'self'` to mean it.
fn page_policy(request: &Request<'_>) -> String {
    let host = request.host();
    format!("{POLICY}; connect-src 'self' ws://{host} wss://{host}")
}

/// A number that differs where contents differ (FNV-1a).
fn fingerprint(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
