//! The `aiai` dialect and an unmodified `mlir-opt`: it accepts what is exported, and what it prints is read as
//! the same program again.

#![cfg(feature = "llvm")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use aiai_fuzz::{Options, generate};
use aiai_ir::{Module, PrintOptions, mlir, print_module};

const PROGRAMS: u64 = 100;
/// Stands between modules in one text of MLIR.
const SPLIT: &str = "// -----";

/// Runs `mlir-opt` with the dialect declared.
fn mlir_opt(input: &str, options: &[&str]) -> Result<String, String> {
    let prefix = std::env::var("MLIR_SYS_220_PREFIX").unwrap_or("/usr/lib/llvm-22".into());
    let program = Path::new(&prefix).join("bin/mlir-opt");
    // Tests run at the same time.
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let name = format!("aiai-{}-{run}.irdl.mlir", std::process::id());
    let declaration: PathBuf = std::env::temp_dir().join(name);
    std::fs::write(&declaration, mlir::declaration()).expect("a temporary file");
    let mut child = Command::new(program)
        .arg(format!("--irdl-file={}", declaration.display()))
        .arg("--split-input-file")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mlir-opt runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // It may print before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("mlir-opt ends");
    let _ = writer.join();
    let _ = std::fs::remove_file(&declaration);
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("text")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Programs at every level.
fn modules() -> Vec<(String, Module)> {
    let mut found = Vec::new();
    for seed in 0..PROGRAMS {
        let options = Options {
            gradients: seed.is_multiple_of(4),
            ..Default::default()
        };
        let mut program = generate(seed, &options);
        found.push((format!("seed {seed}, source"), program.module.clone()));
        let options = aiai_passes::Options::default();
        if aiai_passes::optimize(&mut program.module, program.entry, &options).is_err() {
            // Some functions have no derivative.
            continue;
        }
        let mut loops = Module::default();
        for function in program.module.functions.values() {
            let mut function = aiai_codegen::lower::lower(function, false);
            aiai_codegen::memory::plan(&mut function);
            loops.insert(function);
        }
        found.push((format!("seed {seed}, fused"), program.module));
        found.push((format!("seed {seed}, loops"), loops));
    }
    found
}

fn survive(options: &[&str], locations: bool) {
    let print = PrintOptions { locations };
    let modules = modules();
    let texts: Vec<String> = modules.iter().map(|m| mlir::export(&m.1, print)).collect();
    let printed = mlir_opt(&texts.join(&format!("{SPLIT}\n")), options)
        .unwrap_or_else(|e| panic!("mlir-opt refuses an export:\n{e}"));
    let parts: Vec<&str> = printed.split(SPLIT).collect();
    assert_eq!(parts.len(), modules.len());
    for ((what, module), part) in modules.iter().zip(parts) {
        let (again, _) = mlir::import(part).unwrap_or_else(|e| panic!("{what}: {e}\n{part}"));
        assert_eq!(
            print_module(module, print),
            print_module(&again, print),
            "{what}"
        );
    }
}

#[test]
fn random_programs_survive() {
    survive(&[], false);
}

#[test]
fn the_generic_form_and_locations_survive() {
    // Every op has a place of its own, so none comes from the text of MLIR.
    survive(
        &["--mlir-print-op-generic", "--mlir-print-debuginfo"],
        false,
    );
}

#[test]
fn what_passes_of_mlir_leave_is_read() {
    survive(&["--canonicalize", "--cse"], false);
}

#[test]
fn what_is_wrong_is_refused() {
    let module = |op: &str| format!("func.func @f(%a: f32, %b: i64) {{ {op} return }}");
    for (op, complaint) in [
        (
            r#"%0 = "aiai.add"(%a, %b) : (f32, i64) -> f32"#,
            "expected 'f32' but got 'i64'",
        ),
        (
            r#"%0 = "aiai.reduce"(%a) {acc = f32, axes = array<i64>, kind = "mean"} : (f32) -> f32"#,
            "does not satisfy the constraint",
        ),
        (
            r#"%0 = "aiai.cast"(%a) : (f32) -> f32"#,
            "attribute \"dtype\" is expected but not provided",
        ),
        (
            r#"%0 = "aiai.blur"(%a) : (f32) -> f32"#,
            "unregistered operation 'aiai.blur'",
        ),
        (
            r#"%0 = "aiai.load"(%a) : (f32) -> f32"#,
            "expected base type 'builtin.memref'",
        ),
    ] {
        let said = mlir_opt(&module(op), &[]).expect_err(op);
        assert!(said.contains(complaint), "{op}: {said}");
    }
}
