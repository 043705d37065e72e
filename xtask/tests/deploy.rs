//! `deploy` against a real ssh server on loopback that the test starts: install, upgrade, connections that break,
//! programs that do not run, two deploys at once.

#![cfg(target_os = "linux")]

use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use graft_tests::{class_folders, int8, source};
use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const SSHD: &str = "/usr/sbin/sshd";

/// The names of the new classes.
const CLASSES: [&str; 2] = ["green", "red"];

/// A board like this machine, with small stores.
const BOARD: &str = r#"
name = "here"
title = "This machine by ssh"
kind = "linux"
facts_from = "nowhere"
sources = []
[cpu]
core = "of this machine"
[power]
sensor = "none"
[deploy]
method = "ssh"
[linux]
heads = 0x80_0000
samples = 0x10_0000
"#;

/// A folder with keys, models and an ssh server whose only login is who runs the test.
struct Bench {
    dir: tempfile::TempDir,
    sshd: Child,
    /// Of the ssh server.
    ssh_port: u16,
    /// Of the device program.
    port: u16,
}

/// A port that nobody uses at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn output(command: &mut Command) -> String {
    let out = command.output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {error}");
    String::from_utf8(out.stdout).unwrap().trim().into()
}

/// Says that a test is not run; in CI it must be.
fn skipped(why: &str) {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!ci, "{why}");
    eprintln!("skipped: {why}");
}

/// Waits until something is so.
fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The device program that the workspace's build makes beside xtask; built if it is not there, as happens when
/// this test alone is run.
fn edge() -> &'static Path {
    static EDGE: OnceLock<PathBuf> = OnceLock::new();
    EDGE.get_or_init(|| {
        let edge = Path::new(env!("CARGO_BIN_EXE_graft")).with_file_name("edge");
        if !edge.exists() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
            output(cargo.args(["build", "--quiet", "--workspace", "--bins"]));
        }
        edge
    })
}

impl Bench {
    /// `None`, said aloud, where there is no ssh server; an error in CI.
    fn new() -> Option<Self> {
        Self::with_sshd("")
    }

