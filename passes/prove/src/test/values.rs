//! Values for the parameters of a rule, after a theme: ordinary ones, and those that rewrites go wrong on.

use aiai_ir::eval::{Array, Data};
use aiai_ir::{DType, FloatClass, Function, Op, Rule, Value};

use super::sizes::Sizes;
use aiai_ir::random::Random;

/// What values are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Around 1, of both signs.
    Ordinary,
    /// Small whole numbers: nothing is rounded, so that every difference counts.
    Whole,
    /// Positive, around 1.
    Positive,
    /// Magnitudes all over the working range.
    Range,
    /// The ends of the working range, 0 and 1.
    Ends,
    /// Numbers that nearly cancel one another.
    Cancel,
    /// Few different numbers: ties.
    Equal,
    /// Zeros of both signs, and ones.
    Zeros,
    /// Numbers that the rule mentions, and their neighbours.
    Mentioned,
    /// Some NaN and infinities among ordinary numbers.
    Special,
    /// NaN and infinities beside zeros, ones and each other.
    Strange,
    /// Subnormal, tiny and huge numbers.
    Extreme,
    /// Any bits.
    Anything,
}

impl Theme {
    /// The themes that a class is tried on.
    pub fn of(class: FloatClass) -> &'static [Theme] {
        use Theme::*;
        match class {
            FloatClass::Exact | FloatClass::Approx { .. } => &[
                Ordinary, Whole, Special, Zeros, Range, Equal, Extreme, Strange, Mentioned, Cancel,
                Anything, Ends, Positive,
            ],
            FloatClass::Real { finite: false } => &[
                Ordinary, Whole, Special, Cancel, Range, Equal, Zeros, Ends, Whole, Mentioned,
                Strange, Positive,
            ],
            FloatClass::Real { finite: true } => &[
                Ordinary, Whole, Cancel, Range, Equal, Zeros, Ends, Whole, Mentioned, Positive,
            ],
        }
    }

    fn specials(self) -> bool {
        matches!(self, Theme::Special | Theme::Strange | Theme::Anything)
    }
}

/// The least and greatest magnitude that class `real` speaks of, beside 0.
pub fn working_range(dtype: DType) -> (f64, f64) {
    let power = match dtype {
        DType::F16 => 4,
        DType::F64 => 240,
        _ => 30,
    };
    (2f64.powi(-power), 2f64.powi(power))
}

/// What is known of a parameter.
#[derive(Debug)]
pub struct ParamInfo {
    pub dtype: DType,
    pub shape: Vec<aiai_ir::Dim>,
    pub domain: Option<(f64, f64)>,
    /// Positions are read or written at its values.
    pub index: bool,
}

/// Draws arguments for the parameters of a rule.
#[derive(Debug)]
pub struct ValueSource {
    pub params: Vec<ParamInfo>,
    /// Numbers that the sides mention.
    mentioned: Vec<f64>,
    /// Floats that are computed on the way: where numbers lie between two of them, casts round.
    floats: Vec<DType>,
    real: bool,
}

impl ValueSource {
    pub fn new(rule: &Rule) -> ValueSource {
        let indices = index_params(&rule.lhs);
        let types = rule.lhs.param_types();
        let param = |(k, ty): (usize, &aiai_ir::Type)| ParamInfo {
            dtype: ty.dtype(),
            shape: ty.shape().to_vec(),
            domain: rule.params.get(k).and_then(|p| p.domain),
            index: indices.contains(&k),
        };
        ValueSource {
            params: types.iter().enumerate().map(param).collect(),
            mentioned: mentioned(rule),
            floats: floats(rule),
            real: matches!(rule.class, FloatClass::Real { .. }),
        }
    }

    /// The shapes of the arguments; `None` where a size is negative or unknown.
    pub fn shapes(&self, sizes: &Sizes) -> Option<Vec<Vec<usize>>> {
        let size = |dim: &aiai_ir::Dim| {
            let value = dim.eval(&|sym| sizes.get(&sym).copied())?;
            usize::try_from(value).ok()
        };
        let shape = |param: &ParamInfo| param.shape.iter().map(size).collect();
        self.params.iter().map(shape).collect()
    }

