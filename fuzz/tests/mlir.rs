//! Random programs survive the way to MLIR and back, at every level.

use aiai_fuzz::{Options, generate};
use aiai_ir::{Module, PrintOptions, mlir, print_module};

const PROGRAMS: u64 = 200;

fn round_trip(module: &Module, what: &str) {
    let options = PrintOptions { locations: true };
    let exported = mlir::export(module, options);
    let (again, _) = mlir::import(&exported).unwrap_or_else(|e| panic!("{what}: {e}\n{exported}"));
    assert_eq!(
        print_module(module, options),
        print_module(&again, options),
        "{what}"
    );
}

#[test]
fn random_programs_survive() {
    for seed in 0..PROGRAMS {
        let options = Options {
            gradients: seed.is_multiple_of(4),
            ..Default::default()
        };
        let mut program = generate(seed, &options);
        round_trip(&program.module, &format!("seed {seed}, source"));
        let options = aiai_passes::Options::default();
        match aiai_passes::optimize(&mut program.module, program.entry, &options) {
            Ok(_) => {}
            // Some functions have no derivative.
            Err(aiai_passes::PassError::Differentiate(_)) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        round_trip(&program.module, &format!("seed {seed}, fused"));
        let mut loops = Module::default();
        for function in program.module.functions.values() {
            let mut function = aiai_codegen::lower::lower(function, false);
            aiai_codegen::memory::plan(&mut function);
            loops.insert(function);
        }
        round_trip(&loops, &format!("seed {seed}, loops"));
    }
}
