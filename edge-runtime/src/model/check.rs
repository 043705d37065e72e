//! Everything that must hold before a model's first use, so that running it can neither panic nor read
//! or write outside its memory, and so that the plan never lets one tensor overwrite another in use.

use super::*;

/// Most layers a trunk may have; bounds the time of the plan check, which is quadratic.
pub const MAX_LAYERS: u32 = 2048;

/// Longest name of a layer in bytes; the same reason.
pub const MAX_NAME: usize = 255;

/// Largest kernel, stride, dilation, or padding.
const MAX_WINDOW: u32 = 1 << 12;

/// Most elements of one tensor: keeps every offset in 32 bits.
const MAX_ELEMENTS: u64 = 1 << 28;

/// Checks the manifest's input rule.
pub fn manifest(manifest: &Manifest<'_>) -> Result<(), ModelError> {
    match manifest.input.problem() {
        Some(problem) => Err(ModelError::Value {
            record: "manifest",
            problem,
        }),
        None => Ok(()),
    }
}

/// Checks all layers and the plan; returns the last one's output, and the bytes behind the layers.
#[inline(never)]
pub fn layers<'b>(
    trunk: &Trunk,
    bytes: &'b [u8],
    weights: &[u8],
) -> Result<(Operand, &'b [u8]), ModelError> {
    let bad = |problem| ModelError::Value {
        record: "trunk",
        problem,
    };
    if !(1..=MAX_LAYERS).contains(&trunk.layers) {
        return Err(bad("number of layers"));
    }
    if !(trunk.arena_bytes as usize).is_multiple_of(ALIGNMENT) {
        return Err(bad("arena size"));
    }
    if trunk
        .packing
        .is_some_and(|p| p.arena_bytes > trunk.arena_bytes)
    {
        return Err(bad("arena size before packing"));
    }
    if trunk.input.tensor != 0 || operand(trunk, &trunk.input).is_err() {
        return Err(bad("input tensor"));
    }
    let mut rest = bytes;
    let mut output = trunk.input;
    for index in 0..trunk.layers {
        let at = |problem| ModelError::Layer {
            layer: index,
            problem,
        };
        (output, rest) = next(trunk, index, rest, weights).map_err(at)?;
    }
    plan(trunk, bytes)?;
    Ok((output, rest))
}

/// Decodes and checks the first layer of `bytes`; its output, and the bytes that follow it.
#[inline(never)]
fn next<'b>(
    trunk: &Trunk,
    index: u32,
    bytes: &'b [u8],
    weights: &[u8],
) -> Result<(Operand, &'b [u8]), LayerProblem> {
    let mut left = bytes;
    // By reference: a layer is too large to be moved about on a small stack.
    let Ok(layer) = &take_layer(&mut left) else {
        return Err(LayerProblem::Undecodable);
    };
    one(trunk, index, layer, weights)?;
    Ok((layer.output, left))
}

/// Every tensor is read as it was written, and nothing was written over it meanwhile.
fn plan(trunk: &Trunk, bytes: &[u8]) -> Result<(), ModelError> {
    let (mut after, mut tensor) = (bytes, trunk.input);
    for first in 0..trunk.layers {
        survives(trunk, &tensor, first, after)?;
        if let Some(output) = next_output(&mut after) {
            tensor = output;
        }
    }
    Ok(())
}

/// What the first layer of `bytes` writes; goes on to the next one.
#[inline(never)]
fn next_output(bytes: &mut &[u8]) -> Option<Operand> {
    take_layer(bytes).ok().map(|l| l.output)
}

/// One tensor is read as it was written by layer `first`, which starts at `bytes`, and those after it.
#[inline(never)]
fn survives(
    trunk: &Trunk,
    tensor: &Operand,
    first: u32,
    mut bytes: &[u8],
) -> Result<(), ModelError> {
    let mut alive = true;
    for index in first..trunk.layers {
        let at = |problem| ModelError::Layer {
            layer: index,
            problem,
        };
        let Ok(layer) = &take_layer(&mut bytes) else {
            return Err(at(LayerProblem::Undecodable));
        };
        for input in layer.inputs.iter().filter(|i| i.tensor == tensor.tensor) {
            if input != tensor {
                return Err(at(LayerProblem::Operand));
            }
            if !alive {
                return Err(at(LayerProblem::Arena));
            }
        }
        alive &= !overlap(trunk, tensor, &layer.output);
        alive &= !layer.scratch().is_some_and(|s| covers(trunk, &s, tensor));
    }
    Ok(())
}

fn range(trunk: &Trunk, o: &Operand) -> core::ops::Range<usize> {
    o.offset as usize..o.offset as usize + o.shape.len() * trunk.dtype.size()
}

