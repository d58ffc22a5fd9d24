//! Schedules: from text to what code generation reads; what is refused, and with what words.

use aiai_frontend::diagnostics::{Diagnostics, render};
use aiai_frontend::elaborate::{Loader, check, read_schedules};
use aiai_frontend::fmt::format;
use aiai_frontend::span::FileId;
use aiai_ir::schedule::{Axis, Condition, Fact, Part, Pattern, Step, Subject, Verb};
use aiai_ir::{Dim, Relation, Schedule, Sym};
use proptest::prelude::*;

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("there are no other files".into())
    }
}

const PRODUCT: &str = "\
/// Matrix products with enough rows.
schedule product for contract on cpu(avx512f)
    where rows >= 4 and dense(right) and not constant(left) and columns % 16 == 0 {
  tile columns by 768, summed by 512
  parallel columns, rows
  pack right
  register rows by 8, columns by 48
  vectorize columns by 16
  unroll summed by 2
  prefetch summed by 8
  fuse epilogue
}
";

fn read(text: &str) -> Vec<Schedule> {
    let file = read_schedules("tuning.aiai", text);
    let shown: String = file
        .diagnostics
        .iter()
        .map(|d| render(d, &file.sources, false))
        .collect();
    assert!(shown.is_empty(), "{shown}");
    file.schedules
}

/// Codes of what is found, in order.
fn codes(text: &str) -> Vec<&'static str> {
    let file = read_schedules("tuning.aiai", text);
    for diagnostic in file.diagnostics.iter() {
        render(diagnostic, &file.sources, false);
    }
    assert!(!file.diagnostics.is_empty() || !file.schedules.is_empty());
    file.diagnostics.iter().map(|d| d.code).collect()
}

fn with_steps(steps: &str) -> String {
    format!("schedule s for contract on cpu {{\n{steps}\n}}\n")
}

fn with_guard(guard: &str) -> String {
    format!("schedule s for contract on cpu where {guard} {{ fuse epilogue }}\n")
}

#[test]
fn a_file_of_schedules_may_hold_none() {
    assert_eq!(read("// Nothing was better.\n"), []);
    assert_eq!(codes("\n"), ["E0119"]);
}

#[test]
fn every_part_of_a_schedule_is_kept() {
    let [schedule] = &read(PRODUCT)[..] else {
        panic!("one schedule")
    };
    assert_eq!(schedule.name.as_str(), "product");
    assert_eq!(schedule.pattern, Pattern::Contract);
    assert_eq!(schedule.features, [Sym::new("avx512f")]);
    assert_eq!(schedule.doc, "Matrix products with enough rows.");
    assert_eq!(
        schedule.loc.map(|loc| (loc.line, loc.column)),
        Some((2, 10))
    );
    let columns = Dim::sym("columns");
    let by16 = columns.floor_div(Dim::from(16)) * Dim::from(16);
    let expected = [
        Condition::Size {
            dim: Dim::sym("rows") - Dim::from(4),
            relation: Relation::NonNegative,
        },
        Condition::Fact {
            fact: Fact::Dense,
            part: Part::Right,
            holds: true,
        },
        Condition::Fact {
            fact: Fact::Constant,
            part: Part::Left,
            holds: false,
        },
        Condition::Size {
            dim: columns - by16,
            relation: Relation::Zero,
        },
    ];
    assert_eq!(schedule.guard, expected);
    let (rows, columns, summed) = (Axis::Rows, Axis::Columns, Axis::Summed);
    let right = Part::Right;
    let expected = [
        Step::Tile {
            axis: columns,
            by: 768,
        },
        Step::Tile {
            axis: summed,
            by: 512,
        },
        Step::Parallel { axis: columns },
        Step::Parallel { axis: rows },
        Step::Pack { part: right },
        Step::Register { axis: rows, by: 8 },
        Step::Register {
            axis: columns,
            by: 48,
        },
        Step::Vectorize {
            axis: columns,
            by: 16,
        },
        Step::Unroll {
            axis: summed,
            by: 2,
        },
        Step::Prefetch {
            axis: summed,
            by: 8,
        },
        Step::Fuse {
            part: Part::Epilogue,
        },
    ];
    assert_eq!(schedule.steps, expected);
}

