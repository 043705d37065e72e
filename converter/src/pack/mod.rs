//! Packs an int8 model for a family of processors: the weights get the layout that its kernels read, so that
//! a microcontroller need not rearrange them. Unpacking gives the same file back, byte for byte.
//!
//! A layer for which the family has no layout stays as it is, and the portable kernels run it. Packing moves
//! no tensor. It only adds scratch for the kernels, in unused bytes of the arena or after it. This module
//! knows the layouts of [`edge_runtime::model::packed`], no kernel and no board.

mod dsp;
mod layer;
mod mve;
mod scratch;

pub(crate) use layer::layout_of;
pub(crate) use scratch::Lives;

use edge_runtime::model::header::Header;
use edge_runtime::model::write::{self, WriteError, Writer};
use edge_runtime::model::{
    AlignedBytes, ConvData, DType, Family, Layer, Model, ModelError, Op, Packing, Trunk,
};

/// Why a model cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The model is float.
    #[error("only int8 models can be packed for a microcontroller; convert with --int8")]
    Float,
    /// The model is packed already, for this family.
    #[error("the model is packed already, for {}; start from the file it was made from", .0.name())]
    Packed(Family),
    /// The arena or a section is larger than the format allows.
    #[error(transparent)]
    TooLarge(#[from] WriteError),
    /// Unpacking does not give the same file back.
    #[error(
        "the model was not laid out by this converter, so packing could not be undone; convert the network again"
    )]
    Foreign,
    /// A packed file does not unpack to the trunk whose SHA-256 it states.
    #[error("the packed model does not match the SHA-256 of its trunk; convert the network again")]
    Identity,
    /// A file that was written here does not pass the reader's checks.
    #[error("packing gave a model that the reader refuses ({0}); please report this network")]
    Check(#[from] ModelError),
}

/// Packs `model` for a family and gives the file.
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

/// Packs a model that is not packed, without a check.
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
    writer.output(
        &model.output_rule(),
        model.self_check().as_ref(),
        model.pruning().as_ref(),
    );
    with_head_of(model, writer.finish(model.manifest(), trunk, None)?)
}

/// Gives the file that a packed one was made from. For a model that is not packed, that is a copy of its
/// bytes.
///
/// # Errors
/// If the trunk of the result has another SHA-256 than the packed file states, or if packing the result gives
/// other bytes. The second can happen alone: a packed file has bytes of its own, such as zeros that fill up
/// vectors.
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

/// Unpacks a model and checks that the SHA-256 of the trunk is the one that it states.
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
    writer.output(
        &model.output_rule(),
        model.self_check().as_ref(),
        model.pruning().as_ref(),
    );
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

/// Finishes a file, with the head of `model`.
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
    for blob in op.blobs_mut() {
        // A float operator states an empty blob at offset 0 that it never wrote.
        if blob.len > 0 || blob.offset > 0 {
            *blob = writer.blob(model.u8s(*blob));
        }
    }
}
