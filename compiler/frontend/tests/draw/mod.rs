//! Draws sizes and inputs for an instance of a rule, runs both sides and compares.

use std::collections::BTreeSet;

use aiai_ir::eval::{self, Array, Options};
use aiai_ir::{DType, Dim, FloatClass, Function, Module, Rule, RuleParam, Sym, Type};

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

pub enum Verdict {
    Agree,
    /// No sizes fit, or the left side is an error.
    Skipped,
    Differ(String),
}

/// How inputs are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// Numbers around 1, small whole numbers.
    Tame,
    /// Zeros, and magnitudes over the working range.
    Wide,
    /// NaN, infinities, the ends of the dtype, among others.
    Special,
}

/// Runs both sides once on drawn inputs.
pub fn compare(rule: &Rule, module: &Module, random: &mut Random, case: usize) -> Verdict {
    let exact = rule.class == FloatClass::Exact;
    let finite = rule.class == FloatClass::Real { finite: true };
    let style = match (case % 3, exact || !finite) {
        (0, _) => Style::Tame,
        (1, _) | (_, false) => Style::Wide,
        (_, true) => Style::Special,
    };
    let (mut lhs, mut rhs) = (rule.lhs.clone(), rule.rhs.clone());
    let syms: Vec<Sym> = symbols(&[&lhs, &rhs], rule).into_iter().collect();
    let Some(sizes) = sizes(&syms, rule, random) else {
        return Verdict::Skipped;
    };
    let types = lhs.param_types();
    let mut inputs = Vec::new();
    for (ty, param) in types.iter().zip(&rule.params) {
        match input(ty, param, &sizes, (style, exact), random) {
            Some(array) => inputs.push(array),
            None => return Verdict::Skipped,
        }
    }
    // Names that no parameter binds are bound by one that nothing reads.
    let all: Vec<Dim> = syms.iter().map(|s| Dim::sym(s.as_str())).collect();
    for side in [&mut lhs, &mut rhs] {
        side.add_param("sizes of all", Type::tensor(DType::U8, all.clone()), false);
    }
    let shape: Vec<usize> = sizes.iter().map(|s| s.1 as usize).collect();
    let count = shape.iter().product();
    inputs.push(Array::ints(DType::U8, shape, vec![0; count]));
    let run = |side: &Function, bound: bool| {
        let mut module = module.clone();
        module.insert(side.clone());
        let options = Options {
            max_elements: 1 << 16,
            max_steps: 1 << 18,
            bound,
            ..Options::default()
        };
        eval::run(&module, side.name, &inputs, &options)
    };
    let bound = !exact;
    let left = match run(&lhs, bound) {
        Ok(left) => left,
        Err(_) => return Verdict::Skipped,
    };
    let right = match run(&rhs, bound) {
        Ok(right) => right,
        Err(error) if error.undecided => return Verdict::Skipped,
        Err(error) => return Verdict::Differ(format!("{sizes:?}: the right side: {error}")),
    };
    for (l, r) in left.iter().zip(&right) {
        let special = inputs
            .iter()
            .any(|x| x.to_f64().iter().any(|v| !v.is_finite()));
        if let Some(why) = differs(l, r, exact, special) {
            return Verdict::Differ(format!("{sizes:?} {:?}: {why}", shown(&inputs)));
        }
    }
    Verdict::Agree
}

fn shown(inputs: &[Array]) -> Vec<Vec<f64>> {
    let inputs = inputs[..inputs.len() - 1].iter();
    inputs
        .map(|x| x.to_f64().into_iter().take(12).collect())
        .collect()
}

fn differs(l: &Array, r: &Array, exact: bool, special: bool) -> Option<String> {
    if l.dtype != r.dtype || l.shape != r.shape {
        return Some(format!(
            "{}{:?} and {}{:?}",
            l.dtype, l.shape, r.dtype, r.shape
        ));
    }
    let (a, b) = (l.to_f64(), r.to_f64());
    let bits = |x: f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
    for at in 0..a.len() {
        let (x, y) = (a[at], b[at]);
        let same = bits(x) == bits(y) || (!exact && x == y);
        if same {
            continue;
        }
        let error = l.error_at(at) + r.error_at(at);
        if exact || !l.dtype.is_float() {
            if exact || error == 0.0 {
                return Some(format!("element {at}: {x:e} and {y:e}"));
            }
            continue;
        }
        if x.is_finite() && y.is_finite() {
            if (x - y).abs() > error {
                return Some(format!("element {at}: {x:e} and {y:e}, within {error:e}"));
            }
        } else if x.is_finite() || special {
            // Without infinities among the inputs, an infinite left side has overflown.
            let unknown = l.error_at(at) == f64::INFINITY;
            if x.is_finite() || !unknown {
                let errors = (l.error_at(at), r.error_at(at));
                return Some(format!("element {at}: {x:e} and {y:e} {errors:?}"));
            }
        }
    }
    None
}

fn symbols(sides: &[&Function], rule: &Rule) -> BTreeSet<Sym> {
    let mut found = BTreeSet::new();
    let mut note = |dim: Dim| {
        dim.for_each_sym(&mut |sym| {
            found.insert(sym);
        });
        dim
    };
    for side in sides {
        for ty in side.param_types() {
            ty.shape().iter().for_each(|d| {
                note(*d);
            });
        }
        side.body.walk(&mut |node| {
            node.op.clone().map_dims(&mut note);
        });
    }
    for (dim, _) in &rule.guard {
        note(*dim);
    }
    found
}

