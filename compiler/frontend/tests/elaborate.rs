//! The standard library and the examples elaborate without findings, to IR that verifies.

use std::collections::BTreeMap;
use std::path::Path;

use aiai_frontend::diagnostics::{Diagnostics, render};
use aiai_frontend::elaborate::{Loader, Program, check};
use aiai_ir::{Stage, verify};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("there are no other files".into())
    }
}

fn report(program: &Program, found: &Diagnostics) -> String {
    found
        .iter()
        .map(|d| render(d, &program.sources, false))
        .collect()
}

fn check_all(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    let text = std::fs::read_to_string(&full).unwrap();
    let program = check(path, &text, &NoFiles);
    let mut out = report(&program, &program.diagnostics);
    for (index, (_, title)) in program.tests().iter().enumerate() {
        for rank in 0..3 {
            match program.test_entry(index, rank) {
                Ok(entry) => {
                    if let Err(e) = verify(&entry.module, Stage::Source) {
                        out += &format!("{path}: {title}: {e}\n");
                    }
                }
                Err(found) => {
                    out += &format!(
                        "{path}: {title} at rank {rank}:\n{}",
                        report(&program, &found)
                    )
                }
            }
        }
    }
    out
}

#[test]
fn library_elaborates() {
    let mut out = String::new();
    for (name, _) in aiai_frontend::stdlib::FILES {
        out += &check_all(&name.replace("std/", "stdlib/"));
    }
    assert!(out.is_empty(), "{out}");
}

#[test]
fn minilm_elaborates() {
    let out = check_all("examples/minilm/model.aiai");
    assert!(out.is_empty(), "{out}");
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/minilm/model.aiai");
    let program = check(
        "model.aiai",
        &std::fs::read_to_string(full).unwrap(),
        &NoFiles,
    );
    let entry = program
        .entry("embedding", &BTreeMap::new())
        .map_err(|d| report(&program, &d))
        .unwrap();
    verify(&entry.module, Stage::Source).unwrap();
    assert_eq!(entry.signature.result_leaves[0].shape.len(), 2);
}
