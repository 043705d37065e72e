//! Keys and signatures as a user types them: `keygen`, `sign`, and `device` with a device that has a key.

#![cfg(target_os = "linux")]

use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use graft_tests::device::int8_model;
use graft_tests::{class_folders, int8, source};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

/// The program for Linux, which is another package's: `cargo test` has built it, `cargo test --test secure` not.
static EDGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let profile = Path::new(env!("CARGO_BIN_EXE_graft")).parent().unwrap();
    let target = profile.parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--workspace", "--bin", "edge"]);
    build.arg("--target-dir").arg(target);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(build.status().unwrap().success());
    target.join("debug/edge")
});

const CLASSES: [&str; 2] = ["green", "red"];

struct Bench(tempfile::TempDir);

impl Bench {
    /// A folder with a small network and pictures.
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let model = convert(source(1), Some(&int8()), &Silent).unwrap();
        std::fs::write(bench.path("model.edge"), &model.bytes[..]).unwrap();
        class_folders(&bench.path("train"), &CLASSES, 16, 1);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command.args(args).current_dir(self.0.path());
        command.output().unwrap()
    }

    /// Runs a command that must succeed and print one JSON object.
    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat());
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {error}");
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// Runs a command that must fail with one line holding `words`.
    fn refused(&self, args: &[&str], words: &str) {
        let out = self.run(args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{args:?} succeeded");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.contains(words), "{args:?} lacks '{words}': {text}");
    }

    /// All that the device remembers.
    fn flash(&self) -> Vec<u8> {
        std::fs::read(self.path("state/flash.bin")).unwrap()
    }
}

/// A process that listens, killed at the end.
struct Device<'b> {
    bench: &'b Bench,
    process: Child,
    port: String,
    ready: Value,
}

impl<'b> Device<'b> {
    /// `edge serve` on all addresses of this machine, or on loopback.
    fn serve(bench: &'b Bench, host: &str, args: &[&str]) -> Self {
        let mut serve = Command::new(&*EDGE);
        serve.args(["serve", "--model", "model.edge", "--state", "state"]);
        serve.args(["--samples-mib", "1", "--json", "--listen"]);
        serve.arg(format!("{host}:0")).args(args);
        Self::start(bench, serve)
    }

    fn simulate(bench: &'b Bench, args: &[&str]) -> Self {
        let mut simulate = Command::new(env!("CARGO_BIN_EXE_graft"));
        simulate.args(["simulate", "model.edge", "--board", "rp2350"]);
        simulate.args(["--json", "--listen", "127.0.0.1:0"]);
        simulate.args(args);
        Self::start(bench, simulate)
    }

    fn start(bench: &'b Bench, mut command: Command) -> Self {
        command.current_dir(bench.0.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let listening = ready["listening"].as_str().unwrap();
        Self {
            bench,
            process,
            port: format!("tcp:{}", listening.replace("0.0.0.0", "127.0.0.1")),
            ready,
        }
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["device", "--port", &self.port], args].concat()
    }

    fn json(&self, args: &[&str]) -> Value {
        self.bench.json(&self.args(args))
    }

