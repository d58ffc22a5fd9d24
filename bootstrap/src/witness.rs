//! Witnesses: inputs on which the sides of a rule differ beyond any doubt.
//!
//! Made to say which mutants are wrong, independently of the property tester: values are drawn and compared here,
//! and only the reference evaluator is shared. A witness is never a matter of a tolerance: both sides' own error
//! bounds, several times over, do not explain it.

use std::collections::{BTreeMap, HashMap};

use aiai_ir::eval::{self, Against, Array, EvalError};
use aiai_ir::{DType, Dim, FloatClass, Function, Module, Relation, Rule, RuleParam, Sym};

use aiai_ir::random::Random;

/// Inputs on which a rule is wrong.
#[derive(Clone, Debug)]
pub struct Witness {
    pub sizes: BTreeMap<Sym, i64>,
    pub inputs: Vec<(Sym, Array)>,
    pub why: String,
}

impl Witness {
    /// One line.
    pub fn describe(&self) -> String {
        let sizes: Vec<String> = self.sizes.iter().map(|(n, s)| format!("{n}={s}")).collect();
        let show = |(name, array): &(Sym, Array)| {
            let elements: Vec<String> = array
                .to_f64()
                .iter()
                .take(6)
                .map(|x| format!("{x:?}"))
                .collect();
            let more = if array.len() > 6 { ", .." } else { "" };
            format!(
                "{name}: {}{:?} [{}{more}]",
                array.dtype,
                array.shape,
                elements.join(", ")
            )
        };
        let inputs: Vec<String> = self.inputs.iter().map(show).collect();
        format!("{}; {}; {}", sizes.join(" "), inputs.join("; "), self.why)
    }
}

/// Sizes that conditions are met with are below this.
const MOST_SIZE: i64 = 40;

/// Elements of an input, at most.
const MOST_ELEMENTS: i64 = 512;

/// Tries a number of inputs, small and plain ones first.
pub fn find(rule: &Rule, seed: u64, tries: usize) -> Option<Witness> {
    let mut random = Random::new(seed);
    (0..tries).find_map(|at| {
        let sizes = sizes(rule, &mut random, at)?;
        let kind = if finite_only(rule.class) {
            at % 3
        } else {
            at % 5
        };
        let inputs = inputs(rule, &sizes, &mut random, kind)?;
        let why = compare(rule.class, [&rule.lhs, &rule.rhs], &sizes, &inputs)?;
        let names = rule.lhs.param_names.iter().copied();
        Some(Witness {
            sizes,
            inputs: names.zip(inputs.iter().cloned()).collect(),
            why,
        })
    })
}

/// Whether a class says nothing of inputs that are not finite.
fn finite_only(class: FloatClass) -> bool {
    match class {
        FloatClass::Real { finite } => finite,
        FloatClass::Exact => false,
        FloatClass::Approx { .. } => true,
    }
}

/// How two functions of the same parameters differ on some inputs, where no rounding explains it. `sizes` are those
/// of dimensions that no input has.
pub fn compare(
    class: FloatClass,
    [left, right]: [&Function; 2],
    sizes: &BTreeMap<Sym, i64>,
    inputs: &[Array],
) -> Option<String> {
    let sizes: HashMap<Sym, i64> = sizes.iter().map(|(sym, size)| (*sym, *size)).collect();
    let run = |side: &Function| {
        let options = eval::Options {
            bound: class != FloatClass::Exact,
            // Two programs are compared, and not two executors of one: an overflow on the way tells nothing.
            against: Against::Reals,
            max_elements: 1 << 16,
            max_steps: 1 << 20,
            ..eval::Options::default()
        };
        eval::run_function(side, inputs, &sizes, &options)
    };
    differ(class, &run(left), &run(right), inputs)
}

/// Every dimension that a rule names, in a fixed order.
fn dims_of(rule: &Rule) -> Vec<Sym> {
    let mut dims = rule.lhs.dims();
    let mut note = |dim: Dim| {
        dim.for_each_sym(&mut |sym| {
            if !dims.contains(&sym) {
                dims.push(sym);
            }
        });
    };
    for side in [&rule.lhs, &rule.rhs] {
        side.body.walk(&mut |node| {
            for value in &node.results {
                side.ty(*value).shape().iter().for_each(|dim| note(*dim));
            }
            node.op.clone().map_dims(&mut |dim| {
                note(dim);
                dim
            });
        });
    }
    rule.guard.iter().for_each(|(dim, _)| note(*dim));
    dims
}

