//! Walks the plan of an int8 model over a borrowed file and one caller-owned arena.
//!
//! No allocation, no state but the arena: an inference is a loop over the layers, each computed by a family of
//! kernels ([`Kernels`]). The engine itself knows no operator, no board and no head. The feature map that it
//! leaves goes to [`crate::head`].
//!
//! Weights and other numbers come from the file: the model is the [`Weights`](kernels::Weights) of every layer. On
//! a host, [`crate::backend`] walks the same plan with weights that kernels have packed ([`kernels::Prepacked`]).

use crate::kernels::{self, Kernels, Native, PackedParams};
use crate::model::{ALIGNMENT, ConvData, DType, Layer, Layout, Model, Operand};
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

/// An int8 model with the memory it runs in, and the kernels that compute it: [`kernels::native`], unless others
/// are asked for.
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
pub struct Engine<'m, 'r, K: Kernels + ?Sized + 'static = Native> {
    model: &'r Model<'m>,
    arena: &'r mut [i8],
    kernels: &'r K,
}

impl<'m, 'r> Engine<'m, 'r> {
    /// Ties a model to an arena of at least [`Model::arena_bytes`].
    ///
    /// # Errors
    /// If the model is float or packed for another processor, or the arena is too small or off its alignment.
    pub fn new(model: &'r Model<'m>, arena: &'r mut [i8]) -> Result<Self, EngineError> {
        Self::with_kernels(model, arena, kernels::native())
    }

    /// Whether the program's own kernels run every packed layer.
    ///
    /// # Errors
    /// Names the first layer that they do not.
    pub fn check_layouts(model: &Model<'_>) -> Result<(), EngineError> {
        check_layouts(model, kernels::native())
    }
}

impl<'m, 'r, K: Kernels + ?Sized> Engine<'m, 'r, K> {
    /// As [`Engine::new`], with kernels of the caller's choice.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with_kernels(
        model: &'r Model<'m>,
        arena: &'r mut [i8],
        kernels: &'r K,
    ) -> Result<Self, EngineError> {
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
            check_layouts(model, kernels)?;
        }
        Ok(Self {
            model,
            arena,
            kernels,
        })
    }

    /// Whether the engine runs a model with these kernels.
    ///
    /// # Errors
    /// If the model is float, or packed for another processor.
    pub fn check(model: &Model<'_>, kernels: &K) -> Result<(), EngineError> {
        if model.dtype() != DType::I8 {
            return Err(EngineError::FloatModel);
        }
        match model.packing() {
            Some(_) => check_layouts(model, kernels),
            None => Ok(()),
        }
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
            run_layer(self.model, self.kernels, layer, self.arena);
            observe(index, &self.arena[range(&layer.output)]);
            index += 1;
        }
        &self.arena[range(&self.model.output())]
    }
}

fn check_layouts<K: Kernels + ?Sized>(model: &Model<'_>, kernels: &K) -> Result<(), EngineError> {
    // Layers are borrowed from what the iterator gives: each copy would take 340 bytes of stack.
    let (mut layers, mut layer) = (model.layers(), 0);
    while let Some(it) = &layers.next() {
        if let Some(&ConvData::Packed { layout, .. }) = it.conv_data()
            && !kernels.runs(layout)
        {
            return Err(EngineError::Layout { layer, layout });
        }
        layer += 1;
    }
    Ok(())
}

/// The bytes of a tensor in the arena.
pub(crate) fn range(operand: &Operand) -> Range<usize> {
    operand.offset as usize..operand.offset as usize + operand.shape.len()
}

/// The arena without one layer's output. The plan check has shown that no input overlaps it.
pub(crate) struct Around<'a> {
    before: &'a [i8],
    after: &'a [i8],
    /// Where `after` starts.
    end: usize,
}

impl<'a> Around<'a> {
    /// Takes the output out of the arena.
    pub fn split(arena: &'a mut [i8], output: &Operand) -> (Self, &'a mut [i8]) {
        let range = range(output);
        let (before, rest) = arena.split_at_mut(range.start);
        let (output, after) = rest.split_at_mut(range.len());
        let around = Self {
            before,
            after,
            end: range.end,
        };
        (around, output)
    }

    /// The bytes of an input.
    pub fn input(&self, operand: &Operand) -> &'a [i8] {
        let range = range(operand);
        if range.start >= self.end {
            &self.after[range.start - self.end..range.end - self.end]
        } else {
            &self.before[range]
        }
    }
}

/// Computes one layer in the arena.
pub(crate) fn run_layer<K: Kernels + ?Sized>(
    model: &Model<'_>,
    kernels: &K,
    layer: &Layer<'_>,
    arena: &mut [i8],
) {
    if let Some(params) = PackedParams::of(model, layer) {
        return run_packed(kernels, &params, layer, arena);
    }
    let (around, output) = Around::split(arena, &layer.output);
    let in_place = layer.op.in_place() && layer.inputs[0].offset == layer.output.offset;
    let input = |i: usize| (i > 0 || !in_place).then(|| around.input(&layer.inputs[i]));
    let Some(()) = kernels::run(kernels, model, layer, input, output) else {
        unreachable!("`model::check` refuses float parts in an int8 model")
    };
}

fn run_packed<K: Kernels + ?Sized>(
    kernels: &K,
    params: &PackedParams<'_>,
    layer: &Layer<'_>,
    arena: &mut [i8],
) {
    let scratch = layer.scratch().map_or(0..0, |scratch| {
        scratch.offset as usize..scratch.offset as usize + scratch.len as usize
    });
    let ranges = [range(&layer.inputs[0]), range(&layer.output), scratch];
    // `model::check` has shown that the three lie in the arena and apart.
    let Ok([input, output, scratch]) = arena.get_disjoint_mut(ranges) else {
        unreachable!()
    };
    kernels.packed(params, input, output, scratch);
}
