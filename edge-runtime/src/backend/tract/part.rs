//! Strided parts of tensors and channel shuffles, float or int8, by the engine's kernels.
//!
//! tract has `Slice` and `Downsample`, but the optimizer of 0.23.9 merges both into a convolution before
//! them and loses where the slice started.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels;
use crate::model::Shape;
use core::marker::PhantomData;
use tract_core::internal::*;

/// An [`crate::model::Op::Slice`] of elements of type `T`.
#[derive(Debug)]
pub struct Part<T> {
    from: Shape,
    to: Shape,
    start: [u32; 3],
    step: [u32; 2],
    of: PhantomData<T>,
}

impl<T> Part<T> {
    /// The part of a tensor of shape `from` that starts at `start` and has shape `to`.
    pub fn new([from, to]: [Shape; 2], start: [u32; 3], step: [u32; 2]) -> Self {
        Self {
            from,
            to,
            start,
            step,
            of: PhantomData,
        }
    }
}

impl<T: Datum + Copy + tract_core::num_traits::Zero> Compute for Part<T> {
    fn name(&self) -> &'static str {
        "Part"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (T::datum_type(), dims(self.to).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<T>(inputs, 0)?;
        filled(&dims(self.to), |out: &mut [T]| {
            kernels::slice([self.from, self.to], self.start, self.step, input, out)
        })
    }
}

/// An [`crate::model::Op::Shuffle`] of elements of type `T`.
#[derive(Debug)]
pub struct Shuffle<T> {
    shape: Shape,
    groups: usize,
    of: PhantomData<T>,
}

impl<T> Shuffle<T> {
    /// A shuffle of the channels of a tensor of `shape`, which `groups` divides.
    pub fn new(shape: Shape, groups: u32) -> Self {
        Self {
            shape,
            groups: groups as usize,
            of: PhantomData,
        }
    }
}

impl<T: Datum + Copy + tract_core::num_traits::Zero> Compute for Shuffle<T> {
    fn name(&self) -> &'static str {
        "Shuffle"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (T::datum_type(), dims(self.shape).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<T>(inputs, 0)?;
        filled(&dims(self.shape), |out: &mut [T]| {
            kernels::shuffle(self.groups, self.shape.c as usize, input, out)
        })
    }
}
