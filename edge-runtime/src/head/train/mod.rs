//! Training of a head: softmax regression on frozen int8 features, the same code on devices and hosts.
//!
//! Features are centred, and scaled to unit length for training, so that a picture with strong features
//! counts no more than one with weak ones; the written layer divides them by their mean length. The start is
//! imprinted: every class begins as the mean of its features, which makes a nearest-mean classifier. From
//! there goes stochastic gradient descent with momentum, weight decay and smoothed labels. After every epoch
//! the head is judged on the held-out samples (on the training samples, if few are held out). The best one is
//! quantized to int8 and kept, and in the end its scales are calibrated ([`super::calibrate`]).
//!
//! **Few samples.** With twenty samples of a class, one of eight is too many to do without. So if fewer than
//! [`MIN_JUDGES`] samples are held out, they judge the head that was trained without them. Then a second
//! training on all samples, with as many epochs and the same calibration, gives the head that is kept.
//!
//! All numbers are f32 in a fixed order of operations (see [`super::math`]), so the same samples, options and
//! seed give the same bits on every machine. Memory is the caller's: [`HeadSize::workspace_len`] f32 values,
//! and that of the int8 [`Layers`].

mod dense;
mod hidden;
mod layers;
mod shuffle;
mod trainer;

pub use layers::{Layers, NewHidden};

use super::calibrate::calibrate;
use super::math;
use super::size::{HeadSize, MAX_HIDDEN};
use crate::model::Quant;
use trainer::Trainer;

/// Fewest held-out samples that choose the epoch. With fewer, the choice would be chance: the training
/// samples choose it, and a last training uses the held-out samples, too. On flowers with 20 pictures a
/// class, 10 of 100 held out, the first is worth 1.8 points of accuracy, the second 0.6.
pub const MIN_JUDGES: usize = 32;

/// Most epochs, so that every training ends.
pub const MAX_EPOCHS: u32 = 10_000;

/// Options of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainOptions {
    /// Units of a hidden layer, at most [`MAX_HIDDEN`]; 0 for none.
    pub hidden: u16,
    /// Most passes over the samples, up to [`MAX_EPOCHS`]; 0 leaves the imprinted start.
    pub epochs: u32,
    /// Samples per step.
    pub batch: u32,
    /// Step size for features of length 1; with a hidden layer a tenth of it is used.
    pub learning_rate: f32,
    /// Fraction of the last step that is added to the next one.
    pub momentum: f32,
    /// L2 penalty on the weights.
    pub weight_decay: f32,
    /// Fraction of every label that is spread over all classes. A head that need not be certain of
    /// mislabelled or unusual samples is better on other pictures.
    pub label_smoothing: f32,
    /// Epochs without improvement on the judging samples after which training stops.
    pub patience: u32,
    /// Seed of the order of samples, and of the start of a hidden layer.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            hidden: 0,
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

impl TrainOptions {
    /// Checks that every option is in its range.
    ///
    /// # Errors
    /// [`TrainError::Option`] and [`TrainError::Hidden`].
    pub fn check(&self) -> Result<(), TrainError> {
        let hidden = self.hidden as usize;
        if hidden > MAX_HIDDEN {
            return Err(TrainError::Hidden(hidden));
        }
        let positive = |v: f32| v.is_finite() && v > 0.0;
        if !positive(self.learning_rate) || self.learning_rate > 1e3 {
            return Err(TrainError::Option(
                "the learning rate, which is above 0 and at most 1000",
            ));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(TrainError::Option(
                "the momentum, which is at least 0 and below 1",
            ));
        }
        if !(0.0..=1.0).contains(&self.weight_decay) {
            return Err(TrainError::Option("the weight decay, which is 0 to 1"));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(TrainError::Option(
                "the label smoothing, which is at least 0 and below 1",
            ));
        }
        if self.epochs > MAX_EPOCHS {
            return Err(TrainError::Option("the number of epochs, at most 10000"));
        }
        if self.batch == 0 {
            return Err(TrainError::Option("the batch size, at least 1"));
        }
        Ok(())
    }
}

/// Labelled features to train on, wherever they are kept.
pub trait TrainingSet {
    /// Number of samples.
    fn len(&self) -> usize;

    /// True if there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class of sample `i`; below the number of classes.
    fn label(&self, i: usize) -> usize;

    /// True if sample `i` is held out: it judges the head and is not trained on.
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
    /// The hidden layer is too wide.
    #[error("a hidden layer has at most {MAX_HIDDEN} units, not {0}")]
    Hidden(usize),
    /// The lengths of the layers do not fit together, or not the head that is asked for.
    #[error("the memory for the layers has not the lengths of such a head")]
    Layers,
    /// A label or a feature vector does not fit.
    #[error("sample {0} has a label or a feature vector that does not fit")]
    Sample(usize),
    /// A buffer is too small.
    #[error("training needs {need} f32 values of workspace, and there are {have}")]
    Workspace {
        /// What there is.
        have: usize,
        /// What [`HeadSize::workspace_len`] says.
        need: usize,
    },
    /// An option is out of range.
    #[error("out of range: {0}")]
    Option(&'static str),
}

/// Result of an epoch.
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
    /// True in the second training, which uses all samples, also to judge.
    pub refit: bool,
}

