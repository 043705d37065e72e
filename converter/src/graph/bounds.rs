//! Bounds of the real values that a node can have, worked out from the operators before it; and clamps that
//! do the same as the saturation of 8-bit codes.
//!
//! Importers of quantized networks need both. Where a value can leave the range of its codes, the import adds
//! a clamp; where it cannot, the codes only round and no clamp is needed.

use super::{Activation, Graph, NodeId, Op, Quant};

/// Real numbers from `min` to `max`, either of which may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound; at most `max`.
    pub min: f32,
    /// Upper bound.
    pub max: f32,
}

impl Interval {
    /// All numbers.
    pub const ALL: Self = Self {
        min: f32::NEG_INFINITY,
        max: f32::INFINITY,
    };

    /// From the smallest to the largest of `values`.
    pub fn of(values: impl IntoIterator<Item = f32>) -> Self {
        let nothing = (f32::INFINITY, f32::NEG_INFINITY);
        let (min, max) = values
            .into_iter()
            .fold(nothing, |(min, max), v| (min.min(v), max.max(v)));
        Self { min, max }
    }

    /// The real values of the int8 codes -128 and 127 of `quant`.
    pub fn of_codes(quant: Quant) -> Self {
        let real = |code: i16| quant.scale * f32::from(code - i16::from(quant.zero_point));
        Self {
            min: real(-128),
            max: real(127),
        }
    }

    /// True if all these numbers are in the range of the codes of `quant`, or at most half a step outside,
    /// where saturation does no more than rounding.
    pub fn fits(self, quant: Quant) -> bool {
        let (codes, slack) = (Self::of_codes(quant), quant.scale * 0.501);
        self.min >= codes.min - slack && self.max <= codes.max + slack
    }

    /// True if each end is at most `tolerance` away from that of `other`.
    pub fn is_near(self, other: Self, tolerance: f32) -> bool {
        let near = |a: f32, b: f32| a == b || (a - b).abs() <= tolerance;
        near(self.min, other.min) && near(self.max, other.max)
    }

