//! Random programs: machine code of LLVM against the reference evaluator, and against that of Cranelift.

#![cfg(feature = "llvm")]

use aiai_fuzz::{Backend, Options, Verdict, check, generate};
use aiai_ir::eval::Array;
use aiai_ir::{BinaryKind, CompareKind, DType, Dim, Function, Module, ReduceKind, Type, UnaryKind};
use aiai_mlir::Level;
use aiai_runtime::{Pool, Tensor};

const PROGRAMS: u64 = 60;

/// Machine code of LLVM at a level.
fn backend(level: Level) -> Backend {
    let usual = Backend {
        name: "llvm",
        options: aiai_fuzz::schedules::options,
        compile: |f, o| aiai_mlir::compile(f, o).map_err(|e| e.to_string()),
    };
    match level {
        Level::O0 => Backend {
            compile: |f, o| aiai_mlir::compile_at(Level::O0, f, o).map_err(|e| e.to_string()),
            ..usual
        },
        Level::Usual => usual,
        Level::O3 => Backend {
            compile: |f, o| aiai_mlir::compile_at(Level::O3, f, o).map_err(|e| e.to_string()),
            ..usual
        },
    }
}

#[test]
fn random_programs_agree() {
    random_programs_agree_at(Level::Usual, PROGRAMS);
}

#[test]
fn random_programs_agree_without_optimisation() {
    random_programs_agree_at(Level::O0, PROGRAMS / 2);
}

#[test]
fn random_programs_agree_fully_optimised() {
    random_programs_agree_at(Level::O3, PROGRAMS / 2);
}

