//! Schedules that random programs are lowered with: those of the library, and small ones whose blocks and tiles
//! end within the few rows and columns that such programs have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aiai_codegen::lower::{INLINED, Lowering};
use aiai_codegen::{Options, Target};
use aiai_frontend::elaborate::{Loader, check, library_schedules, read_schedules};
use aiai_ir::policy::{LayoutChoice, laid_out};
use aiai_ir::schedule::Pattern;
use aiai_ir::{Function, Schedule};

use crate::generate::{Program, Sizes};
use aiai_ir::random::Random;

const SMALL: [&str; 4] = [
    "
schedule both_packed for contract on cpu {
  tile columns by 8, rows by 4, summed by 3
  parallel rows, columns
  pack left
  pack right
  inline left, right
  register rows by 2, columns by 8
  vectorize columns by 4
  unroll summed by 3
  prefetch summed by 2
  fuse epilogue
}

schedule blocks for attention on cpu {
  tile rows by 4
  parallel rows
  reorder rows, columns
  register rows by 2, columns by 2
  vectorize columns by 2
  unroll columns by 3, rows by 2
}

schedule short for rows on cpu where columns <= 4 {
  parallel rows
  vectorize columns by 2
}

schedule side_by_side for rows on cpu {
  tile rows by 2
  parallel rows
  vectorize columns by 4
  unroll columns by 2
  prefetch rows by 2
}

schedule pieces for map on cpu {
  tile columns by 6
  parallel columns
  vectorize columns by 2
  unroll columns by 3
}
",
    "
schedule dense for contract on cpu where rows >= 3 and dense(right) and dense(out) {
  register rows by 3, columns by 4
  balance rows
  vectorize columns by 4
  unroll summed by 2
  fuse epilogue
}

schedule turned for contract on cpu where columns >= 2 and not dense(out) {
  tile rows by 4
  parallel rows
  reorder rows, columns
  pack right
  prefetch columns by 1
  inline right
  register rows by 4, columns by 4
  vectorize columns by 4
  fuse epilogue
}

schedule others for contract on cpu {
  parallel batch, columns
  register rows by 2, columns by 2
  vectorize columns by 2
}

schedule rows for attention on cpu {
  tile rows by 2, columns by 3
  register rows by 2, columns by 4
  vectorize columns by 4
  pack right
  prefetch batch by 1
}

schedule three_parts for rows on cpu {
  vectorize columns by 2
  unroll columns by 3
}

schedule whole for map on cpu {
  vectorize columns by 8
}
",
    "
schedule one for contract on cpu where rows <= 1 {
  register columns by 2
  vectorize columns by 2
  fuse epilogue
}

schedule lines for contract on cpu where not bare(right) {
  register rows by 2, columns by 4
  vectorize columns by 4
  unroll summed by 4
  fuse epilogue
}

schedule sums for contract on cpu where summed >= 2 {
  tile summed by 2, rows by 3
  pack right
  prefetch columns by 2, summed by 1
  register rows by 3, columns by 2
  vectorize columns by 2
  fuse epilogue
}

schedule two_abreast for rows on cpu where columns <= 64 {
  register rows by 2
  vectorize columns by 2
}

schedule extremes for rows on cpu where sums == 0 and functions == 0 {
  vectorize columns by 2
  unroll columns by 6
}

schedule two_in_four for rows on cpu where functions >= 1 {
  register rows by 2
  vectorize columns by 4
  unroll columns by 3
}

schedule abreast for rows on cpu {
  tile rows by 8
  parallel rows
  register rows by 4
  vectorize columns by 4
  unroll columns by 2
  prefetch rows by 4
}
",
    "
schedule packed_blocks for contract on cpu where rows >= 9 and columns >= 2 {
  tile rows by 10
  parallel rows
  pack left, right
  prefetch columns by 1
  register rows by 5, columns by 2
  balance rows
  vectorize columns by 2
  fuse epilogue
}

schedule equal_blocks for contract on cpu where rows >= 5 and columns >= 2 {
  tile rows by 10
  parallel rows
  register rows by 5, columns by 2
  balance rows
  vectorize columns by 2
  unroll summed by 2
  fuse epilogue at rows
}

schedule with_rows for contract on cpu where rows >= 2 {
  tile rows by 4, columns by 4
  parallel rows
  pack right
  register rows by 2, columns by 2
  vectorize columns by 2
  fuse epilogue at rows
}

schedule few_rows for contract on cpu {
  register rows by 1, columns by 2
  vectorize columns by 2
}

schedule one_batch for attention on cpu where batch >= 4 and columns <= 5 {
  tile rows by 4
  register rows by 2, columns by 2
  vectorize columns by 2
  unroll rows by 2
  pack right
  prefetch batch by 2
}

schedule some_batches for attention on cpu where columns <= 7 {
  tile rows by 2
  parallel rows
  register rows by 1, columns by 2
  vectorize columns by 2
}

schedule all_batches for attention on cpu {
  tile rows by 6, columns by 4
  register rows by 3, columns by 4
  vectorize columns by 4
  unroll rows by 4
}

schedule lines for rows on cpu {
  parallel rows
  register rows by 2
  vectorize columns by 2
  unroll columns by 2
  prefetch rows by 1
}

schedule pairs for map on cpu {
  parallel columns
  vectorize columns by 2
}
",
];

