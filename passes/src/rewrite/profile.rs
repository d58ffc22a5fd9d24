//! What occurs in a function, and which instances of rules may therefore fire on it.

use std::collections::BTreeSet;

use aiai_ir::{
    AttributeKind, DType, DTypeBound, Function, Instance, Op, ParamType, RuleAttribute, RuleInfo,
    RuleParam, Sym, Type, rule::MOST_RANK,
};

use super::sketch::{Outline, Place, Places};

/// Instances of one rule for one function, at most.
const MOST_OF_ONE: usize = 512;

/// What occurs in a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    types: BTreeSet<(DType, usize)>,
    dtypes: BTreeSet<DType>,
    /// Sets of axes that ops reduce, reverse or add.
    axes: BTreeSet<Vec<usize>>,
    permutations: BTreeSet<Vec<usize>>,
    rank: usize,
    pub(super) outline: Outline,
}

impl Profile {
    pub fn of(function: &Function) -> Profile {
        let mut profile = Profile::default();
        for &param in function.params() {
            profile.ty(function.ty(param));
        }
        function.body.walk(&mut |node| {
            for region in &node.regions {
                for &arg in &region.args {
                    profile.ty(function.ty(arg));
                }
            }
            for &result in &node.results {
                profile.ty(function.ty(result));
            }
            profile.op(&node.op);
        });
        profile.outline = Outline::of(function);
        profile
    }

    fn ty(&mut self, ty: &Type) {
        self.types.insert((ty.dtype(), ty.rank()));
        self.dtypes.insert(ty.dtype());
        self.rank = self.rank.max(ty.rank());
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Reduce { axes, .. } | Op::Reverse { axes } => {
                self.axes.insert(axes.clone());
            }
            Op::Permute { axes } => {
                self.permutations.insert(axes.clone());
            }
            Op::Broadcast { shape, axes } => {
                let added = (0..shape.len()).filter(|k| !axes.contains(k));
                self.axes.insert(added.collect());
            }
            Op::Iota { axis, .. }
            | Op::Concat { axis }
            | Op::ArgReduce { axis, .. }
            | Op::Sort { axis, .. } => {
                self.axes.insert(vec![*axis]);
            }
            // The axes of the others are not what an attribute of a rule can be.
            _ => {}
        }
    }

    /// The instances of a rule that may fire at one of these places, in a fixed order, and whether there were more
    /// than are made.
    pub(super) fn instances(&self, info: &RuleInfo, places: &Places) -> (Vec<Instance>, bool) {
        let mut found = self.typed(info, places);
        for &(name, kind) in &info.attributes {
            let with = |instance: &Instance| {
                let values = self.values(kind, info.highest(instance));
                let instance = instance.clone();
                values.into_iter().map(move |value| {
                    let mut next = instance.clone();
                    next.attributes.insert(name, value);
                    next
                })
            };
            found = found.iter().flat_map(with).take(MOST_SPREAD).collect();
        }
        let more = found.len() > MOST_OF_ONE;
        found.truncate(MOST_OF_ONE);
        (found, more)
    }

    /// Those ranks and dtypes with which every parameter has a type that occurs, at one of the places. Most have none,
    /// so an instance is made only of what passed.
    fn typed(&self, info: &RuleInfo, places: &Places) -> Vec<Instance> {
        let listed = match places {
            Places::Any => None,
            Places::Listed(places) if places.is_empty() => return Vec::new(),
            Places::Listed(places) => Some(places),
        };
        let fitting = |bound: DTypeBound| {
            let dtypes = self.dtypes.iter().copied();
            dtypes.filter(|dtype| bound.holds(*dtype)).collect()
        };
        let dtypes: Vec<Vec<DType>> = info.dtypes.iter().map(|d| fitting(d.1)).collect();
        let params: Vec<Param> = info
            .params
            .iter()
            .zip(&info.types)
            .map(|(param, ty)| Param::of(info, param, ty))
            .collect();
        let most = self.rank.min(MOST_RANK);
        let packs = std::iter::repeat_n(most + 1, info.packs.len());
        let radixes: Vec<usize> = packs.chain(dtypes.iter().map(Vec::len)).collect();
        let mut found = Vec::new();
        let Some(mut digits) = first(&radixes) else {
            return found;
        };
        for _ in 0..MOST_SPREAD {
            let (ranks, chosen) = digits.split_at(info.packs.len());
            let chosen: Vec<DType> = chosen.iter().zip(&dtypes).map(|(&k, of)| of[k]).collect();
            let kinds = || params.iter().map(|param| param.kind(ranks, &chosen));
            let admits = |place: &Place| {
                let mut kinds = kinds().enumerate();
                kinds.all(|(number, kind)| kind.is_none_or(|kind| place.admits(number, kind)))
            };
            if params.iter().all(|param| param.fits(self, ranks, &chosen))
                && listed.is_none_or(|places| places.iter().any(admits))
            {
                found.push(Instance {
                    ranks: info
                        .packs
                        .iter()
                        .copied()
                        .zip(ranks.iter().copied())
                        .collect(),
                    dtypes: info.dtypes.iter().map(|d| d.0).zip(chosen).collect(),
                    ..Instance::default()
                });
            }
            if !next(&mut digits, &radixes) {
                break;
            }
        }
        found
    }

    fn values(&self, kind: AttributeKind, rank: usize) -> Vec<RuleAttribute> {
        let sets = |sets: &BTreeSet<Vec<usize>>, fits: &dyn Fn(&[usize]) -> bool| {
            let fitting = sets.iter().filter(|set| fits(set)).cloned();
            fitting.map(RuleAttribute::Axes).collect()
        };
        match kind {
            // One more: an axis may be added.
            AttributeKind::Axis => (0..=rank as i64).map(RuleAttribute::Int).collect(),
            AttributeKind::Axes => sets(&self.axes, &|set| {
                !set.is_empty() && set.iter().all(|&axis| axis <= rank)
            }),
            AttributeKind::Permutation => sets(&self.permutations, &|set| set.len() <= rank + 1),
            AttributeKind::Bool | AttributeKind::Int { .. } => kind.values(rank),
        }
    }
}

