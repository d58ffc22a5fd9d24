//! The proof of one instance: cases by which sizes are 0, both sides, and their comparison.

use aiai_ir::{DType, Dim, Function, Relation, Rule, Sym};

use super::bounded::{self, Effort};
use super::decide::{Decider, Usage};
use super::eval::{Element, Evaluator};
use super::structure::{accesses, demands, in_range_for_certain, shown};
use super::term::{Mode, Poly, Terms};
use super::{InstanceProof, Outcome, Proof, SolverUse, Stop, claims_bits, dims_of};
use crate::solver::Solver;

/// Further sizes that are split into 0 and at least 1, at most.
const MOST_SPLITS: usize = 3;

/// Facts of a case.
type Case = Vec<(Relation, Dim)>;

/// How one side of one case ended.
enum Verdict {
    Equal,
    /// No sizes satisfy the facts, or there is no element to compare.
    Nothing(String),
    Unknown(String),
}

pub fn prove(rule: &Rule, solver: &mut dyn Solver, effort: &mut Effort) -> Proof {
    let mut decider = Decider {
        solver,
        usage: Usage::default(),
        floats: effort.floats && claims_bits(rule),
        satisfied: Vec::new(),
    };
    let mut steps = Vec::new();
    let float_proved = attempt(rule, Mode::Free, &mut decider, &mut Vec::new()).is_ok();
    let outcome = attempt(rule, Mode::Real, &mut decider, &mut steps);
    let only_free = outcome.is_err() && float_proved && claims_bits(rule);
    let algebra = match outcome {
        Ok(()) => InstanceProof::Proved,
        Err(_) if only_free => {
            steps.push("both sides have the same bits, without any algebra on floats".into());
            InstanceProof::Proved
        }
        Err(why) => InstanceProof::Unknown { why },
    };
    let (algebra, counterexample) = bounded::instead(
        rule,
        (algebra, float_proved),
        &mut decider,
        effort,
        &mut steps,
    );
    // Bits are proved of all instances or not at all.
    effort.floats &= float_proved;
    let solver = match (&decider.usage.not_attempted, decider.usage.asked) {
        (Some(why), _) => SolverUse::NotAttempted { why: why.clone() },
        (None, 0) => SolverUse::NotNeeded,
        (None, _) => SolverUse::Used {
            rlimit: decider.solver.spent(),
        },
    };
    Proof {
        algebra,
        float_proved,
        steps,
        solver,
        uniform_packs: super::ranks::uniform(rule),
        counterexample,
    }
}

/// Every case; the first that fails says why.
fn attempt(
    rule: &Rule,
    mode: Mode,
    decider: &mut Decider,
    steps: &mut Vec<String>,
) -> Result<(), String> {
    let one = Dim::from(1);
    let dims: Vec<Dim> = dims_of(rule).into_iter().map(Dim::sym).collect();
    let mut cases: Vec<Case> = Vec::new();
    let positive = |upto: usize| -> Case {
        let some = dims[..upto].iter();
        some.map(|d| (Relation::NonNegative, *d - one)).collect()
    };
    cases.push(positive(dims.len()));
    for (at, dim) in dims.iter().enumerate() {
        let mut case = positive(at);
        case.push((Relation::Zero, *dim));
        cases.push(case);
    }
    for case in cases {
        in_case(rule, mode, case, MOST_SPLITS, decider, steps)?;
    }
    Ok(())
}

fn in_case(
    rule: &Rule,
    mode: Mode,
    case: Case,
    splits: usize,
    decider: &mut Decider,
    steps: &mut Vec<String>,
) -> Result<(), String> {
    let mut lines = Vec::new();
    let said = |case: &Case| {
        let facts: Vec<String> = case.iter().map(|(r, d)| fact(*r, *d)).collect();
        facts.join(", ")
    };
    match compare(rule, mode, &case, decider, &mut lines) {
        Ok(Verdict::Equal) => {
            steps.push(format!("where {}:", said(&case)));
            steps.extend(lines);
            Ok(())
        }
        Ok(Verdict::Nothing(why)) => {
            steps.push(format!("where {}: {why}", said(&case)));
            Ok(())
        }
        Ok(Verdict::Unknown(why)) => Err(format!("where {}: {why}", said(&case))),
        Err(Stop::Undecided(dim)) if splits > 0 => {
            let one = Dim::from(1);
            for more in [
                (Relation::NonNegative, dim - one),
                (Relation::NonNegative, -dim),
            ] {
                let mut next = case.clone();
                next.push(more);
                in_case(rule, mode, next, splits - 1, decider, steps)?;
            }
            Ok(())
        }
        Err(stop) => Err(stop.to_string()),
    }
}

