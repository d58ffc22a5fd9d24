//! Rules: both sides become functions of the same parameters.

use aiai_frontend::elaborate::{Loader, Program, check};
use aiai_ir::{AttributeKind, DType, FloatClass, Instance, RuleSet, Sym, print_function};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

const RULES: &str = "\
rules algebra {
  /// A scale moves from the wide operand to the narrow product.
  rule scale_through_matmul(a: f32[..B, ..M, K], b: f32[..B, K, N], s: f32[]) real where N < K {
    (a * s) @ b => (a @ b) * s
  }

  rule double_transpose(x: f32[..S, M, N]) exact { transpose(transpose(x)) => x }
}

rule softmax_of_shifted(x: f32[..S, N], c: f32[]) real finite { softmax(x + c) => softmax(x) }

rule sigmoid_by_tanh(x: f32[..S]) approx(4 ulp) { sigmoid(x) => 0.5 + 0.5 * tanh(0.5 * x) }

rule sum_twice(x: f32[N, K], y: f32[K, M]) real {
  x @ y => (x @ y) * 1.0
}
";

fn program() -> Program {
    let program = check("rules.aiai", RULES, &NoFiles);
    let first = program.diagnostics.iter().next();
    assert!(first.is_none(), "{first:?}");
    program
}

/// The instances of one rank over f32.
fn rules(rank: usize) -> RuleSet {
    let program = program();
    let infos = program.rule_infos();
    let mut wanted = Vec::new();
    for (index, info) in infos.iter().enumerate() {
        let instances = info.instances(rank..=rank, &[DType::F32], 100);
        wanted.extend(instances.into_iter().map(|instance| (index, instance)));
    }
    program.instantiate(&wanted)
}

#[test]
fn classes_guards_and_documentation_are_kept() {
    let set = rules(1);
    let names: Vec<&str> = set.rules.iter().map(|rule| rule.name.as_str()).collect();
    let expected = [
        "scale_through_matmul",
        "double_transpose",
        "softmax_of_shifted",
        "sigmoid_by_tanh",
        "sum_twice",
    ];
    assert_eq!(names, expected);
    let classes: Vec<FloatClass> = set.rules.iter().map(|rule| rule.class).collect();
    assert_eq!(classes[0], FloatClass::Real { finite: false });
    assert_eq!(classes[1], FloatClass::Exact);
    assert_eq!(classes[2], FloatClass::Real { finite: true });
    assert_eq!(classes[3], FloatClass::Approx { ulp: 4.0 });
    assert_eq!(set.rules[0].guard.len(), 1);
    assert!(set.rules[0].doc.starts_with("A scale moves"));
}

#[test]
fn both_sides_have_the_same_parameters_and_results() {
    for rule in rules(1).rules {
        assert_eq!(
            rule.lhs.param_types(),
            rule.rhs.param_types(),
            "{}",
            rule.name
        );
        assert_eq!(
            rule.lhs.result_types(),
            rule.rhs.result_types(),
            "{}",
            rule.name
        );
    }
    // With two row axes on the left of `@`, the batch axes of the right do not align.
    let names: Vec<&str> = rules(2)
        .rules
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    assert!(!names.contains(&"scale_through_matmul"));
}

#[test]
fn library_calls_stay_calls_that_the_module_holds() {
    let set = rules(1);
    let rule = &set.rules[2];
    let mut callees = Vec::new();
    rule.lhs.body.walk(&mut |node| {
        if let aiai_ir::Op::Call { callee, .. } = &node.op {
            callees.push(*callee);
        }
    });
    assert_eq!(callees.len(), 1);
    let library = set.module.get(callees[0]).and_then(|f| f.library.as_ref());
    assert_eq!(library.map(|l| l.symbol.as_str()), Some("softmax"));
}

#[test]
fn a_rule_with_at_is_the_same_contraction_as_an_equation() {
    let set = rules(1);
    let text = print_function(&set.rules[4].lhs, Default::default());
    let equation = "\
fn product(x: f32[N, K], y: f32[K, M]) -> f32[N, M] {
  let z[n, m] = sum k: x[n, k] * y[k, m]
  z
}
";
    let program = check("equation.aiai", equation, &NoFiles);
    let entry = program
        .entry("product", &Default::default())
        .unwrap_or_else(|d| panic!("{d:?}"));
    let function = entry.module.get(entry.name).expect("the entry");
    let contract = |text: &str| {
        text.lines()
            .find(|l| l.contains("contract"))
            .map(|l| l.trim().to_owned())
    };
    let other = print_function(function, Default::default());
    assert!(contract(&text).is_some(), "{text}");
    assert_eq!(contract(&text), contract(&other));
}

const OPEN: &str = "\
rules open {
  rule reverse_twice(x: T[..S], const k: axis) exact { reverse(reverse(x, axis = k), axis = k) => x }

  rule permute_reverse(x: T[..S], const p: permutation) exact { permute(permute(x, p), p) => permute(x, permute(p, p)) }

  rule sum_scaled<T: float>(x: T[..S], const c: T[] in 0.0..inf, const ks: axes) real {
    sum(x * c, axes = ks) => sum(x, axes = ks) * c
  }

  rule pad_twice<A, B>(x: f32[N]) exact {
    pad(pad(x, axis = 0, before = A), axis = 0, before = B) => pad(x, axis = 0, before = A + B)
  }
}
";

