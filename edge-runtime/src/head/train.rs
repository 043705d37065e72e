//! Training of the head on the device: softmax regression on frozen int8 features.
//!
//! Features are centred and trained on with unit length, so that a picture with strong features counts no more
//! than one with weak ones; the written layer takes them by their mean length. The start is imprinted: every
//! class begins as the mean of its features, which makes a nearest-mean classifier. Stochastic gradient descent
//! with momentum, weight decay and smoothed labels goes on from there. After every epoch the head is judged on the
//! held-out samples (on the training samples, if few are held out), and the best one is requantized and kept, its
//! scales at last calibrated ([`super::calibrate`]).
//!
//! **Few samples.** One of eight held out is a lot where there are twenty of a class. So if fewer than
//! [`MIN_JUDGES`] are held out, they judge the head that was trained without them, and then a second training on
//! all samples, for as many epochs and with the same calibration, gives the head that is kept.
//!
//! All numbers are f32 in a fixed order of operations (see [`super::math`]), so the same samples, options and
//! seed give the same bits on every machine. Memory is the caller's: [`workspace_len`] f32 values and an int8
//! buffer of `classes * features`.

use super::calibrate::calibrate;
use super::math;
use crate::model::Quant;

/// Fewer held-out samples than this do not choose the epoch, for chance would; the training samples do. And they
/// are trained on at last. On flowers with 20 pictures a class, 10 of 100 held out, the first is worth 1.8 points of
/// accuracy, the second 0.6.
pub const MIN_JUDGES: usize = 32;

/// Most epochs: what a stranger asks for shall end.
pub const MAX_EPOCHS: u32 = 10_000;

/// What to train with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainOptions {
    /// Most passes over the samples, up to [`MAX_EPOCHS`]; 0 leaves the imprinted start.
    pub epochs: u32,
    /// Samples per step.
    pub batch: u32,
    /// Step size, for features of length 1.
    pub learning_rate: f32,
    /// Part of the last step that the next one repeats.
    pub momentum: f32,
    /// L2 penalty on the weights.
    pub weight_decay: f32,
    /// Part of every label that is spread over all classes: a head that need not be certain of what may be
    /// mislabelled, or unusual, is better on other pictures.
    pub label_smoothing: f32,
    /// Epochs without improvement on the judging samples after which training stops.
    pub patience: u32,
    /// Decides the order of the samples.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            epochs: 60,
            batch: 16,
            learning_rate: 0.5,
            momentum: 0.9,
            weight_decay: 1e-4,
            label_smoothing: 0.05,
            patience: 12,
            seed: 0,
        }
    }
}

/// Labelled features, wherever they are kept.
pub trait Samples {
    /// How many.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class of sample `i`, below the number of classes.
    fn label(&self, i: usize) -> usize;

    /// True if sample `i` judges and is not trained on.
    fn held_out(&self, i: usize) -> bool;

    /// The int8 feature vector of sample `i`.
    fn feature(&self, i: usize) -> &[i8];
}

/// Why training cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// Fewer than two classes.
    #[error("a head needs at least two classes, and there are {0}")]
    Classes(usize),
    /// A class without a sample to train on.
    #[error("class {0} has no sample to train on")]
    EmptyClass(usize),
    /// A label or a feature vector does not fit.
    #[error("sample {0} has a label or a feature vector that does not fit")]
    Sample(usize),
    /// A buffer is too small.
    #[error("training needs {need} f32 values of workspace, and there are {have}")]
    Workspace {
        /// What there is.
        have: usize,
        /// What [`workspace_len`] says.
        need: usize,
    },
    /// An option makes no sense.
    #[error("{0} is out of range")]
    Option(&'static str),
}

/// f32 values of workspace for a head of this size: weights, velocity, centre, one sample, and a few
/// per class.
pub const fn workspace_len(features: usize, classes: usize) -> usize {
    2 * features * classes + 2 * features + 3 * classes
}

