//! The pipeline, on one screen.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiai_ir::policy::{CostChoice, Policies};
use aiai_ir::{Function, Module, Stage, Sym, VerifyError, verify};

use crate::differentiate::{DiffError, differentiate};
use crate::rewrite::{Limits, Rewriter, Trace, greedy_verified};
use crate::{cse, dce, fuse, inline, simplify};

/// What a caller may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Verify the IR after every pass.
    pub verify_each: bool,
    /// Verify it after every firing of a rule, each of which takes a run of the rules of its own.
    pub verify_firings: bool,
    /// The rules that are applied, if any.
    pub rules: Option<Arc<dyn Rewriter>>,
    /// Apply them by equality saturation instead of greedily.
    pub saturate: bool,
    /// Stop behind the pass of this name.
    pub stop_after: Option<String>,
    /// What the program chooses.
    pub policies: Policies,
}

/// Why the pipeline failed: the program's fault (no derivative) or ours (invalid IR).
#[derive(Clone, Debug, thiserror::Error)]
pub enum PassError {
    #[error(transparent)]
    Differentiate(#[from] DiffError),
    #[error(
        "`{entry}` has {ops} operations with the bodies of all calls; at most {MOST_OPS} are compiled"
    )]
    TooLarge { entry: Sym, ops: u64 },
    #[error("after a firing of rule `{rule}`: {error}")]
    Rule { rule: Sym, error: VerifyError },
    #[error("after pass `{pass}`: {error}")]
    Invalid {
        pass: &'static str,
        error: VerifyError,
    },
}

/// Operations of a program, at most, with the bodies of all calls: functions that call one another twice
/// make exponentially many.
const MOST_OPS: u64 = 1 << 20;

/// The names of the passes, in order.
pub const PASSES: &[&str] = &["differentiate", "rules", "simplify", "cse", "dce", "fuse"];

/// What the passes did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How long each pass took.
    pub timings: Vec<(&'static str, Duration)>,
    /// Which rules fired.
    pub trace: Trace,
}

/// Takes an entry from what the front end made to primitives, ready for code generation. The module
/// then holds the entry alone.
///
/// # Errors
/// Where something under `grad` has no derivative, or the program is too large.
pub fn optimize(module: &mut Module, entry: Sym, options: &Options) -> Result<Report, PassError> {
    let mut report = Report::default();
    let Some(function) = module.get(entry).cloned() else {
        return Ok(report);
    };
    let ops = inline::ops_with_calls(module, &function, &mut HashMap::new());
    if ops > MOST_OPS {
        return Err(PassError::TooLarge { entry, ops });
    }
    let mut function = function;
    for &pass in PASSES {
        let start = Instant::now();
        match pass {
            // Gradients become code; calls become the bodies of what they call.
            "differentiate" => function = differentiate(module, &function, &options.policies)?,
            // Rules of the language, if any are given.
            "rules" => report.trace = apply_rules(&mut function, options)?,
            // Equal ops become one.
            "cse" => cse::merge_common(&mut function),
            // What is computed together becomes a group.
            "fuse" => fuse::fuse(&mut function, &options.policies.fuse),
            // Identities and constants.
            "simplify" => simplify::simplify(&mut function),
            // What nothing uses goes.
            _ => dce::eliminate_dead_code(&mut function),
        }
        report.timings.push((pass, start.elapsed()));
        if options.verify_each {
            let mut alone = Module::default();
            alone.insert(function.clone());
            let stage = if pass == "fuse" {
                Stage::Fused
            } else {
                Stage::Primitive
            };
            verify(&alone, stage).map_err(|error| PassError::Invalid { pass, error })?;
        }
        if options.stop_after.as_deref() == Some(pass) {
            break;
        }
    }
    *module = Module::default();
    module.insert(function);
    Ok(report)
}

/// Applies the rules of the options, once equal ops are one: patterns share what programs repeat.
fn apply_rules(function: &mut Function, options: &Options) -> Result<Trace, PassError> {
    let Some(rules) = &options.rules else {
        return Ok(Trace::default());
    };
    cse::merge_common(function);
    dce::eliminate_dead_code(function);
    let policies = &options.policies;
    let costs = policies.costs.iter().map(|choice| CostChoice {
        function: inline::inline_calls(&policies.module, &choice.function),
        ..choice.clone()
    });
    let limits = Limits {
        costs: Arc::new(costs.collect()),
        ..Limits::default()
    };
    if options.saturate {
        return Ok(rules.saturate(function, &limits));
    }
    if options.verify_firings {
        let verified = greedy_verified(&**rules, function, &limits);
        return verified.map_err(|(rule, error)| PassError::Rule { rule, error });
    }
    Ok(rules.greedy(function, &limits))
}
