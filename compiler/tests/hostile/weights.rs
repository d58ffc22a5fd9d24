//! Weights that are not what they say.

use std::fs;

use tempfile::TempDir;

use super::{folder, refused, run, write};

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
