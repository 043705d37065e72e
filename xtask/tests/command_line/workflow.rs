//! Whole workflows on small models.

use crate::support::Bench;
use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use graft_tests::{class_folders, source};
use serde_json::Value;

#[test]
fn the_whole_way_on_a_small_model() {
    let b = Bench::new();
    b.model("small.edge");
    class_folders(&b.path("train"), &["red", "green"], 16, 1);
    class_folders(&b.path("val"), &["red", "green"], 5, 500);

    let inspected = b.json(&["inspect", "small.edge"]);
    assert_eq!(inspected["dtype"], "int8");
    assert_eq!(inspected["head"]["classes"], 4);
    assert!(inspected["arena_lower_bound_bytes"].as_u64() <= inspected["arena_bytes"].as_u64());

    let new = b.json(&[
        "retrain-head",
        "small.edge",
        "--data",
        "train",
        "--val",
        "val",
        "-o",
        "new.edge",
    ]);
    assert_eq!(
        (
            new["classes"].as_u64(),
            new["train_images"].as_u64(),
            new["val_images"].as_u64()
        ),
        (Some(2), Some(32), Some(10))
    );
    for backend in ["engine", "tract"] {
        let e = b.json(&["eval", "new.edge", "val", "--backend", backend]);
        assert_eq!(
            (&e["images"], &e["top1"]),
            (&new["val_images"], &new["val_top1"])
        );
    }
    assert_eq!(
        b.json(&["eval", "new.edge", "val", "--limit", "4"])["images"],
        4
    );
    let verified = b.json(&[
        "verify",
        "new.edge",
        "--images",
        "val",
        "--on",
        "engine,tract",
    ]);
    assert_eq!(
        (verified["equal"].as_bool(), verified["inputs"].as_u64()),
        (Some(true), Some(10))
    );

    let ran = b.json(&[
        "run",
        "new.edge",
        "val/red/000.png",
        "val/green/000.png",
        "--top",
        "1",
        "--logits",
    ]);
    let results = ran["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["logits"].as_array().unwrap().len(), 2);
    let text = b.run(&["run", "new.edge", "val/red/000.png"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("red"));
}

#[test]
fn models_are_timed_in_turns_on_this_computer() {
    let b = Bench::new();
    b.model("int8.edge");
    let float = convert(source(1), None, &Silent).unwrap().bytes;
    b.write("float.edge", &float);
    let timed = b.json(&[
        "bench",
        "int8.edge",
        "float.edge",
        "--runs",
        "2",
        "--layers",
    ]);
    let models = timed["models"].as_array().unwrap();
    let kinds: Vec<_> = models
        .iter()
        .map(|m| (&m["dtype"], &m["backend"]))
        .collect();
    let [int8, float32, engine, tract] = ["int8", "float32", "engine", "tract"].map(Value::from);
    assert_eq!(kinds, [(&int8, &engine), (&float32, &tract)]);
    for model in models {
        let [min, median, last] = ["min_ms", "median_ms", "p95_ms"].map(|k| model[k].as_f64());
        assert!(
            Some(0.0) < min && min <= median && median <= last,
            "{model}"
        );
        let inspected = b.json(&["inspect", "int8.edge"]);
        assert_eq!(model["macs"], inspected["macs"]);
        let names = |layers: &Value| -> Vec<Value> {
            let layers = layers.as_array().unwrap().iter();
            layers.map(|l| l["name"].clone()).collect()
        };
        assert_eq!(names(&model["layers"]), names(&inspected["layers"]));
    }
    let ratio = models[1]["ratio"].as_f64().unwrap();
    let medians = [0, 1].map(|i| models[i]["median_ms"].as_f64().unwrap());
    assert!((ratio - medians[1] / medians[0]).abs() < 1e-9);
    // One family of kernels, by option and by environment.
    let forced = b.json(&["bench", "int8.edge", "--runs", "1", "--kernels", "portable"]);
    assert_eq!(forced["kernels"], "portable");
    let mut command = b.command(&["bench", "int8.edge", "--runs", "1", "--json"]);
    let out = command.env("GRAFT_KERNELS", "portable").output().unwrap();
    let forced: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(forced["kernels"], "portable");
    b.refused(
        &["bench", "int8.edge", "--kernels", "sse9"],
        &["runs no kernels 'sse9'", "portable"],
    );
    b.refused(
        &["bench", "int8.edge", "float.edge", "--board", "qemu-m4"],
        &["a board runs one model"],
    );
    b.refused(
        &["bench", "float.edge", "--backend", "engine"],
        &["int8 models", "--int8"],
    );
}

/// A stand-in for a Python: what it says decides what is printed.
#[cfg(unix)]
#[test]
fn peers_take_turns_with_our_models() {
    use std::os::unix::fs::PermissionsExt;
    let b = Bench::new();
    b.model("int8.edge");
    b.write("net.onnx", b"");
    let python = r#"#!/bin/sh
if [ "$3" = list ]; then
  echo '{"onnxruntime": {"version": "9.9", "reads": ".onnx"}}'
else
  echo '{"prepare_ms": 5, "first_ms": 4}'
  while read -r count; do echo "[$(yes 2 | head -n "$count" | paste -sd,)]"; done
fi
"#;
    b.write("python", python.as_bytes());
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(b.path("python"), executable).unwrap();
    let bench = ["bench", "int8.edge", "net.onnx", "--runs", "3"];
    let timed = b.json(&[&bench[..], &["--threads", "1,2", "--peers", "./python"]].concat());
    let models = timed["models"].as_array().unwrap();
    let kinds: Vec<_> = models
        .iter()
        .map(|m| (&m["backend"], &m["threads"]))
        .collect();
    let [engine, peer] = ["engine", "onnxruntime 9.9"].map(Value::from);
    let [one, two] = [1, 2].map(Value::from);
    let expected = [
        (&engine, &one),
        (&engine, &two),
        (&peer, &one),
        (&peer, &two),
    ];
    assert_eq!(kinds, expected);
    let of_peer = &models[2];
    assert_eq!(
        (&of_peer["model"], &of_peer["median_ms"]),
        (&"net.onnx".into(), &2.0.into())
    );
    assert_eq!(
        (&of_peer["prepare_ms"], &of_peer["first_ms"]),
        (&5.0.into(), &4.0.into())
    );
    b.refused(&bench, &["net.onnx", "convert it", "--peers"]);
    b.write("net.tflite", b"");
    b.refused(
        &["bench", "net.tflite", "--peers", "./python"],
        &["none of the peers (onnxruntime) reads such a file"],
    );
    b.refused(
        &["bench", "net.onnx", "--peers", "true"],
        &["--peers true", "Python 3"],
    );
    b.refused(
        &["bench", "net.onnx", "--peers", "no-such-python"],
        &["--peers no-such-python: cannot start it"],
    );
}

#[test]
fn a_random_efficientnet_converts_without_network() {
    let b = Bench::new();
    let convert = [
        "convert",
        "efficientnet-lite0",
        "--weights",
        "random",
        "--int8",
        "--calib-images",
        "2",
    ];
    let made = b.json(&convert);
    assert_eq!(made["out"], "efficientnet-lite0-int8.edge");
    assert_eq!(made["parameters"], 4_652_008);
    for key in ["bytes", "macs", "arena_bytes", "peak_memory_bytes"] {
        assert!(made[key].as_u64() > Some(1_000_000), "{key} in {made}");
    }
    assert!(made["agreement"].is_number());
    assert_eq!(
        b.json(&["verify", "efficientnet-lite0-int8.edge", "--limit", "1"])["equal"],
        true
    );
    class_folders(&b.path("data"), &["tench", "goldfish"], 1, 0);
    b.refused(
        &["eval", "efficientnet-lite0-int8.edge", "data"],
        &["random", "no accuracy"],
    );
}

#[test]
fn what_is_said_of_weights_and_folders() {
    let b = Bench::new();
    b.model("m.edge");
    let four = ["w", "x", "y", "z"];
    class_folders(&b.path("data"), &four, 2, 0);
    std::fs::create_dir_all(b.path("data/__MACOSX/w")).unwrap();
    let text = |args: &[&str]| {
        let out = b.run(args);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {error}");
        String::from_utf8(out.stdout).unwrap()
    };
    // The model's four classes have other names.
    assert_eq!(
        b.json(&["eval", "m.edge", "data"])["folders_by_order"],
        true
    );
    let said = text(&["eval", "m.edge", "data"]);
    assert!(said.contains("alphabetical order"), "{said}");
    let retrain = ["retrain-head", "m.edge", "--data", "data", "-o", "new.edge"];
    let said = text(&retrain);
    assert!(said.contains(" of at most 60"), "{said}");
    let hardly = ["--learning-rate", "1e-30", "--epochs", "1"];
    let said = text(&[&retrain[..], &hardly].concat());
    assert!(
        said.contains("none of at most 1 was better than the start"),
        "{said}"
    );
    let known = b.json(&["eval", "new.edge", "data"]);
    assert_eq!(known["folders_by_order"], false);

    let random = [
        "convert",
        "mlperf-tiny-vww",
        "--weights",
        "random",
        "-o",
        "r.edge",
    ];
    b.json(&random);
    let said = text(&["run", "r.edge", "data/w/000.png"]);
    assert!(said.contains("weights of this model are random"), "{said}");
    assert_eq!(
        b.json(&["run", "r.edge", "data/w/000.png"])["random_weights"],
        true
    );
    assert_eq!(
        b.json(&["run", "m.edge", "data/w/000.png"])["random_weights"],
        false
    );
}
