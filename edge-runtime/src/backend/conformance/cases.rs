//! What the suite runs: single layers of every kind, random networks, and networks as people make them.

use super::layers::{Builder, Kind, values};
use super::network::Network;
use crate::backend::Values;
use crate::model::{DType, Shape, Window};
use crate::random::Random;

/// A network and inputs for it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The call that makes it again.
    pub name: String,
    /// The network.
    pub network: Network,
    /// The inputs, in the order in which they run.
    pub inputs: Vec<Data>,
}

/// The values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Of an int8 network.
    I8(Vec<i8>),
    /// Of a float network.
    F32(Vec<f32>),
}

impl Data {
    /// Borrowed, as backends take them.
    pub fn values(&self) -> Values<'_> {
        match self {
            Data::I8(v) => Values::I8(v),
            Data::F32(v) => Values::F32(v),
        }
    }

    /// The values, if they are int8.
    pub fn as_i8(&self) -> Option<&[i8]> {
        match self {
            Data::I8(v) => Some(v),
            Data::F32(_) => None,
        }
    }

    /// The values, if they are floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match self {
            Data::F32(v) => Some(v),
            Data::I8(_) => None,
        }
    }

    /// A copy of what a backend shows.
    pub fn of(values: Values<'_>) -> Self {
        match values {
            Values::I8(v) => Data::I8(v.to_vec()),
            Values::F32(v) => Data::F32(v.to_vec()),
        }
    }
}

/// A network made by hand: its name, the shape of its input, and what adds its layers.
type HandMade = (&'static str, Shape, fn(&mut Builder));

/// Inputs of a case: the second one finds what the first one left in memory.
const INPUTS: usize = 2;

impl Case {
    /// Layer `index` of a kind, on random input. The first few are small, so that the first one that fails is easy
    /// to follow.
    pub fn layer(kind: Kind, dtype: DType, index: u32) -> Self {
        let random = Random::new(0x6772_6166_7400 + ((kind as u64) << 32) + index as u64);
        let mut builder = Builder::new(random, dtype, (2 + index / 2).min(12));
        builder.only_layer(kind);
        let name = format!("Case::layer(Kind::{kind:?}, DType::{dtype:?}, {index})");
        Self::of(name, builder)
    }

    /// A network of one to six layers of any kind, on random input.
    pub fn network(dtype: DType, index: u32) -> Self {
        let mut random = Random::new(0x6e65_7477_6f72_6b00 + index as u64);
        let count = random.range(1, 6);
        let mut builder = Builder::new(random, dtype, 9);
        let mut tensors = vec![0];
        for _ in 0..count {
            let x = tensors[tensors.len() - 1];
            if tensors.len() > 1 && builder.network.tensor(x).shape.len() > 1 << 12 {
                break;
            }
            let kind = builder.random.pick(&Kind::ALL);
            let y = builder.random_layer(kind, x, &tensors);
            if builder.random.chance(300_000) && builder.network.last_in_place() {
                // The bytes of the first input are the output's now.
                tensors.retain(|t| *t != x);
            }
            tensors.push(y);
        }
        if builder.random.chance(500_000) {
            builder.network.reverse();
        }
        Self::of(format!("Case::network(DType::{dtype:?}, {index})"), builder)
    }

    /// Networks as people make them, with random numbers.
    pub fn hand_made(dtype: DType) -> Vec<Self> {
        let make = |(i, (name, shape, build)): (usize, HandMade)| {
            let mut builder = Builder::of_shape(Random::new(i as u64), dtype, shape);
            build(&mut builder);
            Self::of(
                format!("Case::hand_made(DType::{dtype:?}), {name}"),
                builder,
            )
        };
        let networks: [HandMade; 6] = [
            ("residual block", Shape::new(9, 9, 3), residual),
            ("inverted residual", Shape::new(8, 8, 8), inverted_residual),
            ("inception", Shape::new(7, 7, 6), inception),
            ("norms", Shape::new(13, 11, 3), norms),
            ("shuffled groups", Shape::new(6, 6, 8), shuffled_groups),
            ("focus", Shape::new(8, 10, 3), focus),
        ];
        networks.into_iter().enumerate().map(make).collect()
    }

    fn of(name: String, mut builder: Builder) -> Self {
        let n = builder.network.tensor(0).shape.len();
        let mut input = || match builder.network.dtype() {
            DType::I8 => Data::I8(values(&mut builder.random, n, i8::MIN)),
            DType::F32 => Data::F32((0..n).map(|_| builder.random.between(-2.0, 2.0)).collect()),
        };
        Self {
            name,
            inputs: (0..INPUTS).map(|_| input()).collect(),
            network: builder.network,
        }
    }
}

/// A square window with equal padding on all sides.
fn square(kernel: u32, stride: u32, pad: u32) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        pad_before: [pad; 2],
        pad_after: [pad; 2],
        ..Window::POINT
    }
}

