//! Inception-v4: Szegedy et al., "Inception-v4, Inception-ResNet and the impact of residual connections"
//! (2016), figures 3 to 9.
//!
//! Names and the order of the 1x3 and 3x1 convolutions are Cadene's (pretrained-models.pytorch), which timm
//! took over. His checkpoint has TensorFlow's background class before the thousand; it is left out.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// Inception-v4 for 299x299.
pub(super) fn inception_v4(net: &mut Builder<'_>) -> Built {
    let mut x = stem(net)?;
    for number in 6..10 {
        x = inception_a(net, &format!("features.{number}"), x)?;
    }
    x = reduction_a(net, "features.10", x)?;
    for number in 11..18 {
        x = inception_b(net, &format!("features.{number}"), x)?;
    }
    x = reduction_b(net, "features.18", x)?;
    for number in 19..22 {
        x = inception_c(net, &format!("features.{number}"), x)?;
    }
    let x = net.global_avg_pool("avg_pool", x)?;
    net.linear_without_background("last_linear", x, CLASSES)
}

/// Figure 3.
fn stem(net: &mut Builder<'_>) -> Built {
    let x = net.input();
    let x = conv(net, "features.0", x, Conv::new(32, 3).stride(2).valid())?;
    let x = conv(net, "features.1", x, Conv::new(32, 3).valid())?;
    let x = conv(net, "features.2", x, Conv::new(64, 3))?;

    let pool = net.max_pool("features.3.maxpool", x, 3, 2, 0)?;
    let strided = Conv::new(96, 3).stride(2).valid();
    let strided = conv(net, "features.3.conv", x, strided)?;
    let x = net.concat("features.3", &[pool, strided])?;

    let short = [Conv::new(64, 1), Conv::new(96, 3).valid()];
    let short = branch(net, "features.4.branch0", x, &short)?;
    let long = [
        Conv::new(64, 1),
        Conv::rect(64, [1, 7]),
        Conv::rect(64, [7, 1]),
        Conv::new(96, 3).valid(),
    ];
    let long = branch(net, "features.4.branch1", x, &long)?;
    let x = net.concat("features.4", &[short, long])?;

    let strided = Conv::new(192, 3).stride(2).valid();
    let strided = conv(net, "features.5.conv", x, strided)?;
    let pool = net.max_pool("features.5.maxpool", x, 3, 2, 0)?;
    net.concat("features.5", &[strided, pool])
}

/// Figure 4, 35x35.
fn inception_a(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let of = |n: usize| format!("{name}.branch{n}");
    let one = conv(net, &of(0), x, Conv::new(96, 1))?;
    let three = branch(net, &of(1), x, &[Conv::new(64, 1), Conv::new(96, 3)])?;
    let double = [Conv::new(64, 1), Conv::new(96, 3), Conv::new(96, 3)];
    let double = branch(net, &of(2), x, &double)?;
    let pool = pooled(net, &of(3), x, 96)?;
    net.concat(name, &[one, three, double, pool])
}

/// Figure 7 with k = 192, l = 224, m = 256, n = 384: from 35x35 to 17x17.
fn reduction_a(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let of = |n: usize| format!("{name}.branch{n}");
    let three = conv(net, &of(0), x, Conv::new(384, 3).stride(2).valid())?;
    let double = [
        Conv::new(192, 1),
        Conv::new(224, 3),
        Conv::new(256, 3).stride(2).valid(),
    ];
    let double = branch(net, &of(1), x, &double)?;
    let pool = net.max_pool(&of(2), x, 3, 2, 0)?;
    net.concat(name, &[three, double, pool])
}

/// Figure 5, 17x17.
fn inception_b(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let of = |n: usize| format!("{name}.branch{n}");
    let one = conv(net, &of(0), x, Conv::new(384, 1))?;
    let seven = [
        Conv::new(192, 1),
        Conv::rect(224, [1, 7]),
        Conv::rect(256, [7, 1]),
    ];
    let seven = branch(net, &of(1), x, &seven)?;
    let double = [
        Conv::new(192, 1),
        Conv::rect(192, [7, 1]),
        Conv::rect(224, [1, 7]),
        Conv::rect(224, [7, 1]),
        Conv::rect(256, [1, 7]),
    ];
    let double = branch(net, &of(2), x, &double)?;
    let pool = pooled(net, &of(3), x, 128)?;
    net.concat(name, &[one, seven, double, pool])
}

/// Figure 8: from 17x17 to 8x8.
fn reduction_b(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let of = |n: usize| format!("{name}.branch{n}");
    let three = [Conv::new(192, 1), Conv::new(192, 3).stride(2).valid()];
    let three = branch(net, &of(0), x, &three)?;
    let seven = [
        Conv::new(256, 1),
        Conv::rect(256, [1, 7]),
        Conv::rect(320, [7, 1]),
        Conv::new(320, 3).stride(2).valid(),
    ];
    let seven = branch(net, &of(1), x, &seven)?;
    let pool = net.max_pool(&of(2), x, 3, 2, 0)?;
    net.concat(name, &[three, seven, pool])
}

/// Figure 6, 8x8.
fn inception_c(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let of = |part: &str| format!("{name}.branch{part}");
    let one = conv(net, &of("0"), x, Conv::new(256, 1))?;

    let y = conv(net, &of("1_0"), x, Conv::new(384, 1))?;
    let a = conv(net, &of("1_1a"), y, Conv::rect(256, [1, 3]))?;
    let b = conv(net, &of("1_1b"), y, Conv::rect(256, [3, 1]))?;

    let y = conv(net, &of("2_0"), x, Conv::new(384, 1))?;
    let y = conv(net, &of("2_1"), y, Conv::rect(448, [3, 1]))?;
    let y = conv(net, &of("2_2"), y, Conv::rect(512, [1, 3]))?;
    let c = conv(net, &of("2_3a"), y, Conv::rect(256, [1, 3]))?;
    let d = conv(net, &of("2_3b"), y, Conv::rect(256, [3, 1]))?;

    let pool = pooled(net, &of("3"), x, 256)?;
    net.concat(name, &[one, a, b, c, d, pool])
}

/// 3x3 mean, which does not count padding, and 1x1.
fn pooled(net: &mut Builder<'_>, name: &str, x: NodeId, out: usize) -> Built {
    let x = net.avg_pool_3x3(&format!("{name}.0"), x, false)?;
    conv(net, &format!("{name}.1"), x, Conv::new(out, 1))
}

/// Convolutions one after another.
fn branch(net: &mut Builder<'_>, name: &str, mut x: NodeId, convs: &[Conv]) -> Built {
    for (number, spec) in convs.iter().enumerate() {
        x = conv(net, &format!("{name}.{number}"), x, *spec)?;
    }
    Ok(x)
}

/// Convolution, batch norm, ReLU.
fn conv(net: &mut Builder<'_>, name: &str, x: NodeId, conv: Conv) -> Built {
    let x = net.conv(&format!("{name}.conv"), x, conv)?;
    let x = net.batch_norm(&format!("{name}.bn"), x, EPSILON)?;
    net.relu(x)
}
