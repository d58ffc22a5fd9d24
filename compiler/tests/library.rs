//! Libraries as their users meet them: built, linked by a C compiler, called in right and wrong ways.

use std::path::Path;
use std::process::{Command, Output};

const PICK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/library/pick.aiai");
const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/library/check.c");

/// The backends of this build.
fn backends() -> &'static [&'static str] {
    match cfg!(feature = "llvm") {
        true => &["cranelift", "llvm"],
        false => &["cranelift"],
    }
}

fn aiai(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiai"));
    command.args(args).output().expect("aiai runs")
}

/// What a failed command says on standard error, and its exit code.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let done = aiai(args);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.code(), said)
}

fn succeeds(command: &mut Command) -> String {
    let done = command.output().expect("the command runs");
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {out}{errors}");
    out
}

/// Builds the library of a program, and gives the path that its files start with.
fn build(folder: &Path, program: &str, name: &str, more: &[&str]) -> String {
    let out = folder.join(name).display().to_string();
    let done = aiai(&[&["build", program, "-o", &out], more].concat());
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    out
}

/// Compiles a C program against the library in the folder.
fn compiled(folder: &Path, source: &str, name: &str, options: &[&str]) -> String {
    let program = folder.join(name).display().to_string();
    let folder = folder.display();
    succeeds(
        Command::new("cc")
            .args([
                "-std=c11", "-g", "-Wall", "-Wextra", "-Werror", source, "-o", &program,
            ])
            .arg(format!("-I{folder}"))
            .args(options)
            .args(["-lpthread", "-ldl", "-lm"]),
    );
    program
}

#[test]
fn c_programs_call_libraries() {
    for backend in backends() {
        for target in ["cpu:x86-64-v3", "cpu:host"] {
            if cfg!(not(target_arch = "x86_64")) && target != "cpu:host" {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            let here = folder.path();
            let out = build(
                here,
                PICK,
                "pick",
                &["--backend", backend, "--target", target],
            );
            let shared = [
                format!("-L{}", here.display()),
                "-lpick".into(),
                format!("-Wl,-rpath,{}", here.display()),
            ];
            let shared: Vec<&str> = shared.iter().map(String::as_str).collect();
            succeeds(&mut Command::new(compiled(here, CHECK, "shared", &shared)));
            let sanitized = [&shared[..], &["-fsanitize=address,undefined"]].concat();
            succeeds(&mut Command::new(compiled(
                here,
                CHECK,
                "sanitized",
                &sanitized,
            )));
            // The same program with the object file in it.
            let (object, runtime) = (format!("{out}.o"), format!("{}/libaiai.a", here.display()));
            let linked = compiled(here, CHECK, "linked", &[&object, &runtime]);
            std::fs::remove_file(format!("{}/libpick.so", here.display())).expect("it was there");
            succeeds(&mut Command::new(&linked));
            // Valgrind sees what compiled code does to memory; it knows no AVX-512. `./test` asks for it.
            if target != "cpu:host" && std::env::var_os("AIAI_TEST_VALGRIND").is_some() {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(["-q", "--error-exitcode=9", "--leak-check=full", &linked]);
                succeeds(&mut valgrind);
            }
        }
    }
}

#[test]
fn the_same_source_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    for backend in backends() {
        let options = ["--backend", backend, "--target", "cpu:x86-64-v3"];
        let read = |out: &str, end: &str| std::fs::read(format!("{out}{end}")).expect("a file");
        let first = build(folder.path(), PICK, "pick", &options);
        let first = [".o", ".h"].map(|end| read(&first, end));
        let again = [&options[..], &["--threads", "1"]].concat();
        let again = build(folder.path(), PICK, "pick", &again);
        let again = [".o", ".h"].map(|end| read(&again, end));
        assert!(first == again, "{backend}");
    }
}

