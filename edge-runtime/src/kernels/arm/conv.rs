//! Convolution: windows unfolded to columns of 16 bits, then a tile of four pixels by two channels.

use super::super::{Geometry, PackedParams};
use super::{clamp, twice};
use crate::model::packed::conv_depth;
use crate::model::{ChannelRecord, Layout};

core::arch::global_asm!(include_str!("conv.s"), options(raw));

unsafe extern "C" {
    fn graft_conv_4x2(
        columns: *const u32,
        columns_end: *const u32,
        weights: *const i8,
        records: *const ChannelRecord,
        output: *mut i8,
        output_stride: usize,
        records_end: *const ChannelRecord,
    );
    fn graft_conv_1x2(
        column: *const u32,
        column_end: *const u32,
        weights: *const i8,
        records: *const ChannelRecord,
        output: *mut i8,
        records_end: *const ChannelRecord,
    );
    fn graft_expand_4(from: *const i8, to: *mut u32, words: usize, from_stride: usize, rows: usize);
    fn graft_expand_1(from: *const i8, to: *mut u32, words: usize, from_stride: usize, rows: usize);
    fn graft_expand_high_4(
        from: *const i8,
        to: *mut u32,
        words: usize,
        from_stride: usize,
        rows: usize,
    );
    fn graft_expand_high_1(
        from: *const i8,
        to: *mut u32,
        words: usize,
        from_stride: usize,
        rows: usize,
    );
}

type Expand = unsafe extern "C" fn(*const i8, *mut u32, usize, usize, usize);

/// Computes all outputs from weights in [`Layout::DspConv`].
///
/// # Panics
/// If a length is not what the layout and the shapes say, or `scratch` starts off a multiple of 4.
pub fn conv(
    g: &Geometry,
    p: &PackedParams<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) {
    let layout = Layout::DspConv;
    assert!(input.len() == g.input.len() && output.len() == g.output.len());
    assert!(p.weights.len() as u64 == layout.weights_len(&g.window, g.input, g.output));
    assert!(p.records.len() as u64 == layout.records(g.output));
    assert!(scratch.len() as u64 >= layout.scratch_len(&g.window, g.input, g.output));
    assert!(scratch.as_ptr().addr().is_multiple_of(4));
    assert!(p.weights.as_ptr().addr().is_multiple_of(4));

    let depth = conv_depth(&g.window, g.input) as usize;
    let columns = scratch.as_mut_ptr().cast::<u32>();
    let unfold = Unfold {
        g,
        input,
        depth,
        zero_point: p.input_zero_point,
        zero: twice((p.input_zero_point as i32) << p.input_shift),
        bytes: scratch[8 * depth..].as_mut_ptr(),
        expand: match p.input_shift {
            0 => [graft_expand_4, graft_expand_1],
            _ => [graft_expand_high_4, graft_expand_high_1],
        },
    };
    let channels = g.output.c as usize;
    let pairs = channels / 2;
    let records = p.records.as_ptr_range();
    let pairs_end = p.records[2 * pairs..].as_ptr();
    // An odd last channel is half of a pair of its own.
    let last = (!channels.is_multiple_of(2)).then(|| p.weights[2 * pairs * depth..].as_ptr());
    let pixels = g.output.h as usize * g.output.w as usize;
    let (mut pixel, mut x, mut y) = (0, 0, 0);
    let mut next = || {
        let at = [y, x];
        x += 1;
        if x == g.output.w as usize {
            (x, y) = (0, y + 1);
        }
        at
    };
    while pixel + 4 <= pixels {
        for i in 0..4 {
            // SAFETY: the scratch has room for four columns of `depth`, 2 * depth words.
            unsafe { unfold.column(next(), columns.add(i), 4) };
        }
        let out = output[pixel * channels..][..4 * channels].as_mut_ptr();
        // SAFETY: columns, weights and records have the lengths that `depth` and the channels ask for,
        // as was asserted; the tile writes `2 * pairs` bytes of each of the four pixels of `out`, or two
        // of four in `rest`.
        unsafe {
            let end = columns.add(2 * depth);
            if pairs > 0 {
                graft_conv_4x2(
                    columns,
                    end,
                    p.weights.as_ptr(),
                    records.start,
                    out,
                    channels,
                    pairs_end,
                );
            }
            if let Some(weights) = last {
                let mut rest = [0i8; 8];
                let to = rest.as_mut_ptr();
                graft_conv_4x2(columns, end, weights, pairs_end, to, 2, records.end);
                for i in 0..4 {
                    *out.add((i + 1) * channels - 1) = rest[2 * i];
                }
            }
        }
        pixel += 4;
    }
    while pixel < pixels {
        // SAFETY: as above, for one column of `depth / 2` words and one pixel.
        unsafe {
            unfold.column(next(), columns, 1);
            let end = columns.add(depth / 2);
            let out = output[pixel * channels..][..channels].as_mut_ptr();
            if pairs > 0 {
                graft_conv_1x2(
                    columns,
                    end,
                    p.weights.as_ptr(),
                    records.start,
                    out,
                    pairs_end,
                );
            }
            if let Some(weights) = last {
                let mut rest = [0i8; 2];
                graft_conv_1x2(
                    columns,
                    end,
                    weights,
                    pairs_end,
                    rest.as_mut_ptr(),
                    records.end,
                );
                *out.add(channels - 1) = rest[0];
            }
        }
        pixel += 1;
    }
    clamp(output, p.clamp);
}

