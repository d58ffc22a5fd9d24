//! Schedules: how a kernel becomes loops, as data.
//!
//! A schedule chooses; it cannot change what is computed. Every step is a transformation of the loop nest
//! that keeps its meaning, and code generation refuses the ones that do not fit. Schedules are written in the
//! language (`stdlib/schedules`), tried in order, and the first whose pattern, target and guard fit is used.

use crate::dim::Relation;
use crate::module::Loc;
use crate::names::names;
use crate::{Dim, Sym};

names! {
    /// What a schedule is for.
    Pattern {
        /// A contraction of two operands: matrix products, convolutions, and what is elementwise behind them.
        Contract = "contract",
        /// Reductions of rows and what is computed from them row by row, as softmax and norms.
        Rows = "rows",
        /// Elementwise computations.
        Map = "map",
        /// `softmax(q k^T) v`: two contractions with the rows of their scores in between.
        Attention = "attention",
    }
}

names! {
    /// A group of indices of a pattern.
    Axis {
        /// Indices of both operands and the result.
        Batch = "batch",
        /// Indices of the left operand and the result; the rows of `rows` and `attention`.
        Rows = "rows",
        /// Indices of the right operand and the result; the elements of a row, or of a `map`.
        Columns = "columns",
        /// Indices of the operands that the result does not have.
        Summed = "summed",
    }
}

names! {
    /// What a step or a fact is about, beside an axis.
    Part {
        /// The operand without the columns.
        Left = "left",
        /// The operand with the columns.
        Right = "right",
        /// The result.
        Out = "out",
        /// What is elementwise behind a contraction.
        Epilogue = "epilogue",
    }
}

names! {
    /// A yes-or-no question about the operands that a guard may ask.
    Fact {
        /// `constant(part)`: the operand depends on weights alone.
        Constant = "constant",
        /// `dense(part)`: neighbouring columns (of `left`: summed indices) are neighbours in memory.
        Dense = "dense",
        /// `bare(part)`: every axis is addressed by an index of its own, without arithmetic.
        Bare = "bare",
    }
}

names! {
    /// What a step does.
    Verb {
        /// `tile axis by n`: cuts an axis into blocks of n. The loops over blocks stand outside of all others,
        /// in the order of the steps; n = 1 cuts into single indices.
        Tile = "tile",
        /// `register axis by n`: the innermost block of an axis. The results of a block stay in registers
        /// while the summed indices are gone through. Of `rows`, `register rows by n`: the partial results of n rows
        /// are combined side by side.
        Register = "register",
        /// `vectorize axis by n`: n neighbours at a time, in one vector. Ends are masked.
        Vectorize = "vectorize",
        /// `unroll axis by n`: n iterations of the innermost loop of an axis are written out. Where rows are reduced,
        /// each has a partial result of its own.
        Unroll = "unroll",
        /// `balance axis`: the register blocks of a tile of the axis are about equal, from half of what `register` says on,
        /// where whole ones do not come out even.
        Balance = "balance",
        /// `reorder axis, axis, ...`: the order of the loops over register blocks, outermost first.
        Reorder = "reorder",
        /// `parallel axis, axis, ...`: the outermost loops of these axes are shared out among the threads.
        Parallel = "parallel",
        /// `pack part`: copies the operand into panels in the order in which it is read: once when weights
        /// are loaded where it is constant, otherwise when the contraction starts.
        Pack = "pack",
        /// `inline part`: what is elementwise in front of an operand is computed while it is packed, instead of being
        /// stored first.
        Inline = "inline",
        /// `prefetch part by n`: asks for what is read n iterations later. Of `rows`, `prefetch rows by n`: the second
        /// pass along a row asks for the row n later, and with `register rows` the first for where the result comes.
        Prefetch = "prefetch",
        /// `fuse epilogue`: what is elementwise behind a contraction is done while its block is in registers.
        Fuse = "fuse",
    }
}

/// A step of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Tile {
        axis: Axis,
        by: i64,
    },
    Register {
        axis: Axis,
        by: i64,
    },
    Vectorize {
        axis: Axis,
        by: i64,
    },
    Unroll {
        axis: Axis,
        by: i64,
    },
    Balance {
        axis: Axis,
    },
    /// One axis of a `reorder`; they follow one another.
    Reorder {
        axis: Axis,
    },
    /// One axis of a `parallel`; they follow one another.
    Parallel {
        axis: Axis,
    },
    Pack {
        part: Part,
    },
    Inline {
        part: Part,
    },
    /// What so many iterations of an axis later read is asked for.
    Prefetch {
        axis: Axis,
        by: i64,
    },
    /// What is behind is computed where a register block is.
    Fuse {
        part: Part,
    },
    /// What is behind is computed where a tile of an axis is finished.
    FuseAt {
        part: Part,
        axis: Axis,
    },
}

/// A condition of a guard. One whose truth is not known when code is made is tested when it runs, if it is
/// about sizes, and does not hold otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// About the number of indices of axes, which the dimension names as symbols `batch`, `rows`, ...
    Size { dim: Dim, relation: Relation },
    /// About an operand: the fact holds, or does not.
    Fact { fact: Fact, part: Part, holds: bool },
}

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub name: Sym,
    pub pattern: Pattern,
    /// Features that the processor must have; see `aiai_runtime::cpu`.
    pub features: Vec<Sym>,
    /// Features that it must not have: another schedule is for those that have them.
    pub without: Vec<Sym>,
    /// All must hold.
    pub guard: Vec<Condition>,
    pub steps: Vec<Step>,
    pub doc: String,
    pub loc: Option<Loc>,
}

