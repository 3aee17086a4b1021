//! The order of the house: who may name whom, where features are asked for, how long files and functions are.
//!
//! All of it is read from the source text, so that a breach fails here, with its line, and not in a review.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers that it may name. A file belongs to the layer called as its folder under `src`, or as
/// the file itself. `lib.rs` and `main.rs` belong to none: they only declare and start. Those from
/// `exit_code` on are the program's: it stands outside the library and names it `xmlsocket`, as any embedder does.
const LAYERS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("policy", &["wire"]),
    ("server", &["wire", "policy"]),
    ("client", &["wire", "policy"]),
    ("chat", &["wire", "server"]),
    ("relay", &["wire", "server"]),
    ("edge", &["wire", "policy", "server"]),
    ("exit_code", &[]),
    ("printable", &[]),
    ("json", &[]),
    ("taken", &[]),
    ("address", &["exit_code"]),
    ("bench", &["exit_code", "printable", "json", "address", "taken"]),
    (
        "cli",
        &[
            "wire",
            "policy",
            "server",
            "client",
            "chat",
            "relay",
            "edge",
            "exit_code",
            "printable",
            "json",
            "address",
            "taken",
            "bench",
        ],
    ),
];

/// Where it may be asked whether a feature is on: everywhere else the code is the same with every set of features.
const FEATURE_FILES: &[&str] = &["src/lib.rs", "src/main.rs", "src/edge/mod.rs", "src/cli/edges.rs"];

/// Names that two classes have in Adobe's documents: those of ActionScript 2 and 3.
const NAMED_BY_ADOBE: &[&str] = &["XmlSocket"];

/// Lines of a file, and of a function of the program, that one can still take in; a test's table may be longer.
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// What is written where work is not finished. Put together, so that this file holds none of it.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("dbg", "!("),
    concat!("#[ig", "nore"),
];

/// A file of the project.
struct Source {
    /// Its path from the project's folder, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The lines that are code, with their numbers: without comments and without what only tests compile, be it an
    /// item or a whole file.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        if self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs") {
            return code;
        }
        let mut lines = self.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        while let Some((number, line)) = lines.next() {
            let trimmed = line.trim_start();
            if trimmed.starts_with("#[cfg(test)]") {
                skip_item(&mut lines);
            } else if !trimmed.starts_with("//") {
                code.push((number, line.split(" // ").next().unwrap_or(line)));
            }
        }
        code
    }

    fn at(&self, number: usize, what: &str) -> String {
        format!("{}:{number}: {what}", self.path)
    }
}

/// Skips one item, with its further attributes: up to the line that ends with `;`, or to the brace that closes it,
/// which rustfmt puts below the item's first letter.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) {
    let mut indent = None;
    for (_, line) in lines {
        let depth = line.len() - line.trim_start().len();
        match indent {
            None if line.trim_start().starts_with("#[") => {}
            None if line.ends_with(';') || line.ends_with('}') => return,
            None => indent = Some(depth),
            Some(indent) if depth == indent && (line.ends_with('}') || line.ends_with(';')) => return,
            Some(_) => {}
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The project's files with one of `extensions` in `folder`, in order. What tools leave behind is not the project's.
fn sources(folder: &str, extensions: &[&str]) -> Vec<Source> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_left_behind = ["target", "corpus", "artifacts", "node_modules"].contains(&name);
            if path.is_dir() && !name.starts_with('.') && !is_left_behind {
                walk(&path, extensions, found);
            } else if path.is_file()
                && path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
            {
                let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let path = path.strip_prefix(root()).expect("inside the project").display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), extensions, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The Rust files of the program, its tests and its examples.
fn rust_sources() -> Vec<Source> {
    ["src", "tests", "docs"].iter().flat_map(|folder| sources(folder, &["rs"])).collect()
}

fn assert_tidy(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// The layer of a file under `src`, and how many modules deep it lies in the crate; `None` for the crate's roots.
fn layer(path: &str) -> Option<(&str, usize)> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let modules: Vec<&str> = path.split('/').filter(|module| *module != "mod").collect();
    (!matches!(path, "lib" | "main")).then(|| (modules[0], modules.len()))
}

/// What code names at the root of the library or of its own crate: after `xmlsocket::` or `crate::`, singly or in
/// braces, or after enough `super::`. With the place of each.
fn named_at_root(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let first_word = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut names = Vec::new();
    for start in ["xmlsocket::", "crate::", "super::".repeat(depth).as_str()] {
        for (at, _) in code.match_indices(start) {
            let from = at + start.len();
            let mut braces = 0;
            // Without braces the first turn is the last; in braces, a name begins after each comma of the outer pair.
            for (offset, c) in code[from..].char_indices() {
                match c {
                    '{' => braces += 1,
                    '}' => braces -= 1,
                    _ => {}
                }
                let begins = (offset == 0 && braces == 0) || (braces == 1 && matches!(c, '{' | ','));
                let name_at = from + offset + usize::from(braces > 0);
                let name = code[name_at..].trim_start();
                if begins && first_word(name) > 0 {
                    names.push((name_at, &name[..first_word(name)]));
                }
                if braces <= 0 {
                    break;
                }
            }
        }
    }
    names
}

#[test]
fn layers_name_only_what_lies_below_them() {
    let mut breaches = Vec::new();
    for source in sources("src", &["rs"]) {
        let Some((layer, depth)) = layer(&source.path) else { continue };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            breaches.push(source.at(1, &format!("`{layer}` is no layer: what may it name?")));
            continue;
        };
        let lines = source.code();
        let code: String = lines.iter().flat_map(|(_, line)| [line, "\n"]).collect();
        for (at, name) in named_at_root(&code, depth) {
            // Whether an edge is there at all is one file's business.
            let allowed = allowed.contains(&name) && (name != "edge" || source.path == "src/cli/edges.rs");
            if LAYERS.iter().any(|(known, _)| *known == name) && name != layer && !allowed {
                let (number, _) = lines[code[..at].matches('\n').count()];
                breaches.push(source.at(number, &format!("`{layer}` names `{name}`")));
            }
        }
    }
    assert_tidy(&breaches);
}

#[test]
fn a_type_has_a_name_of_its_own() {
    // Where each type is, with its visibility: public ones once, any name twice at most.
    let mut types: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    for source in sources("src", &["rs"]) {
        for (name, is_public) in source.code().into_iter().filter_map(|(_, line)| type_of(line)) {
            types.entry(name.to_owned()).or_default().push((source.path.clone(), is_public));
        }
    }
    let mut breaches = Vec::new();
    for (name, places) in types {
        let public = places.iter().filter(|(_, is_public)| *is_public).count();
        if public > 1 && !NAMED_BY_ADOBE.contains(&name.as_str()) || places.len() > 2 {
            let places: Vec<&str> = places.iter().map(|(path, _)| path.as_str()).collect();
            breaches.push(format!("{name} is a type in {}", places.join(", ")));
        }
    }
    assert_tidy(&breaches);
}

/// The type that a line begins, at the outermost level, and whether all may use it.
fn type_of(line: &str) -> Option<(&str, bool)> {
    let is_public = line.starts_with("pub ");
    let rest = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.strip_prefix(' ')?,
        None => line,
    };
    let (kind, rest) = rest.split_once(' ')?;
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    ["struct", "enum", "trait", "type"].contains(&kind).then_some((name, is_public))
}