fn random_programs_agree_at(level: Level, programs: u64) {
    let pools = [1, 2].map(|threads| Pool::new(threads).expect("a pool"));
    let backend = backend(level);
    let mut compared = 0;
    for seed in 7000..7000 + programs {
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
    assert!(compared as u64 > programs, "{compared} runs compared");
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
        // Whether rows and maps are done in vectors or not.
        let options = match seed % 2 {
            0 => aiai_codegen::Options::default(),
            _ => aiai_fuzz::schedules::rows_and_maps(),
        };
        let llvm = aiai_mlir::compile(function, &options).expect("machine code");
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
    let options = aiai_fuzz::schedules::rows_and_maps();
    let ir = aiai_mlir::emit(&function, &options, aiai_mlir::Stage::Llvm, &host).expect("LLVM IR");
    assert!(ir.contains("fadd <"), "not in vectors:\n{ir}");
    let assembly =
        aiai_mlir::emit(&function, &options, aiai_mlir::Stage::Assembly, &host).expect("assembly");
    assert!(assembly.contains(aiai_mlir::ENTRY), "{assembly}");
}

type Program = fn(&mut aiai_ir::Builder, aiai_ir::Value) -> aiai_ir::Value;

/// A number for each row, along the rows again.
fn along(b: &mut aiai_ir::Builder, x: aiai_ir::Value, of: aiai_ir::Value) -> aiai_ir::Value {
    let shape = b.ty(of).shape().to_vec();
    b.broadcast(x, &shape, &[0])
}

/// Programs that reduce rows.
const OF_ROWS: [(&str, Program); 9] = [
    ("sum", |b, x| b.reduce(ReduceKind::Sum, x, &[1])),
    ("max", |b, x| b.reduce(ReduceKind::Max, x, &[1])),
    ("min", |b, x| b.reduce(ReduceKind::Min, x, &[1])),
    ("sum of squares", |b, x| {
        let squares = b.binary(BinaryKind::Mul, x, x);
        b.reduce(ReduceKind::Sum, squares, &[1])
    }),
    ("sum of a function", |b, x| {
        let y = b.unary(UnaryKind::Tanh, x);
        let y = b.binary(BinaryKind::Add, y, x);
        b.reduce(ReduceKind::Sum, y, &[1])
    }),
    ("softmax", |b, x| {
        let largest = b.reduce(ReduceKind::Max, x, &[1]);
        let largest = along(b, largest, x);
        let shifted = b.binary(BinaryKind::Sub, x, largest);
        let e = b.unary(UnaryKind::Exp, shifted);
        let total = b.reduce(ReduceKind::Sum, e, &[1]);
        let total = along(b, total, x);
        b.binary(BinaryKind::Div, e, total)
    }),
    ("variance", |b, x| {
        let total = b.reduce(ReduceKind::Sum, x, &[1]);
        let total = along(b, total, x);
        let shape = b.ty(x).shape().to_vec();
        let small = b.splat(DType::F32, 1.0 / 512.0, &shape);
        let mean = b.binary(BinaryKind::Mul, total, small);
        let centred = b.binary(BinaryKind::Sub, x, mean);
        let squares = b.binary(BinaryKind::Mul, centred, centred);
        let variance = b.reduce(ReduceKind::Sum, squares, &[1]);
        let variance = along(b, variance, x);
        let scale = b.unary(UnaryKind::Rsqrt, variance);
        b.binary(BinaryKind::Mul, centred, scale)
    }),
    ("a truth value", |b, x| {
        let largest = b.reduce(ReduceKind::Max, x, &[1]);
        let under = along(b, largest, x);
        let under = b.binary(BinaryKind::Sub, x, under);
        let total = b.reduce(ReduceKind::Sum, under, &[1]);
        b.compare(CompareKind::Gt, largest, total)
    }),
    ("a half", |b, x| {
        let largest = b.reduce(ReduceKind::Max, x, &[1]);
        let under = along(b, largest, x);
        let under = b.binary(BinaryKind::Sub, x, under);
        let total = b.reduce(ReduceKind::Sum, under, &[1]);
        b.cast(total, DType::F16)
    }),
];

/// A program for some numbers of rows.
fn of_rows(build: Program, columns: Dim) -> aiai_fuzz::Program {
    let ty = Type::tensor(DType::F32, vec![Dim::sym("B"), columns]);
    let mut module = Module::default();
    let mut function = Function::new("apply");
    let mut b = aiai_ir::Builder::new(&mut function);
    let x = b.add_param("x", ty, false);
    let y = build(&mut b, x);
    b.finish(&[y], &["y"]);
    let entry = function.name;
    module.insert(function);
    let sizes = [1, 15, 16, 17, 33, 100].map(|rows| [("B".into(), rows)].into());
    aiai_fuzz::Program {
        seed: 1,
        module,
        entry,
        sizes: sizes.to_vec(),
    }
}

fn optimized(program: &aiai_fuzz::Program) -> Function {
    let (mut module, entry) = (program.module.clone(), program.entry);
    let options = aiai_passes::Options::default();
    aiai_passes::optimize(&mut module, entry, &options).expect("primitives");
    module.get(entry).expect("the entry").clone()
}

fn numbers(count: i64) -> Vec<f32> {
    let number = |i| ((i * 37 % 101) as f32 - 50.0) / 8.0;
    (0..count).map(number).collect()
}

fn matrix(numbers: &[f32], [rows, columns]: [i64; 2]) -> Tensor {
    let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    let shape = [rows as usize, columns as usize];
    Tensor::from_bytes(aiai_runtime::DType::F32, &shape, &bytes).expect("a tensor")
}

fn run_rows(function: &aiai_ir::Function, x: &Tensor, pool: &Pool) -> [Vec<u8>; 2] {
    let cranelift = (aiai_fuzz::CRANELIFT.compile)(function, &aiai_codegen::Options::default())
        .expect("machine code");
    let options = aiai_fuzz::schedules::rows_and_maps();
    let llvm = aiai_mlir::compile(function, &options).expect("machine code");
    [cranelift, llvm].map(|code| bits(&code.run(&[x], pool).expect("a result")[0]))
}

#[test]
fn rows_of_any_length_give_the_same_bits() {
    let pool = Pool::new(2).expect("a pool");
    for (name, build) in OF_ROWS {
        for length in [
            1, 3, 15, 16, 17, 48, 63, 64, 65, 100, 255, 256, 257, 1000, 9001,
        ] {
            for known in [true, false] {
                let columns = if known {
                    Dim::from(length)
                } else {
                    Dim::sym("N")
                };
                let function = optimized(&of_rows(build, columns));
                let x = matrix(&numbers(3 * length), [3, length]);
                let [a, b] = run_rows(&function, &x, &pool);
                assert_eq!(a, b, "{name} of {length}, known: {known}");
            }
        }
    }
}

#[test]
fn rows_side_by_side_agree_with_the_evaluator_and_with_rows_alone() {
    let pools = [1, 2].map(|threads| Pool::new(threads).expect("a pool"));
    let backend = Backend {
        name: "llvm",
        options: |_| aiai_fuzz::schedules::rows_and_maps(),
        compile: |function, options| {
            aiai_mlir::compile(function, options).map_err(|e| e.to_string())
        },
    };
    let specials = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0];
    for (name, build) in OF_ROWS {
        for length in [1, 5, 16, 17, 64, 100, 300] {
            let program = of_rows(build, Dim::from(length));
            match check(&program, &pools, backend) {
                Verdict::Agreed { runs, .. } => assert!(runs > 0, "{name} of {length}"),
                Verdict::Failed(failure) => panic!("{name} of {length}: {failure:?}"),
            }
            let function = optimized(&program);
            for sizes in &program.sizes {
                let rows = sizes[&"B".into()];
                let mut numbers = numbers(rows * length);
                // One of these in every third row.
                for (k, row) in numbers.chunks_mut(length as usize).step_by(3).enumerate() {
                    row[k * 7 % length as usize] = specials[k % specials.len()];
                }
                let x = matrix(&numbers, [rows, length]);
                let [a, b] = run_rows(&function, &x, &pools[0]);
                assert_eq!(a, b, "{name} of {rows}x{length}");
                let [_, c] = run_rows(&function, &x, &pools[1]);
                assert_eq!(b, c, "{name} of {rows}x{length}, on two threads");
            }
        }
    }
}

