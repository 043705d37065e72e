//! A serial line that drops, damages and doubles bytes.

use crate::random::Random;

/// How often a line does what to a byte, in cases per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The byte is lost.
    pub dropped: u32,
    /// One of its bits is wrong.
    pub damaged: u32,
    /// The byte arrives twice.
    pub doubled: u32,
}

impl Faults {
    /// A line without faults.
    pub const NONE: Self = Self {
        dropped: 0,
        damaged: 0,
        doubled: 0,
    };
}

/// One direction of a line.
#[derive(Clone, Debug)]
pub struct NoisyLine {
    faults: Faults,
    random: Random,
    carried: u64,
}

impl NoisyLine {
    /// A line with these faults, which follow from `seed`.
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            random: Random::new(seed),
            carried: 0,
        }
    }

    /// Sends `bytes`, and appends to `out` what arrives of them.
    pub fn carry(&mut self, bytes: &[u8], out: &mut impl Extend<u8>) {
        self.carried += bytes.len() as u64;
        let (faults, random) = (self.faults, &mut self.random);
        for byte in bytes {
            if random.chance(faults.dropped) {
                continue;
            }
            let mut byte = *byte;
            if random.chance(faults.damaged) {
                byte ^= 1 << (random.bits() % 8);
            }
            let times = 1 + random.chance(faults.doubled) as usize;
            out.extend(core::iter::repeat_n(byte, times));
        }
    }

    /// Bytes that were sent so far.
    pub fn carried(&self) -> u64 {
        self.carried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_as_frequent_as_they_should_be() {
        let sent = vec![0x55; 100_000];
        let carry = |dropped, damaged, doubled, seed| {
            let mut out = vec![];
            let faults = Faults {
                dropped,
                damaged,
                doubled,
            };
            NoisyLine::new(faults, seed).carry(&sent, &mut out);
            out
        };
        assert_eq!(carry(0, 0, 0, 1), sent);
        assert!((98_700..99_300).contains(&carry(10_000, 0, 0, 1).len()));
        assert!((100_700..101_300).contains(&carry(0, 0, 10_000, 1).len()));
        let damaged = carry(0, 10_000, 0, 1);
        let wrong = damaged.iter().filter(|b| **b != 0x55).count();
        assert!((700..1300).contains(&wrong));
        assert_eq!(damaged, carry(0, 10_000, 0, 1));
        assert_ne!(damaged, carry(0, 10_000, 0, 2));
    }
}
