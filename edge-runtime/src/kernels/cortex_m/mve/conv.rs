//! Dense convolution: windows unfolded into a strip of pixels where they must be, then [`super::conv_tile`].

use super::conv_tile::{Job, graft_mve_conv_tile, graft_mve_conv_tile_wide};
use super::copy::{Grid, copy, fill};
use crate::kernels::packed::PackedCall;
use crate::kernels::{Geometry, PackedParams};
use crate::model::packed::mve::{LANES, MveConv};
use core::ops::Range;

/// Bytes of a vector.
const VECTOR: usize = LANES as usize;

/// Computes all outputs from weights in [`Layout::MveConv`](crate::model::Layout::MveConv).
pub fn conv(call: PackedCall<'_>) {
    let (params, input, output, scratch) = call.parts();
    let g = &params.geometry;
    let layout = MveConv::new(&g.window, g.input, g.output);
    let multiply = Multiply {
        params,
        step: layout.blocks as usize * VECTOR,
        channels: g.output.c as usize,
    };
    let out_c = g.output.c as usize;
    let (out_h, out_w) = (g.output.h as usize, g.output.w as usize);
    if layout.strip == 0 {
        let in_c = g.input.c as usize;
        let [sy, sx] = [g.window.stride[0] as usize, g.window.stride[1] as usize];
        let whole = [sy, sx] == [1, 1];
        let (runs, pixels) = if whole {
            (1, out_h * out_w)
        } else {
            (out_h, out_w)
        };
        for y in 0..runs {
            let a = &input[y * sy * g.input.w as usize * in_c..];
            let out = &mut output[y * pixels * out_c..][..pixels * out_c];
            multiply.pixels(a, sx * in_c, out);
        }
        return;
    }
    // What lies behind the taps of a window is multiplied by zeros, whatever it is.
    let step = multiply.step;
    let unfolder = Unfolder::new(g, params.input_zero_point);
    let (mut y, mut x) = (0, 0);
    let mut row = unfolder.row(0);
    for out in output.chunks_mut(layout.strip as usize * out_c) {
        let pixels = out.len() / out_c;
        let mut done = 0;
        while done < pixels {
            let to = &mut scratch[done * step..];
            let count = unfolder.unfold(&row, x, pixels - done, input, to, step);
            done += count;
            x += count;
            if x == out_w {
                (y, x) = (y + 1, 0);
                if y < out_h {
                    row = unfolder.row(y);
                }
            }
        }
        multiply.pixels(scratch, step, out);
    }
}

/// Writes the windows of output positions, one after another.
struct Unfolder<'g> {
    g: &'g Geometry,
    zero: i8,
    /// Output columns whose windows have all their columns in the input, if they lie together there.
    inner: Range<usize>,
}

/// The part of the windows of one output row that is the same for all.
struct Row {
    /// Rows of the kernel in the input.
    taps: Range<usize>,
    /// Where the first of them starts in the input.
    at: usize,
}

impl<'g> Unfolder<'g> {
    fn new(g: &'g Geometry, zero: i8) -> Self {
        let w = &g.window;
        let (pad, stride) = (w.pad_before[1] as usize, w.stride[1] as usize);
        let room = (g.input.w as usize + pad).checked_sub(w.span(1) as usize);
        let last = room
            .filter(|_| w.dilation[1] == 1)
            .map_or(0, |r| r / stride + 1);
        let last = last.min(g.output.w as usize);
        let inner = pad.div_ceil(stride).min(last)..last;
        Self { g, zero, inner }
    }

    fn row(&self, y: usize) -> Row {
        let (taps, y0) = self.g.taps(0, y);
        if taps.is_empty() {
            return Row { taps, at: 0 };
        }
        let first = y0 + (taps.start * self.g.window.dilation[0] as usize) as isize;
        let row_len = self.g.input.w as usize * self.g.input.c as usize;
        Row {
            at: first as usize * row_len,
            taps,
        }
    }

