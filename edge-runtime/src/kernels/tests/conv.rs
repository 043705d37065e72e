//! Convolutions, and the parts of which another backend makes them.

use super::*;

struct Numbers {
    weights: Vec<i8>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<u8>,
}

impl Numbers {
    fn new(weights: usize, channels: usize, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 77);
        let mut each =
            |low, high| -> Vec<i32> { (0..channels).map(|_| random.range(low, high)).collect() };
        let bias: Vec<i32> = each(-64_000, 64_000);
        let mut multiplier: Vec<i32> = each(1 << 30, i32::MAX);
        // Most as the converter makes them: 24 bits, the last one set.
        if seed % 8 > 1 {
            multiplier.iter_mut().for_each(|m| *m = (*m & !0xFF) | 0x80);
        }
        // Scales as they occur; one time in four all that a file may hold.
        let shift: Vec<i32> = match seed % 4 {
            0 => each(1, 62),
            _ => each(33, 40),
        };
        Self {
            weights: values(weights, seed)
                .into_iter()
                .map(|w| w.max(-127))
                .collect(),
            bias,
            multiplier,
            shift: shift.into_iter().map(|n| n as u8).collect(),
        }
    }

    fn params(&self, geometry: Geometry, groups: u32, zps: [i8; 2], low: i8) -> ConvParams<'_> {
        ConvParams {
            geometry,
            groups: groups as usize,
            weights: &self.weights,
            input_zero_point: zps[0],
            requantize: RequantizeParams {
                bias: &self.bias,
                multiplier: &self.multiplier,
                shift: &self.shift,
                zero_point: zps[1],
                clamp: [low, i8::MAX],
            },
        }
    }

    /// Output of channel `o` for its sum of products.
    fn output(&self, p: &RequantizeParams<'_>, o: u32, sum: i32) -> i8 {
        let o = o as usize;
        let acc = self.bias[o] as i64 + sum as i64;
        scaled(
            acc,
            self.multiplier[o],
            self.shift[o],
            p.zero_point,
            p.clamp,
        )
    }
}

/// The sum of products of every output of a convolution with weights OHWI.
fn sums(p: &ConvParams<'_>, input: &[i8]) -> Vec<i32> {
    let g = &p.geometry;
    let [area, gi] = [
        g.window.kernel[0] * g.window.kernel[1],
        g.input.c / p.groups as u32,
    ];
    let go = g.output.c / p.groups as u32;
    let sum = |(yx, o): ([u32; 2], u32)| {
        let mut sum = 0;
        for (t, k) in taps(&g.window).enumerate() {
            for ci in 0..gi {
                let q = at(g, input, yx, k, o / go * gi + ci).unwrap_or(p.input_zero_point);
                let w = p.weights[((o * area + t as u32) * gi + ci) as usize];
                sum += q as i32 * w as i32;
            }
        }
        sum
    };
    positions(g.output).map(sum).collect()
}

/// Runs a packed convolution in two parts, the last first.
fn run_in_parts(packed: &dyn Prepacked, seed: u64, input: &[i8], output: &mut [i8]) {
    let units = packed.units();
    assert_eq!(units.total, output.len());
    let middle = (seed >> 8) as usize % (units.count + 1);
    let mut scratch = vec![u64::MAX; packed.scratch_len()];
    for part in [middle..units.count, 0..middle] {
        let elements = units.elements(&part);
        packed.run(part, input, &mut output[elements], &mut scratch);
    }
}

