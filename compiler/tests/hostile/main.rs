//! Hostile input to the whole command line: a diagnostic or typed error, the right exit code, bounded
//! time and memory, nothing half-written.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod arguments;
mod files;
mod sources;
mod training;
mod weights;

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
