//! Random programs: machine code of LLVM against the reference evaluator.

#![cfg(feature = "llvm")]

use aiai_fuzz::{Backend, Options, Verdict, check, generate};
use aiai_runtime::Pool;

const PROGRAMS: u64 = 60;

#[test]
fn random_programs_agree() {
    let pools = [1, 2].map(|threads| Pool::new(threads).expect("a pool"));
    let backend = Backend {
        name: "llvm",
        compile: |function| aiai_mlir::compile(function, false).map_err(|e| e.to_string()),
    };
    let mut compared = 0;
    for seed in 7000..7000 + PROGRAMS {
        let options = Options {
            gradients: seed.is_multiple_of(4),
            ..Default::default()
        };
        match check(&generate(seed, &options), &pools, backend) {
            Verdict::Agreed { runs, .. } => compared += runs,
            Verdict::Failed(failure) => panic!(
                "seed {seed}, case {}, {}: {}",
                failure.case, failure.stage, failure.message
            ),
        }
    }
    assert!(compared as u64 > PROGRAMS, "{compared} runs compared");
}

#[test]
fn the_stages_can_be_shown() {
    let mut function = aiai_ir::Function::new("double");
    let mut b = aiai_ir::Builder::new(&mut function);
    let n = aiai_ir::Dim::sym("N");
    let ty = aiai_ir::Type::tensor(aiai_ir::DType::F32, vec![n]);
    let x = b.add_param("x", ty, false);
    let y = b.binary(aiai_ir::BinaryKind::Add, x, x);
    b.finish(&[y], &["y"]);
    let ir = aiai_mlir::emit(&function, aiai_mlir::Stage::Llvm).expect("LLVM IR");
    assert!(ir.contains("fadd <"), "not in vectors:\n{ir}");
    let assembly = aiai_mlir::emit(&function, aiai_mlir::Stage::Assembly).expect("assembly");
    assert!(assembly.contains(aiai_mlir::ENTRY), "{assembly}");
}
