//! Walks the plan of an int8 model over a borrowed file and one caller-owned arena.
//!
//! No allocation, no state but the arena: an inference is a loop over the layers. Knows no board and no
//! head; the feature map that it leaves goes to [`crate::head`].

use crate::kernels::{
    self, AddParams, AvgPoolParams, ConvParams, Geometry, MulParams, NormParams, PReluParams,
    PackedParams,
};
use crate::model::norm_table::NormTable;
use crate::model::{ALIGNMENT, ConvData, DType, Layer, Layout, MapFunction, Model, Op, Operand};
use core::ops::Range;

/// Why an engine cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine has no floating point.
    #[error(
        "the engine runs int8 models and this one is float; convert it with --int8, or use the tract backend"
    )]
    FloatModel,
    /// A layer's weights are packed for another kind of processor.
    #[error(
        "layer {layer} is packed as {} and this program has no kernel for that; convert the network for this board, or without --board",
        layout.name()
    )]
    Layout {
        /// The layer's index.
        layer: usize,
        /// Its layout.
        layout: Layout,
    },
    /// The arena of a packed model starts off the alignment that its kernels need.
    #[error("the arena of a packed model must start on a multiple of 16")]
    Misaligned,
    /// The arena is too small.
    #[error("the arena has {have} bytes and the model needs {need}")]
    Arena {
        /// Its length.
        have: usize,
        /// What the plan needs.
        need: usize,
    },
}

/// An int8 model with the memory it runs in.
///
/// ```
/// use edge_runtime::engine::Engine;
/// # use edge_runtime::model::Model;
/// # let bytes = graft_tests::tiny::model();
/// # let model = Model::parse(&bytes)?;
/// # let input = graft_tests::tiny::input(0, 1);
///
/// let mut arena = vec![0; model.arena_bytes()];
/// let mut engine = Engine::new(&model, &mut arena)?;
/// engine.input_mut().copy_from_slice(&input);
/// let map = engine.run();
/// assert_eq!(map.len(), model.output().shape.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Engine<'m, 'r> {
    model: &'r Model<'m>,
    arena: &'r mut [i8],
}

impl<'m, 'r> Engine<'m, 'r> {
    /// Ties a model to an arena of at least [`Model::arena_bytes`].
    pub fn new(model: &'r Model<'m>, arena: &'r mut [i8]) -> Result<Self, EngineError> {
        if model.dtype() != DType::I8 {
            return Err(EngineError::FloatModel);
        }
        let (have, need) = (arena.len(), model.arena_bytes());
        if have < need {
            return Err(EngineError::Arena { have, need });
        }
        if model.packing().is_some() {
            if !arena.as_ptr().addr().is_multiple_of(ALIGNMENT) {
                return Err(EngineError::Misaligned);
            }
            Self::check_layouts(model)?;
        }
        Ok(Self { model, arena })
    }

    /// Whether there is a kernel for every packed layer.
    ///
    /// # Errors
    /// Names the first layer for which there is none.
    pub fn check_layouts(model: &Model<'_>) -> Result<(), EngineError> {
        // Layers are borrowed from what the iterator gives: each copy would take 340 bytes of stack.
        let (mut layers, mut layer) = (model.layers(), 0);
        while let Some(it) = &layers.next() {
            if let Some(&ConvData::Packed { layout, .. }) = it.conv_data()
                && !kernels::runs(layout)
            {
                return Err(EngineError::Layout { layer, layout });
            }
            layer += 1;
        }
        Ok(())
    }

    /// Where the next picture goes: the model's input, NHWC, quantized. It is overwritten by [`Self::run`].
    pub fn input_mut(&mut self) -> &mut [i8] {
        &mut self.arena[range(&self.model.input())]
    }

    /// One inference; returns the last feature map.
    pub fn run(&mut self) -> &[i8] {
        self.run_observed(|_, _| ())
    }