/// Layouts that change what the small schedules do: panels where they have none, other widths, none at all.
const LAYOUTS: &str = "
layout contract where columns >= 3 { right: blocked(6) }
layout contract where rows >= 2 {
  left: blocked(3)
  right: blocked(4)
}
layout any { right: plain }
";

/// The library's schedules of every level that has some, then every small set, then the small ones with layouts.
pub static SETS: LazyLock<Vec<Vec<Schedule>>> = LazyLock::new(|| {
    let small = SMALL.iter().map(|text| {
        let file = read_schedules("small", text);
        assert!(file.diagnostics.is_empty(), "{:?}", file.diagnostics);
        file.schedules
    });
    let levels = ["cpu:x86-64-v4", "cpu:x86-64-v3"].map(|level| {
        let target = Target::parse(level).expect("a level");
        let mut schedules = library_schedules();
        schedules.retain(|s| s.is_for(|feature| target.has(feature)));
        // Processors that have more can run them too, and must, for what follows is tried on one machine.
        schedules.iter_mut().for_each(|s| s.without.clear());
        assert!(!schedules.is_empty(), "{level}");
        schedules
    });
    let small: Vec<Vec<Schedule>> = small.collect();
    let laid = laid_out(small.concat(), &layouts(LAYOUTS));
    levels.into_iter().chain(small).chain([laid]).collect()
});

/// The layouts of a text.
pub fn layouts(text: &str) -> Vec<LayoutChoice> {
    let found = check("layouts", text, &NoFiles).policies();
    found.expect("layouts that are right").layouts
}

/// Programs whose contractions, rows and maps are of every kind that schedules are for; in generated ones most are
/// small.
const KERNELS: &str = "
fn product(w: f32[K, N], x: f32[B, M, K], b: f32[N]) -> f32[B, M, N] { tanh(x @ w + b) }

fn turned(x: f32[K, M], w: f32[N, K]) -> f32[M, N] {
  let y[m, n] = sum k: x[k, m] * w[n, k]
  y
}

fn batched(x: f32[B, H, I, K], y: f32[B, J, H, K]) -> f32[I, B, J, H] {
  let z[i, b, j, h] = sum k: x[b, h, i, k] * y[b, j, h, k]
  2.0 * z
}

fn convolution(w: f32[O, C, 3, 3], x: f32[B, C, H, W], b: f32[O]) -> f32[B, O, H, W] {
  relu(conv2d(x, w, padding = 1) + reshape(b, (1, O, 1, 1)))
}

fn strided(w: f32[6, 2, 3, 3], x: f32[B, 4, H, W]) -> f32[B, 6, (H - 1) / 2 + 1, (W - 1) / 2 + 1] {
  conv2d(x, w, stride = 2, padding = 1, groups = 2)
}

fn depthwise(w: f32[6, 1, 3, 3], x: f32[B, 6, H, W]) -> f32[B, 6, H, W] {
  conv2d(x, w, padding = 1, groups = 6)
}

