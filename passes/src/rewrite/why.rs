//! Why a rule did not fire: where it came nearest, and what was in the way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aiai_ir::{Function, Instance, Loc, Relation, Rule, Sym, Truth, Value};

use super::pattern::{Kind, NodeId, Pattern};
use super::single::{Failure, Nearest as Attempt};
use super::survey::Survey;
use super::text::head;
use super::unify::Miss;
use super::{Limits, Rules};

/// How near a rule comes to firing on a function.
#[derive(Clone, Debug, PartialEq)]
pub enum Nearest {
    /// There is no rule of the name.
    Unknown,
    /// No instance of the rule is for types that the function has.
    NoInstance,
    /// The rule is never applied.
    Skipped { why: String },
    /// It fires.
    Fires { places: Vec<Option<Loc>> },
    /// It fits, but what it would make costs no less: what operations cost that would go, and that would come.
    NoGain {
        place: Option<Loc>,
        saved: u64,
        added: u64,
    },
    /// It fits nowhere; this is the nearest place.
    Near(Near),
}

/// Where a rule comes nearest.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    pub instance: Instance,
    /// Where the op comes from that would be replaced.
    pub place: Option<Loc>,
    /// How many values of the left side fitted, and how many there are.
    pub fitted: usize,
    pub of: usize,
    /// The part of the left side that did not fit; none where a condition did not hold.
    pub part: Option<String>,
    /// What stands there in the program, and where it comes from.
    pub found: Option<(String, Option<Loc>)>,
    /// What is wrong, as a sentence without a full stop.
    pub why: String,
}

/// How near the rule called `name` comes to firing on the function.
pub fn why(rules: &Rules, name: Sym, function: &Function) -> Nearest {
    let own = |rule: &&Arc<Rule>| rule.name == name;
    let instances: Vec<Arc<Rule>> = rules.rules.iter().filter(own).cloned().collect();
    if instances.is_empty() {
        return Nearest::Unknown;
    }
    let alone = Rules::shared(instances);
    if alone.patterns.is_empty() {
        let why = alone.skipped.first().map(|s| s.why.clone());
        return Nearest::Skipped {
            why: why.unwrap_or_default(),
        };
    }
    let survey = Survey::new(&alone, function);
    if let Some((value, _)) = survey.compiled().first() {
        return fits(&alone, function, survey.maker(*value).and_then(|n| n.loc));
    }
    let mut nearest: Option<(usize, Value, Attempt)> = None;
    for node in survey.nodes() {
        for &value in &node.results {
            for pattern in 0..alone.patterns.len() {
                let Some(attempt) = survey.nearest(pattern, value) else {
                    continue;
                };
                let size = |pattern: usize| alone.patterns[pattern].nodes.len();
                let nearer = nearest.as_ref().is_none_or(|(other, _, best)| {
                    attempt.fitted * size(*other) > best.fitted * size(pattern)
                });
                if nearer {
                    nearest = Some((pattern, value, attempt));
                }
            }
        }
    }
    match nearest {
        Some((pattern, value, attempt)) => {
            Nearest::Near(near(&survey, &alone, pattern, value, &attempt))
        }
        None => Nearest::NoInstance,
    }
}

/// Whether a rule that fits somewhere fires, alone on the function.
fn fits(alone: &Rules, function: &Function, place: Option<Loc>) -> Nearest {
    let trace = alone.greedy(&mut function.clone(), &Limits::default());
    if !trace.firings.is_empty() {
        return Nearest::Fires {
            places: trace.firings.iter().map(|f| f.place).collect(),
        };
    }
    let (saved, added) = trace.unpaid.unwrap_or_default();
    Nearest::NoGain {
        place,
        saved,
        added,
    }
}

fn near(
    survey: &Survey<'_>,
    rules: &Rules,
    number: usize,
    value: Value,
    attempt: &Attempt,
) -> Near {
    let pattern = &rules.patterns[number];
    let rule = &rules.rules[pattern.rule];
    let found = attempt.value.map(|at| {
        let maker = survey.maker(at);
        let text = match maker {
            Some(node) => head(&node.op, &BTreeMap::new()),
            None => "a parameter".into(),
        };
        (
            format!("{text}: {}", survey.ty(at)),
            maker.and_then(|node| node.loc),
        )
    });
    Near {
        instance: rule.instance.clone(),
        place: survey.maker(value).and_then(|node| node.loc),
        fitted: attempt.fitted,
        of: pattern.nodes.len(),
        part: attempt.node.map(|id| term(rule, pattern, id, 3)),
        found: found.filter(|_| attempt.fitted > 0),
        why: match attempt.fitted {
            0 => "no operation of the function is the outermost one of the left side".into(),
            _ => sentence(&attempt.why),
        },
    }
}

fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Op => "another operation makes it".into(),
        Failure::Type => "it has another dtype or rank".into(),
        Failure::Constant => "it is not that constant".into(),
        Failure::Same => "it is another value than where the rule has the same one".into(),
        Failure::Inside => "it is computed inside the loop or branch".into(),
        Failure::Regions => "the loop or branch has other arguments, results or effects".into(),
        Failure::Budget => "there are too many orders of operands".into(),
        Failure::Miss(miss) => match miss {
            Miss::Dim { bound, found, .. } => format!("`{bound}` is not known to equal `{found}`"),
            Miss::Unbound(name) => format!("nothing says what `{name}` is"),
            Miss::Negative { name, found } => {
                format!("`{name}` would be `{found}`, which may be negative")
            }
            Miss::Guard {
                dim,
                here,
                relation,
                truth,
            } => {
                let relation = match relation {
                    Relation::Zero => "== 0",
                    Relation::NonZero => "!= 0",
                    Relation::NonNegative => ">= 0",
                };
                let truth = match truth {
                    Truth::False => "false",
                    Truth::True | Truth::Unknown => "not known to hold",
                };
                format!("the guard `{dim} {relation}`, here `{here} {relation}`, is {truth}")
            }
            Miss::Domain { param, value } => format!("`{param}` is {value:?}, outside its domain"),
            Miss::Constants { param } => format!("`{param}` would be two numbers"),
            Miss::Size { dim, here, found } => {
                format!("{:?} is not `{dim}`, here `{here}`", found.as_f64())
            }
        },
    }
}

/// A part of a left side as text, so deep.
fn term(rule: &Rule, pattern: &Pattern, id: NodeId, depth: usize) -> String {
    let node = &pattern.nodes[id];
    let param = |number: usize| {
        let param = rule.params.get(number);
        param.map_or("_".to_owned(), |p| p.name.to_string())
    };
    match &node.kind {
        Kind::Param(number) | Kind::Splat(number) => param(*number),
        Kind::Literal(bits) if node.ty.dtype().is_float() => format!("{:?}", f64::from_bits(*bits)),
        Kind::Literal(bits) => (*bits as i64).to_string(),
        Kind::Size(dim) => dim.to_string(),
        Kind::Argument => "an argument of the loop".into(),
        Kind::Op(_) if depth == 0 => "...".into(),
        Kind::Op(op) => {
            let operands = op.operands.iter();
            let operands: Vec<String> = operands
                .map(|&operand| term(rule, pattern, operand, depth - 1))
                .collect();
            format!(
                "{}({})",
                head(&op.op, &BTreeMap::new()),
                operands.join(", ")
            )
        }
    }
}

fn shown(place: Option<Loc>) -> String {
    place.map_or("an unknown place".into(), |l| {
        format!("{}:{}:{}", l.file, l.line, l.column)
    })
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nearest::Unknown => write!(f, "there is no such rule"),
            Nearest::NoInstance => write!(
                f,
                "no value of the function has the type of a parameter of the rule"
            ),
            Nearest::Skipped { why } => write!(f, "the rule is never applied: {why}"),
            Nearest::Fires { places } => {
                let places: Vec<String> = places.iter().map(|&place| shown(place)).collect();
                write!(f, "fires at {}", places.join(", "))
            }
            Nearest::NoGain {
                place,
                saved,
                added,
            } => write!(
                f,
                "fits at {}, but does not pay: operations that cost {saved} would go, others that cost {added} come",
                shown(*place)
            ),
            Nearest::Near(near) => {
                writeln!(
                    f,
                    "nearest at {}: {} of {} parts of the left side fit",
                    shown(near.place),
                    near.fitted,
                    near.of
                )?;
                if let Some(part) = &near.part {
                    writeln!(f, "the rule has  {part}")?;
                }
                if let Some((found, place)) = &near.found {
                    write!(f, "the program   {found}")?;
                    match place {
                        Some(_) => writeln!(f, " ({})", shown(*place))?,
                        None => writeln!(f)?,
                    }
                }
                write!(f, "{}", near.why)
            }
        }
    }
}
