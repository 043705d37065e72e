//! What the files of tests say of themselves.

use super::About;
use edge_runtime::model::{
    ChannelOrder, Filter, InputSpec, Manifest, OutputFunction, ResizeRule, WeightsOrigin,
};

/// Pictures of 8x8 RGB pixels.
pub const INPUT: InputSpec = InputSpec {
    height: 8,
    width: 8,
    resize: ResizeRule::Squash,
    filter: Filter::Bilinear,
    order: ChannelOrder::Rgb,
    mean: [127.5; 3],
    std: [63.0; 3],
};

/// A classifier of trained weights, for pictures of [`INPUT`].
pub fn about() -> About<'static> {
    About {
        manifest: Manifest {
            name: "test",
            source: "test",
            license: "",
            converter: "test",
            weights: WeightsOrigin::Pretrained { sha256: [0; 32] },
            input: INPUT,
            quantization: None,
            parameters: 0,
            macs: 1_000_000_000,
        },
        labels: "",
        function: OutputFunction::Softmax,
        check: None,
        pruning: None,
    }
}
