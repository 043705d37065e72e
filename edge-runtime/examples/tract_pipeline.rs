//! A model's trunk as a part of a larger tract network: behind it, tract turns the feature map into an
//! embedding, a vector of real numbers by which pictures can be compared.
//!
//! ```text
//! cargo run -p edge-runtime --features pictures,tract --example tract_pipeline -- MODEL.edge PICTURE PICTURE
//! ```

use edge_runtime::backend::tract::typed_model;
use edge_runtime::model::{AlignedBytes, DType, Model};
use edge_runtime::picture::{Picture, image_file, preprocess};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use tract_core::internal::*;
use tract_core::ops::cast::cast;
use tract_core::ops::math;
use tract_core::ops::nn::{Reduce, Reducer};

fn main() -> Result<(), Box<dyn Error>> {
    let [_, model, a, b] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: tract_pipeline MODEL.edge PICTURE PICTURE".into());
    };
    let bytes = AlignedBytes::read(Path::new(model))?;
    let model = Model::parse(&bytes)?;
    let plan = pipeline(&model)?;
    let [a, b] = [a, b].map(|path| -> Result<_, Box<dyn Error>> {
        let input = input(&model, &image_file::read(Path::new(path))?)?;
        embedding(&plan, input)
    });
    println!("cosine of the two pictures: {:.3}", cosine(&a?, &b?));
    Ok(())
}

/// The trunk, and behind it the mean of every channel as real numbers.
fn pipeline(model: &Model<'_>) -> TractResult<Arc<TypedSimplePlan>> {
    // Input and output are NHWC with batch 1, quantized as the model says.
    let mut graph = typed_model(model)?;
    let map = graph.output_outlets()?[0];
    let (shape, quant) = (model.output().shape, model.output().quant);
    let constant = |value: f32| Tensor::from_shape(&[1, 1, 1, 1], &[value]);

    let zero = graph.add_const("zero", constant(quant.zero_point as f32)?)?;
    let area = shape.h as f32 * shape.w as f32;
    let factor = graph.add_const("factor", constant(quant.scale / area)?)?;
    let x = graph.wire_node("real", cast(f32::datum_type()), &[map])?[0];
    let x = graph.wire_node("centred", math::sub(), &[x, zero])?[0];
    let x = graph.wire_node("sum", Reduce::new(tvec![1, 2], Reducer::Sum), &[x])?[0];
    let x = graph.wire_node("mean", math::mul(), &[x, factor])?[0];
    graph.select_output_outlets(&[x])?;
    graph.into_optimized()?.into_runnable()
}

/// A picture as the model's input.
fn input(model: &Model<'_>, picture: &Picture) -> Result<Tensor, Box<dyn Error>> {
    let (spec, shape) = (&model.manifest().input, model.input().shape);
    let pixels = preprocess::crop(picture, spec)?;
    let dims = [1, shape.h as usize, shape.w as usize, shape.c as usize];
    Ok(match model.dtype() {
        DType::I8 => {
            let values = preprocess::to_i8(&pixels, spec, model.input().quant);
            Tensor::from_shape(&dims, &values)?
        }
        DType::F32 => Tensor::from_shape(&dims, &preprocess::to_f32(&pixels, spec))?,
    })
}

/// Runs the pipeline on one input.
fn embedding(plan: &Arc<TypedSimplePlan>, input: Tensor) -> Result<Vec<f32>, Box<dyn Error>> {
    let outputs = plan.run(tvec!(input.into_tvalue()))?;
    Ok(outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
}

/// 1 for vectors of one direction, 0 for unrelated ones.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn the_embedding_is_that_of_the_engine() {
    let bytes = graft_tests::tiny::model();
    let model = Model::parse(&bytes).unwrap();
    let picture = Picture::new(8, 8, (0..192).collect()).unwrap();
    let input = input(&model, &picture).unwrap();
    let plan = pipeline(&model).unwrap();
    let found = embedding(&plan, input.clone()).unwrap();

    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = edge_runtime::engine::Engine::new(&model, &mut arena).unwrap();
    let values = input.try_as_plain_ram().unwrap().as_slice::<i8>().unwrap();
    engine.input_mut().copy_from_slice(values);
    let (map, quant) = (engine.run(), model.output().quant);
    for (channel, mean) in found.iter().enumerate() {
        let values = map.iter().skip(channel).step_by(found.len());
        let sum: i32 = values.map(|q| *q as i32 - quant.zero_point as i32).sum();
        assert!((mean - sum as f32 * quant.scale / 16.0).abs() < 1e-4);
    }
    assert!((cosine(&found, &found) - 1.0).abs() < 1e-4);
}
