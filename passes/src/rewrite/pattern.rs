//! Patterns: left sides of rules, ready to be matched.
//!
//! A pattern is a graph of values. Its spine, what hangs on its root by operands, is also listed in preorder
//! as tests, which is what the decision tree is made of. Bodies of loops and branches are not in the
//! spine; they are matched after it.

use std::collections::HashMap;

use aiai_ir::ops::Effect;
use aiai_ir::{DType, Dim, Op, OpNode, Region, Rule, Scalar, Type, Value};

use super::keys::{CONSTANT_BYTES, Keys, UNKNOWN, dims_of};

/// A value of a pattern, by number.
pub type NodeId = usize;

/// What a value of a program must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Any value of the type: the parameter of this number.
    Param(usize),
    /// A value whose elements are all equal and known: the constant parameter of this number.
    Splat(usize),
    /// A value whose elements are all this one, by its bits.
    Literal(u64),
    /// A value whose elements are all this size: what `T(N)` is where the program knows `N`.
    Size(Dim),
    /// A result of an op.
    Op(PatternOp),
    /// An argument of a region of the pattern.
    Argument,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PatternOp {
    pub op: Op,
    pub operands: Vec<NodeId>,
    pub regions: Vec<PatternRegion>,
    /// Which result.
    pub result: usize,
    pub key: u32,
    /// The dimensions among the attributes.
    pub dims: Vec<Dim>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PatternRegion {
    pub args: Vec<NodeId>,
    pub yields: Vec<NodeId>,
    /// Ops with an effect, within regions too: a match has as many.
    pub effects: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PatternNode {
    pub kind: Kind,
    pub ty: Type,
}

/// What the decision tree asks of the value at one place of the preorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// Made by an op of this key; its operands come next.
    Key(u32),
    /// All elements have these bits.
    Literal(DType, usize, u64),
    /// All elements are equal and known.
    Splat(DType, usize),
    /// Of this dtype and rank.
    Any(DType, usize),
    /// The same value as at an earlier place; of constants: as many elements of the same bits.
    Same(usize),
}

/// A left side.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The number of its rule.
    pub rule: usize,
    pub nodes: Vec<PatternNode>,
    pub root: NodeId,
    /// Per result of the rule, which result of the root op it is.
    pub yields: Vec<usize>,
    pub preorder: Vec<(Test, NodeId)>,
    /// Whether the spine has ops with regions.
    pub has_regions: bool,
}

/// The bits of a scalar, as a number that tells apart what its dtype tells apart.
pub fn bits(value: Scalar) -> u64 {
    match value {
        Scalar::Bool(b) => u64::from(b),
        Scalar::Int(i) => i as u64,
        Scalar::UInt(u) => u,
        Scalar::Float(x) => x.to_bits(),
    }
}

impl Pattern {
    /// The patterns of a prepared rule, or why it has none. Where the left side counts with a size there are two: in
    /// programs that know the size it is a number.
    pub fn all(number: usize, rule: &Rule, keys: &mut Keys) -> Result<Vec<Pattern>, String> {
        let mut all = vec![Pattern::new(number, rule, keys, false)?];
        let is_size = |node: &OpNode| matches!(node.op, Op::DimValue { .. });
        if rule.lhs.body.ops.iter().any(is_size) {
            all.extend(Pattern::new(number, rule, keys, true));
        }
        Ok(all)
    }

    fn new(
        number: usize,
        rule: &Rule,
        keys: &mut Keys,
        sizes_known: bool,
    ) -> Result<Pattern, String> {
        let lhs = &rule.lhs;
        let mut reader = Reader {
            rule,
            keys,
            sizes_known,
            nodes: Vec::new(),
            known: HashMap::new(),
        };
        reader.params();
        reader.ops(&lhs.body)?;
        let Some(first) = lhs.body.yields.first() else {
            return Err("it has no result".into());
        };
        let root = reader.known[first];
        let mut yields = Vec::new();
        let maker = |value: &Value| lhs.body.ops.iter().find(|n| n.results.contains(value));
        let Some(node) = maker(first) else {
            return Err("its left side is a parameter".into());
        };
        if !matches!(reader.nodes[root].kind, Kind::Op(_)) {
            return Err("its left side is a constant".into());
        }
        for value in &lhs.body.yields {
            match node.results.iter().position(|r| r == value) {
                Some(at) => yields.push(at),
                None => return Err("its results are made by several operations".into()),
            }
        }
        for body in [&rule.lhs.body, &rule.rhs.body] {
            legal(body)?;
        }
        let mut pattern = Pattern {
            rule: number,
            root,
            yields,
            preorder: Vec::new(),
            has_regions: false,
            nodes: reader.nodes,
        };
        pattern.spine(root, &mut HashMap::new());
        Ok(pattern)
    }

    /// The key of the op that makes the root.
    pub fn root_key(&self) -> u32 {
        match &self.nodes[self.root].kind {
            Kind::Op(op) => op.key,
            Kind::Param(_) | Kind::Splat(_) | Kind::Literal(_) | Kind::Size(_) | Kind::Argument => {
                UNKNOWN
            }
        }
    }

