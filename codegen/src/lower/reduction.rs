//! Reductions.

use aiai_ir::schedule::Pattern;
use aiai_ir::{
    ArgKind, BinaryKind, CompareKind, DType, Dim, Op, OpNode, ReduceKind, Type, UnaryKind, Value,
};

use aiai_runtime::kernels::LANES;

use super::elementwise::CHUNK;
use super::{Lowerer, Place};

/// Elements that are reduced without a micro-kernel.
const SHORT: i64 = 16;
const GRAIN: i64 = 8;
/// Elements to a task, about, and what a length is taken for that is known at run time only.
const TASK: i64 = 8192;
const TYPICAL: i64 = 512;

/// How two partial results become one.
#[derive(Clone, Copy, Debug)]
pub struct Fold {
    pub kind: ReduceKind,
    /// A maximum that is NaN may be another number instead: one instruction where NaN that stays takes three.
    pub skips_nan: bool,
}

impl From<ReduceKind> for Fold {
    fn from(kind: ReduceKind) -> Fold {
        Fold {
            kind,
            skips_nan: false,
        }
    }
}

impl<'a> Lowerer<'a> {
    pub fn reduce(&mut self, node: &'a OpNode, kind: ReduceKind, axes: &[usize], acc: DType) {
        let x = node.operands[0];
        let shape = self.shape(x).to_vec();
        let rank = shape.len();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        let kept: Vec<usize> = (0..rank).filter(|k| !axes.contains(k)).collect();
        let out = self.destination(node.results[0]);
        let trailing = axes.iter().copied().eq(rank - axes.len()..rank);
        let sizes = self.sizes_of_rows(&shape, x, Some(kind));
        if !trailing && !kept.is_empty() && kept[kept.len() - 1] == rank - 1 {
            return self.by_schedule(Pattern::Rows, &sizes, |this| {
                this.reduce_columns(node, kind, (&axes, &kept), acc, out);
                Some("columns are reduced, not rows".into())
            });
        }
        self.by_schedule(Pattern::Rows, &sizes, |this| {
            this.reduce_each(x, kind, (&axes, &kept), acc, out);
            this.memo.clear();
            let floats = "only sums, maxima and minima of f32 and of some length are";
            this.lanes_of(x).err().or(Some(floats.into()))
        });
    }

    /// Reduces some axes, the last one among them, for each index of the others.
    fn reduce_each(
        &mut self,
        x: Value,
        kind: ReduceKind,
        (axes, kept): (&[usize], &[usize]),
        acc: DType,
        out: Value,
    ) {
        let shape = self.shape(x).to_vec();
        let outer: Vec<Dim> = kept.iter().map(|&k| shape[k]).collect();
        let mut store = |this: &mut Self, at: &[Value]| {
            let total = this.reduce_one(x, kind.into(), (axes, kept), acc, at);
            let total = this.b.cast(total, this.dtype(x));
            let mut place = vec![total, out];
            place.extend(at);
            this.b.op(Op::Store, &place, Vec::new());
        };
        let size = Dim::product(axes.iter().map(|&a| shape[a]));
        let is_short = size.as_const().is_some_and(|n| n < SHORT);
        let Some(line) = self.line.filter(|_| !kept.is_empty() && !is_short) else {
            return self.tasks(&outer, &mut store);
        };
        let rows = Dim::product(outer.iter().copied());
        // Rows that are read once wait for memory, not for the ends of reductions.
        self.rows_abreast(|_, _| Err("nothing goes on from what they are reduced to".into()));
        let Some(tile) = line.tile else {
            // A row is work enough that a task is a few of them.
            let rows = self.dim(rows);
            let grain = TASK / size.as_const().unwrap_or(TYPICAL).clamp(1, TASK);
            return self.line_tasks(rows, grain, |this, row| {
                let at = this.delinearize(&outer, row);
                store(this, &at);
            });
        };
        let blocks = self.dim(rows.ceil_div(Dim::from(tile)));
        self.line_tasks(blocks, 1, |this, block| {
            let (from, count) = this.rows_of_task(block, tile, rows);
            this.for_loop(count, 1, |this, row| {
                let row = this.add(from, row);
                let at = this.delinearize(&outer, row);
                store(this, &at);
            });
        });
    }

