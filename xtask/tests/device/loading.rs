//! Models over the line.

use crate::support::{Bench, CLASSES, Device, keys};
use converter::pack::pack;
use edge_runtime::model::{AlignedBytes, Family, Model};
use graft_tests::class_folders;
use serde_json::Value;

#[test]
fn another_model_over_the_line() {
    let b = Bench::new();
    b.model("old.edge", 1, true);
    b.model("new.edge", 2, true);
    b.model("float.edge", 1, false);
    std::fs::write(b.path("noise.edge"), [7; 1000]).unwrap();
    let state = ["--board", "rp2350", "--state", "state"];
    let device = Device::start(&b, &[&["old.edge"], &state[..]].concat());
    let trunk = |device: &Device<'_>| device.json(&["info"])["model"]["trunk_sha256"].clone();
    let old = trunk(&device);
    class_folders(&b.path("train"), &CLASSES, 1, 3);
    device.json(&["add-sample", "--class", "red", "train/red/000.png"]);
    device.refused(&["load", "float.edge"], &["float.edge", "--int8"]);
    device.refused(&["load", "noise.edge"], &["noise.edge"]);
    device.refused(&["load", "absent.edge"], &["absent.edge", "cannot read"]);
    device.refused(
        &["load", "new.edge", "--signature", "absent.sig"],
        &["absent.sig"],
    );
    device.refused(&["load", "new.edge", "--board", "toaster"], &["toaster"]);
    assert_eq!(trunk(&device), old);

    let loaded = device.json(&["load", "new.edge", "--board", "rp2350"]);
    let keys = [
        "bytes",
        "file",
        "head_sequence",
        "model",
        "packed_for",
        "samples",
        "seconds",
        "sending_seconds",
        "signed",
        "trunk_sha256",
    ];
    assert_eq!(self::keys(&loaded), keys);
    assert_eq!(
        (&loaded["samples"], &loaded["head_sequence"]),
        (&0.into(), &0.into())
    );
    let new = trunk(&device);
    assert_eq!(loaded["trunk_sha256"], new);
    assert_ne!(new, old);
    drop(device);

    // The plug is pulled: what was loaded is there, and what was given at the first start is not.
    let device = Device::start(&b, &state);
    assert_eq!(device.ready["model"], "small");
    assert_eq!(trunk(&device), new);
    // The old trunk again finds its samples. A file that is packed for another processor is unpacked.
    let packed = pack(
        &Model::parse(&AlignedBytes::read(&b.path("old.edge")).unwrap()).unwrap(),
        Family::Mve,
    );
    std::fs::write(b.path("packed.edge"), &packed.unwrap()[..]).unwrap();
    let loaded = device.json(&["load", "packed.edge"]);
    assert_eq!(
        (&loaded["samples"], &loaded["packed_for"]),
        (&1.into(), &Value::Null)
    );
    assert_eq!(trunk(&device), old);
    drop(device);

    // A device that never had one, on a bad line.
    let bad = [
        "--board",
        "nrf5340-dk",
        "--drop",
        "0.0005",
        "--damage",
        "0.0005",
    ];
    let device = Device::start(&b, &bad);
    assert_eq!(device.ready["model"], Value::Null);
    let ask = |args: &[&'static str]| [&["--timeout", "50", "--attempts", "200"], args].concat();
    device.refused(&ask(&["info"]), &["no model"]);
    let loaded = device.json(&ask(&["load", "new.edge"]));
    assert_eq!(loaded["trunk_sha256"], new);
    assert_eq!(device.json(&ask(&["info"]))["model"]["trunk_sha256"], new);
}
