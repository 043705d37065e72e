//! Convolution: windows unfolded to columns of 16 bits, then a tile of four pixels by two channels.

use super::{clamp, twice};
use crate::kernels::packed::PackedCall;
use crate::kernels::{Geometry, PackedParams};
use crate::model::ChannelRecord;
use crate::model::packed::conv_depth;

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
    fn graft_expand_windows(
        from: *const i8,
        to: *mut u32,
        words: usize,
        pixel_stride: usize,
        row_stride: usize,
        rows: usize,
    );
    fn graft_expand_windows_high(
        from: *const i8,
        to: *mut u32,
        words: usize,
        pixel_stride: usize,
        row_stride: usize,
        rows: usize,
    );
    fn graft_gather(
        from: *const i8,
        to: *mut i8,
        words: usize,
        row_stride: usize,
        rows: usize,
        run: usize,
    );
}

type Expand = unsafe extern "C" fn(*const i8, *mut u32, usize, usize, usize);
type ExpandWindows = unsafe extern "C" fn(*const i8, *mut u32, usize, usize, usize, usize);

/// Computes all outputs from weights in [`Layout::DspConv`](crate::model::Layout::DspConv).
pub fn conv(call: PackedCall<'_>) {
    let (p, input, output, scratch) = call.parts();
    let g = &p.geometry;
    let depth = conv_depth(&g.window, g.input) as usize;
    let (columns, bytes) = scratch.split_at_mut(8 * depth);
    let columns = columns.as_mut_ptr().cast::<u32>();
    let unfold = Unfold::new(g, p, input, depth, bytes.as_mut_ptr());
    let channels = g.output.c as usize;
    let pairs = channels / 2;
    let records = p.records.as_ptr_range();
    let pairs_end = p.records[2 * pairs..].as_ptr();
    // An odd last channel is half of a pair of its own.
    let last = (!channels.is_multiple_of(2)).then(|| p.weights[2 * pairs * depth..].as_ptr());
    let pixels = g.output.h as usize * g.output.w as usize;
    let mut pixel = 0;
    let mut next = Position { x: 0, y: 0 };
    while pixel + 4 <= pixels {
        // SAFETY: the scratch has room for four columns of `depth`, 2 * depth words.
        unsafe { unfold.four_columns(&mut next, columns) };
        let out = output[pixel * channels..][..4 * channels].as_mut_ptr();
        // SAFETY: columns, weights and records have the lengths that `depth` and the channels ask for,
        // as `PackedCall` has checked; the tile writes `2 * pairs` bytes of each of the four pixels of `out`, or two
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
            unfold.column(next.step(g), columns, 1);
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

/// A position of the output.
#[derive(Clone, Copy)]
struct Position {
    x: usize,
    y: usize,
}

impl Position {
    /// This position; goes on to the next one in the row, or the next row.
    #[inline(always)]
    fn step(&mut self, g: &Geometry) -> Self {
        let here = *self;
        self.x += 1;
        if self.x == g.output.w as usize {
            (self.x, self.y) = (0, self.y + 1);
        }
        here
    }
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
    expand_windows: ExpandWindows,
    /// True if whole words can be widened where they are.
    words: bool,
    /// Bytes of an input row.
    row: usize,
    /// Rows and columns that a window spans.
    span: [isize; 2],
    /// Bytes of a window's row that lie together, if horizontal dilation is 1.
    run: usize,
    /// Bytes from one row of a window to the next.
    row_stride: usize,
    /// True for 1x1 with stride 1: windows follow each other in memory.
    pointwise: bool,
}

impl<'u> Unfold<'u> {
    fn new(
        g: &'u Geometry,
        p: &PackedParams<'_>,
        input: &'u [i8],
        depth: usize,
        bytes: *mut i8,
    ) -> Self {
        let w = &g.window;
        let row = (g.input.w * g.input.c) as usize;
        Self {
            g,
            input,
            depth,
            zero_point: p.input_zero_point,
            zero: twice((p.input_zero_point as i32) << p.input_shift),
            bytes,
            expand: match p.input_shift {
                0 => [graft_expand_4, graft_expand_1],
                _ => [graft_expand_high_4, graft_expand_high_1],
            },
            expand_windows: match p.input_shift {
                0 => graft_expand_windows,
                _ => graft_expand_windows_high,
            },
            words: g.input.c.is_multiple_of(4),
            row,
            span: [w.span(0) as isize, w.span(1) as isize],
            run: (w.kernel[1] * g.input.c) as usize,
            row_stride: w.dilation[0] as usize * row,
            pointwise: w.is_unpadded() && w.kernel == [1, 1] && w.stride == [1, 1],
        }
    }

    /// Row and column of the input under the first tap at an output position.
    #[inline(always)]
    fn origin(&self, at: Position) -> [isize; 2] {
        let w = &self.g.window;
        [
            (at.y * w.stride[0] as usize) as isize - w.pad_before[0] as isize,
            (at.x * w.stride[1] as usize) as isize - w.pad_before[1] as isize,
        ]
    }

    /// True if the window there, of so many columns, lies in the input and its rows have no gaps.
    #[inline(always)]
    fn inside(&self, [y0, x0]: [isize; 2], columns: isize) -> bool {
        y0 >= 0
            && x0 >= 0
            && y0 + self.span[0] <= self.g.input.h as isize
            && x0 + columns <= self.g.input.w as isize
            && self.g.window.dilation[1] == 1
    }

    /// Writes the columns of the next four positions, interleaved word by word.
    ///
    /// # Safety
    /// `to` has room for `2 * depth` words, and there are four positions left.
    #[inline(always)]
    unsafe fn four_columns(&self, next: &mut Position, to: *mut u32) {
        let origin = self.origin(*next);
        let step = self.g.window.stride[1] as usize;
        let together = self.pointwise
            || next.x + 4 <= self.g.output.w as usize
                && self.inside(origin, self.span[1] + 3 * step as isize);
        if self.words && together {
            let c = self.g.input.c as usize;
            let from = origin[0] as usize * self.row + origin[1] as usize * c;
            let rows = self.g.window.kernel[0] as usize;
            // SAFETY: the four windows lie in the input, `step` pixels apart.
            unsafe {
                let from = self.input.as_ptr().add(from);
                (self.expand_windows)(from, to, self.run / 4, step * c, self.row_stride, rows)
            };
            for _ in 0..4 {
                next.step(self.g);
            }
        } else {
            for i in 0..4 {
                // SAFETY: as the caller's.
                unsafe { self.column(next.step(self.g), to.add(i), 4) };
            }
        }
    }

    /// Writes the column of output position `at`, its words `step` words apart (4 or 1).
    ///
    /// # Safety
    /// `to` has room for `depth / 2` such words.
    #[inline(always)]
    unsafe fn column(&self, at: Position, to: *mut u32, step: usize) {
        let [y0, x0] = self.origin(at);
        let inside = self.inside([y0, x0], self.span[1]);
        let from = || y0 as usize * self.row + x0 as usize * self.g.input.c as usize;
        let expand = self.expand[(step == 1) as usize];
        // SAFETY: windows that are read as runs lie in the input; `to` has room for all taps, and `bytes` too.
        unsafe {
            match (self.words, inside) {
                (true, true) => {
                    let rows = self.g.window.kernel[0] as usize;
                    let from = self.input.as_ptr().add(from());
                    expand(from, to, self.run / 4, self.row_stride, rows);
                }
                (true, false) => self.words_at_border([y0, x0], to, step),
                (false, _) => {
                    match inside {
                        true => self.bytes_inside(from()),
                        false => self.bytes_at_border([y0, x0]),
                    }
                    expand(self.bytes, to, self.depth / 4, 0, 1);
                }
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
        let (run, rows) = (self.run, self.g.window.kernel[0] as usize);
        // Whole words read up to three bytes beyond a row; at the input's end they must not.
        let whole = from + (rows - 1) * self.row_stride + run + 3 <= self.input.len();
        // SAFETY: reads lie in the input; what is written beyond a row is overwritten by the next one, or
        // meets weights of zero.
        unsafe {
            let from = self.input.as_ptr().add(from);
            if whole {
                let words = run.div_ceil(4);
                graft_gather(from, self.bytes, words, self.row_stride, rows, run);
            } else {
                for ky in 0..rows {
                    let from = from.add(ky * self.row_stride);
                    core::ptr::copy_nonoverlapping(from, self.bytes.add(ky * run), run);
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
