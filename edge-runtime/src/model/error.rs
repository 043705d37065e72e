//! Why a file is no model.

/// What is wrong with a `.edge` file or a head file, and where. One line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// It does not start as one.
    #[error(
        "this is not a .edge model (its first bytes are wrong); make one with `cargo xtask convert`"
    )]
    NotAModel,
    /// A section that is not a head.
    #[error("the head section does not start as a head file")]
    NotAHead,
    /// Written by another version of the format.
    #[error(
        "format version {found}, but this program reads {} and {}; convert the network again, or update the program",
        super::header::VERSION,
        super::header::WITH_OUTPUT
    )]
    Version {
        /// The file's version.
        found: u16,
    },
    /// A head of a later version of its own format.
    #[error(
        "head format version {found}, but this program reads up to version {}; train the head again, or update the program",
        crate::head::file::VERSION
    )]
    HeadVersion {
        /// The head's version.
        found: u16,
    },
    /// Too short.
    #[error("the file is cut off: {have} bytes of {need}; copy it again")]
    Truncated {
        /// Its length.
        have: u64,
        /// What its header says, or the header's own length.
        need: u64,
    },
    /// Too long.
    #[error("the file has {have} bytes, but its header accounts for {need}; copy it again")]
    Trailing {
        /// Its length.
        have: u64,
        /// What its header says.
        need: u64,
    },
    /// Reserved bytes are not zero.
    #[error("reserved bytes of the header are not zero; the file is damaged")]
    Reserved,
    /// The bytes do not start on a multiple of 16.
    #[error("the model must lie on a 16-byte boundary in memory")]
    Misaligned,
    /// The checksum does not match.
    #[error("the {section} is damaged: its SHA-256 does not match; copy or convert it again")]
    Hash {
        /// Which section.
        section: &'static str,
    },
    /// A record cannot be decoded.
    #[error("the {record} record cannot be decoded; the file was not written by this program")]
    Metadata {
        /// Which record.
        record: &'static str,
    },
    /// A record has a value that makes no sense.
    #[error("the {record} record has a bad value: {problem}")]
    Value {
        /// Which record.
        record: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A layer is inconsistent.
    #[error("layer {layer}: {problem}")]
    Layer {
        /// Its index, from 0.
        layer: u32,
        /// What is wrong.
        problem: LayerProblem,
    },
    /// The head belongs to another trunk.
    #[error("the head was made for another trunk; retrain it on this model")]
    ForeignHead,
}

/// What is wrong with a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerProblem {
    /// It cannot be decoded.
    #[error("cannot be decoded")]
    Undecodable,
    /// Its name is too long.
    #[error("has a name of more than {} bytes", super::MAX_NAME)]
    Name,
    /// Wrong number of inputs for its operator.
    #[error("has the wrong number of inputs")]
    Arity,
    /// A tensor is empty or too large.
    #[error("has an empty or oversized tensor")]
    Size,
    /// An operand differs from the tensor that an earlier layer wrote.
    #[error("reads a tensor that was not written so")]
    Operand,
    /// A tensor lies outside the arena or off its alignment.
    #[error("has a tensor outside the arena")]
    Arena,
    /// The scratch range lies outside the arena, overlaps an operand or has the wrong length.
    #[error("has a scratch range that is not its own")]
    Scratch,
    /// Packed weights that do not fit the operator, or in a file that does not say whom it is packed for.
    #[error("has packed weights that do not fit it")]
    Layout,
    /// The output overlaps an input.
    #[error("would overwrite its own input")]
    Overlap,
    /// Window, groups, start or step are impossible.
    #[error("has an impossible geometry")]
    Geometry,
    /// The output's shape does not follow from the input's.
    #[error("has an output of the wrong shape")]
    OutputShape,
    /// Weights outside the section, off their alignment or of the wrong length.
    #[error("has weights outside the file or of the wrong length")]
    Weights,
    /// A multiplier, shift, scale or clamp out of range.
    #[error("has a quantization parameter out of range")]
    Quantization,
    /// int8 parameters in a float model or the reverse.
    #[error("mixes float and int8")]
    DType,
}