/// What an epoch gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Its number; 0 is the imprinted start.
    pub number: u32,
    /// Mean cross-entropy on the judging samples, in nats.
    pub loss: f32,
    /// Fraction of the judging samples that are right.
    pub top1: f32,
    /// True if it is the best so far.
    pub best: bool,
    /// True in the second training, on all samples, which judge it, too.
    pub refit: bool,
}

/// What training gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// The epoch that won.
    pub best: Epoch,
    /// Samples that judge the int8 layer: those held out, or all, if none is. Only then are they trained on.
    pub judges: u32,
    /// How many of them it gets right.
    pub right: u32,
}

/// Where the trained layer goes.
#[derive(Debug)]
pub struct Layer<'w> {
    /// int8 weights, `[classes][features]`.
    pub weights: &'w mut [i8],
    /// One per class, zero-point term folded in.
    pub bias: &'w mut [i32],
    /// One per class: real value of an accumulator step.
    pub scale: &'w mut [f32],
}

/// Trains a head on `samples`, whose features are quantized as `quant`, into `layer` (its lengths say
/// how many classes and features).
///
/// The held-out samples judge; if there are fewer than [`MIN_JUDGES`], the training samples choose the epoch, and
/// the layer is trained again on all. `progress` is called after every epoch. `workspace` is scratch of at least
/// [`workspace_len`].
pub fn train(
    samples: &impl Samples,
    quant: Quant,
    options: &TrainOptions,
    layer: &mut Layer<'_>,
    workspace: &mut [f32],
    progress: &mut dyn FnMut(Epoch),
) -> Result<Trained, TrainError> {
    let classes = layer.bias.len();
    let features = check(samples, options, layer)?;
    let (have, need) = (workspace.len(), workspace_len(features, classes));
    if have < need {
        return Err(TrainError::Workspace { have, need });
    }
    let mut rest = workspace;
    let mut take = |len: usize| {
        let (part, tail) = core::mem::take(&mut rest).split_at_mut(len);
        rest = tail;
        part
    };
    let mut trainer = Trainer {
        options,
        zero_point: quant.zero_point,
        all: false,
        scale: 1.0,
        weights: take(features * classes),
        velocity: take(features * classes),
        centre: take(features),
        x: take(features),
        bias: take(classes),
        bias_velocity: take(classes),
        logits: take(classes),
    };
    trainer.imprint(samples);
    let mut best = trainer.judge(samples, 0);
    best.best = true;
    trainer.requantize(quant, layer);
    progress(best);
    for number in 1..=options.epochs {
        trainer.epoch(samples, number);
        let mut epoch = trainer.judge(samples, number);
        if epoch.loss < best.loss {
            epoch.best = true;
            best = epoch;
            trainer.requantize(quant, layer);
        }
        progress(epoch);
        if number - best.number >= options.patience {
            break;
        }
    }
    let factor = calibrate(samples, layer, trainer.logits);
    let held_out = (0..samples.len()).filter(|&i| samples.held_out(i)).count();
    let judges = (0..samples.len()).filter(|&i| held_out == 0 || samples.held_out(i));
    let mut trained = Trained {
        best,
        judges: 0,
        right: 0,
    };
    for i in judges {
        layer.logits(samples.feature(i), trainer.logits);
        trained.judges += 1;
        trained.right += u32::from(math::argmax(trainer.logits) == samples.label(i));
    }
    if (1..MIN_JUDGES).contains(&held_out) {
        trainer.all = true;
        trainer.imprint(samples);
        for number in 1..=best.number {
            trainer.epoch(samples, number);
            progress(trainer.judge(samples, number));
        }
        trainer.requantize(quant, layer);
        layer.sharpen(factor);
    }
    Ok(trained)
}