/// Windows of the input as columns of 16-bit taps.
struct Unfold<'u> {
    g: &'u Geometry,
    input: &'u [i8],
    /// Taps of a column, with those at its end whose weights are zero and that are not written.
    depth: usize,
    /// What padding reads.
    zero_point: i8,
    /// The same as two taps.
    zero: u32,
    /// `depth + 16` bytes, where the channels are no multiple of 4.
    bytes: *mut i8,
    /// For words 4 apart, and 1 apart.
    expand: [Expand; 2],
}

impl Unfold<'_> {
    /// Writes the column of output position `at`, its words `step` words apart (4 or 1).
    ///
    /// # Safety
    /// `to` has room for `depth / 2` such words.
    #[inline(always)]
    unsafe fn column(&self, [y, x]: [usize; 2], to: *mut u32, step: usize) {
        let (g, w) = (self.g, &self.g.window);
        let c = g.input.c as usize;
        let y0 = (y * w.stride[0] as usize) as isize - w.pad_before[0] as isize;
        let x0 = (x * w.stride[1] as usize) as isize - w.pad_before[1] as isize;
        let inside = y0 >= 0
            && x0 >= 0
            && y0 + w.span(0) as isize <= g.input.h as isize
            && x0 + w.span(1) as isize <= g.input.w as isize;
        let row = g.input.w as usize * c;
        if c.is_multiple_of(4) && inside && w.dilation[1] == 1 {
            let from = y0 as usize * row + x0 as usize * c;
            let (words, rows) = (w.kernel[1] as usize * c / 4, w.kernel[0] as usize);
            let stride = w.dilation[0] as usize * row;
            // SAFETY: all rows of the window lie in the input; `to` has room for all taps.
            unsafe {
                self.expand[(step == 1) as usize](
                    self.input.as_ptr().add(from),
                    to,
                    words,
                    stride,
                    rows,
                )
            };
        } else if c.is_multiple_of(4) {
            // SAFETY: as the caller's.
            unsafe { self.words_at_border([y0, x0], to, step) };
        } else {
            // SAFETY: `bytes` has room for `depth` taps and what whole words write beyond.
            unsafe {
                match inside && w.dilation[1] == 1 {
                    true => self.bytes_inside(y0 as usize * row + x0 as usize * c),
                    false => self.bytes_at_border([y0, x0]),
                }
                self.expand[(step == 1) as usize](self.bytes, to, self.depth / 4, 0, 1);
            }
        }
    }

    /// A column of whole words, some of whose taps fall on padding, or with dilation.
    ///
    /// # Safety
    /// As of [`Self::column`].
    #[inline(never)]
    unsafe fn words_at_border(&self, [y0, x0]: [isize; 2], mut to: *mut u32, step: usize) {
        let (g, w) = (self.g, &self.g.window);
        let c = g.input.c as usize;
        let expand = self.expand[(step == 1) as usize];
        for ky in 0..w.kernel[0] as isize {
            let row = y0 + ky * w.dilation[0] as isize;
            let mut kx = 0;
            while kx < w.kernel[1] as isize {
                let col = x0 + kx * w.dilation[1] as isize;
                let there = (0..g.input.h as isize).contains(&row)
                    && (0..g.input.w as isize).contains(&col);
                // Without dilation, the taps up to the input's edge are one run.
                let run = match there && w.dilation[1] == 1 {
                    true => (w.kernel[1] as isize - kx).min(g.input.w as isize - col),
                    false => 1,
                };
                let words = run as usize * c / 4;
                // SAFETY: the run lies in the input, and its taps in the column.
                unsafe {
                    if there {
                        let from = (row as usize * g.input.w as usize + col as usize) * c;
                        expand(self.input.as_ptr().add(from), to, words, 0, 1);
                    } else {
                        for i in 0..2 * words {
                            *to.add(i * step) = self.zero;
                        }
                    }
                    to = to.add(2 * words * step);
                }
                kx += run;
            }
        }
    }

    /// Copies the taps of a window that lies in the input, from its first byte `from`.
    ///
    /// # Safety
    /// `bytes` has room for `depth + 3` bytes.
    #[inline(always)]
    unsafe fn bytes_inside(&self, from: usize) {
        let (g, w) = (self.g, &self.g.window);
        let c = g.input.c as usize;
        let run = w.kernel[1] as usize * c;
        let stride = w.dilation[0] as usize * g.input.w as usize * c;
        let rows = w.kernel[0] as usize;
        // Whole words read up to three bytes beyond a row; at the input's end they must not.
        let whole = from + (rows - 1) * stride + run + 3 <= self.input.len();
        for ky in 0..rows {
            // SAFETY: reads lie in the input; what is written beyond a row is overwritten by the next
            // one, or meets weights of zero.
            unsafe {
                let from = self.input.as_ptr().add(from + ky * stride);
                let to = self.bytes.add(ky * run);
                if whole {
                    let mut i = 0;
                    while i < run {
                        let word = from.add(i).cast::<u32>().read_unaligned();
                        to.add(i).cast::<u32>().write_unaligned(word);
                        i += 4;
                    }
                } else {
                    core::ptr::copy_nonoverlapping(from, to, run);
                }
            }
        }
    }

    /// Copies the taps of any window, padding included.
    ///
    /// # Safety
    /// As of [`Self::bytes_inside`].
    #[inline(never)]
    unsafe fn bytes_at_border(&self, [y0, x0]: [isize; 2]) {
        let (g, w) = (self.g, &self.g.window);
        let c = g.input.c as usize;
        let mut to = self.bytes;
        for ky in 0..w.kernel[0] as isize {
            let row = y0 + ky * w.dilation[0] as isize;
            for kx in 0..w.kernel[1] as isize {
                let col = x0 + kx * w.dilation[1] as isize;
                let there = (0..g.input.h as isize).contains(&row)
                    && (0..g.input.w as isize).contains(&col);
                for i in 0..c {
                    // SAFETY: `there` says that the pixel lies in the input; `bytes` has room for all taps.
                    unsafe {
                        *to = match there {
                            true => {
                                self.input
                                    [(row as usize * g.input.w as usize + col as usize) * c + i]
                            }
                            false => self.zero_point,
                        };
                        to = to.add(1);
                    }
                }
            }
        }
    }
}