/// Sizes that the guard and the left side allow.
pub fn sizes(rule: &Rule, random: &mut Random, at: usize) -> Option<BTreeMap<Sym, i64>> {
    let dims = dims_of(rule);
    let conditions = conditions_of(rule);
    for _ in 0..20 {
        let mut sizes = BTreeMap::new();
        let same = random.one_in(4).then(|| random.choose([1i64, 2, 3]));
        for &dim in &dims {
            let size = match (same, at % 4) {
                (Some(size), _) => size,
                (None, 0 | 1) => random.choose([1, 2, 3]),
                (None, 2) => random.choose([0, 1, 2, 3, 4, 5, 7]),
                (None, _) => random.choose([1, 2, 4, 6, 8, 9]),
            };
            sizes.insert(dim, size);
        }
        if mend(&conditions, &mut sizes, random) {
            return Some(sizes);
        }
    }
    None
}

/// What sizes must satisfy: the guard, what the left side asks for, and no negative extent.
fn conditions_of(rule: &Rule) -> Vec<(Dim, Relation)> {
    let mut conditions = rule.guard.clone();
    conditions.extend(rule.lhs.requires.iter().map(|r| (r.dim, r.relation)));
    let mut extents: Vec<Dim> = Vec::new();
    rule.lhs.body.walk(&mut |node| {
        let shapes = node.results.iter().flat_map(|v| rule.lhs.ty(*v).shape());
        extents.extend(shapes.filter(|dim| dim.as_sym().is_none() && dim.as_const().is_none()));
    });
    extents.sort_unstable();
    extents.dedup();
    conditions.extend(extents.into_iter().map(|dim| (dim, Relation::NonNegative)));
    conditions
}

/// Changes one size after the other until all conditions hold; false where that does not come about.
fn mend(
    conditions: &[(Dim, Relation)],
    sizes: &mut BTreeMap<Sym, i64>,
    random: &mut Random,
) -> bool {
    let holds = |sizes: &BTreeMap<Sym, i64>, (dim, relation): &(Dim, Relation)| {
        let value = dim.eval(&|sym| sizes.get(&sym).copied());
        value.is_some_and(|v| relation.holds(v))
    };
    for _ in 0..6 {
        let Some(broken) = conditions.iter().find(|c| !holds(sizes, c)) else {
            return true;
        };
        let mut syms = Vec::new();
        broken.0.for_each_sym(&mut |sym| syms.push(sym));
        random.shuffle(&mut syms);
        let start = random.below(4) as i64;
        let fix = syms.iter().find_map(|sym| {
            let mut tried = sizes.clone();
            (0..MOST_SIZE)
                .map(|k| (start + k) % MOST_SIZE)
                .find_map(|size| {
                    tried.insert(*sym, size);
                    holds(&tried, broken).then_some((*sym, size))
                })
        });
        let Some((sym, size)) = fix else { return false };
        sizes.insert(sym, size);
    }
    conditions.iter().all(|c| holds(sizes, c))
}

/// Inputs of the left side; `kind` goes from plain numbers (0) to specials (3) and drawn ones (4).
pub fn inputs(
    rule: &Rule,
    sizes: &BTreeMap<Sym, i64>,
    random: &mut Random,
    kind: usize,
) -> Option<Vec<Array>> {
    draw_all(&rule.lhs, sizes, &rule.params, random, kind)
}

/// The same for any function.
pub(crate) fn draw_all(
    function: &Function,
    sizes: &BTreeMap<Sym, i64>,
    params: &[RuleParam],
    random: &mut Random,
    kind: usize,
) -> Option<Vec<Array>> {
    draw_within(function, sizes, params, random, (kind, MOST_ELEMENTS))
}

/// Plain numbers at the sizes that models run at. Dimensions without a size are 4.
pub(crate) fn draw_large(
    function: &Function,
    sizes: &BTreeMap<Sym, i64>,
    random: &mut Random,
) -> Option<Vec<Array>> {
    let mut all: BTreeMap<Sym, i64> = function.dims().into_iter().map(|sym| (sym, 4)).collect();
    all.extend(sizes);
    draw_within(function, &all, &[], random, (1, 1 << 24))
}

