//! From instances to a rule: the argument that some ranks stand for all.
//!
//! A pack that is used uniformly at rank 1 stands for any shape: its one axis may be taken to be the row-major
//! flattening of any number of axes, because every op treats it as a whole (see `docs/proofs.md`).

use std::collections::BTreeSet;

use aiai_ir::{AffineMap, Dim, Function, Op, OpNode, Rule, RuleInfo, Sym};

use aiai_ir::RuleAttribute as Attribute;

use super::bounded::{Effort, Sizes};
use super::eval::of_no_value;
use super::{Algebra, InstanceProof, Ranks, RuleProof, SolverUse, instance};
use crate::solver::Solver;

/// Packs of more axes are not tried at stated sizes.
const MOST_TRIED: usize = 3;

pub fn prove_all(
    info: &RuleInfo,
    instances: &[Rule],
    solver: &mut dyn Solver,
    mut effort: Effort,
) -> RuleProof {
    let mut steps = Vec::new();
    let mut float_proved = !instances.is_empty();
    let mut most = 0;
    let mut counterexample = None;
    let mut failed: Option<String> = None;
    let mut all_uniform = true;
    let mut stated = Stated::default();
    let mut not_asked: Option<String> = None;
    for rule in instances {
        let rank = rule.instance.ranks.values().copied().max().unwrap_or(0);
        if stated.below.is_some_and(|below| rank >= below) {
            continue;
        }
        let bounded = effort.bounded;
        // Of many axes there are too many sizes to try: without a proof for all, the claim ends below.
        effort.bounded &= rank <= MOST_TRIED;
        let proof = instance::prove(rule, solver, &mut effort);
        effort.bounded = bounded;
        counterexample = proof.counterexample;
        if let SolverUse::NotAttempted { why } = proof.solver {
            not_asked = not_asked.or(Some(why));
        }
        float_proved &= proof.float_proved;
        steps.push(format!("{}: {}", describe(rule), proof.algebra));
        steps.extend(proof.steps);
        all_uniform &= proof.uniform_packs;
        most = most.max(rank);
        match proof.algebra {
            InstanceProof::Proved => stated.ranks.push(rank),
            InstanceProof::Bounded { sizes } => {
                stated.ranks.push(rank);
                stated.sizes.push((rank, sizes));
            }
            // Of lower ranks something may still be claimed.
            InstanceProof::Unknown { why } if bounded && rank > 1 => {
                stated.below = Some(rank);
                stated.why = format!("{}: {why}", describe(rule));
            }
            InstanceProof::Unknown { why } | InstanceProof::Refuted { why } => {
                failed = Some(format!("{}: {why}", describe(rule)));
                break;
            }
        }
    }
    if instances.is_empty() {
        failed = Some("there is no instance".into());
    }
    let flattens = all_uniform && attributes_flatten(info) && covered(info, instances, most);
    let ranks = if info.packs.is_empty() || flattens {
        Ranks::All
    } else {
        Ranks::UpTo(most)
    };
    float_proved &= stated.below.is_none();
    let solver = not_asked.map_or(String::new(), |why| {
        format!("; the solver was not attempted: {why}")
    });
    let algebra = match failed {
        Some(why) => Algebra::None { why },
        None => stated.algebra(info).unwrap_or(Algebra::Proved { ranks }),
    };
    let algebra = match algebra {
        Algebra::None { why } => Algebra::None {
            why: format!("{why}{solver}"),
        },
        Algebra::Bounded { sizes } => Algebra::Bounded {
            sizes: format!("{sizes}{solver}"),
        },
        proved => proved,
    };
    RuleProof {
        float_proved: float_proved && !matches!(algebra, Algebra::None { .. }),
        algebra,
        steps,
        counterexample,
    }
}

/// What is claimed beside proofs for all sizes.
#[derive(Default)]
struct Stated {
    /// Of the instances that are proved or bounded, and the sizes of those that are bounded.
    ranks: Vec<usize>,
    sizes: Vec<(usize, Sizes)>,
    /// Packs of this rank have an instance of which nothing is claimed, and why.
    below: Option<usize>,
    why: String,
}

