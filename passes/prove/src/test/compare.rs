//! Judges one set of arguments: runs both sides on the evaluator and holds their results against the class.
//!
//! What each class claims is in DESIGN section 5 and docs/numerics.md. Nothing is called different that a correct
//! executor could compute: where the evaluator does not know, an element is undecided.

use std::cell::Cell;

use aiai_ir::eval::{self, Against, Array, Data, EvalError, Options};
use aiai_ir::{DType, FloatClass, Function, Rule};

use super::element::{Finding, View, first_other_bits, near, shown};
use super::sizes::Sizes;
use super::twin::{self, Twin};
use super::values::working_range;

/// What came of one set of arguments.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The sides agree; so many elements were compared, so many not decided.
    Agree {
        compared: usize,
        undecided: usize,
    },
    /// Nothing could be decided.
    Undecided,
    /// The left side stops with an error: the right side may do anything.
    LeftStops,
    /// Nothing is claimed of such arguments, or they are beyond the limits.
    Unfit,
    Differ(Box<Difference>),
}

/// A difference that the class does not allow.
#[derive(Clone, Debug)]
pub struct Difference {
    pub why: String,
    /// The results that differ; the right one is empty where the right side stops.
    pub left: Array,
    pub right: Array,
    /// Which result, and which of its elements.
    pub result: usize,
    pub at: usize,
    pub right_stops: bool,
    /// Whether one case convicts. Otherwise it must show again on fresh arguments.
    pub firm: bool,
}

/// Runs that may end at the limit of steps; those after them get fewer.
const PATIENCE: u32 = 2;
/// How many those get.
const FEW_STEPS: u64 = 1 << 14;

/// A rule with what is needed to judge it, made once.
pub struct Judge<'a> {
    pub rule: &'a Rule,
    wide: Option<(Twin, Twin)>,
    lifted: Option<(Twin, Twin)>,
    budget: Option<Function>,
    floats: bool,
    max_elements: usize,
    /// Steps of one run, at most.
    max_steps: u64,
    /// Runs that ended there: loops that never end would take all the time.
    too_long: Cell<u32>,
}

/// What the arguments of class `real` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    /// 0 or in the working range.
    Ranged,
    /// NaN or infinities among them.
    Special,
    /// Others: nothing is claimed.
    Beyond,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

type Outcome = Result<Vec<Array>, EvalError>;

