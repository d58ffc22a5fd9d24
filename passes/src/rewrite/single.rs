//! Matching one pattern: the whole of it, bodies of loops and branches too, with every order of the operands of
//! commutative ops. The tree narrows down which patterns are tried; this says whether one fits, and if not, how
//! far it came.

use std::collections::{HashMap, HashSet};

use aiai_ir::{OpNode, Region, Rule, Scalar, Value};

use super::keys::{Keys, dims_of};
use super::pattern::{Kind, NodeId, Pattern, PatternOp, bits, effects_in};
use super::tree::{Graph, same};
use super::unify::{Bindings, Known, Match, Miss};

/// Values of patterns that are looked at for one match, at most.
pub const STEPS: usize = 4096;

/// How near a value came to a pattern.
#[derive(Clone, Debug)]
pub struct Nearest {
    /// How many values of the pattern fitted.
    pub fitted: usize,
    /// Where it failed: the value of the pattern; none where all fitted and a condition did not hold.
    pub node: Option<NodeId>,
    /// The value that did not fit.
    pub value: Option<Value>,
    pub why: Failure,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Made by another op; or by none, as parameters are.
    Op,
    /// Of another dtype or rank.
    Type,
    /// Not a constant, or not this one.
    Constant,
    /// Another value than where the pattern has the same one.
    Same,
    /// A value that the loop or branch around it computes, where one from outside is meant.
    Inside,
    /// The regions have other numbers of arguments, results or effects.
    Regions,
    Miss(Miss),
    /// Too many orders of operands.
    Budget,
}

/// A search for one pattern in a program.
pub struct Single<'a, G: Graph<Id = Value>> {
    pub graph: &'a G,
    pub keys: &'a Keys,
    pub facts: &'a Known,
    pub rule: &'a Rule,
    pub pattern: &'a Pattern,
    number: usize,
    /// What makes the values of regions that are being matched.
    local: HashMap<Value, (&'a OpNode, usize)>,
    inside: HashSet<Value>,
    budget: usize,
    pub nearest: Option<Nearest>,
}

#[derive(Clone)]
struct State {
    nodes: Vec<Option<Value>>,
    bindings: Bindings<Value>,
    work: Vec<(NodeId, Value)>,
}

/// A maker of a value, of the program or of a region that is being matched.
struct Found<'a> {
    key: u32,
    node_op: &'a aiai_ir::Op,
    operands: &'a [Value],
    regions: &'a [Region],
}

