//! Checks the house's layout: every source file keeps to its floor, says what it is, stays short and does not unwrap.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

/// Files that may call `.unwrap()` outside their tests.
const MAY_UNWRAP: [&str; 0] = [];

/// Each module, lowest floor first, and all that it may use. `metrics` and `seldom` are leaves beside the floors.
const SEES: [(&str, &str); 17] = [
    ("domain", ""),
    ("protocol", "domain"),
    ("auth", "domain"),
    ("metrics", "domain protocol clock"),
    ("seldom", ""),
    ("clock", "domain"),
    ("store", "domain seldom clock"),
    ("users", "domain protocol auth store metrics seldom"),
    ("group", "domain protocol auth store users metrics seldom clock"),
    ("gateway", "domain protocol auth store users group metrics seldom clock"),
    ("rest", "domain protocol auth store users group metrics seldom clock"),
    ("config", "domain auth"),
    ("control", "store seldom"),
    ("server", "domain protocol auth store users group gateway rest config metrics seldom clock control"),
    ("cli", "domain protocol auth store users group gateway rest config metrics seldom clock control server"),
    ("main", "cli"),
    ("lib", ""),
];

/// A source file: its path below `src`, and its text with and without the tests at its end.
struct Source {
    path: String,
    whole: String,
    code: String,
}

fn sources(folder: &Path, found: &mut Vec<Source>) {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<BTreeSet<PathBuf>>();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let whole = std::fs::read_to_string(&path).unwrap();
            let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
            let all_tests = path.ends_with("tests.rs") || below.iter().any(|folder| folder == "tests");
            let code = if all_tests { "" } else { whole.split("\n#[cfg(test)]\nmod tests").next().unwrap() };
            found.push(Source { path: below.to_str().unwrap().replace('\\', "/"), code: code.to_owned(), whole });
        }
    }
}

fn word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// The modules that a file names: `crate::x`, also grouped in braces, and `super::x` where `super` is the whole crate.
fn named<'t>(text: &'t str, path: &str, names: &mut BTreeSet<&'t str>) {
    for after in text.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            names.insert(word(after));
            continue;
        };
        let (mut depth, mut starts_name) = (1, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => starts_name = true,
                c if starts_name && !c.is_whitespace() => {
                    names.insert(word(&group[at..]));
                    starts_name = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    // `a/b.rs` and `a/b/mod.rs` lie two modules deep: there two `super` reach the crate.
    let deep = path.trim_end_matches("/mod.rs").split('/').count();
    let modules = |name: &&str| SEES.iter().any(|(module, _)| module == name);
    names.extend(text.split(&"super::".repeat(deep)).skip(1).map(word).filter(modules));
}

fn without_comments(text: &str) -> String {
    let cut = |line: &str| line.find("//").filter(|&at| !line[..at].ends_with(':')).map_or(line.len(), |at| at);
    text.lines().map(|line| format!("{}\n", &line[..cut(line)])).collect()
}

fn check(source: &Source, faults: &mut Vec<String>) {
    let Source { path, whole, code } = source;
    let module = path.trim_end_matches(".rs").split('/').next().unwrap();
    let text = without_comments(whole).replace(if module == "main" { "tallycast::" } else { "\0" }, "crate::");
    let mut names = BTreeSet::new();
    named(&text, path, &mut names);
    match SEES.iter().find(|(name, _)| *name == module) {
        None => faults.push(format!("{path}: the module `{module}` has no floor yet: give it one in tests/architecture.rs")),
        Some((_, sees)) => {
            let strange = names.into_iter().filter(|name| *name != module && !sees.split(' ').any(|seen| seen == *name));
            faults.extend(strange.map(|name| format!("{path}: `{module}` must not use `{name}`")));
        }
    }
    if !whole.starts_with("//!") {
        faults.push(format!("{path}: does not begin with `//!`, which says what the file is"));
    }
    if code.lines().count() > LINES_MAX {
        faults.push(format!("{path}: {} lines without its tests, {LINES_MAX} are allowed", code.lines().count()));
    }
    if without_comments(code).contains(".unwrap()") && !MAY_UNWRAP.contains(&path.as_str()) {
        faults.push(format!("{path}: `.unwrap()` outside tests"));
    }
}

#[test]
fn every_source_file_keeps_the_house_rules() {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 50, "only {} source files were found", found.len());
    for source in &found {
        check(source, &mut faults);
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_reader_finds_every_way_to_name_a_module() {
    let found = |text: &str, path: &str| {
        let text = without_comments(text);
        let mut names = BTreeSet::new();
        named(&text, path, &mut names);
        names.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("use crate::a::B;\nlet x = crate::b::c(); // crate::d\n/// [`crate::e`]", "x.rs"), "a b");
    assert_eq!(found("use crate::{a::{B, C}, b,\n    c as d};\nuse crate::e;", "x.rs"), "a b c e");
    assert_eq!(found("use super::group::G;", "store/mod.rs"), "group");
    assert_eq!(found("use super::group::G;", "store/batch.rs"), "");
    assert_eq!(found("use super::super::group::G;", "store/batch.rs"), "group");
}
