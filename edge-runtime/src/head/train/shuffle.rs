//! The order of samples that a seed decides.

use crate::random::Random;

/// The numbers below `len` in an order that follows from the key, without a table: an invertible scrambling
/// of the numbers below the next power of two, without those that are too large.
#[derive(Clone)]
pub(super) struct Shuffle {
    len: u64,
    bits: u32,
    key: u64,
    next: u64,
}

impl Shuffle {
    pub(super) fn new(len: usize, key: u64) -> Self {
        let bits = usize::BITS - len.saturating_sub(1).leading_zeros();
        Self {
            len: len as u64,
            bits: bits.max(2),
            key,
            next: 0,
        }
    }

    /// Every step is invertible on `bits` bits.
    fn scramble(&self, i: u64) -> u64 {
        let mask = (1u64 << self.bits) - 1;
        let half = self.bits.div_ceil(2);
        (0..4).fold(i, |v, round| {
            let k = Random::new(self.key.wrapping_add(round)).bits();
            let v = v.wrapping_mul(k | 1).wrapping_add(k >> 32) & mask;
            v ^ (v >> half)
        })
    }
}

impl Iterator for Shuffle {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.next < 1 << self.bits {
            let v = self.scramble(self.next);
            self.next += 1;
            if v < self.len {
                return Some(v as usize);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shuffle_is_a_permutation(len in 1usize..3000, key: u64) {
            let mut seen: Vec<usize> = Shuffle::new(len, key).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }
}
