//! Kernels that are wrong on purpose, in the engine and in tract: the suite must find each and name its operator.

use crate::LAYERS;
use edge_runtime::backend::conformance::{Case, Kind, check};
use edge_runtime::backend::{EngineRuntime, Runtime, TractRuntime};
use edge_runtime::kernels::{
    AddParams, AvgPoolParams, ConcatPart, ConvParams, Geometry, Kernels, MapParams, MulParams,
    NormParams, PReluParams, PadParams, RequantizeParams, ShuffleParams, SliceParams, Sums,
    UnfoldParams, portable,
};
use edge_runtime::model::DType;

/// A family of kernels that overrides what is wrong.
macro_rules! wrong {
    ($(#[$doc:meta])* $name:ident { $($method:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $name;

        impl Kernels for $name {
            fn name(&self) -> &'static str {
                stringify!($name)
            }
            $($method)*
        }
    };
}

/// Halves go down.
fn half_down(value: i64, shift: u8) -> i64 {
    (value + (1 << (shift - 1)) - 1) >> shift
}

fn clamped(value: i64, zero_point: i8, [low, high]: [i8; 2]) -> i8 {
    (value + zero_point as i64).clamp(low as i64, high as i64) as i8
}

/// Requantizes sums, halves down.
fn finish_half_down(p: &RequantizeParams<'_>, sums: &[i32], output: &mut [i8]) {
    for (i, (q, sum)) in output.iter_mut().zip(sums).enumerate() {
        let c = i % p.bias.len();
        let acc = sum.wrapping_add(p.bias[c]) as i64;
        let scaled = half_down(acc * p.multiplier[c] as i64, p.shift[c]);
        *q = clamped(scaled, p.zero_point, p.clamp);
    }
}

/// The sums of a convolution, without bias.
fn sums(p: &ConvParams<'_>, input: &[i8], depthwise: bool) -> Vec<i32> {
    let unfold = UnfoldParams {
        geometry: p.geometry,
        groups: p.groups,
        zero_point: p.input_zero_point,
    };
    let (shape, depth) = (p.geometry.output, unfold.depth());
    let channels = shape.c as usize;
    let mut rows = vec![0; (shape.h * shape.w) as usize * p.groups * depth];
    portable::unfold(&unfold, input, &mut rows);
    let mut sums = Vec::new();
    for row in rows.chunks_exact(p.groups * depth) {
        for o in 0..channels {
            let group = &row[o / (channels / p.groups) * depth..][..depth];
            let weight = |k: usize| match depthwise {
                true => p.weights[k * channels + o] as i32,
                false => p.weights[o * depth + k] as i32,
            };
            sums.push((0..depth).map(|k| group[k] as i32 * weight(k)).sum());
        }
    }
    sums
}

fn integers(sums: Sums<'_>) -> Vec<i32> {
    match sums {
        Sums::I32(v) => v.to_vec(),
        Sums::F32(v) => v.iter().map(|v| *v as i32).collect(),
    }
}

/// What saturates before the zero point is added, and not after it, loses a part of its range.
fn add_late(zero_point: i8, output: &mut [i8]) {
    for q in output {
        *q = q.saturating_add(zero_point);
    }
}

wrong! {
    /// Convolutions of both kinds round halves down.
    ConvHalfDown {
        fn conv(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
            finish_half_down(&p.requantize, &sums(p, input, false), output);
        }
        fn depthwise(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
            finish_half_down(&p.requantize, &sums(p, input, true), output);
        }
        fn requantize(&self, p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]) {
            finish_half_down(p, &integers(sums), output);
        }
    }
}

wrong! {
    /// Convolutions of both kinds read 0 in the padding.
    ConvZeroPadding {
        fn conv(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
            portable::conv(&ConvParams { input_zero_point: 0, ..*p }, input, output);
        }
        fn depthwise(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
            portable::depthwise(&ConvParams { input_zero_point: 0, ..*p }, input, output);
        }
        fn unfold(&self, p: &UnfoldParams, input: &[i8], output: &mut [i8]) {
            portable::unfold(&UnfoldParams { zero_point: 0, ..*p }, input, output);
        }
    }
}

