//! Does a model fit a board? Line by line: what it needs, what the board has, and what to change.
//!
//! [`judge`] only compares numbers; [`fit()`] adds the advice. The numbers of a model are exact: they are in
//! its file. Those of training are what `edge-runtime` takes, those of the stores are in [`super::sizes`].

use super::advice::{self, Network};
use super::schema::{Board, Region, Use};
use super::sizes::{self, SampleRoom};
use crate::report::training_bytes;
use edge_runtime::model::{DType, Model};
use std::collections::BTreeSet;

/// Classes of a head to be trained, if nobody says how many.
pub const CLASSES: usize = 5;

/// Samples of each class that the store must hold, if nobody says how many.
pub const SAMPLES_PER_CLASS: u64 = 20;

/// Most classes of the sample store.
pub const MAX_CLASSES: usize = 100;

/// What a model asks of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// False for a float model.
    pub int8: bool,
    /// Length of the file.
    pub model_bytes: u64,
    /// Length of the arena.
    pub arena_bytes: u64,
    /// Its head, if it has one.
    pub head: Option<HeadNeeds>,
    /// Names of its operators.
    pub operators: BTreeSet<&'static str>,
}

/// What a model's head asks of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadNeeds {
    /// Length of the feature vector.
    pub features: usize,
    /// Classes of the head in the file.
    pub classes: usize,
    /// Length of that head's own file.
    pub bytes: u64,
}

impl Needs {
    /// The needs of a model whose file has so many bytes.
    pub fn of(model: &Model<'_>, file_len: usize) -> Self {
        Self {
            int8: model.dtype() == DType::I8,
            model_bytes: file_len as u64,
            arena_bytes: model.arena_bytes() as u64,
            head: model.head().map(|h| HeadNeeds {
                features: h.features(),
                classes: h.classes(),
                bytes: h.bytes().len() as u64,
            }),
            operators: model.layers().map(|l| l.op.name()).collect(),
        }
    }
}

/// What is to be done on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Classes of the head to be trained.
    pub classes: usize,
    /// Samples that the store must hold; absent: [`SAMPLES_PER_CLASS`] for each class.
    pub samples: Option<u64>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            classes: CLASSES,
            samples: None,
        }
    }
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// int8 or float.
    Type,
    /// Operators that the board's program has.
    Operators,
    /// The file.
    Model,
    /// The activations.
    Arena,
    /// A trained head in its slot.
    HeadSlot,
    /// The sample store.
    Samples,
    /// RAM of training.
    Training,
    /// All RAM that the program takes, on Linux.
    Ram,
}

impl Item {
    /// Its name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Item::Type => "type",
            Item::Operators => "operators",
            Item::Model => "model",
            Item::Arena => "arena",
            Item::HeadSlot => "head slot",
            Item::Samples => "sample store",
            Item::Training => "training RAM",
            Item::Ram => "RAM",
        }
    }

    /// What its numbers count.
    pub const fn unit(self) -> &'static str {
        match self {
            Item::Type | Item::Operators => "operators",
            Item::Samples => "samples",
            _ => "bytes",
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub item: Item,
    /// Where on the board, for people.
    pub place: String,
    /// What is needed; absent where nothing can be counted.
    pub needs: Option<u64>,
    /// What there is; absent where that is not known.
    pub has: Option<u64>,
    /// False if it does not fit.
    pub fits: bool,
    /// What to change, if it does not fit.
    pub advice: Option<String>,
}

/// The whole judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The board's name.
    pub board: String,
    /// What was asked for.
    pub request: Request,
    /// All comparisons.
    pub lines: Vec<Line>,
    /// Most samples that the store holds; 0 if none can be stored.
    pub sample_capacity: u64,
    /// Most classes that can be trained with this model here; 0 if none.
    pub most_classes: usize,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// Networks of the catalog that fit this board, if the model does not.
    pub networks: Vec<Network>,
    /// Boards that this model fits, if it does not fit this one.
    pub boards: Vec<String>,
}

impl Fit {
    /// True if everything fits.
    pub fn fits(&self) -> bool {
        self.lines.iter().all(|l| l.fits)
    }

    /// Names of what does not fit.
    pub fn misfits(&self) -> Vec<&'static str> {
        let lines = self.lines.iter().filter(|l| !l.fits);
        lines.map(|l| l.item.name()).collect()
    }
}

/// Judges a model, with advice if it does not fit: that builds networks of the catalog and takes some
/// seconds.
pub fn fit(needs: &Needs, board: &Board, request: &Request) -> Fit {
    let mut fit = judge(needs, board, request);
    if !fit.fits() {
        fit.networks = advice::networks(board, request);
        fit.boards = advice::boards(needs, board, request);
    }
    fit
}

