//! Dense convolution: windows unfolded into a strip of pixels where they must be, then [`super::quad`].

use super::copy::{Rows, copy, fill};
use super::pack::{Channel, ConvLayout, LANES};
use super::quad::{Job, graft_mve_quads};
use crate::kernels::Geometry;

/// The numbers of a packed convolution.
#[derive(Clone, Copy, Debug)]
pub struct PackedConv<'p> {
    /// As [`ConvLayout`] says.
    pub weights: &'p [i8],
    /// One a channel, rounded up to fours.
    pub channels: &'p [Channel],
    /// What padding reads.
    pub input_zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

/// Computes all outputs of an ungrouped convolution; `scratch` has [`ConvLayout::scratch_len`] bytes.
pub fn conv(g: &Geometry, params: &PackedConv<'_>, scratch: &mut [i8], input: &[i8], output: &mut [i8]) {
    let layout = ConvLayout::new(g);
    assert!(params.weights.len() == layout.weights_len());
    assert!(params.channels.len() == layout.channels_len());
    assert!(input.len() == g.input.len() && output.len() == g.output.len());
    let (in_c, out_c) = (g.input.c as usize, g.output.c as usize);
    let (out_h, out_w) = (g.output.h as usize, g.output.w as usize);
    if layout.direct {
        let [sy, sx] = [g.window.stride[0] as usize, g.window.stride[1] as usize];
        let whole = [sy, sx] == [1, 1];
        let (runs, pixels) = if whole { (1, out_h * out_w) } else { (out_h, out_w) };
        for y in 0..runs {
            let a = &input[y * sy * g.input.w as usize * in_c..];
            let out = &mut output[y * pixels * out_c..][..pixels * out_c];
            tiles(&layout, params, a, sx * in_c, pixels, out);
        }
        return;
    }
    let scratch = &mut scratch[..layout.scratch_len()];
    fill(scratch, params.input_zero_point);
    let step = layout.blocks() * LANES;
    let mut at = [0, 0];
    for out in output.chunks_mut(layout.strip * out_c) {
        let pixels = out.len() / out_c;
        let mut done = 0;
        while done < pixels {
            let to = &mut scratch[done * step..];
            done += unfold(g, &layout, params.input_zero_point, &mut at, pixels - done, input, to);
        }
        tiles(&layout, params, scratch, step, pixels, out);
    }
}

/// Writes the windows of one or, of a 1x1 kernel, up to `most` output positions of one row from `at` on;
/// moves `at` and says how many.
#[inline(always)]
fn unfold(
    g: &Geometry,
    layout: &ConvLayout,
    zero: i8,
    at: &mut [usize; 2],
    most: usize,
    input: &[i8],
    to: &mut [i8],
) -> usize {
    let w = &g.window;
    let (in_c, in_w) = (g.input.c as usize, g.input.w as usize);
    let [kh, kw] = [w.kernel[0] as usize, w.kernel[1] as usize];
    let [y, x] = *at;
    let mut done = 1;
    if [kh, kw] == [1, 1] && w.is_unpadded() {
        done = most.min(g.output.w as usize - x);
        let first = (y * w.stride[0] as usize * in_w + x * w.stride[1] as usize) * in_c;
        let (step, to_step) = (w.stride[1] as usize * in_c, layout.blocks() * LANES);
        copy(to, Rows { at: 0, step: to_step }, input, Rows { at: first, step }, done, in_c);
    } else {
        let ((rows, y0), (cols, x0)) = (g.taps(0, y), g.taps(1, x));
        let [dy, dx] = [w.dilation[0] as usize, w.dilation[1] as usize];
        if rows.len() * cols.len() < kh * kw {
            fill(&mut to[..layout.taps], zero);
        }
        if !rows.is_empty() && !cols.is_empty() {
            let first_row = (y0 + (rows.start * dy) as isize) as usize;
            let first_col = (x0 + (cols.start * dx) as isize) as usize;
            let from = (first_row * in_w + first_col) * in_c;
            let into = (rows.start * kw + cols.start) * in_c;
            if dx == 1 {
                let from = Rows { at: from, step: dy * in_w * in_c };
                let into = Rows { at: into, step: kw * in_c };
                copy(to, into, input, from, rows.len(), cols.len() * in_c);
            } else {
                for row in 0..rows.len() {
                    let from = Rows { at: from + row * dy * in_w * in_c, step: dx * in_c };
                    let into = Rows { at: into + row * kw * in_c, step: in_c };
                    copy(to, into, input, from, cols.len(), in_c);
                }
            }
        }
    }
    let x = x + done;
    *at = if x == g.output.w as usize { [y + 1, 0] } else { [y, x] };
    done
}

/// Multiplies `pixels` pixels that lie `step` bytes apart in `a`, as many as `out` has room for.
fn tiles(layout: &ConvLayout, params: &PackedConv<'_>, a: &[i8], step: usize, pixels: usize, out: &mut [i8]) {
    let (blocks, channels) = (layout.blocks(), layout.channels);
    assert!(pixels > 0 && (pixels - 1) * step + blocks * LANES <= a.len());
    assert!(out.len() == pixels * channels);
    let whole = channels / 4;
    let run = |first: usize, pixels: usize, quad: usize, quads: usize, out: &mut [i8], out_step: usize| {
        if quads == 0 || pixels == 0 {
            return;
        }
        // A single pixel is a pair with itself.
        let pair = pixels > 1;
        assert!(!pair || pixels.is_multiple_of(2));
        assert!(out.len() >= (pixels - 1) * out_step + quads * 4);
        let pixel_step = if pair { step } else { 0 };
        let job = Job {
            a: a[first * step..].as_ptr(),
            pixel_step,
            pair_step: 2 * pixel_step as isize - (blocks * LANES) as isize,
            pairs: pixels.div_ceil(2),
            weights: params.weights[quad * blocks * 4 * LANES..].as_ptr(),
            blocks,
            channels: params.channels[quad * 4..].as_ptr(),
            quads,
            out: out.as_mut_ptr(),
            out_step: if pair { out_step } else { 0 },
            clamp: params.clamp.map(|c| c as i32),
        };
        // SAFETY: `a` holds `blocks * 16` bytes of every pixel and `out` four bytes of every quad of every
        // pixel (asserted above); `conv` has compared the lengths of weights and records with the layout, and
        // no caller passes quads beyond it.
        unsafe { graft_mve_quads(&job) }
    };
    let even = pixels & !1;
    run(0, even, 0, whole, out, channels);
    run(even, pixels - even, 0, whole, &mut out[even * channels..], channels);
    let rest = channels % 4;
    if rest > 0 {
        for first in (0..pixels).step_by(2) {
            let pixels = (pixels - first).min(2);
            let mut quad = [0; 8];
            run(first, pixels, whole, 1, &mut quad, 4);
            for (p, q) in quad.chunks_exact(4).take(pixels).enumerate() {
                let to = (first + p) * channels + whole * 4;
                out[to..to + rest].copy_from_slice(&q[..rest]);
            }
        }
    }
}
