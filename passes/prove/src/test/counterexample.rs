//! A counterexample to a rule, and its form as a test of the language.

use aiai_ir::Sym;
use aiai_ir::eval::Array;

/// Arguments on which the sides of a rule differ by more than its class allows.
#[derive(Clone, Debug)]
pub struct Counterexample {
    pub rule: Sym,
    /// The named dimensions, in order of their names.
    pub sizes: Vec<(Sym, i64)>,
    /// The parameters, in the order of the rule.
    pub inputs: Vec<(Sym, Array)>,
    /// The results that differ.
    pub left: Array,
    pub right: Array,
    pub why: String,
}
