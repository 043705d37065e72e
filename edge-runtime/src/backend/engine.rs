//! The no_std engine as a backend: what a microcontroller runs, on the host.

use super::{BackendError, Observer, Prepared, Runtime, Session, Values};
use crate::engine::{self, Engine};
use crate::kernels::{self, Native, Prepacked};
use crate::model::{AlignedBytes, ConvData, DType, Layer, Model};
use std::sync::Arc;
#[cfg(feature = "threads")]
use std::sync::{Mutex, PoisonError};

/// Runs int8 models as [`Engine`] does. What is prepared has the weights of convolutions packed for the kernels, if
/// these ask for it; other numbers are read in place. A session is an arena.
#[derive(Clone, Copy, Debug)]
pub struct EngineRuntime {
    kernels: &'static Native,
    threads: Threads,
}

/// How many threads one inference may take.
#[derive(Clone, Copy, Debug)]
struct Threads {
    count: usize,
    /// Layers with fewer multiplications stay on one: to wake a thread takes longer.
    from_macs: u64,
}

impl EngineRuntime {
    /// Name for `--backend`.
    pub const NAME: &'static str = "engine";

    /// The engine with the best kernels of this CPU.
    pub fn new() -> Self {
        Self::with_kernels(kernels::native())
    }

    /// The engine with kernels of the caller's choice.
    pub fn with_kernels(kernels: &'static Native) -> Self {
        Self {
            kernels,
            threads: Threads {
                count: 1,
                from_macs: 1 << 20,
            },
        }
    }

    /// Each inference on so many threads, which share every large convolution. The results do not depend on it.
    #[cfg(feature = "threads")]
    pub fn threads(mut self, count: usize) -> Self {
        self.threads.count = count.max(1);
        self
    }

    /// Layers with fewer multiplications than this stay on one thread: a million, if nothing is said.
    #[cfg(feature = "threads")]
    pub fn divide_from(mut self, macs: u64) -> Self {
        self.threads.from_macs = macs;
        self
    }
}

impl Default for EngineRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for EngineRuntime {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn prepare<'m>(&self, model: &Model<'m>) -> Result<Arc<dyn Prepared<'m> + 'm>, BackendError> {
        Engine::check(model, self.kernels).map_err(|e| BackendError::Unsupported {
            backend: Self::NAME,
            why: e.to_string(),
        })?;
        let step = |layer: Layer<'m>| {
            let conv = kernels::prepack(self.kernels, model, &layer);
            if let (Some(_), Some(&ConvData::I8 { weights, .. })) = (&conv, layer.conv_data()) {
                model.release_up_to(weights);
            }
            Step {
                conv,
                parts: match layer.macs() >= self.threads.from_macs {
                    true => self.threads.count,
                    false => 1,
                },
                layer,
            }
        };
        Ok(Arc::new(PreparedModel {
            model: model.clone(),
            kernels: self.kernels,
            steps: model.layers().map(step).collect(),
            pool: pool(self.threads.count)?,
        }))
    }
}

#[cfg(feature = "threads")]
use super::pool::Pool;
/// There are no threads.
#[cfg(not(feature = "threads"))]
type Pool = core::convert::Infallible;

#[cfg(not(feature = "threads"))]
fn pool(_: usize) -> Result<Option<Pool>, BackendError> {
    Ok(None)
}

/// A pool; none for one thread, which is the caller's.
#[cfg(feature = "threads")]
fn pool(threads: usize) -> Result<Option<Pool>, BackendError> {
    if threads == 1 {
        return Ok(None);
    }
    Pool::new(threads)
        .map(Some)
        .map_err(|e| BackendError::Engine {
            backend: EngineRuntime::NAME,
            layer: String::new(),
            why: e.to_string(),
        })
}

/// A layer, and its weights if they are packed.
struct Step<'m> {
    layer: Layer<'m>,
    conv: Option<Box<dyn Prepacked>>,
    /// How many threads share it.
    parts: usize,
}

struct PreparedModel<'m> {
    model: Model<'m>,
    kernels: &'static Native,
    steps: Vec<Step<'m>>,
    pool: Option<Pool>,
}

