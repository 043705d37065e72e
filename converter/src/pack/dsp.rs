//! Weights to and from the layouts of [`Family::Dsp`](edge_runtime::model::Family::Dsp).

use edge_runtime::model::packed::{conv_place, depthwise_place};

/// OHWI to [`Layout::DspConv`](edge_runtime::model::Layout::DspConv); `depth` is the taps of a filter,
/// rounded up to a multiple of 8.
pub fn pack_conv(weights: &[i8], depth: usize, channels: usize) -> Vec<i8> {
    let mut out = vec![0; depth * channels.next_multiple_of(2)];
    let taps = weights.len() / channels;
    for (c, filter) in weights.chunks_exact(taps).enumerate() {
        for (k, w) in filter.iter().enumerate() {
            out[conv_place(c, k, depth)] = *w;
        }
    }
    out
}

pub fn unpack_conv(packed: &[i8], depth: usize, taps: usize, channels: usize) -> Vec<i8> {
    let places = (0..channels).flat_map(|c| (0..taps).map(move |k| conv_place(c, k, depth)));
    places.map(|at| packed[at]).collect()
}

/// 1HWC to [`Layout::DspDepthwise`](edge_runtime::model::Layout::DspDepthwise).
pub fn pack_depthwise(weights: &[i8], channels: usize) -> Vec<i8> {
    let mut out = vec![0; 9 * channels];
    for (tap, row) in weights.chunks_exact(channels).enumerate() {
        for (c, w) in row.iter().enumerate() {
            out[depthwise_place(c, tap)] = *w;
        }
    }
    out
}

pub fn unpack_depthwise(packed: &[i8], channels: usize) -> Vec<i8> {
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
        assert_eq!(packed[..9], [1, 4, 7, 10, 13, 16, 19, 22, 25]);
        assert_eq!(unpack_depthwise(&packed, 3), weights);
    }
}
