//! What training expects of the functions of a program, and how their parameters are filled.

use std::collections::BTreeMap;

use aiai_frontend::elaborate::{Entry, Leaf, Shape};
use aiai_ir::DType;

use crate::cli::Global;
use crate::project::{Project, TrainSection};
use crate::{Failure, driver};

/// One parameter of `step` or `evaluate` behind the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Filled {
    Key,
    Progress,
    /// A table of `[data]`, by name.
    Table(String),
    /// These leaves of the state.
    State(std::ops::Range<usize>),
}

/// The three functions, checked against one another.
pub struct Contract {
    pub init: Entry,
    pub step: Entry,
    pub evaluate: Entry,
    /// Leaves of the state, named by the parameters of `step`.
    pub state: Vec<Leaf>,
    /// What fills the parameters of `step` behind the state.
    pub step_inputs: Vec<Filled>,
    pub evaluate_inputs: Vec<Filled>,
    /// Whether `evaluate` counts right answers.
    pub counts: bool,
}

impl Contract {
    pub fn new(
        project: &Project,
        section: &TrainSection,
        global: &Global,
    ) -> Result<Contract, Failure> {
        let entry = |name: &str| driver::entry(&project.program, name, &BTreeMap::new(), global);
        let init = entry(&section.init)?;
        let step = entry(&section.step)?;
        let evaluate = entry(&section.evaluate)?;
        let [(_, Shape::Key, _)] = init.signature.params.as_slice() else {
            return Err(Failure::input(format!(
                "`{}` takes one `Key` and nothing else",
                section.init
            )));
        };
        let parts = state_parts(section, &init, &step)?;
        let params = &step.signature.params;
        let state: Vec<Leaf> = params[..parts].iter().flat_map(|p| p.2.clone()).collect();
        check_step_results(section, &step, &state)?;
        let mut step_inputs = Vec::new();
        for (name, shape, leaves) in &params[parts..] {
            step_inputs.push(filled(&section.step, name, shape, leaves, project)?);
        }
        let evaluate_inputs = evaluate_inputs(project, section, &step, parts, &evaluate)?;
        let counts = check_evaluate_results(section, &evaluate)?;
        Ok(Contract {
            init,
            step,
            evaluate,
            state,
            step_inputs,
            evaluate_inputs,
            counts,
        })
    }

    /// The parameters that tables fill, once each.
    pub fn table_leaves(&self) -> Result<Vec<&Leaf>, Failure> {
        let mut found: Vec<&Leaf> = Vec::new();
        let params = self.step.signature.params.iter();
        for (name, shape, leaves) in params.chain(&self.evaluate.signature.params) {
            let is_state = self.state.iter().any(|l| l.path.starts_with(name.as_str()));
            if is_state || *shape != Shape::Tensor || name == "progress" {
                continue;
            }
            match found.iter().find(|l| l.path == *name) {
                None => found.push(&leaves[0]),
                Some(known) if same_type(known, &leaves[0], true) => {}
                Some(known) => {
                    return Err(Failure::input(format!(
                        "`{name}` is {} in one function and {} in the other",
                        describe(known),
                        describe(&leaves[0])
                    )));
                }
            }
        }
        for leaf in &found {
            if leaf.shape.first().is_none_or(|d| d.as_sym().is_none()) {
                return Err(Failure::input(format!(
                    "`{}` is {}; its first dimension must be a name, the batch",
                    leaf.path,
                    describe(leaf)
                )));
            }
        }
        Ok(found)
    }
}

fn describe(leaf: &Leaf) -> String {
    let dims: Vec<String> = leaf.shape.iter().map(ToString::to_string).collect();
    format!("{}[{}]", leaf.dtype, dims.join(", "))
}

/// The same dtype and shape; the batch may have another name.
fn same_type(a: &Leaf, b: &Leaf, batched: bool) -> bool {
    let skip = usize::from(batched);
    a.dtype == b.dtype
        && a.shape.len() == b.shape.len()
        && a.shape[skip.min(a.shape.len())..] == b.shape[skip.min(b.shape.len())..]
}

