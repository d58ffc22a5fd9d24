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
    let archive = runtime(&root);
    println!("cargo::rustc-env=AIAI_LIBRARY={}", archive.display());
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
