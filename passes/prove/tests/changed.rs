//! Claims about bits and stated sizes against the property tests: what still has one after a change must still pass.

mod common;

use aiai_ir::{
    BinaryKind, CompareKind, DType, Dim, FloatClass, Op, OpNode, ReduceKind, Relation, Rule,
    ScatterKind, UnaryKind,
};
use aiai_prove::solver::Process;
use aiai_prove::{InstanceProof, Sizes, TestOptions, TestReport, prove, test};

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

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Another kind of the op, or its operands in another order.
fn change(node: &mut OpNode, numbers: &mut Numbers) -> bool {
    match &mut node.op {
        Op::Unary { kind } if !kind.is_predicate() && *kind != UnaryKind::Not => {
            *kind = numbers.pick(&[
                UnaryKind::Neg,
                UnaryKind::Abs,
                UnaryKind::Sign,
                UnaryKind::Sqrt,
                UnaryKind::Floor,
                UnaryKind::Ceil,
                UnaryKind::Round,
                UnaryKind::Exp,
            ]);
        }
        Op::Binary { kind } if kind.is_bitwise() => {
            *kind = numbers.pick(&[BinaryKind::And, BinaryKind::Or, BinaryKind::Xor]);
        }
        Op::Binary { .. } if numbers.below(4) == 0 => node.operands.swap(0, 1),
        Op::Binary { kind } => {
            *kind = numbers.pick(&[
                BinaryKind::Add,
                BinaryKind::Sub,
                BinaryKind::Mul,
                BinaryKind::Max,
                BinaryKind::Min,
            ]);
        }
        Op::Compare { kind } => *kind = numbers.pick(CompareKind::ALL),
        Op::Select => node.operands.swap(1, 2),
        Op::Reduce { kind, .. } if !matches!(kind, ReduceKind::Any | ReduceKind::All) => {
            *kind = numbers.pick(&[ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min]);
        }
        Op::Scatter { kind, .. } => *kind = numbers.pick(ScatterKind::ALL),
        Op::Sort { descending, .. } => *descending = !*descending,
        Op::Concat { .. } => node.operands.reverse(),
        _ => return false,
    }
    true
}

fn changed(rule: &Rule, numbers: &mut Numbers) -> Option<Rule> {
    let mut rule = rule.clone();
    let side = if numbers.below(2) == 0 {
        &mut rule.lhs
    } else {
        &mut rule.rhs
    };
    let at = numbers.below(side.body.ops.len());
    if !change(side.body.ops.get_mut(at)?, numbers) {
        return None;
    }
    let well_typed = side.body.ops.iter().all(|node| {
        let types = |values: &[aiai_ir::Value]| -> Vec<_> {
            values.iter().map(|v| side.ty(*v).clone()).collect()
        };
        let regions: Vec<_> = node.regions.iter().map(|r| side.region_types(r)).collect();
        node.op.infer(&types(&node.operands), &regions) == Ok(types(&node.results))
    });
    well_typed.then_some(rule)
}

/// The rule with the stated sizes as its guard.
fn within(rule: &Rule, sizes: &Sizes) -> Rule {
    let mut rule = rule.clone();
    for (sym, most) in &sizes.0 {
        let room = Dim::from(*most) - Dim::sym(*sym);
        rule.guard.push((room, Relation::NonNegative));
    }
    rule
}

#[test]
fn claims_survive_only_where_they_hold() {
    let setting = |name: &str, plain: u64| {
        let set = std::env::var(name).ok().and_then(|n| n.parse().ok());
        set.unwrap_or(plain)
    };
    let (wanted, seed) = (setting("MUTANTS", 25), setting("SEED", 1));
    let mut all: Vec<Rule> = Vec::new();
    for folder in [
        "../../stdlib/rules",
        "tests/bits",
        "tests/bounded",
        "tests/refuted",
    ] {
        for (file, text) in common::files(folder) {
            for (_, instances) in common::rules(&file, &text, 1, &[DType::F32, DType::I8]) {
                all.extend(instances);
            }
        }
    }
    let mut numbers = Numbers(seed);
    let mut solver = Process::z3();
    let (mut made, mut bits, mut stated, mut refuted) = (0, 0, 0, 0);
    let mut findings = Vec::new();
    while made < wanted {
        let rule = &all[numbers.below(all.len())];
        let Some(mut rule) = changed(rule, &mut numbers) else {
            continue;
        };
        made += 1;
        rule.class = FloatClass::Exact;
        let proof = prove(&rule, &mut solver);
        let options = TestOptions {
            seed,
            cases: 200,
            ..TestOptions::default()
        };
        let mut note = |claim: &str, report: TestReport| {
            if let Some(failure) = report.failure {
                let sides = [&rule.lhs, &rule.rhs]
                    .map(|side| aiai_ir::print_function(side, Default::default()));
                findings.push(format!(
                    "{} {claim}: {failure:?}\n{}",
                    rule.name,
                    sides.join("\n")
                ));
            }
        };
        if proof.float_proved {
            bits += 1;
            note("has equal bits", test(&rule, &options));
        }
        if let InstanceProof::Bounded { sizes } = &proof.algebra {
            stated += 1;
            let mut small = within(&rule, sizes);
            small.class = FloatClass::Real { finite: true };
            note("is equal at stated sizes", test(&small, &options));
        }
        refuted += usize::from(proof.counterexample.is_some());
    }
    println!("{made} changed: bits of {bits}, {stated} at stated sizes, {refuted} refuted");
    assert!(findings.is_empty(), "{}", findings.join("\n\n"));
}
