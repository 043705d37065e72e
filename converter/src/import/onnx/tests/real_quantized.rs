//! Models that `.ci/qdq_models.py` makes with onnxruntime; skipped aloud unless the environment variable
//! GRAFT_QDQ names their folder.

use super::super::{Imported, decode, pb, read};
use crate::graph::{ConvWeights, Op, Quant};
use crate::import::lowered::{self, error, to_hwc};
use crate::import::shared_data::npy;
use crate::import::values::chunks;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("GRAFT_QDQ").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: GRAFT_QDQ does not name the folder that .ci/qdq_models.py made");
    }
    folder
}

fn convolutions(model: &Imported) -> Vec<&ConvWeights> {
    let nodes = model.graph.nodes.iter();
    nodes
        .filter_map(|n| match &n.op {
            Op::Conv(conv) => Some(conv),
            _ => None,
        })
        .collect()
}

/// Compares with what onnxruntime computes without rounding.
fn compare(folder: &Path, what: &str, model: &Imported, expected: &str, tolerance: f32) {
    let inputs = npy(&folder.join(format!("{expected}_input.npy")));
    let rows = npy(&folder.join(format!("{expected}_float.npy")));
    let shape = model.graph.input_shape();
    let turn = |x: &[f32]| match what {
        "open-nsfw" => x.to_vec(),
        _ => to_hwc(x, shape.c as usize),
    };
    let inputs: Vec<Vec<f32>> = inputs.chunks_exact(shape.len()).map(turn).collect();
    let found = lowered::evaluate(model.graph.clone(), &inputs);
    let per_row = rows.len() / inputs.len();
    let pairs = found.iter().zip(rows.chunks_exact(per_row));
    let worst = pairs.map(|(a, b)| error(a, b)).fold(0.0, f32::max);
    eprintln!(
        "{what}: logits of {} inputs within {worst:.1e} of their standard deviation",
        inputs.len()
    );
    assert!(worst < tolerance, "{what}: {worst}");
}

/// The numbers of a scalar or vector in the file.
fn numbers(t: &pb::TensorProto) -> Vec<f32> {
    if t.raw_data.is_empty() {
        t.float_data.clone()
    } else {
        chunks(&t.raw_data, f32::from_le_bytes)
    }
}

/// What the file says of every QuantizeLinear, in the graph's terms.
fn quants(file: &[u8]) -> Vec<Quant> {
    let graph = decode(file).unwrap().graph.unwrap();
    let constants: HashMap<&str, &pb::TensorProto> = graph
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t))
        .collect();
    let quant = |n: &pb::NodeProto| {
        let zero = constants[n.input[2].as_str()];
        let code = match (&zero.raw_data[..], &zero.int32_data[..]) {
            (&[byte], _) => byte,
            (_, &[v]) => v as u8,
            other => panic!("{other:?}"),
        };
        // 2 is uint8.
        let zero_point = match zero.data_type {
            2 => (i16::from(code) - 128) as i8,
            _ => code as i8,
        };
        Quant {
            scale: numbers(constants[n.input[1].as_str()])[0],
            zero_point,
        }
    };
    let nodes = graph.node.iter().filter(|n| n.op_type == "QuantizeLinear");
    nodes.map(quant).collect()
}

#[test]
fn onnxruntimes_quantized_models() {
    let Some(folder) = folder() else { return };
    for network in ["resnet20", "resnet20-norms", "vww"] {
        for kinds in ["s8s8", "u8s8", "u8u8"] {
            for steps in ["channel", "tensor"] {
                let name = format!("{network}_{steps}_{kinds}");
                let path = folder.join(format!("{name}_qdq.onnx"));
                let model = read(&path).unwrap_or_else(|e| panic!("{e}"));
                check_scales(&name, &model, &std::fs::read(&path).unwrap());
                compare(&folder, &name, &model, &name, 1e-4);
                let path = folder.join(format!("{name}_qoperator.onnx"));
                let model = read(&path).unwrap_or_else(|e| panic!("{e}"));
                // In that format onnxruntime quantizes no batch norms, and uint8 weights per channel
                // otherwise: other models.
                let same = network != "resnet20-norms" && (steps, kinds) != ("channel", "u8u8");
                if same {
                    // The pool has codes, which cut up to half a step, and the classifier's bias is rounded
                    // to steps of another input scale.
                    let what = format!("{name} (QOperator)");
                    compare(&folder, &what, &model, &name, 1e-2);
                }
                assert!(
                    convolutions(&model)
                        .iter()
                        .all(|c| c.weight_scales.is_some())
                );
            }
        }
    }
}

/// Every scale of the file is in the graph, and every weight is in steps.
fn check_scales(name: &str, model: &Imported, file: &[u8]) {
    let nodes = &model.graph.nodes;
    let kept: Vec<Quant> = nodes.iter().filter_map(|n| n.quant).collect();
    let wanted = quants(file);
    // The last of a network with softmax is of its probabilities, which the graph does not have.
    let wanted = &wanted[..wanted.len() - usize::from(model.ends_in_softmax())];
    assert!(!wanted.is_empty(), "{name}");
    for quant in wanted {
        assert!(kept.contains(quant), "{name}: {quant:?} is lost");
    }
    for quant in &kept {
        assert!(wanted.contains(quant), "{name}: {quant:?} is made up");
    }
    assert!(nodes[0].quant.is_some() && nodes[model.graph.output].quant.is_some());
    let (mut channels, mut beyond) = (0, 0);
    for conv in convolutions(model) {
        let scales = conv.weight_scales.as_ref().unwrap();
        let filters = conv
            .weights
            .chunks_exact(conv.weights.len() / conv.out_channels);
        for (filter, scale) in filters.zip(scales) {
            channels += 1;
            let exact = filter.iter().all(|w| {
                let q = (w / scale).round();
                assert!(q.abs() <= 127.0, "{name}: {q} steps");
                q * scale == *w
            });
            beyond += usize::from(!exact);
        }
    }
    let warned = model.warnings.iter().any(|w| w.contains("127 steps"));
    eprintln!(
        "{name}: {} scales kept, {beyond} of {channels} channels are rounded",
        kept.len()
    );
    assert_eq!(warned, beyond > 0, "{name}: {:?}", model.warnings);
    // int8 weights are symmetric, and always fit.
    assert!(beyond == 0 || name.ends_with("u8u8"), "{name}");
}

#[test]
fn a_tensorflow_export_in_nhwc() {
    let Some(folder) = folder() else { return };
    let model = read(&folder.join("open-nsfw.onnx")).unwrap_or_else(|e| panic!("{e}"));
    assert!(model.warnings.is_empty(), "{:?}", model.warnings);
    assert_eq!(
        model.graph.input_shape(),
        crate::graph::Shape::new(224, 224, 3)
    );
    eprintln!(
        "open-nsfw: {} parameters, {} MACs, {} nodes, input '{}'",
        model.graph.parameters(),
        model.graph.macs(),
        model.graph.nodes.len(),
        model.input_name
    );
    assert_eq!(model.graph.parameters(), 5_891_266);
    compare(&folder, "open-nsfw", &model, "open-nsfw", 1e-4);
}
