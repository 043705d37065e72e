//! The seeds of the fuzz targets are good files: a seed that its reader refuses would lead nowhere. Inputs
//! that once crashed a reader belong here too, under a name that says what they did.

use converter::import::{onnx, pth, safetensors, tflite};
use std::path::PathBuf;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "fuzz", "seeds", target]
        .iter()
        .collect();
    let files = std::fs::read_dir(folder).expect("the seeds are in the tree");
    let mut seeds: Vec<_> = files
        .map(|f| f.expect("readable"))
        .map(|f| {
            let bytes = std::fs::read(f.path()).expect("readable");
            (f.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{target}");
    seeds
}

#[test]
fn networks() {
    for (name, bytes) in seeds("onnx") {
        let imported = onnx::read_bytes(&bytes, &name).unwrap_or_else(|e| panic!("{e}"));
        converter::passes::simplify(imported.graph);
    }
    for (name, bytes) in seeds("tflite") {
        let imported = tflite::read_bytes(&bytes, &name).unwrap_or_else(|e| panic!("{e}"));
        converter::passes::simplify(imported.graph);
    }
}

#[test]
fn tensors() {
    for (name, bytes) in seeds("pth") {
        let tensors = pth::read_bytes(&bytes, &name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(tensors["conv.weight"].shape, [2, 1, 2, 2], "{name}");
    }
    for (name, bytes) in seeds("safetensors") {
        let tensors = safetensors::read_bytes(&bytes, &name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(tensors["fc.bias"].data, [1.0, 2.0], "{name}");
    }
}
