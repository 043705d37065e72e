//! What the tests share: a folder with the command line in it, and a simulated device.

use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use edge_runtime::model::{AlignedBytes, Model};
use graft_tests::{int8, source};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// The names of the new classes.
pub const CLASSES: [&str; 2] = ["green", "red"];

/// A folder for one test, and the command line run in it.
pub struct Bench(tempfile::TempDir);

impl Bench {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a small network.
    pub fn model(&self, name: &str, seed: u64, quantized: bool) {
        let options = int8();
        let model = convert(source(seed), quantized.then_some(&options), &Silent).unwrap();
        std::fs::write(self.path(name), &model.bytes[..]).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command.args(args).current_dir(self.0.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed and print one JSON object.
    pub fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat());
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {error}");
        let text = String::from_utf8(out.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Runs a command that must fail with one line holding all of `words`.
    pub fn refused(&self, args: &[&str], words: &[&str]) {
        let out = self.run(args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{args:?} succeeded");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.starts_with("error: "), "{args:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{args:?} lacks '{word}': {text}");
        }
    }

    /// The head of a model's file.
    pub fn head_of(&self, model: &str) -> Vec<u8> {
        let bytes = AlignedBytes::read(&self.path(model)).unwrap();
        let model = Model::parse(&bytes).unwrap();
        model.head().unwrap().bytes().to_vec()
    }
}

/// A running simulation.
pub struct Device<'b> {
    bench: &'b Bench,
    process: Child,
    pub port: String,
    /// What it said when it was ready.
    pub ready: Value,
}

impl<'b> Device<'b> {
    pub fn start(bench: &'b Bench, args: &[&str]) -> Self {
        let listen = ["simulate", "--listen", "127.0.0.1:0", "--json"];
        let mut process = bench
            .command(&[&listen, args].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self {
            bench,
            process,
            port: format!("tcp:{}", ready["listening"].as_str().unwrap()),
            ready,
        }
    }

    pub fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["device", "--port", &self.port], args].concat()
    }

    pub fn json(&self, args: &[&str]) -> Value {
        self.bench.json(&self.args(args))
    }

    pub fn refused(&self, args: &[&str], words: &[&str]) {
        self.bench.refused(&self.args(args), words);
    }
}

/// Pulls the plug.
impl Drop for Device<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}