fn check(
    samples: &impl Samples,
    options: &TrainOptions,
    layer: &Layer<'_>,
) -> Result<usize, TrainError> {
    let classes = layer.bias.len();
    if classes < 2 || layer.scale.len() != classes {
        return Err(TrainError::Classes(classes));
    }
    let features = layer.weights.len() / classes;
    let positive = |v: f32| v.is_finite() && v > 0.0;
    if !positive(options.learning_rate) || options.learning_rate > 1e3 {
        return Err(TrainError::Option("the learning rate"));
    }
    if !(0.0..1.0).contains(&options.momentum) {
        return Err(TrainError::Option("the momentum"));
    }
    if !(0.0..=1.0).contains(&options.weight_decay) {
        return Err(TrainError::Option("the weight decay"));
    }
    if !(0.0..1.0).contains(&options.label_smoothing) {
        return Err(TrainError::Option("the label smoothing"));
    }
    if options.epochs > MAX_EPOCHS {
        return Err(TrainError::Option("the number of epochs"));
    }
    if options.batch == 0 {
        return Err(TrainError::Option("the batch size"));
    }
    for i in 0..samples.len() {
        if samples.label(i) >= classes || samples.feature(i).len() != features || features == 0 {
            return Err(TrainError::Sample(i));
        }
    }
    for class in 0..classes {
        if !(0..samples.len()).any(|i| samples.label(i) == class && !samples.held_out(i)) {
            return Err(TrainError::EmptyClass(class));
        }
    }
    Ok(features)
}

/// The model in training: `logit[c] = bias[c] + weights[c] . x` with `x = (q - zero_point - centre) * scale`.
struct Trainer<'t> {
    options: &'t TrainOptions,
    zero_point: i8,
    /// Train on the held-out samples, too.
    all: bool,
    scale: f32,
    weights: &'t mut [f32],
    velocity: &'t mut [f32],
    centre: &'t mut [f32],
    x: &'t mut [f32],
    bias: &'t mut [f32],
    bias_velocity: &'t mut [f32],
    logits: &'t mut [f32],
}

