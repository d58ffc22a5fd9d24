//! The contractions of a function that schedules can be tuned for, each alone.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use aiai_codegen::lower::{Alone, Fit, Note};
use aiai_codegen::{Options, Target};
use aiai_ir::schedule::{Axis, Condition, Pattern};
use aiai_ir::{Dim, Facts, Function, Loc, Op, Relation, Schedule, Sym, Truth};

use crate::{Failure, driver};

/// Contractions of one schedule and the same sizes.
pub struct Contraction {
    /// What its own schedule is called.
    pub name: Sym,
    /// The schedule that it gets.
    pub base: Schedule,
    /// In the order of [`Axis::ALL`], where it stands.
    pub sizes: [i64; 4],
    /// The same alone: without what is computed behind it, more indices may be one.
    pub own_sizes: [i64; 4],
    /// The numbers of rows that its schedule is for, from and to.
    pub rows: (i64, i64),
    pub alone: Alone,
    pub uses: usize,
    pub loc: Option<Loc>,
}

/// What there is to tune.
pub struct Found {
    /// The one that takes most multiplications first.
    pub contractions: Vec<Contraction>,
    /// What is left as it is, and why.
    pub others: Vec<String>,
}

/// The contractions of a function of primitives.
///
/// # Errors
/// No contraction, or sizes that are not known.
pub fn find(function: &Function, options: &Options, target: &Target) -> Result<Found, Failure> {
    bound(function)?;
    let plan = |function: &Function, options: &Options| {
        driver::on_a_deep_stack(|| aiai_mlir::planned(function, options, target))
    };
    let mut found = Found {
        contractions: Vec::new(),
        others: Vec::new(),
    };
    for note in plan(function, options)?.notes {
        // Rows and maps are left as they are.
        if matches!(note.pattern, Pattern::Rows | Pattern::Map) {
            continue;
        }
        let place = note.loc.map_or(String::new(), |l| {
            format!("{}:{}:{}: ", l.file, l.line, l.column)
        });
        let Some((fit, alone)) = only(&note) else {
            let why = match note.scheduled {
                Some(_) => ", which cannot be measured alone",
                None => "",
            };
            found.others.push(format!("{place}{}{why}", note.what));
            continue;
        };
        let sizes = fit.sizes.map(|d| d.as_const().unwrap_or(1));
        let same =
            |c: &&mut Contraction| c.base.name == fit.schedule && key(&c.sizes) == key(&sizes);
        if let Some(known) = found.contractions.iter_mut().find(same) {
            known.uses += 1;
            continue;
        }
        let named =
            |s: &&Schedule| s.name == fit.schedule && s.is_for(|feature| target.has(feature));
        let base = options.schedules.iter().find(named);
        let own_options = Options {
            weights: alone.weights.clone(),
            ..options.clone()
        };
        let own = plan(&alone.function, &own_options)?.notes;
        let own = own.iter().find_map(|n| Some(only(n)?.0.clone()));
        let (Some(base), Some(own)) = (base, own.filter(|own| own.schedule == fit.schedule)) else {
            let what = format!("schedule `{}` does not fit it alone", fit.schedule);
            found.others.push(format!("{place}{what}"));
            continue;
        };
        found.contractions.push(Contraction {
            name: name(base, &sizes),
            base: base.clone(),
            sizes,
            own_sizes: own.sizes.map(|d| d.as_const().unwrap_or(1)),
            rows: (0, 0),
            alone: alone.clone(),
            uses: 1,
            loc: note.loc,
        });
    }
    share_rows(&mut found.contractions);
    found
        .contractions
        .sort_by_key(|c| std::cmp::Reverse(c.multiplications()));
    Ok(found)
}

/// Says which sizes must be given.
fn bound(function: &Function) -> Result<(), Failure> {
    let (mut count, mut open) = (0, BTreeSet::new());
    function.body.walk(&mut |node| {
        if let Op::Contract { space, .. } = &node.op {
            count += 1;
            for dim in space {
                dim.for_each_sym(&mut |sym| {
                    open.insert(sym.to_string());
                });
            }
        }
    });
    let name = function.name;
    if count == 0 {
        return Err(Failure::input(format!(
            "`{name}` has no contraction: there is nothing to tune"
        )));
    }
    if open.is_empty() {
        return Ok(());
    }
    let options: Vec<String> = open.iter().map(|sym| format!("--dim {sym}=...")).collect();
    let sizes = if open.len() == 1 { "a size" } else { "sizes" };
    Err(Failure::input(format!(
        "schedules are tuned for known sizes; `{name}` needs {sizes}: `{}`",
        options.join(" ")
    )))
}

