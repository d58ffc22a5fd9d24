//! Mutants of a rule that are really wrong, each with a witness; found in a worker.

use aiai_prove::solver::Solver;
use aiai_prove::{Algebra, prove_all_sizes};
use serde::{Deserialize, Serialize};

use crate::gate::candidate::{Candidate, File};
use crate::mutate::{self, Mutant};
use crate::witness;
use aiai_ir::random::{Random, derive};

/// What is known of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// With a witness.
    Wrong(String),
    /// By a proof.
    Right,
    Undecided,
}

/// A mutant that is a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub rule: String,
    pub operator: String,
    pub change: String,
    /// A file of it alone.
    pub text: String,
    pub standing: Standing,
}

/// Inputs tried for a witness, per instance.
const TRIES: usize = 300;

/// Instances on which a witness is looked for.
const INSTANCES: usize = 24;

/// Mutants of one rule that are well typed, `most` of them, as different from one another as they come.
pub fn find_mutants(
    name: &str,
    text: &str,
    rule: &str,
    (seed, most): (u64, usize),
    solver: &mut dyn Solver,
) -> Vec<Found> {
    let Ok(file) = File::read(name, text) else {
        return Vec::new();
    };
    let index = file
        .infos
        .iter()
        .position(|info| info.name.as_str() == rule);
    let Some(candidate) = index.and_then(|index| file.candidate_with(index, 1)) else {
        return Vec::new();
    };
    let mut all = mutate::mutants(&file.text, candidate.syntax);
    let seed = derive(seed, rule);
    Random::new(seed).shuffle(&mut all);
    spread(&mut all);
    let helpers = file.helpers();
    let mut found = Vec::new();
    for mutant in all {
        if found.len() == most {
            break;
        }
        let text = format!("{helpers}{}\n", mutant.text);
        let Ok(changed) = File::read("mutant.aiai", &text) else {
            continue;
        };
        let Some(candidate) = changed.candidate(0) else {
            continue;
        };
        if candidate.instances.is_empty() {
            continue;
        }
        let standing = standing(&candidate, seed, solver);
        found.push(Found {
            rule: rule.to_owned(),
            operator: mutant.operator.to_owned(),
            change: mutant.change,
            text,
            standing,
        });
    }
    found
}

/// Ways of changing a rule in turns, so that none crowds out the others.
fn spread(all: &mut [Mutant]) {
    let mut seen: std::collections::BTreeMap<&'static str, usize> =
        std::collections::BTreeMap::new();
    let mut keyed: Vec<(usize, Mutant)> = all
        .iter()
        .map(|mutant| {
            let turn = seen.entry(mutant.operator).or_default();
            *turn += 1;
            (*turn, mutant.clone())
        })
        .collect();
    keyed.sort_by_key(|(turn, _)| *turn);
    for (place, (_, mutant)) in all.iter_mut().zip(keyed) {
        *place = mutant;
    }
}

fn standing(candidate: &Candidate, seed: u64, solver: &mut dyn Solver) -> Standing {
    let chosen = candidate.spread(INSTANCES);
    let shown = chosen
        .iter()
        .enumerate()
        .find_map(|(at, rule)| witness::find(rule, derive(seed, &at.to_string()), TRIES));
    if let Some(witness) = shown {
        return Standing::Wrong(witness.describe());
    }
    let proof = prove_all_sizes(candidate.info, &candidate.for_proof(), solver);
    let proved = matches!(proof.algebra, Algebra::Proved { .. });
    let exact = candidate.info.class == aiai_ir::FloatClass::Exact;
    if proved && (!exact || proof.float_proved) {
        Standing::Right
    } else {
        Standing::Undecided
    }
}