    /// Arguments after a theme.
    pub fn draw(&self, random: &mut Random, sizes: &Sizes, theme: Theme) -> Option<Vec<Array>> {
        let shapes = self.shapes(sizes)?;
        let bound = shapes
            .iter()
            .flatten()
            .copied()
            .filter(|&n| n > 0)
            .min()
            .unwrap_or(1);
        // What cancels must come from numbers that are alike, or products of them.
        let base = 0.2 + 2.8 * random.unit();
        let mut inputs: Vec<Array> = Vec::with_capacity(shapes.len());
        for (param, shape) in self.params.iter().zip(shapes) {
            // One tensor for two parameters.
            if random.one_in(10)
                && param.domain.is_none()
                && let Some(other) = inputs
                    .iter()
                    .find(|a| a.dtype == param.dtype && a.shape == shape)
            {
                inputs.push(other.clone());
                continue;
            }
            let theme = match theme {
                Theme::Whole => theme,
                _ if random.one_in(6) => {
                    random.choose([Theme::Ordinary, Theme::Whole, Theme::Equal])
                }
                _ => theme,
            };
            inputs.push(self.array(random, param, shape, theme, (bound, base)));
        }
        Some(inputs)
    }

    /// The same NaN, infinities, zeros and small whole numbers among other ordinary numbers.
    pub fn refresh(&self, random: &mut Random, inputs: &[Array]) -> Vec<Array> {
        let one = |x: &Array| match &x.data {
            Data::Int(_) => x.clone(),
            Data::Float(v) => {
                let keeps = |v: f64| !v.is_finite();
                let fresh: Vec<f64> = v
                    .iter()
                    .map(|&v| {
                        if keeps(v) {
                            v
                        } else {
                            v.signum() * (0.1 + 3.9 * random.unit())
                        }
                    })
                    .collect();
                Array::floats(x.dtype, x.shape.clone(), fresh)
            }
        };
        let fresh: Vec<Array> = inputs.iter().map(one).collect();
        if self.admits(&fresh) {
            fresh
        } else {
            inputs.to_vec()
        }
    }

    /// Whether the arguments lie in the domains of their parameters.
    pub fn admits(&self, inputs: &[Array]) -> bool {
        self.params
            .iter()
            .zip(inputs)
            .all(|(param, x)| match param.domain {
                Some((low, high)) => x.to_f64().iter().all(|v| *v >= low && *v <= high),
                None => true,
            })
    }

    fn array(
        &self,
        random: &mut Random,
        param: &ParamInfo,
        shape: Vec<usize>,
        theme: Theme,
        (bound, base): (usize, f64),
    ) -> Array {
        let count: usize = shape.iter().product();
        let dtype = param.dtype;
        if let Some(domain) = param.domain {
            let values: Vec<f64> = (0..count)
                .map(|_| self.within(random, dtype, domain, theme))
                .collect();
            return from_numbers(dtype, shape, values);
        }
        if !dtype.is_float() {
            // One value everywhere, or nearly: all of a condition, sums that wrap.
            let truths = dtype == DType::Bool;
            let often = if truths && count >= 100 { 2 } else { 6 };
            if random.one_in(often) && !param.index {
                let most = truths && !random.one_in(3);
                let value = match most {
                    true => 1,
                    false => self.integer(random, dtype, theme),
                };
                let odd = random.one_in(3).then(|| random.below(count));
                let values = (0..count).map(|k| match Some(k) == odd {
                    true => self.integer(random, dtype, theme),
                    false => value,
                });
                let values: Vec<i64> = values.collect();
                return Array::ints(dtype, shape, values);
            }
            let values: Vec<i64> = (0..count)
                .map(|_| match param.index {
                    true if !random.one_in(40) => random.below(bound) as i64,
                    _ => self.integer(random, dtype, theme),
                })
                .collect();
            return Array::ints(dtype, shape, values);
        }
        let base = random.choose([
            base,
            base,
            base,
            base * base,
            base * base,
            base * base,
            1.0 / base,
        ]);
        let values: Vec<f64> = (0..count)
            .map(|_| match theme {
                Theme::Cancel if self.real => into_range(dtype, cancelling(random, dtype, base)),
                Theme::Cancel => cancelling(random, dtype, base),
                _ => self.float(random, dtype, theme),
            })
            .collect();
        Array::floats(dtype, shape, values)
    }

