//! Holds `src/` to the map in `docs/architecture.md`: who may import whom, where printing, the environment, the clock and
//! sockets belong, and how long a file may be. Test code (`#[cfg(test)]`) is not looked at.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lists each layer and what it may import; the table of `docs/architecture.md` says the same, and a test compares them.
const LAYERS: &[(&str, &[&str])] = &[
    ("digest", &[]),
    ("scoring", &[]),
    ("stats", &[]),
    ("request", &["digest"]),
    ("flow", &["digest"]),
    ("config", &["digest", "request"]),
    ("store", &["digest", "request"]),
    ("provider", &["digest", "request", "flow"]),
    ("ask", &["digest", "request", "flow", "provider", "store"]),
    ("plan", &["digest", "request", "config"]),
    ("report", &["scoring", "stats"]),
    ("step", &["digest", "request", "plan", "store", "scoring", "stats", "report"]),
    ("engine", &["digest", "flow", "plan", "store", "step", "ask"]),
    ("run", &["digest", "request", "plan", "store", "scoring", "stats"]),
    (
        "cli",
        &[
            "digest", "scoring", "stats", "request", "flow", "config", "store", "provider", "ask", "plan", "report",
            "step", "engine", "run",
        ],
    ),
];

/// Is the length at which a file has to be looked at hard.
const LONG: usize = 500;

/// Lists the files that were looked at and may be longer, with their own limits: tables and one state machine each.
const LONG_FILES: &[(&str, usize)] =
    &[("config/language/tables.rs", 750), ("config/load/trials.rs", 600), ("config/tree.rs", 550)];

/// Lists the words that name nothing here, and the names that come from outside and hold one.
const BANNED_WORDS: [&str; 11] =
    ["artifact", "artifacts", "task", "tasks", "cache", "caches", "util", "utils", "helper", "common", "manager"];
const NAMES_FROM_OUTSIDE: [&str; 4] = ["stat_cache", "task_instructions", "cache_control", "cached_input"];

// ---------------------------------------------------------------------------------------------------------------------
// Reading Rust

/// Is one token and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

/// Splits Rust into identifiers, `::`, and single characters; comments and the insides of literals are dropped.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let start = i;
        match chars[i] {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && chars[i] != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => i = after_text(&chars, i),
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            c if c.is_alphanumeric() || c == '_' => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"' {
                    i = after_raw_text(&chars, i + hashes, hashes);
                } else if matches!(word.as_str(), "b" | "c") && at(i) == '"' {
                    i = after_text(&chars, i);
                } else {
                    out.push(Token { text: word, line });
                }
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                out.push(Token { text: "::".to_owned(), line });
            }
            c => {
                i += 1;
                if !c.is_whitespace() {
                    out.push(Token { text: c.to_string(), line });
                }
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

fn after_text(chars: &[char], quote: usize) -> usize {
    let mut i = quote + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn after_raw_text(chars: &[char], quote: usize, hashes: usize) -> usize {
    let mut i = quote + 1;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// Returns the tokens without the items under `#[cfg(test)]`, and the names of test modules that have a file of their own.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let is = |i: usize, text: &str| tokens.get(i).is_some_and(|token| token.text == text);
    let (mut kept, mut files, mut i) = (Vec::new(), Vec::new(), 0);
    while i < tokens.len() {
        if !["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(n, text)| is(i + n, text)) {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        let start = i + 7;
        let mut depth = 0i32;
        i = start;
        while i < tokens.len() {
            match tokens[i].text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            i += 1;
            if depth == 0 && (is(i - 1, ";") || is(i - 1, "}")) {
                break;
            }
        }
        if let Some(at) = (start..i).find(|at| is(*at, "mod"))
            && is(at + 2, ";")
        {
            files.push(tokens[at + 1].text.clone());
        }
    }
    (kept, files)
}

/// Returns the first segments of the path or use tree that starts at `i`: `a::b` is `a`, `{a::b, c}` is `a` and `c`.
fn heads(tokens: &[Token], i: usize) -> Vec<String> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    if text(i) != "{" {
        return vec![text(i).to_owned()];
    }
    let (mut found, mut depth, mut i) = (Vec::new(), 0, i);
    let mut fresh = false;
    loop {
        match text(i) {
            "" => return found,
            "{" => {
                depth += 1;
                fresh = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return found;
                }
            }
            "," => fresh = depth == 1,
            name if fresh => {
                found.push(name.to_owned());
                fresh = false;
            }
            _ => {}
        }
        i += 1;
    }
}

/// Is one import of another layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    to: String,
    line: usize,
}

