//! The quantization of a quantized model: scales and zero points of activations, and scales of weights.
//!
//! ONNX has 8-bit codes between a QuantizeLinear and its DequantizeLinear. The graph has one float value
//! there, and its [`crate::graph::Node::quant`] holds the scale and zero point. uint8 codes become int8 codes
//! by subtracting 128. This module knows no operator but those two.

use super::context::Context;
use super::node::Node;
use super::pb::tensor_proto::DataType;
use super::tensor::Tensor;
use super::value::{Act, Value};
use crate::graph::bounds::{Bounds, saturation};
use crate::graph::{Activation, NodeId, Op, Quant};
use crate::import::ImportError;
use std::collections::HashMap;

/// The largest code of a weight in the graph; the smallest is its negative.
const MAX_WEIGHT: f32 = 127.0;

/// The codes of an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    /// True if the ONNX type is uint8, false if it is int8.
    pub unsigned: bool,
    /// Scale and zero point of the codes as int8. `None` for the network's input, until an operator tells.
    pub quant: Option<Quant>,
}

impl Coding {
    /// The codes of a network's input of this type; `None` if that is no 8-bit type.
    pub fn of_input(kind: DataType) -> Option<Self> {
        let unsigned = kind == DataType::Uint8;
        (unsigned || kind == DataType::Int8).then_some(Self {
            unsigned,
            quant: None,
        })
    }

    /// The zero point in the file's type.
    pub fn zero(self) -> f32 {
        let zero = self.quant.map_or(0, |q| i32::from(q.zero_point));
        (zero + if self.unsigned { 128 } else { 0 }) as f32
    }
}

/// The codes of an activation, from the scale in input `scale` and the zero point in input `zero`. If there
/// is no zero point, it is 0, of type uint8 if `unsigned` is set.
pub fn coding(
    node: &Node,
    scale: usize,
    zero: usize,
    unsigned: bool,
) -> Result<Coding, ImportError> {
    let step = match &node.tensor(scale)?.floats()?[..] {
        [step] => *step,
        many => {
            return Err(
                ImportError::new(format!("{} scales of an activation", many.len()))
                    .hint("quantize activations per tensor; only weights can be per channel"),
            );
        }
    };
    if step <= 0.0 {
        return Err(ImportError::new(format!("a scale of {step}")).hint("the file is damaged"));
    }
    let (unsigned, point) = match node.optional_tensor(zero)? {
        None => (unsigned, 0),
        Some(t) => match (t.kind, t.ints()?) {
            (DataType::Uint8, [p]) => (true, *p),
            (DataType::Int8, [p]) => (false, *p),
            (kind, _) => return Err(other_type(kind)),
        },
    };
    let zero_point = i8::try_from(point - if unsigned { 128 } else { 0 })
        .map_err(|_| ImportError::new(format!("a zero point of {point}")))?;
    Ok(Coding {
        unsigned,
        quant: Some(Quant {
            scale: step,
            zero_point,
        }),
    })
}

/// The error for codes of other than 8 bits, or for several zero points.
pub fn other_type(kind: DataType) -> ImportError {
    ImportError::new(format!("activations quantized to {}", kind.as_str_name()))
        .hint("int8 and uint8 with one zero point per activation are supported")
}

/// The quantization of the values so far.
#[derive(Default)]
pub struct Quantized {
    /// The bounds of the values of each node.
    pub bounds: Bounds,
    /// Nodes that quantize another node: by that node, and the scale's bits and the zero point.
    coded: HashMap<(NodeId, u32, i8), NodeId>,
    /// Layers with weights that 8 bits cannot hold exactly, and the number of those channels.
    stretched: [usize; 2],
    /// The number of layers whose weights do not have one scale per output channel.
    other_axis: usize,
}

impl Quantized {
    /// What a user should know, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![];
        let [layers, channels] = self.stretched;
        if layers > 0 {
            warnings.push(format!(
                "{channels} channels of {layers} layers have weights further than 127 steps from zero \
                 (an asymmetric quantization); int8 rounds those to larger steps"
            ));
        }
        if self.other_axis > 0 {
            warnings.push(format!(
                "the weights of {} layers have other scales than one per output channel; int8 chooses its own",
                self.other_axis
            ));
        }
        warnings
    }
}

