//! Flash content: a folder of SWFs and their assets, and a page for each that plays it in Ruffle, with its sockets led
//! through this server's WebSocket.
//!
//! Ruffle's own files come from a folder of the operator's, never from elsewhere.
//!
//! Knows: Ruffle's configuration, paths. Must not know: what is in a SWF.

use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;
use std::str::FromStr;

use super::files::{Folder, decode, encode};
use super::http::{Request, Response, Route, RouteAnswer};
use super::web::embedded;

/// What a page that plays a SWF may do: run Ruffle, which is WebAssembly and styles its player by itself, load assets
/// from here, and speak with this server.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; \
     frame-ancestors 'self'; base-uri 'none'; form-action 'none'";

/// The files that every playing page shares: path, media type, content.
const FILES: [(&str, &str, &[u8]); 2] = [
    ("/play.css", "text/css; charset=utf-8", include_bytes!("web/play.css")),
    ("/play.js", "text/javascript; charset=utf-8", include_bytes!("web/play.js")),
];

/// The file without which a folder holds no Ruffle.
const RUFFLE: &str = "ruffle.js";

/// Where a playing page finds the WebSocket.
const SOCKET_PATH: &str = "/ws";

/// A host and a port that SWFs open sockets to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlashHost {
    name: String,
    port: u16,
}

impl FlashHost {
    /// A host and a port, as the SWF writes them.
    #[must_use]
    pub fn new(name: impl Into<String>, port: u16) -> FlashHost {
        FlashHost { name: name.into(), port }
    }
}

impl FromStr for FlashHost {
    type Err = FlashHostError;

    fn from_str(text: &str) -> Result<FlashHost, FlashHostError> {
        let error = || FlashHostError(text.to_owned());
        let (name, port) = text.rsplit_once(':').ok_or_else(error)?;
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let port: u16 = port.parse().map_err(|_| error())?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-._:".contains(c));
        if is_name && port > 0 { Ok(FlashHost::new(name, port)) } else { Err(error()) }
    }
}

/// A text that names no host and port; holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlashHostError(pub String);

impl fmt::Display for FlashHostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no host and port such as games.example.org:9339", self.0)
    }
}

impl std::error::Error for FlashHostError {}

/// A folder of Flash content: its files at `/content/…` and, where nothing else is, at their bare paths, which old
/// content asks for; its SWFs played at `/play/NAME.swf`.
#[derive(Clone, Debug)]
pub struct Content {
    folder: Folder,
    ruffle: Option<Folder>,
    hosts: Vec<FlashHost>,
    lists: bool,
}

impl Content {
    /// Serves a folder.
    #[must_use]
    pub fn new(folder: Folder) -> Content {
        Content { folder, ruffle: None, hosts: Vec::new(), lists: false }
    }

    /// Plays SWFs, in the Ruffle that lies in `folder`.
    #[must_use]
    pub fn with_ruffle(mut self, folder: Folder) -> Content {
        self.ruffle = Some(folder);
        self
    }

