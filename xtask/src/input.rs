//! The input rule of a network from a file: from the arguments, else from the file, else from the catalog.

mod statistics;

use crate::cli::InputArgs;
use anyhow::{Result, bail};
use converter::import::PixelRule;
use converter::import::pixels::Pixels;
use edge_runtime::model::{ChannelOrder, Filter, InputSpec, MAX_SIDE, ResizeRule, Shape};

/// The catalog's rule and the file's count as equal if they differ by less than this part of their range.
const SAME: f32 = 0.03;

/// The usual ranges of pixel values that networks are trained on.
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
    fn rule(self) -> PixelRule {
        match self {
            Preset::Torchvision => PixelRule::TORCHVISION,
            Preset::Unit => PixelRule::UNIT,
            Preset::Tf => PixelRule::TF,
            Preset::Raw => PixelRule::RAW,
        }
    }
}

/// True if the arguments say anything of the input.
pub fn given(args: &InputArgs) -> bool {
    args.normalize.is_some()
        || args.mean.is_some()
        || args.std.is_some()
        || args.bgr
        || args.squash
        || args.short_side.is_some()
        || args.labels.is_some()
        || args.activation.is_some()
}

/// The rule for a network that takes `shape`; `pixels` is what its file says, `known` what the catalog says
/// of the network.
pub fn spec(
    args: &InputArgs,
    shape: Shape,
    pixels: &Pixels,
    known: Option<&InputSpec>,
    notes: &mut Vec<String>,
) -> Result<InputSpec> {
    let order = match (shape.c, args.bgr) {
        (3, false) => known.map_or(ChannelOrder::Rgb, |k| k.order),
        (3, true) => ChannelOrder::Bgr,
        (1, false) => ChannelOrder::Gray,
        (1, true) => bail!("--bgr does not fit a network with one channel"),
        (c, _) => bail!("the network takes {c} channels; pictures have 3 or 1"),
    };
    let PixelRule { mean, std } = rule(args, shape, pixels, known, notes)?;
    Ok(InputSpec {
        height: shape.h,
        width: shape.w,
        resize: resize(args, shape, known, notes)?,
        filter: known.map_or(Filter::Bilinear, |k| k.filter),
        order,
        mean: turned(mean, order),
        std: turned(std, order),
    })
}

/// Turns numbers for red, green, blue into the network's order of channels, or back.
fn turned([r, g, b]: [f32; 3], order: ChannelOrder) -> [f32; 3] {
    match order {
        ChannelOrder::Bgr => [b, g, r],
        ChannelOrder::Rgb | ChannelOrder::Gray => [r, g, b],
    }
}

/// How pixel values enter the network: from the arguments, else from the file, else from the catalog.
fn rule(
    args: &InputArgs,
    shape: Shape,
    pixels: &Pixels,
    known: Option<&InputSpec>,
    notes: &mut Vec<String>,
) -> Result<PixelRule> {
    let channels = shape.c as usize;
    let known = known.map(|k| PixelRule {
        mean: turned(k.mean, k.order),
        std: turned(k.std, k.order),
    });
    let given = match (&args.mean, &args.std, args.normalize) {
        (None, None, preset) => preset.map(|p| ("--normalize", p.rule())),
        (mean, std, _) => {
            let rule = statistics::rule(mean.as_deref(), std.as_deref(), channels)?;
            let mut note = format!("input: pixels enter as {}", rule.show(channels));
            if rule == PixelRule::UNIT {
                note += "; --normalize raw leaves them from 0 to 255";
            }
            notes.push(note);
            Some(("--mean and --std", rule))
        }
    };
    if let Some((option, rule)) = given {
        let against = pixels.against(&rule);
        notes.extend(against.map(|problem| format!("WARNING: {option} does not fit: {problem}")));
        return Ok(rule);
    }
    let Some(derived) = &pixels.derived else {
        let rule = known.unwrap_or(PixelRule::TORCHVISION);
        let assumed = match known {
            Some(_) => "the catalog's rule",
            None => {
                let why = pixels.doubt.as_ref();
                let why = why.map_or(String::new(), |doubt| format!(" ({doubt})"));
                notes.push(format!("the file does not say what pixel values it wants{why}: torchvision's mean and std are assumed; --normalize changes that"));
                "torchvision's mean and std"
            }
        };
        let against = pixels.against(&rule);
        let warning = |problem| {
            format!("WARNING: {assumed} cannot be right: {problem}; say what is with --normalize")
        };
        notes.extend(against.map(warning));
        return Ok(rule);
    };
    if let Some(rule) = known.filter(|k| k.is_near(&derived.rule, channels, SAME)) {
        return Ok(rule);
    }
    // A symmetric range proves nothing against the catalog, nor do small weights.
    let range = pixels.held.filter(|held| !held.symmetric);
    let contradicts = |rule: &PixelRule| range.is_some() && pixels.against(rule).is_some();
    if let Some(rule) = known.filter(|rule| !derived.certain && !contradicts(rule)) {
        let against = pixels.against(&rule);
        notes.extend(against.map(|p| format!("the catalog's rule is taken, though {p}")));
        return Ok(rule);
    }
    let other = known.map_or("", |_| ", which the catalog has otherwise");
    let guess = if derived.certain {
        ""
    } else {
        "; a guess, which --normalize overrides"
    };
    notes.push(format!(
        "input: pixels enter as {} (derived from {}{other}{guess})",
        derived.rule.show(channels),
        derived.from
    ));
    notes.extend(derived.note.clone());
    if derived.blue_first && !args.bgr {
        notes.push(
            "the file seems to want blue, green, red, in this order: --bgr gives it that".into(),
        );
    }
    Ok(derived.rule)
}

fn resize(
    args: &InputArgs,
    shape: Shape,
    known: Option<&InputSpec>,
    notes: &mut Vec<String>,
) -> Result<ResizeRule> {
    if let Some(n) = args.short_side.filter(|n| *n < shape.h.max(shape.w)) {
        notes.push(format!(
            "WARNING: --short-side {n} is less than the long side of the input {shape}: pictures that are too narrow for it will be refused"
        ));
    }
    let margin = |side: u32| (side * 8).div_ceil(7);
    Ok(match (args.squash, args.short_side, known) {
        (true, ..) => ResizeRule::Squash,
        (false, Some(n), _) if n < shape.h.min(shape.w) => {
            bail!("--short-side {n} is smaller than the network's input {shape}")
        }
        (false, Some(n), _) if n > MAX_SIDE => {
            bail!("--short-side {n}: pictures are resized to at most {MAX_SIDE} pixels")
        }
        (false, Some(n), _) => ResizeRule::ShortSide(n),
        (false, None, Some(known)) => known.resize,
        (false, None, None) if shape.h == shape.w => ResizeRule::ShortSide(margin(shape.h)),
        (false, None, None) => ResizeRule::Cover {
            height: margin(shape.h),
            width: margin(shape.w),
        },
    })
}
