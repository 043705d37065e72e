//! Finds the nodes that the output depends on, and counts the uses of each value.

use super::pb::GraphProto;
use crate::import::ImportError;
use std::collections::HashMap;

/// The part of the graph that the output depends on.
pub struct Live {
    /// Indices of the nodes, in the order of the file.
    pub nodes: Vec<usize>,
    /// How often these nodes, and the output, read each value.
    pub uses: HashMap<String, usize>,
}

/// Walks back from `output`.
pub fn find(graph: &GraphProto, output: &str) -> Result<Live, ImportError> {
    let mut producer = HashMap::new();
    for (i, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|n| !n.is_empty()) {
            if producer.insert(name.as_str(), i).is_some() {
                return Err(
                    ImportError::new(format!("value '{name}' is computed twice"))
                        .hint("the file is damaged"),
                );
            }
        }
    }
    let mut needed = vec![false; graph.node.len()];
    let mut uses = HashMap::from([(output.to_string(), 1)]);
    let mut open: Vec<usize> = producer.get(output).copied().into_iter().collect();
    while let Some(i) = open.pop() {
        if std::mem::replace(&mut needed[i], true) {
            continue;
        }
        for name in graph.node[i].input.iter().filter(|n| !n.is_empty()) {
            *uses.entry(name.clone()).or_insert(0) += 1;
            open.extend(producer.get(name.as_str()));
        }
    }
    let nodes = (0..needed.len()).filter(|&i| needed[i]).collect();
    Ok(Live { nodes, uses })
}
