//! Sizes for the dimensions of a rule that satisfy its guard, its types and what the left side requires.
//!
//! Symbols are assigned one by one with backtracking; a condition with one symbol left is solved for it where it
//! is linear, so that `D == H * K` costs nothing. Every search is bounded in nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aiai_ir::dim::Atom;
use aiai_ir::{Dim, Function, Op, Relation, Rule, Sym, Value};

use aiai_ir::random::Random;

/// Values of the named dimensions.
pub type Sizes = HashMap<Sym, i64>;

/// What sizes are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// 1 to 4.
    Small,
    /// 0 to 9.
    Medium,
    /// One dimension 0.
    Empty,
    /// One dimension 1, the others larger.
    Single,
    /// All different, so that axes cannot be mistaken for one another.
    Distinct,
    /// One dimension a prime, a power of two, or one beside it, up to 129.
    Edge,
    /// One dimension near a number that the rule mentions.
    Mentioned,
    /// One dimension near a power of two from 2^16 to 2^33, another 0.
    Huge,
    /// Whatever fits, of many.
    Any,
}

/// The dimensions of a rule with what they must satisfy.
#[derive(Debug)]
pub struct SizeSource {
    pub syms: Vec<Sym>,
    conditions: Vec<Condition>,
    shapes: Vec<Vec<Dim>>,
    /// Numbers that the rule mentions, and their neighbours.
    mentioned: Vec<i64>,
    most_elements: i64,
    /// Something is computed in 8 bits.
    bytes: bool,
}

#[derive(Debug)]
struct Condition {
    dim: Dim,
    relation: Relation,
    syms: Vec<Sym>,
}

/// Assignments that one draw tries, at most.
const MOST_NODES: usize = 400;
/// Assignments that the search for any sizes at all tries, at most.
const MOST_NODES_OF_ANY: usize = 100_000;

/// Where sums of 8-bit integers wrap.
const WRAPS: [i64; 6] = [127, 128, 129, 255, 256, 257];

const EDGES: [i64; 24] = [
    7, 8, 9, 11, 13, 15, 16, 17, 19, 23, 29, 31, 32, 33, 37, 47, 63, 64, 65, 97, 101, 127, 128, 129,
];

impl SizeSource {
    pub fn new(rule: &Rule, most_elements: usize) -> SizeSource {
        let mut syms = BTreeSet::new();
        let mut note = |dim: Dim| {
            dim.for_each_sym(&mut |sym| {
                syms.insert(sym);
            });
        };
        let mut mentioned = BTreeSet::new();
        let mut conditions: BTreeMap<(Dim, u8), Relation> = BTreeMap::new();
        let mut insist = |dim: Dim, relation: Relation| {
            if dim.as_const().is_none() {
                conditions.insert((dim, relation as u8), relation);
            }
        };
        for (dim, relation) in &rule.guard {
            insist(*dim, *relation);
        }
        for require in &rule.lhs.requires {
            insist(require.dim, require.relation);
        }
        // Sizes are at least 0, or the left side is of no type.
        for dim in dims_of_types(&rule.lhs) {
            insist(dim, Relation::NonNegative);
        }
        let shapes: BTreeSet<Vec<Dim>> = [&rule.lhs, &rule.rhs]
            .into_iter()
            .flat_map(shapes_of)
            .collect();
        for side in [&rule.lhs, &rule.rhs] {
            for dim in dims_of_types(side).into_iter().chain(dims_of_ops(side)) {
                note(dim);
                numbers_of(dim, &mut mentioned);
            }
            constants_of(side, &mut mentioned);
        }
        for (dim, _) in conditions.keys() {
            note(*dim);
            numbers_of(*dim, &mut mentioned);
        }
        let around = |n: &i64| [n - 1, *n, n + 1];
        let mentioned: BTreeSet<i64> = mentioned.iter().flat_map(around).collect();
        let fits = |n: &i64| (6..=1 << 14).contains(n);
        let condition = |((dim, _), relation): ((Dim, u8), Relation)| {
            let mut syms = Vec::new();
            dim.for_each_sym(&mut |sym| {
                if !syms.contains(&sym) {
                    syms.push(sym);
                }
            });
            Condition {
                dim,
                relation,
                syms,
            }
        };
        SizeSource {
            syms: syms.into_iter().collect(),
            conditions: conditions.into_iter().map(condition).collect(),
            shapes: shapes.into_iter().collect(),
            mentioned: mentioned.into_iter().filter(fits).collect(),
            most_elements: most_elements as i64,
            bytes: [&rule.lhs, &rule.rhs].into_iter().any(|side| {
                values_of(side)
                    .any(|v| side.ty(v).dtype().bytes() == 1 && side.ty(v).dtype().is_integer())
            }),
        }
    }

