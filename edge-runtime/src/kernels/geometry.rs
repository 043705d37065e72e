//! The shapes around a sliding window.

use crate::tensor::{Shape, Window};
use core::ops::Range;

/// A window with the tensors that it reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// The window.
    pub window: Window,
}

impl Geometry {
    /// True if input and output have so many elements, at least one, and the window with its padding gives the
    /// output's rows and columns. Kernels with raw pointers ask this first; no offset in a tensor that passes
    /// overflows 32 bits.
    pub fn fits(&self, input: usize, output: usize) -> bool {
        let w = &self.window;
        let has = |shape: &Shape, elements: usize| {
            let area = shape.h.checked_mul(shape.w);
            let len = area.and_then(|area| area.checked_mul(shape.c));
            elements > 0 && len.is_some_and(|len| len as usize == elements)
        };
        let [above, left] = w.pad_before;
        let [below, right] = w.pad_after;
        // A step of 0 gives no output length.
        w.kernel[0] > 0
            && w.kernel[1] > 0
            && w.dilation[0] > 0
            && w.dilation[1] > 0
            && (above | left | below | right) < 1 << 30
            && has(&self.input, input)
            && has(&self.output, output)
            && w.output_len(0, self.input.h) == Some(self.output.h)
            && w.output_len(1, self.input.w) == Some(self.output.w)
    }

    /// The taps of the kernel along `axis` that fall inside the input at output position `at`, and the
    /// input index of tap 0 (negative in the padding).
    #[inline(always)]
    pub(super) fn taps(&self, axis: usize, at: usize) -> (Range<usize>, isize) {
        let w = &self.window;
        let len = if axis == 0 {
            self.input.h
        } else {
            self.input.w
        } as isize;
        let origin = (at * w.stride[axis] as usize) as isize - w.pad_before[axis] as isize;
        let (kernel, dilation) = (w.kernel[axis] as isize, w.dilation[axis] as isize);
        let first = if origin < 0 {
            (-origin + dilation - 1) / dilation
        } else {
            0
        };
        let end = if origin >= len {
            0
        } else {
            (len - origin + dilation - 1) / dilation
        };
        let end = end.clamp(0, kernel);
        (first.min(end) as usize..end as usize, origin)
    }
}
