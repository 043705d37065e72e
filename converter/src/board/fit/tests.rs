use super::*;
use crate::board::known::BUILT_IN;
use crate::board::needs::OwnHead;
use crate::board::schema::parse;
use crate::board::{all, find, sizes};
use edge_runtime::head::{HeadSize, MAX_HIDDEN};

const KIB: u64 = 1024;

/// MobileNet-like: 96x96 input, 256 features.
fn small() -> Needs {
    Needs {
        int8: true,
        model_bytes: 300 * KIB,
        arena_bytes: 60 * KIB,
        features: 256,
        head: Some(OwnHead {
            classes: 2,
            bytes: 900,
        }),
        operators: ["conv", "depthwise-conv"].into(),
    }
}

/// EfficientNet-Lite0 as the converter writes it.
fn lite0() -> Needs {
    Needs {
        int8: true,
        model_bytes: 4_820_000,
        arena_bytes: 1_505_280,
        features: 1280,
        head: Some(OwnHead {
            classes: 1000,
            bytes: 1_300_000,
        }),
        operators: ["add", "conv", "depthwise-conv"].into(),
    }
}

fn line(fit: &Fit, item: Item) -> &Requirement {
    fit.lines.iter().find(|l| l.item == item).unwrap()
}

fn on(name: &str, needs: &Needs, request: Request) -> Fit {
    judge(needs, &find(name).unwrap(), &request)
}

#[test]
fn a_small_model_fits_everywhere() {
    for board in all() {
        let fit = judge(&small(), board, &Request::default());
        assert!(fit.fits(), "{}: {:?}", board.name, fit.lines);
        assert!(fit.lines.iter().all(|l| l.advice.is_none()));
        assert!(fit.most_classes >= 20 && fit.sample_capacity >= 100);
    }
}

#[test]
fn every_line_counts_to_the_byte() {
    let mut needs = small();
    let request = Request::default();
    let board = find("nucleo-h743zi2").unwrap();
    let fit = judge(&needs, &board, &request);
    assert_eq!(line(&fit, Item::Model).has, Some(1024 * KIB));
    let room = sizes::sample_room(&board.store(Use::Samples).unwrap(), 256);
    let buffers = sizes::buffer_bytes(256, 5, 2, &room);
    assert_eq!(line(&fit, Item::Buffers).needs, Some(buffers));
    let left = 512 * KIB - buffers;
    for (item, bytes) in [
        (Item::Arena, 60 * KIB),
        (
            Item::Training,
            sizes::training_bytes(&HeadSize::linear(256, 5)),
        ),
    ] {
        let line = line(&fit, item);
        assert_eq!((line.needs, line.has), (Some(bytes), Some(left)));
    }
    assert_eq!(line(&fit, Item::Samples).needs, Some(100));
    needs.arena_bytes = left;
    assert!(judge(&needs, &board, &request).fits());
    needs.arena_bytes += 1;
    let fit = judge(&needs, &board, &request);
    assert_eq!(fit.misfits(), ["arena"]);
    let advice = line(&fit, Item::Arena).advice.as_ref().unwrap();
    assert!(advice.contains("smaller input"), "{advice}");
    needs.arena_bytes = 0;
    needs.model_bytes = 1024 * KIB + 1;
    let fit = judge(&needs, &board, &request);
    assert_eq!(fit.misfits(), ["model"]);
    let advice = line(&fit, Item::Model).advice.as_ref().unwrap();
    assert!(advice.contains("memory 'flash'"), "{advice}");
}

/// Training uses the arena's bytes, so it can fail while inference fits.
#[test]
fn training_beside_a_small_arena() {
    let mut needs = small();
    needs.features = 2048;
    let classes = |classes| Request {
        classes,
        samples: Some(10),
        ..Request::default()
    };
    let fit = on("nrf5340-dk", &needs, classes(5));
    assert!(fit.fits());
    let mut board = find("nrf5340-dk").unwrap();
    let arena = board.regions.iter_mut().find(|r| r.purpose == Use::Arena);
    arena.unwrap().size = 100 * KIB;
    let fit = judge(&needs, &board, &classes(5));
    assert_eq!(fit.misfits(), ["training RAM"]);
    assert!((2..5).contains(&fit.most_classes));
    let advice = line(&fit, Item::Training).advice.as_ref().unwrap();
    assert!(advice.contains(&format!("at most {} classes", fit.most_classes)));
    assert!(advice.contains("memory 'ram'"), "{advice}");
    assert!(judge(&needs, &board, &classes(fit.most_classes)).fits());
    assert!(!judge(&needs, &board, &classes(fit.most_classes + 1)).fits());
    board.regions.iter_mut().for_each(|r| r.size = 4 * KIB);
    let fit = judge(&needs, &board, &classes(5));
    assert!(
        fit.misfits()
            .starts_with(&["model", "buffers", "arena", "training RAM"])
    );
    assert_eq!(fit.most_classes, 0);
}

#[test]
fn efficientnet_where_it_fits() {
    let request = Request::default();
    for (board, misfits) in [
        ("qemu-m7", &[][..]),
        ("qemu-m4", &[]),
        ("raspberry-pi-4", &[]),
        ("host", &[]),
        ("nucleo-h743zi2", &["model", "arena"]),
        ("rp2350", &["model", "arena"]),
        ("nrf5340-dk", &["model", "arena"]),
    ] {
        assert_eq!(on(board, &lite0(), request).misfits(), misfits, "{board}");
    }
    let fit = on("qemu-m7", &lite0(), request);
    assert!(fit.notes[0].contains("1000 classes"), "{:?}", fit.notes);
}

