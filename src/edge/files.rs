//! Files of a folder: found by a path of the web, never outside the folder.
//!
//! Knows: how a path is written in a URL, what may not be reached by one, media types.
//! Must not know: whose folder it is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::http::{Request, Response};

/// Media types by the ending of a name.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("swf", "application/x-shockwave-flash"),
    ("wasm", "application/wasm"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("xml", "application/xml"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("txt", "text/plain; charset=utf-8"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("svg", "image/svg+xml"),
    ("ico", "image/x-icon"),
    ("webp", "image/webp"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("wav", "audio/wav"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("flv", "video/x-flv"),
    ("f4v", "video/mp4"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
];

/// The media type of everything else: bytes to keep, not to show.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A folder whose files may be read by anybody.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is, free of symbolic links.
    root: PathBuf,
}

impl Folder {
    /// Takes a folder.
    ///
    /// # Errors
    /// When it is not there, or is no folder.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Folder> {
        let root = path.as_ref().canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Folder { root })
    }

    /// Whether it has a file at this path of the web.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// The file at `path`, a path of the web, as a response; `None` when there is none that may be read.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>, path: &str) -> Option<Response> {
        let found = self.find(path)?;
        let media_type = media_type(&found);
        let file = File::open(&found).ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() {
            return None;
        }
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tag = format!("\"{:x}-{:x}\"", metadata.len(), changed.as_nanos());
        if request.words("if-none-match").any(|known| known.trim_start_matches("W/") == tag) {
            return Some(Response::bare(304).with("ETag", tag));
        }
        Some(Response::file(media_type, file, metadata.len()).with("ETag", tag))
    }

    /// The names of the files at the top of the folder that end in `ending`, in order.
    #[must_use]
    pub fn names(&self, ending: &str) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<_> =
            names.filter(|name| has_ending(Path::new(name), ending) && self.has(&encode(name))).collect();
        names.sort_unstable();
        names
    }

    /// The file that `path` means, if it is one. Every step on the way lies inside the folder, wherever symbolic links
    /// lead.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let mut found = self.root.clone();
        for part in path.split('/') {
            found.push(decode(part).filter(|name| is_plain(name))?);
            found = found.canonicalize().ok().filter(|found| found.starts_with(&self.root))?;
        }
        // A pipe or a device would not end; and whoever opens a pipe waits for its other end.
        found.metadata().ok()?.is_file().then_some(found)
    }
}

/// Whether `name` is a name and nothing else: no way up, no separator, nothing that is hidden.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn media_type(path: &Path) -> &'static str {
    MEDIA_TYPES.iter().find(|(ending, _)| has_ending(path, ending)).map_or(UNKNOWN_TYPE, |(_, media_type)| media_type)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending))
}

/// A part of a path with its percent signs resolved, once; `None` when that is no text.
#[must_use]
pub fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A name as a part of a path.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => part.push(char::from(byte)),
            _ => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_found() {
        let around = tempfile::tempdir().unwrap();
        let root = around.path().join("content");
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        fs::create_dir(around.path().join("content-of-others")).unwrap();
        for path in ["secret", "content/a.swf", "content/sub/b c.xml", "content/.hidden", "content-of-others/x"] {
            fs::write(around.path().join(path), path).unwrap();
        }
        fs::create_dir(root.join(".git")).unwrap();
        fs::write(root.join(".git/config"), "secret").unwrap();
        fs::write(root.join("sub/日本.txt"), "name").unwrap();
        fs::write(root.join("100%.txt"), "name").unwrap();
        symlink(around.path().join("secret"), root.join("out")).unwrap();
        symlink(around.path(), root.join("up")).unwrap();
        symlink(root.join("sub"), root.join("in")).unwrap();
        symlink("a.swf", root.join("alias.swf")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let folder = Folder::open(&root).unwrap();
        for path in [
            "a.swf",
            "%61.swf",
            "sub/b%20c.xml",
            "sub/%E6%97%A5%E6%9C%AC.txt",
            "sub/日本.txt",
            "100%25.txt",
            "in/b%20c.xml",
            "alias.swf",
        ] {
            assert!(folder.has(path), "{path}");
        }
        for path in [
            "",
            "/",
            "/a.swf",
            "a.swf/",
            "sub",
            "sub/",
            "sub//b%20c.xml",
            "./a.swf",
            "../secret",
            "sub/../a.swf",
            "sub/../../secret",
            "..%2fsecret",
            "%2e%2e/secret",
            "%2E%2E%2Fsecret",
            "sub%2fb%20c.xml",
            "%252e%252e/secret",
            "..\\secret",
            "a.swf%00",
            "a.swf\0",
            "%",
            "%4",
            "%zz",
            "%+1",
            "%ff",
            ".hidden",
            "%2ehidden",
            ".git/config",
            "out",
            "up/secret",
            "up/content/a.swf",
            "../content-of-others/x",
            "socket",
            "missing",
            "a.swf?x",
        ] {
            assert!(!folder.has(path), "{path}");
        }
        assert_eq!(folder.names("swf"), ["a.swf", "alias.swf"]);
        assert!(Folder::open(root.join("a.swf")).is_err() && Folder::open(root.join("missing")).is_err());
    }

    #[test]
    fn parts_of_paths_survive() {
        for name in ["a.swf", "b c", "日本", "100%", "a/b", "?#&\"<"] {
            assert_eq!(decode(&encode(name)).as_deref(), Some(name));
        }
    }

    #[test]
    fn media_types_are_known_by_their_endings() {
        for (name, expected) in [
            ("game.swf", "application/x-shockwave-flash"),
            ("GAME.SWF", "application/x-shockwave-flash"),
            ("ruffle.wasm", "application/wasm"),
            ("core.ruffle.0.js", "text/javascript; charset=utf-8"),
            ("README", UNKNOWN_TYPE),
            ("a.exe", UNKNOWN_TYPE),
        ] {
            assert_eq!(media_type(Path::new(name)), expected, "{name}");
        }
    }
}
