//! `run`: what is on these pictures.

use super::{parse, read};
use crate::{cli::Run, output, units};
use anyhow::Result;
use converter::dataset::load;
use converter::jobs::runner::{Runner, classes, output_function};
use edge_runtime::model::{Output, OutputFunction, WeightsOrigin};
use serde_json::json;
use std::time::Instant;

pub fn run(args: &Run, json: bool) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    let kind = args.backend;
    classes(&model)?;
    let label = |class: usize| match model.head().and_then(|h| h.label(class)) {
        Some(label) => label.to_string(),
        None => format!("class {class}"),
    };
    // Decode everything before the first inference: a broken picture is known at once.
    let spec = model.manifest().input;
    let crops = args
        .images
        .iter()
        .map(|path| load(path, &spec))
        .collect::<Result<Vec<_>, _>>()?;
    let output = Output::new(output_function(&model), None);
    let numbers_only = output.function == OutputFunction::None;
    let mut runner = Runner::new(&model, kind)?;
    if let Some(crop) = crops.first() {
        // The first inference pays for caches and page faults; it is not timed.
        runner.logits(crop)?;
    }
    let (mut results, mut text) = (vec![], String::new());
    for (path, crop) in args.images.iter().zip(&crops) {
        let start = Instant::now();
        let logits = runner.logits(crop)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let mut probabilities = logits.clone();
        output.probabilities(&mut probabilities);
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        order.truncate(args.top as usize);

        text += &format!(
            "{}  ({ms:.1} ms on {}, 1 thread)\n",
            path.display(),
            kind.name()
        );
        for &class in &order {
            let said = match numbers_only {
                true => format!("{:.4}", logits[class]),
                false => units::percent(probabilities[class] as f64),
            };
            text += &format!("  {said:>7}  {}\n", label(class));
        }
        let top: Vec<_> = order.iter().map(|&class| {
            let probability = (!numbers_only).then_some(probabilities[class]);
            json!({"class": class, "label": label(class), "probability": probability, "logit": logits[class]})
        }).collect();
        let mut result =
            json!({"image": path.display().to_string(), "milliseconds": ms, "top": top});
        if args.logits {
            result["logits"] = json!(logits);
        }
        results.push(result);
    }
    let random = matches!(model.manifest().weights, WeightsOrigin::Random { .. });
    let note = match random {
        true => "note: the weights of this model are random; the classes mean nothing",
        false => "",
    };
    output::print(
        json,
        json!({
            "backend": kind.name(), "threads": 1, "random_weights": random, "activation": output.function.name(),
            "results": results,
        }),
        || text + note,
    );
    Ok(())
}
