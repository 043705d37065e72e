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
    /// True if no dimension is zero, the window gives the output's rows and columns, and both tensors with
    /// their padding fit an address space of 31 bits. Kernels with raw pointers ask this first.
    pub fn is_possible(&self) -> bool {
        let w = &self.window;
        let positive = [w.kernel, w.stride, w.dilation];
        let fits = |axis: usize, len: u32| {
            let padded = len as u64 + w.pad_before[axis] as u64 + w.pad_after[axis] as u64;
            padded <= i32::MAX as u64
        };
        let elements = |s: &Shape| {
            let len = s.h.checked_mul(s.w).and_then(|area| area.checked_mul(s.c));
            len.is_some_and(|len| (1..=i32::MAX as u32).contains(&len))
        };
        positive.iter().flatten().all(|v| *v > 0)
            && elements(&self.input)
            && elements(&self.output)
            && fits(0, self.input.h)
            && fits(1, self.input.w)
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