#[test]
fn comparisons_are_normal_forms() {
    let cases = [
        ("rows == 3", Relation::Zero, "rows - 3"),
        ("rows != 3", Relation::NonZero, "rows - 3"),
        ("rows < 3", Relation::NonNegative, "-rows + 2"),
        ("rows <= 3", Relation::NonNegative, "-rows + 3"),
        ("rows > 3", Relation::NonNegative, "rows - 4"),
        ("2 * (rows + 1) >= 3", Relation::NonNegative, "2*rows - 1"),
        ("weights > 1000", Relation::NonNegative, "weights - 1001"),
    ];
    for (text, relation, dim) in cases {
        let schedules = read(&with_guard(text));
        let [
            Condition::Size {
                dim: d,
                relation: r,
            },
        ] = schedules[0].guard[..]
        else {
            panic!("{text}: {:?}", schedules[0].guard);
        };
        assert_eq!((r, d.to_string().as_str()), (relation, dim), "{text}");
    }
}

#[test]
fn every_verb_is_read() {
    for verb in Verb::ALL {
        let name = match verb {
            Verb::Fuse => "epilogue",
            Verb::Balance => "rows",
            Verb::Pack | Verb::Inline => "right",
            Verb::Unroll | Verb::Prefetch => "summed",
            _ => "columns",
        };
        let by = if verb.takes_by() { " by 4" } else { "" };
        let text = with_steps(&format!("{} {name}{by}", verb.name()));
        assert_eq!(read(&text)[0].steps.len(), 1, "{text}");
    }
}

#[test]
fn steps_that_nothing_follows_are_refused() {
    let subjects: Vec<&str> = Axis::ALL.iter().map(|a| a.name()).collect();
    for pattern in Pattern::ALL {
        for verb in Verb::ALL {
            let by = if verb.takes_by() { " by 4" } else { "" };
            let allowed: Vec<&str> = match verb.subject(*pattern) {
                Subject::Axes(axes) => axes.iter().map(|a| a.name()).collect(),
                Subject::Parts(parts) => parts.iter().map(|p| p.name()).collect(),
            };
            for name in subjects
                .iter()
                .copied()
                .chain(Part::ALL.iter().map(|p| p.name()))
            {
                let (pattern, verb) = (pattern.name(), verb.name());
                let text = format!("schedule s for {pattern} on cpu {{\n  {verb} {name}{by}\n}}\n");
                match allowed.contains(&name) {
                    true => assert_eq!(read(&text).len(), 1, "{text}"),
                    false => assert_eq!(codes(&text), ["E0704"], "{text}"),
                }
            }
        }
        // Only blocks of rows and columns of a product have smaller ones inside.
        for axis in pattern.axes() {
            let Subject::Axes(axes) = Verb::Tile.subject(*pattern) else {
                continue;
            };
            let (pattern_name, axis_name) = (pattern.name(), axis.name());
            let text = format!(
                "schedule s for {pattern_name} on cpu {{ tile {axis_name} by 8, {axis_name} by 4 }}\n"
            );
            match (axes.contains(axis), pattern.nests_tiles(*axis)) {
                (false, _) => assert_eq!(codes(&text), ["E0704", "E0704"], "{text}"),
                (true, true) => assert_eq!(read(&text)[0].steps.len(), 2, "{text}"),
                (true, false) => assert_eq!(codes(&text), ["E0705"], "{text}"),
            }
        }
    }
}

#[test]
fn the_language_page_lists_every_word() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/language.md");
    let text = std::fs::read_to_string(page).expect("the page");
    let section = text
        .split("## Schedules\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next());
    let section = section.expect("a section");
    let words = Verb::ALL.iter().map(|x| (x.name(), x.takes_by()));
    for (verb, takes_by) in words {
        let row = section
            .lines()
            .find(|line| line.starts_with(&format!("| `{verb} ")));
        let by = row.map(|row| row.split('|').nth(1).unwrap_or_default().contains(" by n`"));
        assert_eq!(by, Some(takes_by), "{verb}");
    }
    for pattern in Pattern::ALL {
        let row = section
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", pattern.name())));
        let cells: Vec<&str> = row.unwrap_or_default().split('|').collect();
        let names = |cell: &str| -> Vec<String> {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        let axes: Vec<&str> = pattern.axes().iter().map(|x| x.name()).collect();
        let parts: Vec<&str> = pattern.parts().iter().map(|x| x.name()).collect();
        assert_eq!(names(cells[3]), axes, "{}", pattern.name());
        assert_eq!(names(cells[4]), parts, "{}", pattern.name());
    }
    for fact in Fact::ALL {
        assert!(
            section.contains(&format!("| `{}(part)` |", fact.name())),
            "{}",
            fact.name()
        );
    }
}

#[test]
fn the_programs_own_come_before_those_of_the_library() {
    let text = "use other\n".to_owned() + PRODUCT + "\nschedule second for map on cpu {}\n";
    struct Other;
    impl Loader for Other {
        fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
            let text = "schedule third for rows on cpu {}\n".to_owned();
            Ok(("other.aiai".to_owned(), text))
        }
    }
    let program = check("own.aiai", &text, &Other);
    assert!(program.diagnostics.is_empty(), "{:?}", program.diagnostics);
    let all = program.schedules().expect("schedules");
    let names: Vec<&str> = all.iter().map(|schedule| schedule.name.as_str()).collect();
    assert_eq!(names[..3], ["product", "second", "third"]);
    let library = all[3..].iter().map(|s| s.loc.map(|loc| loc.file.as_str()));
    assert!(all.len() > 3);
    for file in library {
        assert!(
            file.is_some_and(|file| file.starts_with("std/schedules/")),
            "{file:?}"
        );
    }
}

