//! The formatter: printing and parsing again gives the same tree; formatting twice, the same text.

use std::fs;
use std::path::{Path, PathBuf};

use aiai_frontend::ast::File;
use aiai_frontend::diagnostics::Diagnostics;
use aiai_frontend::fmt::{WIDTH, format};
use aiai_frontend::parse::parse;
use aiai_frontend::span::FileId;

/// The tree without places.
fn dump(file: &File) -> String {
    let text = format!("{:?}", file.items);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('@') {
        out.push_str(&rest[..at]);
        rest = rest[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    }
    out + rest
}

fn parsed(text: &str) -> File {
    let mut diagnostics = Diagnostics::default();
    let file = parse(text, FileId(0), &mut diagnostics);
    let first = diagnostics.iter().next();
    assert!(first.is_none(), "{first:?} in\n{text}");
    file
}

fn comments(file: &File) -> Vec<String> {
    let mut texts: Vec<String> = file.comments.iter().map(|c| c.text.clone()).collect();
    texts.sort();
    texts
}

fn check(name: &str, text: &str) -> String {
    let once = format(text, FileId(0)).unwrap_or_else(|d| panic!("{name}: {d:?}"));
    let (before, after) = (parsed(text), parsed(&once));
    let (tree, again) = (dump(&before), dump(&after));
    if tree != again {
        let at = tree
            .bytes()
            .zip(again.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        let near = |text: &str| {
            text[at.saturating_sub(200)..]
                .chars()
                .take(400)
                .collect::<String>()
        };
        panic!(
            "{name} changes its meaning:\n{}\n{}\n{once}",
            near(&tree),
            near(&again)
        );
    }
    assert_eq!(
        comments(&before),
        comments(&after),
        "{name} loses comments:\n{once}"
    );
    let twice = format(&once, FileId(0)).unwrap_or_else(|d| panic!("{name}: {d:?}"));
    assert_eq!(once, twice, "{name} is not stable");
    for line in once.lines() {
        let short = line.chars().count() <= WIDTH || line.contains("//") || line.contains('"');
        assert!(short, "{name}: long line\n{line}");
        assert_eq!(line.trim_end(), line, "{name}: trailing blanks");
    }
    once
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "aiai") {
            found.push(path);
        }
    }
}

#[test]
fn every_source_of_the_repository_survives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["stdlib", "examples", "tests/cases/programs"] {
        sources(&root.join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() > 10, "{found:?}");
    for path in found {
        let text = fs::read_to_string(&path).expect("readable");
        let out = check(&path.display().to_string(), &text);
        if let Ok(folder) = std::env::var("FMT_OUT") {
            let name = path.file_name().unwrap_or_default();
            fs::write(Path::new(&folder).join(name), out).expect("writable");
        }
    }
}
