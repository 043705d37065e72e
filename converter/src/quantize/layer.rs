//! The integers of one layer: all that a device needs of it besides shapes.

use super::activation::{clamp, table};
use super::assign::Quants;
use super::error::{Problem, QuantizeError};
use super::multiplier::{common_shift, requantize_factor, rescale, scaled};
use super::norm::Table as NormTable;
use super::weights::quantize_weights;
use crate::graph::{Activation, ConvWeights, Graph, NodeId, Op, Quant, Window};
use edge_runtime::model::Rescale;

/// An operator of the trunk in int8. Inputs are in the order of the graph. `docs/reference/arithmetic.md`
/// says what the numbers do.
#[derive(Clone, Debug, PartialEq)]
pub enum QuantizedOp {
    /// Convolution, depthwise and fully connected ones included.
    Conv(QuantizedConv),
    /// Element by element: the output's code for every code of the input from -128 to 127.
    Table(Box<[i8; 256]>),
    /// Maximum over a window.
    MaxPool {
        /// The window.
        window: Window,
    },
    /// Mean over a window.
    AvgPool {
        /// The window.
        window: Window,
        /// True if padding counts in the divisor.
        count_padding: bool,
        /// One, or one for every number of elements from 1 to the window's area.
        multipliers: Vec<i32>,
        /// Of every product with a multiplier.
        shift: u8,
    },
    /// Sum of two tensors.
    Add {
        /// One per input.
        multipliers: [i32; 2],
        /// Of both products.
        shift: u8,
        /// Least and largest code of the output.
        clamp: [i8; 2],
    },
    /// Concatenation along channels.
    Concat {
        /// One per input.
        rescale: Vec<Rescale>,
    },
    /// A strided part of the input.
    Slice {
        /// First row, column, channel.
        start: [u32; 3],
        /// Step of rows and columns.
        step: [u32; 2],
    },
    /// Zeros around the input.
    Pad {
        /// Rows, columns, channels before.
        before: [u32; 3],
        /// Rows, columns, channels after.
        after: [u32; 3],
    },
    /// Product of two tensors, or of a map and a number per channel.
    Mul {
        /// Of every product.
        multiplier: i32,
        /// Of every product with the multiplier.
        shift: u8,
    },
    /// `x` if positive, else the channel's slope times `x`.
    PRelu {
        /// Multiplier per channel for negative values.
        slopes: Vec<i32>,
        /// Multiplier for positive values.
        positive: i32,
        /// Of every product with a multiplier.
        shift: u8,
    },
    /// Local response normalization.
    LocalResponseNorm {
        /// Channels in the sum.
        size: u32,
        /// Factor by the sum of squares.
        table: NormTable,
    },
    /// Channel shuffle.
    Shuffle {
        /// Rows of the matrix of channels.
        groups: u32,
    },
}

/// A convolution in int8.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedConv {
    /// The window.
    pub window: Window,
    /// Channel groups.
    pub groups: usize,
    /// OHWI: `[out_channels][kernel rows][kernel columns][input channels / groups]`, from -127 to 127.
    pub weights: Vec<i8>,
    /// One per output channel, in steps of its sum. The input's zero point is folded in.
    pub bias: Vec<i32>,
    /// One per output channel: from its sum to the output's steps, with `shift`.
    pub multiplier: Vec<i32>,
    /// One per output channel.
    pub shift: Vec<u8>,
    /// Least and largest code of the output.
    pub clamp: [i8; 2],
}

