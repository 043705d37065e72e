//! MobileNetV3: Howard et al., "Searching for MobileNetV3" (2019), tables 1 and 2. Names are torchvision's,
//! as is the width of a squeeze: a quarter of the block's inside, rounded to a multiple of 8.

use crate::graph::Activation::{self, HardSigmoid, HardSwish, Relu};
use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// One row of a table.
struct Row {
    /// Depthwise kernel.
    kernel: u32,
    /// Channels inside the block.
    exp: usize,
    /// Channels after it.
    out: usize,
    /// Squeeze-and-excitation.
    se: bool,
    /// Nonlinearity.
    nl: Activation,
    /// Stride.
    s: u32,
}

#[rustfmt::skip]
const LARGE: [Row; 15] = [
    Row { kernel: 3, exp: 16,  out: 16,  se: false, nl: Relu,      s: 1 },
    Row { kernel: 3, exp: 64,  out: 24,  se: false, nl: Relu,      s: 2 },
    Row { kernel: 3, exp: 72,  out: 24,  se: false, nl: Relu,      s: 1 },
    Row { kernel: 5, exp: 72,  out: 40,  se: true,  nl: Relu,      s: 2 },
    Row { kernel: 5, exp: 120, out: 40,  se: true,  nl: Relu,      s: 1 },
    Row { kernel: 5, exp: 120, out: 40,  se: true,  nl: Relu,      s: 1 },
    Row { kernel: 3, exp: 240, out: 80,  se: false, nl: HardSwish, s: 2 },
    Row { kernel: 3, exp: 200, out: 80,  se: false, nl: HardSwish, s: 1 },
    Row { kernel: 3, exp: 184, out: 80,  se: false, nl: HardSwish, s: 1 },
    Row { kernel: 3, exp: 184, out: 80,  se: false, nl: HardSwish, s: 1 },
    Row { kernel: 3, exp: 480, out: 112, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 3, exp: 672, out: 112, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 5, exp: 672, out: 160, se: true,  nl: HardSwish, s: 2 },
    Row { kernel: 5, exp: 960, out: 160, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 5, exp: 960, out: 160, se: true,  nl: HardSwish, s: 1 },
];

#[rustfmt::skip]
const SMALL: [Row; 11] = [
    Row { kernel: 3, exp: 16,  out: 16, se: true,  nl: Relu,      s: 2 },
    Row { kernel: 3, exp: 72,  out: 24, se: false, nl: Relu,      s: 2 },
    Row { kernel: 3, exp: 88,  out: 24, se: false, nl: Relu,      s: 1 },
    Row { kernel: 5, exp: 96,  out: 40, se: true,  nl: HardSwish, s: 2 },
    Row { kernel: 5, exp: 240, out: 40, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 5, exp: 240, out: 40, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 5, exp: 120, out: 48, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 5, exp: 144, out: 48, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 5, exp: 288, out: 96, se: true,  nl: HardSwish, s: 2 },
    Row { kernel: 5, exp: 576, out: 96, se: true,  nl: HardSwish, s: 1 },
    Row { kernel: 5, exp: 576, out: 96, se: true,  nl: HardSwish, s: 1 },
];

const STEM: usize = 16;
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// MobileNetV3-Large.
pub(super) fn large(net: &mut Builder<'_>) -> Built {
    mobilenet_v3(net, &LARGE, 1280)
}

/// MobileNetV3-Small.
pub(super) fn small(net: &mut Builder<'_>) -> Built {
    mobilenet_v3(net, &SMALL, 1024)
}

fn mobilenet_v3(net: &mut Builder<'_>, rows: &[Row], hidden: usize) -> Built {
    let x = net.input();
    let stem = Conv::new(STEM, 3).stride(2);
    let mut x = conv_norm(net, "features.0", x, stem, Some(HardSwish))?;
    for (row, number) in rows.iter().zip(1..) {
        x = block(net, &format!("features.{number}"), x, row)?;
    }
    let last = Conv::new(6 * net.channels(x), 1);
    let name = format!("features.{}", rows.len() + 1);
    let x = conv_norm(net, &name, x, last, Some(HardSwish))?;
    let x = net.global_avg_pool("avgpool", x)?;
    let x = net.linear("classifier.0", x, hidden)?;
    let x = net.activation(x, HardSwish)?;
    net.linear("classifier.3", x, CLASSES)
}

/// Expands, filters each channel, weights the channels and projects; adds the input if it has the shape of
/// the result.
fn block(net: &mut Builder<'_>, name: &str, input: NodeId, row: &Row) -> Built {
    let (mut x, mut at) = (input, 0);
    let mut part = || {
        at += 1;
        format!("{name}.block.{}", at - 1)
    };
    if row.exp != net.channels(input) {
        x = conv_norm(net, &part(), x, Conv::new(row.exp, 1), Some(row.nl))?;
    }
    let depthwise = Conv::new(row.exp, row.kernel).stride(row.s).groups(row.exp);
    x = conv_norm(net, &part(), x, depthwise, Some(row.nl))?;
    if row.se {
        x = squeeze_excite(net, &part(), x)?;
    }
    x = conv_norm(net, &part(), x, Conv::new(row.out, 1), None)?;
    if net.shape(x) == net.shape(input) {
        x = net.add(&format!("{name}.add"), x, input)?;
    }
    Ok(x)
}

/// Squeeze-and-excitation (Hu et al., 2018): multiplies each channel by a factor that follows from the means
/// of all channels.
fn squeeze_excite(net: &mut Builder<'_>, name: &str, x: NodeId) -> Built {
    let channels = net.channels(x);
    let squeeze = multiple_of_8(channels / 4);
    let y = net.global_avg_pool(&format!("{name}.avgpool"), x)?;
    let y = net.conv(&format!("{name}.fc1"), y, Conv::new(squeeze, 1).bias())?;
    let y = net.relu(y)?;
    let y = net.conv(&format!("{name}.fc2"), y, Conv::new(channels, 1).bias())?;
    let y = net.activation(y, HardSigmoid)?;
    net.gate(&format!("{name}.mul"), x, y)
}

/// The nearest multiple of 8, half up; not less than nine tenths of `channels`.
fn multiple_of_8(channels: usize) -> usize {
    let near = ((channels + 4) / 8 * 8).max(8);
    if near * 10 < channels * 9 {
        near + 8
    } else {
        near
    }
}

fn conv_norm(
    net: &mut Builder<'_>,
    name: &str,
    x: NodeId,
    conv: Conv,
    activation: Option<Activation>,
) -> Built {
    let x = net.conv(&format!("{name}.0"), x, conv)?;
    let x = net.batch_norm(&format!("{name}.1"), x, EPSILON)?;
    match activation {
        Some(activation) => net.activation(x, activation),
        None => Ok(x),
    }
}
