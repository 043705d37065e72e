//! Trains a head on features, keeps it in one of two slots of a flash, and goes back to the head before.
//!
//! The flash is a file here. On a microcontroller it is a driver that implements
//! [`Flash`](edge_runtime::flash::Flash), and the rest is the same.
//!
//! ```text
//! cargo run -p edge-runtime --features pictures,sim --example train_head -- MODEL.edge FOLDER FLASH
//! ```
//!
//! FOLDER has a folder of pictures for each class; FLASH is a file that is made if there is none.

use edge_runtime::engine::Engine;
use edge_runtime::flash::{Area, Flash, Geometry};
use edge_runtime::head::file::{HeadOrigin, NewData, NewHead};
use edge_runtime::head::store::{Active, HeadStore};
use edge_runtime::head::train::{Layers, TrainOptions, Trained, TrainingSet, train};
use edge_runtime::head::{FeatureRule, HeadSize, PoolKind};
use edge_runtime::model::write::encode_head;
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::picture::{Dataset, image_file, preprocess};
use edge_runtime::signature::Trust;
use edge_runtime::sim::FlashImage;
use std::error::Error;
use std::path::Path;

/// A flash of 2 MiB in blocks of 4 KiB.
const GEOMETRY: Geometry = Geometry {
    len: 2 << 20,
    write_size: 16,
    erase_size: 4096,
};

/// All of it is for two slots of heads.
const SLOTS: Area = Area {
    start: 0,
    len: GEOMETRY.len,
};

/// One of so many samples of a class is held out: it judges the head and is not trained on.
const HELD_OUT_EVERY: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, model, folder, flash] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: train_head MODEL.edge FOLDER FLASH".into());
    };
    let bytes = AlignedBytes::read(Path::new(model))?;
    let model = Model::parse(&bytes)?;
    let rule = FeatureRule::new(&model, PoolKind::Avg).ok_or("the model's map is not pooled")?;
    let samples = read(&model, &rule, Path::new(folder))?;
    let (head, trained) = new_head(&model, &rule, &samples)?;
    println!(
        "{} of {} judging samples are right",
        trained.right, trained.judges
    );

    let mut flash = FlashImage::open(Path::new(flash), GEOMETRY, true)?;
    let before = commit(&model, &mut flash, &head)?;
    println!("the new head is active; before it, {before:?} was");
    let active = roll_back(&model, &mut flash)?;
    println!("rolled back: {active:?} is active");
    Ok(())
}

/// Labelled int8 features in memory.
struct Samples {
    classes: Vec<String>,
    /// Feature, class, and true if it is held out.
    all: Vec<(Vec<i8>, usize, bool)>,
}

impl TrainingSet for Samples {
    fn len(&self) -> usize {
        self.all.len()
    }
    fn label(&self, i: usize) -> usize {
        self.all[i].1
    }
    fn held_out(&self, i: usize) -> bool {
        self.all[i].2
    }
    fn feature(&self, i: usize) -> &[i8] {
        &self.all[i].0
    }
}

/// Runs the trunk on one input and pools its feature map.
fn feature(model: &Model<'_>, rule: &FeatureRule, input: &[i8]) -> Result<Vec<i8>, Box<dyn Error>> {
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::new(model, &mut arena)?;
    engine.input_mut().copy_from_slice(input);
    let mut feature = vec![0; rule.features];
    rule.apply(engine.run(), &mut feature);
    Ok(feature)
}

/// The features of all pictures in class folders.
fn read(model: &Model<'_>, rule: &FeatureRule, folder: &Path) -> Result<Samples, Box<dyn Error>> {
    let dataset = Dataset::open(folder)?;
    let classes = dataset.classes.clone();
    let mut counts = vec![0usize; classes.len()];
    let mut all = vec![];
    for item in &dataset.items {
        let picture = image_file::read(&item.path)?;
        let spec = &model.manifest().input;
        let pixels = preprocess::crop(&picture, spec)?;
        let input = preprocess::to_i8(&pixels, spec, model.input().quant);
        let class = item.class.ok_or("a picture without a class")?;
        counts[class] += 1;
        let held_out = counts[class] % HELD_OUT_EVERY == 0;
        all.push((feature(model, rule, &input)?, class, held_out));
    }
    Ok(Samples { classes, all })
}

