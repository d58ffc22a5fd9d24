//! What chooses: fusion, layouts, costs and derivatives become data that passes follow.

use aiai_frontend::elaborate::{Loader, Program, check};
use aiai_frontend::fmt::format;
use aiai_frontend::span::FileId;
use aiai_ir::DType;
use aiai_ir::policy::{LayoutForm, OpClass};
use aiai_ir::schedule::Part;

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

const POLICIES: &str = "\
/// What is computed once is computed where it is used.
fuse elementwise into any where uses == 1, ops < 256

layout contract where rows >= 64 {
  right: blocked(16)
  // The other operand as it is.
  left: plain
}

cost contract(points: i64, read: i64, written: i64) -> i64 { 2 * points + read + written }

derivative tanh(x: T[..S], y: T[..S], g: T[..S]) -> T[..S] { g * (1 - y * y) }

derivative mul(a: T[..S], b: T[..S], y: T[..S], g: T[..S]) -> (T[..S], T[..S]) { (g * b, g * a) }
";

fn codes(text: &str) -> Vec<&'static str> {
    let program = check("policies.aiai", text, &NoFiles);
    program.diagnostics.iter().map(|d| d.code).collect()
}

fn program() -> Program {
    let program = check("policies.aiai", POLICIES, &NoFiles);
    let first = program.diagnostics.iter().next();
    assert!(first.is_none(), "{first:?}");
    program
}

#[test]
fn choices_are_read_as_data() {
    let all = program().policies().unwrap_or_else(|d| panic!("{d:?}"));
    let fuse = &all.fuse[0];
    assert_eq!(
        fuse.doc,
        "What is computed once is computed where it is used."
    );
    assert!(fuse.allows(OpClass::Elementwise, OpClass::Reduction, 1, 255));
    assert!(!fuse.allows(OpClass::Elementwise, OpClass::Reduction, 2, 1));
    assert!(!fuse.allows(OpClass::Elementwise, OpClass::Reduction, 1, 256));
    assert!(!fuse.allows(OpClass::Contract, OpClass::Elementwise, 1, 1));
    let layout = &all.layouts[0];
    assert_eq!(layout.choices[0], (Part::Right, LayoutForm::Blocked(16)));
    assert_eq!(layout.choices[1], (Part::Left, LayoutForm::Plain));
    assert_eq!(all.costs[0].function.param_types().len(), 3);
    let mul = &all.derivatives[1];
    let function = mul.function(DType::F64, 3).expect("an instance");
    assert_eq!(function.result_types().len(), 2);
    assert_eq!(function.result_types()[0].rank(), 3);
}

#[test]
fn the_format_is_kept() {
    let formatted = format(POLICIES, FileId(0)).unwrap_or_else(|d| panic!("{d:?}"));
    assert_eq!(formatted, POLICIES);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_eq!(
        codes("fuse elementwise into reduction where depth == 1\n"),
        ["E0201"]
    );
    assert_eq!(codes("fuse pointwise into reduction\n"), ["E0708"]);
    assert_eq!(codes("fuse elementwise reduction\n"), ["E0121"]);
    assert_eq!(
        codes("fuse any into any where uses < 2, uses > 5\n"),
        ["E0707"]
    );
    assert_eq!(codes("layout contract { right: blocked(0) }\n"), ["E0121"]);
    assert_eq!(codes("layout contract { middle: plain }\n"), ["E0708"]);
    assert_eq!(codes("layout contract { out: plain }\n"), ["E0708"]);
    assert_eq!(codes("layout rows { right: plain }\n"), ["E0708"]);
    assert_eq!(
        codes("layout contract {\n  right: plain\n  right: blocked(8)\n}\n"),
        ["E0202"]
    );
    assert_eq!(
        codes("cost matmul(points: i64, read: i64, written: i64) -> i64 { points }\n"),
        ["E0708"]
    );
    assert_eq!(
        codes("cost contract(points: i64, read: i64, written: i64) -> f32 { 1.0 }\n"),
        ["E0709"]
    );
    assert_eq!(
        codes("derivative tanh(x: T[..S], y: T[..S]) -> T[..S] { y }\n"),
        ["E0709"]
    );
    assert_eq!(
        codes("derivative conv(x: T[..S], y: T[..S], g: T[..S]) -> T[..S] { g }\n"),
        ["E0708"]
    );
}