impl<'m> Prepared<'m> for PreparedModel<'m> {
    fn session(self: Arc<Self>) -> Result<Box<dyn Session + 'm>, BackendError> {
        Ok(Box::new(Arena::new(self)))
    }

    fn observer(self: Arc<Self>) -> Result<Box<dyn Observer + 'm>, BackendError> {
        Ok(Box::new(Arena::new(self)))
    }
}

/// Activations of one inference at a time.
struct Arena<'m> {
    prepared: Arc<PreparedModel<'m>>,
    bytes: AlignedBytes,
    /// What the kernels of packed convolutions work with, for each thread.
    scratch: Vec<Vec<u64>>,
}

impl<'m> Arena<'m> {
    fn new(prepared: Arc<PreparedModel<'m>>) -> Self {
        let convolutions = prepared.steps.iter().flat_map(|s| &s.conv);
        let scratch = convolutions.map(|c| c.scratch_len()).max().unwrap_or(0);
        let threads = prepared.steps.iter().map(|s| s.parts).max().unwrap_or(1);
        Self {
            bytes: AlignedBytes::zeroed(prepared.model.arena_bytes()),
            // Memory that a thread does not touch stays the system's.
            scratch: (0..threads).map(|_| vec![0; scratch]).collect(),
            prepared,
        }
    }

    /// One inference, which shows each layer's output to `observe(layer, values)`.
    fn infer(
        &mut self,
        input: Values<'_>,
        mut observe: impl FnMut(usize, &[i8]),
    ) -> Result<&[i8], BackendError> {
        let prepared = &*self.prepared;
        let (model, kernels) = (&prepared.model, prepared.kernels);
        input.check(DType::I8, model.input().shape.len())?;
        let arena: &mut [i8] = bytemuck::cast_slice_mut(&mut self.bytes);
        if let Values::I8(values) = input {
            arena[engine::range(&model.input())].copy_from_slice(values);
        }
        for (index, step) in prepared.steps.iter().enumerate() {
            let layer = &step.layer;
            match &step.conv {
                None => engine::run_layer(model, kernels, layer, arena),
                Some(conv) => {
                    let (around, output) = engine::Around::split(arena, &layer.output);
                    let input = around.input(&layer.inputs[0]);
                    let scratch = &mut self.scratch[..step.parts];
                    convolve(&**conv, input, output, scratch, prepared.pool.as_ref());
                }
            }
            observe(index, &arena[engine::range(&layer.output)]);
        }
        Ok(&arena[engine::range(&model.output())])
    }
}

/// Computes a packed convolution in as many parts as there are pieces of scratch memory, each on a thread of the
/// pool.
fn convolve(
    conv: &dyn Prepacked,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [Vec<u64>],
    pool: Option<&Pool>,
) {
    let units = conv.units();
    let parts = match pool {
        Some(_) => scratch.len().min(units.count),
        None => 1,
    };
    let part = |i: usize| units.count * i / parts..units.count * (i + 1) / parts;
    #[cfg(feature = "threads")]
    if let Some(pool) = pool
        && parts > 1
    {
        let mut rest = output;
        let mut own = Vec::with_capacity(parts);
        for (i, scratch) in scratch[..parts].iter_mut().enumerate() {
            let (output, after) = rest.split_at_mut(units.elements(&part(i)).len());
            rest = after;
            own.push(Mutex::new((output, scratch)));
        }
        // Each thread takes what is its own; threads beyond the parts have nothing to do.
        return pool.run(&|i| {
            if let Some(own) = own.get(i) {
                let (output, scratch) = &mut *own.lock().unwrap_or_else(PoisonError::into_inner);
                conv.run(part(i), input, output, scratch);
            }
        });
    }
    if let Some(scratch) = scratch.first_mut() {
        conv.run(part(0), input, output, scratch);
    }
}

impl Session for Arena<'_> {
    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError> {
        self.infer(input, |_, _| ()).map(Values::I8)
    }
}

impl Observer for Arena<'_> {
    fn backend(&self) -> &'static str {
        EngineRuntime::NAME
    }

    fn run(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        self.infer(input, |layer, values| observe(layer, Values::I8(values)))?;
        Ok(())
    }
}
