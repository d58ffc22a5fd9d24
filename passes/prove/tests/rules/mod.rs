//! Rules that the tests of this folder try, and their instances.

use aiai_frontend::elaborate::{Loader, check};
use aiai_ir::{DType, Instance, Rule};

pub const RIGHT: &str = include_str!("right.aiai");
pub const WRONG: &str = include_str!("wrong.aiai");

pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

const DTYPES: [DType; 7] = [
    DType::F32,
    DType::F16,
    DType::I32,
    DType::F64,
    DType::BF16,
    DType::I8,
    DType::Bool,
];

/// The instances of all rules of a text, up to a rank of packs.
pub fn instances(text: &str, rank: usize) -> Vec<Rule> {
    let program = check("rules.aiai", text, &NoFiles);
    let first = program.diagnostics.iter().next();
    assert!(first.is_none(), "{first:?}");
    let mut wanted: Vec<(usize, Instance)> = Vec::new();
    for (index, info) in program.rule_infos().iter().enumerate() {
        let found = info.instances(0..=rank, &DTYPES, 400);
        wanted.extend(found.into_iter().map(|instance| (index, instance)));
    }
    aiai_passes::rewrite::prepare(program.instantiate(&wanted))
}
