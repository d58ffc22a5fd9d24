//! Results computed in place: a buffer takes over the memory of one that is read for the last time by
//! the loop that fills it, each element just before it is written.

use std::collections::HashMap;

use aiai_ir::{BinaryKind, DType, Dim, Function, Literal, Op, OpNode, Region, Type, Value};

#[cfg(test)]
mod tests;
mod vectors;

use vectors::Columns;

/// Replaces buffers by those that they can be computed in.
pub fn reuse(function: &mut Function) {
    let mut body = std::mem::take(&mut function.body);
    region(function, &mut body);
    function.body = body;
}

fn region(function: &Function, region_: &mut Region) {
    for node in &mut region_.ops {
        node.regions.iter_mut().for_each(|r| region(function, r));
    }
    let mut lives = Lives::of(region_);
    let fresh: Vec<(usize, Value)> = region_
        .ops
        .iter()
        .enumerate()
        .filter(|(_, node)| is_large(node))
        .map(|(at, node)| (at, node.results[0]))
        .collect();
    for (made, target) in fresh {
        let Some(&(first, last)) = lives.touched.get(&target) else {
            continue;
        };
        let filled = &region_.ops[first];
        let donors = lives.dying_at(first, made);
        let donor = donors.into_iter().find(|&donor| {
            same_size(function, donor, target)
                && Accesses::of(function, &lives.roots, filled, donor, target).in_place()
        });
        if let Some(donor) = donor {
            lives.take_over(donor, target, last);
            region_.ops[made].op = Op::View {
                shape: function.ty(target).shape().to_vec(),
            };
            region_.ops[made].operands = vec![donor];
        }
    }
}

/// Buffers on the stack are not worth the thought.
fn is_large(node: &OpNode) -> bool {
    matches!(node.op, Op::Alloc { .. }) && super::stack_bytes(&node.op).is_none()
}

fn same_size(function: &Function, a: Value, b: Value) -> bool {
    let count = |ty: &Type| Dim::product(ty.shape().iter().copied());
    let (a, b) = (function.ty(a), function.ty(b));
    a.dtype() == b.dtype() && count(a) == count(b)
}

/// When the buffers made in a region are touched, views aside.
struct Lives {
    /// The buffer that a view shows, also of views in inner regions.
    roots: HashMap<Value, Value>,
    /// Positions of the first and the last op that reads or writes a buffer.
    touched: HashMap<Value, (usize, usize)>,
    /// Where a buffer is made.
    made: HashMap<Value, usize>,
    /// Buffers by the last op that touches them.
    dying: HashMap<usize, Vec<Value>>,
    /// The views of a buffer, itself among them.
    views: HashMap<Value, Vec<Value>>,
}

impl Lives {
    fn of(region: &Region) -> Lives {
        let mut lives = Lives {
            roots: HashMap::new(),
            touched: HashMap::new(),
            made: HashMap::new(),
            dying: HashMap::new(),
            views: HashMap::new(),
        };
        for (at, node) in region.ops.iter().enumerate() {
            if is_large(node) {
                lives.roots.insert(node.results[0], node.results[0]);
                lives.made.insert(node.results[0], at);
            }
            lives.node(at, node);
        }
        for (&value, &(_, last)) in &lives.touched {
            lives.dying.entry(last).or_default().push(value);
        }
        for (&view, &root) in &lives.roots {
            lives.views.entry(root).or_default().push(view);
        }
        lives
    }

    /// From here on the donor lives as long as what is computed in it.
    fn take_over(&mut self, donor: Value, target: Value, last: usize) {
        if let Some((_, end)) = self.touched.get_mut(&donor) {
            *end = last;
        }
        self.dying.entry(last).or_default().push(donor);
        self.touched.remove(&target);
        let views = self.views.remove(&target).unwrap_or_default();
        self.roots.extend(views.iter().map(|&view| (view, donor)));
        self.views.entry(donor).or_default().extend(views);
    }

    fn node(&mut self, at: usize, node: &OpNode) {
        if matches!(node.op, Op::View { .. }) {
            if let Some(&root) = self.roots.get(&node.operands[0]) {
                self.roots.insert(node.results[0], root);
            }
            return;
        }
        for operand in &node.operands {
            if let Some(&root) = self.roots.get(operand) {
                self.touched.entry(root).or_insert((at, at)).1 = at;
            }
        }
        for inner in &node.regions {
            inner.ops.iter().for_each(|n| self.node(at, n));
        }
    }

    /// Buffers that exist where `made` is, and are touched for the last time at `at`.
    fn dying_at(&self, at: usize, made: usize) -> Vec<Value> {
        let dying = self.dying.get(&at).into_iter().flatten().copied();
        let ends_here = |value: &Value| self.touched.get(value).is_some_and(|t| t.1 == at);
        let mut found: Vec<Value> = dying
            .filter(|value| ends_here(value) && self.made[value] < made)
            .collect();
        found.sort_unstable();
        found
    }
}

