//! Where a program looks like the sketch of a rule: instances of rules are made for such places alone.
//!
//! Ranks and dtypes change which operands are broadcast, converted or moved, so those ops are looked through: an operand
//! may be any of the values along the way. What the sketch does not say, anything may be.

use std::collections::{BTreeMap, BTreeSet};

use aiai_ir::ops::Effect;
use aiai_ir::{DType, Function, Op, OpName, OpNode, Region, Scalar, Sketch, Value};

use super::pattern::bits;

/// Dtype and rank.
pub type Kind = (DType, usize);

/// What a parameter may stand for at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    param: usize,
    kinds: Vec<Kind>,
    /// The value behind all that is looked through; of constants nothing: equal ones are one to a rule.
    source: Option<Value>,
}

/// One way in which a sketch fits a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// By the numbers of the parameters.
    bounds: Vec<Bound>,
}

impl Fit {
    /// Both at once; nothing where a parameter would stand for two values.
    fn and(&self, other: &Fit) -> Option<Fit> {
        let mut both = self.clone();
        for bound in &other.bounds {
            match both.bounds.iter_mut().find(|b| b.param == bound.param) {
                Some(known) if known.source != bound.source => return None,
                Some(known) => known.kinds.retain(|kind| bound.kinds.contains(kind)),
                None => both.bounds.push(bound.clone()),
            }
        }
        both.bounds.sort_unstable();
        Some(both)
    }
}

/// The types that parameters of a rule, by their numbers, may have at some places of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    kinds: Vec<(usize, Vec<Kind>)>,
}

impl Place {
    fn of(fit: Fit) -> Place {
        let bounds = fit.bounds.into_iter();
        Place {
            kinds: bounds.map(|bound| (bound.param, bound.kinds)).collect(),
        }
    }

    /// Whether a parameter of this type may stand here.
    pub fn admits(&self, param: usize, kind: Kind) -> bool {
        let mut kinds = self.kinds.iter().filter(|known| known.0 == param);
        kinds.all(|known| known.1.contains(&kind))
    }
}

/// The places where a sketch fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// Too many to list, or nothing is known of them.
    Any,
    Listed(BTreeSet<Place>),
}

/// Places of one sketch that are listed, at most.
const MOST_PLACES: usize = 256;

/// Steps to find where a sketch fits, at most: of the whole search, and more for each op that may be its root.
const MOST_STEPS: usize = 10_000;
const MOST_STEPS_OF_ROOT: usize = 64;

/// A program as sketches see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// By the numbers of the values.
    values: Vec<Option<Seen>>,
    /// By name, the first result of each op.
    ops: BTreeMap<OpName, Vec<Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// What makes the value, and of what.
    made: Option<(OpName, Vec<Value>)>,
    /// Whether that only moves, repeats or converts elements.
    looked_through: bool,
    constant: Constant,
    /// The value behind all that is looked through, and the kinds on the way to it.
    source: Value,
    kinds: Vec<Kind>,
}

/// What is known of a value before the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Constant {
    No,
    /// Rewriting makes a constant of it, or it is one: any number.
    Some,
    /// All elements are this number, given by the bits of an `f64`.
    Splat(u64),
}

impl Outline {
    pub fn of(function: &Function) -> Outline {
        let mut outline = Outline {
            values: vec![None; function.value_count()],
            ops: BTreeMap::new(),
        };
        for &param in function.params() {
            outline.see(function, param, None);
        }
        outline.region(function, &function.body);
        outline
    }

    fn region(&mut self, function: &Function, region: &Region) {
        for &arg in &region.args {
            self.see(function, arg, None);
        }
        for node in &region.ops {
            for inner in &node.regions {
                self.region(function, inner);
            }
            for &result in &node.results {
                self.see(function, result, Some(node));
            }
            if let Some(&result) = node.results.first() {
                self.ops
                    .entry(OpName::of(&node.op))
                    .or_default()
                    .push(result);
            }
        }
    }

    fn see(&mut self, function: &Function, value: Value, node: Option<&OpNode>) {
        let ty = function.ty(value);
        let kind = (ty.dtype(), ty.rank());
        let looked_through = node.is_some_and(|node| is_looked_through(&node.op));
        let behind = node.filter(|_| looked_through);
        let behind = behind.and_then(|node| self.seen(*node.operands.first()?));
        let (source, mut kinds) = match behind {
            Some(behind) => (behind.source, behind.kinds.clone()),
            None => (value, Vec::new()),
        };
        if let Err(at) = kinds.binary_search(&kind) {
            kinds.insert(at, kind);
        }
        let seen = Seen {
            made: node.map(|node| (OpName::of(&node.op), node.operands.clone())),
            looked_through,
            constant: node.map_or(Constant::No, |node| self.constant(node)),
            source,
            kinds,
        };
        self.values[value.0 as usize] = Some(seen);
    }

    fn seen(&self, value: Value) -> Option<&Seen> {
        self.values.get(value.0 as usize)?.as_ref()
    }

    /// What an op gives that is computed before the program runs.
    fn constant(&self, node: &OpNode) -> Constant {
        match &node.op {
            Op::Constant { value } => value.splat().map_or(Constant::Some, |splat| {
                Constant::Splat(bits(Scalar::Float(splat.as_f64())))
            }),
            Op::DimValue { dim } if dim.as_const().is_some() => Constant::Some,
            op => {
                let of = |&operand: &Value| self.seen(operand).map(|seen| seen.constant);
                let mut operands = node.operands.iter().map(of);
                let pure = op.info().effect == Effect::Pure && !node.operands.is_empty();
                if !pure || !operands.all(|of| of.is_some_and(|of| of != Constant::No)) {
                    return Constant::No;
                }
                let moves = is_looked_through(op) && !matches!(op, Op::Cast { .. });
                let first = node.operands.first().and_then(of).filter(|_| moves);
                first.unwrap_or(Constant::Some)
            }
        }
    }

