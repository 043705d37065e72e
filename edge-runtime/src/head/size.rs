//! How large a head is, and how much memory its training takes.

use super::file::HEADER_LEN;
use crate::model::align;

/// Most units of a hidden layer: its activations lie on the stack.
pub const MAX_HIDDEN: usize = 128;

/// Sizes of a head's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSize {
    /// Length of the feature vector.
    pub features: usize,
    /// Units of the hidden layer, at most [`MAX_HIDDEN`]; 0 if there is none.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
}

impl HeadSize {
    /// A head of one fully connected layer.
    pub const fn linear(features: usize, classes: usize) -> Self {
        Self {
            features,
            hidden: 0,
            classes,
        }
    }

    /// Inputs of the last layer.
    pub const fn last_inputs(&self) -> usize {
        match self.hidden {
            0 => self.features,
            hidden => hidden,
        }
    }

    /// f32 values of workspace for the training: weights, biases and velocities of the layers, activations
    /// and errors of the hidden layer, logits, the centre of the features, and one sample.
    pub const fn workspace_len(&self) -> usize {
        let last = 2 * self.last_inputs() * self.classes + 3 * self.classes;
        let hidden = 2 * self.features * self.hidden + 4 * self.hidden;
        last + hidden + 2 * self.features
    }

    /// Upper bound of the length of an int8 head's file, in bytes, with `label_bytes` bytes of labels.
    pub const fn encoded_len_bound(&self, label_bytes: usize) -> usize {
        HEADER_LEN + align(label_bytes + 256) + self.layers_len()
    }

    /// Bytes of the numbers of its int8 layers, every tensor rounded up to the alignment.
    pub const fn layers_len(&self) -> usize {
        let last = align(self.last_inputs() * self.classes) + 2 * align(4 * self.classes);
        let hidden =
            align(self.features * self.hidden) + 2 * align(4 * self.hidden) + align(self.hidden);
        hidden + last
    }
}
