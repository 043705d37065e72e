//! Trains a head on the host, with the same code and the same result, bit for bit, as a device: features from
//! the trunk, then [`edge_runtime::head::train`], then a `.edge` file with the new head.

use crate::dataset::{Dataset, DatasetError, LoadError, map_all};
use crate::jobs::runner::{Feature, RunError, RunnerPool};
use crate::util::progress::Progress;
use edge_runtime::backend::BackendKind;
use edge_runtime::client::judged::{self, Judged};
use edge_runtime::client::names::{self, NameError};
use edge_runtime::device::samples::MAX_CLASS_NAME;
use edge_runtime::head::file::{HeadData, HeadOrigin, HeadRecord, NewData, NewHead};
use edge_runtime::head::train::{self, Epoch, TrainError, TrainOptions, TrainingSet};
use edge_runtime::head::{Head, HeadSize, MAX_HIDDEN};
use edge_runtime::model::write::{WriteError, encode_head, with_head};
use edge_runtime::model::{AlignedBytes, Model, ModelError, WeightsOrigin};

/// One in this many samples of a class is held out to judge the training, as on a device.
const HELD_OUT_EVERY: usize = edge_runtime::device::samples::HELD_OUT_EVERY as usize;

/// A model with its new head.
pub struct Retrained {
    /// The whole `.edge` file, with the new head.
    pub bytes: AlignedBytes,
    /// Number of samples that are not held out.
    pub trained_on: usize,
    /// Number of samples held out. If there are fewer than [`train::MIN_JUDGES`], the head is trained on them
    /// too in the end.
    pub held_out: usize,
    /// The epoch whose head was kept.
    pub best: Epoch,
    /// Accuracy of the requantized head on the held-out samples, before it was trained on any of them; `None`
    /// if there are none.
    pub held_out_top1: Option<f32>,
    /// How well that head knows each of its classes.
    pub classes: Vec<Judged>,
    /// Classes that the previous head was trained on and the new one does not have.
    pub lost: Vec<String>,
    /// Memory that training needs on a device, in bytes: workspace, new layers and labels, without the
    /// samples.
    pub training_bytes: usize,
}

/// Why there is no new head.
#[derive(Debug, thiserror::Error)]
pub enum RetrainError {
    /// The folder is not a data set.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A picture cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model has no answer to a picture.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The samples cannot be trained on.
    #[error("cannot train: {0}")]
    Train(#[from] TrainError),
    /// The result does not pass the reader's checks.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The head is larger than the format allows.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The model is float.
    #[error(
        "heads are trained on int8 features, as on the device, and this model is float; convert it with --int8"
    )]
    FloatModel,
    /// The network has no classifier.
    #[error("this network has no head to retrain: it does not end in a fully connected layer")]
    NoHead,
    /// The weights are random, so that the features mean nothing.
    #[error("the weights of this model are random (seed {seed}); a head on it would learn nothing")]
    RandomWeights {
        /// Their seed.
        seed: u64,
    },
    /// A class has too few pictures.
    #[error("class '{class}' has {images} picture(s); give every class at least 2")]
    TooFew {
        /// The class.
        class: String,
        /// Number of its pictures.
        images: usize,
    },
    /// Two classes have the same name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name of a class folder is more than one line.
    #[error("the class folder {} has a line break in its name; rename it", names::quoted(.0))]
    LineBreak(String),
    /// There are no class folders, or only one.
    #[error(
        "training needs class folders (DIR/daisy/*.jpg, DIR/rose/*.jpg, ...) with at least two classes"
    )]
    NoClasses,
}

impl Retrained {
    /// What the user should know of the new head, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut all = judged::warnings(&self.classes);
        all.extend(judged::lost(&self.lost));
        let names = self.classes.iter().map(|c| c.class.as_str());
        let long: Vec<&str> = names.filter(|n| n.len() > MAX_CLASS_NAME).collect();
        if !long.is_empty() {
            all.push(format!(
                "longer than {MAX_CLASS_NAME} bytes: {}; a device runs such a head, but can be given no samples of such a class",
                names::list(long)
            ));
        }
        all
    }
}

/// The features of a data set, with their labels.
struct Store {
    features: Vec<Vec<i8>>,
    labels: Vec<usize>,
    held_out: Vec<bool>,
}

impl TrainingSet for Store {
    fn len(&self) -> usize {
        self.features.len()
    }
    fn label(&self, i: usize) -> usize {
        self.labels[i]
    }
    fn held_out(&self, i: usize) -> bool {
        self.held_out[i]
    }
    fn feature(&self, i: usize) -> &[i8] {
        &self.features[i]
    }
}

