//! Padding rules that frameworks have a name for, as the numbers of a [`Window`].

use super::{Shape, Window};

/// TensorFlow's 'same' padding of one axis, before and after. The output has `ceil(len / stride)` elements;
/// if the padding is odd, the larger part is after.
pub fn same_padding(len: u32, kernel: u32, stride: u32) -> (u32, u32) {
    let needed = len.div_ceil(stride).saturating_sub(1) * stride + kernel;
    let total = needed.saturating_sub(len);
    (total / 2, total - total / 2)
}

/// Rows and columns to add after the padding so that a last window that is only partly inside counts too, as
/// PyTorch's `ceil_mode` has it. A window that would start in the padding does not count.
pub fn ceil_extra(window: &Window, input: Shape) -> [u32; 2] {
    [0, 1].map(|axis| {
        let size = u64::from([input.h, input.w][axis]) + u64::from(window.pad_before[axis]);
        let stride = u64::from(window.stride[axis]);
        let padded = size + u64::from(window.pad_after[axis]);
        let Some(room) = padded.checked_sub(window.span(axis)) else {
            return 0;
        };
        let start = room.div_ceil(stride) * stride;
        let extra = (start + window.span(axis)).saturating_sub(padded);
        if start >= size {
            0
        } else {
            u32::try_from(extra).unwrap_or(0)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_as_tensorflow() {
        assert_eq!(same_padding(224, 3, 2), (0, 1));
        assert_eq!(same_padding(225, 3, 2), (1, 1));
        assert_eq!(same_padding(56, 5, 2), (1, 2));
        assert_eq!(same_padding(14, 5, 1), (2, 2));
        assert_eq!(same_padding(14, 1, 2), (0, 0));
        assert_eq!(same_padding(7, 3, 3), (1, 1));
    }

    #[test]
    fn ceil_mode_as_pytorch() {
        let extra = |size: u32, kernel: u32, stride: u32, pad: u32| {
            let window = Window {
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                pad_before: [pad; 2],
                pad_after: [pad; 2],
            };
            ceil_extra(&window, Shape::new(size, size, 1))[0]
        };
        // GoogLeNet's 112 -> 56, and an exact fit.
        assert_eq!((extra(112, 3, 2, 0), extra(109, 3, 2, 0)), (1, 0));
        // A window that would start in the padding does not count.
        assert_eq!((extra(3, 2, 2, 1), extra(4, 3, 3, 1)), (0, 0));
    }
}