/// Finds what a file of the module `module` (`["step", "merge"]`) names from the crate's root on.
fn edges(tokens: &[Token], module: &[String]) -> Vec<Edge> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let (mut found, mut depth, mut inline) = (Vec::new(), 0usize, Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        let line = tokens[i].line;
        match text(i) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
            }
            "mod" if text(i + 2) == "{" => inline.push(depth),
            // A second name for the crate would hide every edge behind it.
            "crate" if text(i + 1) == "as" => found.push(Edge { to: "crate as".to_owned(), line }),
            "crate" if text(i + 1) == "::" => {
                found.extend(heads(tokens, i + 2).into_iter().map(|to| Edge { to, line }));
            }
            "super" if i == 0 || text(i - 1) != "::" || text(i.wrapping_sub(2)) == "self" => {
                let mut up = 1;
                while text(i + 1) == "::" && text(i + 2) == "super" {
                    i += 2;
                    up += 1;
                }
                let here = module.len() + inline.len();
                if up >= here && text(i + 1) == "::" {
                    found.extend(heads(tokens, i + 2).into_iter().map(|to| Edge { to, line }));
                }
            }
            _ => {}
        }
        i += 1;
    }
    found
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading the tree

/// Is one file of `src/`, test code left out.
struct SourceFile {
    /// The path below `src/`, with `/`.
    path: String,
    lines: usize,
    tokens: Vec<Token>,
}

impl SourceFile {
    /// Returns the module: `step/merge/row.rs` is `step`, `merge`, `row`; a `mod.rs` is its directory.
    fn module(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    /// Returns the layer; empty for `lib.rs` and `main.rs`.
    fn layer(&self) -> String {
        self.module().first().cloned().unwrap_or_default()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn sources() -> Vec<SourceFile> {
    let src = root().join("src");
    let mut paths = Vec::new();
    collect(&src, &mut paths);
    let mut test_files = BTreeSet::new();
    let mut files = Vec::new();
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let (kept, tests) = without_tests(&tokens(&text));
        let below = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        let is_root = below.ends_with("mod.rs") || below == "lib.rs";
        let parent = if is_root { path.parent().unwrap().to_owned() } else { path.with_extension("") };
        test_files.extend(tests.iter().map(|name| parent.join(format!("{name}.rs"))));
        files.push((path.clone(), SourceFile { path: below, lines: text.lines().count(), tokens: kept }));
    }
    assert!(files.len() > 100, "only {} files: the walk is broken", files.len());
    files.into_iter().filter(|(path, _)| !test_files.contains(path)).map(|(_, file)| file).collect()
}

/// Says what is wrong with a file's imports.
fn bad_imports(file: &SourceFile) -> Vec<String> {
    let layer = file.layer();
    let allowed: &[&str] = LAYERS.iter().find(|(name, _)| *name == layer).map_or(&[], |(_, allowed)| *allowed);
    edges(&file.tokens, &file.module())
        .into_iter()
        .filter(|edge| edge.to != layer && !allowed.contains(&edge.to.as_str()))
        .map(|edge| format!("src/{}:{}: `{layer}` may not import `{}`", file.path, edge.line, edge.to))
        .collect()
}

/// Lists what belongs to some layers only: the tokens, the layers (or files), and why.
const PLACES: &[(&[&str], &[&str], &str)] = &[
    (&["println", "!"], &["cli"], "only cli prints"),
    (&["print", "!"], &["cli"], "only cli prints"),
    (&["eprintln", "!"], &["cli"], "only cli prints"),
    (&["eprint", "!"], &["cli"], "only cli prints"),
    (&["dbg", "!"], &[], "a leftover"),
    (&["todo", "!"], &[], "a leftover"),
    (&["unimplemented", "!"], &[], "a leftover"),
    (&["stdout", "("], &["cli"], "only cli prints"),
    (&["stderr", "("], &["cli"], "only cli prints"),
    (&["stdin", "("], &["cli"], "only cli asks"),
    (&["process", "::", "exit"], &["cli"], "only cli exits"),
    (&["std", "::", "env"], &["cli"], "the environment is handed in"),
    (&["env", "::", "var"], &["cli"], "the environment is handed in"),
    (&["env", "::", "current_dir"], &["cli"], "the environment is handed in"),
    (&["SystemTime"], &["cli"], "the clock is handed in"),
    (&["Instant"], &["cli"], "the clock is handed in"),
    (&["Timestamp", "::", "now"], &["cli"], "the clock is handed in"),
    (&["Zoned", "::", "now"], &["cli"], "the clock is handed in"),
    (&["RandomState"], &["store/session.rs"], "randomness names files and sessions only"),
    (&["ureq"], &["provider"], "only provider opens sockets"),
    (&["TcpStream"], &["provider"], "only provider opens sockets"),
    (&["TcpListener"], &["provider"], "only provider opens sockets"),
    (&["UdpSocket"], &["provider"], "only provider opens sockets"),
    (&["UnixStream"], &["provider"], "only provider opens sockets"),
    (&["rusqlite"], &["store"], "only store has an index"),
    (&["async", "fn"], &[], "threads, not async"),
    (&["#", "[", "path"], &[], "a module stands where its path says"),
    (&["include", "!"], &[], "a module stands where its path says"),
];

/// Says what stands in a file that belongs elsewhere.
fn misplaced(file: &SourceFile) -> Vec<String> {
    let layer = if file.path == "main.rs" { "cli".to_owned() } else { file.layer() };
    let mut found = Vec::new();
    for (wanted, places, why) in PLACES {
        if places.contains(&layer.as_str()) || places.contains(&file.path.as_str()) {
            continue;
        }
        for window in file.tokens.windows(wanted.len()) {
            if window.iter().zip(*wanted).all(|(token, text)| token.text == *text) {
                found.push(format!("src/{}:{}: `{}`: {why}", file.path, window[0].line, wanted.concat()));
            }
        }
    }
    found
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

// ---------------------------------------------------------------------------------------------------------------------
// The rules

#[test]
fn every_import_is_in_the_table() {
    none(&sources().iter().flat_map(bad_imports).collect::<Vec<_>>());
}

#[test]
fn the_table_has_every_layer_and_no_cycle() {
    let named: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<String> = sources().iter().map(SourceFile::layer).filter(|layer| !layer.is_empty()).collect();
    assert_eq!(there.iter().map(String::as_str).collect::<BTreeSet<_>>(), named);
    let mut above = BTreeSet::new();
    for (name, allowed) in LAYERS {
        assert!(
            allowed.iter().all(|other| above.contains(other)),
            "`{name}` imports what stands below it in the table"
        );
        above.insert(name);
    }
}

#[test]
fn the_architecture_page_draws_the_same_table() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let drawn: Vec<(String, Vec<String>)> = page
        .lines()
        .skip_while(|line| !line.starts_with("| layer "))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let names = |cell: &str| cell.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
            let allowed = match cells[2] {
                "–" => Vec::new(),
                "all of them" => {
                    LAYERS.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name != "cli").collect()
                }
                cell => names(cell),
            };
            (cells[0].trim_matches(['`', '/']).to_owned(), allowed)
        })
        .collect();
    let expected: Vec<(String, Vec<String>)> = LAYERS
        .iter()
        .map(|(name, allowed)| ((*name).to_owned(), allowed.iter().map(|other| (*other).to_owned()).collect()))
        .collect();
    assert_eq!(drawn, expected);
}