    fn refused(&self, args: &[&str], words: &str) {
        self.bench.refused(&self.args(args), words);
    }
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_session_over_an_encrypted_line() {
    let b = Bench::new();
    b.json(&["keygen", "line.key"]);
    b.json(&["keygen", "other.key"]);
    assert_eq!(std::fs::read(b.path("line.key")).unwrap().len(), 32);
    let plain = Device::simulate(&b, &[]);
    let expected = plain.json(&["retrain-head", "--data", "train"]);
    // A device without a key is not spoken to as if it had one.
    plain.refused(&["--key", "line.key", "info"], "leave --key away");
    assert_eq!(plain.json(&["info"])["head"]["sequence"], 1);
    drop(plain);

    let device = Device::serve(&b, "0.0.0.0", &["--key", "line.key"]);
    assert_eq!(device.ready["encrypted"], true);
    let info = device.json(&["--key", "line.key", "info"]);
    let before = b.flash();
    for command in [
        &["info"][..],
        &["retrain-head", "--data", "train"],
        &["clear-samples"],
        &["rollback"],
    ] {
        device.refused(command, "give the same file with --key");
        let other = [&["--key", "other.key"], command].concat();
        device.refused(&other, "the device refused the key");
    }
    std::fs::write(b.path("short.key"), [1; 31]).unwrap();
    let mode = |name, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(b.path(name), mode).unwrap();
    };
    mode("short.key", 0o600);
    device.refused(&["--key", "short.key", "info"], "exactly 32 random bytes");
    device.refused(&["--key", "no.key", "info"], "no.key: cannot read the key");
    mode("other.key", 0o644);
    device.refused(&["--key", "other.key", "info"], "`chmod o= other.key`");
    let serial = ["device", "--port", "serial:/dev/null", "--key", "line.key"];
    b.refused(&[&serial[..], &["info"]].concat(), "leave --key away");
    assert!(b.flash() == before, "untouched");
    assert_eq!(device.json(&["--key", "line.key", "info"]), info);

    let session = |args: &[&str]| device.json(&[&["--key", "line.key"], args].concat());
    let trained = session(&["retrain-head", "--data", "train"]);
    assert_eq!(trained, expected, "the simulation's head, bit for bit");
    assert_eq!(session(&["eval", "train"])["images"], 32);
    let exported = session(&["export-head", "trained.head"]);
    assert_eq!(exported["head_sha256"], expected["head_sha256"]);
    assert_eq!(session(&["rollback"])["active"], "factory");
    let imported = session(&["import-head", "trained.head", "--commit"]);
    assert_eq!(imported["head_sequence"], 2);
    assert_eq!(session(&["samples"])["samples"], 32);
}

