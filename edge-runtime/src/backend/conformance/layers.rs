//! Random layers of every kind, with the numbers that show mistakes: extremes of values, weights, zero points,
//! bounds and shifts, windows that lie in the padding, and multipliers for which results fall between two integers.

use super::network::{Network, Tensor};
use crate::model::norm_table::NormTable;
use crate::model::{
    Activation, Blob, ConvData, DType, MAX_INPUTS, MapFunction, Op, Quant, Rescale, Shape, Window,
};
use crate::random::Random;

/// What a random layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One group.
    Conv,
    /// Two or more.
    GroupedConv,
    /// One filter per channel.
    DepthwiseConv,
    /// Maximum.
    MaxPool,
    /// Mean.
    AvgPool,
    /// Of two tensors, or of one with itself.
    Add,
    /// Of one to eight tensors.
    Concat,
    /// By a table; of a float network by a function.
    Map,
    /// A strided part.
    Slice,
    /// Zeros around.
    Pad,
    /// By a tensor of the same shape, or by one value per channel.
    Mul,
    /// A slope per channel.
    PRelu,
    /// Local response norm, its table by octaves.
    Norm,
    /// Local response norm, its table of even steps, as older files have it.
    EvenNorm,
    /// Of channels.
    Shuffle,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 15] = [
        Kind::Conv,
        Kind::GroupedConv,
        Kind::DepthwiseConv,
        Kind::MaxPool,
        Kind::AvgPool,
        Kind::Add,
        Kind::Concat,
        Kind::Map,
        Kind::Slice,
        Kind::Pad,
        Kind::Mul,
        Kind::PRelu,
        Kind::Norm,
        Kind::EvenNorm,
        Kind::Shuffle,
    ];
}

/// The most multiplications of a convolution: keeps the reference quick.
const MAX_MACS: usize = 150_000;

/// Real numbers of one kind are at most this.
const REAL: f32 = 2.0;

/// A network that grows by random layers.
pub struct Builder {
    /// The generator.
    pub random: Random,
    /// What there is.
    pub network: Network,
}

impl Builder {
    /// A network of random input shape and no layers. `size` from 1 to 12 bounds the shapes.
    pub fn new(mut random: Random, dtype: DType, size: u32) -> Self {
        let shape = shape(&mut random, size);
        Self::of_shape(random, dtype, shape)
    }

    /// A network with an input of this shape.
    pub fn of_shape(mut random: Random, dtype: DType, shape: Shape) -> Self {
        let quant = quant(&mut random, dtype);
        Self {
            random,
            network: Network::new(dtype, Tensor { shape, quant }),
        }
    }

    fn int8(&self) -> bool {
        self.network.dtype() == DType::I8
    }

    fn shape(&self, tensor: usize) -> Shape {
        self.network.tensor(tensor).shape
    }

    fn count(&mut self, low: u32, high: u32) -> u32 {
        self.random.range(low as i32, high.max(low) as i32) as u32
    }

    fn half(&mut self) -> bool {
        self.random.chance(500_000)
    }

    /// An output with a quantization of its own.
    fn fresh(&mut self, shape: Shape) -> Tensor {
        let quant = quant(&mut self.random, self.network.dtype());
        Tensor { shape, quant }
    }

    /// An output with the quantization of `input`.
    fn like(&self, input: usize, shape: Shape) -> Tensor {
        Tensor {
            shape,
            quant: self.network.tensor(input).quant,
        }
    }

    fn clamp(&mut self) -> [i8; 2] {
        let [a, b] = [0; 2].map(|_| self.random.range(-128, 127) as i8);
        self.random
            .pick(&[[-128, 127], [-128, 127], [a.min(b), a.max(b)], [a, a]])
    }

    fn activation(&mut self) -> Activation {
        use Activation::*;
        self.random.pick(&[
            None,
            Relu,
            Relu6,
            LeakyRelu(0.1),
            Sigmoid,
            HardSigmoid,
            Silu,
            HardSwish,
            Tanh,
            Clip(-0.5, 1.5),
        ])
    }

