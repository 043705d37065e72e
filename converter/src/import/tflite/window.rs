//! The sliding window of convolutions and poolings.

use super::schema::Padding;
use crate::graph::{Shape, Window};
use crate::import::ImportError;

/// The window with these sizes (rows, columns) over `input`; 'SAME' puts the odd row or column of padding
/// behind.
pub fn window(
    input: Shape,
    padding: Padding,
    kernel: [u32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
) -> Result<Window, ImportError> {
    let positive = |name: &str, values: [i32; 2]| match values.map(u32::try_from) {
        [Ok(a), Ok(b)] if a > 0 && b > 0 => Ok([a, b]),
        _ => Err(ImportError::new(format!("is {values:?}"))
            .attribute(name)
            .hint("the file is damaged")),
    };
    if kernel.contains(&0) {
        return Err(ImportError::new("an empty window").hint("the file is damaged"));
    }
    let mut window = Window {
        kernel,
        stride: positive("stride", stride)?,
        dilation: positive("dilation", dilation)?,
        ..Window::POINT
    };
    match padding {
        Padding::VALID => {}
        Padding::SAME => {
            for (axis, size) in [input.h, input.w].into_iter().enumerate() {
                let stride = window.stride[axis];
                let reach =
                    u64::from((size.max(1) - 1) / stride) * u64::from(stride) + window.span(axis);
                let total = u32::try_from(reach.saturating_sub(size.into()))
                    .map_err(|_| ImportError::new("is too large").attribute("dilation"))?;
                window.pad_before[axis] = total / 2;
                window.pad_after[axis] = total - total / 2;
            }
        }
        other => {
            return Err(ImportError::new(format!("is {}", other.0))
                .attribute("padding")
                .hint("the file is damaged"));
        }
    }
    Ok(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        let input = Shape::new(8, 9, 1);
        let w = window(input, Padding::SAME, [3, 5], [2, 2], [1, 1]).unwrap();
        // 8 rows by 2: 4 outputs reach 9, one more. 9 columns by 2: 5 outputs reach 13, four more.
        assert_eq!((w.pad_before, w.pad_after), ([0, 2], [1, 2]));
        let w = window(input, Padding::SAME, [3, 1], [1, 3], [2, 1]).unwrap();
        assert_eq!((w.pad_before, w.pad_after), ([2, 0], [2, 0]));
        let w = window(input, Padding::VALID, [3, 5], [2, 2], [1, 1]).unwrap();
        assert!(w.is_unpadded());
    }

    #[test]
    fn sizes_from_one_on() {
        let input = Shape::new(8, 9, 1);
        for (kernel, stride, dilation) in [
            ([0, 1], [1, 1], [1, 1]),
            ([1, 1], [0, 1], [1, 1]),
            ([1, 1], [1, 1], [1, -1]),
        ] {
            assert!(window(input, Padding::SAME, kernel, stride, dilation).is_err());
        }
        assert!(window(input, Padding(7), [1, 1], [1, 1], [1, 1]).is_err());
    }
}