/// The only schedule that a contraction gets, and the contraction alone.
fn only(note: &Note) -> Option<(&Fit, &Alone)> {
    let scheduled = note.scheduled.as_ref()?;
    match scheduled.fits.as_slice() {
        [fit] => Some((fit, scheduled.alone.as_ref()?)),
        _ => None,
    }
}

/// What a guard pins.
fn key(sizes: &[i64; 4]) -> [i64; 3] {
    [Axis::Rows, Axis::Columns, Axis::Summed].map(|axis| sizes[axis as usize])
}

/// A schedule is for up to twice as many rows as it was measured with, and half as many; of two contractions that
/// differ in their rows alone, each is for the rows that are nearer to its own.
fn share_rows(contractions: &mut [Contraction]) {
    let keys: Vec<[i64; 3]> = contractions.iter().map(|c| key(&c.sizes)).collect();
    for contraction in contractions {
        let [rows, columns, summed] = key(&contraction.sizes);
        let (mut low, mut high) = (rows / 2, rows.saturating_mul(2));
        if rows <= 1 {
            (low, high) = (rows, rows);
        }
        for &[other, ..] in keys.iter().filter(|k| k[1..] == [columns, summed]) {
            let middle = rows / 2 + other / 2 + (rows % 2 + other % 2) / 2;
            match other.cmp(&rows) {
                Ordering::Less => low = low.max(middle + 1),
                Ordering::Greater => high = high.min(middle),
                Ordering::Equal => {}
            }
        }
        contraction.rows = (low, high);
    }
}

/// `weights_32_768_768`: the schedule, rows, columns, summed. Tuned again it keeps its name.
fn name(base: &Schedule, sizes: &[i64; 4]) -> Sym {
    let [rows, columns, summed] = key(sizes);
    let end = format!("_{rows}_{columns}_{summed}");
    let base = base.name.to_string();
    let stem = base.strip_suffix(&end).unwrap_or(&base);
    Sym::new(&format!("{stem}{end}"))
}

impl Contraction {
    fn multiplications(&self) -> i128 {
        self.sizes.iter().map(|&n| i128::from(n)).product::<i128>() * self.uses as i128
    }

    pub fn size(&self, axis: Axis) -> i64 {
        self.sizes[axis as usize]
    }

    /// The guard of a tuned schedule: the sizes that it was measured for, rows up to a factor of two, and what
    /// the schedule at the start asks for beside that.
    pub fn guard(&self) -> Vec<Condition> {
        let [_, columns, summed] = key(&self.sizes);
        let (low, high) = self.rows;
        let size = |axis: Axis| Dim::sym(axis.name());
        let mut guard = vec![
            equal(size(Axis::Columns), columns),
            equal(size(Axis::Summed), summed),
        ];
        if low == high {
            guard.push(equal(size(Axis::Rows), low));
        } else {
            let at_least = |dim| Condition::Size {
                dim,
                relation: Relation::NonNegative,
            };
            guard.push(at_least(size(Axis::Rows) - Dim::from(low)));
            guard.push(at_least(Dim::from(high) - size(Axis::Rows)));
        }
        let mut known = Facts::default();
        for condition in &guard {
            if let Condition::Size { dim, relation } = *condition {
                known.assume(relation, dim);
            }
        }
        let pinned = |symbol: Sym| match Axis::from_name(symbol.as_str())? {
            Axis::Columns => Some(Dim::from(columns)),
            Axis::Summed => Some(Dim::from(summed)),
            Axis::Rows if low == high => Some(Dim::from(low)),
            Axis::Rows | Axis::Batch => None,
        };
        guard.extend(
            self.base
                .guard
                .iter()
                .filter_map(|condition| match *condition {
                    Condition::Fact { .. } => Some(*condition),
                    Condition::Size { dim, relation } => {
                        let dim = dim.substitute(&pinned);
                        let open = known.check(relation, dim) != Truth::True;
                        open.then_some(Condition::Size { dim, relation })
                    }
                }),
        );
        guard
    }

    /// The guard where the contraction is alone.
    pub fn own_guard(&self) -> Vec<Condition> {
        let facts = self
            .base
            .guard
            .iter()
            .filter(|c| matches!(c, Condition::Fact { .. }));
        let pins = [Axis::Rows, Axis::Columns, Axis::Summed];
        let pins = pins.map(|axis| equal(Dim::sym(axis.name()), self.own_sizes[axis as usize]));
        facts.copied().chain(pins).collect()
    }
}

fn equal(dim: Dim, size: i64) -> Condition {
    Condition::Size {
        dim: dim - Dim::from(size),
        relation: Relation::Zero,
    }
}
