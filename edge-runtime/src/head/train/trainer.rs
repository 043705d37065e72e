//! The head in training.

use super::dense::{Dense, Inputs};
use super::hidden::Hidden;
use super::layers::Layers;
use super::shuffle::Shuffle;
use super::{Epoch, MIN_JUDGES, TrainOptions, TrainingSet};
use crate::head::math;
use crate::head::size::HeadSize;
use crate::model::Quant;
use crate::random::Random;

/// Factor on the learning rate with a hidden layer: each of two layers changes what the other learns from.
const HIDDEN_RATE: f32 = 0.1;

/// `logits = last(x)` or `last(hidden(x))`, with `x = (q - zero_point - centre) * scale`.
pub(super) struct Trainer<'t> {
    options: &'t TrainOptions,
    zero_point: i8,
    /// True if the held-out samples are trained on, too.
    pub all: bool,
    scale: f32,
    hidden: Option<Hidden<'t>>,
    last: Dense<'t>,
    centre: &'t mut [f32],
    x: &'t mut [f32],
    pub logits: &'t mut [f32],
}

impl<'t> Trainer<'t> {
    /// Lays a head of this size out in `workspace`, which has at least [`HeadSize::workspace_len`] values.
    pub fn new(
        options: &'t TrainOptions,
        quant: Quant,
        size: &HeadSize,
        workspace: &'t mut [f32],
    ) -> Self {
        let mut rest = workspace;
        let mut take = |len: usize| {
            let (part, tail) = core::mem::take(&mut rest).split_at_mut(len);
            rest = tail;
            part
        };
        Self {
            options,
            zero_point: quant.zero_point,
            all: false,
            scale: 1.0,
            hidden: Hidden::new(size, &mut take),
            last: Dense::new(size.last_inputs(), size.classes, &mut take),
            centre: take(size.features),
            x: take(size.features),
            logits: take(size.classes),
        }
    }

    /// Reads a sample into `x`, as the written layer takes it: with a mean square length of 1.
    fn load(&mut self, feature: &[i8]) {
        let zero = self.zero_point as f32;
        for ((x, q), centre) in self.x.iter_mut().zip(feature).zip(&*self.centre) {
            *x = (*q as f32 - zero - centre) * self.scale;
        }
    }

    /// Reads a sample into `x`, as it is trained on: with a length of 1.
    fn load_unit(&mut self, feature: &[i8]) {
        self.load(feature);
        let square = math::dot(self.x, self.x);
        if square > 0.0 {
            let factor = 1.0 / math::sqrt(square);
            self.x.iter_mut().for_each(|x| *x *= factor);
        }
    }