    fn reals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.random.between(-REAL, REAL)).collect()
    }

    /// A factor of `gain` as `m / 2^shift`, m at most `limit`; half of them with few digits, so that products fall
    /// exactly between two results.
    fn multiplier(&mut self, gain: f32, shift: u8, limit: i32) -> i32 {
        let exact = (gain as f64 * (1u64 << shift) as f64).min(limit as f64) as i32;
        let low = exact.checked_ilog2().map_or(0, |log| log.saturating_sub(2));
        match self.half() {
            true => exact >> low << low,
            false => exact,
        }
    }

    /// A factor that leaves much of the range of results, or saturates some of them.
    fn gain(&mut self) -> f32 {
        let wild = self.random.between(0.0, 40.0);
        let usual = self.random.between(0.05, 1.5);
        self.random.pick(&[usual, usual, usual, 1.0, 0.5, wild])
    }

    fn shift(&mut self) -> u8 {
        let any = self.random.range(1, 30);
        let usual = self.random.range(12, 22);
        self.random.pick(&[usual, usual, usual, any, 1, 30]) as u8
    }

    /// A multiplier in [2^30, 2^31).
    fn requantize_multiplier(&mut self) -> i32 {
        match self.random.below(4) {
            // Few digits: halves occur.
            0 => 1 << 30,
            1 => self.random.range(4, 7) << 28,
            2 => self.random.pick(&[i32::MAX, (1 << 30) + 1]),
            _ => self.random.range(1 << 30, i32::MAX),
        }
    }

    /// The shift of an accumulator whose magnitude has about so many bits: most results are in range.
    fn requantize_shift(&mut self, bits: u32, shifts: Shifts) -> u8 {
        let usual = bits as i32 + 23 + self.random.range(0, 4);
        let some = self.random.below(8) == 0;
        let shift = match shifts {
            Shifts::Any => self.random.range(1, 62),
            Shifts::High if some => self.random.pick(&[33, 55, 56, 62]),
            Shifts::High => usual.clamp(33, 55),
            Shifts::Low if some => self.random.pick(&[25, 32, 47, 62]),
            Shifts::Low => usual.clamp(25, 47),
        };
        shift as u8
    }

    /// The numbers of a convolution whose filters have `taps` weights each.
    fn conv_data(&mut self, taps: usize, channels: usize, depthwise: bool) -> ConvData {
        if !self.int8() {
            // Sums of many terms stay about as large as the terms.
            let scale = 1.0 / (taps as f32).sqrt();
            let w: Vec<f32> = self
                .reals(taps * channels)
                .iter()
                .map(|w| w * scale)
                .collect();
            let b = self.reals(channels);
            return ConvData::F32 {
                weights: self.network.blob(&w),
                bias: self.network.blob(&b),
                activation: self.activation(),
            };
        }
        let weights = values(&mut self.random, taps * channels, -127);
        let (mut bias, mut multiplier, mut shift) = (vec![], vec![], vec![]);
        let shifts = [
            Shifts::Any,
            Shifts::Low,
            Shifts::Low,
            Shifts::High,
            Shifts::High,
        ];
        let shifts = self.random.pick(&shifts);
        for c in 0..channels {
            let filter: i64 = match depthwise {
                true => magnitude(weights.iter().skip(c).step_by(channels)),
                false => magnitude(weights[c * taps..][..taps].iter()),
            };
            // No sum may leave 32 bits, in whatever order.
            let room = i32::MAX as i64 - 128 * filter;
            assert!(room >= 0, "a small layer");
            let usual = (64 * filter).min(room) as i32;
            let b = match self.random.below(16) {
                0 => room as i32,
                1 => -room as i32,
                2 => 0,
                _ => self.random.range(-usual, usual),
            };
            // Sums of random signs are shorter than the longest.
            let longest = 128 * filter as u64 / (taps as f64).sqrt() as u64;
            let bits = 64 - (longest / 2 + b.unsigned_abs() as u64 / 2).leading_zeros();
            bias.push(b);
            multiplier.push(self.requantize_multiplier());
            shift.push(self.requantize_shift(bits, shifts));
        }
        let clamp = self.clamp();
        ConvData::I8 {
            weights: self.network.blob(&weights),
            bias: self.network.blob(&bias),
            multiplier: self.network.blob(&multiplier),
            shift: self.network.blob(&shift),
            clamp,
        }
    }

    /// A window that fits, and the output's rows and columns.
    fn window(&mut self, input: Shape, pool: bool) -> (Window, [u32; 2]) {
        loop {
            let point = self.random.below(4) == 0;
            let three = self.random.below(3) == 0;
            let kernel = match (point, three) {
                (true, _) if !pool => [1, 1],
                (_, true) => [3, 3],
                _ => [self.count(1, 5), self.count(1, 5)],
            };
            // A global pooling now and then.
            let kernel = match pool && self.random.below(5) == 0 {
                true => [input.h.min(40), input.w.min(40)],
                false => kernel,
            };
            let dilation = match pool || self.half() {
                true => [1, 1],
                false => [self.count(1, 3), self.count(1, 3)],
            };
            let padded = !self.random.chance(300_000);
            let mut pad = |axis: usize| {
                let most = match pool {
                    true => kernel[axis] - 1,
                    // More than the kernel covers: some windows see nothing of the input.
                    false => kernel[axis] * dilation[axis] + 1,
                };
                if padded {
                    self.count(0, most.min(6))
                } else {
                    0
                }
            };
            let window = Window {
                kernel,
                dilation,
                pad_before: [pad(0), pad(1)],
                pad_after: [pad(0), pad(1)],
                stride: [self.count(1, 3), self.count(1, 3)],
            };
            if let Some((h, w)) = window
                .output_len(0, input.h)
                .zip(window.output_len(1, input.w))
            {
                return (window, [h, w]);
            }
        }
    }

    /// Adds a convolution with this window, which must fit.
    pub fn conv(&mut self, x: usize, window: Window, groups: u32, channels: u32) -> usize {
        let from = self.shape(x);
        let [h, w] = [(0, from.h), (1, from.w)]
            .map(|(axis, len)| window.output_len(axis, len).expect("the window fits"));
        let taps = (window.kernel[0] * window.kernel[1] * (from.c / groups)) as usize;
        let data = self.conv_data(taps, channels as usize, false);
        let op = Op::Conv {
            window,
            groups,
            data,
        };
        let to = self.fresh(Shape::new(h, w, channels));
        self.network.push(op, &[x], to)
    }

    /// Adds a depthwise convolution with this window, which must fit.
    pub fn depthwise(&mut self, x: usize, window: Window) -> usize {
        let from = self.shape(x);
        let [h, w] = [(0, from.h), (1, from.w)]
            .map(|(axis, len)| window.output_len(axis, len).expect("the window fits"));
        let taps = (window.kernel[0] * window.kernel[1]) as usize;
        let data = self.conv_data(taps, from.c as usize, true);
        let to = self.fresh(Shape::new(h, w, from.c));
        self.network
            .push(Op::DepthwiseConv { window, data }, &[x], to)
    }

    /// Adds a pooling with this window, which must fit.
    pub fn pool(&mut self, x: usize, window: Window, max: bool) -> usize {
        let from = self.shape(x);
        let [h, w] = [(0, from.h), (1, from.w)]
            .map(|(axis, len)| window.output_len(axis, len).expect("the window fits"));
        let shape = Shape::new(h, w, from.c);
        if max {
            let to = self.like(x, shape);
            return self.network.push(Op::MaxPool { window }, &[x], to);
        }
        let count_padding = self.half();
        let area = (window.kernel[0] * window.kernel[1]) as i32;
        let one = count_padding || window.is_unpadded();
        let divisors = if one { area..=area } else { 1..=area };
        let (gain, shift) = (self.gain(), self.shift());
        let multipliers: Vec<i32> = divisors
            // The file's rule: multiplier * divisor * 255 < 2^30.
            .map(|k| self.multiplier(gain / k as f32, shift, ((1 << 30) - 1) / (255 * k)))
            .collect();
        let multipliers = match self.int8() {
            true => self.network.blob(&multipliers),
            false => NOTHING,
        };
        let op = Op::AvgPool {
            window,
            count_padding,
            multipliers,
            shift,
        };
        let to = self.fresh(shape);
        self.network.push(op, &[x], to)
    }

    /// Adds the sum of two tensors.
    pub fn add(&mut self, a: usize, b: usize) -> usize {
        let shift = self.shift();
        let multipliers = [0; 2].map(|_| {
            let gain = self.gain();
            let m = self.multiplier(gain, shift, 1 << 21);
            if self.random.below(10) == 0 { -m } else { m }
        });
        let op = Op::Add {
            multipliers,
            shift,
            clamp: self.clamp(),
            activation: self.activation(),
        };
        let to = self.fresh(self.shape(a));
        self.network.push(op, &[a, b], to)
    }

    /// Adds the concatenation of some tensors.
    pub fn concat(&mut self, inputs: &[usize]) -> usize {
        let to = self.shape(inputs[0]);
        let channels = inputs.iter().map(|i| self.shape(*i).c).sum();
        let to = self.fresh(Shape::new(to.h, to.w, channels));
        let mut rescale = heapless::Vec::new();
        if self.int8() {
            rescale = inputs
                .iter()
                .map(|_| {
                    let (gain, shift) = (self.gain(), self.shift());
                    let multiplier = self.multiplier(gain, shift, 1 << 22);
                    self.random
                        .pick(&[Rescale::ONE, Rescale { multiplier, shift }])
                })
                .collect();
        }
        self.network.push(Op::Concat { rescale }, inputs, to)
    }

    /// Adds a function of single elements.
    pub fn map(&mut self, x: usize) -> usize {
        let function = match self.int8() {
            true => {
                let mut table = vec![0; 256];
                self.random.i8s(&mut table, -128, false);
                MapFunction::Table(self.network.blob(&table))
            }
            false => MapFunction::Activation(self.activation()),
        };
        let to = self.fresh(self.shape(x));
        self.network.push(Op::Map { function }, &[x], to)
    }

    /// Adds a copy of a tensor, by a table or a function that changes nothing.
    pub fn copy(&mut self, x: usize) -> usize {
        let function = match self.int8() {
            true => {
                let table: Vec<i8> = (i8::MIN..=i8::MAX).collect();
                MapFunction::Table(self.network.blob(&table))
            }
            false => MapFunction::Activation(Activation::None),
        };
        let to = self.like(x, self.shape(x));
        self.network.push(Op::Map { function }, &[x], to)
    }

    /// Adds the product of two tensors; the second one may be 1x1.
    pub fn mul(&mut self, a: usize, b: usize) -> usize {
        let shifts = self.random.pick(&[Shifts::Any, Shifts::Low, Shifts::Low]);
        let shift = self.requantize_shift(12, shifts);
        // A power of two half of the time: products then lie between two values often enough.
        let multiplier = match self.half() {
            true => 1 << 30,
            false => self.requantize_multiplier(),
        };
        let to = self.fresh(self.shape(a));
        self.network
            .push(Op::Mul { multiplier, shift }, &[a, b], to)
    }

    /// Adds a local response norm.
    pub fn norm(&mut self, x: usize, even: bool) -> usize {
        let shape = self.shape(x);
        let large = self.count(1, 64);
        let usual = self.count(1, 7);
        let size = self.random.pick(&[usual, usual, usual, large, 1]);
        let index_shift = match even {
            false => self.random.pick(&[0, 1, 3, 4, 5, 7]),
            true => {
                let least = 8 + size.next_power_of_two().ilog2();
                self.count(least, least + 2) as u8
            }
        };
        let entries = NormTable::new(index_shift).entries(size, shape.c);
        let (gain, shift) = (self.gain(), self.shift());
        let factors: Vec<i32> = (0..entries.expect("a small size"))
            .map(|i| self.multiplier(gain / (1.0 + i as f32 / 60.0), shift, 1 << 22))
            .collect();
        let table = match self.int8() {
            true => self.network.blob(&factors),
            false => NOTHING,
        };
        let op = Op::LocalResponseNorm {
            size,
            float: [0.5, 0.75, 1.0],
            table,
            index_shift,
            shift,
        };
        let to = self.fresh(shape);
        self.network.push(op, &[x], to)
    }

    /// Adds a part of a tensor.
    pub fn slice(&mut self, x: usize, start: [u32; 3], step: [u32; 2], shape: Shape) -> usize {
        let to = self.like(x, shape);
        self.network.push(Op::Slice { start, step }, &[x], to)
    }

    fn prelu(&mut self, x: usize) -> usize {
        let shape = self.shape(x);
        let channels = shape.c as usize;
        let (gain, shift) = (self.gain(), self.shift());
        let limit = 1 << 22;
        let slopes = match self.int8() {
            true => {
                let slope = |b: &mut Self| {
                    let gain = gain * b.random.unit();
                    let m = b.multiplier(gain, shift, limit);
                    if b.random.below(4) == 0 { -m } else { m }
                };
                let slopes: Vec<i32> = (0..channels).map(|_| slope(self)).collect();
                self.network.blob(&slopes)
            }
            false => {
                let slopes = self.reals(channels);
                self.network.blob(&slopes)
            }
        };
        let op = Op::PRelu {
            slopes,
            positive: self.multiplier(gain, shift, limit),
            shift,
        };
        let to = self.fresh(shape);
        self.network.push(op, &[x], to)
    }

    fn random_slice(&mut self, x: usize) -> usize {
        let s = self.shape(x);
        let start = [s.h, s.w, s.c].map(|n| self.count(0, n - 1));
        let step = [self.count(1, 3), self.count(1, 3)];
        let shape = Shape::new(
            self.count(1, (s.h - 1 - start[0]) / step[0] + 1),
            self.count(1, (s.w - 1 - start[1]) / step[1] + 1),
            self.count(1, s.c - start[2]),
        );
        self.slice(x, start, step, shape)
    }

    fn random_pad(&mut self, x: usize) -> usize {
        let mut three = || [0; 3].map(|_| self.random.range(0, 2) as u32);
        let (before, after) = (three(), three());
        let s = self.shape(x);
        let shape = Shape::new(
            before[0] + s.h + after[0],
            before[1] + s.w + after[1],
            before[2] + s.c + after[2],
        );
        let to = self.like(x, shape);
        self.network.push(Op::Pad { before, after }, &[x], to)
    }

    fn random_conv(&mut self, x: usize, grouped: bool) -> usize {
        let from = self.shape(x);
        let (window, [h, w]) = self.window(from, false);
        let groups: Vec<u32> = divisors(from.c).filter(|g| (*g > 1) == grouped).collect();
        // One channel has no groups.
        let groups = if groups.is_empty() {
            1
        } else {
            self.random.pick(&groups)
        };
        let macs = (window.kernel[0] * window.kernel[1] * (from.c / groups) * h * w) as usize;
        let most = (MAX_MACS / macs.max(1)).clamp(1, 24) as u32;
        let channels = match groups {
            1 => self.count(1, most),
            _ => groups * self.count(1, 3),
        };
        self.conv(x, window, groups, channels)
    }

    /// Adds a layer of this kind to tensor `x`; operators of two inputs choose the others among `tensors`. Its number
    /// is the returned tensor's less one.
    pub fn random_layer(&mut self, kind: Kind, x: usize, tensors: &[usize]) -> usize {
        let shape = self.shape(x);
        match kind {
            Kind::Conv => self.random_conv(x, false),
            Kind::GroupedConv => self.random_conv(x, true),
            Kind::DepthwiseConv => {
                let (any, _) = self.window(shape, false);
                // 3x3, for which processors have kernels of their own, as often as all others.
                let window = match self.half() {
                    true => Window {
                        kernel: [3, 3],
                        stride: [self.count(1, 3), self.count(1, 2)],
                        dilation: [1, 1],
                        pad_before: [self.count(1, 2), self.count(1, 2)],
                        pad_after: [self.count(1, 2), self.count(1, 2)],
                    },
                    false => any,
                };
                self.depthwise(x, window)
            }
            Kind::MaxPool | Kind::AvgPool => {
                let (window, _) = self.window(shape, true);
                self.pool(x, window, kind == Kind::MaxPool)
            }
            Kind::Add => {
                let same = |t: &&usize| self.shape(**t) == shape;
                let others: Vec<usize> = tensors.iter().filter(same).copied().collect();
                let other = self.random.pick(&others);
                self.add(x, other)
            }
            Kind::Concat => {
                let s = |t: usize| [self.shape(t).h, self.shape(t).w];
                let like: Vec<usize> = tensors.iter().copied().filter(|t| s(*t) == s(x)).collect();
                let count = self.count(1, MAX_INPUTS as u32);
                let inputs: Vec<usize> = (0..count).map(|_| self.random.pick(&like)).collect();
                self.concat(&inputs)
            }
            Kind::Map => self.map(x),
            Kind::Slice => self.random_slice(x),
            Kind::Pad => self.random_pad(x),
            Kind::Mul => {
                let gate = Shape::new(1, 1, shape.c);
                let fits = |t: &&usize| self.shape(**t) == shape || self.shape(**t) == gate;
                let others: Vec<usize> = tensors.iter().filter(fits).copied().collect();
                let other = self.random.pick(&others);
                self.mul(x, other)
            }
            Kind::PRelu => self.prelu(x),
            Kind::Norm => self.norm(x, false),
            Kind::EvenNorm => self.norm(x, true),
            Kind::Shuffle => {
                let groups: Vec<u32> = divisors(shape.c).collect();
                let groups = self.random.pick(&groups);
                let to = self.like(x, shape);
                self.network.push(Op::Shuffle { groups }, &[x], to)
            }
        }
    }

    /// Adds one layer of this kind to the input, and what shows what it does to memory that is not its own.
    pub fn only_layer(&mut self, kind: Kind) {
        let mut tensors = vec![0];
        let shape = self.shape(0);
        if matches!(kind, Kind::Add | Kind::Concat | Kind::Mul) {
            // Other tensors, each with its own quantization.
            tensors.push(self.map(0));
            let gate = match kind {
                Kind::Concat => Shape::new(shape.h, shape.w, self.count(1, shape.c)),
                _ => Shape::new(1, 1, shape.c),
            };
            let part = self.slice(0, [0; 3], [1, 1], gate);
            tensors.push(self.map(part));
        }
        let x = if tensors.len() > 1 && self.half() {
            1
        } else {
            0
        };
        self.random_layer(kind, x, &tensors);
        match self.random.below(3) {
            0 => {
                self.network.last_in_place();
            }
            // The input is read again after the layer has written: behind it, or before it.
            position => {
                self.copy(x);
                if position == 1 {
                    self.network.reverse();
                }
            }
        }
    }
}