    /// Unfolds at least one and at most `most` windows from column `x` on, `step` bytes apart; says how many.
    #[inline(always)]
    fn unfold(
        &self,
        row: &Row,
        x: usize,
        most: usize,
        input: &[i8],
        to: &mut [i8],
        step: usize,
    ) -> usize {
        let w = &self.g.window;
        let (in_c, row_len) = (
            self.g.input.c as usize,
            self.g.input.w as usize * self.g.input.c as usize,
        );
        let [kh, kw] = [w.kernel[0] as usize, w.kernel[1] as usize];
        let inner = self.inner.contains(&x);
        let done = if inner {
            most.min(self.inner.end - x)
        } else {
            1
        };
        let (cols, x0) = if inner {
            (
                0..kw,
                (x * w.stride[1] as usize) as isize - w.pad_before[1] as isize,
            )
        } else {
            self.g.taps(1, x)
        };
        if row.taps.len() * cols.len() < kh * kw {
            fill(&mut to[..(done - 1) * step + kh * kw * in_c], self.zero);
        }
        if row.taps.is_empty() || cols.is_empty() {
            return done;
        }
        let dilation = [w.dilation[0] as usize, w.dilation[1] as usize];
        let first = (x0 + (cols.start * dilation[1]) as isize) as usize;
        let from = Grid {
            at: row.at + first * in_c,
            row_step: dilation[0] * row_len,
            patch_step: w.stride[1] as usize * in_c,
        };
        let into = Grid {
            at: (row.taps.start * kw + cols.start) * in_c,
            row_step: kw * in_c,
            patch_step: step,
        };
        let rows = row.taps.len();
        if dilation[1] > 1 {
            // Pixel by pixel.
            let from = Grid {
                row_step: dilation[1] * in_c,
                patch_step: from.row_step,
                ..from
            };
            let into = Grid {
                row_step: in_c,
                patch_step: into.row_step,
                ..into
            };
            copy(to, into, input, from, [rows, cols.len(), in_c]);
        } else if kh == 1 {
            // A row of each window: as the rows of one patch.
            let from = Grid {
                row_step: from.patch_step,
                patch_step: 0,
                ..from
            };
            let into = Grid {
                row_step: into.patch_step,
                patch_step: 0,
                ..into
            };
            copy(to, into, input, from, [1, done, cols.len() * in_c]);
        } else {
            copy(to, into, input, from, [done, rows, cols.len() * in_c]);
        }
        done
    }
}

/// Pixels by packed filters.
struct Multiply<'p> {
    /// Whose lengths [`PackedCall`] has checked.
    params: &'p PackedParams<'p>,
    /// Bytes that are read of each pixel.
    step: usize,
    /// Output channels.
    channels: usize,
}

impl Multiply<'_> {
    /// As many pixels as `out` has room for, which lie `step` bytes apart in `a`.
    fn pixels(&self, a: &[i8], step: usize, out: &mut [i8]) {
        let pixels = out.len() / self.channels;
        let (whole, rest) = (self.channels / 4, self.channels % 4);
        let even = pixels & !1;
        if whole > 0 {
            self.quads(a, step, even, 0..whole, out, self.channels);
            if even < pixels {
                let last = &mut out[even * self.channels..];
                self.quads(&a[even * step..], step, 1, 0..whole, last, self.channels);
            }
        }
        if rest > 0 {
            for first in (0..pixels).step_by(2) {
                let count = (pixels - first).min(2);
                let mut quad = [0; 8];
                self.quads(
                    &a[first * step..],
                    step,
                    count,
                    whole..whole + 1,
                    &mut quad,
                    4,
                );
                for (p, q) in quad.chunks_exact(4).take(count).enumerate() {
                    let to = (first + p) * self.channels + whole * 4;
                    out[to..to + rest].copy_from_slice(&q[..rest]);
                }
            }
        }
    }

    /// Four channels a quad of an even number of pixels, or of one.
    #[inline(always)]
    fn quads(
        &self,
        a: &[i8],
        step: usize,
        pixels: usize,
        quads: Range<usize>,
        out: &mut [i8],
        out_step: usize,
    ) {
        if pixels == 0 {
            return;
        }
        // A single pixel is a pair with itself.
        let pair = pixels > 1;
        assert!(!pair || pixels.is_multiple_of(2));
        assert!((pixels - 1) * step + self.step <= a.len());
        assert!((pixels - 1) * out_step + quads.len() * 4 <= out.len());
        let (step, out_step) = if pair { (step, out_step) } else { (0, 0) };
        let job = Job {
            a: a.as_ptr(),
            pixel_step: step,
            pair_step: 2 * step as isize - self.step as isize,
            pairs: pixels.div_ceil(2),
            weights: self.params.weights[quads.start * 4 * self.step..].as_ptr(),
            blocks: self.step / VECTOR,
            records: self.params.records[quads.start * 4..].as_ptr(),
            quads: quads.len(),
            out: out.as_mut_ptr(),
            out_step,
            clamp: self.params.clamp.map(|c| c as i32),
        };
        // SAFETY: `a` holds `self.step` bytes of every pixel and `out` four bytes of every quad of every
        // pixel (asserted above); `PackedCall` has compared the lengths of weights and records with the layout,
        // and no caller passes quads beyond it.
        unsafe {
            match self.params.input_shift {
                0 => graft_mve_conv_tile(&job),
                _ => graft_mve_conv_tile_wide(&job),
            }
        }
    }
}
