//! Imports ONNX models of opset 7 to 21 as a float graph.
//!
//! The importer walks the protobuf ([`pb`]) node by node; `ops` has one handler per operator. A value is
//! either a constant (`tensor::Tensor`), which operators fold, or an activation (`value::Act`): a node of the
//! graph and the dimensions that ONNX gives it. So Flatten, Reshape and Transpose change only the dimensions.
//! Quantized models keep their scales (`quantized`). Nodes that the output does not depend on are ignored.
//! This module knows no passes, no quantizer and no file to write.

mod attributes;
mod context;
mod external;
mod input;
mod live;
mod metadata;
mod node;
mod ops;
pub mod pb;
mod quantized;
mod tensor;
#[cfg(test)]
mod tests;
mod value;
mod window;

use super::output::take_off;
use super::pixels::Pixels;
use super::sniff::refuse_placeholders;
use super::{ImportError, Imported};
use context::Context;
use external::External;
use prost::Message;
use std::collections::HashSet;
use std::path::Path;
use tensor::Tensor;
use value::Value;

const OLDEST_OPSET: i64 = 7;
const NEWEST_OPSET: i64 = 21;

/// Imports the model at `path`, with the weights that it keeps in other files of its folder.
pub fn read(path: &Path) -> Result<Imported, ImportError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|e| ImportError::new(format!("cannot be read: {e}")).file(&name))?;
    let folder = path.parent().map(Path::to_path_buf);
    import(decode(&bytes), External::new(folder)).map_err(|e| e.file(name))
}

/// Imports a model from memory. It must hold all its weights; `name` stands for the file in messages.
pub fn read_bytes(bytes: &[u8], name: &str) -> Result<Imported, ImportError> {
    import(decode(bytes), External::new(None)).map_err(|e| e.file(name))
}

fn decode(bytes: &[u8]) -> Result<pb::ModelProto, ImportError> {
    refuse_placeholders(bytes)?;
    let head = &bytes[..bytes.len().min(256)];
    if head
        .iter()
        .all(|b| (b' '..=b'~').contains(b) || b.is_ascii_whitespace())
    {
        return Err(ImportError::new("a text file, not an ONNX model")
            .hint("expected the binary that exporters write"));
    }
    pb::ModelProto::decode(bytes).map_err(|e| {
        ImportError::new(format!("not an ONNX model, or truncated or damaged: {e}"))
            .hint("export or fetch the model again")
    })
}

fn import(
    model: Result<pb::ModelProto, ImportError>,
    external: External,
) -> Result<Imported, ImportError> {
    let model = model?;
    let no_graph = || {
        ImportError::new("no network in the file: not an ONNX model, or truncated")
            .hint("export or fetch the model again")
    };
    let mut proto = model
        .graph
        .filter(|g| !g.node.is_empty())
        .ok_or_else(no_graph)?;
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let opset = model
        .opset_import
        .iter()
        .find(|o| standard(&o.domain))
        .map_or(0, |o| o.version);
    let mut warnings = vec![];
    if opset < OLDEST_OPSET {
        return Err(
            ImportError::new(format!("opset {opset} is older than {OLDEST_OPSET}"))
                .hint("export the model again with opset 13 to 17"),
        );
    }
    if opset > NEWEST_OPSET {
        warnings.push(format!(
            "opset {opset} is newer than {NEWEST_OPSET}, the newest that is tested"
        ));
    }
    let [output, more @ ..] = &proto.output[..] else {
        return Err(ImportError::new("the model has no output").hint("the file is damaged"));
    };
    if !more.is_empty() {
        let names: Vec<&str> = more.iter().map(|o| o.name.as_str()).collect();
        warnings.push(format!(
            "only the first output, '{}', is imported; left out: {}",
            output.name,
            names.join(", ")
        ));
    }
    let output = output.name.clone();
    let live = live::find(&proto, &output)?;
    let mut constants = vec![];
    for tensor in std::mem::take(&mut proto.initializer) {
        if live.uses.contains_key(&tensor.name) {
            let name = tensor.name.clone();
            constants.push((name, Tensor::decode(tensor, &external)?));
        }
    }
    let names: HashSet<&str> = constants.iter().map(|(n, _)| n.as_str()).collect();
    let input = input::find(&proto, &live, &names, &mut warnings)?;
    let mut context = Context::new(
        input.shape,
        opset,
        input.batch,
        external,
        live.uses,
        warnings,
    );
    for (name, tensor) in constants {
        context.define(name, Value::Const(tensor));
    }
    context.define(input.name.clone(), Value::Act(input.act));
    for index in live.nodes {
        context.run(&proto.node[index])?;
    }
    let (graph, softmax, warnings) = context.finish(&output)?;
    let mut pixels = Pixels::of(&graph, input.entry);
    metadata::add(&mut pixels, &model.metadata_props);
    let (graph, function) = take_off(graph, softmax);
    Ok(Imported {
        graph,
        input_name: input.name,
        output_name: output,
        output: function,
        version: opset,
        producer: format!("{} {}", model.producer_name, model.producer_version)
            .trim()
            .to_string(),
        pixels,
        warnings,
    })
}
