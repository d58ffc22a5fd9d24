//! Random numbers for tests, generators and searches: SplitMix64 (Steele, Lea and Flood, 2014), the same from a seed on every
//! machine. What programs of the language draw is [`crate::eval`]'s and the runtime's.

/// A stream of random numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The stream number `index` of a seed: streams of neighbouring numbers have nothing in common.
    pub fn stream(seed: u64, index: u64) -> Random {
        let mut outer = Random(seed ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        outer.bits();
        Random(outer.bits())
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit.max(1) as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1).max(1);
        let step = i128::from(self.bits()) % span;
        (i128::from(low) + step) as i64
    }

    /// True once in `n` times on average.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of the choices; `None` of nothing.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len())).copied()
    }

    /// One of at least one choices.
    pub fn choose<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N)]
    }

    /// The same elements in a random order.
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for k in (1..elements.len()).rev() {
            elements.swap(k, self.below(k + 1));
        }
    }
}

/// A seed for one purpose from another and a text, so that no two draw the same. The hash is FNV-1a.
pub fn derive(seed: u64, purpose: &str) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325u64;
    for byte in purpose.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    Random::new(seed ^ hash).bits()
}