impl Stated {
    /// `None` where all instances are proved for all sizes.
    fn algebra(self, info: &RuleInfo) -> Option<Algebra> {
        let below = self.below.unwrap_or(usize::MAX);
        let Some(most) = self.ranks.into_iter().filter(|rank| *rank < below).max() else {
            return Some(Algebra::None { why: self.why });
        };
        let sizes = self.sizes.into_iter().filter(|(rank, _)| *rank < below);
        let joined = sizes.fold(None, |joined: Option<Sizes>, (_, sizes)| {
            Some(joined.unwrap_or_default().joined(&sizes))
        });
        let sizes = match (joined, below) {
            (None, usize::MAX) => return None,
            (None, _) => "all sizes".to_owned(),
            (Some(sizes), _) => sizes.to_string(),
        };
        Some(Algebra::Bounded {
            sizes: match info.packs.is_empty() {
                true => sizes,
                false => format!("{sizes}, ranks of packs up to {most}"),
            },
        })
    }
}

fn describe(rule: &Rule) -> String {
    let ranks = rule.instance.ranks.iter();
    let ranks = ranks.map(|(k, v)| format!("..{k}: {v}"));
    let dtypes = rule.instance.dtypes.iter();
    let dtypes = dtypes.map(|(k, v)| format!("{k}: {v}"));
    let attributes = rule.instance.attributes.iter();
    let attributes = attributes.map(|(k, v)| format!("{k}: {v:?}"));
    let all: Vec<String> = ranks.chain(dtypes).chain(attributes).collect();
    format!("{}({})", rule.name, all.join(", "))
}

/// Whether the instances show what an axis counted from the front can meet: every pack at ranks 1 and 2 (and 0,
/// unless an attribute needs an axis), and no more named axes than the packs have had.
fn covered(info: &RuleInfo, instances: &[Rule], most: usize) -> bool {
    let low = usize::from(!info.attributes.is_empty());
    let shown = info.packs.iter().all(|pack| {
        (low..=2).all(|rank| {
            let mut ranks = instances.iter().map(|r| r.instance.ranks.get(pack));
            ranks.any(|r| r == Some(&rank))
        })
    });
    let few = |ty: &aiai_ir::rule::ParamType| ty.packs.is_empty() || ty.named <= most;
    shown && info.types.iter().all(few)
}

/// Whether the attributes name single axes at most: the axes before and after one flatten by themselves, those
/// between two are a third group, which rank 3 does not show.
fn attributes_flatten(info: &RuleInfo) -> bool {
    let axes = info.attributes.iter().filter(|(_, kind)| match kind {
        aiai_ir::AttributeKind::Axis => true,
        aiai_ir::AttributeKind::Axes | aiai_ir::AttributeKind::Permutation => true,
        aiai_ir::AttributeKind::Bool | aiai_ir::AttributeKind::Int { .. } => false,
    });
    let mut axes = axes.peekable();
    if axes.peek().is_none() {
        return true;
    }
    let single = |kind: &aiai_ir::AttributeKind| *kind == aiai_ir::AttributeKind::Axis;
    info.attributes.iter().filter(|a| single(&a.1)).count() == 1 && axes.all(|a| single(&a.1))
}

/// Whether the sizes of every pack are used in such a way that one stands for several: as whole axes of
/// pointwise ops, reductions, contractions and broadcasts.
pub fn uniform(rule: &Rule) -> bool {
    let packed = pack_sizes(rule);
    if packed.is_empty() {
        return rule.instance.ranks.values().all(|rank| *rank == 0);
    }
    // The axis that an attribute names may be treated as any other.
    let named: BTreeSet<Sym> = named_axes(rule);
    let free: BTreeSet<Sym> = packed.difference(&named).copied().collect();
    [&rule.lhs, &rule.rhs]
        .iter()
        .all(|side| uniform_side(side, &free) && together(side, &free, &named))
        && rule.guard.iter().all(|(dim, _)| !mentions(*dim, &free))
}

/// The dimensions that packs stand for: named by the pack and a number.
fn pack_sizes(rule: &Rule) -> BTreeSet<Sym> {
    let mut found = BTreeSet::new();
    for sym in super::dims_of(rule) {
        let name = sym.as_str();
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let numbered = stem.len() < name.len();
        let of_pack = |pack: &Sym| pack.as_str() == stem || stem.is_empty() || stem == "_";
        if numbered && rule.instance.ranks.keys().any(of_pack) {
            found.insert(sym);
        }
    }
    found
}