#[test]
fn features_are_asked_for_in_few_places() {
    let mut breaches = Vec::new();
    for source in sources("src", &["rs"]).iter().filter(|source| !FEATURE_FILES.contains(&source.path.as_str())) {
        for (number, line) in source.code() {
            if line.contains("cfg") && line.contains("feature = \"") {
                breaches.push(source.at(number, &format!("features are asked for in {FEATURE_FILES:?} only")));
            }
        }
    }
    assert_tidy(&breaches);
}

#[test]
fn every_file_says_what_it_is_and_is_short_enough() {
    let mut breaches = Vec::new();
    for source in rust_sources() {
        if !source.text.starts_with("//! ") {
            breaches.push(source.at(1, "a file begins with what it is, `//! …`"));
        }
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            breaches.push(source.at(lines, &format!("the file has more than {FILE_LINES_MAX} lines")));
        }
    }
    assert_tidy(&breaches);
}

#[test]
fn functions_are_short_enough() {
    let mut breaches = Vec::new();
    for source in sources("src", &["rs"]) {
        // The first line and the indentation of the function that is open, the outermost only.
        let mut open: Option<(usize, usize)> = None;
        for (number, line) in source.code() {
            let indent = line.len() - line.trim_start().len();
            let ends = line.ends_with('}') || line.ends_with(';');
            match open {
                None if is_function(line.trim_start()) && !ends => open = Some((number, indent)),
                Some((first, depth)) if indent == depth && ends => {
                    open = None;
                    let length = number - first + 1;
                    if length > FUNCTION_LINES_MAX {
                        let what = format!("a function of {length} lines, more than {FUNCTION_LINES_MAX}");
                        breaches.push(source.at(first, &what));
                    }
                }
                _ => {}
            }
        }
    }
    assert_tidy(&breaches);
}

/// Whether a line begins a function.
fn is_function(line: &str) -> bool {
    let qualifies = |word: &&str| matches!(*word, "pub" | "const" | "async" | "unsafe") || word.starts_with("pub(");
    line.split(' ').find(|word| !qualifies(word)) == Some("fn")
}

#[test]
fn a_framing_has_one_home() {
    let mut breaches = Vec::new();
    for source in sources("src/server", &["rs"]) {
        for (number, line) in source.code() {
            let names_zero = line.contains("NUL") || line.contains(r"b'\0'") || line.contains("memchr(0");
            if names_zero && source.path != "src/server/framing/nul.rs" {
                breaches.push(source.at(number, "what ends a frame is said in src/server/framing/nul.rs"));
            }
        }
        for (n, line) in source.text.lines().enumerate() {
            if line.to_lowercase().contains("websocket") {
                breaches.push(source.at(n + 1, "the server knows no WebSocket: its edge does"));
            }
        }
    }
    assert_tidy(&breaches);
}