    /// With further lines for the server's configuration.
    fn with_sshd(more: &str) -> Option<Self> {
        let ssh = Command::new("ssh").arg("-V").output();
        if !Path::new(SSHD).exists() || ssh.is_err() {
            skipped("openssh-server or openssh-client is missing");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = output(Command::new("id").arg("-u")) == "0";
        if root {
            // Where sshd's unprivileged part lives; Debian's service makes it, too.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        for name in ["host_key", "login_key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            output(keygen.arg(dir.path().join(name)));
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::copy(path("login_key.pub"), path("authorized_keys")).unwrap();
        let ssh_port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\n{more}",
            path("host_key"),
            path("authorized_keys")
        );
        std::fs::write(path("sshd_config"), config).unwrap();
        let public = std::fs::read_to_string(path("host_key.pub")).unwrap();
        let known = format!("[127.0.0.1]:{ssh_port} {public}");
        std::fs::write(path("known_hosts"), known).unwrap();
        let mut sshd = Command::new(SSHD);
        sshd.args(["-D", "-e", "-p", &ssh_port.to_string(), "-f"]);
        let sshd = sshd.arg(path("sshd_config")).stderr(Stdio::null()).spawn();
        std::fs::write(path("board.toml"), BOARD).unwrap();
        let bench = Self {
            sshd: sshd.unwrap(),
            ssh_port,
            port: free_port(),
            dir,
        };
        bench.model("one.edge", 1);
        wait_for("the ssh server", || {
            std::net::TcpStream::connect(("127.0.0.1", ssh_port)).is_ok()
        });
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a small network.
    fn model(&self, name: &str, seed: u64) {
        let model = convert(source(seed), Some(&int8()), &Silent).unwrap();
        std::fs::write(self.path(name), &model.bytes[..]).unwrap();
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn xtask(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command.args(args).current_dir(self.dir.path());
        // No agent and nobody to ask: the key of the test must do.
        command
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("SSH_ASKPASS")
            // Those that are killed leave their control folder.
            .env("TMPDIR", self.dir.path());
        command
    }

    /// Deploys to this machine, with a program that listens on a loopback address.
    fn deploy(&self, model: &str, program: &Path, more: &[&str]) -> Command {
        let address = format!("127.0.0.1:{}", self.port);
        self.deploy_at(&address, model, program, more)
    }

    fn deploy_at(&self, listen: &str, model: &str, program: &Path, more: &[&str]) -> Command {
        let login = output(Command::new("id").arg("-un"));
        let mut command = self.xtask(&["deploy", model, "--board", "board.toml", "--user"]);
        command.args(["--host", &format!("{login}@127.0.0.1")]);
        command.args(["--ssh-port", &self.ssh_port.to_string()]);
        command.arg("--identity").arg(self.path("login_key"));
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        command.args(["--ssh-option", &known, "--ssh-option", "BatchMode=yes"]);
        command.args(["--service", "none", "--prefix"]);
        command.arg(self.path("graft"));
        command.args(["--listen", listen]);
        command.arg("--program").arg(program).args(more);
        command
    }

    /// Deploys, and gives the JSON object.
    fn deployed(&self, model: &str, program: &Path) -> Value {
        json(self.deploy(model, program, &["--json"]).output().unwrap())
    }

    /// What the running program says to a host.
    fn device(&self, args: &[&str]) -> Value {
        let port = format!("tcp:127.0.0.1:{}", self.port);
        let args = [&["device", "--port", &port][..], args, &["--json"]].concat();
        json(self.xtask(&args).output().unwrap())
    }

    fn releases(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("graft/releases")).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Folders of deploys that are under way, or broke.
    fn incoming(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("graft")).into_iter().flatten();
        let paths = entries.map(|e| e.unwrap().path());
        paths
            .filter(|p| p.to_string_lossy().contains("incoming."))
            .collect()
    }

    fn process(&self) -> String {
        let pid = std::fs::read_to_string(self.path("graft/edge.pid")).unwrap();
        pid.trim().into()
    }

    /// An `ssh` for xtask that lets only the first bytes of a program through, and then does what `then` says.
    fn broken_ssh(&self, then: &str) -> String {
        let which = "command -v ssh";
        let real = output(Command::new("sh").args(["-c", which]));
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n*'cat >'*edge*) {{ head -c 150000; {then}; }} | {real} \"$@\" ;;\n\
             *) exec {real} \"$@\" ;;\nesac\n"
        );
        self.script("wrapped/ssh", &text);
        let path = std::env::var("PATH").unwrap();
        format!("{}:{path}", self.path("wrapped").display())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let control = self.path("graft/bin/graft-edge");
        let _ = Command::new("sh").arg(control).arg("stop").output();
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

fn json(out: Output) -> Value {
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{error}");
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A command that must fail with one line that holds all of `words`.
fn refused(command: &mut Command, words: &[&str]) {
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success(), "{command:?} succeeded");
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

#[test]
fn install_upgrade_and_what_survives() {
    let Some(b) = Bench::new() else { return };
    let first = b.deployed("one.edge", edge());
    for (key, value) in [
        ("board", "here".into()),
        ("previous", Value::Null),
        ("started", true.into()),
        ("rolled_back", false.into()),
        ("service", "none".into()),
        ("listen", format!("127.0.0.1:{}", b.port).into()),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], first["trunk_sha256"]);
    let flash = b.path("graft/state/flash.bin").metadata().unwrap();
    assert_eq!(flash.len(), 9 << 20, "stores as the board says");

    class_folders(&b.path("train"), &CLASSES, 16, 1);
    let trained = b.device(&["retrain-head", "--data", "train"]);
    assert_eq!(trained["committed"], true);
    let process = b.process();

    // Another program, the same trunk: it has the head and the samples.
    let second = b.path("edge-2");
    let mut bytes = std::fs::read(edge()).unwrap();
    bytes.extend(b"second");
    std::fs::write(&second, &bytes).unwrap();
    let upgraded = b.deployed("one.edge", &second);
    assert_eq!(upgraded["previous"], first["release"]);
    assert_ne!(upgraded["release"], first["release"]);
    assert_eq!(upgraded["trunk_sha256"], first["trunk_sha256"]);
    assert_ne!(b.process(), process);
    // Where nobody waits for it, a dead process has an entry, but no program.
    assert!(std::fs::read_link(format!("/proc/{process}/exe")).is_err());
    let running = std::fs::read_link(format!("/proc/{}/exe", b.process())).unwrap();
    assert!(running.ends_with(format!("{}/edge", upgraded["release"].as_str().unwrap())));
    let info = b.device(&["info"]);
    assert_eq!(info["head"]["sequence"], trained["head_sequence"]);
    assert_eq!(info["head"]["classes"], 2);
    assert_eq!(info["samples"]["stored"], 32);
    b.device(&["export-head", "kept.head"]);

    // Another model: its own factory head. What is older than the release before is gone.
    b.model("two.edge", 2);
    let third = b.deployed("two.edge", &second);
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], third["trunk_sha256"]);
    assert_eq!(info["head"]["active"], "factory");
    let mut kept = [&upgraded, &third].map(|d| d["release"].as_str().unwrap().to_string());
    kept.sort();
    assert_eq!(b.releases(), kept);