impl<'a, G: Graph<Id = Value>> Single<'a, G> {
    pub fn new(
        graph: &'a G,
        keys: &'a Keys,
        facts: &'a Known,
        (rule, pattern, number): (&'a Rule, &'a Pattern, usize),
    ) -> Single<'a, G> {
        Single {
            graph,
            keys,
            facts,
            rule,
            pattern,
            number,
            local: HashMap::new(),
            inside: HashSet::new(),
            budget: STEPS,
            nearest: None,
        }
    }

    /// The match whose root is `value`, if there is one.
    pub fn run(&mut self, value: Value) -> Option<Match<Value>> {
        let state = State {
            nodes: vec![None; self.pattern.nodes.len()],
            bindings: Bindings::new(self.rule.params.len()),
            work: vec![(self.pattern.root, value)],
        };
        self.solve(state)
    }

    fn solve(&mut self, mut state: State) -> Option<Match<Value>> {
        while let Some((id, value)) = state.work.pop() {
            if self.budget == 0 {
                return self.fail(&state, Some(id), Some(value), Failure::Budget);
            }
            self.budget -= 1;
            if let Some(known) = state.nodes[id] {
                if known == value || same(self.graph, known, value) {
                    continue;
                }
                return self.fail(&state, Some(id), Some(value), Failure::Same);
            }
            let node = &self.pattern.nodes[id];
            let ty = self.graph.ty(value);
            if (ty.dtype(), ty.rank()) != (node.ty.dtype(), node.ty.rank()) {
                return self.fail(&state, Some(id), Some(value), Failure::Type);
            }
            if let Err(miss) = state.bindings.ty(self.facts, &node.ty, ty) {
                return self.fail(&state, Some(id), Some(value), Failure::Miss(miss));
            }
            if let Kind::Op(op) = &node.kind {
                let Some(found) = self.maker(value, op) else {
                    return self.fail(&state, Some(id), Some(value), Failure::Op);
                };
                state.nodes[id] = Some(value);
                match self.enter(&mut state, op, &found) {
                    Ok(None) => continue,
                    Ok(Some(swapped)) => {
                        return self.solve(state).or_else(|| self.solve(swapped));
                    }
                    Err(why) => return self.fail(&state, Some(id), Some(value), why),
                }
            }
            if let Err(why) = self.leaf(&mut state, &node.kind, value) {
                return self.fail(&state, Some(id), Some(value), why);
            }
            state.nodes[id] = Some(value);
        }
        let bindings = state.bindings.clone();
        match bindings.finish(self.facts, self.number, self.rule) {
            Ok(found) => Some(found),
            Err(miss) => self.fail(&state, None, None, Failure::Miss(miss)),
        }
    }

    fn fail(
        &mut self,
        state: &State,
        node: Option<NodeId>,
        value: Option<Value>,
        why: Failure,
    ) -> Option<Match<Value>> {
        let fitted = state.nodes.iter().flatten().count();
        let best = self.nearest.as_ref().map(|n| (n.fitted, n.node.is_none()));
        if best.is_none_or(|best| (fitted, node.is_none()) > best) {
            self.nearest = Some(Nearest {
                fitted,
                node,
                value,
                why,
            });
        }
        None
    }

    fn leaf(&self, state: &mut State, kind: &Kind, value: Value) -> Result<(), Failure> {
        let splat = match kind {
            Kind::Splat(_) | Kind::Literal(_) | Kind::Size(_) => self.splat(value),
            Kind::Param(_) | Kind::Op(_) | Kind::Argument => None,
        };
        match kind {
            Kind::Param(_) if self.inside.contains(&value) => return Err(Failure::Inside),
            Kind::Splat(_) | Kind::Size(_) if splat.is_none() => return Err(Failure::Constant),
            Kind::Literal(wanted) if splat.map(bits) != Some(*wanted) => {
                return Err(Failure::Constant);
            }
            // Arguments are bound when their region is entered.
            Kind::Argument => return Err(Failure::Same),
            Kind::Param(_) | Kind::Splat(_) | Kind::Literal(_) | Kind::Size(_) | Kind::Op(_) => {}
        }
        let dtype = self.graph.ty(value).dtype();
        let bound = state.bindings.leaf(self.rule, kind, value, (dtype, splat));
        bound.map_err(Failure::Miss)
    }

    fn maker(&self, value: Value, op: &PatternOp) -> Option<Found<'a>> {
        let found = if let Some(&(node, result)) = self.local.get(&value) {
            let ty = self.graph.ty(value);
            Found {
                key: self.keys.of(&node.op, node.operands.len(), result, ty),
                node_op: &node.op,
                operands: &node.operands,
                regions: &node.regions,
            }
        } else if self.graph.makers(value) > 0 {
            let maker = self.graph.maker(value, 0);
            Found {
                key: maker.key,
                node_op: maker.op,
                operands: maker.operands,
                regions: maker.regions,
            }
        } else {
            return None;
        };
        (found.key == op.key).then_some(found)
    }

    /// Binds the attributes of an op and puts what hangs on it on the list of work. Where the operands may be
    /// exchanged, the second result is the state with them exchanged.
    fn enter(
        &mut self,
        state: &mut State,
        op: &PatternOp,
        found: &Found<'a>,
    ) -> Result<Option<State>, Failure> {
        if !op.dims.is_empty() {
            let dims = dims_of(found.node_op);
            let bound = state.bindings.dims(self.facts, &op.dims, &dims);
            bound.map_err(Failure::Miss)?;
        }
        if op.regions.len() != found.regions.len() {
            return Err(Failure::Regions);
        }
        for (pattern, region) in op.regions.iter().zip(found.regions) {
            let effects: usize = region.ops.iter().map(effects_in).sum();
            if pattern.args.len() != region.args.len()
                || pattern.yields.len() != region.yields.len()
                || pattern.effects != effects
            {
                return Err(Failure::Regions);
            }
            self.inside.extend(&region.args);
            for node in &region.ops {
                for (number, &result) in node.results.iter().enumerate() {
                    self.local.insert(result, (node, number));
                    self.inside.insert(result);
                }
            }
            for (&arg, &value) in pattern.args.iter().zip(&region.args) {
                let (wanted, ty) = (&self.pattern.nodes[arg].ty, self.graph.ty(value));
                if (wanted.dtype(), wanted.rank()) != (ty.dtype(), ty.rank()) {
                    return Err(Failure::Type);
                }
                let bound = state.bindings.ty(self.facts, wanted, ty);
                bound.map_err(Failure::Miss)?;
                state.nodes[arg] = Some(value);
            }
            let yields = pattern.yields.iter().copied();
            state.work.extend(yields.zip(region.yields.iter().copied()));
        }
        let pairs = op
            .operands
            .iter()
            .copied()
            .zip(found.operands.iter().copied());
        if op.op.is_commutative() && found.operands[0] != found.operands[1] {
            let mut swapped = state.clone();
            swapped.work.push((op.operands[1], found.operands[0]));
            swapped.work.push((op.operands[0], found.operands[1]));
            state.work.extend(pairs.rev());
            return Ok(Some(swapped));
        }
        state.work.extend(pairs.rev());
        Ok(None)
    }

    fn splat(&self, value: Value) -> Option<Scalar> {
        let Some((node, _)) = self.local.get(&value) else {
            return self.graph.splat(value);
        };
        match &node.op {
            aiai_ir::Op::Constant { value } => value.splat(),
            aiai_ir::Op::Broadcast { .. } => self.splat(node.operands[0]),
            _ => None,
        }
    }
}
