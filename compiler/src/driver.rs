//! From a file to a checked program, to IR, to results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiai_codegen::{Options, Target};
use aiai_frontend::diagnostics::{Diagnostics, render, to_json};
use aiai_frontend::elaborate::{Entry, Program, Shape, check, read_schedules};
use aiai_frontend::span::SourceMap;
use aiai_frontend::suggest::nearest;
use aiai_ir::policy::laid_out;
use aiai_ir::{Function, Schedule};

use crate::cli::Global;
use crate::files::{Disk, read_text};
use crate::output;
use crate::{Failure, Outcome};

/// Reads and checks a file. Findings are printed; where there are any, the program is not usable.
pub fn load(path: &Path, global: &Global) -> Result<Program, Failure> {
    let program = parse(path)?;
    if program.diagnostics.is_empty() {
        return Ok(program);
    }
    report(&program, &program.diagnostics, global);
    Err(Failure {
        outcome: Outcome::BadInput,
        message: String::new(),
    })
}

/// Reads and checks a file, whatever is found.
pub fn parse(path: &Path) -> Result<Program, Failure> {
    let text = read_text(path)?;
    let mut program = check(&path.to_string_lossy(), &text, &Disk);
    // The front end does not know processors.
    let known: Vec<&str> = aiai_runtime::cpu::features().collect();
    let found = program.check_features(&known);
    program.diagnostics.extend(found);
    program.diagnostics.sort();
    program.diagnostics.drop_repeats();
    Ok(program)
}

/// The schedules for a program: those of the file that the command line names, the program's own, the library's;
/// before them what the program's layouts make of these.
pub fn schedules(program: &Program, global: &Global) -> Result<Vec<Schedule>, Failure> {
    let mut all = Vec::new();
    if let Some(path) = &global.schedules {
        let mut file = read_schedules(&path.to_string_lossy(), &read_text(path)?);
        let known: Vec<&str> = aiai_runtime::cpu::features().collect();
        let found = file.check_features(&known);
        file.diagnostics.extend(found);
        file.diagnostics.sort();
        if !file.diagnostics.is_empty() {
            report_in(&file.sources, &file.diagnostics, global);
            return Err(Failure::told());
        }
        all.append(&mut file.schedules);
    }
    let own = program.schedules().map_err(|found| {
        report(program, &found, global);
        Failure::told()
    })?;
    all.extend(own);
    let policies = program.policies().map_err(|found| {
        report(program, &found, global);
        Failure::told()
    })?;
    Ok(laid_out(all, &policies.layouts))
}

/// The parameters of an entry that are weights, by number: the leaves of its modules.
pub fn weights(entry: &Entry) -> Vec<usize> {
    let params = entry.signature.params.iter();
    let leaf = params.flat_map(|(_, shape, leaves)| {
        let of_module = !matches!(shape, Shape::Tensor | Shape::Key);
        leaves.iter().map(move |_| of_module)
    });
    leaf.enumerate().filter(|l| l.1).map(|l| l.0).collect()
}

/// Says on standard error how a function becomes loops.
pub fn explain_loops(
    function: &Function,
    options: &Options,
    target: &Target,
) -> Result<(), Failure> {
    let loops = on_a_deep_stack(|| aiai_mlir::planned(function, options, target))?;
    for note in loops.notes {
        let place = note.loc.map_or(String::new(), |l| {
            format!("{}:{}:{}: ", l.file, l.line, l.column)
        });
        eprintln!("{place}{}", note.what);
    }
    Ok(())
}

/// Prints findings: as JSON to standard output, or as text to standard error.
pub fn report(program: &Program, found: &Diagnostics, global: &Global) {
    report_in(&program.sources, found, global);
}

/// The same for any sources.
fn report_in(sources: &SourceMap, found: &Diagnostics, global: &Global) {
    if global.json {
        output::print(&to_json(found, sources));
        return;
    }
    let color = output::colored(global);
    for diagnostic in found.iter() {
        eprintln!("{}", render(diagnostic, sources, color));
    }
    let count = found.count() + found.omitted;
    let noun = if count == 1 { "error" } else { "errors" };
    eprintln!("{count} {noun}; `aiai explain CODE` says more");
}

/// `FILE` or `FILE:FUNCTION`.
pub fn split_target(target: &str) -> (PathBuf, Option<&str>) {
    match target.rsplit_once(':') {
        Some((file, function)) if !function.contains(['/', '\\', '.']) => {
            (file.into(), Some(function))
        }
        _ => (target.into(), None),
    }
}

/// `NAME=SIZE` pairs.
pub fn parse_dims(dims: &[String]) -> Result<BTreeMap<String, i64>, Failure> {
    let mut out = BTreeMap::new();
    for dim in dims {
        let parsed = dim
            .split_once('=')
            .and_then(|(n, s)| Some((n.to_owned(), s.parse::<i64>().ok()?)));
        match parsed {
            Some((name, size)) if size >= 0 => {
                out.insert(name, size);
            }
            _ => return Err(Failure::input(format!("`--dim {dim}`: expected NAME=SIZE"))),
        }
    }
    Ok(out)
}

/// A function of a program as IR.
pub fn entry(
    program: &Program,
    name: &str,
    dims: &BTreeMap<String, i64>,
    global: &Global,
) -> Result<Entry, Failure> {
    let names = program.functions();
    if !names.contains(&name) {
        // No place in the file is to blame.
        let what = format!("the program has no function `{name}`");
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "it has none".to_owned(),
            None => format!("it has `{}`", names.join("`, `")),
        };
        return Err(Failure::input(format!("{what}; {help}")));
    }
    program.entry(name, dims).map_err(|found| {
        report(program, &found, global);
        Failure {
            outcome: Outcome::BadInput,
            message: String::new(),
        }
    })
}

/// Runs work on a stack that programs with long chains of operations fit on.
pub fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    const STACK: usize = 1 << 28;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|e| Failure::environment(format!("no thread to compile on: {e}")))?;
        Ok(thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Takes an entry to primitives.
pub fn optimize(
    entry: &mut Entry,
    options: &aiai_passes::Options,
) -> Result<aiai_passes::Report, Failure> {
    use aiai_passes::PassError;
    let mut options = options.clone();
    options.policies = std::mem::take(&mut entry.policies);
    match aiai_passes::optimize(&mut entry.module, entry.name, &options) {
        Ok(report) => Ok(report),
        Err(PassError::Differentiate(e)) => {
            let place = e.loc.map_or(String::new(), |l| {
                format!("{}:{}:{}: ", l.file, l.line, l.column)
            });
            Err(Failure::input(format!("{place}{}", e.message)))
        }
        Err(e @ PassError::TooLarge { .. }) => Err(Failure::input(e.to_string())),
        Err(e @ (PassError::Invalid { .. } | PassError::Rule { .. })) => Err(Failure {
            outcome: Outcome::Environment,
            message: e.to_string(),
        }),
    }
}