    /// A number in the middle of two neighbours of a narrower float, or just beside: it is rounded twice where
    /// there is a float between, and once where there is none.
    fn between_floats(&self, random: &mut Random, dtype: DType) -> Option<f64> {
        let own = unit(dtype);
        let narrower: Vec<DType> = self
            .floats
            .iter()
            .copied()
            .filter(|f| unit(*f) > own)
            .collect();
        if narrower.is_empty() {
            return None;
        }
        let half = unit(narrower[random.below(narrower.len())]);
        let steps = (1.0 / (2.0 * half)) as usize;
        let near = 1.0 + 2.0 * half * random.below(steps) as f64;
        let beside = random.choose([0.0, 2.0 * own, -2.0 * own, 2f64.powi(-28), -2f64.powi(-28)]);
        let scale = 2f64.powi(random.between(-4, 4) as i32);
        let sign = if random.one_in(2) { 1.0 } else { -1.0 };
        Some(sign * scale * (near + half + beside))
    }

    /// The same for a wide integer.
    fn between_integers(&self, random: &mut Random, dtype: DType) -> Option<i64> {
        let bits = dtype.bytes() as u32 * 8 - 1;
        let digits = |f: &DType| (1.0 / unit(*f)).log2() as u32;
        let fits = self.floats.iter().map(digits).filter(|d| d + 1 < bits);
        let fits: Vec<u32> = fits.collect();
        if fits.is_empty() {
            return None;
        }
        let digits = fits[random.below(fits.len())];
        let shift = 1 + random.below((bits - digits - 1) as usize) as u32;
        let whole = (1i64 << (digits - 1)) + random.below(1 << (digits - 1).min(20)) as i64;
        let value = (whole << shift) + (1i64 << (shift - 1)) + random.between(-1, 1);
        Some(if dtype.is_signed() && random.one_in(2) {
            -value
        } else {
            value
        })
    }

