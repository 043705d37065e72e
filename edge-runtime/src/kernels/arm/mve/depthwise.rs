//! Depthwise convolution: the rows under the kernel in scratch memory with their padding, then
//! [`super::sixteen`] over each row of the output.

use super::copy::{Grid, copy, fill};
use super::pack::{DepthwiseLayout, LANES};
use super::sixteen::{Run, graft_mve_sixteens, graft_mve_sixteens_9};
use crate::kernels::Geometry;

/// Most taps of a kernel: the table of their reads is on the stack.
pub const MAX_TAPS: usize = 64;

/// The numbers of a packed depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub struct PackedDepthwise<'p> {
    /// As [`DepthwiseLayout`] says.
    pub weights: &'p [i8],
    /// What padding reads.
    pub input_zero_point: i8,
    /// Added after scaling.
    pub output_zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

/// Computes all outputs; the kernel has at most [`MAX_TAPS`] taps and `scratch`
/// [`DepthwiseLayout::scratch_len`] bytes.
pub fn depthwise(
    g: &Geometry,
    params: &PackedDepthwise<'_>,
    scratch: &mut [i8],
    input: &[i8],
    output: &mut [i8],
) {
    let layout = DepthwiseLayout::new(g);
    assert!(layout.taps <= MAX_TAPS);
    assert!(params.weights.len() == layout.weights_len() && params.weights.as_ptr().addr().is_multiple_of(4));
    assert!(input.len() == g.input.len() && output.len() == g.output.len());
    let scratch = &mut scratch[..layout.scratch_len()];
    fill(scratch, params.input_zero_point);
    let w = &g.window;
    let [kh, kw] = [w.kernel[0] as usize, w.kernel[1] as usize];
    let (channels, row_len) = (layout.channels, layout.row_len());
    let lanes = g.output.w as usize * channels;
    // Offset in a row of scratch memory of each column of the kernel.
    let column = |kx: usize| {
        let x = kx * w.dilation[1] as usize;
        (x % layout.phases * layout.columns + x / layout.phases) * channels
    };
    let sixteens = if kh * kw == 9 { graft_mve_sixteens_9 } else { graft_mve_sixteens };
    // Padded rows `0..loaded` have been in scratch memory, the last `layout.rows` of them still are.
    let mut loaded = 0;
    for (y, out) in output.chunks_exact_mut(lanes).enumerate() {
        let first = y * w.stride[0] as usize;
        let last = first + layout.rows;
        for row in loaded.max(first)..last {
            let to = &mut scratch[row % layout.rows * row_len..][..row_len];
            load_row(g, &layout, params.input_zero_point, row, input, to);
        }
        loaded = last;
        let base = scratch.as_ptr();
        let mut reads = [base; MAX_TAPS];
        let mut tap = 0;
        for ky in 0..kh {
            let row = (first + ky * w.dilation[0] as usize) % layout.rows * row_len;
            for kx in 0..kw {
                let at = row + column(kx);
                assert!(at + lanes.next_multiple_of(LANES) <= scratch.len());
                reads[tap] = base.wrapping_add(at);
                tap += 1;
            }
        }
        let run = Run {
            reads: reads.as_ptr(),
            taps: layout.taps,
            blocks: params.weights.as_ptr(),
            period: layout.period,
            out: out.as_mut_ptr(),
            lanes,
            zero_point: params.output_zero_point as i32,
            clamp: params.clamp.map(|c| c as i32),
        };
        // SAFETY: every read was asserted to lie in `scratch`, which nothing else uses meanwhile; the tap that
        // evens the number reads its start. `out` has `lanes` bytes, and `weights` were measured above.
        unsafe { sixteens(&run) }
    }
}

/// Puts one row of the padded input into scratch memory, columns apart by their remainder by the stride.
/// What is padding left and right was set at the beginning and stays.
fn load_row(g: &Geometry, layout: &DepthwiseLayout, zero: i8, row: usize, input: &[i8], to: &mut [i8]) {
    let (pad_y, pad_x) = (g.window.pad_before[0] as usize, g.window.pad_before[1] as usize);
    let (in_w, channels, phases) = (g.input.w as usize, layout.channels, layout.phases);
    let Some(y) = row.checked_sub(pad_y).filter(|y| *y < g.input.h as usize) else {
        return fill(to, zero);
    };
    let from_row = &input[y * in_w * channels..][..in_w * channels];
    for phase in 0..phases {
        // The first column of the input with this remainder, and where it goes.
        let x = (phase + phases - pad_x % phases) % phases;
        let column = (x + pad_x) / phases;
        let count = in_w.saturating_sub(x).div_ceil(phases).min(layout.columns.saturating_sub(column));
        let at = (phase * layout.columns + column) * channels;
        let from = Grid { at: x * channels, row_step: phases * channels, patch_step: 0 };
        let into = Grid { at, row_step: channels, patch_step: 0 };
        if phases == 1 {
            copy(to, into, from_row, from, [1, 1, count * channels]);
        } else {
            copy(to, into, from_row, from, [1, count, channels]);
        }
    }
}
