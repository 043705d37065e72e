//! The network's one input: which it is, and its shape.

use super::live::Live;
use super::pb::{
    GraphProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};
use super::value::{Act, Order};
use crate::graph::Shape;
use crate::import::ImportError;
use std::collections::HashSet;

/// Larger inputs are not pictures for a device.
const MAX_SIDE: i64 = 1 << 16;

/// The input.
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its shape in the graph.
    pub shape: Shape,
    /// The same as a value.
    pub act: Act,
    /// The batch that the file fixes, 1 if it fixes none.
    pub batch: i64,
}

/// Finds the input that the output depends on. Older files list the weights as inputs too.
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
    };
    Ok(Input {
        name: info.name.clone(),
        shape,
        act,
        batch,
    })
}

/// The batch, and the other dimensions.
fn dims(info: &ValueInfoProto) -> Result<(i64, Vec<u32>), ImportError> {
    let Some(type_proto::Value::TensorType(tensor)) =
        info.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err(
            ImportError::new("no tensor type").hint("export the model with a fixed input size")
        );
    };
    let kind = DataType::try_from(tensor.elem_type).unwrap_or(DataType::Undefined);
    if !matches!(
        kind,
        DataType::Float | DataType::Float16 | DataType::Double | DataType::Bfloat16
    ) {
        return Err(
            ImportError::new(format!("elements of type {}", kind.as_str_name()))
                .hint("export the float model, with float input; graft quantizes it"),
        );
    }
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

/// True if everything that reads the input first turns it from NHWC to NCHW, as exports from TensorFlow do.
fn is_nhwc(graph: &GraphProto, live: &Live, name: &str) -> bool {
    let mut readers = live
        .nodes
        .iter()
        .map(|&i| &graph.node[i])
        .filter(|n| n.input.iter().any(|i| i == name))
        .peekable();
    let turns = |n: &super::pb::NodeProto| {
        n.op_type == "Transpose"
            && n.attribute
                .iter()
                .any(|a| a.name == "perm" && a.ints == [0, 3, 1, 2])
    };
    readers.peek().is_some() && readers.all(turns)
}
