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
            return self.buffer(node.results[0], address);
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
        self.buffer(node.results[0], block);
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
        self.buffer(node.results[0], address);
    }

    /// Names the memory of a buffer: an address, and where elements are loaded or stored, a memref of it.
    pub fn buffer(&mut self, value: Value, address: Name) {
        if self.unit.accessed.contains(&value) {
            let memref = self.memref_of(value, &address);
            self.memrefs.insert(value, memref);
        }
        self.bind(&[value], [address]);
    }

    /// A memref of the memory at an address: its descriptor has what the type leaves open.
    fn memref_of(&mut self, value: Value, address: &str) -> Name {
        let shape = self.unit.source.ty(value).shape();
        let words = format!("array<{} x i64>", shape.len());
        let fields = match shape {
            [] => String::new(),
            _ => format!(", {words}, {words}"),
        };
        let descriptor = format!("!llvm.struct<(ptr, ptr, i64{fields})>");
        let mut all = self.w.value(&format!("llvm.mlir.poison : {descriptor}"));
        let mut insert = |this: &mut Self, part: &str, place: &str| {
            let op = format!("llvm.insertvalue {part}, {all}[{place}] : {descriptor}");
            all = this.w.value(&op);
        };
        insert(self, address, "0");
        insert(self, address, "1");
        // The stride of an axis is open where a size behind it is.
        let (mut known, mut stride): (i64, Option<Name>) = (1, None);
        for (axis, &size) in shape.iter().enumerate().rev() {
            if let Some(stride) = &stride {
                insert(self, stride, &format!("4, {axis}"));
            }
            if let (Some(n), None) = (size.as_const(), &stride) {
                known = known.saturating_mul(n);
                continue;
            }
            let is_open = size.as_const().is_none();
            let size = self.dim(size);
            if is_open {
                insert(self, &size, &format!("3, {axis}"));
            }
            if axis > 0 {
                let inner = stride.unwrap_or_else(|| self.int(known));
                let op = format!("arith.muli {inner}, {size} overflow<nsw> : i64");
                stride = Some(self.w.value(&op));
            }
        }
        let ty = self.memref_type(value);
        self.w.value(&format!(
            "builtin.unrealized_conversion_cast {all} : {descriptor} to {ty}"
        ))
    }

    pub fn memref_type(&self, buffer: Value) -> String {
        let shape = self.unit.source.ty(buffer).shape().iter();
        let sizes: Vec<String> = shape
            .map(|size| size.as_const().map_or("?x".into(), |n| format!("{n}x")))
            .collect();
        let element = stored_type(self.dtype(buffer));
        format!("memref<{}{element}>", sizes.concat())
    }

    /// An element of a buffer as the operand of an op: the memref with its indices.
    pub fn place(&mut self, buffer: Value, index: &[Value]) -> String {
        let index: Vec<Name> = index.iter().map(|&i| self.get(i)).collect();
        self.place_at(buffer, &index)
    }

    /// The same, of indices that have names.
    pub fn place_at(&mut self, buffer: Value, index: &[Name]) -> String {
        let index: Vec<Name> = index
            .iter()
            .map(|i| {
                self.w
                    .value(&format!("arith.index_cast {i} : i64 to index"))
            })
            .collect();
        let Some(memref) = self.memrefs.get(&buffer) else {
            unreachable!("value {} is no buffer of elements", buffer.0);
        };
        format!("{memref}[{}]", index.join(", "))
    }

    /// The address of an element, so many elements from the start.
    pub fn address(&mut self, buffer: Value, position: Option<Name>) -> Name {
        let base = self.get(buffer);
        match position {
            None => base,
            Some(position) => {
                let ty = stored_type(self.dtype(buffer));
                self.element_at(&base, &position, ty)
            }
        }
    }

    pub fn load(&mut self, node: &OpNode) {
        let buffer = node.operands[0];
        let (place, ty) = (
            self.place(buffer, &node.operands[1..]),
            self.memref_type(buffer),
        );
        let loaded = self.w.value(&format!("memref.load {place} : {ty}"));
        let value = match self.dtype(buffer) {
            dtype @ (DType::F16 | DType::BF16) => {
                let bits = self.w.value(&format!("arith.extui {loaded} : i16 to i32"));
                self.widen_half(dtype, bits)
            }
            _ => loaded,
        };
        self.define(node, value);
    }

    pub fn store(&mut self, node: &OpNode) {
        let (mut value, buffer) = (self.get(node.operands[0]), node.operands[1]);
        let (place, ty) = (
            self.place(buffer, &node.operands[2..]),
            self.memref_type(buffer),
        );
        if let dtype @ (DType::F16 | DType::BF16) = self.dtype(buffer) {
            let bits = self.half_bits(dtype, DType::F32, value);
            value = self.w.value(&format!("arith.trunci {bits} : i32 to i16"));
        }
        self.w
            .line(&format!("memref.store {value}, {place} : {ty}"));
    }
}

/// The type of an element in memory.
pub fn stored_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 | DType::BF16 => "i16",
        dtype => scalar_type(dtype),
    }
}
