//! Depthwise convolution: one filter per channel, weights 1HWC, channels innermost.

use super::{ConvParams, Geometry};

/// Channels that one pass accumulates on the stack.
const BLOCK: usize = 32;

/// Computes all outputs; input and output have the same channels.
pub fn depthwise(g: &Geometry, params: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { depthwise_avx2(g, params, input, output) };
    }
    depthwise_portable(g, params, input, output);
}

/// The portable kernel compiled for AVX2: the same source, so the same numbers.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
fn depthwise_avx2(g: &Geometry, params: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    depthwise_portable(g, params, input, output);
}

#[inline(always)]
fn depthwise_portable(g: &Geometry, params: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    let channels = g.input.c as usize;
    let mut out = output.chunks_exact_mut(channels);
    for y in 0..g.output.h as usize {
        for x in 0..g.output.w as usize {
            let Some(pixel) = out.next() else { return };
            let mut first = 0;
            while first + BLOCK <= channels {
                let acc: [i32; BLOCK] = accumulate(g, params, input, [y, x], first, BLOCK);
                for (k, q) in pixel[first..first + BLOCK].iter_mut().enumerate() {
                    *q = params.finish(first + k, acc[k]);
                }
                first += BLOCK;
            }
            let rest = channels - first;
            let acc: [i32; BLOCK] = accumulate(g, params, input, [y, x], first, rest);
            for (k, q) in pixel[first..].iter_mut().enumerate() {
                *q = params.finish(first + k, acc[k]);
            }
        }
    }
}

/// The accumulators of `count` channels from `first` at one output position.
#[inline(always)]
fn accumulate(
    g: &Geometry,
    params: &ConvParams<'_>,
    input: &[i8],
    [y, x]: [usize; 2],
    first: usize,
    count: usize,
) -> [i32; BLOCK] {
    let channels = g.input.c as usize;
    let [kh, kw] = [g.window.kernel[0] as usize, g.window.kernel[1] as usize];
    let dilation = [g.window.dilation[0] as isize, g.window.dilation[1] as isize];
    let (rows, y0) = g.taps(0, y);
    let (cols, x0) = g.taps(1, x);
    let zero = params.input_zero_point as i32;
    let mut acc = [0; BLOCK];
    acc[..count].copy_from_slice(&params.bias[first..first + count]);
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
    acc
}
