//! What a model says of itself: where it came from, what was done to it, what it wants to see.
//!
//! Strings borrow from the file. Nothing here influences the arithmetic but [`InputSpec`].

use serde::{Deserialize, Serialize};

/// The first record of the metadata section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest<'a> {
    /// Name of the network, e.g. `efficientnet-lite0`.
    pub name: &'a str,
    /// Where the weights came from, for people, e.g. a package and its version.
    pub source: &'a str,
    /// License of the weights as stated by the source, or empty.
    pub license: &'a str,
    /// Program and version that wrote the file.
    pub converter: &'a str,
    /// What the weights are.
    pub weights: WeightsOrigin,
    /// What pictures must look like.
    pub input: InputSpec,
    /// How it was quantized; `None` for a float model.
    pub quantization: Option<Quantization<'a>>,
    /// Parameters of the network as it was converted (trunk and head).
    pub parameters: u64,
    /// Multiply-accumulate operations of one inference (trunk and head).
    pub macs: u64,
}

/// Where the numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightsOrigin {
    /// A trained network; SHA-256 of the file that held its weights.
    Pretrained {
        /// SHA-256 of that file.
        #[serde(deserialize_with = "super::sha256::read")]
        sha256: [u8; 32],
    },
    /// Seeded random numbers: good for latency and memory, of no accuracy.
    Random {
        /// The seed.
        seed: u64,
    },
}

/// How the int8 ranges were found, and what that cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantization<'a> {
    /// The rule, e.g. `min-max` or `percentile 99.99`.
    pub method: &'a str,
    /// What the ranges were measured on.
    pub calibration: Calibration<'a>,
    /// The converter's comparison of int8 with float, if it made one.
    pub agreement: Option<Agreement>,
}

/// What ranges were measured on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Calibration<'a> {
    /// Pictures of a folder.
    Pictures {
        /// Last component of the folder's path.
        folder: &'a str,
        /// How many.
        images: u32,
    },
    /// No pictures: batch-norm statistics and generated pictures.
    DataFree {
        /// How many were generated.
        images: u32,
    },
    /// Nothing: the source network was quantized already, and its ranges are kept.
    Source,
}

/// What a pruned network was before channels were removed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pruning<'a> {
    /// Its parameters (trunk and head).
    pub parameters: u64,
    /// Multiply-accumulate operations of one inference (trunk and head).
    pub macs: u64,
    /// What its weights were repaired on.
    #[serde(borrow)]
    pub pictures: Calibration<'a>,
}

/// int8 against float on the same pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// How many pictures.
    pub images: u32,
    /// Fraction on which both give the same first class.
    pub top1: f32,
    /// Mean cosine of the two logit vectors.
    pub cosine: f32,
}

/// Order of the colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red (Caffe's habit).
    Bgr,
    /// One channel of luma.
    Gray,
}

/// Largest side of an input, and of a picture that is resized for one.
pub const MAX_SIDE: u32 = 1 << 14;

/// How a picture is brought to the input size. A picture that has it already is taken as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResizeRule {
    /// Both sides to the input size, changing the aspect ratio.
    Squash,
    /// The short side to so many pixels, then the centre.
    ShortSide(u32),
    /// The aspect ratio stays: the smallest size that covers so many rows and columns, then the centre.
    Cover {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
}

/// Interpolation of resizing, antialiased as Pillow does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// Triangle.
    Bilinear,
    /// Catmull-Rom, a = -0.5.
    Bicubic,
}

/// From a picture with values 0..=255 to the network's input: `real = (x - mean[c]) / std[c]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// How to get there.
    pub resize: ResizeRule,
    /// With what interpolation.
    pub filter: Filter,
    /// Channels and their order.
    pub order: ChannelOrder,
    /// Subtracted, per channel of the network's order, on the 0..=255 scale.
    pub mean: [f32; 3],
    /// Divided by; finite, not zero.
    pub std: [f32; 3],
}

impl InputSpec {
    /// What is wrong with the rule, if anything is: who follows one that came from elsewhere asks first.
    pub fn problem(&self) -> Option<&'static str> {
        let side = |n: u32| (1..=MAX_SIDE).contains(&n);
        if !side(self.height) || !side(self.width) {
            return Some("picture size out of range");
        }
        match self.resize {
            // A picture of another shape than the input may still be too small: `picture::crop` says so.
            ResizeRule::ShortSide(n) if !side(n) || n < self.height.min(self.width) => {
                return Some("short side smaller than the picture");
            }
            ResizeRule::Cover { height, width }
                if !side(height) || !side(width) || height < self.height || width < self.width =>
            {
                return Some("resized to less than the picture");
            }
            _ => {}
        }
        let divisor = |s: &f32| s.is_finite() && *s != 0.0;
        if !self.std.iter().all(divisor) || !self.mean.iter().all(|m| m.is_finite()) {
            return Some("mean or std of the input");
        }
        None
    }

    /// Number of channels.
    pub const fn channels(&self) -> u32 {
        match self.order {
            ChannelOrder::Rgb | ChannelOrder::Bgr => 3,
            ChannelOrder::Gray => 1,
        }
    }
}
