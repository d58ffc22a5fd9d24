//! The verifier. It checks that
//! 1. every value is defined exactly once, and used only where its definition is in scope;
//! 2. operand, result and region types follow the op's type rule;
//! 3. calls name functions of the module, fit their parameters, and form no cycle;
//! 4. parameters, results and their names and flags have the same counts;
//! 5. every op is legal at the stated level and phase.
//!
//! A failure is a bug of this compiler, never of its user.

use std::collections::BTreeMap;
use std::fmt;

use crate::module::{Function, Module, OpNode, Region, Value};
use crate::ops::Levels;
use crate::{Op, Sym, Type};

/// Which ops may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Tensor level with calls and gradients: what the front end makes.
    Source,
    /// Tensor level without gradients.
    Differentiated,
    /// Tensor level without calls: primitives only.
    Primitive,
    /// Tensor level after fusion: also groups.
    Fused,
    /// Loop level.
    Loop,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    pub function: Sym,
    pub op: Option<String>,
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid IR (a bug in aiai): in @{}", self.function)?;
        if let Some(op) = &self.op {
            write!(f, ", at `{op}`")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks a whole module.
pub fn verify(module: &Module, stage: Stage) -> Result<(), VerifyError> {
    for (name, function) in &module.functions {
        let mut checker = Checker {
            module,
            function,
            stage,
            scope: vec![false; function.value_count()],
        };
        checker.function(*name)?;
    }
    no_recursion(module)
}

struct Checker<'m> {
    module: &'m Module,
    function: &'m Function,
    stage: Stage,
    /// Per value, whether it may be used here.
    scope: Vec<bool>,
}

impl Checker<'_> {
    fn error(&self, op: Option<&OpNode>, message: impl Into<String>) -> VerifyError {
        let op = op.map(|node| node.op.name().to_owned());
        VerifyError {
            function: self.function.name,
            op,
            message: message.into(),
        }
    }

    fn function(&mut self, name: Sym) -> Result<(), VerifyError> {
        let function = self.function;
        if function.name != name {
            return Err(self.error(None, "is filed under another name"));
        }
        let params = function.body.args.len();
        if function.param_names.len() != params || function.owned.len() != params {
            return Err(self.error(None, "parameters and their names differ in number"));
        }
        if function.result_names.len() != function.body.yields.len() {
            return Err(self.error(None, "results and their names differ in number"));
        }
        self.region(&function.body)
    }

    fn define(&mut self, value: Value, op: Option<&OpNode>) -> Result<(), VerifyError> {
        match self.scope.get_mut(value.0 as usize) {
            None => Err(self.error(op, format!("value {} does not exist", value.0))),
            Some(defined @ false) => {
                *defined = true;
                Ok(())
            }
            Some(true) => Err(self.error(op, format!("value {} is defined twice", value.0))),
        }
    }

    fn check_use(&self, value: Value, op: Option<&OpNode>) -> Result<(), VerifyError> {
        match self.scope.get(value.0 as usize) {
            Some(true) => Ok(()),
            _ => Err(self.error(
                op,
                format!("value {} is used where it is not defined", value.0),
            )),
        }
    }

    fn region(&mut self, region: &Region) -> Result<(), VerifyError> {
        for &arg in &region.args {
            self.define(arg, None)?;
        }
        for node in &region.ops {
            self.node(node)?;
        }
        for &value in &region.yields {
            self.check_use(value, None)?;
        }
        // Out of scope again; ids are unique, so marking them unusable also forbids redefinition
        // only within nested scopes, which is where it could matter.
        for &value in region
            .args
            .iter()
            .chain(region.ops.iter().flat_map(|n| &n.results))
        {
            self.scope[value.0 as usize] = false;
        }
        Ok(())
    }

    fn node(&mut self, node: &OpNode) -> Result<(), VerifyError> {
        if !is_legal(&node.op, self.stage) {
            return Err(self.error(
                Some(node),
                format!("is not legal at stage {:?}", self.stage),
            ));
        }
        for &operand in &node.operands {
            self.check_use(operand, Some(node))?;
        }
        for region in &node.regions {
            self.region(region)?;
        }
        let types = |values: &[Value]| -> Vec<Type> {
            values
                .iter()
                .map(|&v| self.function.ty(v).clone())
                .collect()
        };
        let operands = types(&node.operands);
        let rims: Vec<_> = node
            .regions
            .iter()
            .map(|r| self.function.region_types(r))
            .collect();
        let inferred = node
            .op
            .infer(&operands, &rims)
            .map_err(|e| self.error(Some(node), e))?;
        for &result in &node.results {
            self.define(result, Some(node))?;
        }
        let actual = types(&node.results);
        if inferred != actual {
            let message = format!("has results {actual:?}, its rule says {inferred:?}");
            return Err(self.error(Some(node), message));
        }
        self.callee(node, &operands, &actual)
    }

    fn callee(
        &self,
        node: &OpNode,
        operands: &[Type],
        results: &[Type],
    ) -> Result<(), VerifyError> {
        let (callee, gradients) = match &node.op {
            Op::Call { callee, .. } => (*callee, 0),
            Op::Grad { callee, wrt, .. } => (*callee, wrt.len()),
            _ => return Ok(()),
        };
        let Some(function) = self.module.get(callee) else {
            return Err(self.error(Some(node), format!("calls @{callee}, which does not exist")));
        };
        let expected = function
            .call_types(operands)
            .map_err(|e| self.error(Some(node), e))?;
        if expected != results[..results.len() - gradients] {
            let message = format!("@{callee} returns {expected:?}, not {results:?}");
            return Err(self.error(Some(node), message));
        }
        Ok(())
    }
}

/// Whether an op may occur at a stage.
pub fn is_legal(op: &Op, stage: Stage) -> bool {
    let level = op.info().levels;
    let call = matches!(op, Op::Call { .. });
    let grad = matches!(op, Op::Grad { .. });
    let group = matches!(op, Op::Fused { .. });
    match stage {
        Stage::Source => level != Levels::Loop && !group,
        Stage::Differentiated => level != Levels::Loop && !group && !grad,
        Stage::Primitive => level != Levels::Loop && !group && !grad && !call,
        Stage::Fused => level != Levels::Loop && !grad && !call,
        Stage::Loop => level != Levels::Tensor,
    }
}

fn no_recursion(module: &Module) -> Result<(), VerifyError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Open,
        Done,
    }
    fn visit(
        module: &Module,
        name: Sym,
        marks: &mut BTreeMap<Sym, Mark>,
    ) -> Result<(), VerifyError> {
        match marks.get(&name) {
            Some(Mark::Done) => return Ok(()),
            Some(Mark::Open) => {
                return Err(VerifyError {
                    function: name,
                    op: None,
                    message: "calls itself".into(),
                });
            }
            None => {}
        }
        marks.insert(name, Mark::Open);
        let mut callees = Vec::new();
        if let Some(function) = module.get(name) {
            function.body.walk(&mut |node| {
                if let Op::Call { callee, .. } | Op::Grad { callee, .. } = &node.op {
                    callees.push(*callee);
                }
            });
        }
        for callee in callees {
            visit(module, callee, marks)?;
        }
        marks.insert(name, Mark::Done);
        Ok(())
    }
    let mut marks = BTreeMap::new();
    module
        .functions
        .keys()
        .try_for_each(|name| visit(module, *name, &mut marks))
}
