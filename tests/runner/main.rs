//! Runs every case file under `tests/cases` through the `aiai` binary and compares what it prints.
//!
//! `BLESS=1` writes what was printed as the expectation. `CASES=text` runs only the paths that contain the text.

mod case;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiai_tests::{files, no_findings, root};
use case::Case;

#[test]
fn cases() {
    let folder = root().join("tests/cases");
    let (cases, mut findings) = find(&folder);
    let binary = build();
    let bless = std::env::var_os("BLESS").is_some();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = check(case, &folder, &binary, bless);
                    if let (Err(problem), Ok(mut failed)) = (result, failed.lock()) {
                        failed.push(problem);
                    }
                }
            });
        }
    });
    findings.extend(failed.into_inner().unwrap_or_default());
    findings.sort();
    no_findings(&findings);
}

#[test]
fn every_operation_of_the_tensor_level_has_a_case() {
    use aiai_ir::ops::Levels;
    use aiai_ir::{BinaryKind, CompareKind, Op, UnaryKind};

    // Names stand before the colon of a test's name: `test "floor, ceil: ..."`.
    let mut tested = std::collections::HashSet::new();
    for path in files()
        .into_iter()
        .filter(|p| p.starts_with("tests/cases/ops"))
    {
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        for line in text.lines().filter_map(|l| l.strip_prefix("test \"")) {
            let names = line.split(':').next().unwrap_or_default();
            tested.extend(names.split(", ").map(str::to_owned));
        }
    }
    let rows = Op::TABLE.iter().filter(|row| row.levels != Levels::Loop);
    // `fused` is what a pass makes; random programs run it.
    let ops = rows.map(|row| row.mnemonic).filter(|name| *name != "fused");
    let kinds = UnaryKind::ALL.iter().map(|k| k.name());
    let kinds = kinds.chain(BinaryKind::ALL.iter().map(|k| k.name()));
    let kinds = kinds.chain(CompareKind::ALL.iter().map(|k| k.name()));
    let missing = ops.chain(kinds).filter(|name| !tested.contains(*name));
    let findings: Vec<String> = missing
        .map(|name| format!("`{name}` has no case"))
        .collect();
    no_findings(&findings);
}

/// All cases, and what is wrong with files that look like cases.
fn find(folder: &Path) -> (Vec<Case>, Vec<String>) {
    let filter = std::env::var("CASES").unwrap_or_default();
    let (mut cases, mut findings) = (Vec::new(), Vec::new());
    for path in files() {
        let Ok(path) = path.strip_prefix("tests/cases") else {
            continue;
        };
        if path.extension().is_none_or(|e| e != "aiai" && e != "mlir")
            || !path.to_string_lossy().contains(&filter)
        {
            continue;
        }
        match Case::read(folder, path) {
            Ok(case) => cases.extend(case),
            Err(problem) => findings.push(problem),
        }
    }
    (cases, findings)
}

fn check(case: &Case, folder: &Path, binary: &Path, bless: bool) -> Result<(), String> {
    let mut transcript = String::new();
    for command in &case.commands {
        let output = Command::new(binary)
            .args(arguments(command, &case.path))
            .current_dir(folder)
            .output();
        let output = output.map_err(|e| format!("{}: {e}", case.path.display()))?;
        transcript += &transcribe(&output);
    }
    if bless {
        return case
            .bless(folder, &transcript)
            .map_err(|e| format!("{}: {e}", case.path.display()));
    }
    case.compare(&transcript)
}

fn arguments(command: &[String], path: &Path) -> Vec<String> {
    let file = path.to_string_lossy();
    let mut arguments: Vec<String> = command
        .iter()
        .map(|word| word.replace("FILE", &file))
        .collect();
    if arguments == command {
        arguments.push(file.into_owned());
    }
    arguments
}

/// The exit code, standard output, then standard error, each line marked with `>` or `!`.
fn transcribe(output: &Output) -> String {
    let code = output
        .status
        .code()
        .map_or("killed by a signal".to_string(), |code| {
            format!("exit {code}")
        });
    let mut text = code + "\n";
    for (mark, bytes) in [('>', &output.stdout), ('!', &output.stderr)] {
        for line in String::from_utf8_lossy(bytes).lines() {
            text += format!("{mark} {line}").trim_end();
            text.push('\n');
        }
    }
    text
}

/// Builds the binary in the profile of this test and says where it is.
fn build() -> PathBuf {
    let here = std::env::current_exe().expect("the test knows its own path");
    let target = here
        .ancestors()
        .nth(2)
        .expect("the test lies in target/PROFILE/deps")
        .to_path_buf();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "aiai", "--bin", "aiai"])
        .current_dir(root());
    if target.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().is_ok_and(|s| s.success()),
        "the aiai binary builds"
    );
    target.join("aiai")
}