impl Trainer<'_> {
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
    fn training<'s, S: Samples>(
        &self,
        samples: &'s S,
    ) -> impl Iterator<Item = usize> + Clone + use<'s, S> {
        let all = self.all;
        (0..samples.len()).filter(move |&i| all || !samples.held_out(i))
    }

    /// Centres and scales the features, and makes every class the mean of its samples: for spherical
    /// classes of one size the nearest mean is the best linear classifier.
    fn imprint(&mut self, samples: &impl Samples) {
        let training = self.training(samples);
        let count = training.clone().count() as f32;
        self.centre.fill(0.0);
        // The velocity is not in use yet and holds the sum of all features.
        let sum = &mut self.velocity[..self.x.len()];
        sum.fill(0.0);
        for i in training.clone() {
            let zero = self.zero_point as f32;
            sum.iter_mut()
                .zip(samples.feature(i))
                .for_each(|(s, q)| *s += *q as f32 - zero);
        }
        self.centre
            .iter_mut()
            .zip(&*sum)
            .for_each(|(c, s)| *c = s / count);

        self.scale = 1.0;
        let mut square = 0.0;
        for i in training.clone() {
            self.load(samples.feature(i));
            square += math::dot(self.x, self.x);
        }
        if square > 0.0 {
            self.scale = 1.0 / math::sqrt(square / count);
        }

        // The class means.
        let features = self.x.len();
        self.weights.fill(0.0);
        self.bias.fill(0.0);
        for i in training {
            self.load_unit(samples.feature(i));
            let class = samples.label(i);
            self.bias[class] += 1.0;
            let row = &mut self.weights[class * features..][..features];
            row.iter_mut().zip(&*self.x).for_each(|(w, x)| *w += x);
        }
        for (row, bias) in self
            .weights
            .chunks_exact_mut(features)
            .zip(self.bias.iter_mut())
        {
            row.iter_mut().for_each(|w| *w /= *bias);
            *bias = -0.5 * math::dot(row, row);
        }
        self.velocity.fill(0.0);
        self.bias_velocity.fill(0.0);
    }

    /// The logits of the sample in `x`.
    fn forward(&mut self) {
        let rows = self.weights.chunks_exact(self.x.len());
        for ((logit, row), bias) in self.logits.iter_mut().zip(rows).zip(&*self.bias) {
            *logit = bias + math::dot(row, self.x);
        }
    }

    /// One pass over the training samples, in an order of its own.
    fn epoch(&mut self, samples: &impl Samples, number: u32) {
        let options = self.options;
        let key = splitmix(options.seed ^ (number as u64) << 32);
        // The step shrinks linearly to nothing over the epochs.
        let rate = options.learning_rate * (1.0 - (number - 1) as f32 / options.epochs as f32);
        let all = self.all;
        let mut order = Shuffle::new(samples.len(), key).filter(|&i| all || !samples.held_out(i));
        let mut left = self.training(samples).count();
        while left > 0 {
            let batch = left.min(options.batch as usize);
            left -= batch;
            self.decay(rate);
            for i in order.by_ref().take(batch) {
                self.load_unit(samples.feature(i));
                self.backward(samples.label(i), rate / batch as f32);
            }
            self.weights
                .iter_mut()
                .zip(&*self.velocity)
                .for_each(|(w, v)| *w -= v);
            self.bias
                .iter_mut()
                .zip(&*self.bias_velocity)
                .for_each(|(b, v)| *b -= v);
        }
    }

    /// Starts a step: what momentum keeps, and the pull of weight decay.
    fn decay(&mut self, rate: f32) {
        let (momentum, pull) = (self.options.momentum, rate * self.options.weight_decay);
        for (v, w) in self.velocity.iter_mut().zip(&*self.weights) {
            *v = momentum * *v + pull * w;
        }
        self.bias_velocity.iter_mut().for_each(|v| *v *= momentum);
    }

    /// Adds `rate` times the gradient of the loss of the sample in `x`.
    fn backward(&mut self, label: usize, rate: f32) {
        self.forward();
        math::softmax(self.logits);
        let smoothing = self.options.label_smoothing;
        let each = smoothing / self.logits.len() as f32;
        self.logits.iter_mut().for_each(|l| *l -= each);
        self.logits[label] -= 1.0 - smoothing;
        let rows = self.velocity.chunks_exact_mut(self.x.len());
        for ((row, error), bias) in rows.zip(&*self.logits).zip(self.bias_velocity.iter_mut()) {
            let step = rate * error;
            row.iter_mut()
                .zip(&*self.x)
                .for_each(|(v, x)| *v += step * x);
            *bias += step;
        }
    }

    /// Loss and accuracy on the held-out samples, or on the training samples if too few are held out.
    fn judge(&mut self, samples: &impl Samples, number: u32) -> Epoch {
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

    /// The layer in int8: centring and scaling folded in, one symmetric scale per class.
    fn requantize(&mut self, quant: Quant, layer: &mut Layer<'_>) {
        let features = self.x.len();
        let rows = self
            .weights
            .chunks_exact(features)
            .zip(layer.weights.chunks_exact_mut(features));
        for (class, (row, out)) in rows.enumerate() {
            // logit = bias + sum(row * scale * (q - zero_point)), everything in steps of the features.
            let bias = self.bias[class] - self.scale * math::dot(row, self.centre);
            let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs())) * self.scale;
            // A class of (nearly) zero weights still has to represent its bias.
            let step = (largest / 127.0)
                .max(bias.abs() / (1 << 28) as f32)
                .max(1e-30);
            let mut sum = 0i32;
            for (q, w) in out.iter_mut().zip(row) {
                *q = round(w * self.scale / step).clamp(-127, 127) as i8;
                sum += *q as i32;
            }
            layer.bias[class] = round(bias / step) - quant.zero_point as i32 * sum;
            layer.scale[class] = step;
        }
    }
}

/// Nearest integer, half away from zero; saturates.
fn round(v: f32) -> i32 {
    (if v < 0.0 { v - 0.5 } else { v + 0.5 }) as i32
}

/// Sebastiano Vigna's splitmix64 finalizer.
fn splitmix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers below `len` in an order that the key decides, without memory: an invertible scrambling of
/// the next power of two, leaving out what is too large.
struct Shuffle {
    len: u64,
    bits: u32,
    key: u64,
    next: u64,
}

