//! `verify`: the same bits on every backend, layer by layer.

use super::{parse, read};
use crate::{cli::Verify, output, progress::Bars, units};
use anyhow::{Result, bail};
use converter::dataset::{Dataset, dead_leaves, load, preprocess};
use converter::progress::Progress;
use converter::verify::{Agreed, verify_one};
use serde_json::json;

/// Generated inputs if no folder is given.
const GENERATED: usize = 16;

pub fn run(args: &Verify, json: bool) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    let spec = model.manifest().input;
    let limit = args.limit.map_or(usize::MAX, |n| n as usize);
    let items = match &args.images {
        Some(dir) => Dataset::pictures(dir)?.subset(limit).items,
        None => vec![],
    };
    let count = if args.images.is_some() {
        items.len()
    } else {
        GENERATED.min(limit)
    };
    if args
        .on
        .iter()
        .enumerate()
        .any(|(i, kind)| args.on[..i].contains(kind))
    {
        bail!("--on names a backend twice; a backend always agrees with itself");
    }
    let mut backends = args
        .on
        .iter()
        .map(|kind| kind.load(&model))
        .collect::<Result<Vec<_>, _>>()?;

    let bars = Bars::new();
    bars.stage("comparing", count);
    let mut agreed = Agreed {
        inputs: count,
        layers: model.layers().count(),
        values: 0,
    };
    for index in 0..count {
        let (name, crop) = match items.get(index) {
            Some(item) => (item.path.display().to_string(), load(&item.path, &spec)?),
            None => {
                let picture = dead_leaves::picture(spec.width, spec.height, index as u64);
                (
                    format!("generated picture {index}"),
                    preprocess::crop(&picture, &spec)?,
                )
            }
        };
        let input = preprocess::to_i8(&crop, &spec, model.input().quant);
        match verify_one(&model, &mut backends, index, &input)? {
            Ok(values) => agreed.values += values,
            Err(difference) => {
                drop(bars);
                if json {
                    let value = json!({
                        "equal": false, "layer": difference.layer, "name": difference.name,
                        "op": difference.op, "input": name, "backends": difference.backends,
                        "differing": difference.count, "elements": difference.elements,
                    });
                    output::print(true, value, String::new);
                }
                bail!("{}: {difference} ({name})", args.model.display());
            }
        }
        bars.step();
    }
    drop(bars);
    let on: Vec<&str> = args.on.iter().map(|k| k.name()).collect();
    let value = json!({
        "equal": true, "inputs": agreed.inputs, "layers": agreed.layers, "values": agreed.values, "backends": on,
    });
    output::print(json, value, || {
        let Agreed {
            inputs,
            layers,
            values,
        } = agreed;
        format!(
            "{} agree bit by bit: {layers} layers on {inputs} pictures, {} values each",
            on.join(" and "),
            units::count(values)
        )
    });
    Ok(())
}
