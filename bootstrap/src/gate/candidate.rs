//! A candidate: one rule of a file, with its instances, ready for the steps.

use std::collections::{BTreeMap, BTreeSet};

use aiai_frontend::ast;
use aiai_frontend::diagnostics::render;
use aiai_frontend::elaborate::{Loader, Program, check};
use aiai_ir::{
    AttributeKind, DType, DTypeBound, FloatClass, Function, Instance, Op, OpNode, Rule,
    RuleAttribute, RuleInfo,
};

use crate::worker::Listed;
use aiai_ir::random::Random;
use aiai_ir::rule::MOST_RANK;

/// Bytes of a file of rules, at most.
pub const MOST_BYTES: usize = 1 << 20;

/// Rules of a file, at most.
pub const MOST_RULES: usize = 1000;

/// Instances of the common dtypes that are looked at, at most; and of the others.
const MOST_COMMON: usize = 160;
const MOST_OTHER: usize = 64;

/// Instances of a rank above 3 that are drawn.
const MOST_HIGH: usize = 24;

/// Instances that are proved, at most.
const MOST_PROVED: usize = 40;

/// A file of rules that the front end accepts.
pub struct File {
    pub name: String,
    pub text: String,
    pub program: Program,
    pub infos: Vec<RuleInfo>,
}

/// One rule of a file.
pub struct Candidate<'f> {
    pub file: &'f File,
    pub index: usize,
    pub info: &'f RuleInfo,
    pub syntax: &'f ast::Rule,
    /// Sides of primitives; the plainest first.
    pub instances: Vec<Rule>,
}

/// Files of rules use no others.
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("a file of rules stands alone".to_owned())
    }
}