    // Back by the device's own script: the head is where it was.
    let mut control = Command::new("sh");
    control.arg(b.path("graft/bin/graft-edge"));
    let said = output(control.arg("rollback"));
    assert!(
        said.contains(upgraded["release"].as_str().unwrap()),
        "{said}"
    );
    wait_for("the version before", || {
        std::net::TcpStream::connect(("127.0.0.1", b.port)).is_ok()
    });
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], first["trunk_sha256"]);
    assert_eq!(info["head"]["sequence"], trained["head_sequence"]);
    assert!(b.incoming().is_empty());

    // The same once more is a restart.
    let process = b.process();
    let again = b.deployed("one.edge", &second);
    assert_eq!(again["release"], upgraded["release"]);
    assert_ne!(b.process(), process);
    assert_eq!(b.releases(), kept);
}

#[test]
fn a_copy_that_breaks_leaves_the_old_version_running() {
    let Some(b) = Bench::new() else { return };
    let first = b.deployed("one.edge", edge());
    let process = b.process();
    b.model("two.edge", 2);
    let unchanged = || {
        assert_eq!(b.process(), process);
        let info = b.device(&["info"]);
        assert_eq!(info["model"]["trunk_sha256"], first["trunk_sha256"]);
        assert_eq!(b.releases(), [first["release"].as_str().unwrap()]);
    };

    // The line closes in the middle of the program.
    let path = b.broken_ssh("exit 1");
    let mut cut = b.deploy("two.edge", edge(), &[]);
    refused(cut.env("PATH", &path), &[]);
    unchanged();

    // Everything on this side is killed in the middle of the program.
    let path = b.broken_ssh("sleep 1000");
    let mut killed = b.deploy("two.edge", edge(), &[]);
    killed.env("PATH", &path).process_group(0);
    killed.stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = killed.spawn().unwrap();
    wait_for("half a program", || {
        let arrived = |p: &PathBuf| p.join("edge").metadata().is_ok_and(|m| m.len() >= 100_000);
        b.incoming().iter().any(arrived)
    });
    unchanged();
    // Meanwhile nobody else may deploy.
    let mut other = b.deploy("two.edge", edge(), &[]);
    refused(&mut other, &["another deploy", "under way"]);
    let group = format!("-{}", killed.id());
    output(Command::new("kill").args(["-KILL", "--", &group]));
    killed.wait().unwrap();
    unchanged();
    wait_for("the device to notice", || b.incoming().is_empty());

    // What a device left that lost power then is removed by the next deploy.
    std::fs::create_dir(b.path("graft/incoming.1")).unwrap();
    std::fs::write(b.path("graft/incoming.1/edge"), b"half").unwrap();
    let second = b.deployed("two.edge", edge());
    assert_eq!(second["previous"], first["release"]);
    assert!(b.incoming().is_empty());
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], second["trunk_sha256"]);
}

