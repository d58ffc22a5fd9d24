//! Files that are missing, no files, in a circle, named badly, or unwritable.

use std::fs;
use std::process::Command;

use super::{COMMANDS, clean, folder, main_with, refused, run, write};

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
fn output_that_cannot_be_written() {
    let folder = folder();
    let here = folder.path();
    write(here, "m.aiai", "fn main( x:f32[N])->f32[N]{ x }\n");
    write(here, "file", "");
    refused(here, &["new", "file"], 2, &["exists"]);
    refused(here, &["new", "file/model"], 3, &["file/model"]);
    assert_eq!(run(here, &["new", "model"]).code, Some(0));
    fs::create_dir(here.join("taken")).expect("a folder");
    let pipe = Command::new("mkfifo").arg(here.join("pipe")).status();
    assert!(pipe.expect("it runs").success());
    for (out, code) in [
        ("none/checkpoint", 3),
        ("file/checkpoint", 3),
        ("taken", 2),
        ("pipe", 2),
    ] {
        let args = ["train", "model", "--epochs", "1", "--out", out];
        let ran = refused(here, &args, code, &[out]);
        assert_eq!(ran.out, "");
    }
    let left: Vec<_> = fs::read_dir(here)
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left.len(), 6, "no temporary file: {left:?}");
    let full = Command::new(env!("CARGO_BIN_EXE_aiai"))
        .args(["check", "m.aiai"])
        .current_dir(here)
        .stdout(fs::File::create("/dev/full").expect("Linux has it"))
        .output();
    assert_eq!(full.expect("it runs").status.code(), Some(3));
}