#[test]
fn attention_of_any_length_agrees() {
    let pools = [1, 2].map(|threads| Pool::new(threads).expect("a pool"));
    let backend = Backend {
        name: "llvm",
        options: |function| aiai_fuzz::schedules::options_of(function, 0),
        compile: |function, options| {
            aiai_mlir::compile(function, options).map_err(|e| e.to_string())
        },
    };
    let sizes = |batches, keys, length| {
        let all = [
            ("B", batches),
            ("H", 2),
            ("I", 19),
            ("J", keys),
            ("K", length),
            ("C", 35),
        ];
        all.into_iter()
            .map(|(sym, size)| (sym.into(), size))
            .collect()
    };
    // Of a few batches and many, of vectors that a block holds and others, and of more keys than a cache holds: with both
    // kernels, in one of which the length of a vector is known, every form of the library.
    for kernel in ["attended", "attended_by_forty"] {
        let mut programs = aiai_fuzz::schedules::kernels(1).into_iter();
        let program = programs.find(|p| p.entry.as_str() == kernel);
        let mut program = program.expect("a kernel");
        program.sizes = vec![
            sizes(1, 40, 33),
            sizes(1, 40, 16),
            sizes(33, 17, 40),
            sizes(65, 17, 5),
            sizes(1, 2049, 8),
            sizes(1, 3100, 3),
            sizes(1, 2100, 33),
        ];
        match check(&program, &pools, backend) {
            Verdict::Agreed { runs, .. } => assert!(runs >= program.sizes.len(), "{runs} runs"),
            Verdict::Failed(failure) => panic!("{kernel}: {failure:?}"),
        }
    }
}

/// Rows of numbers whose scores are large, infinite, NaN, equal or usual.
fn unusual(shape: [i64; 2]) -> Vec<f32> {
    let factors = [1.0, 300.0, 1e18, 0.0, f32::NAN, f32::INFINITY, -1.0];
    let mut all = numbers(shape[0] * shape[1]);
    for (k, row) in all.chunks_mut(shape[1] as usize).enumerate() {
        let factor = factors[k % factors.len()];
        match factor.is_finite() {
            true => row.iter_mut().for_each(|x| *x *= factor),
            false => row[0] = factor,
        }
    }
    all
}

fn tensor_of(numbers: &[f32], shape: &[usize]) -> Tensor {
    let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::from_bytes(aiai_runtime::DType::F32, shape, &bytes).expect("a tensor")
}

