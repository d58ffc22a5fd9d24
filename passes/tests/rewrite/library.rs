//! Libraries: instances as functions need them; the same results everywhere.

use std::process::Command;

use aiai_frontend::elaborate::{Program, rule_library};
use aiai_frontend::stdlib::RULES;
use aiai_ir::{
    DType, FloatClass, Function, Instance, Literal, Op, OpNode, Rule, RuleInfo, RuleSet, Scalar,
};
use aiai_passes::rewrite::{Float, Library, Limits, Rewriter, Rules, Source, Survey, prepare};

use super::{function, instances, ops, program, valid};

pub struct OfProgram(pub Program);

impl Source for OfProgram {
    fn infos(&self) -> Vec<RuleInfo> {
        self.0.rule_infos()
    }

    fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet {
        self.0.instantiate(wanted)
    }
}

pub const SAMPLE: &str = include_str!("rules.aiai");

pub fn library(text: &str, float: Float) -> Library {
    Library::new(vec![Box::new(OfProgram(program(text)))], float)
}

/// A function that many of the sample rules fit.
const MANY: &str = "fn f(a: f32[B, M, 64], b: f32[B, 64, 8], s: f32[], c: bool[M], k: i32[M], l: i32[M])
    -> (f32[B, M, 8], f32[M], bool[M], f32[B, M]) {
  let p = softmax((a * s) @ b * 1.0 + s)
  let q = select(not c, sum(sum(a, axis = -1), axis = 0), max(sum(-a, axes = (0, 2)), sum(-a, axes = (0, 2))))
  let r = not (k < l)
  let t = sqrt(sum(a * 3.0, axis = 2) * sum(a * 3.0, axis = 2))
  let u = for i in 0..4 with h = t { abs(--h) / sqrt(abs(h) + 1.0) }
  (p, q, not (not r), u)
}";

#[test]
fn a_library_gives_what_all_instances_give() {
    let all = Rules::new(instances(SAMPLE));
    let library = library(SAMPLE, Float::All);
    let (mut f, mut g) = (function(MANY, "f"), function(MANY, "f"));
    let of_all = all.greedy(&mut f, &Limits::default());
    let of_library = library.greedy(&mut g, &Limits::default());
    valid(&g);
    assert_eq!(f.to_string(), g.to_string());
    assert_eq!(of_all.firings, of_library.firings);
    assert!(of_all.firings.len() >= 8, "{of_all:?}");
    assert!(library.rules_for(&f).instances().len() < all.instances().len());
}

#[test]
fn the_tree_finds_what_trying_one_by_one_finds() {
    let rules = Rules::new(instances(SAMPLE));
    assert_eq!(rules.skipped(), []);
    let survey = Survey::new(&rules, &function(MANY, "f"));
    let compiled = survey.compiled();
    assert!(compiled.len() >= 8);
    assert_eq!(compiled, survey.one_by_one());
}

#[test]
fn strict_results_take_exact_rules_only() {
    let library = library(SAMPLE, Float::Strict);
    assert!(library.infos().all(|info| info.class == FloatClass::Exact));
    let mut f = function(MANY, "f");
    let trace = library.greedy(&mut f, &Limits::default());
    assert!(
        !trace
            .firings
            .iter()
            .any(|f| f.rule.as_str() == "square_root_of_square")
    );
    assert!(!trace.firings.is_empty());
}

#[test]
fn what_firings_bring_about_is_rewritten_too() {
    let rules = "rule unlog(x: f32[..S]) real { log(exp(x)) => x }
rule powers(x: f32[..S]) real { log(x) * 2.0 => log(x * x) }
rule square(x: f32[..S]) real { exp(x) * exp(x) => exp(x + x) }";
    let text = "fn f(x: f32[N]) -> f32[N] { log(exp(x)) * 2.0 }";
    let mut f = function(text, "f");
    let limits = Limits {
        firings: 3,
        ..Limits::default()
    };
    library(rules, Float::Real).saturate(&mut f, &limits);
    let mut g = function(text, "f");
    let trace = library(rules, Float::Real).greedy(&mut g, &limits);
    assert!(!ops(&g).contains(&"exp"), "{g} {trace:?}");
}