/// Judges a model without looking for networks and boards that would fit.
pub fn judge(needs: &Needs, board: &Board, request: &Request) -> Fit {
    let mut fit = Fit {
        board: board.name.clone(),
        request: *request,
        lines: vec![kind(needs, board), operators(needs, board)],
        sample_capacity: 0,
        most_classes: 0,
        notes: vec![],
        networks: vec![],
        boards: vec![],
    };
    if board.linux.is_none() {
        fit.lines
            .push(memory(board, Use::Model, Item::Model, needs.model_bytes));
        fit.lines
            .push(memory(board, Use::Arena, Item::Arena, needs.arena_bytes));
    }
    match (needs.head, needs.int8) {
        (Some(head), true) => retraining(&mut fit, needs, head, board, request),
        (head, int8) => {
            if board.linux.is_some() {
                fit.lines.push(linux_ram(needs, board, 0));
            }
            fit.notes.push(match (head, int8) {
                (None, _) => {
                    "the network has no classifier head, so there is nothing to retrain".into()
                }
                _ => "a float model cannot be retrained on the device".to_string(),
            });
        }
    }
    fit
}

fn kind(needs: &Needs, board: &Board) -> Line {
    let fits = needs.int8 || board.linux.is_some();
    Line {
        item: Item::Type,
        place: if needs.int8 { "int8" } else { "float32" }.into(),
        needs: None,
        has: None,
        fits,
        advice: (!fits)
            .then(|| "a float model runs only on Linux boards; convert with --int8".into()),
    }
}

fn operators(needs: &Needs, board: &Board) -> Line {
    let unsupported = |op: &&&str| board.unsupported_operators.iter().any(|u| u == **op);
    let missing: Vec<&str> = needs
        .operators
        .iter()
        .filter(unsupported)
        .copied()
        .collect();
    let count = needs.operators.len() as u64;
    Line {
        item: Item::Operators,
        place: "the board's program".into(),
        needs: Some(count),
        has: Some(count - missing.len() as u64),
        fits: missing.is_empty(),
        advice: (!missing.is_empty()).then(|| {
            format!(
                "the program of this board lacks {}; take a network without, or another board",
                missing.join(", ")
            )
        }),
    }
}

/// A need against a region of a microcontroller.
fn memory(board: &Board, purpose: Use, item: Item, needs: u64) -> Line {
    let region = board.region(purpose);
    let has = region.map_or(0, |r| r.size);
    let fits = needs <= has;
    let change = match item {
        Item::Arena => {
            "a smaller network, or a smaller input: the arena grows with the input's area"
        }
        _ => "a smaller network, or fewer classes in its head",
    };
    let roomy = region
        .and_then(|r| board.memory(&r.memory))
        .filter(|m| m.size >= needs);
    let advice = match roomy {
        Some(m) => format!(
            "{change}; or a larger region '{}': memory '{}' as a whole would hold it",
            purpose.name(),
            m.name
        ),
        None => change.into(),
    };
    Line {
        item,
        place: place(region),
        needs: Some(needs),
        has: Some(has),
        fits,
        advice: (!fits).then_some(advice),
    }
}

fn place(region: Option<&Region>) -> String {
    region.map_or("no region".into(), |r| {
        format!("{} in {}", r.purpose.name(), r.memory)
    })
}

