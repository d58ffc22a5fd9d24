//! Programs around the sides of a rule: constants filled in, sizes known, operands shared, moved, used twice.
//!
//! The same surroundings of the left and of the right side are a program before and after one firing.

use std::collections::BTreeMap;

use aiai_ir::{Builder, Dim, Function, Literal, Op, Rule, RuleParam, Scalar, Sym, Value};
use aiai_passes::clone::Renaming;

use crate::witness;
use aiai_ir::random::Random;

/// What stands around a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// Parameters of one type are one value.
    Aliased,
    /// Every operand is reversed along every axis: it is read backwards.
    Reversed,
    /// The result is used twice, and so is every operand.
    Shared,
}

pub const KINDS: [Kind; 4] = [Kind::Plain, Kind::Aliased, Kind::Reversed, Kind::Shared];

/// Surroundings with all that they leave open filled in.
#[derive(Clone, Debug)]
pub struct Context {
    pub kind: Kind,
    pub sizes: BTreeMap<Sym, i64>,
    /// Per parameter, the number that a constant one is.
    constants: Vec<Option<f64>>,
}

impl Context {
    /// Draws sizes that the guard allows, and constants; `None` where no sizes do.
    pub fn draw(rule: &Rule, kind: Kind, random: &mut Random, at: usize) -> Option<Context> {
        let sizes = witness::sizes(rule, random, at)?;
        let constants = rule.params.iter().map(|p| constant(p, random)).collect();
        Some(Context {
            kind,
            sizes,
            constants,
        })
    }

    /// A side within the surroundings. Both sides get the same parameters.
    pub fn around(&self, rule: &Rule, side: &Function) -> Function {
        let mut function = Function::new("program");
        let mut copy = Renaming {
            dims: self
                .sizes
                .iter()
                .map(|(sym, size)| (*sym, Dim::from(*size)))
                .collect(),
            ..Renaming::default()
        };
        let mut b = Builder::new(&mut function);
        let mut results: Vec<Value> = Vec::new();
        let mut given: Vec<(aiai_ir::Type, Value)> = Vec::new();
        for (at, &param) in side.params().iter().enumerate() {
            let ty = side.ty(param).map_dims(|d| copy.dim(d));
            if let Some(value) = self.constants.get(at).copied().flatten() {
                let scalar = b.literal(Literal::scalar(ty.dtype(), scalar_of(ty.dtype(), value)));
                copy.values.insert(param, scalar);
                continue;
            }
            let twin = given
                .iter()
                .find(|(known, _)| *known == ty)
                .map(|(_, value)| *value);
            if let (Kind::Aliased, Some(twin)) = (self.kind, twin) {
                copy.values.insert(param, twin);
                continue;
            }
            let name = rule.lhs.param_names.get(at).map_or("x", |n| n.as_str());
            let value = b.add_param(name, ty.clone(), false);
            let axes: Vec<usize> = (0..ty.rank()).collect();
            let moved = match self.kind {
                Kind::Reversed if !axes.is_empty() => b.value(Op::Reverse { axes }, &[value]),
                Kind::Shared if !axes.is_empty() => {
                    results.push(b.value(Op::Reverse { axes }, &[value]));
                    value
                }
                _ => value,
            };
            given.push((ty, moved));
            copy.values.insert(param, moved);
        }
        for node in &side.body.ops {
            let node = copy.node(side, b.function, node);
            b.push_node(node);
        }
        let own: Vec<Value> = side.body.yields.iter().map(|v| copy.value(*v)).collect();
        if self.kind == Kind::Shared {
            for &value in &own {
                let axes: Vec<usize> = (0..b.ty(value).rank()).collect();
                if !axes.is_empty() {
                    results.push(b.value(Op::Reverse { axes }, &[value]));
                }
            }
        }
        results.splice(0..0, own);
        let names: Vec<String> = (0..results.len()).map(|k| format!("r{k}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        b.finish(&results, &names);
        function
    }
}

/// A number that a constant parameter may be.
fn constant(param: &RuleParam, random: &mut Random) -> Option<f64> {
    if !param.constant {
        return None;
    }
    let (low, high) = param.domain.unwrap_or((-8.0, 8.0));
    let fits = |x: &f64| *x >= low && *x <= high;
    let mut choices: Vec<f64> = [2.0, 0.5, 3.0, 1.0, -1.0, -2.5, 0.0, 7.0]
        .into_iter()
        .filter(fits)
        .collect();
    for end in [low, high] {
        if end.is_finite() {
            choices.push(end);
        }
    }
    if choices.is_empty() {
        choices.push((low.max(-1e6) + high.min(1e6)) / 2.0);
    }
    Some(choices[random.below(choices.len())])
}

fn scalar_of(dtype: aiai_ir::DType, value: f64) -> Scalar {
    if dtype.is_float() {
        Scalar::Float(value)
    } else {
        Scalar::Int(value as i64)
    }
}

/// Inputs for a program of known sizes.
pub fn arguments(
    function: &Function,
    random: &mut Random,
    kind: usize,
) -> Option<Vec<aiai_ir::eval::Array>> {
    witness::draw_all(function, &BTreeMap::new(), &[], random, kind)
}