/// Quantizes node `id` of a simplified graph. `means` are those of every node's channels, as calibration saw
/// them.
///
/// # Errors
/// If a number does not fit the format.
///
/// # Panics
/// If the node is the input or a batch norm.
pub fn quantize_layer(
    graph: &Graph,
    quants: &Quants,
    means: &[Vec<f32>],
    id: NodeId,
) -> Result<QuantizedOp, QuantizeError> {
    let node = &graph.nodes[id];
    let layer = Layer {
        inputs: node.inputs.iter().map(|&i| quants.of(i)).collect(),
        output: quants.of(id),
    };
    let op = match &node.op {
        Op::Conv(conv) => layer.conv(conv, &means[node.inputs[0]]),
        Op::Activation(activation) => Ok(QuantizedOp::Table(Box::new(table(
            *activation,
            layer.inputs[0],
            layer.output,
        )))),
        Op::MaxPool(window) => Ok(QuantizedOp::MaxPool { window: *window }),
        Op::AvgPool {
            window,
            count_padding,
        } => layer.avg_pool(window, *count_padding),
        Op::Add(activation) => layer.add(*activation),
        Op::Concat => layer.concat(),
        Op::Slice { start, step, .. } => Ok(QuantizedOp::Slice {
            start: *start,
            step: *step,
        }),
        Op::Pad { before, after } => Ok(QuantizedOp::Pad {
            before: *before,
            after: *after,
        }),
        Op::Mul => layer.mul(),
        Op::PRelu(slopes) => layer.prelu(slopes),
        Op::LocalResponseNorm(norm) => {
            let step = layer.inputs[0].scale as f64;
            Ok(QuantizedOp::LocalResponseNorm {
                size: norm.size,
                table: NormTable::new(norm, node.shape.c, step, layer.factor(0)),
            })
        }
        Op::Shuffle { groups } => Ok(QuantizedOp::Shuffle { groups: *groups }),
        Op::Input | Op::BatchNorm(_) => {
            unreachable!("{} is not a layer of a simplified graph", node.op.name())
        }
    };
    op.map_err(|problem| problem.at(graph, id))
}

/// What a layer's codes stand for.
struct Layer {
    inputs: Vec<Quant>,
    output: Quant,
}

impl Layer {
    /// Steps of the output that one step of input `i` is.
    fn factor(&self, i: usize) -> f64 {
        self.inputs[i].scale as f64 / self.output.scale as f64
    }

    fn conv(&self, conv: &ConvWeights, input_means: &[f32]) -> Result<QuantizedOp, Problem> {
        let q = quantize_weights(conv, self.inputs[0], input_means)?;
        let (mut multiplier, mut shift) = (Vec::new(), Vec::new());
        for (c, scale) in q.accumulator_scale.iter().enumerate() {
            let factor = *scale as f64 / self.output.scale as f64;
            let why =
                "its weights are too large for its output's range; calibrate on other pictures";
            let (m, n) = requantize_factor(factor).ok_or(Problem::of_channel(c, why))?;
            multiplier.push(m);
            shift.push(n);
        }
        Ok(QuantizedOp::Conv(QuantizedConv {
            window: conv.window,
            groups: conv.groups,
            weights: q.weights,
            bias: q.bias,
            multiplier,
            shift,
            clamp: clamp(conv.activation, self.output),
        }))
    }

    fn avg_pool(&self, window: &Window, count_padding: bool) -> Result<QuantizedOp, Problem> {
        let area = (window.kernel[0] * window.kernel[1]) as usize;
        let (full, shift) = mean(self.inputs[0], self.output, area)?;
        let multipliers = if count_padding || window.is_unpadded() {
            vec![full]
        } else {
            (1..=area)
                .map(|count| scaled(self.factor(0) / count as f64, shift))
                .collect()
        };
        Ok(QuantizedOp::AvgPool {
            window: *window,
            count_padding,
            multipliers,
            shift,
        })
    }

    fn add(&self, activation: Activation) -> Result<QuantizedOp, Problem> {
        let factors = [0, 1].map(|i| self.factor(i));
        let shift = common_shift(factors[0].max(factors[1]), 2f64.powi(21))
            .ok_or(Problem::UNREACHABLE_SCALE)?;
        Ok(QuantizedOp::Add {
            multipliers: factors.map(|f| scaled(f, shift)),
            shift,
            clamp: clamp(activation, self.output),
        })
    }

    fn concat(&self) -> Result<QuantizedOp, Problem> {
        let one = |i: usize| rescale(self.factor(i)).ok_or(Problem::UNREACHABLE_SCALE);
        let rescale = (0..self.inputs.len()).map(one).collect::<Result<_, _>>()?;
        Ok(QuantizedOp::Concat { rescale })
    }

    fn mul(&self) -> Result<QuantizedOp, Problem> {
        let factor = self.factor(0) * self.inputs[1].scale as f64;
        let (multiplier, shift) = requantize_factor(factor).ok_or(Problem::UNREACHABLE_SCALE)?;
        Ok(QuantizedOp::Mul { multiplier, shift })
    }

