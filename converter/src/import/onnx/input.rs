//! Finds the network's input and its shape.

use super::live::Live;
use super::pb::{
    AttributeProto, GraphProto, ValueInfoProto, tensor_proto::DataType,
    tensor_shape_proto::dimension, type_proto,
};
use super::quantized::Coding;
use super::value::{Act, Order};
use crate::graph::Shape;
use crate::import::ImportError;
use crate::import::pixels::Entry;
use std::collections::HashSet;

/// Largest side of an input, in pixels. Pictures for a device are smaller.
const MAX_SIDE: i64 = 1 << 16;

/// The input.
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its shape in the graph.
    pub shape: Shape,
    /// The input as a value.
    pub act: Act,
    /// What the file expects as values.
    pub entry: Entry,
    /// The batch that the file fixes, 1 if it fixes none.
    pub batch: i64,
}

/// Finds the input that the output depends on. Older files also list the weights as inputs.
pub fn find(
    graph: &GraphProto,
    live: &Live,
    constants: &HashSet<&str>,
    warnings: &mut Vec<String>,
) -> Result<Input, ImportError> {
    let needed = |i: &&ValueInfoProto| {
        live.uses.contains_key(&i.name) && !constants.contains(i.name.as_str())
    };
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(needed).collect();
    let info = match inputs[..] {
        [info] => info,
        [] => {
            return Err(
                ImportError::new("the output depends on no input").hint("the file is damaged")
            );
        }
        _ => {
            let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
            return Err(
                ImportError::new(format!("{} inputs ({})", names.len(), names.join(", ")))
                    .hint("networks with one picture as input are supported"),
            );
        }
    };
    let in_input = |e: ImportError| e.node(&info.name).op("input");
    let kind = kind(info).map_err(in_input)?;
    let (batch, sides) = dims(info).map_err(in_input)?;
    if batch > 1 {
        warnings.push(format!(
            "the model fixes a batch of {batch}; it is imported for a batch of 1"
        ));
    }
    let (shape, order, dims) = match sides[..] {
        [c] => (Shape::new(1, 1, c), Order::Chw, vec![1, c as usize]),
        [h, w, c] if is_nhwc(graph, live, &info.name) => (
            Shape::new(h, w, c),
            Order::Hwc,
            vec![1, h as usize, w as usize, c as usize],
        ),
        [c, h, w] => (
            Shape::new(h, w, c),
            Order::Chw,
            vec![1, c as usize, h as usize, w as usize],
        ),
        _ => {
            return Err(in_input(
                ImportError::new(format!("{} dimensions", sides.len() + 1))
                    .hint("inputs of 4 dimensions (NCHW) or 2 are supported"),
            ));
        }
    };
    if sides
        .iter()
        .try_fold(1u32, |n, &d| n.checked_mul(d))
        .is_none_or(|n| n > 1 << 28)
    {
        return Err(in_input(ImportError::new(format!(
            "an input of {shape} is too large"
        ))));
    }
    let act = Act {
        node: 0,
        shape,
        order,
        dims,
        softmax: false,
        coding: Coding::of_input(kind),
    };
    Ok(Input {
        name: info.name.clone(),
        shape,
        act,
        entry: entry(graph, live, &info.name, kind),
        batch,
    })
}

fn tensor_type(info: &ValueInfoProto) -> Result<&type_proto::Tensor, ImportError> {
    match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => Ok(tensor),
        _ => {
            Err(ImportError::new("no tensor type").hint("export the model with a fixed input size"))
        }
    }
}

/// Type of the elements: floats, or the 8-bit codes of a quantized model.
fn kind(info: &ValueInfoProto) -> Result<DataType, ImportError> {
    let kind = DataType::try_from(tensor_type(info)?.elem_type).unwrap_or(DataType::Undefined);
    if matches!(
        kind,
        DataType::Float
            | DataType::Float16
            | DataType::Double
            | DataType::Bfloat16
            | DataType::Int8
            | DataType::Uint8
    ) {
        return Ok(kind);
    }
    Err(
        ImportError::new(format!("elements of type {}", kind.as_str_name()))
            .hint("inputs of floats and of 8-bit integers are supported"),
    )
}

/// What the file expects of an input of this type. 8-bit integers are pixels if a Cast reads them, else
/// codes.
fn entry(graph: &GraphProto, live: &Live, name: &str, kind: DataType) -> Entry {
    let pixels = match kind {
        DataType::Uint8 => Entry::Pixels,
        DataType::Int8 => Entry::SignedPixels,
        _ => return Entry::Float,
    };
    let mut reached = HashSet::from([name]);
    for node in live.nodes.iter().map(|&i| &graph.node[i]) {
        if !node.input.iter().any(|i| reached.contains(i.as_str())) {
            continue;
        }
        match &*node.op_type {
            "Cast" => return pixels,
            // They read the dimensions, not the pixels.
            "Shape" | "Size" => {}
            "DequantizeLinear" => return Entry::Codes,
            op if op.starts_with("QLinear") || op.ends_with("Integer") => return Entry::Codes,
            _ => reached.extend(node.output.iter().map(String::as_str)),
        }
    }
    Entry::Codes
}

/// The batch, and the other dimensions.
fn dims(info: &ValueInfoProto) -> Result<(i64, Vec<u32>), ImportError> {
    let tensor = tensor_type(info)?;
    let dims = tensor.shape.as_ref().map_or(&[][..], |s| &s.dim);
    let mut sides = vec![];
    let mut batch = 1;
    for (axis, dim) in dims.iter().enumerate() {
        let hint = "export the model with a fixed input size; only the batch may vary";
        let value = match &dim.value {
            Some(dimension::Value::DimValue(v)) => *v,
            Some(dimension::Value::DimParam(name)) if axis > 0 => {
                return Err(
                    ImportError::new(format!("dimension {axis} ('{name}') is not fixed"))
                        .hint(hint),
                );
            }
            _ if axis > 0 => {
                return Err(ImportError::new(format!("dimension {axis} is not fixed")).hint(hint));
            }
            _ => 1,
        };
        if axis == 0 {
            batch = value.max(1);
        } else if (1..=MAX_SIDE).contains(&value) {
            sides.push(value as u32);
        } else {
            return Err(ImportError::new(format!("dimension {axis} is {value}")).hint(hint));
        }
    }
    Ok((batch, sides))
}

/// Elementwise operators: a Transpose before and after them is the same.
const ELEMENTWISE: [&str; 12] = [
    "Identity",
    "Cast",
    "QuantizeLinear",
    "DequantizeLinear",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "QLinearAdd",
    "QLinearMul",
    "Clip",
    "Relu",
];

/// True if the network first transposes its input from NHWC to NCHW, perhaps after normalizing or quantizing
/// it. Exports from TensorFlow do so.
fn is_nhwc(graph: &GraphProto, live: &Live, name: &str) -> bool {
    let mut reached = HashSet::from([name]);
    let mut turned = false;
    for node in live.nodes.iter().map(|&i| &graph.node[i]) {
        if !node.input.iter().any(|i| reached.contains(i.as_str())) {
            continue;
        }
        let to_nchw = |a: &AttributeProto| a.name == "perm" && a.ints == [0, 3, 1, 2];
        if node.op_type == "Transpose" && node.attribute.iter().any(to_nchw) {
            turned = true;
        } else if ELEMENTWISE.contains(&node.op_type.as_str()) {
            reached.extend(node.output.iter().map(String::as_str));
        } else {
            return false;
        }
    }
    turned
}
