//! Step 10: the rule with admitted rules that touch the same operations, in both orders.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aiai_ir::{FloatClass, Function, Rule, Stage, verify};
use aiai_passes::rewrite::{Limits, Rules};

use super::context::{Context, Kind, arguments};
use super::{Bench, Outcome};
use crate::witness::{self, alone};
use aiai_ir::random::{Random, derive};

const INSTANCES: usize = 4;
const DRAWS: usize = 3;

pub fn check(bench: &Bench) -> Outcome {
    if bench.library.is_empty() && bench.others.is_empty() {
        return Outcome::skipped("no rule is admitted yet");
    }
    let seed = derive(bench.seed, "pairs");
    let mut random = Random::new(seed);
    let (mut partners, mut compared) = (0, 0u64);
    for rule in bench.candidate.spread(INSTANCES) {
        let mut known = bench.library.touching(&rule.lhs, bench.candidate.text());
        known.extend(bench.library.touching(&rule.rhs, bench.candidate.text()));
        if !bench.library.holds(bench.candidate.text()) {
            known.extend(bench.others.iter().cloned());
        }
        let mut seen = HashSet::new();
        known.retain(|k| seen.insert((k.name, k.instance.clone())));
        partners = partners.max(known.iter().map(|k| k.name).collect::<BTreeSet<_>>().len());
        let alone = Rules::new(vec![rule.clone()]);
        let admitted = Rules::new(known.clone());
        known.push(rule.clone());
        let together = Rules::new(known);
        for at in 0..DRAWS {
            let kind = if at == 1 { Kind::Shared } else { Kind::Plain };
            let Some(context) = Context::draw(rule, kind, &mut random, at) else {
                continue;
            };
            let before = context.around(rule, &rule.lhs);
            let orders = [
                ("the rule, then the others", vec![&alone, &admitted]),
                ("the others, then the rule", vec![&admitted, &alone]),
                ("all together", vec![&together]),
            ];
            for (order, sets) in orders {
                match agree(rule, &before, &sets, &mut random, at) {
                    Ok(count) => compared += count,
                    Err(why) => return Outcome::failed(&format!("{order}: {why}")).seeded(seed),
                }
            }
        }
    }
    Outcome::passed(
        &format!("with {partners} admitted rules that touch it, both orders and together: {compared} runs agree"),
        compared,
    )
    .seeded(seed)
}

/// Rewrites by the sets in turn and compares with the program before.
fn agree(
    rule: &Rule,
    before: &Function,
    sets: &[&Rules],
    random: &mut Random,
    at: usize,
) -> Result<u64, String> {
    let mut after = before.clone();
    let mut fired: Vec<String> = Vec::new();
    for set in sets {
        let trace = set.greedy(&mut after, &Limits::default());
        if trace.limit_hit.is_some() {
            return Err("rewriting does not end within its limits".to_owned());
        }
        fired.extend(trace.firings.iter().map(|f| f.rule.to_string()));
    }
    if let Err(e) = verify(&alone(&after), Stage::Primitive) {
        return Err(format!("after {}: {}", fired.join(", "), e.message));
    }
    // Whatever the others claim, plain finite numbers must come out alike.
    let class = match rule.class {
        FloatClass::Exact => FloatClass::Real { finite: true },
        FloatClass::Real { .. } => FloatClass::Real { finite: true },
        FloatClass::Approx { ulp } => FloatClass::Approx { ulp: ulp * 4.0 },
    };
    let Some(inputs) = arguments(before, random, at % 2) else {
        return Ok(0);
    };
    match witness::compare(class, [before, &after], &BTreeMap::new(), &inputs) {
        Some(why) => Err(format!("after {}: {why}", fired.join(", "))),
        None => Ok(1),
    }
}
