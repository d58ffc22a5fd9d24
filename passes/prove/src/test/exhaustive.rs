//! Rules on all their inputs, where these are few: one parameter of 16 bits, two of 8.
//!
//! Sides that work element by element are run on arrays of all inputs at once. Wider inputs are tried by a stated
//! partition, which is labelled as such and proves nothing.

use aiai_ir::eval::{Array, Data};
use aiai_ir::{DType, Dim, FloatClass, Function, Literal, Op, Rule, Type, Value};

use super::compare::{Judge, Verdict};
use super::counterexample::Counterexample;
use super::shrink::{Failing, Shrinker};
use super::sizes::{SizeSource, Sizes};
use super::values::{Theme, ValueSource, working_range};
use aiai_ir::random::Random;

/// What came of trying all inputs.
#[derive(Clone, Debug)]
pub struct ExhaustiveReport {
    /// The widest dtype of a parameter.
    pub dtype: DType,
    /// Combinations of inputs tried; those that the class says nothing of, and those outside of domains, are not.
    pub inputs: u64,
    /// Elements of results that could not be decided.
    pub undecided: u64,
    /// What was tried instead of all inputs, where those are too many.
    pub partition: Option<String>,
    pub failure: Option<Counterexample>,
}

impl ExhaustiveReport {
    /// Whether every input that the class speaks of was tried, decided, and found right.
    pub fn complete(&self) -> bool {
        self.partition.is_none() && self.undecided == 0 && self.inputs > 0 && self.failure.is_none()
    }
}

/// Inputs of one run, at most.
const CHUNK: usize = 1 << 14;
/// Significands for every sign and exponent of a partition.
const SIGNIFICANDS: usize = 48;

/// Tries a rule on all inputs, or on a partition of them; `None` where a side does not work element by element or
/// the inputs are too many even for that.
pub fn exhaustive(rule: &Rule) -> Option<ExhaustiveReport> {
    let rule = vector_form(rule)?;
    let types = rule.lhs.param_types();
    let dtypes: Vec<DType> = types.iter().map(Type::dtype).collect();
    let widest = dtypes.iter().copied().max_by_key(|d| (bits(*d), *d))?;
    let total: u32 = dtypes.iter().map(|d| bits(*d)).sum();
    let (spaces, partition) = if total <= 16 {
        (dtypes.iter().map(|d| all_of(*d)).collect::<Vec<_>>(), None)
    } else {
        let spaces = partition(&dtypes)?;
        let counts: Vec<String> = dtypes
            .iter()
            .zip(&spaces)
            .map(|(d, s)| format!("{} of {d}", s.len()))
            .collect();
        (
            spaces,
            Some(format!(
                "every sign and exponent with some significands: {}",
                counts.join(", ")
            )),
        )
    };
    let mut run = Run::new(&rule);
    let mut report = ExhaustiveReport {
        dtype: widest,
        inputs: 0,
        undecided: 0,
        partition,
        failure: None,
    };
    run.all(&spaces, &mut report);
    Some(report)
}

fn bits(dtype: DType) -> u32 {
    match dtype {
        DType::Bool => 1,
        dtype => dtype.bytes() as u32 * 8,
    }
}

/// Every value of a dtype of at most 16 bits.
fn all_of(dtype: DType) -> Vec<u64> {
    (0..1u64 << bits(dtype)).collect()
}

/// Some values of every dtype, as bits; `None` where the combinations are too many.
fn partition(dtypes: &[DType]) -> Option<Vec<Vec<u64>>> {
    let wide = dtypes.iter().filter(|d| bits(**d) > 8).count();
    let significands = match wide {
        0 | 1 => SIGNIFICANDS,
        2 => 1,
        _ => return None,
    };
    let spaces: Vec<Vec<u64>> = dtypes
        .iter()
        .map(|d| sampled(*d, significands, wide))
        .collect();
    let total = spaces
        .iter()
        .try_fold(1usize, |a, s| a.checked_mul(s.len()))?;
    (total <= 1 << 17).then_some(spaces)
}

