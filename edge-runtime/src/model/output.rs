//! What the network's last numbers mean, and what the converter found when it checked its own work.
//!
//! Both stand behind the layers, in files of version [`super::header::WITH_OUTPUT`]. Most files need neither: a
//! softmax of unbounded logits and a good check take no bytes.

use super::Agreement;
use crate::head::math;
use serde::{Deserialize, Serialize};

/// From the network's last numbers to what it says of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// What turns the numbers into probabilities.
    pub function: OutputFunction,
    /// Least value of the numbers before that: of an activation behind the last layer, or of the codes that a
    /// quantized source has there. Minus infinity if there is none.
    pub low: f32,
    /// Greatest value; infinity if there is none.
    pub high: f32,
}

/// What turns the network's last numbers into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputFunction {
    /// Softmax: one class out of all.
    Softmax,
    /// `1 / (1 + exp(-x))` of each: every label by itself is there or not.
    Sigmoid,
    /// Nothing does: the numbers are an answer of their own, as those of a regression.
    None,
}

impl Output {
    /// What a file says that says nothing, and what every trained head has.
    pub const SOFTMAX: Self = Self {
        function: OutputFunction::Softmax,
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    };

    /// The function of numbers that are cut to bounds, if there are any.
    pub const fn new(function: OutputFunction, clamp: Option<[f32; 2]>) -> Self {
        let [low, high] = match clamp {
            Some(bounds) => bounds,
            None => [f32::NEG_INFINITY, f32::INFINITY],
        };
        Self {
            function,
            low,
            high,
        }
    }

    /// The bounds, if there are any.
    pub fn clamp(&self) -> Option<[f32; 2]> {
        (self.low > f32::NEG_INFINITY || self.high < f32::INFINITY).then_some([self.low, self.high])
    }

    /// What is wrong with the bounds, if anything is.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let ordered =
            self.low <= self.high && self.low < f32::INFINITY && self.high > f32::NEG_INFINITY;
        (!ordered).then_some("bounds of the output")
    }

    /// Cuts the network's last numbers to their bounds.
    pub fn cut(&self, logits: &mut [f32]) {
        for v in logits {
            if *v < self.low {
                *v = self.low;
            }
            if *v > self.high {
                *v = self.high;
            }
        }
    }

    /// Replaces the network's last numbers by probabilities; leaves them as they are if they have none.
    pub fn probabilities(&self, logits: &mut [f32]) {
        match self.function {
            OutputFunction::Softmax => {
                math::softmax(logits);
            }
            OutputFunction::Sigmoid => logits.iter_mut().for_each(|v| *v = math::sigmoid(*v)),
            OutputFunction::None => {}
        }
    }
}

impl OutputFunction {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            OutputFunction::Softmax => "softmax",
            OutputFunction::Sigmoid => "sigmoid",
            OutputFunction::None => "none",
        }
    }
}

/// The converter's check of its own work, where it left a doubt. Nothing on a device reads it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// How many pictures were looked at.
    pub images: u32,
    /// How much the output depends on the picture: the part of its root mean square that changes from picture
    /// to picture. 0 for a network that always says the same.
    pub spread: f32,
    /// int8 against float; `None` for a float model.
    pub float: Option<Comparison>,
    /// The model against what the numbers of a quantized source say; `None` for another source.
    pub source: Option<Comparison>,
    /// What is doubtful: the sum of the [`Doubt`]s' bits. 0 only for a record that holds the place before another.
    pub doubts: u8,
}

impl SelfCheck {
    /// Holds the place of a check without doubts, which files do not keep.
    #[cfg(feature = "std")]
    pub(super) const NO_DOUBT: Self = Self {
        images: 0,
        spread: 0.0,
        float: None,
        source: None,
        doubts: 0,
    };
}

/// A model against another on the same pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// How many pictures.
    pub images: u32,
    /// Fraction of the pictures on which both give the same first class.
    pub top1: f32,
    /// Mean cosine of the two logit vectors.
    pub cosine: f32,
    /// The factor by which the model's logits are larger: least squares over all pictures and classes, each class
    /// less its mean over the pictures.
    pub scale: f32,
    /// Root mean square difference of the logits, in root mean squares of what changes from picture to picture.
    pub error: f32,
}

/// What can be doubtful of a converted model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The output hardly depends on the picture.
    Constant = 1,
    /// int8 and float are far apart.
    Float = 2,
    /// int8 follows float, but its logits are larger or smaller by a factor.
    Scale = 4,
    /// The model does not compute what the numbers of its quantized source say.
    Source = 8,
    /// The output is not a finite number.
    NotFinite = 16,
}

impl Doubt {
    /// All of them.
    pub const ALL: [Doubt; 5] = [
        Doubt::NotFinite,
        Doubt::Constant,
        Doubt::Float,
        Doubt::Scale,
        Doubt::Source,
    ];

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Doubt::Constant => "constant-output",
            Doubt::Float => "far-from-float",
            Doubt::Scale => "wrong-scale",
            Doubt::Source => "far-from-source",
            Doubt::NotFinite => "not-finite",
        }
    }
}

impl SelfCheck {
    /// What the manifest says of int8: against a quantized source's own numbers, else against float.
    pub fn agreement(&self) -> Option<Agreement> {
        let c = self.source.or(self.float)?;
        Some(Agreement {
            images: c.images,
            top1: c.top1,
            cosine: c.cosine,
        })
    }

    /// True if it has this doubt.
    pub const fn has(&self, doubt: Doubt) -> bool {
        self.doubts & doubt as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_one_label_do_not_depend_on_the_others() {
        let labels = Output::new(OutputFunction::Sigmoid, Some([-2.0, 3.0]));
        let mut logits = [-50.0, 0.0, 1.0, 80.0];
        labels.cut(&mut logits);
        assert_eq!(logits, [-2.0, 0.0, 1.0, 3.0]);
        labels.probabilities(&mut logits);
        // numpy: 1 / (1 + exp(-x))
        for (got, want) in logits.iter().zip([0.11920292, 0.5, 0.7310586, 0.95257413]) {
            assert!((got - want).abs() < 1e-7, "{got} is not {want}");
        }
        let mut number = [-0.25];
        Output::new(OutputFunction::None, None).probabilities(&mut number);
        assert_eq!(number, [-0.25]);
    }

    #[test]
    fn impossible_bounds() {
        let problem = |clamp| {
            Output::new(OutputFunction::Softmax, clamp)
                .problem()
                .is_some()
        };
        let inf = f32::INFINITY;
        assert!(!problem(None) && !problem(Some([0.0, inf])) && !problem(Some([1.0, 1.0])));
        assert!(problem(Some([1.0, 0.0])) && problem(Some([f32::NAN, 1.0])));
        assert!(problem(Some([0.0, f32::NAN])) && problem(Some([inf, inf])));
    }
}
