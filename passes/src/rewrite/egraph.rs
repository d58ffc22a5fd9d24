//! E-graphs over ops: each class holds the equal forms of one value.
//!
//! Nodes are ops with their attributes, and values that come from elsewhere as leaves. All of a class have one
//! type. Order is by number everywhere, so nothing depends on where things lie in memory.

use aiai_ir::{Loc, Op, Region, Scalar, Type, Value};
use egg::{Analysis, DidMerge, EGraph, Id, Language};
use rustc_hash::FxHashMap;

use super::keys::Keys;
use super::tree::{Graph, Maker};

/// A node: an entry of the table of heads, and operands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    pub head: u32,
    pub children: Box<[Id]>,
}

impl Language for Node {
    type Discriminant = u32;

    fn discriminant(&self) -> u32 {
        self.head
    }

    fn matches(&self, other: &Node) -> bool {
        self.head == other.head && self.children.len() == other.children.len()
    }

    fn children(&self) -> &[Id] {
        &self.children
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.children
    }
}

/// What a node is, operands aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A value from outside the region, or of an op that is not looked into.
    Leaf(Value),
    /// A result of an op.
    Op(Op, usize),
}

#[derive(Clone, Debug)]
pub struct Head {
    pub kind: Kind,
    pub ty: Type,
    /// What patterns know the op by.
    pub key: u32,
    /// Of leaves: the one value of all elements, where it is known.
    splat: Option<Scalar>,
}

/// What is known of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    pub ty: Type,
    pub splat: Option<Scalar>,
    /// Where the first op of the class comes from.
    pub loc: Option<Loc>,
}

/// The heads of a graph. They are numbered in order of appearance.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    table: Vec<Head>,
    known: FxHashMap<(Kind, Type), u32>,
    /// The place that new classes get.
    pub place: Option<Loc>,
}

impl Heads {
    pub fn get(&self, number: u32) -> &Head {
        &self.table[number as usize]
    }

    fn intern(&mut self, kind: Kind, ty: &Type, key: u32, splat: Option<Scalar>) -> u32 {
        let next = self.table.len() as u32;
        let table = &mut self.table;
        let entry = self.known.entry((kind.clone(), ty.clone()));
        *entry.or_insert_with(|| {
            table.push(Head {
                kind,
                ty: ty.clone(),
                key,
                splat,
            });
            next
        })
    }
}

impl Analysis<Node> for Heads {
    type Data = Data;

    fn make(graph: &mut EGraph<Node, Heads>, node: &Node, _id: Id) -> Data {
        let head = graph.analysis.get(node.head);
        let splat = match &head.kind {
            Kind::Leaf(_) => head.splat,
            Kind::Op(Op::Constant { value }, _) => value.splat(),
            Kind::Op(Op::Broadcast { .. }, _) => graph[node.children[0]].data.splat,
            Kind::Op(..) => None,
        };
        Data {
            ty: head.ty.clone(),
            splat,
            loc: graph.analysis.place,
        }
    }

    fn merge(&mut self, a: &mut Data, b: Data) -> DidMerge {
        debug_assert_eq!(a.ty, b.ty, "classes of two types are never merged");
        let mut merged = DidMerge(false, false);
        match (a.splat, b.splat) {
            (None, Some(_)) => {
                a.splat = b.splat;
                merged.0 = true;
            }
            (Some(_), None) => merged.1 = true,
            (Some(_), Some(_)) | (None, None) => {}
        }
        if a.loc.is_none() && b.loc.is_some() {
            a.loc = b.loc;
            merged.0 = true;
        } else if a.loc != b.loc {
            merged.1 = true;
        }
        merged
    }
}

/// The graph of a region.
pub struct Forms {
    pub graph: EGraph<Node, Heads>,
}

impl Forms {
    pub fn new() -> Forms {
        Forms {
            graph: EGraph::new(Heads::default()),
        }
    }

    pub fn leaf(&mut self, value: Value, ty: &Type, splat: Option<Scalar>) -> Id {
        let heads = &mut self.graph.analysis;
        let head = heads.intern(Kind::Leaf(value), ty, super::keys::UNKNOWN, splat);
        self.graph.add(Node {
            head,
            children: Box::default(),
        })
    }

    /// A result of an op on operands.
    pub fn op(&mut self, keys: &Keys, op: &Op, result: usize, ty: &Type, operands: &[Id]) -> Id {
        let key = keys.of(op, operands.len(), result, ty);
        let heads = &mut self.graph.analysis;
        let head = heads.intern(Kind::Op(op.clone(), result), ty, key, None);
        let mut children: Vec<Id> = operands.to_vec();
        if op.is_commutative() {
            children.sort_unstable();
        }
        self.graph.add(Node {
            head,
            children: children.into(),
        })
    }

    pub fn data(&self, id: Id) -> &Data {
        &self.graph[id].data
    }

    /// The classes, in order.
    pub fn classes(&self) -> Vec<Id> {
        let mut ids: Vec<Id> = self.graph.classes().map(|class| class.id).collect();
        ids.sort_unstable();
        ids
    }
}

impl Graph for Forms {
    type Id = Id;

    fn ty(&self, id: Id) -> &Type {
        &self.graph[id].data.ty
    }

    fn splat(&self, id: Id) -> Option<Scalar> {
        self.graph[id].data.splat
    }

    fn makers(&self, id: Id) -> usize {
        self.graph[id].nodes.len()
    }

    fn maker(&self, id: Id, number: usize) -> Maker<'_, Id> {
        const NONE: &[Region] = &[];
        let node = &self.graph[id].nodes[number];
        let head = self.graph.analysis.get(node.head);
        let op = match &head.kind {
            Kind::Op(op, _) => op,
            // Its key is that of no pattern.
            Kind::Leaf(_) => &Op::StopGradient,
        };
        Maker {
            key: head.key,
            op,
            operands: &node.children,
            regions: NONE,
        }
    }
}