/// Head slot, sample store and training RAM.
fn retraining(fit: &mut Fit, needs: &Needs, head: HeadNeeds, board: &Board, request: &Request) {
    let on_linux = board.linux.is_some();
    let slot = board
        .store(Use::Heads)
        .map_or(0, |s| sizes::head_capacity(&s));
    let room = board
        .store(Use::Samples)
        .map_or(SampleRoom::default(), |s| {
            sizes::sample_room(&s, head.features)
        });
    let left = training_room(needs, board);
    let training =
        |classes: usize| training_bytes(head.features, classes) as u64 + room.index_bytes();
    let works = |classes: &usize| {
        sizes::head_len(head.features, *classes) <= slot
            && training(*classes) <= left.unwrap_or(u64::MAX)
    };
    fit.most_classes = (2..=MAX_CLASSES).rev().find(works).unwrap_or(0);
    fit.sample_capacity = room.capacity;

    let fewer = match fit.most_classes {
        0 => "a network with fewer features".to_string(),
        most => format!("at most {most} classes"),
    };
    let head_len = sizes::head_len(head.features, request.classes);
    fit.lines.push(Line {
        item: Item::HeadSlot,
        place: match board.region(Use::Heads) {
            Some(region) => format!("half of {}", place(Some(region))),
            None => "half of the file of heads".into(),
        },
        needs: Some(head_len),
        has: Some(slot),
        fits: head_len <= slot,
        advice: (head_len > slot).then(|| format!("{fewer}; or larger head slots")),
    });

    let samples = request
        .samples
        .unwrap_or(SAMPLES_PER_CLASS * request.classes as u64);
    let enough = samples <= room.capacity && request.classes <= MAX_CLASSES;
    fit.lines.push(Line {
        item: Item::Samples,
        place: match board.region(Use::Samples) {
            Some(region) => place(Some(region)),
            None => "the file of samples".into(),
        },
        needs: Some(samples),
        has: Some(room.capacity),
        fits: enough,
        advice: (!enough).then(|| match room.capacity {
            _ if request.classes > MAX_CLASSES => {
                format!("the sample store keeps at most {MAX_CLASSES} classes")
            }
            0 => "a larger sample store, or a network with fewer features".into(),
            most => format!("at most {most} samples; or a larger sample store"),
        }),
    });

    let bytes = training(request.classes);
    if on_linux {
        fit.lines.push(linux_ram(needs, board, bytes));
    } else {
        let has = left.unwrap_or(0);
        let region = board.region(Use::Training);
        let advice = match (region, has) {
            (None, 0) => "the arena leaves nothing of its region".into(),
            (None, _) => format!("{fewer}; or a smaller arena, which leaves more of its region"),
            (Some(_), _) => format!("{fewer}; or a larger region 'training'"),
        };
        fit.lines.push(Line {
            item: Item::Training,
            place: match region {
                Some(region) => place(Some(region)),
                None => format!("rest of {}", place(board.region(Use::Arena))),
            },
            needs: Some(bytes),
            has: Some(has),
            fits: bytes <= has,
            advice: (bytes > has).then_some(advice),
        });
    }
    if head.bytes > slot {
        fit.notes.push(format!(
            "a slot does not hold a head as large as the model's own with its {} classes; that one stays in the model's file",
            head.classes
        ));
    }
}

/// Bytes that training can have besides the model's arena; `None` if that is not known.
fn training_room(needs: &Needs, board: &Board) -> Option<u64> {
    if board.linux.is_some() {
        return linux_room(board).map(|room| room.saturating_sub(program_bytes(needs)));
    }
    if let Some(region) = board.region(Use::Training) {
        return Some(region.size);
    }
    let arena = board.region(Use::Arena).map_or(0, |r| r.size);
    Some(arena.saturating_sub(needs.arena_bytes))
}

fn linux_room(board: &Board) -> Option<u64> {
    let linux = board.linux?;
    Some(linux.ram?.saturating_sub(linux.reserved))
}

/// What the Linux program takes for inference: the mapped file, weights that its backend packs from it, and
/// the activations.
fn program_bytes(needs: &Needs) -> u64 {
    needs
        .model_bytes
        .saturating_mul(2)
        .saturating_add(needs.arena_bytes)
}

