//! Small random networks, written as `.edge` files and read back, so that they are what backends get.

use crate::model::norm_table::NormTable;
use crate::model::write::Writer;
use crate::model::*;

/// splitmix64: the same networks everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn range(&mut self, from: i64, to: i64) -> i64 {
        from + (self.bits() % (to - from + 1) as u64) as i64
    }

    fn count(&mut self, from: u32, to: u32) -> u32 {
        self.range(from as i64, to as i64) as u32
    }

    pub fn real(&mut self) -> f32 {
        self.range(-1000, 1000) as f32 / 500.0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.bits() as usize % of.len()]
    }

    /// Often all at one end of the range.
    pub fn i8s(&mut self, n: usize, smallest: i8) -> Vec<i8> {
        let kind = self.range(0, 4);
        (0..n)
            .map(|_| match kind {
                0 => smallest,
                1 => 127,
                2 => self.pick(&[smallest, 127]),
                _ => self.range(smallest as i64, 127) as i8,
            })
            .collect()
    }

    fn zero_point(&mut self) -> i8 {
        let any = self.range(-128, 127) as i8;
        self.pick(&[-128, 127, 0, any])
    }

    fn clamp(&mut self) -> [i8; 2] {
        let (a, b) = (self.range(-128, 127) as i8, self.range(-128, 127) as i8);
        self.pick(&[[-128, 127], [a.min(b), a.max(b)]])
    }
}

/// A network in the making; every tensor has bytes of its own.
pub struct Builder {
    pub rng: Rng,
    pub tensors: Vec<Operand>,
    writer: Writer,
    dtype: DType,
    arena: usize,
}

impl Builder {
    pub fn new(seed: u64, dtype: DType, input: Shape) -> Self {
        let mut builder = Self {
            rng: Rng(seed),
            tensors: Vec::new(),
            writer: Writer::default(),
            dtype,
            arena: 0,
        };
        let quant = builder.quant();
        builder.tensor(input, quant);
        builder
    }

    fn quant(&mut self) -> Quant {
        match self.dtype {
            DType::F32 => Quant::NONE,
            DType::I8 => Quant {
                scale: 0.05,
                zero_point: self.rng.zero_point(),
            },
        }
    }

    fn tensor(&mut self, shape: Shape, quant: Quant) -> Operand {
        let operand = Operand {
            tensor: self.tensors.len() as u32,
            shape,
            offset: self.arena as u32,
            quant,
        };
        self.arena = align(self.arena + shape.len() * self.dtype.size());
        self.tensors.push(operand);
        operand
    }

    /// Adds a layer whose output has `shape`; its quantization is the input's if `op` must keep it.
    pub fn layer(&mut self, name: &str, op: Op, inputs: &[Operand], shape: Shape) -> Operand {
        let keeps = matches!(
            op,
            Op::MaxPool { .. } | Op::Slice { .. } | Op::Pad { .. } | Op::Shuffle { .. }
        );
        let quant = if keeps { inputs[0].quant } else { self.quant() };
        let output = self.tensor(shape, quant);
        let inputs = heapless::Vec::from_slice(inputs).expect("few inputs");
        self.writer.layer(&Layer {
            name,
            op,
            inputs,
            output,
        });
        output
    }

    /// The numbers of a convolution of `weights` weights, for int8 often extreme ones.
    pub fn conv_data(&mut self, weights: usize, channels: usize) -> ConvData {
        let int8 = self.rng.i8s(weights, -127);
        self.conv_data_of(&int8, channels)
    }