/// What both engines make of the sample, as text.
fn results() -> String {
    let mut text = String::new();
    for saturate in [false, true] {
        let library = library(SAMPLE, Float::All);
        let mut f = function(MANY, "f");
        let trace = match saturate {
            false => library.greedy(&mut f, &Limits::default()),
            true => library.saturate(&mut f, &Limits::default()),
        };
        valid(&f);
        text += &format!("{f}\n{trace:#?}\n");
    }
    text
}

const CHILD: &str = "AIAI_TEST_PRINTS_RESULTS";

#[test]
fn other_processes_give_the_same_bytes() {
    if std::env::var_os(CHILD).is_some() {
        println!("<<<{}>>>", results());
        return;
    }
    let mine = results();
    assert_eq!(mine, results());
    for _ in 0..2 {
        let test = std::env::current_exe().expect("the test knows its file");
        let output = Command::new(test)
            .args([
                "--exact",
                "library::other_processes_give_the_same_bytes",
                "--nocapture",
            ])
            .env(CHILD, "1")
            .output()
            .expect("the test runs again");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs = text.split("<<<").nth(1).and_then(|t| t.split(">>>").next());
        assert_eq!(theirs, Some(mine.as_str()));
    }
}

/// Instances of each rule of the library that are tried.
const MOST_TRIED: usize = 240;

/// The left side of an instance as a program: its constants are numbers.
fn left_side(rule: &Rule) -> Function {
    let mut f = rule.lhs.clone();
    let mut args = std::mem::take(&mut f.body.args);
    for (&arg, param) in rule.lhs.body.args.iter().zip(&rule.params) {
        if param.constant {
            args.retain(|&a| a != arg);
            let number = param.domain.map_or(3.0, |(low, _)| low);
            let dtype = f.ty(arg).dtype();
            let scalar = match dtype.is_float() {
                true => Scalar::Float(number),
                false => Scalar::Int(number as i64),
            };
            let constant = OpNode {
                op: Op::Constant {
                    value: Literal::scalar(dtype, scalar),
                },
                operands: vec![],
                results: vec![arg],
                regions: vec![],
                loc: None,
            };
            f.body.ops.insert(0, constant);
        }
    }
    f.body.args = args;
    f
}

#[test]
fn a_library_makes_each_rule_for_its_own_left_side() {
    let dtypes = [DType::F32, DType::F64, DType::I32, DType::U8, DType::Bool];
    let mut missing = Vec::new();
    let mut tried = 0;
    for &(name, text) in RULES {
        let program = rule_library(&[(name, text)]);
        let mut wanted = Vec::new();
        for (number, info) in program.rule_infos().iter().enumerate() {
            let all = info.instances(0..=3, &dtypes, 5_000);
            let every = all.len().div_ceil(MOST_TRIED).max(1);
            wanted.extend(all.into_iter().step_by(every).map(|i| (number, i)));
        }
        let rules = prepare(program.instantiate(&wanted));
        let library = Library::new(vec![Box::new(OfProgram(program))], Float::All);
        for rule in rules {
            let alone = Rules::new(vec![rule.clone()]);
            let f = left_side(&rule);
            if !alone.skipped().is_empty() || Survey::new(&alone, &f).compiled().is_empty() {
                continue;
            }
            tried += 1;
            let made = library.rules_for(&f);
            let mut made = made.instances().iter();
            if !made.any(|m| m.name == rule.name && m.instance == rule.instance) {
                missing.push(format!("{} {:?}", rule.name, rule.instance));
            }
        }
    }
    assert!(tried > 4_000, "{tried}");
    assert!(
        missing.is_empty(),
        "{} of {tried}: {missing:#?}",
        missing.len()
    );
}