fn draw_within(
    function: &Function,
    sizes: &BTreeMap<Sym, i64>,
    params: &[RuleParam],
    random: &mut Random,
    (kind, most): (usize, i64),
) -> Option<Vec<Array>> {
    let mut made: Vec<Array> = Vec::new();
    for (at, ty) in function.param_types().iter().enumerate() {
        let mut shape = Vec::new();
        for dim in ty.shape() {
            let size = dim.eval(&|sym| sizes.get(&sym).copied())?;
            shape.push(usize::try_from(size).ok()?);
        }
        let count = shape
            .iter()
            .try_fold(1i64, |a, &b| a.checked_mul(b as i64))?;
        if count > most {
            return None;
        }
        let domain = params.get(at).and_then(|p| p.domain);
        let array = draw(ty.dtype(), shape, domain, random, kind);
        // Now and then two parameters are the same tensor.
        let twin = made
            .iter()
            .find(|m| m.dtype == array.dtype && m.shape == array.shape);
        match twin {
            Some(twin) if domain.is_none() && random.one_in(8) => made.push(twin.clone()),
            _ => made.push(array),
        }
    }
    Some(made)
}

fn draw(
    dtype: DType,
    shape: Vec<usize>,
    domain: Option<(f64, f64)>,
    random: &mut Random,
    kind: usize,
) -> Array {
    let count: usize = shape.iter().product();
    if dtype == DType::Bool {
        return Array::ints(dtype, shape, (0..count).map(|_| (random.bits() & 1) as i64));
    }
    if dtype.is_float() {
        let one = |_| match domain {
            Some((low, high)) => within(low, high, random),
            None => float(dtype, random, kind),
        };
        return Array::floats(dtype, shape, (0..count).map(one));
    }
    let one = |_| match domain {
        Some((low, high)) => within(low, high, random) as i64,
        None => match kind {
            0 => random.choose([-2, -1, 0, 1, 2, 3]),
            1 => random.choose([1, 2, 3, 5, 7, -7, -5]),
            _ => random.choose([
                0,
                1,
                -1,
                i64::MAX,
                i64::MIN,
                127,
                -128,
                255,
                1 << 31,
                -(1 << 31),
                100,
            ]),
        },
    };
    Array::ints(dtype, shape, (0..count).map(one))
}

fn within(low: f64, high: f64, random: &mut Random) -> f64 {
    let low = low.max(-1024.0);
    let high = high.min(1024.0).max(low);
    let part = random.choose([0.0, 0.0625, 0.25, 0.5, 0.75, 1.0]);
    let near = [low + 0.5, low + 1.0, low + 2.0]
        .into_iter()
        .find(|x| *x <= high);
    match near {
        Some(near) if random.one_in(3) => near,
        _ => low + part * (high - low),
    }
}

fn float(dtype: DType, random: &mut Random, kind: usize) -> f64 {
    match kind {
        // Plain numbers, of which sums and products are exact.
        0 => random.choose([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]),
        1 => random.choose([0.5, -0.25, 1.5, 1.0, -3.0, 2.25, 5.0]),
        // The ends of the working range.
        2 => {
            let end = if dtype == DType::F16 { 6 } else { 30 };
            let power = random.choose([-end, -end / 2, 0, end / 2, end]);
            random.choose([1.0, -1.0, 1.25]) * 2f64.powi(power)
        }
        3 => random.choose([
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ]),
        _ => {
            let bits = random.bits();
            let unit = (bits >> 11) as f64 / (1u64 << 53) as f64;
            (unit - 0.5) * random.choose([2.0, 20.0, 2000.0])
        }
    }
}

type Results = Result<Vec<Array>, EvalError>;

/// How the sides differ, where it cannot be put down to rounding.
fn differ(class: FloatClass, left: &Results, right: &Results, inputs: &[Array]) -> Option<String> {
    let left = left.as_ref().ok()?;
    let right = match right {
        Ok(right) => right,
        Err(e) if e.undecided => return None,
        Err(e) if e.message.contains("too large") || e.message.contains("steps") => return None,
        Err(e) => return Some(format!("the right side fails: {}", e.message)),
    };
    let special = inputs
        .iter()
        .any(|x| x.dtype.is_float() && x.to_f64().iter().any(|v| !v.is_finite()));
    let working = inputs
        .iter()
        .filter(|x| x.dtype.is_float())
        .all(in_working_range);
    left.iter().zip(right).find_map(|(l, r)| {
        if l.dtype != r.dtype || l.shape != r.shape {
            return Some(format!(
                "{}{:?} against {}{:?}",
                l.dtype, l.shape, r.dtype, r.shape
            ));
        }
        let floats = l.dtype.is_float().then(|| (l.to_f64(), r.to_f64()));
        (0..l.len()).find_map(|at| match &floats {
            Some((a, b)) => floats_differ(class, (l, a[at]), (r, b[at]), at, (special, working)),
            None => integers_differ(l, r, at),
        })
    })
}

