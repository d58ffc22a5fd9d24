//! The documents tell the truth: links and paths exist, commands exist, dependencies are explained.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aiai_tests::{files_with, no_findings, read, root};

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for page in files_with(&["md"]) {
        let text = read(&page);
        for target in links(&text) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let folder = page.parent().map(Path::to_path_buf).unwrap_or_default();
            if !root().join(folder).join(path).exists() {
                findings.push(format!(
                    "{}: link to {path}, which does not exist",
                    page.display()
                ));
            }
        }
    }
    no_findings(&findings);
}

#[test]
fn paths_of_the_architecture_page_exist() {
    let page = PathBuf::from("ARCHITECTURE.md");
    let text = read(&page);
    let is_path = |w: &&str| w.contains('/') && !w.contains([' ', '<', '*', '(', ':']);
    let missing = code_spans(&text)
        .into_iter()
        .filter(is_path)
        .filter(|p| !root().join(p).exists());
    no_findings(
        &missing
            .map(|p| format!("ARCHITECTURE.md cites {p}, which does not exist"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_dependency_is_explained() {
    let explained = read(Path::new("docs/dependencies.md"));
    let named: BTreeSet<&str> = code_spans(&explained).into_iter().collect();
    let manifest = read(Path::new("Cargo.toml"));
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let mut findings = Vec::new();
    for line in section.lines().filter(|l| !l.contains("path =")) {
        if let Some((name, _)) = line.split_once(" = ")
            && !named.contains(name)
        {
            findings.push(format!("docs/dependencies.md does not say why {name}"));
        }
    }
    no_findings(&findings);
}

#[test]
fn commands_that_the_pages_show_exist() {
    let known = commands();
    let mut findings = Vec::new();
    for page in files_with(&["md"]) {
        let text = read(&page);
        for line in text
            .lines()
            .map(|l| l.trim_start_matches("$ "))
            .filter(|l| l.starts_with("aiai "))
        {
            let command = line.split_whitespace().nth(1).unwrap_or_default();
            if command.starts_with(|c: char| c.is_ascii_lowercase()) && !known.contains(command) {
                findings.push(format!(
                    "{}: `aiai {command}` does not exist",
                    page.display()
                ));
            }
        }
    }
    no_findings(&findings);
}

/// The commands of the command line, from the type that defines them.
fn commands() -> BTreeSet<String> {
    let text = read(Path::new("compiler/src/cli.rs"));
    let body = text.split("pub enum Command {").nth(1);
    let body = body.and_then(|b| b.split("\n}\n").next());
    let body = body.expect("cli.rs has the commands");
    let variants = body.lines().filter_map(|l| l.strip_prefix("    "));
    let variants = variants.filter(|l| l.starts_with(|c: char| c.is_ascii_uppercase()));
    variants
        .map(|l| {
            l.chars()
                .take_while(|c| c.is_alphanumeric())
                .collect::<String>()
        })
        .map(|name| name.to_lowercase())
        .collect()
}

#[test]
fn error_pages_are_more_than_a_title() {
    let pages = files_with(&["md"])
        .into_iter()
        .filter(|p| p.starts_with("docs/errors"));
    let thin = pages.filter(|p| read(p).lines().filter(|l| !l.trim().is_empty()).count() < 3);
    no_findings(
        &thin
            .map(|p| format!("{}: says nothing yet", p.display()))
            .collect::<Vec<_>>(),
    );
}

/// The folder whose every file is either trusted or said not to be.
const PROVER: &str = "passes/prove/src/prove";

#[test]
fn trusted_code_is_listed_and_counted() {
    let page = read(Path::new("docs/trusted-base.md"));
    let (table, rest) = page.split_once("Not trusted").expect("what is not trusted");
    let mut trusted: Vec<PathBuf> = Vec::new();
    for row in table.lines().filter(|l| l.starts_with("| `")) {
        let first = row.split('|').nth(1).unwrap_or_default();
        let mut folder = PathBuf::new();
        for name in code_spans(first)
            .into_iter()
            .filter(|n| n.contains(['/', '.']))
        {
            // A name alone stands for a file beside the one before it.
            let path = match name.contains('/') {
                true => PathBuf::from(name),
                false => folder.join(name),
            };
            folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
            trusted.push(path);
        }
    }
    let not_trusted = code_spans(rest);
    let mut findings = Vec::new();
    let mut lines = 0;
    for file in files_with(&["rs"]) {
        if trusted.iter().any(|t| file.starts_with(t)) {
            lines += read(&file).lines().count();
        } else if file.starts_with(PROVER) {
            let name = file
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            if !not_trusted.contains(&name) {
                findings.push(format!(
                    "docs/trusted-base.md says nothing of {}",
                    file.display()
                ));
            }
        }
    }
    for path in trusted.iter().filter(|p| !root().join(p).exists()) {
        findings.push(format!("docs/trusted-base.md: no file {}", path.display()));
    }
    let stated = page.split_once("at most ").map_or("", |p| p.1);
    let stated = stated.split_whitespace().next().unwrap_or_default();
    let stated: usize = stated.replace(',', "").parse().expect("a number of lines");
    // Rounded up to hundreds, with room for a few small changes.
    if lines > stated || lines + 500 < stated {
        findings.push(format!("docs/trusted-base.md: {lines} lines, not {stated}"));
    }
    no_findings(&findings);
}

/// The targets of `[text](target)` outside code.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (i, part) in line.split("](").enumerate() {
            let in_code = i > 0
                && line
                    .split("](")
                    .take(i)
                    .map(|p| p.matches('`').count())
                    .sum::<usize>()
                    % 2
                    == 1;
            if i > 0
                && !in_code
                && let Some((target, _)) = part.split_once(')')
            {
                found.push(target);
            }
        }
    }
    found
}

/// What stands between single backticks.
fn code_spans(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|l| !l.starts_with("```"))
        .flat_map(|l| l.split('`').skip(1).step_by(2))
        .collect()
}
