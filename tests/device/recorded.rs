//! The bytes of a whole session between host and device, both ways, against those that were recorded: the
//! protocol, the head file and what lies in flash stay what they are. A change here is a new version of one
//! of them (`docs/reference/protocol.md`, `docs/reference/format.md`).

use edge_runtime::backend::BackendKind;
use edge_runtime::client::{Client, ClientError, Patience, Pipe};
use edge_runtime::device::load::{Loader, ModelRegion};
use edge_runtime::device::protocol::RetrainOptions;
use edge_runtime::device::server::{LoadServer, RX_LEN, Server, TX_LEN};
use edge_runtime::device::{DeviceError, NotReady};
use edge_runtime::flash::Flash;
use edge_runtime::model::Model;
use edge_runtime::signature::Trust;
use edge_runtime::sim::{Faults, SimFlash, SimPipe};
use graft_tests::device::{flash, memory, start};
use graft_tests::machine::{Machine, REGION};
use graft_tests::tiny;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A pipe that hashes what passes.
struct Recorder<P> {
    pipe: P,
    sent: Sha256,
    received: Sha256,
}

impl<P: Pipe> Recorder<P> {
    fn new(pipe: P) -> Self {
        Self {
            pipe,
            sent: Sha256::new(),
            received: Sha256::new(),
        }
    }

    /// SHA-256 of all bytes to the device, and of all from it.
    fn hashes(self) -> [String; 2] {
        [self.sent, self.received].map(|sha| hex(&sha.finalize()))
    }
}