#[test]
fn features_are_checked_against_those_that_are_known() {
    let program = check("own.aiai", PRODUCT, &NoFiles);
    assert!(
        program
            .check_features(&["avx2", "avx512f", "fma"])
            .is_empty()
    );
    let found = read_schedules("tuning.aiai", PRODUCT).check_features(&["avx2", "avx512"]);
    let first = found.iter().next().expect("a finding");
    assert_eq!(first.code, "E0703");
    assert_eq!(first.help.as_deref(), Some("did you mean `avx512`?"));
    assert_eq!(found.count(), 1);
}

#[test]
fn features_may_be_unwanted() {
    let text = "schedule s for contract on cpu(avx2, not avx512f) {\n  fuse epilogue\n}\n";
    let file = read_schedules("s.aiai", text);
    assert!(file.diagnostics.is_empty(), "{:?}", file.diagnostics);
    let [schedule] = &file.schedules[..] else {
        panic!("one schedule")
    };
    let fits = |has: &[&str]| schedule.is_for(|feature| has.contains(&feature));
    assert!(fits(&["avx2", "fma"]));
    assert!(!fits(&["fma"]) && !fits(&["avx2", "avx512f"]));
    let found = file.check_features(&["avx2", "avx512"]);
    assert_eq!(found.count(), 1);
    let formatted = format(text, FileId::default());
    assert_eq!(formatted.ok().as_deref(), Some(text));
}

#[test]
fn a_file_of_schedules_holds_nothing_else() {
    assert_eq!(
        codes(&format!("{PRODUCT}\nfn f(x: f32[]) -> f32[] {{ x }}\n")),
        ["E0105"]
    );
    assert_eq!(codes(""), ["E0119"]);
}

#[test]
fn steps_that_do_not_fit_are_refused() {
    let cases = [
        ("tle columns by 4", "E0703"),
        ("tile colums by 4", "E0703"),
        ("pack rigt", "E0703"),
        ("tile columns", "E0704"),
        ("parallel columns by 2", "E0704"),
        ("fuse epilogue at columns", "E0704"),
        ("fuse epilogue at nothing", "E0703"),
        ("pack right at rows", "E0704"),
        ("tile rows at columns", "E0704"),
        ("fuse epilogue at", "E0120"),
        ("tile columns by 0", "E0704"),
        ("tile columns by 1048577", "E0704"),
        ("tile columns by 18446744073709551615", "E0704"),
        ("tile right by 4", "E0704"),
        ("pack columns", "E0704"),
        ("pack epilogue", "E0704"),
        ("fuse right", "E0704"),
        ("register rows by 4, rows by 8", "E0705"),
        ("vectorize columns by 4\nvectorize columns by 4", "E0705"),
        ("parallel rows, rows", "E0705"),
        ("tile rows by 64, rows by 24", "E0705"),
        ("register rows by 24\ntile rows by 64", "E0705"),
        ("tile columns by 64\nvectorize columns by 3", "E0705"),
        ("tile rows 4", "E0120"),
        ("tile rows by -4", "E0120"),
        ("tile rows by 4.5", "E0120"),
        ("tile (rows, 4)", "E0120"),
        ("tile rows by 4 columns", "E0120"),
        ("tile", "E0120"),
        ("4", "E0120"),
        ("tile rows,", "E0120"),
        ("let x = 1", "E0105"),
        ("tile rows by 4;", "E0109"),
        ("/// what\ntile rows by 4", "E0110"),
    ];
    for (steps, code) in cases {
        assert_eq!(codes(&with_steps(steps)), [code], "{steps}");
    }
    let tiles = "tile columns by 64, columns by 16\nregister columns by 8\nvectorize columns by 4";
    assert_eq!(read(&with_steps(tiles))[0].steps.len(), 4);
    let many = |count: usize| "tile rows by 1\n".repeat(count);
    assert_eq!(read(&with_steps(&many(256)))[0].steps.len(), 256);
    assert_eq!(codes(&with_steps(&many(257))), ["E0802"]);
}