    /// The smallest interval that holds both.
    fn hull(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn with_zero(self) -> Self {
        self.hull(Self { min: 0.0, max: 0.0 })
    }

    /// Bounds of the sum of two numbers.
    fn plus(self, other: Self) -> Self {
        Self {
            min: self.min + other.min,
            max: self.max + other.max,
        }
    }

    /// Bounds of the product of two numbers.
    fn times(self, other: Self) -> Self {
        let ends = [self.min, self.max];
        Self::of(
            ends.into_iter()
                .flat_map(|a| [product(a, other.min), product(a, other.max)]),
        )
    }

    /// Bounds of `function` of these numbers.
    pub fn through(self, function: Activation) -> Self {
        // Each function rises everywhere, or falls up to one place and rises from there.
        let turn = match function {
            Activation::Silu => -1.278_464_5,
            Activation::HardSwish => -1.5,
            _ => 0.0,
        };
        let at = |x: f32| match function {
            Activation::Silu | Activation::HardSwish if x == f32::NEG_INFINITY => 0.0,
            Activation::LeakyRelu(slope) if x < 0.0 => product(slope, x),
            _ => function.apply(x),
        };
        let inside = (self.min < turn && turn < self.max).then_some(turn);
        Self::of([self.min, self.max].into_iter().chain(inside).map(at))
    }
}

/// The product of two bounds. Zero times infinity is zero here: the infinity stands for any finite number.
fn product(a: f32, b: f32) -> f32 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

/// The intervals of a graph's nodes, worked out as the graph grows.
#[derive(Default)]
pub struct Bounds {
    known: Vec<Interval>,
}

impl Bounds {
    /// The interval of node `id` of the float network. The graph may grow between calls, but nodes up to one
    /// that was asked for must not change.
    pub fn of(&mut self, graph: &Graph, id: NodeId) -> Interval {
        for node in graph.nodes.iter().take(id + 1).skip(self.known.len()) {
            let inputs: Vec<Interval> = node.inputs.iter().map(|&i| self.known[i]).collect();
            self.known.push(match node.quant {
                Some(quant) if node.op == Op::Input => Interval::of_codes(quant),
                _ => result(&node.op, &inputs),
            });
        }
        self.known[id]
    }
}

fn result(op: &Op, inputs: &[Interval]) -> Interval {
    let channels = |f: &dyn Fn(usize) -> Interval, n: usize| {
        (0..n)
            .map(f)
            .reduce(Interval::hull)
            .unwrap_or(Interval::ALL)
    };
    match (op, inputs) {
        (Op::Conv(conv), _) => Interval::ALL.through(conv.activation),
        (Op::BatchNorm(b), [x]) => {
            let channel = |c: usize| {
                let factor = b.gamma[c] / (b.variance[c] + b.epsilon).sqrt();
                let offset = b.beta[c] - b.mean[c] * factor;
                Interval::of([x.min, x.max].map(|v| product(factor, v) + offset))
            };
            channels(&channel, b.gamma.len())
        }
        (Op::Activation(function), [x]) => x.through(*function),
        (
            Op::AvgPool {
                window,
                count_padding,
            },
            [x],
        ) if *count_padding && !window.is_unpadded() => x.with_zero(),
        (Op::MaxPool(_) | Op::AvgPool { .. } | Op::Slice { .. } | Op::Shuffle { .. }, [x]) => *x,
        (Op::Pad { .. }, [x]) => x.with_zero(),
        (Op::Add(function), [a, b]) => a.plus(*b).through(*function),
        (Op::Mul, [a, b]) => a.times(*b),
        (Op::Concat, parts) => channels(&|i| parts[i], parts.len()),
        (Op::PRelu(slopes), [x]) => channels(
            &|c| x.through(Activation::LeakyRelu(slopes[c])),
            slopes.len(),
        ),
        (Op::LocalResponseNorm(n), [x]) => {
            let most = n.bias.powf(-n.beta);
            Interval {
                min: product(x.min, most),
                max: product(x.max, most),
            }
            .with_zero()
        }
        _ => Interval::ALL,
    }
}

/// The activation that clamps to `low` and `high`.
pub fn clamp(low: f32, high: f32) -> Activation {
    match (low, high) {
        (f32::NEG_INFINITY, f32::INFINITY) => Activation::None,
        (0.0, f32::INFINITY) => Activation::Relu,
        (0.0, 6.0) => Activation::Relu6,
        (low, high) => Activation::Clip(low, high),
    }
}

/// The activation that clamps as the int8 codes of `quant` saturate; ReLU6 if the difference is below
/// rounding.
pub fn saturation(quant: Quant) -> Activation {
    let codes = Interval::of_codes(quant);
    if codes.min == 0.0 && (codes.max - 6.0).abs() <= quant.scale / 2.0 {
        return Activation::Relu6;
    }
    clamp(codes.min, codes.max)
}

/// One clamp that does what `first` and then `second` do; `None` if one of them is no clamp.
pub fn both_clamps(first: Activation, second: Activation) -> Option<Activation> {
    let ((low, high), (least, most)) = (first.clamp_bounds()?, second.clamp_bounds()?);
    let limit = |v: f32| v.max(least).min(most);
    Some(match (first, second) {
        (Activation::None, only) | (only, Activation::None) => only,
        _ => clamp(limit(low), limit(high)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{BatchNorm, LocalResponseNorm, Shape, Window};

    fn interval(min: f32, max: f32) -> Interval {
        Interval { min, max }
    }

    /// Every function against its values at many places of the interval.
    #[test]
    fn functions_stay_in_their_intervals() {
        let functions = [
            Activation::None,
            Activation::Relu,
            Activation::Relu6,
            Activation::LeakyRelu(0.1),
            Activation::LeakyRelu(-0.5),
            Activation::LeakyRelu(0.0),
            Activation::Sigmoid,
            Activation::HardSigmoid,
            Activation::Silu,
            Activation::HardSwish,
            Activation::Tanh,
            Activation::Clip(-0.4, 0.7),
        ];
        let ends = [
            (-9.0, 9.0),
            (-9.0, -2.0),
            (-2.0, -1.4),
            (-1.0, 0.5),
            (0.5, 7.0),
            (2.0, 2.0),
        ];
        for function in functions {
            for (min, max) in ends {
                let at = |i: i16| function.apply(min + (max - min) * f32::from(i) / 4000.0);
                let seen = Interval::of((0..=4000).map(at));
                let said = interval(min, max).through(function);
                assert!(
                    said.is_near(seen, 1e-3),
                    "{function:?} of {min} to {max}: {said:?}, {seen:?}"
                );
            }
            let all = Interval::ALL.through(function);
            assert!(!all.min.is_nan() && !all.max.is_nan());
        }
        assert_eq!(
            Interval::ALL.through(Activation::HardSwish),
            interval(-0.375, f32::INFINITY)
        );
        assert_eq!(Interval::ALL.through(Activation::Tanh), interval(-1.0, 1.0));
        assert_eq!(
            Interval::ALL.through(Activation::LeakyRelu(0.0)),
            interval(0.0, f32::INFINITY)
        );
    }

    #[test]
    fn operators() {
        let mut g = Graph::new(Shape::new(4, 4, 2));
        let clip = |low, high| Op::Activation(Activation::Clip(low, high));
        let a = g.push("a", clip(-1.0, 2.0), &[0]).unwrap();
        let b = g.push("b", clip(0.5, 1.0), &[0]).unwrap();
        let norm = BatchNorm {
            gamma: vec![2.0, -1.0],
            beta: vec![1.0, 0.0],
            mean: vec![0.5, 0.0],
            variance: vec![4.0, 1.0],
            epsilon: 0.0,
        };
        let padded = Window {
            kernel: [2, 2],
            pad_before: [1, 1],
            ..Window::POINT
        };
        let lrn = LocalResponseNorm {
            size: 3,
            alpha: 1.0,
            beta: 0.5,
            bias: 4.0,
        };
        let average = |count_padding| Op::AvgPool {
            window: padded,
            count_padding,
        };
        let pad = Op::Pad {
            before: [1, 0, 0],
            after: [0; 3],
        };
        for (op, inputs, expected) in [
            (Op::Add(Activation::None), vec![a, b], (-0.5, 3.0)),
            (Op::Add(Activation::Relu), vec![a, b], (0.0, 3.0)),
            (Op::Mul, vec![a, b], (-1.0, 2.0)),
            (Op::Mul, vec![a, a], (-2.0, 4.0)),
            (Op::Concat, vec![a, b], (-1.0, 2.0)),
            (Op::BatchNorm(norm), vec![a], (-2.0, 2.5)),
            (Op::MaxPool(padded), vec![b], (0.5, 1.0)),
            (average(false), vec![b], (0.5, 1.0)),
            (average(true), vec![b], (0.0, 1.0)),
            (pad, vec![b], (0.0, 1.0)),
            (Op::Shuffle { groups: 2 }, vec![b], (0.5, 1.0)),
            (Op::PRelu(vec![0.5, -3.0]), vec![a], (-0.5, 3.0)),
            (Op::LocalResponseNorm(lrn), vec![a], (-0.5, 1.0)),
            (Op::Mul, vec![0, b], (f32::NEG_INFINITY, f32::INFINITY)),
        ] {
            let name = op.name();
            let id = g.push(name, op, &inputs).unwrap();
            assert_eq!(
                Bounds::default().of(&g, id),
                interval(expected.0, expected.1),
                "{name}"
            );
        }
        g.nodes[0].quant = Some(Quant {
            scale: 0.5,
            zero_point: -128,
        });
        assert_eq!(Bounds::default().of(&g, 0), interval(0.0, 127.5));
    }

    #[test]
    fn codes_as_clamps() {
        let quant = |scale, zero_point| Quant { scale, zero_point };
        assert_eq!(
            saturation(quant(2.0 / 255.0, -1)),
            Activation::Clip(-127.0 * (2.0 / 255.0), 128.0 * (2.0 / 255.0))
        );
        assert_eq!(saturation(quant(0.023_528, -128)), Activation::Relu6);
        assert_eq!(
            saturation(quant(0.03, -128)),
            Activation::Clip(0.0, 0.03 * 255.0)
        );
        assert!(interval(-0.5, 255.5).fits(quant(1.0, -128)));
        assert!(!interval(-0.6, 255.0).fits(quant(1.0, -128)));
        assert!(!interval(0.0, 255.6).fits(quant(1.0, -128)));
        assert!(!Interval::ALL.fits(quant(1e30, 0)));
        let clip = Activation::Clip;
        assert_eq!(
            both_clamps(clip(-1.0, 1.0), Activation::Relu),
            Some(clip(0.0, 1.0))
        );
        assert_eq!(
            both_clamps(Activation::Relu, clip(-1.0, 6.0)),
            Some(Activation::Relu6)
        );
        assert_eq!(
            both_clamps(clip(0.0, 1.0), clip(2.0, 3.0)),
            Some(clip(2.0, 2.0))
        );
        assert_eq!(
            both_clamps(Activation::None, clip(0.0, 6.0)),
            Some(clip(0.0, 6.0))
        );
        assert_eq!(both_clamps(Activation::Tanh, Activation::Relu), None);
    }
}
