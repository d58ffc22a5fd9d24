//! Vectors: masked loads and stores, lanes from a scalar, fused multiply-add, interleaving.

use aiai_ir::{DType, OpNode, ReduceKind, Value};

use crate::memory::stored_type;
use crate::scalars::{register_type, scalar_type, type_of};
use crate::translate::Translator;
use crate::writer::Name;

fn listed(numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|n| n.to_string()).collect();
    numbers.join(", ")
}

impl Translator<'_, '_> {
    /// Which lanes are below a count; `None` where all are.
    fn mask(&mut self, count: Value, lanes: i64) -> Option<Name> {
        if self.known(count).is_some_and(|n| n >= lanes) {
            return None;
        }
        let count = self.get(count);
        Some(self.mask_below(&count, lanes))
    }

    fn mask_below(&mut self, count: &str, lanes: i64) -> Name {
        let most = self.int(lanes);
        let count = self.w.value(&format!("arith.minsi {count}, {most} : i64"));
        let count = self.w.value(&format!("arith.trunci {count} : i64 to i32"));
        let ty = type_of("i32", Some(lanes));
        let all = self
            .w
            .value(&format!("vector.broadcast {count} : i32 to {ty}"));
        let numbers = self.w.value(&format!(
            "arith.constant dense<[{}]> : {ty}",
            listed(0..lanes)
        ));
        self.w
            .value(&format!("arith.cmpi slt, {numbers}, {all} : {ty}"))
    }

    /// Neighbours in memory; 0 where the mask does not hold.
    fn load_lanes(&mut self, buffer: Value, place: &str, lanes: i64, mask: Option<&Name>) -> Name {
        let (scalar, memref) = (stored_type(self.dtype(buffer)), self.memref_type(buffer));
        let ty = type_of(scalar, Some(lanes));
        let Some(mask) = mask else {
            return self
                .w
                .value(&format!("vector.load {place} : {memref}, {ty}"));
        };
        let zero = self.zeros(scalar, lanes);
        let masks = type_of("i1", Some(lanes));
        self.w.value(&format!(
            "vector.maskedload {place}, {mask}, {zero} : {memref}, {masks}, {ty} into {ty}"
        ))
    }

    fn zeros(&mut self, scalar: &str, lanes: i64) -> Name {
        let zero = if scalar.starts_with('f') { "0.0" } else { "0" };
        let ty = type_of(scalar, Some(lanes));
        self.w
            .value(&format!("arith.constant dense<{zero}> : {ty}"))
    }

    pub fn load_vector(&mut self, node: &OpNode, lanes: i64, stride: i64) {
        let (buffer, rest) = (node.operands[0], &node.operands[1..]);
        let Some((&count, index)) = rest.split_last() else {
            return;
        };
        let dtype = self.dtype(buffer);
        let loaded = match stride {
            1 => {
                let mask = self.mask(count, lanes);
                let place = self.place(buffer, index);
                self.load_lanes(buffer, &place, lanes, mask.as_ref())
            }
            2 => self.load_every_second(buffer, index, lanes, count),
            _ => self.gather(buffer, index, (lanes, stride), count),
        };
        let value = match dtype {
            DType::F16 | DType::BF16 => {
                let [from, to] = ["i16", "i32"].map(|ty| type_of(ty, Some(lanes)));
                let bits = self
                    .w
                    .value(&format!("arith.extui {loaded} : {from} to {to}"));
                self.lanes = Some(lanes);
                let value = self.widen_half(dtype, bits);
                self.lanes = None;
                value
            }
            _ => loaded,
        };
        self.define(node, value);
    }

