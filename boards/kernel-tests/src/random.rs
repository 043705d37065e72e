//! Pseudo-random numbers.

/// A linear congruential generator.
pub struct Random(pub u64);

impl Random {
    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 32) as u32
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u32, high: u32) -> u32 {
        low + self.bits() % (high - low + 1)
    }

    /// int8 values: all of them, or extremes only.
    pub fn fill(&mut self, values: &mut [i8], extremes: bool, lowest: i8) {
        for v in values {
            *v = match (extremes, self.bits() % 3) {
                (true, 0) => lowest,
                (true, 1) => i8::MAX,
                (true, _) => 0,
                _ => (self.bits() as i8).max(lowest),
            };
        }
    }
}
