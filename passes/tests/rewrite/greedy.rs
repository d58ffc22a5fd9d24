//! Greedy rewriting, feature by feature.

use aiai_passes::rewrite::{Limit, Limits};

use super::{function, ops, rewritten, rules, valid};

fn names(trace: &aiai_passes::rewrite::Trace) -> Vec<&str> {
    trace.firings.iter().map(|f| f.rule.as_str()).collect()
}

#[test]
fn a_rule_fires_at_every_rank_and_dtype() {
    let rule = "rule negate_twice<T: float>(x: T[..S]) exact { --x => x }";
    for ty in ["f32[]", "f32[N]", "f32[2, 3]", "f32[A, B, C]"] {
        let text = format!("fn f(x: {ty}) -> {ty} {{ --x }}");
        let (f, trace) = rewritten(rule, &text);
        assert_eq!(ops(&f), Vec::<&str>::new(), "{f}");
        assert_eq!(names(&trace), ["negate_twice"]);
    }
}

#[test]
fn commutative_operands_are_tried_in_both_orders() {
    let rule = "rule distribute(x: f32[..S], y: f32[..S], z: f32[..S]) real { x * y + x * z => x * (y + z) }";
    for body in [
        "a * b + a * c",
        "b * a + a * c",
        "a * b + c * a",
        "b * a + c * a",
        "c * a + b * a",
    ] {
        let text = format!("fn f(a: f32[N], b: f32[N], c: f32[N]) -> f32[N] {{ {body} }}");
        let (f, trace) = rewritten(rule, &text);
        assert_eq!(ops(&f), ["add", "mul"], "{body}: {f}");
        assert_eq!(trace.firings.len(), 1);
    }
}

#[test]
fn the_same_parameter_is_the_same_value() {
    let rule = "rule less_itself(x: i32[..S]) exact { x - x => x * 0 }";
    let (f, _) = rewritten(rule, "fn f(a: i32[N], b: i32[N]) -> i32[N] { a - b }");
    assert_eq!(ops(&f), ["sub"]);
}

#[test]
fn constants_match_by_value_and_domain() {
    let rule =
        "rule scale_of_max(x: f32[..S], y: f32[..S], const c: f32[] in 0.0..100.0) exact finite {
  max(x * c, y * c) => max(x, y) * c
}";
    let rule = rule.replace(" finite", "");
    let text = |c: &str, d: &str| {
        format!("fn f(x: f32[N], y: f32[N]) -> f32[N] {{ max(x * {c}, {d} * y) }}")
    };
    let (f, trace) = rewritten(&rule, &text("2.0", "2.0"));
    assert_eq!(trace.firings.len(), 1);
    assert_eq!(ops(&f).iter().filter(|n| **n == "mul").count(), 1, "{f}");
    assert!(trace.firings[0].before.contains("2.0"), "{trace:?}");
    for (c, d) in [("2.0", "3.0"), ("-2.0", "-2.0"), ("101.0", "101.0")] {
        let (_, trace) = rewritten(&rule, &text(c, d));
        assert_eq!(trace.firings.len(), 0, "{c} {d}");
    }
    let (_, trace) = rewritten(
        &rule,
        "fn f(x: f32[N], y: f32[N], c: f32[]) -> f32[N] { max(x * c, y * c) }",
    );
    assert_eq!(trace.firings.len(), 0);
}

#[test]
fn literals_match_by_their_bits() {
    let rule = "rule plus_negative_zero(x: f32[..S]) exact { x + -0.0 => x }";
    let (f, _) = rewritten(rule, "fn f(x: f32[N]) -> f32[N] { x + 0.0 }");
    assert!(ops(&f).contains(&"add"));
    let (f, _) = rewritten(rule, "fn f(x: f32[N]) -> f32[N] { -0.0 + x }");
    assert!(ops(&f).is_empty(), "{f}");
}

const NARROW: &str =
    "rule scale_through_matmul(a: f32[M, K], b: f32[K, N], s: f32[]) real where N < K {
  (a * s) @ b => (a @ b) * s
}";

