//! What a program must have for a rule to fire at all: ops, and ops next to ops.
//!
//! Read off one instance of a rule and taken to hold for all: ranks and dtypes change the movement in a pattern
//! (a broadcast of rank 0 is none), so movement that may be left out is looked through. A rule whose needs a
//! function does not meet is not made for it.

use std::collections::{BTreeSet, HashMap};

use aiai_ir::{Function, Op, OpNode, Region, Value};

use super::pattern::bits;

/// An op as far as all instances share it: its name, and the kind of reductions.
type Name = (&'static str, &'static str);

/// What an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Below {
    Op(Name),
    /// Elements that are all equal and known.
    Splat,
    /// All elements are this number, given by the bits of an `f64`.
    Number(u64),
}

/// Ops, and which of them have which operands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    ops: BTreeSet<Name>,
    edges: BTreeSet<(Name, Below)>,
}

impl Needs {
    /// All that a program has.
    pub fn of_program(function: &Function) -> Needs {
        let mut reader = Reader::default();
        reader.region(&function.body);
        reader.needs
    }

    /// What the left side of a rule has. `constants` are the parameters that stand for constants.
    pub fn of_pattern(lhs: &Function, constants: &[bool]) -> Needs {
        let mut reader = Reader::default();
        for (&param, &constant) in lhs.body.args.iter().zip(constants) {
            if constant {
                reader.known.insert(param, vec![Below::Splat]);
            }
        }
        reader.region(&lhs.body);
        // A pattern's number is a number to a program, but not only that one is a splat there.
        reader.needs
    }

    /// Takes in the ops of another.
    pub fn add_ops(&mut self, other: &Needs) {
        self.ops.extend(&other.ops);
    }

    /// Whether the ops are there, whatever stands next to them.
    pub fn ops_met_by(&self, program: &Needs) -> bool {
        self.ops.is_subset(&program.ops)
    }

    /// Whether all that is needed here is there.
    pub fn met_by(&self, program: &Needs) -> bool {
        self.ops.is_subset(&program.ops) && self.edges.is_subset(&program.edges)
    }
}

#[derive(Default)]
struct Reader {
    needs: Needs,
    /// What values are, seen through movement; of values that are nothing known, nothing.
    known: HashMap<Value, Vec<Below>>,
}

impl Reader {
    fn region(&mut self, region: &Region) {
        for node in &region.ops {
            for inner in &node.regions {
                self.region(inner);
            }
            self.node(node);
        }
    }

    fn node(&mut self, node: &OpNode) {
        if let Op::Constant { value } = &node.op {
            if let Some(splat) = value.splat() {
                let number = bits(aiai_ir::Scalar::Float(splat.as_f64()));
                self.known
                    .insert(node.results[0], vec![Below::Splat, Below::Number(number)]);
            }
            return;
        }
        if is_looked_through(&node.op) {
            let below = node.operands.first().and_then(|v| self.known.get(v));
            if let Some(below) = below.cloned() {
                self.known.insert(node.results[0], below);
            }
            return;
        }
        let name = name_of(&node.op);
        self.needs.ops.insert(name);
        for operand in &node.operands {
            for &below in self.known.get(operand).into_iter().flatten() {
                self.needs.edges.insert((name, below));
            }
        }
        for &result in &node.results {
            self.known.insert(result, vec![Below::Op(name)]);
        }
    }
}

fn name_of(op: &Op) -> Name {
    match op {
        Op::Reduce { kind, .. } => (op.name(), kind.name()),
        Op::Scatter { kind, .. } => (op.name(), kind.name()),
        Op::ArgReduce { kind, .. } => (op.name(), kind.name()),
        _ => (op.name(), ""),
    }
}

/// Movement and conversions that some instances have and others do not, since they would change nothing.
fn is_looked_through(op: &Op) -> bool {
    matches!(
        op,
        Op::Broadcast { .. }
            | Op::Reshape { .. }
            | Op::Permute { .. }
            | Op::Slice { .. }
            | Op::Cast { .. }
            | Op::StopGradient
    )
}
