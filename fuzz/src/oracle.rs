//! What is checked of a program: the passes keep its meaning, and machine code computes it.
//!
//! The reference evaluator in mode `bound` gives the values and how far an executor may be from them;
//! the optimised program on the evaluator and machine code on one and two threads are held against
//! it, and machine code must give the same bits for every number of threads.

use aiai_codegen::Options;
use aiai_codegen::lower::Packed;
use aiai_ir::eval::{self, Array, EvalError};
use aiai_ir::ops::is_access;
use aiai_ir::{Function, Module, Sym};
use aiai_runtime::{DType, Executable, Pool, Tensor};

use crate::{Program, arguments};

/// How a program fared.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// So many runs agreed; so many were undecided or beyond the limits.
    Agreed {
        runs: usize,
        skipped: usize,
    },
    Failed(Failure),
}

/// A difference between two executors.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Which set of sizes and arguments.
    pub case: usize,
    /// `passes`, `cranelift`, `threads`, ...
    pub stage: &'static str,
    pub message: String,
}

/// What makes machine code.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    pub name: &'static str,
    /// What a function is lowered with.
    pub options: fn(&Function) -> Options,
    pub compile: fn(&Function, &Options) -> Result<Executable, String>,
}

/// The backend that is always there.
pub const CRANELIFT: Backend = Backend {
    name: "cranelift",
    options: |_| Options::default(),
    compile: |function, options| {
        aiai_codegen::compile(function, options).map_err(|e| e.to_string())
    },
};

/// Compares all executors of a program on all its sizes.
pub fn check(program: &Program, pools: &[Pool], backend: Backend) -> Verdict {
    let mut optimised = program.module.clone();
    let options = aiai_passes::Options {
        verify_each: true,
        verify_firings: true,
        ..Default::default()
    };
    let fail = |case, stage, message: String| {
        Verdict::Failed(Failure {
            case,
            stage,
            message,
        })
    };
    if let Err(e) = aiai_passes::optimize(&mut optimised, program.entry, &options) {
        // A program without a derivative is no finding.
        return match e {
            aiai_passes::PassError::Differentiate(_) => Verdict::Agreed {
                runs: 0,
                skipped: program.sizes.len(),
            },
            e => fail(0, "passes", e.to_string()),
        };
    }
    let Some(function) = optimised.get(program.entry) else {
        return fail(0, "passes", "the entry is gone".into());
    };
    let lowered_with = (backend.options)(function);
    let code = match (backend.compile)(function, &lowered_with) {
        Ok(code) => code,
        Err(e) => return fail(0, "compile", e),
    };
    // A gradient is evaluated once differentiation has made it code.
    let source = if has_gradient(&program.module) {
        &optimised
    } else {
        &program.module
    };
    let (mut runs, mut skipped) = (0, 0);
    for case in 0..program.sizes.len() {
        let args = arguments(program, case);
        match compare_case(
            source,
            &optimised,
            program.entry,
            &code,
            &args,
            pools,
            (backend.name, &lowered_with),
        ) {
            Ok(true) => runs += 1,
            Ok(false) => skipped += 1,
            Err((stage, message)) => return fail(case, stage, message),
        }
    }
    Verdict::Agreed { runs, skipped }
}

fn has_gradient(module: &Module) -> bool {
    let mut found = false;
    let mut look = |f: &Function| {
        f.body
            .walk(&mut |n| found |= matches!(n.op, aiai_ir::Op::Grad { .. }));
    };
    module.functions.values().for_each(&mut look);
    found
}

