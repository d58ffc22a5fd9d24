//! Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.

use super::array::Array;
use crate::DType;

/// The four words of a counter under a key.
pub fn philox4x32(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    const M: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const W: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    let (mut c, mut k) = (counter, key);
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(W[0]), k[1].wrapping_add(W[1])];
        }
        let (a, b) = (M[0] * u64::from(c[0]), M[1] * u64::from(c[2]));
        c = [
            (b >> 32) as u32 ^ c[1] ^ k[0],
            b as u32,
            (a >> 32) as u32 ^ c[3] ^ k[1],
            a as u32,
        ];
    }
    c
}

/// Word i is lane `i % 4` of counter `i / 4`, counted in the two low words.
pub(super) fn random_bits(key: &Array, shape: &[usize]) -> Array {
    let words = key.as_ints();
    let key = [words[0] as u32, words[1] as u32];
    let count: usize = shape.iter().product();
    let word = |i: usize| {
        let block = (i / 4) as u64;
        philox4x32(key, [block as u32, (block >> 32) as u32, 0, 0])[i % 4]
    };
    Array::ints(
        DType::U32,
        shape.to_vec(),
        (0..count).map(|i| i64::from(word(i))),
    )
}
