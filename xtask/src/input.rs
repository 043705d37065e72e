//! The input rule of a network from a file, from the arguments: most files do not say.

use crate::cli::InputArgs;
use anyhow::{Result, bail};
use converter::import::PixelRule;
use edge_runtime::model::{ChannelOrder, Filter, InputSpec, MAX_SIDE, ResizeRule, Shape};

/// Pixel values that networks are commonly trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    /// ImageNet's mean and standard deviation, as torchvision's networks want it.
    Torchvision,
    /// 0 to 1.
    Unit,
    /// -1 to 1.
    Tf,
    /// 0 to 255.
    Raw,
}

impl std::str::FromStr for Preset {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Ok(match s {
            "torchvision" => Preset::Torchvision,
            "unit" => Preset::Unit,
            "tf" => Preset::Tf,
            "raw" => Preset::Raw,
            _ => return Err(format!("'{s}' is not one of torchvision, unit, tf, raw")),
        })
    }
}

impl Preset {
    /// Mean and standard deviation on the 0 to 255 scale.
    fn values(self) -> ([f32; 3], [f32; 3]) {
        match self {
            Preset::Torchvision => (
                [0.485, 0.456, 0.406].map(|v| v * 255.0),
                [0.229, 0.224, 0.225].map(|v| v * 255.0),
            ),
            Preset::Unit => ([0.0; 3], [255.0; 3]),
            Preset::Tf => ([127.5; 3], [127.5; 3]),
            Preset::Raw => ([0.0; 3], [1.0; 3]),
        }
    }
}

/// The rule for a network that takes `shape`; `pixels` is what its file implies.
pub fn spec(args: &InputArgs, shape: Shape, pixels: Option<PixelRule>) -> Result<InputSpec> {
    let order = match (shape.c, args.bgr) {
        (3, false) => ChannelOrder::Rgb,
        (3, true) => ChannelOrder::Bgr,
        (1, false) => ChannelOrder::Gray,
        (1, true) => bail!("--bgr does not fit a network with one channel"),
        (c, _) => bail!("the network takes {c} channels; pictures have 3 or 1"),
    };
    let (mean, std) = match (&args.mean, &args.std) {
        (Some(mean), Some(std)) => (channels("--mean", mean)?, channels("--std", std)?),
        _ => match (args.normalize, pixels) {
            (None, Some(rule)) => ([rule.mean; 3], [rule.std; 3]),
            (preset, _) => preset.unwrap_or(Preset::Torchvision).values(),
        },
    };
    if std.iter().any(|v| *v <= 0.0) {
        bail!("--std must be greater than zero");
    }
    let side = shape.h.max(shape.w);
    let resize = match (args.squash, args.short_side) {
        (true, _) => ResizeRule::Squash,
        (false, Some(n)) if n < side => {
            bail!("--short-side {n} is smaller than the network's input {shape}")
        }
        (false, Some(n)) if n > MAX_SIDE => {
            bail!("--short-side {n}: pictures are resized to at most {MAX_SIDE} pixels")
        }
        (false, Some(n)) => ResizeRule::ShortSide(n),
        (false, None) => ResizeRule::ShortSide((side * 8).div_ceil(7)),
    };
    Ok(InputSpec {
        height: shape.h,
        width: shape.w,
        resize,
        filter: Filter::Bilinear,
        order,
        mean,
        std,
    })
}

/// Three values (or one for all) for pixels from 0 to 1, on the 0 to 255 scale.
fn channels(option: &str, values: &[f32]) -> Result<[f32; 3]> {
    if values.iter().any(|v| !v.is_finite()) {
        bail!("{option} must be numbers");
    }
    match values {
        [v] => Ok([v * 255.0; 3]),
        [r, g, b] => Ok([r, g, b].map(|v| v * 255.0)),
        _ => bail!(
            "{option} takes one or three numbers, and there are {}",
            values.len()
        ),
    }
}
