//! Modules, functions, regions and ops: the data structure of the IR.
//!
//! Invariants: a region is one block; control flow is nested regions; a value is defined once, by
//! an op, as a region argument or as a function parameter, and used only where its definition is
//! in scope. Values are numbered per function and never reused.

use std::collections::BTreeMap;

use crate::dim::Relation;
use crate::ops::RegionTypes;
use crate::{Dim, Literal, Op, Sym, Type};

/// A place in a source file; lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Loc {
    pub file: Sym,
    pub line: u32,
    pub column: u32,
}

/// A value of a function, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

/// A program: functions by name, in a deterministic order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    pub functions: BTreeMap<Sym, Function>,
}

/// A function. Dimensions named in parameter types are bound by a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub name: Sym,
    /// What the function stands for in phase-1 rules: a library symbol with its attributes.
    pub library: Option<Library>,
    /// Leaf paths of the parameters, such as `net.up`; as many as `body.args`.
    pub param_names: Vec<Sym>,
    /// Parameters that may be updated in place.
    pub owned: Vec<bool>,
    /// Leaf paths of the results; as many as `body.yields`.
    pub result_names: Vec<Sym>,
    /// Checked at entry, in order.
    pub requires: Vec<Require>,
    /// The arguments are the parameters, the yields the results.
    pub body: Region,
    pub loc: Option<Loc>,
    types: Vec<Type>,
}

/// The library function that an IR function is an instance of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Library {
    pub symbol: Sym,
    /// Compile-time arguments by name, normalised (axes counted from the front).
    pub attributes: BTreeMap<Sym, Literal>,
}

/// A condition on dimensions that a call must satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    pub dim: Dim,
    pub relation: Relation,
    /// Said to the user when it fails.
    pub message: String,
    pub loc: Option<Loc>,
}

/// A block of ops with arguments; control leaves it only at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    pub args: Vec<Value>,
    pub ops: Vec<OpNode>,
    pub yields: Vec<Value>,
}

/// An op in place.
#[derive(Clone, Debug, PartialEq)]
pub struct OpNode {
    pub op: Op,
    pub operands: Vec<Value>,
    pub results: Vec<Value>,
    pub regions: Vec<Region>,
    pub loc: Option<Loc>,
}

impl Module {
    pub fn get(&self, name: Sym) -> Option<&Function> {
        self.functions.get(&name)
    }

    pub fn insert(&mut self, function: Function) {
        self.functions.insert(function.name, function);
    }
}

impl Function {
    /// An empty function. Parameters are added with [`Function::add_param`].
    pub fn new(name: impl Into<Sym>) -> Function {
        Function {
            name: name.into(),
            library: None,
            param_names: Vec::new(),
            owned: Vec::new(),
            result_names: Vec::new(),
            requires: Vec::new(),
            body: Region::default(),
            loc: None,
            types: Vec::new(),
        }
    }

    pub fn add_param(&mut self, name: impl Into<Sym>, ty: Type, owned: bool) -> Value {
        let value = self.new_value(ty);
        self.param_names.push(name.into());
        self.owned.push(owned);
        self.body.args.push(value);
        value
    }

    /// A fresh value, to be defined by the caller.
    pub fn new_value(&mut self, ty: Type) -> Value {
        let value = Value(self.types.len() as u32);
        self.types.push(ty);
        value
    }

    /// How many values were ever made; every [`Value`] is below it.
    pub fn value_count(&self) -> usize {
        self.types.len()
    }

    pub fn ty(&self, value: Value) -> &Type {
        &self.types[value.0 as usize]
    }

    /// Changes a type in place; for passes that rewrite dimensions.
    pub fn set_ty(&mut self, value: Value, ty: Type) {
        self.types[value.0 as usize] = ty;
    }

    pub fn params(&self) -> &[Value] {
        &self.body.args
    }

    pub fn param_types(&self) -> Vec<Type> {
        self.body.args.iter().map(|&v| self.ty(v).clone()).collect()
    }

    pub fn result_types(&self) -> Vec<Type> {
        self.body
            .yields
            .iter()
            .map(|&v| self.ty(v).clone())
            .collect()
    }

    /// The types at the rim of `region`.
    pub fn region_types(&self, region: &Region) -> RegionTypes {
        let types = |values: &[Value]| values.iter().map(|&v| self.ty(v).clone()).collect();
        RegionTypes {
            args: types(&region.args),
            yields: types(&region.yields),
        }
    }

    /// The named dimensions of the parameters, in order of first appearance: those that a call binds.
    pub fn dims(&self) -> Vec<Sym> {
        let mut found = Vec::new();
        for &param in &self.body.args {
            for dim in self.ty(param).shape() {
                dim.for_each_sym(&mut |sym| {
                    if !found.contains(&sym) {
                        found.push(sym);
                    }
                });
            }
        }
        found
    }

    /// The result types of a call with operands of the given types, or why they do not fit.
    pub fn call_types(&self, operands: &[Type]) -> Result<Vec<Type>, String> {
        let binding = self.bind(operands)?;
        let replace = |sym: Sym| binding.get(&sym).copied();
        Ok(self
            .result_types()
            .iter()
            .map(|t| t.map_dims(|d| d.substitute(&replace)))
            .collect())
    }

    /// What a call with operands of the given types binds the named dimensions to.
    pub fn bind(&self, operands: &[Type]) -> Result<BTreeMap<Sym, Dim>, String> {
        let params = self.param_types();
        if params.len() != operands.len() {
            return Err(format!(
                "takes {} operands, got {}",
                params.len(),
                operands.len()
            ));
        }
        let mut binding = BTreeMap::new();
        let pairs = || params.iter().zip(operands);
        for (param, operand) in pairs() {
            if param.dtype() != operand.dtype() || param.rank() != operand.rank() {
                return Err(format!("takes `{param}`, got `{operand}`"));
            }
            for (formal, actual) in param.shape().iter().zip(operand.shape()) {
                if let Some(sym) = formal.as_sym() {
                    binding.entry(sym).or_insert(*actual);
                }
            }
        }
        for (param, operand) in pairs() {
            let bound = param.map_dims(|d| d.substitute(&|sym| binding.get(&sym).copied()));
            if bound != *operand {
                return Err(format!("takes `{bound}`, got `{operand}`"));
            }
        }
        Ok(binding)
    }
}

impl Region {
    /// Calls `visit` on every op of the region and of the regions within, in order, outer first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a OpNode)) {
        for node in &self.ops {
            visit(node);
            for region in &node.regions {
                region.walk(visit);
            }
        }
    }

    /// The same, with the ops open to change.
    pub fn walk_mut(&mut self, visit: &mut impl FnMut(&mut OpNode)) {
        for node in &mut self.ops {
            visit(node);
            for region in &mut node.regions {
                region.walk_mut(visit);
            }
        }
    }

    /// Rewrites every use of a value, here and in the regions within.
    pub fn map_uses(&mut self, f: &mut impl FnMut(Value) -> Value) {
        for node in &mut self.ops {
            node.operands.iter_mut().for_each(|v| *v = f(*v));
            for region in &mut node.regions {
                region.map_uses(f);
            }
        }
        self.yields.iter_mut().for_each(|v| *v = f(*v));
    }
}

impl OpNode {
    /// The only result; panics unless there is exactly one.
    pub fn result(&self) -> Value {
        assert_eq!(
            self.results.len(),
            1,
            "`{}` has {} results",
            self.op.name(),
            self.results.len()
        );
        self.results[0]
    }
}