/// Trains a head, and returns its file and what training says of it.
fn new_head(
    model: &Model<'_>,
    rule: &FeatureRule,
    samples: &Samples,
) -> Result<(AlignedBytes, Trained), Box<dyn Error>> {
    // The caller brings all memory: for the new numbers, and scratch for the training.
    let size = HeadSize::linear(rule.features, samples.classes.len());
    let mut memory = AlignedBytes::zeroed(size.layers_len());
    let mut layers = Layers::new(&size, &mut memory).ok_or("memory off its alignment")?;
    let mut workspace = vec![0.0; size.workspace_len()];
    let options = TrainOptions::default();
    let trained = train(
        samples,
        rule.quant,
        &options,
        &mut layers,
        &mut workspace,
        &mut |epoch| println!("epoch {}: loss {:.3}", epoch.number, epoch.loss),
        &mut |_class| (),
    )?;
    let held_out = samples.all.iter().filter(|sample| sample.2).count();
    let origin = HeadOrigin::Retrained {
        images: (samples.len() - held_out) as u32,
        held_out: held_out as u32,
        held_out_top1: (held_out > 0).then(|| trained.right as f32 / trained.judges as f32),
        seed: options.seed,
    };
    let labels = samples.classes.join("\n");
    let head = NewHead {
        trunk_sha256: *model.trunk_sha256(),
        record: rule.record(samples.classes.len(), &labels, origin),
        data: NewData::I8(layers.as_int8()),
    };
    Ok((AlignedBytes::copy_of(&encode_head(&head)?), trained))
}

/// Makes a head the active one. Power may fail at any point: either head is whole. Returns which was active
/// before.
fn commit(
    model: &Model<'_>,
    flash: &mut impl Flash,
    head: &[u8],
) -> Result<Active, Box<dyn Error>> {
    let mut store = HeadStore::open(flash, SLOTS, model, Trust::Anyone)?;
    let before = store.active();
    store.commit(flash, head, None, model)?;
    Ok(before)
}

/// Goes back to the head before, which is the model's own at last.
fn roll_back(model: &Model<'_>, flash: &mut impl Flash) -> Result<Active, Box<dyn Error>> {
    let mut store = HeadStore::open(flash, SLOTS, model, Trust::Anyone)?;
    Ok(store.rollback(flash)?)
}

#[test]
fn a_head_is_trained_kept_and_rolled_back() {
    use graft_tests::tiny;
    let bytes = tiny::model();
    let model = Model::parse(&bytes).unwrap();
    let rule = FeatureRule::new(&model, PoolKind::Avg).unwrap();
    let sample = |i: usize| {
        let input = tiny::input(i % 2, i as u32);
        (feature(&model, &rule, &input).unwrap(), i % 2, i >= 14)
    };
    let samples = Samples {
        classes: vec!["red".into(), "green".into()],
        all: (0..16).map(sample).collect(),
    };
    let (head, trained) = new_head(&model, &rule, &samples).unwrap();
    assert_eq!((trained.right, trained.judges), (2, 2));

    let mut flash = FlashImage::volatile(GEOMETRY, true);
    assert_eq!(commit(&model, &mut flash, &head).unwrap(), Active::Factory);
    let slot = |sequence: u32| Active::Slot {
        slot: (sequence as u8 - 1) % 2,
        sequence,
    };
    assert_eq!(commit(&model, &mut flash, &head).unwrap(), slot(1));
    let store = HeadStore::open(&flash, SLOTS, &model, Trust::Anyone).unwrap();
    assert_eq!(store.active(), slot(2));
    let active = store.head(&flash, &model).unwrap().unwrap();
    assert_eq!(active.bytes(), &head[..]);
    assert_eq!(roll_back(&model, &mut flash).unwrap(), slot(1));
    assert_eq!(roll_back(&model, &mut flash).unwrap(), Active::Factory);
}