    /// Two vectors of neighbours, and every second lane of both.
    fn load_every_second(
        &mut self,
        buffer: Value,
        index: &[Value],
        lanes: i64,
        count: Value,
    ) -> Name {
        let ty = type_of(stored_type(self.dtype(buffer)), Some(lanes));
        let masks = match self.known(count).is_some_and(|n| n > lanes) {
            true => [None, None],
            false => {
                // The last element that is wanted is the last that is read.
                let (count, one) = (self.get(count), self.int(1));
                let wanted = self.w.value(&format!("arith.addi {count}, {count} : i64"));
                let wanted = self.w.value(&format!("arith.subi {wanted}, {one} : i64"));
                let width = self.int(lanes);
                let behind = self.w.value(&format!("arith.subi {wanted}, {width} : i64"));
                [
                    Some(self.mask_below(&wanted, lanes)),
                    Some(self.mask_below(&behind, lanes)),
                ]
            }
        };
        let first = self.place(buffer, index);
        let mut far: Vec<Name> = index.iter().map(|&i| self.get(i)).collect();
        if let Some(last) = far.last_mut() {
            let width = self.int(lanes);
            *last = self.w.value(&format!("arith.addi {last}, {width} : i64"));
        }
        let second = self.place_at(buffer, &far);
        let first = self.load_lanes(buffer, &first, lanes, masks[0].as_ref());
        let second = self.load_lanes(buffer, &second, lanes, masks[1].as_ref());
        self.w.value(&format!(
            "vector.shuffle {first}, {second} [{}] : {ty}, {ty}",
            listed((0..lanes).map(|lane| 2 * lane))
        ))
    }

    fn gather(
        &mut self,
        buffer: Value,
        index: &[Value],
        (lanes, stride): (i64, i64),
        count: Value,
    ) -> Name {
        let count = self.get(count);
        let mask = self.mask_below(&count, lanes);
        let scalar = stored_type(self.dtype(buffer));
        let [ty, offsets, masks] = [scalar, "i64", "i1"].map(|ty| type_of(ty, Some(lanes)));
        let steps = listed((0..lanes).map(|lane| lane * stride));
        let steps = self
            .w
            .value(&format!("arith.constant dense<[{steps}]> : {offsets}"));
        let (place, memref) = (self.place(buffer, index), self.memref_type(buffer));
        let zero = self.zeros(scalar, lanes);
        self.w.value(&format!(
            "vector.gather {place} [{steps}], {mask}, {zero} : {memref}, {offsets}, {masks}, {ty} into {ty}"
        ))
    }

    pub fn store_vector(&mut self, node: &OpNode) {
        let (vector, buffer, rest) = (node.operands[0], node.operands[1], &node.operands[2..]);
        let Some((&count, index)) = rest.split_last() else {
            return;
        };
        let Some(lanes) = crate::scalars::lanes_of(self.unit.source.ty(vector)) else {
            return;
        };
        let dtype = self.dtype(buffer);
        let mut value = self.get(vector);
        if matches!(dtype, DType::F16 | DType::BF16) {
            self.lanes = Some(lanes);
            let bits = self.half_bits(dtype, DType::F32, value);
            self.lanes = None;
            let [from, to] = ["i32", "i16"].map(|ty| type_of(ty, Some(lanes)));
            value = self
                .w
                .value(&format!("arith.trunci {bits} : {from} to {to}"));
        }
        let (ty, memref) = (
            type_of(stored_type(dtype), Some(lanes)),
            self.memref_type(buffer),
        );
        let mask = self.mask(count, lanes);
        let place = self.place(buffer, index);
        let op = match mask {
            None => format!("vector.store {value}, {place} : {memref}, {ty}"),
            Some(mask) => {
                let masks = type_of("i1", Some(lanes));
                format!("vector.maskedstore {place}, {mask}, {value} : {memref}, {masks}, {ty}")
            }
        };
        self.w.line(&op);
    }

    /// A scalar in every lane.
    pub fn splat(&mut self, node: &OpNode) {
        let from = register_type(self.unit.source.ty(node.operands[0]));
        let to = register_type(self.unit.source.ty(node.results[0]));
        let x = self.get(node.operands[0]);
        let value = match from == to {
            true => x,
            false => self
                .w
                .value(&format!("vector.broadcast {x} : {from} to {to}")),
        };
        self.define(node, value);
    }

    /// The number of every lane.
    pub fn iota(&mut self, node: &OpNode) {
        let ty = self.unit.source.ty(node.results[0]).clone();
        let lanes = crate::scalars::lanes_of(&ty).unwrap_or(1);
        let zeros = if ty.dtype().is_float() { ".0" } else { "" };
        let numbers: Vec<String> = (0..lanes).map(|n| format!("{n}{zeros}")).collect();
        let value = self.w.value(&format!(
            "arith.constant dense<[{}]> : {}",
            numbers.join(", "),
            register_type(&ty)
        ));
        self.define(node, value);
    }