    /// Sizes after a wish, if any were found.
    pub fn draw(&self, random: &mut Random, wish: Wish) -> Option<Sizes> {
        let mut order = self.syms.clone();
        random.shuffle(&mut order);
        let chosen = order.first().copied();
        let mut candidates: HashMap<Sym, Vec<i64>> = HashMap::new();
        for (k, &sym) in order.iter().enumerate() {
            let mut values = self.candidates(random, wish, k);
            values.dedup();
            candidates.insert(sym, values);
        }
        let mut search = Search {
            source: self,
            candidates,
            sizes: Sizes::new(),
            nodes: if wish == Wish::Any {
                MOST_NODES_OF_ANY
            } else {
                MOST_NODES
            },
            most: match wish {
                Wish::Huge => 0,
                Wish::Edge | Wish::Mentioned | Wish::Any => self.most_elements,
                _ => (self.most_elements / 16).max(1),
            },
        };
        let found = search.assign(&order);
        debug_assert!(!found || self.holds(&search.sizes), "{chosen:?}");
        found.then_some(search.sizes)
    }

    fn candidates(&self, random: &mut Random, wish: Wish, place: usize) -> Vec<i64> {
        let mut values: Vec<i64> = match (wish, place) {
            (Wish::Small, _) => vec![1, 2, 3, 4],
            (Wish::Empty, 0) | (Wish::Huge, 1) => vec![0],
            (Wish::Single, 0) => vec![1],
            (Wish::Distinct, _) => vec![2, 3, 4, 5, 7],
            (Wish::Edge, 0) if self.bytes && random.one_in(2) => WRAPS.to_vec(),
            (Wish::Medium, 0) if self.bytes && random.one_in(3) => vec![128, 256],
            (Wish::Edge, 0) => EDGES.to_vec(),
            (Wish::Mentioned, 0) if !self.mentioned.is_empty() => self.mentioned.clone(),
            (Wish::Huge, 0) => huge(random),
            (Wish::Medium, _) => (0..10).collect(),
            (Wish::Any, _) => {
                let mut all: Vec<i64> = (0..20).chain(EDGES).collect();
                all.extend(&self.mentioned);
                all
            }
            (Wish::Empty | Wish::Edge | Wish::Mentioned | Wish::Huge, _) => vec![1, 2, 3],
            (Wish::Single, _) => vec![2, 3, 4, 5],
        };
        if wish == Wish::Distinct {
            random.shuffle(&mut values);
            values.rotate_left(place % 5);
            // What is not free to choose may need others.
            values.extend([1, 6, 8, 0]);
            return values;
        }
        random.shuffle(&mut values);
        let mut rest: Vec<i64> = match wish {
            Wish::Any => Vec::new(),
            _ if place == 0 => Vec::new(),
            _ => vec![4, 0, 5, 6, 8],
        };
        random.shuffle(&mut rest);
        values.extend(rest);
        values
    }

    /// Whether all conditions hold.
    pub fn holds(&self, sizes: &Sizes) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(sizes))
    }

    /// Elements of the largest tensor of either side; `None` where they cannot be counted.
    pub fn largest(&self, sizes: &Sizes) -> Option<i64> {
        let count = |shape: &Vec<Dim>| {
            let dims: Option<Vec<i64>> = shape
                .iter()
                .map(|dim| dim.eval(&|sym| sizes.get(&sym).copied()))
                .collect();
            let dims = dims?;
            if dims.contains(&0) {
                return Some(0);
            }
            dims.into_iter().try_fold(1i64, i64::checked_mul)
        };
        self.shapes
            .iter()
            .map(count)
            .try_fold(0, |most, count| Some(most.max(count?)))
    }
}

fn huge(random: &mut Random) -> Vec<i64> {
    let power = random.choose([16, 24, 31, 31, 32, 32, 33, 53]);
    let near = random.between(-1, 2);
    vec![(1i64 << power) + near]
}

impl Condition {
    fn holds(&self, sizes: &Sizes) -> bool {
        let value = self.dim.eval(&|sym| sizes.get(&sym).copied());
        value.is_some_and(|value| self.relation.holds(value))
    }
}

struct Search<'a> {
    source: &'a SizeSource,
    candidates: HashMap<Sym, Vec<i64>>,
    sizes: Sizes,
    nodes: usize,
    /// Elements of a tensor, at most.
    most: i64,
}