    /// Leads sockets to these hosts through this server; without any, those to this server itself.
    #[must_use]
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = FlashHost>) -> Content {
        self.hosts.extend(hosts);
        self
    }

    /// Lists the SWFs at the top of the folder at `/play/`.
    #[must_use]
    pub fn with_list(mut self) -> Content {
        self.lists = true;
        self
    }

    /// The page that plays the SWF at `path`.
    fn play(&self, request: &Request<'_>, path: &str) -> Option<RouteAnswer> {
        let is_swf = path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("swf"));
        if !is_swf || !self.folder.has(path) {
            return None;
        }
        if self.ruffle.is_none() {
            let sentence = "This server has no Ruffle. Start it with --ruffle and the folder of the npm package.";
            return Some(Response::text(404, sentence).into());
        }
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let base = if folder.is_empty() { "/content/".to_owned() } else { format!("/content/{folder}/") };
        let title = decode(name).unwrap_or_default();
        let scheme = if request.is_secure() { "wss" } else { "ws" };
        let socket = format!("{scheme}://{}{SOCKET_PATH}", request.host());
        let settings = format!(
            "{{\"url\":{},\"base\":{},\"autoplay\":\"on\",\"letterbox\":\"on\",\"socketProxy\":[{}]}}",
            json(&format!("/content/{path}")),
            json(&base),
            proxies(&self.hosts_for(request), &socket),
        );
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/play.css\">\n\
             <script type=\"application/json\" id=\"settings\">{settings}</script>\n\
             <script src=\"/ruffle/{RUFFLE}\" defer></script>\n<script src=\"/play.js\" defer></script>\n\
             <main id=\"player\"><noscript>Ruffle, which plays Flash content, needs JavaScript.</noscript></main>\n\
             </html>\n",
            html(&title),
        );
        Some(document(request, page).into())
    }

    /// The hosts whose sockets are led here.
    fn hosts_for(&self, request: &Request<'_>) -> Vec<FlashHost> {
        if !self.hosts.is_empty() {
            return self.hosts.clone();
        }
        let name = request.host().parse().map_or_else(|_| request.host().to_owned(), |FlashHost { name, .. }| name);
        let mut hosts: Vec<FlashHost> = Vec::new();
        for name in [name.as_str(), "localhost", "127.0.0.1"] {
            let host = FlashHost::new(name, request.visitor().peer().local_address.port());
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    fn list(&self, request: &Request<'_>) -> Response {
        let mut page = String::from(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Play</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/play.css\">\n<ul>\n",
        );
        for name in self.folder.names("swf") {
            let _ = writeln!(page, "<li><a href=\"/play/{}\">{}</a>", encode(&name), html(&name));
        }
        page.push_str("</ul>\n</html>\n");
        document(request, page)
    }
}

impl Route for Content {
    fn answer(&self, request: &Request<'_>) -> Option<RouteAnswer> {
        let path = request.path();
        if let Some((_, media_type, content)) = FILES.iter().find(|(own, ..)| *own == path) {
            return Some(embedded(request, media_type, content).into());
        }
        if path == "/play/" && self.lists {
            return Some(self.list(request).into());
        }
        if let Some(path) = path.strip_prefix("/play/") {
            return self.play(request, path);
        }
        if let Some(path) = path.strip_prefix("/ruffle/") {
            return Some(self.ruffle.as_ref()?.answer(request, path)?.into());
        }
        let path = path.strip_prefix("/content/").or_else(|| path.strip_prefix('/'))?;
        Some(self.folder.answer(request, path)?.into())
    }
}

/// The folder of Ruffle's files.
///
/// # Errors
/// When it cannot be read, or Ruffle is not in it.
pub fn ruffle(path: impl AsRef<Path>) -> io::Result<Folder> {
    let folder = Folder::open(path)?;
    if folder.has(RUFFLE) {
        return Ok(folder);
    }
    let text = format!("there is no {RUFFLE} in it: it should be the folder of the npm package @ruffle-rs/ruffle");
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

/// What a page of somebody's own needs so that Ruffle leads sockets to `hosts` through the WebSocket at `url`.
#[must_use]
pub fn snippet(hosts: &[FlashHost], url: &str) -> String {
    let mut text = String::from(
        "<script>\n  window.RufflePlayer = window.RufflePlayer || {};\n  window.RufflePlayer.config = {\n    \
         ...window.RufflePlayer.config,\n    socketProxy: [\n",
    );
    for FlashHost { name, port } in hosts {
        let _ = writeln!(text, "      {{ host: {}, port: {port}, proxyUrl: {} }},", json(name), json(url));
    }
    text.push_str("    ],\n  };\n</script>\n");
    text
}

fn proxies(hosts: &[FlashHost], url: &str) -> String {
    let entry = |FlashHost { name, port }: &FlashHost| {
        format!("{{\"host\":{},\"port\":{port},\"proxyUrl\":{}}}", json(name), json(url))
    };
    hosts.iter().map(entry).collect::<Vec<_>>().join(",")
}

fn document(request: &Request<'_>, page: String) -> Response {
    let host = request.host();
    let policy = format!("{POLICY}; connect-src 'self' data: blob: ws://{host} wss://{host}");
    Response::new(200, "text/html; charset=utf-8", page.into_bytes()).with("Content-Security-Policy", policy)
}

/// A text as JSON, which is also JavaScript, in a form that may stand inside HTML's `script`.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' | '\x7f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text as HTML's text or the value of an attribute.
fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_people_write_them() {
        for (text, name, port) in [
            ("games.example.org:9339", "games.example.org", 9339),
            ("127.0.0.1:1024", "127.0.0.1", 1024),
            ("[::1]:1024", "::1", 1024),
            ("localhost:65535", "localhost", 65_535),
        ] {
            assert_eq!(text.parse(), Ok(FlashHost::new(name, port)), "{text}");
        }
        for text in ["", "localhost", ":1024", "localhost:", "localhost:0", "localhost:65536", "a b:1", "\"><x>:1"] {
            assert_eq!(text.parse::<FlashHost>(), Err(FlashHostError(text.to_owned())));
        }
    }

    #[test]
    fn nothing_leaves_its_quotes() {
        assert_eq!(json("</script><!--\"\\\n\u{2028}é"), r#""\u003c/script\u003e\u003c!--\"\\\u000a\u2028é""#);
        assert_eq!(html("<b title='\"'>&"), "&lt;b title=&#39;&quot;&#39;&gt;&amp;");
    }

    #[test]
    fn the_snippet_names_each_host() {
        let text = snippet(&[FlashHost::new("a.example", 1), FlashHost::new("b.example", 2)], "wss://c.example/ws");
        for line in [
            r#"      { host: "a.example", port: 1, proxyUrl: "wss://c.example/ws" },"#,
            r#"      { host: "b.example", port: 2, proxyUrl: "wss://c.example/ws" },"#,
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in {text}");
        }
    }
}
