//! Folders of pictures: files that are left out, and pictures that are broken.

use crate::support::Bench;
use graft_tests::class_folders;

/// Every command that reads a folder says how many files it leaves out, and names one.
#[test]
fn what_a_folder_loses_is_said() {
    let b = Bench::new();
    b.model("m.edge");
    class_folders(&b.path("data"), &["red", "green"], 8, 1);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    b.write("data/red/a.heic", heic);
    b.write("data/red/b.HEIC", heic);
    b.write("data/green/Thumbs.db", b"\xd0\xcf\x11\xe0");
    b.write("data/green/readme.txt", b"green things");
    // A name without an end and one that lies: what is in them says that they are pictures.
    std::fs::rename(b.path("data/red/000.png"), b.path("data/red/000")).unwrap();
    std::fs::rename(b.path("data/red/001.png"), b.path("data/red/001.webp")).unwrap();
    let retrain = ["retrain-head", "m.edge", "--data", "data", "-o", "n.edge"];
    let convert = [
        "convert",
        "efficientnet-lite0",
        "--weights",
        "random",
        "--int8",
    ];
    let convert = [
        &convert[..],
        &["--calib", "data", "--calib-images", "2", "-o", "e.edge"],
    ]
    .concat();
    let commands = [
        &[&retrain[..], &["--val", "data"]].concat()[..],
        &["eval", "n.edge", "data"],
        &["verify", "n.edge", "--images", "data"],
        &convert,
    ];
    for args in commands {
        let text = b.run(args);
        assert!(text.status.success(), "{args:?}");
        let said = [text.stdout, text.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("note: 2 files were left out, e.g. "),
            "{args:?}: {said}"
        );
        assert!(said.contains("a.heic: a HEIC"), "{args:?}: {said}");
        let value = b.json(args);
        match args[0] {
            "convert" => {
                let notes = value["notes"].to_string();
                assert!(notes.contains("2 files were left out"), "{notes}");
            }
            _ => assert_eq!(value["left_out"]["count"], 2, "{args:?}"),
        }
    }
    let new = b.json(&retrain);
    assert_eq!(new["train_images"], 16);
    std::fs::remove_file(b.path("data/red/a.heic")).unwrap();
    std::fs::remove_file(b.path("data/red/b.HEIC")).unwrap();
    let out = b.run(&retrain);
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    assert!(b.json(&retrain)["left_out"].is_null());

    std::fs::create_dir(b.path("data/blue")).unwrap();
    b.write("data/blue/a.heic", heic);
    b.refused(
        &retrain,
        &[
            "blue",
            "class folder without a picture",
            "1 file was left out",
            "HEIC",
        ],
    );
    b.refused(
        &["run", "n.edge", "data/blue/a.heic"],
        &["a.heic", "HEIC", "JPEG, PNG"],
    );
}

#[test]
fn broken_pictures() {
    let b = Bench::new();
    b.model("m.edge");
    for folder in ["data", "val"] {
        class_folders(&b.path(folder), &["a", "b"], 3, 0);
    }
    std::fs::write(
        b.path("data/b/zz.jpg"),
        [0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F'],
    )
    .unwrap();
    b.refused(&["retrain-head", "m.edge", "--data", "data"], &["zz.jpg"]);
    b.refused(&["verify", "m.edge", "--images", "data"], &["zz.jpg"]);
    let convert = [
        "convert",
        "efficientnet-lite0",
        "--weights",
        "random",
        "--int8",
        "--calib",
        "data",
    ];
    b.refused(&convert, &["zz.jpg"]);
    b.refused(&["run", "m.edge", "data/b/zz.jpg"], &["zz.jpg"]);
    b.refused(
        &["run", "m.edge", "data/b/000.png", "nothing.png"],
        &["nothing.png"],
    );
    b.refused(&["eval", "m.edge", "data"], &["'a'", "retrain"]);
    b.refused(&["eval", "m.edge", "nowhere"], &["nowhere"]);
    std::fs::create_dir(b.path("bare")).unwrap();
    b.refused(&["eval", "m.edge", "bare"], &["bare"]);
    class_folders(&b.path("one"), &["only"], 3, 0);
    b.refused(
        &["retrain-head", "m.edge", "--data", "one"],
        &["two classes"],
    );
    class_folders(&b.path("more"), &["a", "b", "c"], 1, 0);
    b.refused(
        &["retrain-head", "m.edge", "--data", "val", "--val", "more"],
        &["'c'"],
    );
    std::fs::create_dir(b.path("csv")).unwrap();
    std::fs::write(b.path("csv/labels.csv"), "file,class_index\ngone.jpg,0\n").unwrap();
    b.refused(&["eval", "m.edge", "csv"], &["gone.jpg"]);
    std::fs::copy(b.path("data/a/000.png"), b.path("csv/a.png")).unwrap();
    let twice = "file,class_index\na.png,0\na.png,1\n";
    std::fs::write(b.path("csv/labels.csv"), twice).unwrap();
    b.refused(
        &["eval", "m.edge", "csv"],
        &["labels.csv, line 3", "'a.png'"],
    );
}
