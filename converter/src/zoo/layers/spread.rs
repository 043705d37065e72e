//! Estimates how large the values of a network with random weights are, for its random batch norms.
//!
//! The estimate is mean and variance of each tensor, as if its values were normal and independent. It is
//! close (Glorot and Bengio, 2010; He et al., 2015), and close enough for activations to stay in range from
//! the first layer to the last. Errors add up with depth: hard swishes make small values smaller still, so
//! that the last maps of MobileNetV3 are a few times smaller than estimated.

use edge_runtime::model::InputSpec;

use crate::graph::{Activation, Window};

/// Mean and variance of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Mean.
    pub mean: f32,
    /// Variance.
    pub variance: f32,
}

/// Mean square deviation of the pixels of natural pictures, on the scale 0 to 255.
const PIXEL_VARIANCE: f32 = 60.0 * 60.0;

impl Spread {
    /// Of the result of a batch norm without gamma and beta.
    pub(super) const UNIT: Spread = Spread {
        mean: 0.0,
        variance: 1.0,
    };

    /// Of pictures, as the input rule `input` gives them to the network.
    pub fn of_pictures(input: &InputSpec) -> Self {
        let channels = input.channels() as usize;
        let each = |c: usize| Spread {
            mean: (127.5 - input.mean[c]) / input.std[c],
            variance: PIXEL_VARIANCE / (input.std[c] * input.std[c]),
        };
        Self::mixed((0..channels).map(|c| (1, each(c))))
    }

    /// Mean square.
    fn power(self) -> f32 {
        self.mean * self.mean + self.variance
    }

    /// Of several tensors together, each with its number of values.
    pub(super) fn mixed(parts: impl Iterator<Item = (u32, Spread)>) -> Self {
        let (mut count, mut mean, mut power) = (0.0, 0.0, 0.0);
        for (n, s) in parts {
            count += n as f32;
            mean += n as f32 * s.mean;
            power += n as f32 * s.power();
        }
        let (mean, power) = (mean / count, power / count);
        Spread {
            mean,
            variance: power - mean * mean,
        }
    }

    /// After a convolution with random weights of variance `gain / fan_in`; `inside` is the part of the
    /// window's taps that do not fall on padding.
    pub(super) fn convolved(self, gain: f32, inside: f32) -> Self {
        Spread {
            mean: 0.0,
            variance: gain * inside * self.power(),
        }
    }

    /// After a function of one number. The normal distribution is approximated by the binomial one of 64
    /// coins, whose sums are the same on every machine.
    pub(super) fn through(self, function: impl Fn(f32) -> f32) -> Self {
        const COINS: u32 = 64;
        let deviation = self.variance.max(0.0).sqrt();
        let (mut chance, mut mean, mut power) = (0.5f64.powi(COINS as i32), 0.0, 0.0);
        for heads in 0..=COINS {
            let z = (2.0 * heads as f32 - COINS as f32) / (COINS as f32).sqrt();
            let y = f64::from(function(self.mean + deviation * z));
            mean += chance * y;
            power += chance * y * y;
            chance *= f64::from(COINS - heads) / f64::from(heads + 1);
        }
        Spread {
            mean: mean as f32,
            variance: (power - mean * mean) as f32,
        }
    }

    /// After an activation.
    pub(super) fn activated(self, activation: Activation) -> Self {
        self.through(|x| activation.apply(x))
    }

    /// Of the largest value of a window. Neighbours in a map are similar, so a window counts as two
    /// independent values.
    pub(super) fn maximum(self) -> Self {
        // Mean and variance of the larger of two standard normal numbers: 1 / sqrt(pi), 1 - 1 / pi.
        Spread {
            mean: self.mean + 0.564 * self.variance.max(0.0).sqrt(),
            variance: 0.682 * self.variance,
        }
    }

    /// Of the sum of two independent values.
    pub(super) fn sum(self, other: Self) -> Self {
        Spread {
            mean: self.mean + other.mean,
            variance: self.variance + other.variance,
        }
    }

    /// Of the product of two independent values.
    pub(super) fn product(self, other: Self) -> Self {
        let mean = self.mean * other.mean;
        Spread {
            mean,
            variance: self.power() * other.power() - mean * mean,
        }
    }
}

/// The part of a window's taps, over all its places on an input of `size` rows and columns, that do not
/// fall on padding.
pub(super) fn inside(window: &Window, size: [u32; 2]) -> f32 {
    let axis = |a: usize| {
        let outputs = window.output_len(a, size[a]).unwrap_or(1);
        let taps = (0..outputs).flat_map(|o| (0..window.kernel[a]).map(move |k| (o, k)));
        let within = taps.filter(|(o, k)| {
            let at = u64::from(*o) * u64::from(window.stride[a])
                + u64::from(*k) * u64::from(window.dilation[a]);
            let before = u64::from(window.pad_before[a]);
            (before..before + u64::from(size[a])).contains(&at)
        });
        within.count() as f32 / (outputs as f32 * window.kernel[a] as f32)
    };
    axis(0) * axis(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() < 0.01 * (1.0 + b.abs())
    }

    #[test]
    fn a_relu_halves_the_power() {
        let s = Spread::UNIT.activated(Activation::Relu);
        // Mean 1 / sqrt(2 pi), mean square 1/2.
        assert!(close(s.mean, 0.399) && close(s.power(), 0.5), "{s:?}");
        let same = Spread {
            mean: 2.0,
            variance: 3.0,
        };
        let s = same.activated(Activation::None);
        assert!(close(s.mean, 2.0) && close(s.variance, 3.0), "{s:?}");
    }

    #[test]
    fn a_mixture_has_the_variance_between_its_parts() {
        let at = |mean| Spread {
            mean,
            variance: 1.0,
        };
        let s = Spread::mixed([(1, at(-2.0)), (1, at(2.0))].into_iter());
        assert_eq!((s.mean, s.variance), (0.0, 5.0));
    }

    #[test]
    fn taps_on_padding_are_counted() {
        let window = Window {
            kernel: [3, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [1, 0],
            pad_after: [1, 0],
        };
        // Two of the 21 taps of 7 places.
        assert!(close(inside(&window, [7, 9]), 19.0 / 21.0));
    }
}
