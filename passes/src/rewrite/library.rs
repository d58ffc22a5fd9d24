//! Libraries of rules: instances are made for the ranks, dtypes and axes that occur in a function, and kept.
//!
//! A rule in the text stands for so many instances that making all of them would take longer than compiling the
//! program. Those whose parameters have types that no value of the function has cannot fire, and are not made.
//! Firings bring new types about; [`Library::greedy`] then makes what they ask for and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aiai_ir::{
    AttributeKind, DType, FloatClass, Function, Instance, Op, Rule, RuleAttribute, RuleInfo,
    RuleSet, Sym, Type,
};

use super::needs::Needs;
use super::{Limit, Limits, Rewriter, Rules, Trace, prepare};

/// Where rules come from: a checked program of them.
pub trait Source: Send + Sync {
    fn infos(&self) -> Vec<RuleInfo>;

    /// Instances of the rules, each given by its number among the infos; those that do not elaborate are
    /// left out.
    fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet;
}

/// Which classes of rules are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Float {
    /// `exact` ones: results keep their bits.
    Strict,
    /// Also `real` ones.
    #[default]
    Real,
    /// Every one.
    All,
}

impl Float {
    pub fn admits(self, class: FloatClass) -> bool {
        match class {
            FloatClass::Exact => true,
            FloatClass::Real { .. } => self != Float::Strict,
            FloatClass::Approx { .. } => self == Float::All,
        }
    }
}

/// Rules of several sources, in order.
pub struct Library {
    sources: Vec<Box<dyn Source>>,
    /// Source and number within it of every rule that is applied.
    rules: Vec<(usize, usize, RuleInfo)>,
    made: Mutex<Made>,
}

/// Which instances are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// What may fire on the function as it is.
    Now,
    /// What may fire on a form of it.
    Forms,
    /// Whatever its types admit.
    Types,
    /// The same of rules of one name.
    Named(Sym),
}

/// What was made so far.
#[derive(Default)]
struct Made {
    instances: BTreeMap<(usize, Instance), Option<Arc<Rule>>>,
    /// Per rule, as far as known: what a program needs, and what the right side brings.
    needs: BTreeMap<usize, (Needs, Needs)>,
}

/// Rounds of making instances, at most.
const ROUNDS: usize = 4;

impl Made {
    /// Adds the ops that rules can bring about, one after another.
    fn reach(&self, has: &mut Needs) {
        let mut left: Vec<&(Needs, Needs)> = self.needs.values().collect();
        loop {
            let before = left.len();
            left.retain(|(needs, brings)| {
                let met = needs.ops_met_by(has);
                if met {
                    has.add_ops(brings);
                }
                !met
            });
            if left.len() == before {
                return;
            }
        }
    }
}

/// Instances that a function asks for which are tried to learn what a rule needs.
const ATTEMPTS: usize = 2;

