//! The prover against the property tests: a changed rule that is still proved must still pass.

mod common;

use aiai_ir::eval::{self, Array};
use aiai_ir::{
    BinaryKind, CompareKind, DType, Dim, FloatClass, Op, ReduceKind, Region, Rule, UnaryKind,
};
use aiai_prove::solver::Process;
use aiai_prove::{Counterexample, InstanceProof, TestOptions, prove, test};

/// A small generator of numbers, the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

fn other<T: Copy + PartialEq>(all: &[T], one: T, numbers: &mut Numbers) -> T {
    let rest: Vec<T> = all.iter().copied().filter(|k| *k != one).collect();
    rest[numbers.below(rest.len())]
}

/// Changes one op of a region, if that one can be changed.
fn change(region: &mut Region, at: usize, numbers: &mut Numbers) -> Option<String> {
    let node = region.ops.get_mut(at)?;
    let before = format!("{:?}", node.op);
    match &mut node.op {
        Op::Unary { kind } => {
            let same: &[UnaryKind] = &[
                UnaryKind::Neg,
                UnaryKind::Abs,
                UnaryKind::Exp,
                UnaryKind::Log,
                UnaryKind::Sqrt,
                UnaryKind::Tanh,
                UnaryKind::Sign,
            ];
            if !same.contains(kind) {
                return None;
            }
            *kind = other(same, *kind, numbers);
        }
        Op::Binary { kind } => {
            let same: &[BinaryKind] = if kind.is_bitwise() {
                &[BinaryKind::And, BinaryKind::Or, BinaryKind::Xor]
            } else {
                &[
                    BinaryKind::Add,
                    BinaryKind::Sub,
                    BinaryKind::Mul,
                    BinaryKind::Div,
                    BinaryKind::Max,
                    BinaryKind::Min,
                ]
            };
            if numbers.below(3) == 0 {
                node.operands.swap(0, 1);
            } else {
                *kind = other(same, *kind, numbers);
            }
        }
        Op::Compare { kind } => *kind = other(CompareKind::ALL, *kind, numbers),
        Op::Select => node.operands.swap(1, 2),
        Op::Reduce { kind, .. } => match kind {
            ReduceKind::Any => *kind = ReduceKind::All,
            ReduceKind::All => *kind = ReduceKind::Any,
            _ => {
                let same = [
                    ReduceKind::Sum,
                    ReduceKind::Prod,
                    ReduceKind::Max,
                    ReduceKind::Min,
                ];
                *kind = other(&same, *kind, numbers);
            }
        },
        Op::Slice { starts, limits, .. } => {
            let k = numbers.below(starts.len());
            starts[k] = starts[k] + Dim::from(1);
            limits[k] = limits[k] + Dim::from(1);
        }
        Op::Pad { low, high } => {
            let k = numbers.below(low.len());
            std::mem::swap(&mut low[k], &mut high[k]);
        }
        Op::Concat { .. } => node.operands.reverse(),
        Op::Reverse { axes } => {
            axes.pop();
        }
        Op::Scatter { kind, .. } => *kind = other(aiai_ir::ScatterKind::ALL, *kind, numbers),
        _ => return None,
    }
    Some(before)
}

/// The rule with one op of its right side changed, if it still verifies.
fn mutant(rule: &Rule, numbers: &mut Numbers) -> Option<(Rule, String)> {
    let mut changed = rule.clone();
    changed.class = match rule.class {
        FloatClass::Exact => FloatClass::Real { finite: true },
        _ => FloatClass::Real { finite: true },
    };
    let what = if numbers.below(4) == 0 && !rule.guard.is_empty() {
        changed.guard.clear();
        "guard".to_owned()
    } else if numbers.below(6) == 0 {
        let params = changed.params.iter_mut();
        let mut dropped = false;
        params.for_each(|p| dropped |= p.domain.take().is_some());
        if !dropped {
            return None;
        }
        "domains".to_owned()
    } else {
        let side = if numbers.below(3) == 0 {
            &mut changed.lhs
        } else {
            &mut changed.rhs
        };
        let at = numbers.below(side.body.ops.len());
        let mut body = side.body.clone();
        let what = change(&mut body, at, numbers)?;
        side.body = body;
        what
    };
    let well_typed = [&changed.lhs, &changed.rhs].iter().all(|side| {
        side.body.ops.iter().all(|node| {
            let operands: Vec<_> = node.operands.iter().map(|v| side.ty(*v).clone()).collect();
            let regions: Vec<_> = node.regions.iter().map(|r| side.region_types(r)).collect();
            let results: Vec<_> = node.results.iter().map(|v| side.ty(*v).clone()).collect();
            node.op.infer(&operands, &regions) == Ok(results)
        })
    });
    well_typed.then_some((changed, what))
}

