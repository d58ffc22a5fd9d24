//! Steps 1 and 2: size, constructs, guards that can hold; the declared class against what the sides do.

use std::collections::BTreeMap;

use aiai_ir::{DType, Dim, FloatClass, Function, Op, Relation, Rule, Sym, Truth};

use aiai_ir::rule::MOST_RANK;

use super::candidate::{Candidate, combinations, each_op, never_float, ops};
use super::{Outcome, axes};
use aiai_ir::random::Random;

/// Ops of a side, at most.
const MOST_OPS: usize = 256;

/// Combinations of the integers and flags that a rule is over, at most.
const MOST_NUMBERS: u64 = 128;

/// Units in the last place that a rule may claim: of bf16 more would be a tenth of the value.
const MOST_ULP: f64 = 16.0;

/// Step 1: the form of one rule; the front end has accepted its file.
pub fn form(candidate: &Candidate) -> Outcome {
    let Some(first) = candidate.instances.first() else {
        return Outcome::failed("no instance of the rule is well typed");
    };
    for rule in &candidate.instances {
        let sides = [("left", &rule.lhs), ("right", &rule.rhs)];
        if let Some((side, f)) = sides.into_iter().find(|(_, f)| ops(f) > MOST_OPS) {
            return Outcome::failed(&format!(
                "the {side} side has {} operations; at most {MOST_OPS}",
                ops(f)
            ));
        }
    }
    if ops(&first.lhs) == 0 {
        return Outcome::failed("the left side computes nothing: it would match everywhere");
    }
    let numbers = combinations(candidate.info);
    if numbers > MOST_NUMBERS {
        return Outcome::failed(&format!(
            "its integers and flags stand for {numbers} rules, each of which is looked at; at most {MOST_NUMBERS}"
        ));
    }
    if let Some(name) = axes::captured(candidate.text(), candidate.info) {
        return Outcome::failed(&format!(
            "`{name}` is what a size of one of the packs is called; take another name"
        ));
    }
    if let Some(what) = axes::misplaced(candidate.text(), &candidate.file.helpers(), candidate.info)
    {
        return Outcome::failed(&format!(
            "`{what}` stands where it is another number at every rank: a rank or an axis stands in `axis = ...` or \
             `axes = ...`, with + and - alone"
        ));
    }
    let helpers = candidate.file.helpers();
    let texts = [candidate.text(), helpers.as_str()];
    if let Some(axis) = texts
        .iter()
        .find_map(|text| axes::distant(text, candidate.info))
    {
        return Outcome::failed(&format!(
            "axis {axis} beside a pack: which one that is differs at ranks of the pack above {MOST_RANK}, which are not judged"
        ));
    }
    if let Some(name) = unused(first) {
        return Outcome::failed(&format!(
            "`{name}` does not stand on the left side: no match says what it is"
        ));
    }
    let empty = candidate.info.params.iter().find(|p| {
        p.domain
            .is_some_and(|(low, high)| low > high || low.is_nan() || high.is_nan())
    });
    if let Some(param) = empty {
        return Outcome::failed(&format!("the domain of `{}` holds nothing", param.name));
    }
    if !candidate.instances.iter().any(can_hold) {
        return Outcome::failed(
            "the guard can never hold: it contradicts itself or the left side, or no sizes up to 64 satisfy it",
        );
    }
    let count = candidate.instances.len() as u64;
    Outcome::passed(
        &format!("{count} instances by rank, dtype and attribute are well typed"),
        count,
    )
}

/// A parameter that the left side does not use.
fn unused(rule: &Rule) -> Option<Sym> {
    let mut used = rule.lhs.body.yields.clone();
    each_op(&rule.lhs, &mut |node| {
        used.extend(&node.operands);
        node.regions
            .iter()
            .for_each(|region| used.extend(&region.yields));
    });
    let params = rule.lhs.params().iter().zip(&rule.lhs.param_names);
    params
        .filter(|(value, _)| !used.contains(value))
        .map(|(_, name)| *name)
        .next()
}

/// Whether some sizes satisfy the guard and what the left side asks for.
fn can_hold(rule: &Rule) -> bool {
    let asked: Vec<(Dim, Relation)> = rule
        .guard
        .iter()
        .copied()
        .chain(rule.lhs.requires.iter().map(|r| (r.dim, r.relation)))
        .collect();
    if asked.is_empty() {
        return true;
    }
    let nothing = aiai_ir::Facts::default();
    if asked
        .iter()
        .any(|(dim, relation)| nothing.check(*relation, *dim) == Truth::False)
    {
        return false;
    }
    let mut dims = rule.lhs.dims();
    for (dim, _) in &asked {
        dim.for_each_sym(&mut |sym| {
            if !dims.contains(&sym) {
                dims.push(sym);
            }
        });
    }
    let holds = |sizes: &BTreeMap<Sym, i64>| {
        asked.iter().all(|(dim, relation)| {
            dim.eval(&|sym| sizes.get(&sym).copied())
                .is_some_and(|v| relation.holds(v))
        })
    };
    let mut random = Random::new(1);
    let small: [i64; 12] = [1, 2, 3, 4, 0, 5, 6, 7, 8, 12, 16, 64];
    for tried in 0..4000 {
        let wide = if tried < 500 { 5 } else { small.len() };
        let sizes = dims
            .iter()
            .map(|dim| (*dim, small[random.below(wide)]))
            .collect();
        if holds(&sizes) {
            return true;
        }
    }
    // Guards such as `N > 100`: all sizes large, apart or together.
    (0..2000).any(|_| {
        let large = random.choose([100i64, 128, 1000, 4096, 1 << 20, 1 << 31, 1 << 33]);
        let size = |random: &mut Random| match random.below(3) {
            0 => large + random.choose([0i64, 1, 2, 7]),
            1 => random.choose([1i64, 2, 3, 4, 8, 64]),
            _ => large,
        };
        let sizes = dims.iter().map(|dim| (*dim, size(&mut random))).collect();
        holds(&sizes)
    })
}