    /// The reduction of the elements of x whose kept axes are at the given index.
    pub fn reduce_one(
        &mut self,
        x: Value,
        fold: Fold,
        axes: (&[usize], &[usize]),
        acc: DType,
        at: &[Value],
    ) -> Value {
        let (axes, kept) = axes;
        let kind = fold.kind;
        let shape = self.shape(x).to_vec();
        let wide = if matches!(kind, ReduceKind::Sum | ReduceKind::Prod) {
            acc
        } else {
            self.dtype(x)
        };
        let init = self.identity(kind, wide);
        let Some((&last, before)) = axes.split_last() else {
            let element = self.element(x, at);
            return self.b.cast(element, wide);
        };
        let kernel = match kind {
            ReduceKind::Sum if wide == DType::F32 => Some("aiai_row_sum_f32"),
            ReduceKind::Max if wide == DType::F32 => Some("aiai_row_max_f32"),
            ReduceKind::Min if wide == DType::F32 => Some("aiai_row_min_f32"),
            _ => None,
        };
        if let (Some(kernel), DType::F32) = (kernel, self.dtype(x))
            && last == shape.len() - 1
            && !is_short(axes.iter().map(|&a| shape[a]))
        {
            return self.reduce_rows(x, fold, kernel, (before, kept), at, init);
        }
        let sizes: Vec<Dim> = axes.iter().map(|&a| shape[a]).collect();
        let combined = self.fold_nest(&sizes, &[init], &mut |this, inner, carry| {
            let index = merge(shape.len(), (kept, at), (axes, inner));
            let element = this.element(x, &index);
            let element = this.b.cast(element, wide);
            vec![this.combine(fold, carry[0], element)]
        });
        combined[0]
    }

