//! Source text that is no program, or that grows without bound.

use super::{folder, main_with, refused, run, source, write};

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
fn programs_that_are_long() {
    let folder = folder();
    let here = folder.path();
    let chain: String = (0..20_000)
        .map(|i| format!("  let y{} = y{i} * 0.5 + 1\n", i + 1))
        .collect();
    let text = format!("fn main(y0: f32[N]) -> f32[N] {{\n{chain}  y20000\n}}\n");
    write(here, "chain.aiai", text);
    let ran = run(here, &["run", "chain.aiai", "--random", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let calls: String = (0..40)
        .map(|i| format!("fn f{}(x: f32[N]) -> f32[N] {{ f{i}(f{i}(x)) }}\n", i + 1))
        .collect();
    write(
        here,
        "calls.aiai",
        format!("fn f0(x: f32[N]) -> f32[N] {{ x + 1 }}\n{calls}"),
    );
    let args = ["run", "calls.aiai:f40", "--random", "1"];
    refused(here, &args, 2, &["operations with the bodies of all calls"]);
}
