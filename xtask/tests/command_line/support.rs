//! What the tests share: a folder with the command line in it, and small files.

use converter::import::onnx::pb;
use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use graft_tests::{int8, source};
use prost::Message;
use std::process::{Command, Output};

/// A folder for one test, and the command line run in it.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        name.into()
    }

    /// Writes the small test network.
    pub fn model(&self, name: &str) -> String {
        let bytes = convert(source(1), Some(&int8()), &Silent).unwrap().bytes;
        self.write(name, &bytes)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("GRAFT_CACHE", self.path("cache"));
        // No test may reach for the network, nor see what its user has set.
        command.env("GRAFT_PYTHON", "no-such-python");
        command.env_remove("GRAFT_CATALOG");
        command.env("GRAFT_MIRROR", "http://127.0.0.1:1");
        // As `cargo xtask` sets it.
        command.env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed and print one JSON object.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let out = self.run(&[args, &["--json"]].concat());
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let text = String::from_utf8(out.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Runs a command that must fail with one line holding all of `words`, and leave no new file.
    pub fn refused(&self, args: &[&str], words: &[&str]) {
        let before = self.files();
        check_refusal(&self.run(args), args, words);
        assert_eq!(before, self.files(), "{args:?} left something behind");
    }

    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "cache")
            .collect();
        names.sort();
        names
    }
}

/// Fails unless the command failed with one line on stderr that holds all of `words`.
pub fn check_refusal(out: &Output, args: &[&str], words: &[&str]) {
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success(), "{args:?} succeeded");
    assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    for word in words {
        assert!(
            text.contains(word),
            "{args:?} should mention '{word}': {text}"
        );
    }
}

/// An ONNX file with one node between input and output.
pub fn onnx(op: &str) -> Vec<u8> {
    let dimension = |n| pb::tensor_shape_proto::Dimension {
        value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(n)),
    };
    let value = |name: &str| pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: 1,
                shape: Some(pb::TensorShapeProto {
                    dim: [1, 3, 8, 8].map(dimension).to_vec(),
                }),
            })),
        }),
    };
    let node = pb::NodeProto {
        name: "strange/node".into(),
        op_type: op.into(),
        input: vec!["x".into()],
        output: vec!["y".into()],
        ..Default::default()
    };
    let graph = pb::GraphProto {
        name: "g".into(),
        node: vec![node],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    let opset = pb::OperatorSetIdProto {
        domain: String::new(),
        version: 13,
    };
    pb::ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![opset],
        ..Default::default()
    }
    .encode_to_vec()
}