#[test]
fn attributes_constants_and_dtypes_are_filled_in() {
    let program = check("open.aiai", OPEN, &NoFiles);
    let first = program.diagnostics.iter().next();
    assert!(first.is_none(), "{first:?}");
    let infos = program.rule_infos();
    assert_eq!(infos[0].attributes, [(Sym::new("k"), AttributeKind::Axis)]);
    assert!(infos[2].params[1].constant);
    assert_eq!(infos[2].params[1].domain, Some((0.0, f64::INFINITY)));
    let wanted: Vec<(usize, Instance)> = infos
        .iter()
        .enumerate()
        .flat_map(|(index, info)| {
            let dtypes = [DType::F32, DType::I32];
            let instances = info.instances(0..=3, &dtypes, 10_000);
            instances.into_iter().map(move |instance| (index, instance))
        })
        .collect();
    let set = program.instantiate(&wanted);
    let count = |name: &str| {
        set.rules
            .iter()
            .filter(|rule| rule.name.as_str() == name)
            .count()
    };
    // Axes 0..rank for ranks 1 to 3, two dtypes.
    assert_eq!(count("reverse_twice"), 2 * (1 + 2 + 3));
    // But not for the identity, of which the left side is x alone.
    assert_eq!(count("permute_reverse"), 2 * (1 + 5));
    // Non-empty sets of axes, floats only.
    assert_eq!(count("sum_scaled"), 1 + 3 + 7);
    assert_eq!(count("pad_twice"), 1);
}

/// The instances of the rules of a text that elaborate, for ranks up to 2.
fn all(text: &str, dtypes: &[DType]) -> RuleSet {
    let program = check("more.aiai", text, &NoFiles);
    let first = program.diagnostics.iter().next();
    assert!(first.is_none(), "{first:?}");
    let mut wanted = Vec::new();
    for (index, info) in program.rule_infos().iter().enumerate() {
        let found = info.instances(0..=2, dtypes, 10_000);
        wanted.extend(found.into_iter().map(|instance| (index, instance)));
    }
    program.instantiate(&wanted)
}

#[test]
fn bounds_choose_the_dtypes() {
    let text = "rule minus<T: signed>(x: T[N]) exact { abs(-x) => abs(x) }
rule small<T: unsigned>(x: T[N]) exact { x >= 0 => ones::<bool, N>() }
";
    let dtypes = [DType::F32, DType::I8, DType::U8, DType::Bool];
    let set = all(text, &dtypes);
    let used = |name: &str| -> Vec<DType> {
        let rules = set.rules.iter().filter(|rule| rule.name.as_str() == name);
        rules
            .map(|rule| rule.instance.dtypes[&Sym::new("T")])
            .collect()
    };
    assert_eq!(used("minus"), [DType::F32, DType::I8]);
    assert_eq!(used("small"), [DType::U8]);
}

#[test]
fn packs_stand_in_tuples_and_reshapes_ask_for_nothing() {
    let text = "rule twice<..R, ..Q>(x: f32[..S]) exact {
  reshape(reshape(x, (..R,)), (..Q,)) => reshape(x, (..Q,))
}
";
    let set = all(text, &[]);
    // The second reshape is none where nothing has rank 0 but the last.
    assert!(set.rules.len() >= 20, "{}", set.rules.len());
    let rule = set.rules.last().expect("an instance");
    let shape: Vec<String> = rule.rhs.result_types()[0]
        .shape()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shape, ["Q0", "Q1"]);
    assert!(!rule.lhs.requires.is_empty());
}

#[test]
fn attributes_are_computed_with() {
    let text = "rule turn(x: f32[..S], const p: permutation, const k: axis) exact {
  reverse(permute(x, p), axis = k) => permute(reverse(x, axis = p[k]), p)
}
rule shift<T: int>(x: T[N], const n: i64 in 1..4) exact { x / shl(1, n) => shr(x, n) }
rule middle<A>(x: f32[..P, N, ..S]) exact where A <= N {
  slice(reverse(x, axis = rank::<..P>()), axis = rank::<..P>(), from = 0, to = A) =>
    reverse(slice(x, axis = rank::<..P>(), from = N - A, to = N), axis = rank::<..P>())
}
";
    let set = all(text, &[DType::I32]);
    let count = |name: &str| {
        let rules = set.rules.iter();
        rules.filter(|rule| rule.name.as_str() == name).count()
    };
    // The one permutation of two axes that moves them, each axis.
    assert_eq!(count("turn"), 2);
    assert_eq!(count("shift"), 3);
    assert_eq!(count("middle"), 9);
    let texts: Vec<String> = set.rules.iter().map(|rule| rule.lhs.to_string()).collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("[8]") || text.contains("= 8")),
        "{texts:#?}"
    );
}

#[test]
fn a_rule_that_says_nothing_is_reported() {
    for text in [
        "rule nothing(x: f32[N]) exact { x => x + -0.0 }",
        "rule same(x: f32[N]) exact { x + 1.0 => x + 1.0 }",
    ] {
        let program = check("nothing.aiai", text, &NoFiles);
        let codes: Vec<&str> = program.diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(codes, ["E0710"], "{text}");
    }
}

#[test]
fn what_branches_give_is_used() {
    let text = "rule swap(c: bool[], x: f32[N], y: f32[N]) exact {
  if not c { x } else { y } => if c { y } else { x }
}
";
    assert_eq!(all(text, &[]).rules.len(), 1);
}