impl Shuffle {
    fn new(len: usize, key: u64) -> Self {
        let bits = usize::BITS - len.saturating_sub(1).leading_zeros();
        Self {
            len: len as u64,
            bits: bits.max(2),
            key,
            next: 0,
        }
    }

    /// Every step is invertible on `bits` bits.
    fn scramble(&self, i: u64) -> u64 {
        let mask = (1u64 << self.bits) - 1;
        let half = self.bits.div_ceil(2);
        (0..4).fold(i, |v, round| {
            let k = splitmix(self.key.wrapping_add(round));
            let v = v.wrapping_mul(k | 1).wrapping_add(k >> 32) & mask;
            v ^ (v >> half)
        })
    }
}

impl Iterator for Shuffle {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.next < 1 << self.bits {
            let v = self.scramble(self.next);
            self.next += 1;
            if v < self.len {
                return Some(v as usize);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUANT: Quant = Quant {
        scale: 0.02,
        zero_point: -128,
    };

    /// Classes around centres of their own, with noise; every fifth sample is held out, if any.
    struct Toy {
        features: Vec<Vec<i8>>,
        classes: usize,
        hold_out: bool,
    }

    impl Toy {
        fn new(classes: usize, features: usize, samples: usize) -> Self {
            let random = |a: u64, b: u64| splitmix(a << 32 | b);
            let feature = |i: usize, f: usize| {
                let centre = (random((i % classes) as u64 + 1000, f as u64) % 40) as i32;
                let noise = (random(i as u64 + 5000, f as u64) % 61) as i32;
                (centre + noise - 128) as i8
            };
            let row = |i| (0..features).map(|f| feature(i, f)).collect();
            Self {
                features: (0..samples).map(row).collect(),
                classes,
                hold_out: true,
            }
        }
    }

    impl Samples for Toy {
        fn len(&self) -> usize {
            self.features.len()
        }
        fn label(&self, i: usize) -> usize {
            i % self.classes
        }
        fn held_out(&self, i: usize) -> bool {
            self.hold_out && i / self.classes % 5 == 4
        }
        fn feature(&self, i: usize) -> &[i8] {
            &self.features[i]
        }
    }

    /// A training's result, its int8 weights, biases and scales, and all epochs.
    type Run = (
        Result<Trained, TrainError>,
        Vec<i8>,
        Vec<i32>,
        Vec<f32>,
        Vec<Epoch>,
    );

    fn run(toy: &Toy, options: &TrainOptions) -> Run {
        let (features, classes) = (toy.features[0].len(), toy.classes);
        let (mut w, mut b, mut s) = (
            vec![0; features * classes],
            vec![0; classes],
            vec![0.0; classes],
        );
        let mut workspace = vec![f32::NAN; workspace_len(features, classes)];
        let mut layer = Layer {
            weights: &mut w,
            bias: &mut b,
            scale: &mut s,
        };
        let mut epochs = vec![];
        let result = train(toy, QUANT, options, &mut layer, &mut workspace, &mut |e| {
            epochs.push(e)
        });
        (result, w, b, s, epochs)
    }

    #[test]
    fn learns_and_the_int8_layer_agrees() {
        let toy = Toy::new(4, 24, 400);
        let (trained, w, b, s, epochs) = run(&toy, &TrainOptions::default());
        let trained = trained.unwrap();
        let best = trained.best;
        assert!(best.top1 > 0.9, "{best:?}");
        assert!(
            best.loss < epochs[0].loss,
            "no better than the start: {best:?}"
        );
        let right = (0..toy.len()).filter(|&i| toy.held_out(i)).filter(|&i| {
            let logit = |c: usize| {
                let acc = toy
                    .feature(i)
                    .iter()
                    .zip(&w[c * 24..])
                    .map(|(q, w)| *q as i32 * *w as i32)
                    .sum::<i32>();
                (acc + b[c]) as f32 * s[c]
            };
            let logits: Vec<f32> = (0..4).map(logit).collect();
            math::argmax(&logits) == toy.label(i)
        });
        assert_eq!(
            (trained.right as usize, trained.judges),
            (right.count(), 80)
        );
        let int8 = trained.right as f32 / trained.judges as f32;
        assert!(
            (int8 - best.top1).abs() < 0.04,
            "int8 {int8}, float {}",
            best.top1
        );
    }

    #[test]
    fn few_held_out_samples_judge_and_are_learned() {
        let options = TrainOptions {
            epochs: 6,
            ..TrainOptions::default()
        };
        let mut toy = Toy::new(3, 16, 90);
        let (trained, w, b, s, epochs) = run(&toy, &options);
        let trained = trained.unwrap();
        assert_eq!((trained.best.number, trained.judges), (6, 18));
        let refit: Vec<_> = epochs.iter().map(|e| e.refit).collect();
        assert_eq!(refit[6..], [false, true, true, true, true, true, true]);
        // But for the calibration, the head is the one that learned all samples.
        toy.hold_out = false;
        let (all, w_all, b_all, s_all, epochs) = run(&toy, &options);
        assert_eq!((all.unwrap().best.number, all.unwrap().judges), (6, 90));
        assert!(epochs.iter().all(|e| !e.refit));
        assert_eq!((w, b), (w_all, b_all));
        let factors = s.iter().zip(&s_all).map(|(s, all)| s / all);
        let factors: Vec<f32> = factors.collect();
        assert!(
            factors.iter().all(|f| (f / factors[0] - 1.0).abs() < 1e-6),
            "{factors:?}"
        );
        assert_ne!(factors[0], 1.0);

        // 45 held out are enough to choose the epoch, and stay unseen.
        toy = Toy::new(3, 16, 225);
        let (trained, w, ..) = run(&toy, &options);
        assert_eq!(trained.unwrap().judges, 45);
        toy.hold_out = false;
        assert_ne!(w, run(&toy, &options).1);
    }

    #[test]
    fn the_seed_decides() {
        let toy = Toy::new(3, 10, 90);
        let with = |seed| {
            run(
                &toy,
                &TrainOptions {
                    seed,
                    ..Default::default()
                },
            )
            .1
        };
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn the_bits_are_the_same_everywhere() {
        // FNV-1a of weights and biases. Another value on some machine means that its heads differ.
        let (_, w, b, s, _) = run(&Toy::new(3, 17, 120), &TrainOptions::default());
        let scales = s.iter().flat_map(|s| s.to_bits().to_le_bytes());
        let bytes = w
            .iter()
            .map(|w| *w as u8)
            .chain(b.iter().flat_map(|b| b.to_le_bytes()))
            .chain(scales);
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ b as u64).wrapping_mul(0x100_0000_01b3)
        });
        assert_eq!(hash, 0x7ee5_5b1f_85a9_7f63, "{hash:#x}");
    }

