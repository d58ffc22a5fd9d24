//! The loops of attention: blocks of rows, with the scores of one block in scratch memory.

use aiai_ir::schedule::{Axis, Part};
use aiai_ir::{BinaryKind, Dim, Op, Value};

use super::super::Lowerer;
use super::attention::{Attention, OwnKernel, WIDTH, pitch};
use super::emit::{At, Divisors, LINE, Loop, Nest, Range, Source};
use super::normalise::Scores;
use super::numbers::Form;
use super::plan::Plan;
use super::problem::Problem;
use super::{Kernel, Shared};

/// Lines of a row that are asked for ahead, at most.
const MOST_LINES: i64 = 8;

impl<'a> Lowerer<'a> {
    pub(super) fn attention_loops(&mut self, attention: &Attention<'a>, own: OwnKernel) {
        let (out, place) = self.memory_of(own.result, &own.layout);
        let [first, second] = &attention.problems;
        let memory = Memory {
            out,
            left: Source::Strided(self.flat(first.left.buffer())),
            leaves: [self.flat_leaves(first), self.flat_leaves(second)],
        };
        self.attention_forms(attention, &own, &memory, &attention.forms);
        self.memo.clear();
        for node in &attention.group.ops {
            self.places.remove(&node.results[0]);
        }
        self.places.insert(own.result, place);
    }

    /// The first form whose conditions hold.
    fn attention_forms(
        &mut self,
        attention: &Attention<'a>,
        own: &OwnKernel,
        memory: &Memory,
        forms: &[Form],
    ) {
        let Some((form, others)) = forms.split_first() else {
            return;
        };
        let Some(holds) = self.all_hold(&form.conditions) else {
            return self.attention_tasks(attention, form, own, memory);
        };
        self.b.begin_region(&[]);
        self.attention_tasks(attention, form, own, memory);
        let then = self.b.end_region(&[]);
        self.b.begin_region(&[]);
        self.attention_forms(attention, own, memory, others);
        let otherwise = self.b.end_region(&[]);
        self.b.op(Op::If, &[holds], vec![then, otherwise]);
    }

    /// A task is a block of rows, or all blocks of a batch.
    fn attention_tasks(
        &mut self,
        attention: &Attention<'a>,
        form: &Form,
        own: &OwnKernel,
        memory: &Memory,
    ) {
        let first = &attention.problems[0];
        let mut sizes: Vec<Dim> = first.batch.iter().map(|&i| first.sizes[i]).collect();
        let blocks = first.last(Axis::Rows).ceil_div(Dim::from(form.tile));
        let products = [0, 1].map(|k| (&attention.problems[k], &form.plans[k]));
        let block = |right, ahead| Block {
            attention,
            form,
            own,
            memory,
            right,
            ahead,
        };
        if form.shared {
            sizes.push(blocks);
            let block = block(products.map(|product| self.all_of(product)), Vec::new());
            let tasks = self.product(&sizes);
            self.parallel(tasks, 1, |this, task| {
                let index = this.delinearize(&sizes, task);
                this.attention_block(&block, &index);
            });
            return;
        }
        let tasks = self.product(&sizes);
        self.parallel(tasks, 1, |this, task| {
            let index = this.delinearize(&sizes, task);
            let ahead = form.ahead.map(|by| {
                let by = this.int(by);
                let far = this.add(task, by);
                let index = this.delinearize(&sizes, far);
                this.batch_ahead(attention, &index)
            });
            let right = products.map(|product| this.one_of(product, &index));
            let block = block(right, ahead.unwrap_or_default());
            let blocks = this.dim(blocks);
            this.for_loop(blocks, 1, |this, i| {
                this.attention_block(&block, &[&index[..], &[i]].concat());
            });
        });
    }

    fn flat_leaves(&mut self, problem: &Problem) -> Vec<Value> {
        let buffers = problem.leaves.iter().map(|leaf| leaf.buffer());
        buffers.map(|buffer| self.flat(buffer)).collect()
    }

