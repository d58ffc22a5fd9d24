//! Why rules do not fire.

use aiai_ir::Sym;
use aiai_passes::rewrite::{Nearest, why};

use super::{function, rules};

const RULES: &str = "
rule scale(a: f32[M, K], b: f32[K, N], s: f32[]) real where N < K { (a * s) @ b => (a @ b) * s }
rule max_of_scaled(x: f32[..S], y: f32[..S], const c: f32[] in 0.0..100.0) exact {
  max(x * c, y * c) => max(x, y) * c
}
rule square(x: f32[..S]) real { sqrt(x * x) => abs(x) }
rule grow(x: f32[..S]) real { tanh(x) => tanh(x) * tanh(x + 1.0) }
";

fn said(name: &str, text: &str) -> String {
    let found = why(&rules(RULES), Sym::new(name), &function(text, "f"));
    found.to_string()
}

#[test]
fn guards_are_named_with_what_they_are_here() {
    let text = "fn f(a: f32[M, K], b: f32[K, N], s: f32[]) -> f32[M, N] { (a * s) @ b }";
    let unknown = said("scale", text);
    assert!(unknown.contains("is not known to hold"), "{unknown}");
    let text = "fn f(a: f32[8, 16], b: f32[16, 32], s: f32[]) -> f32[8, 32] { (a * s) @ b }";
    let wrong = said("scale", text);
    assert!(wrong.contains("here `-17 >= 0`, is false"), "{wrong}");
}

#[test]
fn the_part_that_differs_is_shown() {
    let text = "fn f(x: f32[N], y: f32[N]) -> f32[N] { sqrt(x * y) }";
    let other = said("square", text);
    assert!(other.contains("another value than where"), "{other}");
    let text = "fn f(x: f32[N]) -> f32[N] { sqrt(x + x) }";
    let other = said("square", text);
    assert!(other.contains("the rule has  mul(x, x)"), "{other}");
    assert!(
        other.contains("the program   add: f32[N] (test.aiai:1:"),
        "{other}"
    );
    let other = said("square", "fn f(x: f32[N]) -> f32[N] { exp(x) }");
    assert!(other.contains("no operation of the function is"), "{other}");
    let text = "fn f(x: f32[N], y: f32[N]) -> f32[N] { max(x * 200.0, y * 200.0) }";
    let other = said("max_of_scaled", text);
    assert!(other.contains("outside its domain"), "{other}");
}

#[test]
fn what_fires_what_does_not_pay_and_what_is_unknown() {
    let text = "fn f(x: f32[N]) -> f32[N] { tanh(sqrt(x * x)) }";
    assert!(said("square", text).starts_with("fires at test.aiai:1:"));
    assert!(said("grow", text).contains("does not pay"));
    let rules = rules(RULES);
    let f = function(text, "f");
    assert_eq!(why(&rules, Sym::new("squares"), &f), Nearest::Unknown);
}
