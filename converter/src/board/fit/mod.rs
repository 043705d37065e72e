//! Does a model fit a board? Line by line: what it needs, what the board has, and what to change.
//!
//! [`judge`] only compares numbers; [`fit()`] adds the advice. The numbers of a model are exact: they are in
//! its file. Those of the device application are in [`super::sizes`].

use super::advice::{self, Network};
use super::schema::{Board, Region, Use};
use super::sizes::{self, MAX_CLASSES, SampleRoom};
use crate::pack::{self, PackError};
use edge_runtime::device::memory::Room;
use edge_runtime::head::{HeadSize, Pool};
use edge_runtime::model::{DType, Family, Model, align};
use std::collections::BTreeSet;

/// Classes of a head to be trained, if nobody says how many.
pub const CLASSES: usize = 5;

/// Samples of each class that the store must hold, if nobody says how many.
pub const SAMPLES_PER_CLASS: u64 = 20;

/// What a model asks of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// False for a float model.
    pub int8: bool,
    /// Length of the file.
    pub model_bytes: u64,
    /// Length of the arena.
    pub arena_bytes: u64,
    /// Length of the features that new heads take.
    pub features: usize,
    /// Its own head, if it has one.
    pub head: Option<OwnHead>,
    /// Names of its operators.
    pub operators: BTreeSet<&'static str>,
}

/// The head in a model's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnHead {
    /// Its classes.
    pub classes: usize,
    /// Length of its own file.
    pub bytes: u64,
}

impl Needs {
    /// The needs of an int8 model, packed for a family of processors or not; those of a float one as it is,
    /// whose file has so many bytes.
    ///
    /// # Errors
    /// If the model cannot be packed.
    pub fn packed(
        model: &Model<'_>,
        file_len: usize,
        family: Option<Family>,
    ) -> Result<Self, PackError> {
        if model.dtype() != DType::I8 || model.packing().map(|p| p.family) == family {
            return Ok(Self::of(model, file_len));
        }
        let mut bytes = pack::unpack(model)?;
        if let Some(family) = family {
            bytes = pack::pack(&Model::parse(&bytes)?, family)?;
        }
        Ok(Self::of(&Model::parse(&bytes)?, bytes.len()))
    }

