//! `bench` and `verify` on boards in QEMU as a user types them: a small network is counted, and what it gives
//! there is what the host gives.
//!
//! Each board's image is built once, about a minute the first time, so these tests run only when asked for
//! (`cargo test --workspace --test bench -- --ignored`), as `.ci/run` does. They need a compiler for the boards
//! and QEMU. Without them a test says `skipped` and passes, unless the environment variable `CI` is `true`.

use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use graft_tests::{int8, source};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// With a model in it.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = convert(source(1), Some(&int8()), &Silent).unwrap();
        std::fs::write(folder.path().join("small.edge"), &model.bytes[..]).unwrap();
        Self { folder }
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("small.edge")
    }

    /// The JSON that a command prints, or its error.
    fn run(&self, command: &str, args: &[&str]) -> Result<Value, String> {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_graft"));
        let out = xtask
            .args([command, "--json"])
            .arg(self.model())
            .args(args)
            .output()
            .unwrap();
        match out.status.success() {
            true => Ok(serde_json::from_slice(&out.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }

    /// The same of a command that needs a compiler for the board; `None` without one.
    fn on_board(&self, command: &str, args: &[&str]) -> Option<Value> {
        let error = match self.run(command, args) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let missing = error.contains("nothing here compiles")
            || error.contains("no linker for")
            || error.contains("is not installed");
        let in_ci = std::env::var("CI").is_ok_and(|v| v == "true");
        assert!(missing && !in_ci, "{args:?}: {error}");
        println!("skipped: {args:?}: {error}");
        None
    }
}

fn counted(board: &str) {
    let folder = Folder::new();
    let Some(bench) = folder.on_board("bench", &["--board", board]) else {
        return;
    };
    let number = |value: &Value, key: &str| {
        value[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {value}"))
    };
    let inspect = folder.run("inspect", &["--board", board]).unwrap();
    for key in ["macs", "arena_bytes"] {
        assert_eq!(number(&bench, key), number(&inspect, key), "{key}");
    }
    assert_eq!(number(&bench, "model_bytes"), number(&inspect, "bytes"));
    let sum = |keys: &[&str]| keys.iter().map(|key| number(&bench, key)).sum::<u64>();
    let ram = ["arena_bytes", "head_bytes", "stack_bytes", "static_bytes"];
    assert_eq!(sum(&ram), number(&bench, "ram_bytes"));
    assert_eq!(
        sum(&["code_bytes", "model_bytes"]),
        number(&bench, "flash_bytes")
    );
    assert!(number(&bench, "stack_bytes") > 100);
    // Fewer than one instruction in eight MACs cannot be, nor a hundred in one.
    let (instructions, macs) = (number(&bench, "instructions"), number(&bench, "macs"));
    assert!(
        instructions > macs / 8 && instructions < 100 * macs,
        "{bench}"
    );
    let (layers, known) = (
        bench["layers"].as_array().unwrap(),
        inspect["layers"].as_array().unwrap(),
    );
    assert_eq!(layers.len(), known.len());
    for (layer, known) in layers.iter().zip(known) {
        assert_eq!(
            (&layer["name"], &layer["macs"]),
            (&known["name"], &known["macs"])
        );
        assert!(number(layer, "instructions") > 0, "{layer}");
    }
    let of_layers: u64 = layers.iter().map(|l| number(l, "instructions")).sum();
    let whole = of_layers + number(&bench["head"], "instructions");
    let jitter = 100 * (1 + layers.len() as u64);
    assert!(
        whole.abs_diff(instructions) <= jitter,
        "{whole} {instructions}"
    );
    // An emulator that counts gives the same count again.
    let again = folder.run("bench", &["--board", board]).unwrap();
    assert_eq!(again, bench);
    assert_eq!(bench["cycles_estimated"].is_u64(), board == "qemu-m4");

    let on = format!("tract,engine,{board}");
    let verify = folder
        .run("verify", &["--limit", "3", "--on", &on])
        .unwrap();
    assert_eq!(verify["equal"], true);
    assert_eq!(number(&verify, "inputs"), 3);
    assert_eq!(number(&verify, "layers"), layers.len() as u64);
    assert_eq!(verify["backends"].as_array().unwrap().len(), 3);
}

#[test]
#[ignore = "builds an image and runs QEMU"]
fn qemu_m4() {
    counted("qemu-m4");
}

#[test]
#[ignore = "builds an image and runs QEMU"]
fn qemu_m7() {
    counted("qemu-m7");
}

#[test]
#[ignore = "builds an image and runs QEMU"]
fn qemu_m33() {
    counted("qemu-m33");
}

#[test]
#[ignore = "builds an image and runs QEMU"]
fn qemu_m55() {
    counted("qemu-m55");
}

#[test]
fn mistakes_are_told_before_anything_is_built() {
    let folder = Folder::new();
    let error = |command, args: &[&str]| folder.run(command, args).unwrap_err();
    let said = error("verify", &["--on", "qemu-m4"]);
    assert!(said.contains("add `engine` to --on"), "{said}");
    let said = error("verify", &["--on", "engine,qemu-m4,qemu-m4"]);
    assert!(said.contains("names something twice"), "{said}");
    let said = error("verify", &["--on", "engine,stm32"]);
    assert!(said.contains("there are: engine, tract, qemu-m"), "{said}");
    let said = error("bench", &["--board", "raspberry-pi-5"]);
    assert!(said.contains("bench measures microcontrollers"), "{said}");
    let said = error(
        "bench",
        &["--board", "qemu-m4", "--port", "tcp:127.0.0.1:1"],
    );
    assert!(said.contains("starts by itself"), "{said}");
}
