//! Data, configurations and checkpoints that are wrong; training that is interrupted.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{LIMIT, finish, folder, refused, run, start, write};

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
    for (label, says) in [
        ("7", "index 7 is out of range"),
        ("-1", "index -1 is out of range"),
    ] {
        write(
            here,
            "m/points.csv",
            format!("x1,x2,class\n1,2,0\n2,1,{label}\n"),
        );
        for backend in ["cranelift", "interp"] {
            let args = ["train", "m", "--epochs", "1", "--backend", backend];
            refused(here, &args, 2, &["step 0: ", says, "counted from 0: 0, 1"]);
        }
    }
    write(here, "m/points.csv", "x1,x2,class\n1,2,0\n2,1,1\n3,4,1\n");
    assert_eq!(run(here, &train).code, Some(0));
    refused(
        here,
        &["train", "m", "--fold", "3"],
        2,
        &["--fold 3", "`folds"],
    );
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
        ("epochs", "epoch", "did you mean `epochs`?"),
        ("[data.y]", "[data.y]\nscal = 2", "did you mean `scale`?"),
        ("[data.x]", "[data.xx]", "`[data.xx]`"),
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
        ("[data]", "[data]\nfold = 1", "`data.folds`"),
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
    for (attempt, (signal, code)) in [("-INT", 3), ("-TERM", 143), ("-HUP", 129)]
        .into_iter()
        .enumerate()
    {
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
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|s| s.success()));
        let ran = finish(here, child);
        if ran.code == Some(0) {
            break;
        }
        assert_eq!(ran.code, Some(code), "{}", ran.err);
        assert!(ran.err.contains("--resume"), "{}", ran.err);
        let left: Vec<_> = fs::read_dir(here)
            .expect("a folder")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(left.len(), 4, "no temporary file: {left:?}");
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

#[test]
fn a_training_that_fails_leaves_the_checkpoint_as_it_was() {
    let (folder, _) = new_model();
    let here = folder.path();
    let args = ["train", "m", "--epochs", "1", "--out", "c"];
    let program = fs::read_to_string(here.join("m/model.aiai")).expect("made above");
    let data = fs::read_to_string(here.join("m/points.csv")).expect("made above");
    let fail = || {
        write(
            here,
            "m/model.aiai",
            program.replace("cross_entropy(", "0.0 / 0.0 * cross_entropy("),
        );
        refused(here, &args, 1, &["the loss is NaN at step 0"]);
        write(here, "m/model.aiai", &program);
        write(here, "m/points.csv", "x1,x2,class\n1,2,0.5\n");
        refused(here, &args, 2, &["no i32"]);
        write(here, "m/points.csv", &data);
    };
    fail();
    assert!(!here.join("c").exists());
    assert_eq!(run(here, &args).code, Some(0));
    let before = fs::read(here.join("c")).expect("a checkpoint");
    fail();
    assert!(
        before == fs::read(here.join("c")).expect("a checkpoint"),
        "it has changed"
    );
}
