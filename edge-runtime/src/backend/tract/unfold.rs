//! The windows of an int8 convolution as the rows of a matrix (im2col). Knows no weights.

use super::custom::{Compute, filled, values};
use crate::kernels::Geometry;
use tract_core::internal::*;

/// `[positions, (groups,) taps * channels]`, taps in reading order; padding reads the zero point.
#[derive(Debug)]
pub struct Unfold {
    /// Shapes and window.
    pub geometry: Geometry,
    /// Channel groups; with one group, the dimension is left out.
    pub groups: usize,
    /// What padding reads.
    pub zero_point: i8,
}

impl Unfold {
    fn depth(&self) -> usize {
        let [kh, kw] = self.geometry.window.kernel.map(|k| k as usize);
        kh * kw * (self.geometry.input.c as usize / self.groups)
    }

    /// The input's pixel under each tap of the window at position (y, x), or `None` in the padding.
    fn taps(&self, y: usize, x: usize) -> impl Iterator<Item = Option<usize>> {
        let g = self.geometry;
        let along = move |axis: usize, at: usize, tap: u32, len: u32| {
            let w = &g.window;
            let i = (at as i64 * w.stride[axis] as i64 + tap as i64 * w.dilation[axis] as i64)
                - w.pad_before[axis] as i64;
            (0..len as i64).contains(&i).then_some(i as usize)
        };
        (0..g.window.kernel[0]).flat_map(move |ky| {
            let row = along(0, y, ky, g.input.h);
            (0..g.window.kernel[1])
                .map(move |kx| Some(row? * g.input.w as usize + along(1, x, kx, g.input.w)?))
        })
    }
}

impl Compute for Unfold {
    fn name(&self) -> &'static str {
        "Unfold"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        let o = self.geometry.output;
        let positions = o.h as usize * o.w as usize;
        let shape = match self.groups {
            1 => tvec!(positions, self.depth()),
            groups => tvec!(positions, groups, self.depth()),
        };
        (DatumType::I8, shape)
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<i8>(inputs, 0)?;
        let (o, c) = (self.geometry.output, self.geometry.input.c as usize);
        let (depth, per_group) = (self.depth(), c / self.groups);
        filled(&self.output().1, |out: &mut [i8]| {
            for (position, row) in out.chunks_exact_mut(self.groups * depth).enumerate() {
                let (y, x) = (position / o.w as usize, position % o.w as usize);
                for (tap, pixel) in self.taps(y, x).enumerate() {
                    let pixel = pixel.and_then(|p| input.get(p * c..)?.get(..c));
                    for (g, group) in row.chunks_exact_mut(depth).enumerate() {
                        let to = &mut group[tap * per_group..][..per_group];
                        match pixel {
                            Some(pixel) => to.copy_from_slice(&pixel[g * per_group..][..per_group]),
                            None => to.fill(self.zero_point),
                        }
                    }
                }
            }
        })
    }
}
