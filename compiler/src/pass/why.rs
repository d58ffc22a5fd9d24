//! `aiai pass why`

use aiai_frontend::suggest::nearest;
use aiai_ir::{FloatClass, Instance, Loc, Sym};
use aiai_passes::rewrite::{Float, Nearest, why};
use serde_json::{Value, json};

use crate::cli::{Global, RuleChoice};
use crate::project::Project;
use crate::{Ended, Failure, Outcome, driver, output, rules};

pub fn run(rule: &str, target: &str, dims: &[String], global: &Global) -> Ended {
    // Without a file the question is about the library.
    let choice = match global.with_rules.is_empty() {
        true => RuleChoice::Stdlib,
        false => global.rules,
    };
    let library = rules::library(choice, Float::All, global)?;
    let admitted = rules::float_of(global);
    let Some(library) = library else {
        return Err(Failure::input(
            "there are no rules; name a file: `--with FILE`",
        ));
    };
    let names: Vec<&str> = library.infos().map(|info| info.name.as_str()).collect();
    if !names.contains(&rule) {
        let help = match nearest(rule, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.len()),
        };
        return Err(Failure::input(format!("there is no rule `{rule}`; {help}")));
    }
    let class = library.infos().find(|info| info.name.as_str() == rule);
    if let Some(info) = class.filter(|info| !admitted.admits(info.class)) {
        let why = match info.class {
            FloatClass::Approx { .. } => "of class `approx`, which is never applied",
            FloatClass::Real { .. } | FloatClass::Exact => {
                "of class `real`; `--fp strict` admits `exact` rules alone"
            }
        };
        return Err(Failure::input(format!("`{rule}` is {why}")));
    }
    let (file, function) = driver::split_target(target);
    let project = Project::open(&file, global)?;
    let dims = driver::parse_dims(dims)?;
    let name = project.function(function, target)?;
    let mut entry = driver::entry(&project.program, &name, &dims, global)?;
    let options = aiai_passes::Options {
        stop_after: Some("differentiate".into()),
        ..Default::default()
    };
    driver::on_a_deep_stack(|| driver::optimize(&mut entry, &options))??;
    let Some(function) = entry.module.get(entry.name) else {
        unreachable!("the pipeline keeps the entry");
    };
    let mut function = function.clone();
    let found = driver::on_a_deep_stack(|| {
        aiai_passes::cse::merge_common(&mut function);
        aiai_passes::dce::eliminate_dead_code(&mut function);
        let rules = library.rules_named(Sym::new(rule), &function);
        match why(&rules, Sym::new(rule), &function) {
            // The library has the rule, the function no values for it.
            Nearest::Unknown => Nearest::NoInstance,
            found => found,
        }
    })?;
    if global.json {
        output::print(&described(rule, &found).to_string());
    } else {
        output::print(&format!("{rule}: {found}"));
    }
    Ok(Outcome::Success)
}

fn described(rule: &str, found: &Nearest) -> Value {
    let mut answer = match found {
        Nearest::Unknown | Nearest::NoInstance => json!({ "fires": false }),
        Nearest::Skipped { .. } => json!({ "fires": false }),
        Nearest::Fires { places } => {
            json!({ "fires": true, "places": places.iter().map(|&p| place(p)).collect::<Vec<_>>() })
        }
        Nearest::NoGain {
            place: at,
            saved,
            added,
        } => {
            json!({ "fires": false, "place": place(*at), "cost": { "saved": saved, "added": added } })
        }
        Nearest::Near(near) => json!({
            "fires": false,
            "place": place(near.place),
            "instance": instance(&near.instance),
            "fitted": near.fitted,
            "of": near.of,
            "part": near.part,
            "found": near.found.as_ref().map(|f| &f.0),
            "found_place": near.found.as_ref().map(|f| place(f.1)),
            "why": near.why,
        }),
    };
    answer["schema"] = json!(2);
    answer["rule"] = json!(rule);
    answer["text"] = json!(found.to_string());
    answer
}

fn place(loc: Option<Loc>) -> Value {
    match loc {
        Some(l) => json!({ "file": l.file.as_str(), "line": l.line, "column": l.column }),
        None => Value::Null,
    }
}

fn instance(of: &Instance) -> Value {
    rules::instance_text(of).into()
}
