//! Shuffles of vectors.

use aiai_ir::{Op, Value};

use super::Lowerer;

/// Bytes within which lanes change places by instructions that need no list of them.
const BLOCK: usize = 16;

impl Lowerer<'_> {
    /// The lanes of two vectors in turns: the first half of them, or the second.
    pub fn in_turns(&mut self, pair: [Value; 2], high: bool) -> Value {
        let count = self.lane_count(pair[0]);
        self.units_in_turns(pair, (count, 1), high)
    }

    /// A square of vectors, transposed: first the blocks of 16 bytes, then these among the vectors.
    pub fn transpose(&mut self, vectors: Vec<Value>) -> Vec<Value> {
        let (count, dtype) = (vectors.len(), self.b.ty(vectors[0]).dtype());
        let block = (BLOCK / dtype.bytes()).min(count);
        let groups: Vec<Vec<Value>> = vectors
            .chunks(block)
            .map(|rows| self.transpose_blocks(rows, block, 1))
            .collect();
        let mut transposed = vec![Vec::new(); count / block];
        for column in 0..block {
            let parts: Vec<Value> = groups.iter().map(|group| group[column]).collect();
            for (of_block, vector) in transposed.iter_mut().zip(self.gather_blocks(&parts, block)) {
                of_block.push(vector);
            }
        }
        transposed.concat()
    }

    /// Of as many rows as a block has lanes, the columns within each block.
    fn transpose_blocks(&mut self, rows: &[Value], block: usize, unit: usize) -> Vec<Value> {
        if rows.len() == 1 {
            return rows.to_vec();
        }
        let mut columns = Vec::new();
        for high in [false, true] {
            let half: Vec<Value> = rows
                .chunks(2)
                .map(|pair| self.units_in_turns([pair[0], pair[1]], (block, unit), high))
                .collect();
            columns.extend(self.transpose_blocks(&half, block, 2 * unit));
        }
        columns
    }

    /// Vector k of the result has block k of each of these, of which there are as many as blocks.
    fn gather_blocks(&mut self, vectors: &[Value], block: usize) -> Vec<Value> {
        if vectors.len() == 1 {
            return vectors.to_vec();
        }
        let [even, odd] = [0, 1].map(|parity| {
            let half: Vec<Value> = vectors
                .chunks(2)
                .map(|pair| self.every_other_block([pair[0], pair[1]], block, parity))
                .collect();
            self.gather_blocks(&half, block)
        });
        even.into_iter()
            .zip(odd)
            .flat_map(|(even, odd)| [even, odd])
            .collect()
    }

    /// Of each block of two vectors the lower half or the higher one, in turns of so many lanes.
    fn units_in_turns(
        &mut self,
        pair: [Value; 2],
        (block, unit): (usize, usize),
        high: bool,
    ) -> Value {
        let count = self.lane_count(pair[0]);
        let start = if high { block / 2 } else { 0 };
        let mut lanes = Vec::new();
        for first in (0..count).step_by(block) {
            for from in (first + start..first + start + block / 2).step_by(unit) {
                lanes.extend(from..from + unit);
                lanes.extend(from + count..from + count + unit);
            }
        }
        self.b.value(Op::Shuffle { lanes }, &pair)
    }

    /// The even blocks of two vectors, or the odd ones.
    fn every_other_block(&mut self, pair: [Value; 2], block: usize, parity: usize) -> Value {
        let both = 2 * self.lane_count(pair[0]);
        let lanes = (0..both).filter(|lane| lane / block % 2 == parity);
        let lanes = lanes.collect();
        self.b.value(Op::Shuffle { lanes }, &pair)
    }

    fn lane_count(&self, vector: Value) -> usize {
        let lanes = self.b.ty(vector).shape()[0].as_const();
        lanes.expect("a vector has a known number of lanes") as usize
    }
}