impl<'a> Judge<'a> {
    pub fn new(rule: &'a Rule, max_elements: usize, max_steps: u64) -> Judge<'a> {
        let mut dtypes = (0..rule.lhs.value_count() as u32)
            .map(|v| rule.lhs.ty(aiai_ir::Value(v)).dtype())
            .chain(
                (0..rule.rhs.value_count() as u32).map(|v| rule.rhs.ty(aiai_ir::Value(v)).dtype()),
            );
        let floats = dtypes.any(DType::is_float);
        let exact = rule.class == FloatClass::Exact || !floats;
        Judge {
            rule,
            wide: if exact { None } else { twin::wide(rule) },
            lifted: if exact { None } else { twin::lifted(rule) },
            budget: if exact { None } else { twin::budget(rule) },
            floats,
            max_elements,
            max_steps,
            too_long: Cell::new(0),
        }
    }

    fn run(
        &self,
        function: &Function,
        inputs: &[Array],
        sizes: &Sizes,
        against: Option<Against>,
    ) -> Outcome {
        let options = Options {
            max_elements: self.max_elements,
            max_steps: match self.hurries() {
                true => self.max_steps.min(FEW_STEPS),
                false => self.max_steps,
            },
            bound: against.is_some(),
            against: against.unwrap_or(Against::Executors),
            ..Options::default()
        };
        let outcome = eval::run_function(function, inputs, sizes, &options);
        if outcome.as_ref().is_err_and(takes_too_long) {
            self.too_long.set(self.too_long.get().saturating_add(1));
        }
        outcome
    }

    /// Whether runs get fewer steps, some having ended at their limit.
    pub fn hurries(&self) -> bool {
        self.too_long.get() >= PATIENCE
    }

    /// Gives all steps to the runs that follow.
    pub fn take_time(&self) {
        self.too_long.set(0);
    }

    /// A side in its own dtypes. Where bounds are asked for, constants count as rounded.
    fn run_side(
        &self,
        side: Side,
        inputs: &[Array],
        sizes: &Sizes,
        against: Option<Against>,
    ) -> Outcome {
        if against.is_some()
            && let Some((left, right)) = &self.lifted
        {
            let twin = if side == Side::Left { left } else { right };
            let all: Vec<Array> = inputs.iter().chain(&twin.constants).cloned().collect();
            return self.run(&twin.function, &all, sizes, against);
        }
        let function = if side == Side::Left {
            &self.rule.lhs
        } else {
            &self.rule.rhs
        };
        self.run(function, inputs, sizes, against)
    }

    fn run_wide(&self, twin: &Twin, inputs: &[Array], sizes: &Sizes) -> Option<Vec<Array>> {
        let inputs = inputs.iter().map(|x| twin::convert(x, DType::F64));
        let all: Vec<Array> = inputs.chain(twin.constants.iter().cloned()).collect();
        self.run(&twin.function, &all, sizes, Some(Against::Reals))
            .ok()
    }

    pub fn judge(&self, inputs: &[Array], sizes: &Sizes) -> Verdict {
        if !self.floats {
            return self.exact(inputs, sizes);
        }
        match self.rule.class {
            FloatClass::Exact => self.exact(inputs, sizes),
            FloatClass::Real { finite } => self.real(inputs, sizes, finite),
            FloatClass::Approx { ulp } => self.approx(inputs, sizes, ulp),
        }
    }

    /// Runs both sides; the verdict where one of them stops.
    fn both(
        &self,
        inputs: &[Array],
        sizes: &Sizes,
        modes: (Option<Against>, Option<Against>),
    ) -> Result<(Vec<Array>, Vec<Array>), Verdict> {
        let left = self
            .run_side(Side::Left, inputs, sizes, modes.0)
            .map_err(|e| match (e.undecided, beyond(&e)) {
                (true, _) => Verdict::Undecided,
                (_, true) => Verdict::Unfit,
                _ => Verdict::LeftStops,
            })?;
        let right = self
            .run_side(Side::Right, inputs, sizes, modes.1)
            .map_err(|e| {
                if e.undecided {
                    return Verdict::Undecided;
                }
                if e.message.contains("too large") || takes_too_long(&e) {
                    return Verdict::Unfit;
                }
                Verdict::Differ(Box::new(Difference {
                    why: format!("the right side stops, the left does not: {}", e.message),
                    left: left[0].clone(),
                    right: Array::floats(DType::F64, vec![0], []),
                    result: 0,
                    at: 0,
                    right_stops: true,
                    firm: true,
                }))
            })?;
        if left.len() != right.len() {
            return Err(Verdict::Unfit);
        }
        Ok((left, right))
    }

    /// Every bit is compared, NaN payloads aside.
    fn exact(&self, inputs: &[Array], sizes: &Sizes) -> Verdict {
        let (left, right) = match self.both(inputs, sizes, (None, None)) {
            Ok(both) => both,
            Err(verdict) => return verdict,
        };
        let mut compared = 0;
        for (k, (l, r)) in left.iter().zip(&right).enumerate() {
            if l.shape != r.shape || l.dtype != r.dtype {
                return differ(
                    l,
                    r,
                    (k, 0),
                    "the results are of different types".into(),
                    true,
                );
            }
            if let Some(at) = first_other_bits(l, r) {
                let why = format!(
                    "element {at}: {} on the left, {} on the right",
                    shown(l, at),
                    shown(r, at)
                );
                return differ(l, r, (k, at), why, true);
            }
            compared += l.len();
        }
        Verdict::Agree {
            compared,
            undecided: 0,
        }
    }

    fn world(&self, inputs: &[Array]) -> World {
        let mut world = World::Ranged;
        for x in inputs {
            let Data::Float(values) = &x.data else {
                continue;
            };
            let (low, high) = working_range(x.dtype);
            for v in values {
                if !v.is_finite() {
                    world = World::Special;
                } else if *v != 0.0 && !(low..=high).contains(&v.abs()) {
                    return World::Beyond;
                }
            }
        }
        world
    }

    fn real(&self, inputs: &[Array], sizes: &Sizes, finite: bool) -> Verdict {
        let world = self.world(inputs);
        if world == World::Beyond || (world == World::Special && finite) {
            return Verdict::Unfit;
        }
        let modes = (Some(Against::Reals), Some(Against::RealsWithoutUnderflow));
        let (left, right) = match self.both(inputs, sizes, modes) {
            Ok(both) => both,
            Err(verdict) => return verdict,
        };
        let wide = self.wide.as_ref().and_then(|(l, r)| {
            Some((
                self.run_wide(l, inputs, sizes)?,
                self.run_wide(r, inputs, sizes)?,
            ))
        });
        let budget = match &self.budget {
            None => None,
            Some(f) => match self.run(f, &as_params(f, inputs), sizes, modes.1) {
                Ok(results) => Some(results),
                Err(_) => return Verdict::Undecided,
            },
        };
        let large = inputs
            .iter()
            .any(|x| x.dtype.is_float() && x.to_f64().iter().any(|v| v.abs() > 64.0));
        let mut tally = Tally::default();
        for k in 0..left.len() {
            let (l, r) = (&left[k], &right[k]);
            if l.shape != r.shape || l.dtype != r.dtype {
                return differ(
                    l,
                    r,
                    (k, 0),
                    "the results are of different types".into(),
                    true,
                );
            }
            let view = View {
                left: l,
                right: r,
                budget: budget.as_ref().map_or(r, |b| &b[k]),
                wide: wide.as_ref().map(|(a, b)| (&a[k], &b[k])),
                large,
                has_wide: self.wide.is_some(),
            };
            for at in 0..l.len() {
                let finding = match world {
                    World::Special => view.special(at),
                    World::Ranged | World::Beyond => view.ranged(at),
                };
                if let Some(verdict) = tally.note(finding, (l, r), (k, at)) {
                    return verdict;
                }
            }
        }
        tally.verdict()
    }

    fn approx(&self, inputs: &[Array], sizes: &Sizes, ulps: f64) -> Verdict {
        let mode = self.wide.is_none().then_some(Against::Reals);
        let (left, right) = match self.both(inputs, sizes, (mode, None)) {
            Ok(both) => both,
            Err(verdict) => return verdict,
        };
        let wide = match &self.wide {
            Some((twin, _)) => match self.run_wide(twin, inputs, sizes) {
                Some(wide) => wide,
                None => return Verdict::Undecided,
            },
            None => left.clone(),
        };
        let mut tally = Tally::default();
        for (k, ((l, r), w)) in left.iter().zip(&right).zip(&wide).enumerate() {
            if l.shape != r.shape || l.dtype != r.dtype {
                return differ(
                    l,
                    r,
                    (k, 0),
                    "the results are of different types".into(),
                    true,
                );
            }
            for at in 0..l.len() {
                if let Some(verdict) = tally.note(near(l, r, w, at, ulps), (l, r), (k, at)) {
                    return verdict;
                }
            }
        }
        tally.verdict()
    }
}

/// The arguments in the dtypes of the parameters, which are wider.
fn as_params(function: &Function, inputs: &[Array]) -> Vec<Array> {
    let types = function.param_types();
    let pairs = inputs.iter().zip(&types);
    pairs.map(|(x, ty)| twin::convert(x, ty.dtype())).collect()
}

fn beyond(e: &EvalError) -> bool {
    e.bad_input || takes_too_long(e)
}

fn takes_too_long(e: &EvalError) -> bool {
    e.message.contains("too many steps")
}

/// A place where results differ: which result, and which of its elements.
type Place = (usize, usize);

fn differ(left: &Array, right: &Array, (result, at): Place, why: String, firm: bool) -> Verdict {
    Verdict::Differ(Box::new(Difference {
        why,
        left: left.clone(),
        right: right.clone(),
        result,
        at,
        right_stops: false,
        firm,
    }))
}

#[derive(Default)]
struct Tally {
    compared: usize,
    undecided: usize,
    suspect: Option<Box<Difference>>,
}

impl Tally {
    /// The verdict, where this element settles it.
    fn note(
        &mut self,
        finding: Finding,
        (left, right): (&Array, &Array),
        place: Place,
    ) -> Option<Verdict> {
        match finding {
            Finding::Same => self.compared += 1,
            Finding::Unknown => self.undecided += 1,
            Finding::Other(why, true) => return Some(differ(left, right, place, why, true)),
            Finding::Other(why, false) => {
                if self.suspect.is_none()
                    && let Verdict::Differ(found) = differ(left, right, place, why, false)
                {
                    self.suspect = Some(found);
                }
            }
        }
        None
    }

    fn verdict(self) -> Verdict {
        match self.suspect {
            Some(difference) => Verdict::Differ(difference),
            None if self.compared == 0 && self.undecided > 0 => Verdict::Undecided,
            None => Verdict::Agree {
                compared: self.compared,
                undecided: self.undecided,
            },
        }
    }
}