#[test]
fn guards_that_do_not_fit_are_refused() {
    let cases = [
        ("rows >= 4 or columns >= 4", "E0706"),
        ("rows >= 4 and (batch == 1 or columns >= 4)", "E0706"),
        ("not rows >= 4", "E0706"),
        ("not not dense(right)", "E0706"),
        ("rows", "E0706"),
        ("true", "E0706"),
        ("dense", "E0706"),
        ("dense(right, left)", "E0706"),
        ("dense(part = right)", "E0706"),
        ("dense(right) == 1", "E0706"),
        ("rows / columns == 1", "E0706"),
        ("rows % 0 == 1", "E0706"),
        ("rows @ 2 == 1", "E0706"),
        ("rows >= 4.0", "E0706"),
        ("rows >= { 4 }", "E0706"),
        ("rws >= 4", "E0703"),
        ("sparse(right)", "E0703"),
        ("dense(rigt)", "E0703"),
        ("right >= 4", "E0704"),
        ("dense(rows)", "E0704"),
        ("dense(epilogue)", "E0704"),
        ("constant(out)", "E0704"),
        ("1 > 2", "E0707"),
        ("false", "E0707"),
        ("rows < 0", "E0707"),
        ("rows % 4 == 5", "E0707"),
        ("rows >= 8 and columns >= 2 and rows < 8", "E0707"),
        ("rows == 1 and rows == 2", "E0707"),
        ("dense(right) and not dense(right)", "E0707"),
        ("9223372036854775807 * rows * 2 > 1", "E0802"),
        ("9223372036854775808 > rows", "E0802"),
        ("rows >= 4, columns >= 4", "E0120"),
        ("4 < rows < 8", "E0107"),
    ];
    for (guard, code) in cases {
        assert_eq!(codes(&with_guard(guard)), [code], "{guard}");
    }
    read(&with_guard(
        "(rows >= 4 and (columns >= 2)) and not (dense(right))",
    ));
}

#[test]
fn heads_that_do_not_fit_are_refused() {
    let cases = [
        ("schedule s for contrct on cpu {}", "E0703"),
        ("schedule s for contract on cuda {}", "E0703"),
        ("schedule s for contract on cpus {}", "E0703"),
        ("schedule s for contract {}", "E0120"),
        ("schedule s on cpu {}", "E0120"),
        ("schedule s for contract on cpu if rows > 4 {}", "E0120"),
        ("schedule s for contract on cpu(\"avx2\") {}", "E0101"),
        ("schedule s for contract on cpu", "E0101"),
        ("schedule for contract on cpu {}", "E0111"),
        ("schedule s for map on cpu { vectorize rows by 4 }", "E0704"),
        ("schedule s for map on cpu where rows > 4 { }", "E0704"),
        ("schedule s for rows on cpu { pack right }", "E0704"),
        (
            "schedule s for contract on cpu { prefetch right by 8 }",
            "E0704",
        ),
        ("schedule s for attention on cpu { inline right }", "E0704"),
        ("schedule s for rows on cpu where weights > 4 {}", "E0703"),
        ("schedule s for map on cpu where functions > 4 {}", "E0703"),
        ("schedule s for contract on cpu where sums > 4 {}", "E0703"),
        (
            "schedule s for attention on cpu { tile summed by 4 }",
            "E0704",
        ),
        (
            "schedule s for map on cpu {}\nschedule s for map on cpu {}",
            "E0202",
        ),
    ];
    for (text, code) in cases {
        assert_eq!(codes(&format!("{text}\n")), [code], "{text}");
    }
    // What a size is compared with may be a number that is no axis.
    let misspelt = "schedule s for rows on cpu where function > 4 {}\n";
    let found = check("own.aiai", misspelt, &NoFiles).diagnostics;
    assert!(format!("{found:?}").contains("`functions`"), "{found:?}");
    let text = "schedule s for map on cpu {\n}\n\nfn schedule(on: f32[]) -> f32[] { on }\n";
    assert!(check("own.aiai", text, &NoFiles).diagnostics.is_empty());
}