    /// As [`Self::run`], showing each layer's output to `observe(layer, values)`.
    pub fn run_observed(&mut self, mut observe: impl FnMut(usize, &[i8])) -> &[i8] {
        let (mut layers, mut index) = (self.model.layers(), 0);
        while let Some(layer) = &layers.next() {
            run_layer(self.model, layer, self.arena);
            observe(index, &self.arena[range(&layer.output)]);
            index += 1;
        }
        &self.arena[range(&self.model.output())]
    }
}

fn range(operand: &Operand) -> Range<usize> {
    operand.offset as usize..operand.offset as usize + operand.shape.len()
}

/// The arena, split around one layer's output. The plan check has shown that no input overlaps it.
struct Split<'a> {
    before: &'a [i8],
    output: &'a mut [i8],
    after: &'a [i8],
    end: usize,
}

impl<'a> Split<'a> {
    fn new(arena: &'a mut [i8], output: &Operand) -> Self {
        let range = range(output);
        let (before, rest) = arena.split_at_mut(range.start);
        let (output, after) = rest.split_at_mut(range.len());
        Self {
            before,
            output,
            after,
            end: range.end,
        }
    }

    fn input(&self, operand: &Operand) -> &'a [i8] {
        let range = range(operand);
        if range.start >= self.end {
            &self.after[range.start - self.end..range.end - self.end]
        } else {
            &self.before[range]
        }
    }
}

fn run_layer(model: &Model<'_>, layer: &Layer<'_>, arena: &mut [i8]) {
    let (input, output) = (layer.inputs[0], layer.output);
    let in_place = layer.op.in_place() && input.offset == output.offset;
    let geometry = |window| Geometry {
        input: input.shape,
        output: output.shape,
        window,
    };
    if let Some(data @ ConvData::Packed { .. }) = layer.conv_data()
        && let Op::Conv { window, .. } | Op::DepthwiseConv { window, .. } = &layer.op
    {
        return run_packed(model, data, &geometry(*window), &input, &output, arena);
    }
    let split = Split::new(arena, &output);
    match &layer.op {
        Op::Conv {
            window,
            groups,
            data,
        } => {
            let params = conv_params(model, data, &input, &output);
            kernels::conv(
                &geometry(*window),
                *groups as usize,
                &params,
                split.input(&input),
                split.output,
            );
        }
        Op::DepthwiseConv { window, data } => {
            let params = conv_params(model, data, &input, &output);
            kernels::depthwise(
                &geometry(*window),
                &params,
                split.input(&input),
                split.output,
            );
        }
        Op::MaxPool { window } => {
            kernels::max_pool(&geometry(*window), split.input(&input), split.output)
        }
        Op::AvgPool {
            window,
            multipliers,
            shift,
            ..
        } => {
            let params = AvgPoolParams {
                multipliers: model.i32s(*multipliers),
                shift: *shift,
                input_zero_point: input.quant.zero_point,
                output_zero_point: output.quant.zero_point,
            };
            kernels::avg_pool(
                &geometry(*window),
                &params,
                split.input(&input),
                split.output,
            );
        }
        Op::Add {
            multipliers,
            shift,
            clamp,
            ..
        } => {
            let params = AddParams {
                zero_points: [input.quant.zero_point, layer.inputs[1].quant.zero_point],
                multipliers: *multipliers,
                shift: *shift,
                output_zero_point: output.quant.zero_point,
                clamp: *clamp,
            };
            let other = split.input(&layer.inputs[1]);
            if in_place {
                kernels::add_in_place(&params, split.output, other);
            } else {
                kernels::add(&params, split.input(&input), other, split.output);
            }
        }
        Op::Concat { rescale } => {
            let mut first = 0;
            for (part, by) in layer.inputs.iter().zip(rescale) {
                let channels = part.shape.c as usize;
                let zero_points = [part.quant.zero_point, output.quant.zero_point];
                let to = output.shape.c as usize;
                kernels::concat_part(
                    split.input(part),
                    channels,
                    *by,
                    zero_points,
                    split.output,
                    to,
                    first,
                );
                first += channels;
            }
        }
        Op::Map {
            function: MapFunction::Table(table),
        } => {
            let table = model.i8s(*table);
            if in_place {
                kernels::map_in_place(table, split.output);
            } else {
                kernels::map(table, split.input(&input), split.output);
            }
        }
        // `model::check` refuses float parts in an int8 model.
        Op::Map {
            function: MapFunction::Activation(_),
        } => unreachable!(),
        Op::Slice { start, step } => {
            kernels::slice(
                [input.shape, output.shape],
                *start,
                *step,
                split.input(&input),
                split.output,
            );
        }
        Op::Pad { before, .. } => {
            let zero = input.quant.zero_point;
            kernels::pad(
                [input.shape, output.shape],
                *before,
                zero,
                split.input(&input),
                split.output,
            );
        }
        Op::Mul { multiplier, shift } => {
            let params = MulParams {
                zero_points: [input.quant.zero_point, layer.inputs[1].quant.zero_point],
                multiplier: *multiplier,
                shift: *shift,
                output_zero_point: output.quant.zero_point,
            };
            let other = split.input(&layer.inputs[1]);
            if in_place {
                kernels::mul_in_place(&params, split.output, other);
            } else {
                kernels::mul(&params, split.input(&input), other, split.output);
            }
        }
        Op::PRelu {
            slopes,
            positive,
            shift,
        } => {
            let params = PReluParams {
                slopes: model.i32s(*slopes),
                positive: *positive,
                shift: *shift,
                input_zero_point: input.quant.zero_point,
                output_zero_point: output.quant.zero_point,
            };
            if in_place {
                kernels::prelu_in_place(&params, split.output);
            } else {
                kernels::prelu(&params, split.input(&input), split.output);
            }
        }
        Op::LocalResponseNorm {
            size,
            table,
            index_shift,
            shift,
            ..
        } => {
            let params = NormParams {
                size: *size as usize,
                table: model.i32s(*table),
                spacing: NormTable::new(*index_shift),
                shift: *shift,
                input_zero_point: input.quant.zero_point,
                output_zero_point: output.quant.zero_point,
            };
            let channels = input.shape.c as usize;
            kernels::local_response_norm(&params, channels, split.input(&input), split.output);
        }
        Op::Shuffle { groups } => {
            let channels = input.shape.c as usize;
            kernels::shuffle(
                *groups as usize,
                channels,
                split.input(&input),
                split.output,
            );
        }
    }
}

