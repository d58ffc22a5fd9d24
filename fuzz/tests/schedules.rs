//! Random programs lowered by schedules, on the evaluator: the loops compute what the tensor level does.

use aiai_ir::schedule::Pattern;

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
fn every_kind_of_kernel_agrees_under_every_set_of_schedules() {
    const SETS: [fn(&aiai_ir::Function) -> aiai_codegen::Options; 7] = [
        |function| schedules::options_of(function, 0),
        |function| schedules::options_of(function, 1),
        |function| schedules::options_of(function, 2),
        |function| schedules::options_of(function, 3),
        |function| schedules::options_of(function, 4),
        |function| schedules::options_of(function, 5),
        |function| schedules::options_of(function, 6),
    ];
    assert_eq!(schedules::SETS.len(), SETS.len());
    let pools = [aiai_runtime::Pool::new(1).unwrap()];
    let mut scheduled = [[0; 4]; 7];
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
                for note in notes(program, options) {
                    scheduled[k][note as usize] += 1;
                }
            }
        }
    }
    let at_least = |pattern: Pattern, least: [usize; 7]| {
        let counts = scheduled.map(|set| set[pattern as usize]);
        let fits = counts.iter().zip(least).all(|(&n, least)| n >= least);
        assert!(fits, "{} by schedule: {counts:?}", pattern.name());
    };
    at_least(Pattern::Contract, [20, 20, 20, 20, 10, 20, 20]);
    at_least(Pattern::Attention, [4, 4, 4, 4, 0, 4, 4]);
    at_least(Pattern::Rows, [20, 20, 20, 20, 20, 20, 20]);
    at_least(Pattern::Map, [10, 10, 10, 10, 0, 10, 10]);
    // This set has none for them.
    for pattern in [Pattern::Map, Pattern::Attention] {
        assert_eq!(scheduled[4][pattern as usize], 0);
    }
}

/// The patterns of what gets a schedule in a program.
fn notes(
    program: aiai_fuzz::Program,
    options: fn(&aiai_ir::Function) -> aiai_codegen::Options,
) -> Vec<Pattern> {
    let mut module = program.module;
    aiai_passes::optimize(&mut module, program.entry, &aiai_passes::Options::default()).unwrap();
    let function = module.get(program.entry).unwrap();
    let options = options(function);
    let lowering = schedules::lowering(&options);
    let notes = aiai_codegen::lower::lower_with(function, &lowering).notes;
    notes
        .iter()
        .filter(|note| note.what.starts_with("schedule"))
        .map(|note| note.pattern)
        .collect()
}

/// Checks that a kernel follows each list of steps, and that no two of them give the same loops.
fn steps_change_loops(kernel: &str, pattern: &str, steps: &[&str]) {
    let mut seen: Vec<String> = Vec::new();
    for steps in steps {
        let text = format!("schedule mine for {pattern} on cpu {{\n{steps}\n}}\n");
        let (loops, notes) = schedules::loops_by(kernel, &text);
        assert_eq!(notes, [format!("schedule `mine` for {pattern}")], "{steps}");
        assert!(!seen.contains(&loops), "{steps}: as one before");
        seen.push(loops);
    }
}

#[test]
fn what_is_inlined_is_not_stored() {
    let buffers = |kernel: &str, inline: &str| {
        let text = format!(
            "schedule mine for contract on cpu {{ pack left\npack right\n{inline}\nregister rows by 2, columns by 4\n\
             vectorize columns by 4 }}"
        );
        let (loops, notes) = schedules::loops_by(kernel, &text);
        assert!(
            notes.iter().any(|note| note == "schedule `mine`"),
            "{notes:?}"
        );
        loops.matches(" = alloc").count()
    };
    // Operands of one kernel are read by others as well, and are stored for them.
    for (kernel, saved) in [
        ("computed", 2),
        ("computed_turned", 2),
        ("computed_for_two", 0),
    ] {
        let [stored, half, inlined] =
            ["", "inline left", "inline left, right"].map(|inline| buffers(kernel, inline));
        assert_eq!(
            [stored - half, stored - inlined],
            [saved / 2, saved],
            "{kernel}"
        );
    }
}