fn linux_ram(needs: &Needs, board: &Board, training: u64) -> Line {
    let bytes = program_bytes(needs).saturating_add(training);
    let has = linux_room(board);
    let fits = has.is_none_or(|has| bytes <= has);
    Line {
        item: Item::Ram,
        place: match has {
            Some(_) => "RAM without what the system takes",
            None => "RAM of this machine, not known here",
        }
        .into(),
        needs: Some(bytes),
        has,
        fits,
        advice: (!fits).then(|| "a smaller network, or a board with more RAM".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::find;

    const KIB: u64 = 1024;

    /// MobileNet-like: 96x96 input, 256 features.
    fn small() -> Needs {
        Needs {
            int8: true,
            model_bytes: 300 * KIB,
            arena_bytes: 60 * KIB,
            head: Some(HeadNeeds {
                features: 256,
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
            head: Some(HeadNeeds {
                features: 1280,
                classes: 1000,
                bytes: 1_300_000,
            }),
            operators: ["add", "conv", "depthwise-conv"].into(),
        }
    }

    fn line(fit: &Fit, item: Item) -> &Line {
        fit.lines.iter().find(|l| l.item == item).unwrap()
    }

    fn on(name: &str, needs: &Needs, request: Request) -> Fit {
        judge(needs, &find(name).unwrap(), &request)
    }

    #[test]
    fn a_small_model_fits_everywhere() {
        for board in super::super::all() {
            let fit = judge(&small(), board, &Request::default());
            assert!(fit.fits(), "{}: {:?}", board.name, fit.lines);
            assert!(fit.lines.iter().all(|l| l.advice.is_none()));
            assert!(fit.most_classes >= 20 && fit.sample_capacity >= 100);
        }
    }

    #[test]
    fn every_line_counts_to_the_byte() {
        let mut needs = small();
        let fit = on("nucleo-h743zi2", &needs, Request::default());
        assert_eq!(line(&fit, Item::Model).has, Some(1152 * KIB));
        assert_eq!(line(&fit, Item::Arena).has, Some(512 * KIB));
        assert_eq!(line(&fit, Item::Training).has, Some(288 * KIB));
        let room = sizes::sample_room(
            &find("nucleo-h743zi2").unwrap().store(Use::Samples).unwrap(),
            256,
        );
        let training = training_bytes(256, 5) as u64 + room.index_bytes();
        assert_eq!(line(&fit, Item::Training).needs, Some(training));
        assert_eq!(line(&fit, Item::Samples).needs, Some(100));
        needs.arena_bytes = 512 * KIB;
        assert!(on("nucleo-h743zi2", &needs, Request::default()).fits());
        needs.arena_bytes += 16;
        let fit = on("nucleo-h743zi2", &needs, Request::default());
        assert_eq!(fit.misfits(), ["arena"]);
        assert!(
            line(&fit, Item::Arena)
                .advice
                .as_ref()
                .unwrap()
                .contains("smaller input")
        );
        needs.arena_bytes = 0;
        needs.model_bytes = 1152 * KIB + 1;
        let fit = on("nucleo-h743zi2", &needs, Request::default());
        assert_eq!(fit.misfits(), ["model"]);
        let advice = line(&fit, Item::Model).advice.as_ref().unwrap();
        assert!(advice.contains("memory 'flash'"), "{advice}");
    }

    /// Without a region for training, the arena and training share one.
    #[test]
    fn training_takes_what_the_arena_leaves() {
        let mut needs = small();
        let fit = on("rp2350", &needs, Request::default());
        let training = line(&fit, Item::Training);
        assert_eq!(training.has, Some((448 - 60) * KIB));
        needs.arena_bytes = 448 * KIB - training.needs.unwrap();
        assert!(on("rp2350", &needs, Request::default()).fits());
        needs.arena_bytes += 16;
        let fit = on("rp2350", &needs, Request::default());
        assert_eq!(fit.misfits(), ["training RAM"]);
        assert_eq!(fit.most_classes, 4);
        assert!(
            line(&fit, Item::Training)
                .advice
                .as_ref()
                .unwrap()
                .contains("at most 4 classes")
        );
        needs.arena_bytes = 500 * KIB;
        let fit = on("rp2350", &needs, Request::default());
        assert_eq!(fit.misfits(), ["arena", "training RAM"]);
        assert!(
            line(&fit, Item::Training)
                .advice
                .as_ref()
                .unwrap()
                .contains("leaves nothing")
        );
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
            ("rp2350", &["model", "arena", "training RAM"]),
            ("nrf5340-dk", &["model", "arena", "training RAM"]),
        ] {
            assert_eq!(on(board, &lite0(), request).misfits(), misfits, "{board}");
        }
        let fit = on("qemu-m7", &lite0(), request);
        assert!(fit.notes[0].contains("1000 classes"), "{:?}", fit.notes);
    }

    #[test]
    fn too_many_classes_or_samples() {
        let mut needs = small();
        needs.arena_bytes = 0;
        needs.head.as_mut().unwrap().features = 512;
        let with = |classes| Request {
            classes,
            samples: Some(10),
        };
        let fit = on("nrf5340-dk", &needs, with(90));
        assert_eq!(fit.misfits(), ["head slot"]);
        let most = fit.most_classes;
        assert!((2..90).contains(&most));
        let advice = line(&fit, Item::HeadSlot).advice.as_ref().unwrap();
        assert!(
            advice.contains(&format!("at most {most} classes")),
            "{advice}"
        );
        // The advice holds, and one class more does not fit.
        assert!(on("nrf5340-dk", &needs, with(most)).fits());
        assert!(!on("nrf5340-dk", &needs, with(most + 1)).fits());
        let fit = on("nrf5340-dk", &needs, samples(1_000_000));
        assert_eq!(fit.misfits(), ["sample store"]);
        let most = fit.sample_capacity;
        assert!(on("nrf5340-dk", &needs, samples(most)).fits());
        assert!(!on("nrf5340-dk", &needs, samples(most + 1)).fits());
        assert_eq!(on("host", &needs, with(101)).misfits(), ["sample store"]);
        // No arithmetic of an absurd request overflows.
        let absurd = Request {
            classes: 65536,
            samples: Some(u64::MAX),
        };
        assert!(!on("rp2350", &lite0(), absurd).fits());
    }

    fn samples(samples: u64) -> Request {
        Request {
            classes: CLASSES,
            samples: Some(samples),
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
        assert!(on("raspberry-pi-5", &needs, Request::default()).fits());
        let mut needs = small();
        needs.head = None;
        let fit = on("rp2350", &needs, Request::default());
        assert!(fit.fits() && fit.notes[0].contains("no classifier head"));
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
}