#[test]
fn findings_of_one_schedule_stand_beside_each_other() {
    let text = "\
schedule first for contract on cpu where rws > 4 and sparse(right) {
  tle columns by 4
  tile columns
  pack epilogue
  tile columns 4
}

schedule second for map on gpu {}
";
    assert_eq!(codes(text), ["E0120"]);
    let text = text.replace("  tile columns 4\n", "");
    let expected = ["E0703", "E0703", "E0703", "E0704", "E0704", "E0703"];
    assert_eq!(codes(&text), expected);
}

#[test]
fn the_format_is_canonical_and_keeps_comments() {
    let untidy = "\
// above
schedule  s for contract on cpu( avx2,fma ) where rows>=4 and dense( right ) { // behind the brace
  // over the step
  tile columns   by 0x100 ,summed by 1_024 // behind the step


  parallel columns,
     rows
  // at the end
}
schedule long_name_of_a_schedule for contract on cpu(avx512f, avx512bw) where rows >= 4 and columns >= 1000 and dense(right) { fuse epilogue }
schedule e for map on cpu() {}
";
    let tidy = "\
// above
schedule s for contract on cpu(avx2, fma) where rows >= 4 and dense(right) {
  // behind the brace
  // over the step
  tile columns by 0x100, summed by 1_024 // behind the step

  parallel columns, rows
  // at the end
}

schedule long_name_of_a_schedule for contract on cpu(avx512f, avx512bw)
    where rows >= 4 and columns >= 1000 and dense(right) {
  fuse epilogue
}

schedule e for map on cpu {}
";
    let once = format(untidy, FileId(0)).unwrap_or_else(|d| panic!("{d:?}"));
    assert_eq!(once, tidy);
    assert_eq!(format(&once, FileId(0)).ok().as_deref(), Some(tidy));
    assert_eq!(read(untidy).len(), 3);
}

#[test]
fn hostile_guards_end() {
    let chain = |part: &str, count: usize| part.repeat(count);
    let remainders = (2..40).map(|n| format!("rows % {n}"));
    let remainders = remainders.collect::<Vec<_>>().join(" + ");
    let cases = [
        // Written out, every `%` doubles what is before it.
        format!("rows{} == 0", chain(" % 7", 200)),
        format!("rows{} == 0", chain(" * (rows + columns + batch)", 200)),
        format!("{} >= 0", chain("(rows + columns) * ", 200) + "rows"),
        format!("rows >= 0{}", chain(" and rows + columns >= batch", 200)),
        format!(
            "rows >= 0{}",
            chain(" and rows / 3 + columns % 5 >= batch", 60)
        ),
        format!("{}rows >= 1{}", chain("(", 200), chain(")", 200)),
        // Too many divisions to decide.
        format!(
            "batch >= 0{}",
            chain(&format!(" and 7 * rows - ({remainders}) >= batch",), 8)
        ),
        format!("{}dense(right)", chain("not ", 200)),
        format!("rows >= {}1", chain("- ", 200)),
    ];
    for case in cases {
        codes(&with_guard(&case));
    }
}

/// Words of schedules, in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = "rows columns summed right left epilogue by 0 4 16 tile register vectorize pack fuse \
        parallel , and or not where dense ( ) >= == % / * + - ; schedule s for on cpu { } \
        contract map";
    let ends = ["\n", "\n", "\n", "// c\n", "/// d\n"];
    let words: Vec<&str> = words.split(' ').chain(ends).collect();
    let word = prop::sample::select(words);
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

fn bounded(found: &Diagnostics) -> bool {
    found.count() <= 200
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_words_are_read(guard in soup(), steps in soup(), tail in soup()) {
        let text = format!("schedule a for contract on cpu where {guard} {{\n{steps}\n}}\n{tail}\n");
        for text in [text, with_steps(&steps), with_guard(&guard)] {
            let file = read_schedules("soup.aiai", &text);
            for diagnostic in file.diagnostics.iter() {
                render(diagnostic, &file.sources, true);
            }
            prop_assert!(bounded(&file.diagnostics));
            if let Ok(once) = format(&text, FileId(0)) {
                prop_assert_eq!(format(&once, FileId(0)).ok(), Some(once.clone()));
                let again = read_schedules("soup.aiai", &once);
                let data = |s: &Schedule| (s.name, s.guard.clone(), s.steps.clone(), s.doc.clone());
                prop_assert_eq!(
                    file.schedules.iter().map(data).collect::<Vec<_>>(),
                    again.schedules.iter().map(data).collect::<Vec<_>>()
                );
            }
        }
    }
}
