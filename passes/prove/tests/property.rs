//! The property tester and the exhaustive checker on right rules and near misses.

mod rules;

use rules::{RIGHT, WRONG, instances};

use aiai_frontend::elaborate::check;
use aiai_ir::{DType, Rule, eval};
use aiai_prove::{TestOptions, exhaustive, test};

fn options(seed: u64, cases: u64) -> TestOptions {
    TestOptions {
        seed,
        cases,
        ..TestOptions::default()
    }
}

#[test]
fn right_rules_are_never_convicted() {
    let mut found = String::new();
    for rule in instances(RIGHT, 2) {
        for seed in 0..3 {
            let report = test(&rule, &options(seed, 300));
            if let Some(failure) = &report.failure {
                found += &format!("{} {:?}: {}\n", rule.name, rule.instance, failure.to_aiai());
            }
            if let Some(why) = report.inconclusive() {
                found += &format!("{} {:?}: {why}\n", rule.name, rule.instance);
            }
        }
        if let Some(report) = exhaustive(&rule)
            && let Some(failure) = report.failure
        {
            found += &format!(
                "all inputs: {} {:?}: {}\n",
                rule.name,
                rule.instance,
                failure.to_aiai()
            );
        }
    }
    assert!(found.is_empty(), "{found}");
}

/// Every wrong rule is convicted in at least one of its instances, for every seed.
#[test]
fn wrong_rules_are_convicted() {
    let mut missed = String::new();
    let rules = instances(WRONG, 2);
    let mut names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    names.dedup();
    assert!(names.len() >= 60, "{}", names.len());
    for name in names {
        for seed in 0..4 {
            let mut own = rules.iter().filter(|rule| rule.name.as_str() == name);
            if !own.any(|rule| test(rule, &options(seed, 1000)).failure.is_some()) {
                missed += &format!("{name} with seed {seed}\n");
            }
        }
    }
    assert!(missed.is_empty(), "{missed}");
}

