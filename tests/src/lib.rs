//! What the tests of the whole repository share: where it is, and which files belong to it.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what is built, fetched or cached, never sources.
const NOT_SOURCES: [&str; 5] = ["target", "weights", "__pycache__", ".git", ".cache"];

/// The folder that holds the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .map_or_else(|| here.to_path_buf(), Path::to_path_buf)
}

/// All files of the repository in alphabetical order, as paths relative to it.
pub fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    let root = root();
    let mut files: Vec<_> = found
        .iter()
        .filter_map(|p| p.strip_prefix(&root).ok())
        .map(Path::to_path_buf)
        .collect();
    files.sort();
    files
}

/// The files with one of these extensions, relative to the repository.
pub fn files_with(extensions: &[&str]) -> Vec<PathBuf> {
    let wanted = |p: &PathBuf| {
        p.extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| extensions.contains(&e))
    };
    files().into_iter().filter(wanted).collect()
}

/// The text of a file of the repository; bytes that are not UTF-8 are replaced.
pub fn read(relative: &Path) -> String {
    let bytes =
        fs::read(root().join(relative)).unwrap_or_else(|e| panic!("{}: {e}", relative.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Panics with all findings, one to a line, or passes where there are none.
pub fn no_findings(findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{} findings\n{}",
        findings.len(),
        findings.join("\n")
    );
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if NOT_SOURCES.iter().any(|n| name == *n) {
            continue;
        }
        match entry.file_type() {
            Ok(t) if t.is_dir() => collect(&path, found),
            Ok(t) if t.is_file() => found.push(path),
            _ => {}
        }
    }
}
