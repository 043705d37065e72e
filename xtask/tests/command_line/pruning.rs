//! `convert --prune` and `--prune-latency`.

use crate::support::Bench;
use graft_tests::class_folders;
use serde_json::Value;

/// A small network of the catalog with random weights.
const NETWORK: [&str; 4] = ["convert", "mlperf-tiny-resnet8", "--weights", "random"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&NETWORK, more].concat()
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_share_of_the_operations_leaves_and_the_file_says_so() {
    let b = Bench::new();
    class_folders(&b.path("data"), &["red", "green"], 30, 1);
    let args = ["--int8", "--prune", "0.3", "--data", "data", "-o", "p.edge"];
    let converted = b.json(&with(&args));
    let pruning = &converted["pruning"];
    let before = &pruning["before"];
    for measure in ["parameters", "macs", "bytes", "arena_bytes", "latency_ms"] {
        let [now, was] = [&converted, before].map(|report| match measure {
            "latency_ms" => number(&pruning[measure]),
            _ => number(&report[measure]),
        });
        assert!(now > 0.0 && number(&before[measure]) > 0.0, "{measure}");
        assert!(
            measure == "latency_ms" || now < was,
            "{measure}: {now} of {was}"
        );
    }
    let less = number(&pruning["macs_less"]);
    assert!((0.3..0.4).contains(&less), "{less}");
    assert_eq!(number(&pruning["pictures"]), 48.0);
    // Random weights have no accuracy.
    assert!(pruning["accuracy"].is_null());
    let inspected = b.json(&["inspect", "p.edge"]);
    assert_eq!(inspected["pruning"]["macs"], before["macs"]);
    assert_eq!(inspected["pruning"]["parameters"], before["parameters"]);
    assert_eq!(inspected["pruning"]["pictures"], "48 pictures of data");
    assert_eq!(
        inspected["quantization"]["calibration"],
        "60 pictures of data"
    );
    assert_eq!(inspected["macs"], converted["macs"]);
    // Pruned on the same pictures, it is the same file.
    let again = ["--int8", "--prune", "0.3", "--data", "data", "-o", "q.edge"];
    b.json(&with(&again));
    let read = |name| std::fs::read(b.path(name)).unwrap();
    assert!(read("p.edge") == read("q.edge"));
    b.json(&["verify", "p.edge", "--on", "engine,tract"]);
}

#[test]
fn generated_pictures_do_where_there_are_no_others() {
    let b = Bench::new();
    let converted = b.json(&with(&["--prune", "0.2", "-o", "p.edge"]));
    assert_eq!(number(&converted["pruning"]["pictures"]), 200.0);
    let inspected = b.json(&["inspect", "p.edge"]);
    assert_eq!(inspected["dtype"], "float32");
    assert!(
        inspected["pruning"]["pictures"]
            .as_str()
            .unwrap()
            .contains("generated")
    );
    assert!(
        inspected["check"].is_null(),
        "a pruned file without doubts has no check"
    );
}

#[test]
fn what_is_pruned_for_a_device_is_packed_for_it() {
    let b = Bench::new();
    let args = [
        "--int8",
        "--prune",
        "0.3",
        "--board",
        "nucleo-h743zi2",
        "-o",
        "p.edge",
    ];
    let converted = b.json(&with(&args));
    assert_eq!(converted["packed_for"], "dsp");
    assert!(converted["fit"].is_object());
    assert!(b.json(&["inspect", "p.edge"])["pruning"].is_object());
}

#[test]
fn mistakes_are_said_before_any_work() {
    let b = Bench::new();
    for share in ["0", "0.9", "1.5", "-0.1", "half", "nan"] {
        let share = format!("--prune={share}");
        b.refused(&with(&[&share]), &["--prune", "above 0 and below 0.9"]);
    }
    b.refused(&with(&["--prune-latency", "0"]), &["positive"]);
    b.refused(
        &with(&["--prune", "0.2", "--prune-latency", "1"]),
        &["--prune-latency"],
    );
    b.refused(
        &with(&["--prune", "0.2", "--data", "nowhere"]),
        &["nowhere"],
    );
    b.refused(&with(&["--data", "nowhere"]), &["--data", "--prune"]);
    b.refused(
        &with(&["--prune-latency", "5", "--board", "pluto"]),
        &["pluto", "boards"],
    );
    b.refused(
        &with(&[
            "--int8",
            "--prune-latency",
            "5",
            "--board",
            "nucleo-h743zi2",
        ]),
        &["nucleo-h743zi2", "QEMU"],
    );
    b.refused(
        &with(&["--prune-latency", "5", "--board", "qemu-m4"]),
        &["--int8"],
    );
    class_folders(&b.path("one"), &["red"], 30, 1);
    b.refused(
        &with(&["--prune", "0.2", "--data", "one"]),
        &["one", "two classes"],
    );
    class_folders(&b.path("few"), &["red", "green"], 2, 1);
    b.refused(
        &with(&["--prune", "0.2", "--data", "few"]),
        &["4 pictures are too few", "would do"],
    );
}

#[test]
fn a_latency_that_cannot_be_reached_leaves_no_file() {
    let b = Bench::new();
    let args = ["--int8", "--prune-latency", "0.000001", "-o", "p.edge"];
    b.refused(&with(&args), &["0.000001 ms are out of reach", "at most"]);
    let args = ["--int8", "--prune-latency", "1000000", "-o", "p.edge"];
    b.refused(&with(&args), &["without any pruning"]);
}
