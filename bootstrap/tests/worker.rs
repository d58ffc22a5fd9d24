//! The gate survives its workers: what dies, hangs, floods or lies costs one rule its verdict.

use std::sync::Mutex;
use std::time::Duration;

use aiai_bootstrap::gate::{Options, Purpose, Report, Setup, Task};
use aiai_bootstrap::worker::{Launch, Worker, WorkerError, judge_all};

/// A worker that is a shell script.
fn script(text: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        judge: vec!["-c".into(), text.into()],
        solver: vec!["-c".into(), "exit 1".into()],
        timeout: Duration::from_secs(2),
        tasks: 8,
    }
}

fn start(text: &str) -> WorkerError {
    match Worker::start(&script(text), &Setup::default()) {
        Ok(_) => panic!("`{text}` is no worker"),
        Err(error) => error,
    }
}

fn task() -> Task {
    Task {
        file: "rule.aiai".to_owned(),
        text: "rule r(x: f32[N]) exact { -(-x) => x }".to_owned(),
        only: Some(vec!["r".to_owned()]),
        options: Options::new(Purpose::Check, 1),
    }
}

/// A frame of this content, for printf.
fn frame(content: &str) -> String {
    let length: String = (content.len() as u32)
        .to_le_bytes()
        .map(|b| format!("\\{b:03o}"))
        .concat();
    format!("printf 'aiai{length}'; printf '%s' '{content}'")
}

#[test]
fn what_writes_garbage_is_not_believed() {
    for text in [
        "echo garbage that is long enough",
        "yes",
        "printf 'aiai\\377\\377\\377\\377'; sleep 5",
    ] {
        assert!(matches!(start(text), WorkerError::Garbled(_)), "{text}");
    }
    let other = frame("{\"Verdict\":\"accepted\"}");
    assert!(matches!(start(&other), WorkerError::Garbled(_)));
    // A verdict before anything was asked.
    assert!(matches!(
        start(&frame("{\"Judged\":[]}")),
        WorkerError::Garbled(_)
    ));
}

#[test]
fn what_dies_or_hangs_is_found_out() {
    assert!(matches!(start("exit 0"), WorkerError::Died(_)));
    assert!(matches!(start("kill -9 $$"), WorkerError::Died(why) if why.contains('9')));
    assert!(matches!(start("sleep 60"), WorkerError::TimedOut(2)));
}

#[test]
fn a_worker_that_cannot_be_confined_is_the_machines_fault() {
    let error = start(&frame("{\"Unconfined\":\"no filters here\"}"));
    assert!(error.is_environment(), "{error}");
    assert!(error.to_string().contains("no filters here"));
    let missing = Launch {
        program: "/does/not/exist".into(),
        ..script("")
    };
    let error = Worker::start(&missing, &Setup::default())
        .err()
        .expect("there is no such program");
    assert!(error.is_environment());
}

#[test]
fn a_rule_whose_worker_dies_is_not_accepted_and_the_next_one_is_judged() {
    let ready = frame("\"Ready\"");
    for end in [
        "kill -9 $$",
        "sleep 60",
        "echo garbage of some length",
        "exit 0",
    ] {
        let launch = script(&format!("{ready}; sleep 0.2; {end}"));
        let seen = Mutex::new(0);
        let told = |reports: &[Report]| *seen.lock().expect("not poisoned") += reports.len();
        let reports = judge_all(
            &launch,
            &Setup::default(),
            &[task(), task(), task()],
            2,
            &told,
        );
        let reports = reports.expect("the gate goes on");
        assert_eq!(reports.len(), 3);
        assert_eq!(*seen.lock().expect("not poisoned"), 3);
        for report in reports.iter().flatten() {
            assert!(!report.accepted(), "{end}: {report:?}");
            assert!(report.why.is_some());
        }
    }
}

#[test]
fn a_verdict_that_was_not_asked_for_or_is_empty_is_no_verdict() {
    let ready = frame("\"Ready\"");
    let launch = script(&format!("{ready}; {}; sleep 60", frame("{\"Judged\":[]}")));
    let reports =
        judge_all(&launch, &Setup::default(), &[task()], 1, &|_| {}).expect("the gate goes on");
    assert!(reports.iter().flatten().all(|r| !r.accepted()));
}