/// The connection is gone while the device switches: it ends what it began.
#[test]
fn a_switch_ends_without_its_connection() {
    let Some(b) = Bench::new() else { return };
    b.deployed("one.edge", edge());
    b.model("two.edge", 2);
    // Slow to be tried, so that there is a moment to hit.
    let slow = format!(
        "#!/bin/sh\n[ \"$1\" = serve ] || sleep 1\nexec {} \"$@\"\n",
        edge().display()
    );
    let slow = b.script("slow", &slow);
    let mut deploy = b.deploy("two.edge", &slow, &[]);
    deploy
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut deploy = deploy.spawn().unwrap();
    wait_for("the trial", || {
        b.incoming().iter().any(|p| p.join("try").exists())
    });
    output(Command::new("kill").args(["-KILL", "--", &format!("-{}", deploy.id())]));
    deploy.wait().unwrap();
    wait_for("two releases", || {
        b.releases().len() == 2 && b.incoming().is_empty()
    });
    let two = std::fs::read(b.path("two.edge")).unwrap();
    wait_for("the new version", || {
        std::fs::read(b.path("graft/current/model.edge")).is_ok_and(|m| m == two)
            && std::net::TcpStream::connect(("127.0.0.1", b.port)).is_ok()
    });
}

#[test]
fn programs_that_do_not_run_are_not_left_running() {
    let Some(b) = Bench::new() else { return };
    // At first there is nothing to go back to.
    let dead = b.script(
        "dead",
        &format!(
            "#!/bin/sh\n[ \"$1\" != serve ] || {{ echo no such luck; exit 1; }}\nexec {} \"$@\"\n",
            edge().display()
        ),
    );
    let mut deploy = b.deploy("one.edge", &dead, &["--wait", "2"]);
    refused(
        &mut deploy,
        &["did not answer", "no such luck", "it is stopped"],
    );

    let first = b.deployed("one.edge", edge());
    let process = b.process();
    b.model("two.edge", 2);
    // These do not get so far that the old version is stopped.
    let mut foreign = std::fs::read(edge()).unwrap();
    foreign[18..20].copy_from_slice(&[22, 0]);
    std::fs::write(b.path("foreign"), &foreign).unwrap();
    let words = ["does not run there"];
    refused(&mut b.deploy("two.edge", &b.path("foreign"), &[]), &words);
    refused(
        &mut b.deploy("two.edge", Path::new("/bin/false"), &[]),
        &words,
    );
    let wrong = b.script("wrong", "#!/bin/sh\necho trunk 00\n");
    refused(&mut b.deploy("two.edge", &wrong, &[]), &["another model"]);
    foreign[18..20].copy_from_slice(&[183, 0]);
    if cfg!(target_arch = "x86_64") {
        std::fs::write(b.path("foreign"), &foreign).unwrap();
        let words = ["is for aarch64"];
        refused(&mut b.deploy("two.edge", &b.path("foreign"), &[]), &words);
    }
    assert_eq!(b.process(), process);

    // This one runs, but does not serve.
    let mut deploy = b.deploy("two.edge", &dead, &["--wait", "2", "--json"]);
    let out = deploy.output().unwrap();
    assert!(!out.status.success());
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(value["rolled_back"], true);
    assert_eq!(value["started"], false);
    assert_eq!(value["why"], "no such luck");
    let error = String::from_utf8(out.stderr).unwrap();
    let again = format!("release {} runs again", first["release"].as_str().unwrap());
    assert!(error.contains(&again), "{error}");
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], first["trunk_sha256"]);
    assert_eq!(b.releases(), [first["release"].as_str().unwrap()]);
    // A new version whose address is taken: back to the old one at the old address.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for model in ["two.edge", "one.edge"] {
        let mut deploy = b.deploy_at(&address, model, edge(), &["--wait", "2"]);
        refused(&mut deploy, &["did not answer", &again]);
    }
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], first["trunk_sha256"]);
}

