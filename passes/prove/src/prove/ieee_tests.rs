//! The questions about floats against the reference evaluator: op by op, on special and random numbers.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::Write as _;
use std::process::{Command, Stdio};

use aiai_ir::eval::{Array, Data, Options, run_function};
use aiai_ir::{
    BinaryKind, CompareKind, DType, Function, Op, OpNode, Region, Type, UnaryKind, Value,
};

use super::super::term::{Mode, Terms};
use super::super::unroll::unroll;
use super::{Ieee, literal};

/// A function of one op on scalars.
fn single(op: Op, operands: &[DType], result: DType) -> Function {
    let mut function = Function::new("single");
    let args: Vec<Value> = operands
        .iter()
        .map(|dtype| function.add_param("x", Type::scalar(*dtype), false))
        .collect();
    let value = function.new_value(Type::scalar(result));
    function.result_names = vec!["y".into()];
    function.body = Region {
        args: args.clone(),
        ops: vec![OpNode {
            op,
            operands: args,
            results: vec![value],
            regions: Vec::new(),
            loc: None,
        }],
        yields: vec![value],
    };
    function
}

/// Ends, halves, ties, zeros of both signs, subnormal numbers, and some of any bits.
fn numbers(dtype: DType) -> Vec<f64> {
    let mut all = vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        3.0,
        1e-40,
        -1e-45,
        6e-8,
        65504.0,
        3.4e38,
        127.0,
        -128.5,
        2147483648.0,
        -2147483648.0,
        9.3e18,
        -1e300,
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for k in 0..14 {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(k);
        // Exponents that the narrow formats have too.
        let small = (state & 0x800F_FFFF_FFFF_FFFF) | ((1010 + (state >> 57 & 31)) << 52);
        all.push(f64::from_bits(small));
    }
    all.iter()
        .map(|x| aiai_ir::eval::round_to(dtype, *x))
        .collect()
}

fn integers(dtype: DType) -> Vec<i64> {
    let all = [
        0,
        1,
        -1,
        7,
        127,
        -128,
        255,
        16_777_217,
        2049,
        i64::MAX,
        i64::MIN,
        1 << 53 | 1,
    ];
    Array::ints(dtype, vec![all.len()], all).as_ints().to_vec()
}

/// A value as the solver writes it.
fn told(x: &Array) -> String {
    match &x.data {
        Data::Float(v) => literal(v[0], x.dtype, "RNE"),
        Data::Int(v) if x.dtype == DType::Bool => (v[0] != 0).to_string(),
        Data::Int(v) => {
            let bits = x.dtype.bytes() * 8;
            let value = (v[0] as u64 as u128) & ((1 << bits) - 1);
            format!("(_ bv{value} {bits})")
        }
    }
}

/// Every operand of a dtype, alone.
fn values(dtype: DType) -> Vec<Array> {
    if dtype.is_float() {
        let one = |x: f64| Array::floats(dtype, Vec::new(), [x]);
        numbers(dtype).into_iter().map(one).collect()
    } else {
        let one = |x: i64| Array::ints(dtype, Vec::new(), [x]);
        integers(dtype).into_iter().map(one).collect()
    }
}

/// A question for each set of arguments, each to be answered "unsat"; how many there are. The last one says
/// something false, to be answered "sat".
fn questions(function: &Function, sets: &[Vec<Array>], text: &mut String) -> usize {
    let mut terms = Terms::new(Mode::Free);
    let sizes = HashMap::new();
    let Ok(ran) = unroll(&mut terms, function, &sizes, &[]) else {
        panic!("no terms for {function:?}");
    };
    let term = &ran.results[0].elements[0].term;
    let dtype = ran.results[0].dtype;
    let mut ieee = Ieee::new(&terms);
    let value = ieee.value(term, dtype).expect("a value");
    let asked = ieee.finish().expect("a script").asked("");
    let known = asked
        .script
        .replace("(check-sat)\n", "")
        .replace("(set-logic QF_BVFP)\n", "");
    let _ = writeln!(text, "(push 1)\n{known}");
    for set in sets {
        let result = run_function(function, set, &sizes, &Options::default()).expect("runs");
        let _ = writeln!(text, "(push 1)");
        for (name, atom) in &asked.names {
            let super::Atom::Read {
                source: super::Source::Param(at),
                ..
            } = *terms.atom(*atom)
            else {
                continue;
            };
            let _ = writeln!(text, "(assert (= {name} {}))", told(&set[at as usize]));
        }
        let _ = writeln!(
            text,
            "(assert (not (= {value} {})))\n(check-sat)\n(pop 1)",
            told(&result[0])
        );
    }
    let _ = writeln!(text, "(pop 1)");
    sets.len()
}