/// Sizes that the guard and what both sides require allow.
fn sizes(syms: &[Sym], rule: &Rule, random: &mut Random) -> Option<Vec<(Sym, i64)>> {
    for _ in 0..400 {
        let sizes: Vec<(Sym, i64)> = syms
            .iter()
            .map(|&sym| (sym, random.pick(&[0, 1, 2, 3, 4, 5, 2, 3, 1, 6])))
            .collect();
        let value = |dim: Dim| dim.eval(&|sym| sizes.iter().find(|s| s.0 == sym).map(|s| s.1));
        let holds =
            |dim: Dim, relation: aiai_ir::Relation| value(dim).is_some_and(|v| relation.holds(v));
        let fits = rule
            .guard
            .iter()
            .all(|(dim, relation)| holds(*dim, *relation))
            && [&rule.lhs, &rule.rhs]
                .iter()
                .all(|side| side.requires.iter().all(|r| holds(r.dim, r.relation)));
        if fits {
            return Some(sizes);
        }
    }
    None
}

fn input(
    ty: &Type,
    param: &RuleParam,
    sizes: &[(Sym, i64)],
    (style, exact): (Style, bool),
    random: &mut Random,
) -> Option<Array> {
    let value = |dim: &Dim| dim.eval(&|sym| sizes.iter().find(|s| s.0 == sym).map(|s| s.1));
    let shape: Option<Vec<usize>> = ty
        .shape()
        .iter()
        .map(|d| value(d).and_then(|v| usize::try_from(v).ok()))
        .collect();
    let shape = shape?;
    let count: usize = shape.iter().product();
    let dtype = ty.dtype();
    if dtype.is_float() {
        let elements: Vec<f64> = (0..count)
            .map(|_| float(dtype, param, (style, exact), random))
            .collect();
        return Some(Array::floats(dtype, shape, elements));
    }
    let elements: Vec<i64> = (0..count)
        .map(|_| int(dtype, param, style, random))
        .collect();
    Some(Array::ints(dtype, shape, elements))
}

fn float(
    dtype: DType,
    param: &RuleParam,
    (style, exact): (Style, bool),
    random: &mut Random,
) -> f64 {
    let (low, high) = param.domain.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    for _ in 0..1000 {
        let x = match random.below(4) {
            0 => random.pick(&[0.0, 1.0, -1.0, 2.0, 3.0, 0.5, -2.0, 4.0]),
            1 => random.unit() * 4.0 - 2.0,
            _ => wild(dtype, style, exact, random),
        };
        let x = eval_round(dtype, x);
        if x >= low && x <= high || (param.domain.is_none() && x.is_nan()) {
            return x;
        }
    }
    let end = if low.is_finite() { low } else { high };
    end + random.unit() * (high.min(end + 8.0) - end)
}

fn eval_round(dtype: DType, x: f64) -> f64 {
    Array::floats(dtype, vec![], [x]).to_f64()[0]
}

fn wild(dtype: DType, style: Style, exact: bool, random: &mut Random) -> f64 {
    let sign = if random.below(2) == 0 { 1.0 } else { -1.0 };
    match style {
        Style::Tame => sign * random.unit() * 8.0,
        Style::Wide => {
            let reach = match dtype {
                DType::F16 => 4.0,
                DType::F64 => 200.0,
                _ => 30.0,
            };
            let power = (random.unit() * 2.0 - 1.0) * reach;
            if random.below(6) == 0 {
                sign * 0.0
            } else {
                sign * power.exp2()
            }
        }
        Style::Special if !exact => sign * random.pick(&[f64::NAN, f64::INFINITY, 0.0, 1.0, 2.5]),
        Style::Special => {
            let (greatest, least) = match dtype {
                DType::F16 => (65504.0, 2f64.powi(-24)),
                DType::BF16 => (3.389_531_389_251_535_5e38, 2f64.powi(-133)),
                DType::F32 => (f64::from(f32::MAX), 2f64.powi(-149)),
                _ => (f64::MAX, 5e-324),
            };
            let some = [
                f64::NAN,
                f64::INFINITY,
                0.0,
                greatest,
                least,
                1.0,
                0.5,
                1e4,
                greatest / 3.0,
                1.5,
                2.5,
            ];
            sign * random.pick(&some)
        }
    }
}

fn int(dtype: DType, param: &RuleParam, style: Style, random: &mut Random) -> i64 {
    if let Some((low, high)) = param.domain {
        let (low, high) = (low.max(-1e6) as i64, high.min(1e6) as i64);
        return low + random.below((high - low + 1).max(1) as usize) as i64;
    }
    match style {
        _ if dtype == DType::Bool => random.below(2) as i64,
        Style::Tame => random.pick(&[0, 0, 0, 1, 1, 2, 3]),
        Style::Wide => random.below(41) as i64 - 20,
        Style::Special => {
            let bits = dtype.bytes() as u32 * 8;
            let some = [
                0,
                1,
                -1,
                i64::MAX >> (64 - bits),
                (i64::MAX >> (64 - bits)).wrapping_add(1),
                i64::MAX,
                i64::MIN,
                7,
                random.next() as i64,
            ];
            random.pick(&some)
        }
    }
}
