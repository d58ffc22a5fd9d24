//! The library's and the examples' own tests and properties hold on the reference evaluator.
//!
//! What differentiates is left to `aiai test`, which runs every test on compiled code.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use aiai_frontend::diagnostics::{Diagnostics, render};
use aiai_frontend::elaborate::{Entry, Loader, Program, TestKind, check};
use aiai_ir::eval::{Array, Options, run};
use aiai_ir::{DType, Module, Op, Sym};
use aiai_tests::{files_with, no_findings, read};

/// How often each property is drawn, at each rank of its packs.
const DRAWS: u64 = 8;
const RANKS: usize = 3;
/// Sizes that dimensions are drawn from.
const SIZES: [i64; 6] = [0, 1, 2, 3, 5, 8];

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("these files use no others".into())
    }
}

#[test]
fn tests_and_properties_hold() {
    let mut findings = Vec::new();
    let folders = ["stdlib", "examples", "tests/cases/programs"];
    for path in files_with(&["aiai"])
        .iter()
        .filter(|p| folders.iter().any(|f| p.starts_with(f)))
    {
        findings.extend(run_file(path));
    }
    no_findings(&findings);
}

fn run_file(path: &Path) -> Vec<String> {
    let program = check(&path.to_string_lossy(), &read(path), &NoFiles);
    if !program.diagnostics.is_empty() {
        return vec![report(&program, &program.diagnostics)];
    }
    let mut findings = Vec::new();
    for (index, (kind, title)) in program.tests().iter().enumerate() {
        let (ranks, draws) = match kind {
            TestKind::Prop => (RANKS, DRAWS),
            TestKind::Test => (1, 1),
            TestKind::Bench => continue,
        };
        for rank in 0..ranks {
            let result = program
                .test_entry(index, rank)
                .map_err(|found| report(&program, &found));
            let result =
                result.and_then(|entry| (0..draws).try_for_each(|seed| run_entry(&entry, seed)));
            if let Err(problem) = result {
                findings.push(format!(
                    "{}: {title} at rank {rank}: {problem}",
                    path.display()
                ));
                break;
            }
        }
    }
    findings
}

fn report(program: &Program, found: &Diagnostics) -> String {
    found
        .iter()
        .map(|d| render(d, &program.sources, false))
        .collect()
}

fn run_entry(entry: &Entry, seed: u64) -> Result<(), String> {
    if differentiates(&entry.module) {
        return Ok(());
    }
    let Some(args) = draw(entry, &mut Random(seed)) else {
        return Ok(());
    };
    match run(&entry.module, entry.name, &args, &Options::default()) {
        Ok(_) => Ok(()),
        Err(e) => {
            let line = e.loc.map_or(0, |loc| loc.line);
            let shapes: Vec<_> = args.iter().map(|a| &a.shape).collect();
            Err(format!(
                "line {line}: {} (seed {seed}, shapes {shapes:?})",
                e.message
            ))
        }
    }
}

fn differentiates(module: &Module) -> bool {
    let mut found = false;
    for function in module.functions.values() {
        function
            .body
            .walk(&mut |node| found |= matches!(node.op, Op::Grad { .. }));
    }
    found
}

/// Arguments within the domains whose sizes meet the constraints; `None` where no draw of sizes does.
fn draw(entry: &Entry, random: &mut Random) -> Option<Vec<Array>> {
    let signature = &entry.signature;
    let leaves = || signature.params.iter().flat_map(|p| &p.2);
    let mut dims = BTreeSet::new();
    for dim in leaves().flat_map(|leaf| &leaf.shape) {
        dim.for_each_sym(&mut |sym| {
            dims.insert(sym);
        });
    }
    for _ in 0..100 {
        let sizes: HashMap<Sym, i64> = dims
            .iter()
            .map(|&d| (d, SIZES[random.below(SIZES.len())]))
            .collect();
        let size = |s: Sym| sizes.get(&s).copied();
        let met = |(dim, relation): &(aiai_ir::Dim, aiai_ir::Relation)| {
            dim.eval(&size).is_some_and(|value| relation.holds(value))
        };
        if !signature.constraints.iter().all(met) {
            continue;
        }
        let mut args = Vec::new();
        for ((_, _, leaves), domain) in signature.params.iter().zip(&signature.domains) {
            for leaf in leaves {
                let shape: Option<Vec<usize>> = leaf
                    .shape
                    .iter()
                    .map(|d| d.eval(&size)?.try_into().ok())
                    .collect();
                args.push(random.array(leaf.dtype, shape?, domain.unwrap_or((-1.0, 1.0))));
            }
        }
        return Some(args);
    }
    None
}

/// A small generator (Steele, Lea and Flood, 2014): the same draws on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn array(&mut self, dtype: DType, shape: Vec<usize>, (low, high): (f64, f64)) -> Array {
        let count: usize = shape.iter().product();
        if dtype.is_float() {
            let elements: Vec<f64> = (0..count)
                .map(|_| low + (high - low) * self.unit())
                .collect();
            return Array::floats(dtype, shape, elements);
        }
        let (low, span) = if dtype == DType::Bool {
            (0, 2)
        } else {
            (low as i64, (high - low).max(1.0) as usize)
        };
        let elements: Vec<i64> = (0..count).map(|_| low + self.below(span) as i64).collect();
        Array::ints(dtype, shape, elements)
    }
}
