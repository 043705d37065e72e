//! VGG: Simonyan and Zisserman, "Very deep convolutional networks" (2014), table 1, columns A, B, D and E;
//! with batch norm as torchvision has it. Names are torchvision's.

use crate::zoo::layers::{Builder, Built, Conv};

/// 3x3 convolutions of each of the five stages; a 2x2 maximum follows each stage.
pub(super) type Depths = [usize; 5];

/// Column A: 11 layers with weights.
pub(super) const A: Depths = [1, 1, 2, 2, 2];
/// Column B: 13 layers.
pub(super) const B: Depths = [2, 2, 2, 2, 2];
/// Column D: 16 layers.
pub(super) const D: Depths = [2, 2, 3, 3, 3];
/// Column E: 19 layers.
pub(super) const E: Depths = [2, 2, 4, 4, 4];

const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];
const HIDDEN: usize = 4096;
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-5;

/// VGG of these depths.
pub(super) fn vgg(net: &mut Builder<'_>, depths: Depths, batch_norm: bool) -> Built {
    let mut x = net.input();
    // Numbers of convolutions, norms, ReLUs and maxima in torchvision's list.
    let mut at = 0;
    for (depth, channels) in depths.into_iter().zip(CHANNELS) {
        for _ in 0..depth {
            let conv = Conv::new(channels, 3).bias();
            x = net.conv(&format!("features.{at}"), x, conv)?;
            if batch_norm {
                at += 1;
                x = net.batch_norm(&format!("features.{at}"), x, EPSILON)?;
            }
            x = net.relu(x)?;
            at += 2;
        }
        x = net.max_pool(&format!("features.{at}"), x, 2, 2, 0)?;
        at += 1;
    }
    // Between these are ReLU and dropout.
    for name in ["classifier.0", "classifier.3"] {
        x = net.linear(name, x, HIDDEN)?;
        x = net.relu(x)?;
    }
    net.linear("classifier.6", x, CLASSES)
}
