//! docs/ops.md is the op table, written out. `BLESS=1` writes it again.

use std::fmt::Write;
use std::path::Path;

use aiai_ir::ops::{Effect, Levels};
use aiai_ir::{BinaryKind, Op, UnaryKind};

const HEAD: &str = "# Operations

Made from the op table, [`ir/src/ops.rs`](../ir/src/ops.rs), by `BLESS=1 cargo test -p aiai-ir --test reference`. What values,
dtypes and dimensions are is in [semantics.md](semantics.md).

*Levels*: `tensor` ops work on whole tensors, `loop` ops on buffers and scalars; `both` stand at the loop level on scalars only.
*Effect*: `pure` ops may be merged and dropped; `check` ops may stop the program; `memory` ops read and write buffers; ops with
regions do what their regions do.
";

fn page() -> String {
    let mut text = HEAD.to_owned();
    let mut family = "";
    for row in Op::TABLE {
        if row.family != family {
            family = row.family;
            writeln!(text, "\n## {family}\n").unwrap();
            text.push_str(
                "| op | attributes | level | effect | what it does |\n|---|---|---|---|---|\n",
            );
        }
        let level = match row.levels {
            Levels::Tensor => "tensor",
            Levels::Loop => "loop",
            Levels::Both => "both",
        };
        let effect = match row.effect {
            Effect::Pure => "pure",
            Effect::Check => "check",
            Effect::Memory => "memory",
            Effect::Regions => "regions",
        };
        let doc = row.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        let doc = doc.replace('|', "\\|");
        let attributes = row.attributes.join(", ");
        writeln!(
            text,
            "| `{}` | {attributes} | {level} | {effect} | {doc} |",
            row.mnemonic
        )
        .unwrap();
    }
    text.push_str(
        "\n## Kinds of `unary`\n\nThe largest error that a backend may make on floats, in ulp.\n\n",
    );
    text.push_str("| kind | ulp | dtypes |\n|---|---|---|\n");
    for kind in UnaryKind::ALL {
        let dtypes = match kind {
            UnaryKind::Not => "bool, integers",
            kind if kind.is_float_only() => "floats",
            _ => "numbers",
        };
        writeln!(text, "| `{}` | {} | {dtypes} |", kind.name(), kind.ulp()).unwrap();
    }
    text.push_str(
        "\n## Kinds of `binary`\n\n| kind | ulp | dtypes | commutes |\n|---|---|---|---|\n",
    );
    for kind in BinaryKind::ALL {
        let (dtypes, ulp) = match kind {
            BinaryKind::Shl | BinaryKind::Shr => ("integers", "-".to_owned()),
            kind if kind.is_bitwise() => ("bool, integers", "-".to_owned()),
            kind => ("numbers", kind.ulp().to_string()),
        };
        let commutes = if kind.is_commutative() { "yes" } else { "no" };
        writeln!(
            text,
            "| `{}` | {ulp} | {dtypes} | {commutes} |",
            kind.name()
        )
        .unwrap();
    }
    text
}

#[test]
fn the_reference_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ops.md");
    let wanted = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/ops.md is not the op table; BLESS=1 writes it again"
    );
}
