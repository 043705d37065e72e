//! Measures the accuracy of a classifier on labelled pictures.

use crate::dataset::{Dataset, DatasetError, LoadError, map_all};
use crate::jobs::runner::{RunError, RunnerPool, classes};
use crate::util::progress::Progress;
use edge_runtime::backend::BackendKind;
use edge_runtime::model::{Model, WeightsOrigin};

/// The accuracy of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Number of pictures.
    pub images: usize,
    /// Fraction of the pictures whose class has the largest logit.
    pub top1: f64,
    /// Fraction of the pictures whose class has one of the five largest logits.
    pub top5: f64,
    /// Class `i` of the pictures is class `i + class_offset` of the model.
    pub class_offset: usize,
    /// True if the class folders do not have the names of the model's classes and were taken in alphabetical
    /// order.
    pub folders_by_order: bool,
}

/// Which pictures of a data set to evaluate, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Most pictures to evaluate, spread over the classes.
    pub limit: Option<usize>,
    /// Class `i` of the pictures is class `i + class_offset` of the model; if `None`, 1 for TensorFlow's
    /// ImageNet networks of 1001 classes, the first of which is the background, else 0.
    pub class_offset: Option<usize>,
}

/// Why there is no accuracy.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The labels of the data set cannot be read, or the model does not have them.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A picture cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model has no answer to a picture.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The weights are random, so that there is no accuracy.
    #[error("the weights of this model are random (seed {seed}); it has no accuracy to measure")]
    RandomWeights {
        /// Their seed.
        seed: u64,
    },
    /// A class folder is not a class of the model.
    #[error(
        "class folder '{folder}' is not a class of the model (its classes: {known}); retrain its head on these folders or rename them"
    )]
    UnknownClass {
        /// Name of the folder.
        folder: String,
        /// The first labels of the model.
        known: String,
    },
    /// There are class folders, but the classes of the model have no names to compare with.
    #[error(
        "there are {folders} class folders, and the model has {classes} classes without names; convert it with `--labels FILE`, retrain its head on these folders, or list the pictures in labels.csv"
    )]
    UnnamedClasses {
        /// Number of folders.
        folders: usize,
        /// Number of classes of the model.
        classes: usize,
    },
    /// A picture has no class.
    #[error(
        "{0}: the picture has no class; put pictures into class folders or list them in labels.csv"
    )]
    Unlabelled(String),
}

/// Runs the pictures of `dataset` on `model`.
pub fn evaluate(
    model: &Model<'_>,
    kind: BackendKind,
    dataset: &Dataset,
    options: EvaluateOptions,
    progress: &dyn Progress,
) -> Result<Evaluation, EvaluateError> {
    if let WeightsOrigin::Random { seed } = model.manifest().weights {
        return Err(EvaluateError::RandomWeights { seed });
    }
    let mut dataset = dataset.subset(options.limit.unwrap_or(usize::MAX));
    let folders_by_order = match_classes(model, &mut dataset)?;
    let count = classes(model)?;
    // Without names, the folders are the classes in alphabetical order, if there are as many.
    let folders = dataset.classes.len();
    let named = model.head().is_some_and(|h| !h.record().labels.is_empty());
    if folders > 0 && !named && folders + options.class_offset.unwrap_or(0) != count {
        return Err(EvaluateError::UnnamedClasses {
            folders,
            classes: count,
        });
    }
    let offset = options
        .class_offset
        .unwrap_or_else(|| background(model, count, &dataset));
    for class in dataset.items.iter_mut().filter_map(|i| i.class.as_mut()) {
        *class += offset;
    }
    dataset.check_classes(count)?;
    let pool = RunnerPool::new(model, kind)?;
    progress.stage("evaluating", dataset.items.len());
    let ranks = map_all(
        &dataset.items,
        &model.manifest().input,
        &|_| progress.step(),
        |i, crop| {
            let class = dataset.items[i].class;
            pool.with(|runner| runner.logits(&crop))
                .map(|logits| class.map(|c| rank(&logits, c)))
        },
    )?;
    let (mut top1, mut top5) = (0, 0);
    let images = ranks.len();
    for (rank, item) in ranks.into_iter().zip(&dataset.items) {
        let rank =
            rank?.ok_or_else(|| EvaluateError::Unlabelled(item.path.display().to_string()))?;
        top1 += usize::from(rank == 0);
        top5 += usize::from(rank < 5);
    }
    let fraction = |n: usize| n as f64 / images as f64;
    Ok(Evaluation {
        images,
        top1: fraction(top1),
        top5: fraction(top5),
        class_offset: offset,
        folders_by_order,
    })
}

/// The class offset for pictures without class names: 1 if the model has a background class before those of
/// the pictures, as TensorFlow's ImageNet networks of 1001 classes have, else 0.
fn background(model: &Model<'_>, classes: usize, dataset: &Dataset) -> usize {
    const IMAGENET: usize = 1000;
    let named =
        !dataset.classes.is_empty() || model.head().is_some_and(|h| !h.record().labels.is_empty());
    let fits = |class: Option<usize>| class.is_some_and(|c| c < IMAGENET);
    usize::from(classes == IMAGENET + 1 && !named && dataset.items.iter().all(|i| fits(i.class)))
}

/// How many classes have a larger logit than `class`; of equal logits, the first counts as the largest.
fn rank(logits: &[f32], class: usize) -> usize {
    let ahead = |(i, v): (usize, &f32)| *v > logits[class] || (*v == logits[class] && i < class);
    logits.iter().enumerate().filter(|&e| ahead(e)).count()
}

/// Gives the pictures of class folders the class of the model that has the name of the folder. Returns true
/// if there are folders that are taken in their order instead.
pub(crate) fn match_classes(
    model: &Model<'_>,
    dataset: &mut Dataset,
) -> Result<bool, EvaluateError> {
    let labels: Vec<&str> = model
        .head()
        .map_or(vec![], |h| h.record().labels.lines().collect());
    if dataset.classes.is_empty() || labels.is_empty() || dataset.classes == labels {
        return Ok(!dataset.classes.is_empty() && labels.is_empty());
    }
    // If no folder has the name of a label, folders are in the order of the classes, if there are as many.
    let known = |name: &String| labels.iter().position(|l| l == name);
    if dataset.classes.len() == labels.len() && !dataset.classes.iter().any(|c| known(c).is_some())
    {
        return Ok(true);
    }
    let index: Vec<usize> = dataset
        .classes
        .iter()
        .map(|name| {
            known(name).ok_or_else(|| EvaluateError::UnknownClass {
                folder: name.clone(),
                known: labels
                    .iter()
                    .take(8)
                    .copied()
                    .collect::<Vec<_>>()
                    .join(", "),
            })
        })
        .collect::<Result<_, _>>()?;
    dataset
        .items
        .iter_mut()
        .for_each(|item| item.class = item.class.map(|c| index[c]));
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_equal_logits() {
        assert_eq!(
            [0, 1, 2, 3].map(|c| rank(&[1.0, 3.0, 3.0, 0.0], c)),
            [2, 0, 1, 3]
        );
    }
}
