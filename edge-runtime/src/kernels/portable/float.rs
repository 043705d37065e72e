//! Float operators that a backend asks of the kernels, because its own are slow. Not normative: a float may differ in
//! its last bits between backends. Between families of kernels it does not: there is no fused multiply-add here.

use crate::kernels::FloatDepthwiseParams;

/// Most channels that one pass accumulates in registers.
const BLOCK: usize = 128;

/// Depthwise convolution of floats.
#[inline(always)]
pub fn float_depthwise(p: &FloatDepthwiseParams<'_>, input: &[f32], output: &mut [f32]) {
    let g = &p.geometry;
    let channels = g.input.c as usize;
    let mut pixels = output.chunks_exact_mut(channels);
    for y in 0..g.output.h as usize {
        for x in 0..g.output.w as usize {
            let Some(pixel) = pixels.next() else { return };
            in_blocks!(channels, BLOCK, block(p, input, [y, x], pixel));
        }
    }
}

/// `count` channels of one output pixel, from `first` on; says how many.
#[inline(always)]
fn block(
    p: &FloatDepthwiseParams<'_>,
    input: &[f32],
    [y, x]: [usize; 2],
    pixel: &mut [f32],
    first: usize,
    count: usize,
) -> usize {
    let g = &p.geometry;
    let (channels, width, kw) = (
        g.input.c as usize,
        g.input.w as usize,
        g.window.kernel[1] as usize,
    );
    let [down, right] = g.window.dilation.map(|d| d as isize);
    let (rows, y0) = g.taps(0, y);
    let (columns, x0) = g.taps(1, x);
    let mut sums = [0f32; BLOCK];
    sums[..count].copy_from_slice(&p.bias[first..][..count]);
    // Padding is 0 and adds nothing.
    for ky in rows {
        let row = (y0 + ky as isize * down) as usize * width;
        for kx in columns.clone() {
            let at = row + (x0 + kx as isize * right) as usize;
            let values = &input[at * channels + first..][..count];
            let weights = &p.weights[(ky * kw + kx) * channels + first..][..count];
            for ((sum, value), weight) in sums.iter_mut().zip(values).zip(weights) {
                *sum += value * weight;
            }
        }
    }
    let [low, high] = p.clamp.unwrap_or_default();
    for (out, sum) in pixel[first..][..count].iter_mut().zip(sums) {
        *out = match p.clamp {
            Some(_) => sum.max(low).min(high),
            None => sum,
        };
    }
    count
}
