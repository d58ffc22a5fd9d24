//! Sketches: what they leave open, so that rules fire wherever an instance of them matches; what they cost.

use aiai_passes::rewrite::{Float, Limits, Rewriter};

use super::function;
use super::library::library;

/// How often the rules of a file fire on its function `f`.
fn firings(rules: &str, text: &str) -> usize {
    let mut f = function(text, "f");
    let trace = library(rules, Float::Real).greedy(&mut f, &Limits::default());
    assert_eq!(trace.limit_hit, None, "{rules}\n{text}");
    trace.firings.len()
}

fn fires(rules: &str, text: &str) {
    assert_eq!(firings(rules, text), 1, "{rules}\n{text}");
}

const OF_X: &str = "fn f(x: f32[N]) -> f32[N] { sin(x) / 1 }";

#[test]
fn conversions_that_are_none() {
    let rule = "rule powers<T: float>(x: T[..S], y: T[..S]) real {
  exp(f32(x)) * exp(f32(y)) => exp(f32(x) + f32(y))
}";
    fires(
        rule,
        "fn f(x: f32[N], y: f32[N]) -> f32[N] { exp(x) * exp(y) }",
    );
    fires(
        rule,
        "fn f(x: f16[N], y: f16[N]) -> f32[N] { exp(f32(x)) * exp(f32(y)) }",
    );
    // A function that is called as a dtype is, and a dtype that is called as a function is.
    let rule = "fn bf16(x: f32[..S]) -> f32[..S] { sin(x) }
rule r(x: f32[..S]) real { f32(bf16(x)) / 1 => sin(x) }";
    fires(rule, OF_X);
    let rule = "fn g<exp: float>(x: exp[..S]) -> exp[..S] { exp(x) }
rule r(x: f32[..S]) real { sin(g(x)) / 1 => sin(x) }";
    fires(rule, OF_X);
}

#[test]
fn sizes_are_numbers_where_programs_know_them() {
    let rule = "rule r(x: f32[N], y: f32[]) real { sum(x) * f32(N) + y => y }";
    fires(
        rule,
        "fn f(x: f32[A], y: f32[]) -> f32[] { y + f32(A) * sum(x) }",
    );
    fires(
        rule,
        "fn f(x: f32[8], y: f32[]) -> f32[] { sum(x) * 8 + y }",
    );
    let rule = "rule r(x: f32[N]) real { x * broadcast(f32(N), (N,)) => x }";
    fires(rule, "fn f(x: f32[2]) -> f32[2] { x * [2.0, 2.0] }");
}

#[test]
fn functions_equations_and_parts_of_tuples() {
    let rule = "rule gated(x: f32[M, K], w: f32[K, N]) real {
  {
    let y[i, j] = sum k: x[i, k] * w[k, j]
    relu(y) * 1.0 + sigmoid(0.0 - y)
  }
    => x @ w
}";
    let text = "fn f(x: f32[3, 4], w: f32[4, 5]) -> f32[3, 5] {
  let y = x @ w
  sigmoid(0.0 - y) + relu(y) * 1.0
}";
    fires(rule, text);
    let rule = "rule r(x: f32[..S]) real {
  {
    let p = (x, cos(x), sin(x))
    p[2] / 1
  }
    => sin(x)
}";
    fires(rule, OF_X);
    let rule = "rule r(x: f32[..S], y: f32[..S]) real {
  sin(stack(permute((x, y), (1, 0)), axis = 0)) / 1 => sin(stack((y, x), axis = 0))
}";
    let text = "fn f(x: f32[N], y: f32[N]) -> f32[2, N] { sin(stack((y, x), axis = 0)) / 1 }";
    fires(rule, text);
    // With stride 0 the index does not stand in the place: a sum, and no contraction.
    let rule = "rule r(const s: i64 in 0..3, x: f32[N], w: f32[M]) real where N > 4 {
  {
    let y[j] = sum k in 0..2: x[k * s] * w[j]
    y / 1
  }
    => w
}";
    let text = "fn f(x: f32[8], w: f32[M]) -> f32[M] {
  let y[j] = sum k in 0..2: x[k * 0] * w[j]
  y / 1
}";
    fires(rule, text);
}

#[test]
fn what_is_known_when_a_rule_is_elaborated() {
    let rule = "rule r(x: f32[..S], y: f32[..S], const b: bool) real {
  select(b, sin(x) / 1, cos(y) / 1) + y => y
}";
    let text = "fn f(x: f32[N], y: f32[N]) -> f32[N] { sin(x) / 1 + y }";
    fires(rule, text);
    let rule =
        "fn g(x: f32[..S], const flag: bool = true) -> f32[..S] { select(flag, sin(x), cos(x)) }
rule r(x: f32[..S]) real { g(x) / 1 => sin(x) }";
    fires(rule, OF_X);
    let rule = "rule r<T: number>(x: T[..S]) exact { x + -0 => x }";
    fires(rule, "fn f(x: i32[N]) -> i32[N] { x + 0 }");
    // Of no axes the rank is 0, and nothing is padded.
    let padded = "sin(pad(x, axis = rank::<..P>(), before = rank::<..P>()))";
    let rule = format!("rule r(x: f32[..P, N, ..S]) real {{ {padded} / 1 => {padded} }}");
    fires(&rule, OF_X);
}

#[test]
fn along_axes_of_size_one_there_is_nothing_to_slice() {
    let rule = "rule r(x: f32[N, 1]) real { sin(x[.., 0]) / 1 => sin(reshape(x, (N,))) }";
    fires(rule, "fn f(x: f32[M, 1]) -> f32[M] { sin(x[.., 0]) / 1 }");
}

#[test]
fn constants_that_rewriting_makes() {
    let rule = "rule add<T: number>(x: T[..S], const a: T[], const b: T[]) real { x + a + b => x + (a + b) }";
    fires(rule, "fn f(y: f32[N]) -> f32[N] { (y + 1) + sqrt(4) }");
    // One parameter, and two values that are equal constants.
    let rule = "rule r(x: f32[..S], y: f32[..S], z: f32[..S]) real { sin(x + z) * sin(y + z) => sin(x + y + z) }";
    fires(
        rule,
        "fn f(x: f32[2], y: f32[2]) -> f32[2] { sin(x + [2.0, 2.0]) * sin(y + 2) }",
    );
}

#[test]
fn rules_with_many_attributes_are_made_for_their_places() {
    let rule = "rule r(x: f32[..S], const k: i64 in 1..23, const l: i64 in 1..23) real { sin(x * k) * l => sin(x) }";
    let text = "fn f(x: f32[N, M], y: f32[N, M, K]) -> (f32[N, M], f32[N, M, K]) {
  (sin(x * 5) * 2, cos(y))
}";
    fires(rule, text);
}

#[test]
fn rules_fire_behind_chains_too_long_to_look_along() {
    let mut text = String::from("fn f(x0: f32[N]) -> f32[N] {\n");
    for k in 0..600 {
        text += &format!("  let x{} = f32(f16(x{k}))\n", k + 1);
    }
    text += "  sin(x600) / 1\n}";
    let rule = "rule there_and_back(x: f32[..S]) exact { f32(f16(f32(f16(x)))) => f32(f16(x)) }
rule r(x: f32[..S]) real { sin(x) / 1 => sin(x) }";
    assert!(firings(rule, &text) > 1);
}
