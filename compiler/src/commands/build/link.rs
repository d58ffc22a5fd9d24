//! Linking: the system's C compiler puts code and runtime together.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::Place;
use crate::Failure;

/// The runtime of libraries, compiled with this binary.
pub const ARCHIVE: &[u8] = include_bytes!(env!("AIAI_LIBRARY"));
/// The name it is written under.
pub const RUNTIME: &str = "libaiai.a";

/// What a library shows beside its program.
const INTERFACE: &[&str] = &[
    "aiai_open",
    "aiai_close",
    "aiai_call",
    "aiai_shape",
    "aiai_signature",
    "aiai_message",
];

/// Makes `NAME.o` and `libNAME.so` from `code.o`, `descriptor.o` and the runtime, all in `folder`.
pub fn link(folder: &Path, place: &Place) -> Result<(), Failure> {
    let name = &place.name;
    let script = format!(
        "{{ global: {}; {}; local: *; }};\n",
        place.symbol(),
        INTERFACE.join("; ")
    );
    std::fs::write(folder.join("exports"), script)
        .map_err(|e| Failure::environment(format!("{}: {e}", folder.display())))?;
    let object = format!("{name}.o");
    run(
        folder,
        &["-r", "-nostdlib", "-o", &object, "code.o", "descriptor.o"],
    )?;
    let roots = INTERFACE.iter().map(|symbol| format!("-Wl,-u,{symbol}"));
    let roots: Vec<String> = roots.collect();
    let library = format!("lib{name}.so");
    let named = format!("-Wl,-soname,{library}");
    let mut arguments = vec![
        "-shared",
        "-static-libgcc",
        "-Wl,--version-script=exports",
        "-Wl,--gc-sections",
        "-Wl,-z,noexecstack",
        "-Wl,-z,defs",
        "-Wl,-s",
        &named,
    ];
    arguments.extend(roots.iter().map(String::as_str));
    arguments.extend(["-o", &library, &object, RUNTIME]);
    arguments.extend(["-lpthread", "-ldl", "-lm", "-lc"]);
    run(folder, &arguments)
}

fn run(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let compiler = std::env::var_os("CC").filter(|cc| !cc.is_empty());
    let compiler = compiler.unwrap_or_else(|| OsString::from("cc"));
    let shown = compiler.to_string_lossy().into_owned();
    let ran = Command::new(&compiler)
        .current_dir(folder)
        .args(arguments)
        .output();
    let ran = ran.map_err(|e| {
        Failure::environment(format!(
            "libraries are linked by a C compiler, and `{shown}` does not run: {e}; `CC` names another"
        ))
    })?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let first: Vec<&str> = said.lines().take(5).collect();
    Err(Failure::environment(format!(
        "`{shown}` did not link: {}",
        first.join("\n")
    )))
}
