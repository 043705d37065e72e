//! int8 layers that the engine's own kernels compute whole.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels::{
    self, AddParams, AvgPoolParams, Geometry, MulParams, NormParams, PReluParams,
};
use crate::model::norm_table::NormTable;
use crate::model::{Rescale, Shape};
use tract_core::internal::*;

/// One layer.
#[derive(Debug)]
pub struct KernelLayer {
    /// What it computes.
    pub kernel: Kernel,
    /// Shape of its output.
    pub output: Shape,
}

/// Which kernel, with its numbers.
#[derive(Debug)]
pub enum Kernel {
    Add(AddParams),
    AvgPool {
        geometry: Geometry,
        multipliers: Vec<i32>,
        shift: u8,
        zero_points: [i8; 2],
    },
    /// Per part its channels, zero point and factor; and the output's zero point.
    Concat {
        parts: Vec<((usize, i8), Rescale)>,
        zero_point: i8,
    },
    /// A table of 256 entries.
    Map(Vec<i8>),
    MaxPool(Geometry),
    Mul(MulParams),
    Norm {
        table: Vec<i32>,
        size: usize,
        spacing: NormTable,
        shift: u8,
        zero_points: [i8; 2],
    },
    PRelu {
        slopes: Vec<i32>,
        positive: i32,
        shift: u8,
        zero_points: [i8; 2],
    },
    Pad {
        from: Shape,
        before: [u32; 3],
        zero: i8,
    },
}

impl Compute for KernelLayer {
    fn name(&self) -> &'static str {
        match &self.kernel {
            Kernel::Add(_) => "Int8Add",
            Kernel::AvgPool { .. } => "Int8AvgPool",
            Kernel::Concat { .. } => "Int8Concat",
            Kernel::Map(_) => "Int8Map",
            Kernel::MaxPool(_) => "Int8MaxPool",
            Kernel::Mul(_) => "Int8Mul",
            Kernel::Norm { .. } => "Int8LocalResponseNorm",
            Kernel::PRelu { .. } => "Int8PRelu",
            Kernel::Pad { .. } => "Int8Pad",
        }
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::I8, dims(self.output).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let a = values::<i8>(inputs, 0)?;
        let others = (1..inputs.len())
            .map(|i| values::<i8>(inputs, i))
            .collect::<TractResult<TVec<_>>>()?;
        let to = self.output;
        filled(&dims(to), |out| match &self.kernel {
            Kernel::Add(params) => {
                if let [b] = others.as_slice() {
                    kernels::add(params, a, b, out);
                }
            }
            Kernel::AvgPool {
                geometry,
                multipliers,
                shift,
                zero_points,
            } => {
                let params = AvgPoolParams {
                    multipliers,
                    shift: *shift,
                    input_zero_point: zero_points[0],
                    output_zero_point: zero_points[1],
                };
                kernels::avg_pool(geometry, &params, a, out);
            }
            Kernel::Concat { parts, zero_point } => {
                let mut first = 0;
                for (part, ((channels, zero), by)) in std::iter::once(a).chain(others).zip(parts) {
                    kernels::concat_part(
                        part,
                        *channels,
                        *by,
                        [*zero, *zero_point],
                        out,
                        to.c as usize,
                        first,
                    );
                    first += channels;
                }
            }
            Kernel::Map(table) => kernels::map(table, a, out),
            Kernel::MaxPool(geometry) => kernels::max_pool(geometry, a, out),
            Kernel::Mul(params) => {
                if let [b] = others.as_slice() {
                    kernels::mul(params, a, b, out);
                }
            }
            Kernel::Norm {
                table,
                size,
                spacing,
                shift,
                zero_points,
            } => {
                let params = NormParams {
                    size: *size,
                    table,
                    spacing: *spacing,
                    shift: *shift,
                    input_zero_point: zero_points[0],
                    output_zero_point: zero_points[1],
                };
                kernels::local_response_norm(&params, to.c as usize, a, out);
            }
            Kernel::PRelu {
                slopes,
                positive,
                shift,
                zero_points,
            } => {
                let params = PReluParams {
                    slopes,
                    positive: *positive,
                    shift: *shift,
                    input_zero_point: zero_points[0],
                    output_zero_point: zero_points[1],
                };
                kernels::prelu(&params, a, out);
            }
            Kernel::Pad { from, before, zero } => kernels::pad([*from, to], *before, *zero, a, out),
        })
    }
}

/// `q - zero_point` as f32.
#[derive(Debug)]
pub struct Center {
    /// Shape of input and output.
    pub shape: Shape,
    /// Of the input.
    pub zero_point: i8,
}

impl Compute for Center {
    fn name(&self) -> &'static str {
        "Center"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::F32, dims(self.shape).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<i8>(inputs, 0)?;
        filled(&dims(self.shape), |out: &mut [f32]| {
            for (v, q) in out.iter_mut().zip(input) {
                *v = (*q as i32 - self.zero_point as i32) as f32;
            }
        })
    }
}
