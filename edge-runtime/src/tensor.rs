//! What every layer of the crate may know of a tensor: its shape, its element type, its quantization, and
//! the window that slides over it. Knows no file, no operator and no kernel.

use serde::{Deserialize, Serialize};

/// Height, width and channels of an NHWC tensor with batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub h: u32,
    /// Columns.
    pub w: u32,
    /// Channels, the innermost dimension.
    pub c: u32,
}

impl Shape {
    /// A shape of `h` rows, `w` columns and `c` channels.
    pub const fn new(h: u32, w: u32, c: u32) -> Self {
        Self { h, w, c }
    }

    /// Number of elements. Shapes of a checked model fit `u32`.
    pub const fn len(&self) -> usize {
        self.h as usize * self.w as usize * self.c as usize
    }

    /// True if any dimension is zero (no checked model has such a tensor).
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.h, self.w, self.c)
    }
}

/// What the numbers of a model are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DType {
    /// 32-bit float activations and weights; run by the std backends.
    F32,
    /// int8 activations and weights, i32 accumulators; run by every backend.
    I8,
}

impl DType {
    /// Bytes of one activation.
    pub const fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::I8 => 1,
        }
    }
}

/// Per-tensor quantization: `real = scale * (q - zero_point)`. Float tensors have scale 1, zero 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quant {
    /// Real value of one step; finite and positive, as are 256 of them.
    pub scale: f32,
    /// The int8 value that stands for real zero.
    pub zero_point: i8,
}

impl Quant {
    /// What float tensors carry.
    pub const NONE: Quant = Quant {
        scale: 1.0,
        zero_point: 0,
    };

    /// True if every int8 value stands for a finite number, and different ones for different numbers.
    pub fn is_sound(&self) -> bool {
        self.scale > 0.0 && (256.0 * self.scale).is_finite()
    }
}

/// Sliding window of a convolution or pooling. Index 0 is vertical, 1 horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [u32; 2],
    /// Steps between outputs.
    pub stride: [u32; 2],
    /// Steps between the taps of the kernel (1: dense).
    pub dilation: [u32; 2],
    /// Padding before the first row and column.
    pub pad_before: [u32; 2],
    /// Padding after the last row and column.
    pub pad_after: [u32; 2],
}

impl Window {
    /// A 1x1 window without padding.
    pub const POINT: Window = Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad_before: [0, 0],
        pad_after: [0, 0],
    };

    /// Rows or columns that the dilated kernel spans.
    pub const fn span(&self, axis: usize) -> u64 {
        (self.kernel[axis] as u64 - 1) * self.dilation[axis] as u64 + 1
    }

    /// Output length along `axis` for `input` rows or columns, or `None` if the window does not fit or the padded
    /// input is longer than 32 bits tell.
    pub fn output_len(&self, axis: usize, input: u32) -> Option<u32> {
        let padded = input as u64 + self.pad_before[axis] as u64 + self.pad_after[axis] as u64;
        let room = padded.checked_sub(self.span(axis))?;
        // In 32 bits, since a division of 64 would be a function of its own on small processors.
        let room = u32::try_from(room).ok()?;
        room.checked_div(self.stride[axis])?.checked_add(1)
    }

    /// True if no tap ever falls on padding.
    pub fn is_unpadded(&self) -> bool {
        self.pad_before == [0, 0] && self.pad_after == [0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_outputs() {
        let window = |kernel, stride, pad| Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            pad_before: [pad; 2],
            ..Window::POINT
        };
        for (kernel, stride, pad, input, len) in [
            (3, 1, 1, 8, Some(7)),
            (3, 2, 0, 8, Some(3)),
            (3, 2, 1, 8, Some(4)),
            (8, 5, 0, 8, Some(1)),
            (9, 1, 0, 8, None),
            (1, 0, 0, 8, None),
            (1, 1, 0, u32::MAX, Some(u32::MAX)),
            (1, 2, 1, u32::MAX, Some(1 << 31)),
            (1, 1, 1, u32::MAX, None),
            (1, 9, 9, u32::MAX, None),
            (u32::MAX, 1, u32::MAX, 1, Some(2)),
        ] {
            let window = window(kernel, stride, pad);
            assert_eq!(window.output_len(0, input), len, "{window:?} of {input}");
        }
    }
}