#[test]
fn rows_behind_a_product_are_computed_in_its_tiles() {
    let loops = |kernel: &str, fuse: &str, parallel: &str| {
        let text = format!(
            "schedule mine for contract on cpu {{ tile rows by 4\nparallel {parallel}\nregister rows by 2, columns by 4\n\
             vectorize columns by 4\n{fuse} }}\nschedule lines for rows on cpu {{ parallel rows\nvectorize columns by 4 }}"
        );
        let (loops, notes) = schedules::loops_by(kernel, &text);
        (loops.matches(" parallel ").count(), notes)
    };
    for kernel in ["normed", "shares_of_product", "lengths_of_product"] {
        let (apart, of_both) = loops(kernel, "fuse epilogue", "rows");
        let (within, notes) = loops(kernel, "fuse epilogue at rows", "rows");
        assert_eq!(notes[0], "schedule `mine`", "{kernel}");
        assert_eq!(notes, of_both, "{kernel}");
        assert_eq!((apart, within), (2, 1), "{kernel}");
    }
    // Other rows of the product are read, or the product is read by no rows.
    let (apart, _) = loops("rows_turned", "fuse epilogue", "rows");
    let (within, _) = loops("rows_turned", "fuse epilogue at rows", "rows");
    assert_eq!(apart, within);
    let (apart, _) = loops("product", "fuse epilogue", "rows");
    let (within, _) = loops("product", "fuse epilogue at rows", "rows");
    assert_eq!(apart, within);
    let (_, notes) = loops("normed", "fuse epilogue at rows", "rows, columns");
    let reason = "plain loops: `mine`: threads share columns: none of them finishes a row";
    assert!(notes[0].starts_with(reason), "{notes:?}");
    let (_, notes) = loops("normed", "fuse epilogue at rows", "batch");
    let reason = "plain loops: `mine`: threads do not share rows: no task finishes a tile of them";
    assert!(notes[0].starts_with(reason), "{notes:?}");
}

#[test]
fn balanced_blocks_have_a_loop_for_each_height() {
    let products = |balance: &str, kernel: &str| {
        let text = format!(
            "schedule mine for contract on cpu {{ register rows by 6, columns by 4\n{balance}\nvectorize columns by 4\n\
             fuse epilogue }}"
        );
        let (loops, notes) = schedules::loops_by(kernel, &text);
        assert_eq!(notes, ["schedule `mine`"], "{kernel}");
        loops.matches(" = fma ").count()
    };
    // Blocks of 6 rows, and of the 3 that an end may have; or of 6, 5, 4 and 3.
    assert_eq!(products("", "product"), 6 + 3);
    assert_eq!(products("balance rows", "product"), 6 + 5 + 4 + 3);
    // Panels of the left operand hold whole blocks.
    let packed = products("pack left", "product");
    assert_eq!(products("pack left\nbalance rows", "product"), packed);
    let (_, notes) = schedules::loops_by(
        "turned",
        "schedule mine for contract on cpu { tile summed by 4\nregister rows by 2, columns by 4\nbalance rows\n\
         vectorize columns by 4\npack right }",
    );
    let reason = "blocks of rows are balanced where whole sums are stored as rows";
    assert!(notes[0].contains(reason), "{notes:?}");
}

#[test]
fn attention_takes_the_form_that_fits_its_sizes() {
    let of_rows = |name: &str, guard: &str| {
        format!(
            "schedule {name} for attention on cpu {guard} {{ tile rows by 4\nvectorize columns by 4 }}\n"
        )
    };
    let notes = |text: &str| schedules::loops_by("attended", text).1;
    let two = of_rows("many", "where batch >= 8") + &of_rows("others", "");
    assert_eq!(notes(&two), ["schedule `many` or `others` for attention"]);
    // Without one for all sizes there is none.
    let one = notes(&of_rows("many", "where batch >= 8"));
    assert!(
        one.iter().any(|n| n.contains("no schedule fits all sizes")),
        "{one:?}"
    );
}

#[test]
fn sums_of_attention_in_blocks_agree_with_whole_ones() {
    const TEXT: &str = "schedule mine for attention on cpu { tile rows by 4, columns by 3\n\
                        register rows by 2, columns by 4\nvectorize columns by 4\nunroll rows by 4 }\n";
    let backend = Backend {
        options: |function| aiai_codegen::Options {
            schedules: schedules::read(TEXT),
            ..schedules::options_of(function, 0)
        },
        ..SCHEDULED
    };
    let pools = [aiai_runtime::Pool::new(1).unwrap()];
    // Results of other dtypes than that of the sums cannot hold a part of one.
    for (kernel, fits) in [
        ("attended", true),
        ("attended_in_doubles", true),
        ("attended_and_added", true),
        ("attended_to_truth", false),
        ("attended_to_halves", false),
    ] {
        let notes = schedules::loops_by(kernel, TEXT).1.concat();
        let scheduled = notes.contains("schedule `mine` for attention");
        assert_eq!(scheduled, fits, "{kernel}: {notes}");
        let mut programs = schedules::kernels(7).into_iter();
        let mut program = programs.find(|p| p.entry.as_str() == kernel).unwrap();
        let symbols: Vec<aiai_ir::Sym> = program.sizes[0].keys().copied().collect();
        // One of each number of keys: none, some, one whole block, several, a rest.
        program.sizes = [0, 2, 3, 6, 13]
            .map(|keys| {
                let size = |sym: &aiai_ir::Sym| if sym.as_str() == "J" { keys } else { 5 };
                symbols.iter().map(|sym| (*sym, size(sym))).collect()
            })
            .into();
        match check(&program, &pools, backend) {
            Verdict::Agreed { runs, .. } => assert!(runs >= 5, "{kernel}: {runs} runs"),
            Verdict::Failed(failure) => panic!("{kernel}: {failure:?}"),
        }
    }
}