/// Result of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// The best epoch.
    pub best: Epoch,
    /// Number of samples that judged the int8 head: those held out, or all if none is.
    pub judges: u32,
    /// How many of those it gets right.
    pub right: u32,
}

/// Trains a head on `samples`, whose features are quantized as `quant`, and writes it to `layers`, whose
/// lengths give the number of classes and features and the hidden layer.
///
/// The held-out samples judge; if there are fewer than [`MIN_JUDGES`], the training samples choose the epoch,
/// and the head is trained again on all. `progress` is called after every epoch, and `right` with the class
/// of every judging sample that the int8 head gets right ([`Trained::right`]). `workspace` is scratch of at
/// least [`HeadSize::workspace_len`] values.
///
/// # Errors
/// [`TrainError`], before anything is written.
///
/// ```
/// use edge_runtime::head::HeadSize;
/// use edge_runtime::head::train::{Layers, TrainOptions, TrainingSet, train};
/// use edge_runtime::model::{AlignedBytes, Quant};
///
/// /// Eight samples of two classes; the last two are held out.
/// struct Samples;
///
/// impl TrainingSet for Samples {
///     fn len(&self) -> usize {
///         8
///     }
///     fn label(&self, i: usize) -> usize {
///         i % 2
///     }
///     fn held_out(&self, i: usize) -> bool {
///         i >= 6
///     }
///     fn feature(&self, i: usize) -> &[i8] {
///         match i % 2 {
///             0 => &[90, 10, 0],
///             _ => &[10, 90, 0],
///         }
///     }
/// }
///
/// let size = HeadSize::linear(3, 2);
/// let mut memory = AlignedBytes::zeroed(size.layers_len());
/// let mut layers = Layers::new(&size, &mut memory).expect("long enough, and aligned");
/// let mut workspace = vec![0.0; size.workspace_len()];
/// let quant = Quant { scale: 0.1, zero_point: 0 };
/// let options = TrainOptions { seed: 7, ..TrainOptions::default() };
/// let trained = train(
///     &Samples,
///     quant,
///     &options,
///     &mut layers,
///     &mut workspace,
///     &mut |epoch| println!("epoch {}: {}", epoch.number, epoch.loss),
///     &mut |_right| (),
/// )?;
/// assert_eq!((trained.right, trained.judges), (2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn train(
    samples: &impl TrainingSet,
    quant: Quant,
    options: &TrainOptions,
    layers: &mut Layers<'_>,
    workspace: &mut [f32],
    progress: &mut dyn FnMut(Epoch),
    right: &mut dyn FnMut(usize),
) -> Result<Trained, TrainError> {
    let size = check(samples, options, layers)?;
    let (have, need) = (workspace.len(), size.workspace_len());
    if have < need {
        return Err(TrainError::Workspace { have, need });
    }
    let mut trainer = Trainer::new(options, quant, &size, workspace);
    trainer.imprint(samples);
    let mut best = trainer.judge(samples, 0);
    best.best = true;
    trainer.quantize(samples, layers);
    progress(best);
    for number in 1..=options.epochs {
        trainer.epoch(samples, number);
        let mut epoch = trainer.judge(samples, number);
        if epoch.loss < best.loss {
            epoch.best = true;
            best = epoch;
            trainer.quantize(samples, layers);
        }
        progress(epoch);
        if number - best.number >= options.patience {
            break;
        }
    }
    let factor = calibrate(samples, layers, trainer.logits);
    let held_out = (0..samples.len()).filter(|&i| samples.held_out(i)).count();
    let judges = (0..samples.len()).filter(|&i| held_out == 0 || samples.held_out(i));
    let mut trained = Trained {
        best,
        judges: 0,
        right: 0,
    };
    for i in judges {
        layers.logits(samples.feature(i), trainer.logits);
        trained.judges += 1;
        let label = samples.label(i);
        if math::argmax(trainer.logits) == label {
            trained.right += 1;
            right(label);
        }
    }
    if (1..MIN_JUDGES).contains(&held_out) {
        trainer.all = true;
        trainer.imprint(samples);
        let start = trainer.judge(samples, 0);
        let mut last = start;
        for number in 1..=best.number {
            trainer.epoch(samples, number);
            last = trainer.judge(samples, number);
            progress(last);
        }
        // Options that are too wild for all samples leave the head that was trained on most of them.
        if last.loss <= start.loss {
            trainer.quantize(samples, layers);
            layers.sharpen(factor);
        }
    }
    Ok(trained)
}

fn check(
    samples: &impl TrainingSet,
    options: &TrainOptions,
    layers: &Layers<'_>,
) -> Result<HeadSize, TrainError> {
    let classes = layers.bias.len();
    if classes < 2 {
        return Err(TrainError::Classes(classes));
    }
    options.check()?;
    let hidden = options.hidden as usize;
    let size = layers.size().filter(|size| size.hidden == hidden);
    let size = size.ok_or(TrainError::Layers)?;
    for i in 0..samples.len() {
        if samples.label(i) >= classes
            || samples.feature(i).len() != size.features
            || size.features == 0
        {
            return Err(TrainError::Sample(i));
        }
    }
    for class in 0..classes {
        if !(0..samples.len()).any(|i| samples.label(i) == class && !samples.held_out(i)) {
            return Err(TrainError::EmptyClass(class));
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests;
