//! What the device application requires for one model on one board: RAM, head slots and sample store.

use super::requirement::{Item, Requirement};
use super::{Request, SAMPLES_PER_CLASS, larger_region, place};
use crate::board::Needs;
use crate::board::schema::{Board, Use};
use crate::board::sizes::{self, MAX_CLASSES, SampleRoom};
use edge_runtime::device::memory::Room;
use edge_runtime::head::HeadSize;
use edge_runtime::model::align;

/// The device application with one model on one board.
pub struct Application<'a> {
    needs: &'a Needs,
    board: &'a Board,
    /// RAM for the application's memory block in bytes; `None` if not known.
    room: Option<u64>,
    /// Longest head that a slot takes, in bytes.
    slot: u64,
    /// The sample store.
    store: SampleRoom,
    /// Most classes for which slot and RAM suffice; 0 if they do not suffice for two.
    pub most_classes: usize,
}

impl<'a> Application<'a> {
    /// Plans the application's memory.
    pub fn new(needs: &'a Needs, board: &'a Board) -> Self {
        let store = board.store(Use::Samples);
        let mut app = Self {
            needs,
            board,
            room: match &board.linux {
                // Besides the block there are the mapped file and the weights that the backend packs from it.
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
            app.head_len(*classes) <= app.slot
                && app.block(*classes) <= app.room.unwrap_or(u64::MAX)
        };
        let classes = (2..=MAX_CLASSES).rev();
        app.most_classes = if needs.int8 {
            classes.into_iter().find(works).unwrap_or(0)
        } else {
            0
        };
        app
    }

    fn linear(&self, classes: usize) -> HeadSize {
        HeadSize::linear(self.needs.features, classes)
    }

    fn head_len(&self, classes: usize) -> u64 {
        sizes::head_len(&self.linear(classes))
    }

    /// What the device has for training. It plans for as many classes as there is room for.
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

    /// Most units of a hidden layer; 0 if there is no room for one.
    pub fn most_hidden(&self, classes: usize) -> usize {
        let room = self.training_room();
        room.most_hidden(self.needs.features, classes)
    }

    /// Training and storing a head with a hidden layer.
    pub fn hidden(&self, request: &Request) -> [Requirement; 2] {
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
            Requirement::count(Item::HiddenTraining, place, training, work as u64, &advice),
            Requirement::count(
                Item::HiddenHead,
                head_place,
                head,
                candidate as u64,
                &advice,
            ),
        ]
    }

    /// RAM for training in bytes. A float model is not trained.
    fn training(&self, classes: usize) -> u64 {
        if self.needs.int8 {
            sizes::training_bytes(&self.linear(classes))
        } else {
            0
        }
    }

    /// RAM for the buffers in bytes. A float model needs none.
    fn buffers(&self, classes: usize) -> u64 {
        let own = self.needs.head.map_or(0, |h| h.classes);
        if self.needs.int8 {
            sizes::buffer_bytes(self.needs.features, classes, own, &self.store)
        } else {
            0
        }
    }

    /// The application's whole memory block in bytes.
    fn block(&self, classes: usize) -> u64 {
        self.needs.arena_bytes.max(self.training(classes)) + self.buffers(classes)
    }

    /// All RAM of the application.
    pub fn ram(&self, classes: usize) -> Vec<Requirement> {
        if self.board.linux.is_some() {
            vec![self.ram_on_linux(classes)]
        } else {
            self.ram_of_microcontroller(classes)
        }
    }

    fn ram_on_linux(&self, classes: usize) -> Requirement {
        // The backend that runs the trunk has an arena of its own.
        let needs = self.block(classes).saturating_add(self.needs.arena_bytes);
        let place = match self.room {
            Some(_) => "RAM that system and model leave",
            None => "RAM of this machine, not known here",
        };
        let fits = self.room.is_none_or(|room| needs <= room);
        Requirement {
            item: Item::Ram,
            place: place.into(),
            needs: Some(needs),
            has: self.room,
            fits,
            advice: (!fits).then(|| "a smaller network, or a board with more RAM".into()),
        }
    }

    fn ram_of_microcontroller(&self, classes: usize) -> Vec<Requirement> {
        let (arena, training) = (self.needs.arena_bytes, self.training(classes));
        let region = self.board.region(Use::Arena);
        let (room, buffers) = (self.room.unwrap_or(0), self.buffers(classes));
        let left = room.saturating_sub(buffers);
        let larger = |bytes: u64| {
            let larger = larger_region(self.board, Use::Arena, bytes.saturating_add(buffers));
            larger.map_or(String::new(), |l| format!("; or {l}"))
        };
        let mut lines = vec![];
        if buffers > 0 {
            let advice = self.smaller_head() + &larger(0);
            lines.push(Requirement::count(
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
        lines.push(Requirement::count(Item::Arena, place, arena, left, advice));
        if training > 0 {
            let (place, advice) = (
                "the same, in turn".into(),
                self.smaller_head() + &larger(training),
            );
            lines.push(Requirement::count(
                Item::Training,
                place,
                training,
                left,
                advice,
            ));
        }
        lines
    }

    /// Advice if a head is too large.
    fn smaller_head(&self) -> String {
        match self.most_classes {
            0 => "a network with fewer features, or a smaller one".into(),
            most => format!("at most {most} classes"),
        }
    }

    /// A trained head in its slot.
    pub fn head_slot(&self, classes: usize) -> Requirement {
        let place = match self.board.region(Use::Heads) {
            Some(region) => format!("half of {}", place(Some(region))),
            None => "half of the file of heads".into(),
        };
        let advice = format!("{}; or larger head slots", self.smaller_head());
        Requirement::count(
            Item::HeadSlot,
            place,
            self.head_len(classes),
            self.slot,
            advice,
        )
    }

    /// Most samples that the store holds; 0 for a float model.
    pub fn sample_capacity(&self) -> u64 {
        if self.needs.int8 {
            self.store.capacity
        } else {
            0
        }
    }

    /// The requested samples in the store.
    pub fn samples(&self, request: &Request) -> Requirement {
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
        let mut line = Requirement::count(Item::Samples, place, needs, self.store.capacity, advice);
        if classes > MAX_CLASSES {
            line.fits = false;
            line.advice = Some(format!(
                "the sample store keeps at most {MAX_CLASSES} classes"
            ));
        }
        line
    }

    /// Remarks.
    pub fn notes(&self) -> Vec<String> {
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
