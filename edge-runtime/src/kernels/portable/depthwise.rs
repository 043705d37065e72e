//! Depthwise convolution: one filter per channel, weights 1HWC, channels innermost.

use crate::kernels::ConvParams;

/// Channels that one pass accumulates on the stack.
const BLOCK: usize = 32;

/// Computes all outputs; input and output have the same channels.
#[inline(always)]
pub fn depthwise(params: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    let g = &params.geometry;
    let channels = g.input.c as usize;
    let mut out = output.chunks_exact_mut(channels);
    for y in 0..g.output.h as usize {
        for x in 0..g.output.w as usize {
            let Some(pixel) = out.next() else { return };
            let mut first = 0;
            while first < channels {
                // A length that the compiler knows is faster.
                match channels - first {
                    BLOCK.. => block(params, input, [y, x], first, BLOCK, pixel),
                    rest => block(params, input, [y, x], first, rest, pixel),
                }
                first += BLOCK;
            }
        }
    }
}

/// `count` channels of one output pixel, from `first` on.
// Inlined where it is compiled for extensions of the processor; on a microcontroller once is enough.
#[cfg_attr(not(target_os = "none"), inline(always))]
fn block(
    params: &ConvParams<'_>,
    input: &[i8],
    [y, x]: [usize; 2],
    first: usize,
    count: usize,
    pixel: &mut [i8],
) {
    let g = &params.geometry;
    let channels = g.input.c as usize;
    let [kh, kw] = [g.window.kernel[0] as usize, g.window.kernel[1] as usize];
    let dilation = [g.window.dilation[0] as isize, g.window.dilation[1] as isize];
    let (rows, y0) = g.taps(0, y);
    let (cols, x0) = g.taps(1, x);
    let zero = params.input_zero_point as i32;
    let mut acc = [0i32; BLOCK];
    acc[..count].copy_from_slice(&params.requantize.bias[first..first + count]);
    for ky in 0..kh {
        for kx in 0..kw {
            let w = &params.weights[(ky * kw + kx) * channels + first..][..count];
            if rows.contains(&ky) && cols.contains(&kx) {
                let row = (y0 + ky as isize * dilation[0]) as usize;
                let col = (x0 + kx as isize * dilation[1]) as usize;
                let a = &input[(row * g.input.w as usize + col) * channels + first..][..count];
                for ((s, a), w) in acc.iter_mut().zip(a).zip(w) {
                    *s = s.wrapping_add(*a as i32 * *w as i32);
                }
            } else {
                for (s, w) in acc.iter_mut().zip(w) {
                    *s = s.wrapping_add(zero * *w as i32);
                }
            }
        }
    }
    for (k, q) in pixel[first..first + count].iter_mut().enumerate() {
        *q = params.requantize.finish(first + k, acc[k]);
    }
}
