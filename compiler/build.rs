//! What the binary carries: the runtime of libraries that `aiai build` makes, and a digest of the sources
//! that decide what code comes out, for the compile cache.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What decides the code of a program, beside the program.
const SOURCES: [&str; 5] = ["Cargo.lock", "ir", "passes", "codegen", "runtime"];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut digest = DefaultHasher::new();
    for source in SOURCES {
        let path = root.join(source);
        println!("cargo::rerun-if-changed={}", path.display());
        add(&path, &mut digest);
    }
    println!("cargo::rustc-env=AIAI_BUILD={:016x}", digest.finish());
    rule_files(&root);
    let archive = runtime(&root);
    println!("cargo::rustc-env=AIAI_LIBRARY={}", archive.display());
}

/// Writes the list of the library's rules: names and texts, by name.
fn rule_files(root: &Path) {
    let folder = root.join("stdlib/rules");
    println!("cargo::rerun-if-changed={}", root.join("stdlib").display());
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "aiai"));
    paths.sort();
    let mut list = String::from(
        "/// Files of rules of the library: names and texts.\nconst RULE_FILES: &[(&str, &str)] = &[\n",
    );
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        list += &format!(
            "    (\"std/rules/{name}\", include_str!({:?})),\n",
            path.display().to_string()
        );
    }
    list += "];\n";
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let written = std::fs::write(out.join("rule_files.rs"), list);
    assert!(written.is_ok(), "the list of rules cannot be written");
}

/// Adds files and folders to a digest, in an order that is always the same.
fn add(path: &Path, digest: &mut DefaultHasher) {
    let Ok(entries) = std::fs::read_dir(path) else {
        std::fs::read(path).unwrap_or_default().hash(digest);
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        path.file_name().hash(digest);
        add(&path, digest);
    }
}

/// Compiles the runtime of libraries to an archive, and says where it is.
fn runtime(root: &Path) -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
    let out = PathBuf::from(variable("OUT_DIR"));
    // TARGET_DIR/PROFILE/build/aiai-HASH/out: every profile shares one archive.
    let shared = out.ancestors().nth(4).unwrap_or(&out).join("library");
    let status = Command::new(variable("CARGO"))
        .current_dir(root)
        .args([
            "build",
            "--package",
            "aiai-library",
            "--release",
            "--locked",
        ])
        .arg("--target-dir")
        .arg(&shared)
        // Checked as part of the workspace, and small: it is embedded.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .status();
    assert!(
        status.is_ok_and(|s| s.success()),
        "the runtime of libraries did not compile"
    );
    shared.join("release").join("libaiai_library.a")
}
