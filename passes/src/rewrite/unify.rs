//! Unification: from values at the places of a pattern to what its names stand for.
//!
//! Bare names of dimensions are bound where they first stand; compound expressions are compared when all names
//! are bound, under what the function requires. A name that stands in compound expressions only is solved for
//! where it occurs once and bare. What is not known to hold does not match.

use std::cell::RefCell;
use std::collections::BTreeMap;

use aiai_ir::{DType, Dim, Facts, Literal, Relation, Rule, Scalar, Sym, Truth, Type};

use rustc_hash::FxHashMap;

use super::keys::dims_of;
use super::pattern::{Kind, Pattern, Test, bits};
use super::tree::Graph;

/// What is known of the dimensions of a program. Answers are kept: some take long, and are asked for often.
#[derive(Clone, Debug, Default)]
pub struct Known {
    facts: Facts,
    /// Without requirements only what is written alike is equal.
    any: bool,
    equal: RefCell<FxHashMap<(Dim, Dim), bool>>,
}

impl Known {
    pub fn new(requires: impl Iterator<Item = (Dim, Relation)>) -> Known {
        let mut known = Known::default();
        for (dim, relation) in requires {
            known.facts.assume(relation, dim);
            known.any = true;
        }
        known
    }

    pub fn check(&self, relation: Relation, dim: Dim) -> Truth {
        self.facts.check(relation, dim)
    }

    /// Whether the two are known to be equal.
    fn equal(&self, a: Dim, b: Dim) -> bool {
        if a == b || !self.any || (a.as_const().is_some() && b.as_const().is_some()) {
            return a == b;
        }
        let mut known = self.equal.borrow_mut();
        let answer = known.entry((a, b));
        *answer.or_insert_with(|| self.facts.equal(a, b) == Truth::True)
    }
}

/// What a parameter of a rule stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound<Id> {
    Value(Id),
    Constant(Scalar),
}

/// A match, ready for its right side to be built.
#[derive(Clone, Debug)]
pub struct Match<Id> {
    /// The number of the pattern.
    pub pattern: usize,
    pub dims: BTreeMap<Sym, Dim>,
    /// Per parameter of the rule; `None` where it does not stand on the left side.
    pub params: Vec<Option<Bound<Id>>>,
}

/// Why values at all places of a pattern are no match.
#[derive(Clone, Debug, PartialEq)]
pub enum Miss {
    /// Two dimensions that are not known to be equal: the pattern's, what it stands for, the program's.
    Dim {
        pattern: Dim,
        bound: Dim,
        found: Dim,
    },
    /// A name that nothing binds.
    Unbound(Sym),
    /// A name of a dimension would stand for what may be negative.
    Negative { name: Sym, found: Dim },
    /// A condition on dimensions, with what it is here.
    Guard {
        dim: Dim,
        here: Dim,
        relation: Relation,
        truth: Truth,
    },
    /// A constant outside its domain.
    Domain { param: Sym, value: f64 },
    /// One constant parameter would be two numbers.
    Constants { param: Sym },
    /// A number that is not the size it stands for, which here is this.
    Size { dim: Dim, here: Dim, found: Scalar },
}

/// Bindings in the making.
#[derive(Clone, Debug)]
pub struct Bindings<Id> {
    pub params: Vec<Option<Bound<Id>>>,
    dims: BTreeMap<Sym, Dim>,
    /// Names that were bound by attributes, not by extents of tensors, which are never negative.
    suspect: Vec<Sym>,
    /// Compound expressions and what they must equal.
    compound: Vec<(Dim, Dim)>,
    /// Numbers that must be sizes.
    sizes: Vec<(Dim, DType, Scalar)>,
}

impl<Id: Copy + Eq + std::fmt::Debug> Bindings<Id> {
    /// The match that values at the places of a pattern without regions make, or why they make none.
    pub fn of_spine<G: Graph<Id = Id>>(
        graph: &G,
        facts: &Known,
        (rule, pattern, number): (&Rule, &Pattern, usize),
        assigned: &[(Id, usize)],
    ) -> Result<Match<Id>, Miss> {
        let mut bindings = Bindings::new(rule.params.len());
        for (&(test, id), &(value, maker)) in pattern.preorder.iter().zip(assigned) {
            if let Test::Same(_) = test {
                continue;
            }
            let node = &pattern.nodes[id];
            bindings.ty(facts, &node.ty, graph.ty(value))?;
            if let Kind::Op(op) = &node.kind {
                if !op.dims.is_empty() {
                    let found = dims_of(graph.maker(value, maker).op);
                    bindings.dims(facts, &op.dims, &found)?;
                }
            } else {
                let found = (graph.ty(value).dtype(), graph.splat(value));
                bindings.leaf(rule, &node.kind, value, found)?;
            }
        }
        bindings.finish(facts, number, rule)
    }

    pub fn new(params: usize) -> Bindings<Id> {
        Bindings {
            params: vec![None; params],
            dims: BTreeMap::new(),
            suspect: Vec::new(),
            compound: Vec::new(),
            sizes: Vec::new(),
        }
    }

    pub fn dim(
        &mut self,
        facts: &Known,
        pattern: Dim,
        found: Dim,
        extent: bool,
    ) -> Result<(), Miss> {
        if let Some(sym) = pattern.as_sym() {
            let Some(&bound) = self.dims.get(&sym) else {
                self.dims.insert(sym, found);
                if !extent {
                    self.suspect.push(sym);
                }
                return Ok(());
            };
            return equal(facts, pattern, bound, found);
        }
        if pattern.as_const().is_some() {
            return equal(facts, pattern, pattern, found);
        }
        self.compound.push((pattern, found));
        Ok(())
    }

