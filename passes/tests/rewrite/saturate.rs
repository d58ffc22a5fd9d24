//! Equality saturation, beside greedy rewriting.

use aiai_passes::rewrite::{Limit, Limits};

use super::{function, ops, rules, valid};

/// Greedy takes the first rule, which leads nowhere; all forms together hold the better one.
const ORDER: &str = "
rule shared_first(x: f32[..S], y: f32[..S], z: f32[..S]) real { x * y + z * y => (x + z) * y }
rule associate(x: f32[..S], y: f32[..S], z: f32[..S]) real { (x + y) + z => x + (y + z) }
rule cancel(x: f32[..S], y: f32[..S]) real { (x + y) - x => y }
";

#[test]
fn forms_that_cost_more_on_the_way_are_found() {
    let text = "fn f(a: f32[N], b: f32[N], c: f32[N]) -> f32[N] { ((a + b) + c) - a }";
    let rules = rules(ORDER);
    let mut f = function(text, "f");
    let trace = rules.saturate(&mut f, &Limits::default());
    valid(&f);
    assert_eq!(ops(&f), ["add"], "{f}\n{trace:?}");
    assert!(trace.limit_hit.is_none());
}

#[test]
fn sharing_counts_once() {
    let rule = "rule distribute(x: f32[..S], y: f32[..S], z: f32[..S]) real { x * y + x * z => x * (y + z) }";
    // x * y is needed anyway: only one product goes, for one sum that comes.
    let text = "fn f(x: f32[N], y: f32[N], z: f32[N]) -> (f32[N], f32[N], f32[N]) {
  let p = x * y
  let q = x * z
  (p + q, p, q)
}";
    let mut f = function(text, "f");
    let trace = rules(rule).saturate(&mut f, &Limits::default());
    assert_eq!(ops(&f), ["mul", "mul", "add"], "{f}\n{trace:?}");
    assert!(trace.firings.is_empty());
}

#[test]
fn constants_guards_and_bodies() {
    let text = "fn f(x: f32[T, N], h0: f32[N], c: bool[]) -> f32[N] {
  let h1 = for t in 0..T with h = h0 { h + --x[t, ..] * 1.0 }
  if c { --h1 } else { h1 + -0.0 }
}";
    let rule = "rule negate_twice(x: f32[..S]) exact { --x => x }
rule times_one(x: f32[..S]) exact { x * 1.0 => x }
rule plus_zero(x: f32[..S]) exact { x + -0.0 => x }";
    let mut f = function(text, "f");
    let trace = rules(rule).saturate(&mut f, &Limits::default());
    valid(&f);
    assert!(trace.firings.len() >= 4, "{trace:?}");
    for op in ["neg", "mul"] {
        assert!(!ops(&f).contains(&op), "{f}");
    }
}

#[test]
fn nodes_are_limited() {
    let rule = "rule grow(x: f32[..S]) real { tanh(x) => tanh(x + 1.0) - 1.0 }";
    let mut f = function("fn f(x: f32[N]) -> f32[N] { tanh(x) }", "f");
    let limits = Limits {
        nodes: 100,
        iterations: 1000,
        ..Limits::default()
    };
    let trace = rules(rule).saturate(&mut f, &limits);
    assert_eq!(trace.limit_hit, Some(Limit::Nodes(100)));
    assert_eq!(ops(&f), ["tanh"]);
    let limits = Limits {
        iterations: 3,
        ..Limits::default()
    };
    let trace = rules(rule).saturate(&mut f, &limits);
    assert_eq!(trace.limit_hit, Some(Limit::Iterations(3)));
}

#[test]
fn both_engines_agree_where_one_rule_leads_to_the_other() {
    let text = "fn f(a: f32[N], b: f32[N]) -> f32[N] { -(-(abs(-(a * b)))) * 1.0 }";
    let rule = "rule negate_twice(x: f32[..S]) exact { --x => x }
rule times_one(x: f32[..S]) exact { x * 1.0 => x }
rule abs_of_negative(x: f32[..S]) exact { abs(-x) => abs(x) }";
    let rules = rules(rule);
    let (mut greedy, mut saturated) = (function(text, "f"), function(text, "f"));
    rules.greedy(&mut greedy, &Limits::default());
    rules.saturate(&mut saturated, &Limits::default());
    assert_eq!(greedy.to_string(), saturated.to_string());
}
