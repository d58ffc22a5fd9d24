//! A text that is equal for functions which are the same but for the numbers of values and the order of ops.

use std::collections::HashMap;
use std::fmt::Write;

use aiai_ir::{Function, OpNode, Region, Value};

/// The fingerprint of a function: its parameters by place, what its results are made of.
pub fn of(function: &Function) -> String {
    let mut writer = Writer {
        makers: HashMap::new(),
        depth: 0,
        numbers: HashMap::new(),
        out: String::new(),
    };
    writer.read(&function.body);
    for (at, &param) in function.params().iter().enumerate() {
        writer.numbers.insert(param, at);
        let _ = write!(writer.out, "{};", function.ty(param));
    }
    for &result in &function.body.yields {
        let number = writer.value(result);
        let _ = write!(writer.out, "->{number}");
    }
    writer.out
}

struct Writer<'f> {
    /// The op that makes a value, and within how many regions it stands: an op before a loop is not one in it.
    makers: HashMap<Value, (&'f OpNode, usize)>,
    depth: usize,
    numbers: HashMap<Value, usize>,
    out: String,
}

impl<'f> Writer<'f> {
    fn read(&mut self, region: &'f Region) {
        for node in &region.ops {
            for &result in &node.results {
                self.makers.insert(result, (node, self.depth));
            }
        }
    }

    fn value(&mut self, value: Value) -> usize {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let Some(&(node, depth)) = self.makers.get(&value) else {
            // An argument of a region.
            return self.name(value);
        };
        let operands: Vec<usize> = node.operands.iter().map(|v| self.value(*v)).collect();
        let _ = write!(self.out, "{depth}{:?}{operands:?}", node.op);
        for region in &node.regions {
            self.region(region);
        }
        for &result in &node.results {
            self.name(result);
        }
        self.out.push(';');
        self.numbers.get(&value).copied().unwrap_or_default()
    }

    fn name(&mut self, value: Value) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(value).or_insert(next)
    }

    fn region(&mut self, region: &'f Region) {
        self.depth += 1;
        self.read(region);
        self.depth -= 1;
        self.out.push('{');
        for &arg in &region.args {
            self.name(arg);
        }
        for node in &region.ops {
            // Effects count too, in their order.
            if node.results.is_empty() {
                let operands: Vec<usize> = node.operands.iter().map(|v| self.value(*v)).collect();
                let _ = write!(self.out, "{:?}{operands:?};", node.op);
            }
        }
        for &value in &region.yields {
            let number = self.value(value);
            let _ = write!(self.out, "->{number}");
        }
        self.out.push('}');
    }
}
