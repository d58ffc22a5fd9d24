//! What chooses, as data: fusion, layouts, costs and derivatives that are written in the language.
//!
//! None of these can change what a program computes but a derivative, which is checked as rules are.

use crate::dim::Relation;
use crate::module::{Function, Loc, Module};
use crate::schedule::{Axis, Condition, Part, Pattern, Schedule, Step};
use crate::{DType, Dim, Facts, Sym, Truth};

/// A class of operations, as fusion and layouts name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpClass {
    /// Every element from the elements at the same place.
    Elementwise,
    /// Says where elements come from, or counts: broadcasts, slices, permutations.
    View,
    /// A product of operands, perhaps summed.
    Contract,
    /// Reductions.
    Reduction,
    /// What is computed row by row from reductions of the rows, as in softmax.
    Rows,
    /// Any of them.
    Any,
}

impl OpClass {
    pub const ALL: &'static [OpClass] = &[
        OpClass::Elementwise,
        OpClass::View,
        OpClass::Contract,
        OpClass::Reduction,
        OpClass::Rows,
        OpClass::Any,
    ];

    /// The name in the language.
    pub fn name(self) -> &'static str {
        match self {
            OpClass::Elementwise => "elementwise",
            OpClass::View => "view",
            OpClass::Contract => "contract",
            OpClass::Reduction => "reduction",
            OpClass::Rows => "rows",
            OpClass::Any => "any",
        }
    }

    pub fn from_name(name: &str) -> Option<OpClass> {
        OpClass::ALL
            .iter()
            .copied()
            .find(|class| class.name() == name)
    }

    pub fn covers(self, other: OpClass) -> bool {
        self == OpClass::Any || self == other
    }
}

/// Sizes that the guard of a `fuse` may ask for.
pub const FUSE_SIZES: &[&str] = &["uses", "ops"];
/// Sizes that the guard of a `layout` may ask for: numbers of indices of a contraction.
pub const LAYOUT_SIZES: &[&str] = &["batch", "rows", "columns", "summed"];
/// Parts that a layout is chosen for.
pub const LAYOUT_PARTS: &[&str] = &["left", "right"];
/// The classes of operations whose operands can lie in panels.
pub const LAYOUT_CLASSES: &[OpClass] = &[OpClass::Contract, OpClass::Any];
/// What a cost is a function of: points of the operation's space, elements read, elements written.
pub const COST_PARAMS: &[&str] = &["points", "read", "written"];

/// `fuse producer into consumer where guard`: an operation joins the group of the one that uses its
/// result. Legality is checked by the pass; this only chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct FuseChoice {
    pub producer: OpClass,
    pub consumer: OpClass,
    /// Over [`FUSE_SIZES`].
    pub guard: Vec<(Dim, Relation)>,
    pub doc: String,
    pub loc: Option<Loc>,
}

/// How the elements of a tensor lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutForm {
    /// As the shape says, last axis fastest.
    Plain,
    /// In panels of this many columns; of the left operand, rows.
    Blocked(i64),
}

/// `layout op where guard { part: form }`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayoutChoice {
    pub op: OpClass,
    /// Over [`LAYOUT_SIZES`].
    pub guard: Vec<(Dim, Relation)>,
    /// Each part once.
    pub choices: Vec<(Part, LayoutForm)>,
    pub doc: String,
    pub loc: Option<Loc>,
}

/// `cost op(points: i64, read: i64, written: i64) -> i64 { ... }`.
#[derive(Clone, Debug, PartialEq)]
pub struct CostChoice {
    /// An operation by name, or a family of the op table.
    pub op: Sym,
    /// Three `i64` scalars to one.
    pub function: Function,
    pub doc: String,
    pub loc: Option<Loc>,
}

/// `derivative op(operands, result, cotangent) { cotangents of the operands }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivative {
    /// An elementwise operation by name.
    pub op: Sym,
    /// One function per dtype and rank.
    pub functions: Vec<(DType, usize, Function)>,
    pub doc: String,
    pub loc: Option<Loc>,
}

/// What a program or the library chooses, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    pub fuse: Vec<FuseChoice>,
    pub layouts: Vec<LayoutChoice>,
    pub costs: Vec<CostChoice>,
    pub derivatives: Vec<Derivative>,
    /// What costs and derivatives call.
    pub module: Module,
}

impl FuseChoice {
    /// Whether an operation with this many uses may join a group of this many operations.
    pub fn allows(&self, producer: OpClass, consumer: OpClass, uses: usize, ops: usize) -> bool {
        let size = |sym: Sym| match sym.as_str() {
            "uses" => Some(Dim::from(uses as i64)),
            "ops" => Some(Dim::from(ops as i64)),
            _ => None,
        };
        let holds = |(dim, relation): &(Dim, Relation)| {
            Facts::default().check(*relation, dim.substitute(&size)) == Truth::True
        };
        self.producer.covers(producer)
            && self.consumer.covers(consumer)
            && self.guard.iter().all(holds)
    }
}

impl LayoutChoice {
    /// A schedule for contractions as it is with these layouts: operands are packed into panels of these widths
    /// or not at all, blocks of registers are as wide as the panels, and tiles whole numbers of them.
    pub fn over(&self, schedule: &Schedule) -> Schedule {
        let mut laid = schedule.clone();
        laid.name = Sym::new(&format!("{} by layout", schedule.name));
        let sizes = self.guard.iter();
        laid.guard
            .extend(sizes.map(|&(dim, relation)| Condition::Size { dim, relation }));
        for &(part, form) in &self.choices {
            let axis = match part {
                Part::Left => Axis::Rows,
                _ => Axis::Columns,
            };
            laid.steps.retain(|step| match *step {
                Step::Pack { part: packed } => packed != part,
                Step::Inline { part: from } => from != part || form != LayoutForm::Plain,
                // From panels of the right operand.
                Step::Prefetch { .. } => part != Part::Right || form != LayoutForm::Plain,
                Step::Register { axis: of, .. } => of != axis || form == LayoutForm::Plain,
                _ => true,
            });
            let LayoutForm::Blocked(width) = form else {
                continue;
            };
            for step in &mut laid.steps {
                match step {
                    Step::Tile { axis: of, by } if *of == axis => {
                        *by = by.saturating_add(width - 1) / width * width;
                    }
                    Step::Vectorize { axis: of, by } if *of == axis => *by = (*by).min(width),
                    _ => {}
                }
            }
            laid.steps.push(Step::Pack { part });
            laid.steps.push(Step::Register { axis, by: width });
        }
        laid
    }
}

/// Schedules with the layouts that were chosen, in the order in which they are tried: for each layout what it makes of
/// the schedules for contractions, then the schedules as they are.
pub fn laid_out(schedules: Vec<Schedule>, layouts: &[LayoutChoice]) -> Vec<Schedule> {
    let mut all = Vec::new();
    for layout in layouts {
        let contractions = schedules.iter().filter(|s| s.pattern == Pattern::Contract);
        all.extend(contractions.map(|schedule| layout.over(schedule)));
    }
    all.extend(schedules);
    all
}

impl Derivative {
    /// The function for operands of a dtype and rank.
    pub fn function(&self, dtype: DType, rank: usize) -> Option<&Function> {
        let fits = |found: &&(DType, usize, Function)| found.0 == dtype && found.1 == rank;
        self.functions.iter().find(fits).map(|found| &found.2)
    }
}
