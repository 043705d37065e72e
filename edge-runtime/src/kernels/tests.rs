//! The portable kernels against loops that follow the definitions word by word.

use super::*;
use crate::model::norm_table::NormTable;
use crate::model::{Rescale, Window};
use proptest::prelude::*;

/// Pseudo-random int8 values with many extremes.
fn values(len: usize, seed: u64) -> Vec<i8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u32
    };
    (0..len)
        .map(|_| match next() % 8 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => next() as i8,
        })
        .collect()
}

fn window() -> impl Strategy<Value = Window> {
    let pair = |r: core::ops::RangeInclusive<u32>| (r.clone(), r).prop_map(|(a, b)| [a, b]);
    (
        pair(1..=4),
        pair(1..=3),
        pair(1..=2),
        pair(0..=3),
        pair(0..=3),
    )
        .prop_map(|(kernel, stride, dilation, pad_before, pad_after)| Window {
            kernel,
            stride,
            dilation,
            pad_before,
            pad_after,
        })
}

/// A window over an input, if it fits.
fn geometry(input: Shape, window: Window, channels: u32) -> Option<Geometry> {
    let (h, w) = (
        window.output_len(0, input.h)?,
        window.output_len(1, input.w)?,
    );
    Some(Geometry {
        input,
        output: Shape::new(h, w, channels),
        window,
    })
}

/// Element of the input under tap `(ky, kx)` of output `(y, x)`, or `None` in the padding.
fn at(g: &Geometry, input: &[i8], [y, x]: [u32; 2], [ky, kx]: [u32; 2], c: u32) -> Option<i8> {
    let w = &g.window;
    let row = (y * w.stride[0] + ky * w.dilation[0]).checked_sub(w.pad_before[0])?;
    let col = (x * w.stride[1] + kx * w.dilation[1]).checked_sub(w.pad_before[1])?;
    let inside = row < g.input.h && col < g.input.w;
    inside.then(|| input[((row * g.input.w + col) * g.input.c + c) as usize])
}

fn positions(s: Shape) -> impl Iterator<Item = ([u32; 2], u32)> {
    (0..s.h).flat_map(move |y| (0..s.w).flat_map(move |x| (0..s.c).map(move |c| ([y, x], c))))
}

fn taps(w: &Window) -> impl Iterator<Item = [u32; 2]> + use<> {
    let [kh, kw] = w.kernel;
    (0..kh).flat_map(move |ky| (0..kw).map(move |kx| [ky, kx]))
}

struct Numbers {
    weights: Vec<i8>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<u8>,
}

impl Numbers {
    fn new(weights: usize, channels: usize, seed: u64) -> Self {
        let noise = values(channels * 8, seed ^ 77);
        let of = |c: usize, k: usize| noise[c * 8 + k] as i32;
        Self {
            weights: values(weights, seed)
                .into_iter()
                .map(|w| w.max(-127))
                .collect(),
            bias: (0..channels).map(|c| of(c, 0) * 500).collect(),
            multiplier: (0..channels)
                .map(|c| (1 << 30) + (of(c, 1) + 128) * 4_210_000)
                .collect(),
            shift: (0..channels).map(|c| (36 + of(c, 2) / 32) as u8).collect(),
        }
    }

    fn params(&self, zero_points: [i8; 2], clamp: [i8; 2]) -> ConvParams<'_> {
        ConvParams {
            weights: &self.weights,
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            input_zero_point: zero_points[0],
            output_zero_point: zero_points[1],
            clamp,
        }
    }
}

