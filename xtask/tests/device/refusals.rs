//! What a device and a simulation refuse.

use crate::support::{Bench, CLASSES, Device};
use graft_tests::class_folders;
use serde_json::Value;

#[test]
fn what_a_device_is_not_given() {
    let b = Bench::new();
    b.model("small.edge", 1, true);
    b.model("other.edge", 2, true);
    class_folders(&b.path("train"), &CLASSES, 2, 1);
    class_folders(&b.path("strange"), &["red", "violet"], 1, 1);
    let long = "x".repeat(33);
    class_folders(&b.path("long"), &["red", &long], 1, 1);
    std::fs::write(b.path("broken.png"), b"no picture").unwrap();
    std::fs::write(b.path("other.head"), b.head_of("other.edge")).unwrap();
    let mut damaged = b.head_of("small.edge");
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(b.path("damaged.head"), damaged).unwrap();

    let device = Device::start(&b, &["small.edge", "--board", "qemu-m4"]);
    let before = device.json(&["info"]);
    device.refused(&["--model", "other.edge", "info"], &["another model"]);
    device.json(&["--model", "small.edge", "info"]);
    device.refused(&["import-head", "damaged.head"], &["damaged.head"]);
    device.refused(&["import-head", "nothing.head"], &["nothing.head"]);
    device.refused(
        &["import-head", "small.edge"],
        &["small.edge: this is a whole model", "export-head"],
    );
    device.refused(
        &["import-head", "other.head", "--commit"],
        &["another trunk"],
    );
    device.refused(&["commit"], &["no trained or imported head"]);
    device.refused(&["infer", "broken.png"], &["broken.png"]);
    device.refused(&["retrain-head"], &["two classes"]);
    device.refused(
        &["retrain-head", "--data", "long"],
        &["xxx", "33 bytes", "32 at most"],
    );
    device.refused(&["eval", "strange"], &["not a class"]);
    device.refused(
        &["clear-samples", "--class", "red"],
        &["no samples of this class"],
    );
    device.refused(&["export-head", "no/folder.head"], &["no folder"]);
    assert_eq!(device.json(&["info"]), before);

    // All four classes of the factory head would be lost.
    let keep = ["retrain-head", "--data", "train", "--keep-classes"];
    device.refused(&keep, &["4 classes, and there would be samples of 2"]);
    assert_eq!(device.json(&["info"]), before);
    // What is known to fail deletes nothing.
    for class in CLASSES {
        let [a, b] = ["000", "001"].map(|n| format!("train/{class}/{n}.png"));
        device.json(&["add-sample", "--class", class, &a, &b]);
    }
    let stored = device.json(&["samples"]);
    let clear = |more: &[&'static str]| {
        let words = ["retrain-head", "--data", "train", "--clear"];
        [&words, more].concat()
    };
    device.refused(
        &clear(&["--keep-classes"]),
        &["4 classes, and there would be samples of 2"],
    );
    device.refused(
        &clear(&["--learning-rate", "1e9"]),
        &["learning rate", "at most 1000"],
    );
    device.refused(&clear(&["--hidden", "128"]), &["units fit"]);
    let long = ["retrain-head", "--data", "long", "--clear"];
    device.refused(&long, &["xxx", "33 bytes", "32 at most"]);
    let both = ["--keep-classes", "--drop-classes"];
    let out = b.run(&device.args(&clear(&both)));
    assert_eq!(out.status.code(), Some(2), "they contradict each other");
    assert_eq!(device.json(&["samples"]), stored);
    device.refused(
        &[
            "add-sample",
            "--class",
            "red",
            "--pool",
            "max",
            "train/red/000.png",
        ],
        &["pooled by avg"],
    );
    assert_eq!(device.json(&["samples"])["samples"], 4);
    drop(device);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("tcp:{}", closed.local_addr().unwrap());
    let impatient = ["--timeout", "5", "--attempts", "2", "info"];
    let ask = |port| [&["device", "--port", port], &impatient[..]].concat();
    b.refused(&ask(&silent), &["did not answer 2 requests"]);
    drop(closed);
    b.refused(&ask(&silent), &["cannot connect"]);
    b.refused(
        &ask("unix:nothing.sock"),
        &["nothing.sock", "cannot connect"],
    );
    b.refused(&ask("serial:nothing"), &["nothing", "cannot connect"]);
    b.refused(&ask("carrier-pigeon:1"), &["tcp:HOST:PORT"]);
}

#[test]
fn what_is_not_simulated() {
    let b = Bench::new();
    b.model("small.edge", 1, true);
    b.model("float.edge", 1, false);
    let board = |args: &[&'static str]| [&["simulate", "--listen", "127.0.0.1:0"], args].concat();
    b.refused(&board(&["float.edge", "--board", "host"]), &["--int8"]);
    b.refused(&board(&["small.edge", "--board", "toaster"]), &["toaster"]);
    let open = [
        "simulate",
        "small.edge",
        "--board",
        "host",
        "--listen",
        "0.0.0.0:0",
    ];
    b.refused(&open, &["loopback"]);
    b.refused(
        &board(&["small.edge", "--board", "host", "--drop", "0.9"]),
        &["0.5"],
    );

    // The numbers of `fit`.
    let random = [
        "convert",
        "efficientnet-lite0",
        "--weights",
        "random",
        "--int8",
    ];
    b.json(&[&random[..], &["--calib-images", "1", "-o", "lite0.edge"]].concat());
    let fit = b.run(&["fit", "lite0.edge", "--board", "rp2350", "--json"]);
    let fit: Value = serde_json::from_slice(&fit.stdout).unwrap();
    let lines = fit["lines"].as_array().unwrap();
    let misfits = lines.iter().filter(|l| l["fits"] == false);
    let numbers: Vec<String> = misfits
        .flat_map(|l| [l["needs"].to_string(), l["has"].to_string()])
        .collect();
    assert_eq!(numbers.len(), 4, "model and arena");
    let words: Vec<&str> = numbers.iter().map(String::as_str).collect();
    b.refused(&board(&["lite0.edge", "--board", "rp2350"]), &words);
    std::fs::create_dir(b.path("state")).unwrap();
    std::fs::write(b.path("state/host.flash"), b"something else").unwrap();
    b.refused(
        &board(&["small.edge", "--board", "host", "--state", "state"]),
        &["host.flash", "14 bytes"],
    );
}
