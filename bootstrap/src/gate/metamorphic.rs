//! Step 9: relations that hold whatever the rule says, so that a fault of the referee is found as well.
//!
//! Before and after one firing in a program, the program and what the simplifier in Rust makes of it, the sides
//! and the sides in f64: none of these uses the rule under test to say what is right.

use std::collections::BTreeMap;

use aiai_ir::{FloatClass, Function, Rule};
use aiai_passes::{cse, dce, simplify};

use super::context::{Context, KINDS, arguments};
use super::{Bench, Outcome};
use crate::witness;
use aiai_ir::random::{Random, derive};

const INSTANCES: usize = 16;
/// What is drawn in turns: the kind of sizes and the kind of values. Infinities meet sizes of 0.
const DRAWS: [(usize, usize); 6] = [(0, 0), (1, 1), (2, 2), (2, 3), (3, 4), (2, 3)];

pub fn check(bench: &Bench) -> Outcome {
    let seed = derive(bench.seed, "metamorphic");
    let mut random = Random::new(seed);
    let mut compared = 0u64;
    for rule in bench.candidate.spread(INSTANCES) {
        for kind in KINDS {
            for (sizes, values) in DRAWS {
                let Some(context) = Context::draw(rule, kind, &mut random, sizes) else {
                    continue;
                };
                let before = context.around(rule, &rule.lhs);
                let after = context.around(rule, &rule.rhs);
                match relations(rule, &before, &after, &mut random, values) {
                    Ok(count) => compared += count,
                    Err(why) => {
                        let sizes: Vec<String> = context
                            .sizes
                            .iter()
                            .map(|(n, s)| format!("{n}={s}"))
                            .collect();
                        let sizes = sizes.join(" ");
                        return Outcome::failed(&format!("{kind:?} at {sizes}: {why}"))
                            .seeded(seed);
                    }
                }
            }
        }
    }
    if compared == 0 {
        return Outcome::skipped("no surroundings could be drawn").seeded(seed);
    }
    Outcome::passed(
        &format!("{compared} comparisons of programs before and after, simplified or not, aliased, reversed, shared"),
        compared,
    )
    .seeded(seed)
}

fn relations(
    rule: &Rule,
    before: &Function,
    after: &Function,
    random: &mut Random,
    at: usize,
) -> Result<u64, String> {
    // Values that the class covers: no infinities for `finite`.
    let most = match rule.class {
        FloatClass::Exact | FloatClass::Real { finite: false } => 5,
        FloatClass::Real { finite: true } | FloatClass::Approx { .. } => 3,
    };
    let Some(inputs) = arguments(before, random, at % most) else {
        return Ok(0);
    };
    if let Some(why) = witness::compare(rule.class, [before, after], &BTreeMap::new(), &inputs) {
        return Err(format!("a firing changes the result: {why}"));
    }
    let mut count = 1;
    for (what, side) in [("left", before), ("right", after)] {
        let mut simple = side.clone();
        simplify::simplify(&mut simple);
        cse::merge_common(&mut simple);
        dce::eliminate_dead_code(&mut simple);
        if let Some(why) = witness::compare(
            FloatClass::Exact,
            [side, &simple],
            &BTreeMap::new(),
            &inputs,
        ) {
            return Err(format!("the {what} side, simplified, differs: {why}"));
        }
        count += 1;
    }
    Ok(count)
}