#[test]
fn printing_the_environment_the_clock_and_sockets_are_where_they_belong() {
    none(&sources().iter().flat_map(misplaced).collect::<Vec<_>>());
}

#[test]
fn main_calls_the_command_line_and_nothing_else() {
    let main = sources().into_iter().find(|file| file.path == "main.rs").unwrap();
    assert!(main.lines <= 30, "main.rs has {} lines", main.lines);
    let used: Vec<&str> = main
        .tokens
        .windows(3)
        .filter(|window| window[0].text == "exp" && window[1].text == "::")
        .map(|window| window[2].text.as_str())
        .collect();
    assert_eq!(used, ["cli"]);
}

#[test]
fn files_are_short() {
    let files = sources();
    let limit = |path: &str| LONG_FILES.iter().find(|(name, _)| *name == path).map_or(LONG, |(_, limit)| *limit);
    none(
        &files
            .iter()
            .filter(|file| file.lines > limit(&file.path))
            .map(|file| format!("src/{}: {} lines, of at most {}", file.path, file.lines, limit(&file.path)))
            .collect::<Vec<_>>(),
    );
    let mut lengths: Vec<usize> = files.iter().map(|file| file.lines).collect();
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] <= 150, "half of the files have more than {} lines", lengths[lengths.len() / 2]);
    for (name, _) in LONG_FILES {
        assert!(files.iter().any(|file| file.path == *name), "src/{name} is listed and not there");
    }
}

#[test]
fn mod_files_hold_docs_and_names_only() {
    let declares = ["fn", "struct", "enum", "trait", "impl", "static", "macro_rules"];
    none(
        &sources()
            .iter()
            // The command line's own is where a command is handed to its file.
            .filter(|file| file.path.ends_with("/mod.rs") && file.path != "cli/mod.rs")
            .flat_map(|file| file.tokens.iter().map(move |token| (file, token)))
            .filter(|(_, token)| declares.contains(&token.text.as_str()))
            .map(|(file, token)| format!("src/{}:{}: `{}` in a mod.rs", file.path, token.line, token.text))
            .collect::<Vec<_>>(),
    );
}

/// Splits `StatCache` and `stat_cache` into words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}

