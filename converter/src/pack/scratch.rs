//! Where the scratch of packed layers lies: in bytes of the arena that no living tensor uses, else behind it.

use edge_runtime::model::{ConvData, Layer, Model, Op, align};

/// Gives every packed layer's scratch an offset; returns the bytes of arena that are then needed.
pub fn place(model: &Model<'_>, layers: &mut [Layer<'_>]) -> usize {
    // Per tensor: its bytes, and the layers from the one that writes it to the one that reads it last.
    let tensors: Vec<_> = core::iter::once(model.input())
        .chain(layers.iter().map(|l| l.output))
        .map(|o| (o.offset as usize, align(o.shape.len())))
        .collect();
    let mut last_use: Vec<usize> = (0..=layers.len()).map(|t| t.saturating_sub(1)).collect();
    for (index, layer) in layers.iter().enumerate() {
        for input in &layer.inputs {
            last_use[input.tensor as usize] = index;
        }
    }
    last_use[layers.len()] = usize::MAX;

    let mut arena = model.arena_bytes();
    for (index, layer) in layers.iter_mut().enumerate() {
        let (Op::Conv { data, .. } | Op::DepthwiseConv { data, .. }) = &mut layer.op else {
            continue;
        };
        let ConvData::Packed { scratch, .. } = data else {
            continue;
        };
        let alive = |t: &usize| *t <= index + 1 && last_use[*t] >= index;
        let mut taken: Vec<(usize, usize)> = (0..tensors.len())
            .filter(alive)
            .map(|t| (tensors[t].0, tensors[t].0 + tensors[t].1))
            .collect();
        taken.sort_unstable();
        let len = scratch.len as usize;
        let mut at = 0;
        for (start, end) in taken {
            if at + len <= start {
                break;
            }
            at = at.max(end);
        }
        scratch.offset = u32::try_from(at).unwrap_or(u32::MAX);
        arena = arena.max(at + len);
    }
    align(arena)
}
