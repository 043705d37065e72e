//! Imports TensorFlow Lite models, float and quantized, as a float graph.
//!
//! The importer verifies the whole FlatBuffer first; `schema_generated` is the part of the schema that it
//! reads, made from `schema.fbs`. Then `file` gives checked access to the tables, and `ops` has one handler
//! per operator. A value is a constant of the file, a computed list of integers (a shape), or an activation:
//! a node of the graph and the dimensions that the file gives it, so that reshaping moves no data. In a
//! quantized model every node gets its quantization ([`crate::graph::Node::quant`]) and weights keep their
//! scales; see `weights` and `steps`. Operators that the output does not depend on are ignored. This module
//! knows no passes, no quantizer and no file to write.

mod clamp;
mod context;
mod file;
mod input;
mod live;
mod node;
mod ops;
#[allow(clippy::all)] // flatc's style, not ours
mod schema_generated;
mod steps;
mod stored;
#[cfg(test)]
mod tests;
mod value;
mod weights;
mod window;

use super::output::take_off;
use super::pixels::Pixels;
use super::sniff::refuse_placeholders;
use super::{ImportError, Imported};
use context::Context;
use file::File;
use schema_generated::tflite as schema;
use std::path::Path;

/// Imports the model at `path`.
pub fn read(path: &Path) -> Result<Imported, ImportError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|e| ImportError::new(format!("cannot be read: {e}")).file(&name))?;
    read_bytes(&bytes, &name)
}

/// Imports a model from memory; `name` stands for the file in messages.
pub fn read_bytes(bytes: &[u8], name: &str) -> Result<Imported, ImportError> {
    import(bytes).map_err(|e| e.file(name))
}

fn import(bytes: &[u8]) -> Result<Imported, ImportError> {
    let file = decode(bytes)?;
    let mut warnings = vec![];
    let output = file.output(&mut warnings)?;
    let live = live::find(&file, output)?;
    let input = input::find(&file, &live, &mut warnings)?;
    let output_name = file.tensor(output)?.name;
    let mut context = Context::new(&file, &input, warnings);
    for op in live.ops {
        context.run(op)?;
    }
    let (graph, softmax, warnings) = context.finish(output)?;
    let pixels = Pixels::of(&graph, input.entry);
    let (graph, function) = take_off(graph, softmax);
    Ok(Imported {
        graph,
        input_name: input.name,
        output_name,
        output: function,
        version: file.version(),
        producer: file.description(),
        pixels,
        warnings,
    })
}

/// Verifies the file.
fn decode(bytes: &[u8]) -> Result<File<'_>, ImportError> {
    refuse_placeholders(bytes)?;
    if bytes.len() < 8 || !schema::model_buffer_has_identifier(bytes) {
        return Err(
            ImportError::new("not a TensorFlow Lite model (its mark 'TFL3' is missing)")
                .hint("expected the .tflite file that the TFLite converter writes"),
        );
    }
    // A hostile FlatBuffer can point to one table from many places. An honest file is about as large as
    // everything that it points to.
    let options = flatbuffers::VerifierOptions {
        max_apparent_size: bytes.len().saturating_mul(4).saturating_add(1 << 20),
        ..Default::default()
    };
    let model = schema::root_as_model_with_opts(&options, bytes).map_err(|e| {
        let text = e.to_string();
        let what = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches('.');
        ImportError::new(format!("truncated or damaged: {what}"))
            .hint("export or fetch the model again")
    })?;
    File::new(model)
}
