//! Where the entries of an int8 local response normalization's table lie along the sum of squares.
//! Knows numbers only.

use super::MAX_NORM_SIZE;

/// What the `index_shift` of an [`Op::LocalResponseNorm`](super::Op::LocalResponseNorm) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormTable {
    /// 8 to 30: 257 entries, `2^index_shift` apart.
    Even(Even),
    /// Below 8: `2^index_shift` pieces in every octave.
    Octaves(Octaves),
}

impl NormTable {
    /// Of a layer's `index_shift`.
    pub const fn new(index_shift: u8) -> Self {
        match index_shift {
            0..=7 => Self::Octaves(Octaves(index_shift)),
            _ => Self::Even(Even(index_shift)),
        }
    }

    /// Number of entries of a normalization over `size` of `channels` channels; `None` if the shift is out of
    /// range or too small for the size, or the size is above [`MAX_NORM_SIZE`].
    pub fn entries(self, size: u32, channels: u32) -> Option<usize> {
        match self {
            _ if size > MAX_NORM_SIZE => None,
            Self::Octaves(octaves) => Some(octaves.entries(size.min(channels))),
            Self::Even(Even(shift)) => {
                (shift <= 30 && (size * 255 * 255) >> shift <= 255).then_some(257)
            }
        }
    }
}

/// Where in a table the factor of a sum of squares is found.
pub trait Place {
    /// In 256ths of the way from one entry to the next.
    fn place(self, sum: u32) -> u32;
}

/// Entries at the multiples of a power of two, 8 to 30; a bad fit for a power of the sum, kept for old files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Even(u8);

impl Place for Even {
    #[inline(always)]
    fn place(self, sum: u32) -> u32 {
        sum >> (self.0 - 8)
    }
}

/// Entries at every whole number below `2^(bits + 1)`, and `2^bits` equal pieces between any two powers of
/// two from there on, bits being 0 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octaves(u8);

impl Octaves {
    /// With `2^bits` pieces per octave, or the most that there can be.
    pub const fn new(bits: u8) -> Self {
        Self(if bits < 7 { bits } else { 7 })
    }

    /// What the file stores.
    pub const fn index_shift(self) -> u8 {
        self.0
    }

    /// Number of entries that `terms` squares of 9-bit numbers need, at most [`MAX_NORM_SIZE`] of them.
    pub fn entries(self, terms: u32) -> usize {
        (self.place(terms * 255 * 255) >> 8) as usize + 2
    }

    /// The sum of squares at an entry.
    pub const fn sum_at(self, entry: u32) -> u32 {
        let octave = (entry >> self.0).saturating_sub(1);
        (entry - (octave << self.0)) << octave
    }
}

impl Place for Octaves {
    #[inline(always)]
    fn place(self, sum: u32) -> u32 {
        let bits = self.0 as u32;
        // The highest one goes to bit 31, with the piece and the part behind it; of a sum below `2^bits`, that bit.
        let highest = (sum | 1 << bits).ilog2();
        ((highest - bits) << (bits + 8)) + ((sum << (31 - highest)) >> (23 - bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_octaves_are_where_the_entries_lie() {
        for bits in 0..=7 {
            let octaves = Octaves::new(bits);
            for sum in (0..1 << 13).chain((1 << 13..1 << 26).step_by(4999)) {
                let place = octaves.place(sum);
                let [low, high] = [0, 1].map(|i| octaves.sum_at((place >> 8) + i));
                assert!((low..high).contains(&sum), "{sum} with {bits} bits");
                let piece = 1 << sum.max(1).ilog2().saturating_sub(bits as u32);
                assert_eq!(high - low, piece, "{sum} with {bits} bits");
                let exact = (sum - low) as u64 * 256 / piece as u64;
                assert_eq!((place & 255) as u64, exact, "{sum} with {bits} bits");
            }
        }
    }

    #[test]
    fn lengths_follow_from_size_and_channels() {
        let entries = |shift, size, channels| NormTable::new(shift).entries(size, channels);
        // 5 * 255^2 has 19 bits: 14 octaves above the whole numbers to 2^5, and the last one's pieces as far as needed.
        assert_eq!(entries(4, 5, 64), Some(14 * 16 + (325_125 >> 14) + 2));
        assert_eq!(entries(4, 64, 5), entries(4, 5, 64));
        assert_eq!(entries(0, 1, 1), Some(15 + 1 + 2));
        assert_eq!(
            entries(7, MAX_NORM_SIZE, 2000),
            Some(18 * 128 + (66_585_600 >> 18) + 2)
        );
        assert_eq!(entries(7, MAX_NORM_SIZE + 1, 1), None);
        for (shift, size, fits) in [
            (8, 1, true),
            (8, 2, false),
            (11, 5, true),
            (10, 5, false),
            (30, 1024, true),
            (31, 5, false),
            (255, 5, false),
        ] {
            assert_eq!(
                entries(shift, size, 64),
                fits.then_some(257),
                "{shift} {size}"
            );
        }
    }
}
