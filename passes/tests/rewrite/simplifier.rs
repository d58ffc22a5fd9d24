//! The library's rules beside the hand-written simplifier, which is the oracle.

use std::path::Path;

use aiai_frontend::elaborate::rule_library;
use aiai_passes::rewrite::{Float, Library, Limits, Rewriter};
use aiai_passes::{dce, simplify};

use super::library::OfProgram;
use super::{function, ops, valid};

/// The rules of the library, up to class `real`.
fn stdlib() -> Library {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stdlib/rules");
    let entries = std::fs::read_dir(&folder).expect("the library has rules");
    let mut paths: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    let texts: Vec<(String, String)> = paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a text");
            (path.display().to_string(), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = texts
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    let program = rule_library(&files);
    assert!(program.diagnostics.is_empty());
    Library::new(vec![Box::new(OfProgram(program))], Float::Real)
}

/// What the simplifier does to ops that are not constants, one program for each of its identities of which the
/// library has the rule.
const PROGRAMS: &[&str] = &[
    "fn f(x: f32[A, B]) -> f32[A, B] { --x }",
    "fn f(x: bool[A]) -> bool[A] { not (not x) }",
    "fn f(x: f32[A]) -> f32[A] { abs(-x) }",
    "fn f(x: i32[A]) -> i32[A] { abs(-x) }",
    "fn f(x: f32[A]) -> f32[A] { abs(abs(x)) }",
    "fn f(x: f32[A]) -> f32[A] { floor(floor(x)) }",
    "fn f(x: f32[A, B]) -> f32[A, B] { x * 1.0 }",
    "fn f(x: f32[A]) -> f32[A] { 1.0 * x }",
    "fn f(x: f32[A]) -> f32[A] { x / 1.0 }",
    "fn f(x: f32[A]) -> f32[A] { pow(x, 1.0) }",
    "fn f(x: f32[A]) -> f32[A] { pow(x, 2.0) }",
    "fn f(x: f32[A]) -> f32[A] { x - 0.0 }",
    "fn f(x: f32[A]) -> f32[A] { x + -0.0 }",
    "fn f(x: f32[A]) -> f32[A] { max(x, x) }",
    "fn f(x: i32[A]) -> i32[A] { 0 + x }",
    "fn f(x: i32[A]) -> i32[A] { x - 0 }",
    "fn f(x: i32[A]) -> i32[A] { x * 1 }",
    "fn f(x: bool[A]) -> bool[A] { x and x }",
    "fn f(x: bool[A]) -> bool[A] { x or x }",
    "fn f(c: bool[A], x: f32[A]) -> f32[A] { select(c, x, x) }",
    "fn f(c: bool[A], x: f32[A], y: f32[A]) -> f32[A] { select(not c, x, y) }",
    "fn f(x: f32[A, B]) -> f32[A, B] { transpose(transpose(x)) }",
    "fn f(x: f32[A, B, C]) -> f32[A, B, C] { permute(permute(x, (2, 0, 1)), (1, 2, 0)) }",
    "fn f(x: f32[A, B]) -> f32[A, B] { reverse(reverse(x, axis = 1), axis = 1) }",
];

#[test]
fn rules_do_what_the_simplifier_does() {
    let library = stdlib();
    let mut missing = Vec::new();
    for text in PROGRAMS {
        let (mut simplified, mut rewritten) = (function(text, "f"), function(text, "f"));
        simplify::simplify(&mut simplified);
        dce::eliminate_dead_code(&mut simplified);
        library.greedy(&mut rewritten, &Limits::default());
        valid(&rewritten);
        if ops(&rewritten).len() > ops(&simplified).len() {
            missing.push(format!("{text}: {:?} is left", ops(&rewritten)));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
