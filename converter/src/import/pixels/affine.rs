//! Follows the first layers of a network as long as they only scale and shift each channel of the input.

use crate::graph::{BatchNorm, ConvWeights, Graph, NodeId, Op, Quant, Window};
use edge_runtime::model::Activation;

/// A channel that is `gain * x + offset` of a channel `x` of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane {
    /// The input's channel.
    pub source: usize,
    /// The factor.
    pub gain: f64,
    /// The offset.
    pub offset: f64,
}

/// What happens to the input before the first layer that mixes its values.
#[derive(Clone, Debug)]
pub struct Start {
    /// The node that the mixing layer reads.
    pub end: NodeId,
    /// The channels that enter that layer.
    pub lanes: Vec<Lane>,
    /// The layers before it, in order.
    pub steps: Vec<Step>,
    /// The first quantization, of the input or of a later value, and that value's channels.
    pub quantized: Option<(Quant, Vec<Lane>)>,
    /// The bounds of the first clip, if no quantization comes before it, and the channels that it clips.
    pub clipped: Option<([f32; 2], Vec<Lane>)>,
}

/// A layer that scales and shifts each channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Only an offset.
    Shift,
    /// Only a factor.
    Scale,
    /// Both, from constants.
    Both,
    /// A batch norm, with the running statistics of its training.
    BatchNorm {
        /// Running mean.
        mean: Vec<f32>,
        /// Running variance.
        variance: Vec<f32>,
    },
}

impl Start {
    /// Follows `graph` from its input. `None` if several layers read the input and treat it differently.
    pub fn of(graph: &Graph) -> Option<Self> {
        let channels = graph.input_shape().c as usize;
        if !matches!(channels, 1 | 3) {
            return None;
        }
        let mut lanes: Vec<Option<Vec<Lane>>> = vec![];
        let mut last: Option<NodeId> = None;
        for (id, node) in graph.nodes.iter().enumerate() {
            let inputs: Option<Vec<&[Lane]>> =
                node.inputs.iter().map(|&i| lanes[i].as_deref()).collect();
            let own = match id {
                0 => Some((0..channels).map(Lane::of).collect()),
                _ => inputs.and_then(|inputs| through(&node.op, &inputs, node.shape.c)),
            };
            if own.is_none() {
                for &input in node.inputs.iter().filter(|&&i| lanes[i].is_some()) {
                    match last {
                        Some(other) if other != input => return None,
                        _ => last = Some(input),
                    }
                }
            }
            lanes.push(own);
        }
        let last = last.unwrap_or(graph.output);
        let mut path = vec![last];
        while let Some(&before) = path.last().and_then(|&id| graph.nodes[id].inputs.first()) {
            path.push(before);
        }
        path.reverse();
        let quantized = path.iter().find_map(|&id| {
            let quant = graph.nodes[id].quant?;
            Some((quant, lanes[id].clone()?))
        });
        let clip =
            |&&id: &&NodeId| matches!(graph.nodes[id].op, Op::Activation(Activation::Clip(..)));
        let codes = path.iter().position(|&id| graph.nodes[id].quant.is_some());
        let clipped = path[..codes.unwrap_or(path.len())]
            .iter()
            .find(clip)
            .and_then(|&id| {
                let Op::Activation(Activation::Clip(low, high)) = graph.nodes[id].op else {
                    return None;
                };
                Some(([low, high], lanes[id].clone()?))
            });
        Some(Self {
            clipped,
            end: last,
            lanes: lanes[last].take()?,
            steps: path
                .iter()
                .filter_map(|&id| step(&graph.nodes[id].op))
                .collect(),
            quantized,
        })
    }

    /// True if the values do not change.
    pub fn is_plain(&self) -> bool {
        let plain = |l: &Lane| (l.gain - 1.0).abs() < 1e-6 && l.offset.abs() < 1e-6;
        self.lanes.iter().all(plain)
    }
}

