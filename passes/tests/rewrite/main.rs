//! Rewriting by rules that are written as text.

mod greedy;
mod library;
mod saturate;
mod simplifier;
mod sketch;
mod why;

use aiai_frontend::elaborate::{Loader, Program, check};
use aiai_ir::{DType, Function, Instance, Module, Rule, Stage, verify};
use aiai_passes::rewrite::{Limits, Rules, Trace, greedy_verified, prepare};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

pub fn program(text: &str) -> Program {
    let program = check("test.aiai", text, &NoFiles);
    let first = program.diagnostics.iter().next();
    assert!(first.is_none(), "{first:?}");
    program
}

/// All instances of the rules of a text up to rank 3 over a float and an integer.
pub fn instances(text: &str) -> Vec<Rule> {
    let program = program(text);
    let mut wanted: Vec<(usize, Instance)> = Vec::new();
    for (index, info) in program.rule_infos().iter().enumerate() {
        let found = info.instances(0..=3, &[DType::F32, DType::I32, DType::Bool], 10_000);
        wanted.extend(found.into_iter().map(|instance| (index, instance)));
    }
    prepare(program.instantiate(&wanted))
}

pub fn rules(text: &str) -> Rules {
    Rules::new(instances(text))
}

/// A function of a program, with its calls replaced and equal ops merged.
pub fn function(text: &str, name: &str) -> Function {
    let program = program(text);
    let entry = program.entry(name, &Default::default());
    let entry = entry.unwrap_or_else(|d| panic!("{d:?}"));
    let found = entry.module.get(entry.name).expect("the entry");
    let mut function = aiai_passes::inline::inline_calls(&entry.module, found);
    aiai_passes::cse::merge_common(&mut function);
    aiai_passes::dce::eliminate_dead_code(&mut function);
    function
}

pub fn valid(function: &Function) {
    let mut module = Module::default();
    module.insert(function.clone());
    verify(&module, Stage::Primitive).unwrap_or_else(|e| panic!("{e}\n{function}"));
}

/// Names of ops, in order, those of regions too.
pub fn ops(function: &Function) -> Vec<&'static str> {
    let mut names = Vec::new();
    function.body.walk(&mut |node| names.push(node.op.name()));
    names
}

/// Rewrites the function `f` of a text greedily by the rules of another; checks it behind every firing.
pub fn rewritten(rules_text: &str, text: &str) -> (Function, Trace) {
    let rules = rules(rules_text);
    let mut f = function(text, "f");
    let trace = greedy_verified(&rules, &mut f, &Limits::default());
    let trace = trace.unwrap_or_else(|e| panic!("{}: {}", e.0, e.1));
    valid(&f);
    (f, trace)
}
