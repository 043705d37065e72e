//! Writes an int8 model: weights per output channel, everything else from the tensors' quantization.

use super::norm::Table as NormTable;
use super::{About, LowerError, Lowering, depthwise_layout, head, is_depthwise};
use crate::graph::{ConvWeights, Graph, LocalResponseNorm, NodeId, Op as Node, Window};
use crate::passes::redirect;
use crate::quantize::assign::Quants;
use crate::quantize::multiplier::{common_shift, requantize_factor, rescale, scaled};
use edge_runtime::head::Int8Layers;
use edge_runtime::head::file::MAX_CLASS_SCALE;
use edge_runtime::head::file::{NewData, NewHead, Pool};
use edge_runtime::model::write::Writer;
use edge_runtime::model::{
    Activation, AlignedBytes, ConvData, DType, Layer, MapFunction, Op, Quant, Trunk,
};

/// The file of `graph` in int8.
pub fn write(
    graph: &Graph,
    quants: &Quants,
    about: &About<'_>,
) -> Result<AlignedBytes, LowerError> {
    let lowering = Lowering::new(graph, DType::I8.size())?;
    let mut writer = Writer::default();
    for &id in &lowering.split.layers {
        let inputs = lowering.inputs(id)?;
        let context = Context {
            graph,
            quants,
            id,
            inputs: &inputs,
        };
        let op = context.op(&mut writer)?;
        writer.layer(&Layer {
            name: lowering.name(id),
            op,
            inputs: inputs
                .iter()
                .map(|&i| lowering.operand(i, quants.of(i)))
                .collect(),
            output: lowering.operand(id, quants.of(id)),
        });
    }
    let trunk = Trunk {
        dtype: DType::I8,
        input: lowering.operand(0, quants.of(0)),
        arena_bytes: lowering.plan.arena_bytes as u32,
        layers: 0,
        packing: None,
    };
    writer.output(&lowering.output(about.function), about.check.as_ref());
    let Some(nodes) = lowering.split.head else {
        return Ok(writer.finish(&about.manifest, trunk, None)?);
    };
    let map_node = lowering.split.output();
    let map = quants.of(map_node);
    let (pool, feature) = match nodes.pool {
        None => (Pool::Flatten, map),
        Some(id) => {
            let shape = graph.nodes[map_node].shape;
            let quant = quants.of(id);
            let (m, shift) = mean(map, quant, (shape.h * shape.w) as usize).ok_or_else(|| {
                number(graph, id, 0, "its scale cannot be reached from its input's")
            })?;
            (
                Pool::Avg {
                    multiplier: m,
                    shift,
                },
                quant,
            )
        }
    };
    let labels = head::fitting(about.labels, &lowering);
    let Some((record, dense)) = head::record(&lowering, pool, map, feature, labels) else {
        return Ok(writer.finish(&about.manifest, trunk, None)?);
    };
    let means = quants.means(graph.nodes[nodes.dense].inputs[0]);
    let q = quantize_weights(graph, nodes.dense, dense, feature, means)?;
    let data = NewData::I8(Int8Layers {
        hidden: None,
        weights: &q.weights,
        bias: &q.bias,
        scale: &q.accumulator_scale,
    });
    let head = NewHead {
        trunk_sha256: [0; 32],
        record,
        data,
    };
    Ok(writer.finish(&about.manifest, trunk, Some(head))?)
}

/// The graph without clamps that change no code: what they read has their quantization, and saturates there
/// by itself. Nodes keep their numbers; those that are left out read nothing.
pub fn without_idle_clamps(mut graph: Graph, quants: &Quants) -> Graph {
    for id in 1..graph.nodes.len() {
        let Node::Activation(function) = graph.nodes[id].op else {
            continue;
        };
        let (before, quant) = (graph.nodes[id].inputs[0], quants.of(id));
        let is_idle = function.clamp_bounds().is_some()
            && quants.of(before) == quant
            && clamp(function, quant) == [i8::MIN, i8::MAX];
        // A network is more than its input.
        if is_idle && (before, graph.output) != (0, id) {
            redirect(&mut graph, id, before);
            graph.nodes[id].inputs.clear();
        }
    }
    graph
}

