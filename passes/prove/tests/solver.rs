//! Solvers that are absent, crash, hang or talk nonsense settle nothing.

mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use aiai_ir::DType;
use aiai_prove::solver::{Answer, NoSolver, Process, Solver};
use aiai_prove::{Algebra, InstanceProof, SolverUse, prove, prove_all};

const NEEDS_SOLVER: &str =
    "rule carries(x: i32[], y: i32[]) exact { (x and y) + (x or y) => x + y }";

/// A program of its own that answers as the script says.
fn fake(name: &str, script: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("aiai-solver-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(format!("#!/bin/sh\n{script}\n").as_bytes())
        .expect("written");
    let mut permissions = file.metadata().expect("metadata").permissions();
    permissions.set_mode(0o755);
    std::fs::set_permissions(&path, permissions).expect("permissions");
    path
}

fn unsettled(solver: &mut dyn Solver) -> String {
    let found = common::rules("needs.aiai", NEEDS_SOLVER, 0, &[DType::I32]);
    let (info, instances) = &found[0];
    let proof = prove(&instances[0], solver);
    assert!(
        matches!(proof.algebra, InstanceProof::Unknown { .. }),
        "{:?}",
        proof.algebra
    );
    let whole = prove_all(info, instances, solver);
    assert!(matches!(whole.algebra, Algebra::None { .. }));
    assert!(!whole.float_proved);
    match proof.solver {
        SolverUse::NotAttempted { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_real_one_settles_it() {
    let mut solver = Process::z3();
    if matches!(solver.ask("(check-sat)"), Answer::NotAttempted(_)) {
        println!("no solver here: scripts/solver.sh installs it");
        return;
    }
    let found = common::rules("needs.aiai", NEEDS_SOLVER, 0, &[DType::I32]);
    let proof = prove(&found[0].1[0], &mut solver);
    assert_eq!(proof.algebra, InstanceProof::Proved);
    assert!(matches!(proof.solver, SolverUse::Used { .. }));
}

#[test]
fn no_solver_proves_nothing() {
    unsettled(&mut NoSolver);
    let why = unsettled(&mut Process::new("/nonexistent/solver"));
    assert!(why.contains("does not start"), "{why}");
}

#[test]
fn a_solver_that_crashes_proves_nothing() {
    unsettled(&mut Process::new(fake("crash", "exit 3")));
    unsettled(&mut Process::new(fake("signal", "kill -9 $$")));
}

#[test]
fn a_solver_that_hangs_is_ended() {
    let hanging = fake("hang", "exec sleep 60");
    let mut solver = Process::new(hanging).with_abort(Duration::from_millis(200));
    let why = unsettled(&mut solver);
    assert!(why.contains("did not answer"), "{why}");
}

#[test]
fn a_solver_that_talks_nonsense_proves_nothing() {
    unsettled(&mut Process::new(fake("chatter", "echo 'unsat, I think'")));
    unsettled(&mut Process::new(fake(
        "error",
        "echo '(error \"line 1\")'; echo unsat",
    )));
    unsettled(&mut Process::new(fake("empty", "cat > /dev/null")));
}
