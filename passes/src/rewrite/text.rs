//! Short text of the sides of a firing, for people who ask what happened.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};

use aiai_ir::text::Attribute;
use aiai_ir::{Dim, Function, Literal, Op, Rule, Scalar, Sym, Value};

use super::unify::{Bound, Match};

/// Characters of a side, at most; the rest is `...`.
const MOST: usize = 400;

/// Both sides with the names of the rule's parameters, the sizes and constants those of the match.
pub fn sides<Id>(rule: &Rule, found: &Match<Id>) -> (String, String) {
    let mut constants = BTreeMap::new();
    for (number, bound) in found.params.iter().enumerate() {
        if let Some(Bound::Constant(scalar)) = bound {
            constants.insert(number, *scalar);
        }
    }
    (
        side(&rule.lhs, rule, &found.dims, &constants),
        side(&rule.rhs, rule, &found.dims, &constants),
    )
}

fn side(
    function: &Function,
    rule: &Rule,
    dims: &BTreeMap<Sym, Dim>,
    constants: &BTreeMap<usize, Scalar>,
) -> String {
    let mut terms: HashMap<Value, String> = HashMap::new();
    for (number, &value) in function.body.args.iter().enumerate() {
        let dtype = function.ty(value).dtype();
        let text = match (constants.get(&number), rule.params.get(number)) {
            (Some(scalar), _) => literal(&Literal::scalar(dtype, *scalar)),
            (None, Some(param)) => param.name.to_string(),
            (None, None) => "_".into(),
        };
        terms.insert(value, text);
    }
    for node in &function.body.ops {
        let operands = node.operands.iter().map(|v| terms[v].as_str());
        let operands = operands.collect::<Vec<_>>().join(", ");
        let head = head(&node.op, dims);
        let inside = if node.regions.is_empty() {
            ""
        } else {
            " {...}"
        };
        let text = match &node.op {
            Op::Constant { .. } => head,
            _ => format!("{head}({operands}){inside}"),
        };
        for (number, &result) in node.results.iter().enumerate() {
            let text = match node.results.len() {
                1 => text.clone(),
                _ => format!("{text}.{number}"),
            };
            terms.insert(result, cut(text));
        }
    }
    let yields = function.body.yields.iter();
    let yields = yields.map(|v| {
        format!(
            "{}: {}",
            terms[v],
            function.ty(*v).map_dims(|d| bound(d, dims))
        )
    });
    yields.collect::<Vec<_>>().join("; ")
}

/// An op with its attributes.
pub fn head(op: &Op, dims: &BTreeMap<Sym, Dim>) -> String {
    if let Op::Constant { value } = op {
        return literal(value);
    }
    let mut op = op.clone();
    op.map_dims(&mut |dim| bound(dim, dims));
    let mut attributes = Vec::new();
    op.for_each_attribute(|name, value| {
        if name != "kind" || op.name() == op.info().mnemonic {
            attributes.push(format!("{name} = {}", Shown(value)));
        }
    });
    match attributes.is_empty() {
        true => op.name().into(),
        false => format!("{}[{}]", op.name(), attributes.join(", ")),
    }
}

fn literal(value: &Literal) -> String {
    match value.splat() {
        Some(Scalar::Float(x)) => format!("{x:?}"),
        Some(Scalar::Int(i)) => i.to_string(),
        Some(Scalar::UInt(u)) => u.to_string(),
        Some(Scalar::Bool(b)) => b.to_string(),
        None => format!("constant of {}", value.ty()),
    }
}

fn bound(dim: Dim, dims: &BTreeMap<Sym, Dim>) -> Dim {
    dim.substitute(&|sym| dims.get(&sym).copied())
}

fn cut(text: String) -> String {
    if text.len() <= MOST {
        return text;
    }
    let end = (0..=MOST).rev().find(|&at| text.is_char_boundary(at));
    format!("{}...", &text[..end.unwrap_or(0)])
}

struct Shown<'a>(&'a dyn Attribute);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f)
    }
}
