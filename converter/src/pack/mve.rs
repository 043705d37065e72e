//! Weights to and from the layouts of [`Family::Mve`](edge_runtime::model::Family::Mve).

use super::layer::Numbers;
use edge_runtime::model::packed::mve::{LANES, MveConv, MveDepthwise};

/// OHWI to [`Layout::MveConv`](edge_runtime::model::Layout::MveConv).
pub fn pack_conv(weights: &[i8], layout: &MveConv) -> Vec<i8> {
    let mut out = vec![0; layout.weights_len() as usize];
    for (c, filter) in weights.chunks_exact(layout.taps as usize).enumerate() {
        for (k, w) in filter.iter().enumerate() {
            out[layout.place(c as u64, k as u64) as usize] = *w;
        }
    }
    out
}

/// [`Layout::MveConv`](edge_runtime::model::Layout::MveConv) to OHWI.
pub fn unpack_conv(packed: &[i8], layout: &MveConv, channels: u64) -> Vec<i8> {
    let taps = layout.taps;
    let places = (0..channels).flat_map(|c| (0..taps).map(move |k| layout.place(c, k)));
    places.map(|at| packed[at as usize]).collect()
}

/// 1HWC weights and their numbers to [`Layout::MveDepthwise`](edge_runtime::model::Layout::MveDepthwise).
pub fn pack_depthwise(numbers: &Numbers, input_shift: u8, layout: &MveDepthwise) -> Vec<i8> {
    let mut out = Vec::with_capacity(layout.weights_len() as usize);
    let channels = layout.channels as usize;
    for block in 0..layout.period {
        let channel = |lane| layout.channel(block, lane) as usize;
        for tap in 0..layout.taps as usize {
            let values = numbers.weights.get(tap * channels..).unwrap_or(&[]);
            let value = |lane| values.get(channel(lane)).copied().unwrap_or(0);
            out.extend((0..LANES).map(value));
        }
        let right = |c: usize| numbers.shift[c] as i32 + input_shift as i32 - 32;
        let mut put = |of: &dyn Fn(usize) -> i32| {
            for lane in MveDepthwise::ORDER {
                out.extend(of(channel(lane)).to_le_bytes().map(|b| b as i8));
            }
        };
        put(&|c| numbers.bias[c]);
        put(&|c| numbers.multiplier[c]);
        put(&|c| -right(c));
    }
    out
}

/// [`Layout::MveDepthwise`](edge_runtime::model::Layout::MveDepthwise) to 1HWC weights and their numbers.
/// `taps` is the number of taps of the kernel, without those that fill up vectors.
pub fn unpack_depthwise(
    packed: &[i8],
    taps: usize,
    input_shift: u8,
    layout: &MveDepthwise,
) -> Numbers {
    let channels = layout.channels as usize;
    let mut numbers = Numbers {
        weights: vec![0; taps * channels],
        bias: vec![0; channels],
        multiplier: vec![0; channels],
        shift: vec![0; channels],
    };
    let lanes = LANES as usize;
    let blocks = packed.chunks_exact(layout.block_len() as usize);
    for (block, bytes) in blocks.enumerate() {
        let (weights, values) = bytes.split_at(layout.taps as usize * lanes);
        let channel = |lane| layout.channel(block as u64, lane) as usize;
        for (tap, row) in weights.chunks_exact(lanes).take(taps).enumerate() {
            for (lane, w) in row.iter().enumerate() {
                numbers.weights[tap * channels + channel(lane as u64)] = *w;
            }
        }
        let value = |i: usize| {
            let at = i * 4;
            let bytes = [0, 1, 2, 3].map(|k| values[at + k] as u8);
            i32::from_le_bytes(bytes)
        };
        for (i, lane) in MveDepthwise::ORDER.into_iter().enumerate() {
            let c = channel(lane);
            numbers.bias[c] = value(i);
            numbers.multiplier[c] = value(lanes + i);
            numbers.shift[c] = (32 - input_shift as i32).wrapping_sub(value(2 * lanes + i)) as u8;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::model::{Shape, Window};

    #[test]
    fn convolutions_by_hand_and_back() {
        let window = Window {
            kernel: [3, 3],
            ..Window::POINT
        };
        let layout = MveConv::new(&window, Shape::new(5, 5, 2), Shape::new(3, 3, 5));
        let weights: Vec<i8> = (1..=90).collect();
        let packed = pack_conv(&weights, &layout);
        // Two quads of two blocks of four channels of 16 taps.
        assert_eq!(packed.len(), 2 * 2 * 4 * 16);
        assert_eq!(packed[..3], [1, 2, 3]);
        assert_eq!(packed[16..19], [19, 20, 21]);
        assert_eq!(packed[64..67], [17, 18, 0]);
        assert_eq!(packed[128..130], [73, 74]);
        assert_eq!(unpack_conv(&packed, &layout, 5), weights);
    }

    #[test]
    fn depthwise_by_hand_and_back() {
        let window = Window {
            kernel: [3, 3],
            ..Window::POINT
        };
        for (channels, input_shift) in [(3, 0), (8, 8), (16, 0), (24, 8)] {
            let shape = Shape::new(5, 5, channels);
            let layout = MveDepthwise::new(&window, shape, Shape::new(3, 3, channels));
            let c = channels as i32;
            let numbers = Numbers {
                weights: (0..9 * c).map(|w| w as i8).collect(),
                bias: (0..c).map(|i| i - 70_000).collect(),
                multiplier: (0..c).map(|i| i32::MAX - i).collect(),
                shift: (0..c).map(|i| 33 + i as u8).collect(),
            };
            let packed = pack_depthwise(&numbers, input_shift, &layout);
            assert_eq!(packed.len() as u64, layout.weights_len());
            // Tap 1 of lane 2, and the first shift.
            assert_eq!(packed[16 + 2], c as i8 + 2);
            assert_eq!(packed[10 * 16 + 128], -1 - input_shift as i8);
            assert_eq!(unpack_depthwise(&packed, 9, input_shift, &layout), numbers);
        }
    }
}
