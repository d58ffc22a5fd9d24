//! Random programs lowered by schedules, on the evaluator: the loops compute what the tensor level does.

use aiai_fuzz::{Backend, Options, Verdict, check, generate, schedules};

/// Machine code of Cranelift, which has no use for them, beside loops that follow them.
const SCHEDULED: Backend = Backend {
    name: "cranelift",
    options: schedules::options,
    compile: |function, _| {
        aiai_codegen::compile(function, &aiai_codegen::Options::default())
            .map_err(|e| e.to_string())
    },
};

const SEEDS: u64 = 300;

#[test]
fn scheduled_loops_agree_with_the_tensor_level() {
    let pools = [aiai_runtime::Pool::new(1).unwrap()];
    let mut compared = 0;
    for seed in 20_000..20_000 + SEEDS {
        let options = Options {
            gradients: seed % 4 == 0,
            ..Options::default()
        };
        match check(&generate(seed, &options), &pools, SCHEDULED) {
            Verdict::Agreed { runs, .. } => compared += runs,
            Verdict::Failed(failure) => panic!("seed {seed}: {failure:?}"),
        }
    }
    assert!(compared as u64 > SEEDS, "{compared} runs compared");
}

#[test]
fn every_kind_of_contraction_agrees_under_every_set_of_schedules() {
    const SETS: [fn(&aiai_ir::Function) -> aiai_codegen::Options; 5] = [
        |function| schedules::options_of(function, 0),
        |function| schedules::options_of(function, 1),
        |function| schedules::options_of(function, 2),
        |function| schedules::options_of(function, 3),
        |function| schedules::options_of(function, 4),
    ];
    assert_eq!(schedules::SETS.len(), SETS.len());
    let pools = [aiai_runtime::Pool::new(1).unwrap()];
    let mut scheduled = 0;
    for (k, options) in SETS.into_iter().enumerate() {
        let backend = Backend {
            options,
            ..SCHEDULED
        };
        for seed in 0..4 {
            for program in schedules::kernels(seed) {
                let name = program.entry;
                match check(&program, &pools, backend) {
                    Verdict::Agreed { .. } => {}
                    Verdict::Failed(failure) => panic!("{name}, set {k}, seed {seed}: {failure:?}"),
                }
                scheduled += notes(program, options);
            }
        }
    }
    assert!(scheduled > 100, "{scheduled} contractions by schedule");
}

/// How many contractions of a program get a schedule.
fn notes(
    program: aiai_fuzz::Program,
    options: fn(&aiai_ir::Function) -> aiai_codegen::Options,
) -> usize {
    let mut module = program.module;
    aiai_passes::optimize(&mut module, program.entry, &aiai_passes::Options::default()).unwrap();
    let function = module.get(program.entry).unwrap();
    let options = options(function);
    let lowering = schedules::lowering(&options);
    let notes = aiai_codegen::lower::lower_with(function, &lowering).notes;
    notes
        .iter()
        .filter(|note| note.what.starts_with("schedule"))
        .count()
}
