//! `simulate` and `device` as a user types them: a device in a process of its own, whole sessions over its
//! line, the line going bad, the plug being pulled, and what is refused.

use converter::jobs::convert::convert;
use converter::pack::pack;
use converter::util::progress::Silent;
use edge_runtime::model::{AlignedBytes, Family, Model};
use graft_tests::{class_folders, int8, source};
use serde_json::Value;
use std::io::{BufRead, BufReader};
#[cfg(unix)]
use std::io::{ErrorKind, Read, Write};
#[cfg(unix)]
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
#[cfg(unix)]
use std::time::Duration;

/// The names of the new classes.
const CLASSES: [&str; 2] = ["green", "red"];

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a small network.
    fn model(&self, name: &str, seed: u64, quantized: bool) {
        let options = int8();
        let model = convert(source(seed), quantized.then_some(&options), &Silent).unwrap();
        std::fs::write(self.path(name), &model.bytes[..]).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(args).current_dir(self.0.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed and print one JSON object.
    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat());
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {error}");
        let text = String::from_utf8(out.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Runs a command that must fail with one line holding all of `words`.
    fn refused(&self, args: &[&str], words: &[&str]) {
        let out = self.run(args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{args:?} succeeded");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.starts_with("error: "), "{args:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{args:?} lacks '{word}': {text}");
        }
    }

    /// The head of a model's file.
    fn head_of(&self, model: &str) -> Vec<u8> {
        let bytes = AlignedBytes::read(&self.path(model)).unwrap();
        let model = Model::parse(&bytes).unwrap();
        model.head().unwrap().bytes().to_vec()
    }
}

/// A running simulation.
struct Device<'b> {
    bench: &'b Bench,
    process: Child,
    port: String,
    /// What it said when it was ready.
    ready: Value,
}

impl<'b> Device<'b> {
    fn start(bench: &'b Bench, args: &[&str]) -> Self {
        let listen = ["simulate", "--listen", "127.0.0.1:0", "--json"];
        let mut process = bench
            .command(&[&listen, args].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self {
            bench,
            process,
            port: format!("tcp:{}", ready["listening"].as_str().unwrap()),
            ready,
        }
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["device", "--port", &self.port], args].concat()
    }

    fn json(&self, args: &[&str]) -> Value {
        self.bench.json(&self.args(args))
    }

    fn refused(&self, args: &[&str], words: &[&str]) {
        self.bench.refused(&self.args(args), words);
    }
}

/// Pulls the plug.
impl Drop for Device<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn a_whole_session() {
    let b = Bench::new();
    b.model("small.edge", 1, true);
    class_folders(&b.path("train"), &CLASSES, 16, 1);
    class_folders(&b.path("val"), &CLASSES, 5, 500);
    let simulated = ["small.edge", "--board", "rp2350", "--state", "state"];
    let device = Device::start(&b, &simulated);
    let ram = &device.ready["ram_limit_bytes"];
    assert!(device.ready["ram_bytes"].as_u64() <= ram.as_u64());

    let info = device.json(&["info"]);
    assert_eq!(
        keys(&info),
        [
            "flash", "head", "model", "protocol", "ram", "samples", "stack"
        ]
    );
    assert_eq!(info["head"]["active"], "factory");
    assert_eq!(
        (&info["head"]["classes"], &info["samples"]["stored"]),
        (&4.into(), &0.into())
    );
    let fit = b.json(&["fit", "small.edge", "--board", "rp2350"]);
    assert_eq!(info["samples"]["capacity"], fit["sample_capacity"]);
    let before = device.json(&["infer", "val/red/000.png", "--logits"]);
    assert_eq!(before["logits"].as_array().unwrap().len(), 4);

    // On the device as on the host.
    let retrained = device.json(&["retrain-head", "--data", "train"]);
    assert_eq!(
        keys(&retrained),
        [
            "best_epoch",
            "by_class",
            "classes",
            "committed",
            "head_sequence",
            "head_sha256",
            "held_out",
            "held_out_balanced",
            "held_out_top1",
            "lost_classes",
            "present_top1",
            "samples",
            "training_ram_bytes",
            "warnings"
        ]
    );
    let (committed, sequence) = (&retrained["committed"], &retrained["head_sequence"]);
    assert_eq!((committed, sequence), (&true.into(), &1.into()));
    assert_eq!(
        (&retrained["samples"], &retrained["held_out"]),
        (&28.into(), &4.into())
    );
    let fit = b.json(&["fit", "small.edge", "--board", "rp2350", "--classes", "2"]);
    let lines = fit["lines"].as_array().unwrap();
    let training = lines.iter().find(|l| l["item"] == "training RAM").unwrap();
    assert_eq!(retrained["training_ram_bytes"], training["needs"]);
    let on_host = [
        "retrain-head",
        "small.edge",
        "--data",
        "train",
        "--val",
        "val",
    ];
    let host = b.json(&[&on_host[..], &["-o", "host.edge"]].concat());
    for key in ["held_out_top1", "held_out_balanced", "by_class", "warnings"] {
        assert_eq!(retrained[key], host[key], "{key}");
    }
    let each = retrained["by_class"].as_array().unwrap().iter();
    let each: Vec<_> = each
        .map(|c| (&c["class"], &c["samples"], &c["held_out"]))
        .collect();
    let [green, red] = CLASSES.map(Value::from);
    let (all, held_out) = (16.into(), 2.into());
    assert_eq!(each, [(&green, &all, &held_out), (&red, &all, &held_out)]);
    assert_eq!(retrained["warnings"].as_array().unwrap().len(), 0);
    let exported = device.json(&["export-head", "trained.head"]);
    assert_eq!(exported["head_sha256"], retrained["head_sha256"]);
    let trained = std::fs::read(b.path("trained.head")).unwrap();
    assert_eq!(trained, b.head_of("host.edge"));

    let eval = device.json(&["eval", "val"]);
    assert_eq!(
        (&eval["images"], &eval["top1"]),
        (&10.into(), &host["val_top1"])
    );
    let after = device.json(&["infer", "val/red/000.png", "--top", "1"]);
    let label = after["top"][0]["label"].as_str().unwrap();
    assert!(CLASSES.contains(&label), "{label}");

    // Back to the factory head, forth with the file. No number is given twice.
    assert_eq!(device.json(&["rollback"])["active"], "factory");
    device.refused(&["rollback"], &["factory head is active"]);
    device.refused(&["commit"], &["no trained or imported head"]);
    assert_eq!(
        device.json(&["infer", "val/red/000.png", "--logits"])["logits"],
        before["logits"]
    );
    let imported = device.json(&["import-head", "trained.head"]);
    assert_eq!(imported["committed"], false);
    assert_eq!(device.json(&["info"])["head"]["active"], "factory");
    assert_eq!(device.json(&["commit"])["head_sequence"], 2);
    device.json(&["export-head", "again.head"]);
    assert_eq!(std::fs::read(b.path("again.head")).unwrap(), trained);

    let added = device.json(&[
        "add-sample",
        "--class",
        "blue",
        "val/red/001.png",
        "val/red/002.png",
    ]);
    assert_eq!((&added["added"], &added["evicted"]), (&2.into(), &0.into()));
    assert_eq!(device.json(&["samples"])["samples"], 34);
    let cleared = device.json(&["clear-samples", "--class", "blue"]);
    assert_eq!(cleared["cleared"], 2);

    // Another seed on what is stored, waiting for its commit.
    let waiting = device.json(&[
        "retrain-head",
        "--seed",
        "7",
        "--epochs",
        "3",
        "--no-commit",
    ]);
    assert_eq!(waiting["committed"], false);
    assert!(waiting["head_sequence"].is_null());
    assert_eq!(device.json(&["info"])["head"]["waiting_for_commit"], true);
    assert_eq!(device.json(&["commit"])["head_sequence"], 3);

    let bench = device.json(&["bench", "--runs", "3"]);
    assert_eq!(
        (&bench["runs"], &bench["microwatts"]),
        (&3.into(), &1_250_000.into())
    );
    assert_eq!(device.json(&["power"])["millivolts"], 5000);
    let log = device.json(&["log"]);
    let last_commit = log["events"].as_array().unwrap().iter().rev();
    let mut last_commit = last_commit.filter(|e| e["event"] == "committed");
    assert_eq!(last_commit.next().unwrap()["head_sequence"], 3);

    assert_eq!(device.json(&["reset"])["reset"], true);
    let log = device.json(&["log"]);
    let started = &log["events"][0];
    assert_eq!(
        (&started["event"], &started["samples"]),
        (&"started".into(), &32.into())
    );
    assert_eq!(started["head_sequence"], 3);

    // A second process cannot have this flash; after the plug is pulled, the next one finds everything.
    b.refused(
        &[&["simulate", "--listen", "127.0.0.1:0"], &simulated[..]].concat(),
        &["another simulation uses"],
    );
    let info = device.json(&["info"]);
    drop(device);
    let device = Device::start(&b, &simulated);
    assert_eq!(device.json(&["info"]), info);
    assert_eq!(device.json(&["rollback"])["head_sequence"], 2);
}

#[test]
fn a_bad_line_gives_the_same_head() {
    let b = Bench::new();
    b.model("small.edge", 1, true);
    class_folders(&b.path("train"), &CLASSES, 2, 1);
    let mut heads = vec![];
    for faults in ["0", "0.01"] {
        let line = ["--damage", faults, "--drop", faults, "--seed", "5"];
        let simulated = ["small.edge", "--board", "nrf5340-dk"];
        let device = Device::start(&b, &[&simulated[..], &line].concat());
        let patient = ["--timeout", "1", "--attempts", "2000"];
        let retrain = ["retrain-head", "--data", "train"];
        heads.push(device.json(&[&patient[..], &retrain].concat()));
        device.json(&[&patient[..], &["reset"]].concat());
        let info = device.json(&[&patient[..], &["info"]].concat());
        assert_eq!(info["samples"]["stored"], 4);
        assert_eq!(info["head"]["sequence"], 1);
    }
    assert_eq!(heads[0], heads[1]);
    assert_eq!(heads[0]["committed"], true);
}

/// Carries bytes both ways between a device's TCP port and another kind of line, until one end closes.
#[cfg(unix)]
fn bridge(port: &str, from: impl Read + Send + 'static, to: impl Write + Send + 'static) {
    let device = TcpStream::connect(port.trim_start_matches("tcp:")).unwrap();
    let back = device.try_clone().unwrap();
    let carry = |mut from: Box<dyn Read + Send>, mut to: Box<dyn Write + Send>| {
        let device = device.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            loop {
                match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) if to.write_all(&buffer[..count]).is_err() => break,
                    Ok(_) => (),
                    Err(e) if e.kind() == ErrorKind::TimedOut => (),
                    // A terminal that nobody has open at the moment.
                    Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Err(_) => break,
                }
            }
            // The other direction ends with this one.
            let _ = device.shutdown(Shutdown::Both);
        })
    };
    let up = device.try_clone().unwrap();
    carry(Box::new(from), Box::new(up));
    carry(Box::new(back), Box::new(to));
}

