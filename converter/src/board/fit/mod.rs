//! Does a model fit a board? Compares what the model needs with what the board has, one requirement after the other,
//! and says what to change.
//!
//! - [`requirement`]: one comparison;
//! - `model`: type, operators and file of the model;
//! - `application`: RAM, head slots and samples of the device application.

mod application;
mod model;
pub mod requirement;
#[cfg(test)]
mod tests;

pub use requirement::{Item, Requirement};

use super::Needs;
use super::schema::{Board, Region, Use};
use application::Application;

/// Classes of the head to be trained, if nothing else is asked for.
pub const CLASSES: usize = 5;

/// Samples per class that the store must hold, if nothing else is asked for.
pub const SAMPLES_PER_CLASS: u64 = 20;

/// What the board must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Classes of the head to be trained.
    pub classes: usize,
    /// Units of its hidden layer; 0 for none.
    pub hidden: usize,
    /// Samples that the store must hold. `None`: [`SAMPLES_PER_CLASS`] for each class.
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

/// Whether a model fits a board, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Name of the board.
    pub board: String,
    /// What was asked for.
    pub request: Request,
    /// All requirements.
    pub lines: Vec<Requirement>,
    /// Most samples that the store holds; 0 if it cannot hold any.
    pub sample_capacity: u64,
    /// Most classes that can be trained with this model here; 0 if none.
    pub most_classes: usize,
    /// Most units that the hidden layer of a head with the requested classes can have; 0 if none.
    pub most_hidden: usize,
    /// Remarks.
    pub notes: Vec<String>,
    /// Networks of the catalog that fit this board, if the model does not.
    pub networks: Vec<Network>,
    /// Names of boards that this model fits, if it does not fit this one.
    pub boards: Vec<String>,
}

/// A network of the catalog that fits a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Upper bound for the length of its int8 file in bytes.
    pub model_bytes: u64,
    /// Length of its int8 arena in bytes, with the scratch of the board's kernels.
    pub arena_bytes: u64,
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

/// Compares a model's needs with a board. Suggests no other networks or boards; [`super::fit()`] does.
pub fn judge(needs: &Needs, board: &Board, request: &Request) -> Fit {
    let app = Application::new(needs, board);
    let mut lines = vec![model::dtype(needs, board), model::operators(needs, board)];
    if board.linux.is_none() {
        lines.push(model::file(needs, board));
    }
    lines.extend(app.ram(request.classes));
    if needs.int8 && request.hidden > 0 {
        lines.extend(app.hidden(request));
    }
    if needs.int8 {
        lines.push(app.head_slot(request.classes));
        lines.push(app.samples(request));
    }
    Fit {
        board: board.name.clone(),
        request: *request,
        lines,
        sample_capacity: app.sample_capacity(),
        most_classes: app.most_classes,
        most_hidden: app.most_hidden(request.classes),
        notes: app.notes(),
        networks: vec![],
        boards: vec![],
    }
}

/// Advice to enlarge the region of a use to `bytes`, if its memory is large enough.
fn larger_region(board: &Board, purpose: Use, bytes: u64) -> Option<String> {
    let memory = board.memory(&board.region(purpose)?.memory)?;
    (memory.size >= bytes).then(|| {
        format!(
            "a board.toml of your own with a larger region '{}': memory '{}' as a whole would hold it",
            purpose.name(),
            memory.name
        )
    })
}

/// A region in words.
fn place(region: Option<&Region>) -> String {
    region.map_or("no region".into(), |r| {
        format!("{} in {}", r.purpose.name(), r.memory)
    })
}
