//! Depthwise convolution: the rows under the kernel in scratch memory with their padding, then
//! [`super::depthwise_lanes`] over each row of the output.

use super::copy::{Grid, copy, fill};
use super::depthwise_lanes::{
    Run, graft_mve_depthwise, graft_mve_depthwise_9, graft_mve_depthwise_9_wide,
    graft_mve_depthwise_wide,
};
use crate::kernels::Geometry;
use crate::kernels::packed::PackedCall;
use crate::model::packed::mve::{LANES, MAX_DEPTHWISE_TAPS, MveDepthwise};

/// Computes all outputs from weights in [`Layout::MveDepthwise`](crate::model::Layout::MveDepthwise).
pub fn depthwise(call: PackedCall<'_>) {
    let (params, input, output, scratch) = call.parts();
    let g = &params.geometry;
    let layout = MveDepthwise::new(&g.window, g.input, g.output);
    let w = &g.window;
    let [kh, kw] = [w.kernel[0] as usize, w.kernel[1] as usize];
    let channels = g.input.c as usize;
    let (rows, row_len) = (layout.rows as usize, layout.row_len() as usize);
    let (phases, columns) = (layout.phases as usize, layout.columns as usize);
    let scratch = &mut scratch[..layout.scratch_len() as usize];
    fill(scratch, params.input_zero_point);
    let lanes = g.output.w as usize * channels;
    // Offset in a row of scratch memory of each column of the kernel.
    let column = |kx: usize| {
        let x = kx * w.dilation[1] as usize;
        (x % phases * columns + x / phases) * channels
    };
    let compute = match (kh * kw, params.input_shift) {
        (9, 0) => graft_mve_depthwise_9,
        (9, _) => graft_mve_depthwise_9_wide,
        (_, 0) => graft_mve_depthwise,
        _ => graft_mve_depthwise_wide,
    };
    // Padded rows `0..loaded` have been in scratch memory, the last `rows` of them still are.
    let mut loaded = 0;
    for (y, out) in output.chunks_exact_mut(lanes).enumerate() {
        let first = y * w.stride[0] as usize;
        let last = first + rows;
        for row in loaded.max(first)..last {
            let to = &mut scratch[row % rows * row_len..][..row_len];
            load_row(
                g,
                [phases, columns],
                params.input_zero_point,
                row,
                input,
                to,
            );
        }
        loaded = last;
        let base = scratch.as_ptr();
        let mut reads = [base; MAX_DEPTHWISE_TAPS as usize];
        let mut tap = 0;
        for ky in 0..kh {
            let row = (first + ky * w.dilation[0] as usize) % rows * row_len;
            for kx in 0..kw {
                let at = row + column(kx);
                assert!(at + lanes.next_multiple_of(LANES as usize) <= scratch.len());
                reads[tap] = base.wrapping_add(at);
                tap += 1;
            }
        }
        let run = Run {
            reads: reads.as_ptr(),
            taps: layout.taps as usize,
            blocks: params.weights.as_ptr(),
            period: layout.period as usize,
            out: out.as_mut_ptr(),
            lanes,
            zero_point: params.output_zero_point as i32,
            clamp: params.clamp.map(|c| c as i32),
        };
        // SAFETY: every read was asserted to lie in `scratch`, which nothing else uses meanwhile; the tap that
        // evens the number reads its start. `out` has `lanes` bytes, and `PackedCall` has measured `weights`.
        unsafe { compute(&run) }
    }
}

/// Puts one row of the padded input into scratch memory, columns apart by their remainder by the stride.
/// What is padding left and right was set at the beginning and stays.
fn load_row(
    g: &Geometry,
    [phases, columns]: [usize; 2],
    zero: i8,
    row: usize,
    input: &[i8],
    to: &mut [i8],
) {
    let (pad_y, pad_x) = (
        g.window.pad_before[0] as usize,
        g.window.pad_before[1] as usize,
    );
    let (in_w, channels) = (g.input.w as usize, g.input.c as usize);
    let Some(y) = row.checked_sub(pad_y).filter(|y| *y < g.input.h as usize) else {
        return fill(to, zero);
    };
    let from_row = &input[y * in_w * channels..][..in_w * channels];
    for phase in 0..phases {
        // The first column of the input with this remainder, and where it goes.
        let x = (phase + phases - pad_x % phases) % phases;
        let column = (x + pad_x) / phases;
        let count = in_w
            .saturating_sub(x)
            .div_ceil(phases)
            .min(columns.saturating_sub(column));
        let at = (phase * columns + column) * channels;
        let from = Grid {
            at: x * channels,
            row_step: phases * channels,
            patch_step: 0,
        };
        let into = Grid {
            at,
            row_step: channels,
            patch_step: 0,
        };
        if phases == 1 {
            copy(to, into, from_row, from, [1, 1, count * channels]);
        } else {
            copy(to, into, from_row, from, [1, count, channels]);
        }
    }
}