/// Quantizes `x` to `coding`.
pub fn quantize(context: &mut Context, x: &Act, coding: Coding) -> Result<Act, ImportError> {
    let node = match coding.quant {
        Some(quant) => coded(context, x.node, quant)?,
        None => x.node,
    };
    Ok(Act {
        node,
        coding: Some(coding),
        ..x.clone()
    })
}

/// The node that holds the value of `node` with the quantization `quant`.
///
/// Quantizing also clamps, and networks rely on it: quantizers remove a ReLU, ReLU6 or other clip if the
/// range of the codes has the same effect. So if the value can leave that range, the graph gets a clamp.
fn coded(context: &mut Context, node: NodeId, quant: Quant) -> Result<NodeId, ImportError> {
    let has = context.graph.nodes[node].quant;
    let fits = context.interval(node).fits(quant);
    if has == Some(quant) || (has.is_none() && fits) {
        context.graph.nodes[node].quant = Some(quant);
        return Ok(node);
    }
    let key = (node, quant.scale.to_bits(), quant.zero_point);
    if let Some(&known) = context.quantized.coded.get(&key) {
        return Ok(known);
    }
    let function = if fits {
        Activation::None
    } else {
        saturation(quant)
    };
    let name = format!("{}/quantized", context.graph.nodes[node].name);
    let coded = context.push(&name, Op::Activation(function), &[node])?;
    context.graph.nodes[coded].quant = Some(quant);
    context.quantized.coded.insert(key, coded);
    Ok(coded)
}

/// Dequantizes the codes `x`. `said` is the coding that the DequantizeLinear states; it must be the same.
pub fn dequantize(context: &mut Context, x: &Act, said: Coding) -> Result<Act, ImportError> {
    let Some(coding) = x.coding else {
        return Err(
            ImportError::new("dequantizes what is not quantized").hint("the file is damaged")
        );
    };
    let plain = Act {
        coding: None,
        ..x.clone()
    };
    match (coding.quant, said.quant) {
        (Some(is), Some(said)) if is == said => Ok(plain),
        // The network's input is codes.
        (None, Some(_)) if coding.unsigned == said.unsigned && x.node == 0 => {
            context.graph.nodes[0].quant = said.quant;
            Ok(plain)
        }
        (None, Some(_)) if coding.unsigned == said.unsigned => {
            let coded = quantize(context, &plain, said)?;
            Ok(Act {
                coding: None,
                ..coded
            })
        }
        _ => Err(ImportError::new(
            "another scale, zero point or type than the codes were made with",
        )
        .hint("the file is damaged; quantize the float model again")),
    }
}

/// Gives `value` the coding of `x`, from which it took its elements.
pub fn keep_coding(context: &mut Context, value: Value, x: &Act) -> Value {
    match value {
        Value::Act(act) if x.coding.is_some() => {
            context.graph.nodes[act.node].quant = x.coding.and_then(|c| c.quant);
            Value::Act(Act {
                coding: x.coding,
                ..act
            })
        }
        other => other,
    }
}

/// The scale of each output channel's weights, if the file has them quantized. Output channels are dimension
/// `axis` of `tensor`. `weights` are those of the graph, channel by channel: the file's times `factor`.
pub fn weight_scales(
    context: &mut Context,
    tensor: &Tensor,
    axis: usize,
    factor: f32,
    weights: &[f32],
) -> Option<Vec<f32>> {
    let steps = tensor.steps.as_ref()?;
    let outputs = *tensor.dims.get(axis)?;
    let scales: Vec<f32> = match &steps.scales[..] {
        [one] => vec![*one; outputs],
        many if steps.axis == axis && many.len() == outputs => many.to_vec(),
        _ => {
            context.quantized.other_axis += 1;
            return None;
        }
    };
    let per_channel = weights.len().checked_div(outputs).filter(|&n| n > 0)?;
    let mut stretched = 0;
    let mut scale = |(filter, scale): (&[f32], f32)| {
        let largest = filter.iter().fold(0f32, |m, w| m.max(w.abs()));
        let scale = scale * factor.abs();
        if (largest / scale).round() <= MAX_WEIGHT {
            return scale;
        }
        stretched += 1;
        largest / MAX_WEIGHT
    };
    let scales: Vec<f32> = weights
        .chunks_exact(per_channel)
        .zip(scales)
        .map(&mut scale)
        .collect();
    if stretched > 0 {
        context.quantized.stretched[0] += 1;
        context.quantized.stretched[1] += stretched;
    }
    let usable = |s: &f32| s.is_normal() && *s > 0.0;
    scales.iter().all(usable).then_some(scales)
}
