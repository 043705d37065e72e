//! The windows of a convolution as the rows of a matrix (im2col).

use crate::kernels::UnfoldParams;

/// `[positions, groups, taps * channels of a group]`, taps in reading order; padding reads the zero point.
pub fn unfold(p: &UnfoldParams, input: &[i8], output: &mut [i8]) {
    let g = &p.geometry;
    let (c, depth) = (g.input.c as usize, p.depth());
    let per_group = c / p.groups;
    let columns = g.output.w as usize;
    for (position, row) in output.chunks_exact_mut(p.groups * depth).enumerate() {
        for (tap, pixel) in taps(p, position / columns, position % columns).enumerate() {
            let pixel = pixel.map(|i| &input[i * c..][..c]);
            for (group, to) in row.chunks_exact_mut(depth).enumerate() {
                let to = &mut to[tap * per_group..][..per_group];
                match pixel {
                    Some(pixel) => to.copy_from_slice(&pixel[group * per_group..][..per_group]),
                    None => to.fill(p.zero_point),
                }
            }
        }
    }
}

/// The input's pixel under each tap of the window at position (y, x), or `None` in the padding.
fn taps(p: &UnfoldParams, y: usize, x: usize) -> impl Iterator<Item = Option<usize>> {
    let g = p.geometry;
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
