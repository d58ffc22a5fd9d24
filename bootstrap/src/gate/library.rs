//! The admitted rules, as a judgement needs them: those that could touch a candidate, with a few instances.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use aiai_ir::{DType, Function, Rule};

use super::candidate::{File, each_op};

/// Instances of one admitted rule for one set of dtypes, at most.
const MOST: usize = 48;

/// Ranks of packs that admitted rules are looked at with.
const RANKS: std::ops::RangeInclusive<usize> = 0..=2;

/// Admitted rules.
#[derive(Default)]
pub struct Library {
    files: Vec<File>,
    entries: Vec<Entry>,
    /// Instances by entry and dtype.
    made: RefCell<BTreeMap<(usize, DType), Vec<Rule>>>,
}

struct Entry {
    file: usize,
    index: usize,
    /// The text of the rule alone.
    text: String,
    /// Names of the ops of the left side and of both.
    left: BTreeSet<&'static str>,
    all: BTreeSet<&'static str>,
}

impl Library {
    /// Reads files of admitted rules.
    ///
    /// # Errors
    /// Where one of them is not well formed: the gate does not judge against what it cannot read.
    pub fn read(files: &[(String, String)]) -> Result<Library, String> {
        let mut library = Library::default();
        for (name, text) in files {
            let file = File::read(name, text).map_err(|e| format!("{name}: {e}"))?;
            let number = library.files.len();
            for index in 0..file.infos.len() {
                let Some(candidate) = file.candidate_with(index, 4) else { continue };
                let Some(rule) = candidate.instances.first() else { continue };
                let left = ops_of(&rule.lhs);
                let mut all = ops_of(&rule.rhs);
                all.extend(&left);
                let text = candidate.text().to_owned();
                library.entries.push(Entry { file: number, index, text, left, all });
            }
            library.files.push(file);
        }
        Ok(library)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a rule of exactly this text is admitted.
    pub fn holds(&self, text: &str) -> bool {
        self.entries.iter().any(|e| e.text == text)
    }

    /// Instances of the rules that could fire on a function or on what becomes of it, but for the rule of
    /// exactly the given text.
    pub fn touching(&self, function: &Function, except: &str) -> Vec<Rule> {
        let mut reach = ops_of(function);
        let mut taken = vec![false; self.entries.len()];
        loop {
            let mut grown = false;
            for (number, entry) in self.entries.iter().enumerate() {
                if !taken[number] && entry.text != except && entry.left.is_subset(&reach) {
                    taken[number] = true;
                    let before = reach.len();
                    reach.extend(&entry.all);
                    grown |= reach.len() > before;
                }
            }
            if !grown {
                break;
            }
        }
        let dtypes = dtypes_of(function);
        let mut rules = Vec::new();
        for number in (0..self.entries.len()).filter(|n| taken[*n]) {
            for dtype in &dtypes {
                rules.extend(self.instances(number, *dtype));
            }
        }
        rules
    }

    fn instances(&self, number: usize, dtype: DType) -> Vec<Rule> {
        if let Some(known) = self.made.borrow().get(&(number, dtype)) {
            return known.clone();
        }
        let entry = &self.entries[number];
        let file = &self.files[entry.file];
        let info = &file.infos[entry.index];
        let generic = info.dtypes.first().map(|d| d.1);
        // Rules without open dtypes stand under f32, once.
        let fits = match generic {
            Some(bound) => bound.holds(dtype),
            None => dtype == DType::F32,
        };
        let made = if fits {
            let wanted = info.instances(RANKS, &[dtype], MOST);
            let wanted: Vec<_> = wanted.into_iter().map(|i| (entry.index, i)).collect();
            aiai_passes::rewrite::prepare(file.program.instantiate(&wanted))
        } else {
            Vec::new()
        };
        self.made.borrow_mut().insert((number, dtype), made.clone());
        made
    }
}

fn ops_of(function: &Function) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    each_op(function, &mut |node| {
        names.insert(node.op.name());
    });
    names
}

fn dtypes_of(function: &Function) -> BTreeSet<DType> {
    let mut dtypes: BTreeSet<DType> = function.param_types().iter().map(|t| t.dtype()).collect();
    each_op(function, &mut |node| {
        dtypes.extend(node.results.iter().map(|v| function.ty(*v).dtype()));
    });
    // Rules without open dtypes.
    dtypes.insert(DType::F32);
    dtypes
}
