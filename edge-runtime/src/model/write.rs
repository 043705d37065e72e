//! Writes `.edge` files: what the reader in [`super`] reads, from the same records.

use super::{
    AlignedBytes, Blob, Layer, Manifest, Output, Pruning, SelfCheck, Trunk, align, header::Header,
};
use crate::head::file::{self, NewHead};
use sha2::{Digest, Sha256};

/// Why a file cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A section outgrew the format's 32-bit lengths.
    #[error("the {section} section is larger than the format's 4 GiB")]
    TooLarge {
        /// Which one.
        section: &'static str,
    },
}

/// Collects layers and weights, in the order of execution.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    layers: Vec<u8>,
    count: u32,
    weights: Vec<u8>,
    end: Vec<u8>,
}

impl Writer {
    /// Adds a tensor to the weights section.
    pub fn blob<T: bytemuck::NoUninit>(&mut self, values: &[T]) -> Blob {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let offset = align(self.weights.len());
        self.weights.resize(offset, 0);
        self.weights.extend_from_slice(bytes);
        // Truncation is caught by `finish`, which refuses a section that needs more than 32 bits.
        Blob {
            offset: offset as u32,
            len: bytes.len() as u32,
        }
    }

    /// Adds a layer.
    pub fn layer(&mut self, layer: &Layer<'_>) {
        append(&mut self.layers, layer);
        self.count += 1;
    }

    /// States what the output means, what the converter doubts, and what was pruned. What goes without saying takes no
    /// bytes.
    pub fn output(
        &mut self,
        rule: &Output,
        check: Option<&SelfCheck>,
        pruning: Option<&Pruning<'_>>,
    ) {
        self.end.clear();
        if *rule != Output::SOFTMAX || check.is_some() || pruning.is_some() {
            append(&mut self.end, rule);
        }
        if check.is_some() || pruning.is_some() {
            append(&mut self.end, check.unwrap_or(&SelfCheck::NO_DOUBT));
        }
        if let Some(pruning) = pruning {
            append(&mut self.end, pruning);
        }
    }

    /// Writes the file. `trunk.layers` and the head's trunk hash are filled in here.
    pub fn finish(
        mut self,
        manifest: &Manifest<'_>,
        trunk: Trunk,
        head: Option<NewHead<'_>>,
    ) -> Result<AlignedBytes, WriteError> {
        let mut metadata = Vec::new();
        append(&mut metadata, manifest);
        append(
            &mut metadata,
            &Trunk {
                layers: self.count,
                ..trunk
            },
        );
        metadata.append(&mut self.layers);
        metadata.extend(&self.end);

        let mut header = Header {
            with_output: !self.end.is_empty(),
            metadata_len: len32(metadata.len(), "metadata")?,
            weights_len: len32(self.weights.len(), "weights")?,
            head_len: 0,
            sha256: [0; 32],
        };
        metadata.resize(align(metadata.len()), 0);
        self.weights.resize(align(self.weights.len()), 0);
        let mut sha = Sha256::new();
        sha.update(&metadata);
        sha.update(&self.weights);
        header.sha256 = sha.finalize().into();
        let identity = trunk.packing.map_or(header.sha256, |p| p.trunk_sha256);

        let head = head.map(|head| {
            encode_head(&NewHead {
                trunk_sha256: identity,
                ..head
            })
        });
        Ok(assemble(
            header,
            &[&metadata, &self.weights],
            &head.transpose()?.unwrap_or_default(),
        ))
    }
}

/// The file `model` (already checked) with another factory head.
pub fn with_head(model: &[u8], head: &[u8]) -> Result<AlignedBytes, super::ModelError> {
    let header = Header::read(model)?;
    header.sections(model)?;
    let trunk = &model[super::header::LEN..header.head_offset() as usize];
    Ok(assemble(header, &[trunk], head))
}

/// The bytes of a head file.
pub fn encode_head(head: &NewHead<'_>) -> Result<Vec<u8>, WriteError> {
    let mut out = vec![0; 1024];
    loop {
        if let Some(len) = file::encode(head, &mut out) {
            out.truncate(len);
            return Ok(out);
        }
        if out.len() > u32::MAX as usize {
            return Err(WriteError::TooLarge { section: "head" });
        }
        out.resize(out.len() * 2, 0);
    }
}

fn assemble(header: Header, trunk: &[&[u8]], head: &[u8]) -> AlignedBytes {
    // A head of 4 GiB would need 65536 classes of 65536 features; its encoder refuses more.
    let header = Header {
        head_len: head.len() as u32,
        ..header
    };
    let start = header.encode();
    let parts = [&start[..]]
        .into_iter()
        .chain(trunk.iter().copied())
        .chain([head]);
    let mut out = AlignedBytes::zeroed(header.file_len() as usize);
    let mut at = 0;
    for part in parts {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    out
}

fn append<T: serde::Serialize>(out: &mut Vec<u8>, record: &T) {
    let bytes = postcard::to_stdvec(record).expect("records of numbers and strings always encode");
    out.extend_from_slice(&bytes);
}

fn len32(len: usize, section: &'static str) -> Result<u32, WriteError> {
    u32::try_from(len).map_err(|_| WriteError::TooLarge { section })
}
