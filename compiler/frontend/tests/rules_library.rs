//! The rules of the library: they are checked, documented, named once, and both sides of every instance
//! agree on drawn inputs.

use std::collections::BTreeSet;

use aiai_frontend::elaborate::{Loader, Program, check};
use aiai_frontend::span::FileId;
use aiai_frontend::stdlib::RULES;
use aiai_ir::{DType, Instance, RuleInfo, Sym};

mod draw;
use draw::{Random, Verdict};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

/// The files of the library.
fn library() -> Vec<(String, String)> {
    let files = RULES.iter();
    files
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// Those of right rules from elsewhere.
fn right_rules() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/rules/good");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the folder of right rules")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "aiai"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            (path.display().to_string(), text)
        })
        .collect();
    files.sort();
    files
}

fn checked(name: &str, text: &str) -> Program {
    let program = check(name, text, &NoFiles);
    let shown: Vec<String> = program
        .diagnostics
        .iter()
        .map(|d| aiai_frontend::diagnostics::render(d, &program.sources, false))
        .collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    program
}

/// Instances to try: ranks 0 to 2, and the dtypes of each kind that differ most.
fn instances(info: &RuleInfo, most: usize) -> Vec<Instance> {
    let dtypes = [
        DType::F32,
        DType::I32,
        DType::U8,
        DType::Bool,
        DType::F16,
        DType::I8,
        DType::F64,
        DType::I64,
        DType::U64,
        DType::BF16,
    ];
    info.instances(0..=2, &dtypes, most)
}

/// What every file of rules must be like; the number of rules and of anchors in it.
fn well_kept(name: &str, text: &str, names: &mut BTreeSet<Sym>) -> (usize, usize) {
    let program = checked(name, text);
    let infos = program.rule_infos();
    let mut anchors = 0;
    for info in &infos {
        assert!(
            !info.doc.is_empty(),
            "{name}: {} has no documentation",
            info.name
        );
        assert!(
            names.insert(info.name),
            "{name}: two rules are called {}",
            info.name
        );
        anchors += usize::from(info.doc.contains("Anchor: "));
    }
    let formatted = aiai_frontend::fmt::format(text, FileId(0)).unwrap_or_default();
    if formatted != text && std::env::var("BLESS").is_ok() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../stdlib/");
        let path = match name.strip_prefix("std/") {
            Some(inner) => format!("{folder}{inner}"),
            None => name.to_owned(),
        };
        std::fs::write(path, &formatted).expect("a file that can be written");
    } else {
        assert_eq!(formatted, text, "{name} is not formatted");
    }
    (infos.len(), anchors)
}

#[test]
fn the_library_is_well_kept() {
    let mut names = BTreeSet::new();
    let (mut count, mut anchors) = (0, 0);
    for (name, text) in library() {
        let (more, of_them) = well_kept(&name, &text, &mut names);
        println!("{name}: {more} rules, {of_them} anchors");
        count += more;
        anchors += of_them;
    }
    println!("{count} rules, {anchors} anchors");
    assert!(count >= 150);
    assert!(4 * anchors >= count);
}

#[test]
fn every_file_of_the_library_is_embedded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../stdlib/rules");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of rules")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| format!("std/rules/{}", name.to_string_lossy()))
        .collect();
    found.sort();
    let embedded: Vec<&str> = RULES.iter().map(|file| file.0).collect();
    assert_eq!(found, embedded);
}

#[test]
fn right_rules_are_well_kept() {
    let mut names = BTreeSet::new();
    let mut count = 0;
    for (name, text) in right_rules() {
        let (more, _) = well_kept(&name, &text, &mut names);
        println!("{name}: {more} rules");
        count += more;
    }
    println!("{count} right rules");
    assert!(count >= 200);
}

fn agree(files: Vec<(String, String)>) {
    let setting = |name: &str, default: usize| {
        let value = std::env::var(name).ok();
        value.and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    let cases = setting("AIAI_RULE_CASES", 6);
    let most = setting("AIAI_RULE_INSTANCES", 60);
    let only = std::env::var("AIAI_RULES_ONLY").unwrap_or_default();
    let mut failures = Vec::new();
    for (name, text) in files
        .iter()
        .filter(|file| file.0.contains(&only) || only.starts_with(':'))
    {
        let program = checked(name, text);
        let infos = program.rule_infos();
        for (index, info) in infos.iter().enumerate() {
            if let Some(one) = only.strip_prefix(':')
                && info.name.as_str() != one
            {
                continue;
            }
            let wanted: Vec<(usize, Instance)> = instances(info, 100_000)
                .into_iter()
                .map(|instance| (index, instance))
                .collect();
            let set = program.instantiate(&wanted);
            let step = set.rules.len().div_ceil(most).max(1);
            let (mut ran, mut fine, mut failed) = (0, 0, 0);
            let mut random = Random::new(7);
            let drawn = set.rules.iter().step_by(step).map(|rule| (rule, cases));
            // Again, longer, where no inputs were ones that the left side takes.
            let again = set.rules.iter().take(4).map(|rule| (rule, 100));
            for (rule, cases) in drawn.chain(again) {
                if cases == 100 && ran > 0 {
                    break;
                }
                for case in 0..cases {
                    match draw::compare(rule, &set.module, &mut random, case) {
                        Verdict::Agree => (ran, fine) = (ran + 1, fine + 1),
                        Verdict::Skipped => {}
                        Verdict::Differ(why) => {
                            ran += 1;
                            failed += 1;
                            if failed > 2 {
                                continue;
                            }
                            failures
                                .push(format!("{name}: {} {:?}: {why}", info.name, rule.instance));
                        }
                    }
                }
            }
            if std::env::var("AIAI_RULES_SHOW").is_ok() {
                println!("{}: {} instances, {fine}/{ran}", info.name, set.rules.len());
            }
            if ran == 0 {
                failures.push(format!(
                    "{name}: {} was never run, {} instances",
                    info.name,
                    set.rules.len()
                ));
            }
        }
    }
    let shown: Vec<&String> = failures.iter().take(40).collect();
    assert!(
        failures.is_empty(),
        "{} failures:\n{shown:#?}",
        failures.len()
    );
}

#[test]
fn both_sides_of_the_library_agree() {
    agree(library());
}

#[test]
fn both_sides_of_right_rules_agree() {
    agree(right_rules());
}
