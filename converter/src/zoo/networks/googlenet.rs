//! GoogLeNet: Szegedy et al., "Going deeper with convolutions" (2014), table 1, with batch norm for local
//! response normalization, as torchvision has it: its "5x5" branch is 3x3. Names are torchvision's; the
//! two auxiliary heads of its checkpoint are ignored.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// One row of the table: channels of `1x1`, `3x3 reduce`, `3x3`, `5x5 reduce`, `5x5`, `pool proj`.
struct Inception(&'static str, [usize; 6]);

const STAGE_3: [Inception; 2] = [
    Inception("inception3a", [64, 96, 128, 16, 32, 32]),
    Inception("inception3b", [128, 128, 192, 32, 96, 64]),
];
const STAGE_4: [Inception; 5] = [
    Inception("inception4a", [192, 96, 208, 16, 48, 64]),
    Inception("inception4b", [160, 112, 224, 24, 64, 64]),
    Inception("inception4c", [128, 128, 256, 24, 64, 64]),
    Inception("inception4d", [112, 144, 288, 32, 64, 64]),
    Inception("inception4e", [256, 160, 320, 32, 128, 128]),
];
const STAGE_5: [Inception; 2] = [
    Inception("inception5a", [256, 160, 320, 32, 128, 128]),
    Inception("inception5b", [384, 192, 384, 48, 128, 128]),
];
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// GoogLeNet.
pub(super) fn googlenet(net: &mut Builder<'_>) -> Built {
    net.ignore("aux1.");
    net.ignore("aux2.");
    let x = net.input();
    let x = conv(net, "conv1", x, Conv::new(64, 7).stride(2))?;
    let x = net.max_pool_ceil("maxpool1", x, 3, 2, 0)?;
    let x = conv(net, "conv2", x, Conv::new(64, 1))?;
    let x = conv(net, "conv3", x, Conv::new(192, 3))?;
    let x = net.max_pool_ceil("maxpool2", x, 3, 2, 0)?;
    let x = stage(net, x, &STAGE_3)?;
    let x = net.max_pool_ceil("maxpool3", x, 3, 2, 0)?;
    let x = stage(net, x, &STAGE_4)?;
    let x = net.max_pool_ceil("maxpool4", x, 2, 2, 0)?;
    let x = stage(net, x, &STAGE_5)?;
    let x = net.global_avg_pool("avgpool", x)?;
    net.linear("fc", x, CLASSES)
}

fn stage(net: &mut Builder<'_>, mut x: NodeId, blocks: &[Inception]) -> Built {
    for Inception(name, widths) in blocks {
        x = inception(net, name, x, *widths)?;
    }
    Ok(x)
}

fn inception(net: &mut Builder<'_>, name: &str, x: NodeId, widths: [usize; 6]) -> Built {
    let [one, reduce3, three, reduce5, five, pool] = widths;
    let of = |branch: &str| format!("{name}.{branch}");
    let branch1 = conv(net, &of("branch1"), x, Conv::new(one, 1))?;
    let y = conv(net, &of("branch2.0"), x, Conv::new(reduce3, 1))?;
    let branch2 = conv(net, &of("branch2.1"), y, Conv::new(three, 3))?;
    let y = conv(net, &of("branch3.0"), x, Conv::new(reduce5, 1))?;
    let branch3 = conv(net, &of("branch3.1"), y, Conv::new(five, 3))?;
    let y = net.max_pool_ceil(&of("branch4.0"), x, 3, 1, 1)?;
    let branch4 = conv(net, &of("branch4.1"), y, Conv::new(pool, 1))?;
    net.concat(name, &[branch1, branch2, branch3, branch4])
}

/// Convolution, batch norm, ReLU.
fn conv(net: &mut Builder<'_>, name: &str, x: NodeId, conv: Conv) -> Built {
    let x = net.conv(&format!("{name}.conv"), x, conv)?;
    let x = net.batch_norm(&format!("{name}.bn"), x, EPSILON)?;
    net.relu(x)
}
