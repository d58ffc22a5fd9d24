//! Where a program looks like the sketch of a rule: instances of rules are made for such places alone.
//!
//! Ranks and dtypes change which operands are broadcast, converted or moved, so those ops are looked through: an operand
//! may be any of the values along the way. What the sketch does not say, anything may be.

use std::collections::{BTreeMap, BTreeSet};

use aiai_ir::{DType, Function, Op, OpName, OpNode, Region, Scalar, Sketch, Value};

use super::pattern::bits;

/// Dtype and rank.
pub type Kind = (DType, usize);

/// What a parameter may stand for at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    param: usize,
    kinds: Vec<Kind>,
    /// The value behind all that is looked through.
    source: Value,
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

/// Steps to find how a sketch fits one value, at most.
const MOST_STEPS: usize = 4000;

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
    kind: Kind,
    /// What makes the value, and of what.
    made: Option<(OpName, Vec<Value>)>,
    /// Whether that only moves, repeats or converts elements.
    looked_through: bool,
    /// The number that all elements are, given by the bits of an `f64`.
    splat: Option<u64>,
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
        let splat = match node.map(|node| &node.op) {
            Some(Op::Constant { value }) => value.splat(),
            _ => None,
        };
        self.values[value.0 as usize] = Some(Seen {
            kind: (ty.dtype(), ty.rank()),
            made: node.map(|node| (OpName::of(&node.op), node.operands.clone())),
            looked_through: node.is_some_and(|node| is_looked_through(&node.op)),
            splat: splat.map(|splat| bits(Scalar::Float(splat.as_f64()))),
        });
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
        let mut places = BTreeSet::new();
        for &root in self.ops.get(name).into_iter().flatten() {
            let mut steps = MOST_STEPS;
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

    /// The values that an operand may be: itself, and what stands behind what is looked through.
    fn along(&self, value: Value) -> impl Iterator<Item = (Value, &Seen)> {
        let seen = |value: Value| Some((value, self.values.get(value.0 as usize)?.as_ref()?));
        std::iter::successors(seen(value), move |(_, at)| {
            let (_, operands) = at.made.as_ref().filter(|_| at.looked_through)?;
            seen(*operands.first()?)
        })
    }

    /// How a sketch fits a value; `None` where the steps do not suffice.
    fn fit(&self, sketch: &Sketch, value: Value, steps: &mut usize) -> Option<Vec<Fit>> {
        *steps = steps.checked_sub(1)?;
        let anything = || vec![Fit::default()];
        match sketch {
            Sketch::Other(_) => Some(anything()),
            Sketch::Param(param) => {
                let mut kinds: Vec<Kind> = self.along(value).map(|at| at.1.kind).collect();
                kinds.sort_unstable();
                kinds.dedup();
                let source = self.along(value).last().map_or(value, |at| at.0);
                let bounds = vec![Bound {
                    param: *param,
                    kinds,
                    source,
                }];
                Some(vec![Fit { bounds }])
            }
            Sketch::Splat(number) => {
                let number = number.map(|number| bits(Scalar::Float(number)));
                let is = |splat: u64| number.is_none_or(|number| number == splat);
                let fits = self.along(value).any(|at| at.1.splat.is_some_and(is));
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
        for (_, at) in self.along(value) {
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