/// The rules of a file as they are written.
pub fn rules_of(program: &Program) -> Vec<&ast::Rule> {
    let items = program.files.last().map_or(&[][..], |f| f.items.as_slice());
    let mut rules = Vec::new();
    for item in items {
        match item {
            ast::Item::Rule(rule) => rules.push(rule),
            ast::Item::Rules(group) => rules.extend(&group.rules),
            ast::Item::Use(_)
            | ast::Item::Module(_)
            | ast::Item::Fn(_)
            | ast::Item::Schedule(_)
            | ast::Item::Fuse(_)
            | ast::Item::Layout(_)
            | ast::Item::Cost(_)
            | ast::Item::Derivative(_)
            | ast::Item::Test(_)
            | ast::Item::Prop(_)
            | ast::Item::Bench(_) => {}
        }
    }
    rules
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn read(name: &str, text: &str) -> Result<File, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("{} bytes, at most {MOST_BYTES}", text.len()));
        }
        let program = check(name, text, &NoFiles);
        if !program.diagnostics.is_empty() {
            let found = program.diagnostics.iter().take(5);
            let shown: Vec<String> = found.map(|d| render(d, &program.sources, false)).collect();
            return Err(shown.join("\n"));
        }
        let infos = program.rule_infos();
        let file = File {
            name: name.to_owned(),
            text: text.to_owned(),
            program,
            infos,
        };
        file.allowed()?;
        Ok(file)
    }

    /// Rules and what they call, with tests of them; nothing that reads files or decides elsewhere.
    fn allowed(&self) -> Result<(), String> {
        let items = self
            .program
            .files
            .last()
            .map_or(&[][..], |f| f.items.as_slice());
        for item in items {
            let what = match item {
                ast::Item::Rule(_) | ast::Item::Rules(_) => continue,
                ast::Item::Fn(_) | ast::Item::Test(_) | ast::Item::Prop(_) => continue,
                ast::Item::Use(_) => "`use`: a file of rules stands alone",
                ast::Item::Module(_) => "a module",
                ast::Item::Schedule(_) => "a schedule",
                ast::Item::Fuse(_) => "`fuse`, which is for another slot,",
                ast::Item::Layout(_) => "`layout`, which is for another slot,",
                ast::Item::Cost(_) => "`cost`, which is for another slot,",
                ast::Item::Derivative(_) => "`derivative`, which is for another slot,",
                ast::Item::Bench(_) => "a bench",
            };
            let line = self.program.sources.loc(item.span()).line;
            return Err(format!(
                "line {line}: {what} has no place in a file of rules"
            ));
        }
        match self.infos.len() {
            0 => Err("the file holds no rule".to_owned()),
            1..=MOST_RULES => self.named_once(),
            n => Err(format!("{n} rules, at most {MOST_RULES}")),
        }
    }

    fn named_once(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        match self.infos.iter().find(|info| !names.insert(info.name)) {
            None => Ok(()),
            Some(info) => Err(format!("two rules are named `{}`", info.name)),
        }
    }

    fn syntax(&self) -> Vec<&ast::Rule> {
        rules_of(&self.program)
    }

    /// Names and texts of the rules, each alone.
    pub fn texts(&self) -> Vec<(String, String)> {
        let text = |rule: &&ast::Rule| {
            self.text
                .get(rule.span.range())
                .unwrap_or_default()
                .to_owned()
        };
        self.syntax()
            .iter()
            .map(|rule| (rule.name.name.to_string(), text(rule)))
            .collect()
    }

    /// The text of the functions beside the rules, which mutants of a rule need too.
    pub fn helpers(&self) -> String {
        let items = self
            .program
            .files
            .last()
            .map_or(&[][..], |f| f.items.as_slice());
        let functions = items.iter().filter(|item| matches!(item, ast::Item::Fn(_)));
        let texts = functions.filter_map(|item| self.text.get(item.span().range()));
        texts.map(|text| format!("{text}\n\n")).collect()
    }

    /// Every rule, with a file of its own.
    pub fn listed(&self) -> Vec<Listed> {
        let helpers = self.helpers();
        let rules = self.syntax().into_iter().map(|rule| {
            let docs: String = rule
                .doc
                .text()
                .lines()
                .map(|line| format!("/// {line}\n"))
                .collect();
            let text = self.text.get(rule.span.range()).unwrap_or_default();
            Listed {
                name: rule.name.name.to_string(),
                alone: format!("{helpers}{docs}{text}\n"),
                within: None,
            }
        });
        rules.collect()
    }

    /// A rule with its instances.
    pub fn candidate(&self, index: usize) -> Option<Candidate<'_>> {
        self.candidate_with(index, usize::MAX)
    }

    /// A rule with a few of its instances: of the common dtypes, as many as are well typed, at most.
    pub fn candidate_with(&self, index: usize, most: usize) -> Option<Candidate<'_>> {
        let info = self.infos.get(index)?;
        let chosen = choose(info);
        if most < chosen.len() {
            for part in chosen.chunks(16) {
                let found = self.made(index, part);
                if !found.is_empty() {
                    let instances = found.into_iter().take(most).collect();
                    let syntax = *self.syntax().get(index)?;
                    return Some(Candidate {
                        file: self,
                        index,
                        info,
                        syntax,
                        instances,
                    });
                }
            }
        }
        let mut instances = self.made(index, &chosen);
        let most = MOST_COMMON + MOST_OTHER;
        if instances.len() > most && combinations(info) == 1 {
            let step = instances.len() as f64 / most as f64;
            let kept = (0..most).map(|k| instances[(k as f64 * step) as usize].clone());
            instances = kept.collect();
        }
        let syntax = *self.syntax().get(index)?;
        Some(Candidate {
            file: self,
            index,
            info,
            syntax,
            instances,
        })
    }

    fn made(&self, index: usize, wanted: &[Instance]) -> Vec<Rule> {
        let wanted: Vec<(usize, Instance)> = wanted
            .iter()
            .map(|instance| (index, instance.clone()))
            .collect();
        aiai_passes::rewrite::prepare(self.program.instantiate(&wanted))
    }
}

impl Candidate<'_> {
    pub fn name(&self) -> &'static str {
        self.info.name.as_str()
    }

    /// The text of the rule alone.
    pub fn text(&self) -> &str {
        self.file
            .text
            .get(self.syntax.span.range())
            .unwrap_or_default()
    }

    /// The instances that a proof is made of: all ranks and attributes of the first dtype, of each other dtype the
    /// plainest. What is proved of one holds for the others of its kind, floats or integers.
    pub fn for_proof(&self) -> Vec<Rule> {
        let mut seen: Vec<&BTreeMap<_, _>> = Vec::new();
        let mut chosen = Vec::new();
        for rule in &self.instances {
            let dtypes = &rule.instance.dtypes;
            let known = seen.iter().position(|other| *other == dtypes);
            if known.is_none() {
                seen.push(dtypes);
            }
            if matches!(known, None | Some(0)) {
                chosen.push(rule.clone());
            }
        }
        // Axes and permutations of several tensors are many; some of each stand for them. Numbers do not: every one is
        // another rule.
        if chosen.len() > MOST_PROVED {
            let mut numbers = BTreeSet::new();
            let (mut kept, rest): (Vec<Rule>, Vec<Rule>) = chosen
                .into_iter()
                .partition(|rule| numbers.insert(numbers_of(self.info, &rule.instance)));
            let more = MOST_PROVED.saturating_sub(kept.len());
            let step = (rest.len() as f64 / more.max(1) as f64).max(1.0);
            let places = (0..more).map(|k| (k as f64 * step) as usize);
            kept.extend(places.filter_map(|k| rest.get(k).cloned()));
            chosen = kept;
        }
        chosen
    }

    /// The combinations of numbers and flags that the instances have.
    pub fn numbers(&self) -> usize {
        let all = self.instances.iter();
        let all: BTreeSet<_> = all.map(|r| numbers_of(self.info, &r.instance)).collect();
        all.len()
    }

    /// A few instances that differ: of each rank, dtype and attribute one, as far as the number goes.
    pub fn spread(&self, most: usize) -> Vec<&Rule> {
        few(self.instances.iter().collect(), most)
    }

    /// The same, of tensors of so many axes as a pack of the admitted rules has: with more, those may not fire.
    pub fn spread_low(&self, most: usize) -> Vec<&Rule> {
        let low = |rule: &&Rule| {
            let params = rule.lhs.param_types();
            params.iter().all(|ty| ty.rank() <= MOST_RANK)
        };
        few(self.instances.iter().filter(low).collect(), most)
    }
}