fn banned_names(file: &SourceFile) -> Vec<String> {
    let declares = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"];
    file.tokens
        .windows(2)
        .filter(|pair| declares.contains(&pair[0].text.as_str()))
        .filter(|pair| !NAMES_FROM_OUTSIDE.iter().any(|name| pair[1].text.to_lowercase().contains(name)))
        .filter(|pair| words(&pair[1].text).iter().any(|word| BANNED_WORDS.contains(&word.as_str())))
        .map(|pair| format!("src/{}:{}: `{}` is not a name here", file.path, pair[1].line, pair[1].text))
        .collect()
}

#[test]
fn names_use_the_glossary() {
    none(&sources().iter().flat_map(banned_names).collect::<Vec<_>>());
}

// ---------------------------------------------------------------------------------------------------------------------
// The rules see what they should: each is shown a planted fault

fn planted(path: &str, text: &str) -> SourceFile {
    let (kept, _) = without_tests(&tokens(text));
    SourceFile { path: path.to_owned(), lines: text.lines().count(), tokens: kept }
}

fn edges_of(path: &str, text: &str) -> Vec<(String, usize)> {
    let file = planted(path, text);
    edges(&file.tokens, &file.module()).into_iter().map(|edge| (edge.to, edge.line)).collect()
}

#[test]
fn planted_imports_are_found() {
    let text = r##"
use crate::{
    digest::{Digest, ids::{A, B}},
    engine::{self, Engine},
    plan,
};
pub use crate::store::Store;
pub(crate) use crate::run as r;
fn f(x: &crate::ask::Asker) { let _ = r#"crate::cli::no"#; let c = '"'; g("crate::cli::no", c) }
// crate::cli::no
/* crate::cli::no /* */ crate::cli::no */
"##;
    let found: Vec<String> = edges_of("step/score.rs", text).into_iter().map(|(to, _)| to).collect();
    assert_eq!(found, ["digest", "engine", "plan", "store", "run", "ask"]);
    assert_eq!(edges_of("step/score.rs", text)[5], ("ask".to_owned(), 9));
    let bad = bad_imports(&planted("step/score.rs", text));
    assert_eq!(bad.len(), 3, "{bad:?}");
    assert_eq!(bad[0], "src/step/score.rs:2: `step` may not import `engine`");
}

#[test]
fn planted_escapes_by_super_are_found() {
    let one = |path: &str, text: &str| edges_of(path, text).into_iter().map(|(to, _)| to).collect::<Vec<_>>();
    assert_eq!(one("step/score.rs", "use super::super::cli::x;"), ["cli"]);
    assert_eq!(one("step/mod.rs", "use super::cli::x;"), ["cli"]);
    assert_eq!(one("step/merge/row.rs", "use super::super::super::{cli, digest::Digest};"), ["cli", "digest"]);
    assert_eq!(one("step/merge/row.rs", "use super::super::json_lines::x; pub(super) fn f() {}"), [""; 0]);
    assert_eq!(one("step/score.rs", "mod inner { use super::super::super::cli::x; } use super::json;"), ["cli"]);
    assert_eq!(one("step/score.rs", "mod inner { use super::super::json::x; }"), [""; 0]);
    assert_eq!(one("step/score.rs", "use self::super::super::cli;"), ["cli"]);
    assert_eq!(one("step/score.rs", "use crate as c;"), ["crate as"]);
    assert_eq!(one("step/score.rs", "use crate::*;"), ["*"]);
}

#[test]
fn test_code_is_left_out_and_nothing_else() {
    let text = "#[cfg(test)]\nuse crate::cli::a;\n#[cfg(test)]\nmod tests { use crate::cli::{b}; fn f() { {} } }\nuse crate::run::c;\n\
                #[cfg(test)]\npub(super) mod more;\nuse crate::ask::d;";
    let (kept, files) = without_tests(&tokens(text));
    assert_eq!(files, ["more"]);
    let found: Vec<String> = edges(&kept, &["step".to_owned()]).into_iter().map(|edge| edge.to).collect();
    assert_eq!(found, ["run", "ask"]);
}

#[test]
fn planted_printing_and_sockets_are_found() {
    let text = "fn f<'a>(x: &'a str) { println!(\"{x}\"); std::process::exit(1); let _ = std::env::var(\"X\"); }\nuse ureq::Agent;";
    assert_eq!(misplaced(&planted("step/score.rs", text)).len(), 5);
    assert_eq!(
        misplaced(&planted("cli/output.rs", text)),
        ["src/cli/output.rs:2: `ureq`: only provider opens sockets"]
    );
}

#[test]
fn planted_names_are_found() {
    let text = "struct BlobCache; fn stat_cache() {} mod string_utils {} fn fetch_task() {} struct TaskInstructions;";
    assert_eq!(banned_names(&planted("step/score.rs", text)).len(), 4);
}