/// All of int8.
fn unbounded<'p>(p: &RequantizeParams<'p>) -> RequantizeParams<'p> {
    RequantizeParams {
        clamp: [i8::MIN, i8::MAX],
        ..*p
    }
}

wrong! {
    /// Convolutions of both kinds forget their bounds.
    ConvUnbounded {
        fn conv(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
            portable::conv(&ConvParams { requantize: unbounded(&p.requantize), ..*p }, input, output);
        }
        fn depthwise(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
            portable::depthwise(&ConvParams { requantize: unbounded(&p.requantize), ..*p }, input, output);
        }
        fn requantize(&self, p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]) {
            portable::requantize_sums(&unbounded(p), sums, output);
        }
    }
}

wrong! {
    /// Padding takes part in a maximum, as 0.
    MaxPoolZeros {
        fn max_pool(&self, g: &Geometry, input: &[i8], output: &mut [i8]) {
            portable::max_pool(g, input, output);
            let w = &g.window;
            let outside = |axis: usize, at: usize, len: u32| {
                let first = at as u32 * w.stride[axis];
                first < w.pad_before[axis] || first + w.kernel[axis] > w.pad_before[axis] + len
            };
            for (i, q) in output.iter_mut().enumerate() {
                let pixel = i / g.output.c as usize;
                let (y, x) = (pixel / g.output.w as usize, pixel % g.output.w as usize);
                if outside(0, y, g.input.h) || outside(1, x, g.input.w) {
                    *q = (*q).max(0);
                }
            }
        }
    }
}

wrong! {
    /// Padding counts in every mean.
    AvgPoolCounts {
        fn avg_pool(&self, p: &AvgPoolParams<'_>, input: &[i8], output: &mut [i8]) {
            let last = p.multipliers.len() - 1;
            portable::avg_pool(&AvgPoolParams { multipliers: &p.multipliers[last..], ..*p }, input, output);
        }
    }
}

wrong! {
    /// Means saturate too early.
    AvgPoolLate {
        fn avg_pool(&self, p: &AvgPoolParams<'_>, input: &[i8], output: &mut [i8]) {
            portable::avg_pool(&AvgPoolParams { output_zero_point: 0, ..*p }, input, output);
            add_late(p.output_zero_point, output);
        }
    }
}

fn add_half_down(p: &AddParams, a: i8, b: i8) -> i8 {
    let [a, b] = [(0, a), (1, b)]
        .map(|(i, q)| (q as i64 - p.zero_points[i] as i64) * p.multipliers[i] as i64);
    clamped(half_down(a + b, p.shift), p.output_zero_point, p.clamp)
}

wrong! {
    /// Sums round halves down.
    AddHalfDown {
        fn add(&self, p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
            for (q, (a, b)) in output.iter_mut().zip(a.iter().zip(b)) {
                *q = add_half_down(p, *a, *b);
            }
        }
    }
}

wrong! {
    /// Only sums in place round halves down.
    AddInPlaceHalfDown {
        fn add_in_place(&self, p: &AddParams, a: &mut [i8], b: &[i8]) {
            for (a, b) in a.iter_mut().zip(b) {
                *a = add_half_down(p, *a, *b);
            }
        }
    }
}

wrong! {
    /// Sums forget their bounds.
    AddUnbounded {
        fn add(&self, p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
            portable::add(&AddParams { clamp: [i8::MIN, i8::MAX], ..*p }, a, b, output);
        }
    }
}

fn mul_half_down(p: &MulParams, a: i8, b: i8) -> i8 {
    let [a, b] = [(0, a), (1, b)].map(|(i, q)| q as i64 - p.zero_points[i] as i64);
    let scaled = half_down(a * b * p.multiplier as i64, p.shift);
    clamped(scaled, p.output_zero_point, [i8::MIN, i8::MAX])
}

