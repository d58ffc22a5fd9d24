//! What expressions stand for while a program is elaborated.

use aiai_ir::{DType, Dim, Sym, Value};

/// The value of an expression: tensors of the function being built, and what exists at compile time
/// only.
#[derive(Clone, Debug)]
pub enum Val {
    Tensor(Value),
    /// A random key: a `u32[2]` tensor that is used once.
    Key(Value),
    /// An integer known at compile time, perhaps in terms of dimensions.
    Dim(Dim),
    /// A float known at compile time; it takes the dtype of what it meets.
    Float(f64),
    Bool(bool),
    Str(String),
    Tuple(Vec<Val>),
    Record(Box<Record>),
    List(Vec<Val>),
    /// Where a gradient has no leaf.
    Absent,
    /// `..` in a tuple of places.
    All,
    /// After an error that has been reported: fits everywhere, silently.
    Poison,
}

/// An instance of a module, or the gradient of one.
#[derive(Clone, Debug)]
pub struct Record {
    pub module: usize,
    pub args: Vec<GArg>,
    /// A gradient: only the differentiated leaves are present.
    pub tangent: bool,
    pub fields: Vec<(Sym, Val)>,
}

/// What a generic parameter is bound to.
#[derive(Clone, Debug, PartialEq)]
pub enum GArg {
    Dim(Dim),
    Pack(Vec<Dim>),
    DType(DType),
    Ty(Ty),
}

/// A resolved type.
#[derive(Clone, Debug, PartialEq)]
pub enum Ty {
    Tensor {
        dtype: DType,
        shape: Vec<Dim>,
    },
    Key,
    Tuple(Vec<Ty>),
    Record {
        module: usize,
        args: Vec<GArg>,
        tangent: bool,
    },
    List(Box<Ty>, usize),
    /// After an error that has been reported.
    Error,
}

impl Ty {
    pub fn unit() -> Ty {
        Ty::Tuple(Vec::new())
    }
}

impl Val {
    pub fn unit() -> Val {
        Val::Tuple(Vec::new())
    }

    /// Calls `visit` on every tensor within, in the order of leaves.
    pub fn for_each_leaf(&self, visit: &mut impl FnMut(Value)) {
        match self {
            Val::Tensor(value) | Val::Key(value) => visit(*value),
            Val::Tuple(parts) | Val::List(parts) => {
                parts.iter().for_each(|part| part.for_each_leaf(visit));
            }
            Val::Record(record) => record.fields.iter().for_each(|f| f.1.for_each_leaf(visit)),
            Val::Dim(_) | Val::Float(_) | Val::Bool(_) | Val::Str(_) => {}
            Val::Absent | Val::All | Val::Poison => {}
        }
    }

    /// Every tensor within, in the order of leaves.
    pub fn leaves(&self) -> Vec<Value> {
        let mut leaves = Vec::new();
        self.for_each_leaf(&mut |value| leaves.push(value));
        leaves
    }

    /// The same structure with its tensors replaced, in the order of leaves.
    pub fn map_leaves(&self, f: &mut impl FnMut(Value) -> Value) -> Val {
        match self {
            Val::Tensor(value) => Val::Tensor(f(*value)),
            Val::Key(value) => Val::Key(f(*value)),
            Val::Tuple(parts) => Val::Tuple(parts.iter().map(|p| p.map_leaves(f)).collect()),
            Val::List(parts) => Val::List(parts.iter().map(|p| p.map_leaves(f)).collect()),
            Val::Record(record) => {
                let fields = record
                    .fields
                    .iter()
                    .map(|(n, v)| (*n, v.map_leaves(f)))
                    .collect();
                Val::Record(Box::new(Record {
                    fields,
                    args: record.args.clone(),
                    ..**record
                }))
            }
            other => other.clone(),
        }
    }

    pub fn is_poison(&self) -> bool {
        matches!(self, Val::Poison)
    }

    /// Whether any part of it has been reported.
    pub fn has_poison(&self) -> bool {
        match self {
            Val::Poison => true,
            Val::Tuple(parts) | Val::List(parts) => parts.iter().any(Val::has_poison),
            _ => false,
        }
    }

    /// How a message names the kind of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Val::Tensor(_) => "a tensor",
            Val::Key(_) => "a key",
            Val::Dim(_) => "a whole number",
            Val::Float(_) => "a number",
            Val::Bool(_) => "a truth value",
            Val::Str(_) => "a text",
            Val::Tuple(_) => "a tuple",
            Val::Record(_) => "a module",
            Val::List(_) => "a list of modules",
            Val::Absent => "nothing",
            Val::All => "`..`",
            Val::Poison => "an error",
        }
    }
}
