//! Depthwise 3x3: four channels at a time are spread to planes of 16 bits, padding included, so that one
//! multiply-accumulate takes two taps and no output knows the map's edge.

use super::{clamp, twice};
use crate::kernels::Geometry;
use crate::kernels::packed::PackedCall;
use crate::model::ChannelRecord;
use crate::model::packed::{DEPTHWISE_CHANNELS, DepthwiseBand};

core::arch::global_asm!(include_str!("depthwise.s"), options(raw));

/// What the assembly wants to know besides its four registers.
#[repr(C)]
struct Arguments {
    weights: *const i8,
    record: *const ChannelRecord,
    row_stride: usize,
    rows: usize,
    pairs: usize,
    single: usize,
}

unsafe extern "C" {
    fn graft_depthwise_1(
        plane: *const i8,
        pitch: usize,
        output: *mut i8,
        channels: usize,
        arguments: *const Arguments,
    );
    fn graft_depthwise_2(
        plane: *const i8,
        pitch: usize,
        output: *mut i8,
        channels: usize,
        arguments: *const Arguments,
    );
    fn graft_expand_planes(
        from: *const i8,
        to: *mut i8,
        channels: usize,
        plane: usize,
        pairs: usize,
        first: usize,
        last: usize,
    );
    fn graft_expand_planes_high(
        from: *const i8,
        to: *mut i8,
        channels: usize,
        plane: usize,
        pairs: usize,
        first: usize,
        last: usize,
    );
}

/// Computes all outputs from weights in [`Layout::DspDepthwise`](crate::model::Layout::DspDepthwise).
pub fn depthwise(call: PackedCall<'_>) {
    let (p, input, output, scratch) = call.parts();
    let g = &p.geometry;
    let channels = g.output.c as usize;
    let band = DepthwiseBand::new(&g.window, g.input, g.output);
    let plane = band.pitch * band.input_rows;
    let [sy, sx] = [g.window.stride[0] as usize, g.window.stride[1] as usize];
    let (out_h, out_w) = (g.output.h as usize, g.output.w as usize);
    let planes = Planes {
        g,
        input,
        band,
        plane,
        to: scratch.as_mut_ptr(),
        zero: twice((p.input_zero_point as i32) << p.input_shift),
        input_shift: p.input_shift,
    };
    let mut first_row = 0;
    while first_row < out_h {
        let rows = band.output_rows.min(out_h - first_row);
        let mut block = 0;
        while block < channels {
            // The last four channels may overlap the four before: they are computed twice.
            let first = block.min(channels - DEPTHWISE_CHANNELS);
            let y0 = (first_row * sy) as isize - g.window.pad_before[0] as isize;
            // SAFETY: the scratch has room for four planes of `band`.
            unsafe { planes.fill(first, y0, (rows - 1) * sy + 3, block == 0) };
            for i in 0..DEPTHWISE_CHANNELS {
                let c = first + i;
                let arguments = Arguments {
                    weights: p.weights[9 * c..][..9].as_ptr(),
                    record: &p.records[c],
                    row_stride: band.pitch * sy,
                    rows,
                    pairs: out_w / 2 * 2 * channels,
                    single: out_w % 2,
                };
                let out = output[first_row * out_w * channels + c..].as_mut_ptr();
                let run = if sx == 1 {
                    graft_depthwise_1
                } else {
                    graft_depthwise_2
                };
                // SAFETY: the plane holds all rows and columns that `rows` rows of outputs read (checked in
                // `bands_cover_what_they_read`); every `channels`-th byte from `out` on for `rows * out_w`
                // outputs lies in `output`.
                unsafe {
                    run(
                        planes.to.add(i * plane),
                        band.pitch,
                        out,
                        channels,
                        &arguments,
                    )
                };
            }
            block += DEPTHWISE_CHANNELS;
        }
        first_row += rows;
    }
    clamp(output, p.clamp);
}

/// Four channels of some rows of the input, padding included, at 16 bits.
struct Planes<'p> {
    g: &'p Geometry,
    input: &'p [i8],
    band: DepthwiseBand,
    /// Bytes from plane to plane.
    plane: usize,
    to: *mut i8,
    /// What padding reads, twice.
    zero: u32,
    input_shift: u8,
}

impl Planes<'_> {
    /// Fills `rows` rows from input row `y0` (negative in the padding) of the channels from `first` on;
    /// padding, which is the same for all channels, only where `padding` says so.
    ///
    /// # Safety
    /// `to` has room for four planes of as many rows.
    unsafe fn fill(&self, first: usize, y0: isize, rows: usize, padding: bool) {
        let (w, c) = (self.g.input.w as usize, self.g.input.c as usize);
        for row in 0..rows {
            // SAFETY: the row lies in each plane.
            let to = unsafe { self.to.add(row * self.band.pitch) };
            let y = y0 + row as isize;
            if (0..self.g.input.h as isize).contains(&y) {
                let from = &self.input[y as usize * w * c..][..w * c];
                // SAFETY: as the caller's.
                unsafe { self.row(&from[first..], to, padding) };
            } else if padding {
                // SAFETY: as the caller's.
                unsafe { self.zeros(to, 0, self.band.pitch / 2) };
            }
        }
    }

    /// One row of the input, `from` its first channel of four.
    ///
    /// # Safety
    /// `to` has room for a row in each of four planes.
    #[inline(always)]
    unsafe fn row(&self, from: &[i8], to: *mut i8, padding: bool) {
        let (w, c) = (self.g.input.w as usize, self.g.input.c as usize);
        let columns = self.band.pitch / 2;
        let left = (self.g.window.pad_before[1] as usize).min(columns);
        let there = w.min(columns - left);
        // Words start at even columns.
        let odd = (left % 2).min(there);
        let (pairs, last) = ((there - odd) / 2, (there - odd) % 2);
        let expand = match self.input_shift {
            0 => graft_expand_planes,
            _ => graft_expand_planes_high,
        };
        // SAFETY: columns are fewer than a row has; pixels are fewer than `there`, and `from` starts at the
        // first of at least four channels.
        unsafe {
            if there > 0 {
                let first = to.add(2 * left);
                expand(from.as_ptr(), first, c, self.plane, pairs, odd, last);
            }
            if padding {
                self.zeros(to, 0, left);
                self.zeros(to, left + there, columns);
            }
        }
    }

    /// What padding reads to the columns from `start` to `end`.
    ///
    /// # Safety
    /// They lie in the row at `to`.
    #[inline(always)]
    unsafe fn zeros(&self, to: *mut i8, start: usize, end: usize) {
        for i in 0..DEPTHWISE_CHANNELS {
            // SAFETY: as the caller's.
            let row = unsafe { to.add(i * self.plane).cast::<i16>() };
            for at in start..end {
                // SAFETY: as the caller's.
                unsafe { *row.add(at) = self.zero as i16 };
            }
        }
    }
}
