//! In which order units leave a space, and what each costs: the optimal brain surgeon for groups of weights
//! (Hassibi and Stork, 1993; here with the error of a layer's output, as Frantar and Alistarh, 2022).
//!
//! A reader computes `W x` of windows `x` with second moments `H`. Without the weights `g` of a unit, and with all
//! others as good as they can be, its output has the mean square error `tr(W_g' [(H^-1)_gg]^-1 W_g)`. The unit whose
//! error is least, summed over all readers, leaves; then `W` and `H^-1` become those of what remains.

use faer::{Mat, Side, linalg::solvers::Solve};
use rayon::prelude::*;

/// The weights of one reader that belong to a space, in one group of channels.
pub struct Part {
    /// Per unit: its rows of the matrices below; none when it has left.
    rows: Vec<Vec<usize>>,
    /// Number of rows.
    side: usize,
    /// `H^-1` of these rows, `[side][side]`.
    inverse: Vec<f64>,
    /// `W`, `[side][outputs]`.
    weights: Vec<f64>,
    outputs: usize,
}

/// What leaves a space, one unit after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Numbers of units within the space.
    pub leaving: Vec<usize>,
    /// Entry `i`: the error without the first `i` of them, in shares of the variance of what is computed.
    pub errors: Vec<f64>,
}

impl Part {
    /// `rows[u]` are the rows of unit `u`. `inverse` and `weights` give the elements of `H^-1` and of `W`, whose
    /// outputs are scaled to the errors that count.
    pub fn new(
        rows: &[Vec<usize>],
        outputs: usize,
        inverse: impl Fn(usize, usize) -> f64,
        weights: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let all: Vec<usize> = rows.iter().flatten().copied().collect();
        let mut next = 0..all.len();
        let local = |unit: &Vec<usize>| next.by_ref().take(unit.len()).collect();
        let square = all.iter().flat_map(|&i| all.iter().map(move |&j| (i, j)));
        Self {
            rows: rows.iter().map(local).collect(),
            side: all.len(),
            inverse: square.map(|(i, j)| inverse(i, j)).collect(),
            weights: all
                .iter()
                .flat_map(|&i| (0..outputs).map(move |o| (i, o)))
                .map(|(i, o)| weights(i, o))
                .collect(),
            outputs,
        }
    }

    /// The lower triangle `L` of `(H^-1)_gg = L L'`, solved for `W_g`: its squares are the error.
    fn solved(&self, unit: usize) -> Option<Mat<f64>> {
        let g = &self.rows[unit];
        let block = Mat::from_fn(g.len(), g.len(), |i, j| {
            self.inverse[g[i] * self.side + g[j]]
        });
        let mut w = Mat::from_fn(g.len(), self.outputs, |i, o| {
            self.weights[g[i] * self.outputs + o]
        });
        let factor = block.llt(Side::Lower).ok()?;
        faer::linalg::triangular_solve::solve_lower_triangular_in_place(
            factor.L(),
            w.as_mut(),
            faer::Par::Seq,
        );
        Some(w)
    }

    /// The error without one more unit.
    fn error(&self, unit: usize) -> f64 {
        self.solved(unit)
            .map_or(f64::INFINITY, |w| w.squared_norm_l2())
    }

    /// Takes a unit out; all others make up for it.
    fn leave(&mut self, unit: usize) {
        let g = std::mem::take(&mut self.rows[unit]);
        let (side, outputs) = (self.side, self.outputs);
        let block = Mat::from_fn(g.len(), g.len(), |i, j| self.inverse[g[i] * side + g[j]]);
        let row = |i: &usize| self.inverse[i * side..][..side].to_vec();
        let inverse: Vec<Vec<f64>> = g.iter().map(row).collect();
        let row = |i: &usize| self.weights[i * outputs..][..outputs].to_vec();
        let weights: Vec<Vec<f64>> = g.iter().map(row).collect();
        let Ok(factor) = block.llt(Side::Lower) else {
            return;
        };
        // By how much of each leaving row every row changes.
        let columns = Mat::from_fn(g.len(), side, |i, j| inverse[i][j]);
        let shares = factor.solve(&columns);
        let rows = self.inverse.par_chunks_exact_mut(side);
        let with_weights = rows.zip(self.weights.par_chunks_exact_mut(outputs));
        with_weights.enumerate().for_each(|(i, (inv, w))| {
            for k in 0..g.len() {
                let share = shares[(k, i)];
                inv.iter_mut()
                    .zip(&inverse[k])
                    .for_each(|(a, b)| *a -= share * b);
                w.iter_mut()
                    .zip(&weights[k])
                    .for_each(|(a, b)| *a -= share * b);
            }
        });
    }

