//! The processor family of a board: the kernels for which models are packed.

use super::schema::Board;
use crate::pack::{self, PackError};
use edge_runtime::model::{AlignedBytes, Family, Model};

/// The family of a board's processor, from `cpu.features`. `None` if models are not packed for it.
pub fn family(board: &Board) -> Option<Family> {
    let has = |feature: &str| board.cpu.features.iter().any(|f| f == feature);
    match (has("mve"), has("dsp")) {
        (true, _) => Some(Family::Mve),
        (_, true) => Some(Family::Dsp),
        _ => None,
    }
}

/// The file of `model` as a board runs it: packed for the family of its processor, or unpacked if it has none.
///
/// # Errors
/// If the model cannot be packed or unpacked. A model that is packed already cannot be packed again.
pub fn pack_for(model: &Model<'_>, board: &Board) -> Result<AlignedBytes, PackError> {
    match family(board) {
        Some(family) => pack::pack(model, family),
        None => pack::unpack(model),
    }
}
