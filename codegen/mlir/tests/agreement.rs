//! Random programs: machine code of LLVM against the reference evaluator, and against that of Cranelift.

#![cfg(feature = "llvm")]

use aiai_fuzz::{Backend, Options, Verdict, check, generate};
use aiai_ir::DType;
use aiai_ir::eval::Array;
use aiai_runtime::{Pool, Tensor};

const PROGRAMS: u64 = 60;

#[test]
fn random_programs_agree() {
    let pools = [1, 2].map(|threads| Pool::new(threads).expect("a pool"));
    let backend = Backend {
        name: "llvm",
        options: aiai_fuzz::schedules::options,
        compile: |function, options| {
            aiai_mlir::compile(function, options).map_err(|e| e.to_string())
        },
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

/// Bit patterns, those of NaN made one.
fn bits(tensor: &Tensor) -> Vec<u8> {
    let dtype = DType::ALL[tensor.dtype() as usize];
    let array = Array::from_bytes(dtype, tensor.shape().to_vec(), tensor.bytes());
    let array = array.expect("as many bytes as the shape takes");
    if !dtype.is_float() {
        return tensor.bytes().to_vec();
    }
    let one_nan = |x: f64| if x.is_nan() { f64::NAN } else { x };
    let values = array.to_f64().into_iter();
    values
        .flat_map(|x| one_nan(x).to_bits().to_le_bytes())
        .collect()
}

#[test]
fn both_backends_give_the_same_bits() {
    let pool = Pool::new(1).expect("a pool");
    let mut compared = 0;
    for seed in 9000..9000 + PROGRAMS {
        let program = generate(seed, &Options::default());
        let mut module = program.module.clone();
        let options = aiai_passes::Options::default();
        aiai_passes::optimize(&mut module, program.entry, &options).expect("primitives");
        let function = module.get(program.entry).expect("the entry");
        let cranelift = (aiai_fuzz::CRANELIFT.compile)(function, &aiai_codegen::Options::default())
            .expect("machine code");
        let llvm =
            aiai_mlir::compile(function, &aiai_codegen::Options::default()).expect("machine code");
        for case in 0..program.sizes.len() {
            let args: Vec<Tensor> = aiai_fuzz::arguments(&program, case)
                .iter()
                .map(|a| {
                    let dtype = aiai_runtime::DType::ALL[a.dtype as usize];
                    Tensor::from_bytes(dtype, &a.shape, &a.to_bytes()).expect("a tensor")
                })
                .collect();
            let args: Vec<&Tensor> = args.iter().collect();
            match (cranelift.run(&args, &pool), llvm.run(&args, &pool)) {
                (Ok(a), Ok(b)) => {
                    let pairs = a.iter().zip(&b).enumerate();
                    for (k, (a, b)) in pairs {
                        assert_eq!(bits(a), bits(b), "seed {seed}, case {case}, result {k}");
                    }
                    compared += 1;
                }
                (Err(a), Err(b)) => assert_eq!(a, b, "seed {seed}, case {case}"),
                (a, b) => panic!("seed {seed}, case {case}: {:?} and {:?}", a.err(), b.err()),
            }
        }
    }
    assert!(compared > PROGRAMS, "{compared} runs compared");
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
    let host = aiai_codegen::Target::host();
    let options = aiai_codegen::Options::default();
    let ir = aiai_mlir::emit(&function, &options, aiai_mlir::Stage::Llvm, &host).expect("LLVM IR");
    assert!(ir.contains("fadd <"), "not in vectors:\n{ir}");
    let assembly =
        aiai_mlir::emit(&function, &options, aiai_mlir::Stage::Assembly, &host).expect("assembly");
    assert!(assembly.contains(aiai_mlir::ENTRY), "{assembly}");
}
