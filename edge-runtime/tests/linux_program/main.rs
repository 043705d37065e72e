//! The device program for Linux as a process: sessions over sockets, kills, keys, and its own shell.

#![cfg(target_os = "linux")]

mod load;
mod signatures;

use converter::dataset::{Dataset, image_file};
use converter::jobs::retrain::retrain;
use converter::jobs::sign::{PrivateKey, new_pair, public_half};
use converter::util::progress::Silent;
use edge_runtime::backend::BackendKind;
use edge_runtime::device::client::{Client, ClientError, Patience, Pipe};
use edge_runtime::device::frame::{self, FrameReader};
use edge_runtime::device::load::LoadError;
use edge_runtime::device::protocol::{
    self as p, Header, MAX_PAYLOAD, Message, Progress, Request, RetrainOptions,
};
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::device::{DeviceError, NotReady};
use edge_runtime::head::store::Active;
use edge_runtime::head::train::TrainOptions;
use edge_runtime::linux::{LocalPipe, MAX_CONNECTIONS};
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::signature::{Trust, beside};
use edge_runtime::sim::Faults;
use edge_runtime::transport::{ConnectError, Key, Line, NoiseError};
use graft_tests::device::{flash, input, int8_model, memory, start, with_client};
use graft_tests::{class_folders, picture};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static MODEL: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(7));

/// Sorted, as class folders are.
const CLASSES: [&str; 3] = ["blue", "green", "red"];

/// Pictures a class.
const EACH: usize = 16;

/// A folder with a model and a state.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("model.edge"), &MODEL[..]).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program with a command, and model and state of this place.
    fn own(&self, command: &str) -> Command {
        let mut edge = edge(command);
        edge.arg("--model").arg(self.path("model.edge"));
        edge.arg("--state").arg(self.path("state"));
        edge.args(["--samples-mib", "1"]);
        edge
    }

    fn key(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

/// The program, or what `GRAFT_EDGE` names: `.ci/aarch64` runs one for another processor under an emulator.
fn edge(command: &str) -> Command {
    let built = env!("CARGO_BIN_EXE_edge");
    let mut edge = Command::new(std::env::var_os("GRAFT_EDGE").unwrap_or(built.into()));
    edge.arg(command);
    edge
}

/// A server that is killed when the test is done with it.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    address: String,
}

impl Running {
    fn start(place: &Place, listen: &str, more: &[&str]) -> Self {
        let mut serve = place.own("serve");
        serve.args(["--listen", listen]).args(more);
        let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let address = String::new();
        let mut running = Self {
            child,
            out,
            address,
        };
        running.wait();
        running
    }

    /// Waits until it listens.
    fn wait(&mut self) {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        self.address = address.expect("it listens").into();
    }

    fn client(&self) -> Client<Line> {
        self.client_with(None).unwrap()
    }

