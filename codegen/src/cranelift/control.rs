//! Loops, branches and checks.

use aiai_ir::{Dim, OpNode, Region, Type as IrType, Value as IrValue};
use cranelift::codegen::ir::{BlockArg, MemFlagsData, Opcode};
use cranelift::prelude::{InstBuilder, IntCC, Value, types};

use super::CompileError;
use super::function::Translator;
use crate::tables::captured;

impl Translator<'_, '_> {
    pub fn for_loop(&mut self, node: &OpNode, step: i64, lanes: i64) -> Result<(), CompileError> {
        let (low, high) = (self.get(node.operands[0]), self.get(node.operands[1]));
        let region = &node.regions[0];
        let around = self.settle(region);
        let mut first = low;
        if lanes > 1 && step == 1 && node.results.is_empty() {
            first = self.vector_loop(region, low, high)?;
        }
        let init: Vec<Value> = node.operands[2..].iter().map(|&v| self.get(v)).collect();
        let last = self.counted(first, high, step, &init, |t, i, carries| {
            t.bind(
                &region.args,
                std::iter::once(i).chain(carries.iter().copied()),
            );
            t.region(region)?;
            Ok(region.yields.iter().map(|&v| t.get(v)).collect())
        })?;
        self.values.extend(around);
        self.bind(&node.results, last);
        Ok(())
    }

    /// Fixes the floats that a loop uses from outside where they stand: Cranelift would compute one that
    /// follows from the result of another loop again in every iteration. Gives what they were before.
    fn settle(&mut self, region: &Region) -> Vec<(IrValue, Value)> {
        let mut around = Vec::new();
        for value in captured(region) {
            let is_float =
                matches!(self.source.ty(value), IrType::Tensor { dtype, .. } if dtype.is_float());
            if !is_float {
                continue;
            }
            let known = self.get(value);
            let dfg = &self.b.func.dfg;
            let computed = dfg.value_def(known).inst().is_some_and(|inst| {
                let opcode = dfg.insts[inst].opcode();
                let stays = [Opcode::F32const, Opcode::F64const, Opcode::Bitcast].contains(&opcode);
                !stays && !opcode.can_load() && !opcode.is_call()
            });
            if computed {
                let ty = dfg.value_type(known);
                let flags = MemFlagsData::trusted();
                let slot = self.stack(ty.bytes());
                self.b.ins().store(flags, known, slot, 0);
                let bits = self.b.ins().load(ty.as_int(), flags, slot, 0);
                let fixed = self.b.ins().bitcast(ty, MemFlagsData::new(), bits);
                self.values.insert(value, fixed);
                around.push((value, known));
            }
        }
        around
    }

    fn bind(&mut self, names: &[IrValue], values: impl IntoIterator<Item = Value>) {
        for (&name, value) in names.iter().zip(values) {
            self.values.insert(name, value);
        }
    }

    /// The body becomes a function; what it uses from outside travels in a table on the stack.
    pub fn parallel(&mut self, node: &OpNode, grain: i64) -> Result<(), CompileError> {
        let region = &node.regions[0];
        let captures = captured(region);
        let id = self.unit.body(self.source, region, &captures)?;
        let function = self.function(id);
        let environment = self.stack((captures.len() as u32 + 1) * 8);
        let flags = MemFlagsData::trusted();
        self.b.ins().store(flags, self.table, environment, 0);
        for (k, &capture) in captures.iter().enumerate() {
            let value = self.get(capture);
            let at = (k as i32 + 1) * 8;
            self.b.ins().store(flags, value, environment, at);
        }
        let address = self.b.ins().func_addr(types::I64, function);
        let n = self.get(node.operands[0]);
        let grain = self.int(grain);
        let args = [self.context, address, environment, n, grain];
        let status = self.runtime("aiai_parallel_for", &args)[0];
        self.check_status(status);
        Ok(())
    }

    pub fn branch(&mut self, node: &OpNode) -> Result<(), CompileError> {
        let condition = self.get(node.operands[0]);
        let blocks = [self.b.create_block(), self.b.create_block()];
        let merge = self.b.create_block();
        for &result in &node.results {
            let ty = super::function::register_type(self.source.ty(result));
            self.b.append_block_param(merge, ty);
        }
        self.b.ins().brif(condition, blocks[0], &[], blocks[1], &[]);
        for (block, region) in blocks.into_iter().zip(&node.regions) {
            self.b.switch_to_block(block);
            self.region(region)?;
            let yields = self.block_args(&region.yields);
            self.b.ins().jump(merge, &yields);
        }
        self.b.switch_to_block(merge);
        let params = self.b.block_params(merge).to_vec();
        self.bind(&node.results, params);
        Ok(())
    }

    fn block_args(&self, values: &[IrValue]) -> Vec<BlockArg> {
        values
            .iter()
            .map(|&v| BlockArg::Value(self.get(v)))
            .collect()
    }

    pub fn while_loop(&mut self, node: &OpNode, max: Option<Dim>) -> Result<(), CompileError> {
        let (test, body) = (&node.regions[0], &node.regions[1]);
        let (head, inside, done) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        self.b.append_block_param(head, types::I64);
        for &operand in &node.operands {
            let ty = super::function::register_type(self.source.ty(operand));
            self.b.append_block_param(head, ty);
        }
        let zero = self.int(0);
        let mut start = vec![BlockArg::Value(zero)];
        start.extend(self.block_args(&node.operands));
        self.b.ins().jump(head, &start);
        self.b.switch_to_block(head);
        let params = self.b.block_params(head).to_vec();
        self.bind(&test.args, params[1..].to_vec());
        self.region(test)?;
        let go_on = self.get(test.yields[0]);
        self.b.ins().brif(go_on, inside, &[], done, &[]);
        self.b.switch_to_block(inside);
        if let Some(max) = max {
            let max = self.dim(max);
            let more = self.b.ins().icmp(IntCC::SignedLessThan, params[0], max);
            self.check(
                more,
                "the loop goes on after as many iterations as its `max` says",
                node.loc,
            );
        }
        self.bind(&body.args, params[1..].to_vec());
        self.region(body)?;
        let trips = self.b.ins().iadd_imm_s(params[0], 1);
        let mut next = vec![BlockArg::Value(trips)];
        next.extend(self.block_args(&body.yields));
        self.b.ins().jump(head, &next);
        self.b.switch_to_block(done);
        self.bind(&node.results, params[1..].to_vec());
        Ok(())
    }

    pub fn assert(&mut self, node: &OpNode, message: &str) {
        let condition = self.get(node.operands[0]);
        let shown: Vec<Value> = node.operands[1..].iter().map(|&v| self.get(v)).collect();
        self.check_showing(condition, message, &shown, node.loc);
    }
}
