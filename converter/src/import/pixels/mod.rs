//! Derives how pixels must enter a network from its file: from the type of the input, the first quantization,
//! a normalization at the start of the graph, and the size of the first weights.
//!
//! It works on the imported graph, whatever the format was. A rule is derived only if no other one makes
//! sense: a batch norm at the start may have been trained on normalized pixels, and then is no normalization
//! itself.

mod affine;
mod evidence;
mod rule;
mod weights;

pub use rule::{PixelRule, short};

use crate::graph::{Graph, Quant};
use affine::Start;

/// What the file expects as input values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Floats.
    Float,
    /// 8-bit codes, with a scale and zero point.
    Codes,
    /// Pixels from 0 to 255, which the network converts to floats.
    Pixels,
    /// Pixels minus 128, which the network converts to floats.
    SignedPixels,
}

/// What a file says about its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pixels {
    /// The rule, if the file says or implies one.
    pub derived: Option<Derived>,
    /// The range of its first quantization, in values of the input.
    pub held: Option<Held>,
    /// Why there is no rule, if the user should know.
    pub doubt: Option<String>,
    /// Channels of the input.
    pub channels: usize,
}

/// A rule that follows from the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The rule.
    pub rule: PixelRule,
    /// What it follows from, for messages: `its uint8 input`.
    pub from: &'static str,
    /// True if it is certain. False if it depends on calibration or on a choice among common rules.
    pub certain: bool,
    /// True if blue comes first: the file says so, or its means are ImageNet's in that order.
    pub blue_first: bool,
    /// What else the user should know.
    pub note: Option<String>,
}

/// The range of a quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// The lowest value.
    pub low: f32,
    /// The highest value.
    pub high: f32,
    /// True if the quantizer always puts zero in the middle, so that only the end farther from zero tells
    /// something.
    pub symmetric: bool,
}

impl Pixels {
    /// Derives it from `graph`, whose input is `entry`.
    pub fn of(graph: &Graph, entry: Entry) -> Self {
        let channels = graph.input_shape().c as usize;
        let start = Start::of(graph);
        let held = start.as_ref().and_then(|s| held(graph, s));
        let certain = |rule, from| Derived {
            rule,
            from,
            certain: true,
            blue_first: false,
            note: None,
        };
        let derived = match (entry, graph.nodes[0].quant) {
            (Entry::Codes, Some(quant)) => {
                let derived = certain(of_codes(quant), "its 8-bit input");
                Some(derived.or_of(held, channels))
            }
            (Entry::Pixels, _) => Some(certain(PixelRule::RAW, "its uint8 input")),
            (Entry::SignedPixels, _) => {
                let rule = PixelRule::uniform(128.0, 1.0);
                Some(certain(rule, "its int8 input"))
            }
            (Entry::Float | Entry::Codes, _) => None,
        };
        let mut pixels = Self {
            derived,
            held,
            doubt: None,
            channels,
        };
        if let (None, Some(start)) = (&pixels.derived, start) {
            let derived = evidence::of_start(&start)
                .or_else(|| evidence::of_range(held?, channels))
                .or_else(|| weights::of_weights(graph, &start));
            pixels.doubt = match derived {
                Some(_) => None,
                None => evidence::doubt(&start, held),
            };
            pixels.derived = derived;
        }
        pixels
    }

    /// A warning if `rule` contradicts the file.
    pub fn against(&self, rule: &PixelRule) -> Option<String> {
        /// Part of a rule's range that counts as rounding.
        const SAME: f32 = 0.03;
        /// Part of a range that calibration may have missed.
        const MISSED: f32 = 0.15;
        /// Smallest part of a range that pixels should fill.
        const FILLED: f32 = 0.6;
        let n = self.channels;
        if let Some(d) = &self.derived {
            if d.rule.is_near(rule, n, SAME) {
                return None;
            }
            if d.certain || self.held.is_none() {
                let says = if d.certain { "says" } else { "suggests" };
                return Some(format!(
                    "the file {says} otherwise: pixels enter as {} ({})",
                    d.rule.show(n),
                    d.from
                ));
            }
        }
        let held = self.held?;
        let [low, high] = rule.range(n);
        let holds = format!(
            "its first quantization holds {} to {}, and pixels enter as {}",
            short(held.low, 3),
            short(held.high, 3),
            rule.show(n)
        );
        let span = held.high - held.low;
        if low < held.low - MISSED * span || high > held.high + MISSED * span {
            return Some(format!("{holds}: what is beyond is cut off"));
        }
        let filled = match held.symmetric {
            true => high.max(-low) / held.high,
            false => (high - low) / span,
        };
        (filled < FILLED).then(|| {
            format!(
                "{holds}: {} % of its steps are used",
                short(100.0 * filled, 2)
            )
        })
    }
}

impl Derived {
    /// Adds a note if the codes have the range of a rule with its own numbers per colour. Codes have one
    /// scale.
    fn or_of(self, held: Option<Held>, channels: usize) -> Self {
        let other = held.and_then(|held| evidence::of_range(held, channels));
        let differs = |d: &Derived| d.rule.range(1) != d.rule.range(3);
        let Some(other) = other.filter(differs) else {
            return self;
        };
        Self {
            certain: false,
            note: Some(format!(
                "its 8-bit input has the range of pixels that enter as {}: if it was quantized for those, give that rule",
                other.rule.show(channels)
            )),
            ..self
        }
    }
}

/// The rule for codes as input. uint8 codes are pixels and int8 codes are pixels minus 128. As int8, both are
/// pixels minus 128 and stand for `scale * (q - zero_point)`.
fn of_codes(quant: Quant) -> PixelRule {
    PixelRule::uniform(128.0 + f32::from(quant.zero_point), 1.0 / quant.scale)
}

/// The range of the first quantization, in values of the input.
fn held(graph: &Graph, start: &Start) -> Option<Held> {
    if let Some(([low, high], lanes)) = &start.clipped {
        let ends = lanes
            .iter()
            .map(|l| l.before([f64::from(*low), f64::from(*high)]));
        let [low, high] = ends.reduce(|[a, b], [c, d]| [a.min(c), b.max(d)])?;
        let held = Held {
            low: low as f32,
            high: high as f32,
            symmetric: false,
        };
        return (held.low.is_finite() && held.high.is_finite() && held.low < held.high)
            .then_some(held);
    }
    let (quant, lanes) = start.quantized.as_ref()?;
    let end = |q: i32| f64::from(quant.scale) * f64::from(q - i32::from(quant.zero_point));
    let ends = lanes.iter().map(|l| l.before([end(-128), end(127)]));
    let [low, high] = ends.reduce(|[a, b], [c, d]| [a.min(c), b.max(d)])?;
    let [low, high] = [low as f32, high as f32];
    let mut others = graph.nodes.iter().filter_map(|n| n.quant);
    others.next();
    let centred = quant.zero_point == 0 && lanes.iter().all(|l| l.offset == 0.0);
    // A single range can have zero in the middle by chance, as -1 to 1 does.
    let rule = match others.clone().next() {
        Some(_) => others.all(|q| q.zero_point == 0),
        None => (high - 1.0).abs() < 0.002,
    };
    let held = Held {
        low,
        high,
        symmetric: centred && rule,
    };
    (held.low.is_finite() && held.high.is_finite() && held.low < held.high).then_some(held)
}
