//! Packs an int8 model for one family of processors, so that a microcontroller never rearranges weights,
//! and unpacks it again, byte for byte.
//!
//! A layer for which the family has no layout stays as it is; the portable kernels run it. Packing moves
//! no tensor: it only adds the kernels' scratch where there is room, or behind the arena. Knows the
//! layouts of [`edge_runtime::model::packed`], no kernel and no board.

mod dsp;
mod layer;
mod mve;
mod scratch;

pub(crate) use layer::layout_of;
pub(crate) use scratch::Lives;

use edge_runtime::model::header::Header;
use edge_runtime::model::write::{self, WriteError, Writer};
use edge_runtime::model::{
    AlignedBytes, Blob, ConvData, DType, Family, Layer, MapFunction, Model, ModelError, Op,
    Packing, Trunk,
};

/// Why a model cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Packed kernels compute in int8.
    #[error("only int8 models can be packed for a microcontroller; convert with --int8")]
    Float,
    /// It is packed already.
    #[error("the model is packed already, for {}; start from the file it was made from", .0.name())]
    Packed(Family),
    /// The arena or a section outgrew the format.
    #[error(transparent)]
    TooLarge(#[from] WriteError),
    /// The result is not what was expected of it.
    #[error(
        "the model was not laid out by this converter, so packing could not be undone; convert the network again"
    )]
    Foreign,
    /// A packed file does not unpack to the trunk that it names.
    #[error("the packed model is not what its identity says; convert the network again")]
    Identity,
    /// A file that was written here does not pass the reader's checks.
    #[error("packing gave a model that the reader refuses ({0}); please report this network")]
    Check(#[from] ModelError),
}

/// The file of `model`, packed for a family.
///
/// # Errors
/// If the model is float or packed already, or if [`unpack`] would not give the same bytes back.
pub fn pack(model: &Model<'_>, family: Family) -> Result<AlignedBytes, PackError> {
    if model.dtype() != DType::I8 {
        return Err(PackError::Float);
    }
    if let Some(packing) = model.packing() {
        return Err(PackError::Packed(packing.family));
    }
    let bytes = lay_out(model, family)?;
    match restore(&Model::parse(&bytes)?) {
        Ok(again) if Header::read(&again)? == *model.header() => Ok(bytes),
        Err(PackError::Identity) | Ok(_) => Err(PackError::Foreign),
        Err(e) => Err(e),
    }
}

/// The file of `model`, which is not packed, in a family's layouts.
fn lay_out(model: &Model<'_>, family: Family) -> Result<AlignedBytes, PackError> {
    let mut layers: Vec<Layer<'_>> = model.layers().collect();
    let mut writer = Writer::default();
    for layer in &mut layers {
        let packed = layer::pack(model, layer, family, &mut writer);
        match (packed, data_of(&mut layer.op)) {
            (Some(packed), Some(data)) => *data = packed,
            _ => copy_blobs(model, &mut layer.op, &mut writer),
        }
    }
    let arena_bytes = scratch::place(model, &mut layers);
    let trunk = Trunk {
        arena_bytes: u32::try_from(arena_bytes)
            .map_err(|_| WriteError::TooLarge { section: "arena" })?,
        packing: Some(Packing {
            family,
            trunk_sha256: *model.trunk_sha256(),
            arena_bytes: model.arena_bytes() as u32,
        }),
        ..trunk(model)
    };
    layers.iter().for_each(|layer| writer.layer(layer));
    writer.output(&model.output_rule(), model.self_check().as_ref());
    with_head_of(model, writer.finish(model.manifest(), trunk, None)?)
}

/// The file that a packed one was made from; a copy of the same bytes for one that is not packed.
///
/// # Errors
/// If the result has not the identity that the packed file states, or packs to other bytes: a packed file has
/// bytes that a device computes with and the unpacked one has not, as the zeros that fill up vectors.
pub fn unpack(model: &Model<'_>) -> Result<AlignedBytes, PackError> {
    let bytes = restore(model)?;
    if let Some(packing) = model.packing() {
        let again = lay_out(&Model::parse(&bytes)?, packing.family)?;
        if Header::read(&again)?.sha256 != model.header().sha256 {
            return Err(PackError::Identity);
        }
    }
    Ok(bytes)
}

/// The unpacked file; its identity is that which the packed one states.
fn restore(model: &Model<'_>) -> Result<AlignedBytes, PackError> {
    let mut writer = Writer::default();
    for mut layer in model.layers() {
        let output = layer.output;
        let input = layer.inputs[0];
        let plain = match &layer.op {
            Op::Conv { window, data, .. } | Op::DepthwiseConv { window, data } => {
                layer::unpack(model, data, window, input.shape, output.shape, &mut writer)
            }
            _ => None,
        };
        match (plain, data_of(&mut layer.op)) {
            (Some(plain), Some(data)) => *data = plain,
            _ => copy_blobs(model, &mut layer.op, &mut writer),
        }
        writer.layer(&layer);
    }
    let arena_bytes = model
        .packing()
        .map_or(model.arena_bytes() as u32, |p| p.arena_bytes);
    let trunk = Trunk {
        arena_bytes,
        packing: None,
        ..trunk(model)
    };
    writer.output(&model.output_rule(), model.self_check().as_ref());
    let bytes = writer.finish(model.manifest(), trunk, None)?;
    if Header::read(&bytes)?.sha256 != *model.trunk_sha256() {
        return Err(PackError::Identity);
    }
    let bytes = with_head_of(model, bytes)?;
    Model::parse(&bytes)?;
    Ok(bytes)
}

fn trunk(model: &Model<'_>) -> Trunk {
    Trunk {
        dtype: model.dtype(),
        input: model.input(),
        arena_bytes: model.arena_bytes() as u32,
        layers: 0,
        packing: None,
    }
}

/// The file with the model's head.
fn with_head_of(model: &Model<'_>, bytes: AlignedBytes) -> Result<AlignedBytes, PackError> {
    match model.head() {
        None => Ok(bytes),
        Some(head) => Ok(write::with_head(&bytes, head.bytes())?),
    }
}

fn data_of(op: &mut Op) -> Option<&mut ConvData> {
    match op {
        Op::Conv { data, .. } | Op::DepthwiseConv { data, .. } => Some(data),
        _ => None,
    }
}

/// Copies the blobs of an operator, in the order in which `lower` writes them.
fn copy_blobs(model: &Model<'_>, op: &mut Op, writer: &mut Writer) {
    for blob in blobs_of(op) {
        // A float operator states an empty blob at offset 0 that it never wrote.
        if blob.len > 0 || blob.offset > 0 {
            *blob = writer.blob(model.u8s(*blob));
        }
    }
}

/// The blobs of an operator, in the order in which `lower` writes them.
pub(crate) fn blobs_of(op: &mut Op) -> Vec<&mut Blob> {
    match op {
        Op::Conv { data, .. } | Op::DepthwiseConv { data, .. } => match data {
            ConvData::F32 { weights, bias, .. } => vec![weights, bias],
            ConvData::I8 {
                weights,
                bias,
                multiplier,
                shift,
                ..
            } => vec![weights, bias, multiplier, shift],
            ConvData::Packed {
                weights, channels, ..
            } => vec![weights, channels],
        },
        Op::AvgPool { multipliers, .. } => vec![multipliers],
        Op::Map {
            function: MapFunction::Table(table),
        } => vec![table],
        Op::PRelu { slopes, .. } => vec![slopes],
        Op::LocalResponseNorm { table, .. } => vec![table],
        _ => vec![],
    }
}
