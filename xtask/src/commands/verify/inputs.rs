//! The inputs that `verify` runs: pictures of a folder, or generated ones.

use crate::cli::Verify;
use crate::commands::folder;
use anyhow::Result;
use converter::dataset::{LeftOut, dead_leaves, load, preprocess};
use edge_runtime::model::Model;
use std::path::Path;

/// Generated inputs if no folder is given.
const GENERATED: usize = 16;

/// The same if a board in QEMU is compared, which takes some thousand times longer than a backend.
const GENERATED_FOR_BOARDS: usize = 2;

/// Pictures as the model's input, with their names.
pub struct Inputs {
    pub names: Vec<String>,
    pub values: Vec<Vec<i8>>,
    /// Files of the folder that are not among them.
    pub left_out: Option<LeftOut>,
}

impl Inputs {
    /// Reads or makes all of them. `on_boards`: boards are among what is compared.
    pub fn open(args: &Verify, model: &Model<'_>, on_boards: bool) -> Result<Self> {
        let spec = model.manifest().input;
        let limit = args.limit.map_or(usize::MAX, |n| n as usize);
        let mut left_out = None;
        let (names, crops): (Vec<String>, Vec<Vec<u8>>) = match &args.images {
            Some(dir) => {
                let dataset = folder::pictures(dir)?.subset(limit);
                left_out = dataset.left_out;
                let items = dataset.items;
                let crop = |path: &Path| Ok((path.display().to_string(), load(path, &spec)?));
                let crops = items.iter().map(|item| crop(&item.path));
                crops.collect::<Result<Vec<_>>>()?.into_iter().unzip()
            }
            None => {
                let usual = if on_boards {
                    GENERATED_FOR_BOARDS
                } else {
                    GENERATED
                };
                let crops = (0..args.limit.map_or(usual, |n| n as usize)).map(|index| {
                    let picture = dead_leaves::picture(spec.width, spec.height, index as u64);
                    Ok((
                        format!("generated picture {index}"),
                        preprocess::crop(&picture, &spec)?,
                    ))
                });
                crops.collect::<Result<Vec<_>>>()?.into_iter().unzip()
            }
        };
        let quant = model.input().quant;
        let values = crops
            .iter()
            .map(|crop| preprocess::to_i8(crop, &spec, quant))
            .collect();
        Ok(Self {
            names,
            values,
            left_out,
        })
    }
}
