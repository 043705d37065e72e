//! Convolution, grouped or not; a fully connected layer is one whose window covers its input.
//!
//! Weights are OHWI, so the taps of one kernel row lie together, and so do the input's bytes under them:
//! a row of the window is one dot product over `taps * channels` bytes.

use crate::kernels::ConvParams;

/// Computes all outputs. `groups` divides both channel counts.
#[inline(always)]
pub fn conv(params: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    let (g, groups) = (&params.geometry, params.groups);
    if g.window.is_unpadded() && g.window.kernel == [1, 1] && groups == 1 {
        return pointwise(params, input, output);
    }
    let (in_c, out_c) = (g.input.c as usize, g.output.c as usize);
    let (group_in, group_out) = (in_c / groups, out_c / groups);
    let (kw, in_w) = (g.window.kernel[1] as usize, g.input.w as usize);
    let dilation = [g.window.dilation[0] as isize, g.window.dilation[1] as isize];
    let per_filter = g.window.kernel[0] as usize * kw * group_in;
    let dense_rows = groups == 1 && g.window.dilation[1] == 1;
    let mut out = output.chunks_exact_mut(out_c);
    for y in 0..g.output.h as usize {
        let (rows, y0) = g.taps(0, y);
        for x in 0..g.output.w as usize {
            let (cols, x0) = g.taps(1, x);
            let Some(pixel) = out.next() else { return };
            let rows = if cols.is_empty() { 0..0 } else { rows.clone() };
            let whole = rows.len() * cols.len() == g.window.kernel[0] as usize * kw;
            for (c, q) in pixel.iter_mut().enumerate() {
                let filter = &params.weights[c * per_filter..][..per_filter];
                let mut acc = params.requantize.bias[c];
                let first_in = c / group_out * group_in;
                for ky in rows.clone() {
                    let row = (y0 + ky as isize * dilation[0]) as usize * in_w;
                    if dense_rows {
                        let at = row + (x0 + cols.start as isize) as usize;
                        let a = &input[at * in_c..][..cols.len() * in_c];
                        let w = &filter[(ky * kw + cols.start) * in_c..][..cols.len() * in_c];
                        acc = acc.wrapping_add(dot(a, w));
                        continue;
                    }
                    for kx in cols.clone() {
                        let at = row + (x0 + kx as isize * dilation[1]) as usize;
                        let a = &input[at * in_c + first_in..][..group_in];
                        let w = &filter[(ky * kw + kx) * group_in..][..group_in];
                        acc = acc.wrapping_add(dot(a, w));
                    }
                }
                if !whole {
                    let padding = padded_weights(filter, kw, group_in, &rows, &cols);
                    acc = acc.wrapping_add(padding.wrapping_mul(params.input_zero_point as i32));
                }
                *q = params.requantize.finish(c, acc);
            }
        }
    }
}

/// Sum of the weights whose taps fall on padding.
#[inline(always)]
fn padded_weights(
    filter: &[i8],
    kw: usize,
    channels: usize,
    rows: &core::ops::Range<usize>,
    cols: &core::ops::Range<usize>,
) -> i32 {
    let mut sum = 0i32;
    for (tap, weights) in filter.chunks_exact(channels).enumerate() {
        if !(rows.contains(&(tap / kw)) && cols.contains(&(tap % kw))) {
            sum = weights.iter().fold(sum, |s, w| s.wrapping_add(*w as i32));
        }
    }
    sum
}

/// 1x1 without padding: a matrix product, four output channels at a time over one pixel.
#[inline(always)]
fn pointwise(params: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    let g = &params.geometry;
    let (in_c, out_c) = (g.input.c as usize, g.output.c as usize);
    let [sy, sx] = [g.window.stride[0] as usize, g.window.stride[1] as usize];
    let mut out = output.chunks_exact_mut(out_c);
    for y in 0..g.output.h as usize {
        for x in 0..g.output.w as usize {
            let at = (y * sy * g.input.w as usize + x * sx) * in_c;
            let a = &input[at..][..in_c];
            let Some(pixel) = out.next() else { return };
            let mut quads = pixel.chunks_exact_mut(4);
            let mut c = 0;
            for quad in &mut quads {
                let w = &params.weights[c * in_c..][..4 * in_c];
                let acc = dot4(a, w);
                for (k, q) in quad.iter_mut().enumerate() {
                    *q = params
                        .requantize
                        .finish(c + k, params.requantize.bias[c + k].wrapping_add(acc[k]));
                }
                c += 4;
            }
            for q in quads.into_remainder() {
                let w = &params.weights[c * in_c..][..in_c];
                *q = params
                    .requantize
                    .finish(c, params.requantize.bias[c].wrapping_add(dot(a, w)));
                c += 1;
            }
        }
    }
}

/// Sum of products. The products fit 15 bits, so the order of the sum does not matter.
#[inline(always)]
fn dot(a: &[i8], w: &[i8]) -> i32 {
    a.iter()
        .zip(w)
        .fold(0, |s, (a, w)| s.wrapping_add(*a as i32 * *w as i32))
}

/// Four filters, one after another in `w`, over the same input.
#[inline(always)]
fn dot4(a: &[i8], w: &[i8]) -> [i32; 4] {
    let n = a.len();
    let (w0, rest) = w.split_at(n);
    let (w1, rest) = rest.split_at(n);
    let (w2, w3) = rest.split_at(n);
    let mut acc = [0i32; 4];
    for i in 0..n.min(w3.len()) {
        let v = a[i] as i32;
        acc[0] = acc[0].wrapping_add(v * w0[i] as i32);
        acc[1] = acc[1].wrapping_add(v * w1[i] as i32);
        acc[2] = acc[2].wrapping_add(v * w2[i] as i32);
        acc[3] = acc[3].wrapping_add(v * w3[i] as i32);
    }
    acc
}