/// Counterexamples are programs that the front end accepts and that fail.
#[test]
fn counterexamples_fail_as_tests() {
    let mut wrong = String::new();
    let rules = instances(WRONG, 1);
    let mut names: Vec<&str> = Vec::new();
    for rule in &rules {
        if names.contains(&rule.name.as_str()) {
            continue;
        }
        let Some(failure) = test(rule, &options(1, 1000)).failure else {
            continue;
        };
        names.push(rule.name.as_str());
        let text = failure.with_source(WRONG).to_aiai();
        if let Err(why) = fails(&text) {
            wrong += &format!("{}: {why}\n{text}\n", rule.name);
        }
    }
    assert!(names.len() >= 60, "{}", names.len());
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether the only test of a text fails on the evaluator.
fn fails(text: &str) -> Result<(), String> {
    let program = check("counterexample.aiai", text, &rules::NoFiles);
    if let Some(found) = program.diagnostics.iter().next() {
        return Err(format!("is not accepted: {}", found.message));
    }
    let entry = program.test_entry(0, 0).map_err(|_| "has no entry")?;
    match eval::run(&entry.module, entry.name, &[], &eval::Options::default()) {
        Ok(_) => Err("passes".into()),
        Err(_) => Ok(()),
    }
}

#[test]
fn the_same_seed_gives_the_same_report() {
    for rule in instances(WRONG, 1).iter().take(20) {
        let text = || {
            let report = test(rule, &options(7, 200));
            format!(
                "{:?} {}",
                report.failure.map(|f| f.to_aiai()),
                report.compared
            )
        };
        assert_eq!(text(), text(), "{}", rule.name);
    }
}

fn only(text: &str, rank: usize, dtype: DType) -> Rule {
    let mut rules = instances(text, rank);
    rules.retain(|rule| {
        rule.instance.ranks.values().all(|r| *r == rank)
            && rule.instance.dtypes.values().all(|d| *d == dtype)
    });
    rules.remove(0)
}

#[test]
fn counterexamples_are_minimal() {
    let text = "rule sum_less(x: f32[N, M]) real { sum(x, axis = 0) => sum(x, axis = 0) * 1.5 }\n";
    let failure = test(&only(text, 0, DType::F32), &options(3, 500))
        .failure
        .unwrap();
    assert_eq!(failure.inputs[0].1.shape, [1, 1]);
    assert_eq!(failure.inputs[0].1.to_f64(), [1.0]);
    let text = "rule last<T: int>(x: T[..S]) exact { abs(x) => max(x, -x) + select(x == 41, ones_like(x), zeros_like(x)) }\n";
    let failure = test(&only(text, 1, DType::I32), &options(3, 1000))
        .failure
        .unwrap();
    assert_eq!(failure.inputs[0].1.as_ints(), [41]);
}

#[test]
fn a_guard_that_cannot_hold_is_reported() {
    let text =
        "rule never(x: f32[N, M]) exact where N * N == 2 * M * M + 1, M > N { -(-x) => x }\n";
    let report = test(&only(text, 0, DType::F32), &options(1, 100));
    assert!(
        report
            .inconclusive()
            .is_some_and(|why| why.contains("no sizes"))
    );
}

#[test]
fn sizes_solve_the_guard() {
    let text = "rule heads(x: f32[D, M], y: f32[H, K]) exact where D == H * K + 3, M % 128 == 0, M > 0 {\n  \
                -(-x) + sum(y) => x + sum(y) }\n";
    let report = test(&only(text, 0, DType::F32), &options(1, 200));
    assert!(
        report.failure.is_none() && report.inconclusive().is_none(),
        "{report:?}"
    );
}

#[test]
fn all_inputs_of_small_dtypes() {
    let text = "rule square_root<T: float>(x: T[..S]) exact { sqrt(x) * sqrt(x) => abs(x) }\n";
    let report = exhaustive(&only(text, 0, DType::F16)).unwrap();
    assert!(report.failure.is_some());
    let text = "rule negated<T: float>(x: T[..S]) exact { 0 - x => -x }\n";
    let report = exhaustive(&only(text, 0, DType::BF16)).unwrap();
    let failure = report.failure.unwrap();
    assert_eq!(failure.inputs[0].1.to_f64(), [0.0]);
    let text = "rule doubled<T: float>(x: T[..S]) exact { x + x => 2 * x }\n";
    let report = exhaustive(&only(text, 1, DType::F16)).unwrap();
    assert!(report.complete() && report.inputs == 1 << 16, "{report:?}");
    let report = exhaustive(&only(text, 1, DType::F32)).unwrap();
    assert!(!report.complete() && report.failure.is_none(), "{report:?}");
    let text = "rule swapped<T: int>(x: T[..S], y: T[..S]) exact { x - y => -(y - x) }\n";
    let report = exhaustive(&only(text, 0, DType::I8)).unwrap();
    assert!(report.complete() && report.inputs == 1 << 16, "{report:?}");
    let text = "rule moved(x: f16[N, M]) exact { transpose(transpose(x)) => x }\n";
    assert!(exhaustive(&only(text, 0, DType::F16)).is_none());
}

#[test]
fn positions_beyond_memory_are_tried() {
    let narrow =
        "rule narrow(x: f32[N]) exact { i64(x) + iota::<N>() => i64(x) + i64(i32(iota::<N>())) }\n";
    let failure = test(&only(narrow, 0, DType::F32), &options(1, 50))
        .failure
        .unwrap();
    assert!(
        failure.beyond_memory && failure.sizes[0].1 > 1 << 31,
        "{failure:?}"
    );
    assert!(
        failure.to_aiai().contains("sizes: N = 21474836"),
        "{}",
        failure.to_aiai()
    );
    let counted = "rule counted(x: i64[N]) exact { x + N => x + i64(i32(N)) }\n";
    assert!(
        test(&only(counted, 0, DType::F32), &options(1, 50))
            .failure
            .is_some()
    );
    let right = "rule right(x: i64[N]) exact { x + N - iota::<N>() => x - iota::<N>() + N }\n";
    let report = test(&only(right, 0, DType::F32), &options(1, 50));
    assert!(
        report.failure.is_none() && report.inconclusive().is_none(),
        "{report:?}"
    );
}
