//! EfficientNet-Lite: Tan and Le, "EfficientNet" (2019), table 1, in the variant for devices of
//! TensorFlow's TPU repository: no squeeze-and-excitation, ReLU6 for swish; stem and head are not scaled.
//!
//! Names are those of `efficientnet-lite-pytorch`.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// One row of the paper's table: inverted residual blocks that share a shape.
struct Stage {
    /// How many blocks.
    blocks: usize,
    /// Depthwise kernel.
    kernel: u32,
    /// Stride of the first block.
    stride: u32,
    /// How many times wider a block is inside.
    expand: usize,
    /// Channels after each block.
    channels: usize,
}

#[rustfmt::skip]
const STAGES: [Stage; 7] = [
    Stage { blocks: 1, kernel: 3, stride: 1, expand: 1, channels: 16 },
    Stage { blocks: 2, kernel: 3, stride: 2, expand: 6, channels: 24 },
    Stage { blocks: 2, kernel: 5, stride: 2, expand: 6, channels: 40 },
    Stage { blocks: 3, kernel: 3, stride: 2, expand: 6, channels: 80 },
    Stage { blocks: 3, kernel: 5, stride: 1, expand: 6, channels: 112 },
    Stage { blocks: 4, kernel: 5, stride: 2, expand: 6, channels: 192 },
    Stage { blocks: 1, kernel: 3, stride: 1, expand: 6, channels: 320 },
];
const STEM: usize = 32;
const HEAD: usize = 1280;
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// How a network is scaled from Lite0: factors of channels and of blocks, in tenths.
#[derive(Clone, Copy)]
pub(super) struct Scale(usize, usize);

/// EfficientNet-Lite0 for 224x224.
pub(super) const LITE0: Scale = Scale(10, 10);
/// EfficientNet-Lite1 for 240x240.
pub(super) const LITE1: Scale = Scale(10, 11);
/// EfficientNet-Lite2 for 260x260.
pub(super) const LITE2: Scale = Scale(11, 12);
/// EfficientNet-Lite3 for 280x280.
pub(super) const LITE3: Scale = Scale(12, 14);
/// EfficientNet-Lite4 for 300x300.
pub(super) const LITE4: Scale = Scale(14, 18);

impl Scale {
    /// To the nearest multiple of 8, half up; not less than nine tenths of the product.
    fn channels(self, channels: usize) -> usize {
        let tenths = channels * self.0;
        let near = (tenths + 40) / 80 * 8;
        if near * 100 < tenths * 9 {
            near + 8
        } else {
            near
        }
    }

    /// Rounded up. The first and the last stage are not scaled.
    fn blocks(self, stage: usize) -> usize {
        let blocks = STAGES[stage].blocks;
        if stage == 0 || stage + 1 == STAGES.len() {
            blocks
        } else {
            (blocks * self.1).div_ceil(10)
        }
    }
}

/// EfficientNet-Lite of this scale.
pub(super) fn lite(net: &mut Builder<'_>, scale: Scale) -> Built {
    let x = net.input();
    let x = net.conv("_conv_stem", x, Conv::new(STEM, 3).stride(2).same())?;
    let x = net.batch_norm("_bn0", x, EPSILON)?;
    let mut x = net.relu6(x)?;
    let mut number = 0;
    for (i, stage) in STAGES.iter().enumerate() {
        for repeat in 0..scale.blocks(i) {
            let name = format!("_blocks.{number}");
            let stride = if repeat == 0 { stage.stride } else { 1 };
            let channels = scale.channels(stage.channels);
            x = block(net, &name, x, stage, channels, stride)?;
            number += 1;
        }
    }
    let x = net.conv("_conv_head", x, Conv::new(HEAD, 1))?;
    let x = net.batch_norm("_bn1", x, EPSILON)?;
    let x = net.relu6(x)?;
    let x = net.global_avg_pool("_avg_pooling", x)?;
    net.linear("_fc", x, CLASSES)
}