    /// Trailing f32 rows by micro-kernel, chunk by chunk; a buffer in order is read where it lies.
    fn reduce_rows(
        &mut self,
        x: Value,
        fold: Fold,
        kernel: &str,
        axes: (&[usize], &[usize]),
        at: &[Value],
        init: Value,
    ) -> Value {
        let ((before, kept), kind) = (axes, fold.kind);
        let shape = self.shape(x).to_vec();
        let (rank, last) = (shape.len(), shape[shape.len() - 1]);
        let result = [Type::scalar(DType::F32)];
        if let Some(Place::Buffer {
            buffer,
            axes: order,
        }) = self.places.get(&x).cloned()
            && order.iter().copied().eq(0..rank)
            && kept.iter().copied().eq(0..kept.len())
        {
            let outer: Vec<Dim> = shape[..kept.len()].to_vec();
            let n = self.product(&shape[kept.len()..]);
            let from = self.row_start(&outer, at, n);
            if self.line.is_some() && !(before.is_empty() && self.in_vectors(x)) {
                return self.fold_memory(fold, buffer, from, n);
            } else if self.line.is_some() {
                return self.fold_rows(x, fold, axes, at, init);
            }
            return self.kernel(kernel, &[buffer, from, n], &result)[0];
        }
        if self.in_vectors(x) {
            return self.fold_rows(x, fold, axes, at, init);
        }
        let n = self.dim(last);
        let zero = self.int(0);
        if before.is_empty() {
            if let Some((buffer, from)) = self.row_in_memory(x, at) {
                return self.kernel(kernel, &[buffer, from, n], &result)[0];
            }
            if let (ReduceKind::Sum, Some([a, b])) = (kind, self.factors_in_memory(x, at)) {
                let operands = [a.0, a.1, b.0, b.1, n];
                return self.kernel("aiai_row_dot_f32", &operands, &result)[0];
            }
        }
        let sizes: Vec<Dim> = before.iter().map(|&a| shape[a]).collect();
        let rows = self.product(&sizes);
        let width = self.int(CHUNK);
        let chunks = self.dim(last.ceil_div(Dim::from(CHUNK)));
        let stages = self.stages(x);
        let scratch = match stages.last() {
            Some(&stage) if stage == x => None,
            _ => Some(self.alloc(DType::F32, &[Dim::from(CHUNK)])),
        };
        // A row of several chunks goes on with its partial sums, so that it has the order of one that lies in memory.
        let several = last.as_const().is_none_or(|n| n > CHUNK);
        let partial = (several && kind == ReduceKind::Sum).then(|| {
            let lanes = Dim::from(LANES as i64);
            self.alloc(DType::F32, &[lanes])
        });
        let lanes = self.int(LANES as i64);
        self.fold_loop(rows, &[init], |this, row, carry| {
            let inner = this.delinearize(&sizes, row);
            let prefix = merge(rank - 1, (kept, at), (before, &inner));
            if let Some(partial) = partial {
                this.for_loop(lanes, 4, |this, lane| {
                    this.b.op(Op::Store, &[init, partial, lane], Vec::new());
                });
            }
            let done = this.fold_loop(chunks, carry, |this, chunk, carry| {
                let from = this.mul(chunk, width);
                let left = this.b.binary(BinaryKind::Sub, n, from);
                let size = this.b.binary(BinaryKind::Min, left, width);
                let filled = this.fill_chunk(x, &stages, scratch, (from, size), &prefix);
                if let Some(partial) = partial {
                    let operands = [filled, zero, partial, zero, size];
                    this.kernel("aiai_row_add_lanes_f32", &operands, &[]);
                    return carry.to_vec();
                }
                let part = this.kernel(kernel, &[filled, zero, size], &result)[0];
                vec![this.combine(kind, carry[0], part)]
            });
            match partial {
                Some(partial) => {
                    let part = this.kernel(kernel, &[partial, zero, lanes], &result)[0];
                    vec![this.combine(kind, done[0], part)]
                }
                None => done,
            }
        })[0]
    }

    /// Computes a chunk of a row, in the scratch row or in that of its last function.
    fn fill_chunk(
        &mut self,
        x: Value,
        stages: &[Value],
        scratch: Option<Value>,
        (from, size): (Value, Value),
        prefix: &[Value],
    ) -> Value {
        let Some(scratch) = scratch else {
            return self.fill_stages(stages, from, size, prefix)[stages.len() - 1].1;
        };
        let mut sink = |this: &mut Self, place, element| {
            let at = this.b.binary(BinaryKind::Sub, place, from);
            this.b.op(Op::Store, &[element, scratch, at], Vec::new());
        };
        self.staged_chunk(x, stages, from, size, prefix, &mut sink);
        scratch
    }

    /// The position of a row of `n` elements.
    fn row_start(&mut self, outer: &[Dim], at: &[Value], n: Value) -> Value {
        let row = match &self.row {
            Some(row) if row.is_at(outer, at) => row.number,
            _ => self.linear(outer, at),
        };
        self.mul(row, n)
    }

    /// The buffer and the position of the row of a value at an index of its other axes, where it lies
    /// in one piece.
    pub fn row_in_memory(&mut self, value: Value, at: &[Value]) -> Option<(Value, Value)> {
        let (last, outer) = self.shape(value).split_last()?;
        match self.places.get(&value).cloned()? {
            Place::Row(buffer) => Some((buffer, self.int(0))),
            Place::Buffer { buffer, axes } if axes.iter().copied().eq(0..axes.len()) => {
                let n = self.dim(*last);
                Some((buffer, self.row_start(outer, at, n)))
            }
            _ => None,
        }
    }

