//! The standard library's own tests and properties hold in the reference evaluator, before and after
//! the passes.

use std::collections::BTreeMap;

use aiai_frontend::elaborate::{Entry, Loader, TestKind, check};
use aiai_ir::eval::{self, Array, philox4x32};
use aiai_ir::{DType, Module, Sym, Type};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("there are no other files".into())
    }
}

/// Arguments for a property: sizes and values from a seed.
fn arguments(entry: &Entry, seed: u32) -> Option<Vec<Array>> {
    let mut counter = 0;
    let mut random = || {
        counter += 1;
        f64::from(philox4x32([seed, 7], [counter, 0, 0, 0])[0]) / 4_294_967_296.0
    };
    let function = entry.module.get(entry.name)?;
    let mut dims: BTreeMap<Sym, i64> = BTreeMap::new();
    for sym in function.dims() {
        dims.insert(sym, (random() * 5.0) as i64);
    }
    let size = |d: aiai_ir::Dim| d.eval(&|s| dims.get(&s).copied());
    for (dim, relation) in &entry.signature.constraints {
        if !relation.holds(size(*dim)?) {
            return None;
        }
    }
    let mut args = Vec::new();
    for (k, ty) in function.param_types().into_iter().enumerate() {
        let Type::Tensor { dtype, shape } = ty else {
            return None;
        };
        let shape: Vec<usize> = shape
            .iter()
            .map(|d| size(*d).map(|n| n as usize))
            .collect::<Option<_>>()?;
        let count = shape.iter().product();
        let (low, high) = entry
            .signature
            .domains
            .get(k)
            .copied()
            .flatten()
            .unwrap_or((-1.0, 1.0));
        let values: Vec<f64> = (0..count).map(|_| low + (high - low) * random()).collect();
        args.push(if dtype.is_float() {
            Array::floats(dtype, shape, values)
        } else {
            assert_ne!(dtype, DType::Bool);
            Array::ints(dtype, shape, values.into_iter().map(|x| x as i64))
        });
    }
    Some(args)
}

fn run(module: &Module, name: Sym, args: &[Array]) -> Result<(), String> {
    eval::run(module, name, args, &eval::Options::default())
        .map(|_| ())
        .map_err(|e| format!("{e} at {:?}", e.loc))
}

#[test]
fn tests_and_properties_of_the_library_hold() {
    let mut failures = Vec::new();
    let (mut tests, mut cases) = (0, 0);
    for (name, text) in aiai_frontend::stdlib::FILES {
        let program = check(name, text, &NoFiles);
        for (index, (kind, title)) in program.tests().iter().enumerate() {
            for seed in 0..12 {
                let entry = program
                    .test_entry(index, seed as usize % 3)
                    .expect("elaborates");
                let mut optimized = entry.module.clone();
                let options = aiai_passes::Options {
                    verify_each: true,
                    stop_after: None,
                };
                if let Err(e) = aiai_passes::optimize(&mut optimized, entry.name, &options) {
                    failures.push(format!("{name}: {title}: {e}"));
                    break;
                }
                let Some(args) = arguments(&entry, seed) else {
                    continue;
                };
                if let Err(e) = run(&optimized, entry.name, &args) {
                    failures.push(format!("{name}: {title}: {e}, seed {seed}, {args:?}"));
                    break;
                }
                cases += 1;
                if *kind == TestKind::Test {
                    tests += 1;
                    break;
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        tests > 15 && cases > 60,
        "only {tests} tests and {cases} cases ran"
    );
}