    fn client_with(&self, key: Option<&Key>) -> Result<Client<Line>, ConnectError> {
        static SESSION: AtomicU32 = AtomicU32::new(1000);
        let line = Line::connect(&self.address.parse().unwrap(), key)?;
        let session = SESSION.fetch_add(1, Ordering::Relaxed);
        let mut client = Client::new(line, session, Patience::default());
        client.connect(None).expect("it answers");
        Ok(client)
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failure(output: Output) -> String {
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

fn success(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn options() -> RetrainOptions {
    RetrainOptions {
        seed: 3,
        ..RetrainOptions::default()
    }
}

/// The pictures of [`class_folders`], in the order of a data set.
fn add_samples<P: Pipe>(client: &mut Client<P>, model: &Model<'_>) {
    for (i, class) in CLASSES.iter().enumerate() {
        for k in 0..EACH {
            client.send_input(&input(model, i, 50 + k as u64)).unwrap();
            client.add_sample(class, None).unwrap();
        }
    }
}

/// The head that the simulation trains from these samples.
fn simulated(options: RetrainOptions) -> Vec<u8> {
    let model = Model::parse(&MODEL).unwrap();
    with_client(&model, &mut flash(), Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        add_samples(client, &model);
        client.retrain(options, &mut |_| ()).unwrap();
        client.export_head().unwrap()
    })
}

#[test]
fn a_session_over_tcp_gives_the_simulations_head() {
    let place = Place::new();
    let server = Running::start(&place, "127.0.0.1:0", &[]);
    let model = Model::parse(&MODEL).unwrap();
    let mut client = server.client();
    let identity = client.connect(Some(*model.trunk_sha256())).unwrap();
    assert_eq!(&identity.trunk, model.trunk_sha256());
    let other = client.connect(Some([1; 32]));
    assert!(matches!(
        other,
        Err(ClientError::Device(DeviceError::WrongModel))
    ));
    add_samples(&mut client, &model);
    let mut epochs = 0;
    let waiting = RetrainOptions {
        commit: false,
        ..options()
    };
    let retrained = client.retrain(waiting, &mut |_| epochs += 1).unwrap();
    assert!(epochs > retrained.epoch && retrained.committed.is_none());
    assert_eq!((retrained.samples, retrained.held_out), (42, 6));
    assert_eq!(client.commit().unwrap(), 1);
    let head = client.export_head().unwrap();
    assert!(head == simulated(options()), "not the same bits");
    client.send_input(&input(&model, 1, 999)).unwrap();
    let (micros, top) = client.infer(1).unwrap();
    assert!(micros > 0 && top[0].label == "green", "{top:?}");
    // From a shell, while the server has the state: another session.
    let shown = edge("info")
        .args(["--connect", &server.address])
        .output()
        .unwrap();
    let shown = success(shown);
    assert!(shown.contains("number 1, 3 classes"), "{shown}");
    let listed = edge("samples")
        .args(["--connect", &server.address])
        .output()
        .unwrap();
    let listed = success(listed);
    assert!(listed.contains("      16         2  red"), "{listed}");
    let mut client = server.client();
    assert_eq!(client.rollback().unwrap(), Active::Factory);
}

#[test]
fn its_own_shell_gives_the_hosts_head() {
    let place = Place::new();
    let data = place.path("pictures");
    class_folders(&data, &CLASSES, EACH, 50);
    let model = Model::parse(&MODEL).unwrap();
    let dataset = Dataset::open(&data).unwrap();
    let kind = BackendKind::Tract;
    // Without and with a hidden layer.
    for (number, hidden) in [(1, 0), (2, 0), (3, 24)] {
        let train_options = TrainOptions {
            hidden,
            ..options().train_options()
        };
        let host = retrain(&model, &MODEL, kind, &dataset, &train_options, &Silent).unwrap();
        let host = Model::parse(&host.bytes).unwrap();
        let host = host.head().unwrap().bytes();
        let sha256 = hex::encode(&host[64..96]);
        let mut command = place.own("retrain-head");
        command.arg("--data").arg(&data);
        command.args(["--clear", "--force", "--seed", "3"]);
        command.args(["--hidden", &hidden.to_string()]);
        let text = success(command.output().unwrap());
        assert!(text.contains(&sha256), "{hidden}: {text}");
        assert!(text.contains(&format!("as number {number}")), "{text}");
    }
    let png = place.path("one.png");
    std::fs::write(&png, image_file::encode_png(&picture(2, 999))).unwrap();
    let seen = success(place.own("infer").arg(&png).output().unwrap());
    assert!(seen.lines().next().unwrap().ends_with("  red"), "{seen}");
    let back = success(place.own("rollback").output().unwrap());
    assert!(back.contains("number 2"), "{back}");
    // Neither other pooling nor the loss of a class by mistake.
    let retrain = |more: &[&str]| {
        let mut command = place.own("retrain-head");
        failure(command.args(more).output().unwrap())
    };
    let refused = retrain(&["--pool", "max"]);
    assert!(refused.contains("pooled by avg"), "{refused}");
    let one = place.path("pictures/red");
    std::fs::rename(&one, place.path("red")).unwrap();
    let data = data.to_str().unwrap();
    let refused = retrain(&["--keep-classes", "--clear", "--data", data]);
    assert!(
        refused.contains("lack 1 of the present head's 3"),
        "{refused}"
    );
    assert!(refused.contains("'red'"), "{refused}");
    std::fs::rename(place.path("red"), &one).unwrap();
    let refused = retrain(&["--no-commit"]);
    assert!(refused.contains("--connect"), "{refused}");
    // What does not fit is refused before the samples are deleted.
    let mut wide = place.own("retrain-head");
    wide.arg("--data").arg(data).args(["--classes", "3"]);
    wide.args(["--clear", "--hidden", "128"]);
    let refused = failure(wide.output().unwrap());
    assert!(refused.contains("units fit"), "{refused}");
    let listed = success(place.own("samples").output().unwrap());
    assert!(listed.contains("red"), "{listed}");
}

#[test]
fn what_a_folder_loses_is_said() {
    let place = Place::new();
    let data = place.path("pictures");
    class_folders(&data, &CLASSES, EACH, 50);
    std::fs::write(data.join("red/1.heic"), b"\0\0\0\x18ftypheic").unwrap();
    let mut command = place.own("retrain-head");
    let out = command.arg("--json").arg("--data").arg(&data);
    let out = out.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).to_string();
    assert!(said.contains("note: 1 file was left out, "), "{said}");
    let value: serde_json::Value = serde_json::from_str(&success(out)).unwrap();
    assert_eq!(value["left_out"]["count"], 1);
}

#[test]
fn a_server_has_what_the_shell_trained() {
    let place = Place::new();
    let data = place.path("pictures");
    class_folders(&data, &CLASSES, EACH, 50);
    let mut command = place.own("retrain-head");
    command.arg("--data").arg(&data).args(["--seed", "3"]);
    success(command.output().unwrap());
    let server = Running::start(&place, "127.0.0.1:0", &[]);
    let head = server.client().export_head().unwrap();
    assert!(head == simulated(options()), "not the same bits");
}

/// SIGKILL at many moments of training and committing.
#[test]
fn a_killed_program_has_the_old_head_or_the_new_one() {
    let place = Place::new();
    let model = Model::parse(&MODEL).unwrap();
    let mut server = Running::start(&place, "127.0.0.1:0", &[]);
    add_samples(&mut server.client(), &model);
    let samples = server.client().samples().unwrap();
    // Each training gives a head of its own, which takes a slot by force.
    let forced = |seed| RetrainOptions {
        seed,
        epochs: 12,
        force: true,
        ..options()
    };
    let begin = Instant::now();
    server
        .client()
        .retrain(forced(100), &mut |_| ())
        .expect("a head");
    let whole = begin.elapsed();
    let mut active = server.client().export_head().unwrap();
    let (mut old, mut new) = (0, 0);
    for round in 0..20 {
        let mut client = server.client();
        let options = forced(round.into());
        let training = std::thread::spawn(move || client.retrain(options, &mut |_| ()).is_ok());
        // From before the training's end to after it, however fast the processor is.
        std::thread::sleep(whole * round / 12);
        server.kill();
        let answered = training.join().unwrap();
        server = Running::start(&place, "127.0.0.1:0", &[]);
        let mut client = server.client();
        assert_eq!(client.samples().unwrap(), samples, "round {round}");
        let found = client.export_head().unwrap();
        if found == active {
            assert!(!answered, "round {round}: an acknowledged head is lost");
            old += 1;
        } else {
            assert!(found == simulated(options), "round {round}");
            new += 1;
        }
        active = found;
    }
    println!("{old} times the old head, {new} times the new one");
    let mut client = server.client();
    client.retrain(options(), &mut |_| ()).unwrap();
    assert_eq!(client.samples().unwrap(), samples);
}

/// SIGKILL while samples are stored: those that were acknowledged are there, and at most one more.
#[test]
fn a_killed_program_keeps_its_samples() {
    let place = Place::new();
    let model = Model::parse(&MODEL).unwrap();
    let mut acknowledged = 0;
    for round in 0..6u64 {
        let server = Running::start(&place, "127.0.0.1:0", &[]);
        let mut client = server.client();
        let found = client.state().unwrap().samples;
        let expected = acknowledged..=acknowledged + u32::from(round > 0);
        assert!(expected.contains(&found), "{acknowledged}, {found}");
        let input = input(&model, 0, round);
        let adding = std::thread::spawn(move || {
            let mut add = || {
                client.send_input(&input)?;
                client.add_sample("red", None)
            };
            (0..).take_while(|_| add().is_ok()).count() as u32
        });
        std::thread::sleep(Duration::from_millis(40 + 7 * round));
        server.kill();
        acknowledged = found + adding.join().unwrap();
    }
    assert!(acknowledged > 6, "{acknowledged}");
}

#[test]
fn two_programs_do_not_share_a_state() {
    let place = Place::new();
    let server = Running::start(&place, "127.0.0.1:0", &[]);
    for mut second in [place.own("serve"), place.own("info")] {
        if second.get_args().next().is_some_and(|a| a == "serve") {
            second.args(["--listen", "127.0.0.1:0"]);
        }
        let text = failure(second.output().unwrap());
        assert!(text.contains("in use by another edge process"), "{text}");
    }
    server.client().state().unwrap();
    server.kill();
    success(place.own("info").output().unwrap());
}

#[test]
fn other_machines_need_the_key() {
    let place = Place::new();
    let open = place
        .own("serve")
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    let text = failure(open);
    assert!(text.contains("there is no key"), "{text}");
    let mut short = place.own("serve");
    short.arg("--key").arg(place.key("short", &[1; 31]));
    let text = failure(short.output().unwrap());
    assert!(text.contains("exactly 32 random bytes"), "{text}");
    assert!(!place.path("state").exists(), "refused before it is made");

    let path = place.key("key", &[1; 32]);
    let mut server = Running::start(&place, "0.0.0.0:0", &["--key", path.to_str().unwrap()]);
    server.address = server.address.replace("0.0.0.0", "127.0.0.1");
    let key = Key::read(&path).unwrap();
    let mut good = server.client_with(Some(&key)).unwrap();
    match server.client_with(Some(&Key::new([2; 32]))).err() {
        Some(ConnectError::Handshake {
            cause: NoiseError::Refused,
            ..
        }) => (),
        other => panic!("{other:?}"),
    }
    // Without a key, nothing is answered, and the program says what may be the matter.
    let without = edge("info")
        .args(["--connect", &server.address])
        .output()
        .unwrap();
    let text = failure(without);
    assert!(text.contains("give the same file with --key"), "{text}");
    let line = Line::connect(&server.address.parse().unwrap(), None).unwrap();
    let patience = Patience {
        timeout: Duration::from_millis(100),
        attempts: 2,
    };
    let refused = Client::new(line, 7, patience).connect(None);
    assert!(matches!(refused, Err(ClientError::Pipe(_))), "{refused:?}");
    // Who has the key goes on; the encrypted line works as an open one.
    let model = Model::parse(&MODEL).unwrap();
    add_samples(&mut good, &model);
    good.retrain(options(), &mut |_| ()).unwrap();
    assert!(good.export_head().unwrap() == simulated(options()));
    let with = |key: &Path| {
        let mut command = edge("info");
        command.args(["--connect", &server.address]);
        command.arg("--key").arg(key).output().unwrap()
    };
    let shown = success(with(&path));
    assert!(shown.contains("number 1, 3 classes"), "{shown}");
    let text = failure(with(&place.key("other", &[2; 32])));
    assert!(text.contains("refused the key"), "{text}");
}

/// A pair of keys for signatures.
fn pair(place: &Place, name: &str) -> (PrivateKey, PathBuf) {
    let path = place.path(name);
    new_pair(&path).unwrap();
    (PrivateKey::read(&path).unwrap(), public_half(&path))
}

/// Sends a payload as a frame and waits for the payload that answers it.
fn raw(line: &mut Line, payload: &[u8]) -> Option<Vec<u8>> {
    let mut tx = [0; TX_LEN];
    line.send(frame::encode(payload, &mut tx).unwrap()).unwrap();
    let (mut rx, mut bytes) = ([0; RX_LEN], [0; 2000]);
    let mut reader = FrameReader::new(&mut rx);
    loop {
        let count = line.receive(&mut bytes, Duration::from_secs(2)).unwrap();
        if count == 0 {
            return None;
        }
        let mut rest = &bytes[..count];
        if let Some(payload) = reader.read(&mut rest) {
            return Some(payload.to_vec());
        }
    }
}

/// Each is refused with an error of its own, and what the device remembers stays as it was.
#[test]
fn hostile_hosts_change_nothing() {
    let place = Place::new();
    let key = place.key("key", &[1; 32]);
    let model = Model::parse(&MODEL).unwrap();
    let flash = || std::fs::read(place.path("state/flash.bin")).unwrap();
    for more in [&[][..], &["--key", key.to_str().unwrap()]] {
        let server = Running::start(&place, "127.0.0.1:0", more);
        let key = more.get(1).map(|path| Key::read(path.as_ref()).unwrap());
        let mut client = server.client_with(key.as_ref()).unwrap();
        client.send_input(&input(&model, 0, 1)).unwrap();
        client.add_sample("red", None).unwrap();
        let before = (client.state().unwrap(), flash());
        let refused = |error: ClientError, expected: DeviceError| match error {
            ClientError::Device(found) => assert_eq!(found, expected),
            other => panic!("{other}"),
        };

        // Another version of the protocol, whatever follows.
        let mut line = Line::connect(&server.address.parse().unwrap(), key.as_ref()).unwrap();
        let mut payload = [0xee; 40];
        payload[0] = p::VERSION + 1;
        let answer = raw(&mut line, &payload).expect("an answer");
        let (header, body) = Header::decode(&answer).unwrap();
        let device = p::VERSION;
        assert_eq!((header.version, header.id), (device, 0xeeee_eeee));
        match p::decode::<Message<'_>>(body) {
            Some(Message::Reply(Err(e))) => assert_eq!(e, DeviceError::Version { device }),
            other => panic!("{other:?}"),
        }
        // A frame that no device has room for is dropped, and the line goes on.
        let mut long = vec![1; 10 * MAX_PAYLOAD];
        long.push(0);
        line.send(&long).unwrap();
        let answer = raw(&mut line, &payload).expect("an answer");
        assert_eq!(answer[0], p::VERSION);
        drop(line);

        let other = client.connect(Some([1; 32])).unwrap_err();
        refused(other, DeviceError::WrongModel);
        client.connect(None).unwrap();
        let (len, crc, signature) = (u32::MAX, 0, None);
        let need = model.input().shape.len() as u32;
        let long = Request::BeginInput { len, crc };
        let long = client.call(&long, |_| Some(())).unwrap_err();
        refused(long, DeviceError::InputLength { need });
        let limit = before.0.max_head;
        for len in [len, limit + 1] {
            let long = Request::BeginImport {
                len,
                crc,
                signature,
            };
            let long = client.call(&long, |_| Some(())).unwrap_err();
            refused(long, DeviceError::TooLong { limit });
        }
        let foreign = int8_model(8);
        let foreign = Model::parse(&foreign).unwrap();
        let foreign = foreign.head().unwrap().bytes();
        client.import_head(foreign, None).unwrap();
        refused(client.commit().unwrap_err(), DeviceError::ForeignHead);
        client.import_head(&foreign[..100], None).unwrap();
        refused(client.commit().unwrap_err(), DeviceError::BadHead);
        assert_eq!((client.state().unwrap(), flash()), before, "untouched");
        client.clear_samples(None).unwrap();
    }
}

/// A newer model in the old one's place, and the old one back.
#[test]
fn what_another_trunk_stored_waits() {
    let place = Place::new();
    let server = Running::start(&place, "127.0.0.1:0", &[]);
    let mut client = server.client();
    add_samples(&mut client, &Model::parse(&MODEL).unwrap());
    client.retrain(options(), &mut |_| ()).unwrap();
    let (state, head) = (client.state().unwrap(), client.export_head().unwrap());
    server.kill();

    let replace = |bytes: &[u8]| {
        std::fs::write(place.path("new.edge"), bytes).unwrap();
        std::fs::rename(place.path("new.edge"), place.path("model.edge")).unwrap();
    };
    let newer = int8_model(8);
    replace(&newer);
    let server = Running::start(&place, "127.0.0.1:0", &[]);
    let mut client = server.client();
    let new_state = client.state().unwrap();
    assert_eq!((new_state.samples, new_state.classes), (0, 0));
    assert_eq!(new_state.active, Active::Factory);
    let factory = Model::parse(&newer).unwrap();
    assert!(client.export_head().unwrap() == factory.head().unwrap().bytes());
    let untrained = client.retrain(options(), &mut |_| ()).unwrap_err();
    let expected = DeviceError::TooFewClasses { have: 0 };
    assert!(matches!(untrained, ClientError::Device(e) if e == expected));
    // A sample of the new trunk takes a place of its own.
    client.send_input(&input(&factory, 0, 1)).unwrap();
    client.add_sample("red", None).unwrap();
    assert_eq!(client.state().unwrap().samples, 1);
    server.kill();

    replace(&MODEL);
    let server = Running::start(&place, "127.0.0.1:0", &[]);
    let mut client = server.client();
    assert_eq!(client.state().unwrap(), state);
    assert!(client.export_head().unwrap() == head);
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

/// The keys that `cargo xtask device --json` has, asked of the own state and of a running program.
#[test]
fn every_result_as_json() {
    let place = Place::new();
    let data = place.path("pictures");
    class_folders(&data, &CLASSES, EACH, 50);
    let png = place.path("one.png");
    std::fs::write(&png, image_file::encode_png(&picture(2, 999))).unwrap();
    let session = |command: &dyn Fn(&str) -> Command, commit: bool| {
        let json = |command: &mut Command| -> Value {
            let text = success(command.arg("--json").output().unwrap());
            assert_eq!(text.lines().count(), 1, "{text}");
            serde_json::from_str(&text).unwrap()
        };
        let mut retrain = command("retrain-head");
        retrain.arg("--data").arg(&data);
        retrain.args(["--clear", "--seed", "3"]);
        if commit {
            retrain.arg("--no-commit");
        }
        let trained = json(&mut retrain);
        assert_eq!(
            keys(&trained),
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
        assert_eq!(
            [
                &trained["classes"],
                &trained["samples"],
                &trained["held_out"]
            ],
            [3, 42, 6]
        );
        assert_eq!(trained["committed"], !commit);
        if commit {
            assert!(trained["head_sequence"].is_null());
            assert_eq!(json(&mut command("commit"))["head_sequence"], 2);
        } else {
            assert_eq!(trained["head_sequence"], 1);
        }
        let info = json(&mut command("info"));
        assert_eq!(
            keys(&info),
            [
                "flash", "head", "model", "protocol", "ram", "samples", "stack"
            ]
        );
        assert_eq!(info["head"]["sequence"], 1 + u32::from(commit));
        assert_eq!(info["samples"]["stored"], 48);
        let samples = json(&mut command("samples"));
        assert_eq!(samples["samples"], 48);
        let red = &samples["classes"][2];
        assert_eq!(
            (&red["class"], &red["held_out"]),
            (&"red".into(), &2.into())
        );
        let seen = json(command("infer").arg(&png));
        assert_eq!(seen["top"][0]["label"], "red");
        assert_eq!(keys(&seen), ["image", "microseconds", "top"]);
        let back = json(&mut command("rollback"));
        assert_eq!(back["head_sequence"], 0);
        trained["head_sha256"].clone()
    };
    let own = session(&|command| place.own(command), false);

    let mut serve = place.own("serve");
    serve.args(["--listen", "127.0.0.1:0", "--json"]);
    let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = ready["listening"].as_str().unwrap().to_string();
    let server = Running {
        child,
        out,
        address,
    };
    assert_eq!(ready["model"], "small");
    assert_eq!(
        (&ready["encrypted"], &ready["signature_needed"]),
        (&false.into(), &false.into())
    );
    let asked = session(
        &|command| {
            let mut asking = edge(command);
            asking.args(["--connect", &server.address]);
            asking
        },
        true,
    );
    assert_eq!(own, asked);
}

/// In the same process, progress is not something to read when all is done.
#[test]
fn a_local_pipe_tells_progress_at_once() {
    let model = Model::parse(&MODEL).unwrap();
    let (mut flash, mut memory) = (flash(), memory(&model));
    let app = start(&model, &mut flash, &mut memory, Trust::Anyone);
    let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
    let mut seen = vec![];
    let mut watch = |progress| match progress {
        Progress::Epoch { number, .. } => seen.push(number),
        Progress::Run { number, of } => assert!(number <= of),
    };
    let pipe = LocalPipe::new(app, &mut rx, &mut tx, &mut watch);
    let mut client = Client::new(pipe, 1, Patience::default());
    client.connect(None).unwrap();
    add_samples(&mut client, &model);
    let late = &mut |progress| panic!("{progress:?} comes too late");
    let trained = client.retrain(options(), late).unwrap();
    client.bench(2, late).unwrap();
    let head = client.export_head().unwrap();
    drop(client);
    // Few samples: the epochs that are judged on held-out ones, then those that learn all.
    let all = 1..trained.epoch + 1;
    let judged = (seen.len() - all.len()) as u32;
    assert!(judged > trained.epoch);
    assert_eq!(seen, (0..judged).chain(all).collect::<Vec<_>>());
    assert!(head == simulated(options()));
}

#[test]
fn progress_is_shown_in_plain_lines() {
    let place = Place::new();
    let data = place.path("pictures");
    class_folders(&data, &CLASSES, EACH, 50);
    let mut own = place.own("retrain-head");
    own.arg("--data").arg(&data);
    let server_place = Place::new();
    let server = Running::start(&server_place, "127.0.0.1:0", &[]);
    let mut asking = edge("retrain-head");
    asking.args(["--connect", &server.address]);
    asking.arg("--data").arg(&data);
    for mut command in [own, asking] {
        let output = command.output().unwrap();
        let shown = String::from_utf8(output.stderr.clone()).unwrap();
        success(output);
        assert!(!shown.contains(['\r', '\x1b']), "{shown:?}");
        let count = |line: &str| shown.lines().filter(|l| l.starts_with(line)).count();
        assert_eq!(count("features of picture 1 of 48"), 1, "{shown}");
        assert_eq!(count("features of picture 48 of 48"), 1, "{shown}");
        assert_eq!(count("training: epoch 0 of at most"), 1, "{shown}");
    }
}

#[test]
fn a_unix_socket_and_a_restart() {
    let place = Place::new();
    let listen = format!("unix:{}", place.path("edge.sock").display());
    let mut server = Running::start(&place, &listen, &[]);
    assert_eq!(server.address, listen);
    let model = Model::parse(&MODEL).unwrap();
    let mut client = server.client();
    client.send_input(&input(&model, 0, 1)).unwrap();
    client.add_sample("red", None).unwrap();
    client.call(&Request::Reset, |_| Some(())).unwrap();
    server.wait();
    let state = client.state();
    assert!(matches!(state, Err(ClientError::Pipe(_))), "{state:?}");
    assert_eq!(server.client().state().unwrap().samples, 1);
    let ended = server.child.try_wait().unwrap();
    assert!(ended.is_none(), "the process is still the same");
}

#[test]
fn hosts_that_talk_nonsense_and_too_many() {
    let place = Place::new();
    let server = Running::start(&place, "127.0.0.1:0", &[]);
    let mut random = edge_runtime::random::Random::new(5);
    for _ in 0..8 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let bytes: Vec<u8> = (0..5000).map(|_| random.bits() as u8).collect();
        stream.write_all(&bytes).unwrap();
    }
    server.client().state().unwrap();
    let idle: Vec<TcpStream> = (0..MAX_CONNECTIONS)
        .map(|_| TcpStream::connect(&server.address).unwrap())
        .collect();
    let mut one_more = TcpStream::connect(&server.address).unwrap();
    let timeout = Some(Duration::from_secs(20));
    one_more.set_read_timeout(timeout).unwrap();
    assert_eq!(one_more.read(&mut [0]).unwrap(), 0, "hung up on");
    drop(idle);
    std::thread::sleep(Duration::from_millis(300));
    server.client().state().unwrap();
}

#[test]
fn mistakes_are_one_line() {
    let place = Place::new();
    std::fs::write(place.path("model.edge"), b"no model").unwrap();
    let text = failure(place.own("info").output().unwrap());
    assert!(text.contains("model.edge"), "{text}");
    std::fs::remove_file(place.path("model.edge")).unwrap();
    let text = failure(place.own("info").output().unwrap());
    assert!(text.contains("cannot read the model"), "{text}");
    assert!(!place.path("state").exists());
    let text = failure(edge("info").output().unwrap());
    assert!(text.contains("--model"), "{text}");
    let mut nobody = edge("info");
    nobody.args(["--connect", "127.0.0.1:1"]);
    let text = failure(nobody.output().unwrap());
    assert!(text.contains("cannot connect to 127.0.0.1:1"), "{text}");
}