fn sampled(dtype: DType, significands: usize, wide: usize) -> Vec<u64> {
    if bits(dtype) <= 8 || (bits(dtype) == 16 && wide == 1) {
        return all_of(dtype);
    }
    let (exponent, fraction) = match dtype {
        DType::F16 => (5, 10),
        DType::BF16 => (8, 7),
        DType::F32 => (8, 23),
        DType::F64 => (11, 52),
        // The highest bit set stands for the exponent of an integer.
        _ => return integers(bits(dtype), significands),
    };
    let mut random = Random::new(0x50A7);
    let mut found = Vec::new();
    let step = match wide > 1 {
        true => 1 << (exponent - 5),
        false => 1,
    };
    for head in (0..1u64 << (exponent + 1)).step_by(step) {
        for k in 0..significands {
            let fraction_bits = match k {
                0 if significands == 1 => random.bits(),
                0 => 0,
                1 => u64::MAX,
                2 => 1,
                3 => 1 << (fraction - 1),
                _ => random.bits(),
            };
            found.push(head << fraction | fraction_bits & ((1 << fraction) - 1));
        }
    }
    found
}

fn integers(bits: u32, each: usize) -> Vec<u64> {
    let mut random = Random::new(0x50A7);
    let mut found = vec![0, 1, u64::MAX, 1 << (bits - 1), (1 << (bits - 1)) - 1];
    for top in 0..bits {
        for _ in 0..each {
            let value = 1u64 << top | random.bits() & ((1u64 << top) - 1);
            found.extend([value, value.wrapping_neg()]);
        }
    }
    found
}

/// Whether every element of every result is computed from one element of every parameter.
fn pointwise(function: &Function) -> bool {
    let mut all = true;
    function.body.walk(&mut |node| {
        all &= node.regions.is_empty()
            && match &node.op {
                Op::Unary { .. }
                | Op::Binary { .. }
                | Op::Compare { .. }
                | Op::Select
                | Op::Cast { .. }
                | Op::StopGradient => true,
                Op::Constant { value } => value.splat().is_some(),
                Op::Broadcast { .. } => function.ty(node.operands[0]).rank() == 0,
                // Everything else looks at other elements, or at positions.
                _ => false,
            };
    });
    all
}

/// The rule with all parameters and values as vectors of one length; `None` where it is not pointwise.
fn vector_form(rule: &Rule) -> Option<Rule> {
    if !pointwise(&rule.lhs) || !pointwise(&rule.rhs) || !rule.guard.is_empty() {
        return None;
    }
    let types = rule.lhs.param_types();
    let shaped: Vec<&Type> = types.iter().filter(|ty| ty.rank() > 0).collect();
    if shaped.windows(2).any(|w| w[0].shape() != w[1].shape()) {
        return None;
    }
    if shaped
        .iter()
        .any(|ty| ty.shape().iter().any(|dim| dim.as_const().is_some()))
    {
        return None;
    }
    let mut vector = rule.clone();
    vector.lhs = as_vectors(&rule.lhs);
    vector.rhs = as_vectors(&rule.rhs);
    Some(vector)
}

fn as_vectors(function: &Function) -> Function {
    let mut function = function.clone();
    function.requires.clear();
    let length = Dim::sym(LENGTH);
    for value in 0..function.value_count() as u32 {
        let ty = Type::tensor(function.ty(Value(value)).dtype(), vec![length]);
        function.set_ty(Value(value), ty);
    }
    // Scalars become vectors, so nothing is left to broadcast.
    let ops = std::mem::take(&mut function.body.ops);
    for mut node in ops {
        match &mut node.op {
            Op::Broadcast { .. } => node.op = Op::StopGradient,
            Op::Constant { value } => {
                let scalar = value.splat().unwrap_or(aiai_ir::Scalar::Float(0.0));
                *value = Literal::scalar(value.dtype, scalar);
                let result = node.results[0];
                let inner = function.new_value(Type::scalar(value.dtype));
                let mut broadcast = node.clone();
                node.results = vec![inner];
                broadcast.op = Op::Broadcast {
                    shape: vec![length],
                    axes: Vec::new(),
                };
                broadcast.operands = vec![inner];
                broadcast.results = vec![result];
                function.body.ops.push(node);
                function.body.ops.push(broadcast);
                continue;
            }
            _ => {}
        }
        function.body.ops.push(node);
    }
    function
}

/// The name of the one dimension of vectors.
const LENGTH: &str = "LENGTH";

struct Run<'a> {
    rule: &'a Rule,
    judge: Judge<'a>,
    values: ValueSource,
    real: bool,
    finite: bool,
}