    /// As [`Self::conv_data`], with given weights if int8.
    pub fn conv_data_of(&mut self, int8: &[i8], channels: usize) -> ConvData {
        if self.dtype == DType::F32 {
            let w: Vec<f32> = int8.iter().map(|_| self.rng.real()).collect();
            let b: Vec<f32> = (0..channels).map(|_| self.rng.real()).collect();
            let (weights, bias) = (self.writer.blob(&w), self.writer.blob(&b));
            return ConvData::F32 {
                weights,
                bias,
                activation: self.activation(),
            };
        }
        let wild = self.rng.range(0, 9) == 0;
        let bias: Vec<i32> = (0..channels)
            .map(|_| self.rng.range(-1 << 20, 1 << 20) as i32)
            .collect();
        let m: Vec<i32> = (0..channels)
            .map(|_| self.rng.range(1 << 30, i32::MAX as i64) as i32)
            .collect();
        let n: Vec<u8> = (0..channels).map(|_| if wild { self.rng.range(1, 62) } else { self.rng.range(36, 46) } as u8).collect();
        ConvData::I8 {
            weights: self.writer.blob(int8),
            bias: self.writer.blob(&bias),
            multiplier: self.writer.blob(&m),
            shift: self.writer.blob(&n),
            clamp: self.rng.clamp(),
        }
    }

    fn activation(&mut self) -> Activation {
        use Activation::*;
        self.rng.pick(&[
            None,
            Relu,
            Relu6,
            LeakyRelu(0.1),
            Sigmoid,
            HardSigmoid,
            Silu,
            HardSwish,
            Tanh,
            Clip(-0.5, 1.5),
        ])
    }

    fn window(&mut self, input: Shape, pool: bool) -> (Window, Shape) {
        loop {
            let kernel = [self.rng.count(1, 5), self.rng.count(1, 5)];
            let one = self.rng.range(0, 3) == 0;
            let mut pad = |k: u32| {
                if one {
                    0
                } else {
                    self.rng.count(0, if pool { k - 1 } else { k + 1 })
                }
            };
            let kernel = if one && !pool { [1, 1] } else { kernel };
            let window = Window {
                kernel,
                pad_before: [pad(kernel[0]), pad(kernel[1])],
                pad_after: [pad(kernel[0]), pad(kernel[1])],
                stride: [self.rng.count(1, 3), self.rng.count(1, 3)],
                dilation: if pool {
                    [1, 1]
                } else {
                    [self.rng.count(1, 3), self.rng.count(1, 3)]
                },
            };
            if let Some((h, w)) = window
                .output_len(0, input.h)
                .zip(window.output_len(1, input.w))
            {
                return (window, Shape::new(h, w, input.c));
            }
        }
    }

