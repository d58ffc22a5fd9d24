//! Buffers: memory of the arena or the frame, loads and stores, constants.

use std::fmt::Write as _;

use aiai_codegen::memory::stack_bytes;
use aiai_codegen::tables::byte_size;
use aiai_ir::{DType, Dim, Literal, OpNode, Value};
use aiai_runtime::abi;

use crate::scalars::scalar_type;
use crate::translate::Translator;
use crate::writer::Name;

impl Translator<'_, '_> {
    /// The bytes of a buffer that lies in the frame.
    pub fn frame_bytes(&self, node: &OpNode) -> Option<i64> {
        let ends = self.unit.freed.contains(&node.results[0]);
        stack_bytes(&node.op).filter(|_| !ends)
    }

    pub fn alloc(&mut self, node: &OpNode, dtype: DType, shape: &[Dim]) {
        if let Some(bytes) = self.frame_bytes(node) {
            let address = self.w.stack(bytes.max(8));
            return self.define(node, address);
        }
        let bytes = self.dim(byte_size(dtype, shape));
        let args = ["%context".into(), bytes];
        let block = self.runtime("aiai_acquire", &args).unwrap_or_default();
        let null = self.w.value("llvm.mlir.zero : !llvm.ptr");
        let fine = self
            .w
            .value(&format!("llvm.icmp \"ne\" {block}, {null} : !llvm.ptr"));
        let (go_on, failed) = (self.w.block(), self.w.block());
        self.w
            .line(&format!("cf.cond_br {fine}, {go_on}, {failed}"));
        self.w.start(&failed, &[]);
        let status = self.int32(i64::from(abi::OUT_OF_MEMORY));
        self.w.line(&format!("llvm.return {status} : i32"));
        self.w.start(&go_on, &[]);
        self.define(node, block);
    }

    pub fn data(&mut self, node: &OpNode, value: &Literal) {
        let name = format!("aiai_data_{}", self.unit.count);
        self.unit.count += 1;
        // Empty data has no address.
        let bytes: &[u8] = if value.bytes.is_empty() {
            &[0]
        } else {
            &value.bytes
        };
        let mut text = String::new();
        for byte in bytes {
            let _ = write!(text, "\\{byte:02X}");
        }
        let _ = writeln!(
            self.unit.items,
            "  llvm.mlir.global internal constant @{name}(\"{text}\") {{alignment = 64 : i64}} : \
             !llvm.array<{} x i8>",
            bytes.len()
        );
        let address = self
            .w
            .value(&format!("llvm.mlir.addressof @{name} : !llvm.ptr"));
        self.define(node, address);
    }

    /// The address of an element of a buffer at an index.
    pub fn place(&mut self, buffer: Value, index: &[Value]) -> Name {
        let shape = self.unit.source.ty(buffer).shape();
        let mut position: Option<Name> = None;
        for (&i, &size) in index.iter().zip(shape) {
            let i = self.get(i);
            position = Some(match position {
                None => i,
                Some(before) => {
                    let size = self.dim(size);
                    let scaled = self
                        .w
                        .value(&format!("arith.muli {before}, {size} overflow<nsw> : i64"));
                    self.w
                        .value(&format!("arith.addi {scaled}, {i} overflow<nsw> : i64"))
                }
            });
        }
        self.address(buffer, position)
    }

    /// The address of an element, so many elements from the start.
    pub fn address(&mut self, buffer: Value, position: Option<Name>) -> Name {
        let base = self.get(buffer);
        match position {
            None => base,
            Some(position) => {
                let ty = match self.dtype(buffer) {
                    DType::F16 | DType::BF16 => "i16",
                    dtype => scalar_type(dtype),
                };
                self.element_at(&base, &position, ty)
            }
        }
    }

    pub fn load(&mut self, node: &OpNode) {
        let buffer = node.operands[0];
        let address = self.place(buffer, &node.operands[1..]);
        let dtype = self.dtype(buffer);
        let value = match dtype {
            DType::F16 | DType::BF16 => {
                let bits = self
                    .w
                    .value(&format!("llvm.load {address} : !llvm.ptr -> i16"));
                let bits = self.w.value(&format!("arith.extui {bits} : i16 to i32"));
                self.widen_half(dtype, bits)
            }
            dtype => self.w.value(&format!(
                "llvm.load {address} : !llvm.ptr -> {}",
                scalar_type(dtype)
            )),
        };
        self.define(node, value);
    }

    pub fn store(&mut self, node: &OpNode) {
        let (value, buffer) = (self.get(node.operands[0]), node.operands[1]);
        let address = self.place(buffer, &node.operands[2..]);
        let dtype = self.dtype(buffer);
        let (value, ty) = match dtype {
            DType::F16 | DType::BF16 => {
                let bits = self.half_bits(dtype, DType::F32, value);
                let narrow = self.w.value(&format!("arith.trunci {bits} : i32 to i16"));
                (narrow, "i16")
            }
            dtype => (value, scalar_type(dtype)),
        };
        self.w
            .line(&format!("llvm.store {value}, {address} : {ty}, !llvm.ptr"));
    }
}
