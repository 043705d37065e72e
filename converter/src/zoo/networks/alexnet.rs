//! AlexNet: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), the
//! variant of one column and without local response normalization that torchvision has.
//!
//! With batch norm it is `alexnetowtbn` of soumith/imagenet-multiGPU.torch: the same layers, a batch norm
//! after each but the last, numbered as torchvision would. The network of 2012, with two groups and local
//! response normalization, comes in through ONNX.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// Channels, kernel, stride, padding, and whether a 3x3 maximum with stride 2 follows.
const FEATURES: [(usize, u32, u32, u32, bool); 5] = [
    (64, 11, 4, 2, true),
    (192, 5, 1, 2, true),
    (384, 3, 1, 1, false),
    (256, 3, 1, 1, false),
    (256, 3, 1, 1, true),
];
const HIDDEN: usize = 4096;
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// AlexNet; `batch_norm` says which.
pub(super) fn alexnet(net: &mut Builder<'_>, batch_norm: bool) -> Built {
    let mut x = net.input();
    let mut at = 0;
    for (out, kernel, stride, pad, pool) in FEATURES {
        let conv = Conv::new(out, kernel).stride(stride).pad(pad).bias();
        x = net.conv(&format!("features.{at}"), x, conv)?;
        x = norm_relu(net, "features", &mut at, x, batch_norm)?;
        if pool {
            x = net.max_pool(&format!("features.{at}"), x, 3, 2, 0)?;
            at += 1;
        }
    }
    let mut at = 0;
    for _ in 0..2 {
        // Dropout, which does nothing here.
        at += 1;
        x = net.linear(&format!("classifier.{at}"), x, HIDDEN)?;
        x = norm_relu(net, "classifier", &mut at, x, batch_norm)?;
    }
    net.linear(&format!("classifier.{at}"), x, CLASSES)
}

/// Adds what follows a layer. `at` is the number of the layer in torchvision's list, and afterwards that of
/// the next layer.
fn norm_relu(
    net: &mut Builder<'_>,
    part: &str,
    at: &mut usize,
    mut x: NodeId,
    batch_norm: bool,
) -> Built {
    if batch_norm {
        *at += 1;
        x = net.batch_norm(&format!("{part}.{at}"), x, EPSILON)?;
    }
    *at += 2;
    net.relu(x)
}
