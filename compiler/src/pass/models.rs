//! The programs that the gate tries rules on: the examples and a few more, as primitives.

use std::collections::BTreeMap;

use aiai_bootstrap::gate::Model;
use aiai_frontend::elaborate::{Loader, check};
use aiai_ir::print_module;
use aiai_passes::{cse, dce};

use crate::Failure;

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("the models of the gate stand alone".to_owned())
    }
}

const DIGITS: &str = include_str!("../../../examples/digits/model.aiai");
const MINILM: &str = include_str!("../../../examples/minilm/model.aiai");
const OTHERS: &str = include_str!("models.aiai");

/// Name, text, entry, sizes, whether it is held out.
type Source = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, i64)],
    bool,
);

const SOURCES: &[Source] = &[
    ("digits:scores", DIGITS, "scores", &[("B", 16)], false),
    ("digits:step", DIGITS, "step", &[("B", 16)], false),
    (
        "minilm:embedding",
        MINILM,
        "embedding",
        &[("B", 1), ("L", 16)],
        false,
    ),
    (
        "block",
        OTHERS,
        "block",
        &[
            ("B", 2),
            ("L", 32),
            ("D", 64),
            ("H", 4),
            ("K", 16),
            ("F", 128),
        ],
        false,
    ),
    (
        "descent",
        OTHERS,
        "descent",
        &[("B", 32), ("D", 64), ("C", 10)],
        false,
    ),
    (
        "recurrence",
        OTHERS,
        "recurrence",
        &[("T", 16), ("B", 8), ("D", 32), ("H", 32)],
        false,
    ),
    ("robust", OTHERS, "robust", &[("B", 64), ("D", 32)], true),
    (
        "similarity",
        OTHERS,
        "similarity",
        &[("N", 64), ("M", 64), ("D", 64)],
        true,
    ),
    ("denoise", OTHERS, "denoise", &[("B", 64), ("D", 64)], true),
];

/// The models, or why one of them could not be read: a defect of this build.
pub fn models() -> Result<Vec<Model>, Failure> {
    SOURCES.iter().map(model).collect()
}

fn model((name, text, entry, sizes, held_out): &Source) -> Result<Model, Failure> {
    let broken = |why: String| Failure::environment(format!("the gate's model {name}: {why}"));
    let program = check(name, text, &NoFiles);
    if let Some(found) = program.diagnostics.iter().next() {
        return Err(broken(found.message.clone()));
    }
    let made = program.entry(entry, &BTreeMap::new());
    let mut made = made.map_err(|_| broken("its entry is not well typed".to_owned()))?;
    // Rules see what is left of calls and gradients, before the simplifier in Rust.
    let options = aiai_passes::Options {
        stop_after: Some("differentiate".to_owned()),
        ..aiai_passes::Options::default()
    };
    aiai_passes::optimize(&mut made.module, made.name, &options)
        .map_err(|e| broken(e.to_string()))?;
    for function in made.module.functions.values_mut() {
        cse::merge_common(function);
        dce::eliminate_dead_code(function);
    }
    Ok(Model {
        name: (*name).to_owned(),
        ir: print_module(&made.module, Default::default()),
        sizes: sizes.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect(),
        held_out: *held_out,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn models_are_read_back() {
        for model in super::models().unwrap_or_else(|e| panic!("{}", e.message)) {
            let module = aiai_ir::parse_module(&model.ir);
            let module = module.unwrap_or_else(|e| panic!("{}: {e}", model.name));
            assert_eq!(module.functions.len(), 1, "{}", model.name);
        }
    }
}