#[test]
fn forms_of_attention_that_others_take_are_not_compiled() {
    let of = |name: &str, guard: &str| {
        format!(
            "schedule {name} for attention on cpu {guard} {{ tile rows by 4\nvectorize columns by 4 }}\n"
        )
    };
    let text = of("some", "where batch >= 4 and columns <= 9")
        + &of("fewer", "where batch >= 5 and columns <= 8 and rows >= 2")
        + &of("long", "where batch >= 5 and columns <= 10")
        + &of("all", "");
    let notes = schedules::loops_by("attended", &text).1;
    assert_eq!(notes, ["schedule `some` or `long` or `all` for attention"]);
    // One of these always fits.
    let text = of("short", "where columns <= 6") + &of("long", "where columns > 6");
    let notes = schedules::loops_by("attended", &text).1;
    assert_eq!(notes, ["schedule `short` or `long` for attention"]);
}

#[test]
fn facts_about_attention_hold_of_keys_and_values() {
    let note = |guard: &str| {
        let text = format!(
            "schedule mine for attention on cpu where {guard} {{ tile rows by 4\nvectorize columns by 4 }}\n"
        );
        schedules::loops_by("attended", &text).1.concat()
    };
    // Columns are neighbours in the values, not in the keys.
    assert!(note("dense(right)").contains("right is not dense"));
    assert!(note("not dense(right)").contains("schedule `mine` for attention"));
    assert!(note("bare(right)").contains("schedule `mine` for attention"));
}

#[test]
fn rows_of_scores_in_doubles_are_done_one_at_a_time() {
    let text = "schedule mine for attention on cpu { tile rows by 16\nvectorize columns by 16\nunroll rows by 16 }\n";
    let reason = "only sums, maxima and minima of f32 are reduced in vectors";
    let found = schedules::loops_by("attended_in_doubles", text).1;
    let note = format!("schedule `mine` for attention, one row at a time: {reason}");
    assert_eq!(found, [note]);
    assert_eq!(
        schedules::loops_by("attended", text).1,
        ["schedule `mine` for attention"]
    );
}

#[test]
fn attention_to_columns_of_several_indices_has_its_rows_in_memory() {
    let text = "schedule mine for attention on cpu { tile rows by 4\nvectorize columns by 4 }\n";
    let notes = schedules::loops_by("attended_by_parts", text).1.concat();
    assert!(
        notes.contains("rows in memory: the columns are several indices"),
        "{notes}"
    );
}

#[test]
fn steps_of_attention_that_do_not_fit_say_why() {
    for (steps, reason) in [
        (
            "parallel rows\nprefetch batch by 1",
            "threads that share rows ask for no batch ahead",
        ),
        (
            "unroll rows by 8",
            "at most as many rows are combined side by side as a vector has lanes: 4",
        ),
        (
            "vectorize columns by 8\nunroll rows by 8",
            "a tile of 4 rows has no 8 side by side",
        ),
    ] {
        let lanes = if steps.contains("vectorize") {
            ""
        } else {
            "\nvectorize columns by 4"
        };
        let text =
            format!("schedule mine for attention on cpu {{ tile rows by 4\n{steps}{lanes} }}\n");
        let notes = schedules::loops_by("attended", &text).1;
        assert!(notes.iter().any(|n| n.contains(reason)), "{notes:?}");
    }
}

