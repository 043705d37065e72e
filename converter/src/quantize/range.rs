//! From what was seen of a tensor to the range that its int8 values cover.

use super::observer::Observer;
use crate::graph::ConvWeights;

/// How a range follows from the values seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeRule {
    /// From the smallest to the largest.
    MinMax,
    /// So that this percentage of the values (e.g. 99.99) lies inside.
    Percentile(f64),
}

impl std::fmt::Display for RangeRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RangeRule::MinMax => write!(f, "min-max"),
            RangeRule::Percentile(p) => write!(f, "percentile {p}"),
        }
    }
}

impl std::str::FromStr for RangeRule {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let percentile = |p: f64| {
            (50.0..=100.0)
                .contains(&p)
                .then_some(RangeRule::Percentile(p))
        };
        match s.strip_prefix("percentile:") {
            None if s == "min-max" => Ok(RangeRule::MinMax),
            Some(p) => p.parse().ok().and_then(percentile).ok_or(()),
            None => Err(()),
        }
        .map_err(|()| format!("'{s}' is not `min-max` or `percentile:P` with P from 50 to 100"))
    }
}

/// Real numbers from `min` to `max`; zero is inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// At most 0.
    pub min: f32,
    /// At least 0.
    pub max: f32,
}

impl Range {
    /// The smallest range with `a`, `b` and zero in it.
    pub fn new(a: f32, b: f32) -> Self {
        Self {
            min: a.min(b).min(0.0),
            max: a.max(b).max(0.0),
        }
    }

    /// What the rule makes of the values seen. A tensor that was always zero gets a tiny range.
    pub fn of(observer: &Observer, rule: RangeRule) -> Self {
        let bounds = match rule {
            RangeRule::MinMax => observer.extremes(),
            RangeRule::Percentile(p) => observer.percentile(p / 100.0),
        };
        let (min, max) = bounds.unwrap_or((0.0, 0.0));
        Self::new(min, max)
    }
}

/// The range that batch-norm statistics predict for a convolution's output: `deviations` standard
/// deviations around the mean of every channel, after the activation. `None` without statistics.
pub fn predicted(conv: &ConvWeights, deviations: f32) -> Option<Range> {
    let statistics = conv.statistics.as_ref()?;
    let bounds = statistics
        .iter()
        .flat_map(|s| [s.mean - deviations * s.std, s.mean + deviations * s.std]);
    let bounds = bounds.map(|v| conv.activation.apply(v));
    let (min, max) = bounds.fold((0.0f32, 0.0f32), |(lo, hi), v| (lo.min(v), hi.max(v)));
    Some(Range::new(min, max))
}