/// So many of them, evenly spread.
fn few(all: Vec<&Rule>, most: usize) -> Vec<&Rule> {
    if all.len() <= most {
        return all;
    }
    let step = all.len() as f64 / most as f64;
    (0..most).map(|k| all[(k as f64 * step) as usize]).collect()
}

/// The integers and flags among the attributes of an instance.
fn numbers_of(info: &RuleInfo, instance: &Instance) -> Vec<RuleAttribute> {
    let numbers = info.attributes.iter().filter(|a| counts(a.1) > 1);
    numbers
        .filter_map(|(name, _)| instance.attributes.get(name).cloned())
        .collect()
}

/// How many values an attribute has that is a number or a flag; 1 for axes.
fn counts(kind: AttributeKind) -> u64 {
    match kind {
        AttributeKind::Bool => 2,
        AttributeKind::Int { low, high } => (high.saturating_sub(low).max(0) as u64) + 1,
        AttributeKind::Axis | AttributeKind::Axes | AttributeKind::Permutation => 1,
    }
}

/// How many combinations of numbers and flags a rule stands for.
pub fn combinations(info: &RuleInfo) -> u64 {
    let each = info.attributes.iter().map(|a| counts(a.1));
    each.fold(1, u64::saturating_mul)
}

/// The dtypes in the order of their use.
const DTYPES: [DType; 13] = [
    DType::F32,
    DType::I32,
    DType::Bool,
    DType::F16,
    DType::BF16,
    DType::U8,
    DType::F64,
    DType::I64,
    DType::I8,
    DType::U32,
    DType::I16,
    DType::U16,
    DType::U64,
];

/// Which instances stand for a rule: the common dtypes at every rank and attribute, others at few.
pub fn choose(info: &RuleInfo) -> Vec<Instance> {
    let ranks = if info.packs.len() > 1 { 0..=2 } else { 0..=3 };
    let common: Vec<DType> = match info.dtypes.first() {
        Some((_, bound)) => DTYPES
            .into_iter()
            .filter(|d| bound.holds(*d))
            .take(2)
            .collect(),
        None => vec![DType::F32],
    };
    let most = if info.attributes.len() > 1 {
        4 * MOST_COMMON
    } else {
        MOST_COMMON
    };
    let chosen = if info.packs.len() > 1 {
        info.instances(ranks, &common, 1 << 14)
    } else {
        // Rank by rank: the bound is for each.
        let of = |rank| info.instances(rank..=rank, &common, 1 << 12);
        ranks.flat_map(of).collect()
    };
    let mut chosen = thinned(chosen, most);
    if !info.dtypes.is_empty() {
        let others: Vec<DType> = DTYPES.into_iter().filter(|d| !common.contains(d)).collect();
        let rest = info.instances(0..=2, &others, 4096);
        chosen.extend(thinned(rest, MOST_OTHER));
        if info.dtypes.len() > 1 {
            // Pairs of a common dtype and another.
            let mixed = info.instances(0..=1, &DTYPES, 4096);
            chosen.extend(thinned(mixed, MOST_OTHER));
        }
    }
    // Every combination of numbers, at one rank and dtype.
    if combinations(info) > 1 {
        let plain = info.instances(1..=1, &common[..1], 1 << 12);
        let mut numbers = BTreeSet::new();
        chosen.extend(
            plain
                .into_iter()
                .filter(|instance| numbers.insert(numbers_of(info, instance))),
        );
    }
    chosen.extend(high(info, &common));
    let mut seen = BTreeSet::new();
    chosen.retain(|instance| seen.insert(instance.clone()));
    chosen
}