/// True: compared. False: undecided, or beyond the limits of the evaluator.
fn compare_case(
    source: &Module,
    optimised: &Module,
    entry: Sym,
    code: &Executable,
    args: &[Array],
    pools: &[Pool],
    (backend, lowered_with): (&'static str, &Options),
) -> Result<bool, (&'static str, String)> {
    let options = eval::Options {
        bound: true,
        max_steps: 1 << 26,
        ..eval::Options::default()
    };
    let expected = eval::run(source, entry, args, &options);
    if expected.as_ref().is_err_and(beyond) {
        return Ok(false);
    }
    let bits = eval::Options {
        max_steps: 1 << 27,
        ..eval::Options::default()
    };
    let after = eval::run(optimised, entry, args, &bits);
    agree(&expected, after.map_err(|e| e.message)).map_err(|e| ("passes", e))?;
    let loops = run_loops(optimised, entry, args, &expected, lowered_with);
    if let Some(loops) = loops {
        agree(&expected, loops).map_err(|e| ("lowering", e))?;
    }
    let tensors: Vec<Tensor> = args
        .iter()
        .map(|a| Tensor::from_bytes(dtype(a.dtype), &a.shape, &a.to_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|e| ("arguments", e.to_string()))?;
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    let mut first: Option<Vec<Vec<u8>>> = None;
    for pool in pools {
        let got = code.run(&tensors, pool);
        if let Ok(results) = &got {
            let bytes: Vec<Vec<u8>> = results.iter().map(|t| t.bytes().to_vec()).collect();
            match &first {
                None => {
                    overwritten(code, &tensors, &bytes, pool).map_err(|e| ("results", e))?;
                    first = Some(bytes);
                }
                Some(known) if *known != bytes => {
                    let threads = pool.threads();
                    return Err(("threads", format!("other bits on {threads} threads")));
                }
                Some(_) => {}
            }
        }
        let got = got.map_err(|e| e.message);
        let got = got.map(|all| all.iter().map(array).collect());
        agree(&expected, got).map_err(|e| (backend, e))?;
    }
    Ok(true)
}

/// Whether results that lie over other bytes come out as they do over zeros.
fn overwritten(
    code: &Executable,
    args: &[&Tensor],
    expected: &[Vec<u8>],
    pool: &Pool,
) -> Result<(), String> {
    let mut results = code.results_for(args).map_err(|e| e.message)?;
    for result in &mut results {
        let byte = if result.dtype() == DType::Bool {
            1
        } else {
            0xFF
        };
        let other = vec![byte; result.bytes().len()];
        *result = Tensor::from_bytes(result.dtype(), result.shape(), &other)
            .map_err(|e| e.to_string())?;
    }
    code.run_into(args, &mut results, pool)
        .map_err(|e| e.message)?;
    match results.iter().map(Tensor::bytes).eq(expected.iter()) {
        true => Ok(()),
        false => Err("they depend on what was in their memory".into()),
    }
}

/// The planned loops on the evaluator; `None` where they are beyond its limits.
fn run_loops(
    optimised: &Module,
    entry: Sym,
    args: &[Array],
    expected: &Result<Vec<Array>, EvalError>,
    lowered_with: &Options,
) -> Option<Result<Vec<Array>, String>> {
    let source = optimised.get(entry)?;
    let lowering = crate::schedules::lowering(lowered_with);
    let loops = aiai_codegen::lower::lower_with(source, &lowering);
    // Results are parameters of the loop function, written over; packed weights come behind them.
    let results = expected.as_ref().ok()?;
    let mut all = args.to_vec();
    all.extend(results.iter().map(unlike));
    if let Some(prepare) = loops.prepare {
        let shapes = packed_shapes(source, args, &loops.packed)?;
        let blank = loops.packed.iter().zip(shapes);
        let mut given = args.to_vec();
        given.extend(blank.map(|(p, shape)| blank_array(p.dtype, shape)));
        match run_function(prepare, &given)? {
            Ok(mut made) => all.extend(made.split_off(args.len())),
            Err(message) => return Some(Err(message)),
        }
    }
    let outcome = run_function(loops.main, &all)?;
    let ends = args.len() + results.len();
    Some(outcome.map(|mut all| {
        all.truncate(ends);
        all.split_off(args.len())
    }))
}

/// A loop function on the evaluator, its memory planned; `None` where it is beyond the limits.
fn run_function(mut loops: Function, args: &[Array]) -> Option<Result<Vec<Array>, String>> {
    aiai_codegen::memory::plan(&mut loops);
    let name = loops.name;
    let mut module = Module::default();
    if let Err(e) = verify_loops(&mut module, loops) {
        return Some(Err(e));
    }
    let options = eval::Options {
        max_steps: 1 << 22,
        kernels: &crate::kernels::Kernels,
        ..eval::Options::default()
    };
    match eval::run(&module, name, args, &options) {
        Ok(all) => Some(Ok(all)),
        Err(e) if beyond(&e) => None,
        Err(e) => Some(Err(e.message)),
    }
}

/// The sizes of packed weights; `None` where a dimension does not follow from the arguments.
fn packed_shapes(source: &Function, args: &[Array], packed: &[Packed]) -> Option<Vec<Vec<usize>>> {
    let mut sizes = std::collections::HashMap::new();
    for (&param, arg) in source.params().iter().zip(args) {
        for (dim, &size) in source.ty(param).shape().iter().zip(&arg.shape) {
            if let Some(sym) = dim.as_sym() {
                sizes.insert(sym, size as i64);
            }
        }
    }
    let shape = |p: &Packed| {
        let dims = p.shape.iter();
        dims.map(|d| usize::try_from(d.eval(&|sym| sizes.get(&sym).copied())?).ok())
            .collect::<Option<Vec<usize>>>()
    };
    packed.iter().map(shape).collect()
}

fn blank_array(dtype: aiai_ir::DType, shape: Vec<usize>) -> Array {
    let count = shape.iter().product();
    Array::floats(dtype, shape, std::iter::repeat_n(f64::NAN, count))
}

/// An array that differs in every element: what nothing writes is found.
fn unlike(x: &Array) -> Array {
    let (dtype, shape) = (x.dtype, x.shape.clone());
    if dtype.is_float() {
        let other = |v: f64| if v.is_nan() { 1.0 } else { f64::NAN };
        Array::floats(dtype, shape, x.to_f64().into_iter().map(other))
    } else {
        Array::ints(dtype, shape, x.as_ints().iter().map(|v| v ^ 1))
    }
}

fn verify_loops(module: &mut Module, loops: Function) -> Result<(), String> {
    module.insert(loops);
    aiai_ir::verify(module, aiai_ir::Stage::Loop).map_err(|e| format!("invalid loops: {e}"))
}

fn beyond(e: &EvalError) -> bool {
    e.undecided || e.message.contains("too many steps") || e.message.contains("too large")
}

/// Both fail, or both give values that are close.
fn agree(
    expected: &Result<Vec<Array>, EvalError>,
    got: Result<Vec<Array>, String>,
) -> Result<(), String> {
    match (expected, got) {
        (Err(_), Err(_)) => Ok(()),
        // An access that nothing uses may be left out, and with it its check.
        (Err(e), Ok(_)) if is_access(&e.message) => Ok(()),
        (Err(e), Ok(_)) => Err(format!("should fail with: {e}")),
        (Ok(_), Err(e)) => Err(format!("failed: {e}")),
        (Ok(a), Ok(b)) if a.len() != b.len() => Err("another number of results".into()),
        (Ok(a), Ok(b)) => {
            for (k, (a, b)) in a.iter().zip(&b).enumerate() {
                eval::compare(a, b).map_err(|e| format!("result {k}: {e}"))?;
            }
            Ok(())
        }
    }
}

fn dtype(dtype: aiai_ir::DType) -> DType {
    DType::ALL[dtype as usize]
}

fn array(tensor: &Tensor) -> Array {
    let dtype = aiai_ir::DType::ALL[tensor.dtype() as usize];
    let array = Array::from_bytes(dtype, tensor.shape().to_vec(), tensor.bytes());
    array.unwrap_or_else(|| unreachable!("a tensor has as many bytes as its shape takes"))
}