#[test]
fn hidden_layers() {
    let needs = small();
    let with = |hidden| Request {
        hidden,
        ..Request::default()
    };
    let fit = on("nrf5340-dk", &needs, with(0));
    let most = fit.most_hidden;
    assert!(fit.lines.iter().all(|l| l.item != Item::HiddenTraining));
    assert!((8..MAX_HIDDEN).contains(&most), "{most}");
    assert!(on("nrf5340-dk", &needs, with(most)).fits());
    let fit = on("nrf5340-dk", &needs, with(most + 1));
    assert!(!fit.fits());
    let advice = fit.lines.iter().find_map(|l| l.advice.as_deref());
    assert_eq!(advice, Some(format!("at most {most} units").as_str()));
    assert!(on("host", &needs, with(90)).fits());
}

#[test]
fn too_many_classes_or_samples() {
    let needs = small();
    let mut board = find("nrf5340-dk").unwrap();
    let heads = board.regions.iter_mut().find(|r| r.purpose == Use::Heads);
    heads.unwrap().size = 2 * 8 * KIB;
    let with = |classes| Request {
        classes,
        samples: Some(10),
        ..Request::default()
    };
    let fit = judge(&needs, &board, &with(90));
    assert_eq!(fit.misfits(), ["head slot"]);
    let most = fit.most_classes;
    assert!((2..90).contains(&most));
    let advice = line(&fit, Item::HeadSlot).advice.as_ref().unwrap();
    assert!(
        advice.contains(&format!("at most {most} classes")),
        "{advice}"
    );
    // The advice holds, and one class more does not fit.
    assert!(judge(&needs, &board, &with(most)).fits());
    assert!(!judge(&needs, &board, &with(most + 1)).fits());
    let fit = judge(&needs, &board, &samples(1_000_000));
    assert_eq!(fit.misfits(), ["sample store"]);
    let most = fit.sample_capacity;
    assert!(judge(&needs, &board, &samples(most)).fits());
    assert!(!judge(&needs, &board, &samples(most + 1)).fits());
    assert_eq!(on("host", &needs, with(101)).misfits(), ["sample store"]);
    // No arithmetic of an absurd request overflows.
    let absurd = Request {
        classes: 65536,
        samples: Some(u64::MAX),
        hidden: usize::MAX >> 32,
    };
    assert!(!on("rp2350", &lite0(), absurd).fits());
}

fn samples(samples: u64) -> Request {
    Request {
        samples: Some(samples),
        ..Request::default()
    }
}

#[test]
fn float_models_and_models_without_a_head() {
    let mut needs = small();
    needs.int8 = false;
    let fit = on("rp2350", &needs, Request::default());
    assert_eq!(fit.misfits(), ["type"]);
    let advice = line(&fit, Item::Type).advice.as_ref().unwrap();
    assert!(
        advice.contains("only on Linux boards; convert with --int8"),
        "{advice}"
    );
    assert!(fit.notes[0].contains("cannot be retrained"));
    assert!(on("raspberry-pi-5", &needs, Request::default()).fits());
    let mut needs = small();
    needs.head = None;
    let fit = on("rp2350", &needs, Request::default());
    assert!(fit.fits() && fit.notes.is_empty() && fit.most_classes > 2);
}

#[test]
fn ram_of_linux_boards() {
    let mut board = find("raspberry-pi-4").unwrap();
    let linux = board.linux.as_mut().unwrap();
    (linux.ram, linux.reserved) = (Some(16 << 20), 8 << 20);
    let fit = judge(&lite0(), &board, &Request::default());
    assert_eq!(fit.misfits(), ["RAM"]);
    board.linux.as_mut().unwrap().ram = None;
    let fit = judge(&lite0(), &board, &Request::default());
    assert!(fit.fits() && line(&fit, Item::Ram).has.is_none());
}

#[test]
fn operators_that_a_board_lacks() {
    let mut board = find("rp2350").unwrap();
    board.unsupported_operators = vec!["depthwise-conv".into(), "shuffle".into()];
    let fit = judge(&small(), &board, &Request::default());
    assert_eq!(fit.misfits(), ["operators"]);
    let operators = line(&fit, Item::Operators);
    assert_eq!((operators.needs, operators.has), (Some(2), Some(1)));
    let advice = operators.advice.as_ref().unwrap();
    assert!(
        advice.contains("depthwise-conv") && !advice.contains("shuffle"),
        "{advice}"
    );
}

proptest::proptest! {
    /// A file with a few changed characters gives a board that can be judged, or an error of one line.
    #[test]
    fn damaged_files(
        board in 0..BUILT_IN.len(),
        changes in proptest::collection::vec((0..4000usize, " |#|=|-|[0-9a-fx]|\n|\"|é"), 1..6),
        features in 1..70_000usize,
    ) {
        let mut text: Vec<char> = BUILT_IN[board].1.chars().collect();
        for (at, to) in changes {
            let at = at % text.len();
            text[at] = to.chars().next().unwrap();
        }
        match parse(&text.into_iter().collect::<String>()) {
            Ok(board) => {
                let needs = Needs {
                    int8: true,
                    model_bytes: u64::MAX,
                    arena_bytes: u64::MAX >> 1,
                    features,
                    head: None,
                    operators: Default::default(),
                };
                judge(&needs, &board, &Request::default());
            }
            Err(e) => assert_eq!(e.to_string().lines().count(), 1, "{e}"),
        }
    }
}
