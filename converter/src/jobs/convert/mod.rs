//! The converter as a whole: from a float network and what is known of it to a `.edge` file.
//!
//! A conversion is a list of stages. Each is a function that knows only what it takes:
//!
//! | stage | takes | gives |
//! |---|---|---|
//! | `check_input` | graph, input rule | an error if they do not fit |
//! | `simplify` | imported graph | `Simplified`: graph, the meaning of its output |
//! | [`lower::float::write`] | simplified graph | float file |
//! | `Pictures::load` | [`CalibrationSource`] | `Pictures`: to calibrate on, to judge on |
//! | `calibrate` | graph, float file, pictures | `Calibrated`: ranges and channel means |
//! | [`assign`] | graph, ranges | [`Quants`](crate::quantize::assign::Quants): scale and zero point of every tensor |
//! | [`quantize`] | graph, `Quants`, channel means | [`QuantizedNetwork`](crate::quantize::QuantizedNetwork): int8 weights, biases, factors |
//! | [`lower::int8::write`] | `QuantizedNetwork` | int8 file |
//! | `judge_float`, `judge_int8` | files, pictures | [`SelfCheck`](edge_runtime::model::SelfCheck): what is doubtful |
//!
//! A float model needs the first three and the last one. What the last stage finds goes into the file, which
//! is written a second time for it.
//!
//! Steps that keep a network's function (folding, fusing) are [`passes`](crate::passes) and run in
//! `simplify`. Pruning comes before a conversion: [`prune`](super::prune) makes a smaller [`Source`] of one.
//! Steps that change a network to make it easier to quantize (equalization across layers) belong between `simplify`
//! and the float file, so that ranges are measured on what they leave.

mod calibrate;
mod judge;
mod outcome;
pub(super) mod pictures;
mod request;
pub mod self_check;
pub(super) mod simplify;
#[cfg(test)]
mod testing;

pub use outcome::{ConvertError, Converted, FloatPass, JudgedOn};
pub use request::{CalibrationSource, Int8Options, PrunedFrom, Source};

use crate::lower::{self, About};
use crate::quantize::assign::assign;
use crate::quantize::quantize;
use crate::util::progress::Progress;
use calibrate::calibrate;
use edge_runtime::model::{Manifest, Model, Quantization, WeightsOrigin};
use judge::{Expected, judge_float, judge_int8};
use pictures::Pictures;
use simplify::{Simplified, check_input, simplify};

/// Converts a network: to int8 if `int8` says how, else to float. `progress` hears of every stage.
///
/// # Errors
/// If the network does not fit the format, or if a picture cannot be read.
pub fn convert(
    source: Source,
    int8: Option<&Int8Options>,
    progress: &dyn Progress,
) -> Result<Converted, ConvertError> {
    check_input(&source.graph, &source.input)?;
    let (parameters, macs) = (source.graph.parameters(), source.graph.macs());
    progress.stage("simplifying", 1);
    let network = simplify(source.graph, &source.input, source.output);
    progress.step();
    let about = About {
        manifest: Manifest {
            name: &source.name,
            source: &source.origin,
            license: &source.license,
            converter: concat!("graft ", env!("CARGO_PKG_VERSION")),
            weights: source.weights,
            input: source.input,
            quantization: None,
            parameters,
            macs,
        },
        labels: &source.labels,
        function: network.function,
        check: None,
        pruning: source.pruned.as_ref().map(PrunedFrom::record),
    };
    match int8 {
        None => to_float(network, about, progress),
        Some(options) => to_int8(network, about, options, progress),
    }
}

/// The stages of a float model.
fn to_float(
    network: Simplified,
    mut about: About<'_>,
    progress: &dyn Progress,
) -> Result<Converted, ConvertError> {
    let draft = lower::float::write(&network.graph, &about)?;
    let expected = Expected {
        original: network.original.as_ref(),
        function: network.function,
    };
    let check = match about.manifest.weights {
        WeightsOrigin::Random { .. } => None,
        _ => Some(judge_float(&Model::parse(&draft)?, &expected, progress)?),
    };
    about.check = check.filter(|check| check.doubts != 0);
    let bytes = match about.check {
        Some(_) => lower::float::write(&network.graph, &about)?,
        None => draft,
    };
    Model::parse(&bytes)?;
    Ok(Converted {
        bytes,
        parameters: about.manifest.parameters,
        macs: about.manifest.macs,
        check,
        judged_on: JudgedOn::Generated,
        float_pass: None,
    })
}

/// The stages of an int8 model.
fn to_int8(
    network: Simplified,
    about: About<'_>,
    options: &Int8Options,
    progress: &dyn Progress,
) -> Result<Converted, ConvertError> {
    let Simplified {
        graph,
        original,
        function,
    } = network;
    // With a shorter lifetime, as the file also tells of this function's results.
    let mut about: About<'_> = about;
    let float = lower::float::write(&graph, &about)?;
    let float = Model::parse(&float)?;
    let input = about.manifest.input;
    let pictures = Pictures::load(&options.calibration, &input, progress)?;
    let calibrated = calibrate(&graph, &float, &pictures.calibration, options, progress)?;
    let quants = assign(&graph, &input, &calibrated.ranges);
    let quantized = quantize(graph, quants, &calibrated.means)?;

    let mut quantization = Quantization {
        method: &calibrated.method,
        calibration: calibrated.set,
        agreement: None,
    };
    about.manifest.quantization = Some(quantization);
    let draft = lower::int8::write(&quantized, &about)?;
    let expected = Expected {
        original: original.as_ref(),
        function,
    };
    let model = Model::parse(&draft)?;
    let judged = judge_int8(&model, &float, &expected, &pictures, progress)?;
    let check = judged.check;
    quantization.agreement = check.agreement();
    about.manifest.quantization = Some(quantization);
    about.check = (check.doubts != 0).then_some(check);
    let bytes = lower::int8::write(&quantized, &about)?;
    Model::parse(&bytes)?;
    let images = pictures.calibration.len();
    Ok(Converted {
        bytes,
        parameters: about.manifest.parameters,
        macs: about.manifest.macs,
        check: Some(check),
        judged_on: judged.on,
        float_pass: Some(FloatPass {
            images,
            seconds: judged.float_seconds * images as f64,
        }),
    })
}