#[test]
fn guards_that_are_unknown_do_not_fire() {
    let body = "(a * s) @ b";
    let unknown = format!("fn f(a: f32[M, K], b: f32[K, N], s: f32[]) -> f32[M, N] {{ {body} }}");
    assert_eq!(rewritten(NARROW, &unknown).1.firings.len(), 0);
    let known = "fn f(a: f32[8, 64], b: f32[64, 16], s: f32[]) -> f32[8, 16] { (a * s) @ b }";
    assert_eq!(rewritten(NARROW, known).1.firings.len(), 1);
    let required = format!(
        "fn f(a: f32[M, K], b: f32[K, N], s: f32[]) -> f32[M, N] where N + 2 < K {{ {body} }}"
    );
    assert_eq!(rewritten(NARROW, &required).1.firings.len(), 1);
}

#[test]
fn sums_of_dimensions_are_solved_for() {
    let rule = "rule pad_twice<A, B>(x: f32[N]) exact {
  pad(pad(x, axis = 0, before = A), axis = 0, before = B) => pad(x, axis = 0, before = A + B)
}";
    let (f, trace) = rewritten(
        rule,
        "fn f(x: f32[L]) -> f32[L + 5] { pad(pad(x, axis = 0, before = 2), axis = 0, before = 3) }",
    );
    assert_eq!(trace.firings.len(), 1);
    assert_eq!(ops(&f).iter().filter(|n| **n == "pad").count(), 1);
}

#[test]
fn values_that_others_use_stay_and_count() {
    // exp(x) is used again: taking the rule would compute more, not less.
    let rule =
        "rule product_of_exps(x: f32[..S], y: f32[..S]) real { exp(x) * exp(y) => exp(x + y) }";
    let alone = "fn f(x: f32[N], y: f32[N]) -> f32[N] { exp(x) * exp(y) }";
    assert_eq!(rewritten(rule, alone).1.firings.len(), 1);
    let shared = "fn f(x: f32[N], y: f32[N]) -> (f32[N], f32[N], f32[N]) {
  let a = exp(x)
  let b = exp(y)
  (a * b, a, b)
}";
    assert_eq!(rewritten(rule, shared).1.firings.len(), 0);
}

#[test]
fn loops_and_branches_are_rewritten_inside() {
    let rule = "rule negate_twice(x: f32[..S]) exact { --x => x }";
    let text = "fn f(x: f32[T, N], h0: f32[N], c: bool[]) -> f32[N] {
  let h1 = for t in 0..T with h = h0 { h + --x[t, ..] }
  if c { --h1 } else { h1 * 2.0 }
}";
    let (f, trace) = rewritten(rule, text);
    assert_eq!(trace.firings.len(), 2, "{f}");
    assert!(!ops(&f).contains(&"neg"));
}

#[test]
fn rules_have_loops_on_their_left() {
    let rule = "rule counting(x: f32[T], c: f32[]) real {
  for t in 0..T with h = c { h + x[t] } => c + sum(x, axis = 0)
}";
    let text = "fn f(v: f32[M], s: f32[]) -> f32[] { for i in 0..M with acc = s { v[i] + acc } }";
    let (f, trace) = rewritten(rule, text);
    assert_eq!(trace.firings.len(), 1, "{f}");
    assert!(ops(&f).contains(&"reduce"));
    let other = "fn f(v: f32[M], s: f32[]) -> f32[] { for i in 0..M with acc = s { v[i] * acc } }";
    assert_eq!(rewritten(rule, other).1.firings.len(), 0);
}

const CIRCLE: &str = "
rule there(x: f32[..S]) real { exp(-x) => 1.0 / exp(x) }
rule back(x: f32[..S]) real { 1.0 / exp(x) => exp(-x) }
";

#[test]
fn circles_end() {
    let text = "fn f(x: f32[N]) -> f32[N] { exp(-x) }";
    let (_, trace) = rewritten(CIRCLE, text);
    assert!(trace.limit_hit.is_none());
    let mut f = function(text, "f");
    let limits = Limits {
        firings: 50,
        must_pay: false,
        ..Limits::default()
    };
    let trace = rules(CIRCLE).greedy(&mut f, &limits);
    assert_eq!(trace.limit_hit, Some(Limit::Firings(50)));
    assert_eq!(trace.firings.len(), 50);
    valid(&f);
}

