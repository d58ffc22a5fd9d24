//! The table of error codes, its pages, and the findings of the lexer and parser.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aiai_frontend::diagnostics::{CODES, Diagnostics, code, render};
use aiai_frontend::elaborate::{Loader, check};
use aiai_frontend::parse::parse;
use aiai_frontend::span::SourceMap;

/// Codes whose example cannot be printed in a page; other tests trigger them.
const NO_EXAMPLE: &[&str] = &["E0004", "E0801", "E0802", "E0803"];

fn findings(text: &str) -> (Diagnostics, SourceMap) {
    let mut sources = SourceMap::default();
    let id = sources.add("case.aiai", text);
    let mut diagnostics = Diagnostics::default();
    parse(text, id, &mut diagnostics);
    diagnostics.sort();
    (diagnostics, sources)
}

fn codes_of(text: &str) -> Vec<&'static str> {
    findings(text).0.iter().map(|d| d.code).collect()
}

/// The blocks of a page with this word behind their fence.
fn blocks(page: &str, word: &str) -> Vec<String> {
    let fence = format!("```{word}\n");
    page.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(|block| block.replace("\\u{202e}", "\u{202e}") + "\n")
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

#[test]
fn table_and_pages_agree() {
    let names: Vec<&str> = CODES.iter().map(|c| c.code).collect();
    assert!(
        names.is_sorted_by(|a, b| a < b),
        "codes in order, each once"
    );
    let folder = root().join("../../docs/errors");
    let pages: BTreeSet<String> = fs::read_dir(folder)
        .expect("pages")
        .filter_map(|e| {
            e.ok()?
                .file_name()
                .to_str()?
                .strip_suffix(".md")
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(pages, names.iter().map(|n| n.to_string()).collect());
    for row in CODES {
        let first = format!("# {}: ", row.code);
        assert!(
            row.page.starts_with(&first),
            "{}: the page starts with `{first}`",
            row.code
        );
        assert!(code(row.code).is_some());
    }
}

#[test]
fn every_syntax_page_shows_its_error_and_its_remedy() {
    let mut wrong = Vec::new();
    for row in CODES
        .iter()
        .filter(|row| row.code < "E0200" || row.code >= "E0800")
    {
        let bad = blocks(row.page, "aiai-error");
        assert!(
            !bad.is_empty() || NO_EXAMPLE.contains(&row.code),
            "{} has no example",
            row.code
        );
        for example in bad {
            if codes_of(&example) != [row.code] {
                wrong.push(format!("{}: {:?}\n{example}", row.code, codes_of(&example)));
            }
        }
        for example in blocks(row.page, "aiai") {
            if !codes_of(&example).is_empty() {
                wrong.push(format!("{}: {:?}\n{example}", row.code, codes_of(&example)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("there is no file `{}.aiai`", path.join("/")))
    }
}

#[test]
fn every_other_page_shows_its_error_and_its_remedy() {
    let mut wrong = String::new();
    for row in CODES
        .iter()
        .filter(|row| ("E0200".."E0800").contains(&row.code))
    {
        let mut try_example = |text: &str, wanted: &[&str]| {
            let program = check("example.aiai", text, &NoFiles);
            let found: Vec<&str> = program.diagnostics.iter().map(|d| d.code).collect();
            if found != wanted {
                wrong += &format!("{}: {found:?}\n{text}\n", row.code);
                for diagnostic in program.diagnostics.iter() {
                    wrong += &render(diagnostic, &program.sources, false);
                }
            }
        };
        let bad = blocks(row.page, "aiai-error");
        assert!(!bad.is_empty(), "{} has no example", row.code);
        bad.iter().for_each(|text| try_example(text, &[row.code]));
        blocks(row.page, "aiai")
            .iter()
            .for_each(|text| try_example(text, &[]));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn codes_in_the_source_are_in_the_table() {
    let mut files = vec![root().join("src")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                fs::read_dir(path)
                    .expect("folder")
                    .flatten()
                    .map(|e| e.path()),
            );
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (at, _) in text.match_indices("\"E0") {
            let name = &text[at + 1..(at + 6).min(text.len())];
            let known = code(name).is_some() || text.as_bytes().get(at + 6) != Some(&b'"');
            assert!(known, "{name} in {} is not in the table", path.display());
        }
    }
}

/// Each file holds one mistake and is named for its code: that is the first finding, and at most one
/// more follows from it.
fn broken(folder: &str, find: impl Fn(&str) -> (Diagnostics, SourceMap)) {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests").join(folder))
        .expect("folder")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for path in files {
        let name = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default()
            .to_owned();
        let text = fs::read_to_string(&path).expect("readable");
        let (diagnostics, sources) = find(&text);
        let shown: String = diagnostics
            .iter()
            .map(|d| render(d, &sources, false) + "\n")
            .collect();
        let codes: Vec<&str> = diagnostics.iter().map(|d| d.code).collect();
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            omit_expression => true,
            snapshot_path => format!("snapshots/{folder}"),
            description => text,
        }, {
            insta::assert_snapshot!(name.clone(), shown);
        });
        if codes.first() != Some(&&name[..5]) || codes.len() > 2 {
            wrong.push(format!("{name}:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn broken_syntax() {
    broken("broken", findings);
}

#[test]
fn broken_meaning() {
    broken("broken_meaning", |text| {
        let program = check("case.aiai", text, &NoFiles);
        (program.diagnostics, program.sources)
    });
}