impl<'a> Run<'a> {
    fn new(rule: &'a Rule) -> Run<'a> {
        Run {
            rule,
            judge: Judge::new(rule, CHUNK, 1 << 40),
            values: ValueSource::new(rule),
            real: matches!(rule.class, FloatClass::Real { .. }),
            finite: matches!(rule.class, FloatClass::Real { finite: true }),
        }
    }

    fn all(&mut self, spaces: &[Vec<u64>], report: &mut ExhaustiveReport) {
        let values: Vec<Array> = spaces
            .iter()
            .zip(&self.values.params)
            .map(|(s, p)| decode(p.dtype, s))
            .collect();
        let total: usize = spaces.iter().map(Vec::len).product();
        // Inputs of the working range and special ones are judged apart.
        let mut pending: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for index in 0..total {
            if let Some(world) = self.world(&values, index) {
                pending[world].push(index);
                if pending[world].len() == CHUNK {
                    let full = std::mem::take(&mut pending[world]);
                    if self.chunk(&values, &full, report) {
                        return;
                    }
                }
            }
        }
        for rest in pending {
            if !rest.is_empty() && self.chunk(&values, &rest, report) {
                return;
            }
        }
    }

    /// 0: judged as ordinary, 1: as special; `None`: nothing is claimed.
    fn world(&self, values: &[Array], index: usize) -> Option<usize> {
        let (mut rest, mut special) = (index, false);
        for (x, param) in values.iter().zip(&self.values.params) {
            let at = rest % x.len();
            rest /= x.len();
            let number = match &x.data {
                Data::Float(v) => v[at],
                Data::Int(v) if x.dtype == DType::U64 => v[at] as u64 as f64,
                Data::Int(v) => v[at] as f64,
            };
            if param
                .domain
                .is_some_and(|(low, high)| !(number >= low && number <= high))
            {
                return None;
            }
            if self.real && x.dtype.is_float() {
                let (low, high) = working_range(x.dtype);
                if !number.is_finite() {
                    special = true;
                } else if number != 0.0 && !(low..=high).contains(&number.abs()) {
                    return None;
                }
            }
        }
        (!special || !self.finite).then_some(usize::from(special))
    }

    /// Judges some inputs at once; true where they convict.
    fn chunk(
        &mut self,
        values: &[Array],
        indices: &[usize],
        report: &mut ExhaustiveReport,
    ) -> bool {
        let inputs = gather(values, indices);
        let sizes = Sizes::from([(LENGTH.into(), indices.len() as i64)]);
        report.inputs += indices.len() as u64;
        match self.judge.judge(&inputs, &sizes) {
            Verdict::Agree { undecided, .. } => report.undecided += undecided as u64,
            Verdict::Undecided | Verdict::Unfit | Verdict::LeftStops => {
                report.undecided += indices.len() as u64;
            }
            Verdict::Differ(difference) => {
                let at = difference.at.min(indices.len() - 1);
                let special = inputs.iter().any(|x| !x.to_f64()[at].is_finite());
                let one = gather(values, &indices[at..=at]);
                let single = Sizes::from([(LENGTH.into(), 1)]);
                let alone = match self.judge.judge(&one, &single) {
                    Verdict::Differ(alone) => alone,
                    _ => difference,
                };
                if alone.firm || special {
                    let failing = Failing {
                        sizes: single,
                        inputs: one,
                        difference: *alone,
                    };
                    let source = SizeSource::new(self.rule, 1);
                    let small = Shrinker::new(&self.judge, &source, &self.values)
                        .shrink(failing, Theme::Whole);
                    report.failure = Some(super::counterexample(self.rule, small));
                    return true;
                }
                // Within the bound, if not within its half: nothing convicts, and nothing is claimed.
                report.undecided += 1;
            }
        }
        false
    }
}

fn gather(values: &[Array], indices: &[usize]) -> Vec<Array> {
    let mut stride = 1;
    let mut inputs = Vec::with_capacity(values.len());
    for x in values {
        let places = indices.iter().map(|index| index / stride % x.len());
        let data = match &x.data {
            Data::Float(v) => Data::Float(places.map(|p| v[p]).collect()),
            Data::Int(v) => Data::Int(places.map(|p| v[p]).collect()),
        };
        inputs.push(Array {
            dtype: x.dtype,
            shape: vec![indices.len()],
            data,
            error: None,
        });
        stride *= x.len();
    }
    inputs
}

fn decode(dtype: DType, patterns: &[u64]) -> Array {
    let mut bytes = Vec::with_capacity(patterns.len() * dtype.bytes());
    for pattern in patterns {
        bytes.extend_from_slice(&pattern.to_le_bytes()[..dtype.bytes()]);
    }
    let array = Array::from_bytes(dtype, vec![patterns.len()], &bytes);
    array.unwrap_or_else(|| Array::floats(dtype, vec![0], []))
}
