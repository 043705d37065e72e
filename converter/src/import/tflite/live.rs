//! Finds the operators that the output depends on.

use super::file::File;
use crate::import::ImportError;
use std::collections::{HashMap, HashSet};

/// The part of the graph that the output depends on.
pub struct Live {
    /// Numbers of the operators, in the order of the file.
    pub ops: Vec<usize>,
    /// Numbers of the tensors that they read, and of the output.
    pub tensors: HashSet<usize>,
}

/// Walks back from the tensor `output`.
pub fn find(file: &File, output: usize) -> Result<Live, ImportError> {
    let mut producer = HashMap::new();
    for op in 0..file.operator_count() {
        for tensor in file
            .optional_indices(file.operator(op)?.outputs())?
            .into_iter()
            .flatten()
        {
            if producer.insert(tensor, op).is_some() {
                let name = file.tensor(tensor)?.name;
                return Err(
                    ImportError::new(format!("tensor '{name}' is computed twice"))
                        .hint("the file is damaged"),
                );
            }
        }
    }
    let mut needed = vec![false; file.operator_count()];
    let mut tensors = HashSet::from([output]);
    let mut open: Vec<usize> = producer.get(&output).copied().into_iter().collect();
    while let Some(op) = open.pop() {
        if std::mem::replace(&mut needed[op], true) {
            continue;
        }
        for tensor in file
            .optional_indices(file.operator(op)?.inputs())?
            .into_iter()
            .flatten()
        {
            tensors.insert(tensor);
            open.extend(producer.get(&tensor));
        }
    }
    let ops = (0..needed.len()).filter(|&i| needed[i]).collect();
    Ok(Live { ops, tensors })
}
