//! How the filters of a convolution are divided: in blocks of sixteen, and in panels of some blocks.

/// Blocks of filters that are multiplied together.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// The first block.
    pub first: usize,
    /// Number of blocks.
    pub blocks: usize,
}

impl Panel {
    /// Panels of `most` blocks, and one of the rest.
    pub fn fixed(blocks: usize, most: usize) -> Vec<Self> {
        let panel = |first| Self {
            first,
            blocks: most.min(blocks - first),
        };
        (0..blocks).step_by(most).map(panel).collect()
    }

    /// As few panels of at most `most` blocks as can be, of nearly the same size.
    pub fn even(blocks: usize, most: usize) -> Vec<Self> {
        let count = blocks.div_ceil(most);
        let first = |i: usize| blocks * i / count;
        let panel = |i| Self {
            first: first(i),
            blocks: first(i + 1) - first(i),
        };
        (0..count).map(panel).collect()
    }
}
