//! Models over the line: old or new, never none.

use super::*;
use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use graft_tests::source;

fn load(
    client: &mut Client<Connection>,
    file: &[u8],
    signature: Option<&[u8; 64]>,
) -> Result<Option<[u8; 32]>, ClientError> {
    let bytes = AlignedBytes::copy_of(file);
    client.load(
        &bytes,
        &Model::parse(&bytes).unwrap(),
        signature,
        &mut |_| (),
    )
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> DeviceError {
    match result {
        Err(ClientError::Device(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_is_loaded_and_the_program_starts_anew() {
    let place = Place::new();
    let mut server = Running::start(&place, "127.0.0.1:0", &[]);
    let old = Model::parse(&MODEL).unwrap();
    let bytes = int8_model(8);
    let new = Model::parse(&bytes).unwrap();
    let mut client = server.client();
    client.send_input(&input(&old, 0, 1)).unwrap();
    client.add_sample("red", None).unwrap();
    let info = client.load_info().unwrap();
    assert_eq!(info.model, Some(p::ModelId::of(&old)));
    assert!(info.keeps_old && !info.signed && info.family.is_none());
    let part = place.path("model.edge.part");
    let mut first = true;
    client
        .load(&bytes, &new, None, &mut |_| {
            if std::mem::take(&mut first) {
                // The application goes on for other hosts meanwhile.
                assert_eq!(server.client().state().unwrap().samples, 1);
                assert!(part.exists());
            }
        })
        .unwrap();
    server.wait();
    assert!(!first && !part.exists());
    assert!(std::fs::read(place.path("model.edge")).unwrap() == bytes[..]);
    let mut client = server.client();
    assert_eq!(
        client.load_info().unwrap().model,
        Some(p::ModelId::of(&new))
    );
    assert_eq!(client.state().unwrap().samples, 0);
    load(&mut client, &MODEL, None).unwrap();
    server.wait();
    assert_eq!(server.client().state().unwrap().samples, 1);

    // A host that goes away in the middle changes nothing, and a program that is killed neither.
    let mut client = server.client();
    let file = p::LoadFile {
        len: bytes.len() as u32,
        sha256: [1; 32],
        signature: None,
        demand: edge_runtime::device::protocol::Demand::of(&new),
    };
    client
        .call(&Request::BeginLoad(file), |_| Some(()))
        .unwrap();
    let chunk = Request::LoadChunk {
        offset: 0,
        data: &bytes[..1000],
    };
    client.call(&chunk, |_| Some(())).unwrap();
    assert!(part.exists());
    let mut whole = server.client();
    assert_eq!(whole.state().unwrap().samples, 1);
    // Other bytes than were announced: the old model goes on.
    let mut at = 1000;
    for data in bytes[1000..].chunks(1000) {
        let chunk = Request::LoadChunk { offset: at, data };
        client.call(&chunk, |_| Some(())).unwrap();
        at += data.len() as u32;
    }
    let finished = client.call(&Request::FinishLoad, |_| Some(()));
    assert_eq!(refusal(finished), DeviceError::Checksum);
    assert!(!part.exists(), "dropped");
    // Also for the host that sent it.
    client.connect(None).unwrap();
    assert_eq!(client.state().unwrap().samples, 1);
    drop((client, whole));
    server.kill();
    std::fs::write(&part, b"left over").unwrap();
    let mut server = Running::start(&place, "127.0.0.1:0", &[]);
    load(&mut server.client(), &bytes, None).unwrap();
    server.wait();
    assert_eq!(
        server.client().load_info().unwrap().model,
        Some(p::ModelId::of(&new))
    );
}

#[test]
fn a_program_without_a_model_takes_one() {
    let place = Place::new();
    let float = convert(source(7), None, &Silent).unwrap().bytes;
    for (content, reason) in [
        (None, NotReady::NoModel),
        (Some(&b"no model"[..]), NotReady::NoModel),
        (Some(&MODEL[..MODEL.len() - 7]), NotReady::DamagedModel),
        (Some(&float[..]), NotReady::FloatModel),
    ] {
        let path = place.path("model.edge");
        std::fs::remove_file(&path).unwrap();
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        // The engine refuses floats by itself, and the program must not end for that.
        let mut server = Running::start(&place, "127.0.0.1:0", &["--backend", "engine"]);
        let line = Connection::connect(&server.address.parse().unwrap(), None).unwrap();
        let mut client = Client::new(line, 1, Patience::default());
        assert_eq!(refusal(client.connect(None)), DeviceError::NotReady(reason));
        load(&mut client, &MODEL, None).unwrap();
        server.wait();
        assert_eq!(server.client().state().unwrap().samples, 0);
    }
}

#[test]
fn a_model_is_loaded_where_a_key_is_set() {
    let place = Place::new();
    let ((key, public), (other, _)) = (pair(&place, "key.pem"), pair(&place, "other.pem"));
    let model = place.path("model.edge");
    key.sign_file(&model).unwrap();
    let trust = ["--trust", public.to_str().unwrap()];
    let mut server = Running::start(&place, "127.0.0.1:0", &trust);
    let bytes = int8_model(8);
    let (_, good) = key.sign(&bytes).unwrap();
    let (_, forged) = other.sign(&bytes).unwrap();
    let mut client = server.client();
    for (signature, error) in [
        (None, LoadError::Unsigned),
        (Some(&forged), LoadError::Signature),
    ] {
        let refused = load(&mut client, &bytes, signature);
        assert_eq!(refusal(refused), DeviceError::Load(error));
        assert!(std::fs::read(&model).unwrap() == MODEL[..]);
    }
    load(&mut client, &bytes, Some(&good)).unwrap();
    server.wait();
    let mut client = server.client();
    let id = p::ModelId::of(&Model::parse(&bytes).unwrap());
    assert_eq!(client.load_info().unwrap().model, Some(id));
    assert_eq!(std::fs::read(beside(&model)).unwrap(), good);
    // Power failed between the model and its signature: the one that waits takes its place.
    server.kill();
    key.sign_file(&model).unwrap();
    let next = place.path("model.edge.sig.next");
    std::fs::rename(beside(&model), &next).unwrap();
    std::fs::write(beside(&model), forged).unwrap();
    let server = Running::start(&place, "127.0.0.1:0", &trust);
    assert!(server.client().state().unwrap().signed);
    assert_eq!(std::fs::read(beside(&model)).unwrap(), good);
    assert!(!next.exists());
}

#[test]
fn a_model_that_may_not_be_written_is_not_loaded() {
    let place = Place::new();
    // As `deploy` has it: the folder of the model is a link to a release.
    let release = place.path("release");
    std::fs::create_dir(&release).unwrap();
    std::fs::rename(place.path("model.edge"), release.join("model.edge")).unwrap();
    std::os::unix::fs::symlink(&release, place.path("current")).unwrap();
    let mut serve = edge("serve");
    serve.arg("--model").arg(place.path("current/model.edge"));
    serve.arg("--state").arg(place.path("state"));
    serve.args(["--samples-mib", "1", "--listen", "127.0.0.1:0"]);
    let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut server = Running {
        child,
        out,
        address: String::new(),
    };
    server.wait();
    let mut client = server.client();
    let refused = refusal(load(&mut client, &int8_model(8), None));
    assert_eq!(refused, DeviceError::Load(LoadError::ReadOnly));
    assert!(
        refused.to_string().contains("cargo xtask deploy"),
        "{refused}"
    );
    assert_eq!(client.state().unwrap().samples, 0);
    assert_eq!(server.client().state().unwrap().samples, 0);
    assert!(std::fs::read(release.join("model.edge")).unwrap() == MODEL[..]);
}