    /// The two rows whose elementwise product a value is.
    fn factors_in_memory(&mut self, value: Value, at: &[Value]) -> Option<[(Value, Value); 2]> {
        let node = *self.nodes.get(&value)?;
        let product = Op::Binary {
            kind: BinaryKind::Mul,
        };
        if node.op != product || !matches!(self.places.get(&value), Some(Place::Lazy) | None) {
            return None;
        }
        let a = self.row_in_memory(node.operands[0], at)?;
        let b = self.row_in_memory(node.operands[1], at)?;
        Some([a, b])
    }

    /// Reduces leading axes while whole rows are added up, so that memory is read in order.
    fn reduce_columns(
        &mut self,
        node: &'a OpNode,
        kind: ReduceKind,
        axes: (&[usize], &[usize]),
        acc: DType,
        out: Value,
    ) {
        let (axes, kept) = axes;
        let x = node.operands[0];
        let shape = self.shape(x).to_vec();
        let dtype = self.dtype(x);
        let wide = if matches!(kind, ReduceKind::Sum | ReduceKind::Prod) {
            acc
        } else {
            dtype
        };
        let (last, outer_axes) = (shape[shape.len() - 1], &kept[..kept.len() - 1]);
        let outer: Vec<Dim> = outer_axes.iter().map(|&k| shape[k]).collect();
        let sizes: Vec<Dim> = axes.iter().map(|&a| shape[a]).collect();
        let (count, n) = (self.product(&sizes), self.dim(last));
        // Blocks of columns are tasks of their own, so that few long rows still run in parallel.
        let blocks = last.ceil_div(Dim::from(CHUNK));
        let tasks = self.dim(Dim::product(outer.iter().copied()) * blocks);
        self.parallel(tasks, 1, |this, task| {
            let per = this.dim(blocks);
            let row = this.b.binary(BinaryKind::Div, task, per);
            let block = this.b.binary(BinaryKind::Rem, task, per);
            let at = this.delinearize(&outer, row);
            let width = this.int(CHUNK);
            let from = this.mul(block, width);
            let left = this.b.binary(BinaryKind::Sub, n, from);
            let size = this.b.binary(BinaryKind::Min, left, width);
            let sums = this.alloc(wide, &[Dim::from(CHUNK)]);
            this.for_loop(size, 4, |this, j| {
                let init = this.identity(kind, wide);
                this.b.op(Op::Store, &[init, sums, j], Vec::new());
            });
            this.for_loop(count, 1, |this, i| {
                let inner = this.delinearize(&sizes, i);
                this.for_loop(size, 4, |this, j| {
                    let column = this.add(from, j);
                    let mut kept_at = at.clone();
                    kept_at.push(column);
                    let index = merge(shape.len(), (kept, &kept_at), (axes, &inner));
                    let element = this.element(x, &index);
                    let element = this.b.cast(element, wide);
                    let sum = this.b.value(Op::Load, &[sums, j]);
                    let sum = this.combine(kind, sum, element);
                    this.b.op(Op::Store, &[sum, sums, j], Vec::new());
                });
            });
            this.for_loop(size, 4, |this, j| {
                let sum = this.b.value(Op::Load, &[sums, j]);
                let sum = this.b.cast(sum, dtype);
                let column = this.add(from, j);
                let mut place = vec![sum, out];
                place.extend(&at);
                place.push(column);
                this.b.op(Op::Store, &place, Vec::new());
            });
        });
        self.memo.clear();
    }

    pub fn combine(&mut self, fold: impl Into<Fold>, a: Value, b: Value) -> Value {
        let Fold { kind, skips_nan } = fold.into();
        if skips_nan && kind == ReduceKind::Max {
            let above = self.b.compare(CompareKind::Gt, b, a);
            return self.b.select(above, b, a);
        }
        let kind = match kind {
            ReduceKind::Sum => BinaryKind::Add,
            ReduceKind::Prod => BinaryKind::Mul,
            ReduceKind::Max => BinaryKind::Max,
            ReduceKind::Min => BinaryKind::Min,
            ReduceKind::Any => BinaryKind::Or,
            ReduceKind::All => BinaryKind::And,
        };
        self.b.binary(kind, a, b)
    }