/// Instances of higher ranks than can be gone through, drawn: up to the highest that the rule fires at, where it
/// may be right for low ranks only.
fn high(info: &RuleInfo, dtypes: &[DType]) -> Vec<Instance> {
    let draws = match (info.packs.len(), info.attributes.is_empty()) {
        (0, _) => 0,
        (1, true) => 1,
        _ => MOST_HIGH,
    };
    let mut random = Random::new(0x4164);
    let mut found = BTreeSet::new();
    for rank in 4..=MOST_RANK {
        for _ in 0..draws {
            let first = random.below(info.packs.len());
            let packs = info.packs.iter().enumerate().map(|(at, pack)| match at {
                at if at == first => (*pack, rank),
                _ => (*pack, random.below(rank)),
            });
            let mut instance = Instance {
                ranks: packs.collect(),
                ..Instance::default()
            };
            for (name, bound) in &info.dtypes {
                let fits = dtypes.iter().copied().find(|d| bound.holds(*d));
                let Some(dtype) = fits.or(DTYPES.into_iter().find(|d| bound.holds(*d))) else {
                    return Vec::new();
                };
                instance.dtypes.insert(*name, dtype);
            }
            let axes = info.highest(&instance);
            for (name, kind) in &info.attributes {
                let value = attribute(*kind, axes, &mut random);
                instance.attributes.insert(*name, value);
            }
            found.insert(instance);
        }
    }
    found.into_iter().collect()
}

/// An attribute for a tensor of some axes.
fn attribute(kind: AttributeKind, axes: usize, random: &mut Random) -> RuleAttribute {
    let mut order: Vec<usize> = (0..axes).collect();
    match kind {
        AttributeKind::Axis => RuleAttribute::Int(random.below(axes.max(1)) as i64),
        AttributeKind::Axes => {
            random.shuffle(&mut order);
            order.truncate(1 + random.below(axes.max(1)));
            order.sort_unstable();
            RuleAttribute::Axes(order)
        }
        AttributeKind::Permutation => {
            random.shuffle(&mut order);
            RuleAttribute::Axes(order)
        }
        AttributeKind::Bool => RuleAttribute::Bool(random.one_in(2)),
        AttributeKind::Int { low, high } => {
            let values = high.saturating_sub(low).clamp(0, 1 << 20) as usize + 1;
            RuleAttribute::Int(low + random.below(values) as i64)
        }
    }
}

/// A fixed choice of some, in their order: of every combination of ranks, dtypes and lengths of attributes as many,
/// since most of the long ones do not fit.
fn thinned(all: Vec<Instance>, most: usize) -> Vec<Instance> {
    if all.len() <= most {
        return all;
    }
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, instance) in all.iter().enumerate() {
        let lengths: Vec<usize> = instance.attributes.values().map(length).collect();
        let key = (instance.ranks.clone(), instance.dtypes.clone(), lengths);
        groups.entry(key).or_default().push(at);
    }
    let mut random = Random::new(0x5EED);
    groups.values_mut().for_each(|group| random.shuffle(group));
    let mut kept = Vec::new();
    for turn in 0.. {
        let before = kept.len();
        for group in groups.values() {
            kept.extend(group.get(turn).filter(|_| kept.len() < most).copied());
        }
        if kept.len() == before {
            break;
        }
    }
    kept.sort_unstable();
    kept.into_iter().map(|k| all[k].clone()).collect()
}

fn length(attribute: &RuleAttribute) -> usize {
    match attribute {
        RuleAttribute::Axes(axes) => axes.len(),
        RuleAttribute::Int(_) | RuleAttribute::Bool(_) => 0,
    }
}

/// Whether every dtype of the bound is an integer or `bool`.
pub fn never_float(bound: DTypeBound) -> bool {
    !bound.holds(DType::F32)
}

/// A class as it is written.
pub fn class_text(class: FloatClass) -> String {
    match class {
        FloatClass::Exact => "exact".to_owned(),
        FloatClass::Real { finite: false } => "real".to_owned(),
        FloatClass::Real { finite: true } => "real finite".to_owned(),
        FloatClass::Approx { ulp } => format!("approx({ulp} ulp)"),
    }
}

/// Calls `visit` with every op of a function.
pub fn each_op<'a>(function: &'a Function, visit: &mut impl FnMut(&'a OpNode)) {
    function.body.walk(visit);
}

/// How many ops compute something: constants are free.
pub fn ops(function: &Function) -> usize {
    let mut count = 0;
    each_op(function, &mut |node| match node.op {
        Op::Constant { .. } | Op::DimValue { .. } => {}
        _ => count += 1,
    });
    count
}