/// The largest sums that a kernel may meet on its way: all channels have the same values, each an extreme, so that no
/// product cancels another.
#[test]
fn conv_3x3_of_extremes_follows_its_definition() {
    let shape = Shape::new(9, 9, 256);
    let window = Window {
        kernel: [3, 3],
        pad_before: [1, 1],
        pad_after: [1, 1],
        ..Window::POINT
    };
    let g = geometry(shape, window, 16).unwrap();
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let mut extremes = |count: usize, low: i8, each: usize| -> Vec<i8> {
            let one = |_| {
                if random.range(0, 1) == 0 {
                    low
                } else {
                    i8::MAX
                }
            };
            let all: Vec<i8> = (0..count).map(one).collect();
            all.into_iter()
                .flat_map(|v| core::iter::repeat_n(v, each))
                .collect()
        };
        let x = extremes(81, i8::MIN, 256);
        let mut numbers = Numbers::new(0, 16, seed + 1);
        numbers.weights = extremes(9 * 16, -127, 256);
        numbers.shift = vec![50; 16];
        let p = numbers.params(g, 1, [i8::MIN, 3], i8::MIN);
        let expected: Vec<i8> = positions(g.output)
            .zip(sums(&p, &x))
            .map(|((_, o), sum)| numbers.output(&p.requantize, o, sum))
            .collect();
        for kernels in available() {
            let Some(packed) = kernels.prepack_conv(&p) else {
                continue;
            };
            let mut got = vec![0; g.output.len()];
            run_in_parts(&*packed, seed << 9, &x, &mut got);
            assert_eq!(got, expected, "{}, seed {seed}", kernels.name());
        }
    }
}

/// A window that is far from its neighbours, or has large holes: legal, and expensive to lay out whole.
#[test]
fn windows_far_apart_take_no_more_memory_than_the_layer() {
    let far = |kernel, stride, dilation, pad| Window {
        kernel,
        stride: [stride; 2],
        dilation,
        pad_before: [pad; 2],
        pad_after: [pad; 2],
    };
    let cases = [
        (
            false,
            Shape::new(1, 1, 1024),
            far([2, 2], 4096, [1, 1], 4096),
            8,
        ),
        (
            false,
            Shape::new(1, 1, 64),
            far([3, 3], 1, [2000, 2000], 2000),
            16,
        ),
        (
            true,
            Shape::new(1, 1, 1024),
            far([1, 1], 4096, [1, 1], 4096),
            1024,
        ),
        (true, Shape::new(1, 9, 17), far([2, 9], 1, [63, 1], 40), 17),
        (
            true,
            Shape::new(3, 3, 32),
            far([3, 3], 4096, [1, 1], 4096),
            32,
        ),
    ];
    for (depthwise, input, window, filters) in cases {
        let g = geometry(input, window, filters).unwrap();
        let [kh, kw] = window.kernel;
        let per_filter = kh * kw * if depthwise { 1 } else { input.c };
        let numbers = Numbers::new((per_filter * filters) as usize, filters as usize, 6);
        let groups = if depthwise { input.c } else { 1 };
        let p = numbers.params(g, groups, [3, 4], i8::MIN);
        let x = values(input.len(), 9);
        let mut expected = vec![0; g.output.len()];
        match depthwise {
            true => portable::depthwise(&p, &x, &mut expected),
            false => portable::conv(&p, &x, &mut expected),
        }
        for kernels in available() {
            let packed = match depthwise {
                true => kernels.prepack_depthwise(&p),
                false => kernels.prepack_conv(&p),
            };
            let Some(packed) = packed else { continue };
            assert!(
                packed.scratch_len() < 8 << 20,
                "{}, {window:?}",
                kernels.name()
            );
            let mut got = vec![0; g.output.len()];
            run_in_parts(&*packed, 3 << 8, &x, &mut got);
            assert_eq!(got, expected, "{}, {window:?}", kernels.name());
        }
    }
}

