//! The head file.
//!
//! | bytes | content (little-endian) |
//! |---|---|
//! | 0..8 | magic |
//! | 8..10 | format version: 1, or 2 if there is a hidden layer |
//! | 10..12 | zero |
//! | 12..16, 16..20 | lengths of record and weights |
//! | 20..32 | zero |
//! | 32..64 | SHA-256 of the trunk it belongs to |
//! | 64..96 | SHA-256 of bytes 0..64 and 96.. |
//! | 96.. | [`HeadRecord`] in postcard; in version 2 a [`HiddenData`] behind it |
//! | next multiple of 16 | weights, each tensor on a multiple of 16 |

use super::infer::Int8Layers;
use super::size::{HeadSize, MAX_HIDDEN};
use crate::model::{ALIGNMENT, Blob, DType, Model, ModelError, Output, Quant, Shape, align};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// First bytes of every head file.
pub const MAGIC: [u8; 8] = *b"\x8aGHEAD\r\n";

/// The newest format that this reader knows. It is that of heads with a hidden layer; others are written as
/// version 1, which every reader knows.
pub const VERSION: u16 = 2;

/// Length of the fixed part in bytes.
pub const HEADER_LEN: usize = 96;

/// Most classes and most features: keeps every product in 32 bits.
pub const MAX_SIDE: u32 = 1 << 16;

/// How the last feature map becomes the feature vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pool {
    /// Not at all: the map's elements in their order are the features.
    Flatten,
    /// Mean of every channel: `q = zero_point + ((sum(q - zp) * multiplier + 2^(shift-1)) >> shift)`.
    Avg {
        /// int8 only.
        multiplier: i32,
        /// int8 only, 1 to 30.
        shift: u8,
    },
    /// Maximum of every channel.
    Max,
}

/// Numbers of the last layer, `[classes][inputs]`: its inputs are the features, or the hidden layer's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeadData {
    /// `logit[c] = scale[c] * (bias[c] + sum(weights[c] * q))`, the sum in i32.
    I8 {
        /// int8 weights.
        weights: Blob,
        /// i32, with the zero-point term folded in.
        bias: Blob,
        /// f32, one per class.
        scale: Blob,
    },
    /// `logit[c] = bias[c] + sum(weights[c] * x)`.
    F32 {
        /// f32 weights.
        weights: Blob,
        /// f32 bias.
        bias: Blob,
    },
}

/// A hidden layer with ReLU:
/// `unit[j] = requantize(bias[j] + sum(weights[j] * q), multiplier[j], shift[j])`, clamped to
/// `[quant.zero_point, 127]`. See `docs/reference/arithmetic.md`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HiddenData {
    /// Number of units, at most [`MAX_HIDDEN`].
    pub units: u32,
    /// Quantization of the units.
    pub quant: Quant,
    /// Four tensors, each on a multiple of 16: int8 weights `[units][features]`; i32 bias with the zero-point term
    /// folded in; i32 multipliers, in [2^30, 2^31); u8 shifts, in [1, 62].
    pub numbers: Blob,
}

impl HiddenData {
    /// Where the four tensors start, and where the last one ends, in bytes from the start of `numbers`.
    pub const fn offsets(units: usize, features: usize) -> [usize; 5] {
        let bias = align(units * features);
        let multiplier = bias + align(4 * units);
        let shift = multiplier + align(4 * units);
        [0, bias, multiplier, shift, shift + units]
    }
}

/// Where a head comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum HeadOrigin {
    /// It came with the network.
    Factory,
    /// Trained by [`super::train`].
    Retrained {
        /// Pictures trained on that were not held out.
        images: u32,
        /// Pictures held out. Fewer than [`super::train::MIN_JUDGES`] were trained on at last.
        held_out: u32,
        /// Fraction of those that the requantized head gets right that was trained without them, if there are
        /// any.
        held_out_top1: Option<f32>,
        /// Seed of the training.
        seed: u64,
    },
}