    /// The samples that are trained on.
    fn training<'s, S: TrainingSet>(
        &self,
        samples: &'s S,
    ) -> impl Iterator<Item = usize> + Clone + use<'s, S> {
        let all = self.all;
        (0..samples.len()).filter(move |&i| all || !samples.held_out(i))
    }

    /// Makes the start: centres and scales the features, starts the hidden layer, and sets the weights of
    /// every class to the mean of its inputs. For spherical classes of equal size the nearest mean is the
    /// best linear classifier.
    pub fn imprint(&mut self, samples: &impl TrainingSet) {
        let training = self.training(samples);
        let count = training.clone().count() as f32;
        self.centre.fill(0.0);
        // `x` is not in use yet and holds the sum of all features.
        self.x.fill(0.0);
        for i in training.clone() {
            let zero = self.zero_point as f32;
            let sum = self.x.iter_mut().zip(samples.feature(i));
            sum.for_each(|(s, q)| *s += *q as f32 - zero);
        }
        let centre = self.centre.iter_mut().zip(&*self.x);
        centre.for_each(|(c, s)| *c = s / count);

        self.scale = 1.0;
        let mut square = 0.0;
        for i in training.clone() {
            self.load(samples.feature(i));
            square += math::dot(self.x, self.x);
        }
        if square > 0.0 {
            self.scale = 1.0 / math::sqrt(square / count);
        }
        self.start_hidden(samples);

        // The class means.
        self.last.weights.fill(0.0);
        self.last.bias.fill(0.0);
        for i in training {
            self.load_unit(samples.feature(i));
            let inputs = match &mut self.hidden {
                Some(hidden) => {
                    hidden.forward(self.x);
                    &*hidden.units
                }
                None => &*self.x,
            };
            let class = samples.label(i);
            self.last.bias[class] += 1.0;
            let row = &mut self.last.weights[class * inputs.len()..][..inputs.len()];
            row.iter_mut().zip(inputs).for_each(|(w, x)| *w += x);
        }
        let inputs = self.last.weights.len() / self.last.bias.len();
        let rows = self.last.weights.chunks_exact_mut(inputs);
        for (row, bias) in rows.zip(self.last.bias.iter_mut()) {
            row.iter_mut().for_each(|w| *w /= *bias);
            *bias = -0.5 * math::dot(row, row);
        }
        self.last.stop();
    }

    /// Starts every unit of the hidden layer as the feature of a training sample, so that its value says how
    /// similar a picture is to that sample. With more units than samples, the samples are used again,
    /// negated, and then once more at half the size, and so on.
    fn start_hidden(&mut self, samples: &impl TrainingSet) {
        let (key, all) = (Random::new(self.options.seed).bits(), self.all);
        let order = Shuffle::new(samples.len(), key)
            .filter(|&i| all || !samples.held_out(i))
            .cycle();
        let count = self.training(samples).count().max(1);
        let (units, inputs) = (self.options.hidden as usize, self.x.len());
        for (j, i) in order.take(units).enumerate() {
            self.load_unit(samples.feature(i));
            let Some(hidden) = &mut self.hidden else {
                return;
            };
            let round = j / count;
            let size = 1.0 / (1u64 << (round / 2)) as f32;
            let factor = if round.is_multiple_of(2) { size } else { -size };
            let row = &mut hidden.dense.weights[j * inputs..][..inputs];
            let pairs = row.iter_mut().zip(&*self.x);
            pairs.for_each(|(w, x)| *w = factor * x);
        }
        if let Some(hidden) = &mut self.hidden {
            hidden.dense.bias.fill(0.0);
            hidden.dense.stop();
        }
    }

    /// The logits of the sample in `x`.
    fn forward(&mut self) {
        match &mut self.hidden {
            Some(hidden) => {
                hidden.forward(self.x);
                self.last.forward(hidden.units, self.logits);
            }
            None => self.last.forward(self.x, self.logits),
        }
    }

    /// One pass over the training samples, in an order of its own.
    pub fn epoch(&mut self, samples: &impl TrainingSet, number: u32) {
        let options = self.options;
        let key = Random::new(options.seed ^ (number as u64) << 32).bits();
        // The step shrinks linearly to nothing over the epochs.
        let mut rate = options.learning_rate * (1.0 - (number - 1) as f32 / options.epochs as f32);
        if self.hidden.is_some() {
            rate *= HIDDEN_RATE;
        }
        let all = self.all;
        let mut order = Shuffle::new(samples.len(), key).filter(|&i| all || !samples.held_out(i));
        let mut left = self.training(samples).count();
        while left > 0 {
            let batch = left.min(options.batch as usize);
            left -= batch;
            let pull = rate * options.weight_decay;
            self.layers(|layer| layer.decay(options.momentum, pull));
            for i in order.by_ref().take(batch) {
                self.load_unit(samples.feature(i));
                self.backward(samples.label(i), rate / batch as f32);
            }
            self.layers(Dense::step);
        }
    }

    fn layers(&mut self, mut act: impl FnMut(&mut Dense<'t>)) {
        if let Some(hidden) = &mut self.hidden {
            act(&mut hidden.dense);
        }
        act(&mut self.last);
    }

    /// Adds `rate` times the gradient of the loss of the sample in `x`.
    fn backward(&mut self, label: usize, rate: f32) {
        self.forward();
        math::softmax(self.logits);
        let smoothing = self.options.label_smoothing;
        let each = smoothing / self.logits.len() as f32;
        self.logits.iter_mut().for_each(|l| *l -= each);
        self.logits[label] -= 1.0 - smoothing;
        let errors = &*self.logits;
        match &mut self.hidden {
            Some(hidden) => {
                hidden.backward(self.x, &self.last, errors, rate);
                self.last.backward(hidden.units, errors, rate);
            }
            None => self.last.backward(self.x, errors, rate),
        }
    }

    /// Loss and accuracy on the held-out samples, or on the training samples if too few are held out.
    pub fn judge(&mut self, samples: &impl TrainingSet, number: u32) -> Epoch {
        let any = (0..samples.len()).filter(|&i| samples.held_out(i)).count() >= MIN_JUDGES;
        let all = self.all;
        let (mut count, mut right, mut loss) = (0.0f32, 0.0f32, 0.0f32);
        for i in (0..samples.len()).filter(|&i| all || samples.held_out(i) == any) {
            self.load(samples.feature(i));
            self.forward();
            let label = samples.label(i);
            if math::softmax(self.logits) == label {
                right += 1.0;
            }
            loss -= math::ln(self.logits[label].max(1e-30));
            count += 1.0;
        }
        Epoch {
            number,
            loss: loss / count,
            top1: right / count,
            best: false,
            refit: self.all,
        }
    }

    /// The layers in int8.
    pub fn quantize(&mut self, samples: &impl TrainingSet, layers: &mut Layers<'_>) {
        let largest = self.largest_unit(samples);
        let mut inputs = Inputs {
            zero_point: self.zero_point,
            scale: self.scale,
            centre: Some(self.centre),
        };
        if let (Some(hidden), Some(out)) = (&mut self.hidden, &mut layers.hidden) {
            hidden.quantize(&inputs, largest, out);
            inputs = Inputs {
                zero_point: out.quant.zero_point,
                scale: out.quant.scale,
                centre: None,
            };
        }
        let Layers {
            weights,
            bias,
            scale,
            ..
        } = layers;
        self.last.quantize(&inputs, weights, bias, scale);
    }

    /// Largest value of a hidden unit on the training samples.
    fn largest_unit(&mut self, samples: &impl TrainingSet) -> f32 {
        let mut largest = 0.0;
        if self.hidden.is_none() {
            return largest;
        }
        for i in self.training(samples) {
            self.load(samples.feature(i));
            if let Some(hidden) = &mut self.hidden {
                hidden.forward(self.x);
                largest = hidden.units.iter().fold(largest, |m: f32, u| m.max(*u));
            }
        }
        largest
    }
}