#[test]
fn growth_ends() {
    let rule = "rule split(x: f32[..S]) real { tanh(x) => tanh(x) * tanh(x) / tanh(x) + 0.0 * tanh(x + 1.0) }";
    let text = "fn f(x: f32[N]) -> f32[N] { tanh(x) }";
    assert_eq!(rewritten(rule, text).1.firings.len(), 0);
    let mut f = function(text, "f");
    let limits = Limits {
        created: 500,
        must_pay: false,
        ..Limits::default()
    };
    let trace = rules(rule).greedy(&mut f, &limits);
    assert_eq!(trace.limit_hit, Some(Limit::Created(500)));
    valid(&f);
}

#[test]
fn constants_that_rules_compute_are_constants_to_rules() {
    let rule = "rule scaled_twice(x: f32[..S], const c: f32[] in 0.0..9.0, const d: f32[] in 0.0..9.0) real {
  x * c * d => x * (c * d)
}
rule times_six(x: f32[..S]) real { x * 6.0 => -x }";
    let text = "fn f(x: f32[N]) -> f32[N] { x * 1.5 * 2.0 * 2.0 }";
    let (f, trace) = rewritten(rule, text);
    assert_eq!(trace.firings.len(), 3, "{f}");
    assert_eq!(ops(&f), ["neg"]);
}

#[test]
fn too_many_orders_are_said_and_the_rest_goes_on() {
    let rule = "rule negate_twice(x: f32[..S]) exact { --x => x }";
    let mut f = function("fn f(x: f32[N]) -> f32[N] { --(--x * 2.0) }", "f");
    let limits = Limits {
        tests: 4,
        ..Limits::default()
    };
    let trace = rules(rule).greedy(&mut f, &limits);
    assert_eq!(trace.limit_hit, None);
    let limits = Limits {
        tests: 2,
        ..Limits::default()
    };
    let mut f = function("fn f(x: f32[N]) -> f32[N] { --(--x * 2.0) }", "f");
    let trace = rules(rule).greedy(&mut f, &limits);
    assert_eq!(trace.limit_hit, Some(Limit::Tests(2)));
    assert!(trace.firings.is_empty());
}

#[test]
fn sums_are_not_turned_over_and_over() {
    let rule =
        "rule associate(x: f32[..S], a: f32[..S], b: f32[..S]) real { (x + a) + b => x + (a + b) }
rule exchange(x: f32[..S], a: f32[..S]) exact { x + a => a + x }
rule out(x: f32[..S, M, N]) exact { exp(transpose(x)) => transpose(exp(x)) }";
    let text = "fn f(x: f32[N], a: f32[N], b: f32[N], y: f32[N, M]) -> (f32[N], f32[M, N]) {
  (x + a + b, exp(transpose(y)))
}";
    let (f, trace) = rewritten(rule, text);
    assert_eq!(trace.limit_hit, None);
    // What costs the same fires where the term gets smaller: movement goes to the end.
    assert_eq!(names(&trace), ["out"]);
    assert_eq!(ops(&f), ["add", "add", "exp", "permute"]);
}

#[test]
fn a_size_that_the_program_knows_is_a_number() {
    let rules = "rule sum_of_repeated(x: f32[..S]) real {
  sum(broadcast(x, (N, ..S)), axis = 0) / f32(N) => x
}";
    let rules = rules.replace("rule sum_of_repeated(", "rule sum_of_repeated<N>(");
    for (size, fires) in [("M", 1), ("5", 1)] {
        let text = format!(
            "fn f(x: f32[A], y: f32[M]) -> f32[A] {{ sum(broadcast(x, ({size}, A)), axis = 0) / f32({size}) }}"
        );
        let (f, trace) = rewritten(&rules, &text);
        assert_eq!(trace.firings.len(), fires, "{f}");
        assert!(!ops(&f).contains(&"div"), "{f}");
    }
    let other = "fn f(x: f32[A]) -> f32[A] { sum(broadcast(x, (5, A)), axis = 0) / 6.0 }";
    assert!(rewritten(&rules, other).1.firings.is_empty());
}
