//! From feature map to feature vector to logits.

use super::file::{Head, HeadData, Pool};
use crate::model::Blob;

/// `logits[c] = scale[c] * (bias[c] + weights[c] . feature)`, the sum in i32.
pub(super) fn int8_logits(
    weights: &[i8],
    bias: &[i32],
    scale: &[f32],
    feature: &[i8],
    logits: &mut [f32],
) {
    for (c, row) in weights.chunks_exact(feature.len()).enumerate() {
        let products = feature.iter().zip(row).map(|(q, w)| *q as i32 * *w as i32);
        let acc = products.fold(bias[c], i32::wrapping_add);
        logits[c] = acc as f32 * scale[c];
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

    /// Logits of an int8 feature vector: i32 sums times an f32 scale per class, the same bits everywhere.
    ///
    /// # Panics
    /// If a slice has another length than the head says, or the head is a float one.
    pub fn logits(&self, feature: &[i8], logits: &mut [f32]) {
        let HeadData::I8 {
            weights,
            bias,
            scale,
        } = self.record.data
        else {
            panic!("the head is a float one");
        };
        assert_eq!(feature.len(), self.features());
        assert_eq!(logits.len(), self.classes());
        let weights: &[i8] = self.blob(weights);
        let (bias, scale): (&[i32], &[f32]) = (self.blob(bias), self.blob(scale));
        int8_logits(weights, bias, scale, feature, logits);
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
    }

    fn blob<T: bytemuck::Pod>(&self, blob: Blob) -> &[T] {
        bytemuck::cast_slice(&self.weights[blob.offset as usize..][..blob.len as usize])
    }
}
