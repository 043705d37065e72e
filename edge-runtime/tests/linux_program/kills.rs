//! SIGKILL at any moment, and two programs on one state.

use super::*;

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