#[test]
fn wrong_orders_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().display().to_string();
    let out = format!("{here}/pick");
    let cases = [
        (
            vec!["--target", "cpu:x86-64-v9"],
            2,
            "there are host, x86-64",
        ),
        (
            vec!["--target", "cpu:host+warp"],
            2,
            "unknown feature `warp`",
        ),
        (vec!["--target", "tpu"], 2, "unknown target `tpu`"),
        (
            vec!["--backend", "interp"],
            2,
            "the evaluator makes no code",
        ),
        (
            vec!["--weights", "/nowhere/w.safetensors"],
            2,
            "No such file",
        ),
        (vec!["--dim", "N"], 2, "expected NAME=SIZE"),
    ];
    for (options, code, part) in cases {
        let (found, said) = refused(&[&["build", PICK, "-o", &out], &options[..]].concat());
        assert_eq!(found, Some(code), "{options:?}: {said}");
        assert!(said.contains(part), "{options:?}: {said}");
    }
    for (out, part) in [
        (format!("{here}/a-b"), "an identifier of C"),
        (format!("{here}/1a"), "an identifier of C"),
        (format!("{here}/none/pick"), "no such folder"),
    ] {
        let (found, said) = refused(&["build", PICK, "-o", &out]);
        assert!(found == Some(2) && said.contains(part), "{said}");
    }
    let mut without = Command::new(env!("CARGO_BIN_EXE_aiai"));
    without
        .args(["build", PICK, "-o", &out])
        .env("CC", "/nowhere/cc");
    let done = without.output().expect("aiai runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.code() == Some(3) && said.contains("`CC` names another"),
        "{said}"
    );
    let left = std::fs::read_dir(&here).expect("the folder").count();
    assert_eq!(left, 0, "files are left");
}

#[cfg(all(feature = "llvm", target_arch = "x86_64"))]
mod levels {
    use super::*;

    const PRODUCTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/library/products.aiai");
    const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/library/products.c");

    /// The weights of `products.aiai`, as `products.c` knows them.
    fn weights(folder: &Path) -> String {
        let counts = [
            ("net.w", "[40,72]", 40 * 72),
            ("net.c", "[20,3,3,3]", 20 * 27),
        ];
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for (name, shape, count) in counts {
            let from = data.len();
            for at in 0..count {
                data.extend(((at * 7 % 11 - 5) as f32).to_le_bytes());
            }
            let offsets = format!("[{from},{}]", data.len());
            entries.push(format!(
                "\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}"
            ));
        }
        let mut header = format!("{{{}}}", entries.join(","));
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        let path = folder.join("given.safetensors");
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    }

    /// Every level has its schedules: products are right, and use the vectors and multiply-adds that it has.
    #[test]
    fn products_use_what_a_level_has() {
        for (level, uses) in [("v2", None), ("v3", Some("%ymm")), ("v4", Some("%zmm"))] {
            let folder = tempfile::tempdir().expect("a folder");
            let here = folder.path();
            let (target, given) = (format!("cpu:x86-64-{level}"), weights(here));
            let options = [
                "--backend",
                "llvm",
                "--target",
                &target,
                "--weights",
                &given,
            ];
            let out = build(here, PRODUCTS, "products", &options);
            let code = succeeds(Command::new("objdump").args(["-d", &format!("{out}.o")]));
            let fused = |register: &str| {
                let mut lines = code.lines().filter(|line| line.contains("vfmadd"));
                lines.any(|line| line.contains(register))
            };
            assert_eq!(uses.is_some(), uses.is_some_and(fused), "{level}");
            assert_eq!(code.contains("%zmm"), level == "v4", "{level}");
            if level == "v4" && !is_x86_feature_detected!("avx512vl") {
                continue;
            }
            let (object, runtime) = (format!("{out}.o"), format!("{}/libaiai.a", here.display()));
            let program = compiled(here, CHECK, "linked", &[&object, &runtime]);
            succeeds(Command::new(program).current_dir(here));
        }
    }
}

#[cfg(feature = "llvm")]
mod cache {
    use super::*;
    use std::path::PathBuf;

    /// Runs with a cache in this folder; gives standard output and standard error.
    fn cached(cache: &Path) -> (String, String) {
        cached_by(Command::new(env!("CARGO_BIN_EXE_aiai")), cache)
    }

