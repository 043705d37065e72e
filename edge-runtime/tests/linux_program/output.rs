//! What the program prints: JSON, progress, mistakes.

use super::*;

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