/// Expands, filters each channel and projects; adds the input if it has the shape of the result.
fn block(
    net: &mut Builder<'_>,
    name: &str,
    input: NodeId,
    stage: &Stage,
    channels: usize,
    stride: u32,
) -> Built {
    let inside = net.channels(input) * stage.expand;
    let mut x = input;
    if stage.expand != 1 {
        x = net.conv(&format!("{name}._expand_conv"), x, Conv::new(inside, 1))?;
        x = net.batch_norm(&format!("{name}._bn0"), x, EPSILON)?;
        x = net.relu6(x)?;
    }
    let depthwise = Conv::new(inside, stage.kernel)
        .stride(stride)
        .groups(inside)
        .same();
    x = net.conv(&format!("{name}._depthwise_conv"), x, depthwise)?;
    x = net.batch_norm(&format!("{name}._bn1"), x, EPSILON)?;
    x = net.relu6(x)?;
    let project = Conv::new(channels, 1);
    x = net.conv(&format!("{name}._project_conv"), x, project)?;
    x = net.batch_norm(&format!("{name}._bn2"), x, EPSILON)?;
    if net.shape(x) == net.shape(input) {
        x = net.add(&format!("{name}.add"), x, input)?;
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use crate::graph::{Op, Shape};
    use crate::import::{NamedTensor, StateDict};
    use crate::zoo::{Weights, ZooError, build, catalog};

    /// Names and shapes of the published checkpoint's 296 tensors.
    fn published() -> StateDict {
        let parse = |line: &str| {
            let (name, shape) = line.split_once(' ').unwrap_or((line, ""));
            let shape: Vec<usize> = shape
                .split_whitespace()
                .map(|d| d.parse().unwrap())
                .collect();
            let data = vec![0.5; shape.iter().product()];
            (name.to_string(), NamedTensor { shape, data })
        };
        include_str!("../test_data/efficientnet_lite0_keys.txt")
            .lines()
            .map(parse)
            .collect()
    }

    #[test]
    fn published_names_and_shapes_fit() {
        let dict = published();
        assert_eq!(dict.len(), 296);
        let entry = catalog::find("efficientnet-lite0").unwrap();
        let graph = build(entry, Weights::StateDict(&dict)).unwrap();
        assert_eq!(graph.parameters(), entry.parameters);
    }

    #[test]
    fn a_mismatch_lists_names() {
        let mut dict = published();
        dict.remove("_blocks.3._bn1.running_mean");
        dict.insert(
            "_blocks.16._bn0.weight".into(),
            NamedTensor {
                shape: vec![1],
                data: vec![1.0],
            },
        );
        dict.insert(
            "_fc.bias".into(),
            NamedTensor {
                shape: vec![5],
                data: vec![0.0; 5],
            },
        );
        let entry = catalog::find("efficientnet-lite0").unwrap();
        let error = build(entry, Weights::StateDict(&dict)).unwrap_err();
        assert!(matches!(&error, ZooError::Weights { .. }));
        let text = error.to_string();
        for part in [
            "1 missing (_blocks.3._bn1.running_mean)",
            "1 extra (_blocks.16._bn0.weight)",
            "1 of another shape (_fc.bias: 5, expected 1000)",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn shapes_and_padding() {
        let entry = catalog::find("efficientnet-lite0").unwrap();
        let graph = build(entry, Weights::Random { seed: 3 }).unwrap();
        let node = |name: &str| graph.nodes.iter().find(|n| n.name == name).unwrap();
        assert_eq!(node("_conv_stem").shape, Shape::new(112, 112, 32));
        assert_eq!(node("_conv_head").shape, Shape::new(7, 7, 1280));
        assert_eq!(node("_fc").shape, Shape::new(1, 1, 1000));
        let pads = |name: &str| match &node(name).op {
            Op::Conv(c) => (c.window.pad_before, c.window.pad_after),
            _ => panic!("{name} is no convolution"),
        };
        assert_eq!(pads("_conv_stem"), ([0, 0], [1, 1]));
        assert_eq!(pads("_blocks.3._depthwise_conv"), ([1, 1], [2, 2]));
        assert_eq!(pads("_blocks.2._depthwise_conv"), ([1, 1], [1, 1]));
        assert_eq!(
            graph
                .nodes
                .iter()
                .filter(|n| matches!(n.op, Op::Add(_)))
                .count(),
            9
        );
    }
}