    /// The lanes of a vector combined, in the order of a tree.
    pub fn reduce_vector(&mut self, node: &OpNode, kind: ReduceKind) {
        let (ty, dtype) = (
            register_type(self.unit.source.ty(node.operands[0])),
            self.dtype(node.operands[0]),
        );
        let x = self.get(node.operands[0]);
        if matches!(kind, ReduceKind::Max | ReduceKind::Min) && scalar_type(dtype) == "f32" {
            let lanes = crate::scalars::lanes_of(self.unit.source.ty(node.operands[0]));
            let value = self.extreme_lane(kind, &x, lanes);
            return self.define(node, value);
        }
        let name = match (kind, dtype.is_float()) {
            (ReduceKind::Sum, _) => "add",
            (ReduceKind::Prod, _) => "mul",
            (ReduceKind::Max, true) => "maximumf",
            (ReduceKind::Min, true) => "minimumf",
            (ReduceKind::Max, false) if dtype.is_signed() => "maxsi",
            (ReduceKind::Min, false) if dtype.is_signed() => "minsi",
            (ReduceKind::Max, false) => "maxui",
            (ReduceKind::Min, false) => "minui",
            (ReduceKind::Any, _) => "or",
            (ReduceKind::All, _) => "and",
        };
        let any_order = match dtype.is_float() && matches!(kind, ReduceKind::Sum | ReduceKind::Prod)
        {
            true => " fastmath<reassoc>",
            false => "",
        };
        let scalar = scalar_type(dtype);
        let value = self.w.value(&format!(
            "vector.reduction <{name}>, {x}{any_order} : {ty} into {scalar}"
        ));
        self.define(node, value);
    }

    /// The largest or smallest lane, through integers that are in the order of the floats, NaN beyond all.
    fn extreme_lane(&mut self, kind: ReduceKind, x: &str, lanes: Option<i64>) -> Name {
        let (name, nan) = match kind {
            ReduceKind::Max => ("maxsi", i32::MAX),
            _ => ("minsi", i32::MIN),
        };
        self.lanes = lanes;
        let key = self.order_key(x);
        let is_nan = self.is("uno", x, x, &type_of("f32", lanes));
        let most = self.constant(&nan.to_string(), "i32");
        let ty = type_of("i32", lanes);
        let key = self.select(&is_nan, &most, &key, &ty);
        self.lanes = None;
        let best = self
            .w
            .value(&format!("vector.reduction <{name}>, {key} : {ty} into i32"));
        // The same once more gives the bits back.
        let best = self.w.value(&format!("arith.bitcast {best} : i32 to f32"));
        let bits = self.order_key(&best);
        self.w.value(&format!("arith.bitcast {bits} : i32 to f32"))
    }

    /// The bits of a float, all but the sign turned over where it is negative.
    fn order_key(&mut self, x: &str) -> Name {
        let ty = type_of("i32", self.lanes);
        let bits = self.convert("arith.bitcast", x, "f32", "i32");
        let [places, rest] = ["31", "2147483647"].map(|n| self.constant(n, "i32"));
        let sign = self.of_two("arith.shrsi", &bits, &places, &ty);
        let turned = self.of_two("arith.andi", &sign, &rest, &ty);
        self.of_two("arith.xori", &bits, &turned, &ty)
    }

    pub fn fma(&mut self, node: &OpNode) {
        let ty = register_type(self.unit.source.ty(node.operands[0]));
        let [a, b, c] = [0, 1, 2].map(|k| self.get(node.operands[k]));
        let value = self.w.value(&format!("math.fma {a}, {b}, {c} : {ty}"));
        self.define(node, value);
    }

    pub fn shuffle(&mut self, node: &OpNode, lanes: &[usize]) {
        let ty = register_type(self.unit.source.ty(node.operands[0]));
        let order = listed(lanes.iter().map(|&lane| lane as i64));
        let [a, b] = [0, 1].map(|k| self.get(node.operands[k]));
        let value = self
            .w
            .value(&format!("vector.shuffle {a}, {b} [{order}] : {ty}, {ty}"));
        self.define(node, value);
    }

    pub fn prefetch(&mut self, node: &OpNode) {
        let position = self.get(node.operands[1]);
        let address = self.address(node.operands[0], Some(position));
        self.w.line(&format!(
            "\"llvm.intr.prefetch\"({address}) <{{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}}> : \
             (!llvm.ptr) -> ()"
        ));
    }
}
