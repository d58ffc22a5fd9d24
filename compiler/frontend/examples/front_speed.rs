//! How fast sources are read, checked and formatted: `cargo run --release -p aiai-frontend --example front_speed`.

use std::time::Instant;

use aiai_frontend::diagnostics::Diagnostics;
use aiai_frontend::elaborate::{Loader, check};
use aiai_frontend::fmt::format;
use aiai_frontend::parse::parse;
use aiai_frontend::span::FileId;

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

/// A program of at least `lines` lines: functions of ten.
fn program(lines: usize) -> String {
    let function = |n: usize| {
        format!(
            "/// Layer {n}.\n\
             fn layer{n}(x: f32[B, L, D], w: f32[D, F], keep: bool[L, L]) -> f32[B, L, F] {{\n\
             \x20 // A product, a mask, a mean.\n\
             \x20 let y = gelu(x @ w) * 0.5 + 1.0\n\
             \x20 let s[b, i, j] = (sum f: y[b, i, f] * y[b, j, f]) / sqrt(f32(F))\n\
             \x20 let p = softmax(select(keep, s, -inf), axis = -1)\n\
             \x20 let z[b, i, f] = sum j: p[b, i, j] * y[b, j, f]\n\
             \x20 z - mean(z, axis = -1, keep = true)\n\
             }}\n\n"
        )
    };
    (0..lines.div_ceil(10)).map(function).collect()
}

fn main() {
    let lines = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000);
    let text = program(lines);
    let timed = |what: &str, work: &dyn Fn()| {
        let best = (0..3)
            .map(|_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        println!(
            "{what}: {:.0} ms, {:.0} lines/s",
            best * 1e3,
            lines as f64 / best
        );
    };
    timed("lex and parse", &|| {
        let mut diagnostics = Diagnostics::default();
        parse(&text, FileId(0), &mut diagnostics);
        assert!(diagnostics.is_empty());
    });
    timed("format", &|| assert!(format(&text, FileId(0)).is_ok()));
    timed("check", &|| {
        let program = check("speed.aiai", &text, &NoFiles);
        let first = program.diagnostics.iter().next();
        assert!(first.is_none(), "{first:?}");
    });
}
