//! One thing that a model needs, compared with what the board has.

/// What a [`Requirement`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// int8 or float.
    Type,
    /// The operators of the model.
    Operators,
    /// The file of the model.
    Model,
    /// RAM of the device application besides arena and training.
    Buffers,
    /// RAM for the activations.
    Arena,
    /// RAM for training, which uses the same bytes as the arena.
    Training,
    /// RAM for training a head with a hidden layer.
    HiddenTraining,
    /// RAM for a trained head with a hidden layer until it is committed.
    HiddenHead,
    /// All RAM of the device program on Linux.
    Ram,
    /// The slot for a trained head.
    HeadSlot,
    /// The sample store.
    Samples,
}

impl Item {
    /// The name in tables and JSON.
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

    /// What its numbers count; `None` if it has no numbers.
    pub const fn unit(self) -> Option<&'static str> {
        match self {
            Item::Type => None,
            Item::Operators => Some("operators"),
            Item::Samples => Some("samples"),
            _ => Some("bytes"),
        }
    }
}

/// One thing that a model needs, compared with what the board has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What it is about.
    pub item: Item,
    /// Where on the board, in words.
    pub place: String,
    /// How much is needed. `None` if nothing is counted.
    pub needs: Option<u64>,
    /// How much there is. `None` if that is not known.
    pub has: Option<u64>,
    /// False if it does not fit.
    pub fits: bool,
    /// What to change if it does not fit.
    pub advice: Option<String>,
}

impl Requirement {
    /// Compares two numbers. The advice is kept if it does not fit.
    pub(super) fn count(
        item: Item,
        place: String,
        needs: u64,
        has: u64,
        advice: impl Into<String>,
    ) -> Self {
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