    /// Takes in the ops of another program, for [`Outline::has_ops_of`].
    pub fn add_ops(&mut self, other: &Outline) {
        for name in other.ops.keys() {
            self.ops.entry(*name).or_default();
        }
    }

    /// Whether every op of the sketch occurs, wherever.
    pub fn has_ops_of(&self, sketch: &Sketch) -> bool {
        match sketch {
            Sketch::Param(_) | Sketch::Splat(_) => true,
            Sketch::Op(name, parts) => {
                self.ops.contains_key(name) && parts.iter().all(|part| self.has_ops_of(part))
            }
            Sketch::Moved(name, of) => self.ops.contains_key(name) && self.has_ops_of(of),
            Sketch::Other(parts) => parts.iter().all(|part| self.has_ops_of(part)),
        }
    }

    /// Where a sketch fits. It is that of a whole left side.
    pub fn places(&self, sketch: &Sketch) -> Places {
        if !self.has_ops_of(sketch) {
            return Places::Listed(BTreeSet::new());
        }
        let (Sketch::Op(name, _) | Sketch::Moved(name, _)) = sketch else {
            return Places::Any;
        };
        let roots = self.ops.get(name).map_or(&[][..], Vec::as_slice);
        let mut steps = MOST_STEPS + roots.len().saturating_mul(MOST_STEPS_OF_ROOT);
        let mut places = BTreeSet::new();
        for &root in roots {
            match self.fit(sketch, root, &mut steps) {
                Some(found) => places.extend(found.into_iter().map(Place::of)),
                None => return Places::Any,
            }
            if places.len() > MOST_PLACES {
                return Places::Any;
            }
        }
        Places::Listed(places)
    }

    /// What an operand may be: itself, and what stands behind what is looked through.
    fn along(&self, value: Value) -> impl Iterator<Item = &Seen> {
        std::iter::successors(self.seen(value), |at| {
            let (_, operands) = at.made.as_ref().filter(|_| at.looked_through)?;
            self.seen(*operands.first()?)
        })
    }

    /// How a sketch fits a value; `None` where the steps do not suffice.
    fn fit(&self, sketch: &Sketch, value: Value, steps: &mut usize) -> Option<Vec<Fit>> {
        *steps = steps.checked_sub(1)?;
        let anything = || vec![Fit::default()];
        match sketch {
            Sketch::Other(_) => Some(anything()),
            Sketch::Param(param) => {
                let Some(seen) = self.seen(value) else {
                    return Some(anything());
                };
                let constant = seen.constant != Constant::No;
                let bounds = vec![Bound {
                    param: *param,
                    kinds: seen.kinds.clone(),
                    source: (!constant).then_some(seen.source),
                }];
                Some(vec![Fit { bounds }])
            }
            Sketch::Splat(number) => {
                let number = number.map(|number| bits(Scalar::Float(number)));
                let seen = self.seen(value);
                let fits = match seen.map_or(Constant::Some, |seen| seen.constant) {
                    Constant::No => false,
                    Constant::Some => true,
                    Constant::Splat(splat) => number.is_none_or(|number| number == splat),
                };
                Some(if fits { anything() } else { Vec::new() })
            }
            Sketch::Op(name, parts) => self.fit_op(*name, parts, value, steps),
            Sketch::Moved(name, of) => {
                self.fit_op(*name, std::slice::from_ref(of.as_ref()), value, steps)
            }
        }
    }

    /// How an op of this name, with these operands first, fits a value.
    fn fit_op(
        &self,
        name: OpName,
        parts: &[Sketch],
        value: Value,
        steps: &mut usize,
    ) -> Option<Vec<Fit>> {
        let mut found = Vec::new();
        for at in self.along(value) {
            *steps = steps.checked_sub(1)?;
            let Some((made, operands)) = at.made.as_ref().filter(|made| made.0 == name) else {
                continue;
            };
            if operands.len() < parts.len() {
                continue;
            }
            found.extend(self.fit_operands(parts, operands, steps)?);
            if made.is_commutative() && parts.len() == 2 {
                let turned = [operands[1], operands[0]];
                found.extend(self.fit_operands(parts, &turned, steps)?);
            }
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    fn fit_operands(
        &self,
        parts: &[Sketch],
        operands: &[Value],
        steps: &mut usize,
    ) -> Option<Vec<Fit>> {
        let mut found = vec![Fit::default()];
        for (part, &operand) in parts.iter().zip(operands) {
            if found.is_empty() {
                break;
            }
            let here = self.fit(part, operand, steps)?;
            *steps = steps.checked_sub(found.len() * here.len())?;
            let pairs = found
                .iter()
                .flat_map(|a| here.iter().map(move |b| a.and(b)));
            found = pairs.flatten().collect();
        }
        Some(found)
    }
}

fn is_looked_through(op: &Op) -> bool {
    matches!(
        op,
        Op::Broadcast { .. }
            | Op::Cast { .. }
            | Op::StopGradient
            | Op::Reshape { .. }
            | Op::Permute { .. }
            | Op::Slice { .. }
    )
}