/// What is asked of the type of a parameter.
struct Param {
    elem: Elem,
    constant: bool,
    /// Its packs, by their numbers.
    packs: Vec<usize>,
    named: usize,
}

enum Elem {
    Known(DType),
    /// The generic one of this number.
    Generic(usize),
    /// Something else than a tensor: nothing is known of it.
    Other,
}

impl Param {
    fn of(info: &RuleInfo, param: &RuleParam, ty: &ParamType) -> Param {
        let generic = info.dtypes.iter().position(|d| d.0 == ty.dtype);
        let known = || ty.dtype.as_str().parse().map(Elem::Known);
        let number = |pack: &Sym| info.packs.iter().position(|p| p == pack);
        Param {
            elem: generic.map_or_else(|| known().unwrap_or(Elem::Other), Elem::Generic),
            constant: param.constant,
            packs: ty.packs.iter().filter_map(number).collect(),
            named: ty.named,
        }
    }

    /// Its dtype and rank; none where it is no tensor.
    fn kind(&self, ranks: &[usize], dtypes: &[DType]) -> Option<(DType, usize)> {
        let dtype = match self.elem {
            Elem::Known(dtype) => dtype,
            Elem::Generic(number) => dtypes[number],
            Elem::Other => return None,
        };
        let rank = self.packs.iter().map(|&pack| ranks[pack]).sum::<usize>() + self.named;
        Some((dtype, rank))
    }

    fn fits(&self, profile: &Profile, ranks: &[usize], dtypes: &[DType]) -> bool {
        match self.kind(ranks, dtypes) {
            Some((dtype, _)) if self.constant => profile.dtypes.contains(&dtype),
            Some(kind) => profile.types.contains(&kind),
            None => true,
        }
    }
}

/// The least number whose digits are below these; none where a digit has no value.
fn first(radixes: &[usize]) -> Option<Vec<usize>> {
    let all = radixes.iter().all(|&radix| radix > 0);
    all.then(|| vec![0; radixes.len()])
}

/// The next number, the last digit counting least; whether there is one.
fn next(digits: &mut [usize], radixes: &[usize]) -> bool {
    for (digit, &radix) in digits.iter_mut().zip(radixes).rev() {
        *digit += 1;
        if *digit < radix {
            return true;
        }
        *digit = 0;
    }
    false
}

/// Instances of one rule on the way, at most.
const MOST_SPREAD: usize = 1 << 16;
