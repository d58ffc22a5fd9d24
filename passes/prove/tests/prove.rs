//! Right rules must be proved, wrong ones must not: files of rules, one family per file.

mod common;

use aiai_ir::DType;
use aiai_prove::solver::{Answer, Process, Solver};
use aiai_prove::{Algebra, RuleProof, prove_all};
use common::{files, rules};

/// Whether there is a solver; without one there are fewer proofs.
fn solver_is_there() -> bool {
    let answer = Process::z3().ask("(check-sat)");
    let there = !matches!(answer, Answer::NotAttempted(_));
    if !there {
        println!("no solver here: scripts/solver.sh installs it");
    }
    there
}

fn verdicts(folder: &str) -> Vec<(String, RuleProof)> {
    let only = std::env::var("RULE").ok();
    let mut solver = Process::z3();
    let mut found = Vec::new();
    for (file, text) in files(folder) {
        for (info, instances) in rules(&file, &text, 2, &[DType::F32, DType::I32]) {
            if only.as_ref().is_some_and(|name| info.name.as_str() != name) {
                continue;
            }
            let start = std::time::Instant::now();
            let proof = prove_all(&info, &instances, &mut solver);
            if start.elapsed().as_secs() >= 2 {
                println!("slow: {file}: {} {:?}", info.name, start.elapsed());
            }
            if only.is_some() {
                println!("{}", proof.steps.join("\n"));
                println!("bits proved: {}", proof.float_proved);
            }
            found.push((format!("{file}: {}", info.name), proof));
        }
    }
    found
}

#[test]
fn right_rules_are_proved() {
    let verdicts = verdicts("tests/right");
    let total = verdicts.len();
    let failed: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| !matches!(proof.algebra, Algebra::Proved { .. }))
        .map(|(name, proof)| format!("{name}: {:?}", proof.algebra))
        .collect();
    println!("{} of {total} proved", total - failed.len());
    assert!(
        failed.is_empty() || !solver_is_there(),
        "not proved:\n{}",
        failed.join("\n")
    );
}

/// The rules of the library, of which not every one has a proof.
#[test]
fn most_rules_of_the_library_are_proved() {
    let verdicts = verdicts("../../stdlib/rules");
    let total = verdicts.len();
    let count = |holds: fn(&RuleProof) -> bool| verdicts.iter().filter(|v| holds(&v.1)).count();
    let bounded = count(|proof| matches!(proof.algebra, Algebra::Bounded { .. }));
    let bits = count(|proof| proof.float_proved);
    let refuted: Vec<&str> = verdicts
        .iter()
        .filter(|(_, proof)| proof.counterexample.is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(refuted.is_empty(), "refuted: {}", refuted.join(", "));
    let failed: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| !matches!(proof.algebra, Algebra::Proved { .. }))
        .map(|(name, proof)| format!("{name}: {:?}", proof.algebra))
        .collect();
    let proved = total - failed.len();
    println!(
        "{proved} of {total} proved, {bounded} bounded, bits of {bits}; not proved:\n{}",
        failed.join("\n")
    );
    assert!(
        proved * 4 >= total * 3 || !solver_is_there(),
        "{proved} of {total}"
    );
}

/// Exact rules whose sides have the same bits for every input.
#[test]
fn bits_are_proved() {
    let verdicts = verdicts("tests/bits");
    let total = verdicts.len();
    let failed: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| !proof.float_proved)
        .map(|(name, proof)| format!("{name}: {}", proof.steps.join("\n")))
        .collect();
    println!("bits of {} of {total} proved", total - failed.len());
    assert!(
        failed.is_empty() || !solver_is_there(),
        "bits not proved:\n{}",
        failed.join("\n")
    );
}

/// Rules that are right and have no proof for all sizes.
#[test]
fn rules_are_proved_at_stated_sizes() {
    let verdicts = verdicts("tests/bounded");
    let failed: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| match &proof.algebra {
            Algebra::Bounded { sizes } => !sizes.contains("N in 0..="),
            Algebra::Proved { .. } | Algebra::None { .. } => true,
        })
        .map(|(name, proof)| format!("{name}: {:?}", proof.algebra))
        .collect();
    assert!(
        failed.is_empty() || !solver_is_there(),
        "not bounded:\n{}",
        failed.join("\n")
    );
}

/// Wrong rules with arguments that show it.
#[test]
fn wrong_rules_are_refuted() {
    let verdicts = verdicts("tests/refuted");
    for (name, proof) in &verdicts {
        let Some(found) = &proof.counterexample else {
            assert!(!solver_is_there(), "{name}: {}", proof.steps.join("\n"));
            continue;
        };
        assert!(matches!(proof.algebra, Algebra::None { .. }), "{name}");
        assert!(!proof.float_proved, "{name}");
        assert!(found.to_aiai().contains("test "), "{name}");
    }
}

#[test]
fn wrong_rules_are_not_proved() {
    let verdicts = verdicts("tests/wrong");
    let refuted = verdicts
        .iter()
        .filter(|(_, proof)| proof.counterexample.is_some());
    println!(
        "{} wrong rules, {} refuted",
        verdicts.len(),
        refuted.count()
    );
    let proved: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| !matches!(proof.algebra, Algebra::None { .. }) || proof.float_proved)
        .map(|(name, proof)| format!("{name}: {:?}", proof.algebra))
        .collect();
    assert!(proved.is_empty(), "proved:\n{}", proved.join("\n"));
}
