//! CONCATENATION.

use super::super::context::Context;
use super::super::node::{Node, Operand, required};
use super::super::value::{Act, List, Value};
use crate::graph::Op;
use crate::import::ImportError;
use crate::import::dims::normalize_axis;
use crate::import::layers::few_inputs;

/// Concatenates channels, or lists of integers.
pub fn concatenation<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    let options = required(node.table.builtin_options_as_concatenation_options())?;
    let is_list = |o: &Option<Operand>| {
        o.as_ref()
            .is_some_and(|o| !matches!(o.value, Value::Act(_)))
    };
    if !node.inputs.is_empty() && node.inputs.iter().all(is_list) {
        let mut values = vec![];
        for i in 0..node.inputs.len() {
            values.extend(node.list(i)?);
        }
        return List::new(values, false).map(Value::List);
    }
    let first = node.act(0)?;
    let acts: Vec<&Act> = (0..node.inputs.len())
        .map(|i| node.act(i))
        .collect::<Result<_, _>>()?;
    let rank = first.dims.len();
    let axis = normalize_axis(options.axis().into(), rank)?;
    let alike = |a: &&Act| {
        a.has_channels_last()
            && a.dims.len() == rank
            && (0..rank).all(|i| i == axis || a.dims[i] == first.dims[i])
    };
    if axis != rank - 1 || !acts.iter().all(alike) {
        return Err(ImportError::new(format!(
            "a concatenation along axis {axis}, which is not the channels of all inputs"
        ))
        .attribute("axis")
        .hint("only channels can be concatenated, of maps of one size"));
    }
    let ids = few_inputs(acts.iter().map(|a| a.node).collect(), |i, group| {
        context.push_as(&format!("{}/{i}", node.name), node, Op::Concat, group)
    })?;
    let fused = options.fused_activation_function();
    let mut like = first.clone();
    like.dims[axis] = acts.iter().map(|a| a.dims[axis]).sum();
    let result = context.push_like(node, Op::Concat, &ids, &like, fused)?;
    Ok(match result {
        Value::Act(act) => Value::Act(Act {
            shape: context.graph.nodes[act.node].shape,
            ..act
        }),
        other => other,
    })
}