fn ragged(w: f32[30, 73], x: f32[B, 30], b: f32[73]) -> f32[B, 73] { x @ w + b }

fn computed(x: f32[B, M, K], y: f32[K, N], s: f32[M, 1]) -> f32[B, M, N] { tanh(x * 2.0 + s) @ exp(y) }

fn computed_turned(x: f32[K, M], y: f32[N, K], s: f32[N, 1]) -> f32[M, N] {
  let (a, b) = (x * x + 1.0, log1p(y * y) * s)
  let z[i in 0..M, j in 0..N] = sum k: a[k, i] * b[j, k]
  z
}

fn computed_planes(x: f32[B, I, J, K], y: f64[B, K, N]) -> f32[B, I, J, N] {
  let (a, b) = (x * 0.5 - x, f32(y * y))
  let z[c in 0..B, i in 0..I, j in 0..J, n in 0..N] = sum k: a[c, i, j, k] * b[c, k, n]
  z
}

fn computed_for_two(x: f32[M, K], y: f32[K, N]) -> (f32[M, N], f32[K, N]) {
  let e = exp(y)
  (x @ e, e)
}

fn computed_in_loop(x: f32[4, K], w: f32[K, N], y: f32[K]) -> f32[3, 4, N] {
  let (_, products) = for t in 0..3 with a = x {
    let e = exp(a)
    let b = update(a, y, at = (t, ..))
    emit e @ w
    b
  }
  products
}

fn attended_in_loop(x: f32[4, K], w: f32[4, N], y: f32[K]) -> f32[3, 4, N] {
  let (_, products) = for t in 0..3 with a = x {
    let p = softmax(a @ transpose(a))
    let b = update(a, y, at = (t, ..))
    emit p @ w + b[0, 0]
    b
  }
  products
}

fn attended(q: f32[B, H, I, K], k: f32[B, H, J, K], v: f32[B, H, J, C], keep: bool[I, J]) -> f32[B, H, I, C] {
  let s[b, h, i, j] = (sum c: q[b, h, i, c] * k[b, h, j, c]) / sqrt(f32(K))
  let kept[b, h, i, j] = select(keep[i, j], s[b, h, i, j], -1e9)
  let p = softmax(kept)
  let o[b, h, i, c] = sum j: p[b, h, i, j] * v[b, h, j, c]
  o
}

fn attended_by_parts(q: f32[B, I, K], k: f32[B, J, K], v: f32[B, H, J, 3]) -> f32[B, I, H, 3] {
  let s[b, i, j] = sum c: q[b, i, c] * k[b, j, c]
  let p = softmax(s)
  let o[b, i, h, c] = sum j: p[b, i, j] * v[b, h, j, c]
  o
}

fn attended_in_doubles(q: f64[B, I, 4], k: f64[B, J, 4], v: f64[B, J, C]) -> f64[B, I, C] {
  let s[b, i, j] = sum c: q[b, i, c] * k[b, j, c]
  softmax(s) @ v
}

fn attended_by_forty(q: f32[B, I, 40], k: f32[B, J, 40], v: f32[B, J, C]) -> f32[B, I, C] {
  let s[b, i, j] = (sum c: q[b, i, c] * k[b, j, c]) * 0.25
  softmax(s) @ v
}

fn attended_with_bias(q: f32[B, I, 8], k: f32[B, J, 8], v: f32[B, J, C], y: f32[I, J]) -> f32[B, I, C] {
  let s[b, i, j] = (sum c: q[b, i, c] * k[b, j, c]) * 0.5 - abs(y[i, j]) * 1000.0
  softmax(s) @ v
}

fn attended_with_divisor(q: f32[I, 8], k: f32[J, 8], v: f32[J, C], y: f32[I, J]) -> f32[I, C] {
  let s[i, j] = (sum c: q[i, c] * k[j, c]) / (y[i, j] * y[i, j])
  softmax(s) @ v
}

fn attended_hardly(q: f32[I, 4], k: f32[J, 4], v: f32[J, C]) -> f32[I, C] {
  let s[i, j] = (sum c: q[i, c] * k[j, c]) * 1.2e-38
  softmax(s) @ v
}

