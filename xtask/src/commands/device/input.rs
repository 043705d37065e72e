//! `infer`, and how pictures become inputs of the device's model.

use super::Connection;
use crate::output::{self, Report, Text};
use crate::{cli::device::Infer, units};
use anyhow::{Result, bail};
use converter::dataset::{load, preprocess};
use edge_runtime::client::report::{Class, Inference};
use edge_runtime::device::protocol::ModelInfo;
use edge_runtime::model::{DType, InputSpec, Quant, Shape};
use serde::Serialize;
use std::path::Path;

/// The longest input that is prepared, in bytes, whatever the device states.
const MAX_INPUT: u64 = 64 << 20;

/// How a picture becomes an input, as the device states it.
pub struct InputRule {
    spec: InputSpec,
    quant: Quant,
}

impl InputRule {
    /// Asks the device.
    pub fn ask(client: &mut Connection) -> Result<Self> {
        client.model(Self::checked)?
    }

    /// The rule of a device's model; an error for a rule that no model of Graft has.
    pub fn checked(model: &ModelInfo<'_>) -> Result<Self> {
        let spec = model.spec;
        if model.dtype != DType::I8 {
            bail!("the device states a float model; this program sends int8 inputs");
        }
        if let Some(problem) = spec.problem() {
            bail!("the device states an input rule that makes no sense: {problem}");
        }
        let shape = Shape::new(spec.height, spec.width, spec.channels());
        let len = u64::from(shape.h) * u64::from(shape.w) * u64::from(shape.c);
        if model.input != shape || len > MAX_INPUT {
            bail!(
                "the device states an input of {} for pictures of {shape}; it is too large, or the two do not go together",
                model.input
            );
        }
        let quant = model.quant;
        if !quant.scale.is_finite() || quant.scale <= 0.0 {
            bail!("the device states an input whose scale is {}", quant.scale);
        }
        Ok(Self { spec, quant })
    }

    /// Reads a picture and sends it as the next input.
    pub fn send(&self, client: &mut Connection, picture: &Path) -> Result<()> {
        let crop = load(picture, &self.spec)?;
        client.send_input(&preprocess::to_i8(&crop, &self.spec, self.quant))?;
        Ok(())
    }
}

/// `infer`: what is on this picture.
pub fn infer(client: &mut Connection, args: &Infer, json: bool) -> Result<()> {
    InputRule::ask(client)?.send(client, &args.picture)?;
    let (micros, top) = client.infer(args.top)?;
    let report = InferReport(Inference {
        image: args.picture.display().to_string(),
        microseconds: micros,
        top: top.iter().map(Class::from).collect(),
        logits: args.logits.then(|| client.logits()).transpose()?,
    });
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct InferReport(Inference);

impl Report for InferReport {
    fn text(&self, out: &mut Text) {
        let Inference {
            image,
            microseconds,
            top,
            ..
        } = &self.0;
        let ms = *microseconds as f64 / 1e3;
        out.line(format_args!("{image}  ({ms:.1} ms on the device)"));
        for class in top {
            let label = match class.label.as_str() {
                "" => format!("class {}", class.class),
                label => label.escape_debug().to_string(),
            };
            let shown = match class.probability {
                Some(probability) => units::percent(probability.into()),
                None => format!("{:.4}", class.logit),
            };
            out.line(format_args!("  {shown:>7}  {label}"));
        }
    }
}