/// Step 2: the class that is claimed, against what the sides do.
pub fn class(candidate: &Candidate) -> Outcome {
    let info = candidate.info;
    if let FloatClass::Approx { ulp } = info.class
        && !(0.5..=MOST_ULP).contains(&ulp)
    {
        return Outcome::failed(&format!(
            "approx({ulp} ulp): between 0.5 and {MOST_ULP} ulp can be claimed"
        ));
    }
    for rule in &candidate.instances {
        if let Some(op) = effect(&rule.lhs).or_else(|| effect(&rule.rhs)) {
            return Outcome::failed(&format!(
                "`{op}` is for no rule: it stops programs or draws numbers"
            ));
        }
        if let Some((narrow, least)) = downgrade(rule) {
            return Outcome::failed(&format!(
                "the right side computes in {narrow}, the left side in nothing below {least}: a loss of \
                 precision that no class allows"
            ));
        }
    }
    let integers = info.dtypes.iter().all(|(_, bound)| never_float(*bound));
    let floats = candidate
        .instances
        .iter()
        .any(|rule| has_floats(&rule.lhs) || has_floats(&rule.rhs));
    let says = match (info.class, integers && !floats) {
        (FloatClass::Exact, _) => "claims the same bits; slot `simplify`",
        (_, true) => "holds integers alone, which are exact whatever is claimed; slot `simplify`",
        (FloatClass::Real { .. }, false) => "claims equality over the reals; slot `simplify`",
        (FloatClass::Approx { .. }, false) => {
            "claims closeness to the rounded result; slot `simplify`"
        }
    };
    Outcome::passed(says, candidate.instances.len() as u64)
}

/// An op that does more than compute.
fn effect(function: &Function) -> Option<&'static str> {
    let mut found = None;
    each_op(function, &mut |node| {
        if matches!(
            node.op,
            Op::Assert { .. } | Op::AssertClose { .. } | Op::RandomBits { .. }
        ) {
            found = Some(node.op.name());
        }
    });
    found
}

fn has_floats(function: &Function) -> bool {
    let mut found = function
        .param_types()
        .iter()
        .any(|ty| ty.dtype().is_float());
    each_op(function, &mut |node| {
        found |= node
            .results
            .iter()
            .any(|v| function.ty(*v).dtype().is_float());
    });
    found
}

/// A float dtype that the right side computes in, coarser than all that the left side and the result have.
fn downgrade(rule: &Rule) -> Option<(DType, DType)> {
    let coarsest = |function: &Function| {
        let mut dtypes: Vec<DType> = function.param_types().iter().map(|ty| ty.dtype()).collect();
        each_op(function, &mut |node| {
            dtypes.extend(node.results.iter().map(|v| function.ty(*v).dtype()));
            match &node.op {
                Op::Reduce { acc, .. } | Op::Contract { acc, .. } => dtypes.push(*acc),
                _ => {}
            }
        });
        let unit = |dtype: &DType| dtype.unit_roundoff();
        let floats = dtypes.into_iter().filter(|d| d.is_float());
        floats.max_by(|a, b| {
            unit(a)
                .partial_cmp(&unit(b))
                .unwrap_or(std::cmp::Ordering::Equal)
        })
    };
    let (left, right) = (coarsest(&rule.lhs)?, coarsest(&rule.rhs)?);
    (right.unit_roundoff() > left.unit_roundoff()).then_some((right, left))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::super::candidate::File;
    use super::*;

    fn steps(text: &str) -> [Status; 2] {
        let file = File::read("rule.aiai", text).expect("well typed");
        let candidate = file.candidate(0).expect("a rule");
        [form(&candidate).status, class(&candidate).status]
    }

    #[test]
    fn right_rules_pass() {
        let text = "rule twice(x: T[..S, M, N]) exact { transpose(transpose(x)) => x }";
        assert_eq!(steps(text), [Status::Passed; 2]);
        let large = "rule far(x: f32[N]) exact where N > 5000 { reverse(reverse(x, axis = 0), axis = 0) => x }";
        assert_eq!(steps(large), [Status::Passed; 2]);
    }

    #[test]
    fn guards_that_cannot_hold_are_found() {
        let text = "rule never(x: f32[N]) exact where N > N { x + 1.0 => x }";
        assert_eq!(steps(text)[0], Status::Failed);
        let text = "rule never(x: f32[N]) exact where N > 5, N < 4 { x + 1.0 => x }";
        assert_eq!(steps(text)[0], Status::Failed);
    }

    #[test]
    fn precision_is_not_given_away() {
        let text = "rule down(x: f32[N], y: f32[N]) real { x * y => f32(f16(x) * f16(y)) }";
        assert_eq!(steps(text)[1], Status::Failed);
        let text = "rule loose(x: f32[N]) approx(1000 ulp) { exp(x) => expm1(x) + 1.0 }";
        assert_eq!(steps(text)[1], Status::Failed);
    }
}