    /// The reduction of nothing.
    pub fn identity(&mut self, kind: ReduceKind, dtype: DType) -> Value {
        if dtype.is_float() {
            return self.number(
                dtype,
                match kind {
                    ReduceKind::Max => f64::NEG_INFINITY,
                    ReduceKind::Min => f64::INFINITY,
                    ReduceKind::Prod | ReduceKind::All => 1.0,
                    ReduceKind::Sum | ReduceKind::Any => 0.0,
                },
            );
        }
        let value = aiai_ir::eval::int_identity(kind, dtype);
        self.b.literal(if dtype == DType::Bool {
            aiai_ir::Literal::bool(value != 0)
        } else {
            aiai_ir::Literal::i64(dtype, value)
        })
    }

    pub fn arg_reduce(&mut self, node: &'a OpNode, kind: ArgKind, axis: usize) {
        let x = node.operands[0];
        let shape = self.shape(x).to_vec();
        let dtype = self.dtype(x);
        let out = self.destination(node.results[0]);
        let kept: Vec<usize> = (0..shape.len()).filter(|k| *k != axis).collect();
        let outer: Vec<Dim> = kept.iter().map(|&k| shape[k]).collect();
        let rows = self.product(&outer);
        self.parallel(rows, GRAIN, |this, row| {
            let at = this.delinearize(&outer, row);
            let in_memory = match axis + 1 == shape.len() && dtype == DType::F32 {
                true => this.row_in_memory(x, &at),
                false => None,
            };
            if let Some((source, from)) = in_memory {
                let name = format!("aiai_row_arg{}_f32", kind.name());
                let n = this.dim(shape[axis]);
                let result = Type::scalar(DType::I64);
                let best = this.kernel(&name, &[source, from, n], &[result])[0];
                let mut place = vec![best, out];
                place.extend(&at);
                this.b.op(Op::Store, &place, Vec::new());
                return;
            }
            let none = this.int(-1);
            let zero = this.int(0);
            let start = this.number(dtype, 0.0);
            let n = this.dim(shape[axis]);
            let best = this.fold_loop(n, &[none, start], |this, i, carry| {
                let index = merge(shape.len(), (&kept, &at), (&[axis], &[i]));
                let element = this.element(x, &index);
                let first = this.b.compare(CompareKind::Lt, carry[0], zero);
                let order = if kind == ArgKind::Max {
                    CompareKind::Gt
                } else {
                    CompareKind::Lt
                };
                let mut better = this.b.compare(order, element, carry[1]);
                if dtype.is_float() {
                    // The first NaN wins and stays.
                    let nan = this.b.unary(UnaryKind::IsNan, element);
                    better = this.b.binary(BinaryKind::Or, better, nan);
                    let kept_nan = this.b.unary(UnaryKind::IsNan, carry[1]);
                    let free = this.b.unary(UnaryKind::Not, kept_nan);
                    better = this.b.binary(BinaryKind::And, better, free);
                }
                let take = this.b.binary(BinaryKind::Or, first, better);
                vec![
                    this.b.select(take, i, carry[0]),
                    this.b.select(take, element, carry[1]),
                ]
            });
            let mut place = vec![best[0], out];
            place.extend(&at);
            this.b.op(Op::Store, &place, Vec::new());
        });
        self.memo.clear();
    }
}

/// Whether a call of a micro-kernel costs more than it saves.
pub fn is_short(sizes: impl Iterator<Item = Dim>) -> bool {
    Dim::product(sizes).as_const().is_some_and(|n| n < SHORT)
}

/// An index put together from those of two groups of axes.
pub fn merge(rank: usize, a: (&[usize], &[Value]), b: (&[usize], &[Value])) -> Vec<Value> {
    let mut index = vec![Value(0); rank];
    for (axes, values) in [a, b] {
        for (&axis, &value) in axes.iter().zip(values) {
            index[axis] = value;
        }
    }
    index
}