    /// The same by a command that passes its arguments on.
    fn cached_by(mut command: Command, cache: &Path) -> (String, String) {
        command
            .env("AIAI_CACHE", cache)
            .args(["run", PICK, "--random", "3"]);
        command.args(["--dim", "B=2", "--dim", "N=4", "--backend", "llvm"]);
        let done = command.output().expect("aiai runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(done.status.success(), "{}", text(&done.stderr));
        (text(&done.stdout), text(&done.stderr))
    }

    fn entries(cache: &Path) -> Vec<PathBuf> {
        let found = std::fs::read_dir(cache).expect("the cache");
        found.map(|e| e.expect("an entry").path()).collect()
    }

    #[test]
    fn damaged_entries_are_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        let (first, said) = cached(&cache);
        assert_eq!(said, "");
        let [entry] = &entries(&cache)[..] else {
            panic!("one entry: {:?}", entries(&cache));
        };
        let whole = std::fs::read(entry).expect("the entry");
        assert_eq!(cached(&cache), (first.clone(), String::new()));
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..10], &[], &flipped] {
            std::fs::write(entry, damaged).expect("written");
            let (out, said) = cached(&cache);
            assert!(out == first && said.contains("is made again"), "{said}");
            assert!(std::fs::read(entry).expect("the entry") == whole);
        }
    }

    #[test]
    fn libraries_are_made_of_cached_code() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        let built = |name: &str, more: &[&str]| {
            let out = folder.path().join(name).display().to_string();
            let mut command = Command::new(env!("CARGO_BIN_EXE_aiai"));
            command.env("AIAI_CACHE", &cache);
            command.args(["build", PICK, "-o", &out, "--backend", "llvm"]);
            let done = command.args(more).output().expect("aiai runs");
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "{said}");
            let object = std::fs::read(format!("{out}.o")).expect("an object file");
            (object, said)
        };
        let (first, _) = built("pick", &[]);
        let [entry] = &entries(&cache)[..] else {
            panic!("one entry: {:?}", entries(&cache));
        };
        assert!(built("pick", &[]) == (first.clone(), String::new()));
        assert_eq!(entries(&cache).len(), 1);
        // That an entry is read shows where it is damaged.
        std::fs::write(entry, "damaged").expect("written");
        let (again, said) = built("pick", &[]);
        assert!(again == first && said.contains("is made again"), "{said}");
        // The symbol, the target and the options make other code.
        built("other", &[]);
        built("pick", &["--target", "cpu:x86-64-v3"]);
        built("pick", &["--dim", "N=4"]);
        assert_eq!(entries(&cache).len(), 4);
    }

    #[test]
    fn a_cache_that_cannot_be_used_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "not a folder").expect("written");
        let (_, said) = cached(&file);
        assert!(said.contains("the compile cache is not written"), "{said}");
        // A device without room.
        if Path::new("/dev/full").exists() {
            let (_, said) = cached(Path::new("/dev/full"));
            assert!(said.contains("the compile cache is not written"), "{said}");
        }
        assert_eq!(cached(Path::new("")).1, "");
    }

    /// A folder in which no file can be made: its mode says so, or for a user whom modes do not stop, its system.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_written_is_said() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (expected, _) = cached(&folder.path().join("cache"));
        let closed = folder.path().join("closed");
        std::fs::create_dir(&closed).expect("a folder");
        let mode = std::fs::Permissions::from_mode(0o555);
        std::fs::set_permissions(&closed, mode).expect("its mode");
        let modes_count = tempfile::tempfile_in(&closed).is_err();
        let folders = [Path::new("/proc"), &closed];
        for cache in &folders[..1 + usize::from(modes_count)] {
            let (out, said) = cached(cache);
            assert_eq!(out, expected, "{}", cache.display());
            assert!(said.contains("the compile cache is not written"), "{said}");
        }
        assert_eq!(entries(&closed), [] as [PathBuf; 0]);
    }

    /// A limit on the size of files stands for a full disk: what is written ends in the middle of an entry.
    #[cfg(unix)]
    #[test]
    fn an_entry_that_finds_no_room_is_not_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let (expected, _) = cached(&folder.path().join("first"));
        let cache = folder.path().join("cache");
        let limited = || {
            let mut shell = Command::new("sh");
            // The signal would end the process, which no full disk does.
            let limit = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
            shell.args(["-c", limit, env!("CARGO_BIN_EXE_aiai")]);
            shell
        };
        for _ in 0..2 {
            let (out, said) = cached_by(limited(), &cache);
            assert_eq!(out, expected);
            assert!(said.contains("the compile cache is not written"), "{said}");
            assert_eq!(entries(&cache), [] as [PathBuf; 0]);
        }
        // With room it is written, and what is there is read where there is none.
        assert_eq!(cached(&cache), (expected.clone(), String::new()));
        let [entry] = &entries(&cache)[..] else {
            panic!("one entry: {:?}", entries(&cache));
        };
        let whole = std::fs::read(entry).expect("the entry");
        assert!(whole.len() > 1024, "{} bytes", whole.len());
        assert_eq!(cached_by(limited(), &cache), (expected, String::new()));
        assert!(std::fs::read(entry).expect("the entry") == whole);
    }

    #[test]
    fn processes_share_a_cache() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        let runs: Vec<(String, String)> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| cached(&cache))).collect();
            runs.into_iter().map(|r| r.join().expect("a run")).collect()
        });
        assert!(runs.iter().all(|run| *run == runs[0] && run.1.is_empty()));
        assert_eq!(entries(&cache).len(), 1);
    }
}
