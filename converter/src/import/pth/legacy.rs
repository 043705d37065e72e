//! The format that `torch.save` wrote before version 1.6: five pickles, then the raw storages.

use super::pickle;
use super::tensors::{Blocks, collect};
use super::value::{Arena, Ref, Value};
use crate::import::{ImportError, StateDict};
use std::borrow::Cow;
use std::collections::HashMap;

/// Reads the stream: magic number, protocol version, system information, the checkpoint, the keys of
/// the storages; then, in the order of the keys, a 64-bit count and the numbers of each storage.
pub fn read(bytes: &[u8]) -> Result<StateDict, ImportError> {
    let mut arena = Arena::default();
    let mut at = 0;
    let magic = pickle::load(bytes, &mut at, &mut arena)?;
    if !matches!(arena.get(magic), Value::Magic) {
        return Err(ImportError::new(
            "not a PyTorch checkpoint: it is a pickle without PyTorch's magic number",
        )
        .hint("save the weights with torch.save(model.state_dict(), path)"));
    }
    let version = pickle::load(bytes, &mut at, &mut arena)?;
    if arena.count(version) != Some(1001) {
        return Err(ImportError::new("the checkpoint's protocol is not 1001")
            .hint("save it with a newer PyTorch"));
    }
    let system = pickle::load(bytes, &mut at, &mut arena)?;
    if is_big_endian(&arena, system) {
        return Err(ImportError::new("the checkpoint is big-endian")
            .hint("save it on a little-endian machine"));
    }
    let root = pickle::load(bytes, &mut at, &mut arena)?;
    let keys = pickle::load(bytes, &mut at, &mut arena)?;
    let sizes = element_sizes(&arena);
    let mut blocks = Blocks::new();
    for &key in arena.items(keys).unwrap_or(&[]) {
        let key = arena
            .text(key)
            .ok_or_else(|| ImportError::new("a storage key that is no string").byte(at))?;
        let rest = bytes.get(at..).unwrap_or(&[]);
        let block = match (rest.split_first_chunk::<8>(), sizes.get(key)) {
            (Some((count, rest)), Some(size)) => {
                let len = usize::try_from(u64::from_le_bytes(*count))
                    .ok()
                    .and_then(|n| n.checked_mul(*size));
                len.and_then(|len| rest.get(..len))
            }
            (Some(_), None) => {
                return Err(
                    ImportError::new(format!("storage '{key}' belongs to no tensor")).byte(at),
                );
            }
            (None, _) => None,
        };
        let block = block.ok_or_else(|| {
            ImportError::new(format!("the file ends within storage '{key}'"))
                .byte(at)
                .hint("the file is truncated or damaged: fetch it again")
        })?;
        at += 8 + block.len();
        blocks.insert(key.to_string(), Cow::Borrowed(block));
    }
    collect(&arena, root, &blocks, bytes.len())
}

fn is_big_endian(arena: &Arena, system: Ref) -> bool {
    let entries = arena.entries(system).unwrap_or(&[]);
    entries.iter().any(|&(k, v)| {
        arena.text(k) == Some("little_endian") && matches!(arena.get(v), Value::Bool(false))
    })
}

/// The size of a number, in bytes, for each storage that a pickle mentions.
fn element_sizes<'a>(arena: &Arena<'a>) -> HashMap<&'a str, usize> {
    arena
        .storages()
        .map(|s| (s.key, s.element.size()))
        .collect()
}