/// What a loop nest does with a buffer that it reads and one that it fills.
struct Accesses<'a> {
    function: &'a Function,
    roots: &'a HashMap<Value, Value>,
    donor: Value,
    target: Value,
    /// Equal numbers are equal values in corresponding iterations.
    numbers: HashMap<Value, usize>,
    keys: HashMap<Key, usize>,
    /// Which enclosing loops a number depends on.
    depends: Vec<Vec<usize>>,
    /// The numbers of the indices of the loops around.
    loops: Vec<usize>,
    reads: Vec<Access>,
    writes: Vec<Access>,
    columns: Columns,
    /// Something else than a read before all writes happens.
    spoiled: bool,
}

/// Elements that are read or written at a point of a loop nest.
struct Access {
    place: Place,
    /// The loops around.
    loops: Vec<usize>,
}

#[derive(PartialEq)]
enum Place {
    /// The element of a shape at an index.
    Element(Vec<Dim>, Vec<usize>),
    /// So many elements in memory order, from a position.
    Run { from: usize, count: usize },
}

/// What makes two values equal.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Op(Op, Vec<usize>),
    /// The index of a loop with these bounds inside these loops.
    Loop(Vec<usize>, Vec<usize>),
    Unlike(Value),
}

impl<'a> Accesses<'a> {
    fn of(
        function: &'a Function,
        roots: &'a HashMap<Value, Value>,
        node: &OpNode,
        donor: Value,
        target: Value,
    ) -> Accesses<'a> {
        let mut accesses = Accesses {
            function,
            roots,
            donor,
            target,
            numbers: HashMap::new(),
            keys: HashMap::new(),
            depends: Vec::new(),
            loops: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            columns: Columns::default(),
            spoiled: false,
        };
        accesses.node(node);
        accesses
    }

    /// Whether every read is of the element that is written next, or of the row that is.
    fn in_place(&self) -> bool {
        let Some(write) = self.writes.first() else {
            return false;
        };
        !self.spoiled
            && !self.reads.is_empty()
            && match self.columns.are_used {
                true => self.vectors_in_place(),
                false => {
                    self.writes.iter().all(|other| other.place == write.place)
                        && self.reads.iter().all(|read| {
                            read.place == write.place
                                || self.writes.iter().all(|w| self.in_row(read, w))
                        })
                }
            }
    }

    /// Whether a read is of the row of a matrix that a later write is to, and loops that do both go from
    /// row to row.
    fn in_row(&self, read: &Access, write: &Access) -> bool {
        let same_row = match (&read.place, &write.place) {
            (Place::Element(shape, at), Place::Element(other, to)) => {
                shape.len() == 2 && shape == other && at[0] == to[0]
            }
            (read, write) => {
                let run = self.run(read);
                run.is_some() && run == self.run(write)
            }
        };
        let row = match &write.place {
            Place::Element(_, index) => index[0],
            Place::Run { from, .. } => *from,
        };
        let around = read.loops.iter().zip(&write.loops);
        let mut shared = around.take_while(|(r, w)| r == w);
        same_row && shared.all(|(l, _)| self.depends[row].contains(l))
    }

    /// Where the row of an access begins and how long it is, if these numbers occur.
    fn run(&self, place: &Place) -> Option<(usize, usize)> {
        match place {
            Place::Run { from, count } => Some((*from, *count)),
            Place::Element(shape, index) => {
                let (&[_, columns], &[row, _]) = (shape.as_slice(), index.as_slice()) else {
                    return None;
                };
                let n = match columns.as_const() {
                    Some(n) => Op::Constant {
                        value: Literal::i64(DType::I64, n),
                    },
                    None => Op::DimValue { dim: columns },
                };
                let start = Op::Binary {
                    kind: BinaryKind::Mul,
                };
                let count = *self.keys.get(&Key::Op(n, Vec::new()))?;
                let from = *self.keys.get(&Key::Op(start, vec![row, count]))?;
                Some((from, count))
            }
        }
    }

    fn number(&mut self, key: Key, depends: Vec<usize>) -> usize {
        let next = self.keys.len();
        let number = *self.keys.entry(key).or_insert(next);
        if number == next {
            self.depends.push(depends);
        }
        number
    }

    fn of_value(&mut self, value: Value) -> usize {
        if let Some(&known) = self.numbers.get(&value) {
            return known;
        }
        let number = self.number(Key::Unlike(value), Vec::new());
        self.numbers.insert(value, number);
        number
    }

    fn is(&self, value: Value, buffer: Value) -> bool {
        self.roots.get(&value) == Some(&buffer)
    }

    fn node(&mut self, node: &OpNode) {
        match &node.op {
            Op::Load if self.is(node.operands[0], self.donor) => {
                // A read behind a write would see what was written.
                self.spoiled |= !self.writes.is_empty();
                let access = self.access(node.operands[0], &node.operands[1..]);
                self.reads.push(access);
                self.unlike(node);
            }
            Op::Kernel { name, .. } if name.as_str().starts_with("aiai_row_") => {
                self.row_kernel(name.as_str(), node);
                self.unlike(node);
            }
            Op::Store if self.is(node.operands[1], self.target) => {
                let access = self.access(node.operands[1], &node.operands[2..]);
                self.write(access);
            }
            Op::LoadVector { lanes, stride: 1 } if self.is(node.operands[0], self.donor) => {
                let index = &node.operands[1..node.operands.len() - 1];
                let access = self.access(node.operands[0], index);
                self.read_vector(access, *lanes);
                self.unlike(node);
            }
            // What is read there has been written before.
            Op::LoadVector { .. } if self.is(node.operands[0], self.target) => self.unlike(node),
            Op::StoreVector if self.is(node.operands[1], self.target) => {
                let index = &node.operands[2..node.operands.len() - 1];
                let access = self.access(node.operands[1], index);
                self.columns.are_used = true;
                let lanes = self.function.ty(node.operands[0]).shape().first();
                let lanes = lanes.and_then(|d| d.as_const()).unwrap_or(i64::MAX);
                self.columns.lanes = self.columns.lanes.max(lanes);
                self.write(access);
            }
            Op::For { .. } | Op::Parallel { .. } => self.loop_(node),
            Op::If | Op::While { .. } => self.spoiled = true,
            // What is asked for ahead may as well come later, or have changed.
            Op::Prefetch => {}
            op => {
                let touches = |v: &Value| self.is(*v, self.donor) || self.is(*v, self.target);
                self.spoiled |= node.operands.iter().any(touches);
                let pure = op.info().effect == aiai_ir::ops::Effect::Pure;
                match node.results.as_slice() {
                    [result] if pure && !matches!(op, Op::View { .. }) => {
                        let operands: Vec<usize> =
                            node.operands.iter().map(|&v| self.of_value(v)).collect();
                        let mut depends: Vec<usize> = operands
                            .iter()
                            .flat_map(|o| self.depends[*o].clone())
                            .collect();
                        depends.sort_unstable();
                        depends.dedup();
                        let number = self.number(Key::Op(op.clone(), operands.clone()), depends);
                        self.columns.note(op, &operands, number);
                        self.numbers.insert(*result, number);
                    }
                    _ => self.unlike(node),
                }
            }
        }
    }

    fn unlike(&mut self, node: &OpNode) {
        for &result in &node.results {
            let number = self.number(Key::Unlike(result), self.loops.clone());
            self.numbers.insert(result, number);
        }
    }

    fn loop_(&mut self, node: &OpNode) {
        let bounds: Vec<usize> = node.operands.iter().map(|&v| self.of_value(v)).collect();
        let region = &node.regions[0];
        let around = self.loops.clone();
        let index = self.number(Key::Loop(bounds.clone(), around.clone()), Vec::new());
        if !self.depends[index].contains(&index) {
            self.depends[index] = around;
            self.depends[index].push(index);
        }
        self.numbers.insert(region.args[0], index);
        self.columns.enter(index, &node.op, &bounds, &self.writes);
        for &carry in &region.args[1..] {
            let number = self.number(Key::Unlike(carry), self.loops.clone());
            self.numbers.insert(carry, number);
        }
        self.loops.push(index);
        region.ops.iter().for_each(|n| self.node(n));
        self.loops.pop();
        self.unlike(node);
    }

    fn access(&mut self, buffer: Value, index: &[Value]) -> Access {
        let shape = self.function.ty(buffer).shape().to_vec();
        let index = index.iter().map(|&v| self.of_value(v)).collect();
        Access {
            place: Place::Element(shape, index),
            loops: self.loops.clone(),
        }
    }

    fn write(&mut self, access: Access) {
        // Every loop around must move the place, or it would be written again and again.
        let moved_by = match &access.place {
            Place::Element(_, index) => index.as_slice(),
            Place::Run { from, .. } => std::slice::from_ref(from),
        };
        let moves = |l: &usize| moved_by.iter().any(|i| self.depends[*i].contains(l));
        self.spoiled |= !self.loops.iter().all(moves);
        self.writes.push(access);
    }

    /// A micro-kernel of rows reads the runs that it names first, and a map writes the one it names last.
    fn row_kernel(&mut self, name: &str, node: &OpNode) {
        let x = &node.operands;
        let Some(&count) = x.last() else { return };
        let maps = name.ends_with("_number_f32");
        let reduces = ["sum", "max", "min", "argmax", "argmin"];
        let reduces = reduces.iter().any(|r| name == format!("aiai_row_{r}_f32"));
        let touches = |v: &Value| self.is(*v, self.donor) || self.is(*v, self.target);
        let known = match (maps, reduces) {
            (true, _) => !self.is(x[0], self.target) && !self.is(x[3], self.donor),
            (_, true) => !self.is(x[0], self.target),
            _ => !x.iter().any(touches),
        };
        self.spoiled |= !known;
        let run = |this: &mut Self, from: Value| Access {
            place: Place::Run {
                from: this.of_value(from),
                count: this.of_value(count),
            },
            loops: this.loops.clone(),
        };
        if (maps || reduces) && self.is(x[0], self.donor) {
            self.spoiled |= !self.writes.is_empty();
            let access = run(self, x[1]);
            self.reads.push(access);
        }
        if maps && self.is(x[3], self.target) {
            let access = run(self, x[4]);
            self.write(access);
        }
    }
}
