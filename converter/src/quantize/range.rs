//! The range of real numbers that the int8 values of a tensor cover, and the rules by which it follows from
//! what was observed.

use super::observer::Observer;
use crate::graph::ConvWeights;

/// How a range follows from the observed values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeRule {
    /// From the smallest to the largest value.
    MinMax,
    /// The range that has this percentage of the values (e.g. 99.99) inside, with as many left out at either
    /// end.
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

/// Real numbers from `min` to `max`, zero among them.
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

    /// The range of what an observer has seen, by a rule. It is only zero if the observer saw only zeros or
    /// nothing.
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