    /// Adds a layer of any kind to the last tensor.
    pub fn random_layer(&mut self) {
        let x = self.tensors[self.tensors.len() - 1];
        let name = format!("layer {}", self.tensors.len() / 2); // some names twice
        match self.rng.range(0, 12) {
            0 => {
                let (window, s) = self.window(x.shape, false);
                let groups = self.rng.pick(&[1, 1, x.shape.c]);
                let groups = if x.shape.c.is_multiple_of(2) {
                    self.rng.pick(&[groups, 2])
                } else {
                    groups
                };
                let out = Shape::new(s.h, s.w, groups * self.rng.count(1, 9));
                let weights =
                    (window.kernel[0] * window.kernel[1] * (x.shape.c / groups) * out.c) as usize;
                let data = self.conv_data(weights, out.c as usize);
                self.layer(
                    &name,
                    Op::Conv {
                        window,
                        groups,
                        data,
                    },
                    &[x],
                    out,
                );
            }
            1 => {
                let (window, out) = self.window(x.shape, false);
                let data = self.conv_data(
                    (window.kernel[0] * window.kernel[1] * out.c) as usize,
                    out.c as usize,
                );
                self.layer(&name, Op::DepthwiseConv { window, data }, &[x], out);
            }
            2 => {
                let (window, out) = self.window(x.shape, true);
                self.layer(&name, Op::MaxPool { window }, &[x], out);
            }
            3 => {
                let (window, out) = self.window(x.shape, true);
                let op = self.avg_pool(window);
                self.layer(&name, op, &[x], out);
            }
            4 => {
                let same: Vec<Operand> = self
                    .tensors
                    .iter()
                    .filter(|t| t.shape == x.shape)
                    .copied()
                    .collect();
                let other = self.rng.pick(&same);
                let limit = 1 << 21;
                let multipliers = [
                    self.rng.range(-limit, limit) as i32,
                    self.rng.range(0, limit) as i32,
                ];
                let op = Op::Add {
                    multipliers,
                    shift: self.rng.range(1, 30) as u8,
                    clamp: self.rng.clamp(),
                    activation: self.activation(),
                };
                self.layer(&name, op, &[x, other], x.shape);
            }
            5 => {
                let like: Vec<Operand> = self
                    .tensors
                    .iter()
                    .filter(|t| (t.shape.h, t.shape.w) == (x.shape.h, x.shape.w))
                    .copied()
                    .collect();
                let inputs: Vec<Operand> = (0..self.rng.range(1, 4))
                    .map(|_| self.rng.pick(&like))
                    .collect();
                let channels = inputs.iter().map(|i| i.shape.c).sum();
                let rescale = match self.dtype {
                    DType::F32 => heapless::Vec::new(),
                    DType::I8 => inputs
                        .iter()
                        .map(|_| Rescale {
                            multiplier: self.rng.range(1, 1 << 22) as i32,
                            shift: self.rng.range(1, 30) as u8,
                        })
                        .collect(),
                };
                self.layer(
                    &name,
                    Op::Concat { rescale },
                    &inputs,
                    Shape::new(x.shape.h, x.shape.w, channels),
                );
            }
            6 => {
                let function = match self.dtype {
                    DType::F32 => MapFunction::Activation(self.activation()),
                    DType::I8 => {
                        let table = self.rng.i8s(256, -128);
                        MapFunction::Table(self.writer.blob(&table))
                    }
                };
                self.layer(&name, Op::Map { function }, &[x], x.shape);
            }
            7 => {
                let s = x.shape;
                let start = [s.h, s.w, s.c].map(|n| self.rng.count(0, n - 1));
                let step = [self.rng.count(1, 3), self.rng.count(1, 3)];
                let out = Shape::new(
                    self.rng.count(1, (s.h - 1 - start[0]) / step[0] + 1),
                    self.rng.count(1, (s.w - 1 - start[1]) / step[1] + 1),
                    self.rng.count(1, s.c - start[2]),
                );
                self.layer(&name, Op::Slice { start, step }, &[x], out);
            }
            8 => {
                let gate = Shape::new(1, 1, x.shape.c);
                let fits = |t: &&Operand| t.shape == x.shape || t.shape == gate;
                let others: Vec<Operand> = self.tensors.iter().filter(fits).copied().collect();
                let other = self.rng.pick(&others);
                let op = Op::Mul {
                    multiplier: self.rng.range(1 << 30, i32::MAX as i64) as i32,
                    shift: self.rng.range(30, 46) as u8,
                };
                self.layer(&name, op, &[x, other], x.shape);
            }
            9 => {
                let channels = x.shape.c as usize;
                let limit = 1 << 22;
                let slopes = match self.dtype {
                    DType::F32 => {
                        let slopes: Vec<f32> = (0..channels).map(|_| self.rng.real()).collect();
                        self.writer.blob(&slopes)
                    }
                    DType::I8 => {
                        let slopes: Vec<i32> = (0..channels)
                            .map(|_| self.rng.range(-limit, limit) as i32)
                            .collect();
                        self.writer.blob(&slopes)
                    }
                };
                let op = Op::PRelu {
                    slopes,
                    positive: self.rng.range(0, limit) as i32,
                    shift: self.rng.range(1, 30) as u8,
                };
                self.layer(&name, op, &[x], x.shape);
            }
            10 => {
                let size = self.rng.count(1, 7);
                let even = 8 + size.next_power_of_two().ilog2() as u8;
                let index_shift = self.rng.pick(&[0, 3, 4, 5, 7, even]);
                let entries = NormTable::new(index_shift).entries(size, x.shape.c);
                let mut table: Vec<i32> = (0..entries.expect("a small size"))
                    .map(|_| self.rng.range(0, 1 << 22) as i32)
                    .collect();
                table.sort_by_key(|t| core::cmp::Reverse(*t));
                let op = Op::LocalResponseNorm {
                    size,
                    float: [0.5, 0.75, 1.0],
                    table: match self.dtype {
                        DType::F32 => Blob { offset: 0, len: 0 },
                        DType::I8 => self.writer.blob(&table),
                    },
                    index_shift,
                    shift: self.rng.range(15, 30) as u8,
                };
                self.layer(&name, op, &[x], x.shape);
            }
            11 => {
                let divisors: Vec<u32> = (1..=x.shape.c)
                    .filter(|g| x.shape.c.is_multiple_of(*g))
                    .collect();
                let groups = self.rng.pick(&divisors);
                self.layer(&name, Op::Shuffle { groups }, &[x], x.shape);
            }
            _ => {
                let mut three = || [0; 3].map(|_| self.rng.count(0, 2));
                let (before, after) = (three(), three());
                let s = x.shape;
                let out = Shape::new(
                    before[0] + s.h + after[0],
                    before[1] + s.w + after[1],
                    before[2] + s.c + after[2],
                );
                self.layer(&name, Op::Pad { before, after }, &[x], out);
            }
        }
    }

