//! The commands as a user types them, on small models and pictures: what they print, what they leave, and
//! that every kind of bad input gets one line that says what is wrong and where.

use converter::import::onnx::pb;
use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use graft_tests::{class_folders, int8, source};
use prost::Message;
use std::path::Path;
use std::process::{Command, Output};

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        name.into()
    }

    /// Writes the small test network.
    fn model(&self, name: &str) -> String {
        let bytes = convert(source(1), Some(&int8()), &Silent).unwrap().bytes;
        self.write(name, &bytes)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("GRAFT_CACHE", self.path("cache"));
        // No test may reach for the network, nor see what its user has set.
        command.env("GRAFT_PYTHON", "no-such-python");
        command.env_remove("GRAFT_CATALOG");
        command.env("GRAFT_MIRROR", "http://127.0.0.1:1");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed and print one JSON object.
    fn json(&self, args: &[&str]) -> serde_json::Value {
        let out = self.run(&[args, &["--json"]].concat());
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let text = String::from_utf8(out.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Runs a command that must fail with one line holding all of `words`, and leave no new file.
    fn refused(&self, args: &[&str], words: &[&str]) {
        let before = self.files();
        check_refusal(&self.run(args), args, words);
        assert_eq!(before, self.files(), "{args:?} left something behind");
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "cache")
            .collect();
        names.sort();
        names
    }
}

fn check_refusal(out: &Output, args: &[&str], words: &[&str]) {
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success(), "{args:?} succeeded");
    assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    for word in words {
        assert!(
            text.contains(word),
            "{args:?} should mention '{word}': {text}"
        );
    }
}

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
fn the_catalog() {
    let b = Bench::new();
    let models = b.json(&["models"]);
    let models = models["models"].as_array().unwrap();
    let lite0 = models.iter().find(|m| m["name"] == "efficientnet-lite0");
    let lite0 = lite0.expect("in the catalog");
    assert_eq!(lite0["cached"], false);
    assert!(lite0["macs"].as_u64() > Some(380_000_000));
}

#[test]
fn help_says_what_everything_does() {
    let b = Bench::new();
    for command in [
        "models",
        "convert",
        "inspect",
        "run",
        "eval",
        "verify",
        "retrain-head",
        "simulate",
        "device",
    ] {
        let out = b.run(&[command, "--help"]);
        assert!(out.status.success() && out.stdout.len() > 100, "{command}");
    }
}

#[test]
fn mistakes_in_the_arguments() {
    let b = Bench::new();
    b.refused(&[], &["a command is needed"]);
    b.refused(&["convert"], &["NAME|FILE"]);
    b.refused(
        &["convert", "efficientnet-lite9", "--int8"],
        &["efficientnet-lite9", "efficientnet-lite0"],
    );
    b.refused(
        &["convert", "efficientnet-lite0", "--calib", "x"],
        &["--int8"],
    );
    b.refused(
        &[
            "convert",
            "efficientnet-lite0",
            "--int8",
            "--calib",
            "nowhere",
        ],
        &["nowhere"],
    );
    b.refused(
        &["convert", "efficientnet-lite0", "--range", "percentile:3"],
        &["percentile:P"],
    );
    b.refused(&["convert", "weights.pth"], &[".pth", "--weights"]);
    b.model("m.edge");
    b.refused(&["run", "m.edge"], &["IMAGE"]);
    b.refused(
        &["run", "m.edge", "x.jpg", "--backend", "gpu"],
        &["gpu", "engine"],
    );
    b.refused(&["verify", "m.edge", "--on", "engine"], &["at least two"]);
    b.refused(&["inspect", "missing.edge"], &["missing.edge"]);
    b.refused(&["inspect", "."], &[".", "not a regular file"]);
}

#[test]
fn mistakes_name_the_help_that_shows_how() {
    let b = Bench::new();
    for (args, help) in [
        (&["bogus"][..], "`cargo xtask --help`"),
        (&["bench"], "`cargo xtask bench --help`"),
        (
            &["bench", "m.edge", "--board", "x", "--runs", "0"],
            "`cargo xtask bench --help`",
        ),
        (
            &["device", "--port", "infer", "info"],
            "`cargo xtask device --help`",
        ),
        (&["device", "info"], "`cargo xtask device --help`"),
        (
            &["device", "--port", "tcp:h:1", "infer"],
            "`cargo xtask device infer --help`",
        ),
    ] {
        b.refused(args, &[help]);
    }
    // An option of `device`, not of `info`.
    b.refused(
        &["device", "info", "--port", "tcp:h:1"],
        &["`cargo xtask device --help`"],
    );
    b.refused(
        &["device", "--port", "qemu-m7", "info"],
        &["did you mean board:qemu-m7?"],
    );
}

/// What is suggested is what was meant; else nothing is.
#[test]
fn names_that_may_be_meant() {
    let b = Bench::new();
    for (name, meant) in [
        (
            "Pico 2",
            "did you mean rp2350 (Raspberry Pi Pico 2 (RP2350))?",
        ),
        ("raspberry pi 5", "did you mean raspberry-pi-5?"),
        ("nucleo-h743", "did you mean nucleo-h743zi2?"),
        ("rpi5", "the command `boards` lists"),
        ("esp32", "the command `boards` lists"),
    ] {
        b.refused(&["boards", name], &[name, meant]);
    }
    for (name, meant) in [
        ("resnet20", "did you mean resnet20-cifar10?"),
        ("mobilenetv2", "did you mean mobilenet-v2?"),
        ("densenet121", "the command `models` lists"),
        ("lenet", "the command `models` lists"),
    ] {
        b.refused(&["convert", name], &[name, meant]);
    }
}

