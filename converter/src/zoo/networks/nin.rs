//! Network in Network with batch norm: Lin et al., "Network in network" (2013), in the variant that
//! Canziani et al. (2016) call BN-NIN: `ninbn` of soumith/imagenet-multiGPU.torch, which ends in a mean
//! over the map and a fully connected layer.
//!
//! Names are numbers in that file's list, as PyTorch would number them: `nin.0`, ..., and `fc`.

use crate::zoo::layers::{Builder, Built, Conv};

/// Blocks: channels, kernel, stride, padding of the first convolution; two 1x1 follow. Between blocks is
/// a 3x3 maximum with stride 2.
const BLOCKS: [(usize, u32, u32, u32); 4] = [
    (96, 11, 4, 5),
    (256, 5, 1, 2),
    (384, 3, 1, 1),
    (1024, 3, 1, 1),
];
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// BN-NIN.
pub(super) fn bn_nin(net: &mut Builder<'_>) -> Built {
    let mut x = net.input();
    let mut at = 0;
    for (number, (out, kernel, stride, pad)) in BLOCKS.into_iter().enumerate() {
        if number > 0 {
            x = net.max_pool(&format!("nin.{at}"), x, 3, 2, 1)?;
            at += 1;
        }
        let first = Conv::new(out, kernel).stride(stride).pad(pad);
        for conv in [first, Conv::new(out, 1), Conv::new(out, 1)] {
            x = net.conv(&format!("nin.{at}"), x, conv.bias())?;
            x = net.batch_norm(&format!("nin.{}", at + 1), x, EPSILON)?;
            x = net.relu(x)?;
            at += 3;
        }
    }
    let x = net.global_avg_pool(&format!("nin.{at}"), x)?;
    net.linear("fc", x, CLASSES)
}
