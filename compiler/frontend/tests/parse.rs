//! Every `.aiai` file of the repository parses without findings.

use std::path::{Path, PathBuf};

use aiai_frontend::diagnostics::{Diagnostics, render};
use aiai_frontend::parse::parse;
use aiai_frontend::span::SourceMap;

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "aiai") {
            found.push(path);
        }
    }
}

#[test]
fn library_and_examples_parse() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["stdlib", "examples", "tests/cases/programs"] {
        sources(&root.join(folder), &mut found);
    }
    found.sort();
    assert!(!found.is_empty());
    let mut report = String::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut map = SourceMap::default();
        let file = map.add(path.to_string_lossy().as_ref(), text);
        let mut diagnostics = Diagnostics::default();
        parse(&map.file(file).text, file, &mut diagnostics);
        for d in diagnostics.iter() {
            report += &render(d, &map, false);
        }
    }
    assert!(report.is_empty(), "{report}");
}