proptest! {
    #[test]
    fn conv_follows_its_definition(
        (h, w) in (1u32..8, 1u32..8), (groups, gi, go) in (1u32..3, 1u32..40, 1u32..7),
        window in window(), point: bool, zps: [i8; 2], low: i8, seed: u64,
    ) {
        let window = if point { Window { stride: window.stride, ..Window::POINT } } else { window };
        let input = Shape::new(h, w, groups * gi);
        let Some(g) = geometry(input, window, groups * go) else { return Ok(()) };
        let area = window.kernel[0] * window.kernel[1];
        let numbers = Numbers::new((area * gi * groups * go) as usize, (groups * go) as usize, seed);
        let x = values(input.len(), seed ^ 5);
        let p = numbers.params(zps, [low, i8::MAX]);
        let mut got = vec![0; g.output.len()];
        conv(&g, groups as usize, &p, &x, &mut got);
        for (i, (yx, o)) in positions(g.output).enumerate() {
            let mut acc = p.bias[o as usize];
            for (t, k) in taps(&window).enumerate() {
                for ci in 0..gi {
                    let q = at(&g, &x, yx, k, o / go * gi + ci).unwrap_or(zps[0]);
                    acc += q as i32 * p.weights[((o * area + t as u32) * gi + ci) as usize] as i32;
                }
            }
            prop_assert_eq!(got[i], p.finish(o as usize, acc), "at {:?}, channel {}", yx, o);
        }
    }

    #[test]
    fn depthwise_follows_its_definition(
        (h, w, c) in (1u32..8, 1u32..8, 1u32..80), window in window(), zps: [i8; 2], low: i8, seed: u64,
    ) {
        let input = Shape::new(h, w, c);
        let Some(g) = geometry(input, window, c) else { return Ok(()) };
        let numbers = Numbers::new((window.kernel[0] * window.kernel[1] * c) as usize, c as usize, seed);
        let x = values(input.len(), seed ^ 5);
        let p = numbers.params(zps, [low, i8::MAX]);
        let mut got = vec![0; g.output.len()];
        depthwise(&g, &p, &x, &mut got);
        for (i, (yx, o)) in positions(g.output).enumerate() {
            let mut acc = p.bias[o as usize];
            for (t, k) in taps(&window).enumerate() {
                let q = at(&g, &x, yx, k, o).unwrap_or(zps[0]);
                acc += q as i32 * p.weights[t * c as usize + o as usize] as i32;
            }
            prop_assert_eq!(got[i], p.finish(o as usize, acc), "at {:?}, channel {}", yx, o);
        }
    }

    #[test]
    fn pools_follow_their_definitions(
        (h, w, c) in (1u32..8, 1u32..8, 1u32..40), window in window(), zps: [i8; 2], seed: u64, count_padding: bool,
    ) {
        // As in a checked model: no dilation, and padding smaller than the kernel.
        let small = |pad: [u32; 2]| [pad[0].min(window.kernel[0] - 1), pad[1].min(window.kernel[1] - 1)];
        let window = Window {
            dilation: [1, 1], pad_before: small(window.pad_before), pad_after: small(window.pad_after), ..window
        };
        let input = Shape::new(h, w, c);
        let Some(g) = geometry(input, window, c) else { return Ok(()) };
        let x = values(input.len(), seed);
        let area = window.kernel[0] * window.kernel[1];
        let by_count: Vec<i32> = (1..=area as i32).map(|n| (1 << 20) / n).collect();
        let multipliers = if count_padding || window.is_unpadded() { &by_count[area as usize - 1..] } else { &by_count[..] };
        let p = AvgPoolParams { multipliers, shift: 20, input_zero_point: zps[0], output_zero_point: zps[1] };
        let (mut max, mut avg) = (vec![0; g.output.len()], vec![0; g.output.len()]);
        max_pool(&g, &x, &mut max);
        avg_pool(&g, &p, &x, &mut avg);
        for (i, (yx, o)) in positions(g.output).enumerate() {
            let under: Vec<i32> = taps(&window).filter_map(|k| at(&g, &x, yx, k, o)).map(|q| q as i32).collect();
            prop_assert_eq!(max[i] as i32, *under.iter().max().unwrap());
            let sum: i32 = under.iter().map(|q| q - zps[0] as i32).sum();
            let n = if multipliers.len() == 1 { area as usize } else { under.len() };
            let scaled = (sum as i64 * by_count[n - 1] as i64 + (1 << 19)).div_euclid(1 << 20);
            prop_assert_eq!(avg[i] as i64, (scaled + zps[1] as i64).clamp(-128, 127));
        }
    }

    #[test]
    fn add_follows_its_definition(
        pairs in proptest::collection::vec((any::<i8>(), any::<i8>()), 1..100), zero_points: [i8; 2],
        ma in 0..=1 << 21, mb in 0..=1 << 21, shift in 1u8..=30, zp: i8, low: i8,
    ) {
        let p = AddParams { zero_points, multipliers: [ma, mb], shift, output_zero_point: zp, clamp: [low, i8::MAX] };
        let (mut a, b): (Vec<i8>, Vec<i8>) = pairs.iter().copied().unzip();
        let mut out = vec![0; a.len()];
        add(&p, &a, &b, &mut out);
        for (q, (a, b)) in out.iter().zip(&pairs) {
            let sum = (*a as i64 - zero_points[0] as i64) * ma as i64 + (*b as i64 - zero_points[1] as i64) * mb as i64;
            let exact = (sum + (1 << (shift - 1))).div_euclid(1 << shift) + zp as i64;
            prop_assert_eq!(*q as i64, exact.clamp(low as i64, 127));
        }
        add_in_place(&p, &mut a, &b);
        prop_assert_eq!(a, out);
    }

    #[test]
    fn products_follow_their_definition(
        (h, w, c) in (1u32..5, 1u32..5, 1u32..9), per_channel: bool, zero_points: [i8; 2],
        multiplier in 1i32 << 30..=i32::MAX, shift in 30u8..=62, zp: i8, seed: u64,
    ) {
        let shape = Shape::new(h, w, c);
        let p = MulParams { zero_points, multiplier, shift, output_zero_point: zp };
        let mut a = values(shape.len(), seed);
        let b = values(if per_channel { c as usize } else { shape.len() }, seed ^ 9);
        let mut out = vec![0; a.len()];
        mul(&p, &a, &b, &mut out);
        for (i, q) in out.iter().enumerate() {
            let [a, b] = [a[i] as i128 - zero_points[0] as i128, b[i % b.len()] as i128 - zero_points[1] as i128];
            let exact = (a * b * multiplier as i128 + (1 << (shift - 1))).div_euclid(1 << shift) + zp as i128;
            prop_assert_eq!(*q as i128, exact.clamp(-128, 127));
        }
        mul_in_place(&p, &mut a, &b);
        prop_assert_eq!(a, out);
    }

    #[test]
    fn prelu_follows_its_definition(
        slopes in proptest::collection::vec(-1i32 << 22..=1 << 22, 1..9), n in 1usize..9,
        positive in 0i32..=1 << 22, shift in 1u8..=30, zps: [i8; 2], seed: u64,
    ) {
        let p = PReluParams {
            slopes: &slopes, positive, shift, input_zero_point: zps[0], output_zero_point: zps[1],
        };
        let mut x = values(n * slopes.len(), seed);
        let mut out = vec![0; x.len()];
        prelu(&p, &x, &mut out);
        for (i, q) in out.iter().enumerate() {
            let v = x[i] as i64 - zps[0] as i64;
            let m = if v > 0 { positive } else { slopes[i % slopes.len()] } as i64;
            let exact = (v * m + (1 << (shift - 1))).div_euclid(1 << shift) + zps[1] as i64;
            prop_assert_eq!(*q as i64, exact.clamp(-128, 127));
        }
        prelu_in_place(&p, &mut x);
        prop_assert_eq!(x, out);
    }

    #[test]
    fn local_response_norm_by_an_even_table_follows_its_definition(
        (pixels, c, size) in (1usize..4, 1usize..20, 1usize..8), more in 0u8..3,
        mut table in proptest::collection::vec(0i32..=1 << 22, 257), shift in 1u8..=30, zps: [i8; 2], seed: u64,
    ) {
        table.sort();
        table.reverse();
        let index_shift = 8 + size.next_power_of_two().ilog2() as u8 + more;
        let p = NormParams {
            size, table: &table, spacing: NormTable::new(index_shift), shift, input_zero_point: zps[0], output_zero_point: zps[1],
        };
        let x = values(pixels * c, seed);
        let mut out = vec![0; x.len()];
        local_response_norm(&p, c, &x, &mut out);
        for (i, q) in out.iter().enumerate() {
            let centred = |j: usize| x[i / c * c + j] as i64 - zps[0] as i64;
            let near = |j: &usize| *j + (size - 1) / 2 >= i % c && *j <= i % c + size / 2;
            let sum: i64 = (0..c).filter(near).map(|j| centred(j) * centred(j)).sum();
            let entry = (sum >> index_shift) as usize;
            let [low, high] = [table[entry] as i64, table[entry + 1] as i64];
            let part = (sum >> (index_shift - 8)) % 256;
            let factor = low + ((high - low) * part).div_euclid(256);
            let exact = (centred(i % c) * factor + (1 << (shift - 1))).div_euclid(1 << shift) + zps[1] as i64;
            prop_assert_eq!(*q as i64, exact.clamp(-128, 127));
        }
    }

    #[test]
    fn local_response_norm_by_octaves_follows_its_definition(
        (pixels, c, size) in (1usize..4, 1usize..20, 1usize..40), bits in 0u8..8, shift in 1u8..=30,
        table in proptest::collection::vec(0i32..=1 << 22, 3000), zps: [i8; 2], seed: u64,
    ) {
        let spacing = NormTable::new(bits);
        let entries = spacing.entries(size as u32, c as u32).unwrap();
        let p = NormParams {
            size, table: &table[..entries], spacing, shift, input_zero_point: zps[0], output_zero_point: zps[1],
        };
        let x = values(pixels * c, seed);
        let mut out = vec![0; x.len()];
        local_response_norm(&p, c, &x, &mut out);
        for (i, q) in out.iter().enumerate() {
            let centred = |j: usize| x[i / c * c + j] as i64 - zps[0] as i64;
            let near = |j: &usize| *j + (size - 1) / 2 >= i % c && *j <= i % c + size / 2;
            let sum: i64 = (0..c).filter(near).map(|j| centred(j) * centred(j)).sum();
            // docs/arithmetic.md, with a logarithm for the leading zeros.
            let octave = if sum < 1 << bits { 0 } else { sum.ilog2() - bits as u32 };
            let entry = ((octave as usize) << bits) + (sum >> octave) as usize;
            let part = sum % (1 << octave) * 256 / (1 << octave);
            let [low, high] = [table[entry] as i64, table[entry + 1] as i64];
            let factor = low + ((high - low) * part).div_euclid(256);
            let exact = (centred(i % c) * factor + (1 << (shift - 1))).div_euclid(1 << shift) + zps[1] as i64;
            prop_assert_eq!(*q as i64, exact.clamp(-128, 127));
        }
    }

    #[test]
    fn shuffling_back_undoes_a_shuffle((n, groups, per_group) in (1usize..5, 1usize..5, 1usize..5), seed: u64) {
        let x = values(n * groups * per_group, seed);
        let (mut there, mut back) = (vec![0; x.len()], vec![0; x.len()]);
        shuffle(groups, groups * per_group, &x, &mut there);
        for (i, q) in there.iter().enumerate() {
            let (pixel, j) = (i / (groups * per_group), i % (groups * per_group));
            let from = j % groups * per_group + j / groups;
            prop_assert_eq!(*q, x[pixel * groups * per_group + from]);
        }
        shuffle(per_group, groups * per_group, &there, &mut back);
        prop_assert_eq!(back, x);
    }

    #[test]
    fn maps_look_up(seed: u64, x in proptest::collection::vec(any::<i8>(), 0..50)) {
        let table = values(256, seed);
        let mut out = vec![0; x.len()];
        map(&table, &x, &mut out);
        let expected: Vec<i8> = x.iter().map(|q| table[(*q as u8 ^ 0x80) as usize]).collect();
        prop_assert_eq!(&out, &expected);
        let mut x = x;
        map_in_place(&table, &mut x);
        prop_assert_eq!(x, expected);
    }

    #[test]
    fn slice_undoes_pad(
        (h, w, c) in (1u32..6, 1u32..6, 1u32..6), before in [0u32..3, 0..3, 0..3], after in [0u32..3, 0..3, 0..3], seed: u64,
    ) {
        let small = Shape::new(h, w, c);
        let large = Shape::new(h + before[0] + after[0], w + before[1] + after[1], c + before[2] + after[2]);
        let x: Vec<i8> = values(small.len(), seed).into_iter().map(|v| if v == 9 { 8 } else { v }).collect();
        let (mut padded, mut back) = (vec![0; large.len()], vec![0; small.len()]);
        pad([small, large], before, 9, &x, &mut padded);
        slice([large, small], before, [1, 1], &padded, &mut back);
        prop_assert_eq!(&back, &x);
        let zeros = padded.iter().filter(|v| **v == 9).count();
        prop_assert_eq!(zeros, large.len() - small.len());
    }

    #[test]
    fn concat_fills_its_channels((n, a, b) in (1usize..10, 1usize..9, 1usize..9), seed: u64) {
        let (x, y) = (values(n * a, seed), values(n * b, seed ^ 3));
        let mut out = vec![0; n * (a + b)];
        concat_part(&x, a, Rescale::ONE, [3, 3], &mut out, a + b, 0);
        concat_part(&y, b, Rescale::ONE, [3, 3], &mut out, a + b, a);
        for (i, row) in out.chunks_exact(a + b).enumerate() {
            prop_assert_eq!(&row[..a], &x[i * a..][..a]);
            prop_assert_eq!(&row[a..], &y[i * b..][..b]);
        }
    }
}

#[test]
fn a_strided_slice_picks_every_second() {
    let x: Vec<i8> = (0..24).collect();
    let mut out = vec![0; 4];
    slice(
        [Shape::new(3, 4, 2), Shape::new(2, 2, 1)],
        [0, 1, 1],
        [2, 2],
        &x,
        &mut out,
    );
    assert_eq!(out, [3, 7, 19, 23]);
}