impl Schedule {
    /// Whether the schedule is for a processor of which one can ask what it has.
    pub fn is_for(&self, has: impl Fn(&str) -> bool) -> bool {
        self.features.iter().all(|f| has(f.as_str()))
            && !self.without.iter().any(|f| has(f.as_str()))
    }
}

/// What guards of contractions call the bytes of all weights of a program: those of more than fit the cache come from
/// memory whenever it runs.
pub const WEIGHTS: &str = "weights";

/// What they call the number of elements of the left operand that a task copies for each row where lanes are batches, by the
/// tiles of the schedule.
pub const COPIED: &str = "copied";

/// What guards of rows call the number of functions such as exp that are computed of each element.
pub const FUNCTIONS: &str = "functions";

/// What they call the number of sums and products that are taken of each row, whose order the steps decide.
pub const SUMS: &str = "sums";

/// The devices that schedules can be written for.
pub const DEVICES: &[&str] = &["cpu"];

/// What a step can be about; nothing where code generation would not follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Axes(&'static [Axis]),
    Parts(&'static [Part]),
}

impl Pattern {
    /// The groups of indices that the pattern has.
    pub fn axes(self) -> &'static [Axis] {
        match self {
            Pattern::Contract | Pattern::Attention => Axis::ALL,
            Pattern::Rows => &[Axis::Rows, Axis::Columns],
            Pattern::Map => &[Axis::Columns],
        }
    }

    /// The parts that steps and facts can be about.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Pattern::Contract => Part::ALL,
            Pattern::Attention => &[Part::Right],
            Pattern::Rows | Pattern::Map => &[],
        }
    }

    /// Whether tiles of an axis can be cut into smaller ones.
    pub fn nests_tiles(self, axis: Axis) -> bool {
        self == Pattern::Contract && matches!(axis, Axis::Rows | Axis::Columns)
    }
}

impl Verb {
    /// What the step can be about in a pattern. Code generation follows every one of these.
    pub fn subject(self, pattern: Pattern) -> Subject {
        use Axis::{Batch, Columns, Rows, Summed};
        let is_product = pattern == Pattern::Contract;
        let parts: &[Part] = match self {
            Verb::Prefetch => {
                return Subject::Axes(match pattern {
                    Pattern::Contract => &[Columns, Summed],
                    Pattern::Rows => &[Rows],
                    Pattern::Attention => &[Batch],
                    Pattern::Map => &[],
                });
            }
            Verb::Pack if pattern == Pattern::Attention => return Subject::Parts(&[Part::Right]),
            Verb::Pack | Verb::Inline => &[Part::Left, Part::Right],
            Verb::Fuse => &[Part::Epilogue],
            Verb::Tile
            | Verb::Register
            | Verb::Vectorize
            | Verb::Unroll
            | Verb::Balance
            | Verb::Reorder
            | Verb::Parallel => {
                return Subject::Axes(match (self, pattern) {
                    (Verb::Balance, Pattern::Contract) => &[Rows],
                    (Verb::Balance, _) => &[],
                    (Verb::Tile, Pattern::Contract) => &[Rows, Columns, Summed],
                    (Verb::Parallel, Pattern::Contract) => &[Batch, Rows, Columns],
                    (Verb::Tile, Pattern::Attention) => &[Rows, Columns],
                    (Verb::Tile | Verb::Parallel, Pattern::Rows | Pattern::Attention) => &[Rows],
                    (Verb::Register | Verb::Reorder, Pattern::Contract | Pattern::Attention) => {
                        &[Rows, Columns]
                    }
                    (Verb::Register, Pattern::Rows) => &[Rows],
                    (Verb::Reorder, Pattern::Rows) => &[],
                    (Verb::Register | Verb::Reorder, Pattern::Map) => &[],
                    (Verb::Vectorize, Pattern::Contract) => &[Batch, Columns, Summed],
                    (Verb::Unroll, Pattern::Contract) => &[Summed],
                    (Verb::Unroll, Pattern::Attention) => &[Rows, Columns],
                    _ => &[Columns],
                });
            }
        };
        Subject::Parts(if is_product { parts } else { &[] })
    }

    /// Where a step about a part may be done, which `at` says.
    pub fn places(self) -> &'static [Axis] {
        match self {
            Verb::Fuse => &[Axis::Rows],
            Verb::Tile
            | Verb::Register
            | Verb::Vectorize
            | Verb::Unroll
            | Verb::Balance
            | Verb::Reorder
            | Verb::Parallel
            | Verb::Pack
            | Verb::Inline
            | Verb::Prefetch => &[],
        }
    }

    /// Whether a number stands behind each axis or part: `by n`.
    pub fn takes_by(self) -> bool {
        match self {
            Verb::Tile | Verb::Register | Verb::Vectorize | Verb::Unroll | Verb::Prefetch => true,
            Verb::Balance
            | Verb::Reorder
            | Verb::Parallel
            | Verb::Pack
            | Verb::Inline
            | Verb::Fuse => false,
        }
    }
}

impl Fact {
    /// The parts that the question makes sense for.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Fact::Constant => &[Part::Left, Part::Right],
            Fact::Dense | Fact::Bare => &[Part::Left, Part::Right, Part::Out],
        }
    }
}
