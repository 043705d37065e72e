//! The `.edge` file: what is in it, and a reader that borrows from its bytes and trusts none of them.
//!
//! Layout (little-endian; `docs/reference/format.md` is the specification):
//!
//! | bytes | content |
//! |---|---|
//! | 0..64 | [`header`]: magic, format version, lengths, SHA-256 of metadata and weights |
//! | 64.. | metadata in postcard: [`Manifest`], [`Trunk`], every [`Layer`], and in some files [`Output`] |
//! | next multiple of 16 | weights, each tensor on a multiple of 16 |
//! | next multiple of 16 | the factory head, in the head file's own format ([`crate::head`]) |
//!
//! [`Model::parse`] checks everything once; after that, walking the layers cannot fail. Knows no backend.

mod check;
mod error;
pub mod header;
mod layer;
mod manifest;
#[cfg(feature = "mapped")]
mod mapped;
pub mod norm_table;
mod output;
pub mod packed;
mod sha256;
#[cfg(feature = "std")]
mod storage;
#[cfg(feature = "std")]
pub mod write;

pub use check::{MAX_LAYERS, MAX_NAME};
pub use error::{LayerProblem, ModelError};
pub use layer::*;
pub use manifest::*;
#[cfg(feature = "mapped")]
pub use mapped::ModelFile;
pub use output::{Comparison, Doubt, Output, OutputFunction, SelfCheck};
pub use packed::{ChannelRecord, Family, Layout, Packing, Scratch};
#[cfg(feature = "std")]
pub use storage::{AlignedBytes, Backing};

pub use crate::tensor::{DType, Quant, Shape, Window};

use crate::head::Head;
use header::Header;
use serde::{Deserialize, Serialize};

/// Every tensor and section starts on a multiple of this many bytes.
pub const ALIGNMENT: usize = 16;

/// Rounds `n` up to a multiple of [`ALIGNMENT`].
pub const fn align(n: usize) -> usize {
    n.div_ceil(ALIGNMENT) * ALIGNMENT
}

/// The trunk as a whole: the second record of the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trunk {
    /// Element type of activations and weights.
    pub dtype: DType,
    /// Tensor 0.
    pub input: Operand,
    /// Bytes of the arena that the plan uses; a multiple of 16.
    pub arena_bytes: u32,
    /// Number of layers, at least one.
    pub layers: u32,
    /// Where a file with packed weights came from; `None` for one that runs everywhere.
    pub packing: Option<Packing>,
}

/// A checked model that borrows from the bytes of its file.
///
/// ```
/// use edge_runtime::model::Model;
///
/// # let bytes = graft_tests::tiny::model();
/// // `AlignedBytes::read(path)` on a host; the flash itself on a microcontroller.
/// let model = Model::parse(&bytes)?;
/// assert_eq!(model.manifest().name, "tiny");
/// assert_eq!(model.input().shape.to_string(), "8x8x3");
/// for layer in model.layers() {
///     println!("{}: {}", layer.name, layer.output.shape);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model<'a> {
    header: Header,
    manifest: Manifest<'a>,
    trunk: Trunk,
    output: Operand,
    output_rule: Output,
    layers: &'a [u8],
    weights: &'a [u8],
    head: Option<Head<'a>>,
    #[cfg(feature = "std")]
    backing: Option<&'a dyn Backing>,
}

impl<'a> Model<'a> {
    /// The same model; a backend that copies weights lets go of the memory that they have in the file.
    #[cfg(feature = "std")]
    pub fn backed_by(mut self, backing: &'a dyn Backing) -> Self {
        self.backing = Some(backing);
        self
    }

    /// Lets go of the memory of a blob and of all before it, where that is possible; they can still be read. (The
    /// system maps neighbours of what is read, so those before have come back.)
    #[cfg(feature = "std")]
    pub(crate) fn release_up_to(&self, blob: Blob) {
        if let Some(backing) = self.backing {
            let end = blob.offset as usize + blob.len as usize;
            backing.release(&self.weights[..end]);
        }
    }