wrong! {
    /// Products round halves down.
    MulHalfDown {
        fn mul(&self, p: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
            for (i, q) in output.iter_mut().enumerate() {
                *q = mul_half_down(p, a[i], b[i % b.len()]);
            }
        }
    }
}

wrong! {
    /// Only products in place round halves down.
    MulInPlaceHalfDown {
        fn mul_in_place(&self, p: &MulParams, a: &mut [i8], b: &[i8]) {
            for (i, q) in a.iter_mut().enumerate() {
                *q = mul_half_down(p, *q, b[i % b.len()]);
            }
        }
    }
}

wrong! {
    /// Products saturate too early.
    MulLate {
        fn mul(&self, p: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
            portable::mul(&MulParams { output_zero_point: 0, ..*p }, a, b, output);
            add_late(p.output_zero_point, output);
        }
    }
}

wrong! {
    /// Slopes saturate too early.
    PReluLate {
        fn prelu(&self, p: &PReluParams<'_>, input: &[i8], output: &mut [i8]) {
            portable::prelu(&PReluParams { output_zero_point: 0, ..*p }, input, output);
            add_late(p.output_zero_point, output);
        }
    }
}

wrong! {
    /// Only slopes in place saturate too early.
    PReluInPlaceLate {
        fn prelu_in_place(&self, p: &PReluParams<'_>, values: &mut [i8]) {
            portable::prelu_in_place(&PReluParams { output_zero_point: 0, ..*p }, values);
            add_late(p.output_zero_point, values);
        }
    }
}

wrong! {
    /// Norms saturate too early.
    NormLate {
        fn norm(&self, p: &NormParams<'_>, input: &[i8], output: &mut [i8]) {
            portable::norm(&NormParams { output_zero_point: 0, ..*p }, input, output);
            add_late(p.output_zero_point, output);
        }
    }
}

wrong! {
    /// Parts of a concatenation round halves down.
    ConcatHalfDown {
        fn concat_part(&self, p: &ConcatPart, input: &[i8], output: &mut [i8]) {
            for (i, q) in input.iter().enumerate() {
                let value = (*q as i64 - p.zero_points[0] as i64) * p.rescale.multiplier as i64;
                let scaled = half_down(value, p.rescale.shift);
                let at = i / p.channels * p.output_channels + p.first_channel + i % p.channels;
                output[at] = clamped(scaled, p.zero_points[1], [i8::MIN, i8::MAX]);
            }
        }
    }
}

wrong! {
    /// The last entry of a table is never read.
    MapBounded {
        fn map(&self, p: &MapParams<'_>, input: &[i8], output: &mut [i8]) {
            let input: Vec<i8> = input.iter().map(|q| (*q).min(126)).collect();
            portable::map(p, &input, output);
        }
    }
}

wrong! {
    /// Only in place, the first entry of a table is never read.
    MapInPlaceBounded {
        fn map_in_place(&self, p: &MapParams<'_>, values: &mut [i8]) {
            values.iter_mut().for_each(|q| *q = (*q).max(-127));
            portable::map_in_place(p, values);
        }
    }
}

wrong! {
    /// A part starts one channel late where there is room.
    SliceShifted {
        fn slice(&self, p: &SliceParams, input: &[i8], output: &mut [i8]) {
            let mut start = p.start;
            if start[2] + p.output.c < p.input.c {
                start[2] += 1;
            }
            portable::slice(&SliceParams { start, ..*p }, input, output);
        }
    }
}

wrong! {
    /// 0 around a tensor.
    PadZeros {
        fn pad(&self, p: &PadParams, input: &[i8], output: &mut [i8]) {
            portable::pad(&PadParams { zero_point: 0, ..*p }, input, output);
        }
    }
}

