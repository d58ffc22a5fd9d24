//! The function being built: its ops, its variables, and what is known of its dimensions.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Builder, Dim, Facts, Relation, Require, Sym, Truth, Value};

use super::value::{GArg, Val};
use crate::span::Span;

/// What the generic names of a signature stand for.
#[derive(Clone, Debug, Default)]
pub struct Env {
    pub bound: HashMap<Sym, GArg>,
    /// The shape that `..` stands for.
    pub rest: Option<Vec<Dim>>,
    /// Unbound dimensions become symbols of their own: set while a signature is checked by itself.
    pub open: bool,
}

/// A variable and where it was bound.
#[derive(Clone, Debug)]
pub struct Variable {
    pub val: Val,
    pub span: Span,
}

/// The state of building one IR function.
pub struct Cx<'f> {
    pub b: Builder<'f>,
    pub env: Env,
    pub facts: Facts,
    pub requires: Vec<Require>,
    /// Inside a side of a rule, where a reshape asks that both shapes have as many elements if that is not known.
    pub in_rule: bool,
    vars: HashMap<Sym, Vec<Variable>>,
    log: Vec<Sym>,
    /// Per open loop, the first value that is defined inside it.
    pub floors: Vec<u32>,
    /// Keys that have been used, and values given away to an `own` parameter, with the place.
    pub spent: HashMap<Value, Span>,
    /// Per open loop, what `emit` gave.
    pub emits: Vec<Option<(Val, Span)>>,
    /// Index variables in scope, innermost last.
    pub indices: Vec<super::index::IndexVar>,
    /// Whether errors may stem from the caller: elaborating an instance, not the definition.
    pub owned: HashSet<Value>,
}

impl<'f> Cx<'f> {
    pub fn new(b: Builder<'f>, env: Env) -> Cx<'f> {
        Cx {
            b,
            env,
            facts: Facts::default(),
            requires: Vec::new(),
            in_rule: false,
            vars: HashMap::new(),
            log: Vec::new(),
            floors: Vec::new(),
            spent: HashMap::new(),
            emits: Vec::new(),
            indices: Vec::new(),
            owned: HashSet::new(),
        }
    }

    pub fn bind(&mut self, name: Sym, val: Val, span: Span) {
        self.vars
            .entry(name)
            .or_default()
            .push(Variable { val, span });
        self.log.push(name);
    }

    pub fn lookup(&self, name: Sym) -> Option<&Variable> {
        self.vars.get(&name)?.last()
    }

    /// A mark to return to with [`Cx::leave`].
    pub fn enter(&self) -> usize {
        self.log.len()
    }

    /// Forgets every variable bound since the mark.
    pub fn leave(&mut self, mark: usize) {
        for name in self.log.drain(mark..) {
            if let Some(stack) = self.vars.get_mut(&name) {
                stack.pop();
            }
        }
    }

    /// The names of all variables, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = Sym> + '_ {
        self.vars.iter().filter(|v| !v.1.is_empty()).map(|v| *v.0)
    }

    pub fn shape(&self, value: Value) -> Vec<Dim> {
        self.b.ty(value).shape().to_vec()
    }

    /// Whether two dimensions are equal by what is known.
    pub fn equal(&self, a: Dim, b: Dim) -> bool {
        a == b || self.facts.equal(a, b) == Truth::True
    }

    /// Notes a condition that must hold at entry unless it is known to hold; false where it cannot.
    pub fn require(
        &mut self,
        relation: Relation,
        dim: Dim,
        message: &str,
        loc: aiai_ir::Loc,
    ) -> bool {
        match self.facts.check(relation, dim) {
            Truth::True => true,
            Truth::False => false,
            Truth::Unknown => {
                let dim = self.facts.normalize(dim);
                if !self
                    .requires
                    .iter()
                    .any(|r| r.dim == dim && r.relation == relation)
                {
                    self.facts.assume(relation, dim);
                    let message = message.to_owned();
                    self.requires.push(Require {
                        dim,
                        relation,
                        message,
                        loc: Some(loc),
                    });
                }
                true
            }
        }
    }
}
