//! Classifies a picture with a `.edge` model.
//!
//! ```text
//! cargo run -p edge-runtime --features pictures,tract --example classify -- MODEL.edge PICTURE
//! ```

use edge_runtime::backend::{BackendKind, Values};
use edge_runtime::model::{AlignedBytes, DType, Model};
use edge_runtime::picture::{Picture, image_file, preprocess};
use std::error::Error;
use std::path::Path;

/// Classes that are printed.
const SHOWN: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, model, picture] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: classify MODEL.edge PICTURE".into());
    };
    let bytes = AlignedBytes::read(Path::new(model))?;
    let model = Model::parse(&bytes)?;
    let picture = image_file::read(Path::new(picture))?;
    for (label, probability) in classify(&model, &picture)?.into_iter().take(SHOWN) {
        println!("{:5.1} %  {label}", 100.0 * probability);
    }
    Ok(())
}

/// All classes with their probabilities, the likeliest first.
fn classify(model: &Model<'_>, picture: &Picture) -> Result<Vec<(String, f32)>, Box<dyn Error>> {
    let head = model.head().ok_or("the model has no head")?;
    // Packs the weights, once. Threads share what is prepared and have a session each.
    let prepared = BackendKind::fastest_for(model).runtime().prepare(model)?;
    let mut session = prepared.session()?;

    // From the picture to the model's input: resized, cropped, normalized.
    let spec = &model.manifest().input;
    let pixels = preprocess::crop(picture, spec)?;
    // The trunk gives a feature map, the head makes one number of it for each class.
    let mut numbers = vec![0.0; head.classes()];
    match model.dtype() {
        DType::I8 => {
            let input = preprocess::to_i8(&pixels, spec, model.input().quant);
            let Values::I8(map) = session.run(Values::I8(&input))? else {
                unreachable!("an int8 model has int8 maps");
            };
            let mut feature = vec![0; head.features()];
            head.feature(map, &mut feature);
            head.logits(&feature, &mut numbers);
        }
        DType::F32 => {
            let input = preprocess::to_f32(&pixels, spec);
            let Values::F32(map) = session.run(Values::F32(&input))? else {
                unreachable!("a float model has float maps");
            };
            let mut feature = vec![0.0; head.features()];
            head.feature_f32(map, &mut feature);
            head.logits_f32(&feature, &mut numbers);
        }
    }
    head.output().probabilities(&mut numbers);
    let label = |class| match head.label(class) {
        Some(name) => name.to_string(),
        None => format!("class {class}"),
    };
    let mut classes: Vec<_> = numbers
        .into_iter()
        .enumerate()
        .map(|(class, probability)| (label(class), probability))
        .collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(classes)
}

#[test]
fn a_picture_is_classified() {
    let bytes = graft_tests::tiny::model();
    let model = Model::parse(&bytes).unwrap();
    let picture = Picture::new(16, 16, [200, 30, 30].repeat(256)).unwrap();
    let classes = classify(&model, &picture).unwrap();
    let sum: f32 = classes.iter().map(|(_, probability)| probability).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{classes:?}");
    assert!(classes.is_sorted_by(|a, b| a.1 >= b.1), "{classes:?}");
    assert_eq!(classes.len(), 3);
}
