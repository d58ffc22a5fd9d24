//! Arguments that do not fit, and more memory than there is.

use super::{folder, main_with, refused, write};

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
fn both_backends_refuse_with_the_same_code() {
    let folder = folder();
    let here = folder.path();
    let text = "fn main(x: f32[N], i: i64[M]) -> f32[M] {\n  let y[k] = x[i[k]]\n  y\n}\n";
    write(here, "m.aiai", text);
    for backend in ["cranelift", "interp"] {
        for (x, i, says) in [
            ("x=[1, 2]", "i=[2]", "m.aiai:2"),
            ("x=[1, 2]", "i=[-1]", "index -1"),
            ("x=[1, 2]", "i=1", "got i64[]"),
            ("x=[[1, 2]]", "i=[1]", "got f32[1, 2]"),
        ] {
            let args = [
                "run",
                "m.aiai",
                "--backend",
                backend,
                "--arg",
                x,
                "--arg",
                i,
            ];
            refused(here, &args, 2, &[says]);
        }
        let halves = "fn main(x: f32[2 * N], y: f32[N]) -> f32[N] { y }\n";
        write(here, "halves.aiai", halves);
        let args = [
            "run",
            "halves.aiai",
            "--arg",
            "x=[1, 2]",
            "--arg",
            "y=[1, 2]",
        ];
        let args = [&args[..], &["--backend", backend]].concat();
        refused(here, &args, 2, &["`2*N` is 4, got 2"]);
        write(here, "x.npy", npy_of_one_number());
        let args = ["run", "m.aiai", "--input", "x=x.npy", "--arg", "i=[0]"];
        let args = [&args[..], &["--backend", backend]].concat();
        refused(here, &args, 2, &["got f32[]"]);
    }
}

/// A tensor without axes as a file.
fn npy_of_one_number() -> Vec<u8> {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': ()}\n";
    let length = (header.len() as u16).to_le_bytes();
    [
        b"\x93NUMPY\x01\x00",
        &length[..],
        header.as_bytes(),
        &[0; 4],
    ]
    .concat()
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
