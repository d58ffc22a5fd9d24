//! What a program must have for a rule to fire at all: ops, and ops next to ops.
//!
//! Read off some instances of a rule and taken to hold for all that are of use. Ranks and dtypes change which operands
//! are broadcast or converted, so those ops are looked through, but for a broadcast that is the outermost op. Other
//! movement is looked through as well as counted: an instance in which a written reshape, permutation or slice is
//! none says nothing that the rule is for. A rule whose needs a function does not meet is not made for it.

use std::collections::{BTreeSet, HashMap};

use aiai_ir::{DType, Function, Op, OpNode, Region, Value};

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

/// Dtype and rank.
type Kind = (DType, usize);

/// Ops, and which of them have which operands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    ops: BTreeSet<Name>,
    edges: BTreeSet<(Name, Below)>,
    /// Of a program: what types the operands of an op have, before movement and behind it.
    fed: BTreeSet<(Name, Kind)>,
    /// Of a pattern: which parameters, by their numbers, are operands of which ops.
    takes: BTreeSet<(usize, Name)>,
}

impl Needs {
    /// All that a program has.
    pub fn of_program(function: &Function) -> Needs {
        let mut reader = Reader::new(function, true);
        reader.region(&function.body);
        reader.needs
    }

    /// What the left side of a rule has. `constants` are the parameters that stand for constants.
    pub fn of_pattern(lhs: &Function, constants: &[bool]) -> Needs {
        let mut reader = Reader::new(lhs, false);
        for (number, (&param, &constant)) in lhs.body.args.iter().zip(constants).enumerate() {
            if constant {
                reader.known.insert(param, vec![Below::Splat]);
            } else {
                reader.params.insert(param, number);
            }
        }
        reader.region(&lhs.body);
        let maker = |value: Value| lhs.body.ops.iter().find(|n| n.results.contains(&value));
        let broadcast = |node: &&OpNode| matches!(node.op, Op::Broadcast { .. });
        let root = lhs.body.yields.first().and_then(|&root| maker(root));
        if let Some(root) = root.filter(broadcast) {
            let name = name_of(&root.op);
            reader.needs.ops.insert(name);
            if maker(root.operands[0]).as_ref().is_some_and(broadcast) {
                reader.needs.edges.insert((name, Below::Op(name)));
            }
        }
        reader.needs
    }

    /// Whether a parameter of this type can be the operand of the ops that take it.
    pub fn fits(&self, param: usize, kind: Kind, program: &Needs) -> bool {
        let takes = self.takes.iter().filter(|take| take.0 == param);
        takes
            .into_iter()
            .all(|take| program.fed.contains(&(take.1, kind)))
    }

    /// Takes in the ops of another.
    pub fn add_ops(&mut self, other: &Needs) {
        self.ops.extend(&other.ops);
    }

    /// Leaves what another has as well.
    pub fn keep_common(&mut self, other: &Needs) {
        self.ops.retain(|op| other.ops.contains(op));
        self.edges.retain(|edge| other.edges.contains(edge));
        self.takes.retain(|take| other.takes.contains(take));
    }

    /// Whether the ops are there, whatever stands next to them.
    pub fn ops_met_by(&self, program: &Needs) -> bool {
        self.ops.is_subset(&program.ops)
    }

    /// Whether all that is needed here is there.
    pub fn met_by(&self, program: &Needs) -> bool {
        self.ops.is_subset(&program.ops)
            && self.edges.is_subset(&program.edges)
            && self.fed.is_subset(&program.fed)
    }
}

struct Reader<'a> {
    function: &'a Function,
    needs: Needs,
    /// Whether broadcasts count as ops.
    broadcasts: bool,
    /// What values are, seen through movement; of values that are nothing known, nothing.
    known: HashMap<Value, Vec<Below>>,
    /// Of a program: the types of a moved value before it was moved.
    before: HashMap<Value, Vec<Kind>>,
    /// Of a pattern: parameters, and what is one but for its rank or dtype.
    params: HashMap<Value, usize>,
}

impl<'a> Reader<'a> {
    fn new(function: &'a Function, broadcasts: bool) -> Reader<'a> {
        Reader {
            function,
            needs: Needs::default(),
            broadcasts,
            known: HashMap::new(),
            before: HashMap::new(),
            params: HashMap::new(),
        }
    }

    fn kind(&self, value: Value) -> Kind {
        let ty = self.function.ty(value);
        (ty.dtype(), ty.rank())
    }

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
        // Where the program knows the size it is a number.
        if matches!(node.op, Op::DimValue { .. }) && !self.broadcasts {
            return;
        }
        let through = looked_through(&node.op);
        if through == Some(true) && !self.broadcasts {
            self.pass(node, None);
            if let Some(&number) = node.operands.first().and_then(|v| self.params.get(v)) {
                self.params.insert(node.results[0], number);
            }
            return;
        }
        let name = name_of(&node.op);
        self.needs.ops.insert(name);
        for operand in &node.operands {
            if self.broadcasts {
                self.needs.fed.insert((name, self.kind(*operand)));
                let before = self.before.get(operand).into_iter().flatten();
                self.needs.fed.extend(before.map(|&kind| (name, kind)));
            } else if let (Some(&number), None) = (self.params.get(operand), through) {
                self.needs.takes.insert((number, name));
            }
            for &below in self.known.get(operand).into_iter().flatten() {
                self.needs.edges.insert((name, below));
            }
        }
        if through.is_some() {
            self.pass(node, Some(name));
            return;
        }
        for &result in &node.results {
            self.known.insert(result, vec![Below::Op(name)]);
        }
    }

    /// The result of movement is what the operand is, and a result of the movement where that counts.
    fn pass(&mut self, node: &OpNode, name: Option<Name>) {
        let below = node.operands.first().and_then(|v| self.known.get(v));
        let mut below = below.cloned().unwrap_or_default();
        below.extend(name.map(Below::Op));
        below.sort_unstable();
        below.dedup();
        let (Some(&result), Some(&operand)) = (node.results.first(), node.operands.first()) else {
            return;
        };
        self.known.insert(result, below);
        if self.broadcasts {
            let mut before = self.before.get(&operand).cloned().unwrap_or_default();
            before.push(self.kind(operand));
            before.sort_unstable();
            before.dedup();
            self.before.insert(result, before);
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

/// Whether an op is looked through: `Some(true)` for what some instances have and others do not, `Some(false)` for
/// what counts as well, `None` for all others.
fn looked_through(op: &Op) -> Option<bool> {
    match op {
        Op::Broadcast { .. } | Op::Cast { .. } | Op::StopGradient => Some(true),
        Op::Reshape { .. } | Op::Permute { .. } | Op::Slice { .. } => Some(false),
        _ => None,
    }
}