#[test]
fn each_step_changes_the_loops() {
    let rows = [
        "parallel rows\nvectorize columns by 8",
        "vectorize columns by 8",
        "parallel rows\nvectorize columns by 4",
        "parallel rows\nvectorize columns by 8\nunroll columns by 2",
        "parallel rows\nvectorize columns by 8\ntile rows by 3",
        "parallel rows\nvectorize columns by 8\nregister rows by 8",
        "parallel rows\nvectorize columns by 8\nregister rows by 2",
        "parallel rows\nvectorize columns by 8\nregister rows by 8\nprefetch rows by 8",
        "parallel rows\nvectorize columns by 8\ntile rows by 16\nregister rows by 8",
    ];
    steps_change_loops("shares", "rows", &rows);
    let map = [
        "parallel columns\nvectorize columns by 8",
        "vectorize columns by 8",
        "parallel columns\nvectorize columns by 4",
        "parallel columns\nvectorize columns by 8\nunroll columns by 2",
        "parallel columns\nvectorize columns by 8\ntile columns by 24",
    ];
    steps_change_loops("signs", "map", &map);
    let attention = [
        "tile rows by 4\nparallel rows\nregister rows by 2, columns by 4\nvectorize columns by 2",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 2",
        "tile rows by 8\nregister rows by 2, columns by 4\nvectorize columns by 2",
        "tile rows by 4\nregister rows by 4, columns by 4\nvectorize columns by 2",
        "tile rows by 4\nregister rows by 2, columns by 2\nvectorize columns by 2",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 4",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 2\nunroll columns by 2",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 2\nreorder rows, columns",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 2\nunroll rows by 2",
        "tile rows by 4, columns by 8\nregister rows by 2, columns by 4\nvectorize columns by 2\nunroll rows by 2",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 2\npack right",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 2\nprefetch batch by 1",
        "tile rows by 4\nregister rows by 2, columns by 4\nvectorize columns by 2\nprefetch batch by 1\nunroll rows by 2",
    ];
    steps_change_loops("attended", "attention", &attention);
}

#[test]
fn panels_are_asked_for_ahead() {
    let asked = |steps: &str| {
        let text = format!(
            "schedule mine for contract on cpu {{ pack right\nregister rows by 2, columns by 32\n\
             vectorize columns by 16\n{steps} }}\n"
        );
        let (loops, notes) = schedules::loops_by("ragged", &text);
        assert!(notes.iter().any(|n| n == "schedule `mine`"), "{notes:?}");
        (loops.matches("prefetch ").count(), loops)
    };
    // 32 columns of f32 are two cache lines; a panel has 30 of them one below the other.
    let (none, plain) = asked("");
    let (near, of_sums) = asked("prefetch summed by 2");
    let (far, of_columns) = asked("prefetch columns by 1");
    assert_eq!((none, near > 0, near == far), (0, true, true));
    let times = |loops: &str, n: i64| loops.matches(&format!("value = i64[] [{n}]}}")).count();
    assert!(times(&of_sums, 64) > times(&plain, 64), "{of_sums}");
    assert!(times(&of_columns, 960) > times(&plain, 960), "{of_columns}");
    assert_eq!(asked("prefetch columns by 1, summed by 2").0, 2 * near);
}

#[test]
fn what_earlier_schedules_take_is_not_compiled_again() {
    let of = |name: &str, guard: &str| {
        format!(
            "schedule {name} for contract on cpu {guard} {{ register columns by 8\nvectorize columns by 8 }}\n"
        )
    };
    let notes = |middle: &str| {
        let text = of("few", "where rows <= 8") + &of("middle", middle) + &of("all", "");
        schedules::loops_by("ragged", &text).1[0].clone()
    };
    assert_eq!(notes("where rows <= 4"), "schedule `few` or `all`");
    assert_eq!(
        notes("where rows <= 9"),
        "schedule `few` or `middle` or `all`"
    );
}

#[test]
fn guards_know_how_large_the_weights_of_a_program_are() {
    // Of `ragged` the first and the third parameter are weights: 30 x 73 and 73 numbers of 4 bytes.
    let bytes = 4 * (30 * 73 + 73);
    let note = |least: i64| {
        let text = format!(
            "schedule many for contract on cpu where weights >= {least} {{ register columns by 8\n\
             vectorize columns by 8 }}\n"
        );
        let mut programs = schedules::kernels(0).into_iter();
        let program = programs.find(|p| p.entry.as_str() == "ragged").unwrap();
        let function = program.module.get(program.entry).unwrap();
        let options = aiai_codegen::Options {
            schedules: schedules::read(&text),
            ..schedules::options_of(function, 0)
        };
        let mut module = program.module.clone();
        aiai_passes::optimize(&mut module, program.entry, &aiai_passes::Options::default())
            .unwrap();
        let function = module.get(program.entry).unwrap();
        let lowered = aiai_codegen::lower::lower_with(function, &schedules::lowering(&options));
        lowered.notes[0].what.clone()
    };
    assert_eq!(note(bytes), "schedule `many`");
    let other = note(bytes + 1);
    assert!(
        other.starts_with("plain loops: `many`: `weights - "),
        "{other}"
    );
}