/// Sizes of the axes that attributes name, in the parameters that have packs.
fn named_axes(rule: &Rule) -> BTreeSet<Sym> {
    let mut found = BTreeSet::new();
    for attribute in rule.instance.attributes.values() {
        if let Attribute::Int(axis) = attribute
            && let Ok(axis) = usize::try_from(*axis)
        {
            for ty in rule.lhs.param_types() {
                found.extend(ty.shape().get(axis).and_then(|n| n.as_sym()));
            }
        }
    }
    found
}

/// The name of the pack that a size belongs to.
fn stem(sym: Sym) -> &'static str {
    sym.as_str().trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Whether every value has the axes of a pack all together and in order, or none of them. Axes that attributes
/// name and those of one element may stand between.
fn together(side: &Function, free: &BTreeSet<Sym>, named: &BTreeSet<Sym>) -> bool {
    let mut values: Vec<aiai_ir::Value> = side.body.args.clone();
    side.body.walk(&mut |node| {
        values.extend(&node.results);
        values.extend(node.regions.iter().flat_map(|r| &r.args));
    });
    values.iter().all(|value| {
        let shape: Vec<Option<Sym>> = side
            .ty(*value)
            .shape()
            .iter()
            .filter(|n| !n.is_const(1) && n.as_sym().is_none_or(|s| !named.contains(&s)))
            .map(|n| n.as_sym().filter(|s| free.contains(s)))
            .collect();
        let mut at = 0;
        while at < shape.len() {
            let Some(first) = shape[at] else {
                at += 1;
                continue;
            };
            let whole: Vec<Option<Sym>> = free
                .iter()
                .filter(|s| stem(**s) == stem(first))
                .map(|s| Some(*s))
                .collect();
            if shape.get(at..at + whole.len()) != Some(whole.as_slice()) {
                return false;
            }
            at += whole.len();
        }
        true
    })
}

fn mentions(dim: Dim, syms: &BTreeSet<Sym>) -> bool {
    let mut found = false;
    dim.for_each_sym(&mut |sym| found |= syms.contains(&sym));
    found
}

/// The size is exactly one of the pack, or has nothing to do with it.
fn whole(dim: Dim, free: &BTreeSet<Sym>) -> bool {
    dim.as_sym().is_some_and(|sym| free.contains(&sym)) || !mentions(dim, free)
}

fn uniform_side(side: &Function, free: &BTreeSet<Sym>) -> bool {
    let mut all = true;
    side.body.walk(&mut |node| {
        let types = node.operands.iter().chain(&node.results);
        let shapes = types.flat_map(|v| side.ty(*v).shape());
        all &= shapes.clone().all(|n| whole(*n, free)) && uniform_node(side, node, free);
    });
    all
}