#[test]
fn other_machines_need_a_key_that_deploy_makes() {
    let Some(b) = Bench::new() else { return };
    let everywhere = format!("0.0.0.0:{}", b.port);
    let with = |more: &[&str]| {
        let more = [more, &["--json"]].concat();
        b.deploy_at(&everywhere, "one.edge", edge(), &more)
    };
    refused(&mut with(&[]), &["other machines can reach", "--make-key"]);
    let value = json(with(&["--make-key"]).output().unwrap());
    assert_eq!(
        (&value["started"], &value["key_made"]),
        (&true.into(), &true.into())
    );
    let key = b.path("graft/key");
    let metadata = key.metadata().unwrap();
    assert_eq!(
        (metadata.len(), metadata.permissions().mode() & 0o777),
        (32, 0o600)
    );
    let bytes = std::fs::read(&key).unwrap();
    // It stays the same.
    let value = json(with(&[]).output().unwrap());
    assert_eq!(value["key_made"], false);
    assert_eq!(std::fs::read(&key).unwrap(), bytes);
    let mut info = Command::new(edge());
    info.args([
        "info",
        "--connect",
        &format!("127.0.0.1:{}", b.port),
        "--key",
    ]);
    let text = output(info.arg(&key));
    assert!(
        text.contains(value["trunk_sha256"].as_str().unwrap()),
        "{text}"
    );
}

/// A device whose tools are those of BusyBox: Alpine, Buildroot.
#[test]
fn a_device_that_takes_signed_models_only() {
    let Some(b) = Bench::new() else { return };
    output(&mut b.xtask(&["keygen", "--signing", "signing.key"]));
    b.model("two.edge", 2);
    output(&mut b.xtask(&["sign", "one.edge", "--key", "signing.key"]));
    let first = b.deployed("one.edge", edge());
    let public = b.path("signing.key.pub").display().to_string();
    let options = b.path("graft/options");
    let line = std::fs::read_to_string(&options).unwrap();
    let with_trust = format!("{} --trust {public}\n", line.trim_end());
    std::fs::write(&options, &with_trust).unwrap();

    // Without its signature, the new model does not come up, and the old one, which has one, does again.
    let plain = |model| {
        let mut command = b.deploy(model, edge(), &["--wait", "5"]);
        let args: Vec<_> = command.get_args().map(|a| a.to_owned()).collect();
        let listen = args.iter().position(|a| a == "--listen").unwrap();
        command = b.xtask(&[]);
        command.args(&args[..listen]).args(&args[listen + 2..]);
        command
    };
    let out = plain("two.edge").output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(
        !out.status.success() && text.contains("signature"),
        "{text}"
    );
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], first["trunk_sha256"]);
    assert_eq!(info["head"]["signature_needed"], true);

    output(&mut b.xtask(&["sign", "two.edge", "--key", "signing.key"]));
    let second = json(plain("two.edge").arg("--json").output().unwrap());
    assert_eq!(second["started"], true);
    assert_ne!(second["trunk_sha256"], first["trunk_sha256"]);
    assert_eq!(std::fs::read_to_string(&options).unwrap(), with_trust);
}

