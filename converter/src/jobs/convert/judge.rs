//! Stage `judge`: runs the written models on pictures and compares what they answer.

use super::pictures::{Pictures, generate, judging, judging_float};
use super::self_check::{self, Logits};
use super::{ConvertError, JudgedOn};
use crate::dataset::preprocess;
use crate::graph::Graph;
use crate::graph::reference::evaluate_quantized;
use crate::jobs::runner::{RunError, RunnerPool};
use crate::util::progress::Progress;
use edge_runtime::backend::BackendKind;
use edge_runtime::model::{InputSpec, Model, OutputFunction, SelfCheck, WeightsOrigin};
use rayon::prelude::*;
use std::time::Instant;

/// What the models are judged by.
pub struct Expected<'g> {
    /// The graph as it was imported, if its source is quantized: the models should compute what its numbers
    /// say.
    pub original: Option<&'g Graph>,
    /// What turns the output into probabilities.
    pub function: OutputFunction,
}

/// The judgement of an int8 model.
pub struct Judged {
    /// What was found.
    pub check: SelfCheck,
    /// The pictures.
    pub on: JudgedOn,
    /// Wall time of one float inference in seconds, all threads working.
    pub float_seconds: f64,
}

/// Judges a float model, on generated pictures.
pub fn judge_float(
    model: &Model<'_>,
    expected: &Expected<'_>,
    progress: &dyn Progress,
) -> Result<SelfCheck, ConvertError> {
    let manifest = model.manifest();
    let count = judging_float(manifest.macs);
    let crops = generate(0..count, &manifest.input, progress)?;
    progress.stage("checking", crops.len());
    let (logits, _) = float_logits(model, &crops, progress)?;
    Ok(expected.judge(model, &crops, &logits, None))
}

/// Judges an int8 model by the float model that it was made of, on pictures that it was not calibrated on
/// where there are any. A handful does not tell what the output depends on; then pictures are generated.
pub fn judge_int8(
    model: &Model<'_>,
    float: &Model<'_>,
    expected: &Expected<'_>,
    pictures: &Pictures,
    progress: &dyn Progress,
) -> Result<Judged, ConvertError> {
    let few = pictures.judging().len() < self_check::ENOUGH;
    let more = match few {
        true => generate(0..judging(0), &model.manifest().input, progress)?,
        false => vec![],
    };
    let crops = if few { &more[..] } else { pictures.judging() };
    progress.stage("comparing with float", crops.len());
    let (of_float, float_seconds) = float_logits(float, crops, progress)?;
    let logits = int8_logits(model, crops)?;
    Ok(Judged {
        check: expected.judge(model, crops, &logits, Some(&of_float)),
        on: match (few || pictures.generated, pictures.unseen.is_empty()) {
            (true, _) => JudgedOn::Generated,
            (false, false) => JudgedOn::Unseen,
            (false, true) => JudgedOn::Calibration,
        },
        float_seconds,
    })
}

impl Expected<'_> {
    fn judge(
        &self,
        model: &Model<'_>,
        crops: &[Vec<u8>],
        logits: &Logits,
        float: Option<&Logits>,
    ) -> SelfCheck {
        let manifest = model.manifest();
        let classes = logits.first().map_or(0, Vec::len);
        let source = self
            .original
            .map(|graph| source_logits(graph, &manifest.input, crops, classes));
        let random = matches!(manifest.weights, WeightsOrigin::Random { .. });
        self_check::judge(logits, float, source.as_ref(), random, self.function)
    }
}

/// Logits of a float model, picture by picture, and the seconds that a picture takes, all threads working.
fn float_logits(
    model: &Model<'_>,
    crops: &[Vec<u8>],
    progress: &dyn Progress,
) -> Result<(Logits, f64), ConvertError> {
    let pool = RunnerPool::new(model, BackendKind::fastest_for(model))?;
    let one = |crop: &Vec<u8>| {
        let start = Instant::now();
        let logits = pool.with(|runner| runner.any_logits(crop))?;
        progress.step();
        Ok((logits, start.elapsed().as_secs_f64()))
    };
    let results = crops
        .par_iter()
        .map(one)
        .collect::<Result<Vec<_>, RunError>>()?;
    let (logits, seconds): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let threads = rayon::current_num_threads().min(crops.len()).max(1) as f64;
    let mean = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
    Ok((logits, mean / threads))
}

/// Logits of an int8 model, picture by picture.
fn int8_logits(model: &Model<'_>, crops: &[Vec<u8>]) -> Result<Logits, ConvertError> {
    let pool = RunnerPool::new(model, BackendKind::fastest_for(model))?;
    let logits = crops
        .par_iter()
        .map(|crop| pool.with(|runner| runner.logits(crop)))
        .collect::<Result<_, RunError>>()?;
    Ok(logits)
}

/// Multiply-accumulate operations that the slow reference may take to say what a quantized source means.
const REFERENCE_MACS: u64 = 2_000_000_000;

