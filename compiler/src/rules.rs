//! Which rules rewrite programs, and what they did.

use std::sync::Arc;

use aiai_frontend::elaborate::{Program, rule_library};
use aiai_frontend::stdlib::RULES;
use aiai_ir::{Instance, RuleAttribute, RuleInfo, RuleSet, Sym};
use aiai_passes::rewrite::{Firing, Float, Library, Rewriter, Source, Trace};
use serde_json::{Value, json};

use crate::cli::{FloatChoice, Global, RuleChoice};
use crate::{Failure, driver, output};

/// A program of rules as a source of instances.
struct OfProgram(Program);

impl Source for OfProgram {
    fn infos(&self) -> Vec<RuleInfo> {
        self.0.rule_infos()
    }

    fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet {
        self.0.instantiate(wanted)
    }
}

/// What the command line asks the passes to do.
pub fn options(global: &Global) -> Result<aiai_passes::Options, Failure> {
    let library = library(global.rules, float_of(global), global)?;
    Ok(aiai_passes::Options {
        rules: library.map(|library| Arc::new(library) as Arc<dyn Rewriter>),
        saturate: global.saturate,
        ..Default::default()
    })
}

/// The classes of rules that the command line admits.
pub fn float_of(global: &Global) -> Float {
    match global.fp {
        FloatChoice::Strict => Float::Strict,
        FloatChoice::Real => Float::Real,
    }
}

/// The rules of the files that are given, then those of a set; none where there are none.
pub fn library(
    choice: RuleChoice,
    float: Float,
    global: &Global,
) -> Result<Option<Library>, Failure> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for path in &global.with_rules {
        let program = driver::load(path, global)?;
        if program.rule_infos().is_empty() {
            let path = path.display();
            return Err(Failure::input(format!("{path}: there is no rule in it")));
        }
        sources.push(Box::new(OfProgram(program)));
    }
    if choice == RuleChoice::Stdlib && !RULES.is_empty() {
        sources.push(Box::new(OfProgram(rule_library(RULES))));
    }
    Ok((!sources.is_empty()).then(|| Library::new(sources, float)))
}

/// Says on standard error what the rules did.
pub fn explain(trace: &Trace) {
    for firing in &trace.firings {
        output::note(&line(firing));
    }
    if let Some(limit) = trace.limit_hit {
        output::note(&format!("the rules stopped at a limit: {limit}"));
    }
    for rule in &trace.cut {
        output::note(&cut(*rule));
    }
}

/// The firings as text.
pub fn text(trace: &Trace) -> String {
    let mut lines: Vec<String> = trace.firings.iter().map(line).collect();
    if let Some(limit) = trace.limit_hit {
        lines.push(format!("stopped at a limit: {limit}"));
    }
    lines.extend(trace.cut.iter().map(|rule| cut(*rule)));
    let count = trace.firings.len();
    let noun = if count == 1 { "firing" } else { "firings" };
    lines.push(format!("{count} {noun}"));
    lines.join("\n")
}

fn cut(rule: Sym) -> String {
    format!("`{rule}` has more instances for this function than are made: not all were tried")
}

fn line(firing: &Firing) -> String {
    let place = firing.place.map_or(String::new(), |l| {
        format!("{}:{}:{}: ", l.file, l.line, l.column)
    });
    format!(
        "{place}{}{}: {} => {}",
        firing.rule,
        instance_text(&firing.instance),
        firing.before,
        firing.after
    )
}

/// The firings as JSON.
pub fn described(trace: &Trace) -> Value {
    let firings = trace.firings.iter().map(|firing| {
        json!({
            "rule": firing.rule.as_str(),
            "instance": instance_text(&firing.instance),
            "place": firing.place.map(|l| json!({
                "file": l.file.as_str(), "line": l.line, "column": l.column,
            })),
            "before": firing.before,
            "after": firing.after,
        })
    });
    json!({
        "schema": 1,
        "firings": firings.collect::<Vec<_>>(),
        "limit": trace.limit_hit.map(|limit| limit.to_string()),
        "cut": trace.cut.iter().map(|rule| rule.as_str()).collect::<Vec<_>>(),
    })
}

/// What an instance fills in, such as `<S: 2, T: f32, k: 1>`.
pub fn instance_text(instance: &Instance) -> String {
    let mut parts = Vec::new();
    parts.extend(
        instance
            .ranks
            .iter()
            .map(|(n, rank)| format!("{n}: {rank}")),
    );
    parts.extend(
        instance
            .dtypes
            .iter()
            .map(|(n, dtype)| format!("{n}: {dtype}")),
    );
    for (name, value) in &instance.attributes {
        let value = match value {
            RuleAttribute::Int(i) => i.to_string(),
            RuleAttribute::Bool(b) => b.to_string(),
            RuleAttribute::Axes(axes) => format!("{axes:?}"),
        };
        parts.push(format!("{name}: {value}"));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!("<{}>", parts.join(", ")),
    }
}
