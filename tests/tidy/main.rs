//! Limits and habits that a machine can check in every source file.

use std::path::Path;

use aiai_tests::{files, files_with, no_findings, read};

/// Lines of a Rust file.
const FILE_LINES: usize = 600;
/// Lines of a Rust function, its signature included.
const FUNCTION_LINES: usize = 90;
/// Files whose lines are data.
const DATA: [&str; 4] = ["csv", "lock", "npz", "safetensors"];

#[test]
fn rust_files_are_short() {
    let mut findings = Vec::new();
    for path in files_with(&["rs"]) {
        let lines = read(&path).lines().count();
        if lines > FILE_LINES {
            findings.push(format!(
                "{}: {lines} lines, at most {FILE_LINES}",
                path.display()
            ));
        }
    }
    no_findings(&findings);
}

#[test]
fn functions_are_short() {
    let mut findings = Vec::new();
    for path in files_with(&["rs"]) {
        for (line, length) in functions(&read(&path)) {
            if length > FUNCTION_LINES {
                findings.push(format!(
                    "{}:{line}: function of {length} lines, at most {FUNCTION_LINES}",
                    path.display()
                ));
            }
        }
    }
    no_findings(&findings);
}

#[test]
fn modules_open_with_their_purpose() {
    let mut findings = Vec::new();
    for path in files_with(&["rs"]) {
        if !read(&path).starts_with("//! ") {
            findings.push(format!(
                "{}: the first line is not a `//!` purpose",
                path.display()
            ));
        }
    }
    no_findings(&findings);
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in two halves, so that this file does not contain them.
    let marks = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["dbg", "!("],
    ];
    let marks = marks.map(|halves| halves.concat());
    each_line(&["rs", "aiai", "py", "sh", "toml"], |line| {
        marks
            .iter()
            .find(|m| line.contains(m.as_str()))
            .map(|m| format!("`{m}`"))
    });
}

#[test]
fn lines_end_where_they_end() {
    each_line(&["rs", "aiai", "py", "sh", "toml", "md"], |line| {
        (line.ends_with([' ', '\t']) || line.ends_with('\r'))
            .then(|| "blank at the end of the line".to_string())
    });
}

#[test]
fn no_machine_is_named() {
    let paths = [
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/wo", "rk/"],
        ["/Us", "ers/"],
        ["files.python", "hosted.org"],
        ["static.crates", ".io"],
    ];
    let paths = paths.map(|halves| halves.concat());
    let mut findings = Vec::new();
    for path in files().iter().filter(|p| !is_data(p)) {
        for (i, line) in read(path).lines().enumerate() {
            if let Some(found) = paths.iter().find(|p| line.contains(p.as_str())) {
                findings.push(format!("{}:{}: names `{found}`", path.display(), i + 1));
            }
        }
    }
    no_findings(&findings);
}

fn is_data(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| DATA.contains(&e))
}

/// Applies a check to every line of the files with these extensions.
fn each_line(extensions: &[&str], check: impl Fn(&str) -> Option<String>) {
    let mut findings = Vec::new();
    for path in files_with(extensions) {
        for (i, line) in read(&path).split('\n').enumerate() {
            if let Some(problem) = check(line) {
                findings.push(format!("{}:{}: {problem}", path.display(), i + 1));
            }
        }
    }
    no_findings(&findings);
}

/// The first line and the length of every function, by the indentation that rustfmt gives.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        if !opens_function(code) || code.ends_with('}') || code.ends_with(';') {
            continue;
        }
        let close = format!("{indent}}}");
        if let Some(length) = lines[start..].iter().position(|l| *l == close) {
            found.push((start + 1, length + 1));
        }
    }
    found
}

fn opens_function(code: &str) -> bool {
    let mut words = code.split_whitespace().take(6);
    let modifier = |w: &str| {
        w.starts_with("pub") || matches!(w, "const" | "unsafe" | "extern" | "\"C\"" | "in")
    };
    words.find(|w| !modifier(w)) == Some("fn")
}

#[test]
fn functions_are_found() {
    let text = "impl A {\n    pub const fn f() {\n        g();\n    }\n}\nfn h() {}\nunsafe extern \"C\" fn k(\n) {\n}\n";
    assert_eq!(functions(text), [(2, 3), (7, 3)]);
}