/// int8 weights of a convolution, and what its accumulators stand for.
struct QuantizedWeights {
    weights: Vec<i8>,
    bias: Vec<i32>,
    /// Real value of one accumulator step, per output channel.
    accumulator_scale: Vec<f32>,
}

/// Symmetric int8 weights per output channel; the bias with the input's zero point folded in. Weights
/// that were int8 in the source stay what they were there.
///
/// The bias also takes back what rounding the weights adds to the output on average: the sum over the
/// taps of the rounding error times `input_means`, the mean of the input's channels (bias correction,
/// Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019).
///
/// Proves that no accumulator can overflow: `|bias| + 128 * sum|w|` stays below 2^31.
fn quantize_weights(
    graph: &Graph,
    id: NodeId,
    conv: &ConvWeights,
    input: Quant,
    input_means: &[f32],
) -> Result<QuantizedWeights, LowerError> {
    let per_channel = conv.weights.len() / conv.out_channels;
    let mut out = QuantizedWeights {
        weights: vec![],
        bias: vec![],
        accumulator_scale: vec![],
    };
    for (c, filter) in conv.weights.chunks_exact(per_channel).enumerate() {
        let mut bias = conv.bias[c] as f64;
        if !bias.is_finite() || filter.iter().any(|w| !w.is_finite()) {
            return Err(number(
                graph,
                id,
                c,
                "a weight is not a finite number; the network is broken",
            ));
        }
        let largest = filter.iter().fold(0f32, |m, w| m.max(w.abs())) as f64;
        // A channel of (nearly) zero weights still has to represent its bias. So has one whose given step
        // became (nearly) zero, because a batch norm that was folded in has switched it off.
        let for_bias = bias.abs() / (input.scale as f64 * (1 << 28) as f64);
        // Zeros are whole multiples of any step; a coarse one would only round the bias.
        let given = conv
            .weight_scales
            .as_ref()
            .map(|scales| scales[c] as f64)
            .filter(|_| largest > 0.0);
        let scale = given.unwrap_or(largest / 127.0).max(for_bias).max(1e-30);
        let weights = filter
            .iter()
            .map(|w| (*w as f64 / scale).round().clamp(-127.0, 127.0) as i8);
        out.weights.extend(weights);
        let weights = &out.weights[out.weights.len() - per_channel..];
        if given.is_none() {
            bias -= mean_error(conv, c, filter, weights, scale, input_means);
        }
        let sum: i64 = weights.iter().map(|w| *w as i64).sum();
        let magnitude: i64 = weights.iter().map(|w| w.unsigned_abs() as i64).sum();
        let accumulator_scale = scale * input.scale as f64;
        let folded = (bias / accumulator_scale).round() as i64;
        let folded = folded.saturating_sub(input.zero_point as i64 * sum);
        if folded.saturating_abs().saturating_add(128 * magnitude) > i32::MAX as i64 {
            return Err(number(
                graph,
                id,
                c,
                "its sum can overflow 32 bits; the layer is too wide for int8",
            ));
        }
        if accumulator_scale > f64::from(MAX_CLASS_SCALE) {
            return Err(number(
                graph,
                id,
                c,
                "its weights are too large for any picture's sum",
            ));
        }
        out.bias.push(folded as i32);
        out.accumulator_scale.push(accumulator_scale as f32);
    }
    Ok(out)
}

/// What rounding the weights of output channel `c` adds to its output on average.
fn mean_error(
    conv: &ConvWeights,
    c: usize,
    real: &[f32],
    rounded: &[i8],
    scale: f64,
    input_means: &[f32],
) -> f64 {
    // Without a value per input channel (nothing observed, or a flattened map) there is no estimate.
    if input_means.is_empty() || !input_means.len().is_multiple_of(conv.groups) {
        return 0.0;
    }
    let per_group = input_means.len() / conv.groups;
    let group = c / (conv.out_channels / conv.groups);
    let means = &input_means[group * per_group..][..per_group];
    let errors = real
        .iter()
        .zip(rounded)
        .map(|(w, q)| *q as f64 * scale - *w as f64);
    errors
        .zip(means.iter().cycle())
        .map(|(error, mean)| error * *mean as f64)
        .sum()
}

