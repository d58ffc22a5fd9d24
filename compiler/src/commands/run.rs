//! `aiai run`

use std::collections::HashMap;

use aiai_ir::Sym;
use aiai_ir::eval::Array;
use aiai_runtime::Tensor;

use crate::backend::{self, Engine};
use crate::cli::{Global, RunArgs};
use crate::values::{self, Stream};
use crate::{Ended, Failure, Outcome, driver, output};

pub fn run(args: &RunArgs, global: &Global) -> Ended {
    let (file, function) = driver::split_target(&args.target);
    let program = driver::load(&file, global)?;
    let dims = driver::parse_dims(&args.dims)?;
    let entry = driver::entry(&program, function.unwrap_or("main"), &dims, global)?;
    let inputs = inputs(args, &entry, &dims)?;
    let engine = Engine::new(global)?;
    let tensors: Result<Vec<Tensor>, _> = inputs.iter().map(backend::tensor_of).collect();
    let tensors = tensors.map_err(|e| Failure::input(e.to_string()))?;
    let args: Vec<&Tensor> = tensors.iter().collect();
    let results = engine.prepare(&entry)?.run(&args)?;
    let results: Vec<Array> = results.iter().map(backend::array_of).collect();
    let signature = &entry.signature;
    if global.json {
        let outputs = values::outputs(&signature.result, &signature.result_leaves, &results);
        output::print(&serde_json::json!({"schema": 1, "outputs": outputs}).to_string());
        return Ok(Outcome::Success);
    }
    for (leaf, array) in signature.result_leaves.iter().zip(&results) {
        let name = if leaf.path.is_empty() {
            "result"
        } else {
            &leaf.path
        };
        output::print(&values::show(name, array));
    }
    Ok(Outcome::Success)
}

/// A value for every leaf of the parameters: given, or drawn.
fn inputs(
    args: &RunArgs,
    entry: &aiai_frontend::elaborate::Entry,
    dims: &std::collections::BTreeMap<String, i64>,
) -> Result<Vec<Array>, Failure> {
    let mut given: HashMap<&str, &str> = HashMap::new();
    for arg in &args.args {
        let (name, value) = arg
            .split_once('=')
            .ok_or_else(|| Failure::input(format!("`--arg {arg}`: expected NAME=VALUE")))?;
        given.insert(name, value);
    }
    let mut stream = args.random.map(Stream::new);
    let mut out = Vec::new();
    let leaves: Vec<_> = entry.signature.params.iter().flat_map(|p| &p.2).collect();
    if let Some(name) = given.keys().find(|n| !leaves.iter().any(|l| l.path == **n)) {
        let known: Vec<&str> = leaves.iter().map(|l| l.path.as_str()).collect();
        return Err(Failure::input(format!(
            "no parameter `{name}`; there are {}",
            known.join(", ")
        )));
    }
    let mut sizes: HashMap<Sym, i64> = dims.iter().map(|(n, s)| (Sym::new(n), *s)).collect();
    for leaf in leaves {
        if let Some(text) = given.get(leaf.path.as_str()) {
            let array = values::parse(text, leaf.dtype)?;
            for (dim, &size) in leaf.shape.iter().zip(&array.shape) {
                if let Some(sym) = dim.as_sym() {
                    sizes.entry(sym).or_insert(size as i64);
                }
            }
            out.push(array);
            continue;
        }
        let Some(stream) = &mut stream else {
            let hint = format!(
                "give it with `--arg {}=...`, or draw it with `--random SEED`",
                leaf.path
            );
            return Err(Failure::input(format!(
                "the parameter `{}` has no value; {hint}",
                leaf.path
            )));
        };
        let shape: Option<Vec<usize>> = leaf
            .shape
            .iter()
            .map(|d| usize::try_from(d.eval(&|s| sizes.get(&s).copied().or(Some(3)))?).ok())
            .collect();
        let shape =
            shape.ok_or_else(|| Failure::input(format!("`{}` has no usable shape", leaf.path)))?;
        out.push(stream.array(leaf.dtype, shape, -1.0, 1.0));
    }
    Ok(out)
}