    /// A block of rows: the scores, what is done to them, the product with them.
    fn attention_block(&mut self, block: &Block<'_, 'a>, index: &[Value]) {
        let Block {
            attention,
            form,
            own,
            memory,
            right: [(first, first_right), (second, second_right)],
            ahead: _,
        } = block;
        let (Op::Contract { out, .. }, Op::Contract { out: own_out, .. }) =
            (&attention.scores.op, &attention.node.op)
        else {
            return;
        };
        let [first_plan, second_plan] = &form.plans;
        let (rows, columns) = (first.last(Axis::Rows), first.last(Axis::Columns));
        let dtype = self.dtype(attention.scaled);
        let tile = Dim::from(form.tile);
        let pitch = pitch(columns);
        let scratch = self.alloc(dtype, &[pitch * tile]);
        let divisors = attention.divisor.map(|_| self.alloc(dtype, &[tile]));
        let (by, total, pitch) = (self.dim(tile), self.dim(rows), self.dim(pitch));
        let low = self.mul(index[index.len() - 1], by);
        let left = self.b.binary(BinaryKind::Sub, total, low);
        let count = self.b.binary(BinaryKind::Min, left, by);
        let (zero, before) = (self.int(0), self.mul(low, pitch));
        let shift = self.b.binary(BinaryKind::Sub, zero, before);
        let range = Range { low, count };
        let kernel = Kernel {
            product: attention.scores.results[0],
            result: attention.scaled,
            out_map: out,
            out: scratch,
            leaves: &attention.leaves,
        };
        let mut nest = Nest::new(
            &kernel,
            first.clone(),
            first_plan.clone(),
            memory.left,
            *first_right,
        );
        nest.leaves.clone_from(&memory.leaves[0]);
        nest.out_shift = Some(shift);
        if attention.softmax.is_some() {
            nest.maxima = Some(self.no_maxima((low, form.tile), first_plan.lanes));
        }
        let strided = matches!(nest.left, Source::Strided(_));
        nest.padded = WIDTH % first_plan.columns == 0 && attention.leaves.is_empty() && strided;
        let at = self.at_rows(first, index, range);
        self.blocks_of(&nest, &first_plan.order, &at);
        let scores = Scores {
            scratch,
            divisors,
            maxima: nest.maxima.map(|maxima| maxima.buffer),
            range,
            columns,
        };
        self.normalise_rows(block, &scores);
        let kernel = Kernel {
            product: attention.node.results[0],
            result: own.result,
            out_map: own_out,
            out: memory.out,
            leaves: &own.leaves,
        };
        let scratch = Source::Strided(scratch);
        let plan = second_plan.clone();
        let mut nest = Nest::new(&kernel, second.clone(), plan, scratch, *second_right);
        nest.leaves.clone_from(&memory.leaves[1]);
        nest.left_shift = Some(shift);
        nest.divisors = divisors.map(|buffer| Divisors {
            buffer,
            first: low,
            inverted: attention.softmax.is_some(),
        });
        let at = self.at_rows(second, index, range);
        let tiles = second_plan.tiles.iter().copied();
        let tiles: Vec<Loop> = tiles.map(|(axis, by)| Loop::Tile(axis, by)).collect();
        self.inner_of(&nest, &tiles, &at);
    }

    /// Some rows of one batch.
    fn at_rows(&mut self, problem: &Problem, index: &[Value], rows: Range) -> At {
        let low = self.int(0);
        let whole = |this: &mut Self, axis| Range {
            low,
            count: this.dim(problem.last(axis)),
        };
        At {
            fixed: problem
                .batch
                .iter()
                .copied()
                .zip(index.iter().copied())
                .collect(),
            rows,
            columns: whole(self, Axis::Columns),
            summed: whole(self, Axis::Summed),
            ends: None,
            asks: None,
        }
    }

    /// The rows of queries, keys and values of a batch, which may lie behind the last one.
    fn batch_ahead(&mut self, attention: &Attention<'a>, index: &[Value]) -> Vec<Ahead> {
        let [first, second] = &attention.problems;
        let operands = [
            (first, &first.left, Axis::Rows, Axis::Summed),
            (first, &first.right, Axis::Columns, Axis::Summed),
            (second, &second.right, Axis::Summed, Axis::Columns),
        ];
        let mut ahead = Vec::new();
        for (problem, tensor, rows, within) in operands {
            if !problem.stride(&tensor.strides, within).is_const(1) {
                continue;
            }
            let width = problem.last(within).as_const().unwrap_or(1);
            let zero = self.int(0);
            let nowhere = Range {
                low: zero,
                count: zero,
            };
            let at = self.at_rows(problem, index, nowhere);
            let line = LINE / tensor.dtype.bytes() as i64;
            ahead.push(Ahead {
                buffer: self.flat(tensor.buffer()),
                begin: self.position(tensor, &at, &[]),
                stride: problem.stride(&tensor.strides, rows),
                places: (0..width.min(MOST_LINES * line))
                    .step_by(line as usize)
                    .collect(),
            });
        }
        ahead
    }

    /// The right operand of a product, of all batches.
    fn all_of(&mut self, (problem, plan): (&Shared, &Plan)) -> (Shared, Source) {
        let source = match plan.pack_right {
            true => {
                let part = Part::Right;
                Source::Panels(self.packed(problem, &problem.right, part, plan, &[]))
            }
            false => Source::Strided(self.flat(problem.right.buffer())),
        };
        (problem.clone(), source)
    }

    /// The right operand of a product, of one batch: its panels are for the task at hand alone.
    fn one_of(&mut self, product: (&Shared, &Plan), index: &[Value]) -> (Shared, Source) {
        let (problem, plan) = product;
        if !plan.pack_right || problem.right.constant {
            return self.all_of(product);
        }
        let batch = problem.batch.iter().copied();
        let within: Vec<(usize, Value)> = batch.zip(index.iter().copied()).collect();
        let panels = self.packed(problem, &problem.right, Part::Right, plan, &within);
        let mut problem = Problem::clone(problem);
        for &(i, _) in &within {
            problem.right.strides[i] = Dim::from(0);
        }
        (Shared::new(problem), Source::Panels(panels))
    }
}

/// The buffers that all blocks read and write.
struct Memory {
    out: Value,
    left: Source,
    /// Of the first product and of the second.
    leaves: [Vec<Value>; 2],
}

/// What the loops over blocks of rows need.
pub(super) struct Block<'b, 'a> {
    pub attention: &'b Attention<'a>,
    pub form: &'b Form,
    own: &'b OwnKernel,
    memory: &'b Memory,
    /// The right operands of both products, with the problems that say where their elements are.
    right: [(Shared, Source); 2],
    /// What is asked for while rows are normalised.
    pub ahead: Vec<Ahead>,
}

/// Rows of an operand that are asked for ahead.
pub(super) struct Ahead {
    pub buffer: Value,
    /// Where the first one begins, and the way to the next.
    pub begin: Value,
    pub stride: Dim,
    /// The elements of a row that are asked for, one of each cache line.
    pub places: Vec<i64>,
}