/// Trains a head on the class folders of `dataset`, and gives the file of `model` (whose bytes are `file`)
/// with it.
pub fn retrain(
    model: &Model<'_>,
    file: &[u8],
    kind: BackendKind,
    dataset: &Dataset,
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<Retrained, RetrainError> {
    let head = model.head().ok_or(RetrainError::NoHead)?;
    if let HeadData::F32 { .. } = head.record().data {
        return Err(RetrainError::FloatModel);
    }
    if let WeightsOrigin::Random { seed } = model.manifest().weights {
        return Err(RetrainError::RandomWeights { seed });
    }
    if dataset.classes.len() < 2 {
        return Err(RetrainError::NoClasses);
    }
    names::check_distinct(&dataset.classes)?;
    if let Some(name) = dataset.classes.iter().find(|n| n.contains(['\n', '\r'])) {
        return Err(RetrainError::LineBreak(name.clone()));
    }
    let store = collect(model, kind, dataset, progress)?;

    let size = HeadSize {
        features: head.features(),
        hidden: options.hidden.into(),
        classes: dataset.classes.len(),
    };
    if size.hidden > MAX_HIDDEN {
        return Err(TrainError::Hidden(size.hidden).into());
    }
    let mut memory = AlignedBytes::zeroed(size.layers_len());
    let mut workspace = vec![0.0; size.workspace_len()];
    let layers = train::Layers::new(&size, &mut memory);
    let mut layers = layers.expect("the memory is aligned and long enough");
    progress.stage("training", options.epochs as usize + 1);
    let quant = head.record().feature_quant;
    let mut right = vec![0; size.classes];
    let trained = train::train(
        &store,
        quant,
        options,
        &mut layers,
        &mut workspace,
        &mut |epoch| {
            if !epoch.refit {
                progress.step();
            }
        },
        &mut |class| right[class] += 1,
    )?;

    let held_out = store.held_out.iter().filter(|h| **h).count();
    let trained_on = store.len() - held_out;
    let labels = dataset.classes.join("\n");
    let held_out_top1 = (held_out > 0).then(|| trained.right as f32 / trained.judges as f32);
    let new = NewHead {
        trunk_sha256: *model.trunk_sha256(),
        record: HeadRecord {
            classes: size.classes as u32,
            labels: &labels,
            origin: HeadOrigin::Retrained {
                images: trained_on as u32,
                held_out: held_out as u32,
                held_out_top1,
                seed: options.seed,
            },
            ..*head.record()
        },
        data: NewData::I8(layers.as_int8()),
    };
    let bytes = with_head(file, &AlignedBytes::copy_of(&encode_head(&new)?))?;
    Ok(Retrained {
        bytes,
        trained_on,
        held_out,
        best: trained.best,
        held_out_top1,
        classes: judge(&store, &dataset.classes, &right),
        lost: lost(head, &dataset.classes),
        training_bytes: crate::jobs::report::training_bytes(&size),
    })
}

/// For each class, how many of its held-out samples are `right`.
fn judge(store: &Store, names: &[String], right: &[u32]) -> Vec<Judged> {
    let count = |class: usize, held_out: bool| {
        let samples = store.labels.iter().zip(&store.held_out);
        let of_class = samples.filter(|(label, held)| **label == class && (**held || !held_out));
        of_class.count() as u32
    };
    let classes = names.iter().zip(right).enumerate();
    classes
        .map(|(i, (name, right))| Judged::new(name, count(i, false), count(i, true), *right))
        .collect()
}

/// Classes that the model's head was trained on and that are not among the new ones.
fn lost(head: &Head<'_>, classes: &[String]) -> Vec<String> {
    let names = head.record().labels.lines().filter(|_| head.is_trained());
    names
        .filter(|name| !classes.iter().any(|c| c == name))
        .map(String::from)
        .collect()
}

fn collect(
    model: &Model<'_>,
    kind: BackendKind,
    dataset: &Dataset,
    progress: &dyn Progress,
) -> Result<Store, RetrainError> {
    let mut seen = vec![0usize; dataset.classes.len()];
    let (mut labels, mut held_out) = (vec![], vec![]);
    for class in dataset.items.iter().filter_map(|i| i.class) {
        seen[class] += 1;
        labels.push(class);
        held_out.push(seen[class].is_multiple_of(HELD_OUT_EVERY));
    }
    if let Some(class) = seen.iter().position(|n| *n < 2) {
        return Err(RetrainError::TooFew {
            class: dataset.classes[class].clone(),
            images: seen[class],
        });
    }
    let pool = RunnerPool::new(model, kind)?;
    progress.stage("running the trunk", dataset.items.len());
    let input = &model.manifest().input;
    let features = map_all(&dataset.items, input, &|_| progress.step(), |_, crop| {
        pool.with(|runner| runner.feature(&crop))
    })?;
    let int8 = |feature: Result<Feature, RunError>| match feature? {
        Feature::I8(f) => Ok(f),
        Feature::F32(_) => Err(RetrainError::FloatModel),
    };
    let features = features.into_iter().map(int8).collect::<Result<_, _>>()?;
    Ok(Store {
        features,
        labels,
        held_out,
    })
}
