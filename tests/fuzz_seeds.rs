//! The seeds of the fuzz targets are good files: a seed that its reader refuses would lead nowhere. Inputs
//! that once crashed a reader belong here too, under a name that says what they did.

use converter::import::{onnx, pth, safetensors, tflite};
use edge_runtime::model::Model;
use graft_tests::device::int8_model;
use graft_tests::fuzz::{self, Requests};
use graft_tests::fuzz_load;
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

/// Compares a seed that the tests build with its file; `GRAFT_WRITE_SEEDS=1` writes it.
fn seed(target: &str, name: &str, bytes: &[u8]) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "fuzz", "seeds", target, name]
        .iter()
        .collect();
    if std::env::var_os("GRAFT_WRITE_SEEDS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("writable");
    }
    let found = std::fs::read(&path).unwrap_or_default();
    assert!(
        found == bytes,
        "{} is out of date; run this test with GRAFT_WRITE_SEEDS=1",
        path.display()
    );
}

#[test]
fn frames() {
    seed("frame", "line", &fuzz::whole_line());
    for (_, bytes) in seeds("frame") {
        fuzz::frames(&bytes);
    }
}

#[test]
fn loads() {
    seed("load", "session", fuzz_load::whole_load().bytes());
    let file = int8_model(7);
    let mut replies = String::new();
    for (_, bytes) in seeds("load") {
        fuzz_load::loads(&file, &bytes, &mut |message| {
            replies += &format!("{message:?}\n");
        });
    }
    for kind in [
        "LoadInfo(",
        "Received { next: 2048 }",
        "Err(NotReady(Loading { have: 2048",
        "Err(Incomplete {",
        "Err(NoSession)",
        "Err(Load(Damaged))",
        "Loaded {",
        "Err(Flash {",
        "Resetting",
    ] {
        assert!(replies.contains(kind), "no {kind} in\n{replies}");
    }
}

#[test]
fn requests() {
    seed("request", "session", fuzz::whole_session().bytes());
    let file = int8_model(7);
    let model = Model::parse(&file).unwrap();
    let device = Requests::new(&model);
    let mut replies = String::new();
    for (_, bytes) in seeds("request") {
        device.run(&bytes, &mut |message| replies += &format!("{message:?}\n"));
    }
    // The session gets to every kind of answer.
    for kind in [
        "Model(",
        "State(",
        "Added(",
        "Samples {",
        "Epoch {",
        "Retrained(",
        "Committed { sequence: 1 }",
        "Inferred {",
        "Logits {",
        "Label { len: 1, data: [98] }",
        "Bench(",
        "Run {",
        "Err(ForeignHead)",
        "Committed { sequence: 2 }",
        "RolledBack(",
        "Log {",
        "Err(Power(",
        "Cleared { samples: 4 }",
        "Err(Flash {",
        "Err(NoSession)",
        "Err(Load(NoStore))",
    ] {
        assert!(replies.contains(kind), "no {kind} in\n{replies}");
    }
}
