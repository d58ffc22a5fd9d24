//! Branches, loops and checks. State that lives across iterations lies in buffers.

use aiai_ir::{BinaryKind, CompareKind, DType, Dim, Op, OpNode, Region, Type, UnaryKind, Value};

use super::{Lowerer, Place, whole};

impl<'a> Lowerer<'a> {
    /// A buffer for a value of any rank.
    fn memory(&mut self, value: Value) -> Value {
        match self.outputs.get(&value) {
            Some(&buffer) => buffer,
            None => self.alloc(self.dtype(value), self.shape(value)),
        }
    }

    /// The place of a value that lies in a buffer; scalars are read at once.
    fn settle(&mut self, value: Value, buffer: Value) {
        let rank = self.shape(value).len();
        if rank == 0 {
            let scalar = self.b.value(Op::Load, &[buffer]);
            self.places.insert(value, Place::Scalar(scalar));
        } else {
            self.places.insert(value, whole(buffer, rank));
        }
    }

    pub fn branch(&mut self, node: &'a OpNode) {
        let condition = self.scalar(node.operands[0]);
        let buffers: Vec<Value> = node.results.iter().map(|&r| self.memory(r)).collect();
        let mut regions = Vec::new();
        for region in &node.regions {
            self.b.begin_region(&[]);
            let places = self.places.clone();
            self.memo.clear();
            self.region(region);
            for (&value, &buffer) in region.yields.iter().zip(&buffers) {
                self.write_to(value, buffer);
            }
            self.places = places;
            self.memo.clear();
            regions.push(self.b.end_region(&[]));
        }
        self.b.op(Op::If, &[condition], regions);
        for (&result, &buffer) in node.results.iter().zip(&buffers) {
            self.settle(result, buffer);
        }
    }

    /// Lowers a loop body whose arguments lie in `state`, and writes what it yields back there.
    fn body(&mut self, region: &'a Region, args: &[Value], state: &[Value]) {
        for (&arg, &buffer) in args.iter().zip(state) {
            self.settle(arg, buffer);
        }
        self.claim_state(region, args, state);
        self.region(region);
        self.carry_on(&region.yields, state);
    }

    /// Moves the state on. All values are computed before any is overwritten: one may be another's
    /// argument.
    fn carry_on(&mut self, values: &[Value], state: &[Value]) {
        let mut fresh = Vec::new();
        for (&value, &buffer) in values.iter().zip(state) {
            if !self.lies_in(value, buffer) {
                let copy = self.alloc(self.dtype(value), self.shape(value));
                self.write_to(value, copy);
                fresh.push((copy, buffer, self.source.ty(value)));
            }
        }
        for (copy, buffer, ty) in fresh {
            self.copy_buffer(copy, buffer, ty);
        }
    }

    fn copy_buffer(&mut self, from: Value, to: Value, ty: &Type) {
        let total = Dim::product(ty.shape().iter().copied());
        let [from, to] = [from, to].map(|v| self.b.value(Op::View { shape: vec![total] }, &[v]));
        let n = self.dim(total);
        self.for_loop(n, 4, |this, i| {
            let element = this.b.value(Op::Load, &[from, i]);
            this.b.op(Op::Store, &[element, to, i], Vec::new());
        });
    }

    /// Buffers that hold the state of a loop, filled with its start.
    fn start(&mut self, node: &OpNode) -> Vec<Value> {
        let mut state = Vec::new();
        for (&operand, &result) in node.operands.iter().zip(&node.results) {
            let buffer = self.memory(result);
            self.write_to(operand, buffer);
            state.push(buffer);
        }
        state
    }

    pub fn scan(&mut self, node: &'a OpNode, range: (Dim, Dim, Dim)) {
        let (from, to, step) = range;
        let state = self.start(node);
        let carries = node.operands.len();
        let emits = &node.results[carries..];
        let stacked: Vec<Value> = emits.iter().map(|&r| self.memory(r)).collect();
        let trips = aiai_ir::ops::trip_count(from, to, step);
        let region = &node.regions[0];
        let count = self.dim(trips);
        self.for_loop(count, 1, |this, i| {
            let places = this.places.clone();
            let (first, stride) = (this.dim(from), this.dim(step));
            let moved = this.mul(i, stride);
            let t = this.add(first, moved);
            this.places.insert(region.args[0], Place::Scalar(t));
            for (&arg, &buffer) in region.args[1..].iter().zip(&state) {
                this.settle(arg, buffer);
            }
            this.scan_body(region, &state, &stacked, i);
            this.places = places;
        });
        self.memo.clear();
        for (&result, &buffer) in node.results.iter().zip(state.iter().chain(&stacked)) {
            self.settle(result, buffer);
        }
    }