    #[test]
    fn what_cannot_be_trained_says_why() {
        let toy = Toy::new(2, 8, 20);
        let bad = |options| run(&toy, &options).0.unwrap_err();
        let d = TrainOptions::default();
        assert_eq!(
            bad(TrainOptions {
                learning_rate: f32::NAN,
                ..d
            }),
            TrainError::Option("the learning rate")
        );
        assert_eq!(
            bad(TrainOptions { batch: 0, ..d }),
            TrainError::Option("the batch size")
        );
        let endless = TrainOptions {
            epochs: u32::MAX,
            ..d
        };
        assert_eq!(bad(endless), TrainError::Option("the number of epochs"));
        let lonely = Toy {
            features: vec![vec![0; 8]; 1],
            classes: 2,
            hold_out: true,
        };
        assert_eq!(run(&lonely, &d).0, Err(TrainError::EmptyClass(1)));
        let constant = Toy {
            features: vec![vec![5; 8]; 10],
            classes: 2,
            hold_out: true,
        };
        assert!(
            run(&constant, &d).0.is_ok(),
            "equal features are no reason to fail"
        );
    }

    proptest! {
        #[test]
        fn a_shuffle_is_a_permutation(len in 1usize..3000, key: u64) {
            let mut seen: Vec<usize> = Shuffle::new(len, key).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }
}