impl Search<'_> {
    fn assign(&mut self, order: &[Sym]) -> bool {
        let solved = self.solvable();
        let next = solved.as_ref().map(|found| found.0).or_else(|| {
            order
                .iter()
                .copied()
                .find(|sym| !self.sizes.contains_key(sym))
        });
        let Some(sym) = next else {
            let largest = self.source.largest(&self.sizes);
            return largest.is_some_and(|largest| largest <= self.most);
        };
        let candidates = match solved {
            Some((_, values)) => values,
            None => self.candidates[&sym].clone(),
        };
        for value in candidates {
            if self.nodes == 0 {
                return false;
            }
            self.nodes -= 1;
            self.sizes.insert(sym, value);
            if self.consistent(sym) && self.assign(order) {
                return true;
            }
        }
        self.sizes.remove(&sym);
        false
    }

    /// Whether the conditions that now have all their symbols hold.
    fn consistent(&self, sym: Sym) -> bool {
        self.source.conditions.iter().all(|condition| {
            let ready = condition.syms.iter().all(|s| self.sizes.contains_key(s));
            !condition.syms.contains(&sym) || !ready || condition.holds(&self.sizes)
        })
    }

    /// A symbol that an equality decides, with its values; at most one where the equality is linear in it.
    fn solvable(&self) -> Option<(Sym, Vec<i64>)> {
        for condition in &self.source.conditions {
            if condition.relation != Relation::Zero {
                continue;
            }
            let mut open = condition
                .syms
                .iter()
                .filter(|s| !self.sizes.contains_key(s));
            let (Some(&sym), None) = (open.next(), open.next()) else {
                continue;
            };
            if divides(condition.dim, sym) {
                continue;
            }
            let at = |value: i64| {
                let known = |s: Sym| {
                    if s == sym {
                        Some(value)
                    } else {
                        self.sizes.get(&s).copied()
                    }
                };
                condition.dim.eval(&known)
            };
            let (Some(zero), Some(one), Some(two)) = (at(0), at(1), at(2)) else {
                continue;
            };
            let slope = one - zero;
            if two - one != slope || slope == 0 {
                continue;
            }
            let value = -zero / slope;
            if value >= 0 && at(value) == Some(0) {
                return Some((sym, vec![value]));
            }
            if zero % slope != 0 || value < 0 {
                return Some((sym, Vec::new()));
            }
        }
        None
    }
}

/// Whether the symbol stands within a division.
fn divides(dim: Dim, sym: Sym) -> bool {
    let mut atoms = dim.terms().iter().flat_map(|(monomial, _)| monomial);
    atoms.any(|(atom, _)| match atom {
        Atom::Div(a, b) => a.mentions(sym) || b.mentions(sym),
        Atom::Sym(_) => false,
    })
}

fn values_of(function: &Function) -> impl Iterator<Item = Value> {
    (0..function.value_count() as u32).map(Value)
}

/// The shapes of values, and the index spaces of contractions.
fn shapes_of(function: &Function) -> Vec<Vec<Dim>> {
    let mut shapes: Vec<Vec<Dim>> = values_of(function)
        .map(|value| function.ty(value).shape().to_vec())
        .collect();
    function.body.walk(&mut |node| {
        if let Op::Contract { space, .. } = &node.op {
            shapes.push(space.clone());
        }
    });
    shapes
}

fn dims_of_types(function: &Function) -> BTreeSet<Dim> {
    values_of(function)
        .flat_map(|value| function.ty(value).shape().to_vec())
        .collect()
}

fn dims_of_ops(function: &Function) -> BTreeSet<Dim> {
    let mut dims = BTreeSet::new();
    function.body.walk(&mut |node| {
        node.op.clone().map_dims(&mut |dim| {
            dims.insert(dim);
            dim
        });
    });
    dims
}

/// Coefficients and offsets of a dimension.
fn numbers_of(dim: Dim, into: &mut BTreeSet<i64>) {
    for (monomial, coefficient) in dim.terms() {
        into.insert(coefficient.saturating_abs());
        for (atom, _) in monomial {
            if let Atom::Div(a, b) = atom {
                numbers_of(*a, into);
                numbers_of(*b, into);
            }
        }
    }
}

/// Whole numbers among the constants: sizes may be compared with them.
fn constants_of(function: &Function, into: &mut BTreeSet<i64>) {
    function.body.walk(&mut |node| {
        if let Op::Constant { value } = &node.op {
            for at in 0..value.len().min(16) {
                let number = value.element(at).as_f64();
                if number.fract() == 0.0 && number.abs() < 1e6 {
                    into.insert(number.abs() as i64);
                }
            }
        }
    });
}