    /// A float of the dtype, not yet rounded to it.
    fn float(&self, random: &mut Random, dtype: DType, theme: Theme) -> f64 {
        if matches!(theme, Theme::Ordinary | Theme::Range | Theme::Mentioned)
            && random.one_in(6)
            && let Some(between) = self.between_floats(random, dtype)
        {
            return between;
        }
        let sign = if random.one_in(2) { 1.0 } else { -1.0 };
        let (low, high) = working_range(dtype);
        let inside = |x: f64| if self.real { into_range(dtype, x) } else { x };
        match theme {
            Theme::Ordinary | Theme::Cancel => sign * (0.05 + 3.95 * random.unit()),
            Theme::Whole => random.between(-4, 4) as f64,
            Theme::Positive => 0.05 + 2.95 * random.unit(),
            Theme::Range => {
                let (low, high) = (low.log2(), high.log2());
                sign * (low + (high - low) * random.unit())
                    .exp2()
                    .clamp(low.exp2(), high.exp2())
            }
            Theme::Ends => sign * random.choose([low, high, 0.0, 1.0, low, high]),
            Theme::Equal => random.choose([1.0, 1.0, 2.0, -1.0]),
            Theme::Zeros => random.choose([0.0, -0.0, 0.0, -0.0, 1.0, -1.0]),
            Theme::Mentioned => {
                let near = self
                    .mentioned
                    .get(random.below(self.mentioned.len()))
                    .copied();
                let near = near.unwrap_or(1.0);
                inside(match random.below(5) {
                    0 | 1 => near,
                    2 => near * (1.0 + 2.0 * unit(dtype)),
                    3 => near * (1.0 - 2.0 * unit(dtype)),
                    _ => -near,
                })
            }
            Theme::Special if random.one_in(3) => {
                random.choose([f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
            }
            Theme::Special => sign * (0.05 + 3.95 * random.unit()),
            Theme::Strange => random.choose([
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                0.0,
                -0.0,
                1.0,
                -1.0,
                2.0,
            ]),
            Theme::Extreme => sign * extreme(random, dtype),
            Theme::Anything => any_bits(random, dtype),
        }
    }

    fn integer(&self, random: &mut Random, dtype: DType, theme: Theme) -> i64 {
        if dtype == DType::Bool {
            return i64::from(random.one_in(2));
        }
        let bits = dtype.bytes() as u32 * 8;
        let (least, greatest) = match (dtype.is_signed(), bits) {
            (true, bits) => (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
            (false, 64) => (0, -1),
            (false, bits) => (0, (1i64 << bits) - 1),
        };
        if !matches!(theme, Theme::Whole | Theme::Zeros | Theme::Equal)
            && random.one_in(6)
            && let Some(between) = self.between_integers(random, dtype)
        {
            return between;
        }
        match theme {
            Theme::Mentioned if !self.mentioned.is_empty() && !random.one_in(3) => {
                let near = self.mentioned[random.below(self.mentioned.len())];
                (near as i64).wrapping_add(random.between(-1, 1))
            }
            Theme::Whole | Theme::Ordinary | Theme::Positive | Theme::Equal
                if !random.one_in(8) =>
            {
                random.between(if dtype.is_signed() { -5 } else { 0 }, 9)
            }
            Theme::Zeros => random.choose([0, 1, -1]),
            _ => match random.below(6) {
                0 => random.choose([
                    least,
                    greatest,
                    least.wrapping_add(1),
                    greatest.wrapping_sub(1),
                ]),
                1 => random.choose([0, 1, -1, 2, -2]),
                2 => (1i64 << random.below(bits as usize)).wrapping_add(random.between(-1, 1)),
                3 => random.between(-20, 20),
                _ => random.bits() as i64,
            },
        }
    }

    /// A number of a domain, ends included.
    fn within(
        &self,
        random: &mut Random,
        dtype: DType,
        (low, high): (f64, f64),
        theme: Theme,
    ) -> f64 {
        let holds = |x: f64| {
            let x = if dtype.is_float() {
                aiai_ir::eval::round_to(dtype, x)
            } else {
                x.trunc()
            };
            x >= low && x <= high && (x.is_finite() || theme.specials())
        };
        for _ in 0..8 {
            let x = if dtype.is_float() {
                self.float(random, dtype, theme)
            } else {
                self.integer(random, dtype, theme) as f64
            };
            for x in [x, -x] {
                if holds(x) {
                    return x;
                }
            }
        }
        let (least, most) = (low.max(-1e4), high.min(1e4).max(low.max(-1e4)));
        let ends = [low, high, (low + high) / 2.0];
        let end = ends[random.below(3)];
        match random.one_in(3) && holds(end) {
            true => end,
            false => least + (most - least) * random.unit(),
        }
    }
}

fn unit(dtype: DType) -> f64 {
    dtype.unit_roundoff().unwrap_or(0.0)
}

/// The nearest number that class `real` speaks of.
fn into_range(dtype: DType, x: f64) -> f64 {
    let (low, high) = working_range(dtype);
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { x } else { 1.0 };
    }
    x.signum() * x.abs().clamp(low, high)
}

/// Near a number or its negative, a few units in the last place away, or far smaller.
fn cancelling(random: &mut Random, dtype: DType, base: f64) -> f64 {
    let steps = random.between(-3, 3) as f64;
    let near = base * (1.0 + 2.0 * unit(dtype) * steps);
    match random.below(5) {
        0 | 1 => near,
        2 | 3 => -near,
        _ => base * unit(dtype) * (1.0 + random.unit()),
    }
}

/// A positive number near the ends of what the dtype can hold.
fn extreme(random: &mut Random, dtype: DType) -> f64 {
    let (least, normal, greatest) = limits(dtype);
    match random.below(8) {
        0 => least,
        1 => least * (1 + random.below(60)) as f64,
        2 => normal,
        3 => normal * (1.0 + random.unit()),
        4 => greatest,
        5 => greatest * (0.25 + 0.75 * random.unit()),
        6 => greatest.sqrt() * (0.5 + random.unit()),
        _ => normal.sqrt() * (0.5 + random.unit()),
    }
}

/// The least positive, the least normal and the greatest number of a float dtype.
pub fn limits(dtype: DType) -> (f64, f64, f64) {
    match dtype {
        DType::F16 => (2f64.powi(-24), 2f64.powi(-14), 65504.0),
        DType::BF16 => (2f64.powi(-133), 2f64.powi(-126), 3.389_531_389_251_535_5e38),
        DType::F32 => (2f64.powi(-149), 2f64.powi(-126), f64::from(f32::MAX)),
        _ => (5e-324, f64::MIN_POSITIVE, f64::MAX),
    }
}

fn any_bits(random: &mut Random, dtype: DType) -> f64 {
    let bits = random.bits();
    let bytes = bits.to_le_bytes();
    let one = Array::from_bytes(dtype, Vec::new(), &bytes[..dtype.bytes()]);
    one.and_then(|one| one.to_f64().first().copied())
        .unwrap_or(0.0)
}

/// An array of numbers given as floats.
pub fn from_numbers(dtype: DType, shape: Vec<usize>, values: Vec<f64>) -> Array {
    if dtype.is_float() {
        Array::floats(dtype, shape, values)
    } else {
        Array::ints(dtype, shape, values.into_iter().map(|x| x as i64))
    }
}

/// Numbers that the sides mention.
fn mentioned(rule: &Rule) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    for side in [&rule.lhs, &rule.rhs] {
        side.body.walk(&mut |node| {
            if let Op::Constant { value } = &node.op {
                for at in 0..value.len().min(16) {
                    let number = value.element(at).as_f64();
                    if !number.is_nan() && !found.contains(&number) && found.len() < 32 {
                        found.push(number);
                    }
                }
            }
        });
    }
    found.sort_by(f64::total_cmp);
    found
}

/// The dtypes of floats among the values of both sides.
fn floats(rule: &Rule) -> Vec<DType> {
    let sides = [&rule.lhs, &rule.rhs];
    let all = sides.iter().flat_map(|side| {
        let values = (0..side.value_count() as u32).map(Value);
        values.map(|v| side.ty(v).dtype()).filter(|d| d.is_float())
    });
    let mut found: Vec<DType> = Vec::new();
    for dtype in all {
        if !found.contains(&dtype) {
            found.push(dtype);
        }
    }
    found
}

/// The parameters that reach an index of a gather, a scatter or a dynamic slice.
fn index_params(function: &Function) -> Vec<usize> {
    let mut reached: Vec<Value> = Vec::new();
    function.body.walk(&mut |node| {
        let operands = &node.operands;
        let indices = match &node.op {
            Op::Gather { .. } | Op::DynamicSlice { .. } => operands.get(1..),
            Op::Scatter { .. } => operands.get(1..operands.len().saturating_sub(1)),
            Op::DynamicUpdate => operands.get(2..),
            // Nothing else reads at a computed place.
            _ => None,
        };
        reached.extend(indices.into_iter().flatten());
    });
    let mut nodes = Vec::new();
    function.body.walk(&mut |node| nodes.push(node));
    for node in nodes.into_iter().rev() {
        if node.results.iter().any(|v| reached.contains(v)) {
            reached.extend(&node.operands);
        }
    }
    let params = function.params().iter().enumerate();
    let index =
        params.filter(|(_, v)| reached.contains(v) && function.ty(**v).dtype().is_integer());
    index.map(|(k, _)| k).collect()
}
