//! Packs and unpacks one convolution: its records, and its weights in the layout of the family.

use super::{dsp, mve};
use edge_runtime::kernels::requantize;
use edge_runtime::model::packed::conv_depth;
use edge_runtime::model::packed::mve::{MveConv, MveDepthwise};
use edge_runtime::model::write::Writer;
use edge_runtime::model::{
    ChannelRecord, ConvData, Family, Layer, Layout, Model, Op, Scratch, Shape, Window,
};

/// The numbers of a convolution, as an unpacked file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Weights: OHWI, or 1HWC if depthwise.
    pub weights: Vec<i8>,
    /// One per output channel.
    pub bias: Vec<i32>,
    /// One per output channel.
    pub multiplier: Vec<i32>,
    /// One per output channel.
    pub shift: Vec<u8>,
}

/// The blocks of [`Layout::MveDepthwise`] repeat channels to fill vectors. A layer is not packed if its
/// blocks take more bytes than this and more than four times what they replace.
const SMALL: u64 = 16 << 10;

/// The layout of a family for convolutions.
pub fn layout_of(family: Family, depthwise: bool) -> Layout {
    match (family, depthwise) {
        (Family::Dsp, false) => Layout::DspConv,
        (Family::Dsp, true) => Layout::DspDepthwise,
        (Family::Mve, false) => Layout::MveConv,
        (Family::Mve, true) => Layout::MveDepthwise,
    }
}