/// The same session over a Unix socket and over a terminal, which a serial port is to the system.
#[cfg(unix)]
#[test]
fn other_lines() {
    use serialport::{SerialPort, TTYPort};
    let b = Bench::new();
    b.model("small.edge", 1, true);
    class_folders(&b.path("train"), &CLASSES, 2, 1);
    let session = |port: &str| {
        let ask = |args: &[&str]| {
            b.json(&[&["device", "--port", port, "--attempts", "6"], args].concat())
        };
        // On a terminal the session is opened once more for each command; the line stays.
        let retrained = ask(&["retrain-head", "--clear", "--data", "train"]);
        assert_eq!(retrained["samples"], 4);
        ask(&["export-head", "over-this-line.head"]);
        retrained["head_sha256"].clone()
    };

    let device = Device::start(&b, &["small.edge", "--board", "rp2350"]);
    let (mut master, slave) = TTYPort::pair().unwrap();
    master.set_timeout(Duration::from_secs(60)).unwrap();
    let path = slave.name().unwrap();
    // It is opened anew by each command.
    drop(slave);
    let back = master.try_clone_native().unwrap();
    bridge(&device.port, master, back);
    let serial = session(&format!("serial:{path}"));
    drop(device);

    let device = Device::start(&b, &["small.edge", "--board", "rp2350"]);
    let listener = std::os::unix::net::UnixListener::bind(b.path("device.sock")).unwrap();
    let port = device.port.clone();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let back = stream.try_clone().unwrap();
            bridge(&port, stream, back);
        }
    });
    let unix = session("unix:device.sock");
    assert_eq!(serial, unix);
}

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

/// `bench` of a board measures that board and no other.
#[test]
fn a_line_to_another_board() {
    let b = Bench::new();
    b.model("small.edge", 1, true);
    b.model("other.edge", 2, true);
    let device = Device::start(&b, &["small.edge", "--board", "nrf5340-dk"]);
    let bench = |model: &'static str, board: &'static str| {
        ["bench", model, "--board", board, "--port", &device.port].map(String::from)
    };
    let ask = |model, board| {
        let args = bench(model, board);
        b.run(&args.each_ref().map(String::as_str))
    };
    assert!(ask("small.edge", "nrf5340-dk").status.success());
    for (model, board, word) in [
        ("small.edge", "nucleo-h743zi2", "is no nucleo-h743zi2"),
        ("small.edge", "rp2350", "is no rp2350"),
        ("other.edge", "nrf5340-dk", "does not run this model"),
    ] {
        let out = ask(model, board);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && said.contains(word), "{said}");
    }
}

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
