//! Philox4x32-10, the counter-based random number generator of the language.
//!
//! Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
//!
//! Layout: word `i` of `random_bits(key, n)` is lane `i % 4` of the block with counter
//! `[i / 4 low, i / 4 high, 0, 0]`. It depends on the key and `i` alone, so any thread may fill any
//! part and a longer request begins with the words of a shorter one.

/// A key: the two 32-bit words that select a stream.
pub type Key = [u32; 2];

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEP: Key = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: u32 = 10;

/// The block of four words at `counter`.
#[inline(always)]
pub fn block(key: Key, counter: [u32; 4]) -> [u32; 4] {
    let (mut key, mut c) = (key, counter);
    for round in 0..ROUNDS {
        if round > 0 {
            key = [
                key[0].wrapping_add(KEY_STEP[0]),
                key[1].wrapping_add(KEY_STEP[1]),
            ];
        }
        let product0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let product1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (product1 >> 32) as u32 ^ c[1] ^ key[0],
            product1 as u32,
            (product0 >> 32) as u32 ^ c[3] ^ key[1],
            product0 as u32,
        ];
    }
    c
}

/// Word `index` of the stream of `key`.
pub fn word(key: Key, index: u64) -> u32 {
    let block_index = index / 4;
    block(key, [block_index as u32, (block_index >> 32) as u32, 0, 0])[(index % 4) as usize]
}

/// Fills `out` with the words `first, first + 1, ...` of the stream.
pub fn fill(key: Key, first: u64, out: &mut [u32]) {
    let head = ((4 - first % 4) % 4).min(out.len() as u64) as usize;
    let (head, rest) = out.split_at_mut(head);
    for (i, value) in head.iter_mut().enumerate() {
        *value = word(key, first + i as u64);
    }
    let first_block = first.div_ceil(4);
    for (i, four) in rest.chunks_mut(4).enumerate() {
        let index = first_block + i as u64;
        let words = block(key, [index as u32, (index >> 32) as u32, 0, 0]);
        four.copy_from_slice(&words[..four.len()]);
    }
}

/// `n` keys: key `j` is the words `2 j` and `2 j + 1` of the stream of `key`, which must not be used
/// for anything else.
pub fn split(key: Key, n: usize) -> impl Iterator<Item = Key> {
    (0..n as u64).map(move |j| [word(key, 2 * j), word(key, 2 * j + 1)])
}

/// The key of a seed given by a person.
pub fn key_of_seed(seed: u64) -> Key {
    [seed as u32, (seed >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The known answers distributed with the authors' Random123 library.
    #[test]
    fn known_answers() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
            ),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(block(key, counter), expected);
        }
    }

    #[test]
    fn split_keys_differ() {
        let keys: Vec<Key> = split([1, 2], 3).collect();
        assert_eq!(keys.len(), 3);
        assert_eq!(keys[1], [word([1, 2], 2), word([1, 2], 3)]);
        assert_ne!(keys[0], keys[1]);
    }

    proptest! {
        #[test]
        fn any_part_equals_the_whole(key: Key, first in 0u64..40, len in 0usize..40, high: bool) {
            let first = if high { (1 << 34) - 8 + first } else { first };
            let mut part = vec![0; len];
            fill(key, first, &mut part);
            for (i, &value) in part.iter().enumerate() {
                prop_assert_eq!(value, word(key, first + i as u64));
            }
        }
    }
}