    /// The body of a scan, its emits written to their rows before the state moves on.
    fn scan_body(&mut self, region: &'a Region, state: &[Value], stacked: &[Value], i: Value) {
        let carries = state.len();
        self.claim_state(region, &region.args[1..], state);
        self.region(region);
        for (&value, &stack) in region.yields[carries..].iter().zip(stacked) {
            let shape = self.shape(value).to_vec();
            self.memo.clear();
            self.nest(&shape, &mut Vec::new(), &mut |this, index| {
                let element = this.element(value, index);
                let mut place = vec![element, stack, i];
                place.extend(index);
                this.b.op(Op::Store, &place, Vec::new());
            });
        }
        self.carry_on(&region.yields[..carries], state);
    }

    pub fn while_loop(&mut self, node: &'a OpNode, max: Option<Dim>) {
        let state = self.start(node);
        let counter = max.map(|_| {
            let counter = self.alloc(DType::I64, &[]);
            let zero = self.int(0);
            self.b.op(Op::Store, &[zero, counter], Vec::new());
            counter
        });
        let (test, body) = (&node.regions[0], &node.regions[1]);
        let places = self.places.clone();
        self.b.begin_region(&[]);
        self.memo.clear();
        for (&arg, &buffer) in test.args.iter().zip(&state) {
            self.settle(arg, buffer);
        }
        self.region(test);
        let go_on = self.scalar(test.yields[0]);
        let test_region = self.b.end_region(&[go_on]);
        self.places = places.clone();
        self.b.begin_region(&[]);
        self.memo.clear();
        if let (Some(counter), Some(max)) = (counter, max) {
            let trips = self.b.value(Op::Load, &[counter]);
            let limit = self.dim(max);
            let more = self.b.compare(CompareKind::Lt, trips, limit);
            let message = "the loop goes on after as many iterations as its `max` says";
            self.b.op(
                Op::Assert {
                    message: message.into(),
                },
                &[more],
                Vec::new(),
            );
            let one = self.int(1);
            let next = self.add(trips, one);
            self.b.op(Op::Store, &[next, counter], Vec::new());
        }
        self.body(body, &body.args, &state);
        self.places = places;
        let body_region = self.b.end_region(&[]);
        self.b
            .op(Op::While { max: None }, &[], vec![test_region, body_region]);
        self.memo.clear();
        for (&result, &buffer) in node.results.iter().zip(&state) {
            self.settle(result, buffer);
        }
    }

    /// Stops unless every pair of elements is close.
    pub fn assert_close(&mut self, node: &'a OpNode, message: &str) {
        let (x, y) = (node.operands[0], node.operands[1]);
        let (rtol, atol) = (self.scalar(node.operands[2]), self.scalar(node.operands[3]));
        let shape = self.shape(x).to_vec();
        let float = self.dtype(x).is_float();
        self.memo.clear();
        self.nest(&shape, &mut Vec::new(), &mut |this, index| {
            let (a, b) = (this.element(x, index), this.element(y, index));
            let same = this.b.compare(CompareKind::Eq, a, b);
            let [wide_a, wide_b] = [a, b].map(|v| this.b.cast(v, DType::F64));
            let difference = this.b.binary(BinaryKind::Sub, wide_a, wide_b);
            let difference = this.b.unary(UnaryKind::Abs, difference);
            let size = this.b.unary(UnaryKind::Abs, wide_b);
            let scaled = this.mul(rtol, size);
            let bound = this.add(atol, scaled);
            let close = this.b.compare(CompareKind::Le, difference, bound);
            // An infinity is close to itself alone, though its tolerance is infinite.
            let finite = this.b.unary(UnaryKind::IsFinite, wide_b);
            let close = this.b.binary(BinaryKind::And, close, finite);
            let mut good = this.b.binary(BinaryKind::Or, same, close);
            if float {
                let [nan_a, nan_b] = [a, b].map(|v| this.b.unary(UnaryKind::IsNan, v));
                let both = this.b.binary(BinaryKind::And, nan_a, nan_b);
                good = this.b.binary(BinaryKind::Or, good, both);
            }
            this.b.op(
                Op::Assert {
                    message: message.to_owned(),
                },
                &[good],
                Vec::new(),
            );
        });
        self.memo.clear();
    }
}
