//! Loops and branches: structured, and in blocks where something within them may return.

use std::fmt::Write as _;

use aiai_codegen::tables::captured;
use aiai_ir::{Dim, Op, OpNode, Region, Value};

use crate::kernels;
use crate::scalars::register_type;
use crate::translate::Translator;
use crate::writer::Name;

impl Translator<'_, '_> {
    /// Whether something in a region may end the function.
    pub fn may_return(&self, region: &Region) -> bool {
        region.ops.iter().any(|node| match &node.op {
            Op::Alloc { .. } => self.frame_bytes(node).is_none(),
            Op::Kernel { name, .. } => kernels::may_fail(name.as_str()),
            Op::Assert { .. } | Op::Parallel { .. } | Op::While { .. } => true,
            Op::For { .. } | Op::If => node.regions.iter().any(|r| self.may_return(r)),
            _ => false,
        })
    }

    /// A loop over `low..high` in steps; `body` gets the index and the carries, and gives the next.
    fn structured(
        &mut self,
        (low, high, step): (Name, Name, i64),
        init: &[Name],
        types: &[String],
        body: impl FnOnce(&mut Self, Name, Vec<Name>) -> Vec<Name>,
    ) -> Vec<Name> {
        let step = self.int(step);
        let (index, carries) = (self.w.fresh(), self.w.several(types.len()));
        let pairs = carries.iter().zip(init);
        let pairs: Vec<String> = pairs.map(|(carry, x)| format!("{carry} = {x}")).collect();
        let carried = match types {
            [] => String::new(),
            _ => format!(" iter_args({}) -> ({})", pairs.join(", "), types.join(", ")),
        };
        let head = format!("scf.for {index} = {low} to {high} step {step}{carried} : i64");
        let results = self.w.open(&head, types.len());
        let next = body(self, index, carries);
        self.w.give(&next, types);
        self.w.close();
        results
    }

    /// The same in blocks.
    fn in_blocks(
        &mut self,
        (low, high, step): (Name, Name, i64),
        init: &[Name],
        types: &[String],
        body: impl FnOnce(&mut Self, Name, Vec<Name>) -> Vec<Name>,
    ) -> Vec<Name> {
        let mut all_types = vec!["i64".to_owned()];
        all_types.extend_from_slice(types);
        let (head, inside, done) = (self.w.block(), self.w.block(), self.w.block());
        let mut start = vec![low];
        start.extend(init.iter().cloned());
        self.w.jump(&head, &start, &all_types);
        let mut params = self.w.start(&head, &all_types);
        let index = params.remove(0);
        let more = self
            .w
            .value(&format!("arith.cmpi slt, {index}, {high} : i64"));
        self.w.line(&format!("cf.cond_br {more}, {inside}, {done}"));
        self.w.start(&inside, &[]);
        let carried = body(self, index.clone(), params.clone());
        let step = self.int(step);
        let next = self
            .w
            .value(&format!("arith.addi {index}, {step} overflow<nsw> : i64"));
        let mut all = vec![next];
        all.extend(carried);
        self.w.jump(&head, &all, &all_types);
        self.w.start(&done, &[]);
        params
    }

    /// A loop whose body is a region, as structured as that is.
    pub fn counted(
        &mut self,
        bounds: (Name, Name, i64),
        init: &[Name],
        types: &[String],
        region: &Region,
    ) -> Vec<Name> {
        let body = |t: &mut Self, i, carries: Vec<Name>| {
            t.bind(&region.args, std::iter::once(i).chain(carries));
            t.region(region);
            region.yields.iter().map(|&v| t.get(v)).collect()
        };
        match self.may_return(region) {
            true => self.in_blocks(bounds, init, types, body),
            false => self.structured(bounds, init, types, body),
        }
    }

    fn types_of(&self, values: &[Value]) -> Vec<String> {
        let types = values.iter();
        types
            .map(|&v| register_type(self.unit.source.ty(v)))
            .collect()
    }

    pub fn for_loop(&mut self, node: &OpNode, step: i64) {
        let region = &node.regions[0];
        let all: Vec<Name> = node.operands.iter().map(|&v| self.get(v)).collect();
        let types = self.types_of(&node.operands[2..]);
        let (low, high) = (all[0].clone(), all[1].clone());
        let last = self.counted((low, high, step), &all[2..], &types, region);
        self.bind(&node.results, last);
    }