fn in_working_range(x: &Array) -> bool {
    let end = if x.dtype == DType::F16 { 6 } else { 30 };
    let inside = |v: &f64| *v == 0.0 || (v.abs() >= 2f64.powi(-end) && v.abs() <= 2f64.powi(end));
    x.to_f64().iter().all(inside)
}

fn say(at: usize, a: impl std::fmt::Debug, b: impl std::fmt::Debug) -> Option<String> {
    Some(format!("element {at}: {a:?} against {b:?}"))
}

fn integers_differ(l: &Array, r: &Array, at: usize) -> Option<String> {
    let (a, b) = (l.as_ints()[at], r.as_ints()[at]);
    let known = l.error_at(at) == 0.0 && r.error_at(at) == 0.0;
    if a != b && known { say(at, a, b) } else { None }
}

fn floats_differ(
    class: FloatClass,
    (l, a): (&Array, f64),
    (r, b): (&Array, f64),
    at: usize,
    (special, working): (bool, bool),
) -> Option<String> {
    if class == FloatClass::Exact {
        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        return if same { None } else { say(at, a, b) };
    }
    let (ea, eb) = (l.error_at(at), r.error_at(at));
    let sort = |x: f64| (x.is_nan(), x.is_infinite(), x.is_infinite() && x < 0.0);
    if !a.is_finite() || !b.is_finite() {
        // Finite inputs within the working range must not overflow on the right alone.
        let known = special && ea.is_finite() && eb.is_finite() && !finite_only(class);
        let overflows = working && a.is_finite() && !b.is_finite();
        return if sort(a) != sort(b) && (known || overflows) {
            say(at, a, b)
        } else {
            None
        };
    }
    if special && finite_only(class) || !ea.is_finite() || !eb.is_finite() {
        return None;
    }
    let ulps = match class {
        FloatClass::Approx { ulp } => 4.0 * ulp * l.dtype.unit_roundoff().unwrap_or(0.0) * a.abs(),
        FloatClass::Exact | FloatClass::Real { .. } => 0.0,
    };
    let underflows = working && b == 0.0 && a != 0.0 && ea < a.abs() / 4.0 && eb == 0.0;
    let allowed = 4.0 * (ea + eb) + ulps + 1e-6 * a.abs().max(b.abs());
    if (a - b).abs() > allowed || underflows {
        say(at, a, b)
    } else {
        None
    }
}

/// A function alone in a module.
pub(crate) fn alone(function: &Function) -> Module {
    let mut module = Module::default();
    module.insert(function.clone());
    module
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::candidate::File;

    /// What tells the sides of a rule over one vector apart at some numbers.
    fn apart(rule: &str, dtype: DType, numbers: &[f64]) -> Option<String> {
        let file = File::read("rule.aiai", rule).unwrap_or_else(|why| panic!("{why}"));
        let candidate = file.candidate(0).expect("the file has a rule");
        let x = Array::floats(dtype, vec![numbers.len()], numbers.iter().copied());
        let fits = |r: &&Rule| {
            r.lhs.param_types()[0].dtype() == dtype && r.lhs.param_types()[0].rank() == 1
        };
        let rule = candidate
            .instances
            .iter()
            .find(fits)
            .expect("an instance of vectors");
        compare(rule.class, [&rule.lhs, &rule.rhs], &BTreeMap::new(), &[x])
    }

    #[test]
    fn nothing_is_claimed_where_the_left_side_overflows_or_underflows_on_the_way() {
        let reciprocal = "rule r(x: f64[..S]) real { 1 / exp(x) => exp(-x) }";
        assert_eq!(apart(reciprocal, DType::F64, &[716.0, 1.0, -3.0]), None);
        let power = "rule r(x: f32[..S]) real finite { pow(exp(x), 0.0625) => exp(x * 0.0625) }";
        assert_eq!(apart(power, DType::F32, &[-120.0, 2.0]), None);
    }

    #[test]
    fn what_rounding_does_not_explain_is_told() {
        let squared = "rule r(x: f64[..S]) real { 1 / exp(x) => exp(-(x * x)) }";
        assert!(apart(squared, DType::F64, &[1.0, 2.0]).is_some());
        let overflowing = "rule r(x: f32[..S]) real { x * 2 => x * x * 2 / x }";
        assert!(apart(overflowing, DType::F32, &[0.0]).is_some());
        let exact = "rule r(x: f32[..S]) exact { x + 0.0 => x }";
        assert!(apart(exact, DType::F32, &[-0.0]).is_some());
    }
}