#[test]
fn guards_know_how_many_functions_and_sums_rows_have() {
    let by = |kernel: &str, functions: i64, sums: i64| {
        let text = format!(
            "schedule mine for rows on cpu where functions == {functions} and sums == {sums} {{\n\
             vectorize columns by 8\n}}\n"
        );
        schedules::loops_by(kernel, &text).1.remove(0)
    };
    for (kernel, functions, sums) in [
        ("shares", 1, 1),
        ("norm", 0, 2),
        ("spans", 0, 1),
        ("most", 0, 0),
    ] {
        let found = by(kernel, functions, sums);
        assert_eq!(found, "schedule `mine` for rows", "{kernel}");
        for other in [
            by(kernel, functions + 1, sums),
            by(kernel, functions, sums + 1),
        ] {
            assert!(other.starts_with("plain loops for rows"), "{other}");
        }
    }
}

#[test]
fn rows_that_no_schedule_fits_are_plain_loops() {
    let by = |steps: &str, guard: &str| {
        let text = format!("schedule mine for rows on cpu {guard} {{\n{steps}\n}}\n");
        schedules::loops_by("shares", &text).1
    };
    let lanes = "vectorize columns by 8";
    for (steps, guard, reason) in [
        (lanes, "where columns >= 4", "`N - 4` is not known"),
        ("parallel rows", "", "it has no `vectorize columns`"),
        (
            "vectorize columns by 3",
            "",
            "a vector has an even number of lanes",
        ),
        (
            "vectorize columns by 8\nunroll columns by 17",
            "",
            "at most 16 iterations are written out",
        ),
        (
            "vectorize columns by 8\nregister rows by 16",
            "",
            "at most as many rows are combined side by side as a vector has lanes: 8",
        ),
        (
            "vectorize columns by 6\nregister rows by 6",
            "",
            "6 rows make no tree in vectors of 6 lanes",
        ),
    ] {
        let why = format!("plain loops for rows: `mine`: {reason}");
        assert_eq!(by(steps, guard), [why]);
    }
    let other = "schedule mine for map on cpu { vectorize columns by 8 }\n";
    let why = "plain loops for rows: there is no schedule for rows";
    assert_eq!(schedules::loops_by("shares", other).1, [why]);
    let halves = "schedule mine for rows on cpu { vectorize columns by 8 }\n";
    let why = "plain loops for rows: f16 is not done in vectors";
    assert_eq!(schedules::loops_by("half_shares", halves).1, [why]);
}

#[test]
fn rows_that_cannot_be_side_by_side_say_why() {
    let text = "schedule mine for rows on cpu { vectorize columns by 8\nregister rows by 8 }\n";
    let note = |kernel: &str| schedules::loops_by(kernel, text).1.remove(0);
    let as_asked = "schedule `mine` for rows";
    for kernel in ["shares", "long_shares", "shifted", "spans", "norm"] {
        assert_eq!(note(kernel), as_asked, "{kernel}");
    }
    let why = "one row at a time: only sums, maxima and minima of f32 are reduced in vectors";
    assert_eq!(note("wide_shares"), format!("{as_asked}, {why}"));
}

#[test]
fn layouts_change_the_panels() {
    let plain = "schedule mine for contract on cpu {
  tile columns by 8
  register rows by 2, columns by 4
  vectorize columns by 4
}
";
    let by = |layout: &str| {
        let layouts = schedules::layouts(layout);
        schedules::loops_with(
            "product",
            aiai_ir::policy::laid_out(schedules::read(plain), &layouts),
        )
    };
    let (as_written, notes) = by("");
    assert_eq!(notes[0], "schedule `mine`");
    let mut seen = vec![as_written];
    for layout in [
        "layout contract { right: blocked(4) }",
        "layout contract { right: blocked(8) }",
        "layout contract { left: blocked(3) }",
    ] {
        let (loops, notes) = by(layout);
        assert_eq!(notes[0], "schedule `mine by layout`");
        assert!(!seen.contains(&loops), "{layout}: as one before");
        seen.push(loops);
    }
    // What does not fit leaves the schedule as it is.
    let (loops, notes) = by("layout contract { right: blocked(7) }");
    assert_eq!(notes[0], "schedule `mine`");
    assert_eq!(loops, seen[0]);
}
