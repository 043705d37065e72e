//! Whole workflows on small models.

use crate::support::Bench;
use graft_tests::class_folders;

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