/// Whether the right side is finite where it is computed in f64: a proof over the reals says nothing of overflow.
fn only_overflows(rule: &Rule, found: &Counterexample) -> bool {
    let text = aiai_ir::print_function(&rule.rhs, Default::default());
    let module = aiai_ir::parse_module(&text.replace("f32", "f64"));
    let Some(wide) = module.ok().and_then(|m| m.functions.into_values().next()) else {
        return false;
    };
    let widened = found.inputs.iter().map(|(_, x)| match x.dtype {
        DType::F32 => Array::floats(DType::F64, x.shape.clone(), x.to_f64()),
        _ => x.clone(),
    });
    let inputs: Vec<Array> = widened.collect();
    let sizes = found
        .sizes
        .iter()
        .map(|(sym, size)| (*sym, *size))
        .collect();
    let results = eval::run_function(&wide, &inputs, &sizes, &eval::Options::default());
    let finite = |x: &Array| !x.dtype.is_float() || x.to_f64().iter().all(|v| v.is_finite());
    let overflows = |x: &Array| x.dtype.is_float() && x.to_f64().iter().any(|v| !v.is_finite());
    overflows(&found.right) && results.is_ok_and(|all| all.iter().all(finite))
}

#[test]
fn proved_mutants_pass_the_tests() {
    let wanted: usize = std::env::var("MUTANTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(60);
    let seed: u64 = std::env::var("SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let mut all: Vec<Rule> = Vec::new();
    for folder in ["../../stdlib/rules", "tests/right", "tests/wrong"] {
        for (file, text) in common::files(folder) {
            for (_, instances) in common::rules(&file, &text, 1, &[DType::F32, DType::I8]) {
                all.extend(instances);
            }
        }
    }
    let mut numbers = Numbers(seed);
    let mut solver = Process::z3();
    let (mut made, mut proved) = (0, 0);
    let mut findings = Vec::new();
    while made < wanted {
        let rule = &all[numbers.below(all.len())];
        let Some((rule, what)) = mutant(rule, &mut numbers) else {
            continue;
        };
        made += 1;
        if std::env::var_os("MUTANTS").is_some() {
            println!(
                "{made}: {} {:?} changed at {what}",
                rule.name, rule.instance
            );
        }
        let proof = prove(&rule, &mut solver);
        if std::env::var_os("MUTANTS").is_some() {
            println!("   {:?}", proof.algebra);
        }
        if proof.algebra != InstanceProof::Proved {
            continue;
        }
        proved += 1;
        let options = TestOptions {
            seed,
            cases: 200,
            ..TestOptions::default()
        };
        let report = test(&rule, &options);
        let failure = report.failure;
        if let Some(failure) = failure.filter(|found| !only_overflows(&rule, found)) {
            println!(
                "finding: {} {:?} changed at {what}",
                rule.name, rule.instance
            );
            findings.push(format!(
                "{} {:?} changed at {what}\n{:?}\n{}\n{}",
                rule.name,
                rule.instance,
                failure,
                aiai_ir::print_function(&rule.lhs, Default::default()),
                aiai_ir::print_function(&rule.rhs, Default::default())
            ));
        }
    }
    println!(
        "{made} mutants, {proved} proved, {} of those convicted",
        findings.len()
    );
    assert!(findings.is_empty(), "{}", findings.join("\n\n"));
}