/// What a head is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadRecord<'a> {
    /// Shape of the feature map it takes.
    pub map: Shape,
    /// Quantization of that map.
    pub map_quant: Quant,
    /// How the map becomes a vector.
    pub pool: Pool,
    /// Quantization of the vector.
    pub feature_quant: Quant,
    /// Length of the vector.
    pub features: u32,
    /// Number of classes.
    pub classes: u32,
    /// The hidden layer, if there is one. It stands behind the record.
    #[serde(skip)]
    pub hidden: Option<HiddenData>,
    /// The last layer.
    pub data: HeadData,
    /// One line per class, or empty.
    pub labels: &'a str,
    /// Where it comes from.
    pub origin: HeadOrigin,
}

/// A checked head that borrows from the bytes of its file.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub(super) record: HeadRecord<'a>,
    pub(super) weights: &'a [u8],
    bytes: &'a [u8],
    output: Output,
}

impl<'a> Head<'a> {
    /// Reads and checks a head file for `model`'s trunk. `bytes` must start on a multiple of 16.
    pub fn parse(bytes: &'a [u8], model: &Model<'_>) -> Result<Self, ModelError> {
        let mut head = Self::parse_alone(bytes)?;
        if head.trunk_sha256() != model.trunk_sha256() {
            return Err(ModelError::ForeignHead);
        }
        let (record, map) = (&head.record, model.output());
        let float = matches!(record.data, HeadData::F32 { .. });
        let same_type = float == (model.dtype() == DType::F32);
        if record.map != map.shape || record.map_quant != map.quant || !same_type {
            return Err(ModelError::ForeignHead);
        }
        if record.origin == HeadOrigin::Factory {
            head.output = model.output_rule();
        }
        Ok(head)
    }

    /// Reads and checks a head file, whatever trunk it is for.
    pub fn parse_alone(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let cut = |need: u64| ModelError::Truncated {
            have: bytes.len() as u64,
            need,
        };
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(cut(HEADER_LEN as u64))?;
        if header[..8] != MAGIC {
            return Err(ModelError::NotAHead);
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if !(1..=VERSION).contains(&version) {
            return Err(ModelError::HeadVersion { found: version });
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(ModelError::Misaligned);
        }
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (record_len, weights_len) = (word(12) as u64, word(16) as u64);
        let weights_at =
            HEADER_LEN as u64 + record_len.div_ceil(ALIGNMENT as u64) * ALIGNMENT as u64;
        let (have, need) = (bytes.len() as u64, weights_at + weights_len);
        if have < need {
            return Err(cut(need));
        }
        if have > need {
            return Err(ModelError::Trailing { have, need });
        }
        if header[64..96] != hash(&header[..64], &bytes[HEADER_LEN..]) {
            return Err(ModelError::Hash { section: "head" });
        }
        let undecodable = |_| ModelError::Metadata { record: "head" };
        let record_bytes = &bytes[HEADER_LEN..][..record_len as usize];
        let (mut record, mut rest): (HeadRecord<'_>, _) =
            postcard::take_from_bytes(record_bytes).map_err(undecodable)?;
        if version > 1 {
            let (hidden, end) = postcard::take_from_bytes(rest).map_err(undecodable)?;
            (record.hidden, rest) = (Some(hidden), end);
        }
        if !rest.is_empty() {
            return Err(ModelError::Metadata { record: "head" });
        }
        let weights = &bytes[weights_at as usize..];
        check(&record, weights).map_err(|problem| ModelError::Value {
            record: "head",
            problem,
        })?;
        check_classes(&record, weights)?;
        Ok(Self {
            record,
            weights,
            bytes,
            output: Output::SOFTMAX,
        })
    }

    /// What it is.
    pub fn record(&self) -> &HeadRecord<'a> {
        &self.record
    }

    /// What its logits mean: of the factory head what its model says, of a trained one a softmax. A head that was
    /// parsed alone is taken as a trained one.
    pub fn output(&self) -> Output {
        self.output
    }

    /// The whole file, as a slot stores it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The trunk it belongs to.
    pub fn trunk_sha256(&self) -> &'a [u8] {
        &self.bytes[32..64]
    }

    /// Length of the feature vector.
    pub fn features(&self) -> usize {
        self.record.features as usize
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.record.classes as usize
    }

    /// Sizes of its layers.
    pub fn size(&self) -> HeadSize {
        HeadSize {
            features: self.features(),
            hidden: self.record.hidden.map_or(0, |h| h.units as usize),
            classes: self.classes(),
        }
    }