    /// Lists what hangs on a node in preorder; what was listed before is only pointed at.
    fn spine(&mut self, id: NodeId, places: &mut HashMap<NodeId, usize>) {
        let place = self.preorder.len();
        if let Some(&earlier) = places.get(&id) {
            self.preorder.push((Test::Same(earlier), id));
            return;
        }
        let node = self.nodes[id].clone();
        let (dtype, rank) = (node.ty.dtype(), node.ty.rank());
        places.insert(id, place);
        match node.kind {
            Kind::Param(_) | Kind::Argument => self.preorder.push((Test::Any(dtype, rank), id)),
            // Two shapes of one constant are two values; that they are equal is seen when all is bound.
            Kind::Splat(_) | Kind::Size(_) => self.preorder.push((Test::Splat(dtype, rank), id)),
            Kind::Literal(bits) => self.preorder.push((Test::Literal(dtype, rank, bits), id)),
            Kind::Op(op) => {
                self.preorder.push((Test::Key(op.key), id));
                self.has_regions |= !op.regions.is_empty();
                for operand in op.operands {
                    self.spine(operand, places);
                }
            }
        }
    }
}

/// Ops that a rule may not have: what stops the program, or is no primitive.
fn legal(body: &Region) -> Result<(), String> {
    let mut found = Ok(());
    body.walk(&mut |node| {
        let stops = node.op.info().effect == Effect::Check && node.results.is_empty();
        let wide = matches!(
            node.op,
            Op::Call { .. } | Op::Grad { .. } | Op::Fused { .. }
        );
        if stops || wide {
            found = Err(format!("it has `{}`, which no rule may", node.op.name()));
        }
    });
    found
}

struct Reader<'r> {
    rule: &'r Rule,
    keys: &'r mut Keys,
    /// Whether sizes are numbers.
    sizes_known: bool,
    nodes: Vec<PatternNode>,
    known: HashMap<Value, NodeId>,
}

impl Reader<'_> {
    fn add(&mut self, value: Value, kind: Kind) -> NodeId {
        let ty = self.rule.lhs.ty(value).clone();
        self.nodes.push(PatternNode { kind, ty });
        self.known.insert(value, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn params(&mut self) {
        for (number, &value) in self.rule.lhs.body.args.iter().enumerate() {
            let kind = if self.rule.params.get(number).is_some_and(|p| p.constant) {
                Kind::Splat(number)
            } else {
                Kind::Param(number)
            };
            self.add(value, kind);
        }
    }

    fn region(&mut self, region: &Region) -> Result<PatternRegion, String> {
        let args = region.args.iter();
        let args = args.map(|&value| self.add(value, Kind::Argument)).collect();
        self.ops(region)?;
        let yields = region
            .yields
            .iter()
            .map(|value| self.known[value])
            .collect();
        let mut effects = 0;
        for node in &region.ops {
            effects += effects_in(node);
        }
        Ok(PatternRegion {
            args,
            yields,
            effects,
        })
    }

    fn ops(&mut self, region: &Region) -> Result<(), String> {
        for node in &region.ops {
            let regions = node.regions.iter().map(|r| self.region(r));
            let regions = regions.collect::<Result<Vec<_>, _>>()?;
            if let Some(kind) = self.constant(node)? {
                self.add(node.results[0], kind);
                continue;
            }
            let operands: Vec<NodeId> = node.operands.iter().map(|v| self.known[v]).collect();
            for (result, &value) in node.results.iter().enumerate() {
                let ty = self.rule.lhs.ty(value);
                let key = self.keys.intern(&node.op, operands.len(), result, ty);
                let op = PatternOp {
                    op: node.op.clone(),
                    operands: operands.clone(),
                    regions: regions.clone(),
                    result,
                    key,
                    dims: dims_of(&node.op),
                };
                self.add(value, Kind::Op(op));
            }
        }
        Ok(())
    }

    /// What an op is where it makes a constant: all elements equal.
    fn constant(&self, node: &OpNode) -> Result<Option<Kind>, String> {
        match &node.op {
            Op::Constant { value } => match value.splat() {
                Some(scalar) => Ok(Some(Kind::Literal(bits(scalar)))),
                None if value.bytes.len() > CONSTANT_BYTES => Err("it has a large constant".into()),
                None => Ok(None),
            },
            Op::Broadcast { .. } => {
                let operand = &self.nodes[self.known[&node.operands[0]]].kind;
                Ok(match operand {
                    Kind::Splat(_) | Kind::Literal(_) | Kind::Size(_) => Some(operand.clone()),
                    Kind::Param(_) | Kind::Op(_) | Kind::Argument => None,
                })
            }
            Op::DimValue { dim } if self.sizes_known => Ok(Some(Kind::Size(*dim))),
            // The size itself, converted once.
            Op::Cast { .. } => {
                let operand = &self.nodes[self.known[&node.operands[0]]];
                let of_size = matches!(operand.kind, Kind::Size(_));
                let once = of_size && operand.ty.dtype() == DType::I64;
                Ok(once.then(|| operand.kind.clone()))
            }
            _ => Ok(None),
        }
    }
}

/// How many ops with an effect there are in an op, itself included.
pub fn effects_in(node: &OpNode) -> usize {
    let inside = node.regions.iter().flat_map(|r| &r.ops).map(effects_in);
    usize::from(stands_alone(node)) + inside.sum::<usize>()
}

/// Whether an op does something beside computing its results.
fn stands_alone(node: &OpNode) -> bool {
    match node.op.info().effect {
        Effect::Pure => false,
        Effect::Check => node.results.is_empty(),
        Effect::Memory => true,
        Effect::Regions => matches!(
            node.op,
            Op::Call { .. } | Op::Grad { .. } | Op::While { .. }
        ),
    }
}
