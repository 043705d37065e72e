//! The head that the converter makes (the factory head), float or int8.

use super::Lowering;
use crate::graph::{ConvWeights, Op};
use edge_runtime::head::file::{HeadData, HeadOrigin, HeadRecord, Pool};
use edge_runtime::model::{Blob, Quant};

/// The record of the head and its fully connected layer; `None` if the network has no head. The encoder fills
/// in where the numbers lie.
pub(super) fn record<'a, 'g>(
    lowering: &Lowering<'g>,
    pool: Pool,
    map_quant: Quant,
    feature_quant: Quant,
    labels: &'a str,
) -> Option<(HeadRecord<'a>, &'g ConvWeights)> {
    let graph = lowering.graph;
    let Op::Conv(dense) = &graph.nodes[lowering.split.head?.dense].op else {
        return None;
    };
    let nowhere = Blob { offset: 0, len: 0 };
    let record = HeadRecord {
        map: graph.nodes[lowering.split.output()].shape,
        map_quant,
        pool,
        feature_quant,
        features: (dense.weights.len() / dense.out_channels) as u32,
        classes: dense.out_channels as u32,
        hidden: None,
        data: HeadData::F32 {
            weights: nowhere,
            bias: nowhere,
        },
        labels,
        origin: HeadOrigin::Factory,
    };
    Some((record, dense))
}

/// The labels if there is one line per class, else an empty string.
pub(super) fn matching_labels<'a>(labels: &'a str, lowering: &Lowering<'_>) -> &'a str {
    let classes = lowering
        .split
        .head
        .map(|h| lowering.graph.nodes[h.dense].shape.c as usize);
    if classes == Some(labels.lines().count()) {
        labels
    } else {
        ""
    }
}