fn overlap(trunk: &Trunk, a: &Operand, b: &Operand) -> bool {
    let (a, b) = (range(trunk, a), range(trunk, b));
    a.start < b.end && b.start < a.end
}

/// True if a scratch range, already checked to lie in the arena, overlaps a tensor.
fn covers(trunk: &Trunk, scratch: &Scratch, tensor: &Operand) -> bool {
    let (tensor, start) = (range(trunk, tensor), scratch.offset as usize);
    start < tensor.end && tensor.start < start + scratch.len as usize
}

fn scratch(trunk: &Trunk, layer: &Layer<'_>, scratch: &Scratch) -> Result<(), LayerProblem> {
    let end = scratch.offset as u64 + scratch.len as u64;
    let apart = |o: &Operand| !covers(trunk, scratch, o);
    let mine = (scratch.offset as usize).is_multiple_of(ALIGNMENT)
        && end <= trunk.arena_bytes as u64
        && layer.inputs.iter().all(apart)
        && apart(&layer.output);
    mine.then_some(()).ok_or(LayerProblem::Scratch)
}

fn operand(trunk: &Trunk, o: &Operand) -> Result<(), LayerProblem> {
    let elements = (o.shape.h as u64 * o.shape.w as u64).saturating_mul(o.shape.c as u64);
    if elements == 0 || elements > MAX_ELEMENTS {
        return Err(LayerProblem::Size);
    }
    let end = o.offset as u64 + elements * trunk.dtype.size() as u64;
    if !(o.offset as usize).is_multiple_of(ALIGNMENT) || end > trunk.arena_bytes as u64 {
        return Err(LayerProblem::Arena);
    }
    if !o.quant.scale.is_finite() || o.quant.scale <= 0.0 {
        return Err(LayerProblem::Quantization);
    }
    Ok(())
}

fn one(trunk: &Trunk, index: u32, layer: &Layer<'_>, weights: &[u8]) -> Result<(), LayerProblem> {
    let arity = match layer.op {
        Op::Add { .. } | Op::Mul { .. } => 2..=2,
        Op::Concat { .. } => 1..=MAX_INPUTS,
        _ => 1..=1,
    };
    if !arity.contains(&layer.inputs.len()) {
        return Err(LayerProblem::Arity);
    }
    if layer.name.len() > MAX_NAME {
        return Err(LayerProblem::Name);
    }
    operand(trunk, &layer.output)?;
    if layer.output.tensor != index + 1 {
        return Err(LayerProblem::Operand);
    }
    for (i, input) in layer.inputs.iter().enumerate() {
        operand(trunk, input)?;
        if input.tensor > index {
            return Err(LayerProblem::Operand);
        }
        let same =
            layer.op.in_place() && i == 0 && range(trunk, input) == range(trunk, &layer.output);
        if overlap(trunk, input, &layer.output) && !same {
            return Err(LayerProblem::Overlap);
        }
    }
    if let Some(own) = layer.scratch() {
        scratch(trunk, layer, &own)?;
    }
    Checker {
        dtype: trunk.dtype,
        packed: trunk.packing.is_some(),
        input: layer.inputs[0],
        layer,
        weights,
    }
    .op()
}

struct Checker<'c> {
    dtype: DType,
    packed: bool,
    input: Operand,
    layer: &'c Layer<'c>,
    weights: &'c [u8],
}

