//! A public key: whose models run, and whose heads are taken.

use super::*;

#[test]
fn a_public_key_decides_whose_models_run() {
    let place = Place::new();
    let model = place.path("model.edge");
    let ((key, public), (other, _)) = (pair(&place, "key.pem"), pair(&place, "other.pem"));
    let refused = |trust: &Path, words: &str| {
        for command in ["serve", "info"] {
            let mut asked = place.own(command);
            if command == "serve" {
                asked.args(["--listen", "127.0.0.1:0"]);
            }
            let text = failure(asked.arg("--trust").arg(trust).output().unwrap());
            assert!(text.contains(words), "{text}");
        }
        assert!(!place.path("state").exists(), "refused before it is made");
    };
    refused(&public, "the model has no signature");
    other.sign_file(&model).unwrap();
    refused(&public, "the signature of the model does not fit");
    // The signature of a model that was changed after it was signed, though it is a good model still.
    std::fs::write(&model, &int8_model(8)[..]).unwrap();
    key.sign_file(&model).unwrap();
    std::fs::write(&model, &MODEL[..]).unwrap();
    refused(&public, "the signature of the model does not fit");
    std::fs::write(beside(&model), [1; 63]).unwrap();
    refused(&public, "a signature has 64 bytes");
    key.sign_file(&model).unwrap();
    refused(&place.path("key.pem"), "this is a private key");
    refused(&place.path("model.edge"), "not an Ed25519 public key");
    refused(&place.path("absent"), "cannot read the public key");
    let shown = place.own("info").arg("--trust").arg(&public).output();
    let shown = success(shown.unwrap());
    assert!(shown.contains("heads with a valid signature"), "{shown}");
    // Elsewhere than beside the model.
    let elsewhere = place.path("signature");
    std::fs::rename(beside(&model), &elsewhere).unwrap();
    let mut info = place.own("info");
    info.arg("--trust").arg(&public);
    info.arg("--signature").arg(&elsewhere);
    success(info.output().unwrap());
}

#[test]
fn a_public_key_decides_whose_heads_are_taken() {
    let place = Place::new();
    let flash = || std::fs::read(place.path("state/flash.bin")).unwrap();
    let (key, public) = pair(&place, "key.pem");
    let (other, other_public) = pair(&place, "other.pem");
    let trust = |public: &Path| ["--trust".to_string(), public.to_str().unwrap().into()];
    let start = |public: &Path| {
        let trust = trust(public);
        Running::start(&place, "127.0.0.1:0", &[&trust[0], &trust[1]])
    };
    key.sign_file(&place.path("model.edge")).unwrap();
    let server = start(&public);
    let mut client = server.client();
    let before = (client.state().unwrap(), flash());
    assert!(before.0.signed && before.0.active == Active::Factory);
    let head = simulated(options());
    let (_, good) = key.sign(&head).unwrap();
    let (_, forged) = other.sign(&head).unwrap();
    let (_, models) = key.sign(&MODEL).unwrap();
    for (signature, error) in [
        (None, DeviceError::Unsigned),
        (Some(&forged), DeviceError::Signature),
        (Some(&models), DeviceError::Signature),
    ] {
        client.import_head(&head, signature).unwrap();
        match client.commit() {
            Err(ClientError::Device(found)) => assert_eq!(found, error),
            other => panic!("{other:?}"),
        }
        assert_eq!((client.state().unwrap(), flash()), before, "untouched");
    }
    client.import_head(&head, Some(&good)).unwrap();
    assert_eq!(client.commit().unwrap(), 1);
    assert!(client.export_head().unwrap() == head);
    // What the device trains itself needs no signature.
    add_samples(&mut client, &Model::parse(&MODEL).unwrap());
    let forced = RetrainOptions {
        force: true,
        ..options()
    };
    let trained = client.retrain(forced, &mut |_| ()).unwrap();
    assert_eq!(trained.committed, Some(2));
    assert_eq!(client.rollback().unwrap().sequence(), 1);
    // A head stays judged: with another key it is not active, with the right one it is again.
    server.kill();
    other.sign_file(&place.path("model.edge")).unwrap();
    let server = start(&other_public);
    assert_eq!(server.client().state().unwrap().active, Active::Factory);
    server.kill();
    key.sign_file(&place.path("model.edge")).unwrap();
    let server = start(&public);
    assert_eq!(server.client().state().unwrap().active.sequence(), 1);
}
