//! Schedules that random programs are lowered with: those of the library, and small ones whose blocks and tiles
//! end within the few rows and columns that such programs have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aiai_codegen::lower::{INLINED, Lowering};
use aiai_codegen::{Options, Target};
use aiai_frontend::elaborate::{Loader, check, library_schedules, read_schedules};
use aiai_ir::policy::{LayoutChoice, laid_out};
use aiai_ir::schedule::Pattern;
use aiai_ir::{Function, Schedule};

use crate::generate::{Program, Sizes};
use aiai_ir::random::Random;

const SMALL: [&str; 4] = [
    "
schedule windows for contract on cpu where not bare(left) {
  tile rows by 4
  parallel columns, rows
  pack left, right
  inline left
  register rows by 2
  vectorize batch by 4
  unroll summed by 3
  fuse epilogue
}

schedule both_packed for contract on cpu {
  tile columns by 8, rows by 4, summed by 3
  parallel rows, columns
  pack left
  pack right
  inline left, right
  register rows by 2, columns by 8
  vectorize columns by 4
  unroll summed by 3
  prefetch summed by 2
  fuse epilogue
}

schedule blocks for attention on cpu {
  tile rows by 4
  parallel rows
  reorder rows, columns
  register rows by 2, columns by 2
  vectorize columns by 2
  unroll columns by 3, rows by 2
}

schedule short for rows on cpu where columns <= 4 {
  parallel rows
  vectorize columns by 2
}

schedule side_by_side for rows on cpu {
  tile rows by 2
  parallel rows
  vectorize columns by 4
  unroll columns by 2
  prefetch rows by 2
}

schedule pieces for map on cpu {
  tile columns by 6
  parallel columns
  vectorize columns by 2
  unroll columns by 3
}
",
    "
schedule dots for contract on cpu where columns >= 2 and not dense(right) {
  tile rows by 3
  parallel rows
  register rows by 3, columns by 2
  vectorize summed by 4
  fuse epilogue
}

schedule dense for contract on cpu where rows >= 3 and dense(right) and dense(out) {
  register rows by 3, columns by 4
  balance rows
  vectorize columns by 4
  unroll summed by 2
  fuse epilogue
}

schedule turned for contract on cpu where columns >= 2 and not dense(out) {
  tile rows by 4
  parallel rows
  reorder rows, columns
  pack right
  prefetch columns by 1
  inline right
  register rows by 4, columns by 4
  vectorize columns by 4
  fuse epilogue
}

schedule others for contract on cpu {
  parallel batch, columns
  register rows by 2, columns by 2
  vectorize columns by 2
}

schedule rows for attention on cpu {
  tile rows by 2, columns by 3
  register rows by 2, columns by 4
  vectorize columns by 4
  pack right
  prefetch batch by 1
}

schedule three_parts for rows on cpu {
  vectorize columns by 2
  unroll columns by 3
}

schedule whole for map on cpu {
  vectorize columns by 8
}
",
    "
schedule batches for contract on cpu where columns >= 2 and not bare(left) {
  parallel columns
  pack left
  register rows by 2
  vectorize batch by 2
  fuse epilogue
}

schedule one for contract on cpu where rows <= 1 {
  register columns by 2
  vectorize columns by 2
  fuse epilogue
}

schedule lines for contract on cpu where not bare(right) {
  register rows by 2, columns by 4
  vectorize columns by 4
  unroll summed by 4
  fuse epilogue
}

schedule sums for contract on cpu where summed >= 2 {
  tile summed by 2, rows by 3
  pack right
  prefetch columns by 2, summed by 1
  register rows by 3, columns by 2
  vectorize columns by 2
  fuse epilogue
}

schedule two_abreast for rows on cpu where columns <= 64 {
  register rows by 2
  vectorize columns by 2
}

schedule extremes for rows on cpu where sums == 0 and functions == 0 {
  vectorize columns by 2
  unroll columns by 6
}

schedule two_in_four for rows on cpu where functions >= 1 {
  register rows by 2
  vectorize columns by 4
  unroll columns by 3
}

schedule abreast for rows on cpu {
  tile rows by 8
  parallel rows
  register rows by 4
  vectorize columns by 4
  unroll columns by 2
  prefetch rows by 4
}
",
    "
schedule packed_blocks for contract on cpu where rows >= 9 and columns >= 2 {
  tile rows by 10
  parallel rows
  pack left, right
  prefetch columns by 1
  register rows by 5, columns by 2
  balance rows
  vectorize columns by 2
  fuse epilogue
}

schedule equal_blocks for contract on cpu where rows >= 5 and columns >= 2 {
  tile rows by 10
  parallel rows
  register rows by 5, columns by 2
  balance rows
  vectorize columns by 2
  unroll summed by 2
  fuse epilogue at rows
}

schedule with_rows for contract on cpu where rows >= 2 {
  tile rows by 4, columns by 4
  parallel rows
  pack right
  register rows by 2, columns by 2
  vectorize columns by 2
  fuse epilogue at rows
}

schedule some_dots for contract on cpu where summed >= 2 {
  parallel columns
  register rows by 2, columns by 4
  vectorize summed by 4
  fuse epilogue at rows
}

schedule few_rows for contract on cpu {
  register rows by 1, columns by 2
  vectorize columns by 2
}

schedule one_batch for attention on cpu where batch >= 4 and columns <= 5 {
  tile rows by 4
  register rows by 2, columns by 2
  vectorize columns by 2
  unroll rows by 2
  pack right
  prefetch batch by 2
}

schedule some_batches for attention on cpu where columns <= 7 {
  tile rows by 2
  parallel rows
  register rows by 1, columns by 2
  vectorize columns by 2
}

schedule all_batches for attention on cpu {
  tile rows by 6, columns by 4
  register rows by 3, columns by 4
  vectorize columns by 4
  unroll rows by 4
}

schedule lines for rows on cpu {
  parallel rows
  register rows by 2
  vectorize columns by 2
  unroll columns by 2
  prefetch rows by 1
}

schedule pairs for map on cpu {
  parallel columns
  vectorize columns by 2
}
",
];

