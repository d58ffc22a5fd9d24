//! Random programs survive the way to MLIR and back, at every level, and have every op of the table.

use aiai_fuzz::{Options, generate};
use aiai_ir::ops::Row;
use aiai_ir::{Module, PrintOptions, mlir, parse_module, print_module};

const PROGRAMS: u64 = 200;

/// What schedules make.
const VECTORS: &str = r#"
func @main(@x %0: buffer f32[N, 48], @y %1: buffer f32[N, 48]) -> () {
  %2: i64[] = constant {value = i64[] [7]}
  %3: f32[16] = load_vector %0, %2, %2, %2 {lanes = 16, stride = 3}
  prefetch %0, %2
  %4: f32[] = constant {value = f32[] [0.5]}
  %5: f32[16] = broadcast %4 {shape = [16], axes = []}
  %6: f32[16] = fma %3, %5, %5
  %7: f32[16] = shuffle %3, %6 {lanes = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]}
  store_vector %7, %1, %2, %2, %2
  return
}"#;

fn round_trip(module: &Module, what: &str, missing: &mut Vec<Row>) {
    for function in module.functions.values() {
        let seen = &mut |node: &aiai_ir::OpNode| missing.retain(|row| *row != node.op.row());
        function.body.walk(seen);
    }
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
    let mut missing = Row::ALL.to_vec();
    for seed in 0..PROGRAMS {
        let options = Options {
            gradients: seed.is_multiple_of(4),
            ..Default::default()
        };
        let mut program = generate(seed, &options);
        round_trip(
            &program.module,
            &format!("seed {seed}, source"),
            &mut missing,
        );
        let options = aiai_passes::Options::default();
        match aiai_passes::optimize(&mut program.module, program.entry, &options) {
            Ok(_) => {}
            // Some functions have no derivative.
            Err(aiai_passes::PassError::Differentiate(_)) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        round_trip(
            &program.module,
            &format!("seed {seed}, fused"),
            &mut missing,
        );
        let mut loops = Module::default();
        for function in program.module.functions.values() {
            let mut function = aiai_codegen::lower::lower(function, false);
            aiai_codegen::memory::plan(&mut function);
            loops.insert(function);
        }
        round_trip(&loops, &format!("seed {seed}, loops"), &mut missing);
    }
    let vectors = parse_module(VECTORS).expect("IR");
    round_trip(&vectors, "vectors", &mut missing);
    assert_eq!(missing, [], "rows of the op table without a round trip");
}
