//! Inception-v3: Szegedy et al., "Rethinking the Inception architecture" (2015), table 1 and figures 5 to 7,
//! as torchvision ported it from TensorFlow. Names are torchvision's; the auxiliary head of its checkpoint
//! is ignored.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// Inception-v3 for 299x299.
pub(super) fn inception_v3(net: &mut Builder<'_>) -> Built {
    net.ignore("AuxLogits.");
    let x = net.input();
    let x = conv(net, "Conv2d_1a_3x3", x, Conv::new(32, 3).stride(2).valid())?;
    let x = conv(net, "Conv2d_2a_3x3", x, Conv::new(32, 3).valid())?;
    let x = conv(net, "Conv2d_2b_3x3", x, Conv::new(64, 3))?;
    let x = net.max_pool("maxpool1", x, 3, 2, 0)?;
    let x = conv(net, "Conv2d_3b_1x1", x, Conv::new(80, 1))?;
    let x = conv(net, "Conv2d_4a_3x3", x, Conv::new(192, 3).valid())?;
    let mut x = net.max_pool("maxpool2", x, 3, 2, 0)?;
    for (name, pool) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
        x = block_a(net, name, x, pool)?;
    }
    x = reduction_b(net, "Mixed_6a", x)?;
    let sevens = [
        ("Mixed_6b", 128),
        ("Mixed_6c", 160),
        ("Mixed_6d", 160),
        ("Mixed_6e", 192),
    ];
    for (name, inside) in sevens {
        x = block_c(net, name, x, inside)?;
    }
    x = reduction_d(net, "Mixed_7a", x)?;
    for name in ["Mixed_7b", "Mixed_7c"] {
        x = block_e(net, name, x)?;
    }
    let x = net.global_avg_pool("avgpool", x)?;
    net.linear("fc", x, CLASSES)
}

/// 35x35: 1x1, 5x5, two 3x3, and a mean.
fn block_a(net: &mut Builder<'_>, name: &str, x: NodeId, pool: usize) -> Built {
    let one = chain(net, name, x, &[("branch1x1", Conv::new(64, 1))])?;
    let five = [
        ("branch5x5_1", Conv::new(48, 1)),
        ("branch5x5_2", Conv::new(64, 5)),
    ];
    let five = chain(net, name, x, &five)?;
    let double = [
        ("branch3x3dbl_1", Conv::new(64, 1)),
        ("branch3x3dbl_2", Conv::new(96, 3)),
        ("branch3x3dbl_3", Conv::new(96, 3)),
    ];
    let double = chain(net, name, x, &double)?;
    let pool = pooled(net, name, x, pool)?;
    net.concat(name, &[one, five, double, pool])
}

/// From 35x35 to 17x17.
fn reduction_b(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let three = [("branch3x3", Conv::new(384, 3).stride(2).valid())];
    let three = chain(net, name, x, &three)?;
    let double = [
        ("branch3x3dbl_1", Conv::new(64, 1)),
        ("branch3x3dbl_2", Conv::new(96, 3)),
        ("branch3x3dbl_3", Conv::new(96, 3).stride(2).valid()),
    ];
    let double = chain(net, name, x, &double)?;
    let pool = net.max_pool(&format!("{name}.pool"), x, 3, 2, 0)?;
    net.concat(name, &[three, double, pool])
}

/// 17x17: 7x7 as 1x7 and 7x1, once and twice.
fn block_c(net: &mut Builder<'_>, name: &str, x: NodeId, inside: usize) -> Built {
    let one = chain(net, name, x, &[("branch1x1", Conv::new(192, 1))])?;
    let seven = [
        ("branch7x7_1", Conv::new(inside, 1)),
        ("branch7x7_2", Conv::rect(inside, [1, 7])),
        ("branch7x7_3", Conv::rect(192, [7, 1])),
    ];
    let seven = chain(net, name, x, &seven)?;
    let double = [
        ("branch7x7dbl_1", Conv::new(inside, 1)),
        ("branch7x7dbl_2", Conv::rect(inside, [7, 1])),
        ("branch7x7dbl_3", Conv::rect(inside, [1, 7])),
        ("branch7x7dbl_4", Conv::rect(inside, [7, 1])),
        ("branch7x7dbl_5", Conv::rect(192, [1, 7])),
    ];
    let double = chain(net, name, x, &double)?;
    let pool = pooled(net, name, x, 192)?;
    net.concat(name, &[one, seven, double, pool])
}

/// From 17x17 to 8x8.
fn reduction_d(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let three = [
        ("branch3x3_1", Conv::new(192, 1)),
        ("branch3x3_2", Conv::new(320, 3).stride(2).valid()),
    ];
    let three = chain(net, name, x, &three)?;
    let seven = [
        ("branch7x7x3_1", Conv::new(192, 1)),
        ("branch7x7x3_2", Conv::rect(192, [1, 7])),
        ("branch7x7x3_3", Conv::rect(192, [7, 1])),
        ("branch7x7x3_4", Conv::new(192, 3).stride(2).valid()),
    ];
    let seven = chain(net, name, x, &seven)?;
    let pool = net.max_pool(&format!("{name}.pool"), x, 3, 2, 0)?;
    net.concat(name, &[three, seven, pool])
}

/// 8x8: 3x3 as 1x3 beside 3x1.
fn block_e(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let one = chain(net, name, x, &[("branch1x1", Conv::new(320, 1))])?;
    let three = chain(net, name, x, &[("branch3x3_1", Conv::new(384, 1))])?;
    let three = beside(net, name, three, "branch3x3_2")?;
    let double = [
        ("branch3x3dbl_1", Conv::new(448, 1)),
        ("branch3x3dbl_2", Conv::new(384, 3)),
    ];
    let double = chain(net, name, x, &double)?;
    let double = beside(net, name, double, "branch3x3dbl_3")?;
    let pool = pooled(net, name, x, 192)?;
    net.concat(name, &[one, three, double, pool])
}

/// 1x3 and 3x1 on the same input.
fn beside(net: &mut Builder<'_>, name: &str, x: NodeId, branch: &str) -> Built {
    let name = format!("{name}.{branch}");
    let a = conv(net, &format!("{name}a"), x, Conv::rect(384, [1, 3]))?;
    let b = conv(net, &format!("{name}b"), x, Conv::rect(384, [3, 1]))?;
    net.concat(&name, &[a, b])
}

/// 3x3 mean, which counts padding, and 1x1.
fn pooled(net: &mut Builder<'_>, name: &str, x: NodeId, out: usize) -> Built {
    let x = net.avg_pool_3x3(&format!("{name}.pool"), x, true)?;
    chain(net, name, x, &[("branch_pool", Conv::new(out, 1))])
}

/// Convolutions one after another.
fn chain(net: &mut Builder<'_>, name: &str, mut x: NodeId, convs: &[(&str, Conv)]) -> Built {
    for (part, spec) in convs {
        x = conv(net, &format!("{name}.{part}"), x, *spec)?;
    }
    Ok(x)
}

/// Convolution, batch norm, ReLU.
fn conv(net: &mut Builder<'_>, name: &str, x: NodeId, conv: Conv) -> Built {
    let x = net.conv(&format!("{name}.conv"), x, conv)?;
    let x = net.batch_norm(&format!("{name}.bn"), x, EPSILON)?;
    net.relu(x)
}
