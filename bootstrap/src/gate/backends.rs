//! Step 14: what Cranelift makes of the sides computes what the evaluator says of them.

use aiai_ir::eval::{self, Array};
use aiai_ir::{DType, Function};
use aiai_runtime::{Pool, Tensor};

use super::context::{Context, Kind, arguments};
use super::{Bench, Outcome};
use crate::witness::alone;
use aiai_ir::random::{Random, derive};

const INSTANCES: usize = 3;
const DRAWS: usize = 3;

pub fn check(bench: &Bench) -> Outcome {
    let seed = derive(bench.seed, "backends");
    let mut random = Random::new(seed);
    let pool = match Pool::new(1) {
        Ok(pool) => pool,
        Err(e) => return Outcome::failed(&format!("no thread to run machine code on: {e}")),
    };
    let mut compared = 0u64;
    for rule in bench.candidate.spread(INSTANCES) {
        for at in 0..DRAWS {
            let Some(context) = Context::draw(rule, Kind::Plain, &mut random, at) else {
                continue;
            };
            for (what, side) in [("left", &rule.lhs), ("right", &rule.rhs)] {
                let function = context.around(rule, side);
                let Some(inputs) = arguments(&function, &mut random, at % 2) else {
                    continue;
                };
                match agree(&function, &inputs, &pool) {
                    Ok(ran) => compared += u64::from(ran),
                    Err(why) => {
                        let why = format!("the {what} side on Cranelift: {why}");
                        return Outcome::failed(&why).seeded(seed);
                    }
                }
            }
        }
    }
    if compared == 0 {
        return Outcome::skipped("nothing could be run on both").seeded(seed);
    }
    Outcome::passed(
        &format!("{compared} runs of the sides agree with the evaluator"),
        compared,
    )
    .seeded(seed)
}

/// Whether a function ran on both; what they disagree on.
fn agree(function: &Function, inputs: &[Array], pool: &Pool) -> Result<bool, String> {
    let options = eval::Options {
        bound: true,
        max_elements: 1 << 16,
        max_steps: 1 << 22,
        ..eval::Options::default()
    };
    let module = alone(function);
    let Ok(expected) = eval::run(&module, function.name, inputs, &options) else {
        return Ok(false);
    };
    let mut optimised = module;
    let passes = aiai_passes::Options {
        verify_each: true,
        verify_firings: true,
        ..aiai_passes::Options::default()
    };
    aiai_passes::optimize(&mut optimised, function.name, &passes).map_err(|e| e.to_string())?;
    let Some(ready) = optimised.get(function.name) else {
        return Ok(false);
    };
    let code = aiai_codegen::compile(ready, &aiai_codegen::Options::default())
        .map_err(|e| e.to_string())?;
    let tensors = inputs
        .iter()
        .map(|a| Tensor::from_bytes(dtype(a.dtype), &a.shape, &a.to_bytes()));
    let tensors: Vec<Tensor> = tensors
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    let got = code.run(&tensors, pool).map_err(|e| e.message)?;
    for (want, tensor) in expected.iter().zip(&got) {
        let found = Array::from_bytes(want.dtype, tensor.shape().to_vec(), tensor.bytes());
        let found = found.ok_or("a result of another size")?;
        eval::compare(want, &found)?;
    }
    Ok(true)
}

/// The dtype as the runtime names it.
pub fn dtype(dtype: DType) -> aiai_runtime::DType {
    match dtype {
        DType::Bool => aiai_runtime::DType::Bool,
        DType::I8 => aiai_runtime::DType::I8,
        DType::I16 => aiai_runtime::DType::I16,
        DType::I32 => aiai_runtime::DType::I32,
        DType::I64 => aiai_runtime::DType::I64,
        DType::U8 => aiai_runtime::DType::U8,
        DType::U16 => aiai_runtime::DType::U16,
        DType::U32 => aiai_runtime::DType::U32,
        DType::U64 => aiai_runtime::DType::U64,
        DType::F16 => aiai_runtime::DType::F16,
        DType::BF16 => aiai_runtime::DType::BF16,
        DType::F32 => aiai_runtime::DType::F32,
        DType::F64 => aiai_runtime::DType::F64,
    }
}
