//! Rewriting by rules.

use aiai_ir::{Rule, RuleSet};

use crate::{cse, dce, inline};

/// The rules with sides of primitives only: calls become the bodies of what they call, as those of a program
/// do before rules are applied to it.
pub fn prepare(set: RuleSet) -> Vec<Rule> {
    let RuleSet { rules, module } = set;
    let rules = rules.into_iter().map(|mut rule| {
        for side in [&mut rule.lhs, &mut rule.rhs] {
            *side = inline::inline_calls(&module, side);
            cse::merge_common(side);
            dce::eliminate_dead_code(side);
        }
        rule
    });
    rules.collect()
}