    pub fn ty(&mut self, facts: &Known, pattern: &Type, found: &Type) -> Result<(), Miss> {
        let pairs = pattern.shape().iter().zip(found.shape());
        for (&pattern, &found) in pairs {
            self.dim(facts, pattern, found, true)?;
        }
        Ok(())
    }

    pub fn dims(&mut self, facts: &Known, pattern: &[Dim], found: &[Dim]) -> Result<(), Miss> {
        let mut pairs = pattern.iter().zip(found);
        pairs.try_for_each(|(&pattern, &found)| self.dim(facts, pattern, found, false))
    }

    /// Binds what a value that is no op stands for.
    pub fn leaf(
        &mut self,
        rule: &Rule,
        kind: &Kind,
        id: Id,
        (dtype, splat): (DType, Option<Scalar>),
    ) -> Result<(), Miss> {
        match (kind, splat) {
            (Kind::Size(dim), Some(value)) => self.sizes.push((*dim, dtype, value)),
            (Kind::Param(number), _) => self.params[*number] = Some(Bound::Value(id)),
            (Kind::Splat(number), Some(value)) => {
                let param = &rule.params[*number];
                if let Some((low, high)) = param.domain {
                    let number = value.as_f64();
                    if !(low..=high).contains(&number) {
                        return Err(Miss::Domain {
                            param: param.name,
                            value: number,
                        });
                    }
                }
                let earlier = self.params[*number].replace(Bound::Constant(value));
                if let Some(Bound::Constant(earlier)) = earlier
                    && bits(earlier) != bits(value)
                {
                    return Err(Miss::Constants { param: param.name });
                }
            }
            (
                Kind::Splat(_) | Kind::Literal(_) | Kind::Size(_) | Kind::Op(_) | Kind::Argument,
                _,
            ) => {}
        }
        Ok(())
    }

    /// Compares what was put off, and asks the guards.
    pub fn finish(mut self, facts: &Known, number: usize, rule: &Rule) -> Result<Match<Id>, Miss> {
        self.solve()?;
        for &(pattern, found) in &self.compound {
            equal(facts, pattern, self.bound(pattern)?, found)?;
        }
        for &(dim, dtype, found) in &self.sizes {
            let here = self.bound(dim)?;
            let size = here.as_const();
            let wanted = size.and_then(|n| Literal::i64(dtype, n).splat());
            if wanted.map(bits) != Some(bits(found)) {
                return Err(Miss::Size { dim, here, found });
            }
        }
        for &name in &self.suspect {
            let found = self.dims[&name];
            if facts.check(Relation::NonNegative, found) != Truth::True {
                return Err(Miss::Negative { name, found });
            }
        }
        let required = rule.lhs.requires.iter().map(|r| (r.dim, r.relation));
        for (dim, relation) in rule.guard.iter().copied().chain(required) {
            let here = self.bound(dim)?;
            let truth = facts.check(relation, here);
            if truth != Truth::True {
                return Err(Miss::Guard {
                    dim,
                    here,
                    relation,
                    truth,
                });
            }
        }
        Ok(Match {
            pattern: number,
            dims: self.dims,
            params: self.params,
        })
    }

    /// Binds names that stand in compound expressions only.
    fn solve(&mut self) -> Result<(), Miss> {
        let mut left = self.compound.len();
        while left > 0 {
            let mut solved = None;
            for &(pattern, found) in &self.compound {
                let mut unbound = Vec::new();
                pattern.for_each_sym(&mut |sym| {
                    if !self.dims.contains_key(&sym) && !unbound.contains(&sym) {
                        unbound.push(sym);
                    }
                });
                if let [sym] = unbound[..] {
                    // pattern = rest + k * sym with k = 1 or -1
                    let with = |value: i64| {
                        pattern.substitute(&|s| match s == sym {
                            true => Some(Dim::from(value)),
                            false => self.dims.get(&s).copied(),
                        })
                    };
                    let (rest, step) = (with(0), with(1) - with(0));
                    let straight = with(2) - with(1) == step;
                    match step.as_const() {
                        Some(1) if straight => solved = Some((sym, found - rest)),
                        Some(-1) if straight => solved = Some((sym, rest - found)),
                        _ => {}
                    }
                }
                if solved.is_some() {
                    break;
                }
            }
            let Some((sym, value)) = solved else {
                return Ok(());
            };
            self.dims.insert(sym, value);
            self.suspect.push(sym);
            left -= 1;
        }
        Ok(())
    }

    /// A dimension of the pattern as one of the program.
    fn bound(&self, dim: Dim) -> Result<Dim, Miss> {
        let mut missing = None;
        dim.for_each_sym(&mut |sym| {
            if !self.dims.contains_key(&sym) {
                missing = Some(sym);
            }
        });
        match missing {
            Some(sym) => Err(Miss::Unbound(sym)),
            None => Ok(dim.substitute(&|sym| self.dims.get(&sym).copied())),
        }
    }
}

fn equal(facts: &Known, pattern: Dim, bound: Dim, found: Dim) -> Result<(), Miss> {
    if facts.equal(bound, found) {
        return Ok(());
    }
    Err(Miss::Dim {
        pattern,
        bound,
        found,
    })
}