fn sets(operands: &[DType]) -> Vec<Vec<Array>> {
    let mut all = vec![Vec::new()];
    for dtype in operands {
        let longer = all.iter().flat_map(|set: &Vec<Array>| {
            values(*dtype).into_iter().map(|x| {
                let mut next = set.clone();
                next.push(x);
                next
            })
        });
        all = longer.collect();
    }
    // Of many pairs those of special numbers, and every seventh: all numbers, and all differences of their places.
    let special = |x: &Array| x.to_f64().iter().all(|v| !v.is_finite() || v.abs() <= 0.5);
    let many = all.len() > 200;
    let kept = all.into_iter().enumerate();
    kept.filter(|(at, set)| !many || at % 7 == 0 || set.iter().all(special))
        .map(|(_, set)| set)
        .collect()
}

fn functions() -> Vec<(Function, Vec<DType>)> {
    let floats = [DType::F16, DType::BF16, DType::F32, DType::F64];
    let mut all = Vec::new();
    for dtype in floats {
        for kind in [
            UnaryKind::Neg,
            UnaryKind::Abs,
            UnaryKind::Sign,
            UnaryKind::Floor,
            UnaryKind::Ceil,
            UnaryKind::Round,
            UnaryKind::Sqrt,
            UnaryKind::IsNan,
            UnaryKind::IsFinite,
        ] {
            let result = if kind.is_predicate() {
                DType::Bool
            } else {
                dtype
            };
            all.push((single(Op::Unary { kind }, &[dtype], result), vec![dtype]));
        }
        for kind in [
            BinaryKind::Add,
            BinaryKind::Sub,
            BinaryKind::Mul,
            BinaryKind::Div,
            BinaryKind::Max,
            BinaryKind::Min,
        ] {
            let operands = vec![dtype, dtype];
            all.push((single(Op::Binary { kind }, &operands, dtype), operands));
        }
        for kind in CompareKind::ALL {
            let operands = vec![dtype, dtype];
            let op = Op::Compare { kind: *kind };
            all.push((single(op, &operands, DType::Bool), operands));
        }
        let integers = [
            DType::I8,
            DType::U8,
            DType::I32,
            DType::U32,
            DType::I64,
            DType::U64,
        ];
        for to in floats.into_iter().chain(integers).filter(|to| *to != dtype) {
            all.push((single(Op::Cast { dtype: to }, &[dtype], to), vec![dtype]));
        }
        for from in integers {
            all.push((single(Op::Cast { dtype }, &[from], dtype), vec![from]));
        }
    }
    all
}

#[test]
fn the_theory_computes_what_the_evaluator_does() {
    let mut text = String::from("(set-logic QF_BVFP)\n");
    let mut expected = Vec::new();
    for (function, operands) in functions() {
        let sets = sets(&operands);
        let count = questions(&function, &sets, &mut text);
        let name = format!("{:?} of {operands:?}", function.body.ops[0].op);
        expected.extend((0..count).map(|k| (name.clone(), sets[k].clone())));
    }
    // That a wrong claim would be seen.
    text.push_str(
        "(declare-const w (_ FloatingPoint 8 24))\n(assert (not (= w (fp.neg w))))\n(check-sat)\n",
    );
    let child = Command::new("z3")
        .args(["-in", "-smt2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("no solver here: scripts/solver.sh installs it");
        return;
    };
    let mut stdin = child.stdin.take().expect("stdin");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("an answer");
    let _ = writer.join();
    let answers = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(
        answers.len(),
        expected.len() + 1,
        "{:?}",
        answers.iter().find(|a| a.len() > 7)
    );
    assert_eq!(answers.last(), Some(&"sat"));
    println!("{} questions", expected.len());
    let wrong: Vec<String> = expected
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer != "unsat")
        .map(|((name, set), answer)| {
            let set: Vec<&Data> = set.iter().map(|x| &x.data).collect();
            format!("{name} at {set:?}: {answer}")
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}
