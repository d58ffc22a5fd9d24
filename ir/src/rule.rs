//! Rewrite rules: pairs of programs over the same parameters.
//!
//! A rule in the text stands for many: one per rank of its packs, dtype, and value of its attributes. Sizes
//! stay symbolic. [`RuleInfo`] says what is left open, [`Instance`] fills it in, and [`Rule`] is the pair of
//! functions that comes of it.

use std::collections::BTreeMap;

use crate::dim::Relation;
use crate::module::{Function, Loc, Module};
use crate::sketch::Sketch;
use crate::{DType, Dim, Sym};

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

/// The dtypes that a generic name of a rule stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DTypeBound {
    /// Every dtype, `bool` included.
    Any,
    Float,
    /// Integers; not `bool`.
    Int,
    /// Floats and integers; not `bool`.
    Number,
    /// Floats and integers with a sign.
    Signed,
    /// Integers without a sign; not `bool`.
    Unsigned,
}

/// What values an attribute of a rule takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// One axis, counted from the front.
    Axis,
    /// Some axes, at least one, increasing.
    Axes,
    /// All axes in any order.
    Permutation,
    Bool,
    /// An integer of a range, both ends in it.
    Int {
        low: i64,
        high: i64,
    },
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    Int(i64),
    Bool(bool),
    Axes(Vec<usize>),
}

/// A parameter of a rule that is a value.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleParam {
    pub name: Sym,
    /// Stands for constants only: all elements equal and known when compiling.
    pub constant: bool,
    /// The elements lie between these, ends included; a guard, which only constants can meet.
    pub domain: Option<(f64, f64)>,
}

/// A rule as written: what it claims and what it leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleInfo {
    pub name: Sym,
    /// The name of the `rules` around it, if any.
    pub family: Option<Sym>,
    pub class: FloatClass,
    /// Names of packs, `_` for `..`, in order of appearance.
    pub packs: Vec<Sym>,
    /// Generic dtypes, in order of appearance.
    pub dtypes: Vec<(Sym, DTypeBound)>,
    pub attributes: Vec<(Sym, AttributeKind)>,
    pub params: Vec<RuleParam>,
    /// The types of the parameters, as many.
    pub types: Vec<ParamType>,
    /// What the left side looks like.
    pub left: Sketch,
    pub doc: String,
    pub loc: Option<Loc>,
}

/// The type of a parameter of a rule as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamType {
    /// A dtype, or the name of a generic one.
    pub dtype: Sym,
    /// The packs among its dimensions.
    pub packs: Vec<Sym>,
    /// How many dimensions it has beside them.
    pub named: usize,
}

/// What fills in what a rule leaves open. Sizes stay symbolic.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// How many dimensions each pack has.
    pub ranks: BTreeMap<Sym, usize>,
    pub dtypes: BTreeMap<Sym, DType>,
    pub attributes: BTreeMap<Sym, Attribute>,
}

/// `lhs => rhs`, for the shapes and dtypes of one instance. Both functions have the same
/// parameters and the same result types.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: Sym,
    pub class: FloatClass,
    pub instance: Instance,
    /// As many as the functions have parameters.
    pub params: Vec<RuleParam>,
    /// The guard: all must hold of the bound dimensions.
    pub guard: Vec<(Dim, Relation)>,
    pub lhs: Function,
    pub rhs: Function,
    pub doc: String,
    pub loc: Option<Loc>,
}

/// Instances of rules with the functions that their sides call.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// In the order of the text, then of the instances.
    pub rules: Vec<Rule>,
    pub module: Module,
}

/// The highest rank of a pack that rules are judged and fire at. What a rule says of one rank need not follow from what
/// it says of lower ones: permutations of three axes, taken six times, change nothing; those of four do.
pub const MOST_RANK: usize = 5;

/// The most axes that a tensor of an instance has, likewise, where a rule has several packs or attributes.
pub const MOST_AXES: usize = 8;

impl RuleInfo {
    /// The most axes that a parameter has, or what is made of sizes alone.
    pub fn highest(&self, instance: &Instance) -> usize {
        let ranks = self.types.iter().map(|ty| {
            let packs = ty.packs.iter().filter_map(|pack| instance.ranks.get(pack));
            packs.sum::<usize>() + ty.named
        });
        let of_none = |pack: &Sym| !self.types.iter().any(|ty| ty.packs.contains(pack));
        let made = instance.ranks.iter().filter(|(pack, _)| of_none(pack));
        let made: usize = made.map(|(_, rank)| rank).sum();
        ranks.max().unwrap_or(0).max(made)
    }

