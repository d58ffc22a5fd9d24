//! Models as a user meets them: made, trained, gone on with, run from their checkpoint.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn aiai(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiai"));
    command.args(args).output().expect("aiai runs")
}

/// The object that a command with `--json` prints.
fn json(args: &[&str]) -> Value {
    let done = aiai(&[args, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "aiai {args:?}: {errors}");
    serde_json::from_slice(&done.stdout).expect("one object")
}

/// A fresh model of `aiai new`.
fn fresh(folder: &Path) -> String {
    let model = folder.join("model").display().to_string();
    assert!(aiai(&["new", &model]).status.success());
    model
}

#[test]
fn a_new_model_trains_and_passes_its_tests() {
    let folder = tempfile::tempdir().unwrap();
    let model = fresh(folder.path());
    let result = json(&["train", &model]);
    assert!(result["accuracy"].as_f64().unwrap() > 0.9, "{result}");
    assert_eq!(result["steps"], 30 * 13);
    let tested = aiai(&["test", &format!("{model}/model.aiai")]);
    assert!(tested.status.success());
    // A folder stands for the sources in it.
    let folder_tested = aiai(&["test", &model]);
    assert_eq!(tested.stdout, folder_tested.stdout);
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let checked = aiai(&["check", &empty.display().to_string()]);
    assert_eq!(checked.status.code(), Some(2));
    let again = aiai(&["new", &model]);
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn threads_do_not_change_a_bit() {
    let folder = tempfile::tempdir().unwrap();
    let out = |n: &str| folder.path().join(n).display().to_string();
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/digits");
    let train = |threads: &str| {
        let file = out(threads);
        let args = [
            "train",
            digits,
            "--epochs",
            "1",
            "--threads",
            threads,
            "--out",
            &file,
        ];
        json(&args)["losses"].clone()
    };
    assert_eq!(train("1"), train("2"));
    let bytes = |n: &str| std::fs::read(out(n)).unwrap();
    assert_eq!(bytes("1"), bytes("2"));
}

#[test]
fn a_checkpoint_of_another_training_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = fresh(folder.path());
    json(&["train", &model, "--epochs", "2"]);
    let refused = aiai(&["train", &model, "--epochs", "3", "--resume"]);
    assert_eq!(refused.status.code(), Some(2));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        message.contains("its epochs is 2, here it is 3"),
        "{message}"
    );
    // A finished training has nothing left to do.
    let done = json(&["train", &model, "--epochs", "2", "--resume"]);
    assert_eq!(done["steps"], 26);
}

#[test]
fn a_checkpoint_is_a_weights_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = fresh(folder.path());
    let trained = json(&["train", &model]);
    let config = format!("{model}/model.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str("\n[weights]\npath = \"checkpoint.safetensors\"\nignore = [\"opt.*\"]\n");
    std::fs::write(&config, text).unwrap();
    let target = format!("{model}:evaluate");
    let (x, y) = ("x=[[0.0, 1.0], [1.0, -0.5]]", "y=[0, 1]");
    let run = json(&["run", &target, "--arg", x, "--arg", y]);
    let outputs = &run["outputs"];
    assert_eq!(outputs["evaluate.1"], 2, "{outputs} after {trained}");
}

#[test]
fn a_profile_and_a_nan_name_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.aiai").display().to_string();
    let text = "fn main(x: f32[N]) -> f32[N] {\n  let a = log(x)\n  a * 2.0\n}\n";
    std::fs::write(&file, text).unwrap();
    let run = json(&["run", &file, "--arg", "x=[1, 2]", "--profile"]);
    let place = run["profile"][0]["place"].as_str().unwrap();
    assert!(place.contains("f.aiai:"), "{place}");
    let nan = aiai(&["run", &file, "--arg", "x=[1, -2]", "--check-nan"]);
    assert_eq!(nan.status.code(), Some(1));
    let message = String::from_utf8_lossy(&nan.stderr).into_owned();
    assert!(message.contains("f.aiai:2:11"), "{message}");
}
