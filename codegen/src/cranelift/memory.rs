//! Buffers: memory of the arena or the stack, loads and stores.

use aiai_ir::{DType, Dim, Literal, OpNode, Value as IrValue};
use aiai_runtime::abi;
use cranelift::codegen::ir::MemFlagsData;
use cranelift::prelude::{InstBuilder, StackSlotData, StackSlotKind, Value, types};
use cranelift_module::Module as _;

use super::CompileError;
use super::function::{Translator, scalar_type};
use crate::memory::stack_bytes;
use crate::tables::byte_size;

impl Translator<'_, '_> {
    pub fn alloc(&mut self, node: &OpNode, dtype: DType, shape: &[Dim]) {
        let ends = self.unit.freed.contains(&node.results[0]);
        if let Some(bytes) = stack_bytes(&node.op).filter(|_| !ends) {
            let address = self.stack(bytes as u32);
            return self.define(node, address);
        }
        let bytes = self.dim(byte_size(dtype, shape));
        let block = self.runtime("aiai_acquire", &[self.context, bytes])[0];
        let (fine, failed) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(block, fine, &[], failed, &[]);
        self.b.set_cold_block(failed);
        self.b.switch_to_block(failed);
        let status = self
            .b
            .ins()
            .iconst(types::I32, i64::from(abi::OUT_OF_MEMORY));
        self.b.ins().return_(&[status]);
        self.b.switch_to_block(fine);
        self.define(node, block);
    }

    /// The address of memory on the stack.
    pub fn stack(&mut self, bytes: u32) -> Value {
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes.max(8), 6);
        let slot = self.b.create_sized_stack_slot(data);
        self.b.ins().stack_addr(types::I64, slot, 0)
    }

    pub fn free(&mut self, node: &OpNode) {
        let block = self.get(node.operands[0]);
        self.runtime("aiai_release", &[self.context, block]);
    }

    pub fn data(&mut self, node: &OpNode, value: &Literal) -> Result<(), CompileError> {
        let id = self.unit.data(value).map_err(|e| self.failed(&e))?;
        let global = self.unit.module().declare_data_in_func(id, self.b.func);
        let address = self.b.ins().symbol_value(types::I64, global);
        self.define(node, address);
        Ok(())
    }

    /// A scalar constant.
    pub fn literal(&mut self, value: &Literal) -> Value {
        let scalar = value.element(0);
        match value.dtype {
            DType::F64 => self.b.ins().f64const(scalar.as_f64()),
            DType::F16 | DType::BF16 | DType::F32 => {
                // The element is a value of its dtype, so f32 holds it exactly.
                self.b.ins().f32const(scalar.as_f64() as f32)
            }
            dtype => {
                let ty = scalar_type(dtype);
                let mask = if ty.bits() == 64 {
                    -1
                } else {
                    (1i64 << ty.bits()) - 1
                };
                self.b.ins().iconst(ty, scalar.as_i64() & mask)
            }
        }
    }

    /// The row-major position of an index in a buffer, in elements.
    pub fn position(&mut self, buffer: IrValue, index: &[IrValue]) -> Option<Value> {
        let shape = self.source.ty(buffer).shape();
        let mut position: Option<Value> = None;
        for (&i, &size) in index.iter().zip(shape) {
            let i = self.get(i);
            position = Some(match position {
                None => i,
                Some(before) => {
                    let size = self.dim(size);
                    let scaled = self.b.ins().imul(before, size);
                    self.b.ins().iadd(scaled, i)
                }
            });
        }
        position
    }

    /// The address of an element, `position` elements from the start.
    pub fn address(&mut self, buffer: IrValue, position: Option<Value>) -> Value {
        let base = self.get(buffer);
        let bytes = self.dtype(buffer).bytes() as i64;
        match position {
            None => base,
            Some(position) => {
                let shift = i64::from(bytes.trailing_zeros());
                let offset = self.b.ins().ishl_imm_u(position, shift);
                self.b.ins().iadd(base, offset)
            }
        }
    }

    pub fn load(&mut self, node: &OpNode) {
        let buffer = node.operands[0];
        let position = self.position(buffer, &node.operands[1..]);
        let address = self.address(buffer, position);
        let value = self.load_scalar(self.dtype(buffer), address);
        self.define(node, value);
    }

    fn load_scalar(&mut self, dtype: DType, address: Value) -> Value {
        let flags = MemFlagsData::trusted();
        match dtype {
            DType::F16 => {
                let bits = self.b.ins().uload16(types::I32, flags, address, 0);
                self.runtime("aiai_f16_to_f32", &[bits])[0]
            }
            DType::BF16 => {
                let bits = self.b.ins().uload16(types::I32, flags, address, 0);
                self.widen_bf16(bits)
            }
            dtype => self.b.ins().load(scalar_type(dtype), flags, address, 0),
        }
    }

    pub fn store(&mut self, node: &OpNode) {
        let (value, buffer) = (self.get(node.operands[0]), node.operands[1]);
        let position = self.position(buffer, &node.operands[2..]);
        let address = self.address(buffer, position);
        let flags = MemFlagsData::trusted();
        match self.dtype(buffer) {
            DType::F16 => {
                let bits = self.runtime("aiai_f32_to_f16", &[value])[0];
                self.b.ins().istore16(flags, bits, address, 0);
            }
            DType::BF16 => {
                let bits = self.runtime("aiai_f32_to_bf16", &[value])[0];
                self.b.ins().istore16(flags, bits, address, 0);
            }
            _ => {
                self.b.ins().store(flags, value, address, 0);
            }
        }
    }

    /// The f32 of the bits of a bfloat16.
    pub fn widen_bf16(&mut self, bits: Value) -> Value {
        let wide = self.b.ins().ishl_imm_u(bits, 16);
        self.b.ins().bitcast(types::F32, MemFlagsData::new(), wide)
    }
}