    fn prelu(&self, slopes: &[f32]) -> Result<QuantizedOp, Problem> {
        let steepest = slopes.iter().fold(1f32, |m, s| m.max(s.abs())) as f64;
        let factor = self.factor(0);
        let shift =
            common_shift(factor * steepest, 2f64.powi(22)).ok_or(Problem::UNREACHABLE_SCALE)?;
        let slopes = slopes.iter().map(|s| scaled(factor * *s as f64, shift));
        Ok(QuantizedOp::PRelu {
            slopes: slopes.collect(),
            positive: scaled(factor, shift),
            shift,
        })
    }
}

/// Multiplier and shift of a mean over `count` elements. The shift leaves room for every smaller divisor too.
pub fn mean(input: Quant, output: Quant, count: usize) -> Result<(i32, u8), Problem> {
    let factor = input.scale as f64 / output.scale as f64;
    // `multiplier * count * 255` has to stay below 2^30, after rounding the multiplier up.
    let shift = common_shift(factor, (2f64.powi(30) / 255.0 - count as f64) * 0.999)
        .ok_or(Problem::UNREACHABLE_SCALE)?;
    Ok((scaled(factor / count as f64, shift), shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{LocalResponseNorm, Shape};

    fn quant(scale: f32) -> Quant {
        Quant {
            scale,
            zero_point: 0,
        }
    }

    /// Quantizes one operator whose inputs (2x2x2) and output have these scales.
    fn numbers(op: Op, inputs: &[f32], output: f32) -> Result<QuantizedOp, QuantizeError> {
        let mut g = Graph::new(Shape::new(2, 2, 2));
        let mut quants = vec![quant(1.0)];
        let mut nodes = vec![];
        for scale in inputs {
            let copy = Op::Activation(Activation::None);
            nodes.push(g.push(format!("{}", nodes.len()), copy, &[0]).unwrap());
            quants.push(quant(*scale));
        }
        let id = g.push("op", op, &nodes).unwrap();
        quants.push(quant(output));
        let means = vec![vec![]; g.nodes.len()];
        quantize_layer(&g, &Quants::new(quants), &means, id)
    }

    fn real(multiplier: i32, shift: u8) -> f64 {
        multiplier as f64 / 2f64.powi(shift as i32)
    }

    #[test]
    fn a_sum_has_one_shift_for_both_inputs() {
        let op = numbers(Op::Add(Activation::Relu), &[0.5, 0.125], 0.25).unwrap();
        let QuantizedOp::Add {
            multipliers: [a, b],
            shift,
            clamp,
        } = op
        else {
            panic!("{op:?}")
        };
        assert_eq!((real(a, shift), real(b, shift)), (2.0, 0.5));
        assert_eq!((a, clamp), (1 << 21, [0, 127]));
    }

    #[test]
    fn every_part_of_a_concatenation_is_rescaled() {
        let op = numbers(Op::Concat, &[0.5, 0.25, 0.125], 0.25).unwrap();
        let QuantizedOp::Concat { rescale } = op else {
            panic!("{op:?}")
        };
        let factors: Vec<f64> = rescale
            .iter()
            .map(|r| real(r.multiplier, r.shift))
            .collect();
        assert_eq!(factors, [2.0, 1.0, 0.5]);
    }

    #[test]
    fn a_product_multiplies_the_scales() {
        let op = numbers(Op::Mul, &[0.5, 0.25], 2.0).unwrap();
        let QuantizedOp::Mul { multiplier, shift } = op else {
            panic!("{op:?}")
        };
        // The nearest with 24 bits whose last one is set.
        assert_eq!(real(multiplier, shift), 0.0625 * (1.0 + 2f64.powi(-23)));
    }

    #[test]
    fn a_slope_can_be_steeper_than_one() {
        let op = numbers(Op::PRelu(vec![-0.5, 4.0]), &[0.5], 0.25).unwrap();
        let QuantizedOp::PRelu {
            slopes,
            positive,
            shift,
        } = op
        else {
            panic!("{op:?}")
        };
        assert_eq!(real(positive, shift), 2.0);
        assert_eq!(
            (real(slopes[0], shift), real(slopes[1], shift)),
            (-1.0, 8.0)
        );
    }

    #[test]
    fn a_mean_with_padding_has_a_multiplier_for_every_count() {
        let window = Window {
            kernel: [3; 2],
            pad_before: [1; 2],
            pad_after: [1; 2],
            ..Window::POINT
        };
        for count_padding in [false, true] {
            let op = Op::AvgPool {
                window,
                count_padding,
            };
            let op = numbers(op, &[0.5], 0.25).unwrap();
            let QuantizedOp::AvgPool {
                multipliers, shift, ..
            } = op
            else {
                panic!("{op:?}")
            };
            assert_eq!(multipliers.len(), if count_padding { 1 } else { 9 });
            let last = real(*multipliers.last().unwrap(), shift);
            assert!((last - 2.0 / 9.0).abs() < 1e-6, "{last}");
            assert!(*multipliers.iter().max().unwrap() as i64 * 255 < 1 << 30);
        }
    }

    #[test]
    fn operators_that_only_pick_have_no_numbers() {
        let pad = Op::Pad {
            before: [1, 2, 3],
            after: [0; 3],
        };
        let wanted = QuantizedOp::Pad {
            before: [1, 2, 3],
            after: [0; 3],
        };
        assert_eq!(numbers(pad, &[1.0], 1.0).unwrap(), wanted);
        let pool = numbers(Op::MaxPool(Window::POINT), &[1.0], 1.0).unwrap();
        assert_eq!(
            pool,
            QuantizedOp::MaxPool {
                window: Window::POINT
            }
        );
        let shuffle = numbers(Op::Shuffle { groups: 2 }, &[1.0], 1.0).unwrap();
        assert_eq!(shuffle, QuantizedOp::Shuffle { groups: 2 });
    }

    #[test]
    fn an_activation_is_a_table() {
        let tanh = Op::Activation(Activation::Tanh);
        let op = numbers(tanh, &[1.0], 0.0078125).unwrap();
        let QuantizedOp::Table(table) = op else {
            panic!("{op:?}")
        };
        // Code 0 is entry 128; tanh(1) is 0.7616, 97.5 steps.
        assert_eq!((table[0], table[128], table[129]), (-128, 0, 97));
    }

    #[test]
    fn a_local_response_norm_knows_its_scales() {
        let norm = LocalResponseNorm {
            size: 2,
            alpha: 0.0,
            beta: 0.75,
            bias: 1.0,
        };
        let op = numbers(Op::LocalResponseNorm(norm), &[0.5], 0.25).unwrap();
        let QuantizedOp::LocalResponseNorm { size, table } = op else {
            panic!("{op:?}")
        };
        assert_eq!(size, 2);
        assert!(table.factors.iter().all(|f| real(*f, table.shift) == 2.0));
    }

    #[test]
    fn scales_that_are_too_far_apart_are_refused() {
        for op in [Op::Add(Activation::None), Op::Concat, Op::Mul] {
            let error = numbers(op, &[1e9, 1e9], 1e-9).unwrap_err().to_string();
            assert!(error.starts_with("node 'op': its scale"), "{error}");
        }
        let conv = ConvWeights {
            window: Window::POINT,
            groups: 1,
            out_channels: 2,
            weights: vec![0.0, 0.0, 1e9, 1e9],
            bias: vec![0.0; 2],
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        };
        let error = numbers(Op::Conv(conv), &[1.0], 1e-9)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("node 'op', channel 1: its weights"),
            "{error}"
        );
    }

    #[test]
    fn a_convolution_goes_from_its_sum_to_the_output() {
        let conv = ConvWeights {
            window: Window::POINT,
            groups: 1,
            out_channels: 1,
            weights: vec![1.27, -1.27],
            bias: vec![0.0],
            activation: Activation::Relu6,
            statistics: None,
            weight_scales: None,
        };
        let op = numbers(Op::Conv(conv), &[0.5], 0.1).unwrap();
        let QuantizedOp::Conv(conv) = op else {
            panic!("{op:?}")
        };
        // A step of the sum is 0.01 * 0.5, a twentieth of the output's.
        let factor = real(conv.multiplier[0], conv.shift[0]);
        assert!((factor - 0.05).abs() < 1e-6, "{factor}");
        assert_eq!((conv.weights, conv.clamp), (vec![127, -127], [0, 60]));
    }
}
