//! Whole sessions, over sockets and on the device's own shell: the same heads as elsewhere.

use super::*;

#[test]
fn a_session_over_tcp_gives_the_simulations_head() {
    for backend in backends() {
        a_session_over_tcp(backend.name());
    }
}

fn a_session_over_tcp(backend: &str) {
    let place = Place::new();
    let server = Running::start(&place, "127.0.0.1:0", &["--backend", backend]);
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
    let kind = BackendKind::fastest_for(&model);
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
