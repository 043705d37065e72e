//! What the values of a tensor are over all calibration pictures: extremes and a histogram.
//!
//! The width of the bins is a power of two, and zero is the border of two bins. So observers that were filled
//! on different threads merge to the same result in any order.

/// Bins on each side of zero.
const HALF: usize = 2048;

/// The smallest and the largest value seen so far, and a histogram of all of them unless it was made by
/// [`Observer::of_extremes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Observer {
    min: f32,
    max: f32,
    count: u64,
    /// Width of a bin is `2^exponent`.
    exponent: i32,
    bins: Vec<u64>,
}

impl Default for Observer {
    fn default() -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            count: 0,
            exponent: -24,
            bins: vec![0; 2 * HALF],
        }
    }
}

impl Observer {
    /// An observer without a histogram: about ten times as fast, but without percentiles.
    pub fn of_extremes() -> Self {
        Self {
            bins: vec![],
            ..Self::default()
        }
    }

    /// Adds values. It skips those that are not finite.
    pub fn see(&mut self, values: &[f32]) {
        let (min, max) = extremes_of(values);
        if min > max {
            return;
        }
        (self.min, self.max) = (self.min.min(min), self.max.max(max));
        let (min, max) = (self.min, self.max);
        if self.bins.is_empty() {
            return;
        }
        while max.max(-min) >= HALF as f32 * exp2(self.exponent) {
            self.widen();
        }
        let per_bin = 1.0 / exp2(self.exponent);
        for v in values.iter().filter(|v| v.is_finite()) {
            // On x86-64 without SSE 4.1, `floor` is a function call; this is not.
            let scaled = v * per_bin;
            let cut = scaled as i32;
            let floor = cut - i32::from(scaled < cut as f32);
            let bin = (floor + HALF as i32).max(0) as usize;
            self.bins[bin.min(2 * HALF - 1)] += 1;
            self.count += 1;
        }
    }

    /// Adds the values that another observer has seen.
    pub fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.count == 0 {
            return;
        }
        let mut other = other.clone();
        while self.exponent < other.exponent {
            self.widen();
        }
        while other.exponent < self.exponent {
            other.widen();
        }
        self.count += other.count;
        self.bins
            .iter_mut()
            .zip(&other.bins)
            .for_each(|(a, b)| *a += b);
    }

    /// Smallest and largest value seen; `None` if there was none.
    pub fn extremes(&self) -> Option<(f32, f32)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// Bounds that leave out the fraction `(1 - keep) / 2` of the values at each end, exact to the width of a
    /// bin. `None` without values or without a histogram.
    pub fn percentile(&self, keep: f64) -> Option<(f32, f32)> {
        let (min, max) = self.extremes().filter(|_| !self.bins.is_empty())?;
        let cut = ((1.0 - keep) / 2.0 * self.count as f64) as u64;
        let width = exp2(self.exponent);
        let edge = |bin: usize| (bin as f32 - HALF as f32) * width;
        let low = edge(first_beyond(cut, self.bins.iter().enumerate())?);
        let high = edge(first_beyond(cut, self.bins.iter().enumerate().rev())? + 1);
        Some((low.max(min), high.min(max)))
    }

    /// Doubles the width of the bins.
    fn widen(&mut self) {
        let mut wide = vec![0; 2 * HALF];
        for (bin, n) in self.bins.iter().enumerate() {
            wide[(bin + HALF) / 2] += n;
        }
        self.bins = wide;
        self.exponent += 1;
    }
}

/// Smallest and largest finite value; infinity and minus infinity if there is none.
///
/// It works in lanes that do not depend on each other, so that the compiler can use vector instructions.
fn extremes_of(values: &[f32]) -> (f32, f32) {
    const LANES: usize = 32;
    let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let mut see = |lane: usize, v: f32| {
        let finite = v.abs() < f32::INFINITY;
        if finite && v < low[lane] {
            low[lane] = v;
        }
        if finite && v > high[lane] {
            high[lane] = v;
        }
    };
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, v) in chunk.iter().enumerate() {
            see(lane, *v);
        }
    }
    for (lane, v) in rest.iter().enumerate() {
        see(lane, *v);
    }
    let fold = |lanes: [f32; LANES], f: fn(f32, f32) -> f32| lanes.into_iter().reduce(f);
    (
        fold(low, f32::min).unwrap_or(f32::INFINITY),
        fold(high, f32::max).unwrap_or(f32::NEG_INFINITY),
    )
}

/// The first bin at which more than `cut` values have been counted.
fn first_beyond<'b>(cut: u64, mut bins: impl Iterator<Item = (usize, &'b u64)>) -> Option<usize> {
    let mut seen = 0;
    bins.find_map(|(bin, n)| {
        seen += n;
        (seen > cut).then_some(bin)
    })
}

fn exp2(exponent: i32) -> f32 {
    libm::exp2f(exponent as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentile_of_a_ramp_with_an_outlier() {
        let mut values: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
        values.push(1000.0);
        let mut o = Observer::default();
        o.see(&values);
        assert_eq!(o.extremes(), Some((0.0, 1000.0)));
        let (low, high) = o.percentile(0.999).unwrap();
        assert!(
            (0.0..0.001).contains(&low) && (0.9..2.0).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn extremes_do_not_need_a_histogram() {
        let (mut with, mut without) = (Observer::default(), Observer::of_extremes());
        let values = [0.5, f32::NAN, -3.0, f32::NEG_INFINITY, 7.25];
        with.see(&values);
        without.see(&values);
        assert_eq!(without.extremes(), Some((-3.0, 7.25)));
        assert_eq!(without.extremes(), with.extremes());
        assert_eq!(without.percentile(0.9), None);
        let mut merged = Observer::of_extremes();
        merged.merge(&without);
        assert_eq!(merged, without);
    }

    #[test]
    fn nothing_and_not_a_number() {
        let mut o = Observer::default();
        o.see(&[f32::NAN, f32::INFINITY]);
        assert_eq!((o.extremes(), o.percentile(0.99)), (None, None));
    }

    proptest! {
        #[test]
        fn order_does_not_matter(a in proptest::collection::vec(-1e3f32..1e3, 0..50), b in proptest::collection::vec(-1f32..1.0, 0..50)) {
            let seen = |parts: [&[f32]; 2]| {
                let mut one = Observer::default();
                parts.iter().for_each(|p| one.see(p));
                one
            };
            let (mut left, mut right) = (seen([&a, &[]]), seen([&b, &[]]));
            let (only_a, only_b) = (left.clone(), right.clone());
            left.merge(&only_b);
            right.merge(&only_a);
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(left, seen([&a, &b]));
        }
    }
}