wrong! {
    /// Channels are shuffled back.
    ShuffleBack {
        fn shuffle(&self, p: &ShuffleParams, input: &[i8], output: &mut [i8]) {
            portable::shuffle(&ShuffleParams { groups: p.channels / p.groups, ..*p }, input, output);
        }
    }
}

/// The first failure on cases of one kind must be in the operator.
#[track_caller]
fn assert_found(name: &str, runtime: &dyn Runtime, kind: Kind, operator: &str) {
    let wrong = |index| check(name, runtime, &Case::layer(kind, DType::I8, index)).err();
    let found = (0..LAYERS).find_map(wrong);
    let found = found.unwrap_or_else(|| panic!("{name} passes {kind:?}"));
    assert_eq!(found.operator, operator, "{found}");
    // Nothing else is needed to show it, but for what makes a second input.
    let alone = found.layers.len() == 1 || matches!(kind, Kind::Add | Kind::Concat | Kind::Mul);
    assert!(alone, "{found}");
    let text = found.to_string();
    assert!(
        text.starts_with(&format!("{name}: {operator}: row ")),
        "{text}"
    );
}

fn in_engine(kernels: &'static dyn Kernels, kind: Kind, operator: &str) {
    let name = format!("engine with {}", kernels.name());
    assert_found(&name, &EngineRuntime::with_kernels(kernels), kind, operator);
}

fn in_both(kernels: &'static dyn Kernels, kind: Kind, operator: &str) {
    in_engine(kernels, kind, operator);
    let name = format!("tract with {}", kernels.name());
    assert_found(&name, &TractRuntime::with_kernels(kernels), kind, operator);
}

#[test]
fn wrong_convolutions_are_found() {
    for kind in [Kind::Conv, Kind::GroupedConv] {
        in_both(&ConvHalfDown, kind, "conv");
        in_both(&ConvZeroPadding, kind, "conv");
        in_both(&ConvUnbounded, kind, "conv");
    }
    let (kind, operator) = (Kind::DepthwiseConv, "depthwise-conv");
    in_both(&ConvHalfDown, kind, operator);
    in_both(&ConvUnbounded, kind, operator);
    // tract pads a depthwise convolution by itself.
    in_engine(&ConvZeroPadding, kind, operator);
}

#[test]
fn wrong_pools_are_found() {
    in_both(&MaxPoolZeros, Kind::MaxPool, "max-pool");
    in_both(&AvgPoolCounts, Kind::AvgPool, "avg-pool");
    in_both(&AvgPoolLate, Kind::AvgPool, "avg-pool");
}

#[test]
fn wrong_sums_and_products_are_found() {
    in_both(&AddHalfDown, Kind::Add, "add");
    in_both(&AddUnbounded, Kind::Add, "add");
    in_both(&MulHalfDown, Kind::Mul, "mul");
    in_both(&MulLate, Kind::Mul, "mul");
    in_both(&PReluLate, Kind::PRelu, "prelu");
    in_both(&NormLate, Kind::Norm, "local-response-norm");
    in_both(&NormLate, Kind::EvenNorm, "local-response-norm");
}

#[test]
fn wrong_moves_are_found() {
    in_both(&ConcatHalfDown, Kind::Concat, "concat");
    in_both(&MapBounded, Kind::Map, "map");
    in_both(&SliceShifted, Kind::Slice, "slice");
    in_both(&PadZeros, Kind::Pad, "pad");
    in_both(&ShuffleBack, Kind::Shuffle, "shuffle");
}

#[test]
fn what_is_wrong_in_place_only_is_found() {
    in_engine(&AddInPlaceHalfDown, Kind::Add, "add");
    in_engine(&MulInPlaceHalfDown, Kind::Mul, "mul");
    in_engine(&PReluInPlaceLate, Kind::PRelu, "prelu");
    in_engine(&MapInPlaceBounded, Kind::Map, "map");
}
