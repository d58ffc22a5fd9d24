//! Rules made at random: one that is proved must pass the property tests.
//!
//! The left side is a random expression, the right one the same after a few steps that are laws for some operations
//! and sizes and none for others. `RULES` says how many are made, `SEED` which.

mod common;

use aiai_frontend::elaborate::check;
use aiai_ir::DType;
use aiai_prove::solver::Process;
use aiai_prove::{InstanceProof, TestOptions, prove, test};

/// A small generator of numbers, the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// What an expression is: numbers or truth values, one for each of N places or one alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Row,
    One,
    Truths,
    Truth,
}

use Kind::{One, Row, Truth, Truths};

/// An operation: how it is written, what it is, and what it is of.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form(&'static str, Kind, &'static [Kind]);

/// Forms for every dtype of numbers.
const FORMS: &[Form] = &[
    Form("(#0 + #1)", Row, &[Row, Row]),
    Form("(#0 - #1)", Row, &[Row, Row]),
    Form("(#0 * #1)", Row, &[Row, Row]),
    Form("max(#0, #1)", Row, &[Row, Row]),
    Form("min(#0, #1)", Row, &[Row, Row]),
    Form("(#0 + #1)", Row, &[Row, One]),
    Form("(#0 * #1)", Row, &[Row, One]),
    Form("max(#0, #1)", Row, &[Row, One]),
    Form("(-#0)", Row, &[Row]),
    Form("abs(#0)", Row, &[Row]),
    Form("sign(#0)", Row, &[Row]),
    Form("reverse(#0, axis = 0)", Row, &[Row]),
    Form("select(#0, #1, #2)", Row, &[Truths, Row, Row]),
    Form("concat((#0, #1), axis = 0)[0..N]", Row, &[Row, Row]),
    Form("concat((#0, #1), axis = 0)[N..2 * N]", Row, &[Row, Row]),
    Form("pad(#0, axis = 0, before = A)[0..N]", Row, &[Row]),
    Form("pad(#0, axis = 0, before = A)[A..A + N]", Row, &[Row]),
    Form("broadcast(#0, (N,))", Row, &[One]),
    Form("sum(#0)", One, &[Row]),
    Form("max(#0)", One, &[Row]),
    Form("min(#0)", One, &[Row]),
    Form("prod(#0)", One, &[Row]),
    Form("sum(#0[0..B])", One, &[Row]),
    Form("max(#0[0..B])", One, &[Row]),
    Form("sum(#0[B..N])", One, &[Row]),
    Form("(#0 + #1)", One, &[One, One]),
    Form("(#0 - #1)", One, &[One, One]),
    Form("(#0 * #1)", One, &[One, One]),
    Form("max(#0, #1)", One, &[One, One]),
    Form("select(#0, #1, #2)", One, &[Truth, One, One]),
    Form("(for t in 0..C with h = #0 { h + #1 })", One, &[One, One]),
    Form(
        "(for t in 0..C with h = #0 { max(h, #1) })",
        One,
        &[One, One],
    ),
    Form("(for t in 0..C with h = #0 { #1 })", One, &[One, One]),
    Form("(for t in 0..2 with h = #0 { h * #1 })", One, &[One, One]),
    Form("(#0 < #1)", Truths, &[Row, Row]),
    Form("(#0 <= #1)", Truths, &[Row, Row]),
    Form("(#0 == #1)", Truths, &[Row, Row]),
    Form("(#0 < #1)", Truths, &[Row, One]),
    Form("(#0 and #1)", Truths, &[Truths, Truths]),
    Form("(#0 or #1)", Truths, &[Truths, Truths]),
    Form("(#0 and #1)", Truths, &[Truths, Truth]),
    Form("(not #0)", Truths, &[Truths]),
    Form("reverse(#0, axis = 0)", Truths, &[Truths]),
    Form("any(#0)", Truth, &[Truths]),
    Form("all(#0)", Truth, &[Truths]),
    Form("any(#0[0..B])", Truth, &[Truths]),
    Form("(#0 < #1)", Truth, &[One, One]),
    Form("(#0 <= #1)", Truth, &[One, One]),
    Form("(#0 and #1)", Truth, &[Truth, Truth]),
    Form("(not #0)", Truth, &[Truth]),
];

