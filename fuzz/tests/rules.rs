//! Rules change no bits that they should not: random programs by rules of class `exact`, greedily and by saturation,
//! against the same programs without rules, on the evaluator.

use std::sync::Arc;

use aiai_frontend::elaborate::{Loader, Program as Source, check};
use aiai_fuzz::{Options, Program, Random, arguments, generate};
use aiai_ir::eval::{self, Array};
use aiai_ir::{
    BinaryKind, DType, Instance, Literal, Module, Op, OpNode, Region, RuleInfo, RuleSet, Scalar,
    Type, UnaryKind, Value,
};
use aiai_passes::rewrite::{self, Float, Library, Trace};
use aiai_passes::{PassError, optimize};

const RULES: &str = include_str!("../../passes/tests/rewrite/rules.aiai");
const SEEDS: u64 = 150;

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

struct OfProgram(Source);

impl rewrite::Source for OfProgram {
    fn infos(&self) -> Vec<RuleInfo> {
        self.0.rule_infos()
    }

    fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet {
        self.0.instantiate(wanted)
    }
}

/// Puts what rules look for behind some of the ops: double negations, ones, zeros.
fn salt(program: &mut Program) {
    let mut random = Random::new(program.seed ^ 0x5A17);
    for function in program.module.functions.values_mut() {
        let mut body = std::mem::take(&mut function.body);
        salt_region(function, &mut body, &mut random);
        function.body = body;
    }
}

fn salt_region(function: &mut aiai_ir::Function, region: &mut Region, random: &mut Random) {
    let mut replaced: Vec<(Value, Value)> = Vec::new();
    let mut ops = Vec::with_capacity(region.ops.len());
    for mut node in std::mem::take(&mut region.ops) {
        for inner in &mut node.regions {
            salt_region(function, inner, random);
        }
        let mut rename = |value: Value| {
            let found = replaced.iter().rev().find(|r| r.0 == value);
            found.map_or(value, |r| r.1)
        };
        node.operands.iter_mut().for_each(|v| *v = rename(*v));
        for inner in &mut node.regions {
            inner.map_uses(&mut rename);
        }
        let result = node.results.first().copied();
        let single = node.results.len() == 1;
        ops.push(node);
        let Some(value) = result.filter(|_| single && random.choose([true, false])) else {
            continue;
        };
        let mut b = Salt {
            function,
            ops: &mut ops,
        };
        replaced.push((value, b.grain(value, random)));
    }
    let last = |value: Value| {
        let found = replaced.iter().rev().find(|r| r.0 == value);
        found.map_or(value, |r| r.1)
    };
    region.yields.iter_mut().for_each(|v| *v = last(*v));
    region.ops = ops;
}

struct Salt<'a> {
    function: &'a mut aiai_ir::Function,
    ops: &'a mut Vec<OpNode>,
}

impl Salt<'_> {
    fn op(&mut self, op: Op, operands: &[Value], ty: Type) -> Value {
        let result = self.function.new_value(ty);
        self.ops.push(OpNode {
            op,
            operands: operands.to_vec(),
            results: vec![result],
            regions: Vec::new(),
            loc: None,
        });
        result
    }

    fn splat(&mut self, value: f64, ty: &Type) -> Value {
        let scalar = match ty.dtype().is_float() {
            true => Scalar::Float(value),
            false => Scalar::Int(value as i64),
        };
        let value = Literal::scalar(ty.dtype(), scalar);
        let one = self.op(Op::Constant { value }, &[], Type::scalar(ty.dtype()));
        let op = Op::Broadcast {
            shape: ty.shape().to_vec(),
            axes: Vec::new(),
        };
        self.op(op, &[one], ty.clone())
    }

    /// A value that equals another.
    fn grain(&mut self, value: Value, random: &mut Random) -> Value {
        let ty = self.function.ty(value).clone();
        let unary = |kind| Op::Unary { kind };
        let binary = |kind| Op::Binary { kind };
        if ty.dtype() == DType::Bool {
            let once = self.op(unary(UnaryKind::Not), &[value], ty.clone());
            return self.op(unary(UnaryKind::Not), &[once], ty);
        }
        match random.choose([0, 1, 2, 3]) {
            0 if ty.dtype().is_float() || ty.dtype().is_signed() => {
                let once = self.op(unary(UnaryKind::Neg), &[value], ty.clone());
                self.op(unary(UnaryKind::Neg), &[once], ty)
            }
            1 => {
                let one = self.splat(1.0, &ty);
                self.op(binary(BinaryKind::Mul), &[one, value], ty)
            }
            2 => self.op(binary(BinaryKind::Max), &[value, value], ty),
            _ => {
                let zero = self.splat(-0.0, &ty);
                self.op(binary(BinaryKind::Add), &[value, zero], ty)
            }
        }
    }
}

/// The bits of results, NaN payloads aside.
fn bits(results: &[Array]) -> Vec<Vec<u64>> {
    let of = |x: &f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
    let all = results.iter().map(|a| match &a.data {
        eval::Data::Float(values) => values.iter().map(of).collect(),
        eval::Data::Int(values) => values.iter().map(|&x| x as u64).collect(),
    });
    all.collect()
}

fn optimised(program: &Program, options: &aiai_passes::Options) -> Option<(Module, Trace)> {
    let mut module = program.module.clone();
    match optimize(&mut module, program.entry, options) {
        Ok(report) => Some((module, report.trace)),
        Err(PassError::Differentiate(_)) => None,
        Err(error) => panic!("seed {}: {error}", program.seed),
    }
}

fn library() -> Arc<Library> {
    let program = check("rules.aiai", RULES, &NoFiles);
    assert!(program.diagnostics.is_empty());
    let sources: Vec<Box<dyn rewrite::Source>> = vec![Box::new(OfProgram(program))];
    Arc::new(Library::new(sources, Float::Strict))
}

#[test]
fn exact_rules_change_no_bits() {
    let library = library();
    let (mut firings, mut compared) = ([0, 0], 0);
    for seed in 0..SEEDS {
        let options = Options {
            gradients: seed % 5 == 0,
            ..Options::default()
        };
        let mut program = generate(seed, &options);
        salt(&mut program);
        let plain = aiai_passes::Options {
            verify_each: true,
            verify_firings: true,
            ..Default::default()
        };
        let Some((without, _)) = optimised(&program, &plain) else {
            continue;
        };
        for saturate in [false, true] {
            let options = aiai_passes::Options {
                rules: Some(library.clone()),
                saturate,
                ..plain.clone()
            };
            let (with, trace) =
                optimised(&program, &options).expect("it was differentiated before");
            firings[usize::from(saturate)] += trace.firings.len();
            for case in 0..program.sizes.len() {
                let args = arguments(&program, case);
                let run =
                    |module| eval::run(module, program.entry, &args, &eval::Options::default());
                let (Ok(before), Ok(after)) = (run(&without), run(&with)) else {
                    continue;
                };
                compared += 1;
                assert_eq!(
                    bits(&before),
                    bits(&after),
                    "seed {seed}, case {case}, saturate {saturate}: {:#?}",
                    trace.firings
                );
            }
        }
    }
    assert!(compared > 100, "only {compared} compared");
    assert!(firings.iter().all(|&n| n > 500), "{firings:?}");
}