/// Whether an op treats the axes of the packs as wholes.
fn uniform_node(side: &Function, node: &OpNode, free: &BTreeSet<Sym>) -> bool {
    let axis_free = |value: aiai_ir::Value, axis: usize| {
        side.ty(value)
            .shape()
            .get(axis)
            .is_none_or(|n| !mentions(*n, free))
    };
    let untouched = |dims: &[Dim]| dims.iter().all(|d| !mentions(*d, free));
    match &node.op {
        Op::Constant { value } => value.shape.is_empty() || value.splat().is_some(),
        Op::Unary { .. }
        | Op::Binary { .. }
        | Op::Compare { .. }
        | Op::Select
        | Op::Cast { .. }
        | Op::StopGradient
        | Op::Broadcast { .. }
        | Op::If
        | Op::Fused { .. } => true,
        // A size as a value: a count of elements, which a product of sizes is too.
        Op::DimValue { dim } => counts(*dim, free),
        Op::Iota { shape, axis, .. } => !mentions(shape[*axis], free),
        // Wholly reduced, or not at all.
        Op::Reduce { .. } => true,
        Op::ArgReduce { axis, .. } | Op::Sort { axis, .. } => axis_free(node.operands[0], *axis),
        Op::Slice { .. } | Op::Pad { .. } => uniform_window(side, node, free),
        Op::Concat { axis } => node.operands.iter().all(|v| axis_free(*v, *axis)),
        Op::Reverse { axes } => axes.iter().all(|a| axis_free(node.operands[0], *a)),
        // Axes of packs keep their order and their neighbours in the pack.
        Op::Permute { axes } => {
            let shape = side.ty(node.operands[0]).shape();
            let order: Vec<usize> = axes
                .iter()
                .copied()
                .filter(|a| mentions(shape[*a], free))
                .collect();
            order.is_sorted() || order.len() < 2
        }
        // Whatever is merged or split must leave the axes of packs alone.
        Op::Reshape { shape } => {
            let from = side.ty(node.operands[0]).shape();
            let kept = |dims: &[Dim]| -> Vec<Dim> {
                dims.iter().copied().filter(|n| !n.is_const(1)).collect()
            };
            kept(from) == kept(shape)
        }
        Op::Gather { axes } | Op::Scatter { axes, .. } => {
            axes.iter().all(|a| axis_free(node.operands[0], *a))
        }
        Op::Contract { maps, out, .. } => uniform_maps(side, node, (maps, out), free),
        Op::Scan { from, to, step } => untouched(&[*from, *to, *step]),
        Op::DynamicSlice { .. } => whole_window(side, (node.operands[0], node.results[0]), free),
        Op::DynamicUpdate => whole_window(side, (node.operands[0], node.operands[1]), free),
        Op::While { max } => max.is_none_or(|m| !mentions(m, free)),
        Op::RandomBits { .. } | of_no_value!() => false,
    }
}

/// Whether a contraction addresses the axes of the packs by indices of their own.
fn uniform_maps(
    side: &Function,
    node: &OpNode,
    (maps, out): (&[AffineMap], &AffineMap),
    free: &BTreeSet<Sym>,
) -> bool {
    let values = node.operands.iter().chain(&node.results);
    let mut tensors = maps.iter().chain(std::iter::once(out)).zip(values);
    tensors.all(|(map, value)| {
        let shape = side.ty(*value).shape();
        let mut axes = map.coords.iter().zip(shape);
        axes.all(|(coordinate, n)| !mentions(*n, free) || coordinate.as_index().is_some())
    })
}

/// Whether a window at run-time positions has all of the axes of the packs.
fn whole_window(
    side: &Function,
    (tensor, window): (aiai_ir::Value, aiai_ir::Value),
    free: &BTreeSet<Sym>,
) -> bool {
    let (shape, window) = (side.ty(tensor).shape(), side.ty(window).shape());
    let mut axes = shape.iter().zip(window);
    axes.all(|(n, m)| !mentions(*n, free) || n == m)
}

/// Whether a slice or a padding leaves the axes of the packs as they are.
fn uniform_window(side: &Function, node: &OpNode, free: &BTreeSet<Sym>) -> bool {
    let shape = side.ty(node.operands[0]).shape();
    let untouched = |dims: &[Dim]| dims.iter().all(|d| !mentions(*d, free));
    (0..shape.len()).all(|k| match &node.op {
        _ if !mentions(shape[k], free) => true,
        Op::Slice {
            starts,
            limits,
            strides,
        } => starts[k].is_const(0) && limits[k] == shape[k] && strides[k].is_const(1),
        Op::Pad { low, high } => low[k].is_const(0) && high[k].is_const(0),
        _ => false,
    }) && match &node.op {
        Op::Pad { low, high } => untouched(low) && untouched(high),
        _ => true,
    }
}

/// Whether the value is a product of sizes, each pack's a factor once at most, and nothing is added to it.
fn counts(dim: Dim, free: &BTreeSet<Sym>) -> bool {
    if !mentions(dim, free) {
        return true;
    }
    let [(monomial, _)] = dim.terms() else {
        return false;
    };
    let factors: Vec<Sym> = monomial
        .iter()
        .filter_map(|(atom, power)| match atom {
            aiai_ir::dim::Atom::Sym(sym) if *power == 1 => Some(*sym),
            _ => None,
        })
        .collect();
    // All the axes of a pack or none.
    let together = free.iter().all(|sym| {
        let alike = factors
            .iter()
            .any(|f| free.contains(f) && stem(*f) == stem(*sym));
        !alike || factors.contains(sym)
    });
    factors.len() == monomial.len() && together
}
