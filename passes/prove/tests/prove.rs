//! Right rules must be proved, wrong ones must not: files of rules, one family per file.

use std::collections::BTreeMap;
use std::path::Path;

use aiai_frontend::elaborate::{Loader, check};
use aiai_ir::{DType, Rule, RuleInfo};
use aiai_prove::solver::Process;
use aiai_prove::{Algebra, RuleProof, prove_all};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

/// The rules of a text with their prepared instances of ranks 0 to `rank`.
fn rules(name: &str, text: &str, rank: usize, dtypes: &[DType]) -> Vec<(RuleInfo, Vec<Rule>)> {
    let program = check(name, text, &NoFiles);
    let problems: Vec<String> = program.diagnostics.iter().map(|d| format!("{d:?}")).collect();
    assert!(problems.is_empty(), "{name}: {}", problems.join("\n"));
    let infos = program.rule_infos();
    let mut wanted = Vec::new();
    for (index, info) in infos.iter().enumerate() {
        let instances = info.instances(0..=rank, dtypes, 400);
        wanted.extend(instances.into_iter().map(|instance| (index, instance)));
    }
    let prepared = aiai_passes::rewrite::prepare(program.instantiate(&wanted));
    let mut by_name: BTreeMap<&str, Vec<Rule>> = BTreeMap::new();
    for rule in prepared {
        by_name.entry(rule.name.as_str()).or_default().push(rule);
    }
    infos
        .into_iter()
        .map(|info| {
            let instances = by_name.remove(info.name.as_str()).unwrap_or_default();
            (info, instances)
        })
        .collect()
}

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of rules")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a file of rules");
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            (name.unwrap_or_default(), text)
        })
        .collect()
}

fn verdicts(folder: &str) -> Vec<(String, RuleProof)> {
    let only = std::env::var("RULE").ok();
    let mut solver = Process::z3();
    let mut found = Vec::new();
    for (file, text) in files(folder) {
        for (info, instances) in rules(&file, &text, 2, &[DType::F32, DType::I32]) {
            if only.as_ref().is_some_and(|name| info.name.as_str() != name) {
                continue;
            }
            let start = std::time::Instant::now();
            let proof = prove_all(&info, &instances, &mut solver);
            if start.elapsed().as_secs() >= 2 {
                println!("slow: {file}: {} {:?}", info.name, start.elapsed());
            }
            if only.is_some() {
                println!("{}", proof.steps.join("\n"));
            }
            found.push((format!("{file}: {}", info.name), proof));
        }
    }
    found
}

#[test]
fn right_rules_are_proved() {
    let verdicts = verdicts("tests/right");
    let total = verdicts.len();
    let failed: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| !matches!(proof.algebra, Algebra::Proved { .. }))
        .map(|(name, proof)| format!("{name}: {:?}", proof.algebra))
        .collect();
    println!("{} of {total} proved", total - failed.len());
    assert!(failed.is_empty(), "not proved:\n{}", failed.join("\n"));
}

/// The rules of the library, of which not every one has a proof.
#[test]
fn most_rules_of_the_library_are_proved() {
    let verdicts = verdicts("../../stdlib/rules");
    let total = verdicts.len();
    let failed: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| !matches!(proof.algebra, Algebra::Proved { .. }))
        .map(|(name, proof)| format!("{name}: {:?}", proof.algebra))
        .collect();
    let proved = total - failed.len();
    println!("{proved} of {total} proved; not proved:\n{}", failed.join("\n"));
    assert!(proved * 4 >= total * 3, "{proved} of {total}");
}

#[test]
fn wrong_rules_are_not_proved() {
    let verdicts = verdicts("tests/wrong");
    println!("{} wrong rules", verdicts.len());
    let proved: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, proof)| !matches!(proof.algebra, Algebra::None { .. }) || proof.float_proved)
        .map(|(name, proof)| format!("{name}: {:?}", proof.algebra))
        .collect();
    assert!(proved.is_empty(), "proved:\n{}", proved.join("\n"));
}
