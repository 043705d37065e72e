//! A fully connected layer in training: f32, with the velocities of stochastic gradient descent.

use crate::head::math;

/// `out[row] = bias[row] + weights[row] . x`
pub(super) struct Dense<'t> {
    /// `[rows][inputs]`
    pub weights: &'t mut [f32],
    pub bias: &'t mut [f32],
    /// What momentum keeps of the last steps, in the order of `weights`.
    pub velocity: &'t mut [f32],
    pub bias_velocity: &'t mut [f32],
}

/// The inputs of a layer for [`Dense::quantize`]: `x = (q - zero_point - centre) * scale`.
pub(super) struct Inputs<'c> {
    pub zero_point: i8,
    pub scale: f32,
    pub centre: Option<&'c [f32]>,
}

impl<'t> Dense<'t> {
    /// A layer in the memory that `take` gives.
    pub fn new(inputs: usize, rows: usize, mut take: impl FnMut(usize) -> &'t mut [f32]) -> Self {
        Self {
            weights: take(inputs * rows),
            velocity: take(inputs * rows),
            bias: take(rows),
            bias_velocity: take(rows),
        }
    }

    fn inputs(&self) -> usize {
        self.weights.len() / self.bias.len()
    }

    pub fn forward(&self, x: &[f32], out: &mut [f32]) {
        let rows = self.weights.chunks_exact(x.len());
        for ((out, row), bias) in out.iter_mut().zip(rows).zip(&*self.bias) {
            *out = bias + math::dot(row, x);
        }
    }

    /// Sets the velocities to zero.
    pub fn stop(&mut self) {
        self.velocity.fill(0.0);
        self.bias_velocity.fill(0.0);
    }

    /// Starts a step: scales the velocities by the momentum, and adds the weight decay.
    pub fn decay(&mut self, momentum: f32, pull: f32) {
        for (v, w) in self.velocity.iter_mut().zip(&*self.weights) {
            *v = momentum * *v + pull * w;
        }
        self.bias_velocity.iter_mut().for_each(|v| *v *= momentum);
    }

    /// Adds `rate` times the gradient for the input `x`, where `errors` is the loss's gradient by the
    /// outputs.
    pub fn backward(&mut self, x: &[f32], errors: &[f32], rate: f32) {
        let rows = self.velocity.chunks_exact_mut(x.len());
        for ((row, error), bias) in rows.zip(errors).zip(self.bias_velocity.iter_mut()) {
            let step = rate * error;
            // So it is in half of a layer with ReLU.
            if step == 0.0 {
                continue;
            }
            row.iter_mut().zip(x).for_each(|(v, x)| *v += step * x);
            *bias += step;
        }
    }

    /// The loss's gradient by the inputs.
    pub fn input_errors(&self, errors: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        let rows = self.weights.chunks_exact(out.len());
        for (row, error) in rows.zip(errors) {
            out.iter_mut().zip(row).for_each(|(o, w)| *o += error * w);
        }
    }

    /// Ends a step: adds the velocities to the weights.
    pub fn step(&mut self) {
        let pairs = self.weights.iter_mut().zip(&*self.velocity);
        pairs.for_each(|(w, v)| *w -= v);
        let pairs = self.bias.iter_mut().zip(&*self.bias_velocity);
        pairs.for_each(|(b, v)| *b -= v);
    }

    /// The layer in int8, one symmetric scale per row, centring and scaling of the inputs folded in: `step`
    /// is the real value of an accumulator's step.
    pub fn quantize(
        &self,
        inputs: &Inputs<'_>,
        weights: &mut [i8],
        biases: &mut [i32],
        steps: &mut [f32],
    ) {
        let len = self.inputs();
        let rows = self.weights.chunks_exact(len);
        for (i, (row, out)) in rows.zip(weights.chunks_exact_mut(len)).enumerate() {
            let centre = inputs.centre.map_or(0.0, |c| math::dot(row, c));
            let bias = self.bias[i] - inputs.scale * centre;
            let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs())) * inputs.scale;
            // A row of (nearly) zero weights still has to represent its bias.
            let step = (largest / 127.0)
                .max(bias.abs() / (1 << 28) as f32)
                .max(1e-30);
            let mut sum = 0i32;
            for (q, w) in out.iter_mut().zip(row) {
                *q = round(w * inputs.scale / step).clamp(-127, 127) as i8;
                sum += *q as i32;
            }
            biases[i] = round(bias / step) - inputs.zero_point as i32 * sum;
            steps[i] = step;
        }
    }
}

/// Nearest integer, half away from zero; saturates.
fn round(v: f32) -> i32 {
    (if v < 0.0 { v - 0.5 } else { v + 0.5 }) as i32
}
