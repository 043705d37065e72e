//! Whole sessions with a simulated device, over good and bad lines.

use crate::support::{Bench, CLASSES, Device, keys};
use edge_runtime::backend::BackendKind;
use graft_tests::class_folders;
use serde_json::Value;
#[cfg(unix)]
use std::io::{ErrorKind, Read, Write};
#[cfg(unix)]
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::time::Duration;

#[test]
fn a_whole_session_on_every_backend() {
    for backend in BackendKind::ALL {
        a_whole_session(backend.name());
    }
}

fn a_whole_session(backend: &str) {
    let b = Bench::new();
    b.model("small.edge", 1, true);
    class_folders(&b.path("train"), &CLASSES, 16, 1);
    class_folders(&b.path("val"), &CLASSES, 5, 500);
    let simulated = [
        "small.edge",
        "--board",
        "rp2350",
        "--state",
        "state",
        "--backend",
        backend,
    ];
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