#[test]
fn the_tools_of_busybox_do() {
    let tools = tempfile::tempdir().unwrap();
    let mut install = Command::new("busybox");
    let installed = install.args(["--install", "-s"]).arg(tools.path()).output();
    if !installed.is_ok_and(|out| out.status.success()) {
        return skipped("busybox is missing");
    }
    assert!(tools.path().join("sh").exists());
    // Alpine's and Buildroot's have this one, Debian's has not.
    let flock = tools.path().join("flock");
    if !flock.exists() {
        std::os::unix::fs::symlink("/usr/bin/flock", flock).unwrap();
    }
    let path = format!("SetEnv PATH={}\n", tools.path().display());
    let Some(b) = Bench::with_sshd(&path) else {
        return;
    };
    let first = b.deployed("one.edge", edge());
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], first["trunk_sha256"]);
    b.model("two.edge", 2);
    let dead = format!(
        "[ \"$1\" != serve ] || exit 1\nexec {} \"$@\"\n",
        edge().display()
    );
    let shell = tools.path().join("sh");
    let dead = b.script("dead", &format!("#!{}\n{dead}", shell.display()));
    let mut deploy = b.deploy("two.edge", &dead, &["--wait", "2"]);
    refused(&mut deploy, &["did not answer", "runs again"]);
    let second = b.deployed("two.edge", edge());
    assert_eq!(second["previous"], first["release"]);
    let info = b.device(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], second["trunk_sha256"]);
    assert_eq!(b.releases().len(), 2);
}

#[test]
fn mistakes_are_one_line() {
    let Some(b) = Bench::new() else { return };
    let xtask = |args: &[&str]| b.xtask(&[&["deploy", "one.edge"], args].concat());
    let port = free_port().to_string();
    let nobody = ["--board", "host", "--host", "127.0.0.1", "-p", &port];
    refused(&mut xtask(&nobody), &["127.0.0.1", "refused"]);
    let flashed = ["--board", "nucleo-h743zi2", "--host", "pi"];
    refused(&mut xtask(&flashed), &["no Linux board"]);
    for bad in ["-oProxyCommand=id", "a b", "$(id)"] {
        let host = format!("--host={bad}");
        refused(&mut xtask(&["--board", "host", &host]), &["--host"]);
    }
    let prefix = ["--board", "host", "--host", "pi", "--prefix", "/a b"];
    refused(&mut xtask(&prefix), &["absolute path"]);
    let float = convert(source(1), None, &Silent).unwrap();
    std::fs::write(b.path("float.edge"), &float.bytes[..]).unwrap();
    refused(&mut b.deploy("float.edge", edge(), &[]), &["--int8"]);
    let other = b.path("other_key");
    output(
        Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-f"])
            .arg(&other),
    );
    let mut stranger = b.xtask(&["deploy", "one.edge", "--board", "host"]);
    stranger.args(["--host", "127.0.0.1", "-p", &b.ssh_port.to_string(), "-i"]);
    stranger.arg(&other);
    let known = format!("UserKnownHostsFile={}", b.path("known_hosts").display());
    stranger.args(["--ssh-option", &known, "--ssh-option", "IdentitiesOnly=yes"]);
    stranger.args(["--ssh-option", "BatchMode=yes"]);
    refused(&mut stranger, &["Permission denied"]);
    let mut dry = b.deploy("one.edge", edge(), &["--dry-run", "--json"]);
    let steps = json(dry.output().unwrap());
    let steps: Vec<&str> = steps["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s.as_str().unwrap())
        .collect();
    let at = |word: &str| {
        steps
            .iter()
            .position(|s| s.contains(word))
            .unwrap_or_else(|| panic!("no '{word}' in {steps:?}"))
    };
    // In the order in which they are done.
    let order = [
        "fits",
        "connect: ",
        "take the program",
        "lock ",
        "copy program",
        "signature",
        "move it",
        "ask it",
    ];
    assert!(order.map(at).is_sorted(), "{steps:?}");
    assert!(!b.path("graft").exists());
}
