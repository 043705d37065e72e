//! Concat.

use super::super::context::Context;
use super::super::node::Node;
use super::super::quantized::keep_coding;
use super::super::tensor::{Data, Tensor, elements};
use super::super::value::{Act, Value};
use super::normalize_axis;
use crate::graph::Op;
use crate::import::ImportError;
use crate::import::layers::few_inputs;

/// Concatenation of channels, or of constants along any axis.
pub fn concat(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    if let Some(tensors) = node.all_constant() {
        return fold(context, node, &tensors).map(Value::Const);
    }
    let acts: Vec<&Act> = (0..node.inputs.len())
        .map(|i| node.stored(i))
        .collect::<Result<_, _>>()?;
    let first = node.stored(0)?;
    let axis = normalize_axis(node.attributes.int("axis", 1), first.dims.len())?;
    let alike = |a: &Act| {
        a.channel_axis() == Some(axis)
            && a.coding == first.coding
            && a.dims.len() == first.dims.len()
            && a.same_order(first)
            && (0..a.dims.len()).all(|i| i == axis || a.dims[i] == first.dims[i])
    };
    if !acts.iter().all(|a| alike(a)) {
        return Err(ImportError::new(format!(
            "a concatenation along axis {axis}, which is not the channels of all inputs"
        ))
        .attribute("axis")
        .hint("only channels can be concatenated, of maps of one size and one quantization"));
    }
    let ids = few_inputs(acts.iter().map(|a| a.node).collect(), |i, group| {
        context.push(&format!("{}/{i}", node.name), Op::Concat, group)
    })?;
    let id = context.push(&node.name, Op::Concat, &ids)?;
    let mut dims = first.dims.clone();
    dims[axis] = acts.iter().map(|a| a.dims[axis]).sum();
    let value = Value::Act(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        dims,
        ..first.clone()
    });
    Ok(keep_coding(context, value, first))
}

fn fold(context: &mut Context, node: &Node, tensors: &[&Tensor]) -> Result<Tensor, ImportError> {
    let [first, ..] = tensors else {
        return Err(ImportError::new("no inputs").hint("the file is damaged"));
    };
    let rank = first.dims.len();
    let axis = normalize_axis(node.attributes.int("axis", 1), rank)?;
    let alike = |t: &&Tensor| {
        t.dims.len() == rank && (0..rank).all(|i| i == axis || t.dims[i] == first.dims[i])
    };
    if !tensors.iter().all(alike) {
        return Err(
            ImportError::new("constants of different dimensions").hint("the file is damaged")
        );
    }
    let mut dims = first.dims.clone();
    let along = tensors
        .iter()
        .try_fold(0usize, |n, t| n.checked_add(t.dims[axis]));
    dims[axis] = along.ok_or_else(|| ImportError::new("constants too large"))?;
    // Without elements there is nothing to copy, however many parts there are.
    let empty = context.charge_small(elements(&dims))? == 0;
    let outer: usize = if empty {
        0
    } else {
        dims[..axis].iter().product()
    };
    let inner: usize = dims[axis + 1..].iter().product();
    let mismatch = || ImportError::new("constants of different types").hint("the file is damaged");
    match &first.data {
        Data::Int(_) => {
            let mut out = vec![];
            for o in 0..outer {
                for t in tensors {
                    let Data::Int(v) = &t.data else {
                        return Err(mismatch());
                    };
                    let n = t.dims[axis] * inner;
                    out.extend_from_slice(&v[o * n..(o + 1) * n]);
                }
            }
            Ok(Tensor::int(dims, out))
        }
        Data::Float(_) => {
            let mut out = vec![];
            for o in 0..outer {
                for t in tensors {
                    let Data::Float(v) = &t.data else {
                        return Err(mismatch());
                    };
                    let n = t.dims[axis] * inner;
                    out.extend_from_slice(&v[o * n..(o + 1) * n]);
                }
            }
            Ok(Tensor::float(dims, out))
        }
    }
}