/// How many parameters of `step` are the state: as many as `init` returns parts.
fn state_parts(section: &TrainSection, init: &Entry, step: &Entry) -> Result<usize, Failure> {
    let made = &init.signature.result_leaves;
    let parts = match &init.signature.result {
        Shape::Tuple(parts) => parts.len(),
        _ => 1,
    };
    let params = &step.signature.params;
    let (init_name, step_name) = (&section.init, &section.step);
    if params.len() < parts {
        return Err(Failure::input(format!(
            "`{init_name}` returns {parts} parts, `{step_name}` takes {} parameters",
            params.len()
        )));
    }
    let taken: Vec<&Leaf> = params[..parts].iter().flat_map(|p| &p.2).collect();
    if made.len() != taken.len() {
        let names: Vec<&str> = params[..parts].iter().map(|p| p.0.as_str()).collect();
        return Err(Failure::input(format!(
            "`{init_name}` returns {} tensors; the first parameters of `{step_name}`, `{}`, hold {}",
            made.len(),
            names.join("`, `"),
            taken.len()
        )));
    }
    for (a, b) in made.iter().zip(&taken) {
        if !same_type(a, b, false) {
            return Err(Failure::input(format!(
                "`{step_name}` takes `{}: {}`; `{init_name}` returns {} for it",
                b.path,
                describe(b),
                describe(a)
            )));
        }
    }
    Ok(parts)
}

fn check_step_results(section: &TrainSection, step: &Entry, state: &[Leaf]) -> Result<(), Failure> {
    let results = &step.signature.result_leaves;
    let fits = results.len() == state.len() + 1
        && results
            .iter()
            .zip(state)
            .all(|(a, b)| same_type(a, b, false));
    let loss = results
        .last()
        .is_some_and(|l| l.dtype == DType::F32 && l.shape.is_empty());
    if fits && loss {
        return Ok(());
    }
    Err(Failure::input(format!(
        "`{}` returns {} tensors; expected the {} of the state, then the loss, one f32[]",
        section.step,
        results.len(),
        state.len()
    )))
}

fn filled(
    function: &str,
    name: &str,
    shape: &Shape,
    leaves: &[Leaf],
    project: &Project,
) -> Result<Filled, Failure> {
    let tables = project.config.data.iter().flat_map(|d| d.tables.keys());
    let tables: Vec<&str> = tables.map(String::as_str).collect();
    let is_table = tables.contains(&name);
    match (name, shape) {
        (_, Shape::Key) => Ok(Filled::Key),
        ("progress", Shape::Tensor)
            if leaves[0].shape.is_empty() && leaves[0].dtype == DType::F32 =>
        {
            Ok(Filled::Progress)
        }
        (_, Shape::Tensor) if is_table => Ok(Filled::Table(name.to_owned())),
        _ => {
            let known = if tables.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there is `[data.{}]`", tables.join("]`, `[data."))
            };
            Err(Failure::input(format!(
                "nothing fills `{name}` of `{function}`: it is no part of the state, no `Key`, not \
                 `progress: f32[]`, and no table of `[data]`: {known}"
            )))
        }
    }
}

fn evaluate_inputs(
    project: &Project,
    section: &TrainSection,
    step: &Entry,
    parts: usize,
    evaluate: &Entry,
) -> Result<Vec<Filled>, Failure> {
    let mut inputs = Vec::new();
    for (name, shape, leaves) in &evaluate.signature.params {
        let mut first = 0;
        let mut found = None;
        for (part, _, own) in &step.signature.params[..parts] {
            if part == name {
                found = Some((first..first + own.len(), own));
            }
            first += own.len();
        }
        let Some((range, own)) = found else {
            inputs.push(filled(&section.evaluate, name, shape, leaves, project)?);
            continue;
        };
        let same = own.len() == leaves.len()
            && own.iter().zip(leaves).all(|(a, b)| same_type(a, b, false));
        if !same {
            return Err(Failure::input(format!(
                "`{name}` has another type in `{}` than in `{}`",
                section.evaluate, section.step
            )));
        }
        inputs.push(Filled::State(range));
    }
    Ok(inputs)
}

/// Whether `evaluate` counts right answers beside the loss.
fn check_evaluate_results(section: &TrainSection, evaluate: &Entry) -> Result<bool, Failure> {
    let leaves = &evaluate.signature.result_leaves;
    let types: Vec<(DType, usize)> = leaves.iter().map(|l| (l.dtype, l.shape.len())).collect();
    match types.as_slice() {
        [(DType::F32, 0)] => Ok(false),
        [(DType::F32, 0), (DType::I64, 0)] => Ok(true),
        _ => Err(Failure::input(format!(
            "`{}` returns the loss, an f32[], and for classifiers how many are right, an i64[]",
            section.evaluate
        ))),
    }
}
