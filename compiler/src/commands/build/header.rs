//! The C header of a library.

use std::fmt::Write as _;

use aiai_runtime::program::{Package, Program, Slot};

/// What every header has: the interface of `runtime/library`.
const INTERFACE: &str = include_str!("interface.h");

/// The header of a library of this name.
pub fn text(name: &str, package: &Package) -> String {
    let program = &package.program;
    let mut out = format!(
        "/* {}, compiled by aiai {}.\n",
        program.name,
        env!("CARGO_PKG_VERSION")
    );
    let inputs = program.params.iter();
    let inputs = inputs.filter(|slot| !package.weights.contains(&slot.name));
    list(&mut out, "Inputs", inputs);
    list(&mut out, "Outputs", program.results.iter());
    conditions(&mut out, program);
    if package.weights.is_empty() {
        out.push_str(" *\n * The model has no weights: `weights` may be NULL.\n");
    } else {
        let count = package.weights.len();
        let _ = writeln!(
            out,
            " *\n * Weights: {count} tensors in {name}.safetensors."
        );
    }
    match package.features.is_empty() {
        true => out.push_str(" *\n * Runs on every processor of this architecture.\n"),
        false => {
            let _ = writeln!(out, " *\n * Needs a processor with:");
            for row in package.features.chunks(8) {
                let _ = writeln!(out, " *   {}", row.join(" "));
            }
        }
    }
    out.push_str(" */\n");
    let guard = format!("AIAI_{}_H", name.to_uppercase());
    let _ = write!(
        out,
        "#ifndef {guard}\n#define {guard}\n\n{INTERFACE}\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\
         /* The model of this library, for aiai_open. */\nextern const aiai_program {name}_program;\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    );
    out
}

fn list<'s>(out: &mut String, title: &str, slots: impl Iterator<Item = &'s Slot>) {
    let _ = writeln!(out, " *\n * {title}, in order:");
    for slot in slots {
        let name = if slot.name.is_empty() {
            "(result)"
        } else {
            &slot.name
        };
        let _ = writeln!(out, " *   {name}: {slot}");
    }
}

fn conditions(out: &mut String, program: &Program) {
    if program.requires.is_empty() {
        return;
    }
    out.push_str(" *\n * A call fails unless:\n");
    for require in &program.requires {
        let _ = writeln!(
            out,
            " *   {}",
            require.message.replace("*/", "* /").replace('\n', " ")
        );
    }
}