/// Which shifts the channels of a layer have. Packed layouts depend on it.
#[derive(Clone, Copy, Debug)]
enum Shifts {
    /// All that the format allows.
    Any,
    /// From 33 on: those of the high word of a product.
    High,
    /// From 25 on: those of the high word, if activations are shifted left by 8.
    Low,
}

/// What a float layer has in the place of numbers that only int8 has.
const NOTHING: Blob = Blob { offset: 0, len: 0 };

/// Values of which many are extremes, or all of them.
pub fn values(random: &mut Random, n: usize, lowest: i8) -> Vec<i8> {
    let mut values = vec![lowest; n];
    match random.below(8) {
        0 => {}
        1 => values.fill(i8::MAX),
        2 | 3 => random.i8s(&mut values, lowest, true),
        // Small ones: sums of few bits.
        4 => values
            .iter_mut()
            .for_each(|v| *v = random.range(-3, 3) as i8),
        _ => random.i8s(&mut values, lowest, false),
    }
    values
}

fn quant(random: &mut Random, dtype: DType) -> Quant {
    if dtype == DType::F32 {
        return Quant::NONE;
    }
    let any = random.range(-128, 127) as i8;
    Quant {
        scale: 0.05,
        zero_point: random.pick(&[i8::MIN, i8::MAX, 0, any]),
    }
}

/// Often 1, seldom long, and channels for which kernels have loops of their own and rests.
fn shape(random: &mut Random, limit: u32) -> Shape {
    let mut side = || match random.below(6) {
        0 => 1,
        1 if limit > 8 => random.range(1, 33) as u32,
        _ => random.range(1, limit as i32) as u32,
    };
    let [h, w] = [side(), side()];
    let channels = [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16, 17, 32, 33, 64];
    let most = channels.partition_point(|c| *c <= 6 * limit);
    let most = if h * w > 300 { most.min(5) } else { most };
    Shape::new(h, w, random.pick(&channels[..most]))
}

fn divisors(n: u32) -> impl Iterator<Item = u32> {
    (1..=n).filter(move |d| n.is_multiple_of(*d))
}

fn magnitude<'w>(weights: impl Iterator<Item = &'w i8>) -> i64 {
    weights.map(|w| w.unsigned_abs() as i64).sum()
}
