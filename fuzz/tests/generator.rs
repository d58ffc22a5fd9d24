//! The generator makes programs that verify, round-trip through text, and run.

use aiai_fuzz::{Options, arguments, generate};
use aiai_ir::{Stage, eval, parse_module, print_module, verify};

const SEEDS: u64 = 400;

#[test]
fn programs_verify_and_round_trip() {
    for gradients in [false, true] {
        let options = Options {
            gradients,
            ..Options::default()
        };
        for seed in 0..SEEDS {
            let program = generate(seed, &options);
            verify(&program.module, Stage::Source).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let text = print_module(&program.module, Default::default());
            let again = parse_module(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
            assert_eq!(
                text,
                print_module(&again, Default::default()),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_program() {
    for seed in 0..50 {
        let [a, b] = [0, 1].map(|_| generate(seed, &Options::default()));
        assert_eq!(a.module, b.module);
        assert_eq!(a.sizes, b.sizes);
    }
}

#[test]
fn most_programs_run() {
    let mut failures = Vec::new();
    let mut runs = 0;
    for seed in 0..SEEDS {
        let program = generate(seed, &Options::default());
        for case in 0..program.sizes.len() {
            let args = arguments(&program, case);
            runs += 1;
            if let Err(e) = eval::run(
                &program.module,
                program.entry,
                &args,
                &eval::Options::default(),
            ) {
                failures.push(format!("seed {seed} case {case}: {e}"));
            }
        }
    }
    println!(
        "{} of {runs} runs end with an error: {failures:#?}",
        failures.len()
    );
    assert!(failures.len() * 10 < runs, "{failures:#?}");
}
