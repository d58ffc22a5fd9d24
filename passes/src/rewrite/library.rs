//! Libraries of rules: instances are made for the ranks, dtypes and axes that occur in a function, and kept.
//!
//! A rule in the text stands for so many instances that making all of them would take longer than compiling the
//! program. Those whose parameters have types that no value of the function has cannot fire, and are not made.
//! Firings bring new types about; [`Library::greedy`] then makes what they ask for and goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aiai_ir::{AttributeKind, DType, FloatClass, Function, Instance, Rule, RuleInfo, RuleSet, Sym};

use super::needs::Needs;
use super::profile::Profile;
use super::{Limit, Limits, Rewriter, Rules, Trace, prepare};

/// Where rules come from: a checked program of them.
pub trait Source: Send + Sync {
    fn infos(&self) -> Vec<RuleInfo>;

    /// Instances of the rules, each given by its number among the infos; those that do not elaborate are
    /// left out.
    fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet;

    /// The same, but right sides may be anything.
    fn left_sides(&self, wanted: &[(usize, Instance)]) -> RuleSet {
        self.instantiate(wanted)
    }
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

/// Which sides of rules are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Both,
}

/// What was made so far.
#[derive(Default)]
struct Made {
    instances: BTreeMap<(usize, Instance), Option<Arc<Rule>>>,
    /// Per rule, as far as known: what a program needs, and an instance that this was read off.
    needs: BTreeMap<usize, (Needs, Instance)>,
    /// Per rule, as far as known: what the right side brings.
    brings: BTreeMap<usize, Needs>,
}

/// Rounds of making instances, at most.
const ROUNDS: usize = 4;

impl Made {
    /// Adds the ops that rules can bring about, one after another.
    fn reach(&self, has: &mut Needs) {
        let mut left: Vec<usize> = self.brings.keys().copied().collect();
        loop {
            let before = left.len();
            left.retain(|number| {
                let met = self.needs[number].0.ops_met_by(has);
                if met {
                    has.add_ops(&self.brings[number]);
                }
                !met
            });
            if left.len() == before {
                return;
            }
        }
    }

    /// Whether a rule is known not to fire on a function that has this.
    fn excludes(&self, number: usize, has: &Needs) -> bool {
        let known = self.needs.get(&number);
        known.is_some_and(|(needs, _)| !needs.met_by(has))
    }
}

/// Instances that a function asks for which are tried to learn what a rule needs.
const ATTEMPTS: usize = 2;

/// Instances of rank 1 that are tried after those.
const SMALL_ATTEMPTS: usize = 12;