impl<'c> Checker<'c> {
    fn op(&self) -> Result<(), LayerProblem> {
        let (input, output) = (self.input, self.layer.output);
        let int8 = self.dtype == DType::I8;
        match &self.layer.op {
            Op::Conv {
                window,
                groups,
                data,
            } => {
                let (i, o, g) = (input.shape.c, output.shape.c, *groups);
                if g == 0 || i % g != 0 || o % g != 0 {
                    return Err(LayerProblem::Geometry);
                }
                self.window(window, o)?;
                let taps = area(window).saturating_mul((i / g) as u64);
                self.conv_data(data, taps.saturating_mul(o as u64), window, g, false)
            }
            Op::DepthwiseConv { window, data } => {
                self.window(window, input.shape.c)?;
                let (c, weights) = (
                    input.shape.c,
                    area(window).saturating_mul(input.shape.c as u64),
                );
                self.conv_data(data, weights, window, c, true)
            }
            Op::MaxPool { window } => {
                self.pool(window)?;
                self.same_quant()
            }
            Op::AvgPool {
                window,
                count_padding,
                multipliers,
                shift,
            } => {
                self.pool(window)?;
                if !int8 {
                    return Ok(());
                }
                // The divisor is always the whole window if nothing is padded, or padding counts.
                let one = *count_padding || window.is_unpadded();
                let entries = if one { 1 } else { area(window) };
                if area(window) > 1 << 16 {
                    return Err(LayerProblem::Geometry);
                }
                let m = self.i32s(*multipliers, entries)?;
                let fits = |(k, m): (usize, &i32)| {
                    let count = if one { area(window) } else { k as u64 + 1 };
                    *m >= 0 && *m as u64 * count * 255 < 1 << 30
                };
                self.quantized((1..=30).contains(shift) && m.iter().enumerate().all(fits))
            }
            Op::Add {
                multipliers,
                shift,
                clamp,
                ..
            } => {
                if self.layer.inputs.iter().any(|i| i.shape != output.shape) {
                    return Err(LayerProblem::OutputShape);
                }
                let fits = multipliers.iter().all(|m| m.unsigned_abs() <= 1 << 21)
                    && (1..=30).contains(shift);
                self.quantized(!int8 || fits && clamp[0] <= clamp[1])
            }
            Op::Concat { rescale } => {
                let mut channels = 0u64;
                for i in &self.layer.inputs {
                    if (i.shape.h, i.shape.w) != (output.shape.h, output.shape.w) {
                        return Err(LayerProblem::OutputShape);
                    }
                    channels += i.shape.c as u64;
                }
                if channels != output.shape.c as u64 {
                    return Err(LayerProblem::OutputShape);
                }
                let fits = |r: &Rescale| {
                    r.multiplier.unsigned_abs() <= 1 << 22 && (1..=30).contains(&r.shift)
                };
                self.quantized(
                    !int8 || rescale.len() == self.layer.inputs.len() && rescale.iter().all(fits),
                )
            }
            Op::Map { function } => {
                self.shape(input.shape)?;
                match (function, int8) {
                    (MapFunction::Table(blob), true) => self.blob(*blob, 256, 1).map(|_| ()),
                    (MapFunction::Activation(_), false) => Ok(()),
                    _ => Err(LayerProblem::DType),
                }
            }
            Op::Slice { start, step } => {
                let last =
                    |a: usize, n: u32, step: u32| start[a] as u64 + (n as u64 - 1) * step as u64;
                let s = output.shape;
                let inside = last(0, s.h, step[0]) < input.shape.h as u64
                    && last(1, s.w, step[1]) < input.shape.w as u64
                    && last(2, s.c, 1) < input.shape.c as u64;
                if !inside || step.contains(&0) {
                    return Err(LayerProblem::Geometry);
                }
                self.same_quant()
            }
            Op::Pad { before, after } => {
                let sides = [
                    (input.shape.h, output.shape.h),
                    (input.shape.w, output.shape.w),
                    (input.shape.c, output.shape.c),
                ];
                for (a, (i, o)) in sides.into_iter().enumerate() {
                    if before[a] as u64 + i as u64 + after[a] as u64 != o as u64 {
                        return Err(LayerProblem::OutputShape);
                    }
                }
                self.same_quant()
            }
            Op::Mul { multiplier, shift } => {
                self.shape(input.shape)?;
                let other = self.layer.inputs[1].shape;
                if other != output.shape && other != Shape::new(1, 1, output.shape.c) {
                    return Err(LayerProblem::OutputShape);
                }
                self.quantized(!int8 || *multiplier >= 1 << 30 && (1..=62).contains(shift))
            }
            Op::PRelu {
                slopes,
                positive,
                shift,
            } => {
                self.shape(input.shape)?;
                let channels = output.shape.c as u64;
                if !int8 {
                    return self.blob(*slopes, channels, 4).map(|_| ());
                }
                let small = |m: &i32| m.unsigned_abs() <= 1 << 22;
                let slopes = self.i32s(*slopes, channels)?;
                self.quantized(
                    slopes.iter().all(small) && small(positive) && (1..=30).contains(shift),
                )
            }
            Op::LocalResponseNorm {
                size,
                table,
                index_shift,
                shift,
                ..
            } => {
                self.shape(input.shape)?;
                if !(1..=MAX_NORM_SIZE).contains(size) {
                    return Err(LayerProblem::Geometry);
                }
                if !int8 {
                    return Ok(());
                }
                let shifts = (8..=30).contains(index_shift) && (1..=30).contains(shift);
                if !shifts || (size * 255 * 255) >> index_shift > 255 {
                    return Err(LayerProblem::Quantization);
                }
                let table = self.i32s(*table, 257)?;
                self.quantized(table.iter().all(|t| (0..=1 << 22).contains(t)))
            }
            Op::Shuffle { groups } => {
                self.shape(input.shape)?;
                if *groups == 0 || !input.shape.c.is_multiple_of(*groups) {
                    return Err(LayerProblem::Geometry);
                }
                self.same_quant()
            }
        }
    }