proptest! {
    #[test]
    fn conv_follows_its_definition(
        (h, w) in (1u32..8, 1u32..8), (groups, gi, go) in (1u32..3, 1u32..40, 1u32..40),
        window in window(), point: bool, zps: [i8; 2], low: i8, seed: u64,
    ) {
        let window = if point { Window { stride: window.stride, ..Window::POINT } } else { window };
        let input = Shape::new(h, w, groups * gi);
        let Some(g) = geometry(input, window, groups * go) else { return Ok(()) };
        let area = window.kernel[0] * window.kernel[1];
        let numbers = Numbers::new((area * gi * groups * go) as usize, (groups * go) as usize, seed);
        let x = values(input.len(), seed ^ 5);
        let p = numbers.params(g, groups, zps, low);
        let sums = sums(&p, &x);
        let expected: Vec<i8> = positions(g.output).zip(&sums)
            .map(|((_, o), sum)| numbers.output(&p.requantize, o, *sum)).collect();
        for kernels in available() {
            let mut got = vec![0; g.output.len()];
            kernels.conv(&p, &x, &mut got);
            prop_assert_eq!(&got, &expected, "{}", kernels.name());
            if let Some(packed) = kernels.prepack_conv(&p) {
                got.fill(0);
                run_in_parts(&*packed, seed, &x, &mut got);
                prop_assert_eq!(&got, &expected, "{}, packed", kernels.name());
            }
            // In parts: rows of a matrix, a product of matrices, and what follows.
            let unfold = UnfoldParams { geometry: g, groups: groups as usize, zero_point: zps[0] };
            let (depth, groups) = (unfold.depth(), groups as usize);
            let mut rows = vec![0; sums.len() / p.requantize.bias.len() * groups * depth];
            kernels.unfold(&unfold, &x, &mut rows);
            let product: Vec<i32> = rows.chunks(groups * depth).flat_map(|row| {
                let filters = numbers.weights.chunks(depth).enumerate();
                filters.map(|(o, filter)| {
                    let row = &row[o / go as usize * depth..][..depth];
                    row.iter().zip(filter).map(|(q, w)| *q as i32 * *w as i32).sum()
                })
            }).collect();
            prop_assert_eq!(&product, &sums, "{}", kernels.name());
            let floats: Vec<f32> = product.iter().map(|sum| *sum as f32).collect();
            for sums in [Sums::I32(&product), Sums::F32(&floats)] {
                got.fill(0);
                kernels.requantize(&p.requantize, sums, &mut got);
                prop_assert_eq!(&got, &expected, "{}", kernels.name());
            }
        }
    }

    /// Layers that kernels may compute in another way: 3x3 over whole blocks of channels, with all extremes.
    #[test]
    fn conv_3x3_follows_its_definition(
        (h, w) in (6u32..14, 6u32..14), (blocks_in, blocks_out) in (1u32..4, 1u32..3),
        pad_before in (0u32..3, 0u32..3), pad_after in (0u32..3, 0u32..3), zps: [i8; 2], low: i8, seed: u64,
    ) {
        let window = Window {
            kernel: [3, 3], pad_before: pad_before.into(), pad_after: pad_after.into(), ..Window::POINT
        };
        let (ci, co) = (16 * blocks_in, 16 * blocks_out);
        let input = Shape::new(h, w, ci);
        let Some(g) = geometry(input, window, co) else { return Ok(()) };
        let numbers = Numbers::new((9 * ci * co) as usize, co as usize, seed);
        let x = values(input.len(), seed ^ 5);
        let p = numbers.params(g, 1, zps, low);
        let expected: Vec<i8> = positions(g.output).zip(sums(&p, &x))
            .map(|((_, o), sum)| numbers.output(&p.requantize, o, sum)).collect();
        for kernels in available() {
            let Some(packed) = kernels.prepack_conv(&p) else { continue };
            let mut got = vec![0; g.output.len()];
            run_in_parts(&*packed, seed, &x, &mut got);
            prop_assert_eq!(&got, &expected, "{}", kernels.name());
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
        let p = numbers.params(g, c, zps, low);
        let expected: Vec<i8> = positions(g.output).map(|(yx, o)| {
            let product = |(t, k)| {
                let q = at(&g, &x, yx, k, o).unwrap_or(zps[0]);
                q as i32 * p.weights[t * c as usize + o as usize] as i32
            };
            numbers.output(&p.requantize, o, taps(&window).enumerate().map(product).sum())
        }).collect();
        for kernels in available() {
            let mut got = vec![0; g.output.len()];
            kernels.depthwise(&p, &x, &mut got);
            prop_assert_eq!(&got, &expected, "{}", kernels.name());
            if let Some(packed) = kernels.prepack_depthwise(&p) {
                got.fill(0);
                run_in_parts(&*packed, seed, &x, &mut got);
                prop_assert_eq!(&got, &expected, "{}, packed", kernels.name());
            }
        }
    }
}