/// ResNet: two convolutions and a shortcut, with and without a convolution in it, and the mean of the map.
fn residual(b: &mut Builder) {
    let stem = b.conv(0, square(3, 1, 1), 1, 8);
    let y = b.conv(stem, square(3, 1, 1), 1, 8);
    let y = b.conv(y, square(3, 1, 1), 1, 8);
    let first = b.add(y, stem);
    let y = b.conv(first, square(3, 2, 1), 1, 16);
    let y = b.conv(y, square(3, 1, 1), 1, 16);
    let shortcut = b.conv(first, square(1, 2, 0), 1, 16);
    let second = b.add(y, shortcut);
    b.pool(second, square(5, 1, 0), false);
}

/// MobileNetV3: widen, depthwise, squeeze and excite, narrow, add.
fn inverted_residual(b: &mut Builder) {
    let wide = b.conv(0, Window::POINT, 1, 24);
    let y = b.depthwise(wide, square(5, 1, 2));
    let y = b.map(y);
    let mean = b.pool(y, square(8, 1, 0), false);
    let gate = b.conv(mean, Window::POINT, 1, 6);
    let gate = b.conv(gate, Window::POINT, 1, 24);
    let gate = b.map(gate);
    let y = b.mul(y, gate);
    let y = b.conv(y, Window::POINT, 1, 8);
    let y = b.add(y, 0);
    b.depthwise(y, square(3, 2, 1));
}

/// GoogLeNet: four branches side by side.
fn inception(b: &mut Builder) {
    let one = b.conv(0, Window::POINT, 1, 4);
    let three = b.conv(0, Window::POINT, 1, 5);
    let three = b.conv(three, square(3, 1, 1), 1, 7);
    let five = b.conv(0, Window::POINT, 1, 2);
    let five = b.conv(five, square(5, 1, 2), 1, 3);
    let pool = b.pool(0, square(3, 1, 1), true);
    let pool = b.conv(pool, Window::POINT, 1, 4);
    let all = b.concat(&[one, three, five, pool]);
    b.pool(all, square(3, 2, 1), false);
}

/// AlexNet: local response norms between convolutions in groups, and a fully connected layer.
fn norms(b: &mut Builder) {
    let y = b.conv(0, square(5, 2, 2), 1, 16);
    let y = b.norm(y, false);
    let y = b.pool(y, square(3, 2, 0), true);
    let y = b.conv(y, square(3, 1, 1), 2, 12);
    let y = b.norm(y, true);
    let window = Window {
        kernel: [3, 2],
        ..Window::POINT
    };
    b.conv(y, window, 1, 10);
}

/// ShuffleNet: half of the channels go through convolutions in groups, and all are shuffled.
fn shuffled_groups(b: &mut Builder) {
    let half = Shape::new(6, 6, 4);
    let left = b.slice(0, [0; 3], [1; 2], half);
    let right = b.slice(0, [0, 0, 4], [1; 2], half);
    let y = b.conv(right, Window::POINT, 2, 8);
    let y = b.depthwise(y, square(3, 1, 1));
    let y = b.conv(y, Window::POINT, 2, 4);
    let all = b.concat(&[left, y]);
    b.random_layer(Kind::Shuffle, all, &[all]);
}

/// YOLO: every second row and column apart, together again as channels; slopes per channel, a pad, dilation.
fn focus(b: &mut Builder) {
    let quarter = Shape::new(4, 5, 3);
    let parts =
        [[0, 0], [1, 0], [0, 1], [1, 1]].map(|[y, x]| b.slice(0, [y, x, 0], [2; 2], quarter));
    let all = b.concat(&parts);
    let y = b.conv(all, square(3, 1, 1), 1, 9);
    let y = b.random_layer(Kind::PRelu, y, &[y]);
    let y = b.random_layer(Kind::Pad, y, &[y]);
    let window = Window {
        dilation: [2; 2],
        ..square(3, 1, 2)
    };
    b.conv(y, window, 1, 5);
}
