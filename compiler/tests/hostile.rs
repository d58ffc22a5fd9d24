//! Hostile input to the whole command line: a diagnostic or typed error, the right exit code, bounded
//! time and memory, nothing half-written.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// No command may take longer; generous, since tests run side by side in a debug build.
const LIMIT: Duration = Duration::from_secs(20);
/// Address space of a command, in KiB. The front end alone reserves a stack of 1 GiB.
const ADDRESS_SPACE: &str = "6000000";

/// How a command ended.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The built binary within its limits, in a folder, with its output going to files there.
fn start(folder: &Path, args: &[&OsStr]) -> Child {
    let logs = folder.join("logs");
    fs::create_dir_all(&logs).expect("a folder for logs");
    let log = |name| Stdio::from(fs::File::create(logs.join(name)).expect("a log"));
    Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {ADDRESS_SPACE}; exec \"$0\" \"$@\""),
        ])
        .arg(env!("CARGO_BIN_EXE_aiai"))
        .args(args)
        .args(["--threads", "2"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log("out"))
        .stderr(log("err"))
        .spawn()
        .expect("sh starts")
}

fn finish(folder: &Path, mut child: Child) -> Ran {
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if began.elapsed() > LIMIT {
            child.kill().expect("a child that can be stopped");
            panic!("the command takes longer than {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let log = |name| {
        let bytes = fs::read(folder.join("logs").join(name)).expect("a log");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ran {
        code: status.code(),
        out: log("out"),
        err: log("err"),
    }
}

fn run(folder: &Path, args: &[&str]) -> Ran {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    finish(folder, start(folder, &args))
}

/// The command ends with this code and says each of these; nothing else goes wrong.
fn refused(folder: &Path, args: &[&str], code: i32, says: &[&str]) -> Ran {
    let ran = run(folder, args);
    clean(&ran, args);
    assert_eq!(ran.code, Some(code), "{args:?}: {}{}", ran.out, ran.err);
    for part in says {
        assert!(
            ran.err.contains(part),
            "{args:?}: no `{part}` in {}",
            ran.err
        );
    }
    ran
}

/// Neither a crash nor anything that steers a terminal.
fn clean(ran: &Ran, args: &[&str]) {
    for text in [&ran.out, &ran.err] {
        let steers = text.chars().any(|c| c != '\n' && c.is_control());
        let crashed = text.contains("panicked") || text.contains("internal error");
        assert!(
            !steers && !crashed && text.len() < 40_000,
            "{args:?}: {text}"
        );
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file that can be written");
    path
}

const COMMANDS: [&str; 6] = ["check", "test", "run", "emit", "bench", "train"];

/// Every command refuses the file with the code; `fmt` too where it does not parse, and leaves it as it was.
fn source(text: impl AsRef<[u8]>, code: &str, parses: bool) {
    let folder = folder();
    let path = write(folder.path(), "bad.aiai", &text);
    for command in COMMANDS {
        refused(folder.path(), &[command, "bad.aiai"], 2, &[code]);
    }
    if !parses {
        refused(folder.path(), &["fmt", "bad.aiai"], 2, &[code]);
    }
    let kept = fs::read(path).expect("the file is still there");
    assert!(kept == text.as_ref(), "the file has changed");
    let files = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(files, 2, "the file and the logs");
}

fn main_with(body: &str) -> String {
    format!("fn main(x: f32[N]) -> f32[N] {{\n  {body}\n}}\n")
}

#[test]
fn sources_that_are_no_programs() {
    source("", "E0119", false);
    source("// only a comment\n", "E0119", false);
    source(b"fn main() -> f32[] { 1.0 \xff }\n", "E0004", false);
    source([0xff, 0xfe, b'f', 0], "E0004", false);
    source(main_with("x\0"), "E0005", false);
    source(main_with("x // \u{202e} hidden"), "E0005", false);
    source(main_with("x // \u{1b}[31m"), "E0005", false);
    source("test \"\u{1b}]0;title\u{7}\" { }\n", "E0005", false);
    source(main_with("\u{feff}x"), "E0005", false);
}

#[test]
fn a_byte_order_mark_at_the_start_is_skipped() {
    let folder = folder();
    write(
        folder.path(),
        "a.aiai",
        format!("\u{feff}{}", main_with("x")),
    );
    let ran = run(folder.path(), &["run", "a.aiai", "--arg", "x=[1,2]"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "main: f32[2] = 1 2\n")
    );
}

#[test]
fn sources_that_nest_without_end() {
    let many = 100_000;
    source(
        main_with(&("(".repeat(many) + "x" + &")".repeat(many))),
        "E0801",
        false,
    );
    source(main_with(&("-".repeat(many) + "x")), "E0801", false);
    source(main_with(&("- ".repeat(many) + "x")), "E0801", false);
    source(main_with(&("x + ".repeat(many) + "x")), "E0801", false);
    source(
        main_with(&format!("x + {}", "9".repeat(5_000_000))),
        "E0002",
        false,
    );
    source(
        main_with(&format!("x + 0.{}", "9".repeat(5_000_000))),
        "E0002",
        false,
    );
    let chain: String = (0..2000)
        .map(|i| format!("fn f{i}(x: f32[N]) -> f32[N] {{ f{}(x) }}\n", i + 1))
        .collect();
    source(
        chain + "fn f2000(x: f32[N]) -> f32[N] { x }\n",
        "E0801",
        true,
    );
}

#[test]
fn sources_that_grow_without_bound() {
    source(
        "fn main(x: f32[9223372036854775808]) -> f32[] { sum(x) }\n",
        "E0802",
        true,
    );
    source(
        "fn main(x: f32[4294967296, 4294967296]) -> f32[] { sum(x) }\n",
        "E0802",
        true,
    );
    let product: Vec<String> = (0..40).map(|i| format!("(A{i} + B{i})")).collect();
    source(
        format!(
            "fn main(x: f32[{}]) -> f32[] {{ sum(x) }}\n",
            product.join(" * ")
        ),
        "E0802",
        true,
    );
    source(
        format!(
            "fn main(x: f32[{}1]) -> f32[] {{ sum(x) }}\n",
            "1, ".repeat(5000)
        ),
        "E0802",
        true,
    );
    let doubled: String = (0..60)
        .map(|i| format!("  let a{} = (a{i}, a{i})\n", i + 1))
        .collect();
    source(
        format!("fn main(a0: f32[N]) -> f32[N] {{\n{doubled}  a0\n}}\n"),
        "E0802",
        true,
    );
    let modules: String = (1..60)
        .map(|i| format!("module M{i} {{\n  a: M{0}\n  b: M{0}\n}}\n", i - 1))
        .collect();
    source(
        format!("module M0 {{ param w: f32[1] ~ zeros }}\n{modules}"),
        "E0802",
        true,
    );
    source(
        "module L { param w: f32[1] ~ zeros }\nmodule M { a: [L; 1000000000000] }\n",
        "E0802",
        true,
    );
    source("module A { a: A }\n", "E0204", true);
    source("module A { b: B }\nmodule B { a: A }\n", "E0204", true);
    source(main_with("main(x)"), "E0204", true);
}

#[test]
fn files_that_are_not_there_or_no_files() {
    let folder = folder();
    let here = folder.path();
    fs::create_dir(here.join("dir.aiai")).expect("a folder");
    for command in COMMANDS.iter().chain(&["fmt"]) {
        refused(here, &[command, "none.aiai"], 2, &["none.aiai"]);
        refused(here, &[command, "dir.aiai"], 2, &["dir.aiai"]);
        refused(here, &[command, "/dev/zero"], 2, &["/dev/zero"]);
    }
    write(
        here,
        "uses.aiai",
        "use none\nfn f(x: f32[N]) -> f32[N] { x }\n",
    );
    refused(here, &["check", "uses.aiai"], 2, &["E0203", "none"]);
    write(here, "latin.aiai", b"fn f() -> f32[] { 1.0 } // \xe9\n");
    write(
        here,
        "uses.aiai",
        "use latin\nfn g(x: f32[N]) -> f32[N] { x }\n",
    );
    refused(here, &["check", "uses.aiai"], 2, &["E0203", "UTF-8"]);
}

#[test]
fn files_that_use_each_other_in_a_circle() {
    let folder = folder();
    write(
        folder.path(),
        "a.aiai",
        "use b\nfn f(x: f32[N]) -> f32[N] { g(x) }\n",
    );
    write(
        folder.path(),
        "b.aiai",
        "use a\nfn g(x: f32[N]) -> f32[N] { f(x) }\n",
    );
    for command in COMMANDS {
        refused(folder.path(), &[command, "a.aiai"], 2, &["E0203", "circle"]);
    }
}

#[test]
fn names_cannot_steer_the_terminal() {
    let folder = folder();
    let name = "a\u{1b}]0;x\u{7}\u{1b}[31m.aiai";
    write(folder.path(), name, main_with("x"));
    for command in COMMANDS {
        let args = [command, name, "--random", "1", "--dim", "N=2"];
        let args = if matches!(command, "run") {
            &args[..]
        } else {
            &args[..2]
        };
        clean(&run(folder.path(), args), args);
    }
    write(folder.path(), name, main_with("y"));
    refused(folder.path(), &["check", name], 2, &["a\\u{1b}]0;x\\u{7}"]);
    refused(
        folder.path(),
        &["run", "none\u{1b}[31m"],
        2,
        &["none\\u{1b}"],
    );
    write(
        folder.path(),
        "t.aiai",
        "test \"t\" { assert_close(1.0, 2.0) }\n",
    );
    let args = ["run", "t.aiai:\u{1b}[31m"];
    refused(folder.path(), &args, 2, &[]);
}

#[test]
fn arguments_that_do_not_fit() {
    let folder = folder();
    let here = folder.path();
    write(
        here,
        "m.aiai",
        "fn main(x: f32[N], i: i8[]) -> f32[N] { x }\n",
    );
    let deep = format!("x={}", "[".repeat(100_000));
    for (arg, says) in [
        ("x=[1,[2]]", "regular"),
        ("x=[1,2", "not a number"),
        ("x=1e999", "not a number"),
        (&deep, "not a number"),
        ("y=1", "no parameter `y`"),
        ("i=300", "no i8"),
        ("i=1.5", "no i8"),
        ("x", "NAME=VALUE"),
        ("x=1", "got f32[]"),
    ] {
        refused(
            here,
            &["run", "m.aiai", "--arg", arg, "--random", "1"],
            2,
            &[says],
        );
    }
    for dim in ["N=-1", "N=x", "N", "N=9223372036854775808"] {
        refused(
            here,
            &["run", "m.aiai", "--random", "1", "--dim", dim],
            2,
            &["NAME=SIZE"],
        );
    }
    refused(
        here,
        &["run", "m.aiai", "--threads", "100000000"],
        2,
        &["--threads"],
    );
    refused(
        here,
        &["bench", "m.aiai", "--budget", "inf"],
        2,
        &["--budget"],
    );
    write(here, "x.npy", b"\x93NUMPY\x01\x00\xff\xff{");
    refused(
        here,
        &["run", "m.aiai", "--input", "x=x.npy"],
        2,
        &["x.npy"],
    );
    refused(
        here,
        &["run", "m.aiai", "--input", "x=none.npy"],
        2,
        &["none.npy"],
    );
}

#[test]
fn more_memory_than_there_is() {
    let folder = folder();
    let here = folder.path();
    write(here, "m.aiai", main_with("x"));
    write(
        here,
        "squares.aiai",
        "fn main(x: f32[N]) -> f32[] {\n  let y[i, j] = x[i] * x[j]\n  sum(y @ y)\n}\n",
    );
    for backend in ["cranelift", "interp"] {
        for size in ["N=1000000000000", "N=2000000000", "N=9223372036854775807"] {
            refused(
                here,
                &[
                    "run",
                    "m.aiai",
                    "--random",
                    "1",
                    "--dim",
                    size,
                    "--backend",
                    backend,
                ],
                2,
                &[],
            );
        }
        let args = [
            "run",
            "squares.aiai",
            "--random",
            "1",
            "--dim",
            "N=1000000",
            "--backend",
            backend,
        ];
        refused(here, &args, 2, &[]);
    }
    write(
        here,
        "p.aiai",
        "prop p(x: f32[100000, 100000, 100] in 0..1) { assert_close(sum(x), 0.0) }\n",
    );
    refused(here, &["test", "p.aiai"], 2, &["memory"]);
}

#[test]
fn output_that_cannot_be_written() {
    let folder = folder();
    let here = folder.path();
    write(here, "m.aiai", "fn main( x:f32[N])->f32[N]{ x }\n");
    write(here, "file", "");
    refused(here, &["new", "file"], 2, &["exists"]);
    refused(here, &["new", "file/model"], 3, &["file/model"]);
    assert_eq!(run(here, &["new", "model"]).code, Some(0));
    fs::create_dir(here.join("taken")).expect("a folder");
    for out in ["none/checkpoint", "taken", "file/checkpoint"] {
        let ran = refused(
            here,
            &["train", "model", "--epochs", "1", "--out", out],
            3,
            &[out],
        );
        assert_eq!(ran.out, "");
    }
    let left: Vec<_> = fs::read_dir(here)
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left.len(), 5, "no temporary file: {left:?}");
    let full = Command::new(env!("CARGO_BIN_EXE_aiai"))
        .args(["check", "m.aiai"])
        .current_dir(here)
        .stdout(fs::File::create("/dev/full").expect("Linux has it"))
        .output();
    assert_eq!(full.expect("it runs").status.code(), Some(3));
}

/// A folder with a model of one weight matrix.
fn model_with_weights() -> TempDir {
    let folder = folder();
    write(
        folder.path(),
        "model.aiai",
        "module Net { param up: f32[2, 3] ~ zeros }\nfn main(net: Net, x: f32[B, 2]) -> f32[B, 3] { x @ net.up }\n",
    );
    let config = "[weights]\npath = \"w.safetensors\"\n";
    write(folder.path(), "model.toml", config);
    folder
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

#[test]
fn weights_that_are_not_what_they_say() {
    let folder = model_with_weights();
    let here = folder.path();
    let args = ["run", ".", "--arg", "x=[[1,2]]"];
    let good = r#"{"net.up":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
    write(here, "w.safetensors", safetensors(good, 24));
    assert_eq!(run(here, &args).out, "main: f32[1, 3] = 0 0 0\n");
    let entry = |name: &str, dtype: &str, shape: &str, offsets: &str| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let up = entry("net.up", "F32", "[2,3]", "[0,24]");
    for (header, data, says) in [
        (
            format!("{{{up},{}}}", entry("b", "F32", "[6]", "[12,36]")),
            36,
            "overlaps",
        ),
        (
            format!("{{{up},{}}}", entry("b", "F32", "[6]", "[28,52]")),
            52,
            "gap",
        ),
        (
            format!("{{{up},{}}}", entry("b", "F32", "[6]", "[24,48]")),
            24,
            "offsets 24..48",
        ),
        (
            format!("{{{}}}", entry("net.up", "F32", "[2,3]", "[24,0]")),
            24,
            "offsets 24..0",
        ),
        (format!("{{{up},{up}}}"), 24, "duplicate key `net.up`"),
        (
            format!("{{{}}}", entry("net.up", "I32", "[2,3]", "[0,24]")),
            24,
            "`net.up` is i32",
        ),
        (
            format!("{{{}}}", entry("net.up", "F32", "[3,2]", "[0,24]")),
            24,
            "f32[3, 2]",
        ),
        (
            format!("{{{}}}", entry("net.up", "F99", "[3,2]", "[0,24]")),
            24,
            "F99",
        ),
        (
            format!("{{{}}}", entry("net.down", "F32", "[2,3]", "[0,24]")),
            24,
            "nearest: `net.down`",
        ),
        (
            format!(
                "{{{}}}",
                entry(
                    "net.up",
                    "F32",
                    "[4611686018427387904,4611686018427387904]",
                    "[0,24]"
                )
            ),
            24,
            "does not fit",
        ),
        ("{}".into(), 0, "`net.up`"),
        ("{".into(), 0, "header"),
        ("[".repeat(100_000), 0, "header"),
    ] {
        write(here, "w.safetensors", safetensors(&header, data));
        refused(here, &args, 2, &[says]);
    }
    write(here, "w.safetensors", b"abc");
    refused(here, &args, 2, &["3 bytes"]);
    fs::remove_file(here.join("w.safetensors")).expect("it is there");
    refused(here, &args, 2, &["w.safetensors"]);
    refused(
        here,
        &["run", "model.aiai", "--arg", "x=[[1,2]]"],
        2,
        &["net.up"],
    );
}

#[test]
fn weights_with_a_header_of_200_megabytes() {
    let folder = model_with_weights();
    let path = write(folder.path(), "w.safetensors", 200_000_000u64.to_le_bytes());
    let args = ["run", ".", "--arg", "x=[[1,2]]"];
    refused(folder.path(), &args, 2, &["header"]);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("the file");
    file.set_len(200_000_100).expect("a file with a hole");
    refused(folder.path(), &args, 2, &["200000000 bytes"]);
}

/// A fresh model, and its configuration.
fn new_model() -> (TempDir, String) {
    let folder = folder();
    assert_eq!(run(folder.path(), &["new", "m"]).code, Some(0));
    let config = fs::read_to_string(folder.path().join("m/model.toml")).expect("made above");
    (folder, config)
}

#[test]
fn data_that_cannot_be_trained_on() {
    let (folder, config) = new_model();
    let here = folder.path();
    let train = ["train", "m", "--epochs", "1"];
    for (data, says) in [
        ("x1,x2,class\n1,2,0\n1,2\n", "points.csv:3"),
        ("x1,x2,class\n1,2,0\n1,2,3,4\n", "points.csv:3"),
        ("x1,x2,class\n1,nan,0\n", "points.csv:2"),
        ("x1,x2,class\n1,inf,0\n", "points.csv:2"),
        ("x1,x2,class\n1,,0\n", "points.csv:2"),
        ("x1,x2,class\n1,2,0.5\n", "no i32"),
        ("x1,x2,class\n1,2,1e30\n", "no i32"),
        ("x1,x2,class\n", "no examples"),
        ("x1,x2,label\n1,2,0\n", "`class`"),
        ("", "empty"),
        ("x1,x2,class\n1,\u{1b}[31m,0\n", "points.csv:2"),
    ] {
        write(here, "m/points.csv", data);
        refused(here, &train, 2, &[says]);
    }
    write(here, "m/points.csv", b"x1,x2,class\n1,\xff,0\n");
    refused(here, &train, 2, &["points.csv"]);
    write(here, "m/points.csv", "x1,x2,class\n1,2,0\n2,1,1\n3,4,1\n");
    assert_eq!(run(here, &train).code, Some(0));
    let with_folds = config.replace("[data]\n", "[data]\nfolds = \"folds.csv\"\n");
    write(here, "m/model.toml", &with_folds);
    refused(here, &train, 2, &["folds.csv"]);
    for (folds, says) in [
        ("0\n1\n", "2 rows for 3"),
        ("0\n1\n1\n1\n", "4 rows for 3"),
        ("1\n1\n1\n", "no example"),
        ("0\n0\n0\n", "every example"),
    ] {
        write(here, "m/folds.csv", folds);
        refused(here, &train, 2, &[says]);
    }
    fs::remove_file(here.join("m/checkpoint.safetensors")).expect("left by the training above");
    refused(here, &train, 2, &[]);
    assert!(!here.join("m/checkpoint.safetensors").exists());
}

#[test]
fn configurations_that_are_wrong() {
    let (folder, config) = new_model();
    for (from, to, says) in [
        ("epochs", "epoch", "epoch"),
        ("[train]", "[training]", "training"),
        ("batch_size = 16", "batch_size = 0", "at least one"),
        (
            "batch_size = 16",
            "batch_size = 9223372036854775807",
            "at most",
        ),
        ("batch_size = 16", "batch_size = -1", "batch_size"),
        ("epochs = 30", "epochs = 9223372036854775807", "at most"),
        ("\"0..2\"", "\"0..9999999999999\"", "no column"),
        ("\"0..2\"", "\"2..0\"", "holds 0"),
        ("\"0..2\"", "\"0..3\"", "holds 3"),
        ("columns = \"class\"", "colums = \"class\"", "colums"),
        ("[data.y]", "[data.z]", "nothing fills `y`"),
        ("[data]", "[data", "model.toml"),
        ("points.csv", "/dev/zero", "/dev/zero"),
        ("points.csv", ".", "regular file"),
    ] {
        write(folder.path(), "m/model.toml", config.replace(from, to));
        refused(folder.path(), &["train", "m"], 2, &[says]);
    }
    write(folder.path(), "m/model.toml", b"\xff");
    refused(folder.path(), &["train", "m"], 2, &["UTF-8"]);
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_weights() {
    let (folder, config) = new_model();
    let here = folder.path();
    write(
        here,
        "m/model.toml",
        config.replace("epochs = 30", "epochs = 1500"),
    );
    assert_eq!(run(here, &["train", "m", "--out", "whole"]).code, Some(0));
    let mut interrupted = 0;
    for attempt in 0..3 {
        let mut args = vec!["train", "m", "--out", "parts"];
        if attempt > 0 {
            args.push("--resume");
        }
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let child = start(here, &args);
        let began = Instant::now();
        while !here.join("parts").exists() && began.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(if attempt == 0 { 60 } else { 250 }));
        let sent = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|s| s.success()));
        let ran = finish(here, child);
        if ran.code == Some(0) {
            break;
        }
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        assert!(ran.err.contains("--resume"), "{}", ran.err);
        interrupted += 1;
    }
    assert!(
        interrupted > 0,
        "the training is too short to be interrupted"
    );
    let last = run(here, &["train", "m", "--out", "parts", "--resume"]);
    assert_eq!(last.code, Some(0), "{}", last.err);
    let read = |name| fs::read(here.join(name)).expect("a checkpoint");
    assert!(read("whole") == read("parts"), "the weights differ");
}

#[test]
fn checkpoints_of_something_else() {
    let (folder, _) = new_model();
    let here = folder.path();
    let resume = ["train", "m", "--epochs", "2", "--out", "c", "--resume"];
    refused(here, &resume, 2, &["c"]);
    write(here, "c", b"not a checkpoint");
    refused(here, &resume, 2, &["c"]);
    assert_eq!(
        fs::read(here.join("c")).expect("it is left"),
        b"not a checkpoint"
    );
    assert_eq!(
        run(here, &["train", "m", "--epochs", "1", "--out", "c"]).code,
        Some(0)
    );
    refused(here, &resume, 2, &["epochs"]);
}
