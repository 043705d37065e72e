//! What the model itself requires: a board for its type, its operators, and a region for its file.

use super::requirement::{Item, Requirement};
use super::{larger_region, place};
use crate::board::Needs;
use crate::board::schema::{Board, Use};

/// Float models run on Linux only.
pub fn dtype(needs: &Needs, board: &Board) -> Requirement {
    let fits = needs.int8 || board.linux.is_some();
    Requirement {
        item: Item::Type,
        place: if needs.int8 { "int8" } else { "float32" }.into(),
        needs: None,
        has: None,
        fits,
        advice: (!fits)
            .then(|| "a float model runs only on Linux boards; convert with --int8".into()),
    }
}

/// The board's program has all operators.
pub fn operators(needs: &Needs, board: &Board) -> Requirement {
    let lacks = |op: &&&str| board.unsupported_operators.iter().any(|u| u == **op);
    let missing: Vec<&str> = needs.operators.iter().filter(lacks).copied().collect();
    let count = needs.operators.len() as u64;
    let advice = format!(
        "the program of this board lacks {}; take a network without, or another board",
        missing.join(", ")
    );
    let has = count - missing.len() as u64;
    let place = "the board's program".into();
    Requirement::count(Item::Operators, place, count, has, advice)
}

/// The file fits its region on a microcontroller.
pub fn file(needs: &Needs, board: &Board) -> Requirement {
    let region = board.region(Use::Model);
    let change = "a smaller network, or fewer classes in its head";
    let advice = match larger_region(board, Use::Model, needs.model_bytes) {
        Some(larger) => format!("{change}; or {larger}"),
        None => change.into(),
    };
    let has = region.map_or(0, |r| r.size);
    Requirement::count(Item::Model, place(region), needs.model_bytes, has, advice)
}