/// What the numbers of a quantized network say of the first pictures, by a reference that shares nothing with
/// passes, quantizer and backends. `classes` is how many the model has.
fn source_logits(graph: &Graph, spec: &InputSpec, crops: &[Vec<u8>], classes: usize) -> Logits {
    let count = (REFERENCE_MACS / graph.macs().max(1)).clamp(2, 16) as usize;
    let one = |crop: &Vec<u8>| {
        let mut logits = evaluate_quantized(graph, &preprocess::to_f32(crop, spec));
        if logits.len() == 1 && classes == 2 {
            logits.insert(0, 0.0);
        }
        logits
    };
    crops[..crops.len().min(count)]
        .par_iter()
        .map(one)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{INPUT, about, network};
    use super::*;
    use crate::graph::{Op, Quant};
    use crate::lower;
    use crate::passes;
    use crate::quantize::assign::assign;
    use crate::quantize::quantize;
    use crate::quantize::range::Range;
    use crate::util::progress::Silent;
    use edge_runtime::model::{AlignedBytes, Doubt};

    const EXPECTED: Expected<'_> = Expected {
        original: None,
        function: OutputFunction::Softmax,
    };

    fn float_file(graph: &Graph) -> AlignedBytes {
        lower::float::write(graph, &about()).unwrap()
    }

    /// The network in int8, with one range for the input and one for all that follows.
    fn int8_file(graph: Graph, largest: f32) -> AlignedBytes {
        let ranges = vec![Range::new(0.0, largest); graph.nodes.len()];
        let means = vec![vec![]; graph.nodes.len()];
        let quants = assign(&graph, &INPUT, &ranges);
        lower::int8::write(&quantize(graph, quants, &means).unwrap(), &about()).unwrap()
    }

    fn pictures(calibration: usize, unseen: usize, generated: bool) -> Pictures {
        let mut all = generate(0..calibration + unseen, &INPUT, &Silent).unwrap();
        let unseen = all.split_off(calibration);
        Pictures {
            calibration: all,
            unseen,
            generated,
        }
    }

    #[test]
    fn a_float_model_that_ignores_its_picture_is_doubted() {
        let graph = passes::simplify(network(3));
        let check = |graph: &Graph| {
            let file = float_file(graph);
            judge_float(&Model::parse(&file).unwrap(), &EXPECTED, &Silent).unwrap()
        };
        let right = check(&graph);
        assert_eq!((right.images, right.doubts), (16, 0));
        let mut blind = graph;
        let Op::Conv(dense) = &mut blind.nodes[3].op else {
            panic!("the last layer is a classifier")
        };
        dense.weights.fill(1e-4);
        dense.bias = vec![1.0, -2.0, 3.0];
        assert!(check(&blind).has(Doubt::Constant));
    }

    #[test]
    fn int8_is_compared_with_float_on_pictures_that_are_new_to_it() {
        let graph = passes::simplify(network(3));
        let (float, int8) = (float_file(&graph), int8_file(graph, 5.0));
        let (float, int8) = (Model::parse(&float).unwrap(), Model::parse(&int8).unwrap());
        for (pictures, on, images) in [
            (pictures(6, 8, true), JudgedOn::Generated, 8),
            (pictures(6, 8, false), JudgedOn::Unseen, 8),
            (pictures(6, 0, false), JudgedOn::Calibration, 6),
            (pictures(2, 1, false), JudgedOn::Generated, 8),
        ] {
            let judged = judge_int8(&int8, &float, &EXPECTED, &pictures, &Silent).unwrap();
            assert_eq!((judged.on, judged.check.images), (on, images));
            assert_eq!(judged.check.doubts, 0);
            let float = judged.check.float.unwrap();
            assert!(float.cosine > 0.99 && float.images == images, "{float:?}");
            assert!(judged.float_seconds > 0.0);
        }
    }

    #[test]
    fn ranges_that_are_too_narrow_are_found() {
        let graph = passes::simplify(network(3));
        let (float, int8) = (float_file(&graph), int8_file(graph, 0.05));
        let (float, int8) = (Model::parse(&float).unwrap(), Model::parse(&int8).unwrap());
        let pictures = pictures(8, 8, true);
        let judged = judge_int8(&int8, &float, &EXPECTED, &pictures, &Silent).unwrap();
        assert!(judged.check.has(Doubt::Float), "{:?}", judged.check);
    }

    #[test]
    fn a_quantized_source_is_the_measure() {
        let mut original = network(3);
        original.nodes[2].quant = Some(Quant {
            scale: 5.0 / 255.0,
            zero_point: -128,
        });
        let file = float_file(&passes::simplify(original.clone()));
        let model = Model::parse(&file).unwrap();
        let expected = Expected {
            original: Some(&original),
            ..EXPECTED
        };
        let source = judge_float(&model, &expected, &Silent)
            .unwrap()
            .source
            .unwrap();
        assert!(source.cosine > 0.99 && source.error < 0.1, "{source:?}");
        // Another network is not what its numbers say.
        let Op::Conv(dense) = &mut original.nodes[4].op else {
            panic!("the last layer is a classifier")
        };
        dense.weights.iter_mut().for_each(|w| *w = -*w);
        let expected = Expected {
            original: Some(&original),
            ..EXPECTED
        };
        let check = judge_float(&model, &expected, &Silent).unwrap();
        assert!(check.has(Doubt::Source), "{check:?}");
    }
}
