//! Makes a [`StateDict`] of the values of a pickle: unwraps nested checkpoints, gathers strided views.

use super::value::{Arena, Element, Ref, Storage, Tensor, Value};
use crate::import::values::{bf16_to_f32, chunks, f16_to_f32};
use crate::import::{ImportError, NamedTensor, StateDict};
use std::borrow::Cow;
use std::collections::HashMap;

/// Raw little-endian bytes of each storage, by key.
pub type Blocks<'a> = HashMap<String, Cow<'a, [u8]>>;

/// Keys under which checkpoints nest the weights, the most likely first.
const WRAPPERS: [&str; 9] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
];

/// The tensors of the checkpoint `root`. `limit` bounds the number of elements of all tensors together. It is
/// the length of the file, in which each element takes at least one byte.
pub fn collect(
    arena: &Arena,
    root: Ref,
    blocks: &Blocks,
    limit: usize,
) -> Result<StateDict, ImportError> {
    let named = unwrap(arena, root)?;
    let parallel = named.iter().all(|(name, _)| name.starts_with("module."));
    let mut room = limit;
    let mut dict = StateDict::new();
    // One storage after the other: each is converted once, and only one is in memory.
    let mut order: Vec<usize> = (0..named.len()).collect();
    order.sort_by_key(|&i| (named[i].1.storage.key, named[i].1.storage.element as u8, i));
    let mut last: Option<(&str, Element, Vec<f32>)> = None;
    for (name, tensor) in order.into_iter().map(|i| &named[i]) {
        let Storage { key, element, .. } = tensor.storage;
        let in_tensor = |e: ImportError| e.node(*name);
        if !last.as_ref().is_some_and(|l| (l.0, l.1) == (key, element)) {
            last = Some((
                key,
                element,
                numbers(tensor.storage, blocks).map_err(in_tensor)?,
            ));
        }
        let numbers = last.as_ref().map_or(&[][..], |l| &l.2);
        let gathered = gather(tensor, numbers, &mut room).map_err(in_tensor)?;
        let name = if parallel {
            &name["module.".len()..]
        } else {
            name
        };
        dict.insert(name.to_string(), gathered);
    }
    Ok(dict)
}

/// The names and tensors of the dictionary of tensors inside `root`.
fn unwrap<'x, 'a>(
    arena: &'x Arena<'a>,
    root: Ref,
) -> Result<Vec<(&'a str, &'x Tensor<'a>)>, ImportError> {
    const MAX_DEPTH: usize = 8;
    let mut at = root;
    for _ in 0..MAX_DEPTH {
        let Some(entries) = arena.entries(at) else {
            break;
        };
        let mut tensors: Vec<(&str, &Tensor)> = vec![];
        let mut place = HashMap::new();
        for &(key, value) in entries {
            if let (Some(name), Value::Tensor(tensor)) = (arena.text(key), arena.get(value)) {
                match place.insert(name, tensors.len()) {
                    Some(i) => {
                        tensors[i].1 = tensor;
                        place.insert(name, i);
                    }
                    None => tensors.push((name, tensor)),
                }
            }
        }
        let nested = |wrapper: &&str| {
            let (_, value) = entries
                .iter()
                .rev()
                .find(|(key, _)| arena.text(*key) == Some(*wrapper))?;
            arena.entries(*value).map(|_| *value)
        };
        match WRAPPERS.iter().find_map(nested) {
            Some(inner) => at = inner,
            None if tensors.is_empty() => {
                let keys: Vec<&str> = entries
                    .iter()
                    .filter_map(|(key, _)| arena.text(*key))
                    .take(8)
                    .collect();
                return Err(ImportError::new(format!(
                    "no tensors in the checkpoint (keys: {})",
                    keys.join(", ")
                ))
                .hint("save only the weights: torch.save(model.state_dict(), path)"));
            }
            None => return Ok(tensors),
        }
    }
    Err(ImportError::new("the file holds no dictionary of tensors")
        .hint("save only the weights: torch.save(model.state_dict(), path)"))
}

/// Converts all numbers of a storage to `f32`.
fn numbers(storage: Storage, blocks: &Blocks) -> Result<Vec<f32>, ImportError> {
    let missing = || ImportError::new(format!("storage '{}' is not in the file", storage.key));
    let bytes = blocks.get(storage.key).ok_or_else(missing)?;
    let len = usize::try_from(storage.len)
        .ok()
        .and_then(|n| n.checked_mul(storage.element.size()));
    let bytes = len.and_then(|n| bytes.get(..n)).ok_or_else(|| {
        ImportError::new(format!(
            "storage '{}' should have {} numbers of {} bytes, but has {} bytes",
            storage.key,
            storage.len,
            storage.element.size(),
            bytes.len()
        ))
        .hint("the file is damaged")
    })?;
    Ok(match storage.element {
        Element::F64 => chunks(bytes, |b| f64::from_le_bytes(b) as f32),
        Element::F32 => chunks(bytes, f32::from_le_bytes),
        Element::F16 => chunks(bytes, |b| f16_to_f32(u16::from_le_bytes(b))),
        Element::Bf16 => chunks(bytes, |b| bf16_to_f32(u16::from_le_bytes(b))),
        Element::I64 => chunks(bytes, |b| i64::from_le_bytes(b) as f32),
        Element::I32 => chunks(bytes, |b| i32::from_le_bytes(b) as f32),
        Element::I16 => chunks(bytes, |b| f32::from(i16::from_le_bytes(b))),
        Element::I8 => chunks(bytes, |b| f32::from(i8::from_le_bytes(b))),
        Element::U8 | Element::Bool => chunks(bytes, |[b]: [u8; 1]| f32::from(b)),
    })
}

/// Copies a strided view in row-major order.
fn gather(tensor: &Tensor, numbers: &[f32], room: &mut usize) -> Result<NamedTensor, ImportError> {
    let outside = || {
        ImportError::new(format!(
            "shape {:?} with strides {:?} from number {} leaves its storage of {} numbers",
            tensor.shape,
            tensor.stride,
            tensor.offset,
            numbers.len()
        ))
        .hint("the file is damaged")
    };
    let narrow = |v: &[u64]| {
        v.iter()
            .map(|&n| usize::try_from(n).ok())
            .collect::<Option<Vec<usize>>>()
    };
    let (shape, stride) = narrow(&tensor.shape)
        .zip(narrow(&tensor.stride))
        .ok_or_else(outside)?;
    let elements = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .ok_or_else(outside)?;
    let start = tensor
        .storage
        .offset
        .checked_add(tensor.offset)
        .and_then(|n| usize::try_from(n).ok());
    let start = start.ok_or_else(outside)?;
    if elements == 0 {
        return Ok(NamedTensor {
            shape,
            data: vec![],
        });
    }
    let last = shape
        .iter()
        .zip(&stride)
        .try_fold(start, |n, (d, s)| n.checked_add((d - 1).checked_mul(*s)?));
    if last.is_none_or(|last| last >= numbers.len()) {
        return Err(outside());
    }
    *room = room.checked_sub(elements).ok_or_else(|| {
        ImportError::new(format!(
            "{elements} elements, more than the file has bytes left for"
        ))
        .hint("save contiguous tensors that do not share storage")
    })?;
    let mut data = Vec::with_capacity(elements);
    let mut index = vec![0usize; shape.len()];
    for _ in 0..elements {
        let at: usize = start + index.iter().zip(&stride).map(|(i, s)| i * s).sum::<usize>();
        data.push(numbers.get(at).copied().ok_or_else(outside)?);
        for (i, &d) in index.iter_mut().zip(&shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    Ok(NamedTensor { shape, data })
}