impl Lane {
    fn of(source: usize) -> Self {
        Self {
            source,
            gain: 1.0,
            offset: 0.0,
        }
    }

    /// Applies `gain * x + offset` to this channel.
    fn then(self, gain: f64, offset: f64) -> Self {
        Self {
            source: self.source,
            gain: self.gain * gain,
            offset: self.offset * gain + offset,
        }
    }

    /// What two values of the input become, the lower one first.
    pub fn image(&self, [low, high]: [f32; 2]) -> [f64; 2] {
        let of = |x: f32| self.gain * f64::from(x) + self.offset;
        let (a, b) = (of(low), of(high));
        [a.min(b), a.max(b)]
    }

    /// The input values that become these two, the lower one first.
    pub fn before(&self, [low, high]: [f64; 2]) -> [f64; 2] {
        let of = |y: f64| (y - self.offset) / self.gain;
        let (a, b) = (of(low), of(high));
        [a.min(b), a.max(b)]
    }
}

/// The channels after `op`; `None` if it mixes them.
fn through(op: &Op, inputs: &[&[Lane]], channels: u32) -> Option<Vec<Lane>> {
    let (&first, rest) = inputs.split_first()?;
    match op {
        Op::BatchNorm(b) => Some(
            first
                .iter()
                .enumerate()
                .map(|(c, lane)| {
                    let (gain, offset) = norm(b, c);
                    lane.then(gain, offset)
                })
                .collect(),
        ),
        // A clamp before any other layer comes from a quantization.
        Op::Activation(Activation::None | Activation::Clip(..)) => Some(first.to_vec()),
        Op::Slice { start, .. } => {
            let from = start[2] as usize;
            first
                .get(from..from + channels as usize)
                .map(<[Lane]>::to_vec)
        }
        // A layer that adds channels is no normalization.
        Op::Concat if channels <= 3 => Some(
            rest.iter()
                .fold(first.to_vec(), |all, more| [all, more.to_vec()].concat()),
        ),
        Op::Conv(conv) => diagonal(conv, first),
        _ => None,
    }
}

/// Factor and offset of a channel.
fn norm(b: &BatchNorm, c: usize) -> (f64, f64) {
    let [gamma, beta, mean, variance] =
        [&b.gamma, &b.beta, &b.mean, &b.variance].map(|v| f64::from(v[c]));
    let gain = gamma / (variance + f64::from(b.epsilon)).sqrt();
    (gain, beta - mean * gain)
}

/// A 1x1 convolution in which each output channel reads one input channel. It is a normalization.
fn diagonal(conv: &ConvWeights, x: &[Lane]) -> Option<Vec<Lane>> {
    if conv.window != Window::POINT
        || conv.out_channels != x.len()
        || conv.activation != Activation::None
    {
        return None;
    }
    let per_group = x.len() / conv.groups;
    let outputs_per_group = conv.out_channels / conv.groups;
    let filters = conv.weights.chunks_exact(per_group).enumerate();
    filters
        .map(|(out, filter)| {
            let mut used = filter.iter().enumerate().filter(|(_, w)| **w != 0.0);
            let (at, &w) = used.next().filter(|_| used.next().is_none())?;
            let lane = x[out / outputs_per_group * per_group + at];
            Some(lane.then(w.into(), conv.bias[out].into()))
        })
        .collect()
}

/// The kind of layer; `None` if it changes nothing.
fn step(op: &Op) -> Option<Step> {
    match op {
        Op::BatchNorm(b) if b.epsilon != 0.0 => Some(Step::BatchNorm {
            mean: b.mean.clone(),
            variance: b.variance.clone(),
        }),
        Op::BatchNorm(b) if b.gamma.iter().all(|g| *g == 1.0) => Some(Step::Shift),
        Op::BatchNorm(b) if b.beta.iter().all(|v| *v == 0.0) => Some(Step::Scale),
        Op::BatchNorm(_) | Op::Conv(_) => Some(Step::Both),
        _ => None,
    }
}
