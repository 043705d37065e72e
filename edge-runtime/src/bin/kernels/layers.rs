//! Layers as networks have them: of ResNet-50, MobileNet v2 and EfficientNet-Lite0 at 224x224.

use edge_runtime::kernels::{ConvParams, Geometry, Native, Prepacked, RequantizeParams};
use edge_runtime::random::Random;
use edge_runtime::tensor::{Shape, Window};

/// A convolution over a square map.
pub struct Layer {
    pub name: &'static str,
    size: u32,
    channels: u32,
    filters: u32,
    kernel: u32,
    stride: u32,
    depthwise: bool,
}

const fn conv(
    name: &'static str,
    size: u32,
    channels: u32,
    filters: u32,
    kernel: u32,
    stride: u32,
) -> Layer {
    Layer {
        name,
        size,
        channels,
        filters,
        kernel,
        stride,
        depthwise: false,
    }
}

const fn depthwise(
    name: &'static str,
    size: u32,
    channels: u32,
    kernel: u32,
    stride: u32,
) -> Layer {
    Layer {
        name,
        size,
        channels,
        filters: channels,
        kernel,
        stride,
        depthwise: true,
    }
}

/// What is timed.
pub const LAYERS: [Layer; 18] = [
    conv("first-7x7", 224, 3, 64, 7, 2),
    conv("first-3x3", 224, 3, 32, 3, 2),
    conv("3x3-64", 56, 64, 64, 3, 1),
    conv("3x3-256", 14, 256, 256, 3, 1),
    conv("3x3-512", 7, 512, 512, 3, 1),
    conv("1x1-64-256", 56, 64, 256, 1, 1),
    conv("1x1-1024-256", 14, 1024, 256, 1, 1),
    conv("1x1-16-96", 112, 16, 96, 1, 1),
    conv("1x1-32-16", 112, 32, 16, 1, 1),
    conv("1x1-96-24", 56, 96, 24, 1, 1),
    conv("1x1-80-480", 14, 80, 480, 1, 1),
    conv("1x1-1152-192", 7, 1152, 192, 1, 1),
    conv("fully-connected", 1, 1280, 1024, 1, 1),
    depthwise("depthwise-3x3-32", 112, 32, 3, 1),
    depthwise("depthwise-3x3-144", 56, 144, 3, 1),
    depthwise("depthwise-3x3-96/2", 112, 96, 3, 2),
    depthwise("depthwise-5x5-240", 28, 240, 5, 1),
    depthwise("depthwise-5x5-672", 14, 672, 5, 1),
];

impl Layer {
    fn geometry(&self) -> Geometry {
        let pad = self.kernel / 2;
        let window = Window {
            kernel: [self.kernel; 2],
            stride: [self.stride; 2],
            pad_before: [pad; 2],
            pad_after: [pad; 2],
            ..Window::POINT
        };
        let output = (self.size + 2 * pad - self.kernel) / self.stride + 1;
        Geometry {
            input: Shape::new(self.size, self.size, self.channels),
            output: Shape::new(output, output, self.filters),
            window,
        }
    }

    /// Weights of a filter.
    fn depth(&self) -> usize {
        let inputs = match self.depthwise {
            true => 1,
            false => self.channels,
        };
        (self.kernel * self.kernel * inputs) as usize
    }

    /// Multiplications.
    pub fn macs(&self) -> usize {
        self.geometry().output.len() * self.depth()
    }
}

/// A layer with random numbers, ready to run.
pub struct Prepared {
    input: Vec<i8>,
    output: Vec<i8>,
    scratch: Vec<u64>,
    run: Run,
}

enum Run {
    Packed(Box<dyn Prepacked>),
    Plain {
        kernels: &'static Native,
        layer: &'static Layer,
        numbers: Numbers,
    },
}

struct Numbers {
    weights: Vec<i8>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<u8>,
}

impl Numbers {
    fn params(&self, layer: &Layer) -> ConvParams<'_> {
        ConvParams {
            geometry: layer.geometry(),
            groups: match layer.depthwise {
                true => layer.channels as usize,
                false => 1,
            },
            weights: &self.weights,
            input_zero_point: -128,
            requantize: RequantizeParams {
                bias: &self.bias,
                multiplier: &self.multiplier,
                shift: &self.shift,
                zero_point: -128,
                clamp: [-128, 127],
            },
        }
    }
}

impl Prepared {
    /// With the weights packed, if the family does that.
    pub fn new(layer: &'static Layer, kernels: &'static Native) -> Self {
        let mut random = Random::new(1);
        let filters = layer.filters as usize;
        let mut weights = vec![0; layer.depth() * filters];
        random.i8s(&mut weights, -127, false);
        let g = layer.geometry();
        let mut input = vec![0; g.input.len()];
        random.i8s(&mut input, i8::MIN, false);
        let numbers = Numbers {
            weights,
            bias: (0..filters).map(|_| random.range(-4000, 4000)).collect(),
            // As the converter makes them.
            multiplier: (0..filters)
                .map(|_| random.range(1 << 23, (1 << 24) - 1) << 7 | 0x80)
                .collect(),
            shift: (0..filters).map(|_| random.range(38, 42) as u8).collect(),
        };
        let packed = {
            let params = numbers.params(layer);
            match layer.depthwise {
                true => kernels.prepack_depthwise(&params),
                false => kernels.prepack_conv(&params),
            }
        };
        Self {
            input,
            output: vec![0; g.output.len()],
            scratch: vec![0; packed.as_ref().map_or(0, |p| p.scratch_len())],
            run: match packed {
                Some(packed) => Run::Packed(packed),
                None => Run::Plain {
                    kernels,
                    layer,
                    numbers,
                },
            },
        }
    }

    /// One pass.
    pub fn run(&mut self) {
        match &self.run {
            Run::Packed(conv) => {
                let all = 0..conv.units().count;
                conv.run(all, &self.input, &mut self.output, &mut self.scratch);
            }
            Run::Plain {
                kernels,
                layer,
                numbers,
            } => {
                let params = numbers.params(layer);
                match layer.depthwise {
                    true => kernels.depthwise(&params, &self.input, &mut self.output),
                    false => kernels.conv(&params, &self.input, &mut self.output),
                }
            }
        }
    }

    /// Of the output, so that it is used.
    pub fn checksum(&self) -> i64 {
        self.output.iter().map(|q| i64::from(*q)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::kernels::{Portable, available};

    /// Layers as large as those of real networks: strips, panels and blocks that small random layers do not fill.
    #[test]
    fn all_families_give_the_bits_of_the_portable_kernels() {
        for layer in &LAYERS {
            let mut portable = Prepared::new(layer, &Portable);
            portable.run();
            for kernels in available() {
                let mut other = Prepared::new(layer, kernels);
                other.run();
                let (name, family) = (layer.name, kernels.name());
                assert!(other.output == portable.output, "{name} on {family}");
            }
        }
    }
}