    /// The needs of a model, as it is, whose file has so many bytes.
    pub fn of(model: &Model<'_>, file_len: usize) -> Self {
        let flat = model.head().filter(|h| h.record().pool == Pool::Flatten);
        Self {
            int8: model.dtype() == DType::I8,
            model_bytes: file_len as u64,
            arena_bytes: model.arena_bytes() as u64,
            features: flat.map_or(model.output().shape.c as usize, |h| h.features()),
            head: model.head().map(|h| OwnHead {
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
    /// Units of its hidden layer; 0 for none.
    pub hidden: usize,
    /// Samples that the store must hold; absent: [`SAMPLES_PER_CLASS`] for each class.
    pub samples: Option<u64>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            classes: CLASSES,
            hidden: 0,
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
    /// RAM of the device application besides arena and training.
    Buffers,
    /// The activations.
    Arena,
    /// RAM of training, in the arena's place.
    Training,
    /// The same for a head with a hidden layer.
    HiddenTraining,
    /// A head with a hidden layer that waits for its commit.
    HiddenHead,
    /// All RAM that the program takes, on Linux.
    Ram,
    /// A trained head in its slot.
    HeadSlot,
    /// The sample store.
    Samples,
}

impl Item {
    /// Its name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Item::Type => "type",
            Item::Operators => "operators",
            Item::Model => "model",
            Item::Buffers => "buffers",
            Item::Arena => "arena",
            Item::Training => "training RAM",
            Item::HiddenTraining => "with hidden layer",
            Item::HiddenHead => "its head",
            Item::Ram => "RAM",
            Item::HeadSlot => "head slot",
            Item::Samples => "sample store",
        }
    }

    /// What its numbers count; `None` if it has none.
    pub const fn unit(self) -> Option<&'static str> {
        match self {
            Item::Type => None,
            Item::Operators => Some("operators"),
            Item::Samples => Some("samples"),
            _ => Some("bytes"),
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

impl Line {
    /// A need against what there is.
    fn count(item: Item, place: String, needs: u64, has: u64, advice: impl Into<String>) -> Self {
        let fits = needs <= has;
        Self {
            item,
            place,
            needs: Some(needs),
            has: Some(has),
            fits,
            advice: (!fits).then(|| advice.into()),
        }
    }
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
    /// Units of the widest hidden layer that a head of as many classes as asked for can have; 0 if none.
    pub most_hidden: usize,
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

/// Judges a model, whose file has so many bytes, as the board runs it: packed for its processor. With advice if
/// it does not fit: that builds networks of the catalog and takes some seconds.
///
/// # Errors
/// If the model cannot be packed.
pub fn fit(
    model: &Model<'_>,
    file_len: usize,
    board: &Board,
    request: &Request,
) -> Result<Fit, PackError> {
    let needs = |family| Needs::packed(model, file_len, family);
    let mut fit = judge(&needs(pack::family_of(board))?, board, request);
    if !fit.fits() {
        fit.networks = advice::networks(board, request);
        fit.boards = advice::boards(&|family| needs(family).ok(), board, request);
    }
    Ok(fit)
}

/// Judges a model without looking for networks and boards that would fit.
pub fn judge(needs: &Needs, board: &Board, request: &Request) -> Fit {
    let device = Device::new(needs, board);
    let mut lines = vec![kind(needs, board), operators(needs, board)];
    if board.linux.is_none() {
        lines.push(model(needs, board));
    }
    lines.extend(device.ram(request.classes));
    if needs.int8 && request.hidden > 0 {
        lines.extend(device.hidden(request));
    }
    if needs.int8 {
        lines.push(device.head_slot(request.classes));
        lines.push(device.samples(request));
    }
    Fit {
        board: board.name.clone(),
        request: *request,
        lines,
        sample_capacity: if needs.int8 { device.store.capacity } else { 0 },
        most_classes: device.most_classes,
        most_hidden: device.most_hidden(request.classes),
        notes: device.notes(),
        networks: vec![],
        boards: vec![],
    }
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
    let lacks = |op: &&&str| board.unsupported_operators.iter().any(|u| u == **op);
    let missing: Vec<&str> = needs.operators.iter().filter(lacks).copied().collect();
    let count = needs.operators.len() as u64;
    let advice = format!(
        "the program of this board lacks {}; take a network without, or another board",
        missing.join(", ")
    );
    let has = count - missing.len() as u64;
    Line::count(
        Item::Operators,
        "the board's program".into(),
        count,
        has,
        advice,
    )
}

fn model(needs: &Needs, board: &Board) -> Line {
    let region = board.region(Use::Model);
    let change = "a smaller network, or fewer classes in its head";
    let advice = match enlargeable(board, Use::Model, needs.model_bytes) {
        Some(larger) => format!("{change}; or {larger}"),
        None => change.into(),
    };
    let has = region.map_or(0, |r| r.size);
    Line::count(Item::Model, place(region), needs.model_bytes, has, advice)
}

/// Says so if the memory of a region as a whole would hold so many bytes.
fn enlargeable(board: &Board, purpose: Use, bytes: u64) -> Option<String> {
    let memory = board.memory(&board.region(purpose)?.memory)?;
    (memory.size >= bytes).then(|| {
        format!(
            "a board.toml of your own with a larger region '{}': memory '{}' as a whole would hold it",
            purpose.name(),
            memory.name
        )
    })
}

fn place(region: Option<&Region>) -> String {
    region.map_or("no region".into(), |r| {
        format!("{} in {}", r.purpose.name(), r.memory)
    })
}

/// The device application with one model on one board.
struct Device<'a> {
    needs: &'a Needs,
    board: &'a Board,
    /// Bytes of RAM for the application's block; `None` if not known.
    room: Option<u64>,
    /// Longest head file of a slot.
    slot: u64,
    /// The sample store.
    store: SampleRoom,
    /// Most classes for which slot and RAM suffice, 0 if not even two.
    most_classes: usize,
}

impl<'a> Device<'a> {
    fn new(needs: &'a Needs, board: &'a Board) -> Self {
        let store = board.store(Use::Samples);
        let mut device = Self {
            needs,
            board,
            room: match &board.linux {
                // Besides the block: the mapped file, and the weights that the backend packs from it.
                Some(linux) => linux.ram.map(|ram| {
                    ram.saturating_sub(linux.reserved)
                        .saturating_sub(needs.model_bytes.saturating_mul(2))
                }),
                None => Some(board.region(Use::Arena).map_or(0, |r| r.size)),
            },
            slot: board
                .store(Use::Heads)
                .map_or(0, |s| sizes::head_capacity(&s)),
            store: store.map_or(SampleRoom::default(), |s| {
                sizes::sample_room(&s, needs.features)
            }),
            most_classes: 0,
        };
        let works = |classes: &usize| {
            device.head_len(*classes) <= device.slot
                && device.block(*classes) <= device.room.unwrap_or(u64::MAX)
        };
        let classes = (2..=MAX_CLASSES).rev();
        device.most_classes = if needs.int8 {
            classes.into_iter().find(works).unwrap_or(0)
        } else {
            0
        };
        device
    }

    fn linear(&self, classes: usize) -> HeadSize {
        HeadSize::linear(self.needs.features, classes)
    }

    fn head_len(&self, classes: usize) -> u64 {
        sizes::head_len(&self.linear(classes))
    }

    /// What the device has for training: it plans for as many classes as there is room for.
    fn training_room(&self) -> Room {
        let len = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let most = self.most_classes;
        let (work, candidate) = match most {
            0 => (0, 0),
            most => (
                self.needs.arena_bytes.max(self.training(most)),
                self.head_len(most),
            ),
        };
        Room {
            work: len(work),
            candidate: align(len(candidate)),
            classes: most,
        }
    }

    fn most_hidden(&self, classes: usize) -> usize {
        let room = self.training_room();
        room.most_hidden(self.needs.features, classes)
    }

    fn hidden(&self, request: &Request) -> [Line; 2] {
        let size = HeadSize {
            hidden: request.hidden,
            ..self.linear(request.classes)
        };
        let advice = match self.most_hidden(request.classes) {
            0 => "no hidden layer".to_string(),
            most => format!("at most {most} units"),
        };
        let Room {
            work, candidate, ..
        } = self.training_room();
        let (training, head) = (sizes::training_bytes(&size), sizes::head_len(&size));
        let most = self.most_classes;
        let place = format!("room for training {most} classes");
        let head_place = format!("room for a head of {most} classes");
        [
            Line::count(Item::HiddenTraining, place, training, work as u64, &advice),
            Line::count(
                Item::HiddenHead,
                head_place,
                head,
                candidate as u64,
                &advice,
            ),
        ]
    }

    /// A float model is not trained, and needs none of the buffers.
    fn training(&self, classes: usize) -> u64 {
        if self.needs.int8 {
            sizes::training_bytes(&self.linear(classes))
        } else {
            0
        }
    }

    fn buffers(&self, classes: usize) -> u64 {
        let own = self.needs.head.map_or(0, |h| h.classes);
        if self.needs.int8 {
            sizes::buffer_bytes(self.needs.features, classes, own, &self.store)
        } else {
            0
        }
    }

    /// The application's block of memory.
    fn block(&self, classes: usize) -> u64 {
        self.needs.arena_bytes.max(self.training(classes)) + self.buffers(classes)
    }

    fn ram(&self, classes: usize) -> Vec<Line> {
        let (arena, training) = (self.needs.arena_bytes, self.training(classes));
        if self.board.linux.is_some() {
            return vec![Line {
                item: Item::Ram,
                place: match self.room {
                    Some(_) => "RAM that system and model leave",
                    None => "RAM of this machine, not known here",
                }
                .into(),
                needs: Some(self.block(classes)),
                has: self.room,
                fits: self.room.is_none_or(|room| self.block(classes) <= room),
                advice: self
                    .room
                    .filter(|room| self.block(classes) > *room)
                    .map(|_| "a smaller network, or a board with more RAM".into()),
            }];
        }
        let region = self.board.region(Use::Arena);
        let (room, buffers) = (self.room.unwrap_or(0), self.buffers(classes));
        let left = room.saturating_sub(buffers);
        let larger = |bytes: u64| {
            let larger = enlargeable(self.board, Use::Arena, bytes.saturating_add(buffers));
            larger.map_or(String::new(), |l| format!("; or {l}"))
        };
        let mut lines = vec![];
        if buffers > 0 {
            let advice = self.fewer() + &larger(0);
            lines.push(Line::count(
                Item::Buffers,
                place(region),
                buffers,
                room,
                advice,
            ));
        }
        let advice = "a smaller network, or a smaller input: the arena grows with the input's area";
        let advice = advice.to_string() + &larger(arena);
        let place = match buffers {
            0 => place(region),
            _ => "what the buffers leave of it".into(),
        };
        lines.push(Line::count(Item::Arena, place, arena, left, advice));
        if training > 0 {
            let (place, advice) = ("the same, in turn".into(), self.fewer() + &larger(training));
            lines.push(Line::count(Item::Training, place, training, left, advice));
        }
        lines
    }

    /// What to do if a head is too large.
    fn fewer(&self) -> String {
        match self.most_classes {
            0 => "a network with fewer features, or a smaller one".into(),
            most => format!("at most {most} classes"),
        }
    }

    fn head_slot(&self, classes: usize) -> Line {
        let place = match self.board.region(Use::Heads) {
            Some(region) => format!("half of {}", place(Some(region))),
            None => "half of the file of heads".into(),
        };
        let advice = format!("{}; or larger head slots", self.fewer());
        Line::count(
            Item::HeadSlot,
            place,
            self.head_len(classes),
            self.slot,
            advice,
        )
    }

    fn samples(&self, request: &Request) -> Line {
        let Request {
            classes, samples, ..
        } = *request;
        let place = match self.board.region(Use::Samples) {
            Some(region) => place(Some(region)),
            None => "the file of samples".into(),
        };
        let needs = samples.unwrap_or(SAMPLES_PER_CLASS * classes as u64);
        let advice = match self.store.capacity {
            0 => "a larger sample store, or a network with fewer features".to_string(),
            most => format!("at most {most} samples; or a larger sample store"),
        };
        let mut line = Line::count(Item::Samples, place, needs, self.store.capacity, advice);
        if classes > MAX_CLASSES {
            line.fits = false;
            line.advice = Some(format!(
                "the sample store keeps at most {MAX_CLASSES} classes"
            ));
        }
        line
    }

    fn notes(&self) -> Vec<String> {
        if !self.needs.int8 {
            return vec!["a float model cannot be retrained on the device".into()];
        }
        let own = self.needs.head.filter(|h| h.bytes > self.slot);
        let note = own.map(|h| {
            format!(
                "a slot does not hold a head as large as the model's own with its {} classes; that one stays in the model's file",
                h.classes
            )
        });
        note.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::find;
    use edge_runtime::head::MAX_HIDDEN;

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
}
