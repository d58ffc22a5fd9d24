//! The crate graph is the one that ARCHITECTURE.md draws.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use aiai_tests::{no_findings, read, root};
use serde_json::Value;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The table between `<!-- layers -->` and `<!-- end -->`: `| crate | folder | may use |`.
fn drawn() -> Graph {
    let text = read(Path::new("ARCHITECTURE.md"));
    let table = text
        .split("<!-- layers -->")
        .nth(1)
        .and_then(|t| t.split("<!-- end -->").next());
    let rows = table
        .expect("ARCHITECTURE.md has no layer table")
        .lines()
        .filter(|l| l.contains('`'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = |cell: &str| cell.trim_matches('`').to_string();
        let uses = cells[3]
            .split_whitespace()
            .filter(|w| w.starts_with('`'))
            .map(|w| name(w.trim_end_matches(',')))
            .collect();
        (name(cells[1]), uses)
    })
    .collect()
}

/// What each crate of the workspace uses of the others, tests aside.
fn built() -> Graph {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: Value =
        serde_json::from_slice(&metadata.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|p| (text(&p["name"]), uses(&p["dependencies"])))
        .collect()
}

fn uses(dependencies: &Value) -> BTreeSet<String> {
    let ours = |d: &&Value| d["path"].is_string() && d["kind"] != "dev";
    dependencies
        .as_array()
        .into_iter()
        .flatten()
        .filter(ours)
        .map(|d| text(&d["name"]))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

#[test]
fn crates_use_only_the_layers_below() {
    let (drawn, built) = (drawn(), built());
    let mut findings = Vec::new();
    for (name, uses) in &built {
        match drawn.get(name) {
            None => findings.push(format!("{name} is not in the table of ARCHITECTURE.md")),
            Some(allowed) => {
                findings.extend(
                    uses.difference(allowed)
                        .map(|used| format!("{name} uses {used}, which the table does not allow")),
                );
            }
        }
    }
    let gone = drawn.keys().filter(|name| !built.contains_key(*name));
    findings.extend(gone.map(|name| format!("{name} is in the table and not in the workspace")));
    no_findings(&findings);
}

#[test]
fn the_drawing_has_no_cycle() {
    let mut left = drawn();
    while !left.is_empty() {
        let free: Vec<String> = left
            .iter()
            .filter(|(_, uses)| uses.iter().all(|u| !left.contains_key(u)))
            .map(|(n, _)| n.clone())
            .collect();
        assert!(
            !free.is_empty(),
            "these use each other in a circle: {:?}",
            left.keys()
        );
        left.retain(|name, _| !free.contains(name));
    }
}
