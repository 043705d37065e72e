//! What must be true before a packed convolution computes with raw pointers. Knows layouts, no processor, so
//! that a host can test it.

use super::PackedParams;
use crate::model::Layout;

/// A packed convolution whose layout, geometry and lengths agree. Kernels in assembly take nothing else.
pub(super) struct PackedCall<'c> {
    params: &'c PackedParams<'c>,
    input: &'c [i8],
    output: &'c mut [i8],
    scratch: &'c mut [i8],
}

impl<'c> PackedCall<'c> {
    /// Checks everything that memory safety of the kernels hangs on.
    ///
    /// # Panics
    /// If the geometry is impossible ([`Geometry::fits`](super::Geometry::fits)), the layout cannot hold it, a
    /// length is not what layout and geometry say, or weights or scratch start off a multiple of 4.
    pub fn new(
        params: &'c PackedParams<'c>,
        input: &'c [i8],
        output: &'c mut [i8],
        scratch: &'c mut [i8],
    ) -> Self {
        let (layout, g) = (params.layout, &params.geometry);
        let depthwise = matches!(layout, Layout::DspDepthwise | Layout::MveDepthwise);
        let groups = if depthwise { g.input.c } else { 1 };
        let aligned = |slice: &[i8]| slice.as_ptr().addr().is_multiple_of(4);
        // One assertion, since each is code on a small processor.
        let agree = g.fits(input.len(), output.len())
            && layout.holds(&g.window, groups, depthwise)
            && (!depthwise || g.input.c == g.output.c)
            && params.weights.len() as u64 == layout.weights_len(&g.window, g.input, g.output)
            && params.records.len() as u64 == layout.records(g.output)
            && scratch.len() as u64 >= layout.scratch_len(&g.window, g.input, g.output)
            && aligned(params.weights)
            && aligned(scratch);
        assert!(agree, "a packed convolution whose numbers disagree");
        Self {
            params,
            input,
            output,
            scratch,
        }
    }

