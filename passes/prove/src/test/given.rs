//! Arguments that somebody else proposes: whether they show that a rule is wrong, by the same comparison.

use aiai_ir::Rule;
use aiai_ir::eval::Array;

use super::compare::{Judge, Verdict};
use super::shrink::{Failing, Shrinker};
use super::sizes::{SizeSource, Sizes};
use super::values::{Theme, ValueSource};
use super::{Counterexample, TestOptions, counterexample};

/// A counterexample made small, where the sides differ on these arguments so that one case convicts.
pub fn convicted(rule: &Rule, sizes: &Sizes, inputs: Vec<Array>) -> Option<Counterexample> {
    let options = TestOptions::default();
    let source = SizeSource::new(rule, options.max_elements);
    let values = ValueSource::new(rule);
    if !source.holds(sizes) || !values.admits(&inputs) {
        return None;
    }
    let judge = Judge::new(rule, options.max_elements, options.max_steps);
    let Verdict::Differ(difference) = judge.judge(&inputs, sizes) else {
        return None;
    };
    if !difference.firm {
        return None;
    }
    let failing = Failing {
        sizes: sizes.clone(),
        inputs,
        difference: *difference,
    };
    let small = Shrinker::new(&judge, &source, &values).shrink(failing, Theme::Whole);
    Some(counterexample(rule, small))
}