#[test]
fn nothing_is_unfinished() {
    let mut breaches = Vec::new();
    let extensions = ["rs", "md", "toml", "sh", "html", "js", "py"];
    for source in ["src", "tests", "docs"].iter().flat_map(|folder| sources(folder, &extensions)) {
        for (n, line) in source.text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                breaches.push(source.at(n + 1, &format!("unfinished: {word}")));
            }
        }
    }
    assert_tidy(&breaches);
}

#[test]
fn every_file_of_tests_is_run() {
    let files = sources("tests/it", &["rs"]);
    let main = files.iter().find(|source| source.path == "tests/it/main.rs").expect("main.rs");
    let declared: BTreeSet<&str> =
        main.text.lines().filter_map(|line| line.trim().strip_prefix("mod ")?.strip_suffix(';')).collect();
    let there: BTreeSet<&str> = files
        .iter()
        .filter_map(|source| source.path.strip_prefix("tests/it/")?.split(['/', '.']).next())
        .filter(|name| *name != "main")
        .collect();
    assert_eq!(declared, there);
}

#[test]
fn the_tests_that_the_table_of_members_cites_are_there() {
    let page = fs::read_to_string(root().join("docs/PROTOCOL.md")).expect("the page");
    let from = page.find("\n## 5. ").expect("section 5");
    let section = page[from + 1..].split("\n## ").next().unwrap_or_default();
    let tests: Vec<Source> = ["src", "tests"].iter().flat_map(|folder| sources(folder, &["rs"])).collect();
    let mut breaches = Vec::new();
    for row in section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let (member, cited) = (cells[0], cells[cells.len() - 1]);
        // What stands between a pair of backticks is cited; a dash stands where there is nothing to show.
        let names: Vec<&str> = cited.split('`').skip(1).step_by(2).collect();
        if names.is_empty() && !matches!(cited, "shown by" | "–") {
            breaches.push(format!("no test shows {member}: {cited}"));
        }
        for name in names.iter().filter(|name| !is_test(&tests, name)) {
            breaches.push(format!("no such test, for {member}: {name}"));
        }
    }
    assert_tidy(&breaches);
    let count = section.matches("::").count();
    assert!(count > 50, "the table has shrunk: {count}");
}

/// Whether `name` is a test: a module of this folder, or a file's path, then `::` and the function.
fn is_test(sources: &[Source], name: &str) -> bool {
    let Some((place, function)) = name.split_once("::") else { return false };
    let path = if place.contains('/') { place.to_owned() } else { format!("tests/it/{place}.rs") };
    let head = format!("fn {function}(");
    sources.iter().filter(|source| source.path == path).any(|source| {
        let mut attributes = Vec::new();
        source.text.lines().map(str::trim_start).any(|line| {
            let found = line.starts_with(&head) && attributes.contains(&"#[test]");
            if line.starts_with("#[") {
                attributes.push(line)
            } else {
                attributes.clear()
            }
            found
        })
    })
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let names = |code, depth| named_at_root(code, depth).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(names("use crate::wire::{Encode, write_frame};", 2), ["wire"]);
    assert_eq!(names("use crate::{\n    chat::{Room, User},\n    wire::Frame,\n};\nuse {a, b};", 2), ["chat", "wire"]);
    assert_eq!(names("pub(crate) fn f(a: &super::super::chat::Room, b: crate::relay::B)", 2), ["relay", "chat"]);
    assert_eq!(names("fn f(a: &super::server::Room) -> xmlsocket::edge::E", 2), ["edge"]);
    assert_eq!(layer("src/chat/commands/join.rs"), Some(("chat", 3)));
    assert_eq!(layer("src/wire/mod.rs"), Some(("wire", 1)));
    assert_eq!(layer("src/relay.rs"), Some(("relay", 1)));
    assert_eq!(layer("src/lib.rs"), None);
    let tests = [Source { path: "tests/it/a.rs".to_owned(), text: "#[test]\n#[b]\nfn c() {}\nfn d() {}\n".to_owned() }];
    assert!(is_test(&tests, "a::c") && is_test(&tests, "tests/it/a.rs::c"));
    ["a::d", "a::e", "b::c", "a"].iter().for_each(|name| assert!(!is_test(&tests, name), "{name}"));
    assert_eq!(type_of("pub struct A<B>(C);"), Some(("A", true)));
    assert_eq!(type_of("pub(in crate::a) enum B {"), Some(("B", false)));
    assert_eq!(type_of("trait C: D {"), Some(("C", false)));
    assert_eq!(type_of("    type Err = E;").or(type_of("fn type_of()")).or(type_of("}")), None);
    assert!(is_function("pub(super) const fn f() {") && is_function("fn f<T>(") && !is_function("let f = |fn_| {"));

    let text =
        "//! A.\nuse a;\n#[cfg(test)]\nmod b;\n// c\nuse d; // e\n#[cfg(test)]\nmod f {\n    use g;\n}\nuse h;\n";
    let source = Source { path: "src/wire/a.rs".to_owned(), text: text.to_owned() };
    assert_eq!(source.code(), [(2, "use a;"), (6, "use d;"), (11, "use h;")]);
}
