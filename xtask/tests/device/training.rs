//! What a user sees of training on the device: names, few samples, lost classes, heads.

use crate::support::{Bench, Device};
use graft_tests::class_folders;
use serde_json::Value;

/// A head that the host trained on folders with long names, and a set with few pictures of a class: what a user of
/// both sees.
#[test]
fn long_names_few_pictures_and_lost_classes() {
    let b = Bench::new();
    b.model("small.edge", 1, true);
    // 31 bytes, and a character of two: cut at 32 bytes, both were the same.
    let names = ["ä", "ö"].map(|end| format!("the same thirty-one first bytes{end}"));
    class_folders(&b.path("long"), &names.each_ref().map(String::as_str), 4, 1);
    let told = |args: &[&str]| {
        let out = b.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        (text(&out.stdout), text(&out.stderr))
    };
    let train = [
        "retrain-head",
        "small.edge",
        "--data",
        "long",
        "-o",
        "long.edge",
    ];
    let (_, warned) = told(&train);
    assert!(
        warned.contains("longer than 32 bytes: 'the same"),
        "{warned}"
    );
    assert!(
        warned.contains("not judged") && warned.contains("(4)"),
        "{warned}"
    );
    let device = Device::start(&b, &["long.edge", "--board", "rp2350"]);
    let png = format!("long/{}/000.png", names[0]);
    let seen = device.json(&["infer", &png]);
    let mut labels: Vec<_> = seen["top"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["label"])
        .collect();
    labels.sort_by_key(|label| label.as_str());
    assert_eq!(labels, names.each_ref().map(String::as_str));
    let (text, _) = told(&device.args(&["infer", &png]));
    assert!(names.iter().all(|n| text.contains(n)), "{text}");

    // That head was trained, too: its classes are not lost unasked.
    class_folders(&b.path("few"), &["green"], 16, 50);
    class_folders(&b.path("few"), &["red"], 3, 50);
    let few = ["retrain-head", "--data", "few"];
    device.refused(
        &few,
        &[
            "2 of the present head's 2 classes",
            &names[1],
            "--drop-classes",
        ],
    );
    assert_eq!(device.json(&["samples"])["samples"], 0);
    let args = device.args(&[&few[..], &["--drop-classes"]].concat());
    let (text, warned) = told(&args);
    assert!(
        warned.contains("lacks 2 classes") && warned.contains(&names[0]),
        "{warned}"
    );
    assert!(
        warned.contains("not judged") && warned.contains("'red' (3)"),
        "{warned}"
    );
    assert!(warned.contains("rarer than 'green' (16)"), "{warned}");
    assert!(
        text.contains("red not judged") && text.contains(" of 2,"),
        "{text}"
    );
    assert!(text.contains(" %, of 1 of the 2 classes"), "{text}");
    let (log, _) = told(&device.args(&["log"]));
    assert!(log.contains("not judged: 1"), "{log}");

    // A class whose samples are deleted, and a whole new set.
    device.json(&["clear-samples", "--class", "red"]);
    device.json(&[
        "add-sample",
        "--class",
        "blue",
        "few/red/000.png",
        "few/red/001.png",
    ]);
    device.refused(
        &["retrain-head"],
        &["1 of the present head's 2 classes", "'red'"],
    );
    class_folders(&b.path("new"), &["blue", "green"], 2, 1);
    let new = device.json(&["retrain-head", "--data", "new", "--clear", "--force"]);
    assert_eq!(new["lost_classes"], serde_json::json!(["red"]));
    assert_eq!(
        (&new["committed"], &new["classes"]),
        (&true.into(), &2.into())
    );
    assert!(new["held_out_balanced"].is_null());
    // On the host nothing is lost: the model stays. It says it nevertheless.
    let again = [
        "retrain-head",
        "long.edge",
        "--data",
        "few",
        "-o",
        "few.edge",
    ];
    let again = b.json(&again);
    assert_eq!(again["lost_classes"], serde_json::json!(names));
    assert_eq!(again["by_class"][1]["recall"], Value::Null);
    assert_eq!(again["warnings"].as_array().unwrap().len(), 3, "{again}");
}

/// A network's own head can be larger than any slot.
#[test]
fn a_factory_head_that_no_slot_holds() {
    let b = Bench::new();
    let convert = ["convert", "efficientnet-lite0", "--weights", "random"];
    let int8 = ["--int8", "--calib-images", "1", "-o", "lite0.edge"];
    b.json(&[&convert[..], &int8].concat());
    let device = Device::start(&b, &["lite0.edge", "--board", "raspberry-pi-5"]);
    let head = device.json(&["export-head", "own.head"]);
    let (bytes, room) = (&head["bytes"], "the device has room for");
    device.refused(
        &["import-head", "own.head"],
        &[
            "own.head: a head of 1000 classes",
            &bytes.to_string(),
            room,
            "`rollback`",
        ],
    );
}
