//! The sliding window of convolutions and poolings: strides, padding, `auto_pad`.

use super::attributes::Attributes;
use crate::graph::{Shape, Window};
use crate::import::ImportError;

/// The window that the attributes describe over `input`, without `ceil_mode` (that is
/// [`ceil_extra`](crate::graph::window::ceil_extra)'s).
pub fn read(attributes: Attributes, kernel: [u32; 2], input: Shape) -> Result<Window, ImportError> {
    let stride = attributes.sizes("strides", [1, 1])?;
    let dilation = attributes.sizes("dilations", [1, 1])?;
    let size = [input.h, input.w];
    let zero = |name: &str| {
        ImportError::new("is zero")
            .attribute(name)
            .hint("the file is damaged")
    };
    for (name, values) in [
        ("kernel_shape", kernel),
        ("strides", stride),
        ("dilations", dilation),
    ] {
        if values.contains(&0) {
            return Err(zero(name));
        }
    }
    let mut window = Window {
        kernel,
        stride,
        dilation,
        pad_before: [0, 0],
        pad_after: [0, 0],
    };
    match attributes.text("auto_pad") {
        "" | "NOTSET" => {
            let [top, left, bottom, right] = attributes.sizes("pads", [0; 4])?;
            (window.pad_before, window.pad_after) = ([top, left], [bottom, right]);
        }
        "VALID" => {}
        mode @ ("SAME_UPPER" | "SAME_LOWER") => {
            for axis in 0..2 {
                let outputs = u64::from(size[axis].div_ceil(stride[axis]));
                let reach = (outputs - 1) * u64::from(stride[axis]) + window.span(axis);
                let total = reach.saturating_sub(size[axis].into());
                let total = u32::try_from(total)
                    .map_err(|_| ImportError::new("is too large").attribute("dilations"))?;
                let (small, large) = (total / 2, total - total / 2);
                let (before, after) = if mode == "SAME_UPPER" {
                    (small, large)
                } else {
                    (large, small)
                };
                (window.pad_before[axis], window.pad_after[axis]) = (before, after);
            }
        }
        other => {
            return Err(ImportError::new(format!("'{other}' is unknown")).attribute("auto_pad"));
        }
    }
    Ok(window)
}
