//! Pooling layers, and rearrangements without parameters.

use super::builder::{Builder, Built};
use crate::graph::window::ceil_extra;
use crate::graph::{NodeId, Op, Shape, Window};

fn window(kernel: u32, stride: u32, pad: u32) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad_before: [pad; 2],
        pad_after: [pad; 2],
    }
}

impl Builder<'_> {
    /// Maximum over a window of `kernel` by `kernel`; `pad` rows and columns on every side never win.
    pub fn max_pool(
        &mut self,
        name: &str,
        input: NodeId,
        kernel: u32,
        stride: u32,
        pad: u32,
    ) -> Built {
        let spread = self.spread(input).maximum();
        let op = Op::MaxPool(window(kernel, stride, pad));
        self.push(name, op, &[input], spread)
    }

    /// As [`Builder::max_pool`], and a last window that the map fills only in part counts too (PyTorch's
    /// `ceil_mode`, Caffe's habit).
    pub fn max_pool_ceil(
        &mut self,
        name: &str,
        input: NodeId,
        kernel: u32,
        stride: u32,
        pad: u32,
    ) -> Built {
        let mut window = window(kernel, stride, pad);
        let extra = ceil_extra(&window, self.shape(input));
        window.pad_after = [pad + extra[0], pad + extra[1]];
        let spread = self.spread(input).maximum();
        self.push(name, Op::MaxPool(window), &[input], spread)
    }

    /// Mean over a window of 3x3 with stride 1 and padding 1, as Inception's pooling branches have it.
    /// `count_padding`: the divisor is always 9.
    pub fn avg_pool_3x3(&mut self, name: &str, input: NodeId, count_padding: bool) -> Built {
        let window = window(3, 1, 1);
        let spread = self.spread(input);
        let op = Op::AvgPool {
            window,
            count_padding,
        };
        self.push(name, op, &[input], spread)
    }

    /// Adds the mean over all rows and columns.
    pub fn global_avg_pool(&mut self, name: &str, input: NodeId) -> Built {
        let shape = self.shape(input);
        let window = Window {
            kernel: [shape.h, shape.w],
            ..Window::POINT
        };
        let spread = self.spread(input);
        let op = Op::AvgPool {
            window,
            count_padding: false,
        };
        self.push(name, op, &[input], spread)
    }

    /// Every `step`-th row and column, from the first.
    pub fn subsample(&mut self, name: &str, input: NodeId, step: u32) -> Built {
        let from = self.shape(input);
        let shape = Shape::new(from.h.div_ceil(step), from.w.div_ceil(step), from.c);
        let op = Op::Slice {
            start: [0; 3],
            step: [step; 2],
            shape,
        };
        let spread = self.spread(input);
        self.push(name, op, &[input], spread)
    }

    /// Adds channels of zeros: so many before those of the input, and so many after.
    pub fn pad_channels(&mut self, name: &str, input: NodeId, before: u32, after: u32) -> Built {
        let zeros = super::Spread {
            mean: 0.0,
            variance: 0.0,
        };
        let parts = [
            (self.shape(input).c, self.spread(input)),
            (before.saturating_add(after), zeros),
        ];
        let spread = super::Spread::mixed(parts.into_iter());
        let op = Op::Pad {
            before: [0, 0, before],
            after: [0, 0, after],
        };
        self.push(name, op, &[input], spread)
    }

    /// Adds a concatenation: the channels of all inputs, one after another.
    pub fn concat(&mut self, name: &str, inputs: &[NodeId]) -> Built {
        let parts = inputs.iter().map(|&i| (self.shape(i).c, self.spread(i)));
        let spread = super::Spread::mixed(parts);
        self.push(name, Op::Concat, inputs, spread)
    }
}
