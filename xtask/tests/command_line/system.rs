//! What the system does to the program: signals, full disks, pipes, no network.

use crate::support::{Bench, check_refusal, onnx};
use graft_tests::class_folders;
use std::path::Path;
use std::process::Command;

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
    let exe = env!("CARGO_BIN_EXE_graft");
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
