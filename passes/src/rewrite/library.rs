//! Libraries of rules: instances are made for the ranks, dtypes and axes that occur in a function, and kept.
//!
//! A rule in the text stands for so many instances that making all of them would take longer than compiling the
//! program. Those are made whose left side the function looks like somewhere, with the types that stand there.
//! Firings bring new forms about; [`Library::greedy`] then makes what they ask for and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aiai_ir::{FloatClass, Function, Instance, Rule, RuleInfo, RuleSet, Sym};

use super::profile::Profile;
use super::sketch::{Outline, Places};
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
    /// The rules that are applied.
    rules: Vec<Known>,
    made: Mutex<Made>,
}

/// A rule, with its source and its number there.
struct Known {
    source: usize,
    number: usize,
    info: RuleInfo,
}

/// An instance of the rule of this number in the library.
type Key = (usize, Instance);

/// What was made so far; nothing where an instance does not elaborate.
type Made = BTreeMap<Key, Option<Arc<Rule>>>;

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

/// Rounds of making instances, at most.
const ROUNDS: usize = 16;

impl Library {
    /// The rules of the sources that a class of floating-point results admits.
    pub fn new(sources: Vec<Box<dyn Source>>, float: Float) -> Library {
        let mut rules = Vec::new();
        for (source, of) in sources.iter().enumerate() {
            for (number, info) in of.infos().into_iter().enumerate() {
                if float.admits(info.class) {
                    rules.push(Known {
                        source,
                        number,
                        info,
                    });
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
        self.rules.iter().map(|rule| &rule.info)
    }

    /// The instances that may fire on a function, compiled.
    pub fn rules_for(&self, function: &Function) -> Rules {
        self.chosen(&Profile::of(function), Choice::Now)
    }

    /// The same for saturation, which meets forms that the function never has: also instances that others can
    /// lead to.
    pub fn rules_for_forms(&self, function: &Function) -> Rules {
        self.chosen(&Profile::of(function), Choice::Forms)
    }

    /// All instances that fit the types of a function, whatever its ops are.
    pub fn rules_for_types(&self, function: &Function) -> Rules {
        self.chosen(&Profile::of(function), Choice::Types)
    }

    /// The instances of the rules of one name that fit the types of a function, whatever its ops are.
    pub fn rules_named(&self, name: Sym, function: &Function) -> Rules {
        self.chosen(&Profile::of(function), Choice::Named(name))
    }

    fn chosen(&self, profile: &Profile, choice: Choice) -> Rules {
        let (keys, cut) = self.keys(profile, choice);
        let mut rules = self.rules_of(&keys);
        rules.cut = cut;
        rules
    }

    /// The instances that are made, and the rules that have more of them.
    fn keys(&self, profile: &Profile, choice: Choice) -> (BTreeSet<Key>, Vec<Sym>) {
        let numbers = match choice {
            Choice::Forms => self.reached(profile),
            Choice::Now | Choice::Types | Choice::Named(_) => (0..self.rules.len()).collect(),
        };
        let mut keys = BTreeSet::new();
        let mut cut = Vec::new();
        for number in numbers {
            let info = &self.rules[number].info;
            let places = match choice {
                Choice::Now => profile.outline.places(&info.left),
                Choice::Named(name) if name != info.name => continue,
                Choice::Forms | Choice::Types | Choice::Named(_) => Places::Any,
            };
            let (instances, more) = profile.instances(info, &places);
            if more {
                cut.push(info.name);
            }
            keys.extend(instances.into_iter().map(|instance| (number, instance)));
        }
        (keys, cut)
    }

    fn rules_of(&self, keys: &BTreeSet<Key>) -> Rules {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        self.make(&mut made, keys.iter());
        let rules = keys.iter().filter_map(|key| made.get(key)?.clone());
        Rules::shared(rules.collect())
    }

    /// The rules that meet the ops of a function and of what such rules bring about, one after another, in order.
    fn reached(&self, profile: &Profile) -> Vec<usize> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outline = profile.outline.clone();
        let mut left: Vec<usize> = (0..self.rules.len()).collect();
        let mut reached = Vec::new();
        loop {
            let met = |&number: &usize| outline.has_ops_of(&self.rules[number].info.left);
            let (new, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(met);
            if new.is_empty() {
                reached.sort_unstable();
                return reached;
            }
            left = rest;
            let instances = |&number: &usize| {
                let (all, _) = profile.instances(&self.rules[number].info, &Places::Any);
                all.into_iter().map(move |instance| (number, instance))
            };
            let keys: Vec<Key> = new.iter().flat_map(instances).collect();
            self.make(&mut made, keys.iter());
            for rule in keys.iter().filter_map(|key| made.get(key)?.as_ref()) {
                outline.add_ops(&Outline::of(&rule.rhs));
            }
            reached.extend(new);
        }
    }

    fn make<'k>(&self, made: &mut Made, wanted: impl Iterator<Item = &'k Key>) {
        let missing = wanted.filter(|key| !made.contains_key(*key));
        let missing: Vec<Key> = missing.cloned().collect();
        for (source, of) in self.sources.iter().enumerate() {
            let here = |key: &&Key| self.rules[key.0].source == source;
            let asked: Vec<&Key> = missing.iter().filter(here).collect();
            if asked.is_empty() {
                continue;
            }
            let keys = asked
                .iter()
                .map(|key| (self.rules[key.0].number, key.1.clone()));
            let set = of.instantiate(&keys.collect::<Vec<_>>());
            let mut rules = prepare(set).into_iter().peekable();
            // What does not elaborate is left out; the others come in the order that was asked for.
            for key in asked {
                let name = self.rules[key.0].info.name;
                let rule = rules.next_if(|rule| rule.name == name && rule.instance == key.1);
                made.insert(key.clone(), rule.map(Arc::new));
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
        let mut keys = BTreeSet::new();
        let mut seen = None;
        for number in 0..=ROUNDS {
            let profile = Profile::of(function);
            if seen.as_ref() == Some(&profile) {
                break;
            }
            let (wanted, cut) = self.keys(&profile, choice);
            seen = Some(profile);
            if wanted.is_subset(&keys) {
                break;
            }
            if number == ROUNDS {
                trace.limit_hit = Some(Limit::Rounds(ROUNDS));
                break;
            }
            keys.extend(wanted);
            for name in cut {
                if !trace.cut.contains(&name) {
                    trace.cut.push(name);
                }
            }
            let round = rewrite(&self.rules_of(&keys), function, &limits);
            limits.firings = limits.firings.saturating_sub(round.firings.len());
            limits.created = limits.created.saturating_sub(round.created);
            trace.firings.extend(round.firings);
            trace.created += round.created;
            trace.limit_hit = round.limit_hit.map(|limit| match limit {
                Limit::Firings(_) => Limit::Firings(all.firings),
                Limit::Created(_) => Limit::Created(all.created),
                other => other,
            });
            if trace.limit_hit.is_some() {
                break;
            }
        }
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