fn attended_to_truth(q: f32[I, 4], k: f32[J, 4], v: f32[J, C]) -> bool[I, C] {
  let s[i, j] = sum c: q[i, c] * k[j, c]
  softmax(s) @ v > 0.25
}

fn attended_to_halves(q: f32[B, I, 4], k: f32[B, J, 4], v: f32[B, J, C], y: f32[B, I, C]) -> f16[B, I, C] {
  let s[b, i, j] = sum c: q[b, i, c] * k[b, j, c]
  f16(softmax(s) @ v * 2.0 + y)
}

fn attended_and_added(q: f32[I, 4], k: f32[J, 4], v: f32[J, C], y: f32[I, C]) -> f32[I, C] {
  let s[i, j] = (sum c: q[i, c] * k[j, c]) * 0.5
  tanh(softmax(s) @ v + y) * y
}

fn two_parts(w: f32[K, 12], x: f32[B, K]) -> (f32[B, 5], f32[B, 5]) {
  let a[b, j in 0..5] = sum k: x[b, k] * w[k, j]
  let c[b, j in 0..5] = sum k: x[b, k] * w[k, j + 6]
  (a, c)
}

fn place_of_call(w: f32[40, C], x: f32[T, C]) -> f32[T, 6] where T <= 30 {
  let y[t, j in 0..6] = sum c: x[t, c] * w[j + T, c]
  y
}

fn both_rows(a: f32[I, K], b: f32[K, J], c: f32[J, K], d: f32[K, N]) -> f32[I, N] {
  softmax(a @ b) @ softmax(c @ d)
}

fn rows_of_rows(a: f32[I, K], b: f32[K, J], c: f32[J, L], d: f32[L, N]) -> f32[I, N] {
  softmax(softmax(a @ b) @ c) @ d
}

fn other_quotient(a: f32[I, K], b: f32[K, J], c: f32[J, N]) -> f32[I, N] {
  let e = tanh(a @ b) + 2.0
  (e / sum(e, axis = -1, keep = true)) @ c
}

fn normed(w: f32[K, N], x: f32[B, M, K], r: f32[B, M, N], gain: f32[N]) -> f32[B, M, N] {
  let y = x @ w + r
  let d = y - mean(y, axis = -1, keep = true)
  d / sqrt(mean(d * d, axis = -1, keep = true) + 1e-3) * gain
}

fn shares_of_product(w: f32[K, 6], x: f32[B, K]) -> f32[B, 6] { softmax(2.0 * (x @ w)) }

fn lengths_of_product(w: f64[K, N], x: f64[B, K]) -> f64[B] {
  let y = x @ w
  sqrt(sum(y * y, axis = -1))
}

fn rows_turned(w: f32[K, N], x: f32[N, K]) -> f32[N, N] {
  let y = x @ w
  softmax(y + transpose(y))
}

fn halves(w: f16[K, N], x: f16[M, K]) -> f16[M, N] { x @ w }

fn doubles(w: f64[K, N], x: f64[M, K]) -> f64[M, N] { exp(x @ w) }

fn shares(x: f32[B, N]) -> f32[B, N] { softmax(x) }

fn long_shares(x: f32[B, 150]) -> f32[B, 150] { softmax(x) }

fn wide_shares(x: f64[B, N]) -> f64[B, N] { softmax(x) }

fn half_shares(x: f16[B, N]) -> f16[B, N] { softmax(x) }

fn log_shares(x: f32[B, 20]) -> f32[B, 20] { log_softmax(x) }

fn shares_of_shares(x: f32[B, N]) -> f32[B, N] { softmax(tanh(softmax(x)) * x) }

fn shifted(x: f32[B, N], s: f32[B, 1]) -> f32[B, N] {
  let m = max(x, axis = -1, keep = true) * s + 1.0
  tanh(x - m) * pow(abs(m), 0.5)
}

fn spans(x: f32[B, T, N], y: f32) -> f32[B, T] {
  let m = max(x, axis = -1)
  (m - min(x, axis = -1)) / (y * y + 1.0) + sum(x - reshape(m, (B, T, 1)), axis = -1)
}

fn most(x: f32[B, N]) -> f32[B] { max(x, axis = -1) }