    /// Reads and checks the file at the start of `region`, whose length its header says: as a board's flash
    /// holds it.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_region(region: &'a [u8]) -> Result<Self, ModelError> {
        let need = Header::read(region)?.file_len();
        let file = usize::try_from(need).ok().and_then(|len| region.get(..len));
        Self::parse(file.ok_or(ModelError::Truncated {
            have: region.len() as u64,
            need,
        })?)
    }

    /// Reads and checks a whole file. `bytes` must start on a multiple of 16 (see [`AlignedBytes`]).
    ///
    /// # Errors
    /// Says what is wrong and where. Never panics, whatever the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ModelError> {
        Self::parse_apart(bytes, bytes)
    }

    /// Reads and checks a whole file whose header is elsewhere, at the start of `header`: its place in `bytes` holds
    /// anything. So a model that was sent to a device is checked before it is made one by its header.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_apart(header: &[u8], bytes: &'a [u8]) -> Result<Self, ModelError> {
        let header = Header::read(header)?;
        // In steps, so that a small stack holds the temporaries of one at a time.
        let (trunk, layers, weights) = Self::open(&header, bytes)?;
        let (output, rest) = check::layers(&trunk, layers, weights)?;
        let rule = Self::read_output(&header, rest)?;
        Self::assemble(header, bytes, output, rule)
    }

    /// Checks lengths, hash and the first two records; the second one, and the bytes of layers and weights.
    #[inline(never)]
    fn open(header: &Header, bytes: &'a [u8]) -> Result<(Trunk, &'a [u8], &'a [u8]), ModelError> {
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(ModelError::Misaligned);
        }
        let [metadata, weights, _] = header.sections(bytes)?;
        header.verify_hash(bytes)?;
        let (trunk, layers) = Self::trunk(Self::manifest_of(metadata)?.1)?;
        Ok((trunk, layers, weights))
    }

    /// Reads again what [`Self::open`] has checked, and the head.
    #[inline(never)]
    fn assemble(
        header: Header,
        bytes: &'a [u8],
        output: Operand,
        output_rule: Output,
    ) -> Result<Self, ModelError> {
        let [metadata, weights, head] = header.sections(bytes)?;
        let (manifest, rest) = Self::manifest_of(metadata)?;
        let (trunk, layers) = Self::trunk(rest)?;
        let mut model = Self {
            header,
            manifest,
            trunk,
            output,
            output_rule,
            layers,
            weights,
            head: None,
            #[cfg(feature = "std")]
            backing: None,
        };
        if !head.is_empty() {
            model.head = Some(Head::parse(head, &model)?);
        }
        Ok(model)
    }

    /// The first record, checked, and what follows it.
    fn manifest_of(metadata: &'a [u8]) -> Result<(Manifest<'a>, &'a [u8]), ModelError> {
        let error = ModelError::Metadata { record: "manifest" };
        let read: (Manifest<'a>, _) = postcard::take_from_bytes(metadata).map_err(|_| error)?;
        check::manifest(&read.0)?;
        Ok(read)
    }

    /// The second record, and what follows it.
    fn trunk(rest: &'a [u8]) -> Result<(Trunk, &'a [u8]), ModelError> {
        let error = ModelError::Metadata { record: "trunk" };
        postcard::take_from_bytes(rest).map_err(|_| error)
    }

    /// What stands behind the layers: the meaning of the output, checked, and then what is for people only.
    fn read_output(header: &Header, rest: &[u8]) -> Result<Output, ModelError> {
        let error = ModelError::Metadata { record: "output" };
        if !header.with_output {
            return if rest.is_empty() {
                Ok(Output::SOFTMAX)
            } else {
                Err(error)
            };
        }
        let (rule, _) = postcard::take_from_bytes::<Output>(rest).map_err(|_| error)?;
        match rule.problem() {
            Some(problem) => Err(ModelError::Value {
                record: "output",
                problem,
            }),
            None => Ok(rule),
        }
    }

    /// Whom a file is packed for, without checking it; `None` too if it cannot be read.
    pub fn peek_packing(bytes: &[u8]) -> Option<Packing> {
        let [metadata, ..] = Header::read(bytes).ok()?.sections(bytes).ok()?;
        let (_, rest) = postcard::take_from_bytes::<Manifest<'_>>(metadata).ok()?;
        let (trunk, _) = postcard::take_from_bytes::<Trunk>(rest).ok()?;
        trunk.packing
    }

    /// What the file says of itself.
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// The lengths and the hash of metadata and weights.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The identity of the trunk, which a head is bound to: SHA-256 of metadata and weights before any
    /// packing, so that a head fits the packed file and the one that it was made from.
    pub fn trunk_sha256(&self) -> &[u8; 32] {
        match &self.trunk.packing {
            Some(packing) => &packing.trunk_sha256,
            None => &self.header.sha256,
        }
    }

    /// Where a file with packed weights came from; `None` for one that runs everywhere.
    pub fn packing(&self) -> Option<&Packing> {
        self.trunk.packing.as_ref()
    }

    /// Element type of activations and weights.
    pub fn dtype(&self) -> DType {
        self.trunk.dtype
    }

    /// Tensor 0, the picture.
    pub fn input(&self) -> Operand {
        self.trunk.input
    }

    /// The trunk's last feature map.
    pub fn output(&self) -> Operand {
        self.output
    }

    /// What the numbers at the network's own end mean: those of the factory head, or of [`Self::output`] if there is
    /// no head. A trained head has its own meaning, [`Head::output`].
    pub fn output_rule(&self) -> Output {
        self.output_rule
    }

    /// What the converter doubted when it checked its own work; `None` if it doubted nothing.
    pub fn self_check(&self) -> Option<SelfCheck> {
        let (check, _) = postcard::take_from_bytes::<SelfCheck>(self.for_people()?).ok()?;
        (check.doubts != 0).then_some(check)
    }

    /// What the network was before it was pruned; `None` if it was not.
    pub fn pruning(&self) -> Option<Pruning<'a>> {
        let (_, rest) = postcard::take_from_bytes::<SelfCheck>(self.for_people()?).ok()?;
        postcard::from_bytes(rest).ok()
    }

    /// What stands behind the meaning of the output.
    fn for_people(&self) -> Option<&'a [u8]> {
        let mut bytes = self.layers;
        for _ in 0..self.trunk.layers {
            take_layer(&mut bytes).ok()?;
        }
        Some(postcard::take_from_bytes::<Output>(bytes).ok()?.1)
    }

    /// Bytes of arena that one inference needs.
    pub fn arena_bytes(&self) -> usize {
        self.trunk.arena_bytes as usize
    }

    /// The factory head, or `None` for a network that does not end in a classifier.
    pub fn head(&self) -> Option<&Head<'a>> {
        self.head.as_ref()
    }

    /// The layers in order of execution; layer `i` writes tensor `i + 1`.
    pub fn layers(&self) -> Layers<'a> {
        Layers {
            left: self.trunk.layers,
            bytes: self.layers,
        }
    }

    /// The int8 values of a blob of this model.
    pub fn i8s(&self, blob: Blob) -> &'a [i8] {
        bytemuck::cast_slice(self.bytes_of(blob))
    }

    /// The bytes of a blob of this model.
    pub fn u8s(&self, blob: Blob) -> &'a [u8] {
        self.bytes_of(blob)
    }

    /// The i32 values of a blob of this model.
    pub fn i32s(&self, blob: Blob) -> &'a [i32] {
        bytemuck::cast_slice(self.bytes_of(blob))
    }

    /// The channel records of a packed convolution of this model.
    pub fn records(&self, blob: Blob) -> &'a [ChannelRecord] {
        bytemuck::cast_slice(self.bytes_of(blob))
    }

    /// The f32 values of a blob of this model.
    pub fn f32s(&self, blob: Blob) -> &'a [f32] {
        bytemuck::cast_slice(self.bytes_of(blob))
    }

    fn bytes_of(&self, blob: Blob) -> &'a [u8] {
        &self.weights[blob.offset as usize..][..blob.len as usize]
    }
}

/// Decodes the first layer of `bytes`, and leaves those behind it. (`postcard::take_from_bytes` moves the
/// layer twice, which takes as much stack again.)
fn take_layer<'a>(bytes: &mut &'a [u8]) -> postcard::Result<Layer<'a>> {
    let mut deserializer = postcard::Deserializer::from_bytes(bytes);
    let layer = Layer::deserialize(&mut deserializer);
    if let Ok(rest) = deserializer.finalize() {
        *bytes = rest;
    }
    layer
}

/// Decodes layers one by one.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    left: u32,
    bytes: &'a [u8],
}

impl<'a> Iterator for Layers<'a> {
    type Item = Layer<'a>;

    fn next(&mut self) -> Option<Layer<'a>> {
        self.left = self.left.checked_sub(1)?;
        take_layer(&mut self.bytes).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}