/// Instances of rank 1 that are tried after those.
const SMALL_ATTEMPTS: usize = 12;

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
    has: Needs,
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
        profile.has = Needs::of_program(function);
        profile
    }

    /// Whether all that occurs here occurs in the other.
    pub fn within(&self, other: &Profile) -> bool {
        self.types.is_subset(&other.types)
            && self.axes.is_subset(&other.axes)
            && self.permutations.is_subset(&other.permutations)
            && self.has.met_by(&other.has)
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

    /// The instances of a rule that may fire on the function, in a fixed order, and whether there were more than
    /// are made.
    fn instances(&self, info: &RuleInfo) -> (Vec<Instance>, bool) {
        let mut found = vec![Instance::default()];
        for &pack in &info.packs {
            found = spread(&found, |instance, out| {
                out.extend((0..=self.rank).map(|rank| {
                    let mut next = instance.clone();
                    next.ranks.insert(pack, rank);
                    next
                }));
            });
        }
        for &(name, bound) in &info.dtypes {
            found = spread(&found, |instance, out| {
                let fitting = self.dtypes.iter().filter(|dtype| bound.holds(**dtype));
                out.extend(fitting.map(|&dtype| {
                    let mut next = instance.clone();
                    next.dtypes.insert(name, dtype);
                    next
                }));
            });
        }
        found.retain(|instance| self.has_types(info, instance));
        for &(name, kind) in &info.attributes {
            found = spread(&found, |instance, out| {
                out.extend(
                    self.values(kind, self.highest(info, instance))
                        .into_iter()
                        .map(|value| {
                            let mut next = instance.clone();
                            next.attributes.insert(name, value);
                            next
                        }),
                );
            });
        }
        let more = found.len() > MOST_OF_ONE;
        found.truncate(MOST_OF_ONE);
        (found, more)
    }

    /// Whether every parameter has a type that occurs.
    fn has_types(&self, info: &RuleInfo, instance: &Instance) -> bool {
        info.params.iter().zip(&info.types).all(|(param, ty)| {
            let dtype = match instance.dtypes.get(&ty.dtype) {
                Some(&dtype) => dtype,
                None => match ty.dtype.as_str().parse() {
                    Ok(dtype) => dtype,
                    // Something else than a tensor: nothing is known of it.
                    Err(()) => return true,
                },
            };
            if param.constant {
                return self.dtypes.contains(&dtype);
            }
            let packs = ty.packs.iter().filter_map(|pack| instance.ranks.get(pack));
            self.types
                .contains(&(dtype, packs.sum::<usize>() + ty.named))
        })
    }

    /// The most axes that a parameter has.
    fn highest(&self, info: &RuleInfo, instance: &Instance) -> usize {
        let ranks = info.types.iter().map(|ty| {
            let packs = ty.packs.iter().filter_map(|pack| instance.ranks.get(pack));
            packs.sum::<usize>() + ty.named
        });
        ranks.max().unwrap_or(0)
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

fn spread(
    found: &[Instance],
    mut more: impl FnMut(&Instance, &mut Vec<Instance>),
) -> Vec<Instance> {
    let mut out = Vec::new();
    for instance in found {
        more(instance, &mut out);
        if out.len() > MOST_SPREAD {
            break;
        }
    }
    out
}

/// Instances of one rule on the way, at most.
const MOST_SPREAD: usize = 1 << 16;

impl Library {
    /// The rules of the sources that a class of floating-point results admits.
    pub fn new(sources: Vec<Box<dyn Source>>, float: Float) -> Library {
        let mut rules = Vec::new();
        for (source, of) in sources.iter().enumerate() {
            for (number, info) in of.infos().into_iter().enumerate() {
                if float.admits(info.class) {
                    rules.push((source, number, info));
                }
            }
        }
        Library {
            sources,
            rules,
            made: Mutex::default(),
        }
    }

    /// The rules, in order.
    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.iter().map(|rule| &rule.2)
    }

    /// The instances that may fire on a function, compiled.
    pub fn rules_for(&self, function: &Function) -> Rules {
        self.chosen(function, Choice::Now)
    }

    /// The same for saturation, which meets forms that the function never has: also instances that others can
    /// lead to.
    pub fn rules_for_forms(&self, function: &Function) -> Rules {
        self.chosen(function, Choice::Forms)
    }

    /// All instances that fit the types of a function, whatever its ops are.
    pub fn rules_for_types(&self, function: &Function) -> Rules {
        self.chosen(function, Choice::Types)
    }

    /// The instances of the rules of one name that fit the types of a function, whatever its ops are.
    pub fn rules_named(&self, name: Sym, function: &Function) -> Rules {
        self.chosen(function, Choice::Named(name))
    }

    fn chosen(&self, function: &Function, choice: Choice) -> Rules {
        let mut profile = Profile::of(function);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: Vec<(usize, Vec<Instance>)> = Vec::new();
        for (number, (_, _, info)) in self.rules.iter().enumerate() {
            if !matches!(choice, Choice::Named(name) if name != info.name) {
                let (instances, _) = profile.instances(info);
                wanted.push((number, instances));
            }
        }
        match choice {
            Choice::Now | Choice::Forms => self.learn(&mut made, &wanted),
            Choice::Types | Choice::Named(_) => {}
        }
        if choice == Choice::Forms {
            made.reach(&mut profile.has);
        }
        wanted.retain(|(number, _)| match (choice, made.needs.get(number)) {
            (Choice::Now, Some((needs, _))) => needs.met_by(&profile.has),
            (Choice::Forms, Some((needs, _))) => needs.ops_met_by(&profile.has),
            (Choice::Now | Choice::Forms, None) | (Choice::Types | Choice::Named(_), _) => true,
        });
        let keys: Vec<(usize, Instance)> = wanted
            .into_iter()
            .flat_map(|(number, all)| all.into_iter().map(move |instance| (number, instance)))
            .collect();
        self.make(&mut made, &keys);
        let rules = keys
            .iter()
            .filter_map(|key| made.instances.get(key)?.clone());
        Rules::shared(rules.collect())
    }

    /// Finds out what rules need, by one instance of each: one that the function asks for, or else a small one.
    fn learn(&self, made: &mut Made, wanted: &[(usize, Vec<Instance>)]) {
        for attempt in 1..=ATTEMPTS {
            self.attempt(made, wanted, |_, all| {
                // Those of the middle have ranks and axes that fit more often than those of the ends.
                all.get(all.len() * attempt / (ATTEMPTS + 1)).cloned()
            });
        }
        for attempt in 0..SMALL_ATTEMPTS {
            self.attempt(made, wanted, |number, _| {
                let dtypes = [DType::F32, DType::I32];
                let small = self.rules[number]
                    .2
                    .instances(1..=1, &dtypes, SMALL_ATTEMPTS);
                small.get(attempt).cloned()
            });
        }
    }

    /// Makes one instance of each rule of which nothing is known, and learns from those that there are.
    fn attempt(
        &self,
        made: &mut Made,
        wanted: &[(usize, Vec<Instance>)],
        choose: impl Fn(usize, &[Instance]) -> Option<Instance>,
    ) {
        let unknown = wanted
            .iter()
            .filter(|(number, all)| !made.needs.contains_key(number) && !all.is_empty());
        let next: Vec<(usize, Instance)> = unknown
            .filter_map(|(number, all)| Some((*number, choose(*number, all)?)))
            .collect();
        self.make(made, &next);
        for key in next {
            if let Some(Some(rule)) = made.instances.get(&key) {
                let constants: Vec<bool> = rule.params.iter().map(|p| p.constant).collect();
                let needs = Needs::of_pattern(&rule.lhs, &constants);
                let brings = Needs::of_program(&rule.rhs);
                made.needs.insert(key.0, (needs, brings));
            }
        }
    }

    fn make(&self, made: &mut Made, wanted: &[(usize, Instance)]) {
        for (source, of) in self.sources.iter().enumerate() {
            let missing = wanted
                .iter()
                .filter(|key| self.rules[key.0].0 == source && !made.instances.contains_key(*key));
            let missing: Vec<(usize, Instance)> = missing.cloned().collect();
            if missing.is_empty() {
                continue;
            }
            let numbers: Vec<(usize, Instance)> = missing
                .iter()
                .map(|(rule, instance)| (self.rules[*rule].1, instance.clone()))
                .collect();
            let mut rules = prepare(of.instantiate(&numbers)).into_iter().peekable();
            // What does not elaborate is left out; the others come in the order that was asked for.
            for key in missing {
                let name = self.rules[key.0].2.name;
                let next = rules.next_if(|rule| rule.name == name && rule.instance == key.1);
                made.instances.insert(key, next.map(Arc::new));
            }
        }
    }

    fn rounds(
        &self,
        function: &mut Function,
        limits: &Limits,
        choice: Choice,
        rewrite: impl Fn(&Rules, &mut Function, &Limits) -> Trace,
    ) -> Trace {
        let mut trace = Trace::default();
        let all = limits;
        let mut limits = limits.clone();
        for _ in 0..ROUNDS {
            let profile = Profile::of(function);
            let round = rewrite(&self.chosen(function, choice), function, &limits);
            let fired = !round.firings.is_empty();
            limits.firings = limits.firings.saturating_sub(round.firings.len());
            limits.created = limits.created.saturating_sub(round.created);
            trace.firings.extend(round.firings);
            trace.created += round.created;
            trace.limit_hit = round.limit_hit.map(|limit| match limit {
                Limit::Firings(_) => Limit::Firings(all.firings),
                Limit::Created(_) => Limit::Created(all.created),
                other => other,
            });
            if !fired || trace.limit_hit.is_some() || Profile::of(function).within(&profile) {
                return trace;
            }
        }
        trace.limit_hit = Some(Limit::Rounds(ROUNDS));
        trace
    }
}

impl Rewriter for Library {
    fn greedy(&self, function: &mut Function, limits: &Limits) -> Trace {
        self.rounds(function, limits, Choice::Now, Rules::greedy)
    }

    fn saturate(&self, function: &mut Function, limits: &Limits) -> Trace {
        self.rounds(function, limits, Choice::Forms, Rules::saturate)
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}
