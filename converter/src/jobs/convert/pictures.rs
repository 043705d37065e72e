//! Stage `Pictures::load`: the pictures that ranges are measured on, and others to judge the result on.

use super::{CalibrationSource, ConvertError};
use crate::dataset::{LoadError, dead_leaves, load_all, preprocess};
use crate::util::progress::Progress;
use edge_runtime::model::InputSpec;
use rayon::prelude::*;
use std::collections::HashSet;
use std::ops::Range;

/// Pictures of the input rule's size, each `[height][width][channels]` bytes.
pub struct Pictures {
    /// Those that ranges are measured on.
    pub calibration: Vec<Vec<u8>>,
    /// Others of the same source; none if it has no more.
    pub unseen: Vec<Vec<u8>>,
    /// True if all of them were generated.
    pub generated: bool,
}

impl Pictures {
    /// Generates or reads them. The choice depends on nothing but the source.
    pub fn load(
        source: &CalibrationSource,
        input: &InputSpec,
        progress: &dyn Progress,
    ) -> Result<Self, ConvertError> {
        match source {
            CalibrationSource::DataFree { images } => {
                let total = images + judging(*images);
                let mut calibration = generate(0..total, input, progress)?;
                let unseen = calibration.split_off(*images);
                Ok(Self {
                    calibration,
                    unseen,
                    generated: true,
                })
            }
            CalibrationSource::Pictures {
                dataset, images, ..
            } => {
                let seen = dataset.subset(*images).items;
                let paths: HashSet<_> = seen.iter().map(|i| &i.path).collect();
                let mut rest = dataset.clone();
                rest.items.retain(|i| !paths.contains(&i.path));
                let unseen = rest.subset(judging(seen.len())).items;
                progress.stage("reading pictures", seen.len() + unseen.len());
                let load = |items: &[_]| load_all(items, input, &|_| progress.step());
                Ok(Self {
                    calibration: load(&seen)?,
                    unseen: load(&unseen)?,
                    generated: false,
                })
            }
        }
    }

    /// The pictures to compare on.
    pub fn judging(&self) -> &[Vec<u8>] {
        let pictures = if self.unseen.is_empty() {
            &self.calibration
        } else {
            &self.unseen
        };
        &pictures[..pictures.len().min(judging(self.calibration.len()))]
    }
}

/// How many pictures to compare int8 with float on, for so many that were calibrated on. Each costs a float
/// and an int8 inference, so a quarter keeps a conversion under two float passes over the pictures.
pub fn judging(calibration: usize) -> usize {
    (calibration / 4).clamp(8, 100)
}

/// How many pictures check a float network of so many operations.
pub fn judging_float(macs: u64) -> usize {
    (20_000_000_000 / macs.max(1)).clamp(4, 16) as usize
}

/// Generates the pictures of these seeds, as the input rule wants them.
pub fn generate(
    seeds: Range<usize>,
    input: &InputSpec,
    progress: &dyn Progress,
) -> Result<Vec<Vec<u8>>, ConvertError> {
    progress.stage("generating pictures", seeds.len());
    let picture = |seed: usize| {
        let picture = dead_leaves::picture(input.width, input.height, seed as u64);
        progress.step();
        preprocess::crop(&picture, input)
    };
    let crops: Result<Vec<_>, _> = seeds.into_par_iter().map(picture).collect();
    let failed = |source| LoadError::Preprocess {
        path: "generated picture".into(),
        source,
    };
    Ok(crops.map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::INPUT;
    use super::*;
    use crate::dataset::{Dataset, Item, image_file};
    use crate::util::progress::Silent;

    #[test]
    fn generated_pictures_to_judge_on_are_others() {
        let source = CalibrationSource::DataFree { images: 5 };
        let pictures = Pictures::load(&source, &INPUT, &Silent).unwrap();
        assert!(pictures.generated);
        assert_eq!((pictures.calibration.len(), pictures.unseen.len()), (5, 8));
        assert_eq!(pictures.judging(), pictures.unseen);
        let all = generate(0..13, &INPUT, &Silent).unwrap();
        assert_eq!([pictures.calibration, pictures.unseen].concat(), all);
    }

    /// A folder of so many pictures without classes.
    fn folder(path: &std::path::Path, count: usize) -> Dataset {
        let item = |i: usize| {
            let path = path.join(format!("{i:02}.png"));
            let picture = dead_leaves::picture(8, 8, i as u64);
            std::fs::write(&path, image_file::encode_png(&picture)).unwrap();
            Item { path, class: None }
        };
        Dataset {
            classes: vec![],
            items: (0..count).map(item).collect(),
            left_out: None,
        }
    }

    #[test]
    fn a_folder_is_judged_on_what_was_not_calibrated_on() {
        let dir = tempfile::tempdir().unwrap();
        for (count, images, unseen) in [(14, 10, 4), (14, 14, 0), (14, 100, 0)] {
            let source = CalibrationSource::Pictures {
                folder: "pictures".into(),
                dataset: folder(dir.path(), count),
                images,
            };
            let pictures = Pictures::load(&source, &INPUT, &Silent).unwrap();
            assert_eq!(pictures.calibration.len(), images.min(count));
            assert_eq!(pictures.unseen.len(), unseen);
            assert!(
                pictures
                    .unseen
                    .iter()
                    .all(|p| !pictures.calibration.contains(p))
            );
            let judging = if unseen == 0 { 8 } else { unseen };
            assert_eq!(pictures.judging().len(), judging);
            assert!(!pictures.generated);
        }
    }
}