struct Context<'c> {
    graph: &'c Graph,
    quants: &'c Quants,
    id: NodeId,
    /// In the order of the file.
    inputs: &'c [NodeId],
}

impl Context<'_> {
    fn input(&self) -> Quant {
        self.quants.of(self.inputs[0])
    }

    fn output(&self) -> Quant {
        self.quants.of(self.id)
    }

    fn unreachable_scale(&self) -> LowerError {
        number(
            self.graph,
            self.id,
            0,
            "its scale cannot be reached from its input's; calibrate on other pictures",
        )
    }

    fn op(&self, writer: &mut Writer) -> Result<Op, LowerError> {
        let node = &self.graph.nodes[self.id];
        Ok(match &node.op {
            Node::Conv(conv) => self.conv(
                writer,
                conv,
                is_depthwise(&node.op, self.graph.nodes[self.inputs[0]].shape.c),
            )?,
            Node::Activation(activation) => {
                let table = writer.blob(&table(*activation, self.input(), self.output()));
                Op::Map {
                    function: MapFunction::Table(table),
                }
            }
            Node::MaxPool(window) => Op::MaxPool { window: *window },
            Node::AvgPool {
                window,
                count_padding,
            } => self.avg_pool(writer, window, *count_padding)?,
            Node::Add(activation) => self.add(*activation)?,
            Node::Concat => {
                let factor = |&i: &NodeId| {
                    let factor = self.quants.of(i).scale as f64 / self.output().scale as f64;
                    rescale(factor).ok_or_else(|| self.unreachable_scale())
                };
                Op::Concat {
                    rescale: self.inputs.iter().map(factor).collect::<Result<_, _>>()?,
                }
            }
            Node::Slice { start, step, .. } => Op::Slice {
                start: *start,
                step: *step,
            },
            Node::Pad { before, after } => Op::Pad {
                before: *before,
                after: *after,
            },
            Node::Mul => self.mul()?,
            Node::PRelu(slopes) => self.prelu(writer, slopes)?,
            Node::LocalResponseNorm(norm) => self.local_response_norm(writer, norm),
            Node::Shuffle { groups } => Op::Shuffle { groups: *groups },
            Node::Input | Node::BatchNorm(_) => {
                unreachable!("{} is not a layer of a simplified graph", node.op.name())
            }
        })
    }

    fn conv(
        &self,
        writer: &mut Writer,
        conv: &ConvWeights,
        depthwise: bool,
    ) -> Result<Op, LowerError> {
        let means = self.quants.means(self.inputs[0]);
        let q = quantize_weights(self.graph, self.id, conv, self.input(), means)?;
        let (mut multiplier, mut shift) = (Vec::new(), Vec::new());
        for (c, scale) in q.accumulator_scale.iter().enumerate() {
            let factor = *scale as f64 / self.output().scale as f64;
            let (m, n) = requantize_factor(factor).ok_or_else(|| {
                number(
                    self.graph,
                    self.id,
                    c,
                    "its weights are too large for its output's range; calibrate on other pictures",
                )
            })?;
            multiplier.push(m);
            shift.push(n);
        }
        let weights = if depthwise {
            &depthwise_layout(&q.weights, conv.out_channels)
        } else {
            &q.weights
        };
        let data = ConvData::I8 {
            weights: writer.blob(weights),
            bias: writer.blob(&q.bias),
            multiplier: writer.blob(&multiplier),
            shift: writer.blob(&shift),
            clamp: clamp(conv.activation, self.output()),
        };
        Ok(if depthwise {
            Op::DepthwiseConv {
                window: conv.window,
                data,
            }
        } else {
            Op::Conv {
                window: conv.window,
                groups: conv.groups as u32,
                data,
            }
        })
    }

    fn add(&self, activation: Activation) -> Result<Op, LowerError> {
        let factors = [0, 1].map(|i| self.factor(i));
        let limit = 2f64.powi(21);
        let shift = common_shift(factors[0].max(factors[1]), limit)
            .ok_or_else(|| self.unreachable_scale())?;
        Ok(Op::Add {
            multipliers: factors.map(|f| scaled(f, shift)),
            shift,
            clamp: clamp(activation, self.output()),
            activation: Activation::None,
        })
    }

    /// Steps of the output that one step of input `i` is.
    fn factor(&self, i: usize) -> f64 {
        self.quants.of(self.inputs[i]).scale as f64 / self.output().scale as f64
    }

    fn mul(&self) -> Result<Op, LowerError> {
        let other = self.quants.of(self.inputs[1]).scale as f64;
        let (multiplier, shift) =
            requantize_factor(self.factor(0) * other).ok_or_else(|| self.unreachable_scale())?;
        Ok(Op::Mul { multiplier, shift })
    }

    fn prelu(&self, writer: &mut Writer, slopes: &[f32]) -> Result<Op, LowerError> {
        let steepest = slopes.iter().fold(1f32, |m, s| m.max(s.abs())) as f64;
        let factor = self.factor(0);
        let shift = common_shift(factor * steepest, 2f64.powi(22))
            .ok_or_else(|| self.unreachable_scale())?;
        let multipliers: Vec<i32> = slopes
            .iter()
            .map(|s| scaled(factor * *s as f64, shift))
            .collect();
        Ok(Op::PRelu {
            slopes: writer.blob(&multipliers),
            positive: scaled(factor, shift),
            shift,
        })
    }

    fn local_response_norm(&self, writer: &mut Writer, norm: &LocalResponseNorm) -> Op {
        let channels = self.graph.nodes[self.id].shape.c;
        let step = self.input().scale as f64;
        let table = NormTable::new(norm, channels, step, self.factor(0));
        Op::LocalResponseNorm {
            size: norm.size,
            float: [0.0; 3],
            table: writer.blob(&table.factors),
            index_shift: table.octaves.index_shift(),
            shift: table.shift,
        }
    }

    fn avg_pool(
        &self,
        writer: &mut Writer,
        window: &Window,
        count_padding: bool,
    ) -> Result<Op, LowerError> {
        let area = (window.kernel[0] * window.kernel[1]) as usize;
        let (full, shift) =
            mean(self.input(), self.output(), area).ok_or_else(|| self.unreachable_scale())?;
        let multipliers = if count_padding || window.is_unpadded() {
            vec![full]
        } else {
            let factor = self.input().scale as f64 / self.output().scale as f64;
            (1..=area)
                .map(|count| scaled(factor / count as f64, shift))
                .collect()
        };
        Ok(Op::AvgPool {
            window: *window,
            count_padding,
            multipliers: writer.blob(&multipliers),
            shift,
        })
    }
}