/// Instances with other attributes that are looked at as well.
const VARIANTS: usize = 4;

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
        let profile = Profile::of(function);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: Vec<(usize, Vec<Instance>)> = Vec::new();
        let mut cut: Vec<usize> = Vec::new();
        for (number, (_, _, info)) in self.rules.iter().enumerate() {
            let out = match choice {
                Choice::Now => made.excludes(number, &profile.has),
                Choice::Named(name) => name != info.name,
                Choice::Forms | Choice::Types => false,
            };
            if !out {
                let (instances, more) = profile.instances(info);
                if more {
                    cut.push(number);
                }
                wanted.push((number, instances));
            }
        }
        match choice {
            Choice::Now => {
                self.learn(&mut made, &wanted);
                wanted.retain(|(number, _)| !made.excludes(*number, &profile.has));
                for (number, all) in &mut wanted {
                    if let Some((needs, _)) = made.needs.get(number) {
                        let info = &self.rules[*number].2;
                        all.retain(|instance| profile.feeds(info, instance, needs));
                    }
                }
            }
            Choice::Forms => {
                self.learn(&mut made, &wanted);
                self.learn_results(&mut made);
                let mut has = profile.has.clone();
                made.reach(&mut has);
                wanted.retain(|(number, _)| {
                    let known = made.needs.get(number);
                    known.is_none_or(|(needs, _)| needs.ops_met_by(&has))
                });
            }
            Choice::Types | Choice::Named(_) => {}
        }
        cut.retain(|number| wanted.iter().any(|w| w.0 == *number && !w.1.is_empty()));
        let cut = cut.iter().map(|number| self.rules[*number].2.name);
        let keys: Vec<(usize, Instance)> = wanted
            .into_iter()
            .flat_map(|(number, all)| all.into_iter().map(move |instance| (number, instance)))
            .collect();
        self.make(&mut made, &keys);
        let rules = keys
            .iter()
            .filter_map(|key| made.instances.get(key)?.clone());
        let mut rules = Rules::shared(rules.collect());
        rules.cut = cut.collect();
        rules
    }

    /// Finds out what rules need: by an instance that the function asks for, or else a small one, and some that
    /// differ from it in what is no axis.
    fn learn(&self, made: &mut Made, wanted: &[(usize, Vec<Instance>)]) {
        let mut unknown: Vec<&(usize, Vec<Instance>)> = wanted
            .iter()
            .filter(|(number, all)| !made.needs.contains_key(number) && !all.is_empty())
            .collect();
        let new = unknown.clone();
        for attempt in 1..=ATTEMPTS {
            // Those of the middle have ranks and axes that fit more often than those of the ends.
            let choose =
                |_, all: &[Instance]| all.get(all.len() * attempt / (ATTEMPTS + 1)).cloned();
            self.attempt(made, &mut unknown, choose);
        }
        for attempt in 0..SMALL_ATTEMPTS {
            self.attempt(made, &mut unknown, |number, _| {
                let dtypes = [DType::F32, DType::I32];
                let info = &self.rules[number].2;
                let small = info.instances(1..=1, &dtypes, SMALL_ATTEMPTS);
                small.get(attempt).cloned()
            });
        }
        self.vary(made, &new);
    }

    /// Reads what each rule needs off one instance of it; those that elaborate are unknown no more.
    fn attempt(
        &self,
        made: &mut Made,
        unknown: &mut Vec<&(usize, Vec<Instance>)>,
        choose: impl Fn(usize, &[Instance]) -> Option<Instance>,
    ) {
        let chosen = unknown
            .iter()
            .filter_map(|(number, all)| Some((*number, choose(*number, all)?)));
        for (number, rule) in self.elaborated(&chosen.collect::<Vec<_>>(), Side::Left) {
            if let Some(rule) = rule {
                let needs = needs_of(&rule);
                made.needs.insert(number, (needs, rule.instance));
            }
        }
        unknown.retain(|(number, _)| !made.needs.contains_key(number));
    }

    /// Keeps of the needs what instances with other integers and flags have as well: the factor 2^k of a rule is
    /// another number for each k.
    fn vary(&self, made: &mut Made, new: &[&(usize, Vec<Instance>)]) {
        let mut others = Vec::new();
        for (number, all) in new {
            let mut kinds = self.rules[*number].2.attributes.iter();
            let varies = |kind| matches!(kind, AttributeKind::Int { .. } | AttributeKind::Bool);
            let Some((_, of)) = made.needs.get(number) else {
                continue;
            };
            if kinds.any(|&(_, kind)| varies(kind)) {
                let alike =
                    |i: &&Instance| i.ranks == of.ranks && i.dtypes == of.dtypes && *i != of;
                let alike: Vec<&Instance> = all.iter().filter(alike).collect();
                let every = alike.len().div_ceil(VARIANTS).max(1);
                others.extend(
                    alike
                        .into_iter()
                        .step_by(every)
                        .map(|i| (*number, i.clone())),
                );
            }
        }
        for (number, rule) in self.elaborated(&others, Side::Left) {
            if let (Some(rule), Some(known)) = (rule, made.needs.get_mut(&number)) {
                known.0.keep_common(&needs_of(&rule));
            }
        }
    }

    /// Finds out what the right sides of the rules bring whose needs are known.
    fn learn_results(&self, made: &mut Made) {
        let unknown = made.needs.iter().filter(|n| !made.brings.contains_key(n.0));
        let unknown: Vec<_> = unknown
            .map(|(number, known)| (*number, known.1.clone()))
            .collect();
        self.make(made, &unknown);
        for key in unknown {
            if let Some(Some(rule)) = made.instances.get(&key) {
                made.brings.insert(key.0, Needs::of_program(&rule.rhs));
            }
        }
    }

    fn make(&self, made: &mut Made, wanted: &[(usize, Instance)]) {
        let missing = wanted
            .iter()
            .filter(|key| !made.instances.contains_key(*key));
        let missing: Vec<(usize, Instance)> = missing.cloned().collect();
        let rules = self.elaborated(&missing, Side::Both);
        for (key, (_, rule)) in missing.into_iter().zip(rules) {
            made.instances.insert(key, rule.map(Arc::new));
        }
    }

    /// The instances, as many and in the same order, with the numbers of their rules; none where one does not
    /// elaborate.
    fn elaborated(&self, wanted: &[(usize, Instance)], side: Side) -> Vec<(usize, Option<Rule>)> {
        let mut found: Vec<_> = wanted.iter().map(|key| (key.0, None)).collect();
        for (source, of) in self.sources.iter().enumerate() {
            let here = |key: &(usize, Instance)| self.rules[key.0].0 == source;
            let places: Vec<usize> = (0..wanted.len()).filter(|&k| here(&wanted[k])).collect();
            if places.is_empty() {
                continue;
            }
            let keys = places.iter().map(|&k| &wanted[k]);
            let keys: Vec<_> = keys
                .map(|key| (self.rules[key.0].1, key.1.clone()))
                .collect();
            let set = match side {
                Side::Left => of.left_sides(&keys),
                Side::Both => of.instantiate(&keys),
            };
            let mut rules = prepare(set).into_iter().peekable();
            // What does not elaborate is left out; the others come in the order that was asked for.
            for place in places {
                let (number, instance) = &wanted[place];
                let name = self.rules[*number].2.name;
                found[place].1 =
                    rules.next_if(|rule| rule.name == name && rule.instance == *instance);
            }
        }
        found
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
            let chosen = self.chosen(function, choice);
            let round = rewrite(&chosen, function, &limits);
            let new = |name: &&Sym| !trace.cut.contains(name);
            let cut: Vec<Sym> = chosen.cut.iter().filter(new).copied().collect();
            trace.cut.extend(cut);
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

fn needs_of(rule: &Rule) -> Needs {
    let constants: Vec<bool> = rule.params.iter().map(|p| p.constant).collect();
    Needs::of_pattern(&rule.lhs, &constants)
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
