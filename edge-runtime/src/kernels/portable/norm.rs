//! Local response normalization across channels.

use super::requantize::saturate;
use crate::kernels::NormParams;
use crate::model::norm_table::{NormTable, Place};

impl NormParams<'_> {
    /// The factor at a place of the table: between two entries, linearly.
    #[inline(always)]
    fn factor(&self, place: u32) -> i32 {
        let (i, f) = ((place >> 8) as usize, (place & 255) as i32);
        let high = self.table[i + 1];
        let low = self.table[i];
        low + (((high - low) * f) >> 8)
    }
}

/// Divides each value by a power of the mean square of the channels around it.
pub fn norm(p: &NormParams<'_>, input: &[i8], output: &mut [i8]) {
    match p.spacing {
        NormTable::Even(even) => normalize(p, even, input, output),
        NormTable::Octaves(octaves) => normalize(p, octaves, input, output),
    }
}

/// One loop for each spacing, so that none chooses between them for every value.
fn normalize(p: &NormParams<'_>, spacing: impl Place + Copy, input: &[i8], output: &mut [i8]) {
    let (before, after) = ((p.size - 1) / 2, p.size / 2);
    let centred = |q: i8| q as i32 - p.input_zero_point as i32;
    let square = |q: i8| (centred(q) * centred(q)) as u32;
    let pixels = output
        .chunks_exact_mut(p.channels)
        .zip(input.chunks_exact(p.channels));
    for (out, pixel) in pixels {
        // The sum slides along the channels: by the difference of the squares of what enters and what leaves.
        let mut sum: u32 = pixel.iter().take(after + 1).map(|q| square(*q)).sum();
        for (c, q) in out.iter_mut().enumerate() {
            let factor = p.factor(spacing.place(sum));
            let scaled = (centred(pixel[c]) * factor + (1 << (p.shift - 1))) >> p.shift;
            *q = saturate(scaled + p.output_zero_point as i32, [i8::MIN, i8::MAX]);
            let enters = pixel.get(c + after + 1).map_or(0, |q| centred(*q));
            let leaves = c.checked_sub(before).map_or(0, |i| centred(pixel[i]));
            sum = sum.wrapping_add_signed((enters - leaves) * (enters + leaves));
        }
    }
}
