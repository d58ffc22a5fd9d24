//! Rewrite rules: pairs of programs over the same parameters.

use crate::dim::Relation;
use crate::module::{Function, Loc};
use crate::{Dim, Sym};

/// What a rule claims of its two sides; see DESIGN section 5 of numerics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FloatClass {
    /// Same bits for every input.
    Exact,
    /// Equal over the real numbers, without new overflow or underflow.
    Real {
        /// Claimed for finite inputs only.
        finite: bool,
    },
    /// Within this many units in the last place of the correctly rounded result.
    Approx { ulp: f64 },
}

/// `lhs => rhs`, for the shapes and dtypes of one instance. Both functions have the same
/// parameters and the same result types.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: Sym,
    pub class: FloatClass,
    /// The guard: all must hold of the bound dimensions.
    pub guard: Vec<(Dim, Relation)>,
    pub lhs: Function,
    pub rhs: Function,
    pub doc: String,
    pub loc: Option<Loc>,
}