impl<P: Pipe> Pipe for Recorder<P> {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sent.update(bytes);
        self.pipe.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> std::io::Result<usize> {
        let count = self.pipe.receive(buffer, timeout)?;
        self.received.update(&buffer[..count]);
        Ok(count)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

const PATIENCE: Patience = Patience {
    timeout: Duration::from_secs(1),
    attempts: 1,
};

/// Every request of the application, some of them refused.
fn whole_session<P: Pipe>(client: &mut Client<P>) -> Result<Vec<u8>, ClientError> {
    client.connect(None)?;
    client.model(|_| ())?;
    client.state()?;
    client.power().expect_err("no sensor");
    client.load_info().expect_err("no place for a model");
    client.send_input(&tiny::input(0, 0))?;
    client.infer(5)?;
    client.logits()?;
    client.labels(3)?;
    for i in 0..45 {
        let class = i % 3;
        client.send_input(&tiny::input(class, i as u32))?;
        client.add_sample(["grass", "sky", "wall"][class], None)?;
    }
    client.samples()?;
    client.check_training(&[], false, &RetrainOptions::default())?;
    for (seed, hidden, commit) in [(0, 0, false), (7, 0, true), (0, 4, true)] {
        let options = RetrainOptions {
            seed,
            hidden,
            commit,
            force: true,
            ..RetrainOptions::default()
        };
        client.train(options, &mut |_| ())?;
        if !commit {
            client.commit()?;
        }
        client.send_input(&tiny::input(1, 99))?;
        client.infer(2)?;
    }
    client.rollback()?;
    let head = client.export_head()?;
    client.import_head(&head, None)?;
    client.state()?;
    client.commit()?;
    client.import_head(&head, Some(&[9; 64]))?;
    client.bench(3, &mut |_| ())?;
    client.clear_samples(Some("sky"))?;
    let missing = client.retrain(RetrainOptions::default(), &mut |_| ());
    missing.expect_err("no samples of a class of the head");
    client.clear_samples(None)?;
    client.state()?;
    client.log()?;
    client.reset()?;
    Ok(head)
}

#[test]
fn a_session_is_the_recorded_one_on_every_backend() {
    for backend in BackendKind::ALL {
        assert_eq!(hashes_of_a_session(*backend), RECORDED, "{backend:?}");
    }
}

/// SHA-256 of all that such a session sends and leaves.
fn hashes_of_a_session(backend: BackendKind) -> [(&'static str, &'static str); 5] {
    let bytes = tiny::model();
    let model = Model::parse(&bytes).unwrap();
    let (mut flash, mut memory) = (flash(), memory(&model));
    let mut session = backend.session(&model).unwrap();
    let mut app = start(&model, &mut flash, &mut memory, Trust::Anyone);
    app.run_on(session.as_mut());
    let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
    let server = Server::new(&mut app, &mut rx, &mut tx);
    let pipe = Recorder::new(SimPipe::new(server, Faults::NONE, 0));
    let mut client = Client::new(pipe, 0x0403_0201, PATIENCE);
    let head = whole_session(&mut client).unwrap();
    assert_eq!(client.repetitions(), 0);
    let [sent, received] = client.into_pipe().hashes();
    let found = [
        ("model", sha256(&bytes)),
        ("to the device", sent),
        ("from the device", received),
        ("head", sha256(&head)),
        ("flash", sha256(flash.bytes())),
    ];
    found.map(|(what, sha)| (what, &*sha.leak()))
}

const RECORDED: [(&str, &str); 5] = [
    (
        "model",
        "a062f5d7624800fe89e117a7efc23f35ffa0ca1613d2524ff97aa9c5a135a1dd",
    ),
    (
        "to the device",
        "19414e13a6e69a6c062d2d08055bcc683612bc22c2871a4e093d32ab019542c7",
    ),
    (
        "from the device",
        "7dfd9be4ec29f7a1461fe97fb0af30f7317d97cf6b9be731925cd218c0fc6a0e",
    ),
    (
        "head",
        "e1d23d557d3bbd083e46b0ba1aefdf86ee8a6ff506bb238ca283d26ca8da218f",
    ),
    (
        "flash",
        "f1aaa4bb9dacf498bb0f2df0691923ca691f391d4bf0a060fa9235ce3c9e6ea2",
    ),
];

/// A loader at the other end, in one thread.
struct ToLoader<'b, 'f> {
    vacant: LoadServer<'b, ModelRegion<&'f mut SimFlash>>,
    waiting: Vec<u8>,
}

impl Pipe for ToLoader<'_, '_> {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let waiting = &mut self.waiting;
        self.vacant
            .receive(bytes, &mut |frame| waiting.extend_from_slice(frame));
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> std::io::Result<usize> {
        let count = buffer.len().min(self.waiting.len());
        buffer[..count].copy_from_slice(&self.waiting[..count]);
        self.waiting.drain(..count);
        Ok(count)
    }
}

#[test]
fn a_model_is_loaded_as_recorded() {
    let bytes = tiny::model();
    let model = Model::parse(&bytes).unwrap();
    let limits = Machine::new(Trust::Anyone).limits();
    let mut region = SimFlash::new(REGION, true);
    let loader = Loader::new(ModelRegion::new(&mut region), limits, NotReady::NoModel);
    let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
    let pipe = ToLoader {
        vacant: LoadServer::new(loader, &mut rx, &mut tx),
        waiting: vec![],
    };
    let mut client = Client::new(Recorder::new(pipe), 0x0807_0605, PATIENCE);
    assert!(matches!(
        client.connect(None),
        Err(ClientError::Device(DeviceError::NotReady(
            NotReady::NoModel
        )))
    ));
    client.load_info().unwrap();
    let trunk = client.load(&bytes, &model, None, &mut |_| ()).unwrap();
    assert_eq!(trunk.as_ref(), Some(model.trunk_sha256()));
    let [sent, received] = client.into_pipe().hashes();
    let found = [sent, received, sha256(region.bytes())];
    assert_eq!(found, LOADED);
}

/// To the device, from the device, the model's region.
const LOADED: [&str; 3] = [
    "2e114a21966368cb38d749dc90932b0d87a25f8a6500940393dc5109f0249d60",
    "38cd51b6358160b5fd26654823a00dea1179f4c7bbad4f00220e00ba8ca7e594",
    "b87f27f835c199af826362640cfd47c3057d30fdd93e0a7a9b930e3694315628",
];
