//! Second moments of windows, and least squares with them.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::solvers::{DenseSolveCore, Llt, Solve};
use faer::{Accum, Mat, MatRef, Par, Side};

/// By how much, of their mean square, the squares of numbers are raised before weights are fitted to them, if there
/// are many windows. Keeps weights near what they were where pictures say nothing.
const RIDGE: f64 = 1e-3;

/// Sums of products of the numbers in windows (and of a one behind them), and of those with targets.
pub struct Gram {
    /// Numbers in a window, and the one.
    side: usize,
    /// Targets per window.
    targets: usize,
    products: Mat<f32>,
    with_targets: Mat<f32>,
    rows: Vec<f32>,
    wanted: Vec<f32>,
    count: usize,
}

/// Windows that are multiplied at a time.
const ROWS: usize = 512;

impl Gram {
    /// Of windows of `filter` numbers, each with `targets` targets.
    pub fn new(filter: usize, targets: usize) -> Self {
        let side = filter + 1;
        Self {
            side,
            targets,
            products: Mat::zeros(side, side),
            with_targets: Mat::zeros(side, targets),
            rows: vec![],
            wanted: vec![],
            count: 0,
        }
    }

    /// Adds windows, as [`unfold`] writes them, and their targets.
    pub fn add(&mut self, rows: &[f32], targets: &[f32]) {
        self.rows.extend_from_slice(rows);
        self.wanted.extend_from_slice(targets);
        if self.rows.len() >= ROWS * self.side {
            self.multiply();
        }
    }

    fn multiply(&mut self) {
        let count = self.rows.len() / self.side;
        let rows = MatRef::from_row_major_slice(&self.rows, count, self.side);
        let threads = Par::rayon(0);
        matmul(
            self.products.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            rows.transpose(),
            BlockStructure::Rectangular,
            rows,
            BlockStructure::Rectangular,
            1.0,
            threads,
        );
        if self.targets != 0 {
            let wanted = MatRef::from_row_major_slice(&self.wanted, count, self.targets);
            let into = self.with_targets.as_mut();
            faer::linalg::matmul::matmul(into, Accum::Add, rows.transpose(), wanted, 1.0, threads);
        }
        self.count += count;
        self.rows.clear();
        self.wanted.clear();
    }

    /// The moments of all that was added; `None` if they are not finite.
    pub fn finish(mut self) -> Option<Moments> {
        self.multiply();
        let scale = 1.0 / self.count.max(1) as f64;
        let filter = self.side - 1;
        let (sums, wanted) = (&self.products, &self.with_targets);
        let mut products = Mat::from_fn(self.side, self.side, |i, j| {
            f64::from(sums[(i.max(j), i.min(j))]) * scale
        });
        let targets = Mat::from_fn(self.side, self.targets, |i, j| {
            f64::from(wanted[(i, j)]) * scale
        });
        let mean_square = (0..filter).map(|i| products[(i, i)]).sum::<f64>() / filter as f64;
        // With few windows, many weights fit them, and only those near the old ones are right elsewhere.
        let few = 1.0 + (4.0 * filter as f64 / self.count.max(1) as f64).powi(2);
        let ridge = RIDGE * few * mean_square;
        (0..filter).for_each(|i| products[(i, i)] += ridge);
        let factor = match mean_square == 0.0 {
            true => None,
            false => Some(products.llt(Side::Lower).ok()?),
        };
        Some(Moments {
            factor,
            targets,
            ridge,
            filter,
        })
    }
}

/// Second moments of windows, with the ridge on those of the numbers, and of windows with targets. The one is last.
pub struct Moments {
    /// `L L'`; none if no window held anything.
    factor: Option<Llt<f64>>,
    targets: Mat<f64>,
    ridge: f64,
    filter: usize,
}

impl Moments {
    /// The inverse; none if no window held anything.
    pub fn inverse(&self) -> Option<Mat<f64>> {
        self.factor.as_ref().map(|factor| factor.inverse())
    }

    /// The filters and biases, `[filter and bias][target]`, that come closest to the targets, and stay near the filters
    /// `old(number, target)`; none if no window held anything.
    pub fn fit(mut self, old: impl Fn(usize, usize) -> f32) -> Option<Mat<f64>> {
        for o in 0..self.targets.ncols() {
            for i in 0..self.filter {
                self.targets[(i, o)] += self.ridge * f64::from(old(i, o));
            }
        }
        Some(self.factor?.solve(&self.targets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random.
    fn number(i: usize) -> f32 {
        ((i as f32 * 12.9898).sin() * 43758.547).fract()
    }

    /// `count` windows of `filter` numbers, each with its one, and `2 x0 - x1 + 0.5` of each.
    fn windows(count: usize, filter: usize) -> (Vec<f32>, Vec<f32>) {
        let mut rows = vec![];
        let mut targets = vec![];
        for row in 0..count {
            let numbers: Vec<f32> = (0..filter).map(|i| number(row * filter + i)).collect();
            targets.push(2.0 * numbers[0] - numbers[1] + 0.5);
            rows.extend(numbers);
            rows.push(1.0);
        }
        (rows, targets)
    }

    #[test]
    fn many_windows_give_the_weights_that_made_the_targets() {
        let (rows, targets) = windows(2000, 4);
        let mut gram = Gram::new(4, 1);
        for (rows, targets) in rows.chunks(5 * 7).zip(targets.chunks(7)) {
            gram.add(rows, targets);
        }
        let best = gram.finish().unwrap().fit(|_, _| 0.0).unwrap();
        for (i, wanted) in [2.0, -1.0, 0.0, 0.0, 0.5].into_iter().enumerate() {
            assert!(
                (best[(i, 0)] - wanted).abs() < 0.01,
                "{i}: {}",
                best[(i, 0)]
            );
        }
    }

    #[test]
    fn few_windows_leave_weights_near_what_they_were() {
        let distance = |count: usize| {
            let (rows, targets) = windows(count, 40);
            let mut gram = Gram::new(40, 1);
            gram.add(&rows, &targets);
            let best = gram.finish().unwrap().fit(|_, _| 1.0).unwrap();
            (0..40)
                .map(|i| (best[(i, 0)] - 1.0).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        assert!(
            distance(2) < 0.3 * distance(4000),
            "{} {}",
            distance(2),
            distance(4000)
        );
    }

    #[test]
    fn the_inverse_is_one() {
        let (rows, _) = windows(100, 3);
        let mut gram = Gram::new(3, 0);
        gram.add(&rows, &[]);
        let moments = gram.finish().unwrap();
        let inverse = moments.inverse().unwrap();
        // Its last row and column belong to the one, whose moments have no ridge: the mean of the numbers.
        let means: Vec<f64> = (0..3)
            .map(|i| rows.chunks(4).map(|r| f64::from(r[i])).sum::<f64>() / 100.0)
            .collect();
        let last: f64 = (0..3).map(|i| inverse[(3, i)] * means[i]).sum::<f64>() + inverse[(3, 3)];
        assert!((last - 1.0).abs() < 1e-5, "{last}");
    }

    #[test]
    fn nothing_seen_is_nothing_known() {
        let mut gram = Gram::new(2, 0);
        gram.add(&[0.0, 0.0, 1.0], &[]);
        assert!(gram.finish().unwrap().inverse().is_none());
        let mut gram = Gram::new(2, 0);
        gram.add(&[f32::INFINITY, 0.0, 1.0], &[]);
        assert!(gram.finish().is_none());
    }
}