    /// True if it was trained by [`super::train`], on whatever machine; false if it came with its network.
    pub fn is_trained(&self) -> bool {
        matches!(self.record.origin, HeadOrigin::Retrained { .. })
    }

    /// Name of a class, if the head has names.
    pub fn label(&self, class: usize) -> Option<&'a str> {
        self.record.labels.lines().nth(class)
    }
}

/// A head to be written: the record's blobs are filled in by [`encode`].
#[derive(Clone, Copy, Debug)]
pub struct NewHead<'a> {
    /// SHA-256 of its trunk.
    pub trunk_sha256: [u8; 32],
    /// The record; its `data` and `hidden` are ignored.
    pub record: HeadRecord<'a>,
    /// The layer.
    pub data: NewData<'a>,
}

/// The numbers of a head to be written, see [`HeadData`].
#[derive(Clone, Copy, Debug)]
pub enum NewData<'a> {
    /// int8.
    I8(Int8Layers<'a>),
    /// Float.
    F32 {
        /// `[classes][features]`
        weights: &'a [f32],
        /// One per class.
        bias: &'a [f32],
    },
}

/// Writes a head file to the start of `out` and returns its length, or `None` if `out` is too small.
pub fn encode(head: &NewHead<'_>, out: &mut [u8]) -> Option<usize> {
    let mut parts = heapless::Vec::<(Blob, &[u8]), 7>::new();
    let mut end = 0usize;
    let mut place = |bytes| {
        let blob = Blob {
            offset: u32::try_from(end).ok()?,
            len: u32::try_from(<[u8]>::len(bytes)).ok()?,
        };
        end = align(end + bytes.len());
        parts.push((blob, bytes)).ok()?;
        Some(blob)
    };
    let mut hidden = None;
    let data = match &head.data {
        NewData::I8(layers) => {
            if let Some(layer) = &layers.hidden {
                let first = place(bytemuck::cast_slice(layer.weights))?;
                place(bytemuck::cast_slice(layer.bias))?;
                place(bytemuck::cast_slice(layer.multiplier))?;
                let last = place(layer.shift)?;
                hidden = Some(HiddenData {
                    units: layer.bias.len() as u32,
                    quant: layer.quant,
                    numbers: Blob {
                        offset: first.offset,
                        len: last.offset + last.len - first.offset,
                    },
                });
            }
            HeadData::I8 {
                weights: place(bytemuck::cast_slice(layers.weights))?,
                bias: place(bytemuck::cast_slice(layers.bias))?,
                scale: place(bytemuck::cast_slice(layers.scale))?,
            }
        }
        NewData::F32 { weights, bias } => HeadData::F32 {
            weights: place(bytemuck::cast_slice(weights))?,
            bias: place(bytemuck::cast_slice(bias))?,
        },
    };
    let record = HeadRecord {
        data,
        ..head.record
    };
    let room = out.get_mut(HEADER_LEN..)?;
    let mut record_len = postcard::to_slice(&record, room).ok()?.len();
    if let Some(hidden) = &hidden {
        record_len += postcard::to_slice(hidden, &mut room[record_len..])
            .ok()?
            .len();
    }
    let weights_at = HEADER_LEN + align(record_len);
    let total = weights_at + end;
    let out = out.get_mut(..total)?;
    out[HEADER_LEN + record_len..].fill(0);
    for (blob, bytes) in parts {
        out[weights_at + blob.offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }
    let version = if hidden.is_some() { VERSION } else { 1 };
    out[..HEADER_LEN].fill(0);
    out[..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&version.to_le_bytes());
    out[12..16].copy_from_slice(&u32::try_from(record_len).ok()?.to_le_bytes());
    out[16..20].copy_from_slice(&u32::try_from(end).ok()?.to_le_bytes());
    out[32..64].copy_from_slice(&head.trunk_sha256);
    let sha = hash(&out[..64], &out[HEADER_LEN..]);
    out[64..96].copy_from_slice(&sha);
    Some(total)
}

fn hash(header: &[u8], rest: &[u8]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(header);
    sha.update(rest);
    sha.finalize().into()
}

fn check(r: &HeadRecord<'_>, weights: &[u8]) -> Result<(), &'static str> {
    let (f, k) = (r.features, r.classes);
    if !(1..=MAX_SIDE).contains(&f) || !(1..=MAX_SIDE).contains(&k) {
        return Err("number of features or classes");
    }
    let map_len = (r.map.h as u64 * r.map.w as u64).saturating_mul(r.map.c as u64);
    let area = r.map.h as u64 * r.map.w as u64;
    let from_map = if r.pool == Pool::Flatten {
        map_len
    } else {
        r.map.c as u64
    };
    if area == 0 || area > 1 << 16 || map_len > 1 << 28 || from_map != f as u64 {
        return Err("shape of the feature map");
    }
    if let Pool::Avg { multiplier, shift } = r.pool {
        let fits = multiplier >= 0 && multiplier as u64 * area * 255 < 1 << 30;
        if !fits || !(1..=30).contains(&shift) {
            return Err("multiplier of the pooling");
        }
    } else if r.feature_quant != r.map_quant {
        return Err("quantization of the features");
    }
    if !r.map_quant.is_sound() || !r.feature_quant.is_sound() {
        return Err("scale of the features");
    }
    let labels = r.labels.lines().count();
    if labels != 0 && labels != k as usize {
        return Err("number of labels");
    }
    let part = |blob: &Blob, len: u64| {
        let bytes = weights.get(blob.offset as usize..)?;
        let bytes = bytes.get(..blob.len as usize)?;
        let start = (blob.offset as usize).is_multiple_of(ALIGNMENT);
        (start && blob.len as u64 == len).then_some(bytes)
    };
    let outside = "weights outside the file or of the wrong length";
    let (mut inputs, k) = (f as u64, k as u64);
    if let Some(hidden) = &r.hidden {
        let units = hidden.units as usize;
        if !(1..=MAX_HIDDEN).contains(&units) || !hidden.quant.is_sound() {
            return Err("number or scale of the hidden units");
        }
        let [.., multiplier, shift, end] = HiddenData::offsets(units, f as usize);
        let numbers = part(&hidden.numbers, end as u64).ok_or(outside)?;
        let large = |m: &[u8]| (0x40..0x80).contains(&m[3]);
        let multipliers = &numbers[multiplier..][..4 * units];
        let in_range = |n| (1..=62).contains(n);
        if !multipliers.chunks_exact(4).all(large) || !numbers[shift..].iter().all(in_range) {
            return Err("rescaling of the hidden units");
        }
        inputs = units as u64;
    }
    match &r.data {
        HeadData::F32 { weights: w, bias } => {
            if r.hidden.is_some() {
                return Err("hidden layer of a float head");
            }
            let ok = part(w, inputs * k * 4).and(part(bias, k * 4));
            ok.map(|_| ()).ok_or(outside)
        }
        HeadData::I8 {
            weights: w,
            bias,
            scale,
        } => {
            let ok = part(w, inputs * k).and(part(bias, k * 4));
            ok.and(part(scale, k * 4)).map(|_| ()).ok_or(outside)
        }
    }
}

/// Most that a step of a class's sum may stand for: sums have 32 bits, so all logits and their differences are
/// finite, whatever the feature is.
pub const MAX_CLASS_SCALE: f32 = 1e28;

/// Numbers with which a logit would not be one. Everything lies where it should: [`check`].
fn check_classes(r: &HeadRecord<'_>, weights: &[u8]) -> Result<(), ModelError> {
    let floats = |blob: Blob| -> &[f32] {
        let bytes = weights.get(blob.offset as usize..).unwrap_or_default();
        let bytes = bytes.get(..blob.len as usize).unwrap_or_default();
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    };
    let (bad, problem) = match r.data {
        HeadData::F32 { weights, bias } => {
            let finite = |v: &f32| v.is_finite();
            let mut rows = floats(weights).chunks_exact(r.features as usize);
            let row = rows.position(|row| !row.iter().all(finite));
            let bad = row.or_else(|| floats(bias).iter().position(|b| !finite(b)));
            (bad, "a weight or a bias that is not a finite number")
        }
        HeadData::I8 { scale, .. } => {
            let good = |s: &f32| *s > 0.0 && *s <= MAX_CLASS_SCALE;
            let bad = floats(scale).iter().position(|s| !good(s));
            (bad, "a scale that is not above 0 and at most 1e28")
        }
    };
    match bad {
        Some(class) => Err(ModelError::Class {
            class: class as u32,
            problem,
        }),
        None => Ok(()),
    }
}