    fn avg_pool(&mut self, window: Window) -> Op {
        let count_padding = self.rng.range(0, 1) == 1;
        let area = window.kernel[0] * window.kernel[1];
        let entries = if count_padding || window.is_unpadded() {
            1
        } else {
            area
        };
        // The file's rule: multiplier * divisor * 255 < 2^30.
        let m: Vec<i32> = (1..=entries)
            .map(|k| {
                self.rng.range(
                    0,
                    ((1 << 30) - 1) / (255 * if entries == 1 { area } else { k }) as i64,
                ) as i32
            })
            .collect();
        let multipliers = match self.dtype {
            DType::F32 => Blob { offset: 0, len: 0 },
            DType::I8 => self.writer.blob(&m),
        };
        Op::AvgPool {
            window,
            count_padding,
            multipliers,
            shift: self.rng.range(15, 30) as u8,
        }
    }

    /// The file.
    pub fn finish(self) -> AlignedBytes {
        finish(self.writer, self.dtype, self.tensors[0], self.arena as u32)
    }
}

/// The file of the layers that `writer` has.
pub fn finish(writer: Writer, dtype: DType, input: Operand, arena_bytes: u32) -> AlignedBytes {
    let manifest = Manifest {
        name: "random",
        source: "test",
        license: "",
        converter: "test",
        weights: WeightsOrigin::Random { seed: 0 },
        input: InputSpec {
            height: 8,
            width: 8,
            resize: ResizeRule::Squash,
            filter: Filter::Bilinear,
            order: ChannelOrder::Rgb,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
        quantization: None,
        parameters: 0,
        macs: 0,
    };
    let trunk = Trunk {
        dtype,
        input,
        arena_bytes,
        layers: 0,
        packing: None,
    };
    writer.finish(&manifest, trunk, None).expect("a small file")
}

/// A network of `layers` random layers over a small random input.
pub fn network(seed: u64, dtype: DType, layers: usize) -> (AlignedBytes, Rng) {
    let mut rng = Rng(seed);
    let mut input = Shape::new(rng.count(1, 9), rng.count(1, 9), rng.count(1, 8));
    if rng.range(0, 3) == 0 {
        input.c = rng.count(30, 40); // wide enough for tract's vector kernels
    }
    let mut builder = Builder::new(rng.bits(), dtype, input);
    for _ in 0..layers {
        let s = builder.tensors[builder.tensors.len() - 1].shape;
        if s.len() > 1 << 14 {
            break;
        }
        builder.random_layer();
    }
    (builder.finish(), rng)
}