    /// Every instance with packs of `ranks` dimensions and the given dtypes, in a fixed order; `most` of them
    /// at most. Instances whose attributes do not fit the ranks are among them: they do not elaborate.
    pub fn instances(
        &self,
        ranks: std::ops::RangeInclusive<usize>,
        dtypes: &[DType],
        most: usize,
    ) -> Vec<Instance> {
        let mut found = vec![Instance::default()];
        for &pack in &self.packs {
            found = spread(&found, most, |instance| {
                let with = |rank| {
                    let mut next = instance.clone();
                    next.ranks.insert(pack, rank);
                    next
                };
                ranks.clone().map(with).collect()
            });
        }
        for &(name, bound) in &self.dtypes {
            found = spread(&found, most, |instance| {
                let allowed = dtypes.iter().filter(|dtype| bound.holds(**dtype));
                let with = |dtype: &DType| {
                    let mut next = instance.clone();
                    next.dtypes.insert(name, *dtype);
                    next
                };
                allowed.map(with).collect()
            });
        }
        for &(name, kind) in &self.attributes {
            found = spread(&found, most, |instance| {
                let with = |value| {
                    let mut next = instance.clone();
                    next.attributes.insert(name, value);
                    next
                };
                let rank: usize = instance.ranks.values().sum();
                kind.values(rank + MOST_NAMED)
                    .into_iter()
                    .map(with)
                    .collect()
            });
        }
        found
    }
}

/// Dimensions of a tensor beside its packs, at most, that attributes are enumerated for.
const MOST_NAMED: usize = 3;

fn spread(
    found: &[Instance],
    most: usize,
    more: impl Fn(&Instance) -> Vec<Instance>,
) -> Vec<Instance> {
    found.iter().flat_map(more).take(most).collect()
}

impl DTypeBound {
    pub fn holds(self, dtype: DType) -> bool {
        match self {
            DTypeBound::Any => true,
            DTypeBound::Float => dtype.is_float(),
            DTypeBound::Int => dtype.is_integer(),
            DTypeBound::Number => dtype.is_numeric(),
            DTypeBound::Signed => dtype.is_float() || dtype.is_signed(),
            DTypeBound::Unsigned => dtype.is_integer() && !dtype.is_signed(),
        }
    }

    /// The bound that the language calls so.
    pub fn from_name(name: &str) -> Option<DTypeBound> {
        match name {
            "float" => Some(DTypeBound::Float),
            "int" => Some(DTypeBound::Int),
            "number" => Some(DTypeBound::Number),
            "signed" => Some(DTypeBound::Signed),
            "unsigned" => Some(DTypeBound::Unsigned),
            _ => None,
        }
    }
}

impl AttributeKind {
    /// Every value for tensors of at most `rank` axes, in a fixed order.
    pub fn values(self, rank: usize) -> Vec<Attribute> {
        match self {
            AttributeKind::Axis => (0..rank as i64).map(Attribute::Int).collect(),
            AttributeKind::Axes => subsets(rank).into_iter().map(Attribute::Axes).collect(),
            AttributeKind::Permutation => (0..=rank.min(4))
                .flat_map(permutations)
                .map(Attribute::Axes)
                .collect(),
            AttributeKind::Bool => vec![Attribute::Bool(false), Attribute::Bool(true)],
            AttributeKind::Int { low, high } => (low..=high).map(Attribute::Int).collect(),
        }
    }
}

/// The non-empty sets of axes, small ones first.
fn subsets(rank: usize) -> Vec<Vec<usize>> {
    let of = |bits: u32| (0..rank).filter(|k| bits >> k & 1 == 1).collect::<Vec<_>>();
    let mut sets: Vec<Vec<usize>> = (1..1u32 << rank.min(6)).map(of).collect();
    sets.sort_by_key(|set| (set.len(), set.clone()));
    sets
}

/// The orders of `rank` axes.
fn permutations(rank: usize) -> Vec<Vec<usize>> {
    if rank == 0 {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for shorter in permutations(rank - 1) {
        for at in 0..=shorter.len() {
            let mut order = shorter.clone();
            order.insert(at, rank - 1);
            orders.push(order);
        }
    }
    orders.sort();
    orders
}
