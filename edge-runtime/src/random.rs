//! Random numbers from a seed, the same on every machine: SplitMix64 (Steele, Lea and Flood, 2014).
//!
//! The training's shuffle, the pictures of dead leaves, random weights and the simulated device's faults all
//! come from here. Files depend on this sequence, so it never changes. It is not for keys.

/// The generator. Its state is one word, and every seed is as good as another.
///
/// ```
/// use edge_runtime::random::Random;
///
/// let mut random = Random::new(1_234_567);
/// assert_eq!(random.bits(), 6_457_827_717_110_365_317);
/// assert!((-3..=3).contains(&random.range(-3, 3)));
/// ```
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose sequence depends on the seed alone.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`. The low ones are more likely by less than `n / 2^64`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub const fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    ///
    /// # Panics
    /// If `low` is above `high`.
    pub const fn range(&mut self, low: i32, high: i32) -> i32 {
        assert!(low <= high);
        let count = high as i64 - low as i64 + 1;
        (low as i64 + (self.bits() % count as u64) as i64) as i32
    }

    /// One of the items.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// True with a probability of `per_million` in a million.
    pub const fn chance(&mut self, per_million: u32) -> bool {
        self.bits() % 1_000_000 < per_million as u64
    }

    /// A number in `[0, 1)`, of 24 bits.
    pub const fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// A real number in `[low, high)`.
    pub const fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A nearly normal number with mean 0 and standard deviation 1: a sum of four uniform ones.
    pub const fn normal(&mut self) -> f32 {
        let sum = self.unit() + self.unit() + self.unit() + self.unit();
        (sum - 2.0) * 1.732_050_8
    }

    /// Fills with int8 values from `lowest` to 127: any, or only both ends and 0 where `extremes` is set.
    /// Sums of extremes show an accumulator that is too narrow.
    pub fn i8s(&mut self, values: &mut [i8], lowest: i8, extremes: bool) {
        for v in values {
            *v = if extremes {
                self.pick(&[lowest, 0, i8::MAX])
            } else {
                self.range(lowest as i32, i8::MAX as i32) as i8
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_sequence() {
        // The first outputs of the reference program in C (Vigna) for seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!(
            [random.bits(), random.bits()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }

    #[test]
    fn ranges_reach_both_ends_and_no_further() {
        let mut random = Random::new(3);
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[(random.range(-2, 1) + 2) as usize] = true;
            assert!(random.below(3) < 3);
        }
        assert_eq!(seen, [true; 4]);
        random.range(i32::MIN, i32::MAX);

        let mut values = [0; 2000];
        random.i8s(&mut values, -127, false);
        assert_eq!(values.iter().min(), Some(&-127));
        assert_eq!(values.iter().max(), Some(&127));
        random.i8s(&mut values, -128, true);
        assert!(values.iter().all(|v| [-128, 0, 127].contains(v)));
    }

    #[test]
    fn moments() {
        let mut random = Random::new(1);
        let n = 20_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let v = random.normal();
            sum += v;
            squares += v * v;
        }
        let (mean, variance) = (sum / n as f32, squares / n as f32);
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }
}