fn fact(relation: Relation, dim: Dim) -> String {
    match relation {
        Relation::Zero => format!("{dim} == 0"),
        Relation::NonZero => format!("{dim} != 0"),
        Relation::NonNegative => format!("{dim} >= 0"),
    }
}

/// Both sides in one case of the sizes.
fn compare(
    rule: &Rule,
    mode: Mode,
    case: &Case,
    decider: &mut Decider,
    lines: &mut Vec<String>,
) -> Outcome<Verdict> {
    let mut terms = Terms::new(mode);
    let params = rule.lhs.params().iter();
    terms.extents = params
        .map(|p| Dim::product(rule.lhs.ty(*p).shape().iter().copied()))
        .collect();
    let left_demands = demands(&rule.lhs, false);
    let facts = case
        .iter()
        .chain(&left_demands)
        .chain(
            rule.guard
                .iter()
                .map(|(d, r)| (*r, *d))
                .collect::<Vec<_>>()
                .iter(),
        )
        .copied()
        .collect::<Vec<_>>();
    // Equalities first: they change what the others say.
    for pass in [Relation::Zero, Relation::NonNegative, Relation::NonZero] {
        for (relation, dim) in facts.iter().filter(|f| f.0 == pass) {
            terms.known.assume(*relation, *dim);
        }
    }
    // What is at least 0 and at most 0 is 0: an equality says it everywhere.
    for (relation, dim) in &facts {
        if *relation == Relation::NonNegative && terms.known.proves(-*dim) {
            terms.known.assume(Relation::Zero, *dim);
        }
    }
    if let Some(false) = decided(&terms, &facts) {
        return Ok(Verdict::Nothing("no sizes are such".into()));
    }
    let one = Dim::from(1);
    for (space, needs) in accesses(&rule.lhs, false) {
        if space.iter().all(|n| terms.known.proves(*n - one)) {
            for (relation, dim) in needs.iter().filter(|n| !n.1.is_overflow()) {
                terms.known.assume(*relation, *dim);
            }
        }
    }
    if terms.known.contradictory() {
        return Ok(Verdict::Nothing("no sizes are such".into()));
    }
    if let Some(why) = unmet(&mut terms, &rule.rhs) {
        return Ok(Verdict::Unknown(why));
    }
    domains(&mut terms, rule);
    let mut places = Vec::new();
    for ty in rule.lhs.result_types() {
        let mut index = Vec::new();
        for n in ty.shape() {
            let sym = terms.fresh();
            index.push((sym, *n));
        }
        places.push(index);
    }
    sides(rule, &mut terms, places, decider, lines)
}

/// Whether constant facts hold; `None` where that is open.
fn decided(terms: &Terms, facts: &[(Relation, Dim)]) -> Option<bool> {
    for (relation, dim) in facts {
        let dim = terms.known.normal(*dim);
        if let Some(value) = dim.as_const()
            && !relation.holds(value)
        {
            return Some(false);
        }
    }
    None
}

/// What the right side needs of sizes and is not shown to have.
fn unmet(terms: &mut Terms, rhs: &Function) -> Option<String> {
    for (relation, dim) in demands(rhs, true) {
        if !shown(&terms.known, relation, dim) {
            return Some(format!(
                "the right side needs `{}`, which is not shown",
                fact(relation, dim)
            ));
        }
    }
    for (space, needs) in accesses(rhs, true) {
        let mark = terms.known.mark();
        for n in &space {
            terms.known.assume(Relation::NonNegative, *n - Dim::from(1));
        }
        let open = needs
            .iter()
            .find(|(relation, dim)| !shown(&terms.known, *relation, *dim));
        let empty = terms.known.contradictory();
        let why = open.map(|(relation, dim)| {
            format!(
                "the right side accesses where `{}` is not shown",
                fact(*relation, *dim)
            )
        });
        terms.known.release(mark);
        if why.is_some() && !empty {
            return why;
        }
    }
    None
}

pub fn domains(terms: &mut Terms, rule: &Rule) {
    for (at, param) in rule.params.iter().enumerate() {
        if let Some(domain) = param.domain {
            terms.domains.insert(at as u32, domain);
        }
    }
}

pub fn uniform_params(rule: &Rule) -> Vec<bool> {
    rule.params.iter().map(|p| p.constant).collect()
}

