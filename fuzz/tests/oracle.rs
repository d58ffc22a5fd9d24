//! All executors agree on random programs, and the oracle sees what is wrong.

use aiai_fuzz::{Options, Verdict, arguments, check, generate};
use aiai_ir::eval::{self, Array};
use aiai_ir::{Op, UnaryKind};
use aiai_runtime::Pool;

const SEEDS: u64 = 300;

#[test]
fn executors_agree() {
    let pools: Vec<Pool> = [1, 2].map(|n| Pool::new(n).unwrap()).into();
    let (mut compared, mut total) = (0, 0);
    for seed in 0..SEEDS {
        let options = Options {
            gradients: seed % 4 == 0,
            ..Options::default()
        };
        let program = generate(seed, &options);
        match check(&program, &pools, aiai_fuzz::CRANELIFT) {
            Verdict::Agreed { runs, skipped } => {
                compared += runs;
                total += runs + skipped;
            }
            Verdict::Failed(failure) => panic!("seed {seed}: {failure:?}"),
        }
    }
    assert!(
        compared * 10 > total * 8,
        "only {compared} of {total} runs are compared"
    );
}

/// Replaces the first op of one kind by another; whether there was one.
fn break_program(program: &mut aiai_fuzz::Program) -> bool {
    let mut done = false;
    for function in program.module.functions.values_mut() {
        function.body.walk_mut(&mut |node| {
            if let (Op::Unary { kind }, false) = (&mut node.op, done)
                && *kind == UnaryKind::Neg
            {
                *kind = UnaryKind::Abs;
                done = true;
            }
        });
    }
    done
}

#[test]
fn a_wrong_op_is_found_wherever_it_shows() {
    let run = |program: &aiai_fuzz::Program, bound: bool| {
        let options = eval::Options {
            bound,
            ..eval::Options::default()
        };
        let args = arguments(program, 0);
        eval::run(&program.module, program.entry, &args, &options)
    };
    let (mut broken, mut found) = (0, 0);
    for seed in 0..3000 {
        let program = generate(seed, &Options::default());
        let mut other = program.clone();
        if !break_program(&mut other) {
            continue;
        }
        let (Ok(expected), Ok(bits), Ok(got)) = (
            run(&program, true),
            run(&program, false),
            run(&other, false),
        ) else {
            continue;
        };
        let same =
            |a: &[Array], b: &[Array]| a.iter().zip(b).all(|(a, b)| eval::compare(a, b).is_ok());
        assert!(
            same(&expected, &bits),
            "seed {seed}: the evaluator is outside its own bound"
        );
        // Differences that a bound hides are rounding, or behind an undecided comparison.
        if !same(&bits, &got) {
            broken += 1;
            found += usize::from(!same(&expected, &got));
        }
    }
    assert!(
        broken > 20 && found * 10 >= broken * 9,
        "found {found} of {broken}"
    );
}