/// Layouts that change what the small schedules do: panels where they have none, other widths, none at all.
const LAYOUTS: &str = "
layout contract where columns >= 3 { right: blocked(6) }
layout contract where rows >= 2 {
  left: blocked(3)
  right: blocked(4)
}
layout any { right: plain }
";

/// The library's schedules of every level that has some, then every small set, then the small ones with layouts.
pub static SETS: LazyLock<Vec<Vec<Schedule>>> = LazyLock::new(|| {
    let small = SMALL.iter().map(|text| read(text));
    let levels = ["cpu:x86-64-v4", "cpu:x86-64-v3"].map(|level| {
        let target = Target::parse(level).expect("a level");
        let mut schedules = library_schedules();
        schedules.retain(|s| s.is_for(|feature| target.has(feature)));
        // Processors that have more can run them too, and must, for what follows is tried on one machine.
        schedules.iter_mut().for_each(|s| s.without.clear());
        assert!(!schedules.is_empty(), "{level}");
        schedules
    });
    let small: Vec<Vec<Schedule>> = small.collect();
    let laid = laid_out(small.concat(), &layouts(LAYOUTS));
    levels.into_iter().chain(small).chain([laid]).collect()
});

/// The layouts of a text.
pub fn layouts(text: &str) -> Vec<LayoutChoice> {
    let found = check("layouts", text, &NoFiles).policies();
    found.expect("layouts that are right").layouts
}

/// Programs whose contractions, rows and maps are of every kind that schedules are for.
const KERNELS: &str = include_str!("kernels.aiai");

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("there are no files".into())
    }
}

/// The programs of [`KERNELS`], at sizes that are drawn.
pub fn kernels(seed: u64) -> Vec<Program> {
    let source = check("kernels", KERNELS, &NoFiles);
    assert!(source.diagnostics.is_empty(), "{:?}", source.diagnostics);
    let mut random = Random::new(seed);
    let mut programs = Vec::new();
    for name in source.functions() {
        let entry = source.entry(name, &BTreeMap::new());
        let entry = entry.unwrap_or_else(|found| panic!("{name}: {found:?}"));
        let Some(function) = entry.module.get(entry.name) else {
            continue;
        };
        let mut symbols = BTreeSet::new();
        for &param in function.params() {
            for dim in function.ty(param).shape() {
                dim.for_each_sym(&mut |sym| {
                    symbols.insert(sym);
                });
            }
        }
        let draw = |random: &mut Random| -> Sizes {
            let size = |random: &mut Random| random.choose([0, 1, 2, 3, 5, 7, 9, 13]);
            symbols.iter().map(|&sym| (sym, size(random))).collect()
        };
        programs.push(Program {
            seed,
            sizes: (0..3).map(|_| draw(&mut random)).collect(),
            entry: entry.name,
            module: entry.module,
        });
    }
    programs
}

/// Options with a set of schedules, chosen by the function; every second parameter is a weight.
pub fn options(function: &Function) -> Options {
    let mut ops = 0;
    function.body.walk(&mut |_| ops += 1);
    options_of(function, ops % SETS.len())
}

/// How a function is lowered with options: with schedules as for LLVM, without them for Cranelift.
pub fn lowering(options: &Options) -> Lowering<'_> {
    let for_llvm = !options.schedules.is_empty();
    Lowering {
        check_nan: false,
        schedules: &options.schedules,
        weights: &options.weights,
        inlined: if for_llvm { INLINED } else { &[] },
    }
}

/// Options with a set of schedules, by its number.
pub fn options_of(function: &Function, set: usize) -> Options {
    Options {
        schedules: SETS[set].clone(),
        weights: (0..function.params().len()).step_by(2).collect(),
        ..Options::default()
    }
}

/// The schedules of a text without mistakes.
pub fn read(text: &str) -> Vec<Schedule> {
    let file = read_schedules("own", text);
    assert!(file.diagnostics.is_empty(), "{:?}", file.diagnostics);
    file.schedules
}

/// The loops of one of the [`kernels`] with the schedules of a text, and the notes on them.
pub fn loops_by(kernel: &str, text: &str) -> (String, Vec<String>) {
    loops_with(kernel, read(text))
}

/// The same with schedules.
pub fn loops_with(kernel: &str, schedules: Vec<Schedule>) -> (String, Vec<String>) {
    let mut programs = kernels(0).into_iter();
    let program = programs.find(|p| p.entry.as_str() == kernel);
    let mut program = program.expect("a kernel of that name");
    let entry = program.entry;
    let passes = aiai_passes::Options::default();
    aiai_passes::optimize(&mut program.module, entry, &passes).expect("a program that is right");
    let function = program.module.get(entry).expect("the entry");
    let options = Options {
        schedules,
        ..Options::default()
    };
    let lowered = aiai_codegen::lower::lower_with(function, &lowering(&options));
    let loops = aiai_ir::print_function(&lowered.main, aiai_ir::PrintOptions { locations: false });
    (loops, lowered.notes.into_iter().map(|n| n.what).collect())
}

/// Options with the library's schedules for rows and maps alone: what follows them has the bits of the micro-kernels.
pub fn rows_and_maps() -> Options {
    let mut schedules = SETS[0].clone();
    schedules.retain(|s| matches!(s.pattern, Pattern::Rows | Pattern::Map));
    Options {
        schedules,
        ..Options::default()
    }
}