#[test]
fn attention_to_unusual_scores_is_that_of_rows_in_memory() {
    let pool = Pool::new(2).expect("a pool");
    let (queries, keys, width) = (24, 70, 33);
    let kernels = aiai_fuzz::schedules::kernels(1);
    let q = unusual([queries, 40]);
    let q = tensor_of(&q, &[1, queries as usize, 40]);
    let v = tensor_of(&numbers(keys * width), &[1, keys as usize, width as usize]);
    let usual = numbers(keys * 40);
    let mut with_nan = usual.clone();
    with_nan[37 * 40] = f32::NAN;
    let function = |name: &str| {
        let program = kernels.iter().find(|p| p.entry.as_str() == name);
        optimized(program.expect("a kernel"))
    };
    let both = |function: &Function, inputs: &[&Tensor]| {
        let plain = aiai_codegen::Options::default();
        let by_schedules = aiai_codegen::Options {
            schedules: aiai_fuzz::schedules::SETS[0].clone(),
            ..Default::default()
        };
        let codes = [
            (aiai_fuzz::CRANELIFT.compile)(function, &plain).expect("machine code"),
            aiai_mlir::compile(function, &by_schedules).expect("machine code"),
        ];
        codes.map(|code| {
            let y = code.run(inputs, &pool).expect("a result").remove(0);
            let array = Array::from_bytes(DType::F32, y.shape().to_vec(), y.bytes());
            array.expect("a result").to_f64()
        })
    };
    let compare = |[expected, got]: [Vec<f64>; 2], what: &str| {
        assert!(expected.iter().any(|x| x.is_finite()) || what.contains("NaN"));
        for (k, (x, y)) in expected.iter().zip(&got).enumerate() {
            let close = (x - y).abs() <= 1e-4 + 1e-4 * x.abs();
            assert!(
                close || x.is_nan() && y.is_nan(),
                "{what}: element {k} is {y}, not {x}"
            );
        }
    };
    let by_forty = function("attended_by_forty");
    for (what, k) in [("usual keys", usual.clone()), ("a key of NaN", with_nan)] {
        let k = tensor_of(&k, &[1, keys as usize, 40]);
        compare(both(&by_forty, &[&q, &k, &v]), what);
    }
    // Of some queries no key is kept: all scores are the same large number.
    let attended = function("attended");
    let kept = (0..queries * keys).map(|i| u8::from(i / keys % 3 != 1 && i % 5 != 0));
    let kept: Vec<u8> = kept.collect();
    let shape = [queries as usize, keys as usize];
    let keep = Tensor::from_bytes(aiai_runtime::DType::Bool, &shape, &kept).expect("a tensor");
    let four = |x: &Tensor| {
        let shape = [&[1], x.shape()].concat();
        Tensor::from_bytes(aiai_runtime::DType::F32, &shape, x.bytes()).expect("a tensor")
    };
    let k = tensor_of(&usual, &[1, keys as usize, 40]);
    let [q, k, v] = [&q, &k, &v].map(four);
    compare(both(&attended, &[&q, &k, &v, &keep]), "keys left out");
    // Of rows that do not fill a block and have all scores far below 0, with columns that do and that do not.
    let biased = function("attended_with_bias");
    for (queries, keys) in [(7, 64), (22, 70), (33, 128), (130, 3)] {
        let [q, k, v] = [queries, keys, keys].map(|rows| {
            let shape = [1, rows as usize, 8];
            tensor_of(&numbers(rows * 8), &shape)
        });
        for bias in [0.08, 1.0, 1e6] {
            let y = vec![bias; (queries * keys) as usize];
            let y = tensor_of(&y, &[queries as usize, keys as usize]);
            let what = format!("{queries} queries below {bias}");
            compare(both(&biased, &[&q, &k, &v, &y]), &what);
        }
    }
    // Differences of scores that overflow where those of scaled ones do not.
    let hardly = function("attended_hardly");
    let q = tensor_of(&[1.0, 0.0, 0.0, 0.0].repeat(9), &[9, 4]);
    let k = [1.7e38, -1.75e38, 1e38, -1.74e38].map(|x| [x, 0.0, 0.0, 0.0]);
    let k = tensor_of(k.as_flattened(), &[4, 4]);
    let v = tensor_of(&numbers(4 * 20), &[4, 20]);
    compare(both(&hardly, &[&q, &k, &v]), "scores at both ends");
}

#[test]
fn extremes_have_the_sign_and_the_nan_that_they_should() {
    let pool = Pool::new(1).expect("a pool");
    let specials = [
        0.0,
        -0.0,
        f32::NAN,
        -f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        -1.0,
    ];
    for kind in [ReduceKind::Max, ReduceKind::Min] {
        let mut function = Function::new("apply");
        let mut b = aiai_ir::Builder::new(&mut function);
        let ty = Type::tensor(DType::F32, vec![Dim::sym("B"), Dim::from(20)]);
        let x = b.add_param("x", ty, false);
        let y = b.reduce(kind, x, &[1]);
        b.finish(&[y], &["y"]);
        let mut rows = Vec::new();
        for filler in specials {
            for special in specials {
                for at in [0, 7, 15, 19] {
                    let mut row = [filler; 20];
                    row[at] = special;
                    rows.extend(row);
                }
            }
        }
        let bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = [rows.len() / 20, 20];
        let x = Tensor::from_bytes(aiai_runtime::DType::F32, &shape, &bytes).expect("a tensor");
        let [a, b] = run_rows(&function, &x, &pool);
        assert_eq!(a, b, "{kind:?}");
    }
}
