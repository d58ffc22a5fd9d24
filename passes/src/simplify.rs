//! Simplification: identities that hold bit for bit, and constants.
//!
//! One walk in order of definition; each op is rewritten until no rule fits. Rules look at the makers of
//! operands, which are simple already. Signed zeros count: `x + 0` stays, since -0 + 0 is +0.

use std::collections::HashMap;

use aiai_ir::{Function, Op, OpNode, Region, Scalar, Value};

pub(crate) mod constants;
mod contractions;
mod elementwise;
mod movement;

/// Rewrites of one op, at most; rules shrink, so this is never reached by a chain of them.
const LIMIT: usize = 16;

/// Simplifies every op of the function.
pub fn simplify(function: &mut Function) {
    contractions::drop_units(function);
    let mut body = std::mem::take(&mut function.body);
    let mut scope = Scope {
        function,
        makers: HashMap::new(),
        replaced: HashMap::new(),
    };
    scope.region(&mut body);
    function.body = body;
}

/// What becomes of an op.
enum Rewrite {
    /// Its result is another value.
    Value(Value),
    /// It is another op on other operands, with a result of the same type.
    Op(Op, Vec<Value>),
}

struct Scope<'f> {
    function: &'f mut Function,
    /// The ops of the values in sight.
    makers: HashMap<Value, OpNode>,
    replaced: HashMap<Value, Value>,
}

impl Scope<'_> {
    fn current(&self, value: Value) -> Value {
        self.replaced.get(&value).copied().unwrap_or(value)
    }

    fn region(&mut self, region: &mut Region) {
        let mut kept = Vec::with_capacity(region.ops.len());
        for mut node in std::mem::take(&mut region.ops) {
            for operand in &mut node.operands {
                *operand = self.current(*operand);
            }
            for inner in &mut node.regions {
                self.region(inner);
            }
            self.node(node, &mut kept);
        }
        region.ops = kept;
        for value in &mut region.yields {
            *value = self.current(*value);
        }
    }

    fn node(&mut self, mut node: OpNode, kept: &mut Vec<OpNode>) {
        if let Some(taken) = self.taken_branch(&node) {
            let branch = node.regions.swap_remove(taken);
            for (&result, value) in node.results.iter().zip(branch.yields) {
                self.replaced.insert(result, value);
            }
            kept.extend(branch.ops);
            return;
        }
        for _ in 0..LIMIT {
            match self.rewrite(&node) {
                None => break,
                Some(Rewrite::Value(value)) => {
                    self.replaced.insert(node.results[0], value);
                    return;
                }
                Some(Rewrite::Op(op, operands)) => {
                    node.op = op;
                    node.operands = operands;
                }
            }
        }
        if let [result] = node.results.as_slice()
            && node.regions.is_empty()
        {
            self.makers.insert(*result, node.clone());
        }
        kept.push(node);
    }

    fn rewrite(&self, node: &OpNode) -> Option<Rewrite> {
        if node.results.len() != 1 || !node.regions.is_empty() {
            return None;
        }
        elementwise::rewrite(self, node)
            .or_else(|| movement::rewrite(self, node))
            .or_else(|| constants::fold(self, node))
    }

    /// Which branch of an `if` on a constant is taken.
    fn taken_branch(&self, node: &OpNode) -> Option<usize> {
        if node.op != Op::If {
            return None;
        }
        let condition = self.splat(node.operands[0])?;
        Some(if condition.as_i64() != 0 { 0 } else { 1 })
    }

    // ---- questions that rules ask ----

    fn maker(&self, value: Value) -> Option<&OpNode> {
        self.makers.get(&value)
    }

    /// The one value of all elements, where it is known.
    fn splat(&self, value: Value) -> Option<Scalar> {
        let node = self.maker(value)?;
        match &node.op {
            Op::Constant { value } => value.splat(),
            Op::Broadcast { .. } => self.splat(node.operands[0]),
            _ => None,
        }
    }

    fn is_splat(&self, value: Value, wanted: f64) -> bool {
        let found = self.splat(value).map(Scalar::as_f64);
        found.is_some_and(|x| x == wanted && x.is_sign_negative() == wanted.is_sign_negative())
    }

    fn same_type(&self, a: Value, b: Value) -> bool {
        self.function.ty(a) == self.function.ty(b)
    }
}

#[cfg(test)]
mod tests;
