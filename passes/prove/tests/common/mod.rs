//! Rules for tests: from texts and files to prepared instances.
#![allow(dead_code, reason = "every test uses a part")]

use std::collections::BTreeMap;
use std::path::Path;

use aiai_frontend::elaborate::{Loader, check};
use aiai_ir::{DType, Rule, RuleInfo};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

/// The rules of a text with their prepared instances of ranks 0 to `rank`.
pub fn rules(name: &str, text: &str, rank: usize, dtypes: &[DType]) -> Vec<(RuleInfo, Vec<Rule>)> {
    let program = check(name, text, &NoFiles);
    let problems: Vec<String> = program
        .diagnostics
        .iter()
        .map(|d| format!("{d:?}"))
        .collect();
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

/// The files of rules in a folder, beside the package.
pub fn files(folder: &str) -> Vec<(String, String)> {
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
