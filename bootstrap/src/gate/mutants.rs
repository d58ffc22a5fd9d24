//! Step 11: mutants of the rule must fail the same checks, or the checks are too weak to tell it from them.

use aiai_prove::solver::Solver;
use aiai_prove::{Algebra, TestOptions, prove_all_sizes};

use super::candidate::File;
use super::{Bench, Outcome};
use crate::mutate;
use aiai_ir::random::{Random, derive};

/// Instances of a mutant that are looked at.
const INSTANCES: usize = 12;

/// Cases of each.
const CASES: u64 = 24;

/// `proved`: there is a proof, at stated sizes at least, whatever the other checks can tell.
pub fn check(bench: &Bench, solver: &mut dyn Solver, proved: bool) -> Outcome {
    let seed = derive(bench.seed, "mutants");
    let file = bench.candidate.file;
    let mut all = mutate::mutants(&file.text, bench.candidate.syntax);
    Random::new(seed).shuffle(&mut all);
    let helpers = file.helpers();
    let (mut killed, mut equal, mut survived) = (0u64, 0u64, Vec::new());
    for mutant in all {
        if killed + equal + survived.len() as u64 >= bench.options.mutants as u64 {
            break;
        }
        let Ok(changed) = File::read("mutant.aiai", &format!("{helpers}{}\n", mutant.text)) else {
            continue;
        };
        let Some(candidate) = changed.candidate_with(0, usize::MAX) else {
            continue;
        };
        let chosen = candidate.spread(INSTANCES);
        let mut told = false;
        let test = |(at, rule): (usize, &&aiai_ir::Rule)| {
            let seed = derive(seed, &format!("{at}"));
            let options = TestOptions {
                seed,
                cases: CASES,
                ..TestOptions::default()
            };
            let report = aiai_prove::test(rule, &options);
            told |= report.inconclusive().is_none();
            report.failure.is_some()
        };
        if chosen.iter().enumerate().any(test) {
            killed += 1;
            continue;
        }
        // One whose left side stops whatever the arguments claims nothing.
        if !told {
            continue;
        }
        let chosen: Vec<aiai_ir::Rule> = chosen.into_iter().cloned().collect();
        match prove_all_sizes(candidate.info, &chosen, solver).algebra {
            Algebra::Proved { .. } => equal += 1,
            Algebra::Bounded { .. } | Algebra::None { .. } => survived.push(mutant.change),
        }
    }
    let tried = killed + equal + survived.len() as u64;
    if tried == 0 {
        return Outcome::skipped("no mutant is a rule").seeded(seed);
    }
    let detail = format!(
        "of {tried} mutants {killed} fail, {equal} are right too, {} are undecided",
        survived.len()
    );
    if killed == 0 && survived.len() >= 3 && !proved {
        let shown = survived.join("; ");
        return Outcome::failed(&format!(
            "{detail}: the checks cannot tell the rule from wrong ones ({shown})"
        ))
        .seeded(seed);
    }
    Outcome::passed(&detail, tried).seeded(seed)
}