#[test]
fn keys_and_signatures() {
    let b = Bench::new();
    let pair = b.json(&["keygen", "--signing", "sign.pem"]);
    assert_eq!(pair["public_key_file"], "sign.pem.pub");
    assert_eq!(pair["public_key"].as_str().unwrap().len(), 64);
    b.json(&["keygen", "--signing", "other.pem"]);
    let kept = std::fs::read(b.path("sign.pem")).unwrap();
    b.refused(&["keygen", "sign.pem"], "there is a file already");
    b.refused(
        &["keygen", "--signing", "sign.pem"],
        "there is a file already",
    );
    assert_eq!(std::fs::read(b.path("sign.pem")).unwrap(), kept);

    let sign = |file, key| b.json(&["sign", file, "--key", key]);
    b.refused(
        &["sign", "model.edge", "--key", "sign.pem.pub"],
        "`chmod 600",
    );
    b.refused(
        &["sign", "train/red/000.png", "--key", "sign.pem"],
        "000.png",
    );
    b.refused(&["sign", "no.edge", "--key", "sign.pem"], "no.edge");
    let signed = sign("model.edge", "sign.pem");
    assert_eq!(signed["signed"][0]["kind"], "model");
    let signature = std::fs::read(b.path("model.edge.sig")).unwrap();
    assert_eq!(signature.len(), 64);

    // A head to import, from a device that asks for nothing.
    let open = Device::simulate(&b, &[]);
    open.json(&["retrain-head", "--data", "train"]);
    open.json(&["export-head", "new.head"]);
    drop(open);

    let trust = ["--trust", "sign.pem.pub"];
    for device in [
        Device::simulate(&b, &trust),
        Device::serve(&b, "127.0.0.1", &trust),
    ] {
        assert_eq!(device.ready["signature_needed"], true);
        let info = device.json(&["info"]);
        assert_eq!(info["head"]["signature_needed"], true);
        let import = ["import-head", "new.head", "--commit"];
        device.refused(&import, "takes signed heads only");
        sign("new.head", "other.pem");
        device.refused(&import, "does not fit the device's public key");
        let models = [&import[..], &["--signature", "model.edge.sig"]].concat();
        device.refused(&models, "does not fit the device's public key");
        assert_eq!(device.json(&["info"]), info, "untouched");
        assert_eq!(sign("new.head", "sign.pem")["signed"][0]["kind"], "head");
        // The signature is found beside the head.
        let imported = device.json(&import);
        assert_eq!(
            (&imported["signed"], &imported["head_sequence"]),
            (&true.into(), &1.into())
        );
        std::fs::remove_file(b.path("new.head.sig")).unwrap();

        // A model over the line, likewise. The program for Linux would come back on another free port;
        // `edge-runtime/tests/linux_program` loads there.
        if device.ready["board"].is_null() {
            continue;
        }
        std::fs::write(b.path("next.edge"), &int8_model(9)[..]).unwrap();
        device.refused(&["load", "next.edge"], "takes signed models only");
        sign("next.edge", "other.pem");
        device.refused(
            &["load", "next.edge"],
            "does not fit the device's public key",
        );
        let trunk = |info: &Value| info["model"]["trunk_sha256"].clone();
        assert_eq!(trunk(&device.json(&["info"])), trunk(&info), "untouched");
        sign("next.edge", "sign.pem");
        let loaded = device.json(&["load", "next.edge"]);
        assert_eq!(loaded["signed"], true);
        assert_ne!(loaded["trunk_sha256"], trunk(&info));
        assert_eq!(trunk(&device.json(&["info"])), loaded["trunk_sha256"]);
        std::fs::remove_file(b.path("next.edge.sig")).unwrap();
    }

    let simulate = ["simulate", "model.edge", "--board", "rp2350", "--listen"];
    let trusting = |key| [&simulate[..], &["127.0.0.1:0", "--trust", key]].concat();
    b.refused(
        &trusting("other.pem.pub"),
        "the signature of the model does not fit",
    );
    b.refused(&trusting("sign.pem"), "this is a private key");
    std::fs::remove_file(b.path("model.edge.sig")).unwrap();
    b.refused(&trusting("sign.pem.pub"), "the model has no signature");
}

/// What `docs/guide/security.md` says that other tools can do, done by OpenSSL where there is one.
#[test]
fn openssl_signs_what_a_device_takes() {
    let b = Bench::new();
    let openssl = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-ec", line]).current_dir(b.0.path());
        shell.output().unwrap()
    };
    if !openssl("openssl genpkey -algorithm ed25519 -out own.pem && chmod 600 own.pem")
        .status
        .success()
    {
        println!("skipped: no openssl with Ed25519");
        return;
    }
    let signed = openssl(
        "openssl pkey -in own.pem -pubout -out own.pub
         { printf 'graft model v1\\0\\0'; openssl dgst -sha256 -binary model.edge; } > message
         openssl pkeyutl -sign -rawin -in message -inkey own.pem -out model.edge.sig",
    );
    let error = String::from_utf8_lossy(&signed.stderr);
    assert!(signed.status.success(), "{error}");
    let device = Device::simulate(&b, &["--trust", "own.pub"]);
    assert_eq!(device.json(&["info"])["head"]["signature_needed"], true);
    drop(device);
    let theirs = std::fs::read(b.path("model.edge.sig")).unwrap();
    b.json(&["sign", "model.edge", "--key", "own.pem"]);
    assert_eq!(std::fs::read(b.path("model.edge.sig")).unwrap(), theirs);

    // And the other way round: OpenSSL verifies what `keygen` and `sign` made.
    b.json(&["keygen", "--signing", "sign.pem"]);
    b.json(&["sign", "model.edge", "--key", "sign.pem"]);
    let verified = openssl(
        "openssl pkey -in sign.pem -pubout | cmp - sign.pem.pub
         openssl pkeyutl -verify -rawin -in message -pubin -inkey sign.pem.pub -sigfile model.edge.sig",
    );
    let error = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{error}");
}
