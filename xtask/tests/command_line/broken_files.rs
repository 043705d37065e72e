//! Models, weights and networks that are broken or hostile.

use crate::support::{Bench, onnx};
use graft_tests::class_folders;

#[test]
fn broken_models() {
    let b = Bench::new();
    b.model("good.edge");
    let good = std::fs::read(b.path("good.edge")).unwrap();
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    let mut huge = good.clone();
    huge[16..20].fill(0xff);
    let mut newer = good.clone();
    newer[8] = 99;
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty.edge", b"", "cut off"),
        ("cut.edge", &good[..good.len() / 2], "cut off"),
        (
            "text.edge",
            b"I am a text, not a model at all.",
            "not a .edge model",
        ),
        ("weights.edge", &flip(good.len() / 2), "damaged"),
        ("metadata.edge", &flip(100), "damaged"),
        ("head.edge", &flip(good.len() - 5), "damaged"),
        ("huge.edge", &huge, "cut off"),
        ("newer.edge", &newer, "version 99"),
    ];
    class_folders(&b.path("data"), &["a", "b"], 2, 0);
    for (name, bytes, word) in cases {
        b.write(name, bytes);
        b.refused(&["inspect", name], &[name, word]);
        b.refused(&["run", name, "data/a/000.png"], &[name, word]);
        b.refused(&["retrain-head", name, "--data", "data"], &[name, word]);
    }
}

#[test]
fn a_malicious_pickle_runs_nothing() {
    let b = Bench::new();
    b.write("evil.pth", b"\x80\x02cos\nsystem\n(S'touch pwned'\ntR.");
    let convert = ["convert", "efficientnet-lite0", "--weights", "evil.pth"];
    b.refused(&convert, &["evil.pth", "os.system", "byte 2"]);
    assert!(!b.path("pwned").exists());
    b.write("text.pth", b"hello");
    b.refused(
        &["convert", "efficientnet-lite0", "--weights", "text.pth"],
        &["text.pth"],
    );
    b.refused(
        &["convert", "efficientnet-lite0", "--weights", "missing.pth"],
        &["missing.pth"],
    );
}

#[test]
fn broken_networks() {
    let b = Bench::new();
    b.write("text.onnx", b"this is not a protobuf\n");
    b.refused(&["convert", "text.onnx", "--int8"], &["text.onnx"]);
    b.write("empty.onnx", b"");
    b.refused(&["convert", "empty.onnx"], &["empty.onnx"]);
    b.refused(&["convert", "missing.onnx"], &["missing.onnx"]);
    b.write("strange.onnx", &onnx("FrobnicateTwice"));
    b.refused(
        &["convert", "strange.onnx"],
        &["strange.onnx", "strange/node", "FrobnicateTwice", "1x3x8x8"],
    );
    b.write("nothing.onnx", &onnx("Relu")[..40]);
    b.refused(&["convert", "nothing.onnx"], &["nothing.onnx"]);
    b.refused(
        &["convert", "strange.onnx", "--weights", "random"],
        &["--weights"],
    );
}

/// What the options say of a network from a file must fit it.
#[test]
fn options_that_do_not_fit_the_network() {
    let b = Bench::new();
    // 3 channels come out.
    b.write("n.onnx", &onnx("Relu"));
    b.write("two.txt", b"a\nb\n");
    b.write("three.txt", b"a\nb\nc\n");
    let convert = |args: &[&'static str]| [&["convert", "n.onnx", "-o", "n.edge"], args].concat();
    b.refused(
        &convert(&["--labels", "two.txt"]),
        &["two.txt: 2 lines", "3 classes"],
    );
    b.refused(
        &convert(&["--short-side", "16385"]),
        &["--short-side 16385", "16384"],
    );
    b.refused(
        &convert(&["--mean", "0", "--std=-1"]),
        &["--std must be greater than zero"],
    );
    b.json(&convert(&[
        "--labels",
        "three.txt",
        "--short-side",
        "16384",
    ]));
    std::fs::rename(b.path("n.onnx"), b.path("N.ONNX")).unwrap();
    b.json(&["convert", "N.ONNX"]);
}