    /// Drops the rows of units that have left, if they are many.
    fn shrink(&mut self) {
        let stay: Vec<usize> = self.rows.iter().flatten().copied().collect();
        if stay.len() * 4 > self.side * 3 {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let (side, outputs) = (self.side, self.outputs);
        let smaller = Self::new(
            &rows,
            outputs,
            |i, j| self.inverse[i * side + j],
            |i, o| self.weights[i * outputs + o],
        );
        *self = smaller;
    }
}

/// Takes units out of a space of `units` until only `least` are there.
pub fn order(mut parts: Vec<Part>, units: usize, least: usize) -> Order {
    let mut there: Vec<usize> = (0..units).collect();
    let (mut leaving, mut errors) = (vec![], vec![0.0]);
    while there.len() > least.max(1) {
        let cost = |&unit: &usize| parts.iter().map(|p| p.error(unit)).sum::<f64>();
        let costs: Vec<f64> = there.par_iter().map(cost).collect();
        let cheapest = (0..there.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b]));
        let place = cheapest.expect("units are there");
        if !costs[place].is_finite() {
            break;
        }
        let unit = there.remove(place);
        leaving.push(unit);
        errors.push(errors.last().unwrap() + costs[place]);
        for part in &mut parts {
            part.leave(unit);
            part.shrink();
        }
    }
    Order { leaving, errors }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, from -0.5 to 0.5.
    fn number(i: usize) -> f64 {
        ((i as f64 * 12.9898).sin() * 43758.5453).rem_euclid(1.0) - 0.5
    }

    const SIDE: usize = 6;
    const OUTPUTS: usize = 3;

    /// Second moments of some windows, and weights.
    fn problem() -> (Mat<f64>, Mat<f64>) {
        let windows = Mat::from_fn(40, SIDE, |i, j| number(i * SIDE + j) + 0.3 * number(i));
        let moments = windows.transpose() * &windows;
        (
            moments,
            Mat::from_fn(SIDE, OUTPUTS, |i, o| number(1000 + i * OUTPUTS + o)),
        )
    }

    /// The error of the best weights that use only some rows: least squares, from its definition.
    fn error_of_best(moments: &Mat<f64>, weights: &Mat<f64>, rows: &[usize]) -> f64 {
        let some = Mat::from_fn(rows.len(), rows.len(), |i, j| moments[(rows[i], rows[j])]);
        let goal = moments * weights;
        let wanted = Mat::from_fn(rows.len(), OUTPUTS, |i, o| goal[(rows[i], o)]);
        let best = some.llt(Side::Lower).unwrap().solve(&wanted);
        let full = (weights.transpose() * &goal)
            .diagonal()
            .column_vector()
            .sum();
        full - (best.transpose() * &wanted)
            .diagonal()
            .column_vector()
            .sum()
    }

    fn parts(units: &[Vec<usize>]) -> (Mat<f64>, Mat<f64>, Vec<Part>) {
        use faer::linalg::solvers::DenseSolveCore;
        let (moments, weights) = problem();
        let inverse = moments.llt(Side::Lower).unwrap().inverse();
        let part = Part::new(
            units,
            OUTPUTS,
            |i, j| inverse[(i, j)],
            |i, o| weights[(i, o)],
        );
        (moments, weights, vec![part])
    }

    #[test]
    fn errors_are_those_of_the_best_repair() {
        let units = vec![vec![0, 3], vec![1, 4], vec![2, 5]];
        let (moments, weights, parts) = parts(&units);
        let order = order(parts, 3, 1);
        assert_eq!(order.leaving.len(), 2);
        for (left, error) in order.errors.iter().enumerate() {
            let gone = &order.leaving[..left];
            let stay = (0..3).filter(|u| !gone.contains(u));
            let rows: Vec<usize> = stay.flat_map(|u| units[u].clone()).collect();
            let wanted = error_of_best(&moments, &weights, &rows);
            assert!((error - wanted).abs() < 1e-9, "{left}: {error}, {wanted}");
        }
    }

    #[test]
    fn the_cheapest_unit_leaves_first() {
        let units: Vec<Vec<usize>> = (0..SIDE).map(|i| vec![i]).collect();
        let (moments, weights, parts) = parts(&units);
        let first = order(parts, SIDE, 1).leaving[0];
        let error = |gone: usize| {
            let rows: Vec<usize> = (0..SIDE).filter(|i| *i != gone).collect();
            error_of_best(&moments, &weights, &rows)
        };
        let cheapest = (0..SIDE).min_by(|a, b| error(*a).total_cmp(&error(*b)));
        assert_eq!(Some(first), cheapest);
    }

    #[test]
    fn what_nobody_reads_leaves_first_and_costs_nothing() {
        // Unit 1 has no weights in any reader.
        let (_, _, mut parts) = parts(&[vec![0], vec![], vec![1]]);
        parts.extend(self::parts(&[vec![2], vec![], vec![3]]).2);
        let order = order(parts, 3, 1);
        assert_eq!((order.leaving[0], order.errors[1]), (1, 0.0));
    }
}
