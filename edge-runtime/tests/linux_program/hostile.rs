//! Hosts that have no key, talk nonsense, or are too many.

use super::*;

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
    let line = Connection::connect(&server.address.parse().unwrap(), None).unwrap();
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

/// Sends a payload as a frame and waits for the payload that answers it.
fn raw(line: &mut Connection, payload: &[u8]) -> Option<Vec<u8>> {
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
        let mut line = Connection::connect(&server.address.parse().unwrap(), key.as_ref()).unwrap();
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