/// A full disk behind stdout, as `/dev/full` is one; nothing is created there, it is only written to.
#[cfg(target_os = "linux")]
#[test]
fn nothing_can_be_printed() {
    let b = Bench::new();
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["models"],
        &["boards", "--json"],
    ] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let out = b.command(args).stdout(full).output().unwrap();
        check_refusal(&out, args, &["stdout"]);
    }
}

/// A pipe that nobody writes into must not be waited for.
#[cfg(unix)]
#[test]
fn pipes_are_no_files() {
    let b = Bench::new();
    for name in ["pipe.edge", "pipe.onnx", "pipe.pth"] {
        let made = Command::new("mkfifo").arg(b.path(name)).status().unwrap();
        assert!(made.success());
    }
    class_folders(&b.path("data"), &["a", "b"], 2, 0);
    let words = ["not a regular file"];
    b.refused(&["inspect", "pipe.edge"], &words);
    b.refused(&["run", "pipe.edge", "data/a/000.png"], &words);
    b.refused(&["convert", "pipe.onnx"], &words);
    b.refused(&["convert", "vgg11", "--weights", "pipe.pth"], &words);
    b.json(&["keygen", "--signing", "k.pem"]);
    b.refused(&["sign", "pipe.edge", "--key", "k.pem"], &["pipe.edge"]);
}

/// Ended by a signal as ever, with a handler that removes temporary files.
#[cfg(unix)]
#[test]
fn signals_end_it() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;
    let b = Bench::new();
    b.model("m.edge");
    let listen = [
        "simulate",
        "m.edge",
        "--board",
        "host",
        "--listen",
        "127.0.0.1:0",
    ];
    for signal in [2, 15] {
        let mut command = b.command(&listen);
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let kill = Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
    }
}

#[test]
fn keys_and_what_is_signed() {
    let b = Bench::new();
    b.model("m.edge");
    b.refused(
        &["keygen", "nodir/k"],
        &["nodir/k", "no folder nodir", "create it"],
    );
    b.refused(&["keygen", "--signing", "nodir/k"], &["no folder nodir"]);
    b.refused(
        &["sign", "m.edge", "--key", "nokey"],
        &[
            "nokey",
            "private key",
            "`cargo xtask keygen --signing nokey`",
        ],
    );
    b.json(&["keygen", "--signing", "k.pem"]);
    b.write("letter.txt", b"hello\n");
    b.refused(
        &["sign", "letter.txt", "--key", "k.pem"],
        &["letter.txt: neither a .edge model nor a head"],
    );
    b.refused(
        &["sign", "nope", "--key", "k.pem"],
        &["nope: cannot read the model or head"],
    );
    b.refused(
        &[
            "simulate",
            "m.edge",
            "--board",
            "host",
            "--trust",
            "k.pem.pub",
        ],
        &[
            "m.edge: the model has no signature",
            "`cargo xtask sign m.edge --key",
            "m.edge.sig",
        ],
    );
}

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

/// An ONNX file with one node between input and output.
fn onnx(op: &str) -> Vec<u8> {
    let dimension = |n| pb::tensor_shape_proto::Dimension {
        value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(n)),
    };
    let value = |name: &str| pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: 1,
                shape: Some(pb::TensorShapeProto {
                    dim: [1, 3, 8, 8].map(dimension).to_vec(),
                }),
            })),
        }),
    };
    let node = pb::NodeProto {
        name: "strange/node".into(),
        op_type: op.into(),
        input: vec!["x".into()],
        output: vec!["y".into()],
        ..Default::default()
    };
    let graph = pb::GraphProto {
        name: "g".into(),
        node: vec![node],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    let opset = pb::OperatorSetIdProto {
        domain: String::new(),
        version: 13,
    };
    pb::ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![opset],
        ..Default::default()
    }
    .encode_to_vec()
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

#[test]
fn outputs_that_would_destroy_something() {
    let b = Bench::new();
    b.model("m.edge");
    class_folders(&b.path("data"), &["a", "b"], 2, 0);
    let before = std::fs::read(b.path("m.edge")).unwrap();
    let retrain = ["retrain-head", "m.edge", "--data", "data", "-o"];
    b.refused(
        &[&retrain[..], &["./m.edge"]].concat(),
        &["m.edge", "reads"],
    );
    b.refused(
        &[&retrain[..], &["data"]].concat(),
        &["data", "not a regular file"],
    );
    b.refused(
        &[&retrain[..], &["no/x.edge"]].concat(),
        &["no", "create it"],
    );
    assert_eq!(std::fs::read(b.path("m.edge")).unwrap(), before);
    b.write("n.onnx", &onnx("Relu"));
    b.refused(&["convert", "n.onnx", "-o", "n.onnx"], &["n.onnx", "reads"]);
}

#[test]
fn no_network() {
    let b = Bench::new();
    b.refused(
        &["convert", "efficientnet-lite0", "--int8"],
        &["no-such-python", "Python"],
    );
}

/// Runs with a limit on the size of files, which is what a full disk looks like to a writer.
#[cfg(unix)]
#[test]
fn no_disk_space() {
    let b = Bench::new();
    b.model("m.edge");
    class_folders(&b.path("data"), &["a", "b"], 4, 0);
    let before = b.files();
    let exe = env!("CARGO_BIN_EXE_xtask");
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec '{exe}' retrain-head m.edge --data data -o new.edge"
    );
    let out = Command::new("sh")
        .args(["-c", &script])
        .current_dir(b.dir.path())
        .output()
        .unwrap();
    check_refusal(&out, &["retrain-head"], &["new.edge", "write"]);
    assert_eq!(before, b.files());
    assert!(Path::new(&b.path("m.edge")).exists());
}

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