/// Forms for integers.
const OF_INTEGERS: &[Form] = &[
    Form("(#0 / #1)", Row, &[Row, Row]),
    Form("(#0 % #1)", Row, &[Row, Row]),
    Form("(#0 and #1)", Row, &[Row, Row]),
    Form("(#0 or #1)", Row, &[Row, Row]),
    Form("xor(#0, #1)", Row, &[Row, Row]),
    Form("(not #0)", Row, &[Row]),
    Form("shr(#0, #1)", Row, &[Row, Row]),
    Form("shl(#0, #1)", Row, &[Row, Row]),
    Form("(#0 / #1)", One, &[One, One]),
];

#[derive(Clone, PartialEq, Eq)]
enum Tree {
    Leaf(&'static str, Kind),
    Node(Form, Vec<Tree>),
}

const LEAVES: &[(&str, Kind)] = &[
    ("x", Row),
    ("y", Row),
    ("c", One),
    ("d", One),
    ("b", Truths),
    ("g", Truth),
];

impl Tree {
    fn kind(&self) -> Kind {
        match self {
            Tree::Leaf(_, kind) | Tree::Node(Form(_, kind, _), _) => *kind,
        }
    }

    fn random(numbers: &mut Numbers, forms: &[Form], kind: Kind, depth: usize) -> Tree {
        let fitting: Vec<Form> = forms.iter().copied().filter(|f| f.1 == kind).collect();
        if depth == 0 || numbers.below(4) == 0 {
            let leaves: Vec<_> = LEAVES.iter().filter(|l| l.1 == kind).collect();
            let (name, kind) = *leaves[numbers.below(leaves.len())];
            return Tree::Leaf(name, kind);
        }
        let form = numbers.one_of(&fitting);
        let parts = form.2.iter();
        let parts = parts.map(|k| Tree::random(numbers, forms, *k, depth - 1));
        Tree::Node(form, parts.collect())
    }

