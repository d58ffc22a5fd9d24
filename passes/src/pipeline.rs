//! The pipeline, on one screen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aiai_ir::policy::Policies;
use aiai_ir::{Module, Stage, Sym, VerifyError, verify};

use crate::differentiate::{DiffError, differentiate};
use crate::{cse, dce, fuse, inline, simplify};

/// What a caller may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Verify the IR after every pass.
    pub verify_each: bool,
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
pub const PASSES: &[&str] = &["differentiate", "simplify", "cse", "dce", "fuse"];

/// How long each pass took.
pub type Timings = Vec<(&'static str, Duration)>;

/// Takes an entry from what the front end made to primitives, ready for code generation. The module
/// then holds the entry alone.
///
/// # Errors
/// Where something under `grad` has no derivative, or the program is too large.
pub fn optimize(module: &mut Module, entry: Sym, options: &Options) -> Result<Timings, PassError> {
    let mut timings = Timings::new();
    let Some(function) = module.get(entry).cloned() else {
        return Ok(timings);
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
            // Equal ops become one.
            "cse" => cse::merge_common(&mut function),
            // What is computed together becomes a group.
            "fuse" => fuse::fuse(&mut function, &options.policies.fuse),
            // Identities and constants.
            "simplify" => simplify::simplify(&mut function),
            // What nothing uses goes.
            _ => dce::eliminate_dead_code(&mut function),
        }
        timings.push((pass, start.elapsed()));
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
    Ok(timings)
}