/// Multiplier and shift of a mean over `count` elements; leaves room for every smaller divisor too.
fn mean(input: Quant, output: Quant, count: usize) -> Option<(i32, u8)> {
    let factor = input.scale as f64 / output.scale as f64;
    // `multiplier * count * 255` has to stay below 2^30, after rounding the multiplier up.
    let shift = common_shift(factor, (2f64.powi(30) / 255.0 - count as f64) * 0.999)?;
    Some((scaled(factor / count as f64, shift), shift))
}

/// Output bounds of a clamping activation.
fn clamp(activation: Activation, output: Quant) -> [i8; 2] {
    let (low, high) = activation
        .clamp_bounds()
        .unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    let q = |v: f32| {
        (v as f64 / output.scale as f64 + output.zero_point as f64)
            .round()
            .clamp(-128.0, 127.0) as i8
    };
    [q(low), q(high)]
}

/// `output(activation(input(q)))` for every q from -128 to 127.
fn table(activation: Activation, input: Quant, output: Quant) -> [i8; 256] {
    core::array::from_fn(|i| {
        let real = input.scale * (i as f32 - 128.0 - input.zero_point as f32);
        let q = activation.apply(real) as f64 / output.scale as f64 + output.zero_point as f64;
        (q + 0.5).floor().clamp(-128.0, 127.0) as i8
    })
}

fn number(graph: &Graph, id: NodeId, channel: usize, problem: &str) -> LowerError {
    LowerError::Number {
        node: graph.nodes[id].name.clone(),
        channel,
        problem: problem.into(),
    }
}