fn sides(
    rule: &Rule,
    terms: &mut Terms,
    places: Vec<Vec<(Sym, Dim)>>,
    decider: &mut Decider,
    lines: &mut Vec<String>,
) -> Outcome<Verdict> {
    let mut compared = 0;
    for (place, index) in places.iter().enumerate() {
        let mark = terms.known.mark();
        for (sym, range) in index {
            terms.assume_index(*sym, *range);
        }
        if terms.known.contradictory() {
            terms.known.release(mark);
            continue;
        }
        terms.known.settle();
        let dims: Vec<Dim> = index
            .iter()
            .map(|(sym, n)| {
                // The only place of an axis of one element.
                let one = terms.known.normal(*n).is_const(1);
                if one { Dim::from(0) } else { Dim::sym(*sym) }
            })
            .collect();
        let left = one_side(terms, rule, &rule.lhs, place, &dims)?;
        let (right, right_checks) = one_side(terms, rule, &rule.rhs, place, &dims)?;
        let right = in_range_for_certain(terms, decider, right, &left.1)?;
        let right = (right, right_checks);
        compared += 1;
        if left.1.iter().any(Poly::is_zero) {
            terms.known.release(mark);
            lines.push("  the left side stops".into());
            continue;
        }
        let dtype = rule.lhs.ty(rule.lhs.body.yields[place]).dtype();
        if let Some(why) = differs(terms, (&left, &right), dtype, decider, lines)? {
            return Ok(Verdict::Unknown(why));
        }
        for check in &right.1 {
            if !decider.follows(terms, check, &left.1)? {
                return Ok(Verdict::Unknown(format!(
                    "the right side stops unless {}",
                    terms.show(check)
                )));
            }
        }
        terms.known.release(mark);
    }
    if compared == 0 {
        // No element to compare, but the right side might still stop.
        terms.known.settle();
        let left = checks(terms, rule, &rule.lhs)?;
        let right = checks(terms, rule, &rule.rhs)?;
        for check in &right {
            if !decider.follows(terms, check, &left)? {
                return Ok(Verdict::Unknown("the right side may stop".into()));
            }
        }
        return Ok(Verdict::Nothing("there are no elements".into()));
    }
    Ok(Verdict::Equal)
}

fn checks(terms: &mut Terms, rule: &Rule, side: &Function) -> Outcome<Vec<Poly>> {
    Evaluator::new(terms, side, uniform_params(rule)).checks()
}

fn one_side(
    terms: &mut Terms,
    rule: &Rule,
    side: &Function,
    place: usize,
    index: &[Dim],
) -> Outcome<(Element, Vec<Poly>)> {
    let mut evaluator = Evaluator::new(terms, side, uniform_params(rule));
    let checks = evaluator.checks()?;
    let element = evaluator.element(side.body.yields[place], index)?;
    Ok((element, checks))
}

/// An element with what stops its side.
pub type Checked = (Element, Vec<Poly>);

/// Why the two elements are not shown equal.
pub fn differs(
    terms: &mut Terms,
    ((left, checks), (right, _)): (&Checked, &Checked),
    dtype: DType,
    decider: &mut Decider,
    lines: &mut Vec<String>,
) -> Outcome<Option<String>> {
    let nowhere = |side: &Element| side.clauses.iter().any(Poly::is_zero);
    if nowhere(left) && nowhere(right) {
        lines.push("  neither side is defined".into());
        return Ok(None);
    }
    let difference = terms.sub(&left.term, &right.term)?;
    let (shown_left, shown_right) = (terms.show(&left.term), terms.show(&right.term));
    // Both are defined at the same inputs, as is shown below: elsewhere they need not be equal.
    let mut where_defined = difference.clone();
    if !difference.is_zero() && difference.terms.len() <= 40 {
        for clause in left.clauses.iter().chain(checks).take(5) {
            let clause = terms.in_ring(clause, difference.ring)?;
            where_defined = terms.mul(&where_defined, &clause)?;
        }
    }
    if !where_defined.is_zero()
        && !decider.is_zero(terms, &difference)?
        && (where_defined == difference || !decider.is_zero(terms, &where_defined)?)
        && !decider.same_bits(terms, (&left.term, &right.term), dtype)?
    {
        return Ok(Some(format!(
            "the left side is {shown_left}, the right side {shown_right}"
        )));
    }
    lines.push(format!("  left:  {shown_left}"));
    lines.push(format!("  right: {shown_right}"));
    for clause in right.clauses.iter() {
        if !decider.follows(terms, clause, &left.clauses)? {
            return Ok(Some(format!(
                "the right side is defined only where {}",
                terms.show(clause)
            )));
        }
    }
    for clause in left.clauses.iter() {
        if !decider.follows(terms, clause, &right.clauses)? {
            return Ok(Some(format!(
                "the left side is defined only where {}",
                terms.show(clause)
            )));
        }
        lines.push(format!("  defined where {}", terms.show(clause)));
    }
    Ok(None)
}