fn run_packed(
    model: &Model<'_>,
    data: &ConvData,
    geometry: &Geometry,
    from: &Operand,
    to: &Operand,
    arena: &mut [i8],
) {
    let ConvData::Packed {
        layout,
        weights,
        channels,
        input_shift,
        clamp,
        scratch,
    } = *data
    else {
        return;
    };
    let params = PackedParams {
        weights: model.i8s(weights),
        records: model.records(channels),
        input_shift,
        input_zero_point: from.quant.zero_point,
        output_zero_point: to.quant.zero_point,
        clamp,
    };
    let scratch = scratch.offset as usize..scratch.offset as usize + scratch.len as usize;
    // `model::check` has shown that the three lie in the arena and apart.
    let Ok([input, output, scratch]) = arena.get_disjoint_mut([range(from), range(to), scratch])
    else {
        unreachable!()
    };
    kernels::packed(layout, geometry, &params, input, output, scratch);
}

fn conv_params<'m>(
    model: &Model<'m>,
    data: &ConvData,
    input: &Operand,
    output: &Operand,
) -> ConvParams<'m> {
    let ConvData::I8 {
        weights,
        bias,
        multiplier,
        shift,
        clamp,
    } = *data
    else {
        // `model::check` refuses float parts in an int8 model, and `Engine::new` packed ones without kernel.
        unreachable!()
    };
    ConvParams {
        weights: model.i8s(weights),
        bias: model.i32s(bias),
        multiplier: model.i32s(multiplier),
        shift: model.u8s(shift),
        input_zero_point: input.quant.zero_point,
        output_zero_point: output.quant.zero_point,
        clamp,
    }
}