    fn text(&self) -> String {
        match self {
            Tree::Leaf(name, _) => (*name).to_owned(),
            Tree::Node(form, parts) => {
                let mut text = form.0.to_owned();
                for (k, part) in parts.iter().enumerate() {
                    text = text.replace(&format!("#{k}"), &part.text());
                }
                text
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Tree::Leaf(..) => 1,
            Tree::Node(_, parts) => 1 + parts.iter().map(Tree::size).sum::<usize>(),
        }
    }

    /// The subtree of a number, in order of writing.
    fn at(&mut self, number: usize) -> &mut Tree {
        let mut left = number;
        let mut chosen = None;
        if let Tree::Node(_, parts) = &*self {
            left = left.saturating_sub(1);
            for (k, part) in parts.iter().enumerate() {
                if number == 0 || left < part.size() {
                    chosen = (number > 0).then_some(k);
                    break;
                }
                left -= part.size();
            }
        }
        match (self, chosen) {
            (Tree::Node(_, parts), Some(k)) => parts[k].at(left),
            (here, _) => here,
        }
    }
}

/// The tree after a step that may or may not keep what it means; `None` where the step does not fit.
fn step(tree: &Tree, numbers: &mut Numbers, forms: &[Form]) -> Option<Tree> {
    let Tree::Node(form, parts) = tree else {
        return None;
    };
    let kind = tree.kind();
    let alike = |part: &&Tree| part.kind() == kind;
    match numbers.below(6) {
        // Operands exchanged.
        0 if parts.len() == 2 && form.2[0] == form.2[1] => {
            Some(Tree::Node(*form, vec![parts[1].clone(), parts[0].clone()]))
        }
        // An operand in place of the whole.
        1 => parts.iter().find(alike).cloned(),
        // Another operation of the same operands.
        2 => {
            let others = forms.iter().filter(|f| f.1 == form.1 && f.2 == form.2);
            let others: Vec<Form> = others.copied().collect();
            Some(Tree::Node(numbers.one_of(&others), parts.clone()))
        }
        // (a . b) . c as a . (b . c).
        3 => match parts.as_slice() {
            [Tree::Node(inner, two), c] if inner == form => {
                let rest = Tree::Node(*form, vec![two[1].clone(), c.clone()]);
                Some(Tree::Node(*form, vec![two[0].clone(), rest]))
            }
            _ => None,
        },
        // f(a . b) as f(a) . f(b).
        4 => match parts.as_slice() {
            [Tree::Node(inner, two)] if two.len() == 2 => {
                let outer = forms.iter().find(|f| {
                    f.0 == inner.0 && f.1 == form.1 && f.2.iter().all(|k| *k == form.1)
                })?;
                let each = two.iter().map(|part| match part.kind() == form.2[0] {
                    true => Tree::Node(*form, vec![part.clone()]),
                    false => part.clone(),
                });
                let each: Vec<Tree> = each.collect();
                let fits = each.iter().zip(outer.2).all(|(t, k)| t.kind() == *k);
                fits.then_some(Tree::Node(*outer, each))
            }
            _ => None,
        },
        // f(g(a)) as g(f(a)).
        _ => match parts.as_slice() {
            [Tree::Node(inner, one)] if one.len() == 1 && inner.2[0] == form.1 => {
                let within = Tree::Node(*form, one.clone());
                (form.2[0] == one[0].kind() && inner.1 == kind)
                    .then_some(Tree::Node(*inner, vec![within]))
            }
            _ => None,
        },
    }
}

/// A rule as text.
fn rule(number: usize, numbers: &mut Numbers) -> Option<String> {
    let dtype = numbers.one_of(&["i8", "u8", "i32", "f32"]);
    let mut forms = FORMS.to_vec();
    if dtype != "f32" {
        forms.extend(OF_INTEGERS);
    }
    let kind = numbers.one_of(&[Row, Row, One, One, Truths, Truth]);
    let left = Tree::random(numbers, &forms, kind, 3);
    let mut right = left.clone();
    for _ in 0..1 + numbers.below(2) {
        let place = numbers.below(right.size());
        let there = right.at(place);
        for _ in 0..8 {
            if let Some(changed) = step(there, numbers, &forms) {
                *there = changed;
                break;
            }
        }
    }
    let (left, right) = (left.text(), right.text());
    if left == right || left.len() > 200 {
        return None;
    }
    let used = |name: &str, text: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| word == name)
    };
    let types = [
        ("x", format!("{dtype}[N]")),
        ("y", format!("{dtype}[N]")),
        ("c", format!("{dtype}[]")),
        ("d", format!("{dtype}[]")),
        ("b", "bool[N]".into()),
        ("g", "bool[]".into()),
    ];
    let params = types.iter().filter(|(name, _)| used(name, &left));
    let params: Vec<String> = params.map(|(name, ty)| format!("{name}: {ty}")).collect();
    let binds = params.iter().any(|p| p.contains("[N]"));
    let sizes = ["A", "B", "C", "N"].into_iter();
    let sizes = sizes.filter(|n| used(n, &left) && !(*n == "N" && binds));
    let sizes: Vec<&str> = sizes.collect();
    let sizes = match sizes.as_slice() {
        [] => String::new(),
        some => format!("<{}>", some.join(", ")),
    };
    let params = params.join(", ");
    Some(format!(
        "rule made_{number}{sizes}({params}) real finite {{ {left} => {right} }}"
    ))
}

fn number_of(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(default)
}

struct NoFiles;

impl aiai_frontend::elaborate::Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

#[test]
fn proved_rules_made_at_random_pass_the_tests() {
    let wanted = number_of("RULES", 120) as usize;
    let seed = number_of("SEED", 1);
    let mut numbers = Numbers(seed);
    let mut solver = Process::z3();
    let (mut made, mut typed, mut proved) = (0, 0, 0);
    let mut findings = Vec::new();
    while made < wanted {
        let Some(text) = rule(made, &mut numbers) else {
            continue;
        };
        made += 1;
        let program = check("made.aiai", &text, &NoFiles);
        // What needs a guard on the right, or is the same program: no rule.
        if program.diagnostics.iter().next().is_some() {
            continue;
        }
        let infos = program.rule_infos();
        let instances = infos[0].instances(0..=1, &[DType::F32], 4);
        let wanted: Vec<_> = instances.into_iter().map(|i| (0, i)).collect();
        let prepared = aiai_passes::rewrite::prepare(program.instantiate(&wanted));
        let Some(rule) = prepared.into_iter().next() else {
            continue;
        };
        typed += 1;
        let proof = prove(&rule, &mut solver);
        if proof.algebra != InstanceProof::Proved {
            continue;
        }
        proved += 1;
        let options = TestOptions {
            seed,
            cases: 150,
            ..TestOptions::default()
        };
        if let Some(failure) = test(&rule, &options).failure {
            findings.push(format!("{text}\n{}", failure.to_aiai()));
        }
    }
    println!("{made} made, {typed} of them rules, {proved} proved");
    assert!(findings.is_empty(), "{}", findings.join("\n\n"));
}