fn above(x: f32[B, 40]) -> f32[B, 40] {
  let m = mean(x, axis = -1, keep = true)
  select(x > m, f32(i32(m) / 2), x - m)
}

fn norm(x: f32[B, T, N], gain: f32[N], shift: f32[N]) -> f32[B, T, N] {
  let d = x - mean(x, axis = -1, keep = true)
  d / sqrt(mean(d * d, axis = -1, keep = true) + 1e-3) * gain + shift
}

fn numbers(x: f32[B, N], y: f32[B, N]) -> (f32[B], f32[B], f32[B], f32[N], f32) {
  (sum(x * y, axis = -1), max(x, axis = -1), sum(exp(x), axis = -1), sum(y, axis = 0), sum(x))
}

fn extremes(x: f32[B, 70]) -> (f32[B], f32[B]) { (max(tanh(x), axis = -1), min(x, axis = -1)) }

fn planes(x: f32[B, T, N]) -> (f32[B], f32[T]) { (sum(x, axes = (1, 2)), sum(tanh(x), axes = (0, 2))) }

fn maps(x: f32[B, N], y: f32[N]) -> (f32[B, N], f32[B, N], bool[B, N]) { (2.0 * tanh(x), exp(x) + y, x > 0.5) }

fn signs(x: f32[B, N]) -> f32[B, N] { tanh(x) }

fn long_map(x: f32[B, 40], y: f32[40]) -> (f32[B, 40], f32[B, 40]) { (log1p(x * x), select(x > y, x, y)) }

fn powers(x: f32[B, N]) -> f32[N, B] { permute(pow(x, 2.5), (1, 0)) }
";

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("there are no files".into())
    }
}

/// The programs of [`KERNELS`], at sizes that are drawn.
pub fn kernels(seed: u64) -> Vec<Program> {
    let source = check("kernels", KERNELS, &NoFiles);
    assert!(source.diagnostics.is_empty(), "{:?}", source.diagnostics);
    let mut random = Random::new(seed);
    let mut programs = Vec::new();
    for name in source.functions() {
        let entry = source.entry(name, &BTreeMap::new());
        let entry = entry.unwrap_or_else(|found| panic!("{name}: {found:?}"));
        let Some(function) = entry.module.get(entry.name) else {
            continue;
        };
        let mut symbols = BTreeSet::new();
        for &param in function.params() {
            for dim in function.ty(param).shape() {
                dim.for_each_sym(&mut |sym| {
                    symbols.insert(sym);
                });
            }
        }
        let draw = |random: &mut Random| -> Sizes {
            let size = |random: &mut Random| random.choose([0, 1, 2, 3, 5, 7, 9, 13]);
            symbols.iter().map(|&sym| (sym, size(random))).collect()
        };
        programs.push(Program {
            seed,
            sizes: (0..3).map(|_| draw(&mut random)).collect(),
            entry: entry.name,
            module: entry.module,
        });
    }
    programs
}

/// Options with a set of schedules, chosen by the function; every second parameter is a weight.
pub fn options(function: &Function) -> Options {
    let mut ops = 0;
    function.body.walk(&mut |_| ops += 1);
    options_of(function, ops % SETS.len())
}

/// How a function is lowered with options: with schedules as for LLVM, without them for Cranelift.
pub fn lowering(options: &Options) -> Lowering<'_> {
    let for_llvm = !options.schedules.is_empty();
    Lowering {
        check_nan: false,
        schedules: &options.schedules,
        weights: &options.weights,
        inlined: if for_llvm { INLINED } else { &[] },
    }
}

/// Options with a set of schedules, by its number.
pub fn options_of(function: &Function, set: usize) -> Options {
    Options {
        schedules: SETS[set].clone(),
        weights: (0..function.params().len()).step_by(2).collect(),
        ..Options::default()
    }
}

/// Options with the library's schedules for rows and maps alone: what follows them has the bits of the micro-kernels.
pub fn rows_and_maps() -> Options {
    let mut schedules = SETS[0].clone();
    schedules.retain(|s| matches!(s.pattern, Pattern::Rows | Pattern::Map));
    Options {
        schedules,
        ..Options::default()
    }
}