    fn window(&self, w: &Window, channels: u32) -> Result<(), LayerProblem> {
        let positive = [w.kernel, w.stride, w.dilation];
        let pads = [w.pad_before, w.pad_after];
        if positive
            .iter()
            .flatten()
            .any(|v| !(1..=MAX_WINDOW).contains(v))
            || pads.iter().flatten().any(|v| *v > MAX_WINDOW)
        {
            return Err(LayerProblem::Geometry);
        }
        let (h, w) = (
            w.output_len(0, self.input.shape.h),
            w.output_len(1, self.input.shape.w),
        );
        let (h, w) = h.zip(w).ok_or(LayerProblem::Geometry)?;
        self.shape(Shape::new(h, w, channels))
    }

    /// As [`Self::window`], and every position covers at least one element of the input.
    fn pool(&self, w: &Window) -> Result<(), LayerProblem> {
        let covered = |a: usize| w.pad_before[a] < w.kernel[a] && w.pad_after[a] < w.kernel[a];
        if w.dilation != [1, 1] || !covered(0) || !covered(1) {
            return Err(LayerProblem::Geometry);
        }
        self.window(w, self.input.shape.c)
    }

    fn conv_data(
        &self,
        data: &ConvData,
        weights: u64,
        window: &Window,
        groups: u32,
        depthwise: bool,
    ) -> Result<(), LayerProblem> {
        let channels = self.layer.output.shape.c as u64;
        match (data, self.dtype) {
            (
                ConvData::F32 {
                    weights: w, bias, ..
                },
                DType::F32,
            ) => {
                self.blob(*w, weights, 4)?;
                self.blob(*bias, channels, 4)?;
                Ok(())
            }
            (
                ConvData::I8 {
                    weights: w,
                    bias,
                    multiplier,
                    shift,
                    clamp,
                },
                DType::I8,
            ) => {
                self.blob(*w, weights, 1)?;
                self.blob(*bias, channels, 4)?;
                let m = self.i32s(*multiplier, channels)?;
                let n = self.blob(*shift, channels, 1)?;
                let fits =
                    m.iter().all(|m| *m >= 1 << 30) && n.iter().all(|n| (1..=62).contains(n));
                self.quantized(fits && clamp[0] <= clamp[1])
            }
            (
                ConvData::Packed {
                    layout,
                    weights: w,
                    channels: records,
                    input_shift,
                    clamp,
                    scratch,
                },
                DType::I8,
            ) => {
                let (input, output) = (self.input.shape, self.layer.output.shape);
                if !self.packed || !layout.holds(window, groups, depthwise) {
                    return Err(LayerProblem::Layout);
                }
                let weights = self.blob(*w, layout.weights_len(window, input, output), 1)?;
                let valid = layout.weights_are_valid(weights, *input_shift, window, input, output);
                self.quantized(valid)?;
                let records = self.blob(*records, layout.records(output), 16)?;
                if scratch.len as u64 != layout.scratch_len(window, input, output) {
                    return Err(LayerProblem::Scratch);
                }
                let records: &[ChannelRecord] =
                    bytemuck::try_cast_slice(records).map_err(|_| LayerProblem::Weights)?;
                let zero_point = self.layer.output.quant.zero_point;
                let fits = layout.shifts_input(*input_shift)
                    && records.iter().all(|r| r.is_valid(*input_shift, zero_point));
                self.quantized(fits && clamp[0] <= clamp[1])
            }
            _ => Err(LayerProblem::DType),
        }
    }

    fn i32s(&self, blob: Blob, count: u64) -> Result<&'c [i32], LayerProblem> {
        let bytes = self.blob(blob, count, 4)?;
        bytemuck::try_cast_slice(bytes).map_err(|_| LayerProblem::Weights)
    }

    fn blob(&self, blob: Blob, count: u64, size: u64) -> Result<&'c [u8], LayerProblem> {
        let (start, len) = (blob.offset as usize, blob.len as usize);
        if !start.is_multiple_of(ALIGNMENT) || blob.len as u64 != count.saturating_mul(size) {
            return Err(LayerProblem::Weights);
        }
        let bytes = self.weights.get(start..).and_then(|b| b.get(..len));
        bytes.ok_or(LayerProblem::Weights)
    }

    fn shape(&self, expected: Shape) -> Result<(), LayerProblem> {
        (self.layer.output.shape == expected)
            .then_some(())
            .ok_or(LayerProblem::OutputShape)
    }

    fn same_quant(&self) -> Result<(), LayerProblem> {
        self.quantized(self.input.quant == self.layer.output.quant)
    }

    fn quantized(&self, fits: bool) -> Result<(), LayerProblem> {
        fits.then_some(()).ok_or(LayerProblem::Quantization)
    }
}

fn area(window: &Window) -> u64 {
    window.kernel[0] as u64 * window.kernel[1] as u64
}
