//! Derives a rule from the size of the first weights. The TFLite converter folds a Keras `Rescaling(1 / 255)`
//! into the first convolution, and networks that were trained on pixels from 0 to 255 have equally small
//! weights.

use super::affine::Start;
use super::{Derived, PixelRule};
use crate::graph::{Graph, Node, Op};

/// The largest value of a pixel that is normalized by a common rule.
const NORMALIZED: f32 = 2.64;

/// The rule 0 to 255, if the first convolution would hardly react to normalized pixels.
///
/// Its largest possible output for normalized pixels, after its batch norm, is 4 and more in networks that
/// expect those (CIFAR ResNets, MLPerf Tiny's wake words). It is below 0.3 in MLPerf Tiny's ResNet-8, which
/// expects pixels from 0 to 255.
pub fn of_weights(graph: &Graph, start: &Start) -> Option<Derived> {
    const WEAK: f32 = 0.5;
    const STRONG: f32 = 1.0;
    if !start.is_plain() || start.quantized.is_some() {
        return None;
    }
    let readers = |id: usize| {
        let reads = move |(_, n): &(usize, &Node)| n.inputs.contains(&id);
        graph.nodes.iter().enumerate().filter(reads)
    };
    let mut first = readers(start.end);
    let (id, node) = first.next().filter(|_| first.next().is_none())?;
    let Op::Conv(conv) = &node.op else {
        return None;
    };
    let mut next = readers(id);
    let norm = next.next().filter(|_| next.next().is_none());
    // With a norm after an activation, the size of the weights would mean something else.
    let mut behind = norm;
    let passes_on = |n: &Node| matches!(n.op, Op::Activation(_) | Op::PRelu(_));
    while let Some((id, _)) = behind.filter(|(_, n)| passes_on(n)) {
        behind = readers(id).next();
        let rescales = |n: &Node| matches!(n.op, Op::BatchNorm(_) | Op::LocalResponseNorm(_));
        if behind.is_some_and(|(_, n)| rescales(n)) {
            return None;
        }
    }
    let gain = |channel: usize| match norm.map(|(_, n)| &n.op) {
        Some(Op::BatchNorm(b)) => {
            (b.gamma[channel] / (b.variance[channel] + b.epsilon).sqrt()).abs()
        }
        _ => 1.0,
    };
    let filters = conv
        .weights
        .chunks((conv.weights.len() / conv.out_channels).max(1));
    let mut sums: Vec<f32> = filters
        .enumerate()
        .map(|(c, filter)| gain(c) * filter.iter().map(|w| w.abs()).sum::<f32>())
        .collect();
    sums.sort_by(f32::total_cmp);
    // Filters that training has switched off have only zeros.
    let strong = sums[sums.len() * 3 / 4];
    (strong * NORMALIZED < WEAK && strong * 255.0 > STRONG).then_some(Derived {
        rule: PixelRule::RAW,
        from: "the size of its first weights, which hardly react to less",
        certain: false,
        blue_first: false,
        note: None,
    })
}
