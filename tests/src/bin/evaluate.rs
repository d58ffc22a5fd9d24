//! Runs IR on the reference evaluator for referees in other languages.
//!
//! Each line of standard input is `{"ir": TEXT, "args": [{"dtype", "shape", "hex"}]}`, where `hex` holds the elements as they
//! lie in memory, little-endian; the function is called `main`. Each line of output is `{"results": [...]}` or `{"error": TEXT}`.

use std::io::{BufRead, Write, stdin, stdout};

use aiai_ir::eval::{Array, Options, run};
use aiai_ir::{DType, Stage, Sym, parse_module, verify};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let answer = match evaluate(&line?) {
            Ok(results) => json!({ "results": results.iter().map(to_json).collect::<Vec<_>>() }),
            Err(message) => json!({ "error": message }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn evaluate(line: &str) -> Result<Vec<Array>, String> {
    let case: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = case["ir"].as_str().ok_or("`ir` is missing")?;
    let module = parse_module(text).map_err(|e| e.to_string())?;
    verify(&module, Stage::Source).map_err(|e| e.to_string())?;
    let args = case["args"].as_array().ok_or("`args` is missing")?;
    let args = args
        .iter()
        .map(|a| from_json(a).ok_or("an argument is malformed"));
    let args = args.collect::<Result<Vec<Array>, _>>()?;
    run(&module, Sym::new("main"), &args, &Options::default()).map_err(|e| e.to_string())
}

fn from_json(value: &Value) -> Option<Array> {
    let name = value["dtype"].as_str()?;
    let dtype = DType::ALL.iter().copied().find(|d| d.name() == name)?;
    let shape = value["shape"]
        .as_array()?
        .iter()
        .map(|n| n.as_u64()?.try_into().ok());
    let digits = value["hex"].as_str()?.as_bytes().chunks(2);
    let bytes = digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
    Array::from_bytes(
        dtype,
        shape.collect::<Option<_>>()?,
        &bytes.collect::<Option<Vec<u8>>>()?,
    )
}

fn to_json(array: &Array) -> Value {
    let hex: String = array
        .to_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    json!({ "dtype": array.dtype.name(), "shape": array.shape, "hex": hex })
}
