//! Where randomness comes from, and in which order examples are seen.

use aiai_runtime::philox::{Key, block};

/// What a key is derived for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    Init = 1,
    Shuffle = 2,
    Step = 3,
}

/// The key of a purpose and number under a seed. The last word of the counter is one that random
/// bits of programs never use.
pub fn derive_key(seed: u64, purpose: Purpose, n: u64) -> Key {
    let root = [seed as u32, (seed >> 32) as u32];
    let words = block(root, [n as u32, (n >> 32) as u32, purpose as u32, 0xa1a1]);
    [words[0], words[1]]
}

/// The examples of an epoch, shuffled.
pub struct Order {
    examples: Vec<usize>,
    batch: usize,
}

impl Order {
    pub fn new(seed: u64, epoch: u64, examples: &[usize], batch: usize) -> Order {
        let mut examples = examples.to_vec();
        for i in (1..examples.len()).rev() {
            let word = derive_key(seed, Purpose::Shuffle, (epoch << 32) + i as u64)[0];
            let j = (u64::from(word) * (i as u64 + 1)) >> 32;
            examples.swap(i, j as usize);
        }
        Order { examples, batch }
    }

    /// The examples of a step of the epoch.
    pub fn batch(&self, step: usize) -> &[usize] {
        let from = step * self.batch;
        &self.examples[from..(from + self.batch).min(self.examples.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_example_once() {
        let order = Order::new(7, 3, &[10, 11, 12, 13, 14], 2);
        let mut seen: Vec<usize> = (0..3).flat_map(|s| order.batch(s).to_vec()).collect();
        assert_eq!(order.batch(2).len(), 1);
        seen.sort_unstable();
        assert_eq!(seen, [10, 11, 12, 13, 14]);
        let other = Order::new(7, 4, &[10, 11, 12, 13, 14], 2);
        assert_ne!(order.examples, other.examples);
    }

    #[test]
    fn keys_differ_by_purpose_and_number() {
        let key = |p, n| derive_key(1, p, n);
        assert_ne!(key(Purpose::Init, 0), key(Purpose::Step, 0));
        assert_ne!(key(Purpose::Step, 0), key(Purpose::Step, 1 << 32));
    }
}
