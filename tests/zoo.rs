//! Networks of the zoo from architecture to int8, and against PyTorch where its answers are at hand.

use converter::import::pth;
use converter::jobs::convert::{CalibrationSource, Int8Options, Source, convert};
use converter::jobs::runner::Runner;
use converter::jobs::verify::verify_one;
use converter::quantize::range::RangeRule;
use converter::util::progress::Silent;
use converter::zoo::{self, Weights, catalog};
use edge_runtime::backend::BackendKind;
use edge_runtime::model::{InputSpec, Model, OutputFunction, WeightsOrigin};
use edge_runtime::random::Random;
use graft_tests::observers;
use std::path::Path;

fn source(name: &str, weights: Weights, input: Option<InputSpec>) -> Source {
    let entry = catalog::find(name).unwrap();
    Source {
        name: entry.name.clone(),
        graph: zoo::build(entry, weights).unwrap(),
        origin: "test".into(),
        license: String::new(),
        weights: WeightsOrigin::Random { seed: 3 },
        input: input.unwrap_or(entry.input),
        labels: entry.labels().join("\n"),
        output: OutputFunction::Softmax,
        pruned: None,
    }
}

/// One of each kind of layer: residuals, depthwise, gates and hard swishes, fire modules without a
/// fully connected end, PReLU with dilated and asymmetric windows.
#[test]
fn small_networks_convert_and_agree_on_every_backend() {
    let networks = [
        ("mlperf-tiny-resnet8", 0.99),
        ("mlperf-tiny-vww", 0.99),
        ("resnet20-cifar10", 0.99),
        ("mobilenet-v3-small", 0.9),
        ("squeezenet1.1", 0.99),
        ("enet", 0.97),
    ];
    let options = Int8Options {
        calibration: CalibrationSource::DataFree { images: 4 },
        rule: Some(RangeRule::MinMax),
    };
    for (name, cosine) in networks {
        let source = source(name, Weights::Random { seed: 3 }, None);
        let converted = convert(source.clone(), Some(&options), &Silent).unwrap();
        let agreement = converted.check.unwrap().agreement().unwrap();
        assert!(agreement.cosine > cosine, "{name}: {agreement:?}");
        let model = Model::parse(&converted.bytes).unwrap();
        let mut backends = observers(&model);
        let mut random = Random::new(7);
        let input: Vec<i8> = (0..model.input().shape.len())
            .map(|_| random.bits() as i8)
            .collect();
        verify_one(&model, &mut backends, 0, &input)
            .unwrap()
            .unwrap_or_else(|difference| panic!("{name}: {difference}"));
    }
}

/// What `.ci/zoo_reference.py logits DIR` wrote, DIR being in the environment variable
/// GRAFT_ZOO_REFERENCE: our float logits on the same weights and picture are PyTorch's.
#[test]
fn logits_are_pytorchs() {
    let Some(folder) = std::env::var_os("GRAFT_ZOO_REFERENCE") else {
        eprintln!("skipped: GRAFT_ZOO_REFERENCE does not name the output of .ci/zoo_reference.py");
        return;
    };
    let mut compared = 0;
    for entry in catalog::all() {
        let base = Path::new(&folder).join(&entry.name);
        let file = |extension: &str| {
            let mut name = base.clone().into_os_string();
            name.push(extension);
            std::fs::read(name)
        };
        let Ok(wanted) = file(".logits") else {
            continue;
        };
        let mut checkpoint = base.clone().into_os_string();
        checkpoint.push(".pth");
        let tensors = pth::read(Path::new(&checkpoint)).unwrap();
        // The script's normalization, the same for all networks.
        let input = InputSpec {
            mean: [127.5; 3],
            std: [64.0; 3],
            ..entry.input
        };
        let source = source(&entry.name, Weights::StateDict(&tensors), Some(input));
        drop(tensors);
        let converted = convert(source.clone(), None, &Silent).unwrap();
        let model = Model::parse(&converted.bytes).unwrap();
        let mut runner = Runner::new(&model, BackendKind::Tract).unwrap();
        let ours = runner.logits(&file(".picture").unwrap()).unwrap();
        let wanted: Vec<f32> = wanted
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        assert_eq!(ours.len(), wanted.len());
        let far = ours
            .iter()
            .zip(&wanted)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        let scale = wanted.iter().map(|v| v.abs()).fold(0.0, f32::max);
        eprintln!("{}: {far:.2e} of {scale:.2e}", entry.name);
        assert!(far < 1e-3 * scale, "{}: {far} of {scale}", entry.name);
        compared += 1;
    }
    assert!(compared > 0, "no .logits in {}", folder.display());
}
