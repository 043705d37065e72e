//! From feature map to feature vector to logits.

use super::file::{Head, HeadData, HiddenData, Pool};
use super::size::MAX_HIDDEN;
use crate::kernels::requantize;
use crate::model::{Blob, Quant};

/// The numbers of an int8 head; see [`HeadData`].
#[derive(Clone, Copy, Debug)]
pub struct Int8Layers<'a> {
    /// The hidden layer, if there is one.
    pub hidden: Option<HiddenLayer<'a>>,
    /// int8 weights, `[classes][inputs]`.
    pub weights: &'a [i8],
    /// Bias, one per class, with the zero-point term folded in.
    pub bias: &'a [i32],
    /// Real value of a step of the sum, one per class.
    pub scale: &'a [f32],
}

/// The numbers of a hidden layer; see [`HiddenData`]. All but the weights are one per unit.
#[derive(Clone, Copy, Debug)]
pub struct HiddenLayer<'a> {
    /// int8 weights, `[units][features]`.
    pub weights: &'a [i8],
    /// Bias, with the zero-point term folded in.
    pub bias: &'a [i32],
    /// Multipliers, in [2^30, 2^31).
    pub multiplier: &'a [i32],
    /// Shifts, in [1, 62].
    pub shift: &'a [u8],
    /// Quantization of the units.
    pub quant: Quant,
}

/// `start + a . b`, in i32. Not inlined, because two copies would double the code of this file on a device.
#[inline(never)]
fn dot(start: i32, a: &[i8], b: &[i8]) -> i32 {
    let products = a.iter().zip(b).map(|(a, b)| *a as i32 * *b as i32);
    products.fold(start, i32::wrapping_add)
}

impl HiddenLayer<'_> {
    /// The units of a feature vector, as many as there are biases.
    fn apply(&self, feature: &[i8], units: &mut [i8]) {
        let zero = self.quant.zero_point;
        let rows = self.weights.chunks_exact(feature.len());
        for (j, row) in rows.enumerate() {
            let acc = dot(self.bias[j], feature, row);
            let (m, n) = (self.multiplier[j], self.shift[j]);
            units[j] = requantize(acc, m, n, zero, [zero, i8::MAX]);
        }
    }
}

impl Int8Layers<'_> {
    /// Logits of an int8 feature vector.
    ///
    /// # Panics
    /// If the hidden layer has more than [`MAX_HIDDEN`] units.
    pub fn logits(&self, feature: &[i8], logits: &mut [f32]) {
        let mut units = [0; MAX_HIDDEN];
        let inputs = match &self.hidden {
            Some(hidden) => {
                let units = &mut units[..hidden.bias.len()];
                hidden.apply(feature, units);
                &*units
            }
            None => feature,
        };
        let rows = self.weights.chunks_exact(inputs.len());
        for (c, row) in rows.enumerate() {
            logits[c] = dot(self.bias[c], inputs, row) as f32 * self.scale[c];
        }
    }
}

impl Head<'_> {
    /// Pools an int8 feature map into `feature` ([`Head::features`] long).
    ///
    /// # Panics
    /// If a slice has another length than the head says, or the head is a float one.
    pub fn feature(&self, map: &[i8], feature: &mut [i8]) {
        super::feature::FeatureRule::of(self).apply(map, feature);
    }

    /// Logits of an int8 feature vector: i32 sums times an f32 scale per class, cut to the bounds of
    /// [`Head::output`], the same bits everywhere.
    ///
    /// # Panics
    /// If a slice has another length than the head says, or the head is a float one.
    pub fn logits(&self, feature: &[i8], logits: &mut [f32]) {
        assert_eq!(feature.len(), self.features());
        assert_eq!(logits.len(), self.classes());
        let layers = self.int8_layers().expect("the head is a float one");
        layers.logits(feature, logits);
        self.output().cut(logits);
    }

    /// The layers of an int8 head.
    fn int8_layers(&self) -> Option<Int8Layers<'_>> {
        let HeadData::I8 {
            weights,
            bias,
            scale,
        } = self.record.data
        else {
            return None;
        };
        let hidden = self.record.hidden.map(|hidden| {
            let units = hidden.units as usize;
            let [.., bias, multiplier, shift, end] = HiddenData::offsets(units, self.features());
            let numbers: &[u8] = self.blob(hidden.numbers);
            HiddenLayer {
                weights: bytemuck::cast_slice(&numbers[..units * self.features()]),
                bias: bytemuck::cast_slice(&numbers[bias..][..4 * units]),
                multiplier: bytemuck::cast_slice(&numbers[multiplier..][..4 * units]),
                shift: &numbers[shift..end],
                quant: hidden.quant,
            }
        });
        Some(Int8Layers {
            hidden,
            weights: self.blob(weights),
            bias: self.blob(bias),
            scale: self.blob(scale),
        })
    }

    /// As [`Head::feature`], of a float model.
    ///
    /// # Panics
    /// If a slice has another length than the head says.
    pub fn feature_f32(&self, map: &[f32], feature: &mut [f32]) {
        assert_eq!(map.len(), self.record.map.len());
        assert_eq!(feature.len(), self.features());
        let channels = self.record.map.c as usize;
        match self.record.pool {
            Pool::Flatten => feature.copy_from_slice(map),
            Pool::Max => {
                feature.fill(f32::NEG_INFINITY);
                for pixel in map.chunks_exact(channels) {
                    feature
                        .iter_mut()
                        .zip(pixel)
                        .for_each(|(f, v)| *f = f.max(*v));
                }
            }
            Pool::Avg { .. } => {
                feature.fill(0.0);
                for pixel in map.chunks_exact(channels) {
                    feature.iter_mut().zip(pixel).for_each(|(f, v)| *f += *v);
                }
                let count = (map.len() / channels) as f32;
                feature.iter_mut().for_each(|f| *f /= count);
            }
        }
    }

    /// As [`Head::logits`], of a float model.
    ///
    /// # Panics
    /// If a slice has another length than the head says, or the head is an int8 one.
    pub fn logits_f32(&self, feature: &[f32], logits: &mut [f32]) {
        let HeadData::F32 { weights, bias } = self.record.data else {
            panic!("the head is an int8 one");
        };
        assert_eq!(feature.len(), self.features());
        assert_eq!(logits.len(), self.classes());
        let (weights, bias): (&[f32], &[f32]) = (self.blob(weights), self.blob(bias));
        for (c, row) in weights.chunks_exact(feature.len()).enumerate() {
            logits[c] = bias[c] + super::math::dot(feature, row);
        }
        self.output().cut(logits);
    }

    fn blob<T: bytemuck::Pod>(&self, blob: Blob) -> &[T] {
        bytemuck::cast_slice(&self.weights[blob.offset as usize..][..blob.len as usize])
    }
}