    /// The body becomes a function; what it uses from outside travels in a table on the stack. Bodies that read
    /// alike, as those of the layers of a network do, are one function.
    pub fn parallel(&mut self, node: &OpNode, grain: i64) {
        let region = &node.regions[0];
        let captures = captured(region);
        let parameters =
            "(%context: !llvm.ptr, %environment: !llvm.ptr, %low: i64, %high: i64) -> i32";
        let mut translator = Translator::new(self.unit, parameters);
        translator.body(region, &captures);
        let text = translator.w.finish();
        let name = match self.unit.bodies.get(&text) {
            Some(known) => known.clone(),
            None => {
                let name = format!("aiai_body_{}", self.unit.bodies.len());
                let _ = writeln!(
                    self.unit.items,
                    "  llvm.func internal @{name}{}",
                    text.trim_start()
                );
                self.unit.bodies.insert(text, name.clone());
                name
            }
        };
        let environment = self.w.stack((captures.len() as i64 + 1) * 8);
        self.w.line(&format!(
            "llvm.store %dims, {environment} : !llvm.ptr, !llvm.ptr"
        ));
        for (k, &capture) in captures.iter().enumerate() {
            let value = self.get(capture);
            let ty = register_type(self.unit.source.ty(capture));
            let place = self.element(&environment, k + 1, "i64");
            self.w
                .line(&format!("llvm.store {value}, {place} : {ty}, !llvm.ptr"));
        }
        let address = self
            .w
            .value(&format!("llvm.mlir.addressof @{name} : !llvm.ptr"));
        let n = self.get(node.operands[0]);
        let grain = self.int(grain);
        let args = ["%context".into(), address, environment, n, grain];
        let status = self.runtime("aiai_parallel_for", &args).unwrap_or_default();
        self.check_status(&status);
    }

    pub fn branch(&mut self, node: &OpNode) {
        let condition = self.get(node.operands[0]);
        let condition = self.condition(&condition);
        let types = self.types_of(&node.results);
        if !node.regions.iter().any(|r| self.may_return(r)) {
            let given = match types.as_slice() {
                [] => String::new(),
                _ => format!(" -> ({})", types.join(", ")),
            };
            let results = self
                .w
                .open(&format!("scf.if {condition}{given}"), types.len());
            for (k, region) in node.regions.iter().enumerate() {
                if k > 0 {
                    self.w.otherwise();
                }
                self.region(region);
                let yields: Vec<Name> = region.yields.iter().map(|&v| self.get(v)).collect();
                self.w.give(&yields, &types);
            }
            self.w.close();
            return self.bind(&node.results, results);
        }
        let blocks = [self.w.block(), self.w.block()];
        let merge = self.w.block();
        self.w.line(&format!(
            "cf.cond_br {condition}, {}, {}",
            blocks[0], blocks[1]
        ));
        for (block, region) in blocks.iter().zip(&node.regions) {
            self.w.start(block, &[]);
            self.region(region);
            let yields: Vec<Name> = region.yields.iter().map(|&v| self.get(v)).collect();
            self.w.jump(&merge, &yields, &types);
        }
        let results = self.w.start(&merge, &types);
        self.bind(&node.results, results);
    }

    pub fn while_loop(&mut self, node: &OpNode, max: Option<Dim>) {
        let (test, body) = (&node.regions[0], &node.regions[1]);
        let (head, inside, done) = (self.w.block(), self.w.block(), self.w.block());
        let mut types = vec!["i64".to_owned()];
        types.extend(self.types_of(&node.operands));
        let mut start = vec![self.int(0)];
        start.extend(node.operands.iter().map(|&v| self.get(v)));
        self.w.jump(&head, &start, &types);
        let mut carries = self.w.start(&head, &types);
        let trips = carries.remove(0);
        self.bind(&test.args, carries.clone());
        self.region(test);
        let go_on = self.get(test.yields[0]);
        let go_on = self.condition(&go_on);
        self.w
            .line(&format!("cf.cond_br {go_on}, {inside}, {done}"));
        self.w.start(&inside, &[]);
        if let Some(max) = max {
            let max = self.dim(max);
            let more = self
                .w
                .value(&format!("arith.cmpi slt, {trips}, {max} : i64"));
            let more = self.w.value(&format!("arith.extui {more} : i1 to i8"));
            let message = "the loop goes on after as many iterations as its `max` says";
            self.check(&more, message, &[], node.loc);
        }
        self.bind(&body.args, carries.clone());
        self.region(body);
        let one = self.int(1);
        let mut next = vec![self.w.value(&format!("arith.addi {trips}, {one} : i64"))];
        next.extend(body.yields.iter().map(|&v| self.get(v)));
        self.w.jump(&head, &next, &types);
        self.w.start(&done, &[]);
        self.bind(&node.results, carries);
    }
}