/// The packed numbers of a layer; `None` if it has to stay as it is.
pub fn pack(
    model: &Model<'_>,
    layer: &Layer<'_>,
    family: Family,
    writer: &mut Writer,
) -> Option<ConvData> {
    let (window, groups, data, depthwise) = match &layer.op {
        Op::Conv {
            window,
            groups,
            data,
        } => (window, *groups, data, false),
        Op::DepthwiseConv { window, data } => (window, layer.output.shape.c, data, true),
        _ => return None,
    };
    let layout = layout_of(family, depthwise);
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
    let numbers = Numbers {
        weights: model.i8s(weights).to_vec(),
        bias: model.i32s(bias).to_vec(),
        multiplier: model.i32s(multiplier).to_vec(),
        shift: model.u8s(shift).to_vec(),
    };
    let channels = output.c as usize;
    let bounds = numbers.bounds(depthwise)?;
    let zero_point = layer.output.quant.zero_point;
    let (input_shift, records) = [0, 8]
        .into_iter()
        .filter(|by| layout.shifts_input(*by))
        .find_map(|by| {
            let record = |c| numbers.record(c, bounds[c], by, zero_point);
            let mut records = match layout {
                Layout::MveDepthwise => {
                    let fits = (0..channels).all(|c| numbers.scales(c, bounds[c], by));
                    fits.then(Vec::new)?
                }
                _ => (0..channels).map(record).collect::<Option<Vec<_>>>()?,
            };
            if let Some(last) = records.last().copied() {
                records.resize(layout.records(output) as usize, last);
            }
            Some((by, records))
        })?;
    let packed = match layout {
        Layout::DspConv => {
            let depth = conv_depth(window, input) as usize;
            dsp::pack_conv(&numbers.weights, depth, channels)
        }
        Layout::DspDepthwise => dsp::pack_depthwise(&numbers.weights, channels),
        Layout::MveConv => mve::pack_conv(&numbers.weights, &MveConv::new(window, input, output)),
        Layout::MveDepthwise => {
            let layout = MveDepthwise::new(window, input, output);
            let before = numbers.weights.len() as u64 + 9 * channels as u64;
            // The sum of two products of -128 would not fit 16 bits, which the kernel has for it.
            let large = layout.weights_len() > SMALL.max(4 * before);
            if large || numbers.weights.contains(&i8::MIN) {
                return None;
            }
            mve::pack_depthwise(&numbers, input_shift, &layout)
        }
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

impl Numbers {
    /// Smallest and largest sum of every channel; `None` if one does not fit 32 bits.
    fn bounds(&self, depthwise: bool) -> Option<Vec<[i32; 2]>> {
        let channels = self.bias.len();
        let reach = |c: usize| -> i64 {
            let magnitude = |w: &i8| w.unsigned_abs() as i64;
            let taps: i64 = match depthwise {
                true => self
                    .weights
                    .iter()
                    .skip(c)
                    .step_by(channels)
                    .map(magnitude)
                    .sum(),
                false => {
                    let taps = self.weights.len() / channels;
                    self.weights[c * taps..][..taps].iter().map(magnitude).sum()
                }
            };
            128 * taps
        };
        let bound = |c: usize| {
            let ends = [-reach(c), reach(c)].map(|r| i32::try_from(self.bias[c] as i64 + r).ok());
            ends[0].zip(ends[1]).map(|(low, high)| [low, high])
        };
        (0..channels).map(bound).collect()
    }

    /// True if the shifted sums of a channel fit 32 bits, and its shift can be done on their high word.
    fn scales(&self, c: usize, bounds: [i32; 2], input_shift: u8) -> bool {
        let largest = bounds[0].unsigned_abs().max(bounds[1].unsigned_abs()) as u64;
        largest << input_shift <= i32::MAX as u64 && self.shift[c] + input_shift > 32
    }

    fn record(
        &self,
        c: usize,
        bounds: [i32; 2],
        input_shift: u8,
        zero_point: i8,
    ) -> Option<ChannelRecord> {
        let (bias, m, n) = (self.bias[c], self.multiplier[c], self.shift[c]);
        let exact = ChannelRecord::new(bias, m, n, input_shift, zero_point);
        exact
            .filter(|_| self.scales(c, bounds, input_shift))
            .or_else(|| {
                let [low, high] =
                    bounds.map(|acc| requantize(acc, m, n, zero_point, [i8::MIN, i8::MAX]));
                (low == high).then(|| ChannelRecord::constant(bias, m, n, low))
            })
    }
}

/// The numbers of a layer as they were before packing; `None` if it is not packed.
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
    let records = model.records(records);
    let area = (window.kernel[0] * window.kernel[1]) as usize;
    let taps = area * input.c as usize;
    let numbers = match layout {
        Layout::DspConv => {
            let depth = conv_depth(window, input) as usize;
            let weights = dsp::unpack_conv(packed, depth, taps, channels);
            Numbers::of_records(weights, &records[..channels], input_shift)
        }
        Layout::DspDepthwise => {
            let weights = dsp::unpack_depthwise(packed, channels);
            Numbers::of_records(weights, &records[..channels], input_shift)
        }
        Layout::MveConv => {
            let layout = MveConv::new(window, input, output);
            let weights = mve::unpack_conv(packed, &layout, channels as u64);
            Numbers::of_records(weights, &records[..channels], input_shift)
        }
        Layout::MveDepthwise => {
            let layout = MveDepthwise::new(window, input, output);
            mve::unpack_depthwise(packed, area, input_shift, &layout)
        }
    };
    Some(ConvData::I8 {
        weights: writer.blob(&numbers.weights),
        bias: writer.blob(&numbers.bias),
        multiplier: writer.blob(&numbers.multiplier),
        shift: writer.blob(&numbers.shift),
        clamp,
    })
}

impl Numbers {
    fn of_records(weights: Vec<i8>, records: &[ChannelRecord], input_shift: u8) -> Self {
        let mut numbers = Self {
            weights,
            bias: Vec::with_capacity(records.len()),
            multiplier: Vec::with_capacity(records.len()),
            shift: Vec::with_capacity(records.len()),
        };
        for (bias, multiplier, shift) in records.iter().map(|r| r.original(input_shift)) {
            numbers.bias.push(bias);
            numbers.multiplier.push(multiplier);
            numbers.shift.push(shift);
        }
        numbers
    }
}
