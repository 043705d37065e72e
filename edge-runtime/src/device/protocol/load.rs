//! What host and device say of a model file that is to be loaded.

use crate::head::FeatureRule;
use crate::model::{DType, Family, Model};
use crate::signature::SIGNATURE_LEN;
use serde::{Deserialize, Serialize};

/// What the host states of a model file that it will send. The device checks it against the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFile {
    /// Its length in bytes.
    pub len: u32,
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
    /// Ed25519 signature of the file, its two halves.
    pub signature: Option<[[u8; 32]; 2]>,
    /// What the model needs.
    pub demand: Demand,
}

/// Which models a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadInfo {
    /// Longest file in bytes.
    pub capacity: u32,
    /// The processors for which a file may be packed; `None`: only unpacked files.
    pub family: Option<Family>,
    /// True if the file needs a signature.
    pub signed: bool,
    /// True if the old model stays until the new one is complete.
    pub keeps_old: bool,
    /// The model that runs.
    pub model: Option<ModelId>,
}

/// Identifies a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// SHA-256 in its header: metadata and weights, packed as they are.
    pub sha256: [u8; 32],
    /// SHA-256 in its factory head, if there is one.
    pub head: Option<[u8; 32]>,
}

impl ModelId {
    /// The identity of a checked model.
    pub fn of(model: &Model<'_>) -> Self {
        Self {
            sha256: model.header().sha256,
            head: model
                .head()
                .and_then(|head| head.bytes().get(64..)?.first_chunk().copied()),
        }
    }
}

/// What a model needs of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Element type.
    pub dtype: DType,
    /// The processors for which it is packed, if it is.
    pub family: Option<Family>,
    /// Bytes of its arena.
    pub arena: u32,
    /// Length of its features.
    pub features: u32,
    /// Classes of its own head; 0 if it has none.
    pub classes: u32,
}

impl Demand {
    /// What a checked model needs.
    pub fn of(model: &Model<'_>) -> Self {
        Self {
            dtype: model.dtype(),
            family: model.packing().map(|packing| packing.family),
            arena: model.arena_bytes() as u32,
            features: FeatureRule::default_len(model) as u32,
            classes: model.head().map_or(0, |head| head.classes() as u32),
        }
    }
}

/// The two halves of a signature, as requests carry them: serde derives no arrays longer than 32.
pub fn split_signature(signature: &[u8; SIGNATURE_LEN]) -> [[u8; 32]; 2] {
    [0, 32].map(|at| core::array::from_fn(|i| signature[at + i]))
}

/// The signature of which a request carries the two halves.
pub fn join_signature(halves: [[u8; 32]; 2]) -> [u8; SIGNATURE_LEN] {
    let mut whole = [0; SIGNATURE_LEN];
    whole[..32].copy_from_slice(&halves[0]);
    whole[32..].copy_from_slice(&halves[1]);
    whole
}
