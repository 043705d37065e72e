//! The head of a model: the part that can be trained anew.

use crate::units;
use converter::jobs::report;
use edge_runtime::head::{Head, HeadOrigin, HeadSize, Pool};
use serde::Serialize;

/// Names of classes that the text shows.
const SHOWN: usize = 8;

#[derive(Serialize)]
pub struct HeadReport<'m> {
    classes: usize,
    features: usize,
    /// Units of the hidden layer; 0 if there is none.
    hidden: usize,
    pool: &'static str,
    bytes: usize,
    origin: String,
    labels: Vec<&'m str>,
    training_ram_bytes: usize,
    #[serde(skip)]
    size: HeadSize,
}

impl<'m> From<&Head<'m>> for HeadReport<'m> {
    fn from(head: &Head<'m>) -> Self {
        let size = head.size();
        Self {
            classes: head.classes(),
            features: head.features(),
            hidden: size.hidden,
            pool: match head.record().pool {
                Pool::Flatten => "flattened",
                Pool::Avg { .. } => "average pool",
                Pool::Max => "max pool",
            },
            bytes: head.bytes().len(),
            origin: origin(head),
            labels: head.record().labels.lines().collect(),
            training_ram_bytes: report::training_bytes(&size),
            size,
        }
    }
}

impl HeadReport<'_> {
    pub fn rows(&self) -> [(&'static str, String); 4] {
        let hidden = match self.hidden {
            0 => String::new(),
            units => format!("{units} hidden units to "),
        };
        let bytes = |n: usize| units::bytes(n as u64);
        let five = HeadSize {
            classes: 5,
            ..self.size
        };
        [
            (
                "head",
                format!(
                    "{} features ({}) to {hidden}{} classes, {}",
                    self.features,
                    self.pool,
                    self.classes,
                    bytes(self.bytes)
                ),
            ),
            ("origin", self.origin.clone()),
            ("classes", self.names()),
            (
                "training memory",
                format!(
                    "{} for as many classes, {} for five, besides the stored features",
                    bytes(self.training_ram_bytes),
                    bytes(report::training_bytes(&five))
                ),
            ),
        ]
    }

    /// The first names.
    fn names(&self) -> String {
        let shown = &self.labels[..self.labels.len().min(SHOWN)];
        match self.classes.saturating_sub(shown.len()) {
            _ if shown.is_empty() => "not named".into(),
            0 => shown.join(", "),
            more => format!("{}, and {more} more", shown.join(", ")),
        }
    }
}

fn origin(head: &Head<'_>) -> String {
    match head.record().origin {
        HeadOrigin::Factory => "came with the network".into(),
        HeadOrigin::Retrained {
            images,
            held_out,
            held_out_top1,
            seed,
        } => match held_out_top1 {
            None => format!("retrained on {images} pictures (seed {seed}), none held out"),
            Some(top1) => format!(
                "retrained on {images} pictures (seed {seed}), {} on {held_out} held out",
                units::percent(top1.into())
            ),
        },
    }
}