    /// The numbers, the input, the output and the scratch memory, of at least
    /// [`Layout::scratch_len`] bytes.
    pub fn parts(self) -> (&'c PackedParams<'c>, &'c [i8], &'c mut [i8], &'c mut [i8]) {
        (self.params, self.input, self.output, self.scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Geometry;
    use crate::model::{AlignedBytes, ChannelRecord};
    use crate::tensor::{Shape, Window};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const LAYOUTS: [Layout; 4] = [
        Layout::DspConv,
        Layout::DspDepthwise,
        Layout::MveConv,
        Layout::MveDepthwise,
    ];

    /// Memory for a packed convolution. Weights and scratch have some bytes more than they need.
    struct Case {
        layout: Layout,
        geometry: Geometry,
        weights: AlignedBytes,
        weights_range: core::ops::Range<usize>,
        records: Vec<ChannelRecord>,
        input: Vec<i8>,
        output: Vec<i8>,
        scratch: AlignedBytes,
        scratch_range: core::ops::Range<usize>,
    }

    impl Case {
        /// With all lengths as layout and geometry say.
        fn new(layout: Layout, geometry: Geometry) -> Self {
            let (window, input, output) = (&geometry.window, geometry.input, geometry.output);
            let weights = layout.weights_len(window, input, output) as usize;
            let scratch = layout.scratch_len(window, input, output) as usize;
            let record = ChannelRecord::constant(0, 1 << 30, 62, 0);
            Self {
                layout,
                geometry,
                weights: AlignedBytes::zeroed(weights + 4),
                weights_range: 0..weights,
                records: vec![record; layout.records(output) as usize],
                input: vec![0; input.len()],
                output: vec![0; output.len()],
                scratch: AlignedBytes::zeroed(scratch + 4),
                scratch_range: 0..scratch,
            }
        }

        fn accepts(mut self) -> bool {
            let params = PackedParams {
                layout: self.layout,
                geometry: self.geometry,
                weights: &bytemuck::cast_slice(&self.weights)[self.weights_range],
                records: &self.records,
                input_shift: 0,
                input_zero_point: 0,
                output_zero_point: 0,
                clamp: [i8::MIN, i8::MAX],
            };
            let scratch = &mut bytemuck::cast_slice_mut(&mut self.scratch)[self.scratch_range];
            let call = || {
                let call = PackedCall::new(&params, &self.input, &mut self.output, scratch);
                let (params, input, output, scratch) = call.parts();
                let g = &params.geometry;
                assert_eq!([input.len(), output.len()], [g.input.len(), g.output.len()]);
                let need = params.layout.scratch_len(&g.window, g.input, g.output);
                assert_eq!(scratch.len() as u64, need);
            };
            catch_unwind(AssertUnwindSafe(call)).is_ok()
        }
    }

    /// 3x3 over a map of 7x6x8, as all four layouts can hold it.
    fn geometry() -> Geometry {
        let shape = Shape::new(7, 6, 8);
        let window = Window {
            kernel: [3, 3],
            pad_before: [1, 1],
            pad_after: [1, 1],
            ..Window::POINT
        };
        Geometry {
            input: shape,
            output: shape,
            window,
        }
    }

    #[test]
    fn what_agrees_accepts() {
        for layout in LAYOUTS {
            assert!(Case::new(layout, geometry()).accepts(), "{layout:?}");
        }
    }

    #[test]
    fn each_length_and_alignment_is_checked() {
        type Change = fn(&mut Case);
        let changes: [(&str, Change); 10] = [
            ("a shorter input", |c| _ = c.input.pop()),
            ("a longer input", |c| c.input.push(0)),
            ("a shorter output", |c| _ = c.output.pop()),
            ("a longer output", |c| c.output.push(0)),
            ("fewer weights", |c| c.weights_range.end -= 1),
            ("more weights", |c| c.weights_range.end += 1),
            ("another number of records", |c| {
                c.records.push(ChannelRecord::constant(0, 1 << 30, 62, 0))
            }),
            ("less scratch", |c| c.scratch_range.end -= 1),
            ("weights off their alignment", |c| {
                c.weights_range = 1..c.weights_range.end + 1
            }),
            ("scratch off its alignment", |c| {
                c.scratch_range = 1..c.scratch_range.end + 1
            }),
        ];
        for layout in LAYOUTS {
            for (what, change) in changes {
                let mut case = Case::new(layout, geometry());
                change(&mut case);
                assert!(!case.accepts(), "{layout:?} with {what}");
            }
        }
    }

    #[test]
    fn each_impossible_geometry_is_refused() {
        type Change = fn(&mut Geometry);
        // Those that `Geometry::fits` refuses whose lengths can be computed at all.
        let changes: [(&str, Change); 4] = [
            ("more rows than there are", |g| g.output.h += 1),
            ("fewer columns than there are", |g| g.output.w -= 1),
            ("less padding", |g| g.window.pad_after[0] = 0),
            ("a longer step", |g| g.window.stride[0] = 2),
        ];
        for layout in LAYOUTS {
            for (what, change) in changes {
                let mut bad = geometry();
                change(&mut bad);
                assert!(!Case::new(layout, bad).accepts(), "{layout:?} with {what}");
            }
        }
    }

    #[test]
    fn a_layout_that_cannot_hold_the_window_is_refused() {
        let large = Geometry {
            window: Window {
                kernel: [9, 8],
                pad_before: [4, 4],
                pad_after: [4, 3],
                ..Window::POINT
            },
            ..geometry()
        };
        assert!(large.fits(large.input.len(), large.output.len()));
        assert!(!Case::new(Layout::MveDepthwise, large).accepts());
        let mut dilated = geometry();
        dilated.window.dilation = [2, 2];
        dilated.window.pad_before = [2, 2];
        dilated.window.pad_after = [2, 2];
        assert!(dilated.fits(dilated.input.len(), dilated.output.len()));
        assert!(!Case::new(Layout::DspDepthwise, dilated).accepts());
        for layout in [Layout::DspDepthwise, Layout::MveDepthwise] {
            let mut other = geometry();
            other.output.c = 12;
            assert!(!Case::new(layout, other).accepts(), "{layout:?}");
        }
    }
}
