//! The int8 layers that training writes.

use crate::head::infer::{HiddenLayer, Int8Layers};
use crate::head::size::HeadSize;
use crate::model::{ALIGNMENT, Quant, align};

/// Memory for the numbers of a trained head; see [`Int8Layers`] for what they mean.
#[derive(Debug)]
pub struct Layers<'w> {
    /// The hidden layer, if the head gets one.
    pub hidden: Option<NewHidden<'w>>,
    /// int8 weights, `[classes][inputs]`.
    pub weights: &'w mut [i8],
    /// One per class, zero-point term folded in.
    pub bias: &'w mut [i32],
    /// One per class: real value of an accumulator step.
    pub scale: &'w mut [f32],
}

/// Memory for the numbers of a hidden layer; see [`HiddenLayer`].
#[derive(Debug)]
pub struct NewHidden<'w> {
    /// int8 weights, `[units][features]`.
    pub weights: &'w mut [i8],
    /// One per unit, zero-point term folded in.
    pub bias: &'w mut [i32],
    /// One per unit.
    pub multiplier: &'w mut [i32],
    /// One per unit.
    pub shift: &'w mut [u8],
    /// Quantization of the units.
    pub quant: Quant,
}

impl<'w> Layers<'w> {
    /// Layers of a size in `memory`, which has [`HeadSize::layers_len`] bytes or more; `None` if it has
    /// fewer, or does not start on a multiple of 16.
    pub fn new(size: &HeadSize, memory: &'w mut [u8]) -> Option<Self> {
        if !memory.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return None;
        }
        let mut rest = memory;
        let mut take = |len: usize| {
            let (part, tail) = core::mem::take(&mut rest).split_at_mut_checked(align(len))?;
            rest = tail;
            Some(&mut part[..len])
        };
        let HeadSize {
            features,
            hidden,
            classes,
        } = *size;
        let hidden = match hidden {
            0 => None,
            units => Some(NewHidden {
                weights: bytemuck::cast_slice_mut(take(features * units)?),
                bias: bytemuck::cast_slice_mut(take(4 * units)?),
                multiplier: bytemuck::cast_slice_mut(take(4 * units)?),
                shift: take(units)?,
                quant: Quant {
                    scale: 1.0,
                    zero_point: i8::MIN,
                },
            }),
        };
        Some(Self {
            hidden,
            weights: bytemuck::cast_slice_mut(take(size.last_inputs() * classes)?),
            bias: bytemuck::cast_slice_mut(take(4 * classes)?),
            scale: bytemuck::cast_slice_mut(take(4 * classes)?),
        })
    }

    /// Their size, or `None` if the lengths do not fit together.
    pub fn size(&self) -> Option<HeadSize> {
        let classes = self.bias.len();
        let inputs = self.weights.len().checked_div(classes)?;
        let size = match &self.hidden {
            None => HeadSize::linear(inputs, classes),
            Some(layer) => HeadSize {
                features: layer.weights.len().checked_div(inputs)?,
                hidden: inputs,
                classes,
            },
        };
        let whole = self.weights.len() == inputs * classes && self.scale.len() == classes;
        let fits = self.hidden.as_ref().is_none_or(|h| {
            let lens = [h.bias.len(), h.multiplier.len(), h.shift.len()];
            h.weights.len() == size.features * inputs && lens == [inputs; 3]
        });
        (whole && fits).then_some(size)
    }

    /// The layers as they are run or written.
    pub fn as_int8(&self) -> Int8Layers<'_> {
        let hidden = self.hidden.as_ref().map(|h| HiddenLayer {
            weights: h.weights,
            bias: h.bias,
            multiplier: h.multiplier,
            shift: h.shift,
            quant: h.quant,
        });
        Int8Layers {
            hidden,
            weights: self.weights,
            bias: self.bias,
            scale: self.scale,
        }
    }

    /// Multiplies all logits by a positive factor.
    pub fn sharpen(&mut self, factor: f32) {
        // A scale must stay a positive normal number.
        let scales = self.scale.iter_mut();
        scales.for_each(|s| *s = (*s * factor).max(1e-30));
    }

    /// Logits of a feature, as the written head will give them.
    pub fn logits(&self, feature: &[i8], logits: &mut [f32]) {
        self.as_int8().logits(feature, logits);
    }
}
