//! The layouts of [`Family::Dsp`](edge_runtime::model::Family::Dsp), both ways.

use edge_runtime::kernels::requantize;
use edge_runtime::model::packed::{conv_depth, conv_place, depthwise_place};
use edge_runtime::model::write::Writer;
use edge_runtime::model::{
    ChannelRecord, ConvData, Layer, Layout, Model, Op, Scratch, Shape, Window,
};

/// The layer's numbers packed, or `None` if it has to stay as it is.
pub fn pack(model: &Model<'_>, layer: &Layer<'_>, writer: &mut Writer) -> Option<ConvData> {
    let (window, groups, data, depthwise) = match &layer.op {
        Op::Conv {
            window,
            groups,
            data,
        } => (window, *groups, data, false),
        Op::DepthwiseConv { window, data } => (window, layer.output.shape.c, data, true),
        _ => return None,
    };
    let layout = match depthwise {
        true => Layout::DspDepthwise,
        false => Layout::DspConv,
    };
    let ConvData::I8 {
        weights,
        bias,
        multiplier,
        shift,
        clamp,
    } = *data
    else {
        return None;
    };
    if !layout.holds(window, groups, depthwise) {
        return None;
    }
    let (input, output) = (layer.inputs[0].shape, layer.output.shape);
    let scratch_len = u32::try_from(layout.scratch_len(window, input, output)).ok()?;
    let channels = output.c as usize;
    let weights = model.i8s(weights);
    // How far the sum of products can be from the bias.
    let reach = |c: usize| -> i64 {
        let taps: i64 = match depthwise {
            true => weights
                .iter()
                .skip(c)
                .step_by(channels)
                .map(magnitude_of)
                .sum(),
            false => weights[c * weights.len() / channels..][..weights.len() / channels]
                .iter()
                .map(magnitude_of)
                .sum(),
        };
        128 * taps
    };
    let reaches: Vec<i64> = (0..channels).map(reach).collect();
    let zero_point = layer.output.quant.zero_point;
    let records = |input_shift: u8| -> Option<Vec<ChannelRecord>> {
        let record = |c: usize| {
            let (bias, m, n) = (
                model.i32s(bias)[c],
                model.i32s(multiplier)[c],
                model.u8s(shift)[c],
            );
            let ends = [-reaches[c], reaches[c]].map(|r| i32::try_from(bias as i64 + r).ok());
            let [Some(low), Some(high)] = ends else {
                return None;
            };
            let largest = low.unsigned_abs().max(high.unsigned_abs()) as u64;
            let fits = largest << input_shift <= i32::MAX as u64;
            let exact = ChannelRecord::new(bias, m, n, input_shift, zero_point);
            exact.filter(|_| fits).or_else(|| {
                let q = |acc| requantize(acc, m, n, zero_point, [i8::MIN, i8::MAX]);
                (q(low) == q(high)).then(|| ChannelRecord::constant(bias, m, n, q(low)))
            })
        };
        let mut records: Vec<_> = (0..channels).map(record).collect::<Option<_>>()?;
        if let Some(last) = records.last().copied() {
            records.resize(layout.records(output) as usize, last);
        }
        Some(records)
    };
    let (input_shift, records) = [0, 8]
        .into_iter()
        .filter(|by| layout.shifts_input(*by))
        .find_map(|by| records(by).map(|r| (by, r)))?;
    let packed = match layout {
        Layout::DspConv => pack_conv(weights, conv_depth(window, input) as usize, channels),
        Layout::DspDepthwise => pack_depthwise(weights, channels),
    };
    Some(ConvData::Packed {
        layout,
        weights: writer.blob(&packed),
        channels: writer.blob(&records),
        input_shift,
        clamp,
        scratch: Scratch {
            offset: 0,
            len: scratch_len,
        },
    })
}

fn magnitude_of(weight: &i8) -> i64 {
    weight.unsigned_abs() as i64
}

/// The numbers of a packed layer as they were, or `None` if it is not packed.
pub fn unpack(
    model: &Model<'_>,
    data: &ConvData,
    window: &Window,
    input: Shape,
    output: Shape,
    writer: &mut Writer,
) -> Option<ConvData> {
    let ConvData::Packed {
        layout,
        weights,
        channels: records,
        input_shift,
        clamp,
        ..
    } = *data
    else {
        return None;
    };
    let channels = output.c as usize;
    let packed = model.i8s(weights);
    let records = &model.records(records)[..channels];
    let weights = match layout {
        Layout::DspConv => {
            let taps = (window.kernel[0] * window.kernel[1] * input.c) as usize;
            unpack_conv(packed, conv_depth(window, input) as usize, taps, channels)
        }
        Layout::DspDepthwise => unpack_depthwise(packed, channels),
    };
    let mut bias = Vec::with_capacity(channels);
    let mut multiplier = Vec::with_capacity(channels);
    let mut shift = Vec::with_capacity(channels);
    for (b, m, n) in records.iter().map(|r| r.original(input_shift)) {
        bias.push(b);
        multiplier.push(m);
        shift.push(n);
    }
    Some(ConvData::I8 {
        weights: writer.blob(&weights),
        bias: writer.blob(&bias),
        multiplier: writer.blob(&multiplier),
        shift: writer.blob(&shift),
        clamp,
    })
}

/// OHWI to [`Layout::DspConv`]; `depth` is the taps of a filter, rounded up to a multiple of 8.
fn pack_conv(weights: &[i8], depth: usize, channels: usize) -> Vec<i8> {
    let mut out = vec![0; depth * channels.next_multiple_of(2)];
    let taps = weights.len() / channels;
    for (c, filter) in weights.chunks_exact(taps).enumerate() {
        for (k, w) in filter.iter().enumerate() {
            out[conv_place(c, k, depth)] = *w;
        }
    }
    out
}

fn unpack_conv(packed: &[i8], depth: usize, taps: usize, channels: usize) -> Vec<i8> {
    let places = (0..channels).flat_map(|c| (0..taps).map(move |k| conv_place(c, k, depth)));
    places.map(|at| packed[at]).collect()
}

/// 1HWC to [`Layout::DspDepthwise`].
fn pack_depthwise(weights: &[i8], channels: usize) -> Vec<i8> {
    let mut out = vec![0; 12 * channels];
    for (tap, row) in weights.chunks_exact(channels).enumerate() {
        for (c, w) in row.iter().enumerate() {
            out[depthwise_place(c, tap)] = *w;
        }
    }
    out
}

fn unpack_depthwise(packed: &[i8], channels: usize) -> Vec<i8> {
    let places = (0..9).flat_map(|tap| (0..channels).map(move |c| depthwise_place(c, tap)));
    places.map(|at| packed[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_by_hand_and_back() {
        let weights: Vec<i8> = (1..=27).collect();
        let packed = pack_conv(&weights, 16, 3);
        assert_eq!(packed.len(), 64);
        assert_eq!(packed[..8], [1, 10, 3, 12, 2, 11, 4, 13]);
        assert_eq!(packed[16..24], [9, 18, 0, 0, 0, 0, 0, 0]);
        assert_eq!(packed[32..40], [19, 0, 21, 0, 20, 0, 22, 0]);
        assert_eq!(unpack_conv(&packed, 16, 9, 3), weights);
        let packed = pack_depthwise(&weights, 3);
        assert_eq!(packed[..12], [1, 4, 7, 0, 10, 13, 16, 0, 19, 22, 25, 0]);
        assert_eq!(unpack_depthwise(&packed, 3), weights);
    }
}
