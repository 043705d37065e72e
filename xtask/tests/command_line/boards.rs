//! Boards, and whether a model fits one.

use crate::support::{Bench, check_refusal, onnx};
use std::path::Path;

/// The text of a board that comes with Graft.
fn board_toml(name: &str) -> String {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
    std::fs::read_to_string(boards.join(name).join("board.toml")).unwrap()
}

#[test]
fn boards() {
    let b = Bench::new();
    let all = b.json(&["boards"]);
    let names: Vec<&str> = all["boards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|board| board["name"].as_str().unwrap())
        .collect();
    for name in ["host", "raspberry-pi-5", "nucleo-h743zi2", "qemu-m7"] {
        assert!(names.contains(&name), "{name} in {names:?}");
        let text = b.run(&["boards", name]);
        assert!(text.status.success());
        assert!(String::from_utf8_lossy(&text.stdout).contains(name));
    }
    let table = b.run(&["boards"]);
    assert_eq!(
        String::from_utf8_lossy(&table.stdout)
            .lines()
            .filter(|line| names.iter().any(|n| line.starts_with(&format!("{n} "))))
            .count(),
        names.len()
    );
    assert_eq!(b.json(&["boards", "rp2350"])["cpu"]["core"], "cortex-m33");
    b.refused(&["boards", "nucleo"], &["'nucleo'", "nucleo-h743zi2"]);
    b.refused(&["boards", "zzz"], &["'zzz'", "boards"]);

    let toml = board_toml("rp2350");
    let name = b.write(
        "mine.toml",
        toml.replace("\"rp2350\"", "\"mine\"").as_bytes(),
    );
    assert_eq!(b.json(&["boards", &name])["name"], "mine");
    b.refused(&["boards", "./nowhere"], &["./nowhere/board.toml"]);
    for (from, to, words) in [
        (
            "size = 0x7_a000",
            "size = 0x7_a010",
            &["'arena'", "'stack'", "overlap"][..],
        ),
        (
            "base = 0x1004_0000",
            "base = 0x1004_0100",
            &["'model'", "erase block"],
        ),
        (
            "size = 0x8_2000",
            "size = 0xffff_ffff_ffff",
            &["'sram'", "32 bits"],
        ),
        (
            "clock_hz = 150_000_000",
            "clock_hz = -1",
            &["line 17", "-1"],
        ),
        ("[deploy]", "[depoly]", &["depoly"]),
        ("use = \"heads\"", "use = \"hats\"", &["hats"]),
    ] {
        let changed = toml.replacen(from, to, 1);
        assert_ne!(changed, toml, "{from}");
        b.write("bad.toml", changed.as_bytes());
        b.refused(&["boards", "bad.toml"], &[&["bad.toml"], words].concat());
    }
    b.write("bad.toml", &[0xff; 10]);
    b.refused(&["boards", "bad.toml"], &["bad.toml"]);
    b.write("bad.toml", &[b'\n'; 1 << 20]);
    b.refused(&["boards", "bad.toml"], &["bad.toml", "no board.toml"]);
}

#[test]
fn a_model_against_a_board() {
    let b = Bench::new();
    b.model("m.edge");
    // As the board runs it: packed for its kernels.
    let model = b.json(&["inspect", "m.edge", "--board", "nucleo-h743zi2"]);
    let fit = b.json(&["fit", "m.edge", "--board", "nucleo-h743zi2"]);
    assert_eq!(fit["fits"], true);
    let line = |fit: &serde_json::Value, item: &str| {
        let lines = fit["lines"].as_array().unwrap();
        lines.iter().find(|l| l["item"] == item).unwrap().clone()
    };
    assert_eq!(model["packed_for"], "dsp");
    assert_eq!(line(&fit, "model")["needs"], model["bytes"]);
    assert_eq!(line(&fit, "arena")["needs"], model["arena_bytes"]);
    let (needs, has) = (&line(&fit, "arena")["needs"], &line(&fit, "arena")["has"]);
    assert_eq!(
        line(&fit, "arena")["margin"].as_i64(),
        Some(has.as_i64().unwrap() - needs.as_i64().unwrap())
    );
    assert!(
        b.run(&["fit", "m.edge", "--board", "host"])
            .status
            .success()
    );

    // An arena of one block: all lines are printed, one line on stderr, and the exit says it too.
    let small = board_toml("rp2350").replace("size = 0x7_a000", "size = 0x1000");
    let small = b.write("small.toml", small.as_bytes());
    let args = ["fit", "m.edge", "--board", &small];
    b.refused(&args, &["does not fit rp2350", "buffers", "arena"]);
    let out = String::from_utf8(b.run(&args).stdout).unwrap();
    for word in [
        "model",
        "head slot",
        "sample store",
        "DOES NOT FIT",
        "smaller input",
        "nucleo-h743zi2",
    ] {
        assert!(out.contains(word), "no '{word}' in: {out}");
    }
    let out = b.run(&[&args[..], &["--json"]].concat());
    assert!(!out.status.success());
    let fit: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&fit["fits"], &fit["board"]),
        (&false.into(), &"rp2350".into())
    );
    assert!(line(&fit, "arena")["margin"].as_i64() < Some(0));
    assert_eq!(line(&fit, "model")["fits"], true);

    let many = [
        "fit",
        "m.edge",
        "--board",
        "rp2350",
        "--samples",
        "18446744073709551615",
        "--json",
    ];
    check_refusal(&b.run(&many), &many, &["sample store"]);
    for classes in ["1", "101", "5000"] {
        b.refused(
            &["fit", "m.edge", "--board", "rp2350", "--classes", classes],
            &["--classes", "a device trains heads of 2 to 100 classes"],
        );
    }
    let shown = |board| b.run(&["inspect", "m.edge", "--board", board]).stdout;
    let shown = String::from_utf8(shown("host")).unwrap();
    assert!(shown.contains("no: host runs the file as it is"), "{shown}");
    b.refused(&["fit", "m.edge", "--board", "qemu"], &["'qemu'", "qemu-m"]);
    b.refused(&["fit", "none.edge", "--board", "rp2350"], &["none.edge"]);
}

#[test]
fn converting_for_a_board() {
    let b = Bench::new();
    b.write("n.onnx", &onnx("Relu"));
    b.refused(&["convert", "n.onnx", "--board", "pico"], &["'pico'"]);
    let float = ["convert", "n.onnx", "--board", "rp2350"];
    let out = b.run(&float);
    check_refusal(&out, &float, &["does not fit rp2350", "type"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("convert with --int8"), "{text}");
    assert!(
        b.path("n-f32.edge").exists(),
        "the file is written in any case"
    );
    let int8 = b.json(&[
        "convert",
        "n.onnx",
        "--int8",
        "--calib-images",
        "2",
        "--board",
        "rp2350",
    ]);
    assert_eq!(int8["fit"]["fits"], true);
    assert!(b.json(&["convert", "n.onnx"])["fit"].is_null());
    b.write("mine.toml", board_toml("rp2350").as_bytes());
    b.refused(
        &[
            "convert",
            "n.onnx",
            "--board",
            "mine.toml",
            "-o",
            "./mine.toml",
        ],
        &["mine.toml", "reads"],
    );
}
