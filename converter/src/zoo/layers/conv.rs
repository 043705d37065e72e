//! The description of a convolution in an architecture.

use crate::graph::window::same_padding;
use crate::graph::{Shape, Window};

/// A convolution to add: stride and dilation 1, one group and no bias unless said otherwise. Padding
/// centres the window (`dilation * (kernel - 1) / 2` zeros on every side), so that an odd kernel with
/// stride 1 keeps the map's size.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub(super) out: usize,
    pub(super) kernel: [u32; 2],
    pub(super) groups: usize,
    pub(super) bias: bool,
    stride: u32,
    dilation: u32,
    padding: Padding,
}

#[derive(Clone, Copy, Debug)]
enum Padding {
    /// `dilation * (kernel - 1) / 2` on every side.
    Centred,
    /// TensorFlow's 'same', which may have more after than before.
    Same,
    /// This many zeros on every side.
    Zeros(u32),
}

impl Conv {
    /// `out` channels through a window of `kernel` by `kernel`.
    pub fn new(out: usize, kernel: u32) -> Self {
        Self::rect(out, [kernel; 2])
    }

    /// `out` channels through a window of `[rows, columns]`.
    pub fn rect(out: usize, kernel: [u32; 2]) -> Self {
        Self {
            out,
            kernel,
            groups: 1,
            bias: false,
            stride: 1,
            dilation: 1,
            padding: Padding::Centred,
        }
    }

    /// Steps of the window, both ways.
    pub fn stride(self, stride: u32) -> Self {
        Self { stride, ..self }
    }

    /// Distance of the window's taps, both ways.
    pub fn dilation(self, dilation: u32) -> Self {
        Self { dilation, ..self }
    }

    /// Channel groups; as many as channels for a depthwise convolution.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// With a bias per output channel.
    pub fn bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// This many zeros on every side.
    pub fn pad(self, zeros: u32) -> Self {
        let padding = Padding::Zeros(zeros);
        Self { padding, ..self }
    }

    /// No padding; the papers' 'V'.
    pub fn valid(self) -> Self {
        self.pad(0)
    }

    /// TensorFlow's 'same' padding.
    pub fn same(self) -> Self {
        let padding = Padding::Same;
        Self { padding, ..self }
    }

    /// The window over an input of this shape.
    pub(super) fn window(&self, input: Shape) -> Window {
        let pads = [(input.h, self.kernel[0]), (input.w, self.kernel[1])].map(|(len, kernel)| {
            let span = self.dilation * kernel.saturating_sub(1) + 1;
            match self.padding {
                Padding::Centred => (span / 2, span / 2),
                Padding::Same => same_padding(len, span, self.stride),
                Padding::Zeros(zeros) => (zeros, zeros),
            }
        });
        Window {
            kernel: self.kernel,
            stride: [self.stride; 2],
            dilation: [self.dilation; 2],
            pad_before: pads.map(|p| p.0),
            pad_after: pads.map(|p| p.1),
        }
    }
}
