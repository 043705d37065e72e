//! What `fit` prints, and `convert --board` with it.

use crate::output::{Report, Table, Text};
use crate::units;
use converter::board::fit::Requirement;
use converter::board::{Board, Fit};
use serde::Serialize;

/// What `fit` prints.
#[derive(Serialize)]
pub struct ModelOnBoard<'f> {
    pub model: &'f str,
    #[serde(flatten)]
    pub fit: FitReport<'f>,
    #[serde(skip)]
    pub board: &'f Board,
}

impl Report for ModelOnBoard<'_> {
    fn text(&self, out: &mut Text) {
        let Board { title, name, .. } = self.board;
        out.line(format_args!("{} on {title} ({name})", self.model));
        self.fit.text(out);
    }
}

/// A model against a board, item by item.
#[derive(Serialize)]
pub struct FitReport<'f> {
    pub board: &'f str,
    fits: bool,
    classes: usize,
    most_classes: usize,
    hidden: usize,
    most_hidden: usize,
    sample_capacity: u64,
    lines: Vec<ItemFit<'f>>,
    notes: &'f [String],
    networks_that_fit: Vec<NetworkThatFits<'f>>,
    boards_that_fit: &'f [String],
}

/// One thing that the model needs and the board has, or not.
#[derive(Serialize)]
struct ItemFit<'f> {
    item: &'static str,
    place: &'f str,
    unit: Option<&'static str>,
    needs: Option<u64>,
    has: Option<u64>,
    /// What is left; if negative, what is missing.
    margin: Option<i64>,
    fits: bool,
    advice: Option<&'f str>,
}

/// A network of the catalog that fits where this model does not.
#[derive(Serialize)]
struct NetworkThatFits<'f> {
    name: &'f str,
    model_bytes: u64,
    arena_bytes: u64,
}

impl<'f> FitReport<'f> {
    pub fn new(fit: &'f Fit) -> Self {
        let networks = fit.networks.iter().map(|n| NetworkThatFits {
            name: &n.name,
            model_bytes: n.model_bytes,
            arena_bytes: n.arena_bytes,
        });
        Self {
            board: &fit.board,
            fits: fit.fits(),
            classes: fit.request.classes,
            most_classes: fit.most_classes,
            hidden: fit.request.hidden,
            most_hidden: fit.most_hidden,
            sample_capacity: fit.sample_capacity,
            lines: fit.lines.iter().map(ItemFit::new).collect(),
            notes: &fit.notes,
            networks_that_fit: networks.collect(),
            boards_that_fit: &fit.boards,
        }
    }
}

impl<'f> ItemFit<'f> {
    fn new(line: &'f Requirement) -> Self {
        Self {
            item: line.item.name(),
            place: &line.place,
            unit: line.item.unit(),
            needs: line.needs,
            has: line.has,
            margin: margin(line.needs, line.has),
            fits: line.fits,
            advice: line.advice.as_deref(),
        }
    }

    fn amount(&self, n: u64) -> String {
        match self.unit {
            Some("bytes") => units::bytes(n),
            _ => n.to_string(),
        }
    }

    fn cells(&self) -> [String; 6] {
        let amount = |n: Option<u64>| n.map_or(String::new(), |n| self.amount(n));
        let margin = match (self.needs, self.has) {
            (Some(needs), Some(has)) if needs > has => format!("-{}", self.amount(needs - has)),
            (Some(needs), Some(has)) => self.amount(has - needs),
            _ => String::new(),
        };
        [
            format!("  {}", self.item),
            amount(self.needs),
            amount(self.has),
            margin,
            if self.fits { "fits" } else { "DOES NOT FIT" }.into(),
            self.place.into(),
        ]
    }
}

fn margin(needs: Option<u64>, has: Option<u64>) -> Option<i64> {
    let margin = i128::from(has?) - i128::from(needs?);
    Some(margin.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

impl Report for FitReport<'_> {
    fn text(&self, out: &mut Text) {
        let header = ["", "needs", "has", "margin", "", "where"];
        let mut table = Table::new(header).wraps(&[5]);
        self.lines.iter().for_each(|line| table.row(line.cells()));
        out.table(&table);
        for line in self.lines.iter().filter(|l| !l.fits) {
            out.item(line.item, line.advice.unwrap_or("another board"));
        }
        if !self.fits {
            self.alternatives(out);
        } else if self.most_classes > 0 {
            let hidden = match self.most_hidden {
                0 => String::new(),
                units => format!(", with up to {units} hidden units"),
            };
            out.paragraph(format_args!(
                "up to {} classes can be trained; head slot and training RAM are for {}{hidden}",
                self.most_classes, self.classes
            ));
        }
        self.notes.iter().for_each(|note| out.note(note));
    }
}

impl FitReport<'_> {
    /// Networks and boards that would fit.
    fn alternatives(&self, out: &mut Text) {
        let bytes = units::bytes;
        let networks = self.networks_that_fit.iter().map(|n| {
            let (model, arena) = (bytes(n.model_bytes), bytes(n.arena_bytes));
            format!("{} ({model}, arena {arena})", n.name)
        });
        let networks: Vec<String> = networks.collect();
        let or = |names: &[String], none: &str| match names.is_empty() {
            true => none.to_string(),
            false => names.join(", "),
        };
        out.item(
            "networks that fit this board",
            or(&networks, "none of the catalog"),
        );
        out.item(
            "boards that this model fits",
            or(self.boards_that_fit, "none of the known ones"),
        );
    }
}
