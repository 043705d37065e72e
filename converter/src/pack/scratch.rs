//! The places of the scratch of packed layers: bytes of the arena that no tensor needs meanwhile, else after
//! it.

use edge_runtime::model::{ConvData, Layer, Model, Op, align};

/// When each tensor of an int8 arena is needed. Tensor 0 is the input, tensor `i + 1` the output of layer
/// `i`.
pub struct Lives {
    /// Per tensor, its bytes: the first, and the one after the last.
    places: Vec<(usize, usize)>,
    /// Per tensor, the last layer that reads it.
    last_use: Vec<usize>,
}

impl Lives {
    /// From the offset and length of each tensor, and the tensors that each layer reads.
    pub fn new(
        tensors: impl Iterator<Item = (usize, usize)>,
        reads: impl Iterator<Item = Vec<usize>>,
    ) -> Self {
        let places: Vec<_> = tensors.map(|(at, len)| (at, at + align(len))).collect();
        let mut last_use: Vec<usize> = (0..places.len()).map(|t| t.saturating_sub(1)).collect();
        for (layer, read) in reads.enumerate() {
            read.into_iter().for_each(|tensor| last_use[tensor] = layer);
        }
        if let Some(output) = last_use.last_mut() {
            *output = usize::MAX;
        }
        Self { places, last_use }
    }

    /// Lowest offset of `len` bytes that no tensor needs while `layer` runs.
    pub fn gap(&self, layer: usize, len: usize) -> usize {
        let alive = |t: &usize| *t <= layer + 1 && self.last_use[*t] >= layer;
        let tensors = (0..self.places.len()).filter(alive);
        let mut taken: Vec<(usize, usize)> = tensors.map(|t| self.places[t]).collect();
        taken.sort_unstable();
        let mut at = 0;
        for (start, end) in taken {
            if at + len <= start {
                break;
            }
            at = at.max(end);
        }
        at
    }
}

/// Gives the scratch of every packed layer an offset; returns the size of the arena with it, in bytes.
pub fn place(model: &Model<'_>, layers: &mut [Layer<'_>]) -> usize {
    let tensors = core::iter::once(model.input()).chain(layers.iter().map(|l| l.output));
    let lives = Lives::new(
        tensors.map(|o| (o.offset as usize, o.shape.len())),
        layers
            .iter()
            .map(|l| l.inputs.iter().map(|i| i.tensor as usize).collect()),
    );
    let mut arena = model.arena_bytes();
    for (index, layer) in layers.iter_mut().enumerate() {
        let (Op::Conv { data, .. } | Op::DepthwiseConv { data, .. }) = &mut layer.op else {
            continue;
        };
        let ConvData::Packed { scratch, .. } = data else {
            continue;
        };
        let len = scratch.len as usize;
        let at = lives.gap(index, len);
        scratch.offset = u32::try_from(at).unwrap_or(u32::MAX);
        arena = arena.max(at + len);
    }
    align(arena)
}
